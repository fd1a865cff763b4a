/* getaddrinfo_async.c -- names that libc looks up in threads of its own: getaddrinfo_a
 *
 * No thread is made before the first request. Only numbers are asked for: nothing but this machine answers.
 *
 * threads: 1
 */
#include "check.h"
#include <arpa/inet.h>
#include <netdb.h>

enum { REQUESTS = 40, THREADS = 4 };

static void make(struct gaicb *r, char *text, int i)
{
	sprintf(text, "127.0.%d.1", i);
	memset(r, 0, sizeof(*r));
	r->ar_name = text;
	r->ar_service = "80";
}

static void check_result(struct gaicb *r)
{
	char text[64];
	struct sockaddr_in *in;

	CHECK_EQ(gai_error(r), 0);
	CHECK(r->ar_result != NULL);
	in = (struct sockaddr_in *)r->ar_result->ai_addr;
	CHECK_EQ(in->sin_family, AF_INET);
	CHECK(inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text)) != NULL);
	CHECK(!strcmp(text, r->ar_name));
	freeaddrinfo(r->ar_result);
}

static void finish(struct gaicb *r)
{
	const struct gaicb *list[] = {r};

	while (gai_error(r) == EAI_INPROGRESS) {
		int got = gai_suspend(list, 1, NULL);

		CHECK(got == 0 || got == EAI_ALLDONE || got == EAI_INTR);
	}
	check_result(r);
}

static void *ask(void *arg)
{
	struct gaicb r[REQUESTS], *list[REQUESTS];
	char text[REQUESTS][64];

	(void)arg;
	for (int i = 0; i < REQUESTS; i++) {
		make(&r[i], text[i], i);
		list[i] = &r[i];
	}
	CHECK_EQ(getaddrinfo_a(GAI_NOWAIT, list, REQUESTS, NULL), 0);
	for (int i = 0; i < REQUESTS; i++)
		finish(&r[i]);
	CHECK_EQ(getaddrinfo_a(GAI_WAIT, list, REQUESTS, NULL), 0);
	for (int i = 0; i < REQUESTS; i++)
		check_result(&r[i]);
	return NULL;
}

static void many_names_are_found(void)
{
	ask(NULL);
}

static struct step told = STEP_INIT;

static void tell(union sigval value)
{
	step_add(&told, value.sival_int);
}

static void the_end_is_told_by_a_function(void)
{
	struct gaicb r, *list[] = {&r};
	struct sigevent event;
	char text[64];

	memset(&event, 0, sizeof(event));
	event.sigev_notify = SIGEV_THREAD;
	event.sigev_notify_function = tell;
	event.sigev_value.sival_int = 5;
	make(&r, text, 7);
	CHECK_EQ(getaddrinfo_a(GAI_NOWAIT, list, 1, &event), 0);
	step_wait(&told, 5);
	check_result(&r);
}

static void threads_ask_as_well(void)
{
	pthread_t threads[THREADS];

	threads_start(threads, THREADS, ask);
	threads_join(threads, THREADS);
}

int main(void)
{
	check_begin();
	RUN(many_names_are_found);
	RUN(the_end_is_told_by_a_function);
	RUN(threads_ask_as_well);
	return check_done();
}
