/* echo_threads.c -- a TCP echo server with a thread for each connection, in plain POSIX
 *
 *   echo_threads [ADDRESS [PORT]] without PORT takes a free one; prints "port N"
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void *serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char buffer[1024];
	ssize_t got, sent, n = 0;

	while (n >= 0 && (got = read(fd, buffer, sizeof(buffer))) > 0)
		for (sent = 0; n >= 0 && sent < got; sent += n)
			n = write(fd, buffer + sent, got - sent);
	close(fd);
	return NULL;
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t size = sizeof(at);
	int fd, listener = socket(AF_INET, SOCK_STREAM, 0);
	pthread_attr_t attr;
	pthread_t thread;

	signal(SIGPIPE, SIG_IGN);
	at.sin_addr.s_addr = inet_addr(argc > 1 ? argv[1] : "127.0.0.1");
	at.sin_port = htons(argc > 2 ? (uint16_t)atoi(argv[2]) : 0);
	if (bind(listener, (struct sockaddr *)&at, size) || listen(listener, 4096))
		return perror("listen"), 1;
	getsockname(listener, (struct sockaddr *)&at, &size);
	printf("port %d\n", ntohs(at.sin_port));
	fflush(stdout);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 256 * 1024);
	while ((fd = accept(listener, NULL, NULL)) >= 0)
		if (pthread_create(&thread, &attr, serve, (void *)(intptr_t)fd))
			return perror("pthread_create"), 1;
	return perror("accept"), 1;
}
