/* mq_wait.c -- message queues: senders wait for room, receivers for a message
 *
 * threads: 30
 */
#include "check.h"
#include <mqueue.h>

enum { THREADS = 30, ROOM = 4, EACH = 50, WAIT_MS = 40 };

static mqd_t queue;
static struct step arrived = STEP_INIT, done = STEP_INIT;

static void queue_make(void)
{
	static int made;
	struct mq_attr attr;
	char name[64];

	memset(&attr, 0, sizeof(attr));
	attr.mq_maxmsg = ROOM;
	attr.mq_msgsize = 16;
	snprintf(name, sizeof(name), "/mq_wait.%d.%d", getpid(), made++);
	queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	CHECK(queue != (mqd_t)-1);
	CHECK(mq_unlink(name) == 0);
	step_reset(&arrived);
	step_reset(&done);
}

static void queue_close(void)
{
	CHECK(mq_close(queue) == 0);
}

static int sums[THREADS];

/* Receives until a message of 0. */
static void *receive(void *arg)
{
	int *sum = &sums[(intptr_t)arg], value;
	char text[16];

	*sum = 0;
	step_add(&arrived, 1);
	do {
		CHECK_EQ(mq_receive(queue, text, sizeof(text), NULL), sizeof(value));
		memcpy(&value, text, sizeof(value));
		*sum += value;
	} while (value);
	return NULL;
}

static void *send_some(void *arg)
{
	step_add(&arrived, 1);
	for (int i = 1; i <= EACH; i++)
		CHECK(mq_send(queue, (char *)&i, sizeof(i), 1) == 0);
	(void)arg;
	return NULL;
}

static void each_message_comes_once(void)
{
	enum { HALF = THREADS / 2 };
	pthread_t receivers[HALF], senders[HALF];
	int sum = 0, none = 0;

	queue_make();
	threads_start(receivers, HALF, receive);
	step_wait(&arrived, HALF);
	let_block();
	threads_start(senders, HALF, send_some);
	threads_join(senders, HALF);
	for (int i = 0; i < HALF; i++)
		CHECK(mq_send(queue, (char *)&none, sizeof(none), 0) == 0);
	threads_join(receivers, HALF);
	for (int i = 0; i < HALF; i++)
		sum += sums[i];
	CHECK_EQ(sum, HALF * EACH * (EACH + 1) / 2);
	queue_close();
}

static void *send_one(void *arg)
{
	step_add(&arrived, 1);
	CHECK(mq_send(queue, "more", 4, (unsigned)(intptr_t)arg) == 0);
	step_add(&done, 1);
	return NULL;
}

static void all_senders_wait_for_room(void)
{
	pthread_t senders[THREADS];
	unsigned priority;
	char text[16];

	queue_make();
	for (int i = 0; i < ROOM; i++)
		CHECK(mq_send(queue, "full", 4, 0) == 0);
	threads_start(senders, THREADS, send_one);
	step_wait(&arrived, THREADS);
	let_block();
	CHECK_EQ(step_at(&done), 0);
	for (int i = 0; i < THREADS + ROOM; i++)
		CHECK_EQ(mq_receive(queue, text, sizeof(text), &priority), 4);
	threads_join(senders, THREADS);
	queue_close();
}

static void *receive_until(void *arg)
{
	struct timespec limit = deadline(CLOCK_REALTIME, WAIT_MS);
	char text[16];

	step_add(&arrived, 1);
	CHECK_ERR(mq_timedreceive(queue, text, sizeof(text), NULL, &limit), ETIMEDOUT);
	CHECK(is_past(CLOCK_REALTIME, &limit));
	(void)arg;
	return NULL;
}

static void a_wait_ends_at_its_time(void)
{
	struct timespec past = {0, 0}, wrong = {0, -1};
	pthread_t receivers[THREADS];
	char text[16];

	queue_make();
	threads_start(receivers, THREADS, receive_until);
	threads_join(receivers, THREADS);
	CHECK_ERR(mq_timedreceive(queue, text, sizeof(text), NULL, &past), ETIMEDOUT);
	CHECK_ERR(mq_timedreceive(queue, text, sizeof(text), NULL, &wrong), EINVAL);
	CHECK_ERR(mq_timedreceive(queue, text, 1, NULL, &past), EMSGSIZE);
	CHECK_ERR(mq_timedreceive((mqd_t)-1, text, sizeof(text), NULL, &past), EBADF);
	CHECK(mq_timedsend(queue, "past", 4, 0, &past) == 0);
	CHECK_EQ(mq_timedreceive(queue, text, sizeof(text), NULL, &past), 4);
	queue_close();
}

static void *receive_interrupted(void *arg)
{
	char text[16];

	step_add(&arrived, 1);
	CHECK_ERR(mq_receive(queue, text, sizeof(text), NULL), EINTR);
	step_add(&done, 1);
	return arg;
}

static void a_signal_ends_a_wait(void)
{
	pthread_t thread;

	interrupts_begin(0);
	queue_make();
	thread = thread_start(receive_interrupted, NULL);
	step_wait(&arrived, 1);
	thread_interrupt(thread, &done);
	queue_close();
}

static void without_blocking_nobody_waits(void)
{
	struct mq_attr attr;
	char text[16];

	queue_make();
	memset(&attr, 0, sizeof(attr));
	attr.mq_flags = O_NONBLOCK;
	CHECK(mq_setattr(queue, &attr, NULL) == 0);
	CHECK_ERR(mq_receive(queue, text, sizeof(text), NULL), EAGAIN);
	for (int i = 0; i < ROOM; i++)
		CHECK(mq_send(queue, "full", 4, 0) == 0);
	CHECK_ERR(mq_send(queue, "more", 4, 0), EAGAIN);
	queue_close();
}

static void *in_a_thread(void *arg)
{
	a_wait_ends_at_its_time();
	without_blocking_nobody_waits();
	return arg;
}

static void a_thread_meets_the_same(void)
{
	thread_join(thread_start(in_a_thread, NULL));
}

int main(void)
{
	check_begin();
	RUN(each_message_comes_once);
	RUN(all_senders_wait_for_room);
	RUN(a_wait_ends_at_its_time);
	RUN(a_signal_ends_a_wait);
	RUN(without_blocking_nobody_waits);
	RUN(a_thread_meets_the_same);
	return check_done();
}
