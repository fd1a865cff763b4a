/* reopened_unseen.c -- a descriptor that is replaced by code which no library in the process can see
 *
 * The 32-bit entry into the kernel (int 0x80) replaces a socket that threads have waited on before; the thread that then
 * waits on what stands there now must get its data, if not at once then soon. Where the kernel has no such entry there is
 * nothing to test.
 *
 * threads: 1
 * missed: any
 */
#include "check.h"
#include "net.h"

static int unseen_dup2(int from, int to)
{
	long r;

	__asm__ volatile("int $0x80" : "=a"(r) : "a"(63), "b"(from), "c"(to) : "memory", "r8", "r9", "r10", "r11");
	return (int)r;
}

static void *read_one(void *arg)
{
	char c = 0;

	CHECK_EQ(read((int)(intptr_t)arg, &c, 1), 1);
	return (void *)(intptr_t)c;
}

static void write_later(int fd, char c)
{
	struct timespec pause = {0, 50000000};

	nanosleep(&pause, NULL);
	CHECK_EQ(write(fd, &c, 1), 1);
}

static void a_wait_on_what_stands_there_now_ends(void)
{
	for (int round = 0; round < 3; round++) {
		int before[2], now[2];
		pthread_t reader;

		tcp_pair(before);
		tcp_pair(now);
		reader = thread_start(read_one, (void *)(intptr_t)before[0]);
		write_later(before[1], 'a');
		CHECK_EQ((intptr_t)thread_join(reader), 'a');
		if (unseen_dup2(now[0], before[0]) != before[0]) {
			printf("no 32-bit entry into this kernel\n");
			return;
		}
		close(now[0]);
		reader = thread_start(read_one, (void *)(intptr_t)before[0]);
		write_later(now[1], 'b');
		CHECK_EQ((intptr_t)thread_join(reader), 'b');
		close(before[0]);
		close(before[1]);
		close(now[1]);
	}
}

int main(void)
{
	check_begin();
	RUN(a_wait_on_what_stands_there_now_ends);
	return check_done();
}
