// SPDX-License-Identifier: MIT
/*
 * Memory that a section maps by itself: said, kept out of core dumps, and wiped when
 * it is unmapped. What became of a page after that a pipe tells, which was given it by
 * reference; of memory that was mapped outside of sections it tells that nothing did.
 */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "redirect.h"

#define PAGE 4096UL
#define PAGES 8UL
#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS)

/* Pages, each of which a pipe has too. */
struct watched {
	char *start;
	unsigned long pages;
	int pipes[PAGES][2];
};

static void fill_and_watch(struct watched *w)
{
	struct iovec page = { .iov_len = PAGE };
	unsigned long i;

	memset(w->start, 's', w->pages * PAGE);
	for (i = 0; i < w->pages; i++) {
		page.iov_base = w->start + i * PAGE;
		cr_assert_eq(pipe(w->pipes[i]), 0);
		cr_assert_eq(vmsplice(w->pipes[i][1], &page, 1, 0), PAGE);
	}
}

/* What became of a page: 's' is that it is as it was, 0 that it is wiped. */
static int page_is(const struct watched *w, unsigned long i)
{
	static char page[PAGE];
	unsigned long k;

	cr_assert_eq(read(w->pipes[i][0], page, PAGE), PAGE);
	for (k = 1; k < PAGE; k++)
		if (page[k] != page[0])
			return -1;
	return page[0];
}

/* Looks once: the pipes are empty then. */
static void check_pages(const struct watched *w, const char *expected)
{
	unsigned long i;

	for (i = 0; expected[i]; i++)
		cr_assert_eq(page_is(w, i), expected[i] == '0' ? 0 : 's',
			     "page %lu of %s", i, expected);
}

struct mapping {
	void *start;
	int flags;
	unsigned long pages;
};

static void map(void *arg)
{
	struct mapping *m = arg;

	m->start = mmap(NULL, m->pages * PAGE, PROT_READ | PROT_WRITE, m->flags, -1, 0);
}

static struct watched map_watched(bool in_section, int flags)
{
	struct mapping m = { .flags = flags, .pages = PAGES };
	struct watched w = { .pages = PAGES };

	if (in_section)
		do_in_section(map, &m);
	else
		map(&m);
	cr_assert_neq(m.start, MAP_FAILED);
	cr_assert_not(secret(m.start));
	w.start = m.start;
	fill_and_watch(&w);
	return w;
}

/* What goes to stderr from now on. */
static int catch_stderr(void)
{
	int fd = memfd_create("stderr", 0);

	cr_assert_geq(fd, 0);
	cr_assert_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	return fd;
}

static const char *caught(int fd)
{
	static char said[4096];
	ssize_t n = pread(fd, said, sizeof(said) - 1, 0);

	said[n > 0 ? n : 0] = 0;
	return said;
}

static unsigned int lines(const char *said)
{
	unsigned int n = 0;

	while ((said = strstr(said, "lethe: "))) {
		said += 7;
		n++;
	}
	return n;
}

Test(redirect_map, a_mapping_in_a_section_is_said_once_and_wiped_when_unmapped)
{
	struct watched inside, outside = map_watched(false, PRIVATE);
	int fd = catch_stderr();

	munmap(outside.start, PAGES * PAGE);
	cr_assert_str_eq(caught(fd), "");
	check_pages(&outside, "ssssssss");
	inside = map_watched(true, PRIVATE);
	cr_assert_not_null(strstr(caught(fd),
				  " maps 32768 bytes by itself in a section: "
				  "ordinary memory, wiped when it is unmapped\n"),
			   "%s", caught(fd));
	cr_assert_eq(munmap(inside.start, PAGES * PAGE), 0);
	check_pages(&inside, "00000000");
	inside = map_watched(true, PRIVATE);
	cr_assert_eq(munmap(inside.start, PAGES * PAGE), 0);
	check_pages(&inside, "00000000");
	cr_assert_eq(lines(caught(fd)), 1, "%s", caught(fd));
}

static void map_and_unmap(void *arg)
{
	struct watched *w = arg;

	munmap(w->start, PAGES * PAGE);
}

Test(redirect_map, what_was_mapped_outside_is_not_wiped_inside)
{
	struct watched w = map_watched(false, PRIVATE);

	do_in_section(map_and_unmap, &w);
	check_pages(&w, "ssssssss");
}

Test(redirect_map, a_part_that_is_unmapped_is_wiped_and_the_rest_stays)
{
	struct watched w = map_watched(true, PRIVATE);

	cr_assert_eq(munmap(w.start + 2 * PAGE, 3 * PAGE), 0);
	cr_assert_eq(w.start[0], 's');
	cr_assert_eq(w.start[5 * PAGE], 's');
	/* What is put into the hole is nobody's of these. */
	cr_assert_eq(mmap(w.start + 3 * PAGE, PAGE, PROT_READ | PROT_WRITE,
			  PRIVATE | MAP_FIXED, -1, 0),
		     w.start + 3 * PAGE);
	cr_assert_eq(munmap(w.start, PAGE), 0);
	cr_assert_eq(munmap(w.start + PAGE, 7 * PAGE), 0);
	check_pages(&w, "00000000");
}

Test(redirect_map, what_is_mapped_over_it_wipes_it_and_is_left_alone)
{
	struct watched w = map_watched(true, PRIVATE), over = { .pages = 2 };

	over.start = mmap(w.start + PAGE, 2 * PAGE, PROT_READ | PROT_WRITE,
			  PRIVATE | MAP_FIXED, -1, 0);
	cr_assert_eq(over.start, w.start + PAGE);
	fill_and_watch(&over);
	cr_assert_eq(munmap(w.start, PAGES * PAGE), 0);
	check_pages(&w, "00000000");
	check_pages(&over, "ss");
}

Test(redirect_map, it_is_known_after_it_was_moved_and_cut)
{
	struct watched w = map_watched(true, PRIVATE);
	char *moved;

	cr_assert_eq(mremap(w.start, PAGES * PAGE, 5 * PAGE, 0), w.start);
	moved = mremap(w.start, 5 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
	cr_assert_neq(moved, MAP_FAILED);
	cr_assert_eq(moved[4 * PAGE], 's');
	moved[63 * PAGE] = 's';
	cr_assert_eq(munmap(moved, 64 * PAGE), 0);
	check_pages(&w, "00000000");
}

Test(redirect_map, both_places_are_known_where_one_was_left_mapped)
{
	struct watched w = map_watched(true, PRIVATE), again = w;
	void *moved = mremap(w.start, PAGES * PAGE, PAGES * PAGE,
			     MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);

	cr_assert_neq(moved, MAP_FAILED);
	fill_and_watch(&again);
	cr_assert_eq(munmap(again.start, PAGES * PAGE), 0);
	cr_assert_eq(munmap(moved, PAGES * PAGE), 0);
	check_pages(&w, "00000000");
	check_pages(&again, "00000000");
}

Test(redirect_map, what_cannot_be_written_does_no_harm)
{
	struct watched w = map_watched(true, PRIVATE);

	/* As libsodium's guarded memory is. */
	cr_assert_eq(mprotect(w.start, 2 * PAGE, PROT_NONE), 0);
	cr_assert_eq(mprotect(w.start + 2 * PAGE, PAGE, PROT_READ), 0);
	cr_assert_eq(munmap(w.start, PAGES * PAGE), 0);
	check_pages(&w, "sss00000");
}

Test(redirect_map, memory_that_others_share_is_said_and_not_wiped)
{
	int fd = catch_stderr();
	struct watched w = map_watched(true, MAP_SHARED | MAP_ANONYMOUS);

	cr_assert_not_null(strstr(caught(fd), "ordinary memory, that nobody will wipe\n"),
			   "%s", caught(fd));
	cr_assert_eq(munmap(w.start, PAGES * PAGE), 0);
	check_pages(&w, "ssssssss");
}

static bool is_dumped(const void *start)
{
	unsigned long low, high, at = (unsigned long)start;
	FILE *smaps = fopen("/proc/self/smaps", "re");
	bool found = false, left_out = false;
	char line[256];

	cr_assert_not_null(smaps);
	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &low, &high) == 2)
			found = low <= at && at < high;
		else if (found && !strncmp(line, "VmFlags:", 8))
			left_out = strstr(line, " dd") != NULL;
	}
	fclose(smaps);
	return !left_out;
}

Test(redirect_map, it_is_left_out_of_core_dumps)
{
	struct mapping inside = { .flags = PRIVATE, .pages = 100 }, outside = inside;

	do_in_section(map, &inside);
	map(&outside);
	cr_assert_not(is_dumped(inside.start));
	cr_assert(is_dumped(outside.start));
}

static void map_many(void *arg)
{
	char **starts = arg;
	int i;

	for (i = 0; i < 400; i++)
		starts[i] = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, PRIVATE, -1, 0);
}

Test(redirect_map, more_than_can_be_known_is_mapped_all_the_same)
{
	static char *starts[400];
	int i, fd = catch_stderr();
	struct watched w;

	do_in_section(map_many, starts);
	cr_assert_not_null(strstr(caught(fd), ", wiped when it is unmapped\n"));
	cr_assert_not_null(strstr(caught(fd), ", that nobody will wipe\n"));
	cr_assert_eq(lines(caught(fd)), 2);
	for (i = 0; i < 400; i++) {
		cr_assert_neq(starts[i], MAP_FAILED);
		starts[i][0] = 's';
	}
	for (i = 0; i < 400; i++)
		cr_assert_eq(munmap(starts[i], PAGE), 0);
	/* And there is room again. */
	w = map_watched(true, PRIVATE);
	cr_assert_eq(munmap(w.start, PAGES * PAGE), 0);
	check_pages(&w, "00000000");
}

/* With no entry left for the second half of one. */
Test(redirect_map, what_stays_mapped_is_not_touched)
{
	static char *starts[400];
	struct watched w = map_watched(true, PRIVATE);

	do_in_section(map_many, starts);
	cr_assert_eq(munmap(w.start + 3 * PAGE, PAGE), 0);
	cr_assert_eq(w.start[2 * PAGE], 's');
	cr_assert_eq(w.start[4 * PAGE], 's');
	check_pages(&w, "sss0ssss");
}

static void grow_heap(void *arg)
{
	char **blocks = arg;
	int i;

	for (i = 0; i < 200; i++)
		blocks[i] = malloc(5000);
}

Test(redirect_map, what_the_library_maps_for_itself_is_not_said)
{
	static char *blocks[200];
	int i, fd = catch_stderr();

	do_in_section(grow_heap, blocks);
	for (i = 0; i < 200; i++) {
		cr_assert(secret(blocks[i]));
		free(blocks[i]);
	}
	cr_assert_null(strstr(caught(fd), "by itself"), "%s", caught(fd));
}

static atomic_bool grown;

static void load_and_unload(void *arg)
{
	(void)arg;
	do {
		dlclose(dlopen("libanl.so.1", RTLD_NOW));
	} while (!atomic_load(&grown));
}

static void *load_in_section(void *arg)
{
	return lethe_do(load_and_unload, NULL) ? NULL : arg;
}

/* All that the heap knows of itself comes and goes too. */
static void grow_and_shrink(void *arg)
{
	/* Where no compiler takes both away. */
	void *volatile block;

	(void)arg;
	for (int i = 0; i < 30; i++) {
		block = malloc(400 << 10);
		free(block);
		lethe_trim();
	}
}

/* The loader has a lock, with which it allocates; the heap has one, with which it maps. */
Test(redirect_map, the_heap_grows_while_another_section_loads_libraries, .timeout = 60)
{
	pthread_t loader;
	void *loaded;

	cr_assert_eq(pthread_create(&loader, NULL, load_in_section, (void *)1), 0);
	do_in_section(grow_and_shrink, NULL);
	atomic_store(&grown, true);
	cr_assert_eq(pthread_join(loader, &loaded), 0);
	cr_assert_not_null(loaded);
}
