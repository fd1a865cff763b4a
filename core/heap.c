/* heap.c -- the earliest of many deadlines: a 4-ary heap that knows where its nodes are */
#include "heap.h"
#include "pages.h"

static void place(struct heap *h, uint32_t at, struct heap_slot s)
{
	h->slots[at] = s;
	*s.index = at;
}

static void sift_up(struct heap *h, uint32_t at, struct heap_slot s)
{
	while (at && h->slots[(at - 1) / 4].key > s.key) {
		place(h, at, h->slots[(at - 1) / 4]);
		at = (at - 1) / 4;
	}
	place(h, at, s);
}

static void sift_down(struct heap *h, uint32_t at, struct heap_slot s)
{
	for (;;) {
		uint32_t child = 4 * at + 1, least = child;

		if (child >= h->count)
			break;
		for (uint32_t i = child + 1; i < child + 4 && i < h->count; i++)
			if (h->slots[i].key < h->slots[least].key)
				least = i;
		if (h->slots[least].key >= s.key)
			break;
		place(h, at, h->slots[least]);
		at = least;
	}
	place(h, at, s);
}

static int grow(struct heap *h)
{
	uint32_t room = h->room ? 2 * h->room : PAGE / sizeof(struct heap_slot);
	struct heap_slot *slots = pages_get(PAGES_ANEW, room * sizeof *slots, PAGE);

	if (!slots)
		return -ENOMEM;
	memcpy(slots, h->slots, h->count * sizeof *slots);
	if (h->room)
		pages_put(h->slots, h->room * sizeof *slots);
	h->slots = slots;
	h->room = room;
	return 0;
}

#define WALK_MOST 256	/* nodes: a walk at each change of a large heap would be all that is done */

/* No node is before its parent, and each knows its place. */
static void __attribute__((unused)) heap_walk(const struct heap *h)
{
	for (uint32_t i = 0; i < h->count && i < WALK_MOST; i++) {
		INVARIANT(*h->slots[i].index == i);
		INVARIANT(!i || h->slots[(i - 1) / 4].key <= h->slots[i].key);
	}
}

int heap_add(struct heap *h, int64_t key, uint32_t *index)
{
	if (h->count == h->room && grow(h))
		return -ENOMEM;
	sift_up(h, h->count++, (struct heap_slot){key, index});
	WALK(heap_walk(h));
	return 0;
}

void heap_remove(struct heap *h, uint32_t *index)
{
	uint32_t at = *index;
	struct heap_slot last = h->slots[--h->count];

	INVARIANT(at <= h->count);
	*index = HEAP_NONE;
	if (at == h->count)
		return;
	if (at && h->slots[(at - 1) / 4].key > last.key)
		sift_up(h, at, last);
	else
		sift_down(h, at, last);
	WALK(heap_walk(h));
}
