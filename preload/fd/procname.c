/* procname.c -- files of /proc that speak of threads: the names of tasks */
#include <fcntl.h>
#include "fd/procname.h"
#include "fd/fdtable.h"
#include "gate/user.h"

#define PREFIX "/proc/self/task/"

/* The task id in "/proc/self/task/ID/comm"; 0 for every other path. */
static uint32_t comm_of(const char *path)
{
	const char *prefix = PREFIX;
	uint32_t tid = 0;

	while (*prefix && *path == *prefix) {
		path++;
		prefix++;
	}
	if (*prefix)
		return 0;
	for (; *path >= '0' && *path <= '9'; path++)
		tid = tid * 10 + (uint32_t)(*path - '0');
	return tid >= TASK_TID_FIRST && !memcmp(path, "/comm", 6) ? tid : 0;
}

static long open_comm(uint32_t tid, uint64_t flags)
{
	struct attempt a = fdtable_attempt();
	char line[17] = {0};
	long fd;

	lock_take(&task_lock);
	struct task *t = task_by_tid(tid);

	if (t)
		memcpy(line, t->name, 16);
	lock_drop(&task_lock);
	if (!t)
		return -ENOENT;
	do
		fd = SYS(__NR_memfd_create, "comm", flags & O_CLOEXEC ? 1 : 0);
	while (fdtable_again(&fd, &a));
	if (fd < 0)
		return fd;
	size_t n = strlen(line);

	line[n] = '\n';
	sys_pwrite((int)fd, line, n + 1, 0);
	fd_new((int)fd, FD_NAME, FD_OWN);
	if (fd_get((int)fd))
		fd_get((int)fd)->receive_ns = tid;
	return fd;
}

long procname_open(struct task *t, struct arch_frame *f)
{
	const char *path = (const char *)(f->nr == __NR_open || f->nr == __NR_creat ? ARG1(f) : ARG2(f));
	uint64_t flags = f->nr == __NR_open ? ARG2(f) : f->nr == __NR_openat ? ARG3(f) : 0;

	char name[48];

	/* The first bytes first: all other names cost no more than that. A longer one is none of ours. */
	if (f->nr != __NR_openat2 && user_copy(t, name, path, 2) == 0 && name[0] == '/' && name[1] == 'p') {
		long n = user_text(t, name, path, sizeof name);
		uint32_t tid = n >= 0 && n < (long)sizeof name - 1 ? comm_of(name) : 0;

		if (tid)
			return open_comm(tid, flags);
	}
	return fdtable_make(t, f);
}

long procname_write(struct transfer *x)
{
	long n = iov_bytes(x->task, x->iov, x->iov_count), r = -ESRCH;
	struct iovec first;
	char name[16] = {0};

	if (n < 0 || user_copy(x->task, &first, x->iov, sizeof first) < 0 ||
	    user_copy(x->task, name, first.iov_base, first.iov_len < 15 ? first.iov_len : 15) < 0)
		return -EFAULT;
	lock_take(&task_lock);
	struct task *t = task_by_tid((uint32_t)x->fd->receive_ns);

	if (t) {
		memcpy(t->name, name, sizeof t->name);
		r = n;
	}
	lock_drop(&task_lock);
	return r;
}
