// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Looks in /proc for what each process has mapped: whose frame a frame is, and who holds
 * any. It reads no secret page.
 *
 * It races with all of them, and is never wrong for that: a bit is set first and what
 * it was set for looked at again after that. What was given back in between has taken
 * the bit away, or the second look does.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "frames_look.h"

#define TRIES 8

static int by_frame(const void *left, const void *right)
{
	const struct mapped_page *a = left, *b = right;

	if (a->frame != b->frame)
		return a->frame < b->frame ? -1 : 1;
	return a->kind < b->kind ? -1 : a->kind > b->kind;
}

static int by_pages(const void *left, const void *right)
{
	const struct frames_holder *a = left, *b = right;
	unsigned long long in_a = a->pages[0] + a->pages[1] + a->pages[2];
	unsigned long long in_b = b->pages[0] + b->pages[1] + b->pages[2];

	if (in_a != in_b)
		return in_a > in_b ? -1 : 1;
	return a->pid < b->pid ? -1 : a->pid > b->pid;
}

/* The module always; of memfd_secret what came after the first look is seen to come. */
static bool says_itself(const struct frames *frames, unsigned int kind)
{
	return kind == FRAME_KMOD ||
	       (kind == FRAME_MEMFD && frames->exact_memfd && frames->looked);
}

static void change_bits(struct frames *frames, const struct mapped_page *page, size_t nr,
			bool set)
{
	for (; nr; nr--, page++) {
		if (says_itself(frames, page->kind) || page->frame >= frames->size)
			continue;
		if (set)
			frames_set(frames, page->frame, page->kind);
		else
			frames_clear(frames, page->frame, page->kind);
	}
}

/* Appends what @pid has mapped. 0 or -errno. */
static int list(pid_t pid, struct mapped_pages *pages)
{
	struct mapping *mappings;
	int nr = mappings_secret(pid, &mappings);
	int err = 0;

	if (nr < 0)
		return nr;
	if (nr)
		err = mappings_pages(pid, mappings, nr, pages);
	free(mappings);
	return err;
}

static bool same_pages(const struct mapped_pages *a, const struct mapped_pages *b)
{
	return a->nr == b->nr &&
	       (!a->nr || !memcmp(a->page, b->page, a->nr * sizeof(*a->page)));
}

/*
 * Appends what @pid has mapped, with the bits of it set; not what it had mapped and
 * has no longer. A process that never keeps still is taken as it was at last.
 */
static int list_and_set(struct frames *frames, pid_t pid, struct mapped_pages *pages)
{
	struct mapped_pages first = { 0 }, second = { 0 };
	int tries, err = 0;
	size_t i;

	for (tries = 0; !err && tries < TRIES; tries++) {
		mapped_pages_free(&first);
		first = second;
		second = (struct mapped_pages){ 0 };
		change_bits(frames, first.page, first.nr, true);
		err = list(pid, &second);
		if (!err && same_pages(&first, &second))
			break;
		change_bits(frames, first.page, first.nr, false);
	}
	change_bits(frames, second.page, second.nr, true);
	for (i = 0; i < second.nr && !err; i++)
		err = mapped_pages_add(pages, &second.page[i]);
	mapped_pages_free(&first);
	mapped_pages_free(&second);
	return err;
}

/* What was only locked, and is not in the new list, is not secret any more. */
static void replace_pages(struct frames *frames, struct mapped_pages *pages)
{
	const struct mapped_page *old = frames->pages.page;
	size_t i;

	if (pages->nr)
		qsort(pages->page, pages->nr, sizeof(*pages->page), by_frame);
	for (i = 0; i < frames->pages.nr; i++) {
		if (says_itself(frames, old[i].kind))
			continue;
		if (!pages->nr || !bsearch(&old[i], pages->page, pages->nr,
					   sizeof(*pages->page), by_frame))
			change_bits(frames, &old[i], 1, false);
	}
	mapped_pages_free(&frames->pages);
	frames->pages = *pages;
}

/* Of pages that follow each other by process. */
static int add_holder(struct frames *frames, const struct mapped_page *page, size_t nr)
{
	struct frames_holder holder = { .pid = page->pid };
	struct frames_holder *more;
	size_t i;

	mappings_command(page->pid, holder.command);
	for (i = 0; i < nr; i++)
		holder.pages[__builtin_ctz(page[i].kind)]++;
	more = realloc(frames->holders, (frames->nr_holders + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	frames->holders = more;
	more[frames->nr_holders++] = holder;
	return 0;
}

static void drop_holder(struct frames *frames, pid_t pid)
{
	unsigned int i;

	for (i = 0; i < frames->nr_holders; i++) {
		if (frames->holders[i].pid == pid) {
			frames->holders[i] = frames->holders[--frames->nr_holders];
			return;
		}
	}
}

/* For the filters in the kernel, whose numbers are those of the first namespace. */
static void tell_kinds(struct frames *frames, pid_t pid, const struct mapped_page *page,
		       size_t nr)
{
	unsigned int key = pid, kinds = 0;

	if (!frames->hooks[FRAMES_HOOKS - 1].attached)
		return;
	for (; nr; nr--, page++)
		kinds |= page->kind;
	if (kinds)
		bpf_map_update_elem(frames_holders_fd(frames), &key, &kinds, BPF_ANY);
	else
		bpf_map_delete_elem(frames_holders_fd(frames), &key);
}

/* Appends what @pid has to @pages, and makes it a holder if that is anything. */
static int look_at(struct frames *frames, pid_t pid, struct mapped_pages *pages)
{
	size_t before = pages->nr;
	int err = list_and_set(frames, pid, pages);
	size_t nr = pages->nr - before;

	tell_kinds(frames, pid, pages->page + before, nr);
	if (nr && !err)
		err = add_holder(frames, pages->page + before, nr);
	return err;
}

int frames_look_at(struct frames *frames, pid_t pid)
{
	struct mapped_pages pages = { 0 };
	int gone, err = 0;
	size_t i;

	for (i = 0; i < frames->pages.nr && !err; i++) {
		if (frames->pages.page[i].pid != pid)
			err = mapped_pages_add(&pages, &frames->pages.page[i]);
	}
	if (err)
		goto fail;
	drop_holder(frames, pid);
	gone = look_at(frames, pid, &pages);
	if (gone == -ENOMEM || gone == -EPERM) {
		err = gone;
		goto fail;
	}
	replace_pages(frames, &pages);
	return gone;
fail:
	mapped_pages_free(&pages);
	return err;
}

/* Those that were noted, and of which nothing has said that they ended. */
static void forget_the_dead(struct frames *frames)
{
	int fd = frames_holders_fd(frames);
	unsigned int key, next;
	bool more = !bpf_map_get_next_key(fd, NULL, &next);

	while (more) {
		key = next;
		more = !bpf_map_get_next_key(fd, &key, &next);
		if (kill(key, 0) && errno == ESRCH)
			bpf_map_delete_elem(fd, &key);
	}
}

int frames_look_at_all(struct frames *frames)
{
	struct mapped_pages pages = { 0 };
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	int err = 0;
	pid_t pid;

	if (!proc)
		return -errno;
	frames->nr_holders = 0;
	frames->unreadable = 0;
	while (!err && (entry = readdir(proc))) {
		pid = atoi(entry->d_name);
		if (!pid)
			continue;
		err = look_at(frames, pid, &pages);
		frames->unreadable += err == -EACCES;
		if (err == -ESRCH || err == -EACCES)
			err = 0;
	}
	closedir(proc);
	if (err) {
		mapped_pages_free(&pages);
		return err;
	}
	forget_the_dead(frames);
	frames->looked = true;
	replace_pages(frames, &pages);
	return 0;
}

static const struct mapped_page *find(const struct frames *frames,
				      unsigned long long frame)
{
	size_t low = 0, high = frames->pages.nr, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (frames->pages.page[middle].frame < frame)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == frames->pages.nr || frames->pages.page[low].frame != frame)
		return NULL;
	return &frames->pages.page[low];
}

pid_t frames_owner(const struct frames *frames, unsigned long long frame,
		   unsigned long long *address)
{
	const struct mapped_page *page = find(frames, frame);

	*address = page ? page->address : 0;
	return page ? page->pid : 0;
}

unsigned int frames_at(const struct frames *frames, pid_t pid, unsigned long long address,
		       unsigned long long length)
{
	struct mapping *mappings;
	unsigned int kinds = 0;
	int nr, i;

	(void)frames;
	if (!length)
		return 0;
	nr = mappings_secret(pid, &mappings);
	for (i = 0; i < nr; i++) {
		/* Not by its end, which may be past the last address there is. */
		if (address < mappings[i].end && (mappings[i].start <= address ||
						  mappings[i].start - address < length))
			kinds |= mappings[i].kind;
	}
	free(mappings);
	return kinds;
}

bool frames_confirm(const struct frames *frames, unsigned long long frame,
		    unsigned int kind)
{
	unsigned long long address;
	pid_t pid;

	if ((kind & FRAME_SECRET) != FRAME_LOCKED)
		return true;
	pid = frames_owner(frames, frame, &address);
	if (!pid || kill(pid, 0))
		return true;
	return frames_at(frames, pid, address, 1) & FRAME_LOCKED;
}

int frames_holders(const struct frames *frames, struct frames_holder **holders)
{
	size_t size = frames->nr_holders * sizeof(**holders);

	*holders = malloc(size ? size : 1);
	if (!*holders)
		return -ENOMEM;
	if (size)
		memcpy(*holders, frames->holders, size);
	qsort(*holders, frames->nr_holders, sizeof(**holders), by_pages);
	return frames->nr_holders;
}
