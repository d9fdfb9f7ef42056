// SPDX-License-Identifier: MIT
/*
 * ending_test restart|panic: brings the machine to an end with a secret in a region
 * and others, the controls, where nobody wipes: in ordinary memory, in a memfd_secret
 * and in memory that is only locked. The host is told all needles before and searches
 * what the machine leaves behind: see tests/vm/power.py, which judges that.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../selftests/tap.h"
#include "../vm/hostlink.h"
#include "ending.h"

enum { CONTROL, SECRET, MEMFD, LOCKED, NEEDLES };

/* The other backends' pages. */
static unsigned char *map_memfd(void)
{
	int fd = syscall(SYS_memfd_secret, O_CLOEXEC);

	return ftruncate(fd, ENDING_PAGES * ENDING_PAGE) ? MAP_FAILED : ending_map(fd);
}

static unsigned char *map_locked(void)
{
	return mmap(NULL, ENDING_PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
}

int main(int argc, char **argv)
{
	unsigned char *control = malloc(ENDING_PAGE), *map = ending_map(ending_region());
	unsigned char *memfd = map_memfd(), *locked = map_locked();
	struct needle needles[NEEDLES];
	int err;

	if (argc != 2 || !control || map == MAP_FAILED || memfd == MAP_FAILED ||
	    locked == MAP_FAILED)
		tap_bail("no memory, or no word which end: %s", strerror(errno));
	ending_plant(&needles[CONTROL], "control", control, 1);
	ending_plant(&needles[SECRET], "secret", map + (ENDING_PAGES - 1) * ENDING_PAGE,
		     1);
	ending_plant(&needles[MEMFD], "control-memfd_secret", memfd, 1);
	ending_plant(&needles[LOCKED], "control-mlock", locked, 1);
	err = hostlink_later(argv[1], needles, NEEDLES);
	if (err)
		tap_bail("the host: %s", strerror(-err));

	if (!strcmp(argv[1], "restart"))
		reboot(RB_AUTOBOOT);
	if (!strcmp(argv[1], "panic"))
		ending_write("/proc/sysrq-trigger", "c");
	tap_bail("the machine did not end");
}
