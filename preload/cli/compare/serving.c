/* serving.c -- see serving.h */
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load/address.h"
#include "cli.h"
#include "compare/serving.h"

#define MILLISECOND 1000000ll
#define PATIENCE    (20000 * MILLISECOND)
#define PAUSE	    (2 * MILLISECOND)

/* accepts -- does somebody listen there? Where nobody answers at all, or the queue is full, connect would wait for long. */
static bool accepts(struct address *a)
{
	struct timeval wait = {.tv_usec = 100000};
	int fd = socket(a->name->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool yes = fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) && !connect(fd, a->name, a->size);

	if (fd >= 0)
		close(fd);
	return yes;
}

static bool printed_in(const char *path, const regex_t *regex)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	bool yes = false;

	while (f && !yes && getline(&line, &size, f) > 0) {
		line[strcspn(line, "\n")] = 0;
		yes = !regexec(regex, line, 0, NULL, 0);
	}
	free(line);
	if (f)
		fclose(f);
	return yes;
}

static bool succeeds(const char *command, int64_t until_ns)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)command, NULL};
	struct child c = {.argv = argv, .env = environ, .out = "/dev/null", .err = "/dev/null", .cpu_count = 1024, .pass = -1};

	if (child_start(&c) < 0)
		return false;
	child_wait(&c, until_ns, -1);
	child_stop(&c, SIGKILL, PAUSE);
	return c.ended && WIFEXITED(c.status) && WEXITSTATUS(c.status) == 0;
}

struct condition {
	const char *command;
	struct address address;
	regex_t regex;
	enum { ACCEPTS, PRINTED, SUCCEEDS } kind;
};

static bool understand(struct condition *c, const char *text, char *why, size_t n)
{
	if (!strncmp(text, "line:", 5)) {
		c->kind = PRINTED;
		if (!regcomp(&c->regex, text + 5, REG_EXTENDED | REG_NOSUB))
			return true;
		snprintf(why, n, "--ready: `%s' is no regular expression", text + 5);
		return false;
	}
	if (!strncmp(text, "cmd:", 4)) {
		c->kind = SUCCEEDS;
		c->command = text + 4;
		return true;
	}
	c->kind = ACCEPTS;
	if (address_read(&c->address, text)) {
		snprintf(why, n, "--ready: `%s' is no address", text);
		return false;
	}
	return true;
}

static bool holds(struct condition *c, const struct child *server, int64_t until_ns)
{
	switch (c->kind) {
	case ACCEPTS:
		return accepts(&c->address);
	case PRINTED:
		return printed_in(server->out, &c->regex) || printed_in(server->err, &c->regex);
	default:
		return succeeds(c->command, until_ns);
	}
}

int serving_check(const char *condition)
{
	struct condition c;
	char why[300];

	if (understand(&c, condition, why, sizeof why))
		return 0;
	return c.kind == PRINTED ? cli_fail(CLI_USAGE, "%s", why) : CLI_USAGE; /* address_read has said why */
}

bool serving_already(const char *condition)
{
	struct address a;

	return strncmp(condition, "line:", 5) && strncmp(condition, "cmd:", 4) && !address_read(&a, condition) && accepts(&a);
}

int serving_wait(struct child *server, const char *condition, int64_t patience_ns, char *why, size_t n)
{
	int64_t patience = patience_ns < PATIENCE ? patience_ns : PATIENCE, until = child_now() + patience;
	struct condition c;

	if (!understand(&c, condition, why, n))
		return -ENOTCONN;
	for (;;) {
		if (holds(&c, server, until))
			return 0;
		int r = child_wait(server, child_now() + PAUSE, -1);

		if (r == -EINTR)
			return r;
		if (r == 0)
			snprintf(why, n, "the server has ended before it was ready (%s %d)",
				 WIFEXITED(server->status) ? "status" : "signal",
				 WIFEXITED(server->status) ? WEXITSTATUS(server->status) : WTERMSIG(server->status));
		else if (child_now() > until)
			snprintf(why, n, "the server was not ready after %g s", (double)patience / 1e9);
		else
			continue;
		return -ENOTCONN;
	}
}
