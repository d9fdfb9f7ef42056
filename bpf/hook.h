/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Where a probe is attached, and what is not seen where the running kernel does not
 * have the place. Names of kernel functions change and some are inlined; whether one
 * is there is asked of the kernel itself, never of its version. Not for several
 * threads at once.
 */
#ifndef LETHE_BPF_HOOK_H
#define LETHE_BPF_HOOK_H

#include <stdbool.h>

struct bpf_link;
struct bpf_program;

/**
 * struct hook - a place, as lethectl and bpf/README.md name it
 * @name: of the tracepoint or function; where it has had several, the one that is
 *	there
 * @sees: what is seen there, in a clause
 * @unseen: what stays unseen without it and with all others; "" is nothing
 * @attached: it is attached
 * @why_not: why it is not, for a person; "" where it is
 * @link: to be destroyed
 */
struct hook {
	const char *name, *sees, *unseen;
	bool attached;
	char why_not[128];
	struct bpf_link *link;
};

/*
 * 0, or -errno: no BTF in this kernel, no CAP_BPF, ..., and *@why says it. From then
 * on libbpf prints nothing.
 */
int hook_possible(const char **why);

/*
 * What libbpf would have complained of: hook_quiet() begins anew, and silences it;
 * hook_complaint() is the first line since, or "". For the why of a load that failed.
 */
void hook_quiet(void);
const char *hook_complaint(void);

/*
 * Can an fentry or fexit program be attached to @function? Tried, with an empty one.
 * False where the kernel has no such function, has it inlined, or allows none. Not for
 * entry code, such as exc_page_fault(): 7.3 allows that, and hangs.
 */
bool hook_has_function(const char *function);

/* Which argument of @function is a pointer to struct @type: 0, 1, ... or -ENOENT. */
int hook_argument(const char *function, const char *type);

/*
 * Before the load: will @hook, on the first of @functions (ends with NULL) that can
 * be attached to, be there? Sets its name, @program's target, and that it is to be
 * loaded; or why not, and that it is not. @functions is NULL where @program is at a
 * tracepoint: it is loaded, and hook_attach() will find out.
 */
bool hook_choose(struct hook *hook, struct bpf_program *program,
		 const char *const *functions);

/* After it: attaches; what is not loaded is passed over. True if it is attached. */
bool hook_attach(struct hook *hook, struct bpf_program *program);

void hook_detach(struct hook *hook);

/*
 * How often the kernel did not run @program, since it was running on that processor
 * already: what it would have seen then is lost. 0 where the kernel does not say.
 */
unsigned long long hook_missed(const struct bpf_program *program);

#endif /* LETHE_BPF_HOOK_H */
