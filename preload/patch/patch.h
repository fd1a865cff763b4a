/* patch.h -- redirecting the system calls of loaded objects to slots
 *
 * In two steps, so that nothing is written before everything is known: a plan is made of objects,
 * then it is written. An object that is patched already is left out of a plan; one that the loader
 * has dropped is forgotten, and its slots are free again. What fails takes back what it wrote: the
 * process is then as it was.
 *
 * Threads: one at a time, and between plan and write no other may be where patch_covers says so.
 * Errors:  0 or -errno.    Memory: maps its own.    Locks: none.
 */
#ifndef PRELOAD_PATCH_H
#define PRELOAD_PATCH_H

#include "patch/sites.h"

/* Of which sites is this true? Asked with nr -1 where the number is not constant. */
typedef bool patch_which(const struct site *s);

struct patch_rules {
	patch_which *needed;  /* must not be left alone; NULL: all */
	patch_which *useless; /* nobody would do anything there: its page stays the file's; NULL: none */
	bool strict;	      /* a needed site that cannot be moved is an error */
	uintptr_t also;	      /* where the caller is going to write as much as a jump; or 0 */
};

/* patch_begin -- start an empty plan. */
void patch_begin(const struct patch_rules *rules);

/* patch_add -- take an object into the plan unless it is patched; arg is not used (made for
 * object_each).
 *
 * A site in a function that uses more vector registers than the gate saves is left where its call
 * is needed. What may well be data is neither asked about nor counted. Returns 0, -ENOTSUP when the
 * plan is strict and a needed site has to be left (patch_refused names it), -ENOMEM.
 */
int patch_add(const struct object *o, void *arg);

/* patch_covers -- true when code that is interrupted at pc would go on within an instruction that
 * the plan overwrites. */
bool patch_covers(uintptr_t pc);

/* patch_write -- write the plan: all slots, then all jumps; the plan is empty afterwards.
 *
 * Sites for which there is no slot are left. Returns 0, -ENOMEM when no memory is near enough to far
 * text, -ENOTSUP, or why the text cannot be written. Nothing is patched then that was not before.
 */
int patch_write(void);

/* patch_cancel -- drop the plan. */
void patch_cancel(void);

/* patch_loaded -- the whole of it for what the loader has in its lists now: plan, write, and forget
 * what is gone. */
int patch_loaded(const struct patch_rules *rules, int (*add)(const struct object *o, void *arg));

/* patch_undo -- put everything back. Returns 0, or why some text could not be written: that stays
 * as it is, and works. */
int patch_undo(void);

/* patch_sites -- how many sites are redirected now; how many of the patched objects' should be and
 * are not. */
int patch_sites(int *left);

/* patch_refused -- the site for which the last plan was refused, or NULL; *object is its object's
 * name. */
const struct site *patch_refused(const char **object);

#endif
