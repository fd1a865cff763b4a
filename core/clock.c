/* clock.c -- the time, by the vdso where there is one */
#include <elf.h>
#include "clock.h"

static int (*vdso_gettime)(int, struct __kernel_timespec *);

struct vdso {
	uintptr_t bias;
	const Elf64_Sym *symbols;
	const char *strings;
	const uint32_t *hash;
};

static void read_dynamic(struct vdso *v, const Elf64_Dyn *d)
{
	for (; d->d_tag != DT_NULL; d++) {
		uintptr_t p = v->bias + d->d_un.d_ptr;

		if (d->d_tag == DT_SYMTAB)
			v->symbols = (void *)p;
		else if (d->d_tag == DT_STRTAB)
			v->strings = (void *)p;
		else if (d->d_tag == DT_HASH)
			v->hash = (void *)p;
	}
}

static void *find(const struct vdso *v, const char *name)
{
	size_t n = strlen(name) + 1;

	if (!v->symbols || !v->strings || !v->hash)
		return NULL;
	for (uint32_t i = 0; i < v->hash[1]; i++)
		if (v->symbols[i].st_shndx && !memcmp(v->strings + v->symbols[i].st_name, name, n))
			return (void *)(v->bias + v->symbols[i].st_value);
	return NULL;
}

void clock_init(uintptr_t base)
{
	const Elf64_Ehdr *eh = (void *)base;
	const Elf64_Phdr *ph = (void *)(base + (base ? eh->e_phoff : 0)), *dyn = NULL;
	struct vdso v = {0};

	if (!base)
		return;
	for (int i = 0; i < eh->e_phnum; i++) {
		if (ph[i].p_type == PT_DYNAMIC)
			dyn = &ph[i];
		if (ph[i].p_type == PT_LOAD)
			v.bias = base + ph[i].p_offset - ph[i].p_vaddr;
	}
	if (!dyn)
		return;
	read_dynamic(&v, (void *)(v.bias + dyn->p_vaddr));
	*(void **)&vdso_gettime = find(&v, "__vdso_clock_gettime");
}

int64_t clock_ns(int id)
{
	struct __kernel_timespec ts = {0};

	if (!vdso_gettime || vdso_gettime(id, &ts))
		SYS(__NR_clock_gettime, id, &ts);
	return ts.tv_sec * NSEC + ts.tv_nsec;
}

static int64_t kernel_ns(int id)
{
	struct __kernel_timespec ts = {0};

	SYS(__NR_clock_gettime, id, &ts);
	return ts.tv_sec * NSEC + ts.tv_nsec;
}

int64_t clock_own_ns(void)
{
	return kernel_ns(CLOCK_THREAD_CPUTIME_ID);
}

int64_t clock_thread_ns(int tid)
{
	return kernel_ns((int)(~(unsigned)tid << 3 | 6));
}
