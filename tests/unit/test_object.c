/* test_object.c -- loaded objects are found where the loader keeps them, and functions within them
 */
#include "unit.h"
#include <dlfcn.h>

#include "elf/object.h"

static int note_object(const struct object *o, void *arg)
{
	int *seen = arg;

	assert_true(o->loads > 0 && o->load[0].start < o->load[0].end);
	seen[0] += strstr(o->name, "libc.so.6") != NULL;
	seen[1] += strstr(o->name, "ld-linux") != NULL;
	seen[2] += strstr(o->name, "vdso") != NULL;
	seen[3] += object_load_at(o, (uintptr_t)&note_object).end != 0;
	return 0;
}

static void objects_of_all_namespaces_are_seen(void **state)
{
	int before[4] = {0}, after[4] = {0};

	(void)state;
	assert_int_equal(object_each(note_object, before), 0);
	void *second = dlmopen(LM_ID_NEWLM, "libc.so.6", RTLD_NOW);

	assert_non_null(second);
	assert_int_equal(object_each(note_object, after), 0);
	assert_int_equal(before[0], 1);
	assert_true(before[1] == 1 && before[2] == 0 && before[3] == 0);
	assert_int_equal(after[0], 2);
	assert_int_equal(after[2], 0);
	dlclose(second);
}

static void the_debug_hook_is_in_the_loader(void **state)
{
	Dl_info info;

	(void)state;
	assert_true(object_r_brk() != 0);
	assert_true(dladdr((void *)object_r_brk(), &info) != 0);
	assert_non_null(strstr(info.dli_fname, "ld-linux"));
}

static int find_libc(const struct object *o, void *arg)
{
	if (strstr(o->name, "libc.so.6"))
		*(struct object *)arg = *o;
	return 0;
}

static void functions_are_found_by_any_address_of_theirs(void **state)
{
	uintptr_t at = (uintptr_t)dlsym(RTLD_DEFAULT, "qsort_r");
	struct function f, g;
	struct object o;

	(void)state;
	assert_int_equal(object_each(find_libc, &o), 0);
	assert_true(o.function_count > 1000);
	assert_int_equal(object_function(&o, at, &f), 0);
	assert_int_equal(f.start, at);
	assert_int_equal(object_function(&o, f.end - 1, &g), 0);
	assert_int_equal(g.start, at);
	assert_int_equal(object_next(&o, at, &g), 0);
	assert_int_equal(g.start, at);
	assert_int_equal(object_next(&o, at + 1, &g), 0);
	assert_true(g.start >= f.end);
	assert_int_equal(object_function(&o, o.base, &g), -ENOENT);
	assert_int_equal(object_next(&o, o.load[o.loads - 1].end, &g), -ENOENT);
	assert_true(object_load_at(&o, at).flags & PF_X);
	assert_int_equal(object_load_at(&o, o.base - 1).end, 0);
}

static int stop_at_second(const struct object *o, void *arg)
{
	(void)o;
	return ++*(int *)arg == 2 ? 5 : 0;
}

static void the_walk_ends_when_told(void **state)
{
	int n = 0;

	(void)state;
	assert_int_equal(object_each(stop_at_second, &n), 5);
	assert_int_equal(n, 2);
}

/* Nothing but the headers is believed, and they only as far as they make sense. */
static void odd_headers_are_refused_or_left_out(void **state)
{
	static const struct {
		uint8_t version, frame, count, table;
		int32_t where;
		uint32_t functions;
	} odd[] = {{2, 0x1b, 3, 0x3b, 0, 0},
		   {1, 0x1b, 0xff, 0x3b, 0, 0},
		   {1, 0x1b, 3, 0xff, 0, 0},
		   {1, 0x1b, 3, 0x3b, 0, 1u << 30}};
	ElfW(Phdr) many[OBJECT_LOADS + 1];
	struct object o;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		ElfW(Phdr) h[] = {{.p_type = PT_LOAD, .p_filesz = sizeof odd, .p_flags = PF_R},
				  {.p_type = PT_GNU_EH_FRAME,
				   .p_vaddr = i * sizeof *odd,
				   .p_memsz = sizeof *odd}};
		struct function f;

		assert_int_equal(object_from_headers(&o, (uintptr_t)odd, h, 2, "odd"), 0);
		assert_int_equal(o.function_count, 0);
		assert_int_equal(object_function(&o, (uintptr_t)odd, &f), -ENOENT);
	}
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (ElfW(Phdr)){.p_type = PT_LOAD, .p_filesz = 1, .p_vaddr = i, .p_flags = PF_X};
	assert_int_equal(object_from_headers(&o, 0, many, ARRAY_SIZE(many), "many"), -E2BIG);
	for (size_t i = 0; i < ARRAY_SIZE(many) - 1; i += 2)
		many[i].p_flags = PF_R;
	assert_int_equal(object_from_headers(&o, 0, many, ARRAY_SIZE(many), "many"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		assert_int_equal(object_load_at(&o, i).flags, i % 2 || i == ARRAY_SIZE(many) - 1 ? PF_X : PF_R);
	assert_int_equal(object_from_headers(&o, 0, many, 0, "none"), -ENOEXEC);
	assert_int_equal(object_from_link_map(&(struct link_map){.l_name = "nowhere"}, &o),
			 -ENOEXEC);
	assert_int_equal(
		object_from_link_map(&(struct link_map){.l_name = "unmapped", .l_addr = 4096}, &o),
		-ENOEXEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_of_all_namespaces_are_seen),
		cmocka_unit_test(the_debug_hook_is_in_the_loader),
		cmocka_unit_test(functions_are_found_by_any_address_of_theirs),
		cmocka_unit_test(the_walk_ends_when_told),
		cmocka_unit_test(odd_headers_are_refused_or_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
