/* fork.h -- what core does around a fork
 *
 * The locks of tasks, stacks and memory are taken, so that the child finds these whole. All else is anew there (pages.h), these
 * locks as well, and the child builds a world around its one task. Nobody is waited for.
 */
#ifndef CORE_FORK_H
#define CORE_FORK_H

#include "task.h"

void fork_before(const struct task *t, struct task *saved);
void fork_parent(void);
void fork_child(struct task *t, const struct task *saved);

#endif
