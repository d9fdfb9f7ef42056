// SPDX-License-Identifier: MIT
/*
 * ending_test restart|panic: brings the machine to an end with a secret in a region
 * and another, the control, in ordinary memory. The host is told both needles before
 * and searches what the machine leaves behind: see tests/vm/power.py, which judges
 * that.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>

#include "../selftests/tap.h"
#include "../vm/hostlink.h"
#include "ending.h"

int main(int argc, char **argv)
{
	unsigned char *control = malloc(ENDING_PAGE), *map = ending_map(ending_region());
	struct needle needles[2];
	int err;

	if (argc != 2 || !control || map == MAP_FAILED)
		tap_bail("no region, or no word which end: %s", strerror(errno));
	ending_plant(&needles[0], "control", control, 1);
	ending_plant(&needles[1], "secret", map + (ENDING_PAGES - 1) * ENDING_PAGE, 1);
	err = hostlink_later(argv[1], needles, 2);
	if (err)
		tap_bail("the host: %s", strerror(-err));

	if (!strcmp(argv[1], "restart"))
		reboot(RB_AUTOBOOT);
	if (!strcmp(argv[1], "panic"))
		ending_write("/proc/sysrq-trigger", "c");
	tap_bail("the machine did not end");
}
