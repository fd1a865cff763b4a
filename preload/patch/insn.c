/* insn.c -- one decoded instruction: how long it is and what it does to the flow */
#include "patch/decoder.h"
#include "patch/insn.h"

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
static bool is_bmi(const struct decoded *d)
{
	return (d->map == MAP_0F38 && d->opcode >= 0xf2 && d->opcode <= 0xf7) ||
	       (d->map == MAP_0F3A && d->opcode == 0xf0);
}

/* MMX and SSE behind 0f. */
static bool is_sse(uint8_t opcode)
{
	return (opcode >= 0x10 && opcode <= 0x17) || (opcode >= 0x28 && opcode <= 0x2f) ||
	       (opcode >= 0x50 && opcode <= 0x7f) || (opcode >= 0xc2 && opcode <= 0xc6) ||
	       opcode >= 0xd0;
}

static unsigned vector_flags(const struct decoded *d)
{
	switch (d->encoding) {
	case LEGACY:
		if (d->map == MAP_ONE)
			return d->opcode >= 0xd8 && d->opcode <= 0xdf ? INSN_VECTOR : 0;
		if (d->map == MAP_0F)
			return is_sse(d->opcode) ? INSN_VECTOR : 0;
		return INSN_VECTOR;
	case VEX:
		if (is_bmi(d))
			return 0;
		/* Masks: kmov and kin. */
		if (d->map == MAP_0F &&
		    ((d->opcode >= 0x41 && d->opcode <= 0x4b) ||
		     (d->opcode >= 0x90 && d->opcode <= 0x99)))
			return INSN_VECTOR | INSN_WIDE;
		return INSN_VECTOR | (d->long_vector ? INSN_WIDE : 0);
	case EVEX:
		return INSN_VECTOR | INSN_WIDE;
	default:
		return INSN_VECTOR;
	}
}

/* What a legacy instruction without a relative immediate does to the flow. */
static unsigned flow_flags(const struct decoded *d)
{
	if (d->encoding != LEGACY)
		return 0;
	if (d->map == MAP_0F) {
		if (d->opcode == 0x05)
			return INSN_FLOW | INSN_SYSCALL;
		if (d->opcode == 0x0b)
			return INSN_FLOW | INSN_STOP;
		return d->opcode == 0x07 || d->opcode == 0x34 || d->opcode == 0x35
			       ? INSN_FLOW | INSN_LEAVE
			       : 0;
	}
	if (d->map != MAP_ONE)
		return 0;
	if (d->opcode == 0xf4)
		return INSN_FLOW | INSN_STOP;
	if (d->opcode == 0xcc)
		return INSN_FLOW;
	if (d->opcode == 0xc2 || d->opcode == 0xc3)
		return INSN_FLOW | INSN_STOP | INSN_LEAVE;
	if (d->opcode == 0xff && d->reg == 2)
		return INSN_FLOW | INSN_CALL | INSN_LEAVE;
	if (d->opcode == 0xff && d->reg == 4)
		return INSN_FLOW | INSN_STOP | INSN_LEAVE | INSN_INDIRECT;
	/* Far calls, jumps and returns, int. */
	if ((d->opcode >= 0xca && d->opcode <= 0xcf) || d->opcode == 0xf1 ||
	    (d->opcode == 0xff && (d->reg == 3 || d->reg == 5)))
		return INSN_FLOW | INSN_LEAVE;
	return 0;
}

static void read_memory(uintptr_t at, const struct decoded *d, struct insn *in)
{
	if (!d->has_modrm || d->mod != 0)
		return;
	if (d->rm == 5) {
		in->flags |= INSN_RIP;
		in->disp = d->displacement_at;
		in->target = at + d->length + (uintptr_t)(intptr_t)d->displacement;
		if (d->short_address)
			in->flags |= INSN_FLOW; /* relative to eip: never moved */
	} else if (d->has_sib && d->base == 5) {
		in->flags |= INSN_INDEXED;
		in->target = (uintptr_t)(intptr_t)d->displacement;
	}
}

static __attribute__((noinline)) int ask(uintptr_t at, size_t room, struct insn *in)
{
	struct decoded d;

	*in = (struct insn){0};
	if (decoder_read(at, room, &d))
		return -EILSEQ;
	in->length = d.length;
	in->flags = (uint16_t)vector_flags(&d);
	if (d.relative) {
		bool call = d.opcode == 0xe8 && d.map == MAP_ONE;
		bool stop = (d.opcode == 0xe9 || d.opcode == 0xeb) && d.map == MAP_ONE;

		in->flags |= INSN_FLOW | (call ? INSN_CALL : INSN_JUMP) | (stop ? INSN_STOP : 0);
		in->target = at + d.length + (uintptr_t)d.immediate;
		return 0;
	}
	in->flags |= (uint16_t)flow_flags(&d);
	read_memory(at, &d, in);
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
	struct decoded d;

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
	return decoder_read(at, in->length, &d) || decoder_may_write_rax(&d);
}
