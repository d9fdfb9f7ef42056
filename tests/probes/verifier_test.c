// SPDX-License-Identifier: MIT
/*
 * What the running kernel's verifier had to do for every program of every probe, as it
 * loads it: how many instructions the program has there, and how many were looked at,
 * on all paths. Each has a bound that was measured (verifier.bounds): more than that is a
 * program that has grown, and one without a bound is one that nobody measured. With
 * --table it prints what it measures here.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/bpf.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>

#include "../selftests/tap.h"
#include "probes.h"

#define FDS_MAX 256
/* Where the verifier gives up: BPF_COMPLEXITY_LIMIT_INSNS. */
#define GIVES_UP 1000000
/* No program may come nearer to it than by this factor. */
#define FAR_FROM 10

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define BOUND(probe, program, verified) { #probe, #program, verified },

static const struct bound {
	const char *probe, *program;
	unsigned int verified;
} bounds[] = {
#include "verifier.bounds"
};

static bool measured[ARRAY_SIZE(bounds)];
static unsigned int unbounded, largest;
static char unbounded_name[256];
static bool only_table;

static bool is_program(int fd)
{
	char path[64], target[64];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return false;
	target[length] = '\0';
	return !strcmp(target, "anon_inode:bpf-prog");
}

/* As its source has it: the kernel's own name of it ends after 15 characters. */
static void name_of(int fd, const struct bpf_prog_info *info, char *name, size_t size)
{
	struct bpf_func_info *functions = calloc(info->nr_func_info, sizeof(*functions));
	struct bpf_prog_info again = { .func_info = (uintptr_t)functions,
				       .func_info_rec_size = sizeof(*functions),
				       .nr_func_info = info->nr_func_info };
	struct btf *types = btf__load_from_kernel_by_id(info->btf_id);
	__u32 length = sizeof(again);

	if (!functions || !types || !info->nr_func_info ||
	    bpf_obj_get_info_by_fd(fd, &again, &length))
		tap_bail("a program has no name");
	snprintf(name, size, "%s",
		 btf__name_by_offset(
			 types, btf__type_by_id(types, functions[0].type_id)->name_off));
	btf__free(types);
	free(functions);
}

static void judge(const char *probe, const char *name, const struct bpf_prog_info *info)
{
	unsigned int insns = info->xlated_prog_len / sizeof(struct bpf_insn);
	size_t i;

	if (only_table) {
		printf("BOUND(%s, %s, %u)\n", probe, name, info->verified_insns);
		return;
	}
	if (info->verified_insns > largest)
		largest = info->verified_insns;
	for (i = 0; i < ARRAY_SIZE(bounds); i++) {
		if (!strcmp(bounds[i].probe, probe) && !strcmp(bounds[i].program, name))
			break;
	}
	if (i == ARRAY_SIZE(bounds)) {
		tap_note("%s, %s: %u instructions, %u verified", probe, name, insns,
			 info->verified_insns);
		snprintf(unbounded_name, sizeof(unbounded_name), "%s, %s", probe, name);
		unbounded++;
		return;
	}
	measured[i] = true;
	tap_ok(info->verified_insns <= bounds[i].verified && info->verified_insns,
	       "%s, %s: %u instructions, %u of at most %u verified", probe, name, insns,
	       info->verified_insns, bounds[i].verified);
}

/* Of those programs of which this process has a descriptor since @seen was made. */
static void judge_new(const char *probe, bool *seen)
{
	for (int fd = 0; fd < FDS_MAX; fd++) {
		struct bpf_prog_info info = { 0 };
		__u32 length = sizeof(info);
		char name[128];

		if (seen[fd] || !is_program(fd))
			continue;
		seen[fd] = true;
		if (bpf_obj_get_info_by_fd(fd, &info, &length))
			tap_bail("%s: %s", probe, strerror(errno));
		name_of(fd, &info, name, sizeof(name));
		judge(probe, name, &info);
	}
}

/* Why a program of it may be missing: one of its hooks is. NULL: there is no reason. */
static const char *why_missing(const struct probe *probe)
{
	size_t nr = 0;
	const struct hook *hooks = probe->hooks ? probe->hooks(&nr) : NULL;

	for (size_t i = 0; i < nr; i++) {
		if (!hooks[i].attached)
			return hooks[i].why_not;
	}
	return NULL;
}

static void judge_missing(const struct probe *probe)
{
	const char *why = why_missing(probe);

	for (size_t i = 0; i < ARRAY_SIZE(bounds); i++) {
		if (measured[i] || strcmp(bounds[i].probe, probe->name))
			continue;
		if (why)
			tap_skip(why, "%s, %s", probe->name, bounds[i].program);
		else
			tap_ok(false, "%s, %s: is loaded", probe->name,
			       bounds[i].program);
	}
}

int main(int argc, char *argv[])
{
	static bool seen[FDS_MAX];
	const char *why = "";

	if (geteuid())
		tap_skip_all("no right to load a BPF program");
	only_table = argc > 1 && !strcmp(argv[1], "--table");
	if (!only_table)
		tap_plan(ARRAY_SIZE(bounds) + 2);
	for (size_t i = 0; i < nr_probes; i++) {
		if (probes[i].open(&why))
			tap_bail("%s: %s (%s)", probes[i].name, why, hook_complaint());
		judge_new(probes[i].name, seen);
		if (!only_table)
			judge_missing(&probes[i]);
	}
	if (only_table) {
		probes_close();
		return 0;
	}
	tap_ok(!unbounded, "every program has a bound, but for %u%s%s", unbounded,
	       unbounded ? ": " : "", unbounded_name);
	tap_ok(largest && largest < GIVES_UP / FAR_FROM,
	       "none comes near to where the verifier gives up: %u of %u", largest,
	       GIVES_UP);
	probes_close();
	return tap_end();
}
