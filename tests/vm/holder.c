// SPDX-License-Identifier: MIT
/*
 * The process that is pressed. A secret is written where it is to lie byte by byte,
 * from its masked form: there is never a copy of it on a stack or in libc's memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/lethe.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../selftests/tap.h"
#include "holder.h"

#define PAGE ((size_t)4096)
#define HUGE ((size_t)2 << 20)
#define SECRET_BYTES 64
#define CGROUPS "/sys/fs/cgroup"
#define CGROUP CGROUPS "/lethe-holder"
#define PRESSES 200

/* /proc/pid/pagemap, see Documentation/admin-guide/mm/pagemap.rst */
#define PAGEMAP_PRESENT (UINT64_C(1) << 63)
#define PAGEMAP_SWAPPED (UINT64_C(1) << 62)
#define PAGEMAP_FILE (UINT64_C(1) << 61)
#define PAGEMAP_FRAME ((UINT64_C(1) << 55) - 1)

struct page_counts {
	size_t present, swapped;
};

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static void must_write(const char *path, const char *text)
{
	int err = write_text(path, text);

	if (err)
		tap_bail("%s: %s", path, strerror(-err));
}

/* What a process has from before it comes here stays with where that was. */
void holder_enter(char **argv)
{
	if (!access(CGROUP, F_OK))
		return;
	if (mount("cgroup2", CGROUPS, "cgroup2", 0, NULL))
		tap_bail("cgroup2: %s", strerror(errno));
	must_write(CGROUPS "/cgroup.subtree_control", "+memory");
	if (mkdir(CGROUP, 0755))
		tap_bail("%s: %s", CGROUP, strerror(errno));
	must_write(CGROUP "/cgroup.procs", "0");
	/* A small machine has none of its own accord. */
	must_write("/sys/kernel/mm/transparent_hugepage/enabled", "madvise");
	/* What is marked stays on its frame. */
	must_write("/proc/sys/vm/compaction_proactiveness", "0");
	execv("/proc/self/exe", argv);
	tap_bail("/proc/self/exe: %s", strerror(errno));
}

static volatile uint8_t *map_fd(int fd, size_t length)
{
	void *map = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (fd < 0 || map == MAP_FAILED)
		tap_bail("secret pages: %s", strerror(errno));
	return map;
}

static volatile uint8_t *map_region(void)
{
	struct lethe_create create = {
		.size = sizeof(create),
		.length = HOLDER_SECRETS * PAGE,
	};
	int device = open(LETHE_DEVICE, O_RDWR | O_CLOEXEC);

	return map_fd(ioctl(device, LETHE_IOC_CREATE, &create), create.length);
}

static volatile uint8_t *map_memfd(void)
{
	int fd = syscall(SYS_memfd_secret, 0);

	if (fd < 0 || ftruncate(fd, HOLDER_SECRETS * PAGE))
		tap_bail("memfd_secret: %s", strerror(errno));
	return map_fd(fd, HOLDER_SECRETS * PAGE);
}

/* Aligned to huge pages. */
static volatile uint8_t *map_ordinary(size_t length)
{
	char *map = mmap(NULL, length + HUGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		tap_bail("ordinary memory: %s", strerror(errno));
	return (void *)(((uintptr_t)map + HUGE - 1) & ~(HUGE - 1));
}

/* A new secret at the start of each of the pages. */
static void plant(struct needle *needle, const char *name, volatile uint8_t *map,
		  size_t pages)
{
	if (getrandom((void *)map, SECRET_BYTES, 0) != SECRET_BYTES ||
	    needle_make(needle, name, (const void *)map, SECRET_BYTES))
		tap_bail("no %s", name);
	for (size_t i = 1; i < pages; i++)
		for (size_t at = 0; at < SECRET_BYTES; at++)
			map[i * PAGE + at] = needle->mask[at] ^ needle->masked[at];
}

/* The rest of each page: what cannot be compressed, or can to a half. */
static void fill_rest(volatile uint8_t *map, size_t pages, bool random)
{
	size_t length = random ? PAGE - SECRET_BYTES : PAGE / 2;

	for (size_t i = 0; i < pages; i++)
		for (size_t done = 0; done < length; done += 256)
			if (getrandom((void *)(map + i * PAGE + SECRET_BYTES + done),
				      length - done < 256 ? length - done : 256, 0) < 0)
				tap_bail("getrandom: %s", strerror(errno));
}

static void read_frames(const volatile uint8_t *map, uint64_t *frames, size_t pages)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	ssize_t length = pages * sizeof(*frames);

	if (pread(fd, frames, length, (uintptr_t)map / PAGE * sizeof(*frames)) != length)
		tap_bail("pagemap: %s", strerror(errno));
	close(fd);
	for (size_t i = 0; i < pages; i++)
		frames[i] &= PAGEMAP_FRAME;
}

static void must_exchange(int fd, void *bytes, size_t length, bool out)
{
	for (size_t done = 0; done < length;) {
		ssize_t n = out ? write(fd, (char *)bytes + done, length - done) :
				  read(fd, (char *)bytes + done, length - done);

		if (n <= 0)
			tap_bail(
				"the process that holds secrets, or its parent, is gone");
		done += n;
	}
}

/* As a secret is kept where there is neither the module nor memfd_secret. */
static volatile uint8_t *map_locked(void)
{
	volatile uint8_t *map = map_ordinary(HOLDER_SECRETS * PAGE);

	madvise((void *)map, HOLDER_SECRETS * PAGE, MADV_NOHUGEPAGE);
	madvise((void *)map, HOLDER_SECRETS * PAGE, MADV_DONTDUMP);
	madvise((void *)map, HOLDER_SECRETS * PAGE, MADV_DONTFORK);
	if (mlock((void *)map, HOLDER_SECRETS * PAGE))
		tap_bail("mlock: %s", strerror(errno));
	return map;
}

/* The child. Tells what it has, and sleeps until it is told to go on; three times. */
static void hold(struct holder *holder, struct frames *frames, bool random, bool leak)
{
	volatile uint8_t *region, *memfd, *locked, *decoys, *leaked = NULL;
	char byte = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	region = map_region();
	memfd = map_memfd();
	locked = map_locked();
	decoys = map_ordinary(HOLDER_DECOYS * PAGE);
	madvise((void *)decoys, HOLDER_DECOYS / 2 * PAGE, MADV_NOHUGEPAGE);
	madvise((void *)(decoys + HOLDER_DECOYS / 2 * PAGE), HOLDER_DECOYS / 2 * PAGE,
		MADV_HUGEPAGE);
	plant(&holder->needles[HOLDER_REGION], "region", region, HOLDER_SECRETS);
	plant(&holder->needles[HOLDER_MEMFD], "memfd_secret", memfd, HOLDER_SECRETS);
	plant(&holder->needles[HOLDER_LOCKED], "locked", locked, HOLDER_SECRETS);
	holder->locked = (uintptr_t)locked;
	plant(&holder->needles[HOLDER_DECOY], "decoy", decoys, HOLDER_DECOYS);
	fill_rest(decoys, HOLDER_DECOYS, random);
	/* What is not huge by now does not become so. */
	madvise((void *)decoys, HOLDER_DECOYS * PAGE, MADV_NOHUGEPAGE);
	if (leak) {
		leaked = map_locked();
		plant(&holder->needles[HOLDER_LEAKED], "leaked", leaked, HOLDER_SECRETS);
	}
	read_frames(memfd, holder->memfd_frames, HOLDER_SECRETS);
	must_exchange(holder->tell, holder, sizeof(*holder), true);
	must_exchange(holder->ask, &byte, 1, false);

	/* The set is made by now. */
	for (size_t i = 0; i < HOLDER_DECOYS; i++)
		if (frames_mark(frames, (void *)(decoys + i * PAGE), FRAME_DECOY))
			tap_bail("a decoy cannot be marked");
	if (leak && munlock((void *)leaked, HOLDER_SECRETS * PAGE))
		tap_bail("munlock: %s", strerror(errno));
	must_exchange(holder->tell, &byte, 1, true);
	for (;;)
		pause();
}

/* Its ordinary memory: what belongs to no file, and is not locked for good. */
static void count_pages(const struct holder *holder, struct page_counts *counts)
{
	char path[64], line[512];
	uint64_t start, end, entry;
	FILE *maps;
	int fd;

	*counts = (struct page_counts){ 0 };
	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)holder->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)holder->pid);
	maps = fopen(path, "re");
	if (fd < 0 || !maps)
		tap_bail("%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64, &start, &end) != 2)
			continue;
		for (; start < end; start += PAGE) {
			if (start - holder->locked < HOLDER_SECRETS * PAGE)
				continue;
			if (pread(fd, &entry, sizeof(entry),
				  start / PAGE * sizeof(entry)) != sizeof(entry))
				break;
			counts->present += entry & PAGEMAP_PRESENT &&
					   !(entry & PAGEMAP_FILE);
			counts->swapped += !!(entry & PAGEMAP_SWAPPED);
		}
	}
	fclose(maps);
	close(fd);
}

void holder_start(struct holder *holder, struct frames *frames, bool random, bool leak)
{
	int ask[2], tell[2], err;
	struct page_counts counts;
	char byte = 0;
	pid_t pid;

	*holder = (struct holder){ .nr_needles = HOLDER_NEEDLES - !leak };
	if (pipe2(ask, O_CLOEXEC) || pipe2(tell, O_CLOEXEC))
		tap_bail("pipe: %s", strerror(errno));
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!pid) {
		holder->ask = ask[0];
		holder->tell = tell[1];
		hold(holder, frames, random, leak);
	}
	close(ask[0]);
	close(tell[1]);
	must_exchange(tell[0], holder, sizeof(*holder), false);
	holder->pid = pid;
	holder->ask = ask[1];
	holder->tell = tell[0];
	err = frames_refresh(frames, pid);
	if (err)
		tap_bail("the set of secret frames: %s", strerror(-err));
	must_exchange(holder->ask, &byte, 1, true);
	must_exchange(holder->tell, &byte, 1, false);
	count_pages(holder, &counts);
	holder->pages = counts.present;
}

size_t holder_press(const struct holder *holder)
{
	struct page_counts counts;

	for (int i = 0; i < PRESSES; i++) {
		int err;

		/* What another processor has not put on a list yet, it does now. */
		must_write("/proc/sys/vm/drop_caches", "1");
		err = write_text(CGROUP "/memory.reclaim", "4M");
		/* EAGAIN: not all of so much could be had, which is the point. */
		if (err && err != -EAGAIN)
			tap_bail("memory.reclaim: %s", strerror(-err));
		count_pages(holder, &counts);
		if (!counts.present)
			break;
	}
	tap_note("%zu of its pages are in memory, %zu in swap", counts.present,
		 counts.swapped);
	return counts.present;
}

void holder_end(struct holder *holder)
{
	kill(holder->pid, SIGKILL);
	waitpid(holder->pid, NULL, 0);
	close(holder->ask);
	close(holder->tell);
}
