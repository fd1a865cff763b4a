/* noise.h -- runs of a program that are disturbed as runs on real machines are, from a seed
 *
 * A disturbance is the logarithm of a factor on a run's figure. They are made run by run in order
 * of time, both variants' alike, and only then the schedule says which run was whose.
 */
#ifndef NOISE_H
#define NOISE_H

#include <math.h>
#include <stdint.h>
#include "compare/schedule.h"

#define NOISE_PAIRS 96

static uint64_t noise_state;

/* Steele, Lea and Flood's splitmix64. */
static uint64_t noise_bits(void)
{
	uint64_t z = noise_state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Seeds that are neighbours start series that are far apart. */
static void noise_seed(uint64_t seed)
{
	noise_state = seed;
	noise_state = noise_bits();
}

/* In (0, 1). */
static double noise_uniform(void)
{
	return ((noise_bits() >> 11) + .5) / 9007199254740992.;
}

static double noise_exponential(void)
{
	return -log(noise_uniform());
}

static double noise_normal(void)
{
	return sqrt(2 * noise_exponential()) * cos(6.283185307179586 * noise_uniform());
}

/* Student's t with two degrees of freedom: its chi-square over 2 is exponential. */
static double noise_t2(void)
{
	return noise_normal() / sqrt(noise_exponential());
}

enum noise_kind { NOISE_NORMAL, NOISE_T2, NOISE_MODES, NOISE_DRIFT, NOISE_AR, NOISE_BURSTS };

struct noise {
	const char *name;
	enum noise_kind kind;
	double scale; /* NORMAL, T2, AR: of the noise itself; others: of normal noise beneath */
};

/* noise_runs -- 2 * NOISE_PAIRS runs. */
static void noise_runs(const struct noise *noise, double *runs)
{
	double level = noise->scale / sqrt(1 - .9 * .9) * noise_normal();

	for (unsigned i = 0; i < 2 * NOISE_PAIRS; i++) {
		runs[i] = noise->scale * (noise->kind == NOISE_T2 ? noise_t2() : noise_normal());
		switch (noise->kind) {
		case NOISE_NORMAL:
		case NOISE_T2:
			break;
		case NOISE_MODES:
			runs[i] += noise_uniform() < .5 ? log(1.1) : 0;
			break;
		case NOISE_DRIFT:
			runs[i] += log(1 + .3 * i / (2 * NOISE_PAIRS - 1));
			break;
		case NOISE_AR:
			level = runs[i] += .9 * level;
			break;
		case NOISE_BURSTS:
			runs[i] += noise_uniform() < .15 ? log(1 + .3 * noise_exponential()) : 0;
			break;
		}
	}
}

/* noise_pairs -- the log ratios of NOISE_PAIRS pairs whose true ratio is exp(truth). */
static void noise_pairs(const struct noise *noise, uint64_t seed, double truth, double *logs)
{
	double runs[2 * NOISE_PAIRS];

	noise_seed(seed);
	noise_runs(noise, runs);
	for (unsigned i = 0; i < NOISE_PAIRS; i++) {
		double later = runs[2 * i + 1] - runs[2 * i];

		logs[i] = truth + (schedule_of(seed, i).swapped ? -later : later);
	}
}

#endif
