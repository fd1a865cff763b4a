/* exec.h -- execve and execveat: what the program that is started gets of us */
#ifndef PRELOAD_EXEC_H
#define PRELOAD_EXEC_H

#include "elf/elfkind.h"
#include "gate/gate.h"

struct exec_target {
	int fd;			/* where a relative name counts from */
	const char *name;
	bool empty;		/* no name means the descriptor itself */
	char *const *search;	/* an environment with a PATH to look the name up in; NULL: it is a path */
	bool lenient;		/* leave out of its LD_PRELOAD what does it harm, but nothing that only does it no good */
};

struct room;

/* exec_room, exec_put -- memory for exec_choose and its result, until the call has been made; NULL: none. */
struct room *exec_room(void);
void exec_put(struct room *room);

/* exec_choose -- the environment to be passed to this program instead of `env', or `env'. */
char *const *exec_choose(struct room *room, const struct exec_target *x, char *const *env);

/* exec_kind -- what kind of program an exec of this path would end in; unknown also where there is no memory to look. */
enum elf_kind exec_kind(const char *path);

static inline bool exec_is(const struct arch_frame *f)
{
	return f->nr == __NR_execve || f->nr == __NR_execveat;
}

/* exec_make -- make the frame's call, for the task itself or a child of its vfork. Returns -errno: nothing was started. */
long exec_make(struct task *t, struct arch_frame *f);

/* exec_forget -- give back what a child of vfork that has become another program left with its parent. */
void exec_forget(struct task *t);

#endif
