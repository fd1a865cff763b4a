/* fork.h -- what core does around a fork
 *
 * The locks of memory and stacks are taken, so that the child finds these whole; all else the child throws away and builds
 * anew around its one task. Nobody is waited for.
 */
#ifndef CORE_FORK_H
#define CORE_FORK_H

#include "task.h"

void fork_before(void);
void fork_parent(void);
void fork_child(struct task *t);

#endif
