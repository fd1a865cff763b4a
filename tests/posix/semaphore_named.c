/* semaphore_named.c -- named semaphores, between threads and between processes
 *
 * threads: 10
 * kthreads: any
 * blocked: 100
 */
#include "check.h"
#include <semaphore.h>

static char name[64], other_name[72];
static sem_t *sem, *back;
static struct step arrived = STEP_INIT;

static void *take(void *arg)
{
	step_add(&arrived, 1);
	CHECK(sem_wait(sem) == 0);
	CHECK(sem_post(back) == 0);
	(void)arg;
	return NULL;
}

static void a_name_means_the_same_semaphore(void)
{
	sem_t *again;
	int value;

	CHECK(sem_open(name, O_CREAT | O_EXCL, 0600, 1) == SEM_FAILED && errno == EEXIST);
	CHECK(sem_open("/semaphore_named.none", 0) == SEM_FAILED && errno == ENOENT);
	again = sem_open(name, 0);
	CHECK(again == sem);
	CHECK(sem_post(again) == 0);
	CHECK(sem_getvalue(sem, &value) == 0);
	CHECK_EQ(value, 1);
	CHECK(sem_trywait(sem) == 0);
	CHECK_ERR(sem_trywait(sem), EAGAIN);
	CHECK(sem_close(again) == 0);
}

static void threads_wait_for_posts(void)
{
	pthread_t threads[10];
	int value;

	step_reset(&arrived);
	threads_start(threads, 10, take);
	step_wait(&arrived, 10);
	let_block();
	for (int i = 0; i < 10; i++) {
		CHECK(sem_post(sem) == 0);
		CHECK(sem_wait(back) == 0);
	}
	threads_join(threads, 10);
	CHECK(sem_getvalue(sem, &value) == 0);
	CHECK_EQ(value, 0);
}

static void *time_out(void *arg)
{
	struct timespec until = deadline(CLOCK_REALTIME, 20);

	CHECK_ERR(sem_timedwait(sem, &until), ETIMEDOUT);
	CHECK(is_past(CLOCK_REALTIME, &until));
	(void)arg;
	return NULL;
}

static void a_wait_times_out(void)
{
	pthread_t threads[4];

	threads_start(threads, 4, time_out);
	threads_join(threads, 4);
}

static void processes_wait_for_each_other(void)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		sem_t *mine = sem_open(name, 0), *yours = sem_open(other_name, 0);

		for (int i = 0; i < 200; i++) {
			CHECK(sem_wait(mine) == 0);
			CHECK(sem_post(yours) == 0);
		}
		_exit(0);
	}
	for (int i = 0; i < 200; i++) {
		CHECK(sem_post(sem) == 0);
		CHECK(sem_wait(back) == 0);
	}
	CHECK_CHILD(child);
}

int main(void)
{
	check_begin();
	snprintf(name, sizeof(name), "/semaphore_named.%d", (int)getpid());
	snprintf(other_name, sizeof(other_name), "%s.back", name);
	sem = sem_open(name, O_CREAT | O_EXCL, 0600, 0);
	back = sem_open(other_name, O_CREAT | O_EXCL, 0600, 0);
	CHECK(sem != SEM_FAILED && back != SEM_FAILED);
	RUN(a_name_means_the_same_semaphore);
	RUN(threads_wait_for_posts);
	RUN(a_wait_times_out);
	RUN(processes_wait_for_each_other);
	CHECK(sem_close(sem) == 0);
	CHECK(sem_close(back) == 0);
	CHECK(sem_unlink(name) == 0);
	CHECK(sem_unlink(other_name) == 0);
	return check_done();
}
