/* text.c -- writing to text that is mapped r-x */
#include <emmintrin.h>
#include <fcntl.h>

#include "sys.h"
#include "text.h"

static int mem = -1; /* between text_open and text_close */

void text_open(void)
{
	mem = (int)sys_open("/proc/thread-self/mem", O_RDWR | O_CLOEXEC, 0);
}

void text_close(void)
{
	if (mem >= 0)
		sys_close(mem);
	mem = -1;
}

static int write_mem(uintptr_t at, const uint8_t *bytes, size_t n)
{
	while (n) {
		long r = mem < 0 ? -EBADF : sys_pwrite(mem, bytes, n, (long)at);

		if (r <= 0)
			return r ? (int)r : -EIO;
		at += (size_t)r;
		bytes += r;
		n -= (size_t)r;
	}
	return 0;
}

static int replace_pages(uintptr_t at, const uint8_t *bytes, size_t n)
{
	uintptr_t start = at & ~(PAGE - 1);
	size_t size = page_up(at + n) - start;
	uint8_t *copy = sys_map(size);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, (const void *)start, size);
	memcpy(copy + (at - start), bytes, n);
	long r = sys_mprotect(copy, size, PROT_READ | PROT_EXEC);

	if (!r)
		r = sys_mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)start);
	if (r < 0 && r > -4096) {
		sys_munmap(copy, size);
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

int text_write(uintptr_t at, const void *bytes, size_t n)
{
	if (write_mem(at, bytes, n)) {
		int r = replace_pages(at, bytes, n);

		if (r)
			return r;
	}
	return is_equal((const uint8_t *)at, bytes, n) ? 0 : -EIO;
}
