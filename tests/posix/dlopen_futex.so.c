/* dlopen_futex.so.c -- the shared object of dlopen_futex.c: waits for a word by a call of its own
 *
 * flags: -shared -fPIC
 */
#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>

static uint32_t word;

uint32_t *futex_word(void);
void futex_wait_while(uint32_t value);

uint32_t *futex_word(void)
{
	return &word;
}

/* Jumps lead to the syscall and away from it, so nothing around it can be overwritten. */
void futex_wait_while(uint32_t value)
{
	while (__atomic_load_n(&word, __ATOMIC_SEQ_CST) == value) {
		long result = SYS_futex;

		__asm__ volatile("xor %%r10d,%%r10d\n\tlea %1,%%rdi\n\tjmp 1f\n1:\tsyscall\n\tjmp 2f\n2:"
				 : "+a"(result)
				 : "m"(word), "S"(FUTEX_WAIT | FUTEX_PRIVATE_FLAG), "d"((long)value)
				 : "rdi", "r10", "rcx", "r11", "memory");
	}
}
