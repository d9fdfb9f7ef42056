// SPDX-License-Identifier: MIT
/*
 * What `lethectl scan` is to search: a process with bytes in all kinds of places. They
 * come on stdin, and read(2) itself puts them where they are to be, so that there are no
 * other copies in here. Knows nothing of what they are.
 *
 * In: struct plant and its bytes, again and again. Out, for each: the address, or the
 * thread whose registers have it; then "ready".
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

#define PAGE 4096UL
#define MIB (1UL << 20)
#define STATIC_ROOM (256 * 1024)

struct plant {
	char place[24];
	uint32_t length, shift;
};

/* All that a thread has in registers. */
struct image {
	uint8_t zmm[32][64];
	uint64_t k[8], mm[8], general[15];
};

_Static_assert(sizeof(struct plant) == 32, "struct plant goes over pipes");
_Static_assert(offsetof(struct image, general) == 2176, "HOLD() has the offsets");

void *hold_asleep(void *image);
void *hold_spinning(void *image);
extern int holding;
int holding;

/*
 * Into the registers, and out of memory: the vectors' part by rep stosq, that of the
 * general ones, which are popped, by pushing zeros.
 */
#define HOLD(name, wait)                                                                         \
	__asm__(".text\n.globl " name "\n" name ":\n\tmov %rdi, %rbx\n"                          \
		".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26," \
		"27,28,29,30,31\n\tvmovdqu64 64*\\n(%rbx), %zmm\\n\n.endr\n"                     \
		".irp n,0,1,2,3,4,5,6,7\n\tkmovq 2048+8*\\n(%rbx), %k\\n\n"                      \
		"\tmovq 2112+8*\\n(%rbx), %mm\\n\n.endr\n"                                       \
		"\tmov %rbx, %rdi\n\tmov $272, %ecx\n\txor %eax, %eax\n\trep stosq\n"            \
		"\tlea 2176(%rbx), %rsp\n"                                                       \
		".irp r,rax,rcx,r11,rbx,rdx,rsi,rdi,rbp,r8,r9,r10,r12,r13,r14,r15\n"             \
		"\tpop %\\r\n.endr\n.rept 15\n\tpushq $0\n.endr\n"                               \
		"\tlock incl holding(%rip)\n" wait)
HOLD("hold_asleep", "1:\tmov $34, %eax\n\tsyscall\n\tjmp 1b\n");
HOLD("hold_spinning", "1:\tpause\n\tjmp 1b\n");

static uint8_t in_bss[STATIC_ROOM];
static uint8_t in_data[STATIC_ROOM] = { 1 };
static __thread uint8_t in_tls[8192];
static size_t bss_used, data_used, tls_used, stack_used;
static uint8_t *on_stack, *arena;
static size_t arena_used;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void get(void *to, size_t length)
{
	size_t have = 0;
	ssize_t n;

	while (have < length) {
		n = read(STDIN_FILENO, (char *)to + have, length - have);
		if (n <= 0)
			fail("stdin");
		have += (size_t)n;
	}
}

static uint8_t *map(size_t length, int flags, int fd)
{
	void *p = mmap(NULL, length, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (p == MAP_FAILED)
		fail("mmap");
	return p;
}

static uint8_t *anonymous(size_t length)
{
	return map(length, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
}

static int file(size_t length, bool memory)
{
	char path[] = "/tmp/scan_target.XXXXXX";
	int fd = memory ? memfd_create("scan_target", 0) : mkstemp(path);

	if (fd < 0 || ftruncate(fd, (off_t)length))
		fail("file");
	if (!memory)
		unlink(path);
	return fd;
}

/* One after the other, 256 bytes and more apart. */
static uint8_t *take(uint8_t *from, size_t room, size_t *used, const struct plant *plant)
{
	uint8_t *at = from + *used + plant->shift;

	*used += (plant->length + plant->shift + 511) / 256 * 256;
	if (*used > room)
		fail("no room");
	return at;
}

static void *sleeper(void *arg)
{
	struct plant *plant = arg;
	uint8_t room[16384];
	static __thread uint8_t mine[16384];
	uint8_t *at = (strstr(plant->place, "tls") ? mine : room) + plant->shift;

	get(at, plant->length);
	printf("%p\n", (void *)at);
	fflush(stdout);
	__atomic_add_fetch(&holding, 1, __ATOMIC_SEQ_CST);
	for (;;) {
		__asm__ volatile("" : : "r"(room), "r"(mine) : "memory");
		pause();
	}
	return NULL;
}

static void start(void *(*function)(void *), void *arg)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int before = __atomic_load_n(&holding, __ATOMIC_SEQ_CST);

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 128 * 1024);
	if (pthread_create(&thread, &attributes, function, arg))
		fail("pthread_create");
	while (__atomic_load_n(&holding, __ATOMIC_SEQ_CST) == before)
		usleep(100);
}

static void registers(const struct plant *plant)
{
	/* Shared, so that it is no part of another mapping: it looks like a stack. */
	struct image *image = (void *)map(2 * PAGE, MAP_SHARED | MAP_ANONYMOUS, -1);

	get(image, sizeof(*image));
	start(strstr(plant->place, "spin") ? hold_spinning : hold_asleep, image);
}

/* Where it is to be; what is to happen there when it is there, in @after. */
static uint8_t *place_mapped(const struct plant *plant, int *after)
{
	const char *name = plant->place;
	size_t room = (plant->length + plant->shift + 2 * PAGE) / PAGE * PAGE;
	uint8_t *p;

	*after = -1;
	if (!strcmp(name, "none"))
		*after = PROT_NONE;
	if (!strcmp(name, "write-only"))
		*after = PROT_WRITE;
	if (!strcmp(name, "exec-only"))
		*after = PROT_EXEC;
	if (!strcmp(name, "read-only"))
		*after = PROT_READ;
	if (*after >= 0 || !strcmp(name, "mmap"))
		return anonymous(room) + plant->shift;
	if (!strcmp(name, "page-end"))
		return anonymous(room + PAGE) + PAGE - 1 - plant->shift % plant->length;
	if (!strcmp(name, "buffer-end"))
		return anonymous(MIB) + MIB / 2 - 1 - plant->shift % plant->length;
	/* So many bytes of what is between the guards before the end of a chunk. */
	if (!strcmp(name, "chunk-end")) {
		p = map(MIB, MAP_SHARED | MAP_ANONYMOUS, -1);
		memset(p, 1, MIB);
		return p + MIB / 2 - 1 - plant->shift;
	}
	if (!strcmp(name, "last"))
		return anonymous(room) + room - plant->length;
	if (!strcmp(name, "two")) {
		p = anonymous(4 * PAGE);
		*after = PROT_READ | PROT_EXEC;
		return p + 2 * PAGE - 1 - plant->shift % plant->length;
	}
	if (!strcmp(name, "huge")) {
		p = anonymous(4 * MIB);
		p = (uint8_t *)(((uintptr_t)p + 2 * MIB - 1) / (2 * MIB) * (2 * MIB));
		madvise(p, 2 * MIB, MADV_HUGEPAGE);
		return p + 999 * PAGE / 2 + plant->shift;
	}
	if (!strcmp(name, "sparse"))
		return anonymous(1UL << 36) + (1UL << 35) + plant->shift;
	if (!strcmp(name, "locked")) {
		p = anonymous(room);
		if (mlock(p, room))
			fail("mlock");
		return p + plant->shift;
	}
	if (!strcmp(name, "dontdump")) {
		p = anonymous(room);
		madvise(p, room, MADV_DONTDUMP);
		madvise(p, room, MADV_WIPEONFORK);
		return p + plant->shift;
	}
	if (!strcmp(name, "pageout"))
		return anonymous(room) + plant->shift;
	if (!strcmp(name, "named")) {
		p = anonymous(room);
		prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, p, room, "seed");
		return p + plant->shift;
	}
	if (!strcmp(name, "shared"))
		return map(room, MAP_SHARED | MAP_ANONYMOUS, -1) + plant->shift;
	if (!strcmp(name, "sysv")) {
		int id = shmget(IPC_PRIVATE, room, 0600);

		p = shmat(id, NULL, 0);
		shmctl(id, IPC_RMID, NULL);
		return p + plant->shift;
	}
	if (!strcmp(name, "growsdown"))
		return map(room, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1) +
		       plant->shift;
	if (!strcmp(name, "file-shared"))
		return map(room, MAP_SHARED, file(room, false)) + plant->shift;
	if (!strcmp(name, "file-private"))
		return map(room, MAP_PRIVATE, file(room, false)) + plant->shift;
	if (!strcmp(name, "file-hole"))
		return map(1UL << 33, MAP_PRIVATE | MAP_NORESERVE,
			   file(1UL << 33, false)) +
		       (1UL << 32) + plant->shift;
	if (!strcmp(name, "memfd"))
		return map(room, MAP_SHARED, file(room, true)) + plant->shift;
	if (!strcmp(name, "altstack")) {
		stack_t stack = { .ss_sp = anonymous(16 * PAGE), .ss_size = 16 * PAGE };

		sigaltstack(&stack, NULL);
		return (uint8_t *)stack.ss_sp + 5 * PAGE + plant->shift;
	}
	return NULL;
}

static uint8_t *place(const struct plant *plant, int *after)
{
	const char *name = plant->place;

	*after = -1;
	if (!strcmp(name, "bss"))
		return take(in_bss, sizeof(in_bss), &bss_used, plant);
	if (!strcmp(name, "data"))
		return take(in_data, sizeof(in_data), &data_used, plant);
	if (!strcmp(name, "tls"))
		return take(in_tls, sizeof(in_tls), &tls_used, plant);
	if (!strcmp(name, "stack"))
		return take(on_stack, STATIC_ROOM, &stack_used, plant);
	if (!strcmp(name, "arena"))
		return take(arena, 4 * MIB, &arena_used, plant);
	if (!strcmp(name, "heap"))
		return (uint8_t *)malloc(plant->length + plant->shift + 64) +
		       plant->shift;
	if (!strcmp(name, "heap-large"))
		return (uint8_t *)malloc(MIB) + plant->shift;
	if (!strcmp(name, "random"))
		return (uint8_t *)getauxval(AT_RANDOM);
	return place_mapped(plant, after);
}

/* Written to the file, and in the page tables of nobody. */
static void untouched(const struct plant *plant)
{
	bool memory = !strcmp(plant->place, "memfd-untouched");
	size_t room = (plant->length + plant->shift + 2 * PAGE) / PAGE * PAGE;
	int fd = file(room, memory);
	uint8_t *bounce = anonymous(room);

	get(bounce, plant->length);
	if (pwrite(fd, bounce, plant->length, plant->shift) != (ssize_t)plant->length)
		fail("pwrite");
	munmap(bounce, room);
	printf("%p\n",
	       (void *)(map(room, memory ? MAP_SHARED : MAP_PRIVATE, fd) + plant->shift));
}

static void do_plant(struct plant *plant)
{
	int after;
	uint8_t *at, *page;
	char name[16];

	if (!strncmp(plant->place, "registers", 9)) {
		registers(plant);
		return;
	}
	if (!strncmp(plant->place, "thread", 6)) {
		start(sleeper, plant);
		return;
	}
	if (strstr(plant->place, "untouched")) {
		untouched(plant);
		return;
	}
	if (!strcmp(plant->place, "name")) {
		memset(name, 0, sizeof(name));
		get(name, plant->length);
		prctl(PR_SET_NAME, name);
		explicit_bzero(name, sizeof(name));
		puts("0");
		return;
	}
	at = place(plant, &after);
	if (!at)
		fail(plant->place);
	get(at, plant->length);
	page = (uint8_t *)((uintptr_t)at / PAGE * PAGE);
	if (!strcmp(plant->place, "two"))
		page += PAGE;
	if (after >= 0 &&
	    mprotect(page,
		     strcmp(plant->place, "two") ?
			     (size_t)(at + plant->length - page + PAGE - 1) / PAGE *
				     PAGE :
			     PAGE,
		     after))
		fail("mprotect");
	if (!strcmp(plant->place, "pageout"))
		madvise(page, PAGE, 21 /* MADV_PAGEOUT */);
	printf("%p\n", (void *)at);
}

int main(void)
{
	uint8_t room[STATIC_ROOM];
	struct plant plant;

	memset(room, 0, sizeof(room));
	on_stack = room;
	arena = anonymous(4 * MIB);
	for (;;) {
		get(&plant, sizeof(plant));
		if (!plant.length)
			break;
		do_plant(&plant);
		fflush(stdout);
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		__asm__ volatile(""
				 :
				 : "r"(room), "r"(in_bss), "r"(in_data), "r"(in_tls)
				 : "memory");
		pause();
	}
}
