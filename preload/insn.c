/* insn.c -- one decoded instruction: how long it is and what it does to the flow */
#include <Zydis/Zydis.h>
#include <dlfcn.h>

#include "insn.h"
#include "object.h"
#include "sys.h"
#include "text.h"

static struct {
	ZyanStatus (*decode)(const ZydisDecoder *, ZydisDecoderContext *, const void *, ZyanUSize,
			     ZydisDecodedInstruction *);
	ZyanStatus (*decode_full)(const ZydisDecoder *, const void *, ZyanUSize,
				  ZydisDecodedInstruction *, ZydisDecodedOperand *);
	ZydisDecoder quick, full;
} zydis; /* written once, by insn_open */

/* No fork shall look at Zydis. What the loader has relocated is not written again and becomes a
 * copy; all before that becomes one mapping. */
static void settle(const struct link_map *map)
{
	struct object o;

	if (object_from_link_map(map, &o) < 0)
		return;
	for (int i = 0; i < o.loads; i++) {
		uintptr_t lo = o.load[i].start & ~(PAGE - 1), hi = page_up(o.load[i].end);

		if (o.load[i].flags & PF_W)
			text_take(lo, hi, hi - lo, PROT_READ | PROT_WRITE);
		else
			sys_mprotect((void *)lo, hi - lo, PROT_READ | PROT_EXEC);
	}
}

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
	settle(library);
	return 0;
}

uintptr_t insn_library(void)
{
	return (uintptr_t)zydis.decode;
}

static int32_t int32_at(uintptr_t at)
{
	int32_t v;

	__builtin_memcpy(&v, (const void *)at, sizeof v);
	return v;
}

/* Where it leads, or what it refers to. */
static void find_target(uintptr_t at, struct insn *in)
{
	uintptr_t end = at + in->length, opcode = opcode_place(at);

	if (in->flags & INSN_RIP) {
		in->disp = (uint8_t)(opcode + 2 - at);
		in->target = end + (uintptr_t)(intptr_t)int32_at(opcode + 2);
	} else if (in->flags & INSN_INDEXED) {
		in->target = (uintptr_t)(intptr_t)int32_at(opcode + 3);
	} else if (!(in->flags & INSN_LEAVE)) {
		in->target = opcode_target(at, in->length);
	}
}

int insn_table(uintptr_t at, struct insn *in)
{
	uint32_t sum = opcode_look(at);

	if (!sum)
		return -ENOENT;
	*in = (struct insn){.length = (uint8_t)sum, .flags = (uint16_t)(sum >> 16)};
	if (in->flags & (INSN_JUMP | INSN_CALL | INSN_RIP | INSN_INDEXED))
		find_target(at, in);
	return 0;
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

static __attribute__((noinline)) int ask(uintptr_t at, size_t room, struct insn *in)
{
	ZydisDecodedInstruction z;

	*in = (struct insn){0};
	if (!ZYAN_SUCCESS(zydis.decode(&zydis.quick, NULL, (const void *)at,
				       room < INSN_LONGEST ? room : INSN_LONGEST, &z)))
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
	return room >= INSN_ROOM && !insn_table(at, in) ? 0 : ask(at, room, in);
}

bool insn_confirm(uintptr_t at, const struct insn *in)
{
	struct insn z;

	return !ask(at, INSN_LONGEST, &z) && z.length == in->length && z.disp == in->disp &&
	       !(z.flags & INSN_FLOW);
}

bool insn_rax(uintptr_t at, const struct insn *in, int *value)
{
	const uint8_t *p = (const uint8_t *)at;
	ZydisDecodedInstruction z;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];

	*value = -1;
	if (p[0] == 0xb8 && in->length == 5) { /* mov $imm32,%eax */
		*value = int32_at(at + 1);
		return true;
	}
	if ((p[0] == 0x31 || p[0] == 0x33) && p[1] == 0xc0) { /* xor %eax,%eax */
		*value = 0;
		return true;
	}
	if (p[0] == 0x48 && p[1] == 0xc7 && p[2] == 0xc0) { /* mov $imm32,%rax */
		*value = int32_at(at + 3);
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
