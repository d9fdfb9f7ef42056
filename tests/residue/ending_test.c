// SPDX-License-Identifier: MIT
/*
 * ending_test hibernate|restart|panic: brings the machine to an end with a
 * secret in a region and another, the control, in ordinary memory. The host is
 * told both needles before and searches what the machine leaves behind: see
 * tests/vm/power.py, which judges that. What a hibernated machine finds when it
 * goes on is judged here.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/lethe.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/reboot.h>
#include <sys/swap.h>
#include <unistd.h>

#include "../selftests/tap.h"
#include "../vm/hostlink.h"
#include "needle.h"

#define PAGE ((size_t)4096)
#define NR ((size_t)64)
#define SECRET_BYTES 64
#define SWAP "/dev/nvme0n1"

static int device;
static sigjmp_buf jump;

static int create(void)
{
	struct lethe_create args = { .size = sizeof(args), .length = NR * PAGE };

	return ioctl(device, LETHE_IOC_CREATE, &args);
}

static unsigned char *map_of(int fd)
{
	return mmap(NULL, NR * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

/* Straight into @p: there is never a copy on this stack. */
static void plant(struct needle *needle, const char *name, unsigned char *p)
{
	if (getrandom(p, SECRET_BYTES, 0) != SECRET_BYTES ||
	    needle_make(needle, name, p, SECRET_BYTES))
		tap_bail("no %s", name);
}

/* 0 or -errno. */
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

static void jump_out(int number)
{
	siglongjmp(jump, number);
}

static bool is_gone(volatile unsigned char *map)
{
	volatile size_t gone = 0;

	signal(SIGBUS, jump_out);
	for (volatile size_t i = 0; i < NR; i++) {
		if (sigsetjmp(jump, 1) == SIGBUS)
			gone++;
		else
			(void)map[i * PAGE];
	}
	return gone == NR;
}

static bool all_zero(const unsigned char *p)
{
	for (size_t i = 0; i < NR * PAGE; i++)
		if (p[i])
			return false;
	return true;
}

static int hibernate(int region, unsigned char *map)
{
	struct pollfd poller = { .fd = region };
	unsigned char *next;
	int err, fd;

	tap_plan(6);
	if (swapon(SWAP, 0))
		tap_bail("swapon: %s", strerror(errno));
	err = write_text("/sys/power/disk", "shutdown");
	if (err)
		tap_bail("/sys/power/disk: %s", strerror(-err));
	err = write_text("/sys/power/state", "disk");

	/* Another boot, another QEMU. */
	tap_ok(!err, "a machine with an open region hibernates to disk, and resumes (%s)",
	       err ? strerror(-err) : "0");
	tap_ok(is_gone(map), "after it, each page of the region faults with SIGBUS");
	tap_ok(poll(&poller, 1, 0) == 1 && poller.revents == (POLLHUP | POLLERR),
	       "poll() says POLLHUP and POLLERR");
	tap_ok(map_of(region) == MAP_FAILED && errno == ESTALE, "mmap() is ESTALE");
	fd = create();
	next = map_of(fd);
	tap_ok(next != MAP_FAILED && all_zero(next),
	       "a new region can be made, all zero");
	if (next == MAP_FAILED)
		return tap_end();
	next[PAGE] = 0x5a;
	tap_ok(next[PAGE] == 0x5a && !munmap(next, NR * PAGE) && !close(fd),
	       "and used, and given up");
	return tap_end();
}

int main(int argc, char **argv)
{
	unsigned char *control = malloc(PAGE), *map;
	struct needle needles[2];
	int region, err;

	device = open(LETHE_DEVICE, O_RDWR | O_CLOEXEC);
	region = create();
	map = map_of(region);
	if (argc != 2 || !control || map == MAP_FAILED)
		tap_bail("no region, or no word which end: %s", strerror(errno));
	plant(&needles[0], "control", control);
	plant(&needles[1], "secret", map + (NR - 1) * PAGE);
	err = hostlink_later(argv[1], needles, 2);
	if (err)
		tap_bail("the host: %s", strerror(-err));

	if (!strcmp(argv[1], "hibernate"))
		return hibernate(region, map);
	if (!strcmp(argv[1], "restart"))
		reboot(RB_AUTOBOOT);
	if (!strcmp(argv[1], "panic"))
		write_text("/proc/sysrq-trigger", "c");
	tap_bail("the machine did not end");
}
