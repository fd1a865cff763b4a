/* age.c -- how long tasks have waited for descriptors */
#include <poll.h>
#include "fd/age.h"
#include "fd/fd.h"
#include "log.h"
#include "mem.h"
#include "pages.h"

/* What the monitor saw of an entry's list at its last sweep. */
struct age {
	struct fd_waiter *first;
	uint32_t since;		/* the same wait: an edge that concerns it not, such as that of a look, leaves it as old as it was */
	uint8_t sweeps;		/* at which the same wait was found again; AGED: it was looked at */
	bool due;		/* it was ready at the one before, while its hub slept */
};

#define AGED 2
static struct age *ages[FD_CHUNKS] ANEW;	/* the monitor's own, a row an entry; never freed */

static bool due(const struct fd *e, int number)
{
	struct pollfd p = {number, (short)(e->first->events & (POLLIN | POLLPRI | POLLOUT)), 0};

	return hub_asleep(e->hub) && sys_poll(&p, 1) > 0;
}

/* Returns whether the entry has a wait that has not been looked at. */
static bool grow_older(struct fd *e, int number)
{
	struct age **row = &ages[number / FD_CHUNK];

	if (!load_relaxed(&e->first))
		return false;
	if (!*row && !(*row = mem_get_anew(FD_CHUNK * sizeof(struct age))))
		return true;
	struct age *a = *row + number % FD_CHUNK;

	lock_take(&e->lock);
	bool waits = e->first && e->hub;

	if (!waits || a->first != e->first || a->since != e->first->since) {
		*a = (struct age){.first = e->first, .since = e->first ? e->first->since : 0};
	} else if (a->sweeps == AGED) {
		/* it has been looked at */
	} else if (++a->sweeps < AGED) {
		a->due = due(e, number);
	} else {
		if (a->due && due(e, number)) {	/* a tenth of a second long */
			stat_shared(rearms_helped, 1);
			LOG(DEBUG, "weft: a wait for descriptor %d had missed an event\n", number);
		}
		fd_rearm(e, number);
	}
	bool young = waits && a->sweeps < AGED;

	lock_drop(&e->lock);
	return young;
}

bool age_sweep(void)
{
	bool young = false;

	for (unsigned n = 0; n < fd_end(); n += FD_CHUNK) {
		struct fd *chunk = fd_known(n) ? fd_get((int)n) : NULL;

		for (unsigned i = 0; chunk && i < FD_CHUNK; i++)
			young |= grow_older(&chunk[i], (int)(n + i));
	}
	return young;
}
