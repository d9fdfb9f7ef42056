// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Finds out what the running kernel allows of BPF, by trying it, and attaches what
 * can be. Loads no program of its own that reads anything, and leaves none behind.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/bpf.h>
#include <linux/capability.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "hook.h"

/* As the kernel has it for whoever wants to try fentry. */
#define ALWAYS_THERE "bpf_fentry_test1"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static char complaint[256];

static int keep_first(enum libbpf_print_level level, const char *format, va_list args)
{
	static const char prefix[] = "libbpf: ";
	char line[sizeof(complaint)];
	const char *text = line;

	if (level != LIBBPF_WARN || complaint[0])
		return 0;
	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = '\0';
	if (!strncmp(line, prefix, strlen(prefix)))
		text += strlen(prefix);
	snprintf(complaint, sizeof(complaint), "%s", text);
	return 0;
}

void hook_quiet(void)
{
	complaint[0] = '\0';
	libbpf_set_print(keep_first);
}

const char *hook_complaint(void)
{
	return complaint;
}

/* The kernel's types, read once and kept. NULL: there are none, and errno. */
static struct btf *kernel_types(void)
{
	static struct btf *types;

	if (!types)
		types = btf__load_vmlinux_btf();
	return types;
}

static bool is_capable(unsigned int capability)
{
	struct __user_cap_header_struct header = { .version =
							   _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capget, &header, data))
		return false;
	return data[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability);
}

/* Loads what reads eight bytes from address 0 and would, if ever run, get none. */
static int try_read_kernel(void)
{
	const struct bpf_insn program[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X,
		  .dst_reg = BPF_REG_1,
		  .src_reg = BPF_REG_10 },
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_1, .imm = -8 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = 8 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .imm = 0 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_probe_read_kernel },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "lethe_possible", "GPL",
			       program, ARRAY_SIZE(program), NULL);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* Why try_read_kernel() could not, as far as the error says it. */
static const char *refusal(int err)
{
	static char text[128];

	switch (err) {
	case -EPERM:
		return "BPF is refused to capabilities of a container: ask from outside of it";
	case -EINVAL:
		/* The helper is the one thing in that program that may be unknown. */
		return "locked down (confidentiality), the kernel lets no BPF read its memory";
	}
	snprintf(text, sizeof(text), "no BPF program can be loaded: %s", strerror(-err));
	return text;
}

int hook_possible(const char **why)
{
	int err;

	hook_quiet();
	if (!is_capable(CAP_SYS_ADMIN) &&
	    !(is_capable(CAP_BPF) && is_capable(CAP_PERFMON))) {
		*why = "no CAP_BPF and CAP_PERFMON: run it as root";
		return -EPERM;
	}
	err = try_read_kernel();
	if (err) {
		*why = refusal(err);
		return err;
	}
	if (!kernel_types()) {
		*why = "no /sys/kernel/btf/vmlinux: built without CONFIG_DEBUG_INFO_BTF?";
		return -ENOENT;
	}
	return 0;
}

/* Attaches a program that does nothing to @function, and takes it away again. */
static bool try_function(const char *function)
{
	const struct bpf_insn program[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_FENTRY);
	int id, fd, link;

	if (!kernel_types())
		return false;
	id = btf__find_by_name_kind(kernel_types(), function, BTF_KIND_FUNC);
	if (id < 0)
		return false;
	opts.attach_btf_id = id;
	fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, "lethe_nothing", "GPL", program,
			   ARRAY_SIZE(program), &opts);
	if (fd < 0)
		return false;
	link = bpf_raw_tracepoint_open(NULL, fd);
	if (link >= 0)
		close(link);
	close(fd);
	return link >= 0;
}

/* Where not even this can be attached to, nothing is tried one by one. */
static bool allows_functions(void)
{
	static enum { UNKNOWN, NO, YES } allows;

	if (allows == UNKNOWN)
		allows = try_function(ALWAYS_THERE) ? YES : NO;
	return allows == YES;
}

bool hook_has_function(const char *function)
{
	return allows_functions() && try_function(function);
}

/* Through const, volatile and the like, to what has a name of its own. */
static const struct btf_type *plain_type(const struct btf *types, unsigned int id)
{
	const struct btf_type *type = btf__type_by_id(types, id);

	while (type && btf_is_mod(type))
		type = btf__type_by_id(types, type->type);
	return type;
}

static bool points_to(const struct btf *types, unsigned int id, const char *name)
{
	const struct btf_type *type = plain_type(types, id);

	if (!type || !btf_is_ptr(type))
		return false;
	type = plain_type(types, type->type);
	if (!type || !(btf_is_composite(type) || btf_is_fwd(type)))
		return false;
	return !strcmp(btf__name_by_offset(types, type->name_off), name);
}

int hook_argument(const char *function, const char *type)
{
	const struct btf *types = kernel_types();
	const struct btf_type *prototype;
	int id;

	if (!types)
		return -ENOENT;
	id = btf__find_by_name_kind(types, function, BTF_KIND_FUNC);
	if (id < 0)
		return -ENOENT;
	prototype = btf__type_by_id(types, btf__type_by_id(types, id)->type);
	for (int i = 0; i < btf_vlen(prototype); i++) {
		if (points_to(types, btf_params(prototype)[i].type, type))
			return i;
	}
	return -ENOENT;
}

bool hook_choose(struct hook *hook, struct bpf_program *program,
		 const char *const *functions)
{
	hook->why_not[0] = '\0';
	bpf_program__set_autoload(program, true);
	if (!functions)
		return true;
	if (!hook->name)
		hook->name = functions[0];
	for (; *functions; functions++) {
		if (!hook_has_function(*functions) ||
		    bpf_program__set_attach_target(program, 0, *functions))
			continue;
		hook->name = *functions;
		return true;
	}
	bpf_program__set_autoload(program, false);
	snprintf(hook->why_not, sizeof(hook->why_not), "%s",
		 allows_functions() ?
			 "this kernel has no such function, or has it inlined" :
			 "this kernel lets no program on its functions (fentry)");
	return false;
}

bool hook_attach(struct hook *hook, struct bpf_program *program)
{
	int err;

	if (!bpf_program__autoload(program))
		return false;
	hook->link = bpf_program__attach(program);
	err = errno;
	hook->attached = hook->link;
	if (hook->attached)
		hook->why_not[0] = '\0';
	else if (err == ENOENT)
		snprintf(hook->why_not, sizeof(hook->why_not),
			 "this kernel has no tracepoint %s", hook->name);
	else
		snprintf(hook->why_not, sizeof(hook->why_not), "%s", strerror(err));
	return hook->attached;
}

void hook_detach(struct hook *hook)
{
	bpf_link__destroy(hook->link);
	hook->link = NULL;
	hook->attached = false;
}

unsigned long long hook_missed(const struct bpf_program *program)
{
	struct bpf_prog_info info = { 0 };
	unsigned int size = sizeof(info);

	if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size))
		return 0;
	return info.recursion_misses;
}
