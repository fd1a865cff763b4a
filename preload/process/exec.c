/* exec.c -- execve and execveat: what the program that is started gets of us
 *
 * A program that this library cannot help (elfkind.def has the kinds) is started without it in LD_PRELOAD: a loader of another
 * kind would complain of it, and a sanitizer that is not the first library refuses to start. The rest of the environment goes
 * through as it is, and so does all of it when anything about it or the program is not understood: the kernel is the better
 * judge, and says what is wrong.
 *
 * The caller may be a child of vfork: it stands in our memory, on a stack of any size, and nobody comes back from an exec. So
 * what is needed is mapped for each call, named by the task whose stack it is (only that task's children of vfork use it, one
 * after the other, while it waits), and unmapped when the exec has failed or the parent goes on.
 */
#include <fcntl.h>
#include "process/exec.h"
#include "signal/action.h"
#include "elf/elfkind.h"
#include "signal/catch.h"
#include "elf/ldpreload.h"
#include "gate/user.h"

#define TEXT_MOST 131072	/* of one entry, its NUL included: the kernel passes on no longer one */
#define LIST	"LD_PRELOAD="
#define SEARCH	"PATH="

struct room {
	struct elfkind_work work;
	uintptr_t pages[2];	/* of the program's memory that were found readable last: an array's and a string's */
	bool last;		/* the index of the later one */
	char path[ELFKIND_PATH];
	char **env;		/* the changed environment and its LD_PRELOAD, in memory of their own; NULL: there is none */
	size_t env_size;	/* bytes of that memory */
};

/* -- memory of the program, which may not be there -- */

static bool is_readable(struct room *room, const void *p)
{
	uintptr_t page = (uintptr_t)p / PAGE + 1;

	if (page == room->pages[0] || page == room->pages[1])
		return true;
	if (!user_readable((void *)((uintptr_t)p & ~(PAGE - 1)), 8))
		return false;
	room->last = !room->last;
	room->pages[room->last] = page;
	return true;
}

static bool begins(struct room *room, const char *s, const char *with)
{
	while (*with && is_readable(room, s) && *s == *with)
		s++, with++;
	return !*with;
}

/* The bytes of a string, its NUL included; 0 where it has more than `most' or cannot be read. */
static size_t text_size(struct room *room, const char *s, size_t most)
{
	for (size_t n = 0; n < most && is_readable(room, s + n); n++)
		if (!s[n])
			return n + 1;
	return 0;
}

/* The entry that begins so; NULL where there is none. *n becomes the number of entries, -1 when they cannot be read, or two begin
 * so: which of them counts is its reader's affair. */
static const char *find(struct room *room, char *const *env, const char *begin, long *n)
{
	const char *found = NULL;

	for (*n = 0; is_readable(room, env + *n); ++*n) {
		if (!env[*n])
			return found;
		if (!begins(room, env[*n], begin))
			continue;
		if (found)
			break;
		found = env[*n];
	}
	*n = -1;
	return NULL;
}

/* The directories of PATH; NULL where it is not set. */
static const char *find_search(struct room *room, char *const *env)
{
	long n;
	const char *entry = find(room, env, SEARCH, &n);

	return entry && text_size(room, entry, TEXT_MOST) ? entry + sizeof SEARCH - 1 : NULL;
}

/* -- the program -- */

static char *put(char *to, const char *text)
{
	while (*text)
		*to++ = *text++;
	*to = 0;
	return to;
}

enum elf_kind exec_kind(const char *path)
{
	struct elfkind_work *work = sys_map(sizeof *work);
	enum elf_kind kind = work ? elfkind_of_path(path, NULL, work) : ELFKIND_UNKNOWN;

	if (work)
		sys_munmap(work, sizeof *work);
	return kind;
}

/* The path of what is executed; NULL when that is not understood. */
static const char *find_path(struct room *room, const struct exec_target *x)
{
	char digits[12], *number = digits + sizeof digits - 1;
	int fd = x->fd;

	if (!text_size(room, x->name, ELFKIND_PATH))
		return NULL;
	if (x->search) {
		const char *search = find_search(room, x->search);

		return elfkind_find(x->name, search ? search : "/bin:/usr/bin", &room->work) ?
			       (put(room->path, room->work.name), room->path) : NULL;
	}
	if (*x->name == '/' || (fd == AT_FDCWD && *x->name))
		return x->name;
	if (fd < 0 || (!*x->name && !x->empty) || strlen(x->name) > sizeof room->path - 64)
		return NULL;
	*number = 0;
	do
		*--number = (char)('0' + fd % 10);
	while (fd /= 10);
	char *end = put(put(room->path, "/proc/thread-self/fd/"), number);

	if (*x->name)
		put(put(end, "/"), x->name);
	return room->path;
}

static bool is_fit(struct room *room, const char *path, const char *search, bool lenient)
{
	enum elf_kind kind = elfkind_of_path(path, search, &room->work);

	return lenient ? !elfkind_harm(kind) : !*elfkind_text(kind);
}

/* -- the call -- */

/* The environment with `becomes' in the place of `list', or without it where nothing is left of it. NULL: no memory. */
static char **changed(struct room *room, char *const *env, long n, const char *list, size_t list_size)
{
	size_t array = ((size_t)n + 1) * sizeof *env;
	char **to = sys_map(array + list_size), *becomes = (char *)to + array;

	if (!to)
		return NULL;
	room->env = to;
	room->env_size = array + list_size;
	ldpreload_others(list + sizeof LIST - 1, put(becomes, LIST));
	for (long i = 0; i < n; i++)
		if (env[i] != list)
			*to++ = env[i];
		else if (becomes[sizeof LIST - 1])
			*to++ = becomes;
	return room->env;	/* the memory was zero: NULL follows */
}

char *const *exec_choose(struct room *room, const struct exec_target *x, char *const *env)
{
	long n;

	if (!room || !env)
		return env;
	const char *list = find(room, env, LIST, &n);
	size_t size = list ? text_size(room, list, TEXT_MOST) : 0;

	if (!size || !ldpreload_others(list + sizeof LIST - 1, NULL))
		return env;
	const char *path = find_path(room, x);

	if (!path || is_fit(room, path, find_search(room, env), x->lenient))
		return env;
	char *const *without = changed(room, env, n, list, size);

	return without ? without : env;
}

struct room *exec_room(void)
{
	return sys_map(sizeof(struct room));
}

void exec_put(struct room *room)
{
	if (!room)
		return;
	if (room->env)
		sys_munmap(room->env, room->env_size);
	sys_munmap(room, sizeof *room);
}

/* What is ignored stays so across an exec. But faults have a handler of ours all the same (action.h), of which the kernel would
 * make the default. A child of vfork may have set an action of its own: that stays. */
static void faults_ignored(bool ignored)
{
	static const int faults[] = {SIGSEGV, SIGBUS};
	struct uapi_sigaction real;

	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		struct uapi_sigaction act = action_get(faults[i]);

		if ((void *)act.handler != (void *)SIG_IGN)
			continue;
		if (!ignored)
			action_on_change(faults[i], &act);
		else if (sys_sigaction(faults[i], NULL, &real) == 0 && real.handler == catch_signal)
			sys_sigaction(faults[i], &act, NULL);
	}
}

long exec_make(struct task *t, struct arch_frame *f)
{
	long r;

	exec_forget(t);
	faults_ignored(true);
	t->exec = exec_room();
	if (f->nr == __NR_execve) {
		struct exec_target x = {.fd = AT_FDCWD, .name = (const char *)ARG1(f)};

		r = SYS(f->nr, ARG1(f), ARG2(f), exec_choose(t->exec, &x, (char *const *)ARG3(f)));
	} else {
		struct exec_target x = {(int)ARG1(f), (const char *)ARG2(f), ARG5(f) & AT_EMPTY_PATH, NULL, false};

		r = SYS(f->nr, ARG1(f), ARG2(f), ARG3(f), exec_choose(t->exec, &x, (char *const *)ARG4(f)), ARG5(f));
	}
	exec_forget(t);
	faults_ignored(false);
	return r;
}

void exec_forget(struct task *t)
{
	exec_put(t->exec);
	t->exec = NULL;
}
