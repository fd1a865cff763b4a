/* plot.h -- a comparison as a picture, drawn by gnuplot
 *
 * Threads: one.
 * Errors:  an exit status.
 * Memory:  given back.
 */
#ifndef CLI_PLOT_H
#define CLI_PLOT_H

#include "summary.h"

/* plot -- draw it into a file whose name ends in .svg or .png. */
int plot(const struct record *r, const struct summary *s, const char *path);

#endif
