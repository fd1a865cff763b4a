/* object.h -- one loaded ELF object: where its text is, where its functions begin and end
 *
 * Objects are read where the loader mapped them, from its own lists; nothing is opened. The lists
 * are reached through the program's DT_DEBUG: the symbol _r_debug may be a stale copy in a program
 * that refers to it.
 *
 * Threads: whoever keeps the loader still: its debug hook, or a process with one thread.
 * Errors:  0 or -errno.    Memory: never allocates.    Locks: none.
 */
#ifndef PRELOAD_OBJECT_H
#define PRELOAD_OBJECT_H

#include <link.h>

#include "base.h"

#define OBJECT_LOADS 16 /* of text: linkers write one, at most a few */

struct object_load {
	uintptr_t start, end; /* as far as the file reaches */
	uint32_t flags;	      /* PF_* */
};

struct object {
	const char *name; /* the loader's; good while the object is loaded */
	uintptr_t base;	  /* load bias: l_addr */
	bool careful;		/* loaded and not libc: its callers may keep vector registers over a site */
	bool (*wanted)(int nr); /* calls (-1: unknown) whose sites are looked for; NULL for all */
	bool vdso;	  /* the kernel's own object */
	bool textrel;	  /* its text is still to be relocated when the debug hook is called */
	int loads;
	struct object_load load[OBJECT_LOADS]; /* ascending: all segments of text, and others while there is room */
	const ElfW(Phdr) * headers; /* all, where the loader mapped them */
	size_t header_count;
	const uint8_t *build_id; /* NULL where it has none */
	uint32_t build_id_size;
	uintptr_t eh_frame_hdr;		       /* 0 where there is none that we can read */
	const int32_t *functions; /* its table: pairs of offsets (function, FDE), ascending */
	uint32_t function_count;
};

struct function {
	uintptr_t start, end;
};

/* object_from_link_map -- describe what the loader has in its list.
 *
 * Returns 0, -ENOEXEC when its headers cannot be found, -E2BIG when it has more than OBJECT_LOADS
 * segments of text.
 */
int object_from_link_map(const struct link_map *map, struct object *o);

/* object_from_headers -- describe an object by its program headers. */
int object_from_headers(struct object *o, uintptr_t base, const ElfW(Phdr) * headers, size_t n,
			const char *name);

/* object_each -- call fn for every loaded object of every namespace, but the vdso and the one that
 * this code is in.
 *
 * An object that stands in several lists (ld.so does) is reported as often.
 * Returns 0, the first result of fn that is not 0 (the walk ends there), -ENOENT where the loader
 * keeps no list, or what object_from_link_map says.
 */
int object_each(int (*fn)(const struct object *o, void *arg), void *arg);

/* object_vdso -- describe the vdso. Returns 0, or -ENOENT where the kernel has none. */
int object_vdso(struct object *o);

/* object_ourselves -- describe the object that this code is in. Returns 0, or -ENOENT where the loader
 * does not tell of it. */
int object_ourselves(struct object *o);

/* object_debug -- what the loader shows to debuggers, its first namespace; NULL where there is
 * none. */
const struct r_debug *object_debug(void);

/* object_r_brk -- the function that the loader calls when its lists change; 0 where there is none.
 */
uintptr_t object_r_brk(void);

/* object_function -- the function (strictly: the range of one FDE) that holds the address. Returns
 * 0 or -ENOENT. */
int object_function(const struct object *o, uintptr_t at, struct function *f);

/* object_next -- the first function that begins at the address or above. Returns 0 or -ENOENT. */
int object_next(const struct object *o, uintptr_t at, struct function *f);

/* object_is_libc -- is it libc, a part of it, or the loader? By its name. */
bool object_is_libc(const struct object *o);

/* object_text -- the bounds of its text. Returns in how many segments it lies. */
int object_text(const struct object *o, uintptr_t *low, uintptr_t *high);

/* object_load_at -- the segment that holds the address; its end is 0 where there is none. */
struct object_load object_load_at(const struct object *o, uintptr_t at);

#endif
