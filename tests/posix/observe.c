/* observe.c -- prints what a program can see of itself, before, while and after N threads have
 * waited
 *
 * The text must be the same wherever it runs: numbers that differ from run to run are not printed.
 * Of LD_PRELOAD, entries that are not there in every run (the one that puts a library below the
 * program) are left out.
 *
 * args: 0
 * args: 1
 * args: 100
 * compare: stdout
 */
#include "check.h"
#include "net.h"
#include <dirent.h>
#include <netinet/tcp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

extern char **environ;

static struct step arrived = STEP_INIT;
static int sockets[6], pipe_fds[2];
static struct sockaddr_in at;

/* Prints text with every run of digits inside brackets left out: pipe:[123] is pipe:[]. */
static void print_name(int fd, const char *name)
{
	int skipping = 0;

	printf("  %d -> ", fd);
	for (; *name; name++) {
		if (*name == ']')
			skipping = 0;
		if (!skipping)
			putchar(*name);
		if (*name == '[')
			skipping = 1;
	}
	putchar('\n');
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void print_fd_names(void)
{
	static int fds[65536];
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	int n = 0;

	CHECK(dir);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			fds[n++] = atoi(entry->d_name);
	printf("names in /proc/self/fd: %d, in fdinfo: ", n);
	qsort(fds, n, sizeof(*fds), by_number);
	CHECK(closedir(dir) == 0);
	dir = opendir("/proc/self/fdinfo");
	n = 0;
	while ((entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	CHECK(closedir(dir) == 0);
	printf("%d\n", n);
	for (int i = 0; i < n; i++) {
		char path[64], name[256];
		ssize_t length;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[i]);
		length = readlink(path, name, sizeof(name) - 1);
		if (length < 0)
			continue;
		name[length] = 0;
		if (strstr(name, "/proc/") == NULL && fds[i] > 2)
			print_name(fds[i], name);
		else
			printf("  %d\n", fds[i]);
	}
}

static void print_fd_flags(void)
{
	struct rlimit limit;

	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	printf("descriptors of %ld\n", (long)limit.rlim_cur);
	for (long fd = 0; fd < (long)limit.rlim_cur; fd++) {
		struct stat st;
		int flags = fcntl(fd, F_GETFD), status = fcntl(fd, F_GETFL);

		if (flags < 0) {
			CHECK(errno == EBADF);
			CHECK_ERR(fstat(fd, &st), EBADF);
			continue;
		}
		CHECK(fstat(fd, &st) == 0);
		printf("  %ld: %x %x %o\n", fd, flags, status, st.st_mode & S_IFMT);
	}
	int lowest = dup(0);
	printf("lowest free: %d\n", lowest);
	CHECK(lowest < 0 || close(lowest) == 0);
}

static const struct {
	const char *name;
	int level, option;
} options[] = {
	{"SO_DEBUG", SOL_SOCKET, SO_DEBUG},
	{"SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR},
	{"SO_TYPE", SOL_SOCKET, SO_TYPE},
	{"SO_ERROR", SOL_SOCKET, SO_ERROR},
	{"SO_SNDBUF", SOL_SOCKET, SO_SNDBUF},
	{"SO_RCVBUF", SOL_SOCKET, SO_RCVBUF},
	{"SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE},
	{"SO_OOBINLINE", SOL_SOCKET, SO_OOBINLINE},
	{"SO_PRIORITY", SOL_SOCKET, SO_PRIORITY},
	{"SO_LINGER", SOL_SOCKET, SO_LINGER},
	{"SO_REUSEPORT", SOL_SOCKET, SO_REUSEPORT},
	{"SO_PASSCRED", SOL_SOCKET, SO_PASSCRED},
	{"SO_RCVLOWAT", SOL_SOCKET, SO_RCVLOWAT},
	{"SO_SNDLOWAT", SOL_SOCKET, SO_SNDLOWAT},
	{"SO_RCVTIMEO", SOL_SOCKET, SO_RCVTIMEO},
	{"SO_SNDTIMEO", SOL_SOCKET, SO_SNDTIMEO},
	{"SO_TIMESTAMP", SOL_SOCKET, SO_TIMESTAMP},
	{"SO_ACCEPTCONN", SOL_SOCKET, SO_ACCEPTCONN},
	{"SO_DOMAIN", SOL_SOCKET, SO_DOMAIN},
	{"SO_PROTOCOL", SOL_SOCKET, SO_PROTOCOL},
	{"SO_BUSY_POLL", SOL_SOCKET, SO_BUSY_POLL},
	{"SO_ZEROCOPY", SOL_SOCKET, SO_ZEROCOPY},
	{"TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY},
	{"TCP_CORK", IPPROTO_TCP, TCP_CORK},
	{"TCP_DEFER_ACCEPT", IPPROTO_TCP, TCP_DEFER_ACCEPT},
	{"TCP_USER_TIMEOUT", IPPROTO_TCP, TCP_USER_TIMEOUT},
	{"TCP_FASTOPEN", IPPROTO_TCP, TCP_FASTOPEN},
	{"TCP_NOTSENT_LOWAT", IPPROTO_TCP, TCP_NOTSENT_LOWAT},
	{"IP_TOS", IPPROTO_IP, IP_TOS},
	{"IP_TTL", IPPROTO_IP, IP_TTL},
};

static void print_options(void)
{
	static const char *const names[] = {"tcp",  "tcp accepted", "listener",
					    "unix", "unix other",   "udp"};

	for (int s = 0; s < 6; s++) {
		printf("options of %s:", names[s]);
		for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
			unsigned char value[64];
			socklen_t len = sizeof(value);

			if (getsockopt(sockets[s], options[i].level, options[i].option, value,
				       &len) < 0) {
				printf(" %s:%d", options[i].name, errno);
				continue;
			}
			printf(" %s=", options[i].name);
			for (socklen_t k = 0; k < len; k++)
				printf("%02x", value[k]);
		}
		putchar('\n');
	}
}

static void print_mask(const char *what, const sigset_t *set)
{
	printf("%s:", what);
	for (int i = 1; i <= 64; i++)
		if (sigismember(set, i) == 1)
			printf(" %d", i);
	putchar('\n');
}

static void print_signals(void)
{
	sigset_t set;
	stack_t stack;

	printf("dispositions:");
	for (int i = 1; i <= 64; i++) {
		/* As the kernel has it: handler, flags, restorer, mask. */
		struct {
			void *handler;
			unsigned long flags;
			void *restorer;
			unsigned long mask;
		} action = {0};

		if (syscall(SYS_rt_sigaction, i, NULL, &action, 8) < 0)
			printf(" %d:error %d", i, errno);
		else if (action.handler || action.flags || action.mask)
			printf(" %d:%s %lx %lx", i,
			       action.handler == (void *)1 ? "ignored" : "handler", action.flags,
			       action.mask);
	}
	putchar('\n');
	CHECK_OK(pthread_sigmask(SIG_SETMASK, NULL, &set));
	print_mask("mask", &set);
	CHECK(sigpending(&set) == 0);
	print_mask("pending", &set);
	CHECK(sigaltstack(NULL, &stack) == 0);
	printf("alternate stack: %d %zu\n", stack.ss_flags, stack.ss_size);
}

static void print_process(void)
{
	static const char *const lines[] = {"Name:",
					    "Umask:",
					    "Uid:",
					    "Gid:",
					    "Groups:",
					    "CapInh:",
					    "CapPrm:",
					    "CapEff:",
					    "CapBnd:",
					    "CapAmb:",
					    "NoNewPrivs:",
					    "Seccomp:",
					    "Cpus_allowed_list:",
					    "TracerPid:",
					    "THP_enabled:"};
	FILE *file = fopen("/proc/self/status", "re");
	char line[4096], cwd[4096], name[16];
	mode_t mask = umask(0);

	umask(mask);
	CHECK(file && getcwd(cwd, sizeof(cwd)));
	while (fgets(line, sizeof(line), file))
		for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
			if (strncmp(line, lines[i], strlen(lines[i])) == 0)
				printf("  %s", line);
	fclose(file);
	CHECK(prctl(PR_GET_NAME, name) == 0);
	printf("umask %o, cwd %s, name %s\n", mask, cwd, name);
	printf("ids %d %d %d %d\n", getuid(), geteuid(), getgid(), getegid());
	printf("main thread %d, group of parent %d, session of parent %d\n", getpid() == gettid(),
	       getpgid(0) == getpgid(getppid()), getsid(0) == getsid(getppid()));
	printf("priority %d, policy %d, dumpable %d, subreaper %d, death signal",
	       getpriority(PRIO_PROCESS, 0), sched_getscheduler(0), prctl(PR_GET_DUMPABLE),
	       (int)syscall(SYS_personality, 0xffffffff));
	int sig = -1;
	CHECK(prctl(PR_GET_PDEATHSIG, &sig) == 0);
	printf(" %d, slack %ld, securebits %d\n", sig, (long)prctl(PR_GET_TIMERSLACK),
	       prctl(PR_GET_SECUREBITS));
}

static void print_limits(void)
{
	printf("limits:");
	for (int i = 0; i < RLIM_NLIMITS; i++) {
		struct rlimit limit;

		CHECK(getrlimit(i, &limit) == 0);
		printf(" %ld/%ld", (long)limit.rlim_cur, (long)limit.rlim_max);
	}
	putchar('\n');
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Entries of a preload list that are not the library which runs the program. */
static void print_preload(const char *list)
{
	char copy[4096], *save, *entry;

	snprintf(copy, sizeof(copy), "%s", list);
	for (entry = strtok_r(copy, " :", &save); entry; entry = strtok_r(NULL, " :", &save))
		if (!strstr(entry, "libweft"))
			printf("  LD_PRELOAD entry %s\n", entry);
}

static void print_environment(void)
{
	static char *sorted[4096];
	size_t n = 0;

	while (environ[n] && n < 4096) {
		sorted[n] = environ[n];
		n++;
	}
	qsort(sorted, n, sizeof(*sorted), by_text);
	printf("environment\n");
	for (size_t i = 0; i < n; i++) {
		if (strncmp(sorted[i], "LD_PRELOAD=", 11) == 0)
			print_preload(sorted[i] + 11);
		else if (strncmp(sorted[i], "WEFT_", 5) != 0)
			printf("  %s\n", sorted[i]);
	}
}

static void print_all(const char *when)
{
	printf("== %s\n", when);
	print_fd_flags();
	print_fd_names();
	print_options();
	print_signals();
	print_process();
	print_limits();
	print_environment();
}

/* What a thread sees of itself. */
static void *wait_in_turn(void *arg)
{
	struct timespec t = timespec_ms(1);
	int n = (int)(intptr_t)arg;
	char c;

	step_add(&arrived, 1);
	switch (n % 4) {
	case 0:
		CHECK_EQ(read(pipe_fds[0], &c, 1), 0);
		break;
	case 1:
		CHECK_EQ(recv(sockets[0], &c, 1, 0), 0);
		break;
	case 2:
		CHECK_EQ(poll(&(struct pollfd){sockets[4], POLLIN, 0}, 1, -1), 1);
		break;
	case 3:
		CHECK(nanosleep(&t, NULL) == 0);
		CHECK_EQ(read(pipe_fds[0], &c, 1), 0);
		break;
	}
	if (n == 0) {
		printf("== in a thread\n");
		print_signals();
		print_fd_flags();
	}
	return NULL;
}

static void make_sockets(void)
{
	sockets[2] = tcp_listen(&at, 4);
	sockets[0] = tcp_connect(&at);
	sockets[1] = accept(sockets[2], NULL, NULL);
	unix_pair(SOCK_STREAM, sockets + 3);
	sockets[5] = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(pipe(pipe_fds) == 0);
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 1;
	pthread_t *threads = (pthread_t *)calloc(n + 1, sizeof(*threads));

	check_begin();
	make_sockets();
	print_all("before");
	threads_start(threads, n, wait_in_turn);
	step_wait(&arrived, n);
	let_block();
	print_all("while threads wait");
	fflush(stdout);
	CHECK(close(pipe_fds[1]) == 0);
	CHECK(shutdown(sockets[1], SHUT_WR) == 0);
	CHECK(shutdown(sockets[3], SHUT_WR) == 0);
	threads_join(threads, n);
	print_all("after");
	free(threads);
	return check_done();
}
