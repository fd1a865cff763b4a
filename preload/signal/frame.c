/* frame.c -- the frame of a signal handler, as the kernel lays it out */
#include <cpuid.h>
#include "signal/frame.h"

#define LEGACY	    512ul	/* bytes of fxsave; behind them xsave's header */
#define HEADER	    64ul
#define SOFTWARE    464ul	/* where fxsave leaves 48 bytes free */
#define MAGIC_FIRST 0x46505853u	/* behind LEGACY there is more; at the very end of that stands MAGIC_LAST */
#define MAGIC_LAST  0x46505845u
#define TILES	    (3ull << 17)	/* a task that uses these owns kilobytes that a frame has no room for */

#define FLAG_XSTATE	   1ul	/* of uc_flags */
#define FLAG_SS		   2ul
#define FLAG_STRICT_SS	   4ul

struct software {
	uint32_t magic, extended_size;
	uint64_t features;
	uint32_t xstate_size, padding[7];
};

static uint64_t features;	/* that xsave saves; 0: there is only fxsave */
static size_t xstate_size = LEGACY;

void frame_init(void)
{
	uint32_t a, b, c, d, low, high;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
		return;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	features = ((uint64_t)high << 32 | low) & ~TILES;
	xstate_size = LEGACY + HEADER;
	for (uint32_t i = 2; i < 63; i++)
		if (features >> i & 1 && __get_cpuid_count(13, i, &a, &b, &c, &d) && b + a > xstate_size)
			xstate_size = b + a;
}

size_t frame_vector_size(const ucontext_t *uc)
{
	const struct software *sw = (void *)((char *)uc->uc_mcontext.fpregs + SOFTWARE);

	if (!uc->uc_mcontext.fpregs)
		return 0;
	return sw->magic == MAGIC_FIRST ? sw->extended_size : LEGACY;
}

static size_t live_size(void)
{
	return features ? xstate_size + sizeof(uint32_t) : LEGACY;
}

size_t frame_room(void)
{
	return live_size() + 64 + sizeof(struct sigframe) + 32;
}

static void save(char *to)
{
	if (!features) {
		__asm__ volatile("fxsave64 (%0)" : : "r"(to) : "memory");
		return;
	}
	struct software sw = {MAGIC_FIRST, (uint32_t)live_size(), features, (uint32_t)xstate_size, {0}};
	uint32_t last = MAGIC_LAST;

	memset(to + LEGACY, 0, HEADER);
	__asm__ volatile("xsave64 (%0)" : : "r"(to), "a"((uint32_t)features), "d"((uint32_t)(features >> 32)) : "memory");
	memcpy(to + SOFTWARE, &sw, sizeof sw);
	memcpy(to + xstate_size, &last, sizeof last);
}

void frame_vector_load(const struct sigframe *f)
{
	const void *from = ((const ucontext_t *)f->context)->uc_mcontext.fpregs;

	if (features)
		__asm__ volatile("xrstor64 (%0)" : : "r"(from), "a"((uint32_t)features), "d"((uint32_t)(features >> 32)) : "memory");
	else
		__asm__ volatile("fxrstor64 (%0)" : : "r"(from) : "memory");
}

struct sigframe *frame_push(struct task *t, uintptr_t sp, const void *context, uint64_t mask, const siginfo_t *info)
{
	const ucontext_t *uc = context;
	size_t given = frame_vector_size(uc), size = given ? given : live_size();
	char *fp = (char *)((sp - size) & ~63ul);
	struct sigframe *f = (struct sigframe *)((((uintptr_t)fp - sizeof *f) & ~15ul) - 8);
	ucontext_t *copy = (ucontext_t *)f->context;

	if (given)
		memcpy(fp, uc->uc_mcontext.fpregs, given);
	else
		save(fp);
	memcpy(copy, uc, FRAME_CONTEXT);
	copy->uc_mcontext.fpregs = (void *)fp;
	if (!given)
		copy->uc_flags = (features ? FLAG_XSTATE : 0) | FLAG_SS | FLAG_STRICT_SS;
	copy->uc_link = NULL;
	copy->uc_stack.ss_sp = (void *)t->sigalt_sp;
	copy->uc_stack.ss_size = t->sigalt_size;
	copy->uc_stack.ss_flags = t->sigalt_size ? 0 : SS_DISABLE;
	*frame_mask(copy) = mask;
	f->info = *info;
	return f;
}
