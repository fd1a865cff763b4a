/* affinity_many_cpus.c -- sets of CPUs on a machine that has more of them than a cpu_set_t has bits
 *
 * The process starts itself anew under a filter by which sched_getaffinity refuses a set that is too
 * small, as the kernel does on such a machine.
 *
 * threads: 2
 */
#include "filter.h"
#include <sched.h>

enum { REFUSED = 512, SIZE = 1024 };	/* bytes */

static cpu_set_t *all, *one;
static struct step told = STEP_INIT, arrived = STEP_INIT;

static void refuse(void)
{
	struct sock_filter rows[] = {
		FILTER_LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_getaffinity, 0, 3),
		FILTER_LOAD(args[1]),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, REFUSED, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	filter_set(rows, sizeof rows / sizeof rows[0], 0);
}

static void set_is(pid_t tid, const cpu_set_t *wanted)
{
	cpu_set_t *set = CPU_ALLOC(SIZE * 8), few;

	CHECK(set);
	CPU_ZERO_S(SIZE, set);
	CHECK(sched_getaffinity(tid, SIZE, set) == 0);
	CHECK(CPU_EQUAL_S(SIZE, set, wanted));
	CHECK_ERR(sched_getaffinity(tid, sizeof few, &few), EINVAL);
	CPU_FREE(set);
}

static void *inherit(void *arg)
{
	set_is(0, one);
	return arg;
}

static void *choose(void *arg)
{
	*(pid_t *)arg = gettid();
	set_is(0, all);
	CHECK(sched_setaffinity(0, SIZE, one) == 0);
	set_is(0, one);
	thread_join(thread_start(inherit, NULL));
	step_add(&arrived, 1);
	step_wait(&told, 1);
	set_is(0, all);
	return NULL;
}

static void a_thread_has_a_set_of_its_own(void)
{
	pid_t tid;
	pthread_t thread = thread_start(choose, &tid);

	step_wait(&arrived, 1);
	set_is(tid, one);
	set_is(0, all);
	CHECK(sched_setaffinity(tid, SIZE, all) == 0);
	set_is(tid, all);
	step_add(&told, 1);
	thread_join(thread);
}

int main(int argc, char **argv)
{
	filter_from_start(argc, argv, refuse);
	check_begin();
	all = CPU_ALLOC(SIZE * 8);
	one = CPU_ALLOC(SIZE * 8);
	CHECK(all && one);
	CPU_ZERO_S(SIZE, all);
	CPU_ZERO_S(SIZE, one);
	CHECK(sched_getaffinity(0, SIZE, all) == 0);
	for (int cpu = 0; CPU_COUNT_S(SIZE, one) == 0; cpu++)
		if (CPU_ISSET_S(cpu, SIZE, all))
			CPU_SET_S(cpu, SIZE, one);
	RUN(a_thread_has_a_set_of_its_own);
	return check_done();
}
