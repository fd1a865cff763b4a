/* exec.h -- execve and execveat: what the program that is started gets of us */
#ifndef PRELOAD_EXEC_H
#define PRELOAD_EXEC_H

#include "elfkind.h"
#include "gate.h"

static inline bool exec_is(const struct arch_frame *f)
{
	return f->nr == __NR_execve || f->nr == __NR_execveat;
}

/* exec_make -- make the frame's call, for the task itself or a child of its vfork. Returns -errno: nothing was started. */
long exec_make(struct task *t, struct arch_frame *f);

/* exec_kind -- what kind of program an exec of this path would end in; unknown also where there is no memory to look. */
enum elf_kind exec_kind(const char *path);

/* exec_forget -- give back what a child of vfork that has become another program left with its parent. */
void exec_forget(struct task *t);

#endif
