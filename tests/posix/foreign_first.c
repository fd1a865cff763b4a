/* foreign_first.c -- the first thread is made by clone itself, and pthreads come while it lives
 *
 * args: clone
 * args: syscall
 * args: clone3
 * threads: 2
 * kthreads: any
 * blocked: 100
 */
#include "check.h"
#include "foreign.h"
#include <linux/sched.h>

static uint32_t there, leave, left;
static char *stack;

static int live(void *arg)
{
	(void)arg;
	raw_set_and_wake(&there, 1);
	raw_wait_for(&leave, 1);
	raw_set_and_wake(&left, 1);
	raw(SYS_exit, 0, 0, 0, 0);
	return 0;
}

/* libc's function for calls by number returns in the child as well, on a stack where nothing is: so the child's first return
 * address is put there. */
__attribute__((noreturn, used)) static void live_on_new_stack(void)
{
	live(NULL);
	__builtin_unreachable();
}

__asm__(".text\nlive_entry:\n\tand $-16, %rsp\n\tcall live_on_new_stack\n\thlt\n");
extern char live_entry[];

static void by_number(int number)
{
	void **top = (void **)(stack + FOREIGN_STACK - 64);
	struct clone_args args;
	long tid;

	*top = live_entry;
	memset(&args, 0, sizeof(args));
	args.flags = FOREIGN_FLAGS;
	args.stack = (uint64_t)(uintptr_t)stack;
	args.stack_size = FOREIGN_STACK - 64;
	if (number == SYS_clone)
		tid = syscall(SYS_clone, FOREIGN_FLAGS, top, NULL, NULL, 0);
	else
		tid = syscall(SYS_clone3, &args, sizeof(args));
	CHECK(tid > 0);
}

static const char *way;

static void it_lives_beside_pthreads(void)
{
	if (!strcmp(way, "clone"))
		CHECK(clone(live, stack + FOREIGN_STACK, FOREIGN_FLAGS, NULL) > 0);
	else
		by_number(!strcmp(way, "syscall") ? SYS_clone : SYS_clone3);
	raw_wait_for(&there, 1);
}

static struct step arrived = STEP_INIT, told = STEP_INIT;

static void *wait_for_word(void *arg)
{
	step_add(&arrived, 1);
	step_wait(&told, 1);
	return arg;
}

static void pthreads_are_made_and_end(void)
{
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		threads[i] = thread_start(wait_for_word, NULL);
	step_wait(&arrived, 2);
	step_add(&told, 1);
	threads_join(threads, 2);
}

static void *see_it_off(void *arg)
{
	raw_set_and_wake(&leave, 1);
	raw_wait_for(&left, 1);
	return arg;
}

static void one_of_them_sees_it_off(void)
{
	thread_join(thread_start(see_it_off, NULL));
}

static void calls_that_make_no_thread_are_as_ever(void)
{
	int status;
	long child = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0);

	if (child == 0)
		_exit(3);
	CHECK(child > 0);
	CHECK_EQ(waitpid((pid_t)child, &status, 0), child);
	CHECK_EQ(WEXITSTATUS(status), 3);
	CHECK_ERR(syscall(SYS_clone3, NULL, 0), EINVAL);
	CHECK_ERR(syscall(SYS_clone3, bad_address(), sizeof(struct clone_args)), EFAULT);
	CHECK_EQ(syscall(SYS_getpid), getpid());
	char *p = (char *)syscall(SYS_mmap, NULL, 4096l, (long)PROT_READ, (long)(MAP_PRIVATE | MAP_ANONYMOUS), -1l, 0l);

	CHECK(p != MAP_FAILED && *p == 0);
	CHECK(munmap(p, 4096) == 0);
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	way = argv[1];
	check_begin();
	stack = foreign_stacks(1);
	RUN(calls_that_make_no_thread_are_as_ever);
	RUN(it_lives_beside_pthreads);
	RUN(pthreads_are_made_and_end);
	RUN(calls_that_make_no_thread_are_as_ever);
	RUN(one_of_them_sees_it_off);
	return check_done();
}
