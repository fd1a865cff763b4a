/* connection.h -- one of the connections of a load, and the protocols that can be spoken on it
 *
 * A protocol knows bytes, not sockets: `ask' composes the next request, `take' is given what came
 * and says when the answer is whole, `hung_up' whether the end of the stream ends the answer. A
 * fault in the answer is left in `failure'; it is counted when the answer is whole, or at once when
 * nothing sensible can follow (TAKE_BROKEN).
 *
 * Threads: one.    Errors: 0 or -errno.
 * Memory:  the loop's; a protocol frees what it keeps for a connection when the next request
 * begins.
 */
#ifndef CLI_LOAD_CONNECTION_H
#define CLI_LOAD_CONNECTION_H

#include "load/address.h"
#include "load/tally.h"

enum connection_state {
	CONNECTION_CLOSED,  /* nothing is under way, and there is no socket */
	CONNECTION_RESTING, /* the same, after a failure; it will be tried again */
	CONNECTION_FREE,    /* nothing is under way */
	CONNECTION_DIALING, /* a request waits for the socket to be connected */
	CONNECTION_QUEUED,  /* the same, but the server's backlog was full: dial again */
	CONNECTION_BUSY,    /* a request is sent, its answer awaited */
	CONNECTION_ENDING,  /* the answer was whole, the server will hang up */
};

enum http_part {
	HTTP_HEAD,
	HTTP_BODY,	/* of a known length */
	HTTP_REST,	/* a body that ends with the connection */
	HTTP_SIZE,	/* of the next chunk */
	HTTP_EXTENSION, /* behind the size */
	HTTP_CHUNK,
	HTTP_EDGE, /* behind a chunk */
	HTTP_TRAILER,
	HTTP_WHOLE,
};

/* An answer of which a part has come. */
struct http_answer {
	enum http_part part;
	uint32_t line; /* bytes of a line of the chunks' frame so far */
	uint64_t left; /* bytes to come of a body or chunk */
	char *head;    /* a head that came in pieces */
	size_t size;   /* so much of it */
};

struct connection {
	int fd;
	enum connection_state state;
	bool inside;	      /* the request belongs to the window */
	bool last;	      /* the server ends the connection after this answer */
	enum failure failure; /* of the answer so far */
	int64_t start_ns;     /* of the request */
	int64_t free_ns;      /* since when it can take another */
	uint64_t number;      /* of the request in the run */
	const char *out;      /* what is to be sent yet */
	size_t left;
	size_t got; /* bytes of the answer's content */
	union {
		const char *message; /* echo */
		struct http_answer http;
	};
};

enum take { TAKE_MORE, TAKE_WHOLE, TAKE_BROKEN };

struct protocol {
	void (*ask)(struct connection *c);
	enum take (*take)(struct connection *c, const char *bytes, size_t n);
	enum take (*hung_up)(struct connection *c);
	bool hangs_up; /* a server may close idle connections */
};

/* echo_protocol -- messages of `bytes' bytes, each of which must come back. NULL: no memory. */
const struct protocol *echo_protocol(size_t bytes);

/* http_protocol -- GET `path'. NULL when there is no memory or `body', a file's name or NULL,
 * cannot be read; said on standard error. */
const struct protocol *http_protocol(const char *path, const char *host, const char *body);

/* connection_dial -- make a socket and connect it. Returns 0, -EINPROGRESS, -EAGAIN when the
 * server's backlog is full, or what failed. */
int connection_dial(struct connection *c, const struct address *to);

/* connection_dialed -- what has become of -EINPROGRESS. */
int connection_dialed(struct connection *c);

/* connection_send -- send what is left. Returns 0, -EAGAIN when the socket takes no more. */
int connection_send(struct connection *c);

/* connection_close -- close the socket, if there is one. */
void connection_close(struct connection *c);

#endif
