// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Learns where the kernel has its memory: from two pages of its own, whose frame
 * numbers it is told and whose struct page it sees in a pipe, and from descriptors of
 * its own. What was learned of the one has to be true of the other; nothing is
 * guessed, and nothing is left open.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/lethe.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "hook.h"
#include "layout.h"
#include "layout.skel.h"

/* The direct map begins at a multiple of it, with KASLR too. */
#define GIB (1ULL << 30)
#define FRAME_SIZE 4096ULL

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

/**
 * struct learning - what layout_learn() has open
 * @skeleton: the probe
 * @pipe: to be read from, and to be written to
 * @memory: both pages, or MAP_FAILED
 * @frame: theirs
 * @pattern: random, at the beginning of each
 */
struct learning {
	struct layout_bpf *skeleton;
	int pipe[2];
	unsigned char *memory;
	unsigned long long frame[2], pattern[2];
};

static char reason[256];

__attribute__((format(printf, 2, 3))) static int fail(int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	return err;
}

static int find_frames(struct learning *learning)
{
	unsigned long long entry[2];
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return fail(-errno, "/proc/self/pagemap: %s", strerror(errno));
	got = pread(fd, entry, sizeof(entry),
		    (uintptr_t)learning->memory / FRAME_SIZE * sizeof(entry[0]));
	close(fd);
	if (got != sizeof(entry))
		return fail(-EIO, "/proc/self/pagemap cannot be read");
	for (int i = 0; i < 2; i++) {
		learning->frame[i] = entry[i] & ((1ULL << 55) - 1);
		if (!(entry[i] >> 63))
			return fail(-EIO, "a page that is there is not in pagemap");
		if (!learning->frame[i])
			return fail(-EPERM, "CAP_SYS_ADMIN alone is shown frame numbers");
	}
	return 0;
}

/* Two pages with a pattern each, in the pipe: there they can neither move nor go. */
static int make_pages(struct learning *learning)
{
	struct iovec pages;
	ssize_t got;

	learning->memory = mmap(NULL, 2 * FRAME_SIZE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (learning->memory == MAP_FAILED)
		return fail(-errno, "two pages of memory: %s", strerror(errno));
	got = getrandom(learning->pattern, sizeof(learning->pattern), 0);
	if (got != sizeof(learning->pattern))
		return fail(-EIO, "getrandom: %s", strerror(errno));
	for (int i = 0; i < 2; i++)
		memcpy(learning->memory + i * FRAME_SIZE, &learning->pattern[i],
		       sizeof(learning->pattern[i]));
	if (pipe2(learning->pipe, O_CLOEXEC))
		return fail(-errno, "a pipe: %s", strerror(errno));
	pages = (struct iovec){ learning->memory, 2 * FRAME_SIZE };
	if (vmsplice(learning->pipe[1], &pages, 1, SPLICE_F_NONBLOCK) != 2 * FRAME_SIZE)
		return fail(errno ? -errno : -EIO, "vmsplice: %s", strerror(errno));
	return find_frames(learning);
}

/* None where the kernel has none: that is no failure. */
static int make_secrets(int fd[2])
{
	for (int i = 0; i < 2; i++) {
		fd[i] = syscall(SYS_memfd_secret, O_CLOEXEC);
		if (fd[i] < 0 && !i && errno == ENOSYS)
			return 0;
		if (fd[i] < 0)
			return fail(-errno, "memfd_secret: %s", strerror(errno));
	}
	return 0;
}

static int make_regions(int fd[2])
{
	int device = open(LETHE_DEVICE, O_RDWR | O_CLOEXEC);
	int err = 0;

	if (device < 0 && (errno == ENOENT || errno == ENXIO || errno == ENODEV))
		return 0;
	if (device < 0)
		return fail(-errno, LETHE_DEVICE ": %s", strerror(errno));
	for (int i = 0; i < 2 && !err; i++) {
		struct lethe_create create = { .size = sizeof(create),
					       .length = FRAME_SIZE };

		fd[i] = ioctl(device, LETHE_IOC_CREATE, &create);
		if (fd[i] < 0)
			err = fail(-errno, "a region of lethe.ko: %s", strerror(errno));
	}
	close(device);
	return err;
}

static int ask(struct learning *learning, const struct layout_answer **answer)
{
	struct bpf_test_run_opts opts = { .sz = sizeof(opts) };
	int fd = bpf_program__fd(learning->skeleton->progs.layout_look);
	int err;

	memset(&learning->skeleton->bss->answer, 0, sizeof(**answer));
	err = bpf_prog_test_run_opts(fd, &opts);
	*answer = &learning->skeleton->bss->answer;
	return err ? fail(err, "the probe of the layout: %s", strerror(-err)) : 0;
}

static int learn_vmemmap(const struct learning *learning, struct layout *layout,
			 const struct layout_answer *answer)
{
	layout->page_size = answer->page_size;
	layout->vmemmap = answer->page[0] - learning->frame[0] * layout->page_size;
	if (!answer->page[0] || learning->frame[0] == learning->frame[1] ||
	    layout->vmemmap + learning->frame[1] * layout->page_size != answer->page[1])
		return fail(-ENODATA, "the kernel's struct pages are not in one row");
	return 0;
}

/* RAM ends where the last zone does. */
static int learn_frames(const struct learning *learning, struct layout *layout)
{
	FILE *file = fopen("/proc/zoneinfo", "re");
	unsigned long long spanned = 0, start;
	char line[256];

	if (!file)
		return fail(-errno, "/proc/zoneinfo: %s", strerror(errno));
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, " spanned %llu", &spanned) == 1 ||
		    sscanf(line, " start_pfn: %llu", &start) != 1)
			continue;
		if (spanned && start + spanned > layout->frames)
			layout->frames = start + spanned;
	}
	fclose(file);
	if (learning->frame[0] >= layout->frames || learning->frame[1] >= layout->frames)
		return fail(-ENODATA, "a page has a frame past the end of RAM");
	return 0;
}

/* It begins not after an address within, and not before it by more than all of RAM. */
static int learn_direct_map(struct learning *learning, struct layout *layout,
			    const struct layout_answer *answer)
{
	unsigned long long tries = layout->frames * FRAME_SIZE / GIB + 2;
	unsigned long long base = answer->inside & ~(GIB - 1);
	unsigned long long *look = learning->skeleton->bss->question.look;
	int err;

	for (; tries && base; tries--, base -= GIB) {
		look[0] = base + learning->frame[0] * FRAME_SIZE;
		look[1] = base + learning->frame[1] * FRAME_SIZE;
		err = ask(learning, &answer);
		if (err)
			return err;
		if (memcmp(answer->seen, learning->pattern, sizeof(answer->seen)))
			continue;
		layout->direct_map = base;
		return 0;
	}
	return fail(-ENODATA, "the direct map was not found");
}

/* What files of a kind have, @other has not: or they would be told by nothing. */
static int learn_operations(unsigned long long *learned, const char *what, int fd,
			    const unsigned long long own[2], unsigned long long other)
{
	if (fd < 0)
		return 0;
	if (!own[0] || own[0] != own[1] || own[0] == other)
		return fail(-ENODATA, "%s cannot be told from other files", what);
	*learned = own[0];
	return 0;
}

static int learn(struct learning *learning, struct layout *layout)
{
	int *files = learning->skeleton->bss->question.file;
	const struct layout_answer *answer;
	int err;

	err = make_pages(learning);
	files[LAYOUT_PIPE] = learning->pipe[0];
	if (!err)
		err = make_secrets(files + LAYOUT_SECRET);
	if (!err)
		err = make_regions(files + LAYOUT_REGION);
	if (!err)
		err = ask(learning, &answer);
	if (!err)
		err = learn_vmemmap(learning, layout, answer);
	if (!err)
		err = learn_operations(&layout->secretmem_aops, "memfd_secret",
				       files[LAYOUT_SECRET], answer->aops + LAYOUT_SECRET,
				       answer->aops[LAYOUT_PIPE]);
	if (!err)
		err = learn_operations(&layout->region_fops, "regions",
				       files[LAYOUT_REGION], answer->fops + LAYOUT_REGION,
				       answer->fops[LAYOUT_PIPE]);
	if (!err)
		err = learn_frames(learning, layout);
	if (!err)
		err = learn_direct_map(learning, layout, answer);
	return err;
}

static void forget(struct learning *learning)
{
	int *files = learning->skeleton->bss->question.file;

	for (int i = LAYOUT_SECRET; i < LAYOUT_FILES; i++) {
		if (files[i] >= 0)
			close(files[i]);
	}
	for (int i = 0; i < 2; i++) {
		if (learning->pipe[i] >= 0)
			close(learning->pipe[i]);
	}
	if (learning->memory != MAP_FAILED)
		munmap(learning->memory, 2 * FRAME_SIZE);
	layout_bpf__destroy(learning->skeleton);
}

int layout_learn(struct layout *layout, const char **why)
{
	struct learning learning = { .pipe = { -1, -1 }, .memory = MAP_FAILED };
	int err = hook_possible(why);

	if (err)
		return err;
	*why = reason;
	memset(layout, 0, sizeof(*layout));
	learning.skeleton = layout_bpf__open_and_load();
	if (!learning.skeleton)
		return fail(-errno, "%s", hook_complaint());
	memset(learning.skeleton->bss->question.file, -1,
	       sizeof(learning.skeleton->bss->question.file));
	err = learn(&learning, layout);
	forget(&learning);
	if (err)
		memset(layout, 0, sizeof(*layout));
	return err;
}
