/* pool.c -- see pool.h */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "load/pool.h"

static char buffer[65536];

int64_t pool_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

int pool_init(struct pool *p, size_t count)
{
	p->set = epoll_create1(EPOLL_CLOEXEC);
	if (p->set < 0)
		return -errno;
	p->connections = calloc(count, sizeof *p->connections);
	if (!p->connections)
		return -ENOMEM;
	p->count = count;
	for (size_t i = 0; i < count; i++)
		p->connections[i].fd = -1;
	return 0;
}

/* lose -- the server has hung up while nothing was under way. */
static void lose(struct pool *p, struct connection *c)
{
	connection_close(c);
	if (p->strict || !p->protocol->hangs_up) {
		tally_describe(FAILURE_closed, "after request %" PRIu64, c->number);
		tally_fail(FAILURE_closed);
	}
}

/* end -- the request has ended, well or with c->failure. */
static void end(struct pool *p, struct connection *c)
{
	c->free_ns = pool_now();
	p->busy--;
	p->good += !c->failure;
	tally_end(c->failure, c->free_ns - c->start_ns, c->inside);
}

/* broken -- the request has failed, and the connection with it. Returns true, as the callers do. */
static bool broken(struct pool *p, struct connection *c, enum failure kind)
{
	c->failure = kind;
	connection_close(c);
	end(p, c);
	return true;
}

static bool fail(struct pool *p, struct connection *c, enum failure kind, int error)
{
	tally_describe(kind, "request %" PRIu64 ": %s", c->number, strerror(error));
	return broken(p, c, kind);
}

static bool send_rest(struct pool *p, struct connection *c)
{
	int error = connection_send(c);

	return error && error != -EAGAIN && fail(p, c, FAILURE_reset, -error);
}

static bool dial(struct pool *p, struct connection *c);

/* not_dialed -- no connection came about. The first request of all tries every address of the
 * server before that counts. */
static bool not_dialed(struct pool *p, struct connection *c, int error)
{
	bool refused = error == -ECONNREFUSED || error == -ENOENT;

	connection_close(c);
	if (!p->good && address_next(p->to))
		return dial(p, c);
	return fail(p, c, refused ? FAILURE_refused : FAILURE_connect, -error);
}

static bool dialed(struct pool *p, struct connection *c)
{
	tally.opened++;
	c->state = CONNECTION_BUSY;
	return send_rest(p, c);
}

static bool dial(struct pool *p, struct connection *c)
{
	struct epoll_event e = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.ptr = c}};
	int error = connection_dial(c, p->to);

	if (error == -EAGAIN) {
		c->state = CONNECTION_QUEUED;
		return false;
	}
	if (error && error != -EINPROGRESS)
		return not_dialed(p, c, error);
	if (epoll_ctl(p->set, EPOLL_CTL_ADD, c->fd, &e))
		return not_dialed(p, c, -errno);
	c->state = CONNECTION_DIALING;
	return !error && dialed(p, c);
}

bool pool_ask(struct pool *p, struct connection *c, int64_t start_ns, bool inside)
{
	c->start_ns = start_ns;
	c->inside = inside;
	c->failure = FAILURE_none;
	c->number = ++p->number;
	tally.started += inside;
	p->busy++;
	p->protocol->ask(c);
	if (c->fd < 0)
		return dial(p, c);
	c->state = CONNECTION_BUSY;
	return send_rest(p, c);
}

/* whole -- the answer is there. */
static bool whole(struct pool *p, struct connection *c, bool hung_up)
{
	end(p, c);
	c->state = c->last ? CONNECTION_ENDING : CONNECTION_FREE;
	if (hung_up || (c->last && p->strict))
		lose(p, c);
	return c->state != CONNECTION_ENDING;
}

/* ended -- the answer was whole before, and now the connection has gone, too. */
static bool ended(struct connection *c)
{
	connection_close(c);
	c->free_ns = pool_now();
	return true;
}

/* stream_ended -- by the server's hanging up, or by an error. */
static bool stream_ended(struct pool *p, struct connection *c, int error)
{
	if (c->state == CONNECTION_ENDING)
		return ended(c);
	if (c->state == CONNECTION_FREE) {
		lose(p, c);
		return false;
	}
	if (error)
		return fail(p, c, FAILURE_reset, error);
	if (p->protocol->hung_up(c) == TAKE_WHOLE)
		return whole(p, c, true);
	return broken(p, c, c->failure);
}

/* take -- n bytes have come. */
static bool take(struct pool *p, struct connection *c, size_t n, bool hung_up)
{
	tally.received += n;
	if (c->state == CONNECTION_ENDING)
		return false;
	if (c->state == CONNECTION_FREE) {
		tally_describe(FAILURE_wrong, "after request %" PRIu64 ": bytes nobody asked for",
			       c->number);
		tally_fail(FAILURE_wrong);
		connection_close(c);
		return false;
	}
	switch (p->protocol->take(c, buffer, n)) {
	case TAKE_MORE:
		return false;
	case TAKE_WHOLE:
		return whole(p, c, hung_up);
	default:
		return broken(p, c, c->failure);
	}
}

/* receive -- read until the socket is empty. A short read says that it is, unless the other side
 * has hung up, which is reported once only. */
static bool receive(struct pool *p, struct connection *c, bool hung_up)
{
	for (;;) {
		ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);

		if (n < 0 && errno == EAGAIN)
			return false;
		if (n <= 0)
			return stream_ended(p, c, n ? errno : 0);
		if (take(p, c, (size_t)n, hung_up))
			return true;
		if (c->fd < 0 || ((size_t)n < sizeof buffer && !hung_up))
			return false;
	}
}

bool pool_handle(struct pool *p, struct connection *c, uint32_t events)
{
	if (c->state == CONNECTION_DIALING) {
		int error = connection_dialed(c);

		if (error)
			return not_dialed(p, c, error);
		if (!(events & (EPOLLOUT | EPOLLHUP)))
			return false;
		if (dialed(p, c))
			return true;
	} else if (c->state == CONNECTION_BUSY && c->left && send_rest(p, c)) {
		return true;
	}
	if (!(events & ~(uint32_t)EPOLLOUT))
		return false;
	return receive(p, c, events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
}

bool pool_expire(struct pool *p, struct connection *c, int64_t now_ns)
{
	switch (c->state) {
	case CONNECTION_ENDING:
		return now_ns - c->free_ns > p->patience && ended(c);
	case CONNECTION_QUEUED:
	case CONNECTION_DIALING:
	case CONNECTION_BUSY:
		if (now_ns - c->start_ns > p->patience) {
			tally_describe(FAILURE_timeout, "request %" PRIu64 ": %zu bytes came",
				       c->number, c->got);
			return broken(p, c, FAILURE_timeout);
		}
		return c->state == CONNECTION_QUEUED && dial(p, c);
	default:
		return false;
	}
}
