/* thread_rights.c -- what a thread gives up or changes for itself holds for it, for the threads and processes that it makes, and
 * for no other
 *
 * threads: 8
 * kthreads: any
 */
#include "filter.h"
#include <linux/capability.h>
#include <sched.h>
#include <stddef.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#if __has_include(<linux/landlock.h>)
#include <linux/landlock.h>
#else				/* headers before Linux 5.13 */
#define LANDLOCK_ACCESS_FS_READ_FILE (1ULL << 2)
struct landlock_ruleset_attr {
	__u64 handled_access_fs;
};
#endif
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_restrict_self  446
#endif

enum { NOBODY = 65534, OTHERS = 3, HEIRS = 3, LOOKS = 25 };

static char secret[] = "/tmp/thread_rights.XXXXXX";	/* root's alone */

static int opens(const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int has_effective(int cap)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];

	CHECK(syscall(SYS_capget, &head, data) == 0);
	return data[0].effective >> cap & 1;
}

static void landlock_set(void)
{
	struct landlock_ruleset_attr attr = {LANDLOCK_ACCESS_FS_READ_FILE};
	int fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);

	if (fd < 0)
		exit(0);	/* a kernel without it: nothing to look at */
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(syscall(SYS_landlock_restrict_self, fd, 0) == 0);
	close(fd);
}

static int landlock_has(void)
{
	return !opens("/etc/passwd");
}

static void no_new_privs_set(void)
{
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
}

static int no_new_privs_has(void)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
}

static void capability_set(void)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];

	CHECK(syscall(SYS_capget, &head, data) == 0);
	data[0].effective &= ~(1u << CAP_CHOWN);
	data[0].permitted &= ~(1u << CAP_CHOWN);
	CHECK(syscall(SYS_capset, &head, data) == 0);
}

static int capability_has(void)
{
	return !has_effective(CAP_CHOWN);
}

static void bounding_set(void)
{
	CHECK(prctl(PR_CAPBSET_DROP, CAP_CHOWN, 0, 0, 0) == 0);
}

static int bounding_has(void)
{
	return prctl(PR_CAPBSET_READ, CAP_CHOWN, 0, 0, 0) == 0;
}

static void securebits_set(void)
{
	CHECK(prctl(PR_SET_SECUREBITS, 1 /* SECBIT_NOROOT */, 0, 0, 0) == 0);
}

static int securebits_has(void)
{
	return prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) == 1;
}

static void file_user_set(void)
{
	setfsuid(NOBODY);
}

static int file_user_has(void)
{
	return setfsuid(-1) == NOBODY && !opens(secret);
}

static void raw_user_set(void)
{
	CHECK(syscall(SYS_setresuid, -1, NOBODY, -1) == 0);
}

static int raw_user_has(void)
{
	return geteuid() == NOBODY && !opens(secret);
}

static void mask_set(void)
{
	CHECK(unshare(CLONE_FS) == 0);
	CHECK(chdir("/usr") == 0);
}

static int mask_has(void)
{
	char path[100];

	return getcwd(path, sizeof path) && !strcmp(path, "/usr");
}

static void seccomp_set(void)
{
	struct sock_filter rows[] = {
		FILTER_LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_uname, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	filter_set(rows, sizeof rows / sizeof rows[0], 0);
}

static int seccomp_has(void)
{
	struct utsname name;

	return uname(&name) == -1 && errno == EPERM;
}

/* A table of its own: what the others close or open is none of it. */
static void table_set(void)
{
	CHECK(unshare(CLONE_FILES) == 0);
	CHECK(dup2(0, 200) == 200);
}

static int table_has(void)
{
	return fcntl(200, F_GETFD) >= 0;
}

static void nice_set(void)
{
	CHECK(setpriority(PRIO_PROCESS, 0, 7) == 0);
}

static int nice_has(void)
{
	return getpriority(PRIO_PROCESS, 0) == 7;
}

static void slack_set(void)
{
	CHECK(prctl(PR_SET_TIMERSLACK, 77777, 0, 0, 0) == 0);
}

static int slack_has(void)
{
	return prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0) == 77777;
}

static const struct kind {
	const char *name;
	void (*set)(void);
	int (*has)(void);
	int root;	/* only root can */
} kinds[] = {
	{"landlock", landlock_set, landlock_has, 0},
	{"no_new_privs", no_new_privs_set, no_new_privs_has, 0},
	{"capability", capability_set, capability_has, 1},
	{"bounding set", bounding_set, bounding_has, 1},
	{"securebits", securebits_set, securebits_has, 1},
	{"file user", file_user_set, file_user_has, 1},
	{"raw user", raw_user_set, raw_user_has, 1},
	{"working directory", mask_set, mask_has, 0},
	{"filter", seccomp_set, seccomp_has, 0},
	{"table of descriptors", table_set, table_has, 0},
	{"nice", nice_set, nice_has, 0},
	{"timer slack", slack_set, slack_has, 0},
};
static const struct kind *kind;
static struct step here = STEP_INIT, set = STEP_INIT, over = STEP_INIT;
static int pipes[2][2];

static void has(int wanted, const char *who)
{
	if (kind->has() != wanted)
		check_fail(__FILE__, __LINE__, errno, "%s: %s %s", kind->name, who, wanted ? "has lost it" : "has got it");
}

static void compute(int n)
{
	for (volatile int i = 0; i < n; i++)
		;
}

static void *other(void *arg)
{
	struct timespec t = timespec_ms(1);

	step_add(&here, 1);
	while (!step_at(&over)) {
		has(0, "another thread");
		compute(100000);
		nanosleep(&t, NULL);
	}
	(void)arg;
	return NULL;
}

/* Waits in every way: by a clock, a descriptor, a lock. */
static void look(const char *who)
{
	struct timespec t = timespec_ms(1);
	char c;

	for (int i = 0; i < LOOKS; i++) {
		has(1, who);
		nanosleep(&t, NULL);
		has(1, who);
		CHECK(write(pipes[0][1], "x", 1) == 1);
		CHECK(read(pipes[1][0], &c, 1) == 1);
		compute(200000);
	}
}

static void *echo(void *arg)
{
	char c;

	step_add(&here, 1);
	while (read(pipes[0][0], &c, 1) == 1 && c == 'x')
		CHECK(write(pipes[1][1], &c, 1) == 1);
	return arg;
}

static void *heir(void *arg)
{
	look("a thread that it made");
	return arg;
}

static void *grandchild(void *arg)
{
	has(1, "a thread of its child");
	return arg;
}

static void child_has(void)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		has(1, "its child");
		thread_join(thread_start(grandchild, NULL));
		has(1, "its child");
		_exit(0);
	}
	CHECK_CHILD(pid);
}

static void *owner(void *arg)
{
	pthread_t heirs[HEIRS];

	has(0, "it, before that,");
	kind->set();
	step_add(&set, 1);
	look("it");
	threads_start(heirs, HEIRS, heir);
	for (int i = 0; i < HEIRS; i++)
		thread_join(heirs[i]);
	child_has();
	look("it");
	(void)arg;
	return NULL;
}

/* In a child, as there is no way back. `first': the first thread is the one. */
static void one(int first)
{
	pthread_t others[OTHERS], echoes;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid) {
		CHECK_CHILD(pid);
		return;
	}
	CHECK(pipe(pipes[0]) == 0 && pipe(pipes[1]) == 0);
	threads_start(others, OTHERS, other);
	echoes = thread_start(echo, NULL);
	step_wait(&here, OTHERS + 1);
	if (first)
		owner(NULL);
	else
		thread_join(thread_start(owner, NULL));
	if (!first)
		has(0, "the first thread");
	step_add(&over, 1);
	threads_join(others, OTHERS);
	CHECK(write(pipes[0][1], "q", 1) == 1);
	thread_join(echoes);
	exit(0);
}

static void it_holds_for_whom_it_should(void)
{
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		kind = &kinds[i];
		if (kind->root && geteuid() != 0)
			continue;
		if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) && kind->has == no_new_privs_has)
			continue;
		one(0);
		one(1);
	}
}

int main(void)
{
	int fd;

	check_begin();
	CHECK((fd = mkstemp(secret)) >= 0);
	close(fd);
	RUN(it_holds_for_whom_it_should);
	unlink(secret);
	return check_done();
}
