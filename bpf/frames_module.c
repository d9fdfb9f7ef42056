// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Asks the module which frames are in its regions. What comes and goes after that it
 * says by its tracepoint (frames.bpf.c); between the two nothing is lost, and nothing
 * that was given back is taken for secret.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/lethe.h>

#include "frames_look.h"
#include "frames_module.h"

#define TRIES 8

void frames_clear_all(struct frames *frames, unsigned int bits)
{
	const unsigned long long *entry = (const void *)frames->bytes;
	size_t i, j;

	for (i = 0; i < frames->size / 8; i++) {
		for (j = i * 8; entry[i] && j < i * 8 + 8; j++)
			frames_clear(frames, j, bits);
	}
}

/* Unless it was taken back since QUERY, for then its tracepoint has said so. */
static void set_announced(struct frames *frames, unsigned long long frame)
{
	unsigned char *byte = &frames->bytes[frame];
	unsigned char old;

	/* No bit but the summary's. */
	frames_set(frames, frame, 0);
	old = __atomic_load_n(byte, __ATOMIC_SEQ_CST);
	while (!(old & FRAME_TAKEN_BACK) &&
	       !__atomic_compare_exchange_n(byte, &old,
					    old | FRAME_KMOD | FRAME_ANNOUNCED, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
}

/* That they were taken back was not heard: neither QUERY nor the module has them now. */
static void forget_unannounced(struct frames *frames)
{
	unsigned char old;
	size_t i;

	for (i = 0; i < frames->size; i++) {
		old = __atomic_load_n(&frames->bytes[i], __ATOMIC_SEQ_CST);
		while (old & FRAME_KMOD && !(old & FRAME_ANNOUNCED) &&
		       !__atomic_compare_exchange_n(&frames->bytes[i], &old,
						    old & ~FRAME_KMOD, false,
						    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			;
	}
}

/* Fills @query->frames, and makes it as large as is needed. 0 or -errno. */
static int query_frames(int fd, struct lethe_query *query, unsigned int *room)
{
	unsigned long long *more;

	for (;;) {
		query->size = sizeof(*query);
		query->flags = LETHE_QUERY_FRAMES;
		query->nr_frames = *room;
		if (ioctl(fd, LETHE_IOC_QUERY, query))
			return -errno;
		if (query->nr_frames <= *room)
			return 0;
		*room = query->nr_frames + query->nr_frames / 4 + 512;
		more = realloc((void *)(unsigned long)query->frames,
			       *room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		query->frames = (unsigned long)more;
	}
}

/*
 * A region that was being made as the tracepoint was attached was announced to nobody,
 * and may be counted before QUERY knows its frames: hence again until both agree. A
 * region is out of QUERY before it is taken back, so that what was said of that before
 * can be forgotten first.
 */
static int ask(struct frames *frames, int fd)
{
	unsigned long long missed = frames_missed(frames);
	bool mend = missed != frames->mended;
	struct lethe_query query = { 0 };
	unsigned int room = 0, tries, i;
	const unsigned long long *frame;
	int err;

	for (tries = 0; tries < TRIES; tries++) {
		if (mend)
			frames_clear_all(frames, FRAME_TAKEN_BACK | FRAME_ANNOUNCED);
		err = query_frames(fd, &query, &room);
		if (err)
			break;
		if (!frames->announced && !tries)
			frames_clear_all(frames, FRAME_KMOD);
		frame = (void *)(unsigned long)query.frames;
		for (i = 0; i < query.nr_frames; i++) {
			if (frame[i] < frames->size)
				set_announced(frames, frame[i]);
		}
		if (query.nr_frames == query.pages_used) {
			if (mend)
				forget_unannounced(frames);
			frames->mended = missed;
			break;
		}
		usleep(1000);
	}
	free((void *)(unsigned long)query.frames);
	return err;
}

int frames_ask_module(struct frames *frames)
{
	int fd = open("/dev/lethe", O_RDWR | O_CLOEXEC);
	int err;

	if (fd < 0) {
		if (!frames->announced && frames->asked)
			frames_clear_all(frames, FRAME_KMOD);
		frames->asked = false;
		return errno == ENOENT || errno == ENXIO || errno == ENODEV ? 0 : -errno;
	}
	frames->asked = true;
	err = ask(frames, fd);
	close(fd);
	return err;
}
