/* interposer.h -- names of libc that this library stands before
 *
 * They carry libc's versions (weft.map has them all): a reference that names one binds to nothing else.
 */
#ifndef PRELOAD_INTERPOSER_H
#define PRELOAD_INTERPOSER_H

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

/* interposer_next -- what the name would stand for without us, in the version that programs are linked with: libc's of 2.34, or the
 * one that is given; NULL where there is but one.
 *
 * A version that is not there is an error, for which the loader allocates: that must not be asked for in a name that an allocator
 * calls while it starts (jemalloc calls syscall).
 *
 * Before glibc 2.36 dlsym(RTLD_NEXT) finds the oldest version, which takes other arguments. It is asked all the same, since dlvsym
 * passes over another object that stands before libc and gives no version.
 */
static inline void *interposer_next(const char *name, const char *version)
{
	void *next = dlsym(RTLD_NEXT, name), *libc = version ? dlvsym(RTLD_NEXT, name, "GLIBC_2.34") : NULL;
	Dl_info its, libcs;

	if (!libc && version)
		libc = dlvsym(RTLD_NEXT, name, version);
	if (!libc && version)
		(void)dlerror(); /* not the program's business */
	INVARIANT(next != NULL);
	if (!libc || libc == next || !dladdr(next, &its) || !dladdr(libc, &libcs) || its.dli_fbase != libcs.dli_fbase)
		return next;
	return libc;
}

#endif
