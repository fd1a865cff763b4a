/* stat.h -- counters in a page that outlives the process
 *
 * The file named by WEFT_STATS (anonymous memory where none is named) is mapped shared at activation, so it is right at any
 * instant and stays readable after SIGKILL. Each hub has a block of its own and is its only writer: a counter costs one
 * addition. The last block belongs to threads that run no hub and is added to atomically. Readers sum the blocks.
 *
 * Threads: STAT_ADD from the carrier that holds the hub; stat_shared from anywhere.
 */
#ifndef CORE_STAT_H
#define CORE_STAT_H

#include <stdbool.h>
#include <stdint.h>

#define STAT_MAGIC	0x3174617473746677ull	/* "wftstat1", little endian */
#define STAT_HUBS	64			/* blocks of hubs; one more for everybody else */
#define STAT_CARRIERS	1024

enum stat_id {
#define STAT(name, help) STAT_##name,
#include "stat.def"
#undef STAT
	STAT_COUNT
};

enum stat_mode { STAT_NATIVE, STAT_ACTIVE };
enum stat_carrier_kind {
	CARRIER_NONE, CARRIER_HUB, CARRIER_SPARE, CARRIER_DETACHED, CARRIER_MONITOR, CARRIER_OFFLOAD, CARRIER_BOUND
};

struct stat_carrier {
	uint32_t tid;		/* kernel thread id, 0 when the row is free */
	uint32_t kind;		/* enum stat_carrier_kind */
};

struct stat_page {
	uint64_t magic;
	uint32_t size;		/* of the whole struct */
	uint32_t counters;	/* STAT_COUNT of the writer */
	uint32_t pid;
	uint32_t mode;		/* enum stat_mode */
	uint32_t hubs;
	uint32_t rows;		/* of carriers, that were ever used */
	int64_t alive;		/* tasks alive now, the first one included */
	int64_t alive_max;	/* the most there were at once */
	int64_t activation_ns;	/* what activation took */
	char why[128];		/* why the process is native; empty when it is not */
	struct stat_carrier carriers[STAT_CARRIERS];
	uint64_t count[STAT_HUBS + 1][STAT_COUNT];
};

extern struct stat_page *stat_page;	/* never NULL: starts as a page of zeroes in .bss */

/* stat_open -- map the counters, in `path' unless it is empty; %p is the pid. Returns 0 or -errno (then anonymous). */
int stat_open(const char *path);

/* stat_fork -- the child counts in memory of its own. When the name holds %p, that becomes a file as soon as the child waits or
 * makes a thread (stat_settle, called while it has one kernel thread): most children do neither, and a file costs more than the
 * fork. */
void stat_fork(void);
void stat_file(void);

/* stat_forked -- do that if this process was forked before there was anything of ours that could see it. */
void stat_forked(void);

extern bool stat_unfiled;
static inline void stat_settle(void)
{
	if (stat_unfiled)
		stat_file();
}

/* stat_why -- note why this process runs natively (the first reason stays). */
void stat_why(const char *text);

/* stat_carrier_set -- note a kernel thread of ours; kind CARRIER_NONE removes it. */
void stat_carrier_set(uint32_t tid, enum stat_carrier_kind kind);

/* stat_alive -- add to the number of living tasks and keep its highest value. */
void stat_alive(int n);

#define stat_shared(name, n)	\
	((void)__atomic_fetch_add(&stat_page->count[STAT_HUBS][STAT_##name], (uint64_t)(n), __ATOMIC_RELAXED))
#define STAT_ADD(hub, name, n)	/* hub NULL: the caller runs none */ \
	((hub) ? (void)((hub)->count[STAT_##name] += (n)) : stat_shared(name, n))

#endif
