/* test_insn.c -- the table of opcodes says what Zydis says; what may move is told from what may not
 */
#include "unit.h"
#include <dlfcn.h>

#include "insn.h"
#include "object.h"

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

static void the_table_of_opcodes_agrees_with_zydis(void **state)
{
	struct object o;

	(void)state;
	dlopen("libstdc++.so.6", RTLD_NOW);
	dlopen("libcrypto.so.3", RTLD_NOW); /* much of it by hand, in assembly */
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

static int setup(void **state)
{
	(void)state;
	return insn_open();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_of_opcodes_agrees_with_zydis),
		cmocka_unit_test(flow_and_registers_are_seen),
		cmocka_unit_test(what_is_no_instruction_is_refused),
		cmocka_unit_test(what_is_written_to_rax_is_known),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
