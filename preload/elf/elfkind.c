/* elfkind.c -- what kind of program a file is, and whether LD_PRELOAD can help it
 *
 * Only program headers and the dynamic section are read, as the kernel and the loader do: section
 * headers may be stripped.
 */
#include <elf.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

#include "elf/elfkind.h"
#include "sys.h"

#define PHDRS		(65536 / sizeof(Elf64_Phdr))	/* the kernel refuses more */
#define DYNAMICS	4096		/* entries of the dynamic section that are looked at */
#define CHAIN		4096		/* symbols of one hash chain that are looked at */
#define UNDEFINED	8192		/* undefined symbols that are looked at */

struct reader {
	int fd;
	struct elfkind_work *work;
};

static const struct {
	const char *text;
	bool harm;
} rows[] = {
#define KIND(name, harm, text) [ELFKIND_##name] = {text, harm},
#include "elf/elfkind.def"
#undef KIND
};

/* Runtimes that come as shared objects and want to be the first to see every call. UBSan only
 * prints. */
static const char *const sanitizer_libraries[] = {
	"libasan.so", "libtsan.so", "liblsan.so", "libhwasan.so", "libclang_rt.asan",
	"libclang_rt.tsan", "libclang_rt.lsan", "libclang_rt.hwasan", "libclang_rt.memprof",
};

/* The same, linked in: clang exports these from every program it builds so. */
static const char *const sanitizer_symbols[] = {
	"__asan_init", "__tsan_init", "__msan_init",
	"__lsan_init", "__hwasan_init", "__memprof_init",
};

const char *elfkind_text(enum elf_kind kind)
{
	return (unsigned)kind < ELFKIND_COUNT ? rows[kind].text : "";
}

bool elfkind_harm(enum elf_kind kind)
{
	return (unsigned)kind < ELFKIND_COUNT && rows[kind].harm;
}

static size_t length(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

static bool starts(const char *s, const char *with)
{
	while (*with)
		if (*s++ != *with++)
			return false;
	return true;
}

static bool same(const char *a, const char *b)
{
	return starts(a, b) && a[length(b)] == 0;
}

/* open_program -- a regular file that execve would take, for reading. */
static int open_program(const char *path)
{
	struct stat st;
	long r = SYS(__NR_newfstatat, AT_FDCWD, path, &st, 0);

	if (r == 0 && !S_ISREG(st.st_mode))
		r = -EACCES;
	if (r == 0)
		r = SYS(__NR_faccessat2, AT_FDCWD, path, 1 /* X_OK */, AT_EACCESS);
	return (int)(r < 0 ? r : sys_open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0));
}

static void read_rights(int fd, struct elfkind_rights *to)
{
	struct stat st = {0};
	struct statfs fs = {0};

	SYS(__NR_fstat, fd, &st);
	SYS(__NR_fstatfs, fd, &fs);
	*to = (struct elfkind_rights){
		.mode = st.st_mode, .file_uid = st.st_uid, .file_gid = st.st_gid,
		.uid = (uint32_t)SYS(__NR_getuid), .euid = (uint32_t)SYS(__NR_geteuid),
		.gid = (uint32_t)SYS(__NR_getgid), .egid = (uint32_t)SYS(__NR_getegid),
		.capable = SYS(__NR_fgetxattr, fd, "security.capability", NULL, 0) > 0,
		.honoured = !(fs.f_flags & ST_NOSUID) && SYS(__NR_prctl, PR_GET_NO_NEW_PRIVS) != 1,
	};
}

/* fill -- read what follows `at' into the window. Returns false at the end of the file. */
static bool fill(const struct reader *r, uint64_t at)
{
	struct elfkind_work *work = r->work;
	int64_t got;

	work->window_size = 0;
	if (at > INT64_MAX - sizeof work->window)
		return false;
	got = sys_pread(r->fd, work->window, sizeof work->window, (long)at);
	if (got <= 0 || (uint64_t)got > sizeof work->window)
		return false;
	work->window_at = at;
	work->window_size = (size_t)got;
	return true;
}

/* copy -- read n bytes at `at', or as many as there are. Returns how many. */
static size_t copy(const struct reader *r, uint64_t at, char *to, size_t n)
{
	const struct elfkind_work *work = r->work;
	size_t done = 0;

	for (; done < n; done++, at++) {
		if (at - work->window_at >= work->window_size && !fill(r, at))
			break;
		to[done] = (char)work->window[at - work->window_at];
	}
	return done;
}

static bool get(const struct reader *r, uint64_t at, void *to, size_t n)
{
	return copy(r, at, to, n) == n;
}

/* get_text -- read what there is at `at', at most n - 1 bytes, and end it with NUL. */
static void get_text(const struct reader *r, uint64_t at, char *to, size_t n)
{
	to[copy(r, at, to, n - 1)] = 0;
}

static struct elfkind_load load_of(const Elf64_Phdr *ph)
{
	return (struct elfkind_load){ph->p_vaddr, ph->p_filesz, ph->p_offset};
}

/* offset_in -- the same in this segment alone. */
static uint64_t offset_in(const struct elfkind_load *load, uint64_t vaddr)
{
	uint64_t into = vaddr - load->vaddr, at = load->offset + into;

	return vaddr >= load->vaddr && into < load->size && at >= into ? at : 0;
}

/* file_offset -- where an address of the program stands in the file; 0 for nowhere (there stands
 * the ELF header). */
static uint64_t file_offset(const struct reader *r, uint64_t vaddr)
{
	const struct elfkind_work *work = r->work;
	uint64_t at = 0;
	Elf64_Phdr ph;

	for (size_t i = 0; i < work->loads && i < ELFKIND_LOADS && !at; i++)
		at = offset_in(&work->load[i], vaddr);
	for (uint64_t i = 0; work->loads > ELFKIND_LOADS && i < work->header_count && !at; i++) {
		if (!get(r, work->headers + i * sizeof ph, &ph, sizeof ph))
			return 0;
		struct elfkind_load load = load_of(&ph);

		at = ph.p_type == PT_LOAD ? offset_in(&load, vaddr) : 0;
	}
	return at;
}

static void note_load(struct elfkind_work *work, const Elf64_Phdr *ph)
{
	if (work->loads < ELFKIND_LOADS)
		work->load[work->loads] = load_of(ph);
	work->loads++;
}

/* walk_headers -- note segments and dynamic section, and the interpreter's path in work->buf.
 *
 * Returns false for a file that is cut short; *interp tells whether there is an interpreter.
 */
static bool walk_headers(const struct reader *r, const Elf64_Ehdr *eh, bool *interp)
{
	struct elfkind_work *work = r->work;
	Elf64_Phdr ph;

	work->loads = 0;
	work->dynamic = work->dynamic_size = 0;
	*interp = false;
	if (eh->e_phentsize != sizeof ph || eh->e_phnum == 0 || eh->e_phnum > PHDRS ||
	    eh->e_phoff > INT64_MAX)
		return false;
	work->headers = eh->e_phoff;
	work->header_count = eh->e_phnum;
	for (unsigned i = 0; i < eh->e_phnum; i++) {
		if (!get(r, eh->e_phoff + i * sizeof ph, &ph, sizeof ph))
			return false;
		if (ph.p_type == PT_LOAD) {
			note_load(work, &ph);
		} else if (ph.p_type == PT_DYNAMIC) {
			work->dynamic = ph.p_offset;
			work->dynamic_size = ph.p_filesz;
		} else if (ph.p_type == PT_INTERP && !*interp) {
			get_text(r, ph.p_offset, (char *)work->buf, sizeof work->buf);
			*interp = true;
		}
	}
	return true;
}

/* get_dynamic -- read entry i of the dynamic section. Returns false behind the last one. */
static bool get_dynamic(const struct reader *r, size_t i, Elf64_Dyn *to)
{
	return i < DYNAMICS && r->work->dynamic <= INT64_MAX &&
	       i < r->work->dynamic_size / sizeof *to &&
	       get(r, r->work->dynamic + i * sizeof *to, to, sizeof *to) && to->d_tag != DT_NULL;
}

static void note_dynamic(const struct reader *r)
{
	struct elfkind_work *work = r->work;
	Elf64_Dyn dyn;

	work->strings = work->symbols = work->gnu_hash = work->sysv_hash = work->soname = 0;
	for (size_t i = 0; get_dynamic(r, i, &dyn); i++) {
		switch (dyn.d_tag) {
		case DT_STRTAB:
			work->strings = file_offset(r, dyn.d_un.d_ptr);
			break;
		case DT_SYMTAB:
			work->symbols = file_offset(r, dyn.d_un.d_ptr);
			break;
		case DT_GNU_HASH:
			work->gnu_hash = file_offset(r, dyn.d_un.d_ptr);
			break;
		case DT_HASH:
			work->sysv_hash = file_offset(r, dyn.d_un.d_ptr);
			break;
		case DT_SONAME:
			work->soname = dyn.d_un.d_val;
			break;
		}
	}
}

/* get_string -- read the beginning of a string of the dynamic string table. */
static void get_string(const struct reader *r, uint64_t offset, char *to, size_t n)
{
	to[0] = 0;
	if (r->work->strings && offset <= INT64_MAX)
		get_text(r, r->work->strings + offset, to, n);
}

/* is_symbol -- is symbol i of the dynamic symbol table defined, and called `name'? */
static bool is_symbol(const struct reader *r, uint32_t i, const char *name)
{
	Elf64_Sym sym;
	char text[64];

	if (!get(r, r->work->symbols + i * sizeof sym, &sym, sizeof sym) ||
	    sym.st_shndx == SHN_UNDEF)
		return false;
	get_string(r, sym.st_name, text, sizeof text);
	return same(text, name);
}

static bool find_gnu(const struct reader *r, const char *name)
{
	uint32_t head[4];	/* buckets, first symbol, words of the filter, its shift */
	uint32_t hash = 5381, i, chain;
	uint64_t at = r->work->gnu_hash;

	for (const char *s = name; *s; s++)
		hash = hash * 33 + (unsigned char)*s;
	if (!get(r, at, head, sizeof head) || head[0] == 0)
		return false;
	at += sizeof head + head[2] * 8ull;
	if (!get(r, at + hash % head[0] * 4ull, &i, sizeof i) || i < head[1])
		return false;
	at += head[0] * 4ull;
	for (int n = 0; n < CHAIN; n++, i++) {
		if (!get(r, at + (i - head[1]) * 4ull, &chain, sizeof chain))
			return false;
		if ((chain | 1) == (hash | 1) && is_symbol(r, i, name))
			return true;
		if (chain & 1)
			return false;
	}
	return false;
}

static bool find_sysv(const struct reader *r, const char *name)
{
	uint32_t head[2], hash = 0, i;		/* buckets, symbols */
	uint64_t at = r->work->sysv_hash;

	for (const char *s = name; *s; s++) {
		hash = (hash << 4) + (unsigned char)*s;
		hash = (hash ^ (hash >> 24 & 0xf0)) & 0x0fffffff;
	}
	if (!get(r, at, head, sizeof head) || head[0] == 0)
		return false;
	at += sizeof head;
	if (!get(r, at + hash % head[0] * 4ull, &i, sizeof i))
		return false;
	at += head[0] * 4ull;
	for (int n = 0; n < CHAIN && i != 0; n++) {
		if (is_symbol(r, i, name))
			return true;
		if (!get(r, at + i * 4ull, &i, sizeof i))
			return false;
	}
	return false;
}

static bool defines(const struct reader *r, const char *name)
{
	if (!r->work->symbols)
		return false;
	if (r->work->gnu_hash)
		return find_gnu(r, name);
	return r->work->sysv_hash && find_sysv(r, name);
}

/* refers_to_sanitizer -- is there an undefined symbol of the sanitizers' common runtime?
 *
 * gcc -static-libasan and its kin export no name of their own, but leave these weak references and
 * define pthread_create. The hash tables leave undefined symbols out: they are the first ones of
 * the table.
 */
static bool refers_to_sanitizer(const struct reader *r)
{
	uint32_t head[2];
	Elf64_Sym sym;
	char text[16];

	if (!get(r, r->work->gnu_hash ? r->work->gnu_hash : r->work->sysv_hash, head, sizeof head))
		return false;
	for (uint32_t i = 1; i < head[1] && i < UNDEFINED; i++) {
		if (!get(r, r->work->symbols + i * sizeof sym, &sym, sizeof sym))
			return false;
		if (sym.st_shndx != SHN_UNDEF)
			continue;
		get_string(r, sym.st_name, text, sizeof text);
		if (starts(text, "__sanitizer_"))
			return true;
	}
	return false;
}

static bool is_sanitized(const struct reader *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(sanitizer_symbols); i++)
		if (defines(r, sanitizer_symbols[i]))
			return true;
	return defines(r, "pthread_create") && refers_to_sanitizer(r);
}

/* kind_of_needed -- judge by the names of the shared objects it wants. */
static enum elf_kind kind_of_needed(const struct reader *r)
{
	Elf64_Dyn dyn;
	char name[32];

	for (size_t i = 0; get_dynamic(r, i, &dyn); i++) {
		if (dyn.d_tag != DT_NEEDED)
			continue;
		get_string(r, dyn.d_un.d_val, name, sizeof name);
		if (starts(name, "libc.musl"))
			return ELFKIND_MUSL;
		for (size_t k = 0; k < ARRAY_SIZE(sanitizer_libraries); k++)
			if (starts(name, sanitizer_libraries[k]))
				return ELFKIND_SANITIZED;
	}
	return ELFKIND_PLAIN;
}

/* is_loader -- is it glibc's ld.so itself? `ld.so PROGRAM' has no interpreter, but honours
 * LD_PRELOAD. */
static bool is_loader(const struct reader *r)
{
	char name[16];

	get_string(r, r->work->soname, name, sizeof name);
	return r->work->soname && starts(name, "ld-linux");
}

static bool contains(const char *s, const char *what)
{
	for (; *s; s++)
		if (starts(s, what))
			return true;
	return false;
}

static enum elf_kind kind_of_elf(const struct reader *r, const Elf64_Ehdr *eh)
{
	enum elf_kind kind;
	bool interp;

	if (eh->e_ident[EI_CLASS] == ELFCLASS32)
		return ELFKIND_BITS32;
	if (eh->e_ident[EI_CLASS] != ELFCLASS64)
		return ELFKIND_UNKNOWN;
	if (eh->e_ident[EI_DATA] != ELFDATA2LSB || eh->e_machine != EM_X86_64)
		return ELFKIND_MACHINE;
	if ((eh->e_type != ET_EXEC && eh->e_type != ET_DYN) || !walk_headers(r, eh, &interp))
		return ELFKIND_UNKNOWN;
	if (interp && contains((char *)r->work->buf, "ld-musl"))
		return ELFKIND_MUSL;
	note_dynamic(r);
	if (!interp)
		return is_loader(r) ? ELFKIND_PLAIN : ELFKIND_STATIC;
	kind = kind_of_needed(r);
	return kind == ELFKIND_PLAIN && is_sanitized(r) ? ELFKIND_SANITIZED : kind;
}

enum elf_kind elfkind_of_fd(int fd, struct elfkind_work *work)
{
	struct reader r = {fd, work};
	Elf64_Ehdr eh;

	work->window_size = 0;
	get_text(&r, 0, (char *)work->buf, 3);
	if (starts((char *)work->buf, "#!"))
		return ELFKIND_SCRIPT;
	if (!get(&r, 0, &eh, sizeof eh) || !starts((char *)eh.e_ident, ELFMAG))
		return ELFKIND_UNKNOWN;
	return kind_of_elf(&r, &eh);
}

enum elf_kind elfkind_of_rights(const struct elfkind_rights *r)
{
	bool setuid = r->honoured && (r->mode & S_ISUID);
	bool setgid = r->honoured && (r->mode & S_ISGID) && (r->mode & S_IXGRP);

	if ((setuid && r->file_uid != r->uid) || (setgid && r->file_gid != r->gid))
		return ELFKIND_SETID;
	if ((!setuid && r->euid != r->uid) || (!setgid && r->egid != r->gid))
		return ELFKIND_IDS;
	return r->honoured && r->capable && r->uid != 0 ? ELFKIND_CAPABLE : ELFKIND_PLAIN;
}

/* set_name -- make work->name `dir' / `file', or `file' alone. Returns false if that is too
 * long. */
static bool set_name(struct elfkind_work *work, const char *dir, size_t dir_length,
		     const char *file)
{
	size_t n = 0, k = length(file);

	if (dir_length + k + 2 > sizeof work->name)
		return false;
	for (; n < dir_length; n++)
		work->name[n] = dir[n];
	if (n)
		work->name[n++] = '/';
	for (size_t i = 0; i <= k; i++)
		work->name[n + i] = file[i];
	return true;
}

bool elfkind_find(const char *file, const char *search,
		  struct elfkind_work *work)
{
	if (*file == 0)
		return false;
	for (size_t i = 0; file[i]; i++)
		if (file[i] == '/')
			return set_name(work, NULL, 0, file);
	while (search) {
		size_t n = 0;

		while (search[n] && search[n] != ':')
			n++;
		int fd = set_name(work, search, n, file) ? open_program(work->name) : -1;

		if (fd >= 0) {
			sys_close(fd);
			return true;
		}
		search = search[n] ? search + n + 1 : NULL;
	}
	return false;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* next_word -- cut the next word off a line: NUL behind it, *line past it. "" at the end. */
static char *next_word(char **line)
{
	char *word, *s = *line;

	while (is_blank(*s))
		s++;
	word = s;
	while (*s && !is_blank(*s))
		s++;
	if (*s)
		*s++ = 0;
	*line = s;
	return word;
}

/* program_of_env -- the NAME in `env [-S] [OPTION...] [VARIABLE=VALUE...] NAME'; -u and -C are
 * followed by a word. */
static char *program_of_env(char *rest)
{
	char *word = next_word(&rest);

	while (*word == '-' || contains(word, "=")) {
		if (same(word, "-u") || same(word, "-C"))
			next_word(&rest);
		word = next_word(&rest);
	}
	return word;
}

/* follow -- put the program that a script's `#!' line names into work->name. */
static bool follow(int fd, const char *search,
		   struct elfkind_work *work)
{
	struct reader r = {fd, work};
	char *line = (char *)work->buf + 2, *end = line, *interpreter, *base;

	get_text(&r, 0, (char *)work->buf, ELFKIND_LINE);
	while (*end && *end != '\n')
		end++;
	*end = 0;
	interpreter = base = next_word(&line);
	for (char *s = interpreter; *s; s++)
		if (*s == '/')
			base = s + 1;
	if (same(base, "env"))
		return elfkind_find(program_of_env(line), search, work);
	return *interpreter && set_name(work, NULL, 0, interpreter);
}

enum elf_kind elfkind_of_path(const char *path, const char *search,
			      struct elfkind_work *work)
{
	enum elf_kind kind = ELFKIND_SCRIPT;
	struct elfkind_rights rights;

	work->name[0] = 0;
	if (!set_name(work, NULL, 0, path))
		return ELFKIND_UNKNOWN;
	for (int level = 0; kind == ELFKIND_SCRIPT && level <= ELFKIND_LEVELS; level++) {
		int fd = open_program(work->name);

		if (fd < 0)
			return ELFKIND_UNKNOWN;
		kind = elfkind_of_fd(fd, work);
		if (kind == ELFKIND_SCRIPT && !follow(fd, search, work)) {
			kind = ELFKIND_UNKNOWN;
		} else if (kind == ELFKIND_PLAIN) {
			read_rights(fd, &rights);
			kind = elfkind_of_rights(&rights);
		}
		sys_close(fd);
	}
	return kind == ELFKIND_SCRIPT ? ELFKIND_UNKNOWN : kind;
}
