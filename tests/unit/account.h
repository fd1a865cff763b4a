/* account.h -- a disassembler's account of an instruction: Zydis's where it is installed, else decoder.h's */
#ifndef TESTS_UNIT_ACCOUNT_H
#define TESTS_UNIT_ACCOUNT_H

#include "patch/decoder.h"
#include "zydis.h"

enum what { A_JUMP = 1000000, A_CALL, A_JRCXZ, A_SYSCALL }; /* others: by the disassembler's own number */

struct account {
	unsigned what, length, displacement_at;
	bool memory;	  /* its first operand is one */
	bool branch;	  /* to `target', and no call */
	uintptr_t target; /* what a relative operand means */
};

#ifdef HAVE_ZYDIS
static ZydisDecoder zydis;

static void account_begin(void)
{
	ZydisDecoderInit(&zydis, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
}

static unsigned account_what(ZydisMnemonic m)
{
	return m == ZYDIS_MNEMONIC_JMP	     ? A_JUMP
	       : m == ZYDIS_MNEMONIC_CALL    ? A_CALL
	       : m == ZYDIS_MNEMONIC_JRCXZ   ? A_JRCXZ
	       : m == ZYDIS_MNEMONIC_SYSCALL ? A_SYSCALL
					     : m;
}

/* Of bytes that stand at `at', or are meant to. False: they are no instruction. */
static bool account_of(const void *bytes, size_t room, uintptr_t at, struct account *a)
{
	ZydisDecodedInstruction z;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];

	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&zydis, bytes, room, &z, op)))
		return false;
	*a = (struct account){.what = account_what(z.mnemonic),
			      .length = z.length,
			      .displacement_at = z.raw.disp.offset,
			      .memory = op[0].type == ZYDIS_OPERAND_TYPE_MEMORY};
	a->branch = a->what != A_CALL && z.attributes & ZYDIS_ATTRIB_IS_RELATIVE &&
		    op[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
	for (int i = 0; i < z.operand_count; i++) {
		ZyanU64 absolute;

		if (z.attributes & ZYDIS_ATTRIB_IS_RELATIVE &&
		    ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&z, &op[i], at, &absolute)))
			a->target = absolute;
	}
	return true;
}
#else
static void account_begin(void)
{
}

static unsigned account_what(const struct decoded *d)
{
	unsigned what = d->opcode | (unsigned)d->map << 8;

	if (d->encoding != LEGACY)
		return what | (unsigned)d->encoding << 16;
	if (what == 0xe9 || what == 0xeb || (what == 0xff && d->reg == 4))
		return A_JUMP;
	return what == 0xe8 ? A_CALL : what == 0xe3 ? A_JRCXZ : what == 0x105 ? A_SYSCALL : what;
}

static bool account_of(const void *bytes, size_t room, uintptr_t at, struct account *a)
{
	struct decoded d;

	if (decoder_read((uintptr_t)bytes, room, &d))
		return false;
	*a = (struct account){.what = account_what(&d),
			      .length = d.length,
			      .displacement_at = d.displacement_at,
			      .memory = d.has_modrm && d.mod != 3};
	a->branch = d.relative && a->what != A_CALL;
	if (d.relative || (d.has_modrm && d.mod == 0 && d.rm == 5))
		a->target = at + d.length + (uintptr_t)(d.relative ? d.immediate : d.displacement);
	return true;
}
#endif

#endif
