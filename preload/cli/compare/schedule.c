/* schedule.c -- draws by counter */
#include "compare/schedule.h"

/* A draw's counter: what it is for in the upper half, which one in the lower. */
enum draw { DRAW_ORDER, DRAW_PADDING };

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* draw -- 64 random bits: an output of Steele, Lea and Flood's splitmix64. The seed is mixed before
 * the counter is added; without that two seeds could have the same series, shifted. */
static uint64_t draw(uint64_t seed, enum draw what, unsigned number)
{
	uint64_t counter = (uint64_t)what << 32 | number;

	return mix(mix(seed) + (counter + 1) * 0x9e3779b97f4a7c15u);
}

struct schedule schedule_of(uint64_t seed, unsigned pair)
{
	bool first_swapped = draw(seed, DRAW_ORDER, pair / 2) >> 63;
	uint64_t high = draw(seed, DRAW_PADDING, pair) >> 32;

	return (struct schedule){
		.swapped = first_swapped ^ (pair % 2),
		.padding = (unsigned)(high * (SCHEDULE_PADDING + 1) >> 32),
	};
}
