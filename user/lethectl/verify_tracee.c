// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The program's processes and threads: found, made and forgotten. What is heard of them
 * stands in a queue until something is done about it, since a search has to hear of all
 * before it is done with one. Stops none, and lets none go.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "verify.h"

/* By thread id: a program may have thousands, and each is asked for at each event. */
#define BUCKETS 1024
static struct tracee *buckets[BUCKETS];

static struct tracee **bucket(pid_t tid)
{
	return &buckets[(unsigned int)tid % BUCKETS];
}

struct tracee *tracee_find(struct verify *verify, pid_t tid)
{
	struct tracee *tracee = *bucket(tid);

	(void)verify;
	while (tracee && tracee->tid != tid)
		tracee = tracee->next;
	return tracee;
}

struct tracee *tracee_new(struct verify *verify, pid_t tid)
{
	struct tracee *tracee = calloc(1, sizeof(*tracee));

	if (!tracee) {
		/* Untraced it cannot be left: the kernel ends all that are. */
		complain("%s", strerror(ENOMEM));
		exit(STATUS_UNKNOWN);
	}
	tracee->tid = tid;
	tracee->next = *bucket(tid);
	*bucket(tid) = tracee;
	verify->nr_tracees++;
	return tracee;
}

void tracee_of(struct tracee *tracee, struct process *process)
{
	tracee->process = process;
	process->threads++;
	process->live++;
}

void tracee_begins_exit(struct tracee *tracee)
{
	if (tracee->exiting)
		return;
	tracee->exiting = true;
	if (tracee->process)
		tracee->process->live--;
}

static void unqueue(struct verify *verify, struct tracee *tracee)
{
	struct tracee **at = &verify->queue, *before = NULL;

	for (; *at && *at != tracee; at = &(*at)->behind)
		before = *at;
	if (!*at)
		return;
	*at = tracee->behind;
	if (verify->queue_end == tracee)
		verify->queue_end = before;
}

void tracee_gone(struct verify *verify, struct tracee *tracee)
{
	struct tracee **at = bucket(tracee->tid);

	if (tracee->queued)
		unqueue(verify, tracee);
	while (*at != tracee)
		at = &(*at)->next;
	*at = tracee->next;
	if (tracee->process) {
		tracee_begins_exit(tracee);
		tracee->process->threads--;
	}
	verify->nr_tracees--;
	free(tracee);
}

void tracee_queue(struct verify *verify, struct tracee *tracee)
{
	if (tracee->queued)
		return;
	tracee->queued = true;
	tracee->behind = NULL;
	if (verify->queue)
		verify->queue_end->behind = tracee;
	else
		verify->queue = tracee;
	verify->queue_end = tracee;
}

struct tracee *tracee_next(struct verify *verify)
{
	struct tracee *tracee = verify->queue;

	if (!tracee)
		return NULL;
	verify->queue = tracee->behind;
	if (!verify->queue)
		verify->queue_end = NULL;
	tracee->queued = false;
	return tracee;
}

struct tracee *tracee_each(struct verify *verify, struct tracee *after)
{
	size_t i = after ? (unsigned int)after->tid % BUCKETS : 0;

	(void)verify;
	if (after && after->next)
		return after->next;
	for (i += after != NULL; i < BUCKETS; i++)
		if (buckets[i])
			return buckets[i];
	return NULL;
}

long long status_number(pid_t pid, const char *key, int base)
{
	size_t length = strlen(key);
	char path[64], line[256];
	long long value = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, key, length) || line[length] != ':')
			continue;
		value = (long long)strtoull(line + length + 1, NULL, base);
		break;
	}
	fclose(file);
	return value;
}

void process_name(struct process *process)
{
	char path[64];
	size_t n;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)process->pid);
	file = fopen(path, "re");
	if (!file)
		return;
	n = fread(process->name, 1, sizeof(process->name) - 1, file);
	fclose(file);
	process->name[n] = '\0';
	process->name[strcspn(process->name, "\n")] = '\0';
}

struct process *process_new(struct verify *verify, pid_t pid, pid_t parent)
{
	struct process *process = calloc(1, sizeof(*process)), **at;

	if (!process) {
		complain("%s", strerror(ENOMEM));
		exit(STATUS_UNKNOWN);
	}
	process->pid = pid;
	process->parent = parent;
	process->from = verify_seconds(verify);
	process->to = -1;
	for (at = &verify->processes; *at;)
		at = &(*at)->next;
	*at = process;
	return process;
}

struct process *process_find(struct verify *verify, pid_t pid)
{
	struct process *process = verify->processes;

	/* A number may be had twice: who has ended has it no more. */
	while (process && (process->pid != pid || process->ended))
		process = process->next;
	return process;
}

void tracees_free(struct verify *verify)
{
	struct tracee *tracee;
	struct process *process;

	while ((tracee = tracee_each(verify, NULL)))
		tracee_gone(verify, tracee);
	while ((process = verify->processes)) {
		verify->processes = process->next;
		marks_free(process->marks);
		free(process);
	}
}
