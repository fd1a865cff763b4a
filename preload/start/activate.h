/* activate.h -- the moment, at most once per process, when sites are redirected and the first hub starts
 *
 * Threads: any; the first call wins. Errors: none are shown: the process stays native, stat_page says why.
 */
#ifndef PRELOAD_ACTIVATE_H
#define PRELOAD_ACTIVATE_H

#include "base.h"

/* activate -- make this process's threads tasks. True when they are (now or already). */
bool activate(void);

/* activate_done -- has it happened? */
bool activate_done(void);

/* activate_untried -- has this process made no thread yet, by a way that we know of? */
bool activate_untried(void);

/* activate_require -- under WEFT_REQUIRE end the process when it is native but should not be. */
void activate_require(void);

#endif
