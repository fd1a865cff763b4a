/* credential.c -- ids and groups of the process, on every kernel thread of ours */
#include <dlfcn.h>
#include <linux/capability.h>
#include "process/credential.h"
#include "gate/bound.h"
#include "log.h"
#include "monitor.h"
#include "elf/object.h"
#include "offload.h"
#include "pages.h"

#define GROUPS	     65536	/* the kernel's NGROUPS_MAX */
#define SYSCALL_SIZE 64		/* bytes of libc's syscall() */
#define PATIENCE     100	/* looks before the caller sleeps between two */
#define NAP_NS	     50000ll
#define POKE_EACH    64		/* looks between two pokes */

struct ids {
	uint32_t user[3], group[3], file_user, file_group;
	struct __user_cap_data_struct cap[2];
};

static struct lock lock ANEW;		/* of a change, from its call until all have made it */
static struct {
	uint32_t begun, done;		/* atomic: the same when what follows is of that change */
	bool grouped;			/* the program has set groups */
	struct ids ids;
	int group_count;
} state ANEW;
static uint32_t *groups;		/* GROUPS of them, the state's where `grouped'; made by the first change, never freed */
static struct {
	long nr, arg[3];
} change ANEW;				/* the last one; under lock, and read by those who are waited for */
static uintptr_t raw;			/* libc's syscall() */
static struct {
	uintptr_t low, high;
} libc[3];				/* the text of its parts: before 2.34 libpthread changes ids */

/* -- what a thread has, and what it takes on -- */

static void read_ids(struct ids *i)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};

	memset(i, 0, sizeof *i);
	SYS(__NR_getresuid, &i->user[0], &i->user[1], &i->user[2]);
	SYS(__NR_getresgid, &i->group[0], &i->group[1], &i->group[2]);
	i->file_user = (uint32_t)SYS(__NR_setfsuid, -1);
	i->file_group = (uint32_t)SYS(__NR_setfsgid, -1);
	SYS(__NR_capget, &head, i->cap);
}

/* What it has beyond the state: nothing else can be taken on without the right to. */
static void lower_capabilities(const struct ids *want, struct ids *have)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};

	if (!memcmp(have->cap, want->cap, sizeof have->cap))
		return;
	for (int i = 0; i < 2; i++) {
		have->cap[i].effective &= want->cap[i].effective;
		have->cap[i].permitted &= want->cap[i].permitted;
		have->cap[i].inheritable &= want->cap[i].inheritable;
	}
	SYS(__NR_capset, &head, have->cap);
}

static void __attribute__((noreturn, cold)) cannot_follow(void)
{
	log_always("weft: a kernel thread cannot take on the credentials of the process\n");
	SYS(__NR_kill, sys_getpid(), SIGABRT);
	SYS(__NR_exit_group, 134);
	__builtin_unreachable();
}

static bool same_groups(int n)
{
	size_t size = ((size_t)n + 1) * sizeof groups[0];
	uint32_t *have = sys_map(size);
	bool same = have && SYS(__NR_getgroups, n, have) == n && !memcmp(have, groups, (size_t)n * sizeof groups[0]);

	if (have)
		sys_munmap(have, size);
	return same;
}

/* Groups come first: they want rights that the ids may take away. A thread that may not set them has them already. */
static bool take_groups(int n)
{
	return SYS(__NR_setgroups, n, groups) == 0 || same_groups(n);
}

static void take_ids(const struct ids *want)
{
	struct ids have;

	read_ids(&have);
	if (memcmp(have.group, want->group, sizeof have.group))
		SYS(__NR_setresgid, want->group[0], want->group[1], want->group[2]);
	SYS(__NR_setfsgid, want->file_group);
	if (memcmp(have.user, want->user, sizeof have.user))
		SYS(__NR_setresuid, want->user[0], want->user[1], want->user[2]);
	SYS(__NR_setfsuid, want->file_user);
	read_ids(&have);
	lower_capabilities(want, &have);
	if (memcmp(have.group, want->group, sizeof have.group) || memcmp(have.user, want->user, sizeof have.user) ||
	    have.file_user != want->file_user || have.file_group != want->file_group)
		cannot_follow();
}

/* -- one change -- */

static long make(void)
{
	return SYS(change.nr, change.arg[0], change.nr == __NR_setgroups ? (long)groups : change.arg[1], change.arg[2]);
}

/* By one that has made it, and is not bound. */
static void note(uint32_t now)
{
	read_ids(&state.ids);
	state.grouped |= change.nr == __NR_setgroups;
	if (state.grouped)
		state.group_count = (int)SYS(__NR_getgroups, GROUPS, groups);
	store_seq(&state.done, now);
}

/* Whole, and of the change `now': false when another one has begun. */
static bool take(uint32_t now)
{
	if (load_seq(&state.begun) != now || load_seq(&state.done) != now)
		return false;
	struct ids ids = state.ids;
	bool fine = !state.grouped || take_groups(state.group_count);

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (load_seq(&state.begun) != now)
		return false;
	if (!fine)
		cannot_follow();
	take_ids(&ids);
	return true;
}

/* The caller of the change was bound: one of the others makes it for them. */
static bool first_of_others(uint32_t generation, uint32_t now)
{
	return generation == now - 1 && load_seq(&state.done) == generation && cas(&state.begun, generation, now);
}

static void follow(uint32_t *generation)
{
	for (unsigned n = 0;; n++) {
		uint32_t now = load_seq(&carrier_generation);

		if (first_of_others(load_relaxed(generation), now)) {
			if (make() < 0)
				cannot_follow();
			note(now);
		} else if (!take(now)) {
			lock_pause(n);
			continue;
		}
		store_seq(generation, now);
		if (load_seq(&carrier_generation) == now)
			return;
	}
}

/* With all signals blocked. */
static void catch_up(uint32_t *generation, bool bound)
{
	uint32_t now = load_seq(&carrier_generation);

	if (!bound) {
		follow(generation);
	} else {
		if (make() < 0)
			cannot_follow();
		store_seq(generation, now);
	}
}

/* -- the call -- */

static bool all_have(const struct carrier *me, uint32_t now, bool poke)
{
	bool all = carrier_ask(me, now, poke);

	all &= monitor_ask(now, poke);
	all &= offload_ask(now, poke);
	return all;
}

static void spread(const struct carrier *me, uint32_t now)
{
	const struct __kernel_timespec nap = {0, NAP_NS};

	for (unsigned n = 0, twice = 0; twice < 2; n++) {
		twice = all_have(me, now, n % POKE_EACH == 0) ? twice + 1 : 0;
		if (!twice && n < PATIENCE)
			SYS(__NR_sched_yield);
		else if (!twice)
			SYS(__NR_nanosleep, &nap, NULL);
	}
}

/* The hub may go on elsewhere while others are waited for, who may be in calls that take long. */
static long change_all(struct task *t, struct arch_frame *f)
{
	struct carrier *c = t->carrier;
	uint32_t now = load_relaxed(&carrier_generation) + 1;

	if (f->nr == __NR_setgroups && !groups && !(groups = sys_map(GROUPS * sizeof *groups)))
		return -ENOMEM;
	long r = SYS(f->nr, ARG1(f), ARG2(f), ARG3(f));

	if (r)
		return r;
	change.nr = (long)f->nr;
	change.arg[0] = (long)ARG1(f), change.arg[1] = (long)ARG2(f), change.arg[2] = (long)ARG3(f);
	if (!t->bound) {
		store_seq(&state.begun, now);
		note(now);
	} else if (f->nr == __NR_setgroups) {
		SYS(__NR_getgroups, GROUPS, groups);
	}
	store_seq(&c->generation, now);
	store_seq(&carrier_generation, now);
	spread(c, now);
	return 0;
}

/* For one thread alone? */
static bool is_raw(const struct arch_frame *f)
{
	uintptr_t pc = arch_frame_pc(f);

	if (pc - raw < SYSCALL_SIZE)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(libc); i++)
		if (pc - libc[i].low < libc[i].high - libc[i].low)
			return false;
	return true;
}

long credential_change(struct task *t, struct arch_frame *f)
{
	if (is_raw(f))
		return bound_make(t);
	if (!load_seq(&carrier_others))
		return GATE_NATIVE;
	while (!lock_try(&lock))
		sched_yield_task(t);
	sched_native_begin(t);
	long r = change_all(t, f);

	lock_drop(&lock);
	sched_native_end(t);
	return r;
}

static int find_libc(const struct object *o, void *count)
{
	size_t *n = count;

	if (*n < ARRAY_SIZE(libc) && object_is_libc(o) && object_text(o, &libc[*n].low, &libc[*n].high))
		++*n;
	return 0;
}

void credential_init(void)
{
	size_t parts = 0;

	raw = (uintptr_t)dlsym(RTLD_NEXT, "syscall");	/* not the one that start/trigger.c stands for */
	object_each(find_libc, &parts);
	carrier_catch_up = catch_up;
}
