/* action.c -- what the program has said is to be done with each signal */
#include "signal/action.h"
#include "pages.h"

static struct uapi_sigaction actions[SIGNALS + 1];	/* under lock; read without it by index */
static struct lock lock ANEW;
void (*action_on_change)(int sig, const struct uapi_sigaction *act);

bool action_caught(const struct uapi_sigaction *act)
{
	return (void *)act->handler != (void *)SIG_DFL && (void *)act->handler != (void *)SIG_IGN;
}

bool action_ignored(const struct uapi_sigaction *act, int sig)
{
	bool by_default = sig == SIGCHLD || sig == SIGURG || sig == SIGWINCH || sig == SIGCONT;

	return (void *)act->handler == (void *)SIG_IGN || (by_default && (void *)act->handler == (void *)SIG_DFL);
}

bool action_ours(const struct uapi_sigaction *act, int sig)
{
	/* Faults come from our own accesses to the program's memory, too (user.h), whatever the program does with them. */
	return action_caught(act) || (sig == SIGPIPE && (void *)act->handler == (void *)SIG_DFL) || sig == SIGSEGV || sig == SIGBUS;
}

void action_init(void)
{
	for (int sig = 1; sig <= SIGNALS; sig++) {
		sys_sigaction(sig, NULL, &actions[sig]);
		if (action_ours(&actions[sig], sig))
			action_on_change(sig, &actions[sig]);
	}
}

struct uapi_sigaction action_get(int sig)
{
	return actions[sig];
}

void action_set(int sig, const struct uapi_sigaction *next, struct uapi_sigaction *was)
{
	lock_take(&lock);
	*was = actions[sig];
	if (next) {
		actions[sig] = *next;
		action_on_change(sig, &actions[sig]);
	}
	lock_drop(&lock);
}

/* The lock is free for a signal's handler, too, where it asks: it has interrupted the program, not us. */
bool action_claim(int sig, struct uapi_sigaction *act)
{
	*act = actions[sig];
	if (likely(!(act->flags & SA_RESETHAND)))
		return action_caught(act);
	lock_take(&lock);
	*act = actions[sig];
	if (action_caught(act) && act->flags & SA_RESETHAND) {
		actions[sig].handler = (void *)SIG_DFL;
		action_on_change(sig, &actions[sig]);
	}
	lock_drop(&lock);
	return action_caught(act);
}
