/* stdio_shared.c -- streams used by several threads: whole lines, locks of a stream, blocking reads
 *
 * threads: 4
 */
#include "check.h"

enum { THREADS = 10, LINES = 300 };

static FILE *in, *out;
static struct step arrived = STEP_INIT, told = STEP_INIT;
static int seen[THREADS];

static void streams_on_a_pipe(void)
{
	int fds[2];

	CHECK(pipe(fds) == 0);
	in = fdopen(fds[0], "r");
	out = fdopen(fds[1], "w");
	CHECK(in && out);
}

static void *print_lines(void *arg)
{
	for (int i = 0; i < LINES; i++) {
		CHECK(fprintf(out, "%d %d %s\n", (int)(intptr_t)arg, i,
			      "a text of some length after the numbers") > 0);
		if (i % 10 == 0)
			CHECK(fflush(out) == 0);
	}
	return NULL;
}

static void *read_in_order(void *arg)
{
	char line[128];

	while (fgets(line, sizeof(line), in)) {
		int who, n, end = 0;

		CHECK(sscanf(line, "%d %d a text of some length after the numbers\n%n", &who, &n,
			     &end) == 2 &&
		      end);
		CHECK_EQ(n, seen[who]++);
	}
	return arg;
}

static void lines_of_several_threads_stay_whole(void)
{
	pthread_t threads[THREADS], reader;

	streams_on_a_pipe();
	memset(seen, 0, sizeof(seen));
	reader = thread_start(read_in_order, NULL);
	threads_start(threads, THREADS, print_lines);
	threads_join(threads, THREADS);
	CHECK(fclose(out) == 0);
	thread_join(reader);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(seen[i], LINES);
	CHECK(fclose(in) == 0);
}

static void *read_lines(void *arg)
{
	char line[128];
	int who, n;

	step_add(&arrived, 1);
	while (fgets(line, sizeof(line), in)) {
		CHECK(sscanf(line, "%d %d a text", &who, &n) == 2);
		__atomic_add_fetch(&seen[who], 1, __ATOMIC_SEQ_CST);
	}
	return arg;
}

/* The readers wait for the stream's lock while one of them waits for data: another stream is not in
 * their way. */
static void several_readers_share_the_lines(void)
{
	pthread_t readers[4];

	streams_on_a_pipe();
	memset(seen, 0, sizeof(seen));
	step_reset(&arrived);
	for (int i = 0; i < 4; i++)
		readers[i] = thread_start(read_lines, NULL);
	step_wait(&arrived, 4);
	let_block();
	for (intptr_t i = 0; i < THREADS; i++)
		print_lines((void *)i);
	CHECK(fclose(out) == 0);
	threads_join(readers, 4);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(seen[i], LINES);
	CHECK(fclose(in) == 0);
}

static void *locked_elsewhere(void *arg)
{
	CHECK(ftrylockfile(out) != 0);
	step_add(&told, 1);
	CHECK(fputs("second\n", out) >= 0);
	return arg;
}

static void flockfile_keeps_others_out(void)
{
	char line[16];
	pthread_t thread;

	streams_on_a_pipe();
	step_reset(&told);
	flockfile(out);
	flockfile(out);
	CHECK(ftrylockfile(out) == 0);
	thread = thread_start(locked_elsewhere, NULL);
	step_wait(&told, 1);
	for (const char *c = "first\n"; *c; c++) {
		CHECK(putc_unlocked(*c, out) == *c);
		sched_yield();
	}
	funlockfile(out);
	funlockfile(out);
	funlockfile(out);
	thread_join(thread);
	CHECK(fclose(out) == 0);
	CHECK(fgets(line, sizeof(line), in) && strcmp(line, "first\n") == 0);
	CHECK(fgets(line, sizeof(line), in) && strcmp(line, "second\n") == 0);
	CHECK(fgetc(in) == EOF && feof(in));
	CHECK(fclose(in) == 0);
}

static void *count_into_file(void *arg)
{
	FILE *file = (FILE *)arg;

	for (int i = 0; i < LINES; i++)
		CHECK(fwrite("0123456789abcdef", 16, 1, file) == 1);
	return NULL;
}

static void records_in_a_file_stay_whole(void)
{
	FILE *file = tmpfile();
	pthread_t threads[THREADS];
	char record[17] = "";

	CHECK(file);
	for (int i = 0; i < THREADS; i++)
		threads[i] = thread_start(count_into_file, file);
	threads_join(threads, THREADS);
	CHECK_EQ(ftell(file), 16 * THREADS * LINES);
	rewind(file);
	for (int i = 0; i < THREADS * LINES; i++) {
		CHECK(fread(record, 16, 1, file) == 1);
		CHECK(strcmp(record, "0123456789abcdef") == 0);
	}
	CHECK(fclose(file) == 0);
}

static void *leave_in_stream(void *arg)
{
	CHECK(fputs("flushed\n", out) >= 0);
	return arg;
}

/* exit flushes what threads have left in a stream. */
static void exit_flushes_what_was_written(void)
{
	char line[16] = "";
	pid_t child;

	streams_on_a_pipe();
	CHECK((child = fork()) >= 0);
	if (child == 0) {
		thread_join(thread_start(leave_in_stream, NULL));
		exit(0);
	}
	CHECK_CHILD(child);
	CHECK(fclose(out) == 0);
	CHECK(fgets(line, sizeof(line), in) && strcmp(line, "flushed\n") == 0);
	CHECK(fclose(in) == 0);
}

int main(void)
{
	check_begin();
	RUN(lines_of_several_threads_stay_whole);
	RUN(several_readers_share_the_lines);
	RUN(flockfile_keeps_others_out);
	RUN(records_in_a_file_stay_whole);
	RUN(exit_flushes_what_was_written);
	return check_done();
}
