/* io_waitall.c -- how much a call transfers: MSG_WAITALL, SO_RCVLOWAT, large writes in part and in
 * whole
 *
 * threads: 1
 */
#include "check.h"
#include "net.h"
#include <sys/ioctl.h>
#include <sys/uio.h>

enum { BIG = 8 << 20 };

static int fds[2];
static struct step arrived = STEP_INIT;

static void make(int i)
{
	i % 2 ? tcp_pair(fds) : unix_pair(SOCK_STREAM, fds);
}

static void *receive_1000(void *arg)
{
	char data[1000];

	step_add(&arrived, 1);
	CHECK_EQ(recv(fds[0], data, sizeof(data), MSG_WAITALL), 1000);
	CHECK(pattern_holds(data, sizeof(data), 0, 1));
	return arg;
}

static void waitall_waits_for_all(void)
{
	for (int i = 0; i < 4; i++) {
		pthread_t thread;
		char data[1000];

		make(i);
		pattern_fill(data, sizeof(data), 0, 1);
		step_reset(&arrived);
		thread = thread_start(receive_1000, NULL);
		step_wait(&arrived, 1);
		for (int at = 0; at < 1000; at += 100) {
			write_all(fds[1], data + at, 100);
			if (at == 500)
				let_block();
			sched_yield();
		}
		thread_join(thread);
		close_pair(fds);
	}
}

static void *receive_to_the_end(void *arg)
{
	char data[1000];

	step_add(&arrived, 1);
	CHECK_EQ(recv(fds[0], data, sizeof(data), MSG_WAITALL), 300);
	CHECK_EQ(recv(fds[0], data, sizeof(data), MSG_WAITALL), 0);
	return arg;
}

static void waitall_ends_with_the_stream(void)
{
	for (int i = 0; i < 4; i++) {
		pthread_t thread;
		char data[300] = "";

		make(i);
		step_reset(&arrived);
		thread = thread_start(receive_to_the_end, NULL);
		step_wait(&arrived, 1);
		write_all(fds[1], data, sizeof(data));
		if (i < 2)
			let_block();
		CHECK(shutdown(fds[1], SHUT_WR) == 0);
		thread_join(thread);
		close_pair(fds);
	}
}

static void *receive_big(void *arg)
{
	char *data = (char *)malloc(BIG);
	struct iovec parts[2] = {{data, BIG / 3}, {data + BIG / 3, BIG - BIG / 3}};
	struct msghdr message;

	CHECK(data);
	memset(&message, 0, sizeof(message));
	message.msg_iov = parts;
	message.msg_iovlen = 2;
	CHECK_EQ(arg ? recvmsg(fds[0], &message, MSG_WAITALL)
		     : recv(fds[0], data, BIG, MSG_WAITALL),
		 BIG);
	CHECK(pattern_holds(data, BIG, 0, 2));
	free(data);
	return NULL;
}

static void waitall_brings_8_mb_in_one_call(void)
{
	char *data = (char *)malloc(BIG);

	CHECK(data);
	pattern_fill(data, BIG, 0, 2);
	for (intptr_t i = 0; i < 4; i++) {
		pthread_t thread;

		make(i);
		thread = thread_start(receive_big, (void *)(i / 2));
		CHECK_EQ(write(fds[1], data, BIG), BIG);
		thread_join(thread);
		close_pair(fds);
	}
	free(data);
}

static void *send_vector(void *arg)
{
	char *data = (char *)malloc(BIG);
	struct iovec parts[4];
	struct msghdr message;

	CHECK(data);
	pattern_fill(data, BIG, 0, 3);
	for (int i = 0; i < 4; i++) {
		parts[i].iov_base = data + (size_t)i * (BIG / 4);
		parts[i].iov_len = BIG / 4;
	}
	memset(&message, 0, sizeof(message));
	message.msg_iov = parts;
	message.msg_iovlen = 4;
	CHECK_EQ(arg ? sendmsg(fds[1], &message, 0) : writev(fds[1], parts, 4), BIG);
	free(data);
	return NULL;
}

static void vectors_of_8_mb_are_sent_whole(void)
{
	char *data = (char *)malloc(BIG);

	CHECK(data);
	for (intptr_t i = 0; i < 4; i++) {
		pthread_t thread;

		make(i);
		thread = thread_start(send_vector, (void *)(i / 2));
		CHECK_EQ(read_all(fds[0], data, BIG), BIG);
		CHECK(pattern_holds(data, BIG, 0, 3));
		thread_join(thread);
		close_pair(fds);
	}
	free(data);
}

/* Without blocking a write takes what fits, and the descriptor's other users are not changed by it.
 */
static void one_call_that_may_not_block_takes_what_fits(void)
{
	char *data = (char *)calloc(1, BIG), in[65536];

	CHECK(data);
	for (int i = 0; i < 2; i++) {
		ssize_t n, sum = 0;

		make(i);
		while ((n = send(fds[1], data, BIG, MSG_DONTWAIT)) > 0)
			sum += n;
		CHECK(n == -1 && errno == EAGAIN);
		CHECK(sum > 0 && sum < BIG);
		CHECK_EQ(fcntl(fds[1], F_GETFL), O_RDWR);
		CHECK(shutdown(fds[1], SHUT_WR) == 0);
		while ((n = read(fds[0], in, sizeof(in))) > 0)
			sum -= n;
		CHECK_EQ(sum, 0);
		close_pair(fds);
	}
	free(data);
}

static void *receive_ten(void *arg)
{
	char data[64];
	struct pollfd p = {fds[0], POLLIN, 0};

	step_add(&arrived, 1);
	CHECK_EQ(poll(&p, 1, -1), 1);
	CHECK_EQ(p.revents, POLLIN);
	CHECK_EQ(recv(fds[0], data, sizeof(data), 0), 10);
	step_add(&arrived, 1);
	CHECK_EQ(recv(fds[0], data, sizeof(data), 0), 17);
	step_add(&arrived, 1);
	return arg;
}

static int unread(void)
{
	int n;

	CHECK(ioctl(fds[0], FIONREAD, &n) == 0);
	return n;
}

/* SO_RCVLOWAT: neither poll nor recv is content with less. */
static void rcvlowat_is_waited_for(void)
{
	int low = 10;
	pthread_t thread;

	tcp_pair(fds);
	CHECK(setsockopt(fds[0], SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low)) == 0);
	step_reset(&arrived);
	thread = thread_start(receive_ten, NULL);
	step_wait(&arrived, 1);
	write_all(fds[1], "12345", 5);
	let_block();
	CHECK_EQ(unread(), 5);
	CHECK_EQ(step_at(&arrived), 1);
	write_all(fds[1], "67890", 5);
	step_wait(&arrived, 2);
	write_all(fds[1], "12345", 5);
	let_block();
	/* It may have taken the five into its buffer, but waits for more; and is woken when as many again are there. */
	CHECK_EQ(step_at(&arrived), 2);
	write_all(fds[1], "67890abcdefg", 12);
	thread_join(thread);
	close_pair(fds);
}

int main(void)
{
	check_begin();
	RUN(waitall_waits_for_all);
	RUN(waitall_ends_with_the_stream);
	RUN(waitall_brings_8_mb_in_one_call);
	RUN(vectors_of_8_mb_are_sent_whole);
	RUN(one_call_that_may_not_block_takes_what_fits);
	RUN(rcvlowat_is_waited_for);
	return check_done();
}
