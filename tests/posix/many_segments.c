/* many_segments.c -- a program of many segments, whose text is the last of them, has threads that wait
 *
 * flags: -no-pie -Wl,--section-start=.far0=0x100000 -Wl,--section-start=.far1=0x108000 -Wl,--section-start=.far2=0x110000 -Wl,--section-start=.far3=0x118000 -Wl,--section-start=.far4=0x120000 -Wl,--section-start=.far5=0x128000 -Wl,--section-start=.far6=0x130000 -Wl,--section-start=.far7=0x138000 -Wl,--section-start=.far8=0x140000 -Wl,--section-start=.far9=0x148000 -Wl,--section-start=.far10=0x150000 -Wl,--section-start=.far11=0x158000 -Wl,--section-start=.far12=0x160000 -Wl,--section-start=.far13=0x168000 -Wl,--section-start=.far14=0x170000 -Wl,--section-start=.far15=0x178000 -Wl,--section-start=.far16=0x180000 -Wl,--section-start=.far17=0x188000 -Wl,--section-start=.far18=0x190000 -Wl,--section-start=.far19=0x198000 -Wl,--section-start=.far20=0x1a0000 -Wl,--section-start=.far21=0x1a8000 -Wl,--section-start=.far22=0x1b0000 -Wl,--section-start=.far23=0x1b8000 -Wl,--section-start=.far24=0x1c0000 -Wl,--section-start=.far25=0x1c8000 -Wl,--section-start=.far26=0x1d0000 -Wl,--section-start=.far27=0x1d8000 -Wl,--section-start=.far28=0x1e0000 -Wl,--section-start=.far29=0x1e8000 -Wl,--section-start=.far30=0x1f0000 -Wl,--section-start=.far31=0x1f8000 -Wl,--section-start=.far32=0x200000 -Wl,--section-start=.far33=0x208000 -Wl,--section-start=.far34=0x210000 -Wl,--section-start=.far35=0x218000 -Wl,--section-start=.far36=0x220000 -Wl,--section-start=.far37=0x228000 -Wl,--section-start=.far38=0x230000 -Wl,--section-start=.far39=0x238000
 * threads: 4
 */
#include "check.h"

enum { THREADS = 4, FAR = 40 };

#define FAR(n) __attribute__((section(".far" #n), used)) static const char far##n[] = "far";
FAR(0) FAR(1) FAR(2) FAR(3) FAR(4) FAR(5) FAR(6) FAR(7) FAR(8) FAR(9) FAR(10) FAR(11) FAR(12) FAR(13)
FAR(14) FAR(15) FAR(16) FAR(17) FAR(18) FAR(19) FAR(20) FAR(21) FAR(22) FAR(23) FAR(24) FAR(25) FAR(26)
FAR(27) FAR(28) FAR(29) FAR(30) FAR(31) FAR(32) FAR(33) FAR(34) FAR(35) FAR(36) FAR(37) FAR(38) FAR(39)

static int ends[THREADS][2];

/* By an instruction of the program's own. */
static long read_here(int fd, char *byte)
{
	long result;

	__asm__ volatile("mov $0, %%eax\n\tsyscall" : "=&a"(result) : "D"((long)fd), "S"(byte), "d"(1L) : "rcx", "r11", "memory");
	return result;
}

static void *wait_for_a_byte(void *arg)
{
	char byte;

	CHECK_EQ(read_here(ends[(intptr_t)arg][0], &byte), 1);
	CHECK_EQ(byte, 'x');
	return NULL;
}

static void threads_wait(void)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		CHECK(pipe(ends[i]) == 0);
	threads_start(threads, THREADS, wait_for_a_byte);
	let_block();
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(write(ends[i][1], "x", 1), 1);
	threads_join(threads, THREADS);
}

static void the_segments_are_there(void)
{
	CHECK(!strcmp((const char *)0x100000, far0) && !strcmp((const char *)0x100000 + 0x8000 * (FAR - 1), far39));
}

int main(void)
{
	check_begin();
	RUN(the_segments_are_there);
	RUN(threads_wait);
	return check_done();
}
