/* test_http.c -- answers are understood in whatever pieces they come */
#include "unit.h"
#include "cli.h"
#include "load/connection.h"

#define OK	 "HTTP/1.1 200 OK\r\n"
#define LENGTH	 "Content-Length: 5\r\n\r\nhello"
#define CHUNKED	 "Transfer-Encoding: chunked\r\n\r\n"

/* main.c has the real one. */
int cli_fail(int status, const char *format, ...)
{
	(void)format;
	return status;
}

static const struct protocol *http;

/* With a model given by a file every answer is compared from the first one on. */
static int make(void **state)
{
	char name[] = "/tmp/weft-http.XXXXXX";
	int fd = mkstemp(name);

	(void)state;
	if (fd < 0 || write(fd, "hello", 5) != 5)
		return -1;
	http = http_protocol("/", "host", name);
	close(fd);
	unlink(name);
	return http ? 0 : -1;
}

/* give -- ask, and give the answer in pieces of these sizes, the last of which repeats. Each piece is
 * the end of a heap block, so that a read beyond it is seen. */
static enum take give(struct connection *c, const char *answer, size_t first, size_t others)
{
	size_t left = strlen(answer), n = first ? first : others;
	enum take take = TAKE_MORE;

	memset(c, 0, sizeof *c);
	http->ask(c);
	while (left && take == TAKE_MORE) {
		char *piece;

		if (n > left)
			n = left;
		piece = malloc(n);
		memcpy(piece, answer, n);
		take = http->take(c, piece, n);
		free(piece);
		answer += n;
		left -= n;
		n = others;
	}
	free(c->http.head);
	c->http.head = NULL;
	return left ? TAKE_BROKEN : take;
}

/* check -- in all pieces the same comes out. */
static void check(const char *answer, enum take take, enum failure failure, bool last)
{
	struct connection c;

	for (size_t first = 0; first < strlen(answer); first++)
		for (size_t others = 1; others < strlen(answer) + 2; others += 1 + others / 3) {
			assert_int_equal(give(&c, answer, first, others), take);
			assert_int_equal(c.failure, failure);
			if (take == TAKE_WHOLE)
				assert_int_equal(c.last, last);
		}
}

static void good_answers_are_whole(void **state)
{
	(void)state;
	check(OK LENGTH, TAKE_WHOLE, FAILURE_none, false);
	check("HTTP/1.1 200\r\n" LENGTH, TAKE_WHOLE, FAILURE_none, false);
	check(OK "X: y\r\ncOnNeCtIoN:  upgrade, close\r\n" LENGTH, TAKE_WHOLE, FAILURE_none, true);
	check("HTTP/1.0 200 OK\r\n" LENGTH, TAKE_WHOLE, FAILURE_none, true);
	check("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n" LENGTH, TAKE_WHOLE, FAILURE_none, false);
	check("HTTP/1.1 100 Continue\r\n\r\n" OK LENGTH, TAKE_WHOLE, FAILURE_none, false);
	check(OK "Content-Length:5\r\n\r\nhello", TAKE_WHOLE, FAILURE_none, false);
}

static void chunks_are_joined(void **state)
{
	(void)state;
	check(OK CHUNKED "5\r\nhello\r\n0\r\n\r\n", TAKE_WHOLE, FAILURE_none, false);
	check(OK CHUNKED "1\r\nh\r\n004;a=\"f\"\r\nello\r\n0;x\r\nA: b\r\nC: d\r\n\r\n", TAKE_WHOLE,
	      FAILURE_none, false);
	check(OK "Content-Length: 99\r\n" CHUNKED "5\r\nhello\r\n0\r\n\r\n", TAKE_WHOLE, FAILURE_none,
	      false);
	check(OK CHUNKED "5\r\nhellO\r\n0\r\n\r\n", TAKE_WHOLE, FAILURE_wrong, false);
	check(OK CHUNKED "4\r\nhell\r\n0\r\n\r\n", TAKE_WHOLE, FAILURE_length, false);
	check(OK CHUNKED "A\r\nhellohello\r\n0\r\n\r\n", TAKE_WHOLE, FAILURE_length, false);
	check(OK CHUNKED "0\r\n\r\n", TAKE_WHOLE, FAILURE_length, false);
}

static void other_answers_are_read_to_their_end(void **state)
{
	(void)state;
	check("HTTP/1.1 500 No\r\n" LENGTH, TAKE_WHOLE, FAILURE_status, false);
	check("HTTP/1.1 500 No\r\n" CHUNKED "5\r\nhello\r\n0\r\n\r\n", TAKE_WHOLE, FAILURE_status, false);
	check("HTTP/1.1 204 None\r\n\r\n", TAKE_WHOLE, FAILURE_status, false);
	check("HTTP/1.1 304 Same\r\nContent-Length: 5\r\n\r\n", TAKE_WHOLE, FAILURE_status, false);
	check(OK "Content-Length: 5\r\n\r\nheLlo", TAKE_WHOLE, FAILURE_wrong, false);
	check(OK "Content-Length: 0\r\n\r\n", TAKE_WHOLE, FAILURE_length, false);
	check(OK "Content-Length: 6\r\n\r\nhello!", TAKE_WHOLE, FAILURE_length, false);
}

static void frames_that_make_no_sense_break_the_connection(void **state)
{
	(void)state;
	check("HTTP/1.1 2000 OK\r\n\r\n", TAKE_BROKEN, FAILURE_wrong, false);
	check("HTTP/1.\r\n\r\n", TAKE_BROKEN, FAILURE_wrong, false);
	check("hello\r\n\r\n", TAKE_BROKEN, FAILURE_wrong, false);
	check(OK "Content-Length: x\r\n\r\n", TAKE_BROKEN, FAILURE_wrong, false);
	check(OK "Content-Length: \r\n\r\n", TAKE_BROKEN, FAILURE_wrong, false);
	check(OK CHUNKED "x", TAKE_BROKEN, FAILURE_wrong, false);
	check(OK CHUNKED "\r", TAKE_BROKEN, FAILURE_wrong, false);
	check(OK CHUNKED "0000000000000005", TAKE_BROKEN, FAILURE_wrong, false);
	check(OK CHUNKED "5\r\nhellox", TAKE_BROKEN, FAILURE_wrong, false);
	check(OK CHUNKED "5\r\nhello\rx", TAKE_BROKEN, FAILURE_wrong, false);
}

static void every_answer_cut_short_wants_more(void **state)
{
	static const char *const answers[] = {
		OK LENGTH, OK CHUNKED "5;x\r\nhello\r\n0\r\nA: b\r\n\r\n"};
	struct connection c;

	(void)state;
	for (size_t i = 0; i < 2; i++)
		for (size_t n = 1; n < strlen(answers[i]); n++) {
			char *cut = strndup(answers[i], n);

			assert_int_equal(give(&c, cut, 0, n), TAKE_MORE);
			assert_int_equal(http->hung_up(&c), TAKE_BROKEN);
			assert_int_equal(c.failure, FAILURE_short);
			free(cut);
		}
}

static void a_body_without_length_ends_with_the_connection(void **state)
{
	struct connection c;

	(void)state;
	assert_int_equal(give(&c, OK "\r\nhello", 0, 1), TAKE_MORE);
	assert_int_equal(http->hung_up(&c), TAKE_WHOLE);
	assert_int_equal(c.failure, FAILURE_none);
	assert_int_equal(give(&c, OK "\r\nhell", 0, 99), TAKE_MORE);
	assert_int_equal(http->hung_up(&c), TAKE_WHOLE);
	assert_int_equal(c.failure, FAILURE_length);
}

static void a_head_has_a_limit(void **state)
{
	struct connection c;
	char *long_head = malloc(70001);

	(void)state;
	memset(long_head, 'x', 70000);
	long_head[70000] = 0;
	assert_int_equal(give(&c, long_head, 0, 1000), TAKE_BROKEN);
	assert_int_equal(c.failure, FAILURE_wrong);
	free(long_head);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_answers_are_whole),
		cmocka_unit_test(chunks_are_joined),
		cmocka_unit_test(other_answers_are_read_to_their_end),
		cmocka_unit_test(frames_that_make_no_sense_break_the_connection),
		cmocka_unit_test(every_answer_cut_short_wants_more),
		cmocka_unit_test(a_body_without_length_ends_with_the_connection),
		cmocka_unit_test(a_head_has_a_limit),
	};

	return cmocka_run_group_tests(tests, make, NULL);
}
