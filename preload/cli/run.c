/* run.c -- `weft run PROGRAM': become PROGRAM, with the library in LD_PRELOAD
 *
 * Nothing is forked, opened or left behind: process id, descriptors, signals and terminal are
 * PROGRAM's as if it had been started without weft. Where the library cannot help, PROGRAM gets the
 * environment it would have had natively, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "gate/confine.h"
#include "elf/elfkind.h"
#include "elf/ldpreload.h"
#include "option.h"
#include "run.h"

#ifndef LIBDIR
#define LIBDIR "/usr/local/lib"
#endif
#define LIBRARY		LDPRELOAD_LIBRARY
#define SONAME		LDPRELOAD_SONAME
#define SHELL		"/bin/sh"

const struct cli_option cli_options[] = {
#define OPT(field, type, initial, variable, argument, help)	\
	{#field, CONF_##type, #initial, variable, argument, help},
#include "conf.def"
#undef OPT
};
#define OPTIONS (sizeof cli_options / sizeof cli_options[0])
const size_t cli_option_count = OPTIONS;

const char *const cli_levels[CLI_LEVELS] = {"none", "error", "warn", "info", "debug"};

/* What PROGRAM starts with. */
struct start {
	char **argv;
	char **helped;		/* environment with the library */
	char **native;		/* and without anything of ours */
	bool require;
	struct run_program *found;	/* only look for it, or NULL */
};

#define FOUND (-1)

static bool is_number(const char *s)
{
	char *end;
	long v;

	errno = 0;
	v = strtol(s, &end, 10);
	return *s >= '0' && *s <= '9' && !*end && !errno && v <= INT_MAX;
}

static bool is_level(const char *s)
{
	for (size_t i = 0; i < CLI_LEVELS; i++)
		if (!strcmp(s, cli_levels[i]))
			return true;
	return false;
}

/* absolute -- the file as it is named from here: PROGRAM may change its directory before the file
 * is opened. */
static const char *absolute(const char *file)
{
	char dir[PATH_MAX], *path;

	if (*file == '/' || !*file || !getcwd(dir, sizeof dir))
		return file;
	return asprintf(&path, "%s/%s", dir, file) < 0 ? file : path;
}

/* set_variable -- put one option's value into the environment. Returns 0 or an exit status. */
static int set_variable(const struct cli_option *o, const char *value)
{
	if (o->type == CONF_INT && !is_number(value))
		return cli_fail(CLI_USAGE, "--%s: `%s' is not a number from 0 to %d", o->name,
				value, INT_MAX);
	if (o->type == CONF_LEVEL && !is_level(value))
		return cli_fail(CLI_USAGE, "--%s: `%s' is none of none, error, warn, info, debug",
				o->name, value);
	if (o->type == CONF_TEXT && !strcmp(o->argument, "FILE"))
		value = absolute(value);
	if (setenv(o->variable, value, 1))
		return cli_fail(CLI_USAGE, "%s", strerror(errno));
	return 0;
}

/* parse -- read the options into the environment. *first becomes the index of PROGRAM; -1 when
 * there is nothing to run. */
static int parse(int argc, char **argv, int *first)
{
	struct option options[OPTIONS + 1] = {{NULL, 0, NULL, NULL}};
	const char *text[OPTIONS] = {NULL};
	bool flag[OPTIONS] = {false};
	int status;

	for (size_t i = 0; i < OPTIONS; i++) {
		const struct cli_option *o = &cli_options[i];
		bool is_flag = o->type == CONF_FLAG;

		options[i] = (struct option){o->name, is_flag ? OPTION_FLAG : OPTION_TEXT,
					     is_flag ? (void *)&flag[i] : (void *)&text[i],
					     o->argument};
	}
	status = option_read("run", options, argc, argv, first);
	if (*first >= 0 && *first == argc)
		status = cli_fail(CLI_USAGE, "run: a PROGRAM is needed; try `weft run --help'");
	for (size_t i = 0; i < OPTIONS && *first >= 0 && status == 0; i++)
		if (flag[i] || text[i])
			status = set_variable(&cli_options[i], flag[i] ? "1" : text[i]);
	if (status)
		*first = -1;
	return status;
}

/* find_library -- the library that belongs to this command: beside it, or where it is installed. */
static int find_library(char *path, size_t n)
{
	static const char *const places[] = {"%s/" LIBRARY, "%s/../lib/" SONAME, LIBDIR "/" SONAME};
	char self[PATH_MAX], *slash;
	ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
	size_t i = 0;

	self[length > 0 ? length : 0] = 0;
	slash = strrchr(self, '/');
	if (slash)
		*slash = 0;
	for (; i < sizeof places / sizeof places[0]; i++) {
		snprintf(path, n, places[i], self);
		if (access(path, R_OK) == 0)
			break;
	}
	if (i == sizeof places / sizeof places[0])
		return cli_fail(CLI_USAGE,
				"the library is missing: neither %s/" LIBRARY
				" nor %s/../lib/" SONAME " nor %s",
				self, self, path);
	if (strpbrk(path, " :"))
		return cli_fail(CLI_USAGE,
				"LD_PRELOAD cannot name %s: a space or colon in its path", path);
	return 0;
}

/* other_preloads -- LD_PRELOAD without our own entries; "" for none. */
static char *other_preloads(const char *list)
{
	char *others = strdup(list);

	if (others)
		ldpreload_others(list, others);
	return others;
}

static bool names(const char *entry, const char *variable)
{
	size_t n = strlen(variable);

	return !strncmp(entry, variable, n) && entry[n] == '=';
}

static bool is_option(const char *entry)
{
	for (size_t i = 0; i < cli_option_count; i++)
		if (names(entry, cli_options[i].variable))
			return true;
	return false;
}

/* make_environment -- a copy of ours with this LD_PRELOAD, in the place of the old one if there was
 * one.
 *
 * preload  `LD_PRELOAD=...', or NULL for none;   options  keep the WEFT_* variables
 */
static char **make_environment(char *preload, bool options)
{
	size_t n = 0, to = 0;
	char **env;

	while (environ[n])
		n++;
	env = calloc(n + 2, sizeof *env);
	if (!env)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		if (names(environ[i], "LD_PRELOAD")) {
			if (preload)
				env[to++] = preload;
			preload = NULL;
		} else if (options || !is_option(environ[i])) {
			env[to++] = environ[i];
		}
	}
	if (preload)
		env[to++] = preload;
	return env;
}

static bool make_environments(struct start *start, const char *library)
{
	const char *old = getenv("LD_PRELOAD");
	char *others = other_preloads(old ? old : ""), *with, *without = NULL;

	if (!others ||
	    asprintf(&with, "LD_PRELOAD=%s%s%s", library, *others ? ":" : "", others) < 0)
		return false;
	/* An empty variable that was there before stays. */
	if (old && (*others || !*old) && asprintf(&without, "LD_PRELOAD=%s", others) < 0)
		return false;
	start->helped = make_environment(with, true);
	start->native = make_environment(without, false);
	return start->helped && start->native;
}

/* may_execute -- would execve take this file? Sets errno as it would. */
static bool may_execute(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return false;
	if (!S_ISREG(st.st_mode)) {
		errno = EACCES;
		return false;
	}
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
}

/* judge -- the environment for this file; says so when it is the native one. NULL when --require
 * forbids that. */
static char **judge(const struct start *start, const char *path, const char *called,
		    enum elf_kind *kind)
{
	static struct elfkind_work work;
	const char *end =
		start->require ? ": --require forbids to run it natively" : ": running it natively";
	const char *text, *call;

	*kind = elfkind_of_path(path, getenv("PATH"), &work);
	text = elfkind_text(*kind);
	if (!*text && confine_stops(&call)) {
		cli_fail(0, "%s cannot be helped: a filter of system calls forbids what Weft needs (%s)%s",
			 called, call, end);
		return start->require ? NULL : start->native;
	}
	if (!*text)
		return start->helped;
	if (!strcmp(work.name, path))
		cli_fail(0, "%s %s%s", called, text, end);
	else
		cli_fail(0, "%s, which runs %s, %s%s", work.name, called, text, end);
	return start->require ? NULL : start->native;
}

/* execute_shell -- a script without `#!' is the shell's, as execvp has it. */
static int execute_shell(const struct start *start, const char *path)
{
	enum elf_kind kind;
	char **argv, **env = judge(start, SHELL, SHELL, &kind);
	size_t n = 0;

	if (!env)
		return CLI_USAGE;
	while (start->argv[n])
		n++;
	argv = calloc(n + 2, sizeof *argv);
	if (!argv)
		return 0;
	argv[0] = SHELL;
	argv[1] = (char *)path;
	memcpy(argv + 2, start->argv + 1, n * sizeof *argv);
	execve(SHELL, argv, env);
	return 0;
}

/* execute -- become this file. Returns only when that failed: an exit status, or 0 with errno. */
static int execute(const struct start *start, const char *path)
{
	enum elf_kind kind;
	char **env;

	if (!may_execute(path))
		return 0;
	env = judge(start, path, start->argv[0], &kind);
	if (!env)
		return CLI_USAGE;
	if (start->found) {
		*start->found = (struct run_program){strdup(path), start->argv, env, env == start->helped};
		return FOUND;
	}
	execve(path, start->argv, env);
	return errno == ENOEXEC && kind == ELFKIND_UNKNOWN ? execute_shell(start, path) : 0;
}

/* search -- try every directory of PATH, as execvp does. Returns like execute. */
static int search(const struct start *start)
{
	const char *dir = getenv("PATH");
	bool denied = false;

	for (dir = dir ? dir : "/bin:/usr/bin"; dir; dir = *dir ? dir + 1 : NULL) {
		size_t n = strcspn(dir, ":");
		char path[PATH_MAX];

		if ((size_t)snprintf(path, sizeof path, "%.*s%s%s", (int)n, dir, n ? "/" : "",
				     start->argv[0]) < sizeof path) {
			int status = execute(start, path);

			if (status)
				return status;
			denied |= errno == EACCES;
			if (errno != EACCES && errno != ENOENT && errno != ENOTDIR &&
			    errno != ESTALE && errno != ENODEV && errno != ETIMEDOUT)
				return 0;
		}
		dir += n;
	}
	errno = denied ? EACCES : ENOENT;
	return 0;
}

static int run(int argc, char **argv, struct run_program *found)
{
	char library[PATH_MAX + 32];
	struct start start = {.found = found};
	const char *require;
	int first, status = parse(argc, argv, &first);

	if (first < 0)
		return status;
	status = find_library(library, sizeof library);
	if (status)
		return status;
	require = getenv("WEFT_REQUIRE");
	start.require = require && !strcmp(require, "1");
	start.argv = argv + first;
	if (!make_environments(&start, library))
		return cli_fail(CLI_USAGE, "%s", strerror(errno));
	errno = ENOENT;
	if (*start.argv[0])
		status = strchr(start.argv[0], '/') ? execute(&start, start.argv[0])
						    : search(&start);
	if (status)
		return status;
	status = errno == ENOENT ? CLI_NOT_FOUND : CLI_NOT_EXECUTABLE;
	return cli_fail(status, "%s: %s", start.argv[0], strerror(errno));
}

int run_command(int argc, char **argv)
{
	return run(argc, argv, NULL);
}

int run_find(int argc, char **argv, struct run_program *to)
{
	int status = run(argc, argv, to);

	return status == FOUND ? 0 : status ? status : CLI_USAGE;
}
