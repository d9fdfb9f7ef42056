// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The probes of watch, while the program runs, and of what they tell that which is about
 * its own processes: pages of theirs that left for swap, attempts at them by others than
 * us, calls that gave secret pages away. Judged as watch judges. What a probe did not see
 * is said; where there is none, that was not asked.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "output.h"
#include "verify.h"
#include "watch.h"

#define MS 1000000ULL
/* From one look at all processes to the next; and so many times as long as it took. */
#define REFRESH 1000000000ULL
#define REFRESH_SHARE 20
#define SETTLE (50 * MS)
#define BATCH 4096

struct verify_probes {
	struct watch watch;
	struct layout layout;
	struct ring_buffer *rings[WATCH_PROBES];
	struct verify *verify;
	unsigned long long next_refresh, next_settle;
	unsigned int batch;
	unsigned long long violations[WATCH_PROBES], doubts[WATCH_PROBES],
		told[WATCH_PROBES];
	const char *why_not;
};

/* Is it one of the program's, or was it? */
static bool ours(const struct verify *verify, pid_t pid)
{
	const struct process *process = verify->processes;

	while (process && process->pid != pid)
		process = process->next;
	return process && pid;
}

static const char *const kinds[WATCH_PROBES] = {
	[WATCH_SWAP] = "swap",
	[WATCH_ACCESS] = "access",
	[WATCH_LEAVING] = "leaving",
};

static void tell(struct verify_probes *probes, const struct event *event, pid_t whose)
{
	enum watch_probe probe = watch_probe_of(event);
	enum watch_judgement judgement;
	char text[256], by[64];

	probes->watch.pid = whose;
	judgement = watch_judge(&probes->watch, event);
	probes->watch.pid = 0;
	if (judgement == WATCH_OTHERS)
		return;
	probes->told[probe]++;
	probes->violations[probe] += judgement == WATCH_VIOLATION;
	probes->doubts[probe] += judgement == WATCH_DOUBT;
	escape(by, sizeof(by), event->command);
	snprintf(text, sizeof(text), "%s by %s (%d)%s%s", watch_way(event), by,
		 event->pid,
		 probe != WATCH_ACCESS ? "" :
		 watch_refused(event)  ? ", refused" :
					 ", not refused",
		 judgement == WATCH_DOUBT ? ": what it took is not seen" : "");
	record_event(probes->verify, whose, kinds[probe], text,
		     judgement == WATCH_VIOLATION);
}

static int take(void *context, void *data, size_t size)
{
	struct verify_probes *probes = context;
	const struct event *event = data;
	struct event whole;
	pid_t whose;

	if (size < sizeof(*event))
		return 0;
	whole = *event;
	if (whole.what == EVENT_SWAP && !whole.target)
		whole.target = frames_owner(probes->watch.frames, whole.frame,
					    &whole.address);
	if (whole.what == EVENT_MAPS)
		probes->next_refresh = probes->next_settle;
	whose = whole.what == EVENT_LEAVING && !whole.target ? whole.pid : whole.target;
	/* That we read of it what we can the probes leave out: they are ours. */
	if (watch_probe_of(&whole) != WATCH_PROBES && ours(probes->verify, whose))
		tell(probes, &whole, whose);
	return --probes->batch ? 0 : -EAGAIN;
}

static void consume(struct verify_probes *probes)
{
	int i, n;

	for (i = 0; i < WATCH_PROBES; i++) {
		if (!probes->rings[i])
			continue;
		probes->batch = BATCH;
		n = ring_buffer__consume(probes->rings[i]);
		if (n < 0 && n != -EAGAIN)
			probes->watch.failed = true;
	}
}

static int open_all(struct verify_probes *probes)
{
	struct watch *watch = &probes->watch;
	int i, err, any = 0;
	const char *why = NULL;

	err = hook_possible(&why);
	if (!err)
		err = layout_learn(&probes->layout, &why);
	if (!err)
		err = frames_open(&watch->frames, &probes->layout, &why);
	if (err) {
		probes->why_not = why ? why : strerror(-err);
		return err;
	}
	for (i = 0; i < WATCH_PROBES; i++) {
		why = NULL;
		if (watch_kinds[i].open(&watch->probes[i], watch->frames, &why)) {
			watch->probes[i] = NULL;
			watch->why_not[i] = strdup(why ? why : "it is refused");
			continue;
		}
		probes->rings[i] = ring_buffer__new(watch_kinds[i].ring(watch->probes[i]),
						    take, probes, NULL);
		any += probes->rings[i] != NULL;
	}
	return any ? 0 : -ENOENT;
}

void probes_open(struct verify *verify)
{
	struct verify_probes *probes;

	if (verify->asked.probes == PROBES_NONE)
		return;
	probes = calloc(1, sizeof(*probes));
	if (!probes)
		return;
	verify->probes = probes;
	probes->verify = verify;
	probes->watch.wanted = (1U << WATCH_PROBES) - 1;
	probes->watch.began = watch_now();
	if (open_all(probes) && !probes->why_not)
		probes->why_not = "none of them can be attached";
}

int probes_poll(struct verify *verify, struct pollfd *fds)
{
	int i, nr = 0;

	for (i = 0; verify->probes && i < WATCH_PROBES; i++)
		if (verify->probes->rings[i])
			fds[nr++] = (struct pollfd){
				.fd = ring_buffer__epoll_fd(verify->probes->rings[i]),
				.events = POLLIN,
			};
	return nr;
}

void probes_turn(struct verify *verify)
{
	struct verify_probes *probes = verify->probes;
	unsigned long long now, took;

	if (!probes || probes->why_not)
		return;
	consume(probes);
	now = watch_now();
	if (now >= probes->next_refresh) {
		if (frames_refresh(probes->watch.frames, 0))
			probes->watch.failed = true;
		took = watch_now() - now;
		probes->next_refresh = now + REFRESH;
		if (took * REFRESH_SHARE > REFRESH)
			probes->next_refresh = now + took * REFRESH_SHARE;
		probes->next_settle = now + SETTLE;
	} else if (now >= probes->next_settle) {
		if (frames_settle(probes->watch.frames) < 0)
			probes->watch.failed = true;
		probes->next_settle = watch_now() + SETTLE;
	}
}

/* What stays unseen, in one sentence at the end. */
struct unseen {
	char text[900];
	size_t at;
};

static void list_hooks(struct json_object *list, struct unseen *unseen, const char *of,
		       const struct hook *hooks, size_t nr)
{
	struct json_object *object;
	char name[128];
	size_t i;
	int n;

	for (i = 0; i < nr; i++) {
		object = list_object(list);
		snprintf(name, sizeof(name), "%s: %s", of, hooks[i].name);
		member_text(object, "name", name);
		member_flag(object, "attached", hooks[i].attached);
		if (hooks[i].attached || !*hooks[i].unseen) {
			member_null(object, "unseen");
			continue;
		}
		member_text(object, "unseen", hooks[i].unseen);
		n = snprintf(unseen->text + unseen->at, sizeof(unseen->text) - unseen->at,
			     "%s%s", unseen->at ? "; " : "", hooks[i].unseen);
		if (n > 0 && (size_t)n < sizeof(unseen->text) - unseen->at)
			unseen->at += (size_t)n;
	}
}

static const char *const names[WATCH_PROBES] = {
	[WATCH_SWAP] = "no secret page goes to swap",
	[WATCH_ACCESS] = "nobody gets at a secret page",
	[WATCH_LEAVING] = "what is handed to the kernel is seen",
};

static unsigned long long sum(const unsigned long long *ways)
{
	unsigned long long all = 0;
	int i;

	for (i = 0; i < WATCH_WAYS; i++)
		all += ways[i];
	return all;
}

static void check_one(struct verify *verify, struct verify_probes *probes, int i)
{
	const struct watch_counts *counts = &probes->watch.counts[i];
	unsigned long long unjudged = i == WATCH_SWAP ? sum(counts->unjudged) : 0;

	if (probes->violations[i])
		check_add(verify, names[i], CHECK_FAILED,
			  "%s of the program's secret pages %s",
			  watch_number(probes->violations[i]),
			  i == WATCH_SWAP ? "left" : "were got at");
	else if (counts->lost || unjudged || probes->watch.failed)
		check_add(verify, names[i], CHECK_UNKNOWN,
			  "%s events lost, %s pages not judged%s",
			  watch_number(counts->lost), watch_number(unjudged),
			  probes->watch.failed ? ", and a probe was lost" : "");
	else if (probes->doubts[i])
		check_add(
			verify, names[i], CHECK_UNKNOWN,
			"%s times something was not refused, and what it took is not seen",
			watch_number(probes->doubts[i]));
	else if (i == WATCH_SWAP)
		check_add(
			verify, names[i], CHECK_PASSED,
			"of %s pages that left while it ran none was a secret one of its own",
			watch_number(sum(counts->all)));
	else
		check_add(verify, names[i], CHECK_PASSED, "%s %s%s",
			  watch_number(probes->told[i]),
			  i == WATCH_ACCESS ?
				  "attempts by others, none of which succeeded" :
				  "calls were given secret pages to copy",
			  i == WATCH_ACCESS ? "" : ", which the program may do");
}

void probes_check(struct verify *verify)
{
	enum check_status status = verify->asked.probes == PROBES_REQUIRED ?
					   CHECK_UNKNOWN :
					   CHECK_NOT_ASKED;
	struct verify_probes *probes = verify->probes;
	struct unseen unseen = { .at = 0 };
	const struct hook *hooks;
	const char *why;
	size_t nr;
	int i;

	if (probes && !probes->why_not) {
		consume(probes);
		watch_count(&probes->watch);
		hooks = frames_hooks(probes->watch.frames, &nr);
		list_hooks(verify->probe_list, &unseen, "frames", hooks, nr);
	}
	for (i = 0; i < WATCH_PROBES; i++) {
		if (probes && probes->rings[i]) {
			hooks = watch_kinds[i].hooks(probes->watch.probes[i], &nr);
			list_hooks(verify->probe_list, &unseen, kinds[i], hooks, nr);
			check_one(verify, probes, i);
			continue;
		}
		why = !probes                  ? "--no-probes" :
		      probes->why_not          ? probes->why_not :
		      probes->watch.why_not[i] ? probes->watch.why_not[i] :
						 "no memory";
		check_add(verify, names[i], status, "%s", why);
	}
	if (!probes || probes->why_not)
		return;
	unseen.text[unseen.at] = '\0';
	if (unseen.at)
		record_note(verify, "the probes do not see here: %s", unseen.text);
	verify->pages_seen = sum(probes->watch.counts[WATCH_SWAP].all);
	verify->pages_secret = probes->violations[WATCH_SWAP];
}

void probes_close(struct verify *verify)
{
	struct verify_probes *probes = verify->probes;
	int i;

	if (!probes)
		return;
	for (i = 0; i < WATCH_PROBES; i++) {
		ring_buffer__free(probes->rings[i]);
		if (probes->watch.probes[i])
			watch_kinds[i].close(probes->watch.probes[i]);
		free(probes->watch.why_not[i]);
	}
	if (probes->watch.frames)
		frames_close(probes->watch.frames);
	free(probes);
	verify->probes = NULL;
}
