/* test_insn.c -- instructions are read as Zydis reads them; what may move is told from what may not
 *
 * libs: -lZydis
 */
#include "unit.h"
#include <dlfcn.h>

#include "patch/decoder.h"
#include "patch/insn.h"
#include "elf/object.h"
#include "zydis.h"

static long compared;

static int compare_with_table(const struct object *o, void *arg)
{
	struct function f = {0};
	struct insn table, asked;

	(void)arg;
	while (!object_next(o, f.end > f.start ? f.end : f.start + 1, &f)) {
		for (uintptr_t at = f.start; at < f.end; at += asked.length) {
			if (insn_decode(at, INSN_ROOM - 1, &asked))
				break;
			if (insn_table(at, &table))
				continue;
			if (table.length != asked.length || table.flags != asked.flags ||
			    table.disp != asked.disp || table.target != asked.target)
				fail_msg("%s+%lx: %u/%u bytes, flags %x/%x, %u/%u", o->name,
					 (unsigned long)(at - o->base), table.length, asked.length,
					 table.flags, asked.flags, table.disp, asked.disp);
			compared++;
		}
	}
	return 0;
}

static void load_objects(void)
{
	static const char *const names[] = {"libstdc++.so.6", "libcrypto.so.3", "libcrypto.so.1.1", "libgomp.so.1"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)	/* libcrypto is by hand for a good part, in assembly */
		dlopen(names[i], RTLD_NOW);
}

static void the_table_of_opcodes_agrees_with_the_decoder(void **state)
{
	struct object o;

	(void)state;
	load_objects();
	assert_int_equal(object_each(compare_with_table, NULL), 0);
	assert_int_equal(object_from_link_map(object_debug()->r_map, &o), 0);
	compare_with_table(&o, NULL);
	print_message("%ld instructions compared\n", compared);
	assert_true(compared > 200000);
}

static void flow_and_registers_are_seen(void **state)
{
	static const struct {
		const char *bytes;
		int length, flags;
	} rows[] = {
		{"\x90", 1, 0},
		{"\xc3", 1, INSN_FLOW | INSN_STOP | INSN_LEAVE},
		{"\xf3\xc3", 2, INSN_FLOW | INSN_STOP | INSN_LEAVE},
		{"\xc2\x08\0", 3, INSN_FLOW | INSN_STOP | INSN_LEAVE},
		{"\xeb\x10", 2, INSN_FLOW | INSN_STOP | INSN_JUMP},
		{"\xe9\x10\0\0\0", 5, INSN_FLOW | INSN_STOP | INSN_JUMP},
		{"\x74\x10", 2, INSN_FLOW | INSN_JUMP},
		{"\x0f\x84\x10\0\0\0", 6, INSN_FLOW | INSN_JUMP},
		{"\xe3\x10", 2, INSN_FLOW | INSN_JUMP},
		{"\x2e\x74\x10", 3, INSN_FLOW | INSN_JUMP},
		{"\x3e\x3e\x3e\xeb\x10", 5, INSN_FLOW | INSN_STOP | INSN_JUMP},
		{"\xf2\xe9\x10\0\0\0", 6, INSN_FLOW | INSN_STOP | INSN_JUMP},
		{"\xf2\x0f\x84\x10\0\0\0", 7, INSN_FLOW | INSN_JUMP},
		{"\xc7\xf8\x10\0\0\0", 6, INSN_FLOW | INSN_JUMP}, /* xbegin */
		{"\xe8\x10\0\0\0", 5, INSN_FLOW | INSN_CALL},
		{"\x41\xff\xd3", 3, INSN_FLOW | INSN_CALL | INSN_LEAVE},
		{"\x3e\xff\xe0", 3, INSN_FLOW | INSN_STOP | INSN_LEAVE | INSN_INDIRECT},
		{"\xff\x24\xc5\x10\0\0\0", 7,
		 INSN_FLOW | INSN_STOP | INSN_LEAVE | INSN_INDIRECT | INSN_INDEXED},
		{"\xff\x25\x10\0\0\0", 6,
		 INSN_FLOW | INSN_STOP | INSN_LEAVE | INSN_INDIRECT | INSN_RIP},
		{"\x0f\x05", 2, INSN_FLOW | INSN_SYSCALL},
		{"\x48\x0f\x05", 3, INSN_FLOW | INSN_SYSCALL},
		{"\xf4", 1, INSN_FLOW | INSN_STOP},
		{"\x0f\x0b", 2, INSN_FLOW | INSN_STOP},
		{"\xcd\x80", 2, INSN_FLOW | INSN_LEAVE},
		{"\x8b\x05\x10\0\0\0", 6, INSN_RIP},
		{"\xc7\x05\x10\0\0\0\1\0\0\0", 10, INSN_RIP},
		{"\x67\x8b\x05\x10\0\0\0", 7, INSN_RIP | INSN_FLOW}, /* from eip: not moved */
		{"\xb8\x10\0\0\0", 5, 0},
		{"\x66\xb8\x10\0", 4, 0},
		{"\x48\xb8\1\2\3\4\5\6\7\x08", 10, 0},
		{"\xf7\xc7\1\0\0\0", 6, 0},
		{"\xf7\xd7", 2, 0},
		{"\xc7\x04\x25\x10\0\0\0\1\0\0\0", 11, INSN_INDEXED},
		{"\x42\x8b\x04\xa5\x10\0\0\0", 8, INSN_INDEXED},
		{"\x64\x48\x8b\x05\x10\0\0\0", 8, INSN_RIP},
		{"\x66\xc7\x05\x10\0\0\0\1\0", 9, INSN_RIP},
		{"\x0f\x28\xc1", 3, INSN_VECTOR},
		{"\xd9\xe8", 2, INSN_VECTOR},
		{"\xc5\xf9\xef\xc1", 4, INSN_VECTOR},
		{"\xc5\xfd\xef\xc1", 4, INSN_VECTOR | INSN_WIDE},
		{"\x62\xf1\x7d\x48\xef\xc1", 6, INSN_VECTOR | INSN_WIDE},
		{"\xc5\xf8\x92\xc8", 4, INSN_VECTOR | INSN_WIDE}, /* kmovw */
		{"\xc4\xe2\x40\xf2\xc7", 5, 0},			  /* andn */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t bytes[32] = {0};
		struct insn in;

		memcpy(bytes, rows[i].bytes, (size_t)rows[i].length);
		assert_int_equal(insn_decode((uintptr_t)bytes, sizeof bytes, &in), 0);
		if (in.length != rows[i].length || in.flags != rows[i].flags)
			fail_msg("row %zu: %d bytes, flags %x", i, in.length, in.flags);
		if (in.flags & (INSN_JUMP | INSN_RIP))
			assert_int_equal(in.target - (uintptr_t)bytes - in.length, 16);
		assert_int_equal(insn_confirm((uintptr_t)bytes, &in), !(in.flags & INSN_FLOW));
	}
}

static void what_is_no_instruction_is_refused(void **state)
{
	static const uint8_t bad[32] = {0x06}, cut[3] = {0xe9};
	struct insn in;

	(void)state;
	assert_int_equal(insn_decode((uintptr_t)bad, sizeof bad, &in), -EILSEQ);
	assert_int_equal(insn_decode((uintptr_t)cut, sizeof cut, &in), -EILSEQ);
}

static void what_is_written_to_rax_is_known(void **state)
{
	static const struct {
		const char *bytes;
		int length;
		bool written;
		int value;
	} rows[] = {
		{"\xb8\x10\0\0\0", 5, true, 16},   {"\x31\xc0", 2, true, 0},
		{"\x48\x31\xc0", 3, true, -1},	   {"\x48\xc7\xc0\x0f\0\0\0", 7, true, 15},
		{"\xff\xc0", 2, true, -1},	   {"\x89\xf8", 2, true, -1},
		{"\x89\xc7", 2, false, -1},	   {"\x58", 1, true, -1},
		{"\x0f\xa2", 2, true, -1},	   {"\xb0\x01", 2, true, -1},
		{"\xb4\x01", 2, true, -1},	   {"\x41\xb8\x10\0\0\0", 6, false, -1},
		{"\x85\xc0", 2, false, -1},	   {"\x87\xc7", 2, true, -1},
		{"\xf0\x0f\xb1\x0f", 4, true, -1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct insn in = {.length = (uint8_t)rows[i].length};
		int value;

		if (insn_rax((uintptr_t)rows[i].bytes, &in, &value) != rows[i].written ||
		    value != rows[i].value)
			fail_msg("row %zu: %d", i, value);
	}
}

/* -- against Zydis -- */

#ifdef HAVE_ZYDIS
static ZydisDecoder zydis;

/* No processor that Weft meets has these. */
static bool is_knights_corner(const ZydisDecodedInstruction *z)
{
	return z->encoding == ZYDIS_INSTRUCTION_ENCODING_MVEX ||
	       (z->meta.isa_set >= ZYDIS_ISA_SET_KNCE && z->meta.isa_set <= ZYDIS_ISA_SET_KNC_PF_HINT);
}

static bool writes_rax(const ZydisDecodedInstruction *z, const ZydisDecodedOperand *op)
{
	for (int i = 0; i < z->operand_count; i++) {
		ZydisRegister r = op[i].reg.value;

		if (op[i].type == ZYDIS_OPERAND_TYPE_REGISTER && op[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE &&
		    (r == ZYDIS_REGISTER_AL || r == ZYDIS_REGISTER_AH || r == ZYDIS_REGISTER_AX || r == ZYDIS_REGISTER_EAX ||
		     r == ZYDIS_REGISTER_RAX))
			return true;
	}
	return false;
}

static void fail_at(uintptr_t at, const struct decoded *d, const ZydisDecodedInstruction *z)
{
	char bytes[3 * INSN_LONGEST + 1];

	for (int i = 0; i < INSN_LONGEST; i++)
		sprintf(bytes + 3 * i, "%02x ", ((const uint8_t *)at)[i]);
	fail_msg("%s: %u/%u bytes, map %u/%u, opcode %x/%x, displacement %d at %u/%ld at %u, immediate %ld/%ld", bytes, d->length,
		 z->length, d->map, z->opcode_map, d->opcode, z->opcode, d->displacement, d->displacement_at,
		 (long)z->raw.disp.value, z->raw.disp.offset, (long)d->immediate, (long)z->raw.imm[0].value.s);
}

/* What follows from the opcode is compared by its length. */
static bool agree(const struct decoded *d, const ZydisDecodedInstruction *z)
{
	static const uint8_t encodings[] = {
		[ZYDIS_INSTRUCTION_ENCODING_LEGACY] = LEGACY, [ZYDIS_INSTRUCTION_ENCODING_VEX] = VEX,
		[ZYDIS_INSTRUCTION_ENCODING_EVEX] = EVEX,     [ZYDIS_INSTRUCTION_ENCODING_XOP] = XOP,
		[ZYDIS_INSTRUCTION_ENCODING_3DNOW] = AMD3DNOW,
	};
	bool memory = z->raw.modrm.offset && z->raw.modrm.mod != 3;

	if (d->length != z->length || d->encoding != encodings[z->encoding] || d->relative != z->raw.imm[0].is_relative ||
	    d->has_modrm != (z->raw.modrm.offset != 0) || d->displacement_at != (memory ? z->raw.disp.offset : 0) ||
	    d->displacement != (memory ? z->raw.disp.value : 0))
		return false;
	if (d->encoding == LEGACY && (d->opcode != z->opcode || d->map != (unsigned)z->opcode_map))
		return false;
	if (d->encoding == VEX && (d->long_vector != z->raw.vex.L || d->map != (unsigned)z->opcode_map))
		return false;
	if (d->has_modrm && (d->reg != z->raw.modrm.reg || d->rm != z->raw.modrm.rm))
		return false;
	return !d->relative || d->immediate == z->raw.imm[0].value.s;
}

/* Returns the instruction's length, or 0 where Zydis sees none. */
static unsigned compare_at(uintptr_t at, size_t room)
{
	ZydisDecodedInstruction z;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	struct decoded d;

	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&zydis, (const void *)at, room, &z, op)) || is_knights_corner(&z))
		return 0;
	compared++;
	if (decoder_read(at, room, &d) || !agree(&d, &z))
		fail_at(at, &d, &z);
	if (decoder_read(at, d.length, &d) || !decoder_read(at, d.length - 1u, &d))
		fail_msg("%x at %lx: its length is not what it needs", d.opcode, (unsigned long)at);
	decoder_read(at, room, &d);
	if (writes_rax(&z, op) && !decoder_may_write_rax(&d))
		fail_at(at, &d, &z);
	return z.length;
}

/* From every byte on: what begins within another instruction is an instruction as well, and mostly a rare one. */
static int compare_text(const struct object *o, void *arg)
{
	struct function f = {0};

	(void)arg;
	while (!object_next(o, f.end > f.start ? f.end : f.start + 1, &f))
		for (uintptr_t at = f.start; at + INSN_LONGEST <= f.end; at++)
			compare_at(at, INSN_LONGEST);
	return 0;
}
#endif

static void all_text_is_read_as_zydis_reads_it(void **state)
{
#ifdef HAVE_ZYDIS
	struct object o;

	(void)state;
	load_objects();
	compared = 0;
	assert_int_equal(object_each(compare_text, NULL), 0);
	assert_int_equal(object_from_link_map(object_debug()->r_map, &o), 0);
	compare_text(&o, NULL);
	print_message("%ld instructions compared\n", compared);
	assert_true(compared > 1000000);
#else
	(void)state;
	skip();
#endif
}

#ifdef HAVE_ZYDIS
static const struct start {
	uint8_t size, bytes[8];
} starts[] = {
	{0, {0}}, {1, {0x0f}}, {2, {0x0f, 0x38}}, {2, {0x0f, 0x3a}},
	{2, {0xc5, 0xf8}}, {2, {0xc5, 0xfd}}, {3, {0xc4, 0xe1, 0x79}}, {3, {0xc4, 0xe2, 0x79}}, {3, {0xc4, 0xe2, 0xfd}},
	{3, {0xc4, 0xe3, 0x7d}}, {3, {0xc4, 0xc3, 0xf9}}, {3, {0x8f, 0xe8, 0x78}}, {3, {0x8f, 0xe9, 0x78}}, {3, {0x8f, 0xea, 0x78}},
	{4, {0x62, 0xf1, 0x7d, 0x48}}, {4, {0x62, 0xf1, 0xfe, 0x08}}, {4, {0x62, 0xf2, 0x7d, 0x48}}, {4, {0x62, 0xf2, 0xfd, 0x28}},
	{4, {0x62, 0xf3, 0x7d, 0x48}}, {4, {0x62, 0xf5, 0x7c, 0x48}}, {4, {0x62, 0xf6, 0x7d, 0x48}},
}, prefixes[] = {
	{0, {0}}, {1, {0x66}}, {1, {0xf2}}, {1, {0xf3}}, {1, {0x67}}, {1, {0xf0}}, {1, {0x2e}}, {1, {0x64}}, {1, {0x48}}, {1, {0x41}},
	{1, {0x40}}, {2, {0x66, 0x48}}, {2, {0x48, 0x66}}, {2, {0x67, 0x49}}, {2, {0xf2, 0x66}}, {3, {0xf3, 0x66, 0x4f}},
	{3, {0x66, 0x66, 0x48}}, {2, {0x36, 0x3e}},
};

static void compare_opcode(const struct start *before, const struct start *start, unsigned opcode)
{
	uint8_t bytes[48] = {0};
	uint8_t *p = bytes;

	memcpy(p, before->bytes, before->size);
	p += before->size;
	memcpy(p, start->bytes, start->size);
	p += start->size;
	*p++ = (uint8_t)opcode;
	for (unsigned modrm = 0; modrm < 256; modrm++) {
		static const uint8_t sibs[] = {0x24, 0x25, 0x05, 0x91};

		for (size_t k = 0; k < ((modrm & 0xc7) == 4 || (modrm & 0x47) == 0x44 ? ARRAY_SIZE(sibs) : 1); k++) {
			p[0] = (uint8_t)modrm;
			p[1] = sibs[k];
			memcpy(p + 2, "\x81\x92\x83\x04\x85\x86\x77\x88\x89", 9);
			compare_at((uintptr_t)bytes, INSN_LONGEST);
		}
	}
}
#endif

static void every_opcode_is_read_as_zydis_reads_it(void **state)
{
#ifdef HAVE_ZYDIS
	(void)state;
	compared = 0;
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		for (size_t k = 0; k < ARRAY_SIZE(starts); k++)
			for (unsigned opcode = 0; opcode < 256; opcode++)
				compare_opcode(&prefixes[i], &starts[k], opcode);
	print_message("%ld instructions compared\n", compared);
	assert_true(compared > 1000000);
#else
	(void)state;
	skip();
#endif
}

static int setup(void **state)
{
	(void)state;
#ifdef HAVE_ZYDIS
	ZydisDecoderInit(&zydis, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
#endif
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_of_opcodes_agrees_with_the_decoder),
		cmocka_unit_test(all_text_is_read_as_zydis_reads_it),
		cmocka_unit_test(every_opcode_is_read_as_zydis_reads_it),
		cmocka_unit_test(flow_and_registers_are_seen),
		cmocka_unit_test(what_is_no_instruction_is_refused),
		cmocka_unit_test(what_is_written_to_rax_is_known),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
