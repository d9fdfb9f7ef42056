// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The registers of stopped threads, to the engine, each by its name and by itself: a
 * vector register whole, although the XSAVE area has it in up to three pieces. And what
 * else the kernel keeps of a thread in bytes: its name.
 */
#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <unistd.h>

#include "output.h"
#include "scan.h"

/* AMX's tiles make an area of 11 KiB; room for what is to come. */
#define AREA (64 * 1024)

/* Components of the XSAVE area. */
enum { AVX = 2, OPMASK = 5, ZMM_HIGH = 6, ZMM_16 = 7, PKRU = 9, TILES = 18 };

struct part {
	size_t offset, length;
};

/* Where the processor says that it is; asked once, as it costs a trap where that is virtual. */
static struct part component(unsigned int number, size_t length)
{
	static struct part known[64];
	static bool asked[64];
	unsigned int size, offset, c, d;

	if (!asked[number] && __get_cpuid_count(0xd, number, &size, &offset, &c, &d))
		known[number] = (struct part){ offset, size };
	asked[number] = true;
	/* Those of the supervisor have no place in what ptrace(2) shows. */
	if (!known[number].offset || known[number].offset + known[number].length > length)
		return (struct part){ 0, 0 };
	return known[number];
}

static void feed(struct scan *scan, const struct thread *thread, const char *name,
		 uint8_t *from, size_t length)
{
	struct place place = { .tid = thread->tid, .kind = "register" };
	uint8_t *buffer = scan->buffer + ENGINE_BEFORE;

	snprintf(place.where, sizeof(place.where), "%s", name);
	memcpy(buffer, from, length);
	scan->register_place = &place;
	engine_feed_alone(scan->engine, NO_ADDRESS, buffer, length);
	scan->register_place = NULL;
	scan->registers += length;
}

static ssize_t get(const struct thread *thread, unsigned long type, uint8_t *room)
{
	struct iovec set = { .iov_base = room, .iov_len = AREA };

	if (ptrace(PTRACE_GETREGSET, thread->tid, type, &set) < 0)
		return -errno;
	return (ssize_t)set.iov_len;
}

static int general(struct scan *scan, struct thread *thread, uint8_t *room)
{
	static const char *const names[] = {
		"r15",     "r14",      "r13", "r12", "rbp",    "rbx", "r11",
		"r10",     "r9",       "r8",  "rax", "rcx",    "rdx", "rsi",
		"rdi",     "orig_rax", "rip", "cs",  "eflags", "rsp", "ss",
		"fs_base", "gs_base",  "ds",  "es",  "fs",     "gs",
	};
	ssize_t length = get(thread, NT_PRSTATUS, room);
	size_t i;

	if (length < 0)
		return (int)length;
	if (length != sizeof(struct user_regs_struct)) {
		feed(scan, thread, "registers of a 32-bit program", room, (size_t)length);
		return 0;
	}
	thread->stack_pointer = ((struct user_regs_struct *)room)->rsp;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		feed(scan, thread, names[i], room + 8 * i, 8);
	return 0;
}

/* One of zmm0 to zmm31, of as many pieces as there are. */
static void vector(struct scan *scan, struct thread *thread, uint8_t *area, size_t length,
		   unsigned int number)
{
	struct part avx = component(AVX, length), high = component(ZMM_HIGH, length);
	struct part more = component(ZMM_16, length);
	uint8_t whole[64] = { 0 };
	size_t known = 16;
	char name[8];

	snprintf(name, sizeof(name), "zmm%u", number);
	if (number >= 16) {
		if (more.length)
			feed(scan, thread, name, area + more.offset + 64 * (number - 16),
			     64);
		return;
	}
	memcpy(whole, area + 160 + 16 * number, 16);
	if (avx.length) {
		memcpy(whole + 16, area + avx.offset + 16 * number, 16);
		known = 32;
	}
	if (avx.length && high.length) {
		memcpy(whole + 32, area + high.offset + 32 * number, 32);
		known = 64;
	}
	name[0] = known == 64 ? 'z' : known == 32 ? 'y' : 'x';
	feed(scan, thread, name, whole, known);
	explicit_bzero(whole, sizeof(whole));
}

/* What is in no register that has a name here. */
static void others(struct scan *scan, struct thread *thread, uint8_t *area, size_t length)
{
	unsigned int number;
	struct part part;
	char name[32];
	size_t i;

	for (number = 3; number < 63; number++) {
		if (number == ZMM_HIGH || number == ZMM_16)
			continue;
		part = component(number, length);
		if (number == OPMASK)
			for (i = 0; i < part.length / 8; i++) {
				snprintf(name, sizeof(name), "k%zu", i);
				feed(scan, thread, name, area + part.offset + 8 * i, 8);
			}
		else if (number == TILES)
			for (i = 0; i < part.length / 1024; i++) {
				snprintf(name, sizeof(name), "tmm%zu", i);
				feed(scan, thread, name, area + part.offset + 1024 * i,
				     1024);
			}
		else if (part.length) {
			snprintf(name, sizeof(name), "state component %u", number);
			feed(scan, thread, name, area + part.offset, part.length);
		}
	}
}

static int floating(struct scan *scan, struct thread *thread, uint8_t *room)
{
	ssize_t length = get(thread, NT_X86_XSTATE, room);
	unsigned int i;
	char name[16];

	/* Older processors have no XSAVE: then x87 and SSE are all. */
	if (length < 0 && length != -ESRCH)
		length = get(thread, NT_PRFPREG, room);
	if (length < 0)
		return (int)length;
	if (length < 512)
		return -EIO;
	feed(scan, thread, "x87 control", room, 32);
	for (i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "st%u", i);
		feed(scan, thread, name, room + 32 + 16 * i, 16);
	}
	feed(scan, thread, "the end of the FXSAVE area", room + 416, 96);
	for (i = 0; i < 32; i++)
		vector(scan, thread, room, (size_t)length, i);
	others(scan, thread, room, (size_t)length);
	return 0;
}

static void named(struct scan *scan, const struct thread *thread)
{
	struct place place = { .tid = thread->tid, .kind = "thread name" };
	uint8_t *buffer = scan->buffer + ENGINE_BEFORE;
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", (int)scan->pid,
		 (int)thread->tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, buffer, 64);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return;
	snprintf(place.where, sizeof(place.where), "its name, which the kernel keeps");
	scan->register_place = &place;
	engine_feed_alone(scan->engine, NO_ADDRESS, buffer, (size_t)n);
	scan->register_place = NULL;
}

int registers_scan(struct scan *scan)
{
	uint8_t *room = locked_new(AREA);
	size_t i;
	int err = room ? 0 : -errno;

	for (i = 0; !err && i < scan->stopped.nr_threads; i++) {
		struct thread *thread = &scan->stopped.threads[i];

		named(scan, thread);
		if (!thread->stopped)
			continue;
		err = general(scan, thread, room);
		if (!err)
			err = floating(scan, thread, room);
	}
	if (room)
		locked_free(room, AREA);
	return err;
}
