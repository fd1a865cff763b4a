/* address.c -- see address.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "load/address.h"

static int read_path(struct address *a, const char *path)
{
	size_t n = strlen(path);

	if (!n || n >= sizeof a->path.sun_path)
		return cli_fail(CLI_USAGE, "%s: a path of 1 to %zu bytes is needed", a->text,
				sizeof a->path.sun_path - 1);
	a->path.sun_family = AF_UNIX;
	memcpy(a->path.sun_path, path, n + 1);
	a->name = (const struct sockaddr *)&a->path;
	a->size = sizeof a->path;
	a->host = "localhost";
	return 0;
}

static bool is_port(const char *s)
{
	size_t n = strspn(s, "0123456789");

	return n && n < 6 && !s[n] && atoi(s) > 0 && atoi(s) < 65536;
}

/* split -- cut `HOST:PORT' into its parts, in place. */
static bool split(char *text, const char **host, const char **port)
{
	char *colon = strrchr(text, ':');
	size_t n;

	*host = "127.0.0.1";
	*port = text;
	if (!colon)
		return is_port(text);
	*colon = 0;
	*port = colon + 1;
	*host = text;
	n = strlen(text);
	if (*text == '[' && text[n - 1] == ']') {
		text[n - 1] = 0;
		*host = text + 1;
	} else if (strchr(text, ':')) {
		return false;
	}
	return **host && is_port(*port);
}

static void take(struct address *a, const struct addrinfo *one)
{
	a->rest = one;
	a->name = one->ai_addr;
	a->size = one->ai_addrlen;
}

int address_read(struct address *a, const char *text)
{
	const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *list;
	const char *host, *port;
	char *copy;
	int error;

	*a = (struct address){.text = text};
	if (!strncmp(text, "unix:", 5))
		return read_path(a, text + 5);
	if (!strncmp(text, "tcp:", 4))
		text += 4;
	a->host = strchr(text, ':') ? text : "localhost";
	copy = strdup(text);
	if (!copy || !split(copy, &host, &port))
		return cli_fail(CLI_USAGE, "`%s' is none of HOST:PORT, tcp:HOST:PORT and unix:PATH",
				a->text);
	error = getaddrinfo(host, port, &wanted, &list);
	free(copy);
	if (error)
		return cli_fail(CLI_USAGE, "%s: %s", a->text, gai_strerror(error));
	take(a, list);
	return 0;
}

bool address_next(struct address *a)
{
	if (!a->rest || !a->rest->ai_next)
		return false;
	take(a, a->rest->ai_next);
	return true;
}
