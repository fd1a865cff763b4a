/* uapi.h -- the kernel's interface: its headers, and what is newer than Debian 11's */
#ifndef CORE_UAPI_H
#define CORE_UAPI_H

#include <asm/unistd.h>
#include <linux/futex.h>
#include <linux/memfd.h>
#include <linux/time_types.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <signal.h>
#include <time.h>

#ifndef MADV_GUARD_INSTALL	/* Linux 6.13 */
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif
#ifndef MFD_EXEC		/* Linux 6.3 */
#define MFD_EXEC 16
#endif
#ifndef CLOSE_RANGE_CLOEXEC	/* Linux 5.11 */
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif
#ifndef MREMAP_DONTUNMAP	/* Linux 5.7 */
#define MREMAP_DONTUNMAP 4
#endif
#ifndef FUTEX_LOCK_PI2		/* Linux 5.14 */
#define FUTEX_LOCK_PI2 13
#endif
#ifndef __NR_epoll_pwait2	/* Linux 5.11 */
#define __NR_epoll_pwait2 441
#endif
#ifndef __NR_mount_setattr	/* Linux 5.12 */
#define __NR_mount_setattr 442
#endif
#ifndef __NR_quotactl_fd	/* Linux 5.14 */
#define __NR_quotactl_fd 443
#endif
#ifndef __NR_landlock_create_ruleset	/* Linux 5.13 */
#define __NR_landlock_create_ruleset 444
#define __NR_landlock_add_rule	     445
#define __NR_landlock_restrict_self  446
#endif
#ifndef __NR_memfd_secret	/* Linux 5.14 */
#define __NR_memfd_secret 447
#endif
#ifndef __NR_process_mrelease	/* Linux 5.15 */
#define __NR_process_mrelease 448
#endif
#ifndef __NR_futex_waitv	/* Linux 5.16 */
#define __NR_futex_waitv 449
#endif
#ifndef __NR_set_mempolicy_home_node	/* Linux 5.17 */
#define __NR_set_mempolicy_home_node 450
#endif
#ifndef __NR_fchmodat2		/* Linux 6.6 */
#define __NR_fchmodat2 452
#endif

/* The kernel's signal action; libc's struct sigaction differs. */
struct uapi_sigaction {
	void (*handler)(int, siginfo_t *, void *);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};
#define UAPI_SA_RESTORER 0x04000000ul
#define UAPI_SIGSET_SIZE 8

/* Internal result of a handler: restart after a signal handler with SA_RESTART, else EINTR. */
#define ERESTARTSYS 512

#endif
