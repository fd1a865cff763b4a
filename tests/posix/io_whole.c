/* io_whole.c -- what moves many bytes without waiting moves them all, though other threads want the
 * CPU
 *
 * threads: 2
 */
#include "check.h"

#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

enum { BYTES = 24 << 20, ROUNDS = 4 };

static int stop;
static char *bytes;

/* Computes and sleeps in turn, so that it wants the CPU ever anew. */
static void *want_the_cpu(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		struct timespec t = {0, 500000};
		int64_t end = clock_ns(CLOCK_MONOTONIC) + 2000000;

		while (clock_ns(CLOCK_MONOTONIC) < end)
			continue;
		CHECK(nanosleep(&t, NULL) == 0);
	}
	return arg;
}

static int open_device(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	return fd;
}

static void random_bytes_come_whole(void)
{
	int fd = open_device("/dev/urandom");

	for (int i = 0; i < ROUNDS; i++) {
		CHECK_EQ(read(fd, bytes, BYTES), BYTES);
		CHECK_EQ(getrandom(bytes, BYTES, 0), BYTES);
	}
	CHECK_OK(close(fd));
}

static void zeroes_come_whole(void)
{
	struct iovec two[2] = {{bytes, BYTES / 2}, {bytes + BYTES / 2, BYTES / 2}};
	int fd = open_device("/dev/zero");

	for (int i = 0; i < 10 * ROUNDS; i++) {
		CHECK_EQ(read(fd, bytes, BYTES), BYTES);
		CHECK_EQ(pread(fd, bytes, BYTES, 0), BYTES);
		CHECK_EQ(readv(fd, two, 2), BYTES);
		CHECK_EQ(preadv(fd, two, 2, 0), BYTES);
		CHECK_EQ(preadv2(fd, two, 2, 0, 0), BYTES);
	}
	CHECK_OK(close(fd));
}

static void a_file_in_memory_is_moved_whole(void)
{
	int from = memfd_create("from", MFD_CLOEXEC), to = memfd_create("to", MFD_CLOEXEC);
	off_t zero;

	CHECK(from >= 0 && to >= 0);
	for (int i = 0; i < ROUNDS; i++) {
		CHECK_OK(fallocate(from, 0, 0, BYTES));
		CHECK_EQ(pwrite(from, bytes, BYTES, 0), BYTES);
		CHECK_EQ(pread(from, bytes, BYTES, 0), BYTES);
		zero = 0;
		CHECK_EQ(lseek(to, 0, SEEK_SET), 0);
		CHECK_EQ(sendfile(to, from, &zero, BYTES), BYTES);
		CHECK_OK(ftruncate(from, 0));
	}
	CHECK_OK(close(from));
	CHECK_OK(close(to));
}

static void a_file_is_copied_whole(void)
{
	char names[2][32] = {"/tmp/whole-XXXXXX", "/tmp/whole-XXXXXX"};
	int from = mkstemp(names[0]), to = mkstemp(names[1]);
	loff_t at = 0, there = 0;

	CHECK(from >= 0 && to >= 0);
	CHECK_OK(unlink(names[0]));
	CHECK_OK(unlink(names[1]));
	CHECK_EQ(write(from, bytes, BYTES), BYTES);
	for (int i = 0; i < ROUNDS; i++, at = there = 0)
		CHECK_EQ(copy_file_range(from, &at, to, &there, BYTES, 0), BYTES);
	CHECK_OK(close(from));
	CHECK_OK(close(to));
}

int main(void)
{
	pthread_t others[2];

	check_begin();
	bytes = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
		     -1, 0);
	CHECK(bytes != MAP_FAILED);
	threads_start(others, 2, want_the_cpu);
	RUN(random_bytes_come_whole);
	RUN(zeroes_come_whole);
	RUN(a_file_in_memory_is_moved_whole);
	RUN(a_file_is_copied_whole);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++)
		thread_join(others[i]);
	return check_done();
}
