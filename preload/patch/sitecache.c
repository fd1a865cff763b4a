/* sitecache.c -- sites that were found before
 *
 * The file is a header and records, one an object; a record is followed by its sites, then by the
 * reasons of those that were left. All addresses are offsets from the object's base.
 *
 * Another process may write the file meanwhile: it writes a new one and renames it.
 *
 * Rejected: a file of each user (a library that writes into homes unasked, and would have to doubt all
 * that it reads there); a sum of the text (a quarter of a search of it).
 */
#include <fcntl.h>
#include <linux/stat.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

#include "conf.h"
#include "patch/sitecache.h"
#include "log.h"
#include "pages.h"
#include "sys.h"

#define FILE_NAME "weft.sites"
#define ID_MOST	  32	      /* bytes of a build-id */
#define BYTES	  32	      /* of text that a site tells of, at most */
#define FILE_MOST (8ul << 20) /* a larger one is not read, nor written */
#define PATH_ROOM 4096
#define WRITERS	  022 /* of a mode: group and others */
#define JUMP	  5   /* bytes of a jump */

#define SURE   1
#define VECTOR 2
#define WIDE   4

struct header {
	char magic[8];
	uint8_t library[ID_MOST];
	uint32_t size, unused; /* of all; 0 */
	uint64_t sum;	       /* of what follows */
};

struct record {
	uint32_t size; /* with sites and reasons; a multiple of 8 */
	uint32_t sites;
	uint32_t low, high; /* bounds of the text */
	uint32_t careful;
	uint8_t id[ID_MOST];
	uint32_t unused;
};

struct remembered {
	uint32_t syscall;
	int32_t nr;
	uint32_t reason; /* where its text begins in the record; 0: none */
	uint8_t before;	 /* the first byte that is overwritten is so many before the syscall */
	uint8_t length, form, flags;
	uint8_t bytes[BYTES]; /* what stands from the first byte on; of a site that was left nothing */
};

static const char magic[] = "weft 001";

static struct {
	const struct header *file; /* mapped; NULL: not looked for, or there is none */
	size_t size;
	bool looked;
	int count;
} known;

static struct {
	char *at;	/* header and records */
	size_t used;
	bool changed;	/* since it was written */
} learned;

/* An object while it is learned. */
struct lesson {
	const struct object *object;
	struct record *record;
	int (*found)(const struct site *, void *);
	void *arg;
};

static void id_of(const struct object *o, uint8_t id[ID_MOST])
{
	size_t n = o->build_id_size < ID_MOST ? o->build_id_size : ID_MOST;

	memset(id, 0, ID_MOST);
	if (n)
		memcpy(id, o->build_id, n);
}

/* From its base on. False: it cannot be remembered. */
static bool text_bounds(const struct object *o, uint32_t *low, uint32_t *high)
{
	uintptr_t lo, hi;

	if (!object_text(o, &lo, &hi) || lo < o->base || hi - o->base > UINT32_MAX)
		return false;
	*low = (uint32_t)(lo - o->base);
	*high = (uint32_t)(hi - o->base);
	return true;
}

static uint64_t sum_of(const void *from, size_t n)
{
	const uint64_t *word = from;
	uint64_t sum = 0x9e3779b97f4a7c15;

	for (size_t i = 0; i < n / 8; i++) {
		sum = (sum ^ word[i]) * 0xff51afd7ed558ccd;
		sum ^= sum >> 32;
	}
	return sum;
}

/* The records of a whole file of this library, one behind another. */
static bool is_whole(const struct header *h, size_t size)
{
	struct object ourselves;
	uint8_t id[ID_MOST];

	if (size < sizeof *h || size % 8 || memcmp(h->magic, magic, sizeof h->magic) || h->size != size || h->unused ||
	    object_ourselves(&ourselves) < 0)
		return false;
	id_of(&ourselves, id);
	if (!ourselves.build_id_size || memcmp(h->library, id, sizeof id) ||
	    sum_of(h + 1, size - sizeof *h) != h->sum)
		return false;
	for (size_t at = sizeof *h; at < size;) {
		const struct record *r = (const void *)((const char *)h + at);

		if (size - at < sizeof *r || r->size < sizeof *r || r->size % 8 || r->size > size - at ||
		    r->sites > (r->size - sizeof *r) / sizeof(struct remembered))
			return false;
		at += r->size;
	}
	return true;
}

/* Returns the file mapped, or NULL. owner: who alone may write it. */
static const struct header *map_file(const char *path, uint32_t owner, size_t *size)
{
	long fd = sys_open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0), p = -1;
	struct statx st;

	if (fd < 0)
		return NULL;
	if (SYS(__NR_statx, fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st) == 0 &&
	    (st.stx_mode & S_IFMT) == S_IFREG && !(st.stx_mode & WRITERS) && st.stx_uid == owner &&
	    st.stx_size <= FILE_MOST) {
		*size = st.stx_size;
		p = sys_mmap(NULL, *size, PROT_READ, MAP_PRIVATE, (int)fd, 0);
	}
	sys_close((int)fd);
	if (p < 0 && p > -4096)
		return NULL;
	if (is_whole((const void *)p, *size))
		return (const void *)p;
	sys_munmap((void *)p, *size);
	return NULL;
}

/* Where the file of this library would be; false where that is not to be believed. */
static bool find_file(char path[PATH_ROOM], uint32_t *owner)
{
	struct object ourselves;
	struct statx st;
	size_t n = 0;

	if (getauxval(AT_SECURE) || object_ourselves(&ourselves) < 0 || ourselves.name[0] != '/' ||
	    SYS(__NR_statx, AT_FDCWD, ourselves.name, 0, STATX_BASIC_STATS, &st) < 0 ||
	    st.stx_mode & WRITERS)
		return false;
	for (size_t i = 0; ourselves.name[i]; i++) {
		if (i == PATH_ROOM - sizeof FILE_NAME)
			return false;
		path[i] = ourselves.name[i];
		n = path[i] == '/' ? i + 1 : n;
	}
	memcpy(path + n, FILE_NAME, sizeof FILE_NAME);
	*owner = st.stx_uid;
	return true;
}

static void look(void)
{
	static char path[PATH_ROOM] ANEW;
	uint32_t owner;

	known.looked = true;
	if (find_file(path, &owner))
		known.file = map_file(path, owner, &known.size);
}

/* The record of an object in a file, or NULL. */
static const struct record *find_record(const struct header *h, const struct object *o)
{
	uint32_t low, high;
	uint8_t id[ID_MOST];

	if (!h || !o->build_id_size || o->vdso || !text_bounds(o, &low, &high))
		return NULL;
	id_of(o, id);
	for (size_t at = sizeof *h; at < h->size;) {
		const struct record *r = (const void *)((const char *)h + at);

		if (!memcmp(r->id, id, sizeof id) && r->low == low && r->high == high &&
		    r->careful == o->careful)
			return r;
		at += r->size;
	}
	return NULL;
}

static uint32_t end_of(const struct remembered *m)
{
	return m->form == SITE_BEFORE ? m->before + 2u : m->length;
}

static bool is_as_remembered(const struct object *o, const struct record *r, const struct remembered *m)
{
	uintptr_t start = o->base + m->syscall - m->before;
	struct object_load l = object_load_at(o, start);

	if (m->form > SITE_LEFT || m->before > m->length || (m->form != SITE_LEFT && m->length < JUMP))
		return false;
	/* The record ends with a 0. */
	if (m->reason && (m->reason >= r->size || ((const char *)r)[r->size - 1]))
		return false;
	return m->form == SITE_LEFT || ((l.flags & (PF_X | PF_W)) == PF_X && end_of(m) <= BYTES && end_of(m) <= l.end - start &&
					!memcmp((const void *)start, m->bytes, end_of(m)));
}

/* Tells of all the sites of a record, or of none. Returns -ENOENT where they are not those of the object. */
static int tell(const struct object *o, const struct record *r, int (*found)(const struct site *, void *), void *arg)
{
	const struct remembered *m = (const void *)(r + 1);

	for (uint32_t i = 0; i < r->sites; i++)
		if (!is_as_remembered(o, r, &m[i]))
			return -ENOENT;
	for (uint32_t i = 0; i < r->sites; i++, m++) {
		const struct site s = {
			.syscall = o->base + m->syscall,
			.start = o->base + m->syscall - m->before,
			.reason = m->reason ? (const char *)r + m->reason : NULL,
			.nr = m->nr,
			.length = m->length,
			.form = m->form,
			.vector = m->flags & VECTOR,
			.wide = m->flags & WIDE,
			.sure = m->flags & SURE,
			.careful = o->careful,
		};
		int result = o->wanted && s.sure && !o->wanted(s.nr) ? 0 : found(&s, arg);

		if (result)
			return result;
	}
	known.count += (int)r->sites;
	return 0;
}

static void *room(size_t n)
{
	if (!learned.at || learned.used + n > FILE_MOST)
		return NULL;
	void *p = learned.at + learned.used;

	learned.used += n;
	return p;
}

static int learn_site(const struct site *s, void *arg)
{
	struct lesson *l = arg;
	struct remembered *m = l->record ? room(sizeof *m) : NULL;

	if (m) {
		*m = (struct remembered){
			.syscall = (uint32_t)(s->syscall - l->object->base),
			.nr = s->nr,
			.before = (uint8_t)(s->syscall - s->start),
			.length = s->length,
			.form = s->form,
			.flags = (uint8_t)((s->sure ? SURE : 0) | (s->vector ? VECTOR : 0) | (s->wide ? WIDE : 0)),
		};
		if (s->form == SITE_LEFT)
			memcpy(m->bytes, &s->reason, sizeof s->reason);	/* end_record takes it away */
		else if (end_of(m) <= BYTES)
			memcpy(m->bytes, (const void *)s->start, end_of(m));
		l->record->sites++;
	}
	if (!m || (s->form != SITE_LEFT && end_of(m) > BYTES))
		l->record = NULL;
	return l->found(s, l->arg);
}

/* Puts the texts of the reasons behind the sites. */
static bool end_record(struct record *r)
{
	struct remembered *m = (void *)(r + 1);

	for (uint32_t i = 0; i < r->sites; i++) {
		const char *text;

		if (m[i].form != SITE_LEFT)
			continue;
		memcpy(&text, m[i].bytes, sizeof text);
		memset(m[i].bytes, 0, sizeof text);
		char *p = room(strlen(text) + 1);

		if (!p)
			return false;
		memcpy(p, text, strlen(text) + 1);
		m[i].reason = (uint32_t)(p - (char *)r);
	}
	if (!room(8 - learned.used % 8))	/* and a 0 at least */
		return false;
	r->size = (uint32_t)(learned.at + learned.used - (char *)r);
	return true;
}

static void begin_lessons(void)
{
	struct object ourselves;
	size_t size;
	const struct header *old = map_file(conf.learn, (uint32_t)SYS(__NR_geteuid), &size);

	learned.at = sys_map(FILE_MOST);
	if (!learned.at || object_ourselves(&ourselves) < 0)
		return;
	learned.used = old ? old->size : sizeof(struct header);
	if (old) {
		memcpy(learned.at, old, old->size);
		sys_munmap((void *)old, size);
	}
	struct header *h = (void *)learned.at;

	memcpy(h->magic, magic, sizeof h->magic);
	id_of(&ourselves, h->library);
	h->size = (uint32_t)learned.used;
}

/* Searches an object, and remembers what was found unless it is known already. */
static int learn(const struct object *o, int (*found)(const struct site *, void *), void *arg)
{
	struct lesson l = {o, NULL, found, arg};
	uint32_t low = 0, high = 0;

	if (!learned.at)
		begin_lessons();
	struct header *h = (void *)learned.at;
	size_t before = learned.used;

	if (h && o->build_id_size && !o->vdso && text_bounds(o, &low, &high) && !find_record(h, o))
		l.record = room(sizeof *l.record);
	if (l.record) {
		*l.record = (struct record){.low = low, .high = high, .careful = o->careful};
		id_of(o, l.record->id);
	}
	int r = sites_find(o, learn_site, &l);

	if (r == 0 && l.record && end_record(l.record)) {
		h->size = (uint32_t)learned.used;
		learned.changed = true;
	} else {
		learned.used = before;
	}
	return r;
}

int sitecache_sites(const struct object *o, int (*found)(const struct site *, void *), void *arg)
{
	/* With calls left out some sites are not looked for. */
	if (*conf.learn && !*conf.skip)
		return learn(o, found, arg);
	if (!known.looked)
		look();
	const struct record *r = find_record(known.file, o);
	int result = r ? tell(o, r, found, arg) : -ENOENT;

	return result == -ENOENT ? sites_find(o, found, arg) : result;
}

int sitecache_count(void)
{
	return known.count;
}

/* PATH with a dot and the process id behind it. */
static bool name_new(char to[PATH_ROOM], const char *path)
{
	char digits[12], *d = digits + sizeof digits;
	size_t n = strlen(path);

	if (n + sizeof digits > PATH_ROOM)
		return false;
	*--d = 0;
	for (unsigned pid = (unsigned)sys_getpid(); pid; pid /= 10)
		*--d = (char)('0' + pid % 10);
	*--d = '.';
	memcpy(to, path, n);
	memcpy(to + n, d, (size_t)(digits + sizeof digits - d));
	return true;
}

static long write_learned(void)
{
	static char name[PATH_ROOM] ANEW;
	struct header *h = (void *)learned.at;
	struct statx st;

	if (!name_new(name, conf.learn))
		return -ENAMETOOLONG;
	/* Nothing but a file is replaced. */
	if (SYS(__NR_statx, AT_FDCWD, conf.learn, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &st) == 0 &&
	    (st.stx_mode & S_IFMT) != S_IFREG)
		return -EEXIST;
	long fd = sys_open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644), r;

	if (fd < 0)
		return fd;
	h->sum = sum_of(h + 1, learned.used - sizeof *h);
	r = sys_write((int)fd, learned.at, learned.used);
	sys_close((int)fd);
	r = r < 0 ? r : r != (long)learned.used ? -ENOSPC : SYS(__NR_rename, name, conf.learn);
	if (r < 0)
		SYS(__NR_unlink, name);
	return r;
}

void sitecache_done(void)
{
	if (known.file)
		sys_munmap((void *)known.file, known.size);
	known.file = NULL;
	known.looked = false;
	if (!learned.changed)
		return;
	long r = write_learned();

	learned.changed = false;
	if (r < 0)
		LOG(ERROR, "weft: %s cannot be written: %d\n", conf.learn, (int)r);
}
