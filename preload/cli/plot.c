/* plot.c -- see plot.h
 *
 * Three pictures side by side: the primary figure over the levels, with 95 % of the runs' ratios; how it is distributed; and
 * the runs in order of time. The data go to gnuplot with the commands, so that nothing is left behind.
 */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "cli.h"
#include "plot.h"

/* quoted -- a text for gnuplot between double quotes, without its markup. */
static void quoted(FILE *to, const char *text)
{
	putc('"', to);
	for (; *text; text++)
		if (*text == '"' || *text == '\\')
			fprintf(to, "\\%c", *text);
		else if ((unsigned char)*text >= ' ')
			putc(*text, to);
	putc('"', to);
}

static void data_of_runs(FILE *to, const struct record *r)
{
	for (unsigned v = 0; v < r->variant_count; v++) {
		fprintf(to, "$runs%u << END\n", v);
		for (size_t i = 0; i < r->count; i++)
			if (r->runs[i].kind == RUN_TIMED && r->runs[i].variant == v && isfinite(record_value(r, &r->runs[i])))
				fprintf(to, "%.6g %.9g %lld\n", r->runs[i].outcome.begun, record_value(r, &r->runs[i]),
					(long long)r->level[r->runs[i].level]);
		fputs("END\n", to);
	}
}

static void data_of_ratios(FILE *to, const struct record *r, const struct summary *s)
{
	for (unsigned v = 1; v < r->variant_count; v++) {
		fprintf(to, "$ratio%u << END\n", v);
		for (unsigned l = 0; l < r->level_count; l++) {
			const struct estimate *e = &s->of[v][l].one.estimate;

			fprintf(to, "%lld %.9g %.9g %.9g\n", (long long)r->level[l], e->ratio, e->lower, e->upper);
		}
		fputs("END\n", to);
	}
}

static void draw_ratios(FILE *to, const struct record *r)
{
	fprintf(to, "set title \"%s by %s: ratio, 95 %% intervals\"\n", r->variant_count > 2 ? "variants" : r->variants[1], r->variants[0]);
	fprintf(to, "set xlabel \"%s\"\nset ylabel \"\"\n", r->server ? "connections" : "");
	if (r->level_count > 1)
		fputs("set logscale x\n", to);
	else
		fprintf(to, "set xrange [%lld:%lld]\nset xtics (%lld)\n", (long long)r->level[0] - 1, (long long)r->level[0] + 1,
			(long long)r->level[0]);
	fputs("plot 1 with lines lc rgb \"gray\" notitle", to);
	for (unsigned v = 1; v < r->variant_count; v++)
		fprintf(to, ", $ratio%u using 1:2:3:4 with yerrorbars pt 7 lw 2 lc %u title \"%s\", $ratio%u using 1:2 with lines lc %u notitle",
			v, v, r->variants[v], v, v);
	fputs("\nunset logscale x\nset autoscale x\nset xtics auto\n", to);
}

static void draw_distribution(FILE *to, const struct record *r)
{
	fputs("set title \"distribution of the runs\"\nset xlabel ", to);
	quoted(to, r->primary);
	fputs("\nset ylabel \"share of the runs below\"\nset yrange [0:1]\nplot ", to);
	for (unsigned v = 0; v < r->variant_count; v++)
		fprintf(to, "%s$runs%u using 2:(1.0/|$runs%u|) smooth cumulative lw 2 lc %u title \"%s\"", v ? ", " : "", v, v, v,
			r->variants[v]);
	fputs("\nset autoscale y\n", to);
}

static void draw_order(FILE *to, const struct record *r)
{
	fputs("set title \"runs in order of time\"\nset xlabel \"seconds since the start\"\nset ylabel ", to);
	quoted(to, r->primary);
	fputs("\nset yrange [0:*]\nplot ", to);
	for (unsigned v = 0; v < r->variant_count; v++)
		fprintf(to, "%s$runs%u using 1:2 with points pt 7 ps .5 lc %u title \"%s\"", v ? ", " : "", v, v, r->variants[v]);
	fputs("\n", to);
}

int plot(const struct record *r, const struct summary *s, const char *path)
{
	bool svg = !strcmp(strrchr(path, '.'), ".svg");
	FILE *to;
	int status;

	signal(SIGPIPE, SIG_IGN);
	to = popen("gnuplot", "we");
	if (!to)
		return cli_fail(CLI_USAGE, "gnuplot: %s", strerror(errno));
	fprintf(to, "set terminal %s size 1500,500 noenhanced\nset output ", svg ? "svg" : "pngcairo");
	quoted(to, path);
	fputs("\nset grid\nset key bottom\nset format \"%.3s%c\"\n", to);
	data_of_runs(to, r);
	data_of_ratios(to, r, s);
	fputs("set multiplot layout 1,3 title ", to);
	quoted(to, r->program);
	putc('\n', to);
	draw_ratios(to, r);
	draw_distribution(to, r);
	draw_order(to, r);
	fputs("unset multiplot\n", to);
	status = pclose(to);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return cli_fail(CLI_USAGE, "--plot needs gnuplot, which is not installed");
	return status ? cli_fail(CLI_FAILED, "gnuplot has failed: nothing is drawn") : 0;
}
