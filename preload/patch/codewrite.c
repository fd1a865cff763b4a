/* codewrite.c -- writing to text that is mapped r-x */
#include <emmintrin.h>
#include <fcntl.h>
#include <sys/resource.h>

#include "pages.h"
#include "sys.h"
#include "patch/codewrite.h"

#define TAKEN	  256
#define FILE_MOST (64l << 20)
#define FROM_FILE (1ull << 61) /* in a word of pagemap: the page is its file's, or shared */
#define PRESENT	  (1ull << 63)

static int mem = -1, copies = -1, pagemap = -1; /* between codewrite_open and codewrite_close */
static int depth;

static struct taken {
	uintptr_t lo, hi;
	long at; /* in the copy */
	int prot;
} taken[TAKEN] ANEW;
static int taken_count;
static long copied;

/* The file that copies go to. The program's limit of file sizes holds for it, and exceeding that is
 * a signal. */
static int open_copy(void)
{
	struct rlimit limit = {0};

	SYS(__NR_prlimit64, 0, RLIMIT_FSIZE, NULL, &limit);
	if (limit.rlim_cur < FILE_MOST)
		return -EFBIG;
	long fd = SYS(__NR_memfd_create, "weft-text", MFD_CLOEXEC | MFD_EXEC);

	return (int)(fd == -EINVAL ? SYS(__NR_memfd_create, "weft-text", MFD_CLOEXEC) : fd);
}

void codewrite_open(void)
{
	if (depth++)
		return;
	mem = (int)sys_open("/proc/thread-self/mem", O_RDWR | O_CLOEXEC, 0);
	pagemap = (int)sys_open("/proc/thread-self/pagemap", O_RDONLY | O_CLOEXEC, 0);
	copies = pagemap < 0 ? -1 : open_copy();
	taken_count = 0;
	copied = 0;
}

int codewrite_close(void)
{
	int fds[] = {mem, pagemap, copies}, r = 0;

	if (--depth)
		return 0;
	for (int i = 0; i < taken_count && !r; i++) {
		const struct taken *t = &taken[i];
		long p = sys_mmap((void *)t->lo, t->hi - t->lo, t->prot, MAP_PRIVATE | MAP_FIXED, copies, t->at);

		r = p < 0 && p > -4096 ? (int)p : 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			sys_close(fds[i]);
	mem = pagemap = copies = -1;
	taken_count = 0;
	return r;
}

/* Are all pages that are there their file's? */
static bool is_pristine(uintptr_t lo, uintptr_t hi)
{
	uint64_t word[64];

	for (; lo < hi; lo += sizeof word / 8 * PAGE) {
		size_t n = hi - lo < sizeof word / 8 * PAGE ? (hi - lo) / PAGE : sizeof word / 8;

		if (sys_pread(pagemap, word, n * 8, (long)(lo / PAGE * 8)) != (long)n * 8)
			return false;
		for (size_t i = 0; i < n; i++)
			if (word[i] & PRESENT && !(word[i] & FROM_FILE))
				return false;
	}
	return true;
}

void codewrite_take(uintptr_t lo, uintptr_t hi, size_t full, int prot)
{
	long n = (long)(hi - lo);

	if (copies < 0 || taken_count == TAKEN || copied + n > FILE_MOST)
		return;
	for (int i = 0; i < taken_count; i++)
		if (lo < taken[i].hi && hi > taken[i].lo)
			return;
	if (prot & PROT_EXEC && !is_pristine(lo, hi))
		return;
	if (sys_pwrite(copies, (void *)lo, full, copied) != (long)full ||
	    SYS(__NR_ftruncate, copies, copied + n) < 0)
		return;
	taken[taken_count++] = (struct taken){lo, hi, copied, prot};
	copied += n;
}

static int write_file(int fd, long at, const uint8_t *bytes, size_t n)
{
	while (n) {
		long r = fd < 0 ? -EBADF : sys_pwrite(fd, bytes, n, at);

		if (r <= 0)
			return r ? (int)r : -EIO;
		at += r;
		bytes += r;
		n -= (size_t)r;
	}
	return 0;
}

static int replace_pages(uintptr_t at, const uint8_t *bytes, size_t n)
{
	uintptr_t start = at & ~(PAGE - 1);
	size_t size = page_up(at + n) - start;
	uint8_t *page = sys_map(size);

	if (!page)
		return -ENOMEM;
	memcpy(page, (const void *)start, size);
	memcpy(page + (at - start), bytes, n);
	long r = sys_mprotect(page, size, PROT_READ | PROT_EXEC);

	if (!r)
		r = sys_mremap(page, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)start);
	if (r < 0 && r > -4096) {
		sys_munmap(page, size);
		return (int)r;
	}
	return 0;
}

static bool is_equal(const uint8_t *a, const uint8_t *b, size_t n)
{
	for (; n >= 16; n -= 16, a += 16, b += 16) {
		__m128i x = _mm_loadu_si128((const __m128i *)a), y = _mm_loadu_si128((const __m128i *)b);

		if (_mm_movemask_epi8(_mm_cmpeq_epi8(x, y)) != 0xffff)
			return false;
	}
	return !memcmp(a, b, n);
}

int codewrite_write(uintptr_t at, const void *bytes, size_t n)
{
	for (int i = 0; i < taken_count; i++)
		if (at >= taken[i].lo && at + n <= taken[i].hi)
			return write_file(copies, taken[i].at + (long)(at - taken[i].lo), bytes, n);
	if (write_file(mem, (long)at, bytes, n)) {
		int r = replace_pages(at, bytes, n);

		if (r)
			return r;
	}
	return is_equal((const uint8_t *)at, bytes, n) ? 0 : -EIO;
}
