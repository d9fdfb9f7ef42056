// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What writes memory to a disk beside swap: hibernation, crash dumps, core dumps.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "files.h"
#include "machine.h"

static bool is_backend(const struct machine *machine, const char *name)
{
	return machine->backend && !strcmp(machine->backend, name);
}

/* What becomes of secret pages then. */
static const char *fate(const struct machine *machine)
{
	char mode[16];

	if (!machine->backend)
		return "there are no secret pages";
	if (is_backend(machine, "kmod")) {
		file_read(mode, sizeof(mode), machine->root,
			  "/sys/module/lethe/parameters/hibernate");
		return !strcmp(mode, "veto") ?
			       "it is refused while there are regions" :
			       "secret pages are wiped before, and gone for their programs";
	}
	return is_backend(machine, "memfd_secret") ?
		       "it is refused while anybody has a memfd_secret open" :
		       "secret pages, which are only locked, are in it too";
}

/* All of ordinary memory, in one file: into swap, if anywhere. */
void check_hibernation(const struct machine *machine, struct finding *finding)
{
	static const char mend[] =
		"systemctl mask hibernate.target hybrid-sleep.target suspend-then-hibernate.target, or boot with nohibernate";
	unsigned int areas = 0, plain = 0, unseen = 0;
	char states[128], modes[128], chosen[32], first[256];
	bool locked = machine->backend && !machine->unmapped;
	int n;

	n = file_read(states, sizeof(states), machine->root, "/sys/power/state");
	if (n < 0 && n != -ENOENT) {
		find(finding, UNSEEN, NULL, "whether the machine can hibernate: %s",
		     strerror(-n));
		return;
	}
	file_read(modes, sizeof(modes), machine->root, "/sys/power/disk");
	if (!file_has_word(states, "disk") ||
	    (file_chosen(modes, chosen, sizeof(chosen)) && !strcmp(chosen, "disabled"))) {
		find(finding, FINE, NULL, "the machine cannot hibernate");
		return;
	}
	swap_look(machine->root, &areas, &plain, &unseen, first, sizeof(first));
	if (!areas)
		find(finding, NOTE, mend,
		     "the machine can hibernate once it has swap: %s", fate(machine));
	else
		find(finding,
		     locked          ? VIOLATION :
		     plain || unseen ? LACKS :
				       NOTE,
		     mend, "the machine can hibernate, with all of ordinary memory%s: %s",
		     plain || unseen ? " on a disk that is not encrypted" : "",
		     fate(machine));
}

/*
 * The kernel that takes over at a panic has all of memory before it. The module wipes
 * secret pages as the first thing of a panic; the other backends have nobody to.
 */
void check_kdump(const struct machine *machine, struct finding *finding)
{
	static const char mend[] =
		"systemctl disable --now kdump-tools (or kdump); kexec -p -u";
	long long loaded = 0;
	int err;

	err = file_number(&loaded, machine->root, "/sys/kernel/kexec_crash_loaded");
	if (err && err != -ENOENT)
		find(finding, UNSEEN, NULL, "whether a crash kernel is loaded: %s",
		     strerror(-err));
	else if (!loaded)
		find(finding, FINE, NULL, "no crash kernel is loaded");
	else if (is_backend(machine, "kmod"))
		find(finding, LACKS, mend,
		     "a crash kernel is loaded, and dumps ordinary memory at a panic; secret pages are wiped before");
	else
		find(finding, VIOLATION,
		     "modprobe lethe, which wipes secret pages at a panic",
		     "a crash kernel is loaded: at a panic it can dump all memory, secret pages too");
}

void check_core_pattern(const struct machine *machine, struct finding *finding)
{
	static const char *const nowhere[] = { "",
					       "|/bin/false",
					       "|/bin/true",
					       "|/usr/bin/false",
					       "|/usr/bin/true",
					       "/dev/null" };
	static const char mend[] = "sysctl -w kernel.core_pattern='|/bin/false'";
	char pattern[256];
	size_t i;
	int n;

	n = file_read(pattern, sizeof(pattern), machine->root,
		      "/proc/sys/kernel/core_pattern");
	if (n == -ENOENT && file_there(machine->root, "/proc/sys/kernel")) {
		find(finding, FINE, NULL, "this kernel makes no core dumps");
		return;
	}
	if (n < 0) {
		find(finding, UNSEEN, NULL, "where core dumps go: core_pattern: %s",
		     strerror(-n));
		return;
	}
	for (i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++)
		if (!strcmp(pattern, nowhere[i])) {
			find(finding, FINE, NULL, "core dumps go nowhere");
			return;
		}
	/* What is piped is so whatever RLIMIT_CORE says. */
	if (pattern[0] == '|')
		find(finding, LACKS, mend,
		     "core dumps, with all of ordinary memory, go to a program (%.*s)",
		     (int)strcspn(pattern + 1, " "), pattern + 1);
	else if (machine->core)
		find(finding, LACKS, mend,
		     "core dumps, with all of ordinary memory, are written to files (%s)",
		     pattern);
	else
		find(finding, NOTE, mend,
		     "core dumps are written to files (%s) where RLIMIT_CORE is not 0; here it is",
		     pattern);
}

void check_suid_dumpable(const struct machine *machine, struct finding *finding)
{
	static const char mend[] = "sysctl -w fs.suid_dumpable=0";
	long long mode = 0;
	int err;

	err = file_number(&mode, machine->root, "/proc/sys/fs/suid_dumpable");
	if (err == -ENOENT && file_there(machine->root, "/proc/sys/fs"))
		find(finding, FINE, NULL, "this kernel makes no core dumps");
	else if (err)
		find(finding, UNSEEN, NULL, "suid_dumpable: %s", strerror(-err));
	else if (mode == 1)
		find(finding, LACKS, mend,
		     "set-ID programs dump core, and can be traced, as any other");
	else if (mode)
		find(finding, NOTE, mend, "set-ID programs dump core, for root alone");
	else
		find(finding, FINE, NULL, "set-ID programs dump no core");
}
