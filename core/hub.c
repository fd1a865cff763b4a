/* hub.c -- a scheduler: run queue, inbox, timers, one epoll set */
#include <fcntl.h>
#include <sys/resource.h>
#include "hub.h"
#include "log.h"
#include "sys.h"


struct hub hubs[HUB_MOST];
uint32_t hubs_running, hubs_wanted;
uint64_t hubs_sleeping;
void (*hub_on_events)(struct hub *, const struct epoll_event *, unsigned);
void (*hub_on_signal)(struct hub *);
uint32_t hub_unwatched, hub_signals;
void (*hub_on_busy)(void);

static int open_descriptors(struct hub *h)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u64 = HUB_OWN};
	long ep = SYS(__NR_epoll_create1, EPOLL_CLOEXEC), efd;

	if (ep < 0)
		return (int)ep;
	efd = SYS(__NR_eventfd2, 0, O_CLOEXEC | O_NONBLOCK);
	if (efd < 0) {
		sys_close((int)ep);
		return (int)efd;
	}
	h->epfd = sys_dup_high((int)ep);
	h->evfd = sys_dup_high((int)efd);
	int r = (int)sys_epoll_ctl(h->epfd, EPOLL_CTL_ADD, h->evfd, &ev);

	if (r < 0) {
		sys_close(h->epfd);
		sys_close(h->evfd);
	}
	return r;
}

int hub_init(unsigned i)
{
	struct hub *h = &hubs[i];

	memset(h, 0, sizeof *h);
	h->index = i;
	h->queue_end = &h->queue;
	h->hogs_end = &h->hogs;
	h->budget = HUB_BUDGET;
	h->count = stat_page->count[i];
	h->timer_first = FOREVER;
	h->epfd = h->evfd = -1;
	return open_descriptors(h);
}

void hub_interrupt(struct hub *h)
{
	uint64_t one = 1;

	sys_write(h->evfd, &one, sizeof one);
}

void hub_kick(struct hub *h)
{
	uint64_t one = 1;

	if (load_seq(&h->sleeping) && exchange(&h->sleeping, 0))
		sys_write(h->evfd, &one, sizeof one);
}

void hub_push(struct hub *h, struct task *t)
{
	struct task *top = load_relaxed(&h->inbox);

	do
		t->next = top;
	while (!__atomic_compare_exchange_n(&h->inbox, &top, t, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
	hub_kick(h);
}

void hub_collect(struct hub *h)
{
	struct task *t, *next, *first = NULL;

	if (!load_relaxed(&h->inbox))
		return;
	for (t = exchange(&h->inbox, NULL); t; t = next) {	/* it was a stack: reverse it */
		next = t->next;
		t->next = first;
		first = t;
	}
	for (t = first; t; t = next) {
		next = t->next;
		hub_enqueue(h, t);
	}
}

bool hub_owns_fd(int fd)
{
	for (uint32_t i = 0; i < load_relaxed(&hubs_running); i++)
		if (fd == hubs[i].epfd || fd == hubs[i].evfd)
			return true;
	return false;
}

int hub_next_fd(unsigned from)
{
	unsigned least = UINT32_MAX;

	for (uint32_t i = 0; i < load_relaxed(&hubs_running); i++) {
		unsigned a = (unsigned)hubs[i].epfd, b = (unsigned)hubs[i].evfd;

		if (a >= from && a < least)
			least = a;
		if (b >= from && b < least)
			least = b;
	}
	return (int)least;
}

static int move(int *fd, long least)
{
	int n = (int)sys_fcntl(*fd, F_DUPFD_CLOEXEC, least);

	if (n < 0)
		return n;
	int old = *fd;

	store_relaxed(fd, n);
	sys_close(old);
	return 0;
}

bool hub_leave_range(void)
{
	struct rlimit was, raised;
	uint32_t n = load_relaxed(&hubs_running);
	bool any = false;

	SYS(__NR_prlimit64, 0, RLIMIT_NOFILE, NULL, &was);
	raised = was;
	raised.rlim_cur += 2 * n + 8;
	if (raised.rlim_max < raised.rlim_cur)
		raised.rlim_max = raised.rlim_cur;	/* for the privileged */
	if (SYS(__NR_prlimit64, 0, RLIMIT_NOFILE, &raised, NULL) < 0)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		if ((unsigned)hubs[i].epfd < was.rlim_cur)
			any |= move(&hubs[i].epfd, (long)was.rlim_cur) == 0;
		if ((unsigned)hubs[i].evfd < was.rlim_cur)
			any |= move(&hubs[i].evfd, (long)was.rlim_cur) == 0;
	}
	SYS(__NR_prlimit64, 0, RLIMIT_NOFILE, &was, NULL);
	return any;
}

int hub_move_fd(int fd)
{
	for (uint32_t i = 0; i < load_relaxed(&hubs_running); i++) {
		int *ours = fd == hubs[i].epfd ? &hubs[i].epfd : fd == hubs[i].evfd ? &hubs[i].evfd : NULL;

		if (ours && move(ours, fd + 1) < 0)	/* upwards, out of the way of what fills the range from below */
			return hub_leave_range() ? 0 : -EMFILE;
	}
	return 0;
}
