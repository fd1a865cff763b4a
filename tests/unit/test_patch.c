/* test_patch.c -- redirected sites do as before or as the gate says; what fails leaves no trace
 *
 * Patched are the functions of redirect.h and, in children, all of the process.
 */
#include "redirect.h"
#include <sys/resource.h>
#include <dirent.h>
#include <pthread.h>
#include <spawn.h>

extern char **environ;

static void patched_code_does_as_before_or_as_the_gate_says(void **state)
{
	int left;

	(void)state;
	run_fixture(false, false);
	for (int round = 0; round < 3; round++) {
		assert_int_equal(patch_fixture(NULL, false), 0);
		assert_int_equal(patch_sites(&left), FIXED - 2);
		assert_int_equal(left, 2);
		run_fixture(true, true);
		run_fixture_ours();
		assert_int_equal(patch_fixture(NULL, false), 0); /* known already */
		assert_int_equal(patch_sites(&left), FIXED - 2);
		assert_int_equal(patch_undo(), 0);
		assert_as_it_was();
		run_fixture(false, false);
	}
}

static void far_text_is_reached_by_stubs_near_it(void **state)
{
	int left;

	(void)state;
	slots_far_away();
	assert_int_equal(patch_fixture(NULL, false), 0);
	assert_int_equal(patch_sites(&left), FIXED - 3); /* one more is relative to itself, and no load */
	assert_int_equal(left, 3);
	run_fixture(true, false);
	run_fixture_ours();
	assert_int_equal(patch_undo(), 0);
	assert_as_it_was();
	assert_int_equal(patch_fixture(NULL, true), -ENOTSUP);
	assert_as_it_was();
	slots_at_home();
}

static void a_needed_site_that_must_be_left_refuses_the_plan(void **state)
{
	const char *name;
	int left;

	(void)state;
	assert_int_equal(patch_fixture(NULL, true), -ENOTSUP);
	assert_non_null(patch_refused(&name)->reason);
	assert_string_equal(name, "fixture");
	assert_as_it_was();
	assert_int_equal(patch_fixture(wide_needed, true), -ENOTSUP);
	assert_true(patch_refused(&name)->wide);
	assert_as_it_was();
	/* Where no call matters, wide registers do not either. */
	assert_int_equal(patch_fixture(none_needed, true), 0);
	assert_null(patch_refused(&name));
	assert_int_equal(patch_sites(&left), FIXED - 1);
	assert_int_equal(fix_ymm(0, NULL, 0), getpid());
	assert_int_equal(patch_undo(), 0);
	assert_as_it_was();
}

static bool is_getppid(const struct site *s)
{
	return s->nr == __NR_getppid;
}

static void a_useless_site_stays_as_it_was(void **state)
{
	int left;

	(void)state;
	patch_begin(&(struct patch_rules){.useless = is_getppid});
	assert_int_equal(patch_add(&fixture, NULL), 0);
	assert_int_equal(patch_write(), 0);
	assert_true(patch_sites(&left) < FIXED - 2);
	long calls = gate_calls;

	assert_int_equal(fix_getppid(0, NULL, 0), getppid());
	assert_int_equal(gate_calls, calls);
	fix_read(-1, NULL, 0);
	assert_int_equal(gate_calls, calls + 1);
	assert_int_equal(patch_undo(), 0);
	assert_as_it_was();
}

static int asked;

static bool is_asked(const struct site *s)
{
	asked += s->form == SITE_LEFT;
	return false;
}

static bool is_without_a_slot(const struct site *s)
{
	return s->reason && !strcmp(s->reason, "all slots are in use");
}

/* One object with many sites must not keep all others from being redirected. */
static void sites_without_a_slot_are_left_and_the_others_redirected(void **state)
{
	const char *name;
	int left;

	(void)state;
	for (int slots = 0; slots < FIXED - 2; slots++) {
		area.end = area.start + slots * ARCH_SLOT_SIZE;
		asked = 0;
		assert_int_equal(patch_fixture(is_asked, false), 0);
		assert_int_equal(patch_sites(&left), slots);
		assert_int_equal(left, FIXED - slots);
		assert_int_equal(asked, left);
		if (slots > 2) {
			assert_int_equal(fix_getppid(0, NULL, 0), getppid());
			assert_int_equal(fix_read(-1, NULL, 0), -1);
		}
		assert_int_equal(patch_undo(), 0);
		assert_as_it_was();
		assert_int_equal(patch_fixture(is_without_a_slot, true), -ENOTSUP);
		assert_string_equal(patch_refused(&name)->reason, "all slots are in use");
		assert_as_it_was();
		slots_at_home();
	}
}

static void threads_within_a_window_are_told_from_others(void **state)
{
	(void)state;
	patch_begin(&(struct patch_rules){0});
	assert_int_equal(patch_add(&fixture, NULL), 0);
	assert_false(patch_covers((uintptr_t)fix_several + 3));
	assert_true(patch_covers((uintptr_t)fix_several + 4));
	assert_true(patch_covers((uintptr_t)fix_several + 5));
	assert_false(patch_covers((uintptr_t)fix_several + 8)); /* at the syscall, which stays */
	assert_false(patch_covers((uintptr_t)fix_read + 2));
	assert_true(patch_covers((uintptr_t)fix_read + 4)); /* behind the syscall, which goes */
	assert_false(patch_covers((uintptr_t)fix_read + 10));
	patch_cancel();
	assert_false(patch_covers((uintptr_t)fix_several + 5));
	assert_as_it_was();
}

/* -- failure -- */

static int count_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void without_proc_pages_are_replaced(void **state)
{
	int files = count_files();

	(void)state;
	for (int round = 0; round < 2; round++) {
		deny_mem = round; /* refuses to write; cannot be opened */
		fail_nr = __NR_openat;
		fail_at = 1;
		fail_calls = 0;
		assert_int_equal(patch_fixture(NULL, false), 0);
		fail_at = 0;
		run_fixture(true, true);
		run_fixture_ours();
		assert_int_equal(patch_undo(), 0);
		assert_as_it_was();
	}
	deny_mem = false;
	assert_int_equal(count_files(), files);
}

/* Where files may not become as large as copies may, text is written in place. */
static void allow_copies(bool allow)
{
	struct rlimit limit;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = allow ? limit.rlim_max : 32 << 20;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_write_that_fails_is_taken_back(void **state)
{
	int failed[2] = {0};

	(void)state;
	for (int way = 0; way < 4; way++) {
		bool far = way & 1, by_copy = way & 2;

		if (far)
			slots_far_away();
		allow_copies(by_copy);
		for (long n = 0;; n++) {
			writes = 0;
			deny_from = n;
			deny_to = n + 1;
			int r = patch_fixture(NULL, false);

			long made = writes;

			deny_to = 0;
			failed[by_copy] += r != 0;
			if (!r) {
				run_fixture(true, !far);
				assert_int_equal(patch_undo(), 0);
			}
			assert_as_it_was();
			if (made <= n)
				break;
			assert_true(r || by_copy);	/* what cannot be copied is written in place */
		}
		slots_at_home();
	}
	assert_true(failed[0] >= 5);
	assert_true(failed[1] >= 4);
}

/* Is the page of this address of a file in memory? */
static bool is_copy(const void *p)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	bool found = false;
	unsigned long lo, hi;

	assert_non_null(f);
	while (fgets(line, sizeof line, f))
		if (sscanf(line, "%lx-%lx", &lo, &hi) == 2 && (uintptr_t)p >= lo && (uintptr_t)p < hi)
			found = strstr(line, "weft-text");
	fclose(f);
	return found;
}

/* In a process of its own, before anything was written: the first test. */
static void look_at_copies(void)
{
	if (patch_fixture(NULL, false))
		_exit(1);
	run_fixture(true, true);
	if (!is_copy(fix_read) || !is_copy(weft_slots))
		_exit(2);
	if (patch_undo() || is_copy(original))
		_exit(3);
	assert_as_it_was();
	if (patch_fixture(NULL, false))	/* of pages that are its own alone by now */
		_exit(4);
	run_fixture(true, true);
}

static void look_in_place(void)
{
	allow_copies(false);
	if (patch_fixture(NULL, false) || is_copy(fix_read))
		_exit(1);
	run_fixture(true, true);
}

static void pages_that_are_written_are_copies(void **state)
{
	(void)state;
	assert_int_equal(exit_status(look_at_copies), 0);
	assert_int_equal(exit_status(look_in_place), 0);
}

static void what_cannot_be_taken_back_still_works(void **state)
{
	int stayed = 0, left;

	(void)state;
	allow_copies(false);
	for (long n = 0;; n++) {
		writes = 0;
		deny_from = n;
		deny_to = LONG_MAX;
		int r = patch_fixture(NULL, false);
		long made = writes;

		deny_to = 0;
		fix_read(-1, NULL, 0);
		assert_int_equal(fix_getppid(0, NULL, 0), getppid());
		stayed += r && patch_sites(&left) > 0;
		assert_int_equal(patch_undo(), 0);
		assert_as_it_was();
		if (made <= n)
			break;
	}
	allow_copies(true);
	assert_true(stayed >= 1);
}

static void any_call_that_fails_leaves_all_or_nothing(void **state)
{
	int refused = 0;

	(void)state;
	for (int way = 0; way < 4; way++) {
		bool far = way & 1;

		if (far)
			slots_far_away();
		FOR_EACH_FAILURE(way & 2 ? FAIL_MEM : -1, ENOMEM)
		{
			int left, r = patch_fixture(NULL, false);

			refused += r != 0;
			if (r)
				assert_as_it_was();
			else
				assert_int_equal(patch_sites(&left), FIXED - 2 - far);
			long kept = fail_at;

			fail_at = 0;
			run_fixture(!r, !far);
			assert_int_equal(patch_undo(), 0);
			assert_as_it_was();
			fail_at = kept;
		}
		slots_at_home();
	}
	fail_at = 0;
	assert_true(refused >= 5);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turns, cleaned;

static void clean(void *arg)
{
	(void)arg;
	cleaned++;
}

static void *take_turns(void *arg)
{
	for (int i = 0; i < 50; i++) {
		pthread_mutex_lock(&lock);
		while (turns % 2 != (arg != NULL))
			pthread_cond_wait(&changed, &lock);
		turns++;
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static void *wait_for_ever(void *pipe_end)
{
	char c;

	pthread_cleanup_push(clean, NULL);
	if (read(*(int *)pipe_end, &c, 1))
		abort();
	pthread_cleanup_pop(0);
	return NULL;
}

/* Threads, a cancelled read, fork, vfork with exec, files, dlopen: what a process does. */
static void live(void)
{
	char *argv[] = {(char *)(uintptr_t) "true", NULL};
	pthread_t t[2], waiter;
	int status, p[2];
	pid_t child;
	void *result;

	turns = cleaned = 0;
	for (long i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, take_turns, i ? t : NULL), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(turns, 100);
	assert_int_equal(pipe(p), 0);
	pthread_create(&waiter, NULL, wait_for_ever, p);
	pthread_cancel(waiter);
	pthread_join(waiter, &result);
	assert_ptr_equal(result, PTHREAD_CANCELED);
	assert_int_equal(posix_spawn(&child, "/bin/true", NULL, NULL, argv, environ), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	child = fork();
	if (!child)
		_exit(9);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WEXITSTATUS(status), 9);
	FILE *f = tmpfile();

	fprintf(f, "%d\n", 42);
	rewind(f);
	assert_int_equal(fscanf(f, "%d", &status), 1);
	assert_int_equal(status, 42);
	fclose(f);
}

static void patch_a_life(void)
{
	int left, more, sites;
	long calls;

	assert_int_equal(patch_loaded(&(struct patch_rules){0}, NULL), 0);
	sites = patch_sites(&left);
	assert_true(sites > 400);
	calls = gate_calls;
	live();
	assert_true(gate_calls - calls > 50);
	void *library = dlopen("libgomp.so.1", RTLD_NOW);

	assert_int_equal(patch_loaded(&(struct patch_rules){0}, NULL), 0);
	more = patch_sites(&left);
	if (library)
		assert_true(more > sites);
	live();
	if (library)
		dlclose(library);
	assert_int_equal(patch_loaded(&(struct patch_rules){0}, NULL), 0);
	assert_int_equal(patch_sites(&left), sites);
	assert_int_equal(patch_undo(), 0);
	calls = gate_calls;
	live();
	assert_int_equal(gate_calls, calls);
	assert_as_it_was();
	_exit(3);
}

static void life_near(void)
{
	slots_near_libraries();
	patch_a_life();
}

static void a_process_lives_on_redirected_calls(void **state)
{
	(void)state;
	assert_int_equal(exit_status(life_near), 3);
	assert_int_equal(exit_status(patch_a_life),
			 3); /* the libraries are far from this program */
}

static int64_t own_time(void)
{
	struct timespec ts;

	assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts), 0);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static void patch_the_vdso(void)
{
	struct object o;
	struct timespec ts;
	int left;
	long calls = gate_calls;
	int64_t before = own_time();

	assert_int_equal(object_vdso(&o), 0);
	patch_begin(&(struct patch_rules){0});
	assert_int_equal(patch_add(&o, NULL), 0);
	assert_int_equal(patch_write(), 0);
	assert_true(patch_sites(&left) >= 1);
	assert_int_equal(gate_calls, calls);
	assert_true(own_time() > before);
	assert_int_equal(gate_calls, calls + 1);
	assert_int_equal(gate_number, __NR_clock_gettime);
	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &ts), 0);
	assert_int_equal(gate_calls, calls + 1);
	assert_int_equal(patch_loaded(&(struct patch_rules){0}, NULL), 0); /* the loader does not know it */
	calls = gate_calls;
	assert_true(own_time() > before);
	assert_int_equal(gate_calls, calls + 1);
	assert_int_equal(patch_undo(), 0);
	calls = gate_calls;
	assert_true(own_time() > before);
	assert_int_equal(gate_calls, calls);
	assert_as_it_was();
	_exit(3);
}

static void patch_the_vdso_near(void)
{
	slots_near_libraries();
	patch_the_vdso();
}

static void the_vdso_asks_the_gate_what_it_cannot_answer(void **state)
{
	(void)state;
	assert_int_equal(exit_status(patch_the_vdso_near), 3);
	assert_int_equal(exit_status(patch_the_vdso), 3);
}

static void stubs_leave_the_stack_room_to_grow(void **state)
{
	uintptr_t top = page_up(getauxval(AT_EXECFN)), at = map_near(top + PAGE, top + 2 * PAGE, PAGE);

	(void)state;
	assert_true(at != 0);
	assert_true(at >= top || at <= top - STACK_MOST - PAGE);
	munmap((void *)at, PAGE);
}

/* -- time -- */

static int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ll + ts.tv_nsec / 1000;
}

static int add_libc(const struct object *o, void *arg)
{
	return strstr(o->name, "libc.so.6") || strstr(o->name, "ld-linux") ? patch_add(o, arg) : 0;
}

static int64_t *times; /* shared with the children: best plan, best write */

static void take_time(void)
{
	int64_t start, planned;

	slots_near_libraries();
	start = now_us();
	patch_begin(&(struct patch_rules){0});
	assert_int_equal(object_each(add_libc, NULL), 0);
	planned = now_us();
	assert_int_equal(patch_write(), 0);
	int64_t took[] = {planned - start, now_us() - planned};

	for (int i = 0; i < 2; i++)
		times[i] = !times[i] || took[i] < times[i] ? took[i] : times[i];
}

static void print_what_it_takes(void **state)
{
	(void)state;
	times = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 15; i++)
		assert_int_equal(exit_status(take_time), 0);
	print_message("libc and ld.so: plan %ld us, write %ld us\n", (long)times[0],
		      (long)times[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_that_are_written_are_copies),
		cmocka_unit_test(patched_code_does_as_before_or_as_the_gate_says),
		cmocka_unit_test(far_text_is_reached_by_stubs_near_it),
		cmocka_unit_test(a_needed_site_that_must_be_left_refuses_the_plan),
		cmocka_unit_test(a_useless_site_stays_as_it_was),
		cmocka_unit_test(sites_without_a_slot_are_left_and_the_others_redirected),
		cmocka_unit_test(threads_within_a_window_are_told_from_others),
		cmocka_unit_test(without_proc_pages_are_replaced),
		cmocka_unit_test(a_write_that_fails_is_taken_back),
		cmocka_unit_test(what_cannot_be_taken_back_still_works),
		cmocka_unit_test(any_call_that_fails_leaves_all_or_nothing),
		cmocka_unit_test(a_process_lives_on_redirected_calls),
		cmocka_unit_test(the_vdso_asks_the_gate_what_it_cannot_answer),
		cmocka_unit_test(stubs_leave_the_stack_room_to_grow),
		cmocka_unit_test(print_what_it_takes),
	};

	return cmocka_run_group_tests(tests, fixture_setup, NULL);
}
