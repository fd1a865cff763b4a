/* io_inotify.c -- waiting for changes of files
 *
 * threads: 2
 */
#include "check.h"
#include <limits.h>
#include <sys/inotify.h>
#include <sys/stat.h>

static char folder[64];
static int fd;
static struct step seen = STEP_INIT;

/* Reads events until the file "end" comes, and checks that files came in order. */
static void *watch(void *arg)
{
	char data[4096] __attribute__((aligned(8)));
	int next = 0;

	for (;;) {
		ssize_t n = read(fd, data, sizeof(data));

		CHECK(n > 0);
		for (char *at = data; at < data + n;) {
			struct inotify_event *event = (struct inotify_event *)at;

			CHECK(event->mask & IN_CREATE);
			if (strcmp(event->name, "end") == 0)
				return arg;
			CHECK_EQ(atoi(event->name), next++);
			step_add(&seen, 1);
			at += sizeof(*event) + event->len;
		}
	}
}

static void make(const char *name)
{
	char path[128];
	int file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	CHECK((file = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600)) >= 0);
	CHECK(close(file) == 0);
	CHECK(unlink(path) == 0);
}

static void a_reader_waits_for_changes_and_sees_all_in_order(void)
{
	pthread_t thread;

	thread = thread_start(watch, NULL);
	let_block();
	for (int i = 0; i < 50; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%d", i);
		make(name);
		if (i % 5 == 0)
			step_wait(&seen, i + 1);
	}
	make("end");
	thread_join(thread);
}

static void *make_files(void *arg)
{
	for (int i = 0; i < 50; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%d", i);
		make(name);
		sched_yield();
	}
	make("end");
	return arg;
}

static void two_threads_change_and_watch(void)
{
	pthread_t thread = thread_start(watch, NULL), other = thread_start(make_files, NULL);

	thread_join(thread);
	thread_join(other);
}

static void nothing_there_is_told(void)
{
	char data[64];

	CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	CHECK_ERR(read(fd, data, sizeof(data)), EAGAIN);
	make("file");
	CHECK_ERR(read(fd, data, 1), EINVAL);
	CHECK_ERR(inotify_add_watch(fd, "/nonexistent/file", IN_CREATE), ENOENT);
}

int main(void)
{
	check_begin();
	snprintf(folder, sizeof(folder), "/tmp/io_inotify.%d", (int)getpid());
	CHECK(mkdir(folder, 0700) == 0);
	CHECK((fd = inotify_init1(IN_CLOEXEC)) >= 0);
	CHECK(inotify_add_watch(fd, folder, IN_CREATE) > 0);
	RUN(a_reader_waits_for_changes_and_sees_all_in_order);
	RUN(two_threads_change_and_watch);
	RUN(nothing_there_is_told);
	CHECK(rmdir(folder) == 0);
	CHECK(close(fd) == 0);
	return check_done();
}
