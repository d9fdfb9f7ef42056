// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The checks' table, and those that concern where secret pages come from. What is
 * found is told by struct finding alone; nothing is printed, and nothing mended.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/lethe.h>

#include "files.h"
#include "lethe.h"
#include "machine.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

/* What a process may lock in kernels since 5.16, if nobody says otherwise. */
#define USUAL_MEMLOCK (8ULL << 20)

void find(struct finding *finding, enum severity severity, const char *mend,
	  const char *format, ...)
{
	va_list args;

	finding->severity = severity;
	va_start(args, format);
	vsnprintf(finding->what, sizeof(finding->what), format, args);
	va_end(args);
	snprintf(finding->mend, sizeof(finding->mend), "%s", mend ? mend : "");
}

static void check_backend(const struct machine *machine, struct finding *finding)
{
	const char *mend =
		"load lethe.ko (modprobe lethe), or boot with secretmem.enable=1";

	if (!machine->backend && machine->backend_error == EOPNOTSUPP)
		find(finding, VIOLATION, mend,
		     "there is no secret memory as it is asked for");
	else if (!machine->backend)
		find(finding, UNSEEN, NULL, "which backend there is: %s",
		     strerror(machine->backend_error));
	else if (!machine->unmapped)
		find(finding, VIOLATION, mend,
		     "secret pages are only locked: the kernel, root, and whoever may ptrace the process can read them, and a hibernation writes them to disk");
	else
		find(finding, FINE, NULL,
		     "the kernel itself has no mapping of secret pages (%s)",
		     machine->backend);
}

/* Does the kernel refuse a module whose key it does not know? */
static bool wants_signatures(const struct machine *machine)
{
	char mode[32], enforced[8];

	if (machine_lockdown(machine, mode, sizeof(mode)) >= 0 && strcmp(mode, "none"))
		return true;
	return file_read(enforced, sizeof(enforced), machine->root,
			 "/sys/module/module/parameters/sig_enforce") > 0 &&
	       enforced[0] == 'Y';
}

static void check_module(const struct machine *machine, struct finding *finding)
{
	char device[PATH_MAX];
	long long version;

	if (file_number(&version, machine->root, "/sys/class/misc/lethe/version")) {
		find(finding, LACKS,
		     wants_signatures(machine) ?
			     "modprobe lethe, signed: lethe-mok, beside its source, has its key trusted" :
			     "modprobe lethe",
		     "lethe.ko is not loaded: what the kernel keeps of a section's registers is not wiped");
		return;
	}
	if (!file_path(device, sizeof(device), machine->root, LETHE_DEVICE) ||
	    access(device, R_OK | W_OK))
		find(finding, LACKS, "chmod 0666 " LETHE_DEVICE,
		     "lethe.ko is loaded, and " LETHE_DEVICE " cannot be opened: %s",
		     strerror(errno));
	else if (version < LETHE_ABI_VERSION)
		find(finding, NOTE, "load the lethe.ko that came with this lethectl",
		     "lethe.ko has ABI version %lld, and %d is known here", version,
		     LETHE_ABI_VERSION);
	else
		find(finding, FINE, NULL, "lethe.ko is loaded (ABI version %lld)",
		     version);
}

static void check_secretmem(const struct machine *machine, struct finding *finding)
{
	static const char parameter[] = "/sys/module/secretmem/parameters/enable";
	/* With the module there is no need of it. */
	bool kmod = machine->backend && !strcmp(machine->backend, "kmod");
	enum severity severity = kmod ? NOTE : LACKS;
	char enable[8], line[4096];
	int n;

	n = file_read(enable, sizeof(enable), machine->root, parameter);
	file_read(line, sizeof(line), machine->root, "/proc/cmdline");
	if (!machine->secretmem)
		find(finding, FINE, NULL, "memfd_secret(2) is there");
	else if (machine->secretmem != ENOSYS && machine->secretmem != EPERM &&
		 machine->secretmem != EACCES)
		find(finding, UNSEEN, NULL, "whether memfd_secret(2) is there: %s",
		     strerror(machine->secretmem));
	else if (n == -ENOENT && machine->secretmem == ENOSYS)
		find(finding, severity, "a kernel with CONFIG_SECRETMEM",
		     "this kernel has no memfd_secret(2)");
	else if (enable[0] == 'N' ||
		 (n == -EACCES && file_has_word(line, "secretmem.enable=0")))
		find(finding, severity, "boot with secretmem.enable=1",
		     "memfd_secret(2) is disabled");
	else if (machine->seccomp)
		find(finding, severity,
		     "allow memfd_secret (number 447) in the seccomp filter of this container or service",
		     "memfd_secret(2) is refused, as by a seccomp filter: %s",
		     strerror(machine->secretmem));
	else
		find(finding, severity, "boot with secretmem.enable=1",
		     "memfd_secret(2) is not to be had: %s",
		     strerror(machine->secretmem));
}

static void check_memlock(const struct machine *machine, struct finding *finding)
{
	/* That capability does not help who has pages from memfd_secret. */
	if (machine->unlimited && machine->backend &&
	    strcmp(machine->backend, "memfd_secret"))
		find(finding, FINE, NULL,
		     "RLIMIT_MEMLOCK does not count here (CAP_IPC_LOCK)");
	else if (machine->memlock == ULLONG_MAX)
		find(finding, FINE, NULL, "RLIMIT_MEMLOCK is unlimited");
	else
		find(finding, machine->memlock < USUAL_MEMLOCK ? LACKS : FINE,
		     machine->memlock < USUAL_MEMLOCK ?
			     "LimitMEMLOCK=64M in the service (systemd.exec(5)), memlock in limits.conf(5), or ulimit -l" :
			     NULL,
		     "RLIMIT_MEMLOCK is %llu KiB: as much secret memory has a process, and then ENOMEM",
		     machine->memlock / 1024);
}

static void check_rseq(const struct machine *machine, struct finding *finding)
{
	if (machine->rseq)
		find(finding, FINE, NULL, "rseq(2) is there");
	else if (machine->rseq_tunable)
		find(finding, NOTE, "take glibc.pthread.rseq=0 out of GLIBC_TUNABLES",
		     "rseq(2) is off by GLIBC_TUNABLES: LETHE_FAST is as slow as without");
	else
		find(finding, NOTE, "a kernel with CONFIG_RSEQ, and glibc 2.35 or later",
		     "rseq(2) is off: LETHE_FAST is as slow as without");
}

static const struct {
	const char *name;
	void (*check)(const struct machine *machine, struct finding *finding);
} checks[] = {
	/* What secret pages are. */
	{ "backend", check_backend },
	{ "module", check_module },
	{ "secretmem", check_secretmem },
	{ "memlock", check_memlock },
	{ "rseq", check_rseq },
	/* What would write memory to a disk. */
	{ "swap", check_swap },
	{ "zswap", check_zswap },
	{ "hibernation", check_hibernation },
	{ "kdump", check_kdump },
	{ "core_pattern", check_core_pattern },
	{ "suid_dumpable", check_suid_dumpable },
	/* Who else might read it. */
	{ "lockdown", check_lockdown },
	{ "ptrace_scope", check_ptrace },
	{ "unprivileged_bpf", check_bpf },
	{ "perf_event_paranoid", check_perf },
	{ "init_on_free", check_init_on_free },
};

_Static_assert(sizeof(checks) / sizeof(checks[0]) <= MACHINE_CHECKS, "room for all");

size_t machine_look(const struct machine *machine, struct finding *findings)
{
	size_t i;

	for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		findings[i].name = checks[i].name;
		checks[i].check(machine, &findings[i]);
	}
	return i;
}

/* As the backend gives them: a page of it says what it is. */
static void ask_backend(struct machine *machine)
{
	struct lethe_buffer *buffer;

	/* That less than the best was had is said here, not by the library. */
	setenv("LETHE_REQUIRE", "locked", 0);
	machine->backend = lethe_backend();
	machine->backend_error = machine->backend ? 0 : errno;
	if (!machine->backend)
		return;
	buffer = lethe_buffer_new(1, 0);
	/* Where not one page is left, the name tells. */
	machine->unmapped = buffer ? lethe_level_of(lethe_buffer_data(buffer)) ==
					     LETHE_LEVEL_UNMAPPED :
				     strcmp(machine->backend, "mlock") != 0;
	lethe_buffer_free(buffer);
}

void machine_ask(struct machine *machine)
{
	const char *tunables = getenv("GLIBC_TUNABLES");
	struct rlimit limit;
	char status[8192];
	const char *line;
	long fd;

	*machine = (struct machine){ .root = "" };
	ask_backend(machine);
	fd = syscall(SYS_memfd_secret, O_CLOEXEC);
	machine->secretmem = fd < 0 ? errno : 0;
	if (fd >= 0)
		close((int)fd);
	machine->seccomp = prctl(PR_GET_SECCOMP, 0, 0, 0, 0) > 0;
	if (file_read(status, sizeof(status), "", "/proc/self/status") > 0) {
		line = strstr(status, "\nCapEff:");
		machine->unlimited = line &&
				     strtoull(line + 8, NULL, 16) >> CAP_IPC_LOCK & 1;
	}
	machine->memlock = machine->core = ULLONG_MAX;
	if (!getrlimit(RLIMIT_MEMLOCK, &limit) && limit.rlim_max != RLIM_INFINITY)
		machine->memlock = limit.rlim_max;
	if (!getrlimit(RLIMIT_CORE, &limit) && limit.rlim_cur != RLIM_INFINITY)
		machine->core = limit.rlim_cur;
	machine->rseq = __rseq_size > 0;
	machine->rseq_tunable = tunables && strstr(tunables, "glibc.pthread.rseq=0");
}
