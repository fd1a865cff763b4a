/* counters.c -- see counters.h */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stat.h"
#include "compare/counters.h"

#define NAME ".weft."

char **counters_environment(char **env, const char *dir)
{
	size_t n = 0;
	char **result, *entry;

	for (; env[n]; n++)
		if (!strncmp(env[n], "WEFT_STATS=", 11))
			return env;
	result = calloc(n + 2, sizeof *result);
	if (!result || asprintf(&entry, "WEFT_STATS=%s/" NAME "%%p", dir) < 0)
		return NULL;
	memcpy(result, env, n * sizeof *env);
	result[n] = entry;
	return result;
}

const struct counter_kind counter_kinds[COUNTERS] = {
#define COUNTER(name, text, value) {#name, text},
#include "counter.def"
#undef COUNTER
};

static uint64_t sum(const struct stat_page *p, enum stat_id id)
{
	uint64_t all = 0;

	for (size_t i = 0; i <= STAT_HUBS; i++)
		all += p->count[i][id];
	return all;
}

static void take(const struct stat_page *p, struct outcome_tasks *to)
{
	bool active = p->mode == STAT_ACTIVE;

	if (to->seen && (to->active > active || (to->active == active && to->count[COUNTER_most] >= (uint64_t)p->alive_max)))
		return;
	*to = (struct outcome_tasks){
		.seen = true, .active = active,
		.count = {
#define COUNTER(name, text, value) value,
#include "counter.def"
#undef COUNTER
		},
	};
	memcpy(to->why, p->why, sizeof to->why);
	to->why[sizeof to->why - 1] = 0;
}

bool counters_file(const char *name)
{
	return !strncmp(name, NAME, strlen(NAME));
}

void counters_read(const char *dir, struct outcome_tasks *to)
{
	static struct stat_page page;
	char path[400];
	struct dirent *e;
	DIR *d = opendir(dir);

	while (d && (e = readdir(d))) {
		FILE *f;

		if (!counters_file(e->d_name))
			continue;
		snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fread(&page, sizeof page, 1, f) == 1 && page.magic == STAT_MAGIC && page.counters == STAT_COUNT)
			take(&page, to);
		fclose(f);
	}
	if (d)
		closedir(d);
}
