/* pool.h -- the connections of a load, and the requests on them
 *
 * The pool knows what is under way on each connection and how it ends; when a request starts is its
 * user's affair. Two things are said by a result: that a request has ended and the connection can
 * take another, and nothing. What became of the request stands in the tally, and in c->failure.
 *
 * Threads: one.    Errors: as results say.    Memory: until the process ends.
 */
#ifndef CLI_LOAD_POOL_H
#define CLI_LOAD_POOL_H

#include "load/connection.h"

struct pool {
	const struct protocol *protocol;
	struct address *to;
	int set;	  /* epoll */
	bool strict;	  /* a server that hangs up on an idle connection fails */
	int64_t patience; /* ns; a request that takes longer has failed */
	struct connection *connections;
	size_t count;

	uint64_t number; /* of the last request */
	uint64_t good;	 /* answers */
	size_t busy;	 /* connections with a request under way */
};

/* pool_now -- CLOCK_MONOTONIC, ns */
int64_t pool_now(void);

/* pool_init -- `count' connections that are not open yet; the other fields are given. Returns 0 or
 * -errno. */
int pool_init(struct pool *p, size_t count);

/* pool_ask -- start a request, on a new connection if need be; its latency runs from start_ns.
 *
 * inside  it is one of the window
 * Returns whether it has failed at once.
 */
bool pool_ask(struct pool *p, struct connection *c, int64_t start_ns, bool inside);

/* pool_handle -- what epoll reported of a connection. Returns whether it can take a request now,
 * and could not before. */
bool pool_handle(struct pool *p, struct connection *c, uint32_t events);

/* pool_expire -- see to a connection's time limit. Returns like pool_handle. */
bool pool_expire(struct pool *p, struct connection *c, int64_t now_ns);

#endif
