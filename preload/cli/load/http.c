/* http.c -- GET by HTTP/1.1, kept alive
 *
 * Every body must be equal to a model: a file, or the first body, which comes while nothing else is
 * under way. An answer with another status or body is read to its end all the same, so that the
 * connection stays usable; one whose frame cannot be understood is not. Bodies are framed by
 * Content-Length, chunks, or the end of the connection; the last is what HTTP/1.0 servers do that
 * say nothing else.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli.h"
#include "load/connection.h"

#define HEAD_END    "\r\n\r\n"
#define HEAD_MOST   65536 /* bytes */
#define SIZE_DIGITS 15	  /* of a chunk */

static char *request;
static size_t request_size;
static struct {
	char *bytes;
	size_t size, room;
	bool whole; /* else it is being made of the first answer */
} model;

static void http_ask(struct connection *c)
{
	free(c->http.head);
	c->http = (struct http_answer){.part = HTTP_HEAD};
	c->out = request;
	c->left = request_size;
	c->got = 0;
	c->last = false;
}

/* fault -- the answer is not the one expected; of several faults the first one counts. */
static void fault(struct connection *c, enum failure kind)
{
	if (!c->failure)
		c->failure = kind;
}

/* broken -- the answer's frame cannot be understood. */
static enum take broken(struct connection *c, const char *why)
{
	tally_describe(FAILURE_wrong, "request %" PRIu64 ": %s", c->number, why);
	c->failure = FAILURE_wrong;
	return TAKE_BROKEN;
}

static bool learn(const char *bytes, size_t n)
{
	if (model.size + n > model.room) {
		size_t room = 2 * model.room + n;
		char *grown = realloc(model.bytes, room);

		if (!grown)
			return false;
		model.bytes = grown;
		model.room = room;
	}
	memcpy(model.bytes + model.size, bytes, n);
	model.size += n;
	return true;
}

/* compare -- n more bytes of the body have come. */
static void compare(struct connection *c, const char *bytes, size_t n)
{
	size_t at = c->got, i = 0;

	c->got += n;
	if (c->failure)
		return;
	if (!model.whole) {
		if (!learn(bytes, n)) {
			tally_describe(FAILURE_length,
				       "request %" PRIu64 ": no memory for its body", c->number);
			fault(c, FAILURE_length);
		}
		return;
	}
	if (n > model.size - at) {
		tally_describe(FAILURE_length, "request %" PRIu64 ": a body of more than %zu bytes",
			       c->number, model.size);
		fault(c, FAILURE_length);
	} else if (memcmp(bytes, model.bytes + at, n)) {
		while (bytes[i] == model.bytes[at + i])
			i++;
		tally_describe(FAILURE_wrong,
			       "request %" PRIu64 ": byte %zu of the body is %02x, not %02x",
			       c->number, at + i, (unsigned char)bytes[i],
			       (unsigned char)model.bytes[at + i]);
		fault(c, FAILURE_wrong);
	}
}

/* whole -- the answer has ended. */
static enum take whole(struct connection *c)
{
	c->http.part = HTTP_WHOLE;
	if (!model.whole) {
		if (c->failure)
			model.size = 0;
		model.whole = !c->failure;
	} else if (!c->failure && c->got != model.size) {
		tally_describe(FAILURE_length, "request %" PRIu64 ": a body of %zu bytes, not %zu",
			       c->number, c->got, model.size);
		fault(c, FAILURE_length);
	}
	return TAKE_WHOLE;
}

/* field -- the value of the header line at `line' when it has this name, else NULL. The line ends
 * with CR LF. */
static const char *field(const char *line, const char *name)
{
	size_t n = strlen(name);

	if (strncasecmp(line, name, n) || line[n] != ':')
		return NULL;
	line += n + 1;
	return line + strspn(line, " \t");
}

static bool has_word(const char *value, const char *word)
{
	size_t n = strlen(word);

	for (; *value != '\r'; value++)
		if (!strncasecmp(value, word, n))
			return true;
	return false;
}

/* read_fields -- what the header lines say of the frame. False for a length that is none. */
static bool read_fields(struct connection *c, const char *line, const char *end)
{
	bool chunked = false;
	const char *value;

	for (; line < end; line = strchr(line, '\n') + 1) {
		char first = *line | ' ';

		if (first == 'c' && (value = field(line, "content-length"))) {
			char *after;

			errno = 0;
			c->http.left = strtoull(value, &after, 10);
			if (*value < '0' || *value > '9' || errno ||
			    (*after != '\r' && *after != ' '))
				return false;
			c->http.part = HTTP_BODY;
		} else if (first == 't' && (value = field(line, "transfer-encoding"))) {
			chunked = has_word(value, "chunked");
		} else if (first == 'c' && (value = field(line, "connection"))) {
			if (has_word(value, "close"))
				c->last = true;
			else if (has_word(value, "keep-alive"))
				c->last = false;
		}
	}
	if (chunked) {
		c->http.part = HTTP_SIZE;
		c->http.left = 0;
	}
	return true;
}

/* read_head -- a head of n bytes, its empty line included, which ends every search in it. Sets the
 * part that comes next. */
static enum take read_head(struct connection *c, const char *head, size_t n)
{
	int status;

	if (memchr(head, 0, n) || strncmp(head, "HTTP/1.", 7) || strspn(head + 7, "01") != 1 ||
	    head[8] != ' ' || strspn(head + 9, "0123456789") != 3)
		return broken(c, "the answer is not HTTP/1.0 or 1.1");
	status = atoi(head + 9);
	tally.statuses[status]++;
	if (status >= 100 && status < 200)
		return TAKE_MORE;
	c->http.part = HTTP_REST;
	c->last = head[7] == '0';
	if (!read_fields(c, strchr(head, '\n') + 1, head + n - 2))
		return broken(c, "its Content-Length is no number");
	if (status == 204 || status == 304) {
		c->http.part = HTTP_BODY;
		c->http.left = 0;
	}
	c->last |= c->http.part == HTTP_REST;
	if (status != 200) {
		tally_describe(FAILURE_status, "request %" PRIu64 ": status %d", c->number, status);
		fault(c, FAILURE_status);
	}
	return c->http.part == HTTP_BODY && !c->http.left ? whole(c) : TAKE_MORE;
}

/* take_head -- find the head's end; *used is how many of the bytes belong to it. It is read where
 * it lies when it came in one piece. */
static enum take take_head(struct connection *c, const char *bytes, size_t n, size_t *used)
{
	struct http_answer *a = &c->http;
	const char *end = a->size ? NULL : memmem(bytes, n, HEAD_END, strlen(HEAD_END));
	size_t old = a->size;
	char *grown;

	if (end) {
		*used = (size_t)(end - bytes) + strlen(HEAD_END);
		return read_head(c, bytes, *used);
	}
	*used = n;
	grown = realloc(a->head, old + n);
	if (!grown)
		return broken(c, "no memory for its head");
	a->head = grown;
	memcpy(a->head + old, bytes, n);
	a->size = old + n;
	end = memmem(a->head, a->size, HEAD_END, strlen(HEAD_END));
	if (!end)
		return a->size < HEAD_MOST ? TAKE_MORE : broken(c, "its head is too long");
	n = (size_t)(end - a->head) + strlen(HEAD_END);
	*used = n - old;
	a->size = 0;
	return read_head(c, a->head, n);
}

/* take_size -- a byte of the line with the next chunk's size, which may have an extension behind a
 * `;'. */
static enum take take_size(struct connection *c, char byte)
{
	struct http_answer *a = &c->http;
	int digit = byte >= '0' && byte <= '9'		       ? byte - '0'
		    : (byte | 32) >= 'a' && (byte | 32) <= 'f' ? (byte | 32) - 'a' + 10
							       : -1;

	if (a->part == HTTP_SIZE && digit >= 0 && a->line++ < SIZE_DIGITS) {
		a->left = a->left << 4 | (uint64_t)digit;
	} else if (a->part == HTTP_SIZE &&
		   (digit >= 0 || !a->line || !memchr("; \t\r\n", byte, 5))) {
		return broken(c, "a chunk's size is no number");
	} else if (byte == '\n') {
		a->line = 0;
		a->part = a->left ? HTTP_CHUNK : HTTP_TRAILER;
	} else {
		a->part = HTTP_EXTENSION;
	}
	return TAKE_MORE;
}

/* take_edge -- a byte of the line's end behind a chunk. */
static enum take take_edge(struct connection *c, char byte)
{
	struct http_answer *a = &c->http;

	if (byte != "\r\n"[a->line])
		return broken(c, "a chunk is longer than its size");
	if (a->line++) {
		a->line = 0;
		a->part = HTTP_SIZE;
	}
	return TAKE_MORE;
}

/* take_trailer -- a byte of the lines behind the last chunk, which end with an empty one. */
static enum take take_trailer(struct connection *c, char byte)
{
	struct http_answer *a = &c->http;

	if (byte == '\n' && !a->line)
		return whole(c);
	if (byte == '\n')
		a->line = 0;
	else
		a->line += byte != '\r';
	return TAKE_MORE;
}

/* take_part -- as many of the bytes as belong to the part that is due. */
static enum take take_part(struct connection *c, const char *bytes, size_t n, size_t *used)
{
	struct http_answer *a = &c->http;

	*used = 1;
	switch (a->part) {
	case HTTP_HEAD:
		return take_head(c, bytes, n, used);
	case HTTP_REST:
		*used = n;
		compare(c, bytes, n);
		return TAKE_MORE;
	case HTTP_BODY:
	case HTTP_CHUNK:
		*used = n < a->left ? n : a->left;
		compare(c, bytes, *used);
		a->left -= *used;
		if (a->left)
			return TAKE_MORE;
		if (a->part == HTTP_BODY)
			return whole(c);
		a->part = HTTP_EDGE;
		return TAKE_MORE;
	case HTTP_SIZE:
	case HTTP_EXTENSION:
		return take_size(c, *bytes);
	case HTTP_EDGE:
		return take_edge(c, *bytes);
	default:
		return take_trailer(c, *bytes);
	}
}

static enum take http_take(struct connection *c, const char *bytes, size_t n)
{
	enum take take = TAKE_MORE;
	size_t used;

	for (; n && take == TAKE_MORE; bytes += used, n -= used)
		take = take_part(c, bytes, n, &used);
	if (take == TAKE_WHOLE && n)
		return broken(c, "more came than the answer");
	return take;
}

static enum take http_hung_up(struct connection *c)
{
	if (c->http.part == HTTP_REST)
		return whole(c);
	c->failure = FAILURE_short;
	tally_describe(FAILURE_short,
		       "request %" PRIu64 ": hung up %s, after %zu bytes of the body", c->number,
		       c->http.part == HTTP_HEAD ? "in or before the head" : "too early", c->got);
	return TAKE_BROKEN;
}

static bool read_model(const char *file)
{
	char buffer[65536];
	FILE *f = fopen(file, "re");
	bool good = f;
	size_t n;

	while (good && (n = fread(buffer, 1, sizeof buffer, f)) > 0)
		good = learn(buffer, n);
	if (!good || ferror(f))
		cli_fail(0, "%s: %s", file, strerror(errno));
	good = good && !ferror(f);
	if (f)
		fclose(f);
	model.whole = good;
	return good;
}

const struct protocol *http_protocol(const char *path, const char *host, const char *body)
{
	static const struct protocol protocol = {http_ask, http_take, http_hung_up, true};
	int n = asprintf(&request, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host);

	if (n < 0) {
		cli_fail(0, "%s", strerror(errno));
		return NULL;
	}
	request_size = (size_t)n;
	return body && !read_model(body) ? NULL : &protocol;
}
