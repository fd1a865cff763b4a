/* test_blocked.c -- in which system calls kernel threads are asleep, and what is made of it
 */
#include "unit.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "compare/blocked.h"
#include "child.h"
#include "stat.h"

static char dir[] = "/tmp/test-carriers.XXXXXX";

/* sleeper -- a process that sleeps in a read of the pipe. */
static pid_t sleeper(int fd)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		char c;

		_exit(read(fd, &c, 1) != 0);
	}
	for (int i = 0; i < 2000 && blocked_sleeps_in((unsigned)pid, (unsigned)pid) != SYS_read; i++)
		usleep(1000);
	return pid;
}

static void calls_have_names(void **state)
{
	assert_string_equal(blocked_call(SYS_fsync), "fsync");
	assert_string_equal(blocked_call(SYS_flock), "flock");
	assert_string_equal(blocked_call(-1), "");
	assert_string_equal(blocked_call(100000), "");
}

static void the_call_of_a_sleeper_is_known(void **state)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	pid_t pid = sleeper(fds[0]);

	assert_int_equal(blocked_sleeps_in((unsigned)pid, (unsigned)pid), SYS_read);
	assert_int_equal(blocked_sleeps_in((unsigned)getpid(), (unsigned)getpid()), -1); /* it runs */
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(blocked_sleeps_in((unsigned)pid, (unsigned)pid), -1);
	close(fds[0]);
	close(fds[1]);
}

/* watched -- look for a while at a process whose one carrier sleeps in read(). */
static struct outcome_looks watched(uint32_t kind, uint32_t mode)
{
	static char *argv[] = {(char *)"sleep", (char *)"0.2", NULL};
	struct child c = {.argv = argv, .env = environ, .out = "/dev/null", .err = "/dev/null", .cpu_count = 1024, .pass = -1};
	struct outcome_looks l;
	struct stat_page *p;
	char path[64];
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	pid_t pid = sleeper(fds[0]);

	snprintf(path, sizeof path, "%s/.weft.%d", dir, (int)pid);
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	assert_int_equal(ftruncate(fd, sizeof *p), 0);
	p = mmap(NULL, sizeof *p, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(p != MAP_FAILED);
	*p = (struct stat_page){.magic = STAT_MAGIC, .mode = mode, .pid = (uint32_t)pid, .rows = 3};
	p->carriers[1] = (struct stat_carrier){(uint32_t)pid, kind};
	assert_int_equal(child_start(&c), 0);
	blocked_watch(dir);
	assert_int_equal(child_wait(&c, child_now() + 20000000000, -1), 0);
	blocked_end(&l);
	munmap(p, sizeof *p);
	close(fd);
	unlink(path);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(fds[0]);
	close(fds[1]);
	return l;
}

static void a_carrier_that_sleeps_elsewhere_is_blocked(void **state)
{
	const uint32_t kinds[] = {CARRIER_HUB, CARRIER_DETACHED, CARRIER_SPARE};

	for (size_t i = 0; i < 3; i++) {
		struct outcome_looks l = watched(kinds[i], STAT_ACTIVE);

		assert_true(l.looks > 0);
		assert_int_equal(l.blocked, l.looks);
		assert_string_equal(l.in, "read");
	}
}

static void what_is_no_carrier_is_not_looked_at(void **state)
{
	assert_int_equal(watched(CARRIER_MONITOR, STAT_ACTIVE).looks, 0);
	assert_int_equal(watched(CARRIER_OFFLOAD, STAT_ACTIVE).looks, 0);
	assert_int_equal(watched(CARRIER_HUB, STAT_NATIVE).looks, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_have_names),
		cmocka_unit_test(the_call_of_a_sleeper_is_known),
		cmocka_unit_test(a_carrier_that_sleeps_elsewhere_is_blocked),
		cmocka_unit_test(what_is_no_carrier_is_not_looked_at),
	};

	assert_non_null(mkdtemp(dir));
	int status = RUN_GROUP(tests);

	rmdir(dir);
	return status;
}
