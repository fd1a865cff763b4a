/* report.h -- what a load gave, for people and for programs
 *
 * Threads: one.    Errors: 0 or an exit status.    Memory: given back at exit.
 */
#ifndef CLI_LOAD_REPORT_H
#define CLI_LOAD_REPORT_H

#include "load/address.h"
#include "load/plan.h"

/* loadreport_text -- print the tally as text. */
void loadreport_text(const struct loadplan *plan, const struct address *to);

/* loadreport_json -- print the tally as one JSON object, see weft-load(1). */
int loadreport_json(const struct loadplan *plan, const struct address *to);

#endif
