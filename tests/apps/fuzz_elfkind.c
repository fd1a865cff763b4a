/* fuzz_elfkind.c -- elfkind on files damaged at random: it must end, and touch only its own
 *
 *     fuzz_elfkind FILE COUNT SEED
 *
 * Built with -fsanitize=address,undefined around elfkind.c, whose system calls on the file are
 * replaced. Prints how often each kind was the answer, and the largest number of reads that one
 * judgement took.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys.h"

#define MUTATIONS	16
#define MANY_READS	200000

static unsigned char *original, *image;
static size_t original_size, image_size;
static unsigned long reads;
static uint64_t state;

static uint64_t random_number(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static size_t below(size_t n)
{
	return n ? random_number() % n : 0;
}

/* The damaged file is memory; one read in eight is cut short, one in 256 fails. */
static long fake_read(void *buf, size_t n, long at)
{
	reads++;
	if (at < 0 || (size_t)at >= image_size)
		return 0;
	if (below(256) == 0)
		return -EIO;
	if (n > image_size - (size_t)at)
		n = image_size - (size_t)at;
	if (n > 1 && below(8) == 0)
		n = 1 + below(n);
	memcpy(buf, image + at, n);
	return (long)n;
}

static long fake_open(void)
{
	return below(4) ? 3 : -ENOENT;
}

/* The other calls are about a regular file that belongs to the caller. */
static long fake_call(long nr, struct stat *to)
{
	if (nr == __NR_newfstatat)
		*to = (struct stat){.st_mode = S_IFREG | 0755};
	return 0;
}

#define FAKE(nr, a, b, c, ...) fake_call(nr, (struct stat *)(uintptr_t)(c))
#undef SYS
#define SYS(...)	FAKE(__VA_ARGS__, 0, 0, 0, 0)
#define sys_pread(fd, buf, n, at) fake_read(buf, n, at)
#define sys_open(...)	fake_open()
#define sys_close(fd)	((void)(fd))
#include "elf/elfkind.c"

/* mutate -- damage a fresh copy: bytes, words of interesting size, and its length. Most hits go
 * where the tables are. */
static void mutate(void)
{
	static const uint64_t words[] = {
		0, 1, 0x7f, 0xff, 0x7fffffff, 0xffffffff, INT64_MAX, UINT64_MAX, UINT64_MAX - 7};

	free(image);
	image_size = below(4) ? original_size : below(original_size + 1);
	image = malloc(image_size ? image_size : 1);
	memcpy(image, original, image_size);
	for (size_t i = below(MUTATIONS) + 1; i && image_size > 8; i--) {
		size_t head = image_size < 4096 ? image_size : 4096;
		size_t at = below(below(3) ? head : image_size);
		uint64_t word = random_number();
		size_t n = 1u << below(4);

		if (below(2))
			word = words[below(sizeof words / sizeof words[0])];
		memcpy(image + at, &word, n < image_size - at ? n : image_size - at);
	}
}

static int load(const char *path)
{
	int fd = open(path, O_RDONLY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return -1;
	original_size = (size_t)st.st_size;
	original = malloc(original_size + 1);
	return read(fd, original, original_size) == st.st_size ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct elfkind_work *work = malloc(sizeof *work);
	unsigned long counts[ELFKIND_COUNT] = {0}, most = 0;

	if (argc != 4 || load(argv[1])) {
		fprintf(stderr, "usage: fuzz_elfkind FILE COUNT SEED\n");
		return 2;
	}
	state = strtoull(argv[3], NULL, 10) * 0x9e3779b97f4a7c15 + 1;
	for (long n = atol(argv[2]); n > 0; n--) {
		mutate();
		reads = 0;
		memset(work, 0xa5, sizeof *work);
		counts[elfkind_of_path("/program", "/bin::/usr/bin", work)]++;
		if (!memchr(work->name, 0, sizeof work->name) || reads > MANY_READS)
			abort();
		most = reads > most ? reads : most;
	}
	for (int kind = 0; kind < ELFKIND_COUNT; kind++)
		printf("%d:%lu ", kind, counts[kind]);
	printf("most reads %lu\n", most);
	free(work);
	free(image);
	free(original);
	return 0;
}
