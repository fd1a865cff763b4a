/* report.h -- a comparison for people and for programs
 *
 * Threads: one.    Errors: an exit status.    Memory: given back.
 */
#ifndef CLI_COMPARE_REPORT_H
#define CLI_COMPARE_REPORT_H

#include "compare/summary.h"

int comparereport_text(const struct record *r, const struct summary *s);
int comparereport_json(const struct record *r, const struct summary *s);
int comparereport_csv(const struct record *r);

/* comparereport_two -- one kept comparison against another: the ratio of their ratios. */
int comparereport_two(const struct record *a, const struct record *b);

#endif
