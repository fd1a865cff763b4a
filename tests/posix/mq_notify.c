/* mq_notify.c -- a function is run in a thread when a message comes
 *
 * No thread is made before the first request.
 *
 * threads: 1
 */
#include "check.h"
#include <mqueue.h>

enum { ROUNDS = 10 };

static mqd_t queue;
static struct step came = STEP_INIT;

static void make_queue(void)
{
	struct mq_attr attr;
	char name[64];

	memset(&attr, 0, sizeof(attr));
	attr.mq_maxmsg = 4;
	attr.mq_msgsize = 16;
	snprintf(name, sizeof(name), "/mq_notify.%d", getpid());
	queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, 0600, &attr);
	CHECK(queue != (mqd_t)-1);
	CHECK(mq_unlink(name) == 0);
}

static void ask(int value);

/* As the manual has it: ask again, then empty the queue. */
static void take(union sigval value)
{
	char text[16];
	int n = 0;

	ask(value.sival_int + 1);
	while (mq_receive(queue, text, sizeof(text), NULL) > 0)
		n++;
	CHECK_EQ(errno, EAGAIN);
	step_add(&came, n);
}

static void ask(int value)
{
	struct sigevent event;

	memset(&event, 0, sizeof(event));
	event.sigev_notify = SIGEV_THREAD;
	event.sigev_notify_function = take;
	event.sigev_value.sival_int = value;
	CHECK(mq_notify(queue, &event) == 0);
}

static void each_message_is_told_of(void)
{
	step_reset(&came);
	ask(0);
	for (int i = 0; i < ROUNDS; i++) {
		CHECK(mq_send(queue, "news", 4, 0) == 0);
		step_wait(&came, i + 1);
	}
	CHECK(mq_notify(queue, NULL) == 0);
	CHECK(mq_send(queue, "news", 4, 0) == 0);
	let_block();
	CHECK_EQ(step_at(&came), ROUNDS);
	char text[16];

	CHECK_EQ(mq_receive(queue, text, sizeof(text), NULL), 4);
}

static void *use_in_a_thread(void *arg)
{
	each_message_is_told_of();
	return arg;
}

static void a_thread_is_told_as_well(void)
{
	thread_join(thread_start(use_in_a_thread, NULL));
}

int main(void)
{
	check_begin();
	make_queue();
	RUN(each_message_is_told_of);
	RUN(a_thread_is_told_as_well);
	return check_done();
}
