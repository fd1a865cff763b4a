/* standin.h -- names of libc that this library stands before
 *
 * They carry libc's versions (weft.map has them all): a reference that names one binds to nothing else.
 */
#ifndef PRELOAD_STANDIN_H
#define PRELOAD_STANDIN_H

#include <dlfcn.h>
#include "base.h"

#define STANDIN __attribute__((visibility("default")))

/* A name that has one version. */
#define STANDS_FOR_ONE(ours, name, version)						\
	__asm__(".symver " #ours ", " #name "@@" version)

/* A name in both versions that programs refer to: before and since its library became part of libc. */
#define STANDS_FOR(ours, name, old)							\
	__asm__(".globl " #ours "_old\n.set " #ours "_old, " #ours "\n"		\
		".symver " #ours "_old, " #name "@" old "\n");				\
	STANDS_FOR_ONE(ours, name, "GLIBC_2.34")

/* standin_next -- what the name would stand for without us. */
static inline void *standin_next(const char *name)
{
	void *p = dlsym(RTLD_NEXT, name);

	INVARIANT(p != NULL);
	return p;
}

#endif
