/* io_msg.c -- sendmsg, recvmsg, sendmmsg, recvmmsg: vectors, names, descriptors, credentials,
 * batches
 *
 * threads: 1
 */
#include "check.h"
#include "net.h"
#include <sys/uio.h>

static int fds[2];
static struct step arrived = STEP_INIT;

union control {
	struct cmsghdr head;
	char room[CMSG_SPACE(4 * sizeof(int))];
};

static void send_fds(int socket, const int *out, int n)
{
	union control control;
	char c = 'f';
	struct iovec part = {&c, 1};
	struct msghdr message;

	memset(&message, 0, sizeof(message));
	memset(&control, 0, sizeof(control));
	message.msg_iov = &part;
	message.msg_iovlen = 1;
	message.msg_control = &control;
	message.msg_controllen = CMSG_SPACE(n * sizeof(int));
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(&control.head), out, n * sizeof(int));
	CHECK_EQ(sendmsg(socket, &message, 0), 1);
}

static void receive_fds(int socket, int *in, int n, int flags)
{
	union control control;
	char c = 0;
	struct iovec part = {&c, 1};
	struct msghdr message;

	memset(&message, 0, sizeof(message));
	message.msg_iov = &part;
	message.msg_iovlen = 1;
	message.msg_control = &control;
	message.msg_controllen = sizeof(control);
	CHECK_EQ(recvmsg(socket, &message, flags), 1);
	CHECK_EQ(c, 'f');
	CHECK_EQ(message.msg_flags & MSG_CTRUNC, 0);
	CHECK_EQ(control.head.cmsg_type, SCM_RIGHTS);
	CHECK_EQ(control.head.cmsg_len, CMSG_LEN(n * sizeof(int)));
	memcpy(in, CMSG_DATA(&control.head), n * sizeof(int));
}

/* What it gets it uses: a pipe's reading end, whose writer is written to only afterwards. */
static void *receive_and_read(void *arg)
{
	char text[8];
	int in[2];

	step_add(&arrived, 1);
	receive_fds(fds[0], in, 2, arg ? MSG_CMSG_CLOEXEC : 0);
	CHECK_EQ(fcntl(in[0], F_GETFD), arg ? FD_CLOEXEC : 0);
	step_add(&arrived, 1);
	CHECK_EQ(read(in[0], text, sizeof(text)), 5);
	CHECK_EQ(write(in[1], "back", 4), 4);
	close_pair(in);
	return NULL;
}

static void descriptors_are_passed(void)
{
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};

	for (intptr_t i = 0; i < 6; i++) {
		pthread_t thread;
		int there[2], back[2], out[2];
		char text[8];

		unix_pair(types[i % 3], fds);
		CHECK(pipe(there) == 0 && pipe(back) == 0);
		step_reset(&arrived);
		thread = thread_start(receive_and_read, (void *)(i / 3));
		step_wait(&arrived, 1);
		if (i < 2)
			let_block();
		out[0] = there[0];
		out[1] = back[1];
		send_fds(fds[1], out, 2);
		CHECK(close(there[0]) == 0 && close(back[1]) == 0);
		step_wait(&arrived, 2);
		CHECK_EQ(write(there[1], "hello", 5), 5);
		CHECK_EQ(read(back[0], text, sizeof(text)), 4);
		CHECK_EQ(read(back[0], text, sizeof(text)), 0);
		thread_join(thread);
		CHECK(close(there[1]) == 0 && close(back[0]) == 0);
		close_pair(fds);
	}
}

static void credentials_come_along(void)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct ucred *who = (struct ucred *)CMSG_DATA(&control.head);
	char c;
	struct iovec part = {&c, 1};
	struct msghdr message;
	int on = 1;

	unix_pair(SOCK_STREAM, fds);
	CHECK(setsockopt(fds[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	memset(&message, 0, sizeof(message));
	message.msg_iov = &part;
	message.msg_iovlen = 1;
	message.msg_control = &control;
	message.msg_controllen = sizeof(control);
	CHECK_EQ(recvmsg(fds[0], &message, 0), 1);
	CHECK_EQ(control.head.cmsg_type, SCM_CREDENTIALS);
	CHECK_EQ(who->pid, getpid());
	CHECK_EQ(who->uid, getuid());
	close_pair(fds);
}

enum { BATCH = 16, BATCHES = 50, LENGTH = 100 };

struct batch {
	struct mmsghdr messages[BATCH];
	struct iovec parts[BATCH][2];
	char data[BATCH][LENGTH];
};

static void batch_make(struct batch *b)
{
	memset(b, 0, sizeof(*b));
	for (int i = 0; i < BATCH; i++) {
		b->parts[i][0].iov_base = b->data[i];
		b->parts[i][0].iov_len = 10;
		b->parts[i][1].iov_base = b->data[i] + 10;
		b->parts[i][1].iov_len = LENGTH - 10;
		b->messages[i].msg_hdr.msg_iov = b->parts[i];
		b->messages[i].msg_hdr.msg_iovlen = 2;
	}
}

static void *send_batches(void *arg)
{
	static struct batch b;

	batch_make(&b);
	for (int n = 0; n < BATCH * BATCHES;) {
		int sent;

		for (int i = 0; i < BATCH; i++)
			pattern_fill(b.data[i], LENGTH, 0, n + i);
		sent = sendmmsg(fds[1], b.messages, BATCH, 0);
		CHECK(sent > 0 && sent <= BATCH);
		for (int i = 0; i < sent; i++)
			CHECK_EQ(b.messages[i].msg_len, LENGTH);
		n += sent;
	}
	return arg;
}

static void batches_arrive_in_order(void)
{
	static const int types[] = {SOCK_DGRAM, SOCK_SEQPACKET};
	static struct batch b;

	batch_make(&b);
	for (int t = 0; t < 4; t++) {
		pthread_t thread;

		unix_pair(types[t % 2], fds);
		thread = thread_start(send_batches, NULL);
		for (int n = 0; n < BATCH * BATCHES;) {
			int wanted = BATCH * BATCHES - n < BATCH ? BATCH * BATCHES - n : BATCH;
			int got = recvmmsg(fds[0], b.messages, wanted, t / 2 ? MSG_WAITFORONE : 0,
					   NULL);

			CHECK(got > 0 && got <= wanted);
			if (t / 2 == 0)
				CHECK_EQ(got, wanted);
			for (int i = 0; i < got; i++) {
				CHECK_EQ(b.messages[i].msg_len, LENGTH);
				CHECK(pattern_holds(b.data[i], LENGTH, 0, n + i));
			}
			n += got;
		}
		thread_join(thread);
		close_pair(fds);
	}
}

static void *names_of_senders(void *arg)
{
	struct sockaddr_in to, from;
	socklen_t len = sizeof(to);
	char c;
	struct iovec part = {&c, 1};
	struct msghdr message;

	fds[0] = socket(AF_INET, SOCK_DGRAM, 0);
	fds[1] = socket(AF_INET, SOCK_DGRAM, 0);
	for (int i = 0; i < 2; i++) {
		memset(&to, 0, sizeof(to));
		to.sin_family = AF_INET;
		to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		CHECK(bind(fds[i], (struct sockaddr *)&to, sizeof(to)) == 0);
		CHECK(getsockname(fds[i], (struct sockaddr *)&to, &len) == 0);
		if (i == 0)
			from = to;
	}
	memset(&message, 0, sizeof(message));
	message.msg_iov = &part;
	message.msg_iovlen = 1;
	message.msg_name = &from;
	message.msg_namelen = sizeof(from);
	CHECK_EQ(sendmsg(fds[1], &message, 0), 1);
	CHECK_EQ(recvmsg(fds[0], &message, 0), 1);
	CHECK_EQ(message.msg_namelen, sizeof(from));
	CHECK(from.sin_port == to.sin_port);
	CHECK_ERR(recvmsg(fds[0], (struct msghdr *)bad_address(), MSG_DONTWAIT), EFAULT);
	CHECK_ERR(recvmsg(fds[0], (struct msghdr *)bad_address(), 0), EFAULT);
	CHECK_ERR(sendmsg(fds[1], (struct msghdr *)bad_address(), 0), EFAULT);
	message.msg_iov = (struct iovec *)bad_address();
	CHECK_ERR(recvmsg(fds[0], &message, 0), EFAULT);
	CHECK_ERR(sendmsg(fds[1], &message, 0), EFAULT);
	CHECK_ERR(writev(fds[1], (struct iovec *)bad_address(), 2), EFAULT);
	close_pair(fds);
	return arg;
}

static void datagrams_name_their_sender(void)
{
	names_of_senders(NULL);
	thread_join(thread_start(names_of_senders, NULL));
}

static void *wait_with_timeout(void *arg)
{
	static struct batch b;
	struct timespec t = timespec_ms(20);
	int64_t start = now_ms();
	int got;

	/* The time is looked at after each message only: one comes at once, others after it is
	 * over. */
	batch_make(&b);
	got = recvmmsg(fds[0], b.messages, BATCH, 0, &t);
	CHECK(got >= 1 && got < BATCH);
	CHECK(now_ms() - start >= 19);
	step_add(&arrived, 1);
	return arg;
}

static void recvmmsg_ends_after_its_time_with_the_next_message(void)
{
	struct timespec t = timespec_ms(10);
	pthread_t thread;

	unix_pair(SOCK_DGRAM, fds);
	step_reset(&arrived);
	thread = thread_start(wait_with_timeout, NULL);
	for (int i = 0; i < BATCH - 1 && step_at(&arrived) == 0; i++) {
		CHECK_EQ(send(fds[1], "a", 1, 0), 1);
		nanosleep(&t, NULL);
	}
	thread_join(thread);
	close_pair(fds);
}

int main(void)
{
	check_begin();
	RUN(descriptors_are_passed);
	RUN(credentials_come_along);
	RUN(batches_arrive_in_order);
	RUN(datagrams_name_their_sender);
	RUN(recvmmsg_ends_after_its_time_with_the_next_message);
	return check_done();
}
