/* verdict.h -- when there are enough pairs, and what they say
 *
 * The interval is looked at after 6, 12, 24, 48 and 96 pairs only, and the series ends when it is
 * narrow enough: never because a difference has appeared, which chance would make appear sooner or
 * later. It can still be narrow by luck. Measured, looks included, an interval that says 95 %
 * misses the truth in 3.4 to 7 % of series: 20 000 for each noise of test_verdict.c, AR .9 being
 * the worst, and normal noise of .25 to 3 % a run missing 6.4 % at most. Intervals at 96.25 % would
 * miss 5.7 % at most and take an eighth more pairs. They were rejected: an interval that says 95 %
 * is to be the one that anybody's Wilcoxon test gives for the same pairs.
 *
 * Ratios are judged so that neither swapping the names nor turning a figure upside down (seconds a
 * request, requests a second) changes a verdict. "Better by x %" says that the ratio of the two
 * figures, the better way round, is 1 + x / 100: a program that takes 10 s instead of 11 is better
 * by 10 %. The margin m is the range from 1 / (1 + m) to 1 + m. An interval from a to b has the
 * half-width (b / a - 1) / 2. With a margin of at least twice the precision, a series that ended
 * for its precision is always resolved: an interval that wide can reach across the margin, or
 * across 1, but not across both.
 *
 * Several levels are judged together: the chance that any difference is claimed where there is
 * none stays below 1 - confidence by Holm's method, and the chance that any interval misses its
 * truth by Bonferroni's. (Intervals as narrow as Holm's steps would be do not hold together.) So a
 * difference can be claimed although the wider, simultaneous interval still touches 1; its sentence
 * then begins the range at 0.
 *
 * Threads: any function, from any thread.    Errors: none; see verdict_text.    Memory: none.
 */
#ifndef CLI_COMPARE_VERDICT_H
#define CLI_COMPARE_VERDICT_H

#include <stdbool.h>
#include <stddef.h>

#include "compare/estimate.h"

#define VERDICT_FEWEST 6  /* pairs; more when the confidence wants more */
#define VERDICT_MOST   96 /* at the last look */

enum verdict_kind {
#define VERDICT(name, word, sentence) VERDICT_##name,
#include "compare/verdict.def"
#undef VERDICT
	VERDICT_COUNT
};

/* What is asked for; fractions, not per cent. */
struct verdict_rule {
	double precision;  /* half-width that ends a series */
	double margin;	   /* raised to twice the precision if less */
	double confidence; /* of all levels together */
};

extern const struct verdict_rule verdict_usual; /* 1 %, 2 %, 95 % */

/* One level: NAME compared with BASE by the primary metric. */
struct verdict_case {
	const char *base, *name;
	bool higher;		       /* is better */
	bool base_failed, name_failed; /* some of its requests */
	bool differs;		       /* exit status or output */
	bool coarse;		       /* figures below 100 quanta */
	struct estimate estimate;      /* of name's figure by base's, at verdict_confidence() */
};

struct verdict {
	enum verdict_kind kind;
	bool significant; /* equals would not look like this; BETTER unless within the margin */
	const char *better, *worse; /* as verdict.def says */
	double gain, low, high;	    /* per cent by which `better' is better */
	double halfwidth;	    /* a fraction, like the precision */
	double margin;		    /* the one that was used, a fraction */
	double correlation;
	unsigned pairs;
	unsigned fewest; /* pairs for any verdict */
	unsigned needed; /* pairs to reach the precision, about */
};

/* verdict_look -- the number of pairs at which to look next, after so many; 0 when that was the
 * last look. */
unsigned verdict_look(unsigned pairs);

/* verdict_confidence -- what to ask of each interval when so many levels are judged together. */
double verdict_confidence(const struct verdict_rule *rule, unsigned levels);

/* verdict_fewest -- pairs for any verdict on so many levels. */
unsigned verdict_fewest(const struct verdict_rule *rule, unsigned levels);

/* verdict_reached -- is the interval as narrow as was asked, so that a look ends the series? False
 * for one that does not attain its confidence. */
bool verdict_reached(const struct verdict_rule *rule, unsigned levels, const struct estimate *e);

/* verdict_judge -- the verdicts on levels that are judged together, from what there is: it asks for
 * no look, so a series that was broken off gets its verdict, too. */
void verdict_judge(const struct verdict_rule *rule, const struct verdict_case *cases,
		   struct verdict *verdicts, unsigned levels);

/* verdict_worse -- is NAME worse than BASE by more than this fraction? 1 if its whole interval lies
 * below that, 0 if the whole lies above, 2 if neither or nothing can be said. */
int verdict_worse(const struct verdict_case *c, const struct verdict *v, double limit);

/* verdict_word -- the kind's name in JSON. */
const char *verdict_word(enum verdict_kind kind);

/* verdict_text -- the verdict as a sentence, cut short after size - 1 bytes. Returns its length
 * uncut. */
size_t verdict_text(const struct verdict *v, char *to, size_t size);

#endif
