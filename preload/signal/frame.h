/* frame.h -- the frame of a signal handler, as the kernel lays it out
 *
 * Both ways into a handler build it here: out of the gate, where the task is in a call, and out of a context that the kernel has
 * interrupted. A handler finds in it what the kernel would have put there: registers, flags, segments, alternate stack, mask, and
 * the vector state with the two magic numbers by which it is found.
 *
 * Threads: any. Errors: none. Memory: the handler's stack.
 */
#ifndef PRELOAD_FRAME_H
#define PRELOAD_FRAME_H

#include <ucontext.h>
#include "gate/gate.h"

#define FRAME_CONTEXT 304	/* bytes of the kernel's struct ucontext; libc's is larger */

struct sigframe {		/* as the kernel lays it out */
	void *restorer;
	char context[FRAME_CONTEXT];
	siginfo_t info;
};

/* frame_init -- ask the processor for its vector state. */
void frame_init(void);

/* frame_room -- so many bytes a frame needs at most that frame_push builds of the vector state of the moment. */
size_t frame_room(void);

/* frame_push -- build one below sp.
 *
 * context  the first FRAME_CONTEXT bytes of a ucontext: registers, flags; its fpregs NULL: the vector state is that of the moment
 * mask     to go back to
 */
struct sigframe *frame_push(struct task *t, uintptr_t sp, const void *context, uint64_t mask, const siginfo_t *info);

/* frame_vector_size -- bytes of vector state behind fpregs. */
size_t frame_vector_size(const ucontext_t *uc);

/* frame_vector_load -- the state in the frame becomes that of the moment. */
void frame_vector_load(const struct sigframe *f);

static inline uint64_t *frame_mask(void *context)
{
	return (uint64_t *)&((ucontext_t *)context)->uc_sigmask;
}

#endif
