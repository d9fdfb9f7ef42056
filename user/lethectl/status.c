// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * lethectl status: which backend there is, what the module has, who holds secret pages,
 * and what the machine lacks. Looks, and changes nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "holders.h"
#include "machine.h"
#include "output.h"

struct status_options {
	bool strict, verbose;
};

enum { KEY_STRICT = 256 };

static const struct argp_option options[] = {
	{ "strict", KEY_STRICT, NULL, 0, "What is lacking is a violation, too", 0 },
	{ "verbose", 'v', NULL, 0, "Show also what is as it should be", 0 },
	{ 0 },
};

static const char *const states[] = {
	[FINE] = "fine",   [NOTE] = "note",           [UNSEEN] = "unseen",
	[LACKS] = "lacks", [VIOLATION] = "violation",
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct status_options *given = state->input;

	(void)arg;
	switch (key) {
	case KEY_STRICT:
		given->strict = true;
		return 0;
	case 'v':
		given->verbose = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void show_backend(const struct machine *machine)
{
	struct json_object *object = output_object();
	const char *level = !machine->backend ? "none" :
			    machine->unmapped ? "unmapped" :
						"locked";

	if (object) {
		member_text(object, "backend", machine->backend);
		member_text(object, "level", level);
	}
	say("%-12s %s%s%s, level %s", "backend", colour(BOLD),
	    machine->backend ? machine->backend : "none", colour(PLAIN), level);
	if (getenv("LETHE_BACKEND"))
		output_note("LETHE_BACKEND is set: the backend is the one that it names");
}

static const struct {
	unsigned long long bit;
	const char *name;
} features[] = {
	{ LETHE_FEATURE_REGIONS, "regions" },
	{ LETHE_FEATURE_WIPE_RANGE, "wipe_range" },
	{ LETHE_FEATURE_WIPE_REGISTERS, "wipe_registers" },
	{ LETHE_FEATURE_WIPE_STACKS, "wipe_stacks" },
	{ LETHE_FEATURE_WIPE_OTHERS, "wipe_others" },
	{ LETHE_FEATURE_URING, "uring" },
	{ LETHE_FEATURE_HOLDERS, "holders" },
};

static void module_members(const struct module *module)
{
	struct json_object *object = output_object(), *list;
	const struct lethe_query *query = &module->query;
	size_t i;

	if (!module->there) {
		member_null(object, "module");
		return;
	}
	object = member_object(object, "module");
	member_number(object, "version", query->version);
	member_number(object, "block_size", query->block_size);
	member_number(object, "blocks", query->blocks);
	member_number(object, "pages_used", query->pages_used);
	member_number(object, "pages_free", query->pages_free);
	member_number(object, "pages_small", query->pages_small);
	member_number(object, "splits", query->splits);
	member_number(object, "regions", query->regions);
	member_text(object, "hibernate", *module->hibernate ? module->hibernate : NULL);
	if (module->has_wipes) {
		member_number(object, "wipes", module->wipes);
		member_number(object, "wiped_bytes", module->wiped_bytes);
	}
	if (!module->queried)
		return;
	member_number(object, "max_blocks", query->max_blocks);
	member_number(object, "keep_blocks", query->keep_blocks);
	list = member_list(object, "features");
	for (i = 0; i < sizeof(features) / sizeof(features[0]); i++)
		if (query->features & features[i].bit)
			list_text(list, features[i].name);
}

static void show_module(const struct module *module)
{
	const struct lethe_query *query = &module->query;
	char limit[32] = "no limit";

	if (output_object())
		module_members(module);
	if (!module->there) {
		say("%-12s not loaded", "module");
		return;
	}
	say("%-12s lethe.ko, ABI version %u%s%s", "module", query->version,
	    *module->hibernate ? ", hibernate=" : "", module->hibernate);
	if (query->max_blocks)
		snprintf(limit, sizeof(limit), "at most %llu",
			 (unsigned long long)query->max_blocks);
	else if (!module->queried)
		snprintf(limit, sizeof(limit), "limit not seen");
	say("%-12s %llu of %llu KiB, %s", "  blocks", (unsigned long long)query->blocks,
	    (unsigned long long)query->block_size / 1024, limit);
	say("%-12s %llu used, %llu free, %llu of these in pieces", "  pages",
	    (unsigned long long)query->pages_used, (unsigned long long)query->pages_free,
	    (unsigned long long)query->pages_small);
	say("%-12s %llu", "  regions", (unsigned long long)query->regions);
	if (module->has_wipes)
		say("%-12s %llu, of %llu bytes", "  wipes", module->wipes,
		    module->wiped_bytes);
	if (!module->queried)
		output_note("the module cannot be asked: " LETHE_DEVICE ": %s",
			    strerror(module->error));
}

static void holder_members(struct json_object *object, const struct holder *holder)
{
	if (holder->pid)
		member_number(object, "pid", (unsigned int)holder->pid);
	else
		member_null(object, "pid");
	member_text(object, "command", holder->command);
	member_number(object, "kmod_bytes", holder->kmod);
	member_number(object, "kmod_regions", holder->regions);
	member_number(object, "memfd_secret_bytes", holder->memfd);
	member_number(object, "memfd_secret_descriptors", holder->descriptors);
	member_number(object, "locked_bytes", holder->locked);
}

/* Of a process that is gone, and left its regions to others, there is no number. */
static void show_holder(const struct holder *holder)
{
	char pid[16] = "gone", name[4 * sizeof(holder->command)];

	if (holder->pid)
		snprintf(pid, sizeof(pid), "%d", holder->pid);
	say("  %8s %9llu K %9llu K %9llu K %5u  %s", pid, holder->kmod / 1024,
	    holder->memfd / 1024, holder->locked / 1024, holder->descriptors,
	    escape(name, sizeof(name), holder->command));
}

static void show_holders(const struct holders *holders, const struct module *module)
{
	struct json_object *object = output_object(), *list = NULL;
	const char *hint = geteuid() ? " (root can)" : "";
	unsigned int vetoes = 0;
	size_t i;

	if (object) {
		list = member_list(object, "holders");
		member_number(object, "holders_unseen", holders->unseen);
	}
	say("%-12s %zu process%s", "holders", holders->nr, holders->nr == 1 ? "" : "es");
	if (holders->nr)
		say("  %s%8s %11s %11s %11s %5s  %s%s", colour(DIM), "PID", "KMOD",
		    "MEMFD", "LOCKED", "FDS", "COMMAND", colour(PLAIN));
	for (i = 0; i < holders->nr; i++) {
		if (list)
			holder_members(list_object(list), &holders->all[i]);
		show_holder(&holders->all[i]);
		vetoes += holders->all[i].memfd || holders->all[i].descriptors;
	}
	if (vetoes)
		output_note(
			"processes that have a memfd_secret: %u; as long as there is one, the machine does not hibernate",
			vetoes);
	if (holders->unseen)
		output_note(
			"processes that have locked memory and cannot be looked into: %u%s",
			holders->unseen, hint);
	if (holders->closed)
		output_note(
			"processes whose descriptors cannot be looked at, for a memfd_secret that is not mapped: %u%s",
			holders->closed, hint);
	if (holders->hidden)
		output_note("processes of others are hidden (hidepid= of /proc)%s", hint);
	if (module->there && holders->kmod_unseen)
		output_note(
			"of the module's pages only what this user's processes have mapped is seen: it tells root who holds them");
}

static void looking(pid_t pid, void *arg)
{
	unsigned int *nr = arg;

	/* A system call each, and terminals are slow. */
	if (!((*nr)++ % 64))
		progress("looking at process %d", pid);
}

static int look_at_holders(struct holders *holders, const struct module *module)
{
	struct lethe_holder *rows;
	unsigned int looked = 0;
	int err, nr;

	err = holders_look(holders, "", looking, &looked);
	if (err)
		return output_error("/proc: %s: who holds secret pages is not to be seen",
				    strerror(-err));
	nr = module->queried ? module_holders(&rows) : -1;
	if (nr >= 0) {
		err = holders_add_module(holders, rows, (size_t)nr);
		free(rows);
	}
	holders_forget(holders, getpid());
	holders_sort(holders);
	return err ? output_error("%s", strerror(-err)) : 0;
}

static enum colour colour_of(enum severity severity)
{
	return severity == VIOLATION ? BAD :
	       severity == LACKS     ? WARN :
	       severity == FINE      ? GOOD :
				       DIM;
}

static void show_finding(const struct finding *finding)
{
	say("%s%-12s%s %s: %s", colour(colour_of(finding->severity)),
	    states[finding->severity], colour(PLAIN), finding->name, finding->what);
	if (*finding->mend)
		say("%-12s %smend: %s%s", "", colour(DIM), finding->mend, colour(PLAIN));
}

/* The worst first; a check is one line, or two. How many there are of each severity. */
static void show_machine(const struct machine *machine, bool verbose, size_t *found)
{
	struct json_object *list = output_object(), *object;
	struct finding findings[MACHINE_CHECKS];
	size_t nr = machine_look(machine, findings), i;
	int severity;

	if (list)
		list = member_list(list, "machine");
	for (severity = VIOLATION; severity >= FINE; severity--)
		for (i = 0; i < nr; i++) {
			if ((int)findings[i].severity != severity)
				continue;
			found[severity]++;
			if (severity != FINE || verbose)
				show_finding(&findings[i]);
			if (!list)
				continue;
			object = list_object(list);
			member_text(object, "check", findings[i].name);
			member_text(object, "state", states[severity]);
			member_text(object, "what", findings[i].what);
			member_text(object, "mend",
				    *findings[i].mend ? findings[i].mend : NULL);
		}
}

static int verdict(const struct machine *machine, const size_t *found, bool strict)
{
	if (found[VIOLATION] || (strict && found[LACKS]))
		return STATUS_FOUND;
	if (!machine->backend)
		return output_error("no backend can be had now: %s",
				    strerror(machine->backend_error));
	return strict && found[UNSEEN] ? STATUS_UNKNOWN : STATUS_CLEAN;
}

int status_verb(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Show which backend there is, who holds secret pages, and what this machine lacks.\v"
		       "The exit status is 0 if what is on secret pages stays there, 1 if it can get out, "
		       "2 if that could not be told.",
	};
	struct status_options given = { 0 };
	size_t found[VIOLATION + 1] = { 0 };
	struct holders holders;
	struct machine machine;
	struct module module;
	int status;

	output_parse(&argp, argc, argv, &given);
	output_begin("status");
	/* Before this process has pages of its own. */
	module_look(&module, "");
	machine_ask(&machine);
	show_backend(&machine);
	show_module(&module);
	status = look_at_holders(&holders, &module);
	if (!status) {
		show_holders(&holders, &module);
		holders_free(&holders);
	}
	show_machine(&machine, given.verbose, found);
	status = status ?: verdict(&machine, found, given.strict);
	say("%-12s %s", "verdict",
	    status == STATUS_FOUND ?
		    "violation: secrets can get out" :
	    status == STATUS_UNKNOWN ?
		    "unknown" :
		    "clean: no way is known for what is on secret pages to get out");
	return output_end(status);
}
