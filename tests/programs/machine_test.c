// SPDX-License-Identifier: MIT
/*
 * What lethectl status finds lacking, by trees of files in the place of a machine's:
 * each thing, there and not there. It reads nothing of this machine.
 */
#include <sys/utsname.h>

#include "tree.h"

#include "machine.h"

#define SWAPS "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"

/* A machine that lacks nothing. */
static void make_machine(void)
{
	make_root();
	put("/proc/cmdline", "root=/dev/vda init_on_free=1 quiet\n");
	put("/proc/swaps", SWAPS);
	put("/proc/self/mountinfo",
	    "21 1 254:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
	    "22 21 254:2 / /crypt rw shared:2 - ext4 /dev/mapper/crypt rw\n"
	    "23 21 0:33 / /btrfs rw shared:3 - btrfs /dev/mapper/crypt rw\n"
	    "24 21 0:34 / /more\\040btrfs rw shared:3 - btrfs /dev/sda1 rw\n"
	    "25 21 7:0 / /looped rw shared:4 - ext4 /dev/loop0 rw\n"
	    "26 21 0:35 / /net rw shared:4 - nfs server:/swap rw\n");
	put("/proc/sys/kernel/core_pattern", "|/bin/false\n");
	put("/proc/sys/fs/suid_dumpable", "0\n");
	put("/proc/sys/kernel/yama/ptrace_scope", "1\n");
	put("/proc/sys/kernel/unprivileged_bpf_disabled", "2\n");
	put("/proc/sys/kernel/perf_event_paranoid", "2\n");
	put("/sys/module/zswap/parameters/enabled", "N\n");
	put("/sys/module/secretmem/parameters/enable", "Y\n");
	put("/sys/module/lethe/parameters/hibernate", "wipe\n");
	put("/sys/class/misc/lethe/version", "4\n");
	put("/dev/lethe", "");
	put("/sys/power/state", "freeze mem\n");
	put("/sys/power/disk", "[disabled]\n");
	put("/sys/kernel/kexec_crash_loaded", "0\n");
	put("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
	/* sda1 is plain, dm-0 is dm-crypt on it, dm-1 a volume on dm-0, dm-2 on sda1. */
	put("/sys/class/block/sda1/size", "1\n");
	put("/sys/class/block/dm-0/dm/uuid", "CRYPT-LUKS2-0123-crypt\n");
	put("/sys/class/block/dm-0/slaves/sda1", "");
	put("/sys/class/block/dm-1/dm/uuid", "LVM-abc\n");
	put("/sys/class/block/dm-1/slaves/dm-0", "");
	put("/sys/class/block/dm-2/dm/uuid", "LVM-def\n");
	put("/sys/class/block/dm-2/slaves/sda1", "");
	/* An array of a part that is encrypted, and one that is not. */
	put("/sys/class/block/md0/slaves/dm-0", "");
	put("/sys/class/block/md0/slaves/sda1", "");
	put("/sys/class/block/zram0/backing_dev", "none\n");
	put("/sys/class/block/zram1/backing_dev", "/dev/sda1\n");
	put("/sys/class/block/zram2/backing_dev", "/dev/dm-1\n");
	put("/sys/class/block/zram3/size", "1\n");
	put("/sys/class/block/loop0/loop/backing_file", "/crypt/image\n");
	put("/sys/class/block/loop1/loop/backing_file", "/image\n");
	/* A circle, that no kernel makes. */
	put("/sys/class/block/dm-8/slaves/dm-9", "");
	put("/sys/class/block/dm-9/slaves/dm-8", "");
	put_link("/sys/dev/block/254:1", "../../class/block/sda1");
	put_link("/sys/dev/block/254:2", "../../class/block/dm-0");
	put_link("/sys/dev/block/7:0", "../../class/block/loop0");
	put_link("/dev/mapper/crypt", "../dm-0");
}

static struct machine machine_of_all(void)
{
	return (struct machine){
		.root = root,
		.backend = "kmod",
		.unmapped = true,
		.memlock = 8 << 20,
		.rseq = true,
	};
}

static const char *const names[] = { "fine", "note", "unseen", "lacks", "violation" };

/* Does the check come to it, and is @part of what it says, or of what mends it? */
static void expect(const struct machine *machine, const char *check,
		   enum severity severity, const char *part, const char *sentence)
{
	struct finding findings[MACHINE_CHECKS], *it = NULL;
	size_t nr = machine_look(machine, findings), i;
	bool right, told;

	for (i = 0; i < nr; i++)
		if (!strcmp(findings[i].name, check))
			it = &findings[i];
	if (!it)
		tap_bail("there is no check %s", check);
	told = !part || strstr(it->what, part) || strstr(it->mend, part);
	/* What is lacking has a line that mends it. */
	right = it->severity == severity && told &&
		(severity < LACKS || (it->mend[0] && !strchr(it->mend, '\n')));
	if (!tap_ok(right, "%s: %s: %s", check, sentence, names[severity]))
		tap_note("%s: %s; %s", names[it->severity], it->what, it->mend);
}

static void test_all_well(void)
{
	struct machine machine = machine_of_all();
	struct finding findings[MACHINE_CHECKS];
	size_t nr, i, fine = 0;

	make_machine();
	nr = machine_look(&machine, findings);
	for (i = 0; i < nr; i++) {
		fine += findings[i].severity == FINE && !findings[i].mend[0];
		if (findings[i].severity != FINE)
			tap_note("%s: %s", findings[i].name, findings[i].what);
	}
	tap_ok(nr > 10 && fine == nr,
	       "control: where nothing is lacking, all %zu checks are fine", nr);
}

/* One file is otherwise, and a check tells; "" as @text is an empty file. */
static const struct {
	const char *check, *path, *text;
	enum severity severity;
	const char *part, *sentence;
} rows[] = {
	{ "module", "/sys/class/misc/lethe/version", NULL, LACKS, "lethe-mok",
	  "no module, on a kernel that is locked down" },
	{ "module", "/sys/class/misc/lethe/version", "3\n", NOTE, "version 3",
	  "an older module" },
	{ "module", "/dev/lethe", NULL, LACKS, "/dev/lethe",
	  "a module without its device" },
	{ "zswap", "/sys/module/zswap/parameters/enabled", "Y\n", FINE, NULL,
	  "on without swap" },
	{ "zswap", "/sys/module/zswap/parameters/enabled", NULL, FINE, NULL,
	  "a kernel that has none" },
	{ "core_pattern", "/proc/sys/kernel/core_pattern",
	  "|/usr/lib/systemd/systemd-coredump %P", LACKS,
	  "(/usr/lib/systemd/systemd-coredump)", "cores are piped to a program" },
	{ "core_pattern", "/proc/sys/kernel/core_pattern", "core\n", NOTE, "(core)",
	  "cores are files, and RLIMIT_CORE is 0" },
	{ "core_pattern", "/proc/sys/kernel/core_pattern", "\n", FINE, NULL,
	  "cores go nowhere" },
	{ "core_pattern", "/proc/sys/kernel/core_pattern", NULL, FINE, NULL,
	  "a kernel without core dumps" },
	{ "suid_dumpable", "/proc/sys/fs/suid_dumpable", "1\n", LACKS, "suid_dumpable=0",
	  "set-ID programs dump" },
	{ "suid_dumpable", "/proc/sys/fs/suid_dumpable", "2\n", NOTE, "suid_dumpable=0",
	  "set-ID programs dump for root" },
	{ "suid_dumpable", "/proc/sys/fs/suid_dumpable", "x\n", UNSEEN, NULL,
	  "no number" },
	{ "ptrace_scope", "/proc/sys/kernel/yama/ptrace_scope", "0\n", LACKS,
	  "ptrace_scope=1", "anybody's own may be traced" },
	{ "ptrace_scope", "/proc/sys/kernel/yama/ptrace_scope", NULL, LACKS,
	  "lsm=", "no Yama" },
	{ "unprivileged_bpf", "/proc/sys/kernel/unprivileged_bpf_disabled", "0\n", LACKS,
	  "unprivileged_bpf_disabled=1", "anybody may load BPF" },
	{ "unprivileged_bpf", "/proc/sys/kernel/unprivileged_bpf_disabled", NULL, FINE,
	  NULL, "no BPF" },
	{ "perf_event_paranoid", "/proc/sys/kernel/perf_event_paranoid", "-1\n", LACKS,
	  "perf_event_paranoid=2", "anybody may sample" },
	{ "perf_event_paranoid", "/proc/sys/kernel/perf_event_paranoid", "0\n", LACKS,
	  "perf_event_paranoid=2", "anybody may sample a processor" },
	{ "perf_event_paranoid", "/proc/sys/kernel/perf_event_paranoid", "1\n", FINE,
	  NULL, "one's own alone" },
	{ "lockdown", "/sys/kernel/security/lockdown",
	  "[none] integrity confidentiality\n", LACKS, "lockdown=integrity",
	  "not locked down" },
	{ "lockdown", "/sys/kernel/security/lockdown",
	  "none integrity [confidentiality]\n", NOTE, "watch",
	  "locked down so that no probe works" },
	{ "lockdown", "/sys/kernel/security/lockdown", NULL, UNSEEN, "securityfs",
	  "no securityfs" },
	{ "lockdown", "/sys/kernel/security/lockdown", "nonsense\n", UNSEEN, NULL,
	  "a file that says nothing" },
	{ "kdump", "/sys/kernel/kexec_crash_loaded", "1\n", LACKS, "wiped before",
	  "a crash kernel, with the module" },
	{ "kdump", "/sys/kernel/kexec_crash_loaded", NULL, FINE, NULL,
	  "a kernel without kexec" },
	{ "init_on_free", "/proc/cmdline", "quiet init_on_free=0\n", NOTE,
	  "init_on_free=1", "switched off" },
	{ "init_on_free", "/proc/cmdline", "quiet xinit_on_free=1\n", NOTE,
	  "init_on_free=1", "not asked for" },
	{ "init_on_free", "/proc/cmdline", NULL, UNSEEN, NULL, "no /proc/cmdline" },
	{ "swap", "/proc/swaps", NULL, FINE, NULL, "a kernel without swap" },
};

static void test_rows(void)
{
	struct machine machine = machine_of_all();
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make_machine();
		put(rows[i].path, rows[i].text);
		expect(&machine, rows[i].check, rows[i].severity, rows[i].part,
		       rows[i].sentence);
	}
}

static const struct {
	const char *swaps;
	enum severity severity;
	const char *part, *sentence;
} areas[] = {
	{ "/dev/sda1 partition 1 0 -2\n", LACKS, "crypttab(5)", "a partition" },
	{ "/dev/dm-0 partition 1 0 -2\n", FINE, "1 areas", "dm-crypt" },
	{ "/dev/mapper/crypt partition 1 0 -2\n", FINE, NULL, "dm-crypt by its name" },
	{ "/dev/dm-1 partition 1 0 -2\n", FINE, NULL, "a volume on dm-crypt" },
	{ "/dev/dm-2 partition 1 0 -2\n", LACKS, "/dev/dm-2", "a volume on a partition" },
	{ "/dev/md0 partition 1 0 -2\n", LACKS, NULL,
	  "an array of which a part is plain" },
	{ "/dev/zram0 partition 1 0 100\n", FINE, NULL, "zram" },
	{ "/dev/zram3 partition 1 0 100\n", FINE, NULL,
	  "zram of a kernel without writeback" },
	{ "/dev/zram1 partition 1 0 100\n", LACKS, NULL,
	  "zram that is written back to a partition" },
	{ "/dev/zram2 partition 1 0 100\n", FINE, NULL,
	  "zram that is written back to dm-crypt" },
	{ "/swap\\040file file 1 0 -2\n", LACKS, "/swap file", "a file on a partition" },
	{ "/crypt/swap file 1 0 -2\n", FINE, NULL, "a file on dm-crypt" },
	{ "/cryptic/swap file 1 0 -2\n", LACKS, NULL,
	  "a file whose path begins like another mount's" },
	{ "/btrfs/swap file 1 0 -2\n", FINE, NULL, "a file on btrfs on dm-crypt" },
	{ "/more\\040btrfs/swap file 1 0 -2\n", LACKS, NULL,
	  "a file on btrfs on a partition" },
	{ "/looped/swap file 1 0 -2\n", FINE, NULL,
	  "a file on a loop device on dm-crypt" },
	{ "/dev/loop1 partition 1 0 -2\n", LACKS, NULL, "a loop device on a partition" },
	{ "/crypt/swap\\040(deleted) file 1 0 -2\n", FINE, NULL,
	  "a file that is deleted" },
	{ "/net/swap file 1 0 -2\n", UNSEEN, "/net/swap", "a file on the network" },
	{ "/dev/nothing partition 1 0 -2\n", UNSEEN, "/dev/nothing",
	  "a device that is not there" },
	{ "/dev/dm-8 partition 1 0 -2\n", UNSEEN, NULL, "a circle of devices" },
	{ "/dev/dm-0 partition 1 0 -2\n/dev/zram0 partition 1 0 1\n/dev/sda1 partition 1 0 0\n",
	  LACKS, "1 of 3", "one of three that is plain" },
	{ "/dev/nothing partition 1 0 -2\n/dev/sda1 partition 1 0 0\n", LACKS,
	  "/dev/sda1", "one that cannot be told, and one that is plain" },
	{ "/sw\033[1map file 1 0 -2\n", LACKS, "\\x1b[1m",
	  "a file with a terminal's codes in its name" },
};

static void test_swap(void)
{
	struct machine machine = machine_of_all();
	char swaps[1024];
	size_t i;

	make_machine();
	for (i = 0; i < sizeof(areas) / sizeof(areas[0]); i++) {
		snprintf(swaps, sizeof(swaps), SWAPS "%s", areas[i].swaps);
		put("/proc/swaps", swaps);
		expect(&machine, "swap", areas[i].severity, areas[i].part,
		       areas[i].sentence);
	}
	put("/sys/module/zswap/parameters/enabled", "Y\n");
	expect(&machine, "zswap", NOTE, "parameters/enabled", "on, with swap");
	lose("/proc");
	expect(&machine, "swap", UNSEEN, NULL, "no /proc");
}

static void test_backend(void)
{
	struct machine machine = machine_of_all();

	make_machine();
	machine.backend = "mlock";
	machine.unmapped = false;
	expect(&machine, "backend", VIOLATION, "secretmem.enable=1",
	       "pages that are only locked");
	machine.backend = NULL;
	machine.backend_error = EOPNOTSUPP;
	expect(&machine, "backend", VIOLATION, "lethe.ko", "none as it is asked for");
	machine.backend_error = EMFILE;
	expect(&machine, "backend", UNSEEN, NULL, "none for a shortage");
	machine.backend = "memfd_secret";
	machine.unmapped = true;
	expect(&machine, "backend", FINE, "memfd_secret", "memfd_secret");
	put("/sys/kernel/kexec_crash_loaded", "1\n");
	expect(&machine, "kdump", VIOLATION, "modprobe lethe",
	       "a crash kernel without the module");
}

static void test_signatures(void)
{
	static const char enforced[] = "/sys/module/module/parameters/sig_enforce";
	struct machine machine = machine_of_all();
	struct finding findings[MACHINE_CHECKS];
	size_t nr, i, plain = 0;

	make_machine();
	put("/sys/class/misc/lethe/version", NULL);
	put("/sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
	put(enforced, "N\n");
	nr = machine_look(&machine, findings);
	for (i = 0; i < nr; i++)
		plain += !strcmp(findings[i].name, "module") &&
			 !strcmp(findings[i].mend, "modprobe lethe");
	tap_ok(plain == 1, "module: where no signature is asked for, modprobe is all");
	put(enforced, "Y\n");
	expect(&machine, "module", LACKS, "lethe-mok",
	       "no module, and signatures enforced");
}

static void test_secretmem(void)
{
	static const char parameter[] = "/sys/module/secretmem/parameters/enable";
	struct machine machine = machine_of_all();

	make_machine();
	machine.secretmem = ENOSYS;
	put(parameter, "N\n");
	expect(&machine, "secretmem", NOTE, "secretmem.enable=1",
	       "disabled, with the module");
	machine.backend = "mlock";
	expect(&machine, "secretmem", LACKS, "secretmem.enable=1",
	       "disabled, without the module");
	put(parameter, "Y\n");
	machine.seccomp = true;
	expect(&machine, "secretmem", LACKS, "seccomp", "refused by a filter");
	machine.secretmem = EPERM;
	expect(&machine, "secretmem", LACKS, "447",
	       "refused by a filter that says EPERM");
	machine.secretmem = EMFILE;
	expect(&machine, "secretmem", UNSEEN, NULL, "a shortage");
	machine.secretmem = ENOSYS;
	put(parameter, NULL);
	expect(&machine, "secretmem", LACKS, "CONFIG_SECRETMEM", "a kernel without it");
}

static void test_limits(void)
{
	struct machine machine = machine_of_all();

	make_machine();
	machine.memlock = 64 << 10;
	expect(&machine, "memlock", LACKS, "64 KiB", "a low limit");
	machine.unlimited = true;
	expect(&machine, "memlock", FINE, "CAP_IPC_LOCK",
	       "a low limit, and CAP_IPC_LOCK");
	machine.backend = "memfd_secret";
	expect(&machine, "memlock", LACKS, "64 KiB",
	       "the same with memfd_secret, that heeds no capability");
	machine.memlock = ULLONG_MAX;
	expect(&machine, "memlock", FINE, "unlimited", "no limit");
	machine.rseq = false;
	expect(&machine, "rseq", NOTE, "CONFIG_RSEQ", "off");
	machine.rseq_tunable = true;
	expect(&machine, "rseq", NOTE, "GLIBC_TUNABLES", "off by a tunable");
	machine.core = 1;
	put("/proc/sys/kernel/core_pattern", "core\n");
	expect(&machine, "core_pattern", LACKS, "(core)",
	       "cores are files, and RLIMIT_CORE is not 0");
	put("/proc/sys/kernel/core_pattern", NULL);
	put("/sys/kernel/security/lockdown", NULL);
	put("/sys/kernel/security/lsm", "capability\n");
	expect(&machine, "lockdown", LACKS, "CONFIG_SECURITY_LOCKDOWN_LSM",
	       "a kernel without it");
}

static void test_hibernation(void)
{
	struct machine machine = machine_of_all();

	make_machine();
	put("/sys/power/state", "freeze mem disk\n");
	expect(&machine, "hibernation", FINE, NULL, "disabled");
	put("/sys/power/disk", "[platform] shutdown reboot suspend test_resume\n");
	expect(&machine, "hibernation", NOTE, "nohibernate", "possible, without swap");
	put("/proc/swaps", SWAPS "/dev/dm-0 partition 1 0 -2\n");
	expect(&machine, "hibernation", NOTE, "wiped before", "possible, into dm-crypt");
	put("/proc/swaps", SWAPS "/dev/sda1 partition 1 0 -2\n");
	expect(&machine, "hibernation", LACKS, "not encrypted",
	       "possible, into a partition");
	put("/sys/module/lethe/parameters/hibernate", "veto\n");
	expect(&machine, "hibernation", LACKS, "refused while there are regions",
	       "hibernate=veto is told");
	machine.backend = "memfd_secret";
	expect(&machine, "hibernation", LACKS, "memfd_secret open",
	       "memfd_secret's veto is told");
	machine.backend = "mlock";
	machine.unmapped = false;
	expect(&machine, "hibernation", VIOLATION, "are in it too",
	       "of pages that are only locked");
	put("/sys/power/state", "freeze mem\n");
	expect(&machine, "hibernation", FINE, NULL, "not of this kernel");
}

static void test_built(void)
{
	struct machine machine = machine_of_all();
	struct utsname uts;
	char path[256];

	make_machine();
	uname(&uts);
	snprintf(path, sizeof(path), "/boot/config-%s", uts.release);
	put(path, "CONFIG_X=y\nCONFIG_INIT_ON_FREE_DEFAULT_ON=y\n");
	put("/proc/cmdline", "quiet\n");
	expect(&machine, "init_on_free", FINE, NULL, "a kernel that was built so");
	put("/proc/cmdline", "quiet init_on_free=0\n");
	expect(&machine, "init_on_free", NOTE, NULL, "built so, and switched off");
	put(path, "CONFIG_X=y\n# CONFIG_INIT_ON_FREE_DEFAULT_ON is not set\n");
	put("/proc/cmdline", "quiet\n");
	expect(&machine, "init_on_free", NOTE, NULL, "a kernel that was not");
}

int main(void)
{
	tap_plan(1 + sizeof(rows) / sizeof(rows[0]) + sizeof(areas) / sizeof(areas[0]) +
		 2 + 5 + 2 + 6 + 8 + 8 + 3);
	test_all_well();
	test_rows();
	test_swap();
	test_backend();
	test_signatures();
	test_secretmem();
	test_limits();
	test_hibernation();
	test_built();
	clear();
	return tap_end();
}
