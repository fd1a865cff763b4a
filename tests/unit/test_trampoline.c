/* test_trampoline.c -- the code of a slot, by a disassembler's account: of small functions, near and far,
 * and of all of libc
 *
 * libs: -lZydis
 */
#include "redirect.h"
#include "account.h"

static uintptr_t check_jump(uintptr_t p, uintptr_t target)
{
	struct account d;

	assert_true(account_of((void *)p, 15, p, &d));
	assert_int_equal(d.what, A_JUMP);
	if (d.memory) {
		assert_int_equal(*(uintptr_t *)d.target, target);
		return p + 14;
	}
	assert_int_equal(d.target, target);
	return p + d.length;
}

/* Of an instruction that names its operand by its distance, which is too far from here: the register, an immediate value, and
 * the instruction by that. */
static uintptr_t check_far(uintptr_t p, const struct account *there, const uint8_t *copy)
{
	unsigned reg = copy[there->displacement_at - 1] >> 3 & 7;	/* a low one, in the fixture */
	struct account here;

	assert_int_equal(*(uint16_t *)p, 0xb848 | reg << 8);
	assert_int_equal(*(uintptr_t *)(p + 2), there->target);
	if (copy[there->displacement_at - 2] == 0x8d)
		return p + 10;
	assert_true(account_of((void *)(p + 10), 15, p + 10, &here));
	assert_int_equal(here.what, there->what);
	return p + 10 + here.length;
}

/* The slot repeats the instructions that stood in [from, end) of the unpatched text `copy'. */
static uintptr_t check_moved(uintptr_t p, uintptr_t from, uintptr_t end, const uint8_t *copy)
{
	struct account here, there;

	for (; from < end; from += there.length, copy += there.length) {
		assert_true(account_of(copy, 15, from, &there));
		if (there.what == A_JUMP)
			return check_jump(p, there.target);
		if (there.target && !trampoline_reaches(there.target, there.target)) {
			p = check_far(p, &there, copy);
			continue;
		}
		assert_true(account_of((void *)p, 15, p, &here));
		assert_int_equal(here.what, there.what);
		assert_int_equal(here.target, there.target);
		assert_int_equal(here.length, there.length);
		for (unsigned i = 0; i < here.length; i++)
			if (!here.target || i < here.displacement_at ||
			    i >= here.displacement_at + 4)
				assert_int_equal(((uint8_t *)p)[i], copy[i]);
		p += here.length;
	}
	return p;
}

static void check_slot(const struct site *s, uintptr_t slot, const uint8_t *copy)
{
	static const uint8_t over[] = {0x48, 0x8d, 0x64, 0x24, 0x80},
			     back[] = {0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0};
	uintptr_t resume = s->syscall + 2, end = s->start + s->length,
		  to = s->form == SITE_BEFORE ? resume : end;
	const uint8_t *behind = copy + (resume - s->start);
	uint32_t flags = *(uint32_t *)(slot + ARCH_SLOT_FLAGS);
	struct account d;

	assert_int_equal(slot % ARCH_SLOT_SIZE, 0);
	assert_int_equal(*(uint64_t *)(slot + ARCH_SLOT_RESUME), resume);
	assert_int_equal(*(int32_t *)(slot + TRAMPOLINE_NR), s->nr);
	assert_int_equal(flags & TRAMPOLINE_VECTOR, s->vector ? TRAMPOLINE_VECTOR : 0);
	assert_int_equal(flags & TRAMPOLINE_GONE, s->form == SITE_BEFORE ? 0 : TRAMPOLINE_GONE);
	uintptr_t p = check_moved(slot, s->start, s->syscall, copy);

	assert_int_equal(flags >> TRAMPOLINE_PREFIX, p - slot);
	assert_memory_equal((void *)p, over, sizeof over);
	assert_true(account_of((void *)(p + 5), 15, p + 5, &d));
	assert_int_equal(d.what, A_CALL);
	assert_int_equal(d.target, area.gate);
	assert_memory_equal((void *)(p + 10), back, sizeof back);
	assert_true(account_of((void *)(p + 18), 15, p + 18, &d));
	assert_int_equal(d.what, A_JRCXZ);
	p += 20;
	if (s->form != SITE_BEFORE)
		p = check_moved(p, resume, end, behind);
	if (p < d.target) /* no loop closed by a jump, which has been moved */
		p = check_jump(p, to);
	assert_int_equal(p, d.target);
	if (s->form == SITE_BEFORE) {
		p = check_jump(p, s->syscall);
	} else {
		assert_memory_equal((void *)p, "\x0f\x05", 2);
		p = check_moved(p + 2, resume, end, behind);
	}
	assert_true(p <= slot + ARCH_SLOT_RESUME);
}

/* Text before it was patched, and its sites. */
struct before {
	uintptr_t start, end;
	uint8_t *text;
	int count;
	struct site sites[1024];
};

static int note_site(const struct site *s, void *arg)
{
	struct before *b = arg;

	b->sites[b->count++] = *s;
	return 0;
}

static struct before *remember(const struct object *o)
{
	struct before *b = calloc(1, sizeof *b);

	for (int i = 0; i < o->loads; i++) {
		if (!(o->load[i].flags & PF_X))
			continue;
		b->start = o->load[i].start;
		b->end = o->load[i].end;
		b->text = malloc(b->end - b->start);
		memcpy(b->text, (void *)b->start, b->end - b->start);
	}
	assert_int_equal(sites_find(o, note_site, b), 0);
	return b;
}

/* Every site that could be moved jumps to a slot that is right, all other text is as it was.
 * Returns how many jump. */
static int check_object(const struct object *o, const struct before *b)
{
	int patched = 0;
	uintptr_t at = b->start;

	for (int i = 0; i < b->count; i++) {
		const struct site *s = &b->sites[i];
		struct account d;

		if (s->form == SITE_LEFT || *(uint8_t *)s->start != 0xe9)
			continue;
		assert_memory_equal(b->text + (at - b->start), (void *)at, s->start - at);
		at = s->start + 5;
		assert_true(account_of((void *)s->start, 15, s->start, &d));
		if (!trampoline_reaches(s->start, s->start)) {
			assert_memory_equal((void *)d.target, "\xff\x25\x02\0\0\0", 6);
			d.target = *(uintptr_t *)(d.target + 8);
		}
		check_slot(s, d.target, b->text + (s->start - b->start));
		patched++;
	}
	assert_memory_equal(b->text + (at - b->start), (void *)at, b->end - at);
	return patched;
}

static void forget(struct before *b)
{
	free(b->text);
	free(b);
}

static int check_fixture(int sites)
{
	struct before *b = remember(&fixture);
	int left, r = patch_fixture(NULL, false);

	assert_int_equal(r, 0);
	assert_int_equal(patch_sites(&left), sites);
	r = check_object(&fixture, b);
	forget(b);
	return r;
}

static void slots_repeat_what_was_overwritten(void **state)
{
	(void)state;
	assert_int_equal(check_fixture(FIXED - 2), FIXED - 2);
	assert_int_equal(patch_undo(), 0);
	assert_as_it_was();
}

static void slots_of_far_text_jump_back_indirectly(void **state)
{
	(void)state;
	slots_far_away();
	assert_int_equal(check_fixture(FIXED - 3), FIXED - 3); /* one more is relative to itself, and no load */
	assert_int_equal(patch_undo(), 0);
	assert_as_it_was();
	slots_at_home();
}

static void replaced_pages_hold_the_same(void **state)
{
	(void)state;
	deny_mem = true;
	assert_int_equal(check_fixture(FIXED - 2), FIXED - 2);
	assert_int_equal(patch_undo(), 0);
	deny_mem = false;
	assert_as_it_was();
}

/* What a function returns that saves all registers, makes the instruction by far, and moves its register to rax. */
static uint64_t run_far(uint8_t *p, const struct insn *in, uint8_t rex, uint8_t opcode, uint8_t reg)
{
	static const uint8_t push[] = {0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57},
			     pop[] = {0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c, 0x5d, 0x5b, 0xc3};
	struct code c = {.p = p, .at = (uintptr_t)p};

	put(&c, push, sizeof push);
	uint8_t *at = c.p;

	put(&c, (uint8_t[]){rex, opcode, (uint8_t)(5 | reg << 3), 0, 0, 0, 0}, 7);
	assert_true(put_far(&c, at, in));
	assert_int_equal((uintptr_t)c.p, c.at);
	put(&c, (uint8_t[]){0x48 | (rex & 4), 0x89, (uint8_t)(0xc0 | reg << 3)}, 3);
	put(&c, pop, sizeof pop);
	return ((uint64_t(*)(void))(uintptr_t)p)();
}

/* Loads and addresses of 4 and of 8 bytes, in each register but the stack pointer. */
static void what_is_out_of_reach_is_said_otherwise(void **state)
{
	static const uint64_t word = 0xfedcba9876543210;
	uint8_t *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct insn in = {.length = 7, .disp = 3, .flags = INSN_RIP, .target = (uintptr_t)&word};

	(void)state;
	assert_ptr_not_equal(p, MAP_FAILED);
	for (uint8_t reg = 0; reg < 16; reg++) {
		uint8_t rex = (uint8_t)(0x40 | (reg & 8) >> 1);

		if (reg == 4)
			continue;
		assert_int_equal(run_far(p, &in, rex, 0x8b, reg & 7), (uint32_t)word);
		assert_int_equal(run_far(p, &in, rex | 8, 0x8b, reg & 7), word);
		assert_int_equal(run_far(p, &in, rex, 0x8d, reg & 7), (uint32_t)in.target);
		assert_int_equal(run_far(p, &in, rex | 8, 0x8d, reg & 7), in.target);
	}
	munmap(p, PAGE);
}

static void nothing_behind_the_text_is_read(void **state)
{
	static const uint8_t bytes[] = {0xb8, 39, 0, 0, 0, 0x0f, 0x05};
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uintptr_t end = (uintptr_t)p + PAGE;
	struct site s = {.syscall = end - 2, .start = end - 7, .length = 5, .form = SITE_BEFORE, .nr = 39};
	uint8_t code[ARCH_SLOT_SIZE];

	(void)state;
	assert_int_equal(mprotect((void *)end, PAGE, PROT_NONE), 0);
	memcpy((void *)s.start, bytes, sizeof bytes);
	assert_int_equal(trampoline_build(0, &s, code), 0);
	assert_memory_equal(code, bytes, 5);
	munmap(p, 2 * PAGE);
}

static void slots_are_taken_from_below_and_given_back(void **state)
{
	(void)state;
	for (int i = 0; i < 200; i++)
		assert_int_equal(trampoline_get(), i);
	trampoline_put(77);
	trampoline_put(3);
	assert_int_equal(trampoline_get(), 3);
	assert_int_equal(trampoline_get(), 77);
	assert_int_equal(trampoline_get(), 200);
	assert_int_equal(trampoline_address(1) - trampoline_address(0), ARCH_SLOT_SIZE);
	area.end = area.start + 202 * ARCH_SLOT_SIZE;
	assert_int_equal(trampoline_get(), 201);
	assert_int_equal(trampoline_get(), -ENOSPC);
	slots_at_home();
	for (int i = 0; i < 202; i++)
		trampoline_put(i);
	assert_as_it_was();
}

static void all_slots_of_a_second_libc_are_right(void **state)
{
	void *libc = dlmopen(LM_ID_NEWLM, "libc.so.6", RTLD_NOW);
	struct link_map *map;
	struct object o;
	int left;

	(void)state;
	assert_non_null(libc);
	assert_int_equal(dlinfo(libc, RTLD_DI_LINKMAP, &map), 0);
	assert_int_equal(object_from_link_map(map, &o), 0);
	slots_near_libraries();
	struct before *b = remember(&o);
	pid_t (*second_getppid)(void) = (pid_t(*)(void))dlsym(libc, "getppid");
	ssize_t (*second_read)(int, void *, size_t) =
		(ssize_t(*)(int, void *, size_t))dlsym(libc, "read");

	patch_begin(&(struct patch_rules){0});
	assert_int_equal(patch_add(&o, NULL), 0);
	assert_int_equal(patch_write(), 0);
	int sites = patch_sites(&left);

	assert_int_equal(left, 1);
	assert_true(sites > 400);
	assert_int_equal(check_object(&o, b), sites);
	assert_int_equal(second_getppid(), getppid());
	gate_calls = 0;
	gate_ours = 1;
	gate_result = 77;
	assert_int_equal(second_getppid(), 77);
	assert_int_equal(second_read(-1, NULL, 0), 77);
	gate_ours = 0;
	assert_int_equal(gate_calls, 2);
	assert_int_equal(patch_undo(), 0);
	assert_as_it_was();
	assert_memory_equal(b->text, (void *)b->start, b->end - b->start);
	slots_at_home();
	dlclose(libc);
	forget(b);
}

static int setup(void **state)
{
	account_begin();
	return fixture_setup(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_repeat_what_was_overwritten),
		cmocka_unit_test(slots_of_far_text_jump_back_indirectly),
		cmocka_unit_test(replaced_pages_hold_the_same),
		cmocka_unit_test(what_is_out_of_reach_is_said_otherwise),
		cmocka_unit_test(nothing_behind_the_text_is_read),
		cmocka_unit_test(slots_are_taken_from_below_and_given_back),
		cmocka_unit_test(all_slots_of_a_second_libc_are_right),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
