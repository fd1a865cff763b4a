/* main.c -- the `weft' command: find the sub-command */
#include <stdarg.h>
#include <string.h>

#include "weft/base.h"
#include "cli.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
#define COMMAND(name, arguments, help) {#name, name##_command},
#include "command.def"
#undef COMMAND
};

int cli_fail(int status, const char *format, ...)
{
	va_list ap;

	fputs("weft: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	return status;
}

/* finish -- what was printed counts only once it is written: a full disk is a failure. */
static int finish(int status)
{
	if (fflush(stdout) || ferror(stdout))
		return status ? status : cli_fail(CLI_FAILED, "cannot write to standard output");
	return status;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (!*name)
		return cli_fail(CLI_USAGE, "a command is missing; try `weft --help'");
	if (!strcmp(name, "--help") || !strcmp(name, "-h"))
		return finish(cli_help());
	if (!strcmp(name, "--version")) {
		puts("weft " WEFT_VERSION);
		return finish(0);
	}
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (!strcmp(name, commands[i].name))
			return finish(commands[i].run(argc - 1, argv + 1));
	return cli_fail(CLI_USAGE, "`%s' is no command; try `weft --help'", name);
}
