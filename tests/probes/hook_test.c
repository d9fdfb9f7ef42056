// SPDX-License-Identifier: MIT
/*
 * What hook.c finds out about a kernel is so: what it says cannot be attached to,
 * cannot, and whoever may not load BPF is told why. Where functions can be attached
 * to at all is the kernel's business; that the answer is one for all is ours.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/capability.h>

#include "../../bpf/hook.h"
#include "../selftests/tap.h"

/* In a child, since it gives up what it cannot get back. */
static void in_child(const char *told, int expected, bool (*give_up)(void),
		     const char *what)
{
	const char *why = "";
	int status, err;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!child) {
		if (!give_up())
			_exit(2);
		err = hook_possible(&why);
		printf("# %s: %d, %s\n", what, err, why);
		fflush(stdout);
		_exit(err != expected || !strstr(why, told));
	}
	if (waitpid(child, &status, 0) != child || status == 2 << 8)
		tap_bail("%s: could not be tried", what);
	tap_ok(!status, "%s is told, and what to do", what);
}

static bool give_up_capabilities(void)
{
	struct __user_cap_header_struct header = { .version =
							   _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	return !syscall(SYS_capset, &header, none);
}

/* All of them, but over what is in a namespace of its own alone. */
static bool enter_namespace(void)
{
	return !unshare(CLONE_NEWUSER);
}

static bool hide_types(void)
{
	return !unshare(CLONE_NEWNS) &&
	       !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	       !mount("none", "/sys", "tmpfs", 0, NULL) &&
	       (!mount("none", "/boot", "tmpfs", 0, NULL) || errno == ENOENT);
}

int main(void)
{
	/* The kernel has the first for nothing but this. */
	static const char there[] = "bpf_fentry_test1", absent[] = "lethe_is_not_here";
	const char *why = "";
	bool functions;

	if (geteuid())
		tap_skip_all("no right to load a BPF program");
	tap_plan(9);
	in_child("CAP_BPF", -EPERM, give_up_capabilities,
		 "that there are no capabilities");
	in_child("container", -EPERM, enter_namespace,
		 "that capabilities are a container's");
	in_child("/sys", -ENOENT, hide_types, "that there are no types of the kernel");

	tap_ok(!hook_possible(&why), "BPF is possible, and nothing is said against it");
	functions = hook_has_function(there);
	tap_note("functions %s be attached to here", functions ? "can" : "cannot");
	tap_ok(hook_has_function("do_exit") == functions,
	       "what holds of one function holds of another");
	tap_ok(!hook_has_function(absent), "a function that is not there is not there");
	tap_ok(hook_argument("vfs_read", "file") == 0 &&
		       hook_argument("vfs_fsync", "file") == 0,
	       "the argument that is a struct file is found");
	tap_ok(hook_argument("handle_mm_fault", "pt_regs") == 3,
	       "and one behind others, which are no such pointers");
	tap_ok(hook_argument("vfs_read", "folio") == -ENOENT &&
		       hook_argument(absent, "file") == -ENOENT,
	       "one that is not there, or of no function, is not found");
	return tap_end();
}
