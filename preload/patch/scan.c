/* scan.c -- where certain bytes stand in text
 *
 * Rejected: wider vectors (the first search waits for memory, whichever it has; the second gains a
 * fifth, for a question to the CPU that costs as much in a virtual machine); MADV_POPULATE_READ
 * (the faults of an untouched page come sixteen at a time by themselves).
 */
#include <emmintrin.h>

#include "patch/scan.h"

#define BLOCK 64
#define AHEAD 4096 /* bytes that are fetched before they are looked at */
#define BATCH 64   /* candidates that are looked at together */

/* Bytes are 0xff where those from p on are 0f 05. */
static inline __m128i pairs_16(uintptr_t p)
{
	__m128i a = _mm_loadu_si128((const __m128i *)p),
		b = _mm_loadu_si128((const __m128i *)(p + 1));

	return _mm_and_si128(_mm_cmpeq_epi8(a, _mm_set1_epi8(0x0f)),
			     _mm_cmpeq_epi8(b, _mm_set1_epi8(0x05)));
}

static inline uint64_t mask_64(__m128i a, __m128i b, __m128i c, __m128i d)
{
	return (uint64_t)(unsigned)_mm_movemask_epi8(a) |
	       (uint64_t)(unsigned)_mm_movemask_epi8(b) << 16 |
	       (uint64_t)(unsigned)_mm_movemask_epi8(c) << 32 |
	       (uint64_t)(unsigned)_mm_movemask_epi8(d) << 48;
}

/* Bit i is set where 0f 05 begins at byte i from p on. */
static inline uint64_t pairs_64(uintptr_t p)
{
	__m128i a = pairs_16(p), b = pairs_16(p + 16), c = pairs_16(p + 32), d = pairs_16(p + 48);

	if (likely(!_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d)))))
		return 0;
	return mask_64(a, b, c, d);
}

static uint64_t pairs_near_end(uintptr_t p, uintptr_t end)
{
	uint64_t m = 0;

	for (unsigned i = 0; i < BLOCK && p + i + 2 <= end; i++) {
		const uint8_t *b = (const uint8_t *)p + i;

		if (b[0] == 0x0f && b[1] == 0x05)
			m |= 1ull << i;
	}
	return m;
}

int scan_syscalls(uintptr_t start, uintptr_t end, int (*found)(uintptr_t at, void *arg), void *arg)
{
	for (uintptr_t p = start; p < end; p += BLOCK) {
		__builtin_prefetch((const void *)(p + AHEAD));
		uint64_t m = p + BLOCK < end ? pairs_64(p) : pairs_near_end(p, end);

		for (; m; m &= m - 1) {
			int r = found(p + (unsigned)__builtin_ctzll(m), arg);

			if (r)
				return r;
		}
	}
	return 0;
}

/* Bytes are 0xff where those from p on may begin a jmp or jcc with 32 bits. */
static inline __m128i branches_16(uintptr_t p)
{
	__m128i a = _mm_loadu_si128((const __m128i *)p),
		b = _mm_loadu_si128((const __m128i *)(p + 1));
	__m128i jcc = _mm_and_si128(_mm_cmpeq_epi8(a, _mm_set1_epi8(0x0f)),
				    _mm_cmpeq_epi8(_mm_and_si128(b, _mm_set1_epi8((char)0xf0)),
						   _mm_set1_epi8((char)0x80)));

	return _mm_or_si128(jcc, _mm_cmpeq_epi8(a, _mm_set1_epi8((char)0xe9)));
}

static inline uint64_t branches_64(uintptr_t p)
{
	return mask_64(branches_16(p), branches_16(p + 16), branches_16(p + 32),
		       branches_16(p + 48));
}

static uint64_t branches_near_end(uintptr_t p, uintptr_t end)
{
	uint64_t m = 0;

	for (unsigned i = 0; i < BLOCK && p + i + 5 <= end; i++) {
		const uint8_t *b = (const uint8_t *)p + i;

		if (b[0] == 0xe9 || (b[0] == 0x0f && (b[1] & 0xf0) == 0x80 && p + i + 6 <= end))
			m |= 1ull << i;
	}
	return m;
}

struct queue {
	uintptr_t at[BATCH + BLOCK];
	unsigned count;
};

/* Most blocks have three candidates or fewer: that many are noted without a branch, which would be
 * guessed wrongly as often as not. */
static inline void note(struct queue *q, uintptr_t p, uint64_t m)
{
	unsigned n = q->count;

	for (int i = 0; i < 3; i++) {
		q->at[n] = p + (unsigned)__builtin_ctzll(m | 1ull << 63);
		n += m != 0;
		m &= m - 1;
	}
	for (; unlikely(m != 0); m &= m - 1)
		q->at[n++] = p + (unsigned)__builtin_ctzll(m);
	q->count = n;
}

/* Again without a branch for each: one in sixty leads near. */
static void work_off(struct queue *q, const struct near *near,
		     void (*found)(uintptr_t target, void *arg), void *arg)
{
	unsigned hits = 0;

	for (unsigned i = 0; i < q->count; i++) {
		const uint8_t *at = (const uint8_t *)q->at[i];
		const uint8_t *next = at + 5 + (*at != 0xe9);
		int32_t displacement;

		__builtin_memcpy(&displacement, next - 4, sizeof displacement);
		uintptr_t target = (uintptr_t)next + (uintptr_t)(intptr_t)displacement;

		q->at[hits] = target;
		hits += near_is(near, target);
	}
	while (hits)
		found(q->at[--hits], arg);
	q->count = 0;
}

void scan_branches(uintptr_t start, uintptr_t end, const struct near *near,
		    void (*found)(uintptr_t target, void *arg), void *arg)
{
	struct queue q;

	q.count = 0;
	for (uintptr_t p = start; p < end; p += BLOCK) {
		__builtin_prefetch((const void *)(p + AHEAD));
		/* The last byte of a block may begin six. */
		note(&q, p, p + BLOCK + 5 < end ? branches_64(p) : branches_near_end(p, end));
		if (q.count >= BATCH)
			work_off(&q, near, found, arg);
	}
	work_off(&q, near, found, arg);
}
