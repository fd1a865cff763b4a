/* io_uring.c -- waiting for the completions of a ring
 *
 * Says ok at once where rings cannot be had, so it does not say how many threads it makes: 30.
 */
#include "check.h"
#include <linux/io_uring.h>
#include <linux/time_types.h>

enum { THREADS = 30, ENTRIES = 4, WAIT_MS = 40 };

struct ring {
	int fd;
	unsigned *tail, *mask, *list; /* of submissions */
	unsigned *head, *end, *bits;  /* of completions */
	struct io_uring_sqe *requests;
	struct io_uring_cqe *completions;
	char *map;
	size_t size;
};

/* What IORING_ENTER_EXT_ARG points to. */
struct wait_arg {
	uint64_t sigmask;
	uint32_t sigmask_size, pad;
	uint64_t ts;
};

static struct ring rings[THREADS];
static int pipes[THREADS][2];
static struct step arrived = STEP_INIT, done = STEP_INIT;

static int setup(struct io_uring_params *p)
{
	memset(p, 0, sizeof(*p));
	return (int)syscall(SYS_io_uring_setup, ENTRIES, p);
}

static int enter(struct ring *r, unsigned submit, unsigned least, unsigned flags, void *arg,
		 size_t size)
{
	return (int)syscall(SYS_io_uring_enter, r->fd, submit, least, flags, arg, size);
}

static void ring_make(struct ring *r)
{
	struct io_uring_params p;
	int access = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_POPULATE;

	r->fd = setup(&p);
	CHECK(r->fd >= 0);
	CHECK(p.features & IORING_FEAT_SINGLE_MMAP);
	r->size = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	if (r->size < p.sq_off.array + p.sq_entries * sizeof(unsigned))
		r->size = p.sq_off.array + p.sq_entries * sizeof(unsigned);
	r->map = (char *)mmap(NULL, r->size, access, flags, r->fd, IORING_OFF_SQ_RING);
	CHECK(r->map != MAP_FAILED);
	r->requests = (struct io_uring_sqe *)mmap(NULL, ENTRIES * sizeof(struct io_uring_sqe),
						  access, flags, r->fd, IORING_OFF_SQES);
	CHECK(r->requests != MAP_FAILED);
	r->tail = (unsigned *)(r->map + p.sq_off.tail);
	r->mask = (unsigned *)(r->map + p.sq_off.ring_mask);
	r->list = (unsigned *)(r->map + p.sq_off.array);
	r->head = (unsigned *)(r->map + p.cq_off.head);
	r->end = (unsigned *)(r->map + p.cq_off.tail);
	r->bits = (unsigned *)(r->map + p.cq_off.ring_mask);
	r->completions = (struct io_uring_cqe *)(r->map + p.cq_off.cqes);
}

static void ring_close(struct ring *r)
{
	CHECK(munmap(r->requests, ENTRIES * sizeof(struct io_uring_sqe)) == 0);
	CHECK(munmap(r->map, r->size) == 0);
	CHECK(close(r->fd) == 0);
}

/* The next request: tell when fd is readable. */
static void ask(struct ring *r, int fd)
{
	unsigned tail = *r->tail, i = tail & *r->mask;

	memset(&r->requests[i], 0, sizeof(r->requests[i]));
	r->requests[i].opcode = IORING_OP_POLL_ADD;
	r->requests[i].fd = fd;
	r->requests[i].poll_events = POLLIN;
	r->requests[i].user_data = (uint64_t)fd;
	r->list[i] = i;
	__atomic_store_n(r->tail, tail + 1, __ATOMIC_RELEASE);
}

/* Takes a completion that must be there; returns its result. */
static int take(struct ring *r, int fd)
{
	unsigned head = *r->head;
	struct io_uring_cqe *c = &r->completions[head & *r->bits];
	int result = c->res;

	CHECK(__atomic_load_n(r->end, __ATOMIC_ACQUIRE) != head);
	CHECK_EQ(c->user_data, fd);
	__atomic_store_n(r->head, head + 1, __ATOMIC_RELEASE);
	return result;
}

static void *wait_for_pipe(void *arg)
{
	struct ring *r = &rings[(intptr_t)arg];
	int fd = pipes[(intptr_t)arg][0];
	char c;

	ring_make(r);
	for (int round = 0; round < 3; round++) {
		ask(r, fd);
		step_add(&arrived, 1);
		/* Submitted with the wait, or before it. */
		if (round % 2) {
			CHECK_EQ(enter(r, 1, 0, 0, NULL, 0), 1);
			CHECK_EQ(enter(r, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0), 0);
		} else {
			CHECK_EQ(enter(r, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0), 1);
		}
		CHECK(take(r, fd) & POLLIN);
		CHECK_EQ(read(fd, &c, 1), 1);
		step_add(&done, 1);
	}
	ring_close(r);
	return NULL;
}

static void all_wait_for_their_rings(void)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		CHECK(pipe(pipes[i]) == 0);
	threads_start(threads, THREADS, wait_for_pipe);
	for (int round = 0; round < 3; round++) {
		step_wait(&arrived, (round + 1) * THREADS);
		let_block();
		CHECK_EQ(step_at(&done), round * THREADS);
		for (int i = 0; i < THREADS; i++)
			CHECK_EQ(write(pipes[i][1], "x", 1), 1);
		step_wait(&done, (round + 1) * THREADS);
	}
	threads_join(threads, THREADS);
	for (int i = 0; i < THREADS; i++)
		CHECK(close(pipes[i][0]) == 0 && close(pipes[i][1]) == 0);
}

static void *wait_with_limit(void *arg)
{
	struct __kernel_timespec ts = {0, WAIT_MS * 1000000};
	struct wait_arg wait = {0, 0, 0, (uintptr_t)&ts};
	unsigned flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
	struct ring *r = &rings[(intptr_t)arg];
	int64_t start;

	ring_make(r);
	start = now_ms();
	CHECK_ERR(enter(r, 0, 1, flags, &wait, sizeof(wait)), ETIME);
	CHECK(now_ms() - start >= WAIT_MS - 1);
	ts.tv_nsec = 0;
	CHECK_ERR(enter(r, 0, 1, flags, &wait, sizeof(wait)), ETIME);
	CHECK_ERR(enter(r, 0, 1, flags, &wait, sizeof(wait) - 1), EINVAL);
	CHECK_EQ(enter(r, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0), 0);
	ring_close(r);
	return NULL;
}

static void a_wait_ends_at_its_time(void)
{
	pthread_t threads[THREADS];

	threads_start(threads, THREADS, wait_with_limit);
	threads_join(threads, THREADS);
}

static void *wait_interrupted(void *arg)
{
	struct ring r;

	ring_make(&r);
	step_add(&arrived, 1);
	CHECK_ERR(enter(&r, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0), EINTR);
	step_add(&done, 1);
	ring_close(&r);
	return arg;
}

static void a_signal_ends_a_wait(void)
{
	pthread_t thread;

	interrupts_begin(SA_RESTART); /* no help */
	step_reset(&arrived);
	step_reset(&done);
	thread = thread_start(wait_interrupted, NULL);
	step_wait(&arrived, 1);
	thread_interrupt(thread, &done);
}

int main(void)
{
	struct io_uring_params p;
	int fd;

	check_begin();
	fd = setup(&p);
	if (fd < 0 || !(p.features & IORING_FEAT_EXT_ARG))
		return check_done();
	CHECK(close(fd) == 0);
	RUN(all_wait_for_their_rings);
	RUN(a_wait_ends_at_its_time);
	RUN(a_signal_ends_a_wait);
	return check_done();
}
