/* st_echo.c -- state-threads: a TCP echo server with a thread for each connection
 *
 *   st_echo [ADDRESS]           takes a free port and prints "port N"
 *
 * The library waits in epoll, which has to be asked for; stacks have its default of 64 KiB.
 */
#include "bench.h"
#include <arpa/inet.h>
#include <signal.h>
#include <st.h>

static void *serve(void *connection)
{
	char buffer[1024];
	ssize_t got;

	while ((got = st_read(connection, buffer, sizeof(buffer), ST_UTIME_NO_TIMEOUT)) > 0)
		if (st_write(connection, buffer, got, ST_UTIME_NO_TIMEOUT) != got)
			break;
	st_netfd_close(connection);
	return NULL;
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t size = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	st_netfd_t listener, connection;

	signal(SIGPIPE, SIG_IGN);
	bench_check(st_set_eventsys(ST_EVENTSYS_ALT) ? errno : 0, "st_set_eventsys");
	bench_check(st_init() ? errno : 0, "st_init");
	at.sin_addr.s_addr = inet_addr(argc > 1 ? argv[1] : "127.0.0.1");
	if (bind(fd, (struct sockaddr *)&at, size) || listen(fd, 4096))
		bench_check(errno, "listen");
	getsockname(fd, (struct sockaddr *)&at, &size);
	printf("port %d\n", ntohs(at.sin_port));
	fflush(stdout);
	listener = st_netfd_open_socket(fd);
	while ((connection = st_accept(listener, NULL, NULL, ST_UTIME_NO_TIMEOUT)))
		bench_check(st_thread_create(serve, connection, 0, 0) ? 0 : ENOMEM,
			    "st_thread_create");
	return perror("st_accept"), 1;
}
