// SPDX-License-Identifier: MIT
/*
 * LETHE_IOC_QUERY, asked until there is room for the answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/lethe.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "frames.h"

int secret_frames(uint64_t **frames, size_t *nr_frames)
{
	struct lethe_query query = {
		.size = sizeof(query),
		.flags = LETHE_QUERY_FRAMES,
	};
	int fd = open(LETHE_DEVICE, O_RDWR | O_CLOEXEC);
	int err = 0;

	*frames = NULL;
	if (fd < 0)
		return -errno;
	do {
		*nr_frames = query.nr_frames;
		free(*frames);
		*frames = calloc(*nr_frames + 1, sizeof(**frames));
		query.frames = (uintptr_t)*frames;
		if (!*frames)
			err = -ENOMEM;
		else if (ioctl(fd, LETHE_IOC_QUERY, &query))
			err = -errno;
	} while (!err && query.nr_frames > *nr_frames);
	*nr_frames = query.nr_frames;
	close(fd);
	return err;
}
