/* elfkind.h -- what kind of program a file is, and whether LD_PRELOAD can help it
 *
 * `weft run' asks before it execs, the preloaded library before it lets an execve pass. So this file
 * needs neither libc nor a heap: its system calls are raw, its storage is the caller's. Only small
 * reads are made, about ten for a usual program, and nothing in the file is believed: every
 * offset, count and string is bounded.
 *
 * Threads: any function, from anywhere.
 * Errors:  a file that cannot be opened, is cut short or makes no sense is ELFKIND_UNKNOWN: the
 *          kernel is the better judge.
 * Memory:  only the caller's struct elfkind_work.   Blocking: as a file system does.
 */
#ifndef PRELOAD_ELFKIND_H
#define PRELOAD_ELFKIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum elf_kind {
#define KIND(name, harm, text) ELFKIND_##name,
#include "elf/elfkind.def"
#undef KIND
	ELFKIND_COUNT
};

/* What decides whether the kernel starts a program in secure mode, where the loader ignores
 * LD_PRELOAD. */
struct elfkind_rights {
	uint32_t mode, file_uid, file_gid;	/* of the program's file */
	uint32_t uid, euid, gid, egid;		/* of the caller */
	bool capable;				/* the file has a security.capability attribute */
	bool honoured;				/* neither no_new_privs nor a nosuid mount */
};

#define ELFKIND_PATH	4096	/* longest path, its NUL included */
#define ELFKIND_LINE	256	/* what the kernel reads of a `#!' line */
#define ELFKIND_LEVELS	5	/* scripts run by scripts: as many as the kernel follows */
#define ELFKIND_LOADS	16	/* loaded segments that are remembered; others are read again when they are wanted */

/* Scratch space; 5 KiB, so not for a task's stack. The caller reads `name' only. */
struct elfkind_work {
	char name[ELFKIND_PATH];	/* out: the file that was judged, after all `#!' lines */
	unsigned char buf[ELFKIND_LINE];
	unsigned char window[512];	/* of the file */
	uint64_t window_at;
	size_t window_size;
	struct elfkind_load {
		uint64_t vaddr, size, offset;
	} load[ELFKIND_LOADS];
	size_t loads;		/* all; those remembered stand in load */
	uint64_t headers, header_count;	/* the program headers: where in the file, how many */
	uint64_t dynamic, dynamic_size;
	uint64_t strings, symbols, gnu_hash, sysv_hash;	/* file offsets, 0 for none */
	uint64_t soname;	/* offset in `strings', 0 for none */
};

/* elfkind_of_fd -- judge one open file by its content alone.
 *
 * Returns ELFKIND_SCRIPT for a file that starts with `#!'; never SETID, CAPABLE or IDS.
 */
enum elf_kind elfkind_of_fd(int fd, struct elfkind_work *work);

/* elfkind_of_rights -- would the kernel start a program with these rights in secure mode?
 *
 * Returns ELFKIND_PLAIN if not, else SETID, CAPABLE or IDS.
 */
enum elf_kind elfkind_of_rights(const struct elfkind_rights *rights);

/* elfkind_of_path -- judge the program that an execve of `path' would end in.
 *
 * Follows `#!' lines as the kernel does, and through `env NAME' to NAME, which is looked up in
 * `search' (a PATH; NULL for none). Returns its kind, never ELFKIND_SCRIPT; work->name is that
 * program's path.
 */
enum elf_kind elfkind_of_path(const char *path, const char *search,
			      struct elfkind_work *work);

/* elfkind_find -- look `file' up in a PATH, as execvp does, into work->name. Returns whether it is
 * there. */
bool elfkind_find(const char *file, const char *search,
		  struct elfkind_work *work);

/* elfkind_text -- what stands in the way of LD_PRELOAD, as the end of a sentence; "" for
 * nothing. */
const char *elfkind_text(enum elf_kind kind);

/* elfkind_harm -- does LD_PRELOAD do it harm, and not just no good? */
bool elfkind_harm(enum elf_kind kind);

#endif
