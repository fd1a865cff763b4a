/* io_file.c -- files: reading, writing, positions, appending, locks and syncing, by several threads
 *
 * threads: 8
 * kthreads: any
 */
#include "check.h"
#include "net.h"
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>

enum { THREADS = 8, PIECE = 4096, PIECES = 64, SIZE = THREADS * PIECE * PIECES };

static char path[64];
static int fd;
static struct step arrived = STEP_INIT;

static void file_make(int flags)
{
	CHECK((fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC | flags, 0600)) >= 0);
}

static void file_drop(void)
{
	CHECK(close(fd) == 0);
	CHECK(unlink(path) == 0);
}

static void *write_pieces(void *arg)
{
	char data[PIECE];

	for (int i = 0; i < PIECES; i++) {
		off_t at = ((off_t)i * THREADS + (intptr_t)arg) * PIECE;
		struct iovec parts[2] = {{data, 100}, {data + 100, PIECE - 100}};

		pattern_fill(data, PIECE, at, 1);
		CHECK_EQ(i % 2 ? pwrite(fd, data, PIECE, at) : pwritev(fd, parts, 2, at), PIECE);
		if (i % 32 == 0)
			CHECK((intptr_t)arg % 2 ? fsync(fd) == 0 : fdatasync(fd) == 0);
	}
	return NULL;
}

static void *read_pieces(void *arg)
{
	char data[PIECE];

	for (int i = PIECES - 1; i >= 0; i--) {
		off_t at = ((off_t)i * THREADS + (intptr_t)arg) * PIECE;
		struct iovec parts[2] = {{data, 3000}, {data + 3000, PIECE - 3000}};

		switch (i % 3) {
		case 0:
			CHECK_EQ(pread(fd, data, PIECE, at), PIECE);
			break;
		case 1:
			CHECK_EQ(preadv(fd, parts, 2, at), PIECE);
			break;
		case 2:
			CHECK_EQ(preadv2(fd, parts, 2, at, 0), PIECE);
			break;
		}
		CHECK(pattern_holds(data, PIECE, at, 1));
	}
	return NULL;
}

static void pieces_are_written_and_read_in_place(void)
{
	pthread_t threads[THREADS];
	struct stat st;
	char c;

	file_make(0);
	threads_start(threads, THREADS, write_pieces);
	threads_join(threads, THREADS);
	CHECK(fstat(fd, &st) == 0);
	CHECK_EQ(st.st_size, SIZE);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
	threads_start(threads, THREADS, read_pieces);
	threads_join(threads, THREADS);
	CHECK_EQ(pread(fd, &c, 1, SIZE), 0);
	file_drop();
}

static void *read_on(void *arg)
{
	char data[PIECE];
	long sum = 0;

	while (read(fd, data, PIECE) == PIECE) {
		sum++;
		sched_yield();
	}
	__atomic_add_fetch((long *)arg, sum, __ATOMIC_SEQ_CST);
	return NULL;
}

static void one_position_is_shared_by_all_who_read(void)
{
	pthread_t threads[THREADS];
	long sum = 0;

	file_make(0);
	CHECK(ftruncate(fd, SIZE) == 0);
	for (int i = 0; i < THREADS; i++)
		threads[i] = thread_start(read_on, &sum);
	threads_join(threads, THREADS);
	CHECK_EQ(sum, SIZE / PIECE);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), SIZE);
	file_drop();
}

static void *append(void *arg)
{
	char line[40];

	memset(line, 'a' + (int)(intptr_t)arg, sizeof(line));
	for (int i = 0; i < 200; i++)
		CHECK_EQ(write(fd, line, sizeof(line)), sizeof(line));
	return NULL;
}

static void appended_records_stay_whole(void)
{
	pthread_t threads[THREADS];
	int count[THREADS] = {0};
	char line[40];

	file_make(O_APPEND);
	threads_start(threads, THREADS, append);
	threads_join(threads, THREADS);
	for (int i = 0; i < THREADS * 200; i++) {
		CHECK_EQ(pread(fd, line, sizeof(line), (off_t)i * 40), 40);
		for (int k = 1; k < 40; k++)
			CHECK_EQ(line[k], line[0]);
		count[line[0] - 'a']++;
	}
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(count[i], 200);
	file_drop();
}

static void *take_lock(void *arg)
{
	int own = open(path, O_RDWR | O_CLOEXEC);
	struct flock whole;

	memset(&whole, 0, sizeof(whole));
	whole.l_type = F_WRLCK;
	CHECK(own >= 0);
	CHECK_ERR(flock(own, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	CHECK_ERR(fcntl(own, F_OFD_SETLK, &whole), EAGAIN);
	step_add(&arrived, 1);
	CHECK(flock(own, LOCK_EX) == 0);
	CHECK(flock(own, LOCK_UN) == 0);
	CHECK(fcntl(own, F_OFD_SETLKW, &whole) == 0);
	CHECK(close(own) == 0);
	(void)arg;
	return NULL;
}

/* Each waits for another thread: none may stand in the way of the one that lets go. */
static void file_locks_wait_for_each_other(void)
{
	pthread_t threads[THREADS];
	struct flock whole;

	memset(&whole, 0, sizeof(whole));
	whole.l_type = F_WRLCK;
	file_make(0);
	CHECK(flock(fd, LOCK_EX) == 0);
	CHECK(fcntl(fd, F_OFD_SETLK, &whole) == 0);
	threads_start(threads, THREADS, take_lock);
	step_wait(&arrived, THREADS);
	let_block();
	CHECK(flock(fd, LOCK_UN) == 0);
	whole.l_type = F_UNLCK;
	CHECK(fcntl(fd, F_OFD_SETLK, &whole) == 0);
	threads_join(threads, THREADS);
	file_drop();
}

static void *write_to_socket(void *arg)
{
	off_t at = 0;

	while (at < SIZE)
		CHECK(sendfile(*(int *)arg, fd, &at, SIZE - at) > 0);
	CHECK_EQ(at, SIZE);
	CHECK(shutdown(*(int *)arg, SHUT_WR) == 0);
	return NULL;
}

static void sendfile_brings_a_whole_file(void)
{
	for (int i = 0; i < 2; i++) {
		char *data = (char *)malloc(SIZE);
		pthread_t thread;
		int ends[2];

		CHECK(data);
		file_make(0);
		pattern_fill(data, SIZE, 0, 9);
		write_all(fd, data, SIZE);
		memset(data, 0, SIZE);
		i ? tcp_pair(ends) : unix_pair(SOCK_STREAM, ends);
		thread = thread_start(write_to_socket, &ends[1]);
		CHECK_EQ(read_all(ends[0], data, SIZE), SIZE);
		CHECK(pattern_holds(data, SIZE, 0, 9));
		CHECK_EQ(read(ends[0], data, 1), 0);
		thread_join(thread);
		close_pair(ends);
		file_drop();
		free(data);
	}
}

static void *small_files(void *arg)
{
	int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDONLY),
	    random = open("/dev/urandom", O_RDONLY);
	int proc = open("/proc/self/status", O_RDONLY);
	char data[4096];

	CHECK_EQ(write(null, data, sizeof(data)), sizeof(data));
	CHECK_EQ(read(null, data, sizeof(data)), 0);
	CHECK_EQ(read(zero, data, sizeof(data)), sizeof(data));
	CHECK_EQ(data[100], 0);
	CHECK_EQ(read(random, data, 256), 256);
	CHECK(read(proc, data, sizeof(data)) > 100);
	CHECK(memcmp(data, "Name:", 5) == 0);
	CHECK_ERR(pread(fd, data, 1, 0), EBADF);
	CHECK_ERR(pread(null, data, 1, -1), EINVAL);
	CHECK(close(null) == 0 && close(zero) == 0 && close(random) == 0 && close(proc) == 0);
	CHECK_ERR(read(null, data, 1), EBADF);
	CHECK((null = open("/", O_RDONLY | O_DIRECTORY)) >= 0);
	CHECK_ERR(read(null, data, 1), EISDIR);
	CHECK(close(null) == 0);
	(void)arg;
	return NULL;
}

static void devices_and_proc_are_read(void)
{
	fd = -1;
	small_files(NULL);
	thread_join(thread_start(small_files, NULL));
}

int main(void)
{
	check_begin();
	snprintf(path, sizeof(path), "/tmp/io_file.%d", (int)getpid());
	RUN(pieces_are_written_and_read_in_place);
	RUN(one_position_is_shared_by_all_who_read);
	RUN(appended_records_stay_whole);
	RUN(file_locks_wait_for_each_other);
	RUN(sendfile_brings_a_whole_file);
	RUN(devices_and_proc_are_read);
	return check_done();
}
