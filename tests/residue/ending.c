// SPDX-License-Identifier: MIT
/*
 * Making what is searched for after a machine's end. It ends none.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/lethe.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "../selftests/tap.h"
#include "ending.h"

#define SECRET_BYTES 64

int ending_region(void)
{
	struct lethe_create args = {
		.size = sizeof(args),
		.length = ENDING_PAGES * ENDING_PAGE,
	};
	int device = open(LETHE_DEVICE, O_RDWR | O_CLOEXEC);
	int region = ioctl(device, LETHE_IOC_CREATE, &args);
	int err = errno;

	close(device);
	errno = err;
	return region;
}

unsigned char *ending_map(int region)
{
	return mmap(NULL, ENDING_PAGES * ENDING_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
		    region, 0);
}

void ending_plant(struct needle *needle, const char *name, volatile unsigned char *at,
		  size_t pages)
{
	if (getrandom((void *)at, SECRET_BYTES, 0) != SECRET_BYTES ||
	    needle_make(needle, name, (const void *)at, SECRET_BYTES))
		tap_bail("no %s", name);
	for (size_t i = 1; i < pages; i++)
		for (size_t j = 0; j < SECRET_BYTES; j++)
			at[i * ENDING_PAGE + j] = needle->mask[j] ^ needle->masked[j];
}

int ending_write(const char *path, const char *text)
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
