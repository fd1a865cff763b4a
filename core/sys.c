/* sys.c -- small compositions of system calls */
#include "sys.h"

void *sys_map(size_t n)
{
	long p = sys_mmap(NULL, page_up(n), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p < 0 && p > -4096 ? NULL : (void *)p;
}
