/* recording.h -- what load tools really printed: the files of tests/unit/reader, by record.py there
 */
#ifndef RECORDING_H
#define RECORDING_H

#include "unit.h"
#include <signal.h>

#include "compare/reader.h"

#define RECORDINGS	"tests/unit/reader"
#define NAME_MOST	40

struct recording {
	struct reader_run run;
	char *text;
};

static const struct {
	const char *name;
	int number;
} recording_signals[] = {{"SIGKILL", SIGKILL}, {"SIGINT", SIGINT}, {"SIGTERM", SIGTERM}};

/* recording_cut -- cut the text at `title'. Returns what stood behind it, or NULL. */
static char *recording_cut(char *text, const char *title)
{
	char *at = strstr(text, title);

	if (!at)
		return NULL;
	*at = 0;
	return at + strlen(title);
}

static int recording_status(const char *text)
{
	for (size_t i = 0; i < sizeof recording_signals / sizeof recording_signals[0]; i++)
		if (!strcmp(text, recording_signals[i].name))
			return recording_signals[i].number;
	assert_true(*text >= '0' && *text <= '9');
	return atoi(text) << 8;
}

static char *recording_read(const char *name)
{
	char path[sizeof RECORDINGS + NAME_MOST + 1];
	char *text = calloc(1, 1 << 17);
	FILE *f;

	snprintf(path, sizeof path, RECORDINGS "/%s", name);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_in_range(fread(text, 1, (1 << 17) - 1, f), 1, (1 << 17) - 2);
	fclose(f);
	return text;
}

static void recording_open(struct recording *r, const char *name)
{
	char *status, *out, *err;

	r->text = recording_read(name);
	out = recording_cut(r->text, "==== standard output\n");
	assert_non_null(out);
	err = recording_cut(out, "==== standard error\n");
	assert_non_null(err);
	status = recording_cut(r->text, "\n# status: ");
	assert_non_null(status);
	status[strcspn(status, "\n")] = 0;
	recording_cut(r->text, "\n# server: ");
	assert_memory_equal(r->text, "# command: ", 11);
	r->run = (struct reader_run){r->text + 11, recording_status(status), out, err,
				     recording_cut(err, "==== file\n")};
}

static void recording_close(struct recording *r)
{
	free(r->text);
}

#endif
