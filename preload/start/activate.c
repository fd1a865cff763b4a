/* activate.c -- the moment when sites are redirected and the first hub starts
 *
 * The order: look whether it can be done; plan all sites; write them (every call still goes to the kernel: gate_calls is zero);
 * make the calling thread the first task; open the gate. What fails before the gate opens leaves a process that works.
 */
#include <dlfcn.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include "start/activate.h"
#include "fd/age.h"
#include "clock.h"
#include "conf.h"
#include "gate/confine.h"
#include "process/credential.h"
#include "fd/fd.h"
#include "thread/futexcall.h"
#include "gate/gate.h"
#include "patch/sitecache.h"
#include "log.h"
#include "monitor.h"
#include "fd/fdtable.h"
#include "start/obstacle.h"
#include "patch/patch.h"
#include "signal/signal.h"
#include "patch/codewrite.h"
#include "thread/thread.h"

enum state { UNTRIED, BUSY, ACTIVE, NATIVE };

static uint32_t state;		/* atomic, enum state */

static bool native(const char *why)
{
	stat_why(why);
	LOG(INFO, "weft: runs natively: %s\n", why);
	return false;
}


/* What such a call changes we keep for each task: made past us it would change a carrier. Go's runtime has them. */
static bool sets_signals(int nr)
{
	return nr == __NR_rt_sigaction || nr == __NR_rt_sigprocmask || nr == __NR_sigaltstack;
}

/* Another site of another object that cannot be moved makes its calls natively: they block a carrier, which is handed on, and
 * what waits there is woken by the kernel. In libc it would leave threads half virtual. */
static bool site_needed(const struct site *s)
{
	bool left = s->form == SITE_LEFT;

	if (!s->sure || !gate_needed(s->nr))
		return false;
	futexcall_unseen |= left && s->careful;
	return !s->careful || (left && sets_signals(s->nr));
}

/* A number that has no handler passes the gate untouched. */
static bool site_useless(const struct site *s)
{
	return s->nr >= 0 && !gate_needed(s->nr);
}

static int plan_object(const struct object *o, void *arg)
{
	struct object copy = *o;

	copy.careful = !object_is_libc(o);
	copy.wanted = gate_needed;
	return patch_add(&copy, arg);
}

/* The loader's debug hook: an object was mapped (nobody runs it yet) or dropped. Under the loader's lock. */
static void objects_changed(void)
{
	const struct r_debug *d = object_debug();

	if (!d || d->r_state != RT_CONSISTENT || load_acquire(&state) != ACTIVE)
		return;
	const struct patch_rules rules = {site_needed, site_useless, false, 0};
	int r = patch_loaded(&rules, plan_object), left;

	if (r < 0)
		LOG(WARN, "weft: new objects are not redirected: %d\n", r);
	stat_page->count[STAT_HUBS][STAT_sites] = (uint64_t)patch_sites(&left);
	stat_page->count[STAT_HUBS][STAT_sites_left] = (uint64_t)left;
	stat_page->count[STAT_HUBS][STAT_sites_known] = (uint64_t)sitecache_count();
	sitecache_done();
}

/* Where the loader's debug hook can be made a jump: at a lone `ret' with padding behind it, which is room enough. Ubuntu's begins with
 * endbr64. 0 where it looks otherwise. */
static uintptr_t hook_place(void)
{
	static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
	uintptr_t at = object_r_brk();

	if (!at || at % 16)
		return 0;
	if (!memcmp((const void *)at, endbr64, sizeof endbr64))
		at += sizeof endbr64;
	return *(const uint8_t *)at == 0xc3 ? at : 0;
}

static void hook_loader(void)
{
	uintptr_t at = hook_place();
	int64_t distance = (int64_t)((uintptr_t)objects_changed - (at + 5));
	uint8_t jump[5] = {0xe9};
	int32_t rel = (int32_t)distance;

	memcpy(jump + 1, &rel, 4);
	if (!at || distance != rel || codewrite_write(at, jump, sizeof jump) < 0)
		LOG(WARN, "weft: the loader's debug hook cannot be written\n");
}

/* What the vdso cannot answer it asks the kernel, by its own instructions: the CPU clocks of threads. A plan of its own: where
 * the kernel does not let us write there, these clocks are the carriers'. */
static void redirect_vdso(void)
{
	const struct patch_rules rules = {0};
	struct object o;
	int r = object_vdso(&o);

	if (r < 0)
		return;
	patch_begin(&rules);
	r = patch_add(&o, NULL);
	if (r == 0)
		r = patch_write();
	else
		patch_cancel();
	if (r < 0)
		LOG(INFO, "weft: the vdso cannot be redirected: %d\n", r);
}

static int write_sites(void)
{
	const struct patch_rules rules = {site_needed, site_useless, true, hook_place()};
	int r = patch_loaded(&rules, plan_object), left;

	if (r < 0) {
		const char *object = NULL;
		const struct site *s = patch_refused(&object);

		native(s ? s->reason : "text cannot be written");
		return r;
	}
	redirect_vdso();
	stat_shared(sites, patch_sites(&left));
	stat_shared(sites_left, left);
	stat_shared(sites_known, sitecache_count());
	return 0;
}

static int redirect(void)
{
	codewrite_open();
	int r = write_sites();

	sitecache_done();
	if (r == 0)
		hook_loader();
	int closed = codewrite_close();

	if (r == 0 && closed < 0) {
		patch_undo();
		native("text cannot be replaced");
		return closed;
	}
	return r;
}

/* libc registered a restartable sequence for this kernel thread; its tasks inherit that it has none. */
static void drop_rseq(void)
{
	const ptrdiff_t *offset = dlsym(RTLD_DEFAULT, "__rseq_offset");
	const unsigned *size = dlsym(RTLD_DEFAULT, "__rseq_size");

	if (!offset || !size || !*size)
		return;
	char *area = (char *)arch_tcb() + *offset;

	if (SYS(__NR_rseq, area, 32, 1 /* UNREGISTER */, 0x53053053) == 0)
		*(volatile int *)(area + 4) = -2;	/* cpu_id: registration failed */
}

/* How many this process may use; and how large the kernel's sets are. */
static unsigned cpus(void)
{
	uint64_t mask[TASK_CPUS / 8] = {0};
	unsigned n = 0;
	long r = SYS(__NR_sched_getaffinity, 0, sizeof mask, mask);

	if (r > 0)
		task_affinity_size = (uint32_t)r;
	for (long i = 0; i < r / 8; i++)
		n += (unsigned)__builtin_popcountll(mask[i]);
	return n ? n : 1;
}

/* The stack of the process, as far as it may grow. */
static void find_stack(struct task *t)
{
	struct rlimit limit = {0};
	uintptr_t top = ((uintptr_t)getauxval(AT_EXECFN) | (PAGE - 1)) + 1;

	SYS(__NR_prlimit64, 0, RLIMIT_STACK, NULL, &limit);
	t->stack_size = limit.rlim_cur > 1ul << 30 ? 1ul << 30 : limit.rlim_cur;
	t->stack_lo = top - t->stack_size;
}

static bool first_task(void)
{
	struct task *t = task_new((uint32_t)sys_getpid());
	stack_t alt = {0};

	if (!t)
		return native("no memory");
	SYS(__NR_sigaltstack, NULL, &alt);
	if (!(alt.ss_flags & SS_DISABLE)) {
		t->sigalt_sp = (uintptr_t)alt.ss_sp;
		t->sigalt_size = alt.ss_size;
	}
	size_t n = sizeof(void *);
	void *head = NULL;

	SYS(__NR_get_robust_list, 0, &head, &n);
	t->robust = head;
	t->fs = arch_tcb();
	find_stack(t);
	hub_on_events = fd_events;
	monitor_on_sweep = age_sweep;
	poll_each = fd_each_waiting;
	own_kinds[OWN_LENT] = &fd_lent;
	hub_on_signal = signal_hand_out;
	sys_sigmask(SIG_SETMASK, NULL, &carrier_mask);
	fdtable_start();
	unsigned usable = cpus();

	if (sched_start(t, conf.hubs ? (unsigned)conf.hubs : usable) < 0) {
		task_free(t);
		return native("no descriptors for a hub");
	}
	drop_rseq();
	signal_init(t);
	thread_init(t);
	credential_init();
	process_id = (int)sys_getpid();
	arch_tcb_set_task(t->fs, t);
	store_relaxed(&t->carrier->depth, 0);
	return true;
}

static bool begin(void)
{
	const char *why = obstacle();
	int64_t start = clock_now();

	stat_forked();
	if (why)
		return native(why);
	clock_init(getauxval(AT_SYSINFO_EHDR));
	arch_has_fsgsbase = (getauxval(AT_HWCAP2) & 2) != 0;
	gate_init();
	if (redirect() < 0 || !first_task())
		return false;
	stat_page->mode = STAT_ACTIVE;
	stat_page->activation_ns = clock_now() - start;
	gate_calls = GATE_CALLS;
	LOG(INFO, "weft: active, %ld us\n", (long)(stat_page->activation_ns / 1000));
	return true;
}

/* The program may have used all numbers below its soft limit: ours find room above it then. Under a filter that forbids our
 * calls none is made. */
static bool attempt(void)
{
	struct rlimit limit;

	if (confine_stops(NULL))
		return native(confine_reason());
	bool raised = own_raise(&limit), ok = begin();

	if (raised)
		own_lower(&limit);
	return ok;
}

bool activate(void)
{
	uint32_t now = load_acquire(&state);

	if (likely(now == ACTIVE))
		return true;
	if (now != UNTRIED || !cas(&state, UNTRIED, BUSY))
		return false;
	bool ok = attempt();

	store_release(&state, ok ? ACTIVE : NATIVE);
	return ok;
}

bool activate_done(void)
{
	return load_acquire(&state) == ACTIVE;
}

bool activate_untried(void)
{
	return load_acquire(&state) == UNTRIED;
}

void activate_require(void)
{
	/* A program that allows itself certain calls alone is left alone: what it asked for is what it gets. */
	if (!conf.require || conf.disable || load_acquire(&state) == BUSY || confine_own())
		return;
	log_always("weft: WEFT_REQUIRE: cannot activate: %s\n", stat_page->why);
	SYS(__NR_kill, sys_getpid(), SIGABRT);
	SYS(__NR_exit_group, 134);
}
