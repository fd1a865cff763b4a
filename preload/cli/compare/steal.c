/* steal.c -- see steal.h */
#include <stdio.h>

#include "compare/steal.h"

/* user, nice, system, idle, iowait, irq, softirq and steal; what follows are parts of these. */
struct others steal_of(const char *line)
{
	double t[8] = {0};
	struct others n = {0};

	if (sscanf(line, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]) < 4)
		return n;
	for (size_t i = 0; i < sizeof t / sizeof *t; i++)
		n.all += t[i];
	n.stolen = t[7];
	return n;
}

struct others steal_now(void)
{
	FILE *f = fopen("/proc/stat", "re");
	char line[256] = "";

	if (f && !fgets(line, sizeof line, f))
		*line = 0;
	if (f)
		fclose(f);
	return steal_of(line);
}

double steal_share(struct others from, struct others until)
{
	return until.all > from.all && until.stolen > from.stolen ? (until.stolen - from.stolen) / (until.all - from.all) : 0;
}

double steal_load(void)
{
	FILE *f = fopen("/proc/loadavg", "re");
	double load = 0;

	if (f && fscanf(f, "%lf", &load) != 1)
		load = 0;
	if (f)
		fclose(f);
	return load;
}
