// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Who else may read memory, or make a program tell: what the kernel lets root and
 * others do.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "files.h"
#include "machine.h"

int machine_lockdown(const struct machine *machine, char *mode, size_t room)
{
	char text[128];
	int n = file_read(text, sizeof(text), machine->root,
			  "/sys/kernel/security/lockdown");

	return n < 0 || file_chosen(text, mode, room) ? n : -EINVAL;
}

void check_lockdown(const struct machine *machine, struct finding *finding)
{
	static const char mend[] =
		"boot with lockdown=integrity (lethe.ko then has to be signed)";
	char mode[32];
	int n = machine_lockdown(machine, mode, sizeof(mode));

	if (n == -ENOENT && file_there(machine->root, "/sys/kernel/security/lsm"))
		find(finding, LACKS, "a kernel with CONFIG_SECURITY_LOCKDOWN_LSM",
		     "this kernel has no lockdown: root can change it, and so read all memory");
	else if (n == -ENOENT)
		find(finding, UNSEEN, "mount -t securityfs none /sys/kernel/security",
		     "whether the kernel is locked down: no securityfs is mounted");
	else if (n < 0)
		find(finding, UNSEEN, NULL, "whether the kernel is locked down: %s",
		     n == -EINVAL ? "its file says nothing" : strerror(-n));
	else if (!strcmp(mode, "none"))
		find(finding, LACKS, mend,
		     "the kernel is not locked down: root can change it, and so read all memory");
	else if (!strcmp(mode, "confidentiality"))
		find(finding, NOTE,
		     "boot with lockdown=integrity, for the probes to work",
		     "the kernel is locked down for confidentiality: lethectl watch and check can see nothing");
	else
		find(finding, FINE, NULL, "the kernel is locked down (%s)", mode);
}

/* A number that is at least as high is fine. */
static void at_least(const struct machine *machine, struct finding *finding,
		     const char *path, long long least, const char *absent,
		     const char *lacking, const char *mend)
{
	const char *name = strrchr(path, '/') + 1;
	long long number;
	int err;

	err = file_number(&number, machine->root, path);
	if (err == -ENOENT && file_there(machine->root, "/proc/sys/kernel"))
		find(finding, FINE, NULL, "%s", absent);
	else if (err)
		find(finding, UNSEEN, NULL, "%s: %s", name, strerror(-err));
	else if (number < least)
		find(finding, LACKS, mend, "%s (%s is %lld)", lacking, name, number);
	else
		find(finding, FINE, NULL, "%s is %lld", name, number);
}

void check_ptrace(const struct machine *machine, struct finding *finding)
{
	static const char path[] = "/proc/sys/kernel/yama/ptrace_scope";

	if (!file_there(machine->root, path) &&
	    file_there(machine->root, "/proc/sys/kernel"))
		find(finding, LACKS,
		     "boot with yama among those of lsm=, on a kernel with CONFIG_SECURITY_YAMA",
		     "there is no Yama: any process of a user can trace the user's others, and make them tell");
	else
		at_least(
			machine, finding, path, 1, "",
			"any process of a user can trace the user's others, and make them tell",
			"sysctl -w kernel.yama.ptrace_scope=1");
}

void check_bpf(const struct machine *machine, struct finding *finding)
{
	at_least(
		machine, finding, "/proc/sys/kernel/unprivileged_bpf_disabled", 1,
		"this kernel has no bpf(2)",
		"anybody may load BPF programs: what a processor speculates can be read by them",
		"sysctl -w kernel.unprivileged_bpf_disabled=1");
}

void check_perf(const struct machine *machine, struct finding *finding)
{
	at_least(machine, finding, "/proc/sys/kernel/perf_event_paranoid", 1,
		 "this kernel has no perf_event_open(2)",
		 "anybody may sample everybody's registers and stacks",
		 "sysctl -w kernel.perf_event_paranoid=2");
}

/* What the kernel was built to do, where a distribution says so. 'y', 'n' or 0. */
static char built_to(const struct machine *machine)
{
	static const char name[] = "\nCONFIG_INIT_ON_FREE_DEFAULT_ON=y";
	static char config[1 << 19];
	struct utsname uts;
	char path[256];

	if (uname(&uts))
		return 0;
	snprintf(path, sizeof(path), "/boot/config-%s", uts.release);
	if (file_read(config, sizeof(config), machine->root, path) <= 0)
		return 0;
	return strstr(config, name) ? 'y' : 'n';
}

void check_init_on_free(const struct machine *machine, struct finding *finding)
{
	char line[4096], built;
	int n;

	n = file_read(line, sizeof(line), machine->root, "/proc/cmdline");
	built = built_to(machine);
	if (n < 0)
		find(finding, UNSEEN, NULL, "init_on_free: %s", strerror(-n));
	else if (file_has_word(line, "init_on_free=1") ||
		 (built == 'y' && !file_has_word(line, "init_on_free=0")))
		find(finding, FINE, NULL, "freed pages are wiped");
	else
		find(finding, NOTE, "boot with init_on_free=1",
		     "ordinary pages keep what was in them when they are freed, until they are used again");
}
