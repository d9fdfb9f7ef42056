// SPDX-License-Identifier: MIT
/*
 * A process that gives a buffer away, and what was told of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../selftests/tap.h"
#include "leaving_run.h"

struct leaving_run *leaving_run;

static struct leaving_probe *probe;
static struct frames *frames;

void leaving_begin(void)
{
	static struct layout layout;
	const struct hook *hooks;
	const char *why;
	size_t nr;

	if (hook_possible(&why))
		tap_skip_all(why);
	if (layout_learn(&layout, &why) || frames_open(&frames, &layout, &why) ||
	    leaving_probe_open(&probe, frames, &why))
		tap_bail("%s", why);
	hooks = leaving_probe_hooks(probe, &nr);
	for (size_t i = 0; i < nr; i++)
		tap_note("%s: %s", hooks[i].name,
			 hooks[i].attached ? "attached" : hooks[i].why_not);
	gather_open(leaving_probe_ring(probe));
	leaving_run = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			   -1, 0);
	if (leaving_run == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
}

void leaving_end(void)
{
	leaving_probe_close(probe);
	frames_close(frames);
}

int null_file(void)
{
	return open("/dev/null", O_WRONLY | O_CLOEXEC);
}

struct leaving_counts leaving_now(void)
{
	struct leaving_counts counts;

	if (leaving_probe_counts(probe, &counts))
		tap_bail("leaving_probe_counts() failed");
	return counts;
}

pid_t leaving_in_child(give_fn *give, enum kind kind, size_t offset, size_t length)
{
	pid_t child;
	int status;

	gather_begin();
	memset(leaving_run, 0, sizeof(*leaving_run));
	child = fork();
	if (!child) {
		char *area = kind_map(ORDINARY, NULL, 3);

		leaving_run->address = (uintptr_t)kind_map(kind, area + PAGE, 1);
		leaving_run->error = give(area + offset, length) < 0 ? errno : 0;
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status)
		tap_bail("a child ended with %#x", status);
	gather();
	return child;
}

/* Of which the kernel keeps 15 letters; its thread for a ring has one of its own. */
static bool is_name(const char *command)
{
	return !strncmp(command, program_invocation_short_name, 15) ||
	       !strncmp(command, "iou-sqp-", strlen("iou-sqp-"));
}

bool leaving_told_once(pid_t pid, enum leaving_way how, enum kind kind,
		       struct event *event)
{
	return gathered_by(EVENT_LEAVING, pid, how, event) == 1 && event->target == pid &&
	       event->kind == kind_bits[kind] && event->address == leaving_run->address &&
	       event->length == GIVEN && event->when && is_name(event->command);
}

size_t leaving_told(pid_t pid)
{
	struct event last;
	size_t nr = 0;

	for (int way = 0; way < LEAVING_WAYS; way++)
		nr += gathered_by(EVENT_LEAVING, pid, way, &last);
	return nr;
}
