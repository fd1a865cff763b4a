/* aio.c -- asynchronous input and output, which libc does in threads of its own
 *
 * No thread is made before the first request.
 *
 * threads: 2
 */
#include "check.h"
#include <aio.h>

enum { REQUESTS = 16, SIZE = 1000, THREADS = 2 };

static int make_file(void)
{
	char path[] = "/tmp/aio.XXXXXX";
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	CHECK(unlink(path) == 0);
	return fd;
}

static struct aiocb request(int fd, void *buf, size_t n, off_t at)
{
	struct aiocb r;

	memset(&r, 0, sizeof(r));
	r.aio_fildes = fd;
	r.aio_buf = buf;
	r.aio_nbytes = n;
	r.aio_offset = at;
	r.aio_sigevent.sigev_notify = SIGEV_NONE;
	return r;
}

static void finish(struct aiocb *r, ssize_t wanted)
{
	const struct aiocb *list[] = {r};

	while (aio_error(r) == EINPROGRESS)
		CHECK(aio_suspend(list, 1, NULL) == 0 || errno == EINTR);
	CHECK_EQ(aio_error(r), 0);
	CHECK_EQ(aio_return(r), wanted);
}

static void what_is_written_is_read(void)
{
	static const char pattern[] = "all that glitters";
	char buf[sizeof(pattern)] = "";
	int fd = make_file();
	struct aiocb w = request(fd, (void *)pattern, sizeof(pattern), 4096);
	struct aiocb r = request(fd, buf, sizeof(buf), 4096);

	CHECK(aio_write(&w) == 0);
	finish(&w, sizeof(pattern));
	CHECK(aio_fsync(O_SYNC, &w) == 0);
	finish(&w, 0);
	CHECK(aio_read(&r) == 0);
	finish(&r, sizeof(pattern));
	CHECK(!strcmp(buf, pattern));
	close(fd);
}

static void a_read_waits_for_what_comes(void)
{
	struct timespec soon = timespec_ms(20);
	const struct aiocb *list[1];
	char c = 0;
	int ends[2];

	CHECK(pipe(ends) == 0);
	struct aiocb r = request(ends[0], &c, 1, 0);

	list[0] = &r;
	CHECK(aio_read(&r) == 0);
	CHECK_ERR(aio_suspend(list, 1, &soon), EAGAIN);
	CHECK_EQ(aio_error(&r), EINPROGRESS);
	CHECK(write(ends[1], "x", 1) == 1);
	finish(&r, 1);
	CHECK_EQ(c, 'x');
	close(ends[0]);
	close(ends[1]);
}

static void many_at_once(void)
{
	static char out[REQUESTS][SIZE];
	char in[REQUESTS][SIZE];
	struct aiocb w[REQUESTS], r[REQUESTS], *list[REQUESTS];
	int fd = make_file();

	for (int i = 0; i < REQUESTS; i++) {
		memset(out[i], 'a' + i, SIZE);
		w[i] = request(fd, out[i], SIZE, i * SIZE);
		w[i].aio_lio_opcode = LIO_WRITE;
		r[i] = request(fd, in[i], SIZE, i * SIZE);
		r[i].aio_lio_opcode = LIO_READ;
		list[i] = &w[i];
	}
	CHECK(lio_listio(LIO_WAIT, list, REQUESTS, NULL) == 0);
	for (int i = 0; i < REQUESTS; i++) {
		CHECK_EQ(aio_return(&w[i]), SIZE);
		list[i] = &r[i];
	}
	CHECK(lio_listio(LIO_NOWAIT, list, REQUESTS, NULL) == 0);
	for (int i = 0; i < REQUESTS; i++)
		finish(&r[i], SIZE);
	CHECK(!memcmp(in, out, sizeof(in)));
	close(fd);
}

static struct step told = STEP_INIT;

static void tell(union sigval value)
{
	step_add(&told, value.sival_int);
}

static void an_end_is_told_by_a_function(void)
{
	char c;
	int ends[2];

	step_reset(&told);
	CHECK(pipe(ends) == 0);
	struct aiocb r = request(ends[0], &c, 1, 0);

	r.aio_sigevent.sigev_notify = SIGEV_THREAD;
	r.aio_sigevent.sigev_notify_function = tell;
	r.aio_sigevent.sigev_value.sival_int = 7;
	CHECK(aio_read(&r) == 0);
	CHECK(write(ends[1], "x", 1) == 1);
	step_wait(&told, 7);
	finish(&r, 1);
	close(ends[0]);
	close(ends[1]);
}

static volatile sig_atomic_t handled;

static void handle(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (sig == SIGUSR2 && info->si_code == SI_ASYNCIO)
		handled = info->si_value.sival_int;
}

static void an_end_is_told_by_a_signal(void)
{
	struct sigaction action;
	char c;
	int ends[2];

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = handle;
	action.sa_flags = SA_SIGINFO;
	CHECK(sigaction(SIGUSR2, &action, NULL) == 0);
	CHECK(pipe(ends) == 0);
	struct aiocb r = request(ends[0], &c, 1, 0);

	r.aio_sigevent.sigev_notify = SIGEV_SIGNAL;
	r.aio_sigevent.sigev_signo = SIGUSR2;
	r.aio_sigevent.sigev_value.sival_int = 9;
	handled = 0;
	CHECK(aio_read(&r) == 0);
	CHECK(write(ends[1], "x", 1) == 1);
	while (handled != 9)
		usleep(1000);
	finish(&r, 1);
	close(ends[0]);
	close(ends[1]);
}

static void *use_in_a_thread(void *arg)
{
	(void)arg;
	what_is_written_is_read();
	a_read_waits_for_what_comes();
	many_at_once();
	return NULL;
}

static void threads_use_it_as_well(void)
{
	pthread_t threads[THREADS];

	threads_start(threads, THREADS, use_in_a_thread);
	threads_join(threads, THREADS);
}

static void mistakes_get_their_errno(void)
{
	char c;
	struct aiocb r = request(-1, &c, 1, 0);

	CHECK(aio_read(&r) == 0);
	const struct aiocb *list[] = {&r};

	while (aio_error(&r) == EINPROGRESS)
		aio_suspend(list, 1, NULL);
	CHECK_EQ(aio_error(&r), EBADF);
	CHECK_EQ(aio_return(&r), -1);
	CHECK_EQ(aio_cancel(-1, NULL), -1);
}

int main(void)
{
	check_begin();
	RUN(what_is_written_is_read);
	RUN(a_read_waits_for_what_comes);
	RUN(many_at_once);
	RUN(an_end_is_told_by_a_function);
	RUN(an_end_is_told_by_a_signal);
	RUN(threads_use_it_as_well);
	RUN(mistakes_get_their_errno);
	return check_done();
}
