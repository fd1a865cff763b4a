/* redirect.h -- what the tests of slots and patches share: a gate, functions to patch, slots here
 * or far away
 *
 * The gate counts, and either answers a call itself or lets it pass. The files under test are
 * included, so that their calls of the kernel can be made to fail.
 */
#ifndef REDIRECT_H
#define REDIRECT_H

#define UNIT_FAIL
#define UNIT_FAIL_MEM
#include "unit.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "sys.c"
#include "patch/body.c"
#include "patch/sites.c"

/* From write number deny_from to before deny_to, neither way of writing text works. */
static long writes, deny_from, deny_to;
static bool deny_mem;

static bool denied(void)
{
	return writes > deny_from && writes <= deny_to;
}
#define sys_pwrite(...) (++writes, denied() || deny_mem ? -EIO : sys_pwrite(__VA_ARGS__))
#define sys_mremap(...) (denied() ? -EPERM : sys_mremap(__VA_ARGS__))
#include "patch/codewrite.c"
#undef sys_mremap
#include "patch/trampoline.c"
#include "patch/patch.c"

__asm__(".section slots,\"ax\"\n.p2align 12\n.globl weft_slots, weft_slots_end\n.hidden "
	"weft_slots, weft_slots_end\n"
	"weft_slots: .fill 1024 * 128\nweft_slots_end:\n"
	".text\n.globl gate_entry\n.hidden gate_entry\ngate_entry:\n"
	"pushfq\nmov %rax,gate_number(%rip)\nmov 8(%rsp),%rcx\nmov %rcx,gate_return(%rip)\nlock "
	"incq gate_calls(%rip)\n"
	"mov $-1,%r11\nxor %ecx,%ecx\ncmpl $0,gate_ours(%rip)\nje 1f\nmov "
	"gate_result(%rip),%rax\nmov $1,%ecx\n1: popfq\nret\n");
long gate_number, gate_calls, gate_result, gate_return __attribute__((visibility("hidden")));
int gate_ours __attribute__((visibility("hidden")));

#define FUNCTION(name, body)                                                                       \
	__asm__(".section fixtures,\"ax\"\n.p2align 4\n.globl fix_" #name "\n.hidden fix_" #name   \
		"\nfix_" #name ":\n.cfi_startproc\n" body "\n.cfi_endproc\nint3\n.text\n");        \
	long fix_##name(long, void *, long) __attribute__((visibility("hidden")));

FUNCTION(getppid, "mov $110,%eax\nsyscall\nret")
FUNCTION(red_zone, "mov %rdi,-8(%rsp)\nstc\nmov $110,%eax\nsyscall\nmov $0,%eax\njnc 1f\nmov "
		   "-8(%rsp),%rax\n1: ret")
FUNCTION(several, "xor %r10d,%r10d\nxor %eax,%eax\nmov %rdx,%rdx\nsyscall\nret") /* read */
FUNCTION(read, "xor %eax,%eax\nsyscall\ncmp $-4096,%rax\nja 1f\nret\n1: mov $-1,%rax\nret")
FUNCTION(read_rip, "nop\nxor %eax,%eax\nsyscall\nlea fix_word(%rip),%rdi\nmov %rax,(%rdi)\nret")
FUNCTION(number, "mov fix_word(%rip),%eax\nsyscall\nret")
FUNCTION(count, "mov $110,%eax\nincl fix_word(%rip)\nsyscall\nret")
FUNCTION(stack,
	 "push %rbx\nmov $110,%ebx\npush %rbx\npop %rax\nnopl (%rax)\nsyscall\npop %rbx\nret")
FUNCTION(exit, "mov $60,%edx\n1: mov %edx,%eax\nsyscall\njmp 1b")
FUNCTION(exit_wide, "mov $60,%edx\nnopl (%rax)\n1: nop\nnop\nmov %edx,%eax\nsyscall\njmp 1b")
FUNCTION(xmm, "movq %rdi,%xmm5\nmov $110,%eax\nsyscall\nmovq %xmm5,%rax\nret")
FUNCTION(ymm, "mov $39,%eax\nsyscall\nret\nvpxor %ymm1,%ymm1,%ymm1")
FUNCTION(left, "1: mov %rdi,%rsi\nxor %eax,%eax\n2: syscall\ntest %eax,%eax\nje 2b\nret")
long fix_word __attribute__((visibility("hidden")));

extern char __start_fixtures[], __stop_fixtures[];
#define FIXED 13 /* functions above; one is left, one uses wide registers */

static struct object fixture;
static char original[4096];

static bool none_needed(const struct site *s)
{
	(void)s;
	return false;
}

static bool wide_needed(const struct site *s)
{
	return s->wide;
}

static int patch_fixture(patch_which *needed, bool strict)
{
	patch_begin(&(struct patch_rules){.needed = needed, .strict = strict});
	int r = patch_add(&fixture, NULL);

	if (!r)
		return patch_write();
	patch_cancel();
	return r;
}

static void assert_as_it_was(void)
{
	int left;

	assert_memory_equal(original, __start_fixtures,
			    (size_t)(__stop_fixtures - __start_fixtures));
	assert_int_equal(patch_sites(&left), 0);
	assert_int_equal(left, 0);
	for (size_t i = 0; i < ARRAY_SIZE(used); i++)
		assert_int_equal(used[i], 0);
}

/* Moves the slots to fresh memory near or far from an address; the gate is reached by a jump there.
 */
static void move_slots(uintptr_t address)
{
	static const uint8_t jump[] = {0xff, 0x25, 0, 0, 0, 0};
	size_t size = 512 * 1024;
	char *p = mmap((void *)(address & -4096ul), size + 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *gate = gate_entry;

	assert_ptr_not_equal(p, MAP_FAILED);
	memcpy(p, jump, sizeof jump);
	memcpy(p + sizeof jump, &gate, sizeof gate);
	assert_int_equal(mprotect(p, size + 4096, PROT_READ | PROT_EXEC), 0);
	area.gate = p;
	area.start = p + 4096;
	area.end = p + 4096 + size;
}

static void slots_at_home(void)
{
	if (area.start != weft_slots)
		munmap(area.gate, (size_t)(area.end - area.gate));
	area.start = weft_slots;
	area.end = weft_slots_end;
	area.gate = gate_entry;
}

static void slots_near_libraries(void)
{
	move_slots(0);
}

static void slots_far_away(void)
{
	move_slots((uintptr_t)__start_fixtures + (16ul << 30));
	assert_false(trampoline_reaches((uintptr_t)__start_fixtures, (uintptr_t)__stop_fixtures));
}

static int exit_status(void (*run)(void))
{
	int status;
	pid_t child = fork();

	if (!child) {
		alarm(60);
		run();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void leave_seven(void)
{
	fix_exit(7, NULL, 0);
}

static void leave_eight(void)
{
	fix_exit_wide(8, NULL, 0);
}

static void run_fixture(bool patched, bool with_rip)
{
	char buffer[8] = "";
	int p[2];
	long calls = gate_calls;

	assert_int_equal(pipe(p), 0);
	assert_int_equal(fix_getppid(0, NULL, 0), getppid());
	assert_int_equal(fix_red_zone(4711, NULL, 0), 4711);
	assert_int_equal(fix_stack(0, NULL, 0), getppid());
	assert_int_equal(fix_xmm(4712, NULL, 0), 4712);
	assert_int_equal(gate_calls - calls, patched ? 4 : 0);
	assert_int_equal(write(p[1], "abcdefghijkl", 12), 12);
	assert_int_equal(fix_read(p[0], buffer, 4), 4);
	assert_memory_equal(buffer, "abcd", 4);
	assert_int_equal(fix_read(-1, buffer, 4), -1);
	assert_int_equal(fix_several(p[0], buffer, 4), 4);
	assert_memory_equal(buffer, "efgh", 4);
	assert_int_equal(fix_read_rip(p[0], buffer, 4), 4);
	assert_memory_equal(buffer, "ijkl", 4);
	assert_int_equal(fix_word, 4);
	fix_word = 110;
	assert_int_equal(fix_number(0, NULL, 0), getppid());
	assert_int_equal(fix_count(0, NULL, 0), getppid());
	assert_int_equal(fix_word, 111);
	assert_int_equal(gate_calls - calls, patched ? with_rip ? 10 : 9 : 0);
	assert_int_equal(exit_status(leave_seven), 7);
	assert_int_equal(exit_status(leave_eight), 8);
	close(p[0]);
	close(p[1]);
}

static void run_fixture_ours(void)
{
	gate_ours = 1;
	gate_result = 1234;
	assert_int_equal(fix_getppid(0, NULL, 0), 1234);
	assert_int_equal(gate_number, 110);
	assert_int_equal(fix_red_zone(4711, NULL, 0), 4711);
	assert_int_equal(fix_stack(0, NULL, 0), 1234);
	assert_int_equal(fix_read(-1, NULL, 0), 1234);
	assert_int_equal(gate_number, 0);
	assert_int_equal(*(uint32_t *)((gate_return & -128) + ARCH_SLOT_FLAGS) & 3, TRAMPOLINE_GONE);
	gate_result = -4095;
	assert_int_equal(fix_read(-1, NULL, 0), -1);
	assert_int_equal(fix_xmm(5, NULL, 0), 5);
	assert_int_equal(*(uint32_t *)((gate_return & -128) + ARCH_SLOT_FLAGS) & 3, TRAMPOLINE_VECTOR);
	gate_ours = 0;
}

static int fixture_setup(void **state)
{
	(void)state;
	if (object_from_link_map(object_debug()->r_map, &fixture))
		return -1;
	fixture.name = "fixture";
	fixture.loads = 1;
	fixture.load[0] = (struct object_load){(uintptr_t)__start_fixtures,
					       (uintptr_t)__stop_fixtures, PF_R | PF_X};
	memcpy(original, __start_fixtures, (size_t)(__stop_fixtures - __start_fixtures));
	return 0;
}

#endif
