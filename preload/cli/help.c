/* help.c -- what `weft --help' and `weft COMMAND --help' print, from the tables */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

#define EXIT_STATUS								\
	"The exit status is PROGRAM's, since weft becomes PROGRAM; or\n"	\
	"  125  when Weft itself fails: a wrong option, no library,\n"		\
	"       or --require and a PROGRAM that it cannot help\n"		\
	"  126  when PROGRAM is found but cannot be executed\n"			\
	"  127  when PROGRAM is not found\n"

/* initial_of -- an option's default as a user would write it. */
static const char *initial_of(const struct cli_option *o)
{
	if (o->type == CONF_LEVEL)
		return cli_levels[atoi(o->initial) % CLI_LEVELS];
	return strcmp(o->initial, "\"\"") ? o->initial : "none";
}

static void print_options(void)
{
	for (size_t i = 0; i < cli_option_count; i++) {
		const struct cli_option *o = &cli_options[i];

		if (o->type == CONF_FLAG)
			printf("  --%s\n", o->name);
		else
			printf("  --%s %s\n", o->name, o->argument);
		printf("        %s\n", o->help);
		printf("        (%s=%s in the environment; default %s)\n", o->variable, o->argument,
		       initial_of(o));
	}
}

/* print_option -- of a table in which `_' stands for `-'. */
static void print_option(const char *name, const char *argument, const char *help)
{
	fputs("  --", stdout);
	for (; *name; name++)
		putchar(*name == '_' ? '-' : *name);
	printf("%s%s\n        %s\n", *argument ? " " : "", argument, help);
}

static void help_run(void)
{
	puts("PROGRAM is looked up in PATH and executed in the place of weft, with the library\n"
	     "in LD_PRELOAD. A program that LD_PRELOAD cannot help (static, 32-bit, musl, setuid,\n"
	     "sanitized) is named on standard error and run natively.\n\n"
	     "Options, `--name VALUE' or `--name=VALUE'. Each sets its variable for PROGRAM and\n"
	     "its children; without the option the variable stays as it is:");
	print_options();
	puts("  --help\n        show this text\n\n" EXIT_STATUS);
}

static void help_stats(void)
{
	puts("FILE is one that was named by --stats or WEFT_STATS. It is right at any instant\n"
	     "while the process runs, and stays after its end, whatever the end was. Each line\n"
	     "holds a name and a value.\n\n"
	     "  --raw\n        nothing but names and values: no alignment, no explanations\n"
	     "  --help\n        show this text\n\n"
	     "The exit status is 0, 1 when FILE cannot be read or is no such file, or 125 for\n"
	     "wrong options.");
}

static void help_compare(void)
{
	puts("Runs PROGRAM natively and under Weft, in pairs of fresh processes in an order drawn by lot, until\n"
	     "the difference is known to the precision. With --ready it is a server, and is put under load.\n"
	     "{port}, {dir}, {cpu}, {seconds} and {connections} are filled in in all command lines.\n\n"
	     "Options, `--name VALUE' or `--name=VALUE'; times may end with ms, s or m:");
#define PLAN(field, type, initial, argument, help) print_option(#field, argument, help);
#include "compare/plan.def"
#undef PLAN
	puts("  --help\n        show this text\n\n"
	     "The exit status is 0, that of --fail-if-worse, 125 when a run cannot be made, or 126 and 127\n"
	     "as env(1) has them. weft-compare(1) tells more.");
}

static void help_load(void)
{
	puts("ADDRESS is HOST:PORT, tcp:HOST:PORT or unix:PATH. Each answer is checked. Without --rate\n"
	     "a connection starts its next request when the last one is answered (closed loop).\n\n"
	     "Options, `--name VALUE' or `--name=VALUE'; times may end with ms, s or m:");
#define LOAD(field, type, initial, argument, help) print_option(#field, argument, help);
#include "load/plan.def"
#undef LOAD
	puts("  --help\n        show this text\n\n"
	     "The exit status is 0 when no request failed, 1 when one did, or 125 for wrong\n"
	     "options and when the load cannot be made. weft-load(1) tells more.");
}

static void help_help(void)
{
}

int cli_help_of(const char *name)
{
#define COMMAND(command, arguments, help)				\
	if (!strcmp(name, #command)) {					\
		puts("usage: weft " #command " " arguments "\n" help "\n");	\
		help_##command();					\
		return 0;						\
	}
#include "command.def"
#undef COMMAND
	return cli_fail(CLI_USAGE, "`%s' is no command; try `weft --help'", name);
}

int cli_help(void)
{
	puts("usage: weft COMMAND [ARG...]\n"
	     "Run unmodified threaded programs on green threads.\n\nCommands:");
#define COMMAND(command, arguments, help) puts("  " #command " " arguments "\n        " help);
#include "command.def"
#undef COMMAND
	puts("  --help\n        show this text\n  --version\n        print the version\n\n"
	     "Options of `weft run', and what they set in the environment:");
	print_options();
	return 0;
}

int help_command(int argc, char **argv)
{
	if (argc > 2)
		return cli_fail(CLI_USAGE, "help takes one command; try `weft --help'");
	return argc == 2 && strcmp(argv[1], "--help") ? cli_help_of(argv[1]) : cli_help();
}
