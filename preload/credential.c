/* credential.c -- ids and groups of the process, on every kernel thread of ours */
#include <dlfcn.h>
#include "credential.h"
#include "bound.h"
#include "pages.h"

#define CHANGES	     64		/* who has missed more makes the last ones */
#define GROUPS	     128
#define SYSCALL_SIZE 64		/* bytes of libc's syscall() */

static struct change {
	long nr, arg[3];
	uint32_t groups[GROUPS];
} changes[CHANGES] SPARSE;	/* under lock */
static struct lock lock ANEW;
static uintptr_t raw;		/* libc's syscall() */

static long make(const struct change *c)
{
	return SYS(c->nr, c->arg[0], c->nr == __NR_setgroups ? (long)c->groups : c->arg[1], c->arg[2]);
}

/* Make all changes behind the thread's generation. */
static void catch_up(uint32_t *generation)
{
	lock_take(&lock);
	uint32_t now = load_relaxed(&carrier_generation);

	if (now - *generation > CHANGES)
		*generation = now - CHANGES;
	while (*generation != now)
		make(&changes[(*generation)++ % CHANGES]);
	lock_drop(&lock);
}

void credential_init(void)
{
	raw = (uintptr_t)dlsym(RTLD_NEXT, "syscall");	/* not the one that load.c stands for */
	carrier_catch_up = catch_up;
}

long credential_change(struct task *t, struct arch_frame *f)
{
	struct change c = {.nr = (long)f->nr, .arg = {(long)ARG1(f), (long)ARG2(f), (long)ARG3(f)}};

	if (arch_frame_pc(f) - raw < SYSCALL_SIZE)
		return bound_make(t);
	if (c.nr == __NR_setgroups) {
		if (ARG1(f) > GROUPS || (ARG1(f) && (!user_readable((void *)ARG2(f), 4) ||
						     !user_readable((uint32_t *)ARG2(f) + ARG1(f) - 1, 4))))
			return GATE_NATIVE;
		memcpy(c.groups, (void *)ARG2(f), ARG1(f) * sizeof c.groups[0]);
	}
	lock_take(&lock);
	long r = make(&c);

	if (r == 0) {
		uint32_t now = load_relaxed(&carrier_generation);

		changes[now % CHANGES] = c;
		t->carrier->generation = now + 1;
		store_release(&carrier_generation, now + 1);
	}
	lock_drop(&lock);
	return r;
}
