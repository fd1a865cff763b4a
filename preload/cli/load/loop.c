/* loop.c -- see loop.h
 *
 * A run has phases. In the first one every connection is opened and asked once: a few at a time,
 * more with each answer, so that no backlog overflows, and the first one alone, so that a server
 * that is not there is seen at once. Then come warm-up, window and drain; or, for idle connections,
 * a hold and a probe, which asks each of them once more.
 *
 * In a closed loop the end of a request starts the connection's next one. In an open loop a request
 * that is due goes to the connection that has been free for longest; where none is free it waits,
 * and its latency runs. Arrivals for each connection alone were rejected: one slow answer would
 * hold up requests that another connection could have carried, and the load would depend on their
 * number.
 *
 * Time limits are looked at by a sweep over all connections, some twenty times a second: cheaper
 * than to keep them in order with each request. It also tries connections again that have failed.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli.h"
#include "load/pool.h"
#include "load/arrivals.h"
#include "load/loop.h"
#include "uapi.h"

#define EVENTS	     64	      /* at a time: a request that is due waits for no more than these */
#define SPARE_FILES  16	      /* descriptors that are no connections */
#define OPENING_MOST 64	      /* requests under way while connections are opened */
#define SWEEP_NS     50000000 /* at most; a tenth of the time limit when that is less */
#define NEVER	     ARRIVALS_NEVER

enum phase {
	PHASE_open,
	PHASE_warmup,
	PHASE_window,
	PHASE_drain,
	PHASE_hold,
	PHASE_probe,
	PHASE_end
};

static const char *const phase_names[] = {"open", "warmup", "window", "drain",
					  "hold", "probe",  "end"};

static struct pool pool;
static struct arrivals arrivals;

static struct {
	const struct loadplan *plan;
	int signals; /* signalfd */
	enum phase phase;
	int64_t until_ns; /* when it ends; NEVER: not by time */
	int64_t sweep_ns; /* the next sweep */

	/* open, probe */
	size_t next;   /* connection to be asked */
	uint64_t good; /* answers before the phase */

	/* open loop */
	int64_t window_ns;	  /* what is due from here on belongs to it */
	struct connection **ring; /* free connections, the one free for longest first */
	size_t ring_from, ring_size;
} loop;

static bool is_open_loop(void)
{
	return loop.plan->rate > 0;
}

/* sending -- may requests start? In the open loop the arrivals say which. */
static bool sending(void)
{
	if (loop.plan->requests && tally.started >= (uint64_t)loop.plan->requests)
		return false;
	return loop.phase == PHASE_warmup || loop.phase == PHASE_window ||
	       (loop.phase == PHASE_drain && is_open_loop());
}

/* enter -- begin a phase. Who reads of the last one on a pipe sees its end before the report, which
 * may be longer than a pipe holds. */
static void enter(enum phase phase, int64_t now_ns, int64_t until_ns)
{
	int fd = (int)loop.plan->phases;

	loop.phase = phase;
	loop.until_ns = until_ns;
	if (fd)
		dprintf(fd, "%s %lld\n", phase_names[phase], (long long)now_ns);
	if (phase == PHASE_end && fd > STDERR_FILENO)
		close(fd);
}

/* -- connections that can take a request ----------------------------------------------------- */

static void settle(struct connection *c)
{
	bool again = c->failure && c->fd < 0;

	if (loop.phase != PHASE_warmup && loop.phase != PHASE_window && loop.phase != PHASE_drain)
		return;
	if (is_open_loop())
		loop.ring[(loop.ring_from + loop.ring_size++) % pool.count] = c;
	else if (!again && sending())
		again = pool_ask(&pool, c, c->free_ns, loop.phase == PHASE_window);
	if (again && !is_open_loop())
		c->state = CONNECTION_RESTING;
}

static int64_t next_due(void)
{
	return sending() ? arrivals_next(&arrivals) : NEVER;
}

/* dispatch -- start what is due while there are free connections. */
static void dispatch(int64_t now_ns)
{
	uint64_t unsent;
	int64_t due;

	while (loop.ring_size && (due = next_due()) <= now_ns) {
		struct connection *c = loop.ring[loop.ring_from];
		int64_t could = c->free_ns > due ? c->free_ns : due;
		bool inside = due >= loop.window_ns;

		loop.ring_from = (loop.ring_from + 1) % pool.count;
		loop.ring_size--;
		arrivals.sent++;
		if (inside)
			histogram_add(&tally.late, pool_now() - could);
		if (pool_ask(&pool, c, due, inside))
			settle(c);
	}
	if (next_due() > now_ns)
		return;
	unsent = arrivals_count(&arrivals, now_ns) - arrivals.sent;
	if (unsent > tally.unsent_max)
		tally.unsent_max = unsent;
}

/* give_up -- requests that have waited for a free connection longer than an answer may take. */
static void give_up(int64_t now_ns)
{
	int64_t due;

	while ((due = next_due()) < now_ns - loop.plan->timeout) {
		bool inside = due >= loop.window_ns;

		arrivals.sent++;
		tally.started += inside;
		tally_describe(FAILURE_timeout, "no connection was free in time");
		tally_end(FAILURE_timeout, 0, inside);
	}
}

static void sweep(int64_t now_ns)
{
	int64_t each = loop.plan->timeout / 10;

	loop.sweep_ns = now_ns + (each < SWEEP_NS ? each : SWEEP_NS);
	for (struct connection *c = pool.connections; c < pool.connections + pool.count; c++) {
		if (c->state == CONNECTION_RESTING && sending()) {
			c->state = CONNECTION_CLOSED;
			if (pool_ask(&pool, c, now_ns, loop.phase == PHASE_window))
				c->state = CONNECTION_RESTING;
		} else if (pool_expire(&pool, c, now_ns)) {
			settle(c);
		}
	}
	if (is_open_loop())
		give_up(now_ns);
}

/* -- phases ---------------------------------------------------------------------------------- */

static void open_window(int64_t now_ns)
{
	tally_window(now_ns);
	enter(PHASE_window, now_ns, loop.plan->time ? now_ns + loop.plan->time : NEVER);
}

static void close_window(int64_t now_ns)
{
	tally_window(now_ns);
	if (!is_open_loop())
		return;
	tally.due = arrivals_count(&arrivals, now_ns) - arrivals_count(&arrivals, loop.window_ns);
	tally.unsent = arrivals_count(&arrivals, now_ns) - arrivals.sent;
}

/* start -- the connections stand: let the requests go. */
static void start(int64_t now_ns)
{
	const struct loadplan *plan = loop.plan;

	tally.begun = true;
	loop.window_ns = now_ns + plan->warmup;
	if (is_open_loop())
		arrivals = arrivals_of(plan->rate, now_ns, loop.window_ns, plan->time,
				       (uint64_t)plan->requests);
	if (plan->warmup)
		enter(PHASE_warmup, now_ns, loop.window_ns);
	else
		open_window(now_ns);
	for (struct connection *c = pool.connections; c < pool.connections + pool.count; c++) {
		c->free_ns = now_ns;
		if (c->state != CONNECTION_ENDING)
			settle(c);
	}
}

static void hold(int64_t now_ns)
{
	struct epoll_event e = {EPOLLIN, {.ptr = &loop.until_ns}};

	tally.begun = true;
	for (size_t i = 0; i < pool.count; i++)
		tally.held += pool.connections[i].state == CONNECTION_FREE;
	tally.held_ns = now_ns;
	/* What epoll does not take, a file or /dev/null, has come to its end already. */
	enter(PHASE_hold, now_ns,
	      epoll_ctl(pool.set, EPOLL_CTL_ADD, STDIN_FILENO, &e) ? now_ns : NEVER);
}

static void probe(int64_t now_ns)
{
	tally.held_ns = now_ns - tally.held_ns;
	epoll_ctl(pool.set, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
	loop.next = 0;
	loop.good = pool.good;
	enter(PHASE_probe, now_ns, NEVER);
}

/* room -- how many requests may be under way while all connections are asked in turn. A server that
 * lets one wait too long may let all the others wait at once. */
static size_t room(void)
{
	uint64_t good = pool.good - loop.good;

	if (tally.failures[FAILURE_timeout])
		return pool.count;
	return good < OPENING_MOST ? 1 + good : OPENING_MOST;
}

/* ask_all -- go on asking every connection once. Returns whether that is done; after a first
 * failure of all it is. */
static bool ask_all(int64_t now_ns)
{
	while (loop.next < pool.count && pool.busy < room() && (pool.good || !loop.next)) {
		struct connection *c = &pool.connections[loop.next++];

		if (loop.phase == PHASE_open || c->fd >= 0)
			pool_ask(&pool, c, now_ns, false);
	}
	return !pool.busy && (loop.next == pool.count || !pool.good);
}

/* advance -- go on to the next phase when this one is over. */
static void advance(int64_t now_ns)
{
	switch (loop.phase) {
	case PHASE_open:
		if (!ask_all(now_ns))
			return;
		if (!pool.good)
			enter(PHASE_end, now_ns, NEVER);
		else if (loop.plan->idle)
			hold(now_ns);
		else
			start(now_ns);
		return;
	case PHASE_warmup:
		if (now_ns >= loop.until_ns)
			open_window(now_ns);
		return;
	case PHASE_window:
		if (now_ns >= loop.until_ns || (!sending() && !pool.busy)) {
			close_window(now_ns);
			enter(PHASE_drain, now_ns, NEVER);
		}
		return;
	case PHASE_drain:
		if (!pool.busy && (!is_open_loop() || next_due() == NEVER))
			enter(PHASE_end, now_ns, NEVER);
		return;
	case PHASE_hold:
		if (now_ns >= loop.until_ns)
			probe(now_ns);
		return;
	case PHASE_probe:
		if (ask_all(now_ns))
			enter(PHASE_end, now_ns, NEVER);
		return;
	case PHASE_end:
		return;
	}
}

static void stop_signals(sigset_t *signals)
{
	sigemptyset(signals);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGTERM);
}

/* interrupted -- a signal ends a hold, and everything else at once. A second one ends the process.
 */
static void interrupted(int64_t now_ns)
{
	struct signalfd_siginfo taken;
	sigset_t signals;

	if (read(loop.signals, &taken, sizeof taken) != sizeof taken)
		return;
	stop_signals(&signals);
	sigprocmask(SIG_UNBLOCK, &signals, NULL);
	close(loop.signals);
	if (loop.phase == PHASE_hold) {
		loop.until_ns = now_ns;
	} else {
		if (loop.phase == PHASE_window)
			close_window(now_ns);
		tally.interrupted = true;
		enter(PHASE_end, now_ns, NEVER);
	}
}

static void read_input(int64_t now_ns)
{
	char ignored[4096];

	if (read(STDIN_FILENO, ignored, sizeof ignored) <= 0)
		loop.until_ns = now_ns;
}

/* wait -- for events, until something is to be done by the clock. */
static int wait(struct epoll_event *events)
{
	int64_t until = loop.sweep_ns < loop.until_ns ? loop.sweep_ns : loop.until_ns;
	int64_t ns = pool_now();
	struct timespec t;

	if (is_open_loop() && loop.ring_size && next_due() < until)
		until = next_due();
	ns = until > ns ? until - ns : 0;
	t = (struct timespec){ns / 1000000000, ns % 1000000000};
	return (int)syscall(__NR_epoll_pwait2, pool.set, events, EVENTS, &t, NULL, 0ul);	/* libc has it since 2.35 */
}

/* turn -- do what is due, then wait for events and see to them: first all that came is read, then
 * the next requests go. The kernel's ways to receive and to send are long, and to go each of them
 * many times in a row costs 5 % less than to alternate. Returns 0 or -errno. */
static int turn(void)
{
	struct connection *ended[EVENTS];
	struct epoll_event events[EVENTS];
	int64_t now_ns = pool_now();
	int n, count = 0;

	advance(now_ns);
	if (now_ns >= loop.sweep_ns)
		sweep(now_ns);
	if (is_open_loop())
		dispatch(now_ns);
	n = wait(events);
	if (n < 0 && errno != EINTR)
		return -errno;
	for (int i = 0; i < n && loop.phase != PHASE_end; i++) {
		if (events[i].data.ptr == &loop.signals)
			interrupted(pool_now());
		else if (events[i].data.ptr == &loop.until_ns)
			read_input(pool_now());
		else if (pool_handle(&pool, events[i].data.ptr, events[i].events))
			ended[count++] = events[i].data.ptr;
	}
	for (int i = 0; i < count; i++)
		settle(ended[i]);
	return 0;
}

/* allow_files -- room for so many descriptors, as far as the limits can be raised. */
static int allow_files(size_t count)
{
	rlim_t needed = count + SPARE_FILES;
	struct rlimit files;

	getrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_cur >= needed)
		return 0;
	files.rlim_cur = needed;
	if (files.rlim_max < needed)
		files.rlim_max = needed;
	if (setrlimit(RLIMIT_NOFILE, &files) == 0)
		return 0;
	getrlimit(RLIMIT_NOFILE, &files);
	return cli_fail(CLI_USAGE, "%zu connections need %zu descriptors; the limit is %zu", count,
			(size_t)needed, (size_t)files.rlim_max);
}

static int watch_signals(void)
{
	struct epoll_event e = {EPOLLIN, {.ptr = &loop.signals}};
	sigset_t signals;

	stop_signals(&signals);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	loop.signals = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	return loop.signals < 0 || epoll_ctl(pool.set, EPOLL_CTL_ADD, loop.signals, &e) ? -errno
											: 0;
}

int loop_run(const struct loadplan *plan, const struct protocol *protocol, struct address *to)
{
	size_t count = (size_t)(plan->idle ? plan->idle : plan->connections);
	int error = allow_files(count);

	if (error)
		return error;
	loop.plan = plan;
	pool = (struct pool){.protocol = protocol,
			     .to = to,
			     .strict = plan->idle > 0,
			     .patience = plan->timeout};
	error = pool_init(&pool, count);
	if (!error)
		error = watch_signals();
	loop.ring = calloc(count, sizeof *loop.ring);
	if (error || !loop.ring)
		return cli_fail(CLI_USAGE, "%s", strerror(error ? -error : ENOMEM));
	/* Timers fire when they are due, not up to 50 us later. */
	prctl(PR_SET_TIMERSLACK, 1);
	enter(PHASE_open, pool_now(), NEVER);
	while (loop.phase != PHASE_end && !error)
		error = turn();
	return error ? cli_fail(CLI_USAGE, "epoll_pwait2: %s", strerror(-error)) : 0;
}
