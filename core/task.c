/* task.c -- a green thread: the table of those alive, and their ids
 *
 * An id is an index into the table with a generation of five bits above it, so that an id is used again only after 31 other
 * tasks had the same place. Where ids begin, in a ring of all there are, is the process's own affair: locks in memory that
 * processes share hold the ids of their owners, so those of two processes must not be the same. The process id with its bits
 * reversed lays them far apart.
 */
#include "task.h"
#include "heap.h"
#include "mem.h"
#include "pages.h"
#include "stat.h"

#define CHUNK	  4096u
#define CHUNKS	  ((1u << TASK_INDEX_BITS) / CHUNK)
#define RING	  (1u << (TASK_INDEX_BITS + 5))
#define FREE_MARK 1ul		/* low bit: the entry is the next free index, shifted */

struct lock task_lock ANEW;
uint32_t task_count;
uint32_t task_affinity_size = TASK_CPUS;
static struct chunk {
	uintptr_t entry[CHUNK];
	uint8_t generation[CHUNK];
} *chunks[CHUNKS] SPARSE;
static uint32_t fresh;			/* first index never used; under task_lock */
static uint32_t ring_start;		/* set with the first task */
static uint32_t free_head = TASK_NO_INDEX, free_tail = TASK_NO_INDEX;

static uintptr_t *entry(uint32_t i)
{
	return &chunks[i / CHUNK]->entry[i % CHUNK];
}

static uint32_t index_get(void)
{
	uint32_t i = free_head;

	if (i != TASK_NO_INDEX) {
		uintptr_t next = *entry(i) >> 1;

		free_head = next == UINT32_MAX ? TASK_NO_INDEX : (uint32_t)next;
		if (free_head == TASK_NO_INDEX)
			free_tail = TASK_NO_INDEX;
		return i;
	}
	if (fresh == CHUNKS * CHUNK)
		return TASK_NO_INDEX;
	if (!chunks[fresh / CHUNK]) {
		chunks[fresh / CHUNK] = mem_get(sizeof(struct chunk));
		if (!chunks[fresh / CHUNK])
			return TASK_NO_INDEX;
	}
	return fresh++;
}

static void index_put(uint32_t i)
{
	*entry(i) = ((uintptr_t)UINT32_MAX << 1) | FREE_MARK;
	chunks[i / CHUNK]->generation[i % CHUNK]++;
	if (free_tail == TASK_NO_INDEX)
		free_head = i;
	else
		*entry(free_tail) = ((uintptr_t)i << 1) | FREE_MARK;
	free_tail = i;
}

static void start_ids(uint32_t pid)
{
	ring_start = 0;
	for (uint32_t bit = RING >> 1; bit; bit >>= 1, pid >>= 1)
		ring_start |= pid & 1 ? bit : 0;
}

struct task *task_new(uint32_t tid)
{
	struct task *t = mem_get_anew(sizeof *t);

	if (!t)
		return NULL;
	lock_take(&task_lock);
	t->index = index_get();
	if (t->index != TASK_NO_INDEX) {
		uint32_t generation = chunks[t->index / CHUNK]->generation[t->index % CHUNK] & 31;

		if (tid)
			start_ids(tid);
		t->tid = tid ? tid : TASK_TID_FIRST + ((ring_start + (generation << TASK_INDEX_BITS | t->index)) & (RING - 1));
		*entry(t->index) = (uintptr_t)t;
	}
	lock_drop(&task_lock);
	if (t->index == TASK_NO_INDEX) {
		mem_put(t, sizeof *t);
		return NULL;
	}
	t->timer = HEAP_NONE;
	add_relaxed(&task_count, 1);
	stat_alive(1);
	return t;
}

bool task_leave(struct task *t)
{
	t->left = true;
	return __atomic_sub_fetch(&task_count, 1, __ATOMIC_SEQ_CST) == 0;
}

void task_free(struct task *t)
{
	if (!t->left)
		task_leave(t);
	lock_take(&task_lock);
	index_put(t->index);
	lock_drop(&task_lock);
	stat_alive(-1);
	mem_put(t->affinity, task_affinity_size);
	mem_put(t, sizeof *t);
}

static struct task *at(uint32_t i)
{
	uintptr_t e = i < fresh ? *entry(i) : FREE_MARK;

	return e & FREE_MARK ? NULL : (struct task *)e;
}

static bool has_tid(struct task *t, void *tid)
{
	return t->tid == (uint32_t)(uintptr_t)tid;
}

struct task *task_by_tid(uint32_t tid)
{
	struct task *t;

	if (tid < TASK_TID_FIRST)
		return task_each(has_tid, (void *)(uintptr_t)tid);
	t = at((tid - TASK_TID_FIRST - ring_start) & ((1u << TASK_INDEX_BITS) - 1));
	return t && t->tid == tid ? t : NULL;
}

struct task *task_each(bool (*fn)(struct task *, void *), void *arg)
{
	for (uint32_t i = 0; i < fresh; i++) {
		struct task *t = at(i);

		if (t && fn(t, arg))
			return t;
	}
	return NULL;
}

void task_child(struct task *t, const struct task *saved)
{
	mem_claim(t, sizeof *t);
	*t = *saved;
	t->tid = (uint32_t)sys_gettid();
	start_ids(t->tid);
	for (uint32_t i = 0; i < fresh; i++) {
		struct task *other = at(i);

		if (other && other != t)
			index_put(i);
	}
	task_count = 1;
	stat_page->alive = 1;
}
