/* sitecache.h -- sites that were found before
 *
 * Finding the sites of libc is the larger part of an activation, and they are the same in every
 * process. So `make' lets the library write down what it found in libc and the loader, in weft.sites
 * beside itself, and WEFT_LEARN adds what a program has loaded. An object is recognised by its
 * build-id and the bounds of its text; any doubt, and it is searched.
 *
 * Whoever can write there can replace the library as well. So the file is believed when the library
 * has an absolute path, and both have one owner and nobody else who may write; when it was written
 * by this very library and is whole; and of each site when the bytes are still those that were seen.
 *
 * Threads: as sites.h.    Errors: 0 or -errno.
 * Memory:  maps the file, until sitecache_done; with WEFT_LEARN what was learned as well, for good.
 */
#ifndef PRELOAD_SITECACHE_H
#define PRELOAD_SITECACHE_H

#include "patch/sites.h"

/* sitecache_sites -- sites_find, from the file where it tells of the object. A site's reason is good until
 * sitecache_done. */
int sitecache_sites(const struct object *o, int (*found)(const struct site *s, void *arg), void *arg);

/* sitecache_count -- how many sites the file has told of. */
int sitecache_count(void);

/* sitecache_done -- no more objects for now. With WEFT_LEARN what is new goes to its file. */
void sitecache_done(void);

#endif
