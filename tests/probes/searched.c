// SPDX-License-Identifier: MIT
/*
 * Its orders come by shared memory, and a byte through a pipe has it look for the next.
 * Between that and its next wait it makes no call but those that it is told to.
 */
#include "searched.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/lethe.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../selftests/tap.h"

/* As many as poll() copies to the kernel's stack, and not to its heap. */
#define FDS 29
/* Milliseconds. */
#define PATIENCE 10000

static struct {
	struct searched_words words;
	enum searched_order order;
	unsigned int given, begun;
	volatile int spin;
} * shared;

static pid_t searched;
static int wake[2];

#define VECTORS                                                                         \
	"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", \
		"xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

/* From memory into two general and all vector registers. */
#define FILL                                                          \
	"mov (%[at]), %%rbx\n"                                        \
	"mov %%rbx, %%r12\n"                                          \
	"movq (%[at]), %%xmm0\n"                                      \
	"punpcklqdq %%xmm0, %%xmm0\n"                                 \
	".irp i, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n" \
	"movdqa %%xmm0, %%xmm\\i\n"                                   \
	".endr\n"

/* Reads a byte with it: for as long as none comes. */
static void wait_with_word(void)
{
	long result = SYS_read;
	char byte;

	asm volatile(FILL "syscall"
		     : "+a"(result)
		     : [at] "r"(&shared->words.word), "D"((long)wake[0]), "S"(&byte),
		       "d"(1L)
		     : "rbx", "r12", "rcx", "r11", "memory", VECTORS);
	if (result != 1)
		_exit(2);
}

static void spin_with_word(void)
{
	asm volatile(FILL "1: pause\n"
			  "cmpl $0, (%[spin])\n"
			  "jne 1b"
		     :
		     : [at] "r"(&shared->words.word), [spin] "r"(&shared->spin)
		     : "rbx", "r12", "cc", "memory", VECTORS);
}

/*
 * No descriptor in its array is one. Often, as the kernel may begin each call a little
 * further down its stack (randomize_kstack_offset).
 */
static void poll_with_argument(void)
{
	struct pollfd fds[FDS];

	for (int i = 0; i < FDS; i++)
		memcpy(&fds[i], &shared->words.argument, sizeof(fds[i]));
	for (unsigned int i = 0; i < shared->words.times; i++) {
		if (poll(fds, FDS, 0))
			_exit(2);
	}
}

static void wipe(int device)
{
	struct lethe_wipe wipe = { .size = sizeof(wipe), .flags = LETHE_WIPE_REGISTERS };

	if (ioctl(device, LETHE_IOC_WIPE, &wipe))
		_exit(3);
}

static void begin(void)
{
	__atomic_store_n(&shared->begun, shared->given, __ATOMIC_SEQ_CST);
}

__attribute__((noreturn)) static void obey(int device)
{
	for (;;) {
		switch (shared->order) {
		case SEARCHED_SPIN:
			begin();
			spin_with_word();
			break;
		case SEARCHED_POLL:
			poll_with_argument();
			break;
		case SEARCHED_WIPE:
			wipe(device);
			break;
		case SEARCHED_WAIT:
			break;
		}
		begin();
		wait_with_word();
	}
}

/* As /proc has it: R, S, Z; 0 where there is none. */
static char state(void)
{
	char path[64], text[256], *end;
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", searched);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	if (length <= 0)
		return 0;
	text[length] = '\0';
	end = strrchr(text, ')');
	return end ? end[2] : 0;
}

/* Past the order that it was given last. */
static void await(char wanted)
{
	for (int i = 0; i < PATIENCE; i++) {
		if (__atomic_load_n(&shared->begun, __ATOMIC_SEQ_CST) == shared->given &&
		    state() == wanted)
			return;
		usleep(1000);
	}
	tap_bail("the process that is searched is not where it should be");
}

pid_t searched_start(int device)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || pipe2(wake, O_CLOEXEC))
		tap_bail("%s", strerror(errno));
	fflush(stdout);
	searched = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
	if (searched < 0)
		tap_bail("clone: %s", strerror(errno));
	if (!searched) {
		/* It does not outlive a test that was ended. */
		if (getpid() != 1 || prctl(PR_SET_PDEATHSIG, SIGKILL))
			_exit(4);
		obey(device);
	}
	await('S');
	return searched;
}

void searched_tell(enum searched_order order, const struct searched_words *words)
{
	shared->words = *words;
	shared->order = order;
	shared->spin = order == SEARCHED_SPIN;
	shared->given++;
	if (write(wake[1], "", 1) != 1)
		tap_bail("write: %s", strerror(errno));
	await(order == SEARCHED_SPIN ? 'R' : 'S');
}

void searched_rest(void)
{
	shared->spin = 0;
	await('S');
}

void searched_kill(void)
{
	if (kill(searched, SIGKILL))
		tap_bail("kill: %s", strerror(errno));
	await('Z');
}

uint64_t searched_new_word(void)
{
	uint64_t word;

	if (getrandom(&word, sizeof(word), 0) != sizeof(word))
		tap_bail("getrandom: %s", strerror(errno));
	return (word | 1ULL << 31) & ~(0xffffULL << 48);
}
