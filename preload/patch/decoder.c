/* decoder.c -- any x86-64 instruction: where its parts are */
#include "patch/decoder.h"
#include "patch/opcode.h"

/* What follows an opcode. */
enum {
	NONE,
	BYTE = 1,	/* an immediate of one byte */
	WORD = 2,	/* of two */
	FULL = 3,	/* of four, or two for narrow operands */
	WIDEST = 4,	/* of the operands' size */
	ADDRESS = 5,	/* an address as an immediate */
	BRANCH = 6,	/* a distance of one byte */
	FAR = 7,	/* of four */
	ENTER = 8,	/* of two bytes and one */
	BEGIN = 9,	/* a distance as long as FULL */
	TAIL = 15,
	RM = 16,	/* ModRM, before the immediate */
	BAD = 32,
};

static const uint8_t one[256] = {
#define ARITHMETIC(o) [o ... (o) + 3] = RM, [(o) + 4] = BYTE, [(o) + 5] = FULL, [(o) + 6 ... (o) + 7] = BAD
	ARITHMETIC(0x00), ARITHMETIC(0x08), ARITHMETIC(0x10), ARITHMETIC(0x18), ARITHMETIC(0x20), ARITHMETIC(0x28),
	ARITHMETIC(0x30), ARITHMETIC(0x38),
#undef ARITHMETIC
	[0x60 ... 0x62] = BAD, [0x63] = RM, [0x68] = FULL, [0x69] = RM | FULL, [0x6a] = BYTE, [0x6b] = RM | BYTE,
	[0x70 ... 0x7f] = BRANCH, [0x80] = RM | BYTE, [0x81] = RM | FULL, [0x82] = BAD, [0x83] = RM | BYTE,
	[0x84 ... 0x8f] = RM, [0x9a] = BAD, [0xa0 ... 0xa3] = ADDRESS, [0xa8] = BYTE, [0xa9] = FULL, [0xb0 ... 0xb7] = BYTE,
	[0xb8 ... 0xbf] = WIDEST, [0xc0 ... 0xc1] = RM | BYTE, [0xc2] = WORD, [0xc6] = RM | BYTE, [0xc7] = RM | FULL,
	[0xc8] = ENTER, [0xca] = WORD, [0xcd] = BYTE, [0xce] = BAD, [0xd0 ... 0xd3] = RM, [0xd4 ... 0xd6] = BAD,
	[0xd8 ... 0xdf] = RM, [0xe0 ... 0xe3] = BRANCH, [0xe4 ... 0xe7] = BYTE, [0xe8 ... 0xe9] = FAR, [0xea] = BAD,
	[0xeb] = BRANCH, [0xf6 ... 0xf7] = RM, [0xfe ... 0xff] = RM,
};

static const uint8_t two[256] = {
	[0x00 ... 0x03] = RM, [0x04] = BAD, [0x0a] = BAD, [0x0c] = BAD, [0x0d] = RM, [0x0f] = RM | BYTE, [0x10 ... 0x23] = RM,
	[0x24 ... 0x27] = BAD, [0x28 ... 0x2f] = RM, [0x36] = BAD, [0x39] = BAD, [0x3b ... 0x3f] = BAD, [0x40 ... 0x6f] = RM,
	[0x70 ... 0x73] = RM | BYTE, [0x74 ... 0x76] = RM, [0x78 ... 0x79] = RM, [0x7a ... 0x7b] = BAD, [0x7c ... 0x7f] = RM,
	[0x80 ... 0x8f] = FAR, [0x90 ... 0x9f] = RM, [0xa3] = RM, [0xa4] = RM | BYTE, [0xa5 ... 0xa7] = RM, [0xab] = RM,
	[0xac] = RM | BYTE, [0xad ... 0xb9] = RM, [0xba] = RM | BYTE, [0xbb ... 0xc1] = RM, [0xc2] = RM | BYTE, [0xc3] = RM,
	[0xc4 ... 0xc6] = RM | BYTE, [0xc7] = RM, [0xd0 ... 0xff] = RM,
};

/* The instruction while it is read. */
struct reader {
	const uint8_t *begin, *at, *end;
	struct decoded *d;
};

static bool is_there(const struct reader *r, unsigned bytes)
{
	return (size_t)(r->end - r->at) >= bytes;
}

/* Reads a number with its sign. False: there are not so many bytes. */
static bool take(struct reader *r, unsigned bytes, int64_t *value)
{
	uint64_t v = 0;

	if (!is_there(r, bytes))
		return false;
	for (unsigned i = 0; i < bytes; i++)
		v |= (uint64_t)*r->at++ << 8 * i;
	*value = bytes ? (int64_t)(v << (64 - 8 * bytes)) >> (64 - 8 * bytes) : 0;
	return true;
}

static bool is_prefix(uint8_t byte)
{
	return (byte & 0xe7) == 0x26 || (byte & 0xfc) == 0x64 || byte == 0xf0 || byte == 0xf2 || byte == 0xf3;
}

/* Leaves r->at behind the prefixes. A REX that does not stand last is ignored, as processors do. */
static void read_prefixes(struct reader *r)
{
	struct decoded *d = r->d;

	for (; is_there(r, 1); r->at++) {
		uint8_t byte = *r->at;

		if ((byte & 0xf0) == 0x40) {
			d->rex = byte;
			continue;
		}
		if (!is_prefix(byte))
			return;
		d->rex = 0;
		d->narrow |= byte == 0x66;
		d->short_address |= byte == 0x67;
		if (byte == 0xf2 || byte == 0xf3)
			d->mandatory = byte;
	}
}

/* What follows an opcode of the maps that VEX and EVEX share with SSE. */
static unsigned vector_tail(const struct decoded *d)
{
	if (d->map == MAP_0F3A)
		return RM | BYTE;
	if (d->map == MAP_0F && d->opcode == 0x77)
		return d->encoding == VEX ? NONE : BAD;
	if (d->map == MAP_0F && (two[d->opcode] & TAIL) == BYTE && d->opcode >= 0x70 && d->opcode != 0xa4 && d->opcode != 0xac &&
	    d->opcode != 0xba)
		return RM | BYTE;
	return RM;
}

/* Behind c4 or c5. */
static unsigned read_vex(struct reader *r, bool three)
{
	struct decoded *d = r->d;
	uint8_t last;

	if (!is_there(r, three ? 3 : 2))
		return BAD;
	d->encoding = VEX;
	d->map = MAP_0F;
	if (three)
		d->map = *r->at++ & 0x1f;
	last = *r->at++;
	d->long_vector = last & 4;
	d->rex = three && last & 0x80 ? 0x48 : 0;
	d->opcode = *r->at++;
	return d->map >= MAP_0F && d->map <= MAP_0F3A ? vector_tail(d) : BAD;
}

/* Behind 62. */
static unsigned read_evex(struct reader *r)
{
	struct decoded *d = r->d;

	if (!is_there(r, 4) || *r->at & 8 || !(r->at[1] & 4))
		return BAD;
	d->encoding = EVEX;
	d->map = *r->at & 7;
	r->at += 3;
	d->opcode = *r->at++;
	return d->map && d->map != 4 && d->map != 7 ? vector_tail(d) : BAD;
}

/* Behind an 8f that is no pop. */
static unsigned read_xop(struct reader *r)
{
	struct decoded *d = r->d;

	if (!is_there(r, 3))
		return BAD;
	d->encoding = XOP;
	d->map = *r->at++ & 0x1f;
	d->long_vector = *r->at++ & 4;
	d->narrow = false;
	d->opcode = *r->at++;
	if (d->map > MAP_XOP_10)
		return BAD;
	return RM | (d->map == MAP_XOP_8 ? BYTE : d->map == MAP_XOP_9 ? NONE : FULL);
}

/* Behind 0f. */
static unsigned read_two(struct reader *r)
{
	struct decoded *d = r->d;

	if (!is_there(r, 1))
		return BAD;
	d->map = MAP_0F;
	d->opcode = *r->at++;
	if (d->opcode == 0x0f)
		d->encoding = AMD3DNOW;
	if (d->opcode == 0x78 && (d->narrow || d->mandatory == 0xf2))
		return RM | WORD;	/* extrq and insertq have two immediates */
	if (d->opcode != 0x38 && d->opcode != 0x3a)
		return two[d->opcode];
	d->map = d->opcode == 0x38 ? MAP_0F38 : MAP_0F3A;
	if (!is_there(r, 1))
		return BAD;
	d->opcode = *r->at++;
	return d->map == MAP_0F38 ? RM : RM | BYTE;
}

/* Returns what follows the opcode. */
static unsigned read_opcode(struct reader *r)
{
	struct decoded *d = r->d;

	if (!is_there(r, 2) && (!is_there(r, 1) || one[*r->at] != NONE || *r->at == 0x0f))
		return BAD;
	d->opcode = *r->at++;
	switch (d->opcode) {
	case 0x0f:
		return read_two(r);
	case 0x62:
		return read_evex(r);
	case 0x8f:
		if (*r->at & 0x18)
			return read_xop(r);
		break;
	case 0xc4:
	case 0xc5:
		return read_vex(r, d->opcode == 0xc4);
	}
	return one[d->opcode];
}

static bool read_modrm(struct reader *r)
{
	struct decoded *d = r->d;
	unsigned bytes = 0;
	int64_t value;

	if (!is_there(r, 1))
		return false;
	d->has_modrm = true;
	d->mod = *r->at >> 6;
	d->reg = *r->at >> 3 & 7;
	d->rm = *r->at++ & 7;
	/* mov to and from control registers has no memory operand, whatever mod says. */
	if (d->encoding == LEGACY && d->map == MAP_0F && d->opcode >= 0x20 && d->opcode <= 0x23)
		d->mod = 3;
	if (d->mod == 3)
		return true;
	if (d->rm == 4) {
		if (!is_there(r, 1))
			return false;
		d->has_sib = true;
		d->base = *r->at++ & 7;
	}
	if (d->mod)
		bytes = d->mod == 1 ? 1 : 4;
	else if (d->rm == 5 || (d->has_sib && d->base == 5))
		bytes = 4;
	d->displacement_at = bytes ? (uint8_t)(r->at - r->begin) : 0;
	if (!take(r, bytes, &value))
		return false;
	d->displacement = (int32_t)value;
	return true;
}

/* What the register field of ModRM changes. */
static unsigned adjust(struct decoded *d, unsigned tail)
{
	if (d->encoding != LEGACY || d->map != MAP_ONE)
		return tail;
	if ((d->opcode == 0xf6 || d->opcode == 0xf7) && d->reg < 2)
		return tail | (d->opcode == 0xf6 ? BYTE : FULL);
	if (d->opcode != 0xc6 && d->opcode != 0xc7)
		return (d->opcode == 0xfe && d->reg > 1) || (d->opcode == 0xff && d->reg == 7) ? BAD : tail;
	if (!d->reg)
		return tail;
	if (d->mod != 3 || d->reg != 7 || d->rm)
		return BAD;
	return d->opcode == 0xc6 ? tail : RM | BEGIN;	/* xabort, xbegin */
}

static unsigned immediate_size(const struct decoded *d, unsigned tail)
{
	bool wide = d->rex & 8;

	switch (tail & TAIL) {
	case BYTE:
	case BRANCH:
		return 1;
	case WORD:
		return 2;
	case FULL:
	case BEGIN:
		return d->narrow && !wide ? 2 : 4;
	case WIDEST:
		return wide ? 8 : d->narrow ? 2 : 4;
	case ADDRESS:
		return d->short_address ? 4 : 8;
	case FAR:
		return 4;
	case ENTER:
		return 3;
	}
	return 0;
}

int decoder_read(uintptr_t at, size_t room, struct decoded *d)
{
	const uint8_t *begin = (const uint8_t *)at;
	struct reader r = {begin, begin, begin + (room < INSN_LONGEST ? room : INSN_LONGEST), d};
	unsigned tail;

	*d = (struct decoded){0};
	read_prefixes(&r);
	tail = read_opcode(&r);
	if (tail & BAD)
		return -EILSEQ;
	if (tail & RM) {
		if (!read_modrm(&r))
			return -EILSEQ;
		tail = adjust(d, tail);
	}
	if (tail & BAD || !take(&r, immediate_size(d, tail), &d->immediate))
		return -EILSEQ;
	d->relative = (tail & TAIL) == BRANCH || (tail & TAIL) == FAR || (tail & TAIL) == BEGIN;
	d->length = (uint8_t)(r.at - begin);
	return 0;
}

/* -- what is written -- */

static bool is_rax(const struct decoded *d, unsigned reg, unsigned extension, bool byte)
{
	if (byte && !d->rex)
		return (reg & 3) == 0;	/* al, ah */
	return !reg && !(d->rex & extension);
}

static bool rm_is_rax(const struct decoded *d, bool byte)
{
	return d->mod == 3 && is_rax(d, d->rm, 1, byte);
}

static bool reg_is_rax(const struct decoded *d, bool byte)
{
	return is_rax(d, d->reg, 4, byte);
}

static bool one_may_write_rax(const struct decoded *d)
{
	uint8_t o = d->opcode;
	bool byte = !(o & 1);

	if (o < 0x40)	/* add to cmp */
		return o >= 0x38 ? false : (o & 7) >= 4 ? true : o & 2 ? reg_is_rax(d, byte) : rm_is_rax(d, byte);
	switch (o) {
	case 0x50 ... 0x57: case 0x68: case 0x6a: case 0x84: case 0x85: case 0x99: case 0xa8: case 0xa9: case 0xc9:
		return false;	/* push, test, cdq, leave */
	case 0x58 ... 0x5f: case 0xb8 ... 0xbf:
		return is_rax(d, o & 7, 1, false);
	case 0xb0 ... 0xb7:
		return is_rax(d, o & 7, 1, true);
	case 0x63: case 0x69: case 0x6b: case 0x8b: case 0x8d:
		return reg_is_rax(d, false);
	case 0x8a:
		return reg_is_rax(d, true);
	case 0x80 ... 0x83:
		return d->reg != 7 && rm_is_rax(d, byte);
	case 0x86: case 0x87:
		return reg_is_rax(d, byte) || rm_is_rax(d, byte);
	case 0x88: case 0x89: case 0x8f: case 0xc0: case 0xc1: case 0xd0 ... 0xd3:
		return rm_is_rax(d, byte);
	case 0xc6: case 0xc7:	/* an abort as well */
		return d->reg || rm_is_rax(d, byte);
	case 0x90:
		return d->rex & 1;
	case 0xf6: case 0xf7:
		return d->reg > 3 || (d->reg > 1 && rm_is_rax(d, byte));
	case 0xfe: case 0xff:
		return d->reg < 2 ? rm_is_rax(d, byte) : d->reg != 6;
	}
	return true;
}

static bool two_may_write_rax(const struct decoded *d)
{
	switch (d->opcode) {
	case 0x0d: case 0x18: case 0x1f: case 0x10 ... 0x17: case 0x28 ... 0x2b: case 0x2e: case 0x2f: case 0x51 ... 0x6f:
	case 0x70: case 0x74 ... 0x76: case 0x7f: case 0xa3: case 0xc2 ... 0xc4: case 0xc6: case 0xd1 ... 0xd6: case 0xd8 ... 0xef:
	case 0xf1 ... 0xfe:
		return false;	/* nop, prefetch, bt, and what writes to vector registers or memory */
	case 0x40 ... 0x4f: case 0xaf: case 0xb6 ... 0xb8: case 0xbc ... 0xbf:
		return reg_is_rax(d, false);
	case 0x1e: case 0xa4: case 0xa5: case 0xab: case 0xac: case 0xad: case 0xb3: case 0xbb:
		return rm_is_rax(d, false);
	case 0x90 ... 0x9f:
		return rm_is_rax(d, true);
	case 0xba:
		return d->reg != 4 && rm_is_rax(d, false);
	case 0xc8 ... 0xcf:
		return is_rax(d, d->opcode & 7, 1, false);
	}
	return true;
}

bool decoder_may_write_rax(const struct decoded *d)
{
	if (d->encoding != LEGACY || d->map > MAP_0F)
		return true;
	return d->map == MAP_ONE ? one_may_write_rax(d) : two_may_write_rax(d);
}
