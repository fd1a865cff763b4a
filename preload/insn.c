/* insn.c -- one decoded instruction: how long it is and what it does to the flow */
#include <Zydis/Zydis.h>
#include <dlfcn.h>

#include "insn.h"

#define LONGEST 15	/* bytes of an instruction */

/* What follows the opcode, in the low half of an entry: an immediate of so many bits, or ModRM and
 * an immediate. TEST has the immediate in two forms of eight, ZERO is known in one form of eight,
 * GROUP5 holds the indirect jumps. ASK is what the table does not want to know. */
enum shape {
	ASK, BARE, IMM8, IMM32, MOVI, REL8, REL32, MODRM, MODRM8, MODRM32, GROUP5, TEST8, TEST32,
	ZERO8, ZERO32, PREFIX,
};

#define SHAPE(e) ((e) & 15)
#define FLOW	 16		/* INSN_FLOW */
#define STOP	 (FLOW | 32)	/* ... and INSN_STOP */
#define LEAVE	 (FLOW | 128)	/* ... and INSN_LEAVE */
#define VEC	 64		/* INSN_VECTOR */

#define ARITHMETIC(o) [o ... (o) + 3] = MODRM, [(o) + 4] = IMM8, [(o) + 5] = IMM32

static const uint16_t flags_of[16] = {	/* by the high half of an entry */
	[FLOW >> 4] = INSN_FLOW, [STOP >> 4] = INSN_FLOW | INSN_STOP, [VEC >> 4] = INSN_VECTOR,
	[(STOP | LEAVE) >> 4] = INSN_FLOW | INSN_STOP | INSN_LEAVE,
};

static const uint8_t one_byte[256] = {
	ARITHMETIC(0x00), ARITHMETIC(0x08), ARITHMETIC(0x10), ARITHMETIC(0x18), ARITHMETIC(0x20),
	ARITHMETIC(0x28), ARITHMETIC(0x30), ARITHMETIC(0x38), [0x2e] = PREFIX, [0x3e] = PREFIX,
	[0x64] = PREFIX, [0x66] = PREFIX, [0xf0] = PREFIX, [0xf2 ... 0xf3] = PREFIX,
	[0x50 ... 0x5f] = BARE, [0x63] = MODRM, [0x68] = IMM32, [0x69] = MODRM32, [0x6a] = IMM8,
	[0x6b] = MODRM8, [0x70 ... 0x7f] = REL8 | FLOW, [0x80] = MODRM8, [0x81] = MODRM32,
	[0x83] = MODRM8, [0x84 ... 0x8b] = MODRM, [0x8d] = MODRM, [0x90 ... 0x99] = BARE,
	[0x9c ... 0x9f] = BARE, [0xa4 ... 0xa7] = BARE, [0xa8] = IMM8, [0xa9] = IMM32,
	[0xaa ... 0xaf] = BARE, [0xb0 ... 0xb7] = IMM8, [0xb8 ... 0xbf] = MOVI,
	[0xc0 ... 0xc1] = MODRM8, [0xc3] = BARE | STOP | LEAVE, [0xc6] = ZERO8, [0xc7] = ZERO32,
	[0xc9] = BARE, [0xcc] = BARE | FLOW, [0xd0 ... 0xd3] = MODRM,
	[0xd8 ... 0xdf] = MODRM | VEC, [0xe0 ... 0xe3] = REL8 | FLOW, [0xe8] = REL32 | FLOW,
	[0xe9] = REL32 | STOP, [0xeb] = REL8 | STOP, [0xf4] = BARE | STOP, [0xf5] = BARE,
	[0xf6] = TEST8, [0xf7] = TEST32, [0xf8 ... 0xf9] = BARE, [0xfc ... 0xfd] = BARE,
	[0xff] = GROUP5,
};

static const uint8_t two_bytes[256] = {	/* behind 0f */
	[0x05] = BARE | FLOW, [0x0b] = BARE | STOP, [0x10 ... 0x17] = MODRM | VEC,
	[0x18] = MODRM, [0x1e ... 0x1f] = MODRM, [0x28 ... 0x2f] = MODRM | VEC, [0x31] = BARE,
	[0x40 ... 0x4f] = MODRM, [0x51 ... 0x6f] = MODRM | VEC, [0x70] = MODRM8 | VEC,
	[0x74 ... 0x76] = MODRM | VEC, [0x7e ... 0x7f] = MODRM | VEC,
	[0x80 ... 0x8f] = REL32 | FLOW, [0x90 ... 0x9f] = MODRM, [0xa2] = BARE, [0xa3] = MODRM,
	[0xa4] = MODRM8, [0xa5] = MODRM, [0xab] = MODRM, [0xac] = MODRM8, [0xad] = MODRM,
	[0xaf ... 0xb1] = MODRM, [0xb3] = MODRM, [0xb6 ... 0xb7] = MODRM, [0xba] = MODRM8,
	[0xbb ... 0xc1] = MODRM, [0xc6] = MODRM8 | VEC, [0xc8 ... 0xcf] = BARE,
	[0xd4] = MODRM | VEC, [0xd6] = MODRM | VEC, [0xdb] = MODRM | VEC, [0xeb] = MODRM | VEC,
	[0xef] = MODRM | VEC, [0xfa ... 0xfb] = MODRM | VEC, [0xfe] = MODRM | VEC,
};

static struct {
	ZyanStatus (*decode)(const ZydisDecoder *, ZydisDecoderContext *, const void *, ZyanUSize,
			     ZydisDecodedInstruction *);
	ZyanStatus (*decode_full)(const ZydisDecoder *, const void *, ZyanUSize,
				  ZydisDecodedInstruction *, ZydisDecodedOperand *);
	ZydisDecoder quick, full;
} zydis; /* written once, by insn_open */

int insn_open(void)
{
	if (zydis.decode_full)
		return 0;
	void *library = dlopen("libZydis.so.4.0", RTLD_NOW | RTLD_LOCAL);

	if (!library) {
		(void)dlerror(); /* not the program's business */
		return -ENOENT;
	}
	__typeof__(&ZydisDecoderInit) init = (__typeof__(init))dlsym(library, "ZydisDecoderInit");
	__typeof__(&ZydisDecoderEnableMode) mode =
		(__typeof__(mode))dlsym(library, "ZydisDecoderEnableMode");

	zydis.decode = (__typeof__(zydis.decode))dlsym(library, "ZydisDecoderDecodeInstruction");
	__typeof__(zydis.decode_full) full =
		(__typeof__(full))dlsym(library, "ZydisDecoderDecodeFull");

	if (!init || !mode || !zydis.decode || !full ||
	    !ZYAN_SUCCESS(init(&zydis.quick, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)) ||
	    !ZYAN_SUCCESS(mode(&zydis.quick, ZYDIS_DECODER_MODE_MINIMAL, ZYAN_TRUE)) ||
	    !ZYAN_SUCCESS(init(&zydis.full, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64))) {
		dlclose(library);
		return -ENOENT;
	}
	zydis.decode_full = full;
	return 0;
}

static int32_t int32_at(const uint8_t *p)
{
	int32_t v;

	__builtin_memcpy(&v, p, sizeof v);
	return v;
}

/* Bytes of ModRM, SIB and displacement. */
static unsigned operand_size(const uint8_t *p)
{
	/* By mod and rm. A SIB without base has four more. */
	static const uint8_t sizes[32] = {
		1, 1, 1, 1, 2, 5, 1, 1, 2, 2, 2, 2, 3, 2, 2, 2,
		5, 5, 5, 5, 6, 5, 5, 5, 1, 1, 1, 1, 1, 1, 1, 1,
	};
	unsigned size = sizes[(*p >> 3 & 0x18) | (*p & 7)];

	return (*p & 0xc7) == 4 && (p[1] & 7) == 5 ? size + 4 : size;
}

/* What the middle bits of ModRM say in some opcodes; adjusts the size of the immediate. Returns
 * false where Zydis has to be asked. */
static bool read_group(unsigned shape, unsigned reg, unsigned *immediate, unsigned *flags)
{
	switch (shape) {
	case TEST8:
	case TEST32:
		*immediate = reg > 1 ? 0 : *immediate;
		return true;
	case GROUP5:
		if (reg == 2)
			*flags |= INSN_FLOW | INSN_CALL | INSN_LEAVE;
		if (reg == 4)
			*flags |= INSN_FLOW | INSN_STOP | INSN_LEAVE | INSN_INDIRECT;
		return reg != 3 && reg != 5 && reg != 7;
	}
	return !reg;
}

static const uint8_t immediates[16] = {
	[IMM8] = 1, [IMM32] = 4, [MOVI] = 4, [REL8] = 1, [REL32] = 4, [MODRM8] = 1,
	[MODRM32] = 4, [TEST8] = 1, [TEST32] = 4, [ZERO8] = 1, [ZERO32] = 4,
};

static inline __attribute__((always_inline)) int look_up(uintptr_t at, struct insn *in)
{
	const uint8_t *begin = (const uint8_t *)at, *p = begin;
	bool narrow = false, wide = false, two;
	unsigned operand = 0;

	for (; one_byte[*p] == PREFIX; p++) {
		narrow |= *p == 0x66;
		if (p - begin == 4)
			return -ENOENT;
	}
	if ((*p & 0xf0) == 0x40)
		wide = *p++ & 8;
	two = *p == 0x0f;
	p += two;
	unsigned entry = two ? two_bytes[*p] : one_byte[*p], shape = SHAPE(entry);
	unsigned immediate = immediates[shape], flags = flags_of[entry >> 4];

	/* An operand-size prefix shortens immediates; what it does to branches depends on who made
	 * the CPU. */
	if (shape == ASK || shape == PREFIX ||
	    (narrow && (entry & FLOW || immediate == 4 || shape == GROUP5)))
		return -ENOENT;
	in->disp = 0;
	in->target = 0;
	if (shape >= MODRM) {
		operand = operand_size(p + 1);
		if (shape >= GROUP5 && !read_group(shape, p[1] >> 3 & 7, &immediate, &flags))
			return -ENOENT;
		if ((p[1] & 0xc7) == 5) {
			flags |= INSN_RIP;
			in->disp = (uint8_t)(p + 2 - begin);
			in->target = (uintptr_t)p + 1 + operand + immediate +
				     (uintptr_t)(intptr_t)int32_at(p + 2);
		} else if ((p[1] & 0xc7) == 4 && (p[2] & 7) == 5) {
			flags |= INSN_INDEXED;
			in->target = (uintptr_t)(intptr_t)int32_at(p + 3);
		}
	} else if (shape == MOVI && wide) {
		immediate = 8;
	}
	uintptr_t end = (uintptr_t)p + 1 + operand + immediate;

	if (shape == REL8 || shape == REL32) {
		flags |= *p == 0xe8 ? INSN_CALL : INSN_JUMP;
		in->target = end + (uintptr_t)(shape == REL8 ? (intptr_t)(int8_t)p[1]
							     : (intptr_t)int32_at(p + 1));
	}
	if (two && *p == 0x05) {
		if (end != at + 2)
			return -ENOENT;
		flags |= INSN_SYSCALL;
	}
	in->length = (uint8_t)(end - at);
	in->flags = (uint16_t)flags;
	return 0;
}

int insn_table(uintptr_t at, struct insn *in)
{
	return look_up(at, in);
}

/* BMI1 and BMI2 wear a VEX prefix, but work on general registers. */
static bool is_bmi(const ZydisDecodedInstruction *z)
{
	return (z->opcode_map == ZYDIS_OPCODE_MAP_0F38 && z->opcode >= 0xf2 && z->opcode <= 0xf7) ||
	       (z->opcode_map == ZYDIS_OPCODE_MAP_0F3A && z->opcode == 0xf0);
}

/* MMX and SSE behind 0f. */
static bool is_sse(uint8_t opcode)
{
	return (opcode >= 0x10 && opcode <= 0x17) || (opcode >= 0x28 && opcode <= 0x2f) ||
	       (opcode >= 0x50 && opcode <= 0x7f) || (opcode >= 0xc2 && opcode <= 0xc6) ||
	       opcode >= 0xd0;
}

static unsigned vector_flags(const ZydisDecodedInstruction *z)
{
	switch (z->encoding) {
	case ZYDIS_INSTRUCTION_ENCODING_LEGACY:
		if (z->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT)
			return z->opcode >= 0xd8 && z->opcode <= 0xdf ? INSN_VECTOR : 0;
		if (z->opcode_map == ZYDIS_OPCODE_MAP_0F)
			return is_sse(z->opcode) ? INSN_VECTOR : 0;
		return INSN_VECTOR;
	case ZYDIS_INSTRUCTION_ENCODING_VEX:
		if (is_bmi(z))
			return 0;
		/* Masks: kmov and kin. */
		if (z->opcode_map == ZYDIS_OPCODE_MAP_0F &&
		    ((z->opcode >= 0x41 && z->opcode <= 0x4b) ||
		     (z->opcode >= 0x90 && z->opcode <= 0x99)))
			return INSN_VECTOR | INSN_WIDE;
		return INSN_VECTOR | (z->raw.vex.L ? INSN_WIDE : 0);
	case ZYDIS_INSTRUCTION_ENCODING_EVEX:
	case ZYDIS_INSTRUCTION_ENCODING_MVEX:
		return INSN_VECTOR | INSN_WIDE;
	default:
		return INSN_VECTOR;
	}
}

/* What a legacy instruction without a relative immediate does to the flow. */
static unsigned flow_flags(const ZydisDecodedInstruction *z)
{
	if (z->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
		return 0;
	if (z->opcode_map == ZYDIS_OPCODE_MAP_0F) {
		if (z->opcode == 0x05)
			return INSN_FLOW | INSN_SYSCALL;
		if (z->opcode == 0x0b)
			return INSN_FLOW | INSN_STOP;
		return z->opcode == 0x07 || z->opcode == 0x34 || z->opcode == 0x35
			       ? INSN_FLOW | INSN_LEAVE
			       : 0;
	}
	if (z->opcode_map != ZYDIS_OPCODE_MAP_DEFAULT)
		return 0;
	if (z->opcode == 0xf4)
		return INSN_FLOW | INSN_STOP;
	if (z->opcode == 0xcc)
		return INSN_FLOW;
	if (z->opcode == 0xc2 || z->opcode == 0xc3)
		return INSN_FLOW | INSN_STOP | INSN_LEAVE;
	if (z->opcode == 0xff && z->raw.modrm.reg == 2)
		return INSN_FLOW | INSN_CALL | INSN_LEAVE;
	if (z->opcode == 0xff && z->raw.modrm.reg == 4)
		return INSN_FLOW | INSN_STOP | INSN_LEAVE | INSN_INDIRECT;
	/* Far calls, jumps and returns, int. */
	if ((z->opcode >= 0xca && z->opcode <= 0xcf) || z->opcode == 0xf1 ||
	    (z->opcode == 0xff && (z->raw.modrm.reg == 3 || z->raw.modrm.reg == 5)))
		return INSN_FLOW | INSN_LEAVE;
	return 0;
}

static void read_memory(uintptr_t at, const ZydisDecodedInstruction *z, struct insn *in)
{
	if (!z->raw.modrm.offset || z->raw.modrm.mod != 0)
		return;
	if (z->raw.modrm.rm == 5) {
		in->flags |= INSN_RIP;
		in->disp = z->raw.disp.offset;
		in->target = at + z->length + (uintptr_t)z->raw.disp.value;
		if (z->address_width != 64)
			in->flags |= INSN_FLOW; /* relative to eip: never moved */
	} else if (z->raw.modrm.rm == 4 && z->raw.sib.base == 5) {
		in->flags |= INSN_INDEXED;
		in->target = (uintptr_t)z->raw.disp.value;
	}
}

static int ask(uintptr_t at, size_t room, struct insn *in)
{
	ZydisDecodedInstruction z;

	*in = (struct insn){0};
	if (!ZYAN_SUCCESS(zydis.decode(&zydis.quick, NULL, (const void *)at,
				       room < LONGEST ? room : LONGEST, &z)))
		return -EILSEQ;
	in->length = z.length;
	in->flags = (uint16_t)vector_flags(&z);
	if (z.raw.imm[0].is_relative) {
		bool call = z.opcode == 0xe8 && z.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT;
		bool stop = (z.opcode == 0xe9 || z.opcode == 0xeb) &&
			    z.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT;

		in->flags |= INSN_FLOW | (call ? INSN_CALL : INSN_JUMP) | (stop ? INSN_STOP : 0);
		in->target = at + z.length + (uintptr_t)z.raw.imm[0].value.s;
		return 0;
	}
	in->flags |= (uint16_t)flow_flags(&z);
	read_memory(at, &z, in);
	return 0;
}

int insn_decode(uintptr_t at, size_t room, struct insn *in)
{
	if (room >= INSN_ROOM && !look_up(at, in))
		return 0;
	return ask(at, room, in);
}

bool insn_confirm(uintptr_t at, const struct insn *in)
{
	struct insn z;

	return !ask(at, LONGEST, &z) && z.length == in->length && z.disp == in->disp &&
	       !(z.flags & INSN_FLOW);
}

bool insn_rax(uintptr_t at, const struct insn *in, int *value)
{
	const uint8_t *p = (const uint8_t *)at;
	ZydisDecodedInstruction z;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];

	*value = -1;
	if (p[0] == 0xb8 && in->length == 5) { /* mov $imm32,%eax */
		*value = int32_at(p + 1);
		return true;
	}
	if ((p[0] == 0x31 || p[0] == 0x33) && p[1] == 0xc0) { /* xor %eax,%eax */
		*value = 0;
		return true;
	}
	if (p[0] == 0x48 && p[1] == 0xc7 && p[2] == 0xc0) { /* mov $imm32,%rax */
		*value = int32_at(p + 3);
		return true;
	}
	if (!ZYAN_SUCCESS(zydis.decode_full(&zydis.full, p, in->length, &z, op)))
		return true;
	for (int i = 0; i < z.operand_count; i++) {
		if (op[i].type != ZYDIS_OPERAND_TYPE_REGISTER ||
		    !(op[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
			continue;
		ZydisRegister r = op[i].reg.value;

		if (r == ZYDIS_REGISTER_AL || r == ZYDIS_REGISTER_AH || r == ZYDIS_REGISTER_AX ||
		    r == ZYDIS_REGISTER_EAX || r == ZYDIS_REGISTER_RAX)
			return true;
	}
	return false;
}
