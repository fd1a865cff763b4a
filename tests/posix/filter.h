/* filter.h -- filters of system calls (seccomp) that a test sets for itself */
#ifndef FILTER_H
#define FILTER_H

#include "check.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#define FILTER_LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))

/* For the calling thread; with SECCOMP_FILTER_FLAG_TSYNC in flags for all. */
__attribute__((unused)) static void filter_set(struct sock_filter *rows, unsigned short n, unsigned flags)
{
	struct sock_fprog filter = {n, rows};

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	if (flags)
		CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter) == 0);
	else
		CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
}

/* A program that was started without arguments sets a filter and starts itself anew, with one. */
__attribute__((unused)) static void filter_from_start(int argc, char **argv, void (*set)(void))
{
	char *again[] = {argv[0], (char *)"filtered", NULL};

	if (argc > 1)
		return;
	set();
	execv("/proc/self/exe", again);
	CHECK(!"started anew");
}

#endif
