/* task.h -- start tasks, wait for them, let others run
 *
 * A task is a thread that costs little: for libc it is a pthread (pthread_self, masks, thread-local
 * variables, keys, pthread_exit and pthread_cancel work), and any blocking call in it lets other
 * tasks run. Tasks run in parallel, and may be preempted: what they share needs a lock, pthread's
 * for instance.
 *
 * Threads:  any function, from any task or thread, unless said otherwise; none of them in a signal
 *           handler.
 * Errors:   results are 0 (or more), or a negative errno such as -EINVAL; errno is not
 *           used.
 * Memory:   a handle is counted: weft_spawn gives one reference, weft_put takes one back, no other
 *           function changes the count. Arguments and results belong to the caller.
 * Blocking: weft_join, weft_sleep and weft_sleep_until wait, the others never. The sleeps are
 *           cancellation points of pthread_cancel, weft_join is none.
 * Fork:     the child has the task that forked and no other.
 */
#ifndef WEFT_TASK_H
#define WEFT_TASK_H

#include <stdint.h>

#include "weft/base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_task;

#define WEFT_NAME_MAX	32	/* bytes of a task's name, its NUL included */

/* weft_spawn -- start a task that calls fn(arg).
 *
 * task  out: its handle, with one reference, to be given back with weft_put; NULL when nobody will
 *       join it. Unchanged when this fails.
 * fn    its result, or the value of pthread_exit, is the task's result; PTHREAD_CANCELED after
 *       pthread_cancel.
 *
 * The caller runs on: tasks start in the order in which they were spawned, none at once. The new
 * one has the caller's signal mask and a stack of 256 KiB. It is not joinable for pthreads:
 * pthread_join and pthread_detach of it fail with EINVAL.
 * Returns 0, -EINVAL (no fn), -ENOTSUP (Weft cannot run in this process, or must not:
 * WEFT_DISABLE), -EAGAIN (too many tasks or keys), -ENOMEM. Never makes a kernel thread instead.
 * Stands for pthread_create, gevent.spawn and asyncio.create_task.
 */
WEFT_EXPORT int weft_spawn(struct weft_task **task, void *(*fn)(void *), void *arg);

/* weft_join -- wait until a task has ended, and have its result.
 *
 * result    out: what it returned; may be NULL; unchanged unless 0 is returned
 * deadline  absolute; WEFT_FOREVER to wait without end, WEFT_NOW only to look
 *
 * When it returns 0, the destructors of the task's thread_local variables and keys have run. May be
 * called any number of times, by several at once: all have the same result. Signal handlers do not
 * end the wait.
 * Returns 0, -ETIMEDOUT, -EDEADLK (the caller's own task), -EINVAL (NULL, or a thread not made by
 * weft_spawn), -ESRCH (a task of the parent, in the child of a fork).
 * Stands for pthread_join with a time limit and gevent's Greenlet.join.
 */
WEFT_EXPORT int weft_join(struct weft_task *task, void **result, int64_t deadline);

/* weft_put -- give a reference back; NULL is allowed. The task runs on; the handle is not to be
 * used again. */
WEFT_EXPORT void weft_put(struct weft_task *task);

/* weft_yield -- let other tasks that are ready run: sched_yield, gevent.sleep(0),
 * asyncio.sleep(0). */
WEFT_EXPORT void weft_yield(void);

/* weft_sleep -- wait for `ns' nanoseconds, a duration: WEFT_MS(5). Zero is weft_yield.
 *
 * Returns 0, -EINTR when a signal handler ran, -EINVAL for a negative duration.
 * Stands for nanosleep, gevent.sleep and asyncio.sleep.
 */
WEFT_EXPORT int weft_sleep(int64_t ns);

/* weft_sleep_until -- wait until a deadline; returns at once when it has passed.
 *
 * Returns 0, or -EINTR when a signal handler ran: call it again with the same deadline.
 * Stands for clock_nanosleep with TIMER_ABSTIME.
 */
WEFT_EXPORT int weft_sleep_until(int64_t deadline);

/* weft_self -- the handle of the task that calls, without a reference: good until the task ends.
 *
 * In a thread that pthread_create made it names that thread, which weft_join refuses.
 * Returns NULL in a kernel thread that is no task, or when memory is short. The first thread has a
 * handle from the start.
 * Stands for pthread_self, gevent.getcurrent and asyncio.current_task.
 */
WEFT_EXPORT struct weft_task *weft_self(void);

/* weft_name -- name a task for people: debuggers and `ps -T' show the first 15 bytes, the pthread's
 * name.
 *
 * name  copied; at most WEFT_NAME_MAX - 1 bytes
 *
 * Returns 0, -EINVAL (NULL), -ENAMETOOLONG, -ESRCH (the task has ended, or belongs to the parent of
 * a fork).
 * Stands for pthread_setname_np and asyncio's Task.set_name.
 */
WEFT_EXPORT int weft_name(struct weft_task *task, const char *name);

#ifdef __cplusplus
}
#endif

#endif
