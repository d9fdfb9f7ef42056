// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Loads and attaches the probe of access.bpf.c by what the running kernel has, and
 * adds up what it counts.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "access.h"
#include "access.skel.h"
#include "watching.h"

enum { CALL, RESULT, SIGNAL, EXIT, REFUSED, PIN, PIN_FAST, MEM, DENIED, BPF, HOOKS };

struct access_probe {
	struct access_bpf *skeleton;
	struct hook hooks[HOOKS];
};

const char *const access_way_names[ACCESS_WAYS] = {
	[ACCESS_PIN] = "pin",           [ACCESS_PTRACE] = "ptrace",
	[ACCESS_ATTACH] = "attach",     [ACCESS_PROCESS_VM] = "process_vm",
	[ACCESS_PROC_MEM] = "proc_mem", [ACCESS_CORE] = "core",
	[ACCESS_PERF] = "perf",         [ACCESS_BPF] = "bpf",
};

static const struct hook places[HOOKS] = {
	[CALL] = { .name = "sys_enter",
		   .sees = "ptrace, process_vm_readv, perf_event_open and their like",
		   .unseen = "all that a system call tries" },
	[RESULT] = { .name = "sys_exit",
		     .sees = "what came of them",
		     .unseen = "all that a system call tries" },
	[SIGNAL] = { .name = "signal_deliver",
		     .sees = "signals that dump core",
		     .unseen = "dumps of core" },
	[EXIT] = { .name = "sched_process_exit",
		   .sees = "whether core was dumped",
		   .unseen = "dumps of core" },
	[REFUSED] = { .name = "check_vma_flags",
		      .sees = "pages that the kernel refuses to pin",
		      .unseen = "refused pins by other calls than the common ones" },
	[PIN] = { .name = "__get_user_pages",
		  .sees = "locked pages that are pinned",
		  .unseen = "locked pages that are pinned, where not by a fast way" },
	[PIN_FAST] = { .name = "gup_fast_fallback",
		       .sees = "locked pages that are pinned by a fast way",
		       .unseen = "locked pages that direct I/O and its like pin" },
	[MEM] = { .name = "mem_rw",
		  .sees = "/proc/pid/mem",
		  .unseen = "/proc/pid/mem by io_uring" },
	[DENIED] = { .name = "mm_access",
		     .sees = "who may not open /proc/pid/mem",
		     .unseen = "who may not open /proc/pid/mem" },
	[BPF] = { .name = "copy_from_user_nofault",
		  .sees = "reads by BPF programs",
		  .unseen = "reads by BPF programs" },
};

/* Of functions; the others are tracepoints. */
static const char *const functions[HOOKS][3] = {
	[REFUSED] = { "check_vma_flags" },
	[PIN] = { "__get_user_pages" },
	[PIN_FAST] = { "gup_fast_fallback", "internal_get_user_pages_fast" },
	[MEM] = { "mem_rw" },
	[DENIED] = { "mm_access" },
	[BPF] = { "copy_from_user_nofault" },
};

static struct bpf_program *program_of(const struct access_probe *probe, int hook)
{
	struct bpf_program *const programs[HOOKS] = {
		[CALL] = probe->skeleton->progs.access_call,
		[RESULT] = probe->skeleton->progs.access_result,
		[SIGNAL] = probe->skeleton->progs.access_signal,
		[EXIT] = probe->skeleton->progs.access_exit,
		[REFUSED] = probe->skeleton->progs.access_pin_refused,
		[PIN] = probe->skeleton->progs.access_pin,
		[PIN_FAST] = probe->skeleton->progs.access_pin_fast,
		[MEM] = probe->skeleton->progs.access_mem,
		[DENIED] = probe->skeleton->progs.access_denied,
		[BPF] = probe->skeleton->progs.access_bpf,
	};

	return programs[hook];
}

static int load(struct access_probe *probe, struct frames *frames)
{
	struct access_bpf *skeleton = probe->skeleton;
	int err;

	for (int i = 0; i < HOOKS; i++)
		hook_choose(&probe->hooks[i], program_of(probe, i),
			    functions[i][0] ? functions[i] : NULL);
	skeleton->rodata->layout = *frames_layout(frames);
	skeleton->rodata->sees_refused =
		bpf_program__autoload(skeleton->progs.access_pin_refused);
	skeleton->rodata->sees_mem = bpf_program__autoload(skeleton->progs.access_mem);
	err = bpf_map__reuse_fd(skeleton->maps.own_reads, watching_own_reads());
	err = err ?: bpf_map__reuse_fd(skeleton->maps.holders, frames_holders_fd(frames));
	err = err ?: access_bpf__load(skeleton);
	return err ?: watching_run(skeleton->progs.tell_self);
}

/* What /proc/pid/mem is known by. */
static int learn(struct access_probe *probe)
{
	struct access_bpf *skeleton = probe->skeleton;
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	skeleton->bss->mem_descriptor = fd;
	err = watching_run(skeleton->progs.access_learn);
	close(fd);
	return err;
}

int access_probe_open(struct access_probe **out, struct frames *frames, const char **why)
{
	struct access_probe *probe;
	int err = hook_possible(why);

	if (err)
		return err;
	probe = calloc(1, sizeof(*probe));
	if (!probe) {
		*why = "no memory";
		return -ENOMEM;
	}
	memcpy(probe->hooks, places, sizeof(places));
	probe->skeleton = access_bpf__open();
	err = probe->skeleton ? load(probe, frames) : -errno;
	if (err) {
		*why = hook_complaint();
		goto undo;
	}
	err = learn(probe);
	if (err) {
		*why = "/proc/self/mem cannot be looked at: is /proc mounted?";
		goto undo;
	}
	for (int i = 0; i < HOOKS; i++)
		hook_attach(&probe->hooks[i], program_of(probe, i));
	if (!probe->hooks[CALL].attached || !probe->hooks[RESULT].attached) {
		*why = probe->hooks[CALL].attached ? probe->hooks[RESULT].why_not :
						     probe->hooks[CALL].why_not;
		err = -ENOENT;
		goto undo;
	}
	*out = probe;
	return 0;
undo:
	access_probe_close(probe);
	return err;
}

const struct hook *access_probe_hooks(const struct access_probe *probe, size_t *nr)
{
	*nr = HOOKS;
	return probe->hooks;
}

int access_probe_counts(const struct access_probe *probe, struct access_counts *counts)
{
	int processors = libbpf_num_possible_cpus(), zero = 0, err;
	struct access_counts *parts;

	memset(counts, 0, sizeof(*counts));
	if (processors < 0)
		return processors;
	parts = calloc(processors, sizeof(*parts));
	if (!parts)
		return -ENOMEM;
	err = bpf_map_lookup_elem(bpf_map__fd(probe->skeleton->maps.counts), &zero,
				  parts);
	for (int i = 0; !err && i < processors; i++) {
		for (int way = 0; way < ACCESS_WAYS; way++) {
			counts->tried[way] += parts[i].tried[way];
			counts->refused[way] += parts[i].refused[way];
		}
	}
	counts->lost = probe->skeleton->bss->lost + watching_missed(probe->skeleton->obj);
	free(parts);
	return err;
}

int access_probe_ring(const struct access_probe *probe)
{
	return bpf_map__fd(probe->skeleton->maps.events);
}

void access_probe_close(struct access_probe *probe)
{
	if (!probe)
		return;
	for (int i = 0; i < HOOKS; i++)
		hook_detach(&probe->hooks[i]);
	access_bpf__destroy(probe->skeleton);
	free(probe);
}
