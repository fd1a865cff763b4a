/* test_sites.c -- every syscall of real text is found; what must not be overwritten is not
 *
 * libs: -lZydis
 *
 * The functions in assembly below are sites of each kind in this very program. What is found in
 * libc, ld.so and others is held against a second opinion: everything decoded by Zydis alone (where it
 * is not installed, by insn.h), all branches of all functions.
 */
#include "unit.h"
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "account.h"
#include "patch/sites.h"

/* A function called fix_NAME: some instructions, a syscall at at_NAME, and others. */
#define HIDDEN	 __attribute__((visibility("hidden")))
#define AT(name) ".globl at_" #name "\n.hidden at_" #name "\nat_" #name ":\n"
#define FUNCTION(name, before, behind)                                                             \
	__asm__(".text\n.p2align 4\nfix_" #name ":\n.cfi_startproc\n" before                       \
		"\n" AT(name) "syscall\n" behind "\n.cfi_endproc\nret\nret\nret\n");               \
	extern const char at_##name[] HIDDEN;

#define SPLIT "\n.cfi_endproc\n.cfi_startproc\n"
#define SET   "mov $39,%eax"

FUNCTION(plain, "mov $110,%eax", "ret")
FUNCTION(two, "nop\nxor %eax,%eax\nmov %rdi,%rsi", "ret")
FUNCTION(led_to, "test %edi,%edi\njne 1f\nnop\n1: " SET, "ret")
FUNCTION(led_into, SET "\n1:", "mov %rax,%rdi\ntest %rax,%rax\njne 1b\nret")
FUNCTION(behind, "mov %rdi,%rsi\n1: xor %eax,%eax", "cmp $-4095,%rax\njae 1b\nret")
FUNCTION(cold, "mov %rdi,%rsi\nin_cold: xor %eax,%eax", "ret")
FUNCTION(cold_half, SET, ".byte 0xe9\n.long in_cold - . - 4")
FUNCTION(table,
	 "lea jump_table(%rip),%rdx\nmovslq (%rdx,%rdi,4),%rax\nadd %rdx,%rax\njmp *%rax\n"
	 "mov %rdi,%rsi\nin_table: xor %eax,%eax",
	 "ret")
FUNCTION(xmm, "movd %edi,%xmm3\n" SET, "movd %xmm3,%eax\nret")
FUNCTION(x87, SET, "fld1\nret")
FUNCTION(vex, SET, "vpxor %xmm1,%xmm1,%xmm1\nret")
FUNCTION(ymm, SET, "vpxor %ymm1,%ymm1,%ymm1\nret")
FUNCTION(zmm, SET, "vpxord %zmm1,%zmm1,%zmm1\nret")
FUNCTION(mask, SET, "kmovw %eax,%k1\nret")
FUNCTION(bmi, "andn %rsi,%rdi,%rdi\nrorx $3,%rdi,%rdi\n" SET, "ret")
FUNCTION(unknown, "push $58\npop %rax", "mov %rax,%rdi\nret")
FUNCTION(loop, "mov $60,%edx\n1: mov %edx,%eax", "jmp 1b")
FUNCTION(wide_loop, "mov $60,%edx\nnopl (%rax)\n1: xor %edi,%edi\nmov %edx,%eax", "jmp 1b")
FUNCTION(no_loop, "mov $60,%edx\n1: mov %edx,%eax", "test %eax,%eax\njne 1b\nret")
FUNCTION(restore, "nop\nmov $15,%rax", "")
FUNCTION(restore_32, "nop\nnop\nnop\nmov $15,%eax", "")
FUNCTION(prefixed, SET "\n.byte 0x48", "ret")
FUNCTION(gap, "mov $56,%eax\n.cfi_endproc",
	 "test %rax,%rax\nje 1f\nret\n.cfi_startproc\n1: pop %rax\ncall *%rax")
FUNCTION(split, "nop\nmov %rdi,%rsi\n1: xor %eax,%eax", SPLIT "test %eax,%eax\njne 1b\nret")
FUNCTION(first, "xor %eax,%eax", SET "\n" AT(second) "syscall\nmov %rax,%rdi\nret")
FUNCTION(joined, SET "\n1: mov %rdi,%rsi\nmov %rdx,%rdi", "mov $1,%eax\njmp 1b")
FUNCTION(changed, SET "\ninc %eax\nmov %rdi,%rsi", "ret")
FUNCTION(tested, "mov %fs:0x18,%eax\ntest %eax,%eax\njne 1f", "cmp $-4096,%rax\n1: ret")
FUNCTION(tested_not, "mov %fs:0x18,%eax\ntest %eax,%eax\nje 1f", "cmp $-4096,%rax\n1: ret")
FUNCTION(kept, SET "\nmov %rdi,%rsi\nmov %rdx,%rcx", "ret")
FUNCTION(called, "call fix_plain\nxor %eax,%eax", "mov %rax,%rdi\nret")
FUNCTION(broken, ".byte 0x06\n" SET, "ret")

/* Bytes that an instruction holds; code that nothing describes. */
__asm__(".section .rodata\n.p2align 2\n"
	"jump_table: .long fix_table - jump_table, in_table - jump_table\n"
	".text\n.p2align 4\n.cfi_startproc\n.byte 0xb8\n" AT(
		immediate) ".long 0x050f050f\nret\n"
			   ".cfi_endproc\n.p2align 4\n" SET
			   "\n" AT(bare) "syscall\nret\nnop\nnop\nnop\n"
					 "mov %edx,%eax\n" AT(data) "syscall\nret\n");
extern const char at_second[] HIDDEN, at_immediate[] HIDDEN, at_bare[] HIDDEN, at_data[] HIDDEN;

#define MAX 4096

static struct found {
	struct site site[MAX];
	int count;
} own;

static int collect(const struct site *s, void *arg)
{
	struct found *f = arg;

	assert_true(f->count < MAX);
	f->site[f->count++] = *s;
	return 0;
}

static const struct site *site_at(const struct found *f, const void *at)
{
	for (int i = 0; i < f->count; i++)
		if (f->site[i].syscall == (uintptr_t)at)
			return &f->site[i];
	return NULL;
}

static int this_program(struct object *o)
{
	return object_from_link_map(object_debug()->r_map, o);
}

static void check(const char *name, const void *at, enum site_form form, int length, int nr)
{
	const struct site *s = site_at(&own, at);

	if (!s)
		fail_msg("%s: not found", name);
	if (s->form != form || s->length != length || s->nr != nr ||
	    (form == SITE_LEFT) != (s->reason != NULL))
		fail_msg("%s: form %d length %d nr %d (%s)", name, s->form, s->length, s->nr,
			 s->reason);
	if (form == SITE_BEFORE)
		assert_int_equal(s->start + s->length, s->syscall);
	if (form == SITE_BEHIND)
		assert_int_equal(s->start, s->syscall);
}
#define CHECK(name, form, length, nr) check(#name, at_##name, SITE_##form, length, nr)

static void instructions_before_the_syscall_are_taken_whole(void **state)
{
	(void)state;
	CHECK(plain, BEFORE, 5, 110);
	CHECK(two, BEFORE, 5, 0);
	CHECK(led_to, BEFORE, 5, 39);
	CHECK(gap, BEFORE, 5, 56);
	CHECK(cold_half, BEFORE, 5, 39);
}

static void a_branch_into_the_window_forbids_it(void **state)
{
	(void)state;
	CHECK(led_into, LEFT, 0, -1);
	CHECK(behind, BEHIND, 8, 0);
	CHECK(cold, LEFT, 0, 0);  /* from another function */
	CHECK(table, LEFT, 0, 0); /* from a jump table */
	CHECK(split, LEFT, 0, 0); /* from what has an FDE of its own */
}

static void loops_without_a_way_out_are_taken_whole(void **state)
{
	(void)state;
	CHECK(loop, LOOP, 6, -1);
	CHECK(wide_loop, LOOP, 6, -1);
	CHECK(no_loop, LEFT, 0, -1);
}

static void what_follows_is_taken_only_where_the_number_is_known(void **state)
{
	(void)state;
	CHECK(unknown, LEFT, 0, -1);
	CHECK(called, BEHIND, 5, 0);
}

static void windows_do_not_overlap(void **state)
{
	(void)state;
	CHECK(first, BEHIND, 7, 0);
	CHECK(second, BEHIND, 5, 39);
}

static void the_number_is_that_of_the_basic_block(void **state)
{
	(void)state;
	CHECK(joined, BEFORE, 6, -1);
	CHECK(changed, BEFORE, 5, -1);
	CHECK(kept, BEFORE, 6, 39);
	CHECK(tested, BEHIND, 8, 0); /* read of glibc 2.31 */
	CHECK(tested_not, LEFT, 0, -1);
}

static void vector_registers_are_seen(void **state)
{
	(void)state;
	static const struct {
		const char *at;
		bool vector, wide;
	} rows[] = {{at_plain, false, false},	{at_xmm, true, false},
		    {at_x87, true, false},	{at_vex, true, false},
		    {at_ymm, true, true},	{at_zmm, true, true},
		    {at_mask, true, true},	{at_bmi, false, false},
		    {at_cold_half, true, false} /* the hot half may have some in use */};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct site *s = site_at(&own, rows[i].at);

		assert_non_null(s);
		assert_int_equal(s->vector, rows[i].vector);
		assert_int_equal(s->wide, rows[i].wide);
	}
}

static void what_may_not_be_touched_is_left_with_a_reason(void **state)
{
	(void)state;
	CHECK(restore, LEFT, 0, 15);
	CHECK(restore_32, LEFT, 0, 15);
	CHECK(prefixed, LEFT, 0, -1);
	CHECK(broken, LEFT, 0, -1);
	CHECK(bare, LEFT, 0, 39);
	CHECK(data, LEFT, 0, -1);
	assert_true(site_at(&own, at_bare)->sure); /* looks too much like one */
	assert_false(site_at(&own, at_data)->sure);
	assert_true(site_at(&own, at_prefixed)->sure);
}

static void bytes_within_other_instructions_are_no_sites(void **state)
{
	(void)state;
	assert_null(site_at(&own, at_immediate));
	assert_null(site_at(&own, at_immediate + 2));
}

static void text_that_can_be_written_is_left(void **state)
{
	struct object o;
	struct found *f = calloc(1, sizeof *f);

	(void)state;
	assert_int_equal(this_program(&o), 0);
	for (int i = 0; i < o.loads; i++)
		if (o.load[i].flags & PF_X)
			o.load[i].flags |= PF_W;
	assert_int_equal(sites_find(&o, collect, f), 0);
	assert_int_equal(f->count, own.count);
	for (int i = 0; i < f->count; i++)
		assert_int_equal(f->site[i].form, SITE_LEFT);
	free(f);
}

static bool getpid_or_unknown(int nr)
{
	return nr == 39 || nr < 0;
}

static void calls_that_nobody_wants_are_not_reported(void **state)
{
	struct object o;
	struct found *f = calloc(1, sizeof *f);

	(void)state;
	assert_int_equal(this_program(&o), 0);
	o.wanted = getpid_or_unknown;
	assert_int_equal(sites_find(&o, collect, f), 0);
	for (int i = 0; i < f->count; i++)
		assert_true(getpid_or_unknown(f->site[i].nr) || f->site[i].form == SITE_LEFT);
	assert_non_null(site_at(f, at_led_to));
	assert_non_null(site_at(f, at_joined));
	assert_null(site_at(f, at_plain));
	free(f);
}

static int first_only(const struct site *s, void *arg)
{
	(void)s;
	return ++*(int *)arg == 3 ? 77 : 0;
}

static void the_search_ends_when_told(void **state)
{
	struct object o;
	int calls = 0;

	(void)state;
	assert_int_equal(this_program(&o), 0);
	assert_int_equal(sites_find(&o, first_only, &calls), 77);
	assert_int_equal(calls, 3);
}

/* Nothing outside of the segment may be touched, whatever stands at its edges. */
static void the_edges_of_text_are_kept_to(void **state)
{
	char *p = mmap(NULL, 3 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_int_equal(mprotect(p + 4096, 4096, PROT_READ | PROT_WRITE), 0);
	for (int size = 2; size < 200; size++) {
		struct found *f = calloc(1, sizeof *f);
		char *text = p + 8192 - size;
		struct object o = {
			.name = "made",
			.loads = 1,
			.load = {{(uintptr_t)text, (uintptr_t)text + (size_t)size, PF_R | PF_X}}};

		memset(p + 4096, 0xe9, 4096);
		memcpy(text, "\x0f\x05", 2);
		memcpy(text + size - 2, "\x0f\x05", 2);
		assert_int_equal(sites_find(&o, collect, f), 0);
		assert_int_equal(f->count, 1 + (size > 3));
		assert_non_null(site_at(f, text + size - 2));
		free(f);
	}
	memset(p + 4096, 0x0f, 4096);
	memcpy(p + 4096, "\x0f\x05", 2);
	memcpy(p + 8190, "\x0f\x05", 2);
	struct object o = {.name = "made",
			   .loads = 1,
			   .load = {{(uintptr_t)p + 4096, (uintptr_t)p + 8192, PF_R | PF_X}}};
	struct found f = {.count = 0};

	assert_int_equal(sites_find(&o, collect, &f), 0);
	assert_int_equal(f.count, 2);
	munmap(p, 3 * 4096);
}

/* -- real objects, against Zydis alone -- */

struct real {
	struct object object;
	struct found found;
	uint8_t *targets; /* of any branch: one byte a byte of text */
	uint8_t *starts;  /* of instructions */
	uintptr_t low, high;
	int syscalls;
};

static void decode_function(struct real *r, uintptr_t start, uintptr_t end)
{
	struct account a;

	for (uintptr_t at = start; at < end; at += a.length) {
		if (!account_of((void *)at, end - at, at, &a))
			return;
		r->starts[at - r->low] = 1;
		if (a.what == A_SYSCALL) {
			r->syscalls++;
			assert_non_null(site_at(&r->found, (void *)at));
		}
		if (a.branch && a.target >= r->low && a.target < r->high)
			r->targets[a.target - r->low] = 1;
	}
}


static int find_real(const struct object *o, void *name_and_real)
{
	void **arg = name_and_real;
	struct real *r = arg[1];

	if (!strstr(o->name, arg[0]))
		return 0;
	r->object = *o;
	return 1;
}

static struct real *open_real(const char *name)
{
	struct real *r = calloc(1, sizeof *r);
	void *arg[] = {(void *)(uintptr_t)name, r};
	struct function f = {0};

	if (object_each(find_real, arg) != 1) {
		free(r);
		return NULL;
	}
	for (int i = 0; i < r->object.loads; i++) {
		if (!(r->object.load[i].flags & PF_X))
			continue;
		r->low = r->object.load[i].start;
		r->high = r->object.load[i].end;
	}
	r->targets = calloc(1, r->high - r->low);
	r->starts = calloc(1, r->high - r->low);
	assert_int_equal(sites_find(&r->object, collect, &r->found), 0);
	while (!object_next(&r->object, f.end > f.start ? f.end : f.start + 1, &f))
		if (f.start >= r->low && f.end <= r->high)
			decode_function(r, f.start, f.end);
	return r;
}

static void close_real(struct real *r)
{
	free(r->targets);
	free(r->starts);
	free(r);
}

static int count_form(const struct real *r, enum site_form form)
{
	int n = 0;

	for (int i = 0; i < r->found.count; i++)
		n += r->found.site[i].form == form;
	return n;
}

/* No branch of the whole object may lead into what is overwritten, and it must consist of whole
 * instructions. */
static void check_windows(const struct real *r)
{
	uintptr_t behind = 0;

	for (int i = 0; i < r->found.count; i++) {
		const struct site *s = &r->found.site[i];
		uintptr_t end = s->start + s->length + (s->form == SITE_BEFORE);

		if (s->form == SITE_LEFT)
			continue;
		assert_true(s->length >= 5 && s->length < 20);
		assert_true(s->start >= behind);
		behind = s->start + s->length;
		for (uintptr_t at = s->start + 1; at < end; at++)
			assert_false(r->targets[at - r->low]);
		if (s->form == SITE_BEFORE)
			assert_true(r->starts[s->start - r->low]);
		assert_true(s->form == SITE_BEFORE
				    ? behind == s->syscall
				    : s->syscall >= s->start && s->syscall + 2 <= behind);
		assert_memory_equal((void *)s->syscall, "\x0f\x05", 2);
	}
}

static const char *build_id(const struct object *o, char text[41])
{
	const ElfW(Ehdr) *e = (const void *)o->base;
	const ElfW(Phdr) *p = (const void *)(o->base + e->e_phoff);

	for (int i = 0; i < e->e_phnum; i++) {
		const ElfW(Nhdr) *n = (const void *)(o->base + p[i].p_vaddr);
		const uint8_t *id = (const uint8_t *)(n + 1) + 4;

		if (p[i].p_type != PT_NOTE || n->n_type != NT_GNU_BUILD_ID || n->n_descsz != 20)
			continue;
		for (int k = 0; k < 20; k++)
			sprintf(text + 2 * k, "%02x", id[k]);
		return text;
	}
	return "";
}

static void print_real(const char *name, const struct real *r)
{
	int vector = 0, known = 0;

	for (int i = 0; i < r->found.count; i++) {
		vector += r->found.site[i].vector;
		known += r->found.site[i].nr >= 0;
	}
	print_message("%s: %d sites, %d before, %d behind, %d loops, %d left; %d with vector "
		      "registers, %d numbers known\n",
		      name, r->found.count, count_form(r, SITE_BEFORE), count_form(r, SITE_BEHIND),
		      count_form(r, SITE_LOOP), count_form(r, SITE_LEFT), vector, known);
	for (int i = 0; i < r->found.count; i++) {
		const struct site *s = &r->found.site[i];

		if (s->form == SITE_LEFT)
			print_message("  %lx, call %d, is left%s: %s\n", (unsigned long)(s->syscall - r->object.base), s->nr,
				      s->sure ? "" : ", if it is one", s->reason);
	}
}

/* Ubuntu's loader turns shadow stacks on in code that is run once, before it can unwind. What is not sure lies outside of all
 * functions (decode_function has seen those): the distance of an instruction in .init or .plt, which varies with each build. */
static void check_left(const struct real *r, int restorers)
{
	for (int i = 0; i < r->found.count; i++)
		if (r->found.site[i].form == SITE_LEFT && r->found.site[i].nr != SYS_arch_prctl && r->found.site[i].sure)
			restorers -= r->found.site[i].nr == 15 ? 1 : 1000;
	assert_int_equal(restorers, 0);
}

static void every_site_of_libc_can_be_moved_but_the_restorer(void **state)
{
	struct real *r = open_real("libc.so.6");
	char id[41];

	(void)state;
	assert_non_null(r);
	print_real("libc", r);
	check_windows(r);
	assert_true(r->found.count >= r->syscalls);
	check_left(r, 1);
	/* Debian 12's, 2.36-9+deb12u14 */
	if (!strcmp(build_id(&r->object, id), "93ac61ec5a8eb1396f9fbd350e3169a558528a40")) {
		static const uintptr_t behind[] = {0xf82ab, 0xfd102},
				       loops[] = {0x27274, 0x89224, 0xd43fa, 0xd4407};

		assert_int_equal(r->found.count, 526);
		assert_int_equal(count_form(r, SITE_BEFORE), 519);
		for (int i = 0; i < 2; i++)
			assert_int_equal(
				site_at(&r->found, (void *)(r->object.base + behind[i]))->form,
				SITE_BEHIND);
		for (int i = 0; i < 4; i++)
			assert_int_equal(
				site_at(&r->found, (void *)(r->object.base + loops[i]))->form,
				SITE_LOOP);
	}
	close_real(r);
}

static void other_objects_can_be_moved_as_well(void **state)
{
	static const struct {
		const char *name, *file;
		int sites; /* at least; the loader of glibc 2.31 has 39 in all */
		int left;
	} rows[] = {{"ld-linux", NULL, 39, 1},
		    {"libgomp", "libgomp.so.1", 30, 0},
		    {"liburing", "liburing.so.2", 4, 0},
		    {"libstdc++", "libstdc++.so.6", 0, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (rows[i].file && !dlopen(rows[i].file, RTLD_NOW))
			continue;
		struct real *r = open_real(rows[i].name);

		assert_non_null(r);
		print_real(rows[i].name, r);
		check_windows(r);
		assert_true(r->found.count >= rows[i].sites && r->found.count >= r->syscalls);
		check_left(r, rows[i].left);
		close_real(r);
	}
}

/* -- time -- */

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static int ignore(const struct site *s, void *arg)
{
	(void)s;
	(void)arg;
	return 0;
}

static int time_object(const struct object *o, void *arg)
{
	int64_t best = INT64_MAX;

	(void)arg;
	for (int i = 0; i < 20; i++) {
		int64_t start = now_ns();

		assert_int_equal(sites_find(o, ignore, NULL), 0);
		start = now_ns() - start;
		best = start < best ? start : best;
	}
	print_message("%8ld us  %s\n", (long)(best / 1000), o->name);
	return 0;
}

static void large_text_is_searched_at_the_speed_of_memory(void **state)
{
	size_t size = 64 << 20;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	struct object o = {.name = "64 MiB without a site",
			   .loads = 1,
			   .load = {{(uintptr_t)p, (uintptr_t)p + size, PF_X}}};

	(void)state;
	object_each(time_object, NULL);
	time_object(&o, NULL);
	munmap(p, size);
}

static int setup(void **state)
{
	struct object o;

	(void)state;
	account_begin();
	return this_program(&o) || sites_find(&o, collect, &own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(instructions_before_the_syscall_are_taken_whole),
		cmocka_unit_test(a_branch_into_the_window_forbids_it),
		cmocka_unit_test(loops_without_a_way_out_are_taken_whole),
		cmocka_unit_test(what_follows_is_taken_only_where_the_number_is_known),
		cmocka_unit_test(windows_do_not_overlap),
		cmocka_unit_test(the_number_is_that_of_the_basic_block),
		cmocka_unit_test(vector_registers_are_seen),
		cmocka_unit_test(what_may_not_be_touched_is_left_with_a_reason),
		cmocka_unit_test(bytes_within_other_instructions_are_no_sites),
		cmocka_unit_test(text_that_can_be_written_is_left),
		cmocka_unit_test(calls_that_nobody_wants_are_not_reported),
		cmocka_unit_test(the_search_ends_when_told),
		cmocka_unit_test(the_edges_of_text_are_kept_to),
		cmocka_unit_test(every_site_of_libc_can_be_moved_but_the_restorer),
		cmocka_unit_test(other_objects_can_be_moved_as_well),
		cmocka_unit_test(large_text_is_searched_at_the_speed_of_memory),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
