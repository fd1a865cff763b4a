/* plot.h -- a comparison as a picture, drawn by gnuplot
 *
 * Threads: one.
 * Errors:  an exit status.
 * Memory:  given back.
 */
#ifndef CLI_COMPARE_PLOT_H
#define CLI_COMPARE_PLOT_H

#include "compare/summary.h"

/* plot_check -- can it be drawn into this file? NULL: nothing is to be drawn. */
int plot_check(const char *path);

/* plot -- draw it into a file whose name ends in .svg or .png; to one that ends in .gp go the commands alone. */
int plot(const struct record *r, const struct summary *s, const char *path);

#endif
