// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Makes the set of secret frames, keeps it current, and answers for it. What the
 * module has it is told by the module, the rest it finds in /proc, and what comes
 * after that frames.bpf.c sees. It never reads a secret page.
 *
 * A page that is only locked is found when its process is looked at: at each
 * frames_refresh(), and by frames_settle() after a call that may have changed what is
 * locked. A frame that is freed leaves the set at that moment, whoever had it: what is
 * out of date is never the next owner's.
 *
 * While this is open it holds the module, as any tracer of its does: rmmod says that it
 * is in use.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "frames_look.h"
#include "frames_module.h"

#include "frames.skel.h"

enum { REGION, MEMFD, FREED, CALL, EXIT, EXEC, FORK, PROC, NR_HOOKS };

static const struct hook places[NR_HOOKS] = {
	[REGION] = { .name = "region_frames",
		     .sees = "frames of regions, as they come and go",
		     .unseen = "regions that are made later" },
	[MEMFD] = { .name = "mm_filemap_add_to_page_cache",
		    .sees = "pages of memfd_secret, as they come",
		    .unseen = "pages of memfd_secret that come later" },
	[FREED] = { .name = "mm_page_free",
		    .sees = "frames that are free again",
		    .unseen = "that a frame of memfd_secret or mlock is no longer one" },
	[CALL] = { .name = "sys_exit",
		   .sees = "calls that lock, unlock or map memory",
		   .unseen =
			   "pages that are locked later, until all is looked at again" },
	[EXIT] = { .name = "sched_process_exit",
		   .sees = "holders that end",
		   .unseen = "that a holder has ended" },
	[EXEC] = { .name = "sched_process_exec",
		   .sees = "holders that run another program",
		   .unseen = "that a holder runs another program" },
	[FORK] = { .name = "sched_process_fork",
		   .sees = "holders' children",
		   .unseen = "children that inherit pages of memfd_secret" },
	[PROC] = { .name = "/proc",
		   .sees = "pages that were there before; all that are only locked",
		   .unseen = "processes outside of this pid namespace" },
};

static struct bpf_program *program_of(struct frames_bpf *skeleton, unsigned int hook)
{
	struct bpf_program *const programs[NR_HOOKS] = {
		[REGION] = skeleton->progs.frames_of_region,
		[MEMFD] = skeleton->progs.frames_of_memfd,
		[FREED] = skeleton->progs.frames_freed,
		[CALL] = skeleton->progs.frames_call,
		[EXIT] = skeleton->progs.frames_exit,
		[EXEC] = skeleton->progs.frames_exec,
		[FORK] = skeleton->progs.frames_fork,
	};

	return programs[hook];
}

static const char not_first[] =
	"not in the first pid namespace: run it outside of the container";

/* The first one's number is fixed (PROC_PID_INIT_INO). */
static bool in_first_namespace(void)
{
	char target[64] = "";

	return readlink("/proc/self/ns/pid", target, sizeof(target) - 1) > 0 &&
	       !strcmp(target, "pid:[4026531836]");
}

static void attach_region(struct frames *frames)
{
	frames->announced = hook_attach(&frames->hooks[REGION],
					program_of(frames->skeleton, REGION));
	if (frames->announced)
		hook_attach(&frames->again,
			    frames->skeleton->progs.frames_of_region_again);
}

static void attach_all(struct frames *frames)
{
	struct hook *proc = &frames->hooks[PROC];
	unsigned int i;

	attach_region(frames);
	for (i = MEMFD; i < PROC; i++)
		hook_attach(&frames->hooks[i], program_of(frames->skeleton, i));
	proc->attached = in_first_namespace();
	if (!proc->attached)
		snprintf(proc->why_not, sizeof(proc->why_not), "%s", not_first);
	frames->exact_memfd = frames->hooks[MEMFD].attached &&
			      frames->hooks[FREED].attached;
}

static unsigned int shift_of(unsigned long long size)
{
	return size & (size - 1) ? 0 : __builtin_ctzll(size);
}

static int load(struct frames *frames, const char **why)
{
	const struct layout *layout = frames->layout;
	struct frames_bpf *skeleton = frames_bpf__open();
	size_t entries = (layout->frames + 7) / 8;
	size_t words = layout->frames / 4096 + 1;
	int err;

	frames->skeleton = skeleton;
	if (!skeleton) {
		*why = "its BPF object cannot be read";
		return -errno;
	}
	skeleton->rodata->vmemmap = layout->vmemmap;
	skeleton->rodata->page_size = layout->page_size;
	skeleton->rodata->page_shift = shift_of(layout->page_size);
	skeleton->rodata->secretmem_aops = layout->secretmem_aops;
	skeleton->rodata->nr_frames = layout->frames;
	skeleton->rodata->summary_at = entries;
	err = bpf_map__set_max_entries(skeleton->maps.secret_frames, entries + words);
	if (!err)
		err = frames_bpf__load(skeleton);
	if (err) {
		*why = "the kernel refuses the BPF programs that follow secret frames";
		return err;
	}
	frames->size = entries * 8;
	frames->mapped = (entries + words) * 8;
	frames->bytes = mmap(NULL, frames->mapped, PROT_READ | PROT_WRITE, MAP_SHARED,
			     frames_map_fd(frames), 0);
	if (frames->bytes == MAP_FAILED) {
		frames->bytes = NULL;
		*why = "the set of secret frames cannot be mapped";
		return -errno;
	}
	return 0;
}

int frames_open(struct frames **out, const struct layout *layout, const char **why)
{
	struct frames *frames = calloc(1, sizeof(*frames));
	int err;

	if (!frames) {
		*why = "no memory";
		return -ENOMEM;
	}
	frames->layout = layout;
	memcpy(frames->hooks, places, sizeof(places));
	err = load(frames, why);
	if (err)
		goto fail;
	attach_all(frames);
	err = frames_refresh(frames, 0);
	if (err) {
		*why = err == -EPERM ?
			       "frame numbers are not for this process: run it as root" :
			       "the processes cannot be looked into";
		goto fail;
	}
	*out = frames;
	return 0;
fail:
	frames_close(frames);
	return err;
}

/* A module that came since. */
static void attach_to_module(struct frames *frames)
{
	if (frames->announced || access("/dev/lethe", F_OK))
		return;
	/* What one that went before it has said counts no more. */
	frames_clear_all(frames, FRAME_TAKEN_BACK | FRAME_KMOD);
	attach_region(frames);
}

int frames_refresh(struct frames *frames, pid_t pid)
{
	int err;

	attach_to_module(frames);
	/* Who listens need not ask again for one process. */
	err = pid && frames->announced ? 0 : frames_ask_module(frames);
	if (err)
		return err;
	if (pid)
		return frames_look_at(frames, pid);
	/* Before, so that nothing that changes meanwhile is taken for seen. */
	frames->seen = frames->skeleton->bss->news;
	return frames_look_at_all(frames);
}

/* Takes one of the processes whose mappings may have changed. False: there is none. */
static bool take_changed(struct frames *frames, unsigned int *pid)
{
	int fd = bpf_map__fd(frames->skeleton->maps.changed);

	if (bpf_map_get_next_key(fd, NULL, pid))
		return false;
	return !bpf_map_delete_elem(fd, pid);
}

int frames_settle(struct frames *frames)
{
	struct frames_news news = frames->skeleton->bss->news;
	unsigned int pid;
	int nr = 0, err;

	if (news.changes == frames->seen.changes)
		return 0;
	if (news.overflows != frames->seen.overflows) {
		while (take_changed(frames, &pid))
			;
		return frames_refresh(frames, 0) ?: 1;
	}
	for (; take_changed(frames, &pid); nr++) {
		err = frames_look_at(frames, pid);
		if (err && err != -ESRCH && err != -EACCES)
			return err;
	}
	frames->seen.changes = news.changes;
	return nr;
}

int frames_mark(struct frames *frames, const void *address, unsigned int bits)
{
	long long frame;
	int tries;

	if (bits & FRAME_KMOD)
		return -EINVAL;
	for (tries = 0; tries < 8; tries++) {
		frame = mappings_own_frame(address);
		if (frame < 0)
			return frame;
		if ((size_t)frame >= frames->size)
			return -ERANGE;
		frames_set(frames, frame, bits);
		/* Still there, after it: had it been freed, the bits would be gone. */
		if (mappings_own_frame(address) == frame)
			return 0;
		frames_clear(frames, frame, bits);
	}
	return -EAGAIN;
}

int frames_unmark(struct frames *frames, unsigned long long frame, unsigned int bits)
{
	if (frame >= frames->size)
		return -ERANGE;
	frames_clear(frames, frame, bits);
	return 0;
}

unsigned int frames_kind(const struct frames *frames, unsigned long long frame)
{
	return frame < frames->size ?
		       frames->bytes[frame] & (FRAME_SECRET | FRAME_DECOY) :
		       0;
}

void frames_total(const struct frames *frames, struct frames_total *total)
{
	const unsigned long long *entry = (const void *)frames->bytes;
	size_t i, j;

	memset(total, 0, sizeof(*total));
	for (i = 0; i < frames->size / 8; i++) {
		for (j = 0; entry[i] && j < 8; j++) {
			unsigned char byte = entry[i] >> j * 8;

			total->kmod += !!(byte & FRAME_KMOD);
			total->memfd += !!(byte & FRAME_MEMFD);
			total->locked += !!(byte & FRAME_LOCKED);
			total->decoys += !!(byte & FRAME_DECOY);
		}
	}
	total->processes = frames->nr_holders;
	total->unreadable = frames->unreadable;
}

unsigned long long frames_missed(const struct frames *frames)
{
	unsigned long long once = hook_missed(frames->skeleton->progs.frames_of_region);
	unsigned long long again =
		hook_missed(frames->skeleton->progs.frames_of_region_again);

	/* One that neither has seen was missed by both. */
	return once < again ? once : again;
}

int frames_map_fd(const struct frames *frames)
{
	return bpf_map__fd(frames->skeleton->maps.secret_frames);
}

unsigned int frames_summary_at(const struct frames *frames)
{
	return frames->size / 8;
}

int frames_holders_fd(const struct frames *frames)
{
	return bpf_map__fd(frames->skeleton->maps.holders);
}

const struct layout *frames_layout(const struct frames *frames)
{
	return frames->layout;
}

const struct hook *frames_hooks(const struct frames *frames, size_t *nr)
{
	*nr = NR_HOOKS;
	return frames->hooks;
}

void frames_close(struct frames *frames)
{
	unsigned int i;

	if (!frames)
		return;
	for (i = 0; i < PROC; i++)
		hook_detach(&frames->hooks[i]);
	hook_detach(&frames->again);
	if (frames->bytes)
		munmap(frames->bytes, frames->mapped);
	frames_bpf__destroy(frames->skeleton);
	mapped_pages_free(&frames->pages);
	free(frames->holders);
	free(frames);
}
