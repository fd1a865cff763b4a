/* address.h -- where a server listens, as a user writes it
 *
 * `tcp:HOST:PORT' or `HOST:PORT', with `[...]' around an IPv6 HOST; `tcp:PORT' or `PORT' on
 * 127.0.0.1; `unix:PATH'. A name may stand for several addresses: the first one is current, and
 * address_next goes on to the next.
 *
 * Threads: one.    Errors: a line on standard error and an exit status, as cli.h has them.
 * Memory:  what the resolver gave is kept until the process ends.
 */
#ifndef CLI_LOAD_ADDRESS_H
#define CLI_LOAD_ADDRESS_H

#include <netdb.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

struct address {
	const char *text;	     /* as it was written */
	const char *host;	     /* HOST:PORT for HTTP */
	const struct sockaddr *name; /* current, of `size' bytes */
	socklen_t size;
	const struct addrinfo *rest; /* from the current one on; NULL for a path */
	struct sockaddr_un path;
};

/* address_read -- what `text' stands for; it must outlive `a'. Returns 0 or an exit status. */
int address_read(struct address *a, const char *text);

/* address_next -- make the next address the current one. Returns false when there is none. */
bool address_next(struct address *a);

#endif
