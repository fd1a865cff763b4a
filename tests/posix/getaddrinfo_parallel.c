/* getaddrinfo_parallel.c -- the resolver in many threads at once, without a network
 *
 * threads: 20
 */
#include "check.h"
#include "net.h"
#include <netdb.h>

enum { THREADS = 20, ROUNDS = 20 };

static struct step arrived = STEP_INIT;

static void look_up_number(int n)
{
	struct addrinfo hints, *found;
	char host[64], text[64], service[8];

	memset(&hints, 0, sizeof(hints));
	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
	snprintf(host, sizeof(host), n % 2 ? "10.1.2.%d" : "fe80::%x", n + 1);
	CHECK_EQ(getaddrinfo(host, "4321", &hints, &found), 0);
	CHECK_EQ(getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof(text), service,
			     sizeof(service), NI_NUMERICHOST | NI_NUMERICSERV),
		 0);
	CHECK(strcmp(text, host) == 0);
	CHECK(strcmp(service, "4321") == 0);
	freeaddrinfo(found);
}

static void look_up_localhost(void)
{
	struct addrinfo hints, *found;

	memset(&hints, 0, sizeof(hints));
	hints.ai_family = AF_INET;
	hints.ai_socktype = SOCK_STREAM;
	CHECK_EQ(getaddrinfo("localhost", NULL, &hints, &found), 0);
	CHECK_EQ(found->ai_family, AF_INET);
	CHECK_EQ(ntohl(((struct sockaddr_in *)found->ai_addr)->sin_addr.s_addr) >> 24, 127);
	freeaddrinfo(found);
}

static void look_up_nonsense(void)
{
	struct addrinfo hints, *found;

	memset(&hints, 0, sizeof(hints));
	hints.ai_flags = AI_NUMERICHOST;
	CHECK_EQ(getaddrinfo("not a number", NULL, &hints, &found), EAI_NONAME);
	hints.ai_flags = 0;
	hints.ai_family = 12345;
	CHECK_EQ(getaddrinfo("127.0.0.1", NULL, &hints, &found), EAI_FAMILY);
}

static void *look_up(void *arg)
{
	step_add(&arrived, 1);
	step_wait(&arrived, THREADS);
	for (int i = 0; i < ROUNDS; i++) {
		struct hostent host, *result;
		char data[1024];
		int error;

		look_up_number((int)(intptr_t)arg + i);
		look_up_localhost();
		look_up_nonsense();
		CHECK_EQ(gethostbyname_r("localhost", &host, data, sizeof(data), &result, &error),
			 0);
		CHECK(result == &host);
	}
	return NULL;
}

static void every_thread_finds_its_own_addresses(void)
{
	pthread_t threads[THREADS];

	threads_start(threads, THREADS, look_up);
	threads_join(threads, THREADS);
}

int main(void)
{
	check_begin();
	RUN(every_thread_finds_its_own_addresses);
	return check_done();
}
