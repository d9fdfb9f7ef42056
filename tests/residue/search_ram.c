// SPDX-License-Identifier: MIT
/*
 * ramsearch FILE: looks for copies of secrets in an image of a machine's memory.
 *
 * Lines on stdin, up to GO or the end:
 *
 *	NEEDLE name mask masked		a secret to look for (needle.h)
 *	FRAMES first count		page frames that secrets may lie in
 *	RANGE offset physical length	what physical memory the bytes of FILE
 *					from @offset are; without any such line
 *					an offset is a physical address
 *	SEARCH label			for a person; not looked at
 *
 * Numbers as C writes them. Lines on stdout, one a needle, then one more:
 *
 *	FOUND name copies whole longest in_frames elsewhere address
 *	DONE searched_bytes
 *
 * @address is physical, of the first copy that is elsewhere, or else of the
 * first; 0x0 without any. A copy is in frames if all of its bytes are. With
 * RANGE lines, what none of them names is not searched. Exit status: 0 the
 * search was made, whatever it found; 2 it could not be.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "search.h"

#define PAGE_SHIFT 12

struct frames {
	uint64_t first, count;
};

struct range {
	uint64_t offset, physical, length;
};

struct count {
	char name[sizeof(((struct needle *)0)->name)];
	uint64_t copies, whole, in_frames, elsewhere, address;
	unsigned int longest;
};

static struct count counts[SEARCH_MAX_NEEDLES];
static unsigned int nr_needles;
static struct frames *frames;
static size_t nr_frames;
static struct range *ranges;
static size_t nr_ranges;

static void *grow(void *array, size_t *n, size_t size)
{
	/* Doubled at each power of two, of which @n itself tells. */
	if ((*n & (*n - 1)) == 0)
		array = reallocarray(array, *n ? 2 * *n : 1, size);
	if (!array) {
		fprintf(stderr, "ramsearch: no memory\n");
		exit(2);
	}
	(*n)++;
	return array;
}

static int by_first(const void *a, const void *b)
{
	const struct frames *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

static bool is_secret_frame(uint64_t frame)
{
	size_t low = 0, high = nr_frames;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (frame < frames[middle].first)
			high = middle;
		else if (frame - frames[middle].first < frames[middle].count)
			return true;
		else
			low = middle + 1;
	}
	return false;
}

static void found(void *arg, const struct search_copy *copy)
{
	struct count *count = &counts[copy->needle];
	uint64_t last = copy->address + copy->length - 1;
	bool inside = is_secret_frame(copy->address >> PAGE_SHIFT) &&
		      is_secret_frame(last >> PAGE_SHIFT);

	(void)arg;
	if (!count->copies || (!inside && !count->elsewhere))
		count->address = copy->address;
	count->copies++;
	count->whole += copy->whole;
	count->in_frames += inside;
	count->elsewhere += !inside;
	if (copy->length > count->longest)
		count->longest = copy->length;
}

static int read_needle(struct search *search, const char *line)
{
	struct needle needle;
	const char *why = "is malformed";

	if (needle_parse(line, &needle) || search_add(search, &needle, &why)) {
		fprintf(stderr, "ramsearch: needle %s %s\n", needle.name, why);
		return -EINVAL;
	}
	memcpy(counts[nr_needles++].name, needle.name, sizeof(needle.name));
	return 0;
}

static int read_line(struct search *search, const char *line)
{
	uint64_t a, b, c;

	if (!strncmp(line, "NEEDLE ", 7))
		return read_needle(search, line);
	if (sscanf(line, "FRAMES %" SCNi64 " %" SCNi64, &a, &b) == 2) {
		frames = grow(frames, &nr_frames, sizeof(*frames));
		frames[nr_frames - 1] = (struct frames){ a, b };
		return 0;
	}
	if (sscanf(line, "RANGE %" SCNi64 " %" SCNi64 " %" SCNi64, &a, &b, &c) == 3) {
		ranges = grow(ranges, &nr_ranges, sizeof(*ranges));
		ranges[nr_ranges - 1] = (struct range){ a, b, c };
		return 0;
	}
	if (!strncmp(line, "SEARCH", 6))
		return 0;
	fprintf(stderr, "ramsearch: what is this line? %s\n", line);
	return -EINVAL;
}

static int read_request(struct search *search)
{
	char *line = NULL;
	size_t room = 0;
	int err = 0;

	while (!err && getline(&line, &room, stdin) >= 0) {
		line[strcspn(line, "\r\n")] = 0;
		if (!strcmp(line, "GO"))
			break;
		err = read_line(search, line);
	}
	free(line);
	if (!err && !nr_needles) {
		fprintf(stderr, "ramsearch: no needles on stdin\n");
		err = -EINVAL;
	}
	if (nr_frames)
		qsort(frames, nr_frames, sizeof(*frames), by_first);
	return err;
}

static int search_image(struct search *search, const uint8_t *image, uint64_t size)
{
	const struct range all = { 0, 0, size };
	const struct range *range = nr_ranges ? ranges : &all;
	size_t n = nr_ranges ?: 1;

	for (; n; n--, range++) {
		if (range->offset > size || range->length > size - range->offset) {
			fprintf(stderr,
				"ramsearch: a RANGE reaches past the end of the file (%" PRIu64
				" bytes)\n",
				size);
			return -EINVAL;
		}
		search_feed(search, range->physical, image + range->offset,
			    range->length);
		search_gap(search);
	}
	return 0;
}

static int search_file(struct search *search, const char *path)
{
	int err = -EINVAL, fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	void *image;

	if (fd < 0 || fstat(fd, &status) < 0) {
		fprintf(stderr, "ramsearch: %s: %s\n", path, strerror(errno));
		goto out;
	}
	if (!S_ISREG(status.st_mode) || !status.st_size) {
		fprintf(stderr, "ramsearch: %s: not a file, or an empty one\n", path);
		goto out;
	}
	image = mmap(NULL, status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (image == MAP_FAILED) {
		fprintf(stderr, "ramsearch: %s: %s\n", path, strerror(errno));
		goto out;
	}
	madvise(image, status.st_size, MADV_SEQUENTIAL);
	err = search_image(search, image, status.st_size);
	munmap(image, status.st_size);
out:
	if (fd >= 0)
		close(fd);
	return err;
}

int main(int argc, char **argv)
{
	struct search *search;

	if (argc != 2) {
		fprintf(stderr, "usage: ramsearch FILE < request\n");
		return 2;
	}
	search = search_new(found, NULL);
	if (!search || read_request(search) || search_file(search, argv[1]))
		return 2;
	for (unsigned int i = 0; i < nr_needles; i++) {
		const struct count *count = &counts[i];

		printf("FOUND %s %" PRIu64 " %" PRIu64 " %u %" PRIu64 " %" PRIu64
		       " 0x%" PRIx64 "\n",
		       count->name, count->copies, count->whole, count->longest,
		       count->in_frames, count->elsewhere, count->address);
	}
	printf("DONE %" PRIu64 "\n", search_bytes(search));
	search_free(search);
	free(frames);
	free(ranges);
	return fflush(stdout) || ferror(stdout) ? 2 : 0;
}
