/* st_echo.c -- state-threads: a TCP echo server with a thread for each connection
 *
 *   st_echo ADDRESS PORT
 *
 * The library waits in epoll, which has to be asked for; stacks have its default of 64 KiB.
 */
#include "bench.h"
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
	st_netfd_t listener, connection;

	bench_check(st_set_eventsys(ST_EVENTSYS_ALT) ? errno : 0, "st_set_eventsys");
	bench_check(st_init() ? errno : 0, "st_init");
	listener = st_netfd_open_socket(bench_listen(argc, argv, 0));
	while ((connection = st_accept(listener, NULL, NULL, ST_UTIME_NO_TIMEOUT)))
		bench_check(st_thread_create(serve, connection, 0, 0) ? 0 : ENOMEM,
			    "st_thread_create");
	return perror("st_accept"), 1;
}
