/* body.h -- the functions of an object that hold a pair of bytes `syscall', decoded
 *
 * Three steps: a search for the two bytes; where there are any, the functions concerned are decoded
 * from their beginnings, noting around each pair which bytes begin an instruction and which are
 * branched to by a short jump or a table; where a pair proves to be an instruction, a search of all
 * the text for 32-bit branches that lead near. Most libraries hold some pairs by chance, within
 * other instructions: they are not searched again.
 *
 * Threads: one at a time.    Errors: 0 or -errno.    Memory: mapped, until bodies_done.
 */
#ifndef PRELOAD_BODY_H
#define PRELOAD_BODY_H

#include "gate/near.h"
#include "elf/object.h"
#include "gate/pair.h"

/* Strictly: one or more FDEs. */
struct body {
	struct function range;
	uintptr_t limit;      /* of the text: so far one may read */
	uint32_t first, last; /* pairs first .. last - 1 */
	uint16_t flags;	      /* of all its instructions, where some pair is one */
	bool real;	      /* some pair is an instruction */
	bool broken;	      /* it could not be decoded */
	bool partial;	      /* it jumps into the midst of another function: part of it */
};

struct bodies {
	const struct object *object;
	struct pair *pairs; /* all of the object's, ascending */
	uint32_t pairs_count;
	struct body *body; /* ascending; a pair may be in none */
	uint32_t count;
	struct near near; /* some pair's words tell of it */
};

/* bodies_find -- fill in all that is known of an object.
 *
 * It holds good until the next call. Returns 0 or -ENOMEM.
 */
int bodies_find(struct bodies *s, const struct object *o);

/* bodies_done -- no more objects for now: give the memory back. */
void bodies_done(void);

#endif
