/* plot.c -- see plot.h
 *
 * Three pictures side by side: the ratios of what gets the verdict, with their intervals, over the levels; the latencies, all runs
 * of a variant together, or without any how the runs are distributed; and the runs in order of time. The data go to gnuplot with
 * the commands, so that nothing is left behind.
 */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "cli.h"
#include "compare/plot.h"

#define DRAWN 3 /* levels whose latencies are drawn, at most */

static const char *kind_of(const char *path)
{
	const char *end = strrchr(path, '.');

	return end && (!strcmp(end, ".svg") || !strcmp(end, ".png") || !strcmp(end, ".gp")) ? end + 1 : NULL;
}

int plot_check(const char *path)
{
	const char *kind = path ? kind_of(path) : NULL;
	char *gnuplot;
	bool there;
	FILE *f;

	if (!path)
		return 0;
	if (!kind)
		return cli_fail(CLI_USAGE, "--plot: a name that ends in .svg, .png or .gp, not `%s'", path);
	gnuplot = child_path("gnuplot");
	if (!gnuplot && strcmp(kind, "gp"))
		return cli_fail(CLI_USAGE, "--plot needs gnuplot, which is not installed; to FILE.gp go the commands for it");
	free(gnuplot);
	there = !access(path, F_OK);
	f = fopen(path, "ae");
	if (!f)
		return cli_fail(CLI_USAGE, "--plot: %s: %s", path, strerror(errno));
	fclose(f);
	if (!there)
		unlink(path);
	return 0;
}

/* quoted -- a text for gnuplot between double quotes. */
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

/* -- data: blocks of numbers ----------------------------------------------------------------------------- */

static void data_of_runs(FILE *to, const struct record *r)
{
	for (unsigned v = 0; v < r->variant_count; v++) {
		fprintf(to, "# %s: seconds since the start, %s, connections\n$runs%u << END\n", r->variants[v], r->primary, v);
		for (size_t i = 0; i < r->count; i++)
			if (r->runs[i].kind == RUN_TIMED && r->runs[i].variant == v && isfinite(record_value(r, &r->runs[i])))
				fprintf(to, "%.9g %.9g %lld\n", r->runs[i].outcome.begun, record_value(r, &r->runs[i]),
					(long long)r->level[r->runs[i].level]);
		fputs("END\n", to);
	}
}

static void data_of_ratios(FILE *to, const struct record *r, const struct summary *s)
{
	for (unsigned v = 1; v < r->variant_count; v++) {
		fprintf(to, "# %s: connections, ratio by %s, ends of its interval, number of the variant\n$ratio%u << END\n",
			r->variants[v], r->variants[0], v);
		for (unsigned l = 0; l < r->level_count; l++) {
			const struct estimate *e = &s->of[v][l].one.estimate;

			if (e->pairs)
				fprintf(to, "%lld %.9g %.9g %.9g %u\n", (long long)r->level[l], e->ratio, e->lower, e->upper, v);
		}
		fputs("END\n", to);
	}
}

/* is_drawn -- of many levels the first one, the last one and one between. */
static bool is_drawn(const struct record *r, unsigned level)
{
	return r->level_count <= DRAWN || !level || level == r->level_count - 1 || level == r->level_count / 2;
}

static void put_latency(FILE *to, const struct histogram *h, double tail)
{
	double percent = 100 - 100 / tail;

	fprintf(to, "%.9g %.9g %.9g\n", tail, percent, (double)histogram_percentile(h, percent) / 1e9);
}

/* Which latencies there are to draw. */
struct drawn {
	bool any, of[VARIANTS_MOST][LEVELS_MOST];
};

/* data_of_latencies -- at ten percentiles for each nine, and the longest. */
static struct drawn data_of_latencies(FILE *to, const struct record *r)
{
	static const double steps[] = {1, 1.25, 1.6, 2, 2.5, 3.2, 4, 5, 6.3, 8};
	static struct histogram h;
	struct drawn d = {0};

	for (unsigned v = 0; v < r->variant_count; v++)
		for (unsigned l = 0; l < r->level_count; l++) {
			if (!is_drawn(r, l) || !summary_latency(r, l, v, &h))
				continue;
			d.any = d.of[v][l] = true;
			fprintf(to, "# %s, %lld connections: one of so many is longer, percentile, seconds\n$latency%u_%u << END\n",
				r->variants[v], (long long)r->level[l], v, l);
			for (double nines = 1; nines < (double)h.count; nines *= 10)
				for (size_t i = 0; i < sizeof steps / sizeof *steps && nines * steps[i] < (double)h.count; i++)
					put_latency(to, &h, nines * steps[i]);
			fprintf(to, "%.9g 100 %.9g\nEND\n", (double)h.count, (double)h.max / 1e9);
		}
	return d;
}

/* -- pictures ---------------------------------------------------------------------------------------------- */

static void draw_ratios(FILE *to, const struct record *r)
{
	bool curve = r->level_count > 1;

	fprintf(to, "set title \"ratio to %s, with its interval\"\n", r->variants[0]);
	if (curve) {
		fputs("set xlabel \"connections\"\nset logscale x\nset xtics (", to);
		for (unsigned l = 0; l < r->level_count; l++)
			fprintf(to, "%s%lld", l ? ", " : "", (long long)r->level[l]);
		fputs(")\nset offsets graph 0.05, graph 0.05, graph 0.1, graph 0.1\n", to);
	} else {
		fprintf(to, "set xlabel \"\"\nset xrange [0.5:%u.5]\nset xtics (", r->variant_count - 1);
		for (unsigned v = 1; v < r->variant_count; v++)
			fprintf(to, "%s\"%s\" %u", v > 1 ? ", " : "", r->variants[v], v);
		fputs(")\nset offsets 0, 0, graph 0.1, graph 0.1\n", to);
	}
	fputs("set ylabel ", to);
	quoted(to, r->primary);
	fprintf(to, "\nset format y \"%%g\"\n%s\nplot 1 with lines lw 2 lc rgb \"gray\" notitle",
		curve && r->variant_count > 2 ? "set key top left" : "unset key");
	for (unsigned v = 1; v < r->variant_count; v++) {
		fprintf(to, ", \\\n\t$ratio%u using %d:2:3:4 with yerrorbars pt 7 lw 2 lc %u title \"%s\"", v, curve ? 1 : 5, v + 1,
			r->variants[v]);
		if (curve)
			fprintf(to, ", \\\n\t$ratio%u using 1:2 with lines lw 2 lc %u notitle", v, v + 1);
	}
	fputs("\nunset logscale x\nset autoscale x\nset xtics auto\nset offsets 0, 0, 0, 0\n", to);
}

static void draw_latencies(FILE *to, const struct record *r, const struct drawn *d)
{
	const char *before = "plot ";

	fprintf(to, "set title \"latencies by percentile%s, all runs together\"\nset xlabel \"\"\nset ylabel \"\"\nset logscale xy\n"
	      "set key below font \",9\"\nset xtics font \",9\" (\"0\" 1, \"50\" 2, \"90\" 10, \"99\" 100, "
	      "\"99.9\" 1e3, \"99.99\" 1e4, \"\" 1e5, \"99.9999\" 1e6)\n"
	      "set format y \"%%.0s %%cs\"\n", r->level_count > 1 ? " and connections" : "");
	for (unsigned v = 0; v < r->variant_count; v++)
		for (unsigned l = 0, dash = 0; l < r->level_count; l++) {
			if (!is_drawn(r, l))
				continue;
			dash++;
			if (!d->of[v][l])
				continue;
			fprintf(to, "%s$latency%u_%u using 1:3 with lines lw 2 lc %u dt %u title \"%s", before, v, l, v + 1, dash,
				r->variants[v]);
			if (r->level_count > 1)
				fprintf(to, ", %lld", (long long)r->level[l]);
			fputs("\"", to);
			before = ", \\\n\t";
		}
	fputs("\nunset logscale\nset xtics font \"\" auto\nset key inside vertical font \"\"\n", to);
}

/* value_format -- of what gets the verdict. */
static const char *value_format(const struct record *r)
{
	bool time = r->primary_metric >= 0 ? summary_time(r, (unsigned)r->primary_metric)
					   : figure_kinds[r->primary_figure].unit == UNIT_SECONDS;

	return time ? "%.1s %cs" : "%.1s %c";
}

static void draw_distribution(FILE *to, const struct record *r)
{
	fputs("set title \"distribution of the runs\"\nset xlabel ", to);
	quoted(to, r->primary);
	fprintf(to, "\nset key bottom right\nset xtics rotate by -40\nset ylabel \"share of the runs below\"\nset format y \"%%g\"\nset format x \"%s\"\n"
		"set yrange [0:1]\nplot ", value_format(r));
	for (unsigned v = 0; v < r->variant_count; v++)
		fprintf(to, "%s$runs%u using 2:(1.0/|$runs%u|) smooth cumulative lw 2 lc %u title \"%s\"", v ? ", \\\n\t" : "", v, v,
			v + 1, r->variants[v]);
	fputs("\nset autoscale y\nset format x \"%g\"\nset xtics norotate\n", to);
}

static void draw_order(FILE *to, const struct record *r)
{
	fputs("set title \"runs in order of time\"\nset xlabel \"seconds since the start\"\nset ylabel ", to);
	quoted(to, r->primary);
	fprintf(to, "\nset key bottom right\nset format y \"%s\"\nset xrange [0:*]\nset yrange [0:*]\nplot ", value_format(r));
	for (unsigned v = 0; v < r->variant_count; v++)
		fprintf(to, "%s$runs%u using 1:2 with points pt 7 ps .6 lc %u title \"%s\"", v ? ", \\\n\t" : "", v, v + 1,
			r->variants[v]);
	putc('\n', to);
}

static void draw(FILE *to, const struct record *r, const struct summary *s)
{
	fputs("set grid\nset key opaque box lc rgb \"gray\"\n", to);
	data_of_runs(to, r);
	data_of_ratios(to, r, s);
	const struct drawn latencies = data_of_latencies(to, r);

	fputs("set multiplot layout 1,3 title ", to);
	quoted(to, r->program);
	putc('\n', to);
	draw_ratios(to, r);
	if (latencies.any)
		draw_latencies(to, r, &latencies);
	else
		draw_distribution(to, r);
	draw_order(to, r);
	fputs("unset multiplot\n", to);
}

static int keep_commands(const struct record *r, const struct summary *s, const char *path)
{
	FILE *to = fopen(path, "we");
	bool good;

	if (!to)
		return cli_fail(CLI_FAILED, "--plot: %s: %s", path, strerror(errno));
	draw(to, r, s);
	good = !ferror(to);
	return !fclose(to) && good ? 0 : cli_fail(CLI_FAILED, "--plot: %s: cannot be written", path);
}

int plot(const struct record *r, const struct summary *s, const char *path)
{
	const char *kind = kind_of(path);
	FILE *to;
	int status;

	if (!strcmp(kind, "gp"))
		return keep_commands(r, s, path);
	signal(SIGPIPE, SIG_IGN);
	to = popen("gnuplot", "we");
	if (!to)
		return cli_fail(CLI_USAGE, "gnuplot: %s", strerror(errno));
	fprintf(to, "set terminal %s size 1500,520 noenhanced%s\nset output ", strcmp(kind, "svg") ? "pngcairo" : "svg",
		strcmp(kind, "svg") ? "" : " background rgb \"white\"");
	quoted(to, path);
	putc('\n', to);
	draw(to, r, s);
	status = pclose(to);
	return status ? cli_fail(CLI_FAILED, "gnuplot has failed: nothing is drawn") : 0;
}
