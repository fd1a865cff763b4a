/* sites.h -- where an object enters the kernel, and what may be overwritten there
 *
 * A site is a `syscall' instruction with room for a jump of five bytes. The forms, in the order in
 * which they are looked for:
 *
 *	before	the whole instructions before the syscall, of its basic block. The syscall itself
 *		stays, and a call that is not ours goes on at it, with nothing of ours on the stack
 *	loop	a syscall that no path leaves (exit in a loop): from before it to behind it
 *	behind	the syscall and what follows, where too little stands before it
 *
 * A branch may lead to the first byte that is overwritten, to none of the others. Branches are
 * those of the function, of its jump tables, and every 32-bit one anywhere in the object: the cold
 * half of a function is a function of its own and jumps back into the first. An exception's landing
 * pad is no concern: it begins with rax in use.
 *
 * Threads: one at a time.    Errors: 0 or -errno.    Memory: that of body.h, until bodies_done.
 */
#ifndef PRELOAD_SITES_H
#define PRELOAD_SITES_H

#include "elf/object.h"

enum site_form { SITE_BEFORE, SITE_BEHIND, SITE_LOOP, SITE_LEFT };

struct site {
	uintptr_t syscall;  /* the instruction */
	uintptr_t start;    /* first byte that is overwritten */
	const char *reason; /* of SITE_LEFT, else NULL */
	int nr;		    /* the system call where it is constant, else -1 */
	uint8_t length;	    /* bytes of the instructions from start on that are moved */
	uint8_t form;	    /* enum site_form */
	bool vector; /* its function uses vector registers: they are to be saved around a park */
	bool wide;   /* it uses more than XMM0-15: a save of these is not enough */
	bool sure;   /* it is an instruction; false where nothing tells code from data */
	bool careful; /* as its object is */
};

/* sites_find -- call found for every site of the object, by ascending address within a segment.
 *
 * Byte pairs within other instructions are not reported, nor are calls that the object's `wanted'
 * refuses; neither is anything in text that the program can write to (it is reported as left).
 * Returns 0, the first result of found that is not 0 (the search ends there), or -ENOMEM.
 */
int sites_find(const struct object *o, int (*found)(const struct site *s, void *arg), void *arg);

#endif
