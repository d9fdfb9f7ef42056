// SPDX-License-Identifier: MIT
/*
 * A thread of whose registers the kernel has copies, for `lethectl scan` to find. 32 bytes
 * from stdin go into every vector register and out of memory, and the thread is taken off
 * the processor while they are there; what then becomes of them, its argument says. Knows
 * nothing of what the kernel makes of it.
 *
 *	scan_kept live	they stay there
 *	scan_kept stale	each component is put into its initial state
 *	scan_kept junk	the same; but first the kernel saves others there
 *	scan_kept vfork	they stay there, one in r12 too, while a child of vfork(2) is waited for
 *	scan_kept call	no register has them; system calls of 16 threads were given the first
 *			eight
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SWITCHES 25
#define THREADS 16
#define MXCSR_OFFSET 24
#define MXCSR_INITIAL 0x1f80
/* x87, SSE, AVX, and the three of AVX-512. */
#define DATA_COMPONENTS 0xe7

static struct {
	uint8_t legacy[512];
	uint64_t header[8];
} initial __attribute__((aligned(64)));
static int called;
static const struct timespec moment = { .tv_nsec = 1000000 };

/* So often to sleep, in system calls made right here: nothing touches a vector register. */
#define SLEEP                                                                \
	"1:\tmov $35, %%eax\n\tmov %[moment], %%rdi\n\txor %%esi, %%esi\n\t" \
	"syscall\n\tdec %[times]\n\tjnz 1b\n"
#define WIPE \
	"movq $0, (%[from])\n\tmovq $0, 8(%[from])\n\tmovq $0, 16(%[from])\n\tmovq $0, 24(%[from])\n"
#define LOAD_512                                                                      \
	".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25," \
	"26,27,28,29,30,31\n\tvbroadcasti64x4 (%[from]), %%zmm\\n\n.endr\n"
#define LOAD_256                                                              \
	".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n\tvmovdqu (%[from]), " \
	"%%ymm\\n\n.endr\n"

static void hold(uint8_t *from, long times)
{
	const struct timespec *to = &moment;

	if (__builtin_cpu_supports("avx512f"))
		__asm__ volatile(LOAD_512 WIPE SLEEP
				 : [times] "+r"(times)
				 : [from] "r"(from), [moment] "r"(to)
				 : "rax", "rcx", "r11", "rdi", "rsi", "memory");
	else
		__asm__ volatile(LOAD_256 WIPE SLEEP
				 : [times] "+r"(times)
				 : [from] "r"(from), [moment] "r"(to)
				 : "rax", "rcx", "r11", "rdi", "rsi", "memory");
}

/* Who waits for such a child stops for nobody. The child goes when its parent does. */
static void wait_for_child(void)
{
	__asm__ volatile("vmovq %%xmm0, %%r12\n\t"
			 "mov $58, %%eax\n\tsyscall\n\ttest %%eax, %%eax\n\tjnz 2f\n\t"
			 "mov $157, %%eax\n\tmov $1, %%edi\n\tmov $9, %%esi\n\tsyscall\n"
			 "1:\tmov $34, %%eax\n\tsyscall\n\tjmp 1b\n2:"
			 :
			 :
			 : "rax", "rcx", "rdi", "rsi", "r11", "r12", "memory");
}

static void reset(void)
{
	*(uint32_t *)(initial.legacy + MXCSR_OFFSET) = MXCSR_INITIAL;
	__asm__ volatile("xrstor64 %0" ::"m"(initial), "a"(DATA_COMPONENTS), "d"(0));
}

/* An offset is an argument that goes far down; it is not negative if its last byte is not. */
static void *call(void *from)
{
	long fd = memfd_create("scan_kept", 0), result;
	char byte;
	int i;

	for (i = 0; i < 100; i++)
		__asm__ volatile("mov (%[from]), %%r10\n\tsyscall\n\txor %%r10d, %%r10d"
				 : "=a"(result)
				 : "a"(SYS_pread64), "D"(fd), "S"(&byte),
				   "d"(1L), [from] "r"(from)
				 : "rcx", "r10", "r11", "memory");
	__atomic_add_fetch(&called, 1, __ATOMIC_SEQ_CST);
	for (;;)
		pause();
	return NULL;
}

/* Not each leaves it where what comes next does not lie over it. */
static void call_in_threads(uint8_t *from)
{
	pthread_t thread;
	int i;

	for (i = 0; i < THREADS; i++)
		if (pthread_create(&thread, NULL, call, from))
			exit(2);
	while (__atomic_load_n(&called, __ATOMIC_SEQ_CST) < THREADS)
		usleep(1000);
	memset(from, 0, 32);
}

int main(int argc, char **argv)
{
	uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const char *way = argc > 1 ? argv[1] : "";
	/* Before hold(): strcmp() has vector registers of its own. */
	bool lives = !strcmp(way, "live"), waits = !strcmp(way, "vfork"),
	     saves_others = !strcmp(way, "junk");

	if (page == MAP_FAILED || read(STDIN_FILENO, page, 32) != 32)
		return 2;
	puts("ready");
	fflush(stdout);
	if (!strcmp(way, "call")) {
		call_in_threads(page);
	} else {
		hold(page, lives ? 1L << 40 : SWITCHES);
		if (waits)
			wait_for_child();
		if (saves_others) {
			memset(page, 0xa5, 32);
			hold(page, SWITCHES);
		}
		reset();
	}
	for (;;)
		pause();
}
