/* echo.c -- messages that come back
 *
 * A message is a slice of one pool of random bytes, and the next request's slice begins elsewhere:
 * no byte stands where it stood before but by chance, an answer that belongs to another request is
 * seen, and nothing has to be composed. The slices of 262 144 requests in a row begin at different
 * places; neighbours overlap, so that what the checks read stays in the cache.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "load/connection.h"

#define STARTS (1u << 18) /* places at which a slice may begin */
#define STRIDE 97 /* bytes from one request's to the next one's; odd, so that all are used */

static char *pool;
static size_t size;

static void echo_ask(struct connection *c)
{
	c->message = pool + c->number * STRIDE % STARTS;
	c->out = c->message;
	c->left = size;
	c->got = 0;
	c->last = false;
}

static enum take echo_take(struct connection *c, const char *bytes, size_t n)
{
	size_t i = 0;

	if (n <= size - c->got && !memcmp(bytes, c->message + c->got, n)) {
		c->got += n;
		return c->got == size ? TAKE_WHOLE : TAKE_MORE;
	}
	while (i < n && c->got + i < size && bytes[i] == c->message[c->got + i])
		i++;
	c->failure = FAILURE_wrong;
	if (c->got + i < size)
		tally_describe(FAILURE_wrong, "request %" PRIu64 ": byte %zu is %02x, not %02x",
			       c->number, c->got + i, (unsigned char)bytes[i],
			       (unsigned char)c->message[c->got + i]);
	else
		tally_describe(FAILURE_wrong,
			       "request %" PRIu64 ": more than its %zu bytes came back", c->number,
			       size);
	return TAKE_BROKEN;
}

static enum take echo_hung_up(struct connection *c)
{
	c->failure = FAILURE_short;
	tally_describe(FAILURE_short, "request %" PRIu64 ": hung up after %zu of %zu bytes",
		       c->number, c->got, size);
	return TAKE_BROKEN;
}

const struct protocol *echo_protocol(size_t bytes)
{
	static const struct protocol protocol = {echo_ask, echo_take, echo_hung_up, false};
	uint64_t state = 0x9e3779b97f4a7c15;

	size = bytes;
	pool = malloc(STARTS + size);
	for (size_t i = 0; pool && i < STARTS + size; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		pool[i] = (char)(state >> 32);
	}
	return pool ? &protocol : NULL;
}
