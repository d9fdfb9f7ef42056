// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * One secret, searched for as often as one likes: read once, in no process's memory but as
 * a table that has no byte of it plainly, and then held against processes one after the
 * other. Prints nothing of what it found, and gives no verdict.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "lethe.h"
#include "output.h"
#include "scan.h"
#include "undo.h"

static void found(void *arg, const struct run *run)
{
	size_t says = run_says(arg, run);
	struct scan *scan = arg;
	struct place place;

	if (scan->register_place)
		place = *scan->register_place;
	if (scan->kernel.asked && !kernel_place(scan, run->address - NO_ADDRESS, &place))
		return;
	scan->nr_found++;
	scan->nr_whole += run_whole(run);
	scan->count[run->pattern->form]++;
	if (says > scan->longest[run->pattern->form])
		scan->longest[run->pattern->form] = says;
	if (scan->nr_findings == FINDINGS_MAX)
		return;
	if (!scan->register_place)
		place_find(scan, run->address, &place);
	scan->findings[scan->nr_findings++] = (struct finding){ *run, place };
}

static void wipe(void *arg)
{
	struct scan *scan = arg;

	table_wipe(scan->table);
	kernel_wipe(scan);
}

/* The secret into the table. 0 or an exit status. */
static int add_forms(struct scan *scan, const uint8_t *secret, size_t length,
		     size_t minimum, unsigned int forms)
{
	int err = 0;

	scan->secret_length = length;
	scan->table = table_new(length, minimum);
	if (!scan->table) {
		err = -errno;
	} else {
		scan->undo = undo_push(wipe, scan);
		err = forms_add(scan->table, forms, secret, length);
		if (!err)
			err = cipher_forms_add(scan->table, forms, secret, length);
		if (!err)
			err = table_finish(scan->table);
	}
	/* What the compiler put on the stack, and into registers. */
	lethe_wipe_thread();
	if (err)
		return output_error("no room for the table of forms: %s", strerror(-err));
	if (!table_patterns(scan->table))
		return output_error("of this secret there are none of these forms");
	return 0;
}

static void begin(struct scan *scan)
{
	*scan = (struct scan){ .memory = -1, .pagemap = -1 };
	/* Whoever may not read us as root may not otherwise. */
	prctl(PR_SET_DUMPABLE, 0);
}

/* With the table there. */
static int open_engine(struct scan *scan)
{
	scan->engine = engine_new(scan->table, found, memory_peek, scan);
	scan->buffer = locked_new(SCAN_ROOM);
	scan->peeked = locked_new(4096);
	scan->findings = calloc(FINDINGS_MAX, sizeof(*scan->findings));
	if (!scan->engine || !scan->buffer || !scan->peeked || !scan->findings)
		return output_error("no memory: %s", strerror(errno));
	return 0;
}

int scan_open(struct scan *scan, int fd, size_t minimum, unsigned int forms)
{
	uint8_t *secret;
	ssize_t length;
	char why[512];
	int status;

	begin(scan);
	secret = locked_new(SCAN_MAX + 1);
	if (!secret)
		return output_error("no locked memory: %s; raise it with ulimit -l",
				    strerror(errno));
	length = secret_read(fd, secret, minimum, why, sizeof(why));
	if (length < 0)
		status = output_error("%s", why);
	else
		status = add_forms(scan, secret, (size_t)length, minimum, forms);
	locked_free(secret, SCAN_MAX + 1);
	return status ? status : open_engine(scan);
}

int scan_open_bytes(struct scan *scan, const uint8_t *secret, size_t length,
		    unsigned int forms)
{
	char why[512];
	int status;

	begin(scan);
	if (!secret_fit(secret, length, SCAN_MIN, why, sizeof(why)))
		return output_error("%s", why);
	status = add_forms(scan, secret, length, SCAN_MIN, forms);
	return status ? status : open_engine(scan);
}

static int open_memory(struct scan *scan)
{
	char path[64];
	int err;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/mem", (int)scan->pid,
		 (int)scan->stopped.alive);
	scan->memory = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/pagemap", (int)scan->pid,
		 (int)scan->stopped.alive);
	scan->pagemap = open(path, O_RDONLY | O_CLOEXEC);
	err = scan->memory < 0 || scan->pagemap < 0 ? -errno : 0;
	return err ? err : maps_read(&scan->maps, scan->pid, scan->stopped.alive);
}

static void read_name(struct scan *scan)
{
	char path[64], name[64] = "";
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)scan->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, name, sizeof(name) - 1);
	if (fd >= 0)
		close(fd);
	name[n > 0 ? n - 1 : 0] = '\0';
	snprintf(scan->name, sizeof(scan->name), "%s", name);
}

/* All that is of one process, and not of the secret. */
void scan_forget(struct scan *scan)
{
	maps_free(&scan->maps);
	scan->maps = (struct maps){ 0 };
	if (scan->memory >= 0)
		close(scan->memory);
	if (scan->pagemap >= 0)
		close(scan->pagemap);
	scan->memory = scan->pagemap = -1;
	scan->layout = (struct start_layout){ 0 };
	scan->nr_findings = scan->nr_found = scan->nr_whole = 0;
	memset(scan->count, 0, sizeof(scan->count));
	memset(scan->longest, 0, sizeof(scan->longest));
	scan->registers = scan->kernel.searched = 0;
	scan->kernel.live = scan->kernel.unread = 0;
	scan->gone = false;
}

int scan_stopped(struct scan *scan, char *why, size_t room)
{
	int err;

	scan_forget(scan);
	scan->pid = scan->stopped.pid;
	scan->nr_threads = scan->stopped.nr_threads;
	err = open_memory(scan);
	if (err == -ESRCH || err == -ENOENT) {
		snprintf(why, room, "process %d ended while it was searched",
			 (int)scan->pid);
		return err;
	}
	if (err) {
		snprintf(why, room, "cannot read the memory of process %d: %s",
			 (int)scan->pid, strerror(-err));
		return err;
	}
	read_name(scan);
	layout_read(scan);
	err = registers_scan(scan);
	if (!err)
		err = kernel_scan(scan);
	if (!err)
		err = memory_scan(scan);
	/* Killed, it goes even now; what was read last may have been nothing. */
	if (!err && !process_lives(&scan->stopped))
		err = -ESRCH;
	if (err == -ESRCH) {
		scan->gone = true;
		err = 0;
	}
	if (err)
		snprintf(why, room, "process %d: %s", (int)scan->pid, strerror(-err));
	return err;
}

int scan_process(struct scan *scan, pid_t pid, char *why, size_t room)
{
	int err;

	kernel_open(scan);
	err = stop_process(&scan->stopped, pid, why, room);
	if (!err)
		err = scan_stopped(scan, why, room);
	stopped_let_go(&scan->stopped);
	scan->stopped_ns = now_ns() - scan->stopped.since;
	return err;
}

void scan_close(struct scan *scan)
{
	scan_forget(scan);
	engine_free(scan->engine);
	if (scan->table)
		undo_forget(scan->undo);
	table_free(scan->table);
	kernel_close(scan);
	if (scan->buffer)
		locked_free(scan->buffer, SCAN_ROOM);
	if (scan->peeked)
		locked_free(scan->peeked, 4096);
	free(scan->findings);
	lethe_wipe_thread();
}
