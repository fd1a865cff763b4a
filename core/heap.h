/* heap.h -- the earliest of many deadlines: a 4-ary heap that knows where its nodes are
 *
 * Keys lie in the array, beside the pointers: sifting touches no node. Threads: the owner's lock.
 */
#ifndef CORE_HEAP_H
#define CORE_HEAP_H

#include "base.h"

#define HEAP_NONE UINT32_MAX	/* index of a node that is in no heap */

struct heap_slot {
	int64_t key;
	uint32_t *index;	/* the node's own note of where it is; identifies the node */
};

struct heap {
	struct heap_slot *slots;
	uint32_t count, room;
};

/* heap_add -- put a node in; *index is kept up to date from now on. Returns 0 or -ENOMEM. */
int heap_add(struct heap *h, int64_t key, uint32_t *index);

/* heap_remove -- take out the node at *index, which becomes HEAP_NONE. */
void heap_remove(struct heap *h, uint32_t *index);

static inline int64_t heap_first(const struct heap *h)
{
	return h->count ? h->slots[0].key : INT64_MAX;
}

#endif
