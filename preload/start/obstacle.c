/* obstacle.c -- what stands in the way of activation, before anything is tried
 *
 * Tools that run the program's instructions themselves, or stop it at each system call and count what it does in between, know
 * threads from the kernel alone; sanitizers know the stacks of kernel threads alone. Each is asked in its own way, since
 * variables of the environment come and go: a debugger of the ordinary kind is none of them.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/auxv.h>
#include "conf.h"
#include "gate/confine.h"
#include "process/exec.h"
#include "start/obstacle.h"
#include "gate/user.h"

#define RR_PAGE	    0x70000000ul	/* rr maps its system calls there */
#define RR_PRESENCE 1008		/* and answers this one with 0 */

extern char __ehdr_start[] __attribute__((visibility("hidden")));
extern char etext[] __attribute__((visibility("hidden")));

/* How many kernel threads are there? The directory's entries but two. */
static int threads(void)
{
	char buf[512];
	long fd = sys_open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), got;
	int n = 0;

	if (fd == -EMFILE)
		return 0;
	if (fd < 0)
		return 1;	/* no /proc: writing text by it will be refused as well, and says so */
	while ((got = SYS(__NR_getdents64, fd, buf, sizeof buf)) > 0)
		for (long at = 0; at < got; at += *(uint16_t *)(buf + at + 16))
			n += buf[at + 19] != '.';
	sys_close((int)fd);
	return n;
}

/* A filter of system calls may end the process for an unknown one: that is made only where rr may be, and not under a filter. */
static bool under_rr(void)
{
	return user_readable((void *)RR_PAGE, 8) && (confine_filtered() || SYS(RR_PRESENCE) == 0);
}

/* Linked in as a whole, a sanitizer exports no name of its own, but stands before libc's and ours. */
static bool sanitizer(void)
{
	static const char *const names[] = {
		"__asan_init", "__tsan_init", "__msan_init", "__lsan_init", "__hwasan_init", "__memprof_init",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (dlsym(RTLD_DEFAULT, names[i]))
			return true;
	uintptr_t create = (uintptr_t)dlsym(RTLD_DEFAULT, "pthread_create"), start = (uintptr_t)__ehdr_start;

	return create - start >= (uintptr_t)etext - start && exec_kind("/proc/self/exe") == ELFKIND_SANITIZED;
}

const char *obstacle(void)
{
	if (conf.disable)
		return "WEFT_DISABLE";
	if (getauxval(AT_SECURE))
		return "raised privileges";
	if (arch_under_valgrind() && !conf.force)
		return "valgrind runs it";
	if (under_rr())
		return "rr records it";
	if (sanitizer())
		return "a sanitizer is linked";
	int n = threads();

	if (n != 1)
		return n ? "threads were alive before activation" : "no descriptors";
	return NULL;
}
