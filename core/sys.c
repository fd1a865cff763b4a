/* sys.c -- small compositions of system calls */
#include <fcntl.h>
#include "sys.h"

int sys_dup_high(int fd)
{
	struct { uint64_t soft, hard; } limit = {1024, 1024};
	int n = -EMFILE, least;

	/* Below 1024, so that fork does not copy a larger table; near its top, away from the program's. */
	SYS(__NR_prlimit64, 0, 7 /* RLIMIT_NOFILE */, NULL, &limit);
	least = limit.soft > 1024 ? 1000 : (int)limit.soft - 1;
	for (; least > fd && n < 0; least--)
		n = (int)sys_fcntl(fd, F_DUPFD_CLOEXEC, least);
	if (n < 0)
		return fd;
	sys_close(fd);
	return n;
}

void *sys_map(size_t n)
{
	long p = sys_mmap(NULL, page_up(n), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p < 0 && p > -4096 ? NULL : (void *)p;
}
