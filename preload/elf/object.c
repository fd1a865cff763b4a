/* object.c -- one loaded ELF object: where its text is, where its functions begin and end */
#include <sys/auxv.h>

#include "elf/object.h"
#include "sys.h"

/* Pointer encodings of .eh_frame: the low half says what is stored. */
enum {
	EH_PTR = 0x00,
	EH_UDATA4 = 0x03,
	EH_UDATA8 = 0x04,
	EH_SDATA4 = 0x0b,
	EH_SDATA8 = 0x0c,
	EH_TABLE = 0x3b,
	EH_ALIGNED = 0x50
};

struct eh_frame_hdr {
	uint8_t version, frame_encoding, count_encoding, table_encoding;
	int32_t frame;
	uint32_t count;
	int32_t table[];
};

static uint32_t word_at(uintptr_t at)
{
	uint32_t v;

	__builtin_memcpy(&v, (const void *)at, sizeof v);
	return v;
}

static struct object_load load_of(const struct object *o, const ElfW(Phdr) * h)
{
	uintptr_t at = o->base + h->p_vaddr;

	return (struct object_load){at, h->p_type == PT_LOAD ? at + h->p_filesz : at, h->p_flags};
}

struct object_load object_load_at(const struct object *o, uintptr_t at)
{
	for (int i = 0; i < o->loads; i++)
		if (at >= o->load[i].start && at < o->load[i].end)
			return o->load[i];
	for (size_t i = 0; o->loads == OBJECT_LOADS && i < o->header_count; i++) {
		struct object_load l = load_of(o, &o->headers[i]);

		if (at >= l.start && at < l.end)
			return l;
	}
	return (struct object_load){0};
}

int object_text(const struct object *o, uintptr_t *low, uintptr_t *high)
{
	int segments = 0;

	*low = UINTPTR_MAX;
	*high = 0;
	for (int i = 0; i < o->loads; i++) {
		if (!(o->load[i].flags & PF_X))
			continue;
		*low = o->load[i].start < *low ? o->load[i].start : *low;
		*high = o->load[i].end > *high ? o->load[i].end : *high;
		segments++;
	}
	return segments;
}

static void read_dynamic(struct object *o, const ElfW(Dyn) * d)
{
	for (; d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_TEXTREL || (d->d_tag == DT_FLAGS && d->d_un.d_val & DF_TEXTREL))
			o->textrel = true;
}

static void read_eh_frame_hdr(struct object *o, uintptr_t at, size_t size)
{
	const struct eh_frame_hdr *h = (const void *)at;

	/* Linkers write one form; another one, or none, leaves the object without functions. */
	if (size < sizeof *h || h->version != 1 || h->count_encoding != EH_UDATA4 ||
	    h->table_encoding != EH_TABLE)
		return;
	if (h->count > (size - sizeof *h) / 8)
		return;
	o->eh_frame_hdr = at;
	o->functions = h->table;
	o->function_count = h->count;
}

static void read_notes(struct object *o, uintptr_t at, size_t size)
{
	for (uintptr_t end = at + size; end - at >= sizeof(ElfW(Nhdr));) {
		const ElfW(Nhdr) *n = (const void *)at;
		size_t name = (n->n_namesz + 3ul) & ~3ul, room = end - at - sizeof *n;

		if (name > room || n->n_descsz > room - name)
			return;
		if (n->n_type == NT_GNU_BUILD_ID && n->n_namesz == 4 && !memcmp(n + 1, "GNU", 4)) {
			o->build_id = (const uint8_t *)(n + 1) + name;
			o->build_id_size = n->n_descsz;
			return;
		}
		at += sizeof *n + name + ((n->n_descsz + 3ul) & ~3ul);
		if (at > end)
			return;
	}
}

/* Where all places are taken, one that holds no text gives way to one that does. False: all of them do. */
static bool note_load(struct object *o, struct object_load l)
{
	if (o->loads == OBJECT_LOADS) {
		int i = 0;

		if (!(l.flags & PF_X))
			return true;
		while (i < o->loads && o->load[i].flags & PF_X)
			i++;
		if (i == o->loads)
			return false;
		for (; i + 1 < o->loads; i++)
			o->load[i] = o->load[i + 1];
		o->loads--;
	}
	o->load[o->loads++] = l;
	return true;
}

int object_from_headers(struct object *o, uintptr_t base, const ElfW(Phdr) * headers, size_t n,
			const char *name)
{
	*o = (struct object){.name = name, .base = base, .headers = headers, .header_count = n};
	for (size_t i = 0; i < n; i++) {
		const ElfW(Phdr) *h = &headers[i];
		uintptr_t at = base + h->p_vaddr;

		if (h->p_type == PT_GNU_EH_FRAME)
			read_eh_frame_hdr(o, at, h->p_memsz);
		else if (h->p_type == PT_DYNAMIC)
			read_dynamic(o, (const void *)at);
		else if (h->p_type == PT_NOTE && !o->build_id)
			read_notes(o, at, h->p_memsz);
		if (h->p_type == PT_LOAD && h->p_filesz && !note_load(o, load_of(o, h)))
			return -E2BIG;
	}
	return o->loads ? 0 : -ENOEXEC;
}

static const ElfW(Phdr) * program_headers(size_t *n, uintptr_t *base)
{
	const ElfW(Phdr) *h = (const void *)getauxval(AT_PHDR);

	*n = h ? getauxval(AT_PHNUM) : 0;
	*base = 0;
	for (size_t i = 0; i < *n; i++)
		if (h[i].p_type == PT_PHDR)
			*base = (uintptr_t)h - h[i].p_vaddr;
	return h;
}

static uintptr_t program_dynamic(void)
{
	size_t n;
	uintptr_t base;
	const ElfW(Phdr) *h = program_headers(&n, &base);

	for (size_t i = 0; i < n; i++)
		if (h[i].p_type == PT_DYNAMIC)
			return base + h[i].p_vaddr;
	return 0;
}

int object_from_link_map(const struct link_map *map, struct object *o)
{
	const char *name = map->l_name[0] ? map->l_name : "the program";
	size_t n;
	uintptr_t base;
	const ElfW(Phdr) *headers = program_headers(&n, &base);
	unsigned char in_core;

	if ((uintptr_t)map->l_ld == program_dynamic())
		return object_from_headers(o, map->l_addr, headers, n, name);
	/* A prelinked object has no header at its bias; there may not even be memory. */
	const ElfW(Ehdr) *e = (const void *)map->l_addr;

	if (!e || map->l_addr % PAGE || SYS(__NR_mincore, e, PAGE, &in_core) < 0)
		return -ENOEXEC;
	if (word_at(map->l_addr) != word_at((uintptr_t)ELFMAG) || e->e_phentsize != sizeof *headers)
		return -ENOEXEC;
	return object_from_headers(o, map->l_addr, (const void *)(map->l_addr + e->e_phoff),
				   e->e_phnum, name);
}

const struct r_debug *object_debug(void)
{
	const ElfW(Dyn) *d = (const void *)program_dynamic();

	for (; d && d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_DEBUG)
			return (const void *)d->d_un.d_ptr;
	return NULL;
}

uintptr_t object_r_brk(void)
{
	const struct r_debug *d = object_debug();

	return d ? d->r_brk : 0;
}

int object_vdso(struct object *o)
{
	uintptr_t at = getauxval(AT_SYSINFO_EHDR);
	const ElfW(Ehdr) *e = (const void *)at;

	if (!e)
		return -ENOENT;
	int r = object_from_headers(o, at, (const void *)(at + e->e_phoff), e->e_phnum, "the vdso");

	o->vdso = true;
	return r;
}

static bool is_ours(const struct object *o)
{
	return object_load_at(o, (uintptr_t)is_ours).end != 0;
}

int object_ourselves(struct object *o)
{
	const struct r_debug *d = object_debug();

	for (const struct link_map *m = d ? d->r_map : NULL; m; m = m->l_next) {
		if (!object_from_link_map(m, o) && is_ours(o))
			return 0;
	}
	return -ENOENT;
}

static int each_in(const struct r_debug *d, int (*fn)(const struct object *, void *), void *arg)
{
	uintptr_t vdso = getauxval(AT_SYSINFO_EHDR);
	struct object o;

	for (const struct link_map *m = d->r_map; m; m = m->l_next) {
		/* An old loader enters itself into other namespaces by its name alone. */
		if (!m->l_ld || (vdso && (uintptr_t)m->l_ld - vdso < 16 * PAGE))
			continue;
		int r = object_from_link_map(m, &o);

		if (!r && !is_ours(&o))
			r = fn(&o, arg);
		if (r)
			return r;
	}
	return 0;
}

/* libc's struct r_debug_extended, which its headers have since 2.35. */
struct debug_extended {
	struct r_debug base;
	const struct r_debug *next;
};

/* The loader's own data: false where its object is not in the list. */
static bool loader_data(const struct r_debug *d, struct object *o)
{
	for (const struct link_map *m = d->r_map; m; m = m->l_next)
		if (m->l_addr == d->r_ldbase)
			return !object_from_link_map(m, o);
	return false;
}

/* Before 2.35 libc keeps the list of another namespace in its loader's data and refers to it from nowhere: it is told by the
 * loader's base and debug hook, which it repeats. */
static bool is_other_list(const struct r_debug *at, const struct r_debug *d)
{
	return at != d && at->r_version == 1 && at->r_brk == d->r_brk && at->r_ldbase == d->r_ldbase;
}

static int each_unlinked(const struct r_debug *d, int (*fn)(const struct object *, void *), void *arg)
{
	struct object loader;
	int r = 0;

	if (!loader_data(d, &loader))
		return 0;
	for (int i = 0; i < loader.loads; i++) {
		const struct object_load *l = &loader.load[i];
		uintptr_t at = l->start + -l->start % sizeof at;

		for (; !r && l->flags & PF_W && at + sizeof *d <= l->end; at += sizeof at)
			if (is_other_list((const void *)at, d))
				r = each_in((const void *)at, fn, arg);
	}
	return r;
}

int object_each(int (*fn)(const struct object *, void *), void *arg)
{
	const struct r_debug *d = object_debug();
	bool linked = d && d->r_version >= 2;
	int r = d ? 0 : -ENOENT;

	for (const struct r_debug *in = d; in && !r; in = linked ? ((const struct debug_extended *)in)->next : NULL)
		r = each_in(in, fn, arg);
	return r || linked ? r : each_unlinked(d, fn, arg);
}

static size_t skip_leb128(const uint8_t *p)
{
	size_t n = 0;

	while (p[n++] & 0x80)
		;
	return n;
}

static size_t pointer_size(uint8_t encoding)
{
	switch (encoding & 0x0f) {
	case EH_UDATA4:
	case EH_SDATA4:
		return 4;
	case EH_PTR:
	case EH_UDATA8:
	case EH_SDATA8:
		return 8;
	}
	return 0;
}

/* The size of addresses in the FDEs of this CIE; 0 where it cannot be told. */
static size_t address_size(uintptr_t cie)
{
	const uint8_t *p = (const uint8_t *)cie + 8;
	uint8_t version = *p++;
	const char *augmentation = (const char *)p;

	if ((version != 1 && version != 3) || (augmentation[0] && augmentation[0] != 'z'))
		return 0;
	while (*p++)
		;
	p += skip_leb128(p);			/* code alignment */
	p += skip_leb128(p);			/* data alignment */
	p += version == 1 ? 1 : skip_leb128(p); /* return address register */
	if (!augmentation[0])
		return 8;
	p += skip_leb128(p);
	for (const char *a = augmentation + 1; *a; a++) {
		if (*a == 'R')
			return pointer_size(*p);
		if (*a == 'L')
			p++;
		else if (*a == 'P' && pointer_size(*p) && (*p & 0x70) != EH_ALIGNED)
			p += 1 + pointer_size(*p);
		else if (*a != 'S' && *a != 'B')
			return 0;
	}
	return 8;
}

/* How many functions begin below or at the address. */
static uint32_t functions_to(const struct object *o, uintptr_t at)
{
	uint32_t low = 0, count = o->function_count;
	intptr_t offset = (intptr_t)(at - o->eh_frame_hdr);

	/* Without a branch: it would be guessed wrongly at every other step. */
	while (count) {
		uint32_t half = (count + 1) / 2;

		low += o->functions[2 * (low + half - 1)] <= offset ? half : 0;
		count -= half;
	}
	return low;
}

static int read_function(const struct object *o, uint32_t i, struct function *f)
{
	uintptr_t fde = o->eh_frame_hdr + (uintptr_t)(intptr_t)o->functions[2 * i + 1];

	f->start = f->end = o->eh_frame_hdr + (uintptr_t)(intptr_t)o->functions[2 * i];
	/* A length of ~0 announces the 64-bit form, which nobody writes. */
	size_t size = word_at(fde) == UINT32_MAX ? 0 : address_size(fde + 4 - word_at(fde + 4));

	if (!size)
		return -ENOENT;
	f->end += word_at(fde + 8 + size);
	if (size == 8)
		f->end += (uint64_t)word_at(fde + 8 + size + 4) << 32;
	return 0;
}

int object_function(const struct object *o, uintptr_t at, struct function *f)
{
	uint32_t n = functions_to(o, at);

	if (!n || read_function(o, n - 1, f))
		return -ENOENT;
	return at < f->end ? 0 : -ENOENT;
}

int object_next(const struct object *o, uintptr_t at, struct function *f)
{
	uint32_t n = functions_to(o, at - 1);

	return n < o->function_count ? read_function(o, n, f) : -ENOENT;
}

static bool begins(const char *name, const char *with)
{
	while (*with && *name == *with) {
		name++;
		with++;
	}
	return !*with;
}

bool object_is_libc(const struct object *o)
{
	const char *name = NULL;

	for (const char *p = o->name; *p; p++)
		if (*p == '/')
			name = p + 1;
	return name && (begins(name, "libc.so") || begins(name, "libc-2") || begins(name, "libpthread") ||
			begins(name, "ld-linux"));
}
