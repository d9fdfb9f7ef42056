// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * watch, as it runs: waits for the probes, signals, the process, the terminal and the
 * time, and lets none of them wait long for another. One thread; the probes' ring
 * buffers hold what comes while it is busy, and count what they had no room for.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "lethectl.h"
#include "watch.h"

#define MS 1000000ULL
#define SECOND 1000000000ULL
/* Events of one probe, before others have their turn. */
#define BATCH 4096
/* From one look at all processes to the next: at least so long, and so many times as
 * long as it took. */
#define REFRESH SECOND
#define REFRESH_SHARE 20
/* From one look at those processes that changed to the next. */
#define SETTLE (50 * MS)
/* How long at the end who reads may take. */
#define PATIENCE (5 * SECOND)

struct loop {
	struct watch *watch;
	int signals, target;
	/* One each: in one for all, who is first could keep the others from a turn. */
	struct ring_buffer *rings[WATCH_PROBES];
	unsigned long long next_total, next_refresh, next_settle, end;
	unsigned int batch;
	bool ending, complained;
};

/* Blocked ones, for signalfd; but what is ignored stays so, as nohup(1) has it. */
int watch_signals(void)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action;
	sigset_t set;
	size_t i;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (!sigaction(ends[i], NULL, &action) && action.sa_handler != SIG_IGN)
			sigaddset(&set, ends[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

void watch_signals_end(int signals)
{
	sigset_t set;

	close(signals);
	sigfillset(&set);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* The kernel has no list of whose a frame is; the set of them has. */
static const struct event *with_owner(const struct loop *loop, const struct event *event)
{
	static struct event whole;

	if (event->what != EVENT_SWAP || event->target)
		return event;
	whole = *event;
	whole.target = frames_owner(loop->watch->frames, event->frame, &whole.address);
	return &whole;
}

static int take(void *context, void *data, size_t size)
{
	const struct event *event = data;
	enum watch_judgement judgement;
	struct loop *loop = context;
	char line[WATCH_LINE];

	if (size < sizeof(*event))
		return 0;
	event = with_owner(loop, event);
	if (loop->ending && event->when > loop->end)
		return -ECANCELED;
	if (event->what == EVENT_MAPS)
		loop->next_refresh = loop->next_settle;
	if (watch_probe_of(event) != WATCH_PROBES) {
		judgement = watch_judge(loop->watch, event);
		if (judgement != WATCH_OTHERS && watch_out_wants(event))
			watch_out_text(line,
				       watch_line(loop->watch, event, judgement, line));
	}
	return --loop->batch && !watch_out_full() ? 0 : -EAGAIN;
}

/* True: there is, or may be, more. */
static bool consume(struct loop *loop, int probe)
{
	int n;

	loop->batch = BATCH;
	n = ring_buffer__consume(loop->rings[probe]);
	if (n < 0 && n != -EAGAIN && n != -ECANCELED)
		loop->watch->failed = true;
	return n == -EAGAIN;
}

static void refresh_failed(struct loop *loop, int err)
{
	/* It is about to be known that it is gone. */
	if (!err || err == -ESRCH)
		return;
	loop->watch->failed = true;
	if (loop->complained)
		return;
	loop->complained = true;
	watch_out_erase();
	complain("the set of secret frames is not kept current: %s", strerror(-err));
}

static void refresh(struct loop *loop, unsigned long long now)
{
	struct frames *frames = loop->watch->frames;
	unsigned long long took;
	int n;

	if (now >= loop->next_refresh) {
		refresh_failed(loop, frames_refresh(frames, loop->watch->pid));
		took = watch_now() - now;
		loop->next_refresh = now + REFRESH;
		if (took * REFRESH_SHARE > REFRESH)
			loop->next_refresh = now + took * REFRESH_SHARE;
	} else if (now >= loop->next_settle) {
		n = frames_settle(frames);
		refresh_failed(loop, n < 0 ? n : 0);
	} else {
		return;
	}
	loop->next_settle = watch_now() + SETTLE;
	watch_say_holders(loop->watch);
}

void watch_save_metrics(struct watch *watch, bool running)
{
	int err = watch->metrics ? watch_metrics(watch, running) : 0;

	if (!err)
		return;
	if (!watch->metrics_failed) {
		watch_out_erase();
		complain("--metrics %s: not written: %s; it goes on, and tries again",
			 watch->metrics, strerror(-err));
	}
	watch->metrics_failed = true;
}

static void total(struct loop *loop, unsigned long long now)
{
	char text[512];

	loop->next_total = now + (unsigned long long)(loop->watch->interval * 1e9);
	watch_count(loop->watch);
	watch_save_metrics(loop->watch, true);
	watch_out_tick();
	watch_total(loop->watch, text, sizeof(text));
	watch_out_total(text);
}

/* 0, or which end it asks for. */
static int signal_end(struct loop *loop)
{
	struct signalfd_siginfo info;
	char text[512];

	while (read(loop->signals, &info, sizeof(info)) == sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGWINCH:
			watch_total(loop->watch, text, sizeof(text));
			watch_out_total(text);
			break;
		case SIGHUP:
			return WATCH_HANGUP;
		default:
			return WATCH_ASKED;
		}
	}
	return 0;
}

static int wait_ms(const struct loop *loop, unsigned long long now)
{
	unsigned long long next = loop->next_total;

	if (loop->next_refresh < next)
		next = loop->next_refresh;
	if (loop->next_settle < next)
		next = loop->next_settle;
	if (loop->end && loop->end < next)
		next = loop->end;
	return next > now ? (int)((next - now) / MS) + 1 : 0;
}

enum { SIGNALS, TARGET, STDOUT, RINGS };

static int wait_for_any(struct loop *loop, struct pollfd *fds, unsigned long long now)
{
	int i;

	fds[SIGNALS] = (struct pollfd){ .fd = loop->signals, .events = POLLIN };
	fds[TARGET] = (struct pollfd){ .fd = loop->target, .events = POLLIN };
	/* With nothing to be written too: that nobody is there any more is told always. */
	fds[STDOUT] = (struct pollfd){ .fd = watch_out_fd(),
				       .events = watch_out_pending() ? POLLOUT : 0 };
	for (i = 0; i < WATCH_PROBES; i++)
		fds[RINGS + i] = (struct pollfd){
			.fd = loop->rings[i] && !watch_out_full() ?
				      ring_buffer__epoll_fd(loop->rings[i]) :
				      -1,
			.events = POLLIN,
		};
	return poll(fds, RINGS + WATCH_PROBES, wait_ms(loop, now));
}

/* One turn. 0, or which end it came to. */
static int turn(struct loop *loop)
{
	struct pollfd fds[RINGS + WATCH_PROBES];
	unsigned long long now;
	int i, end;

	if (wait_for_any(loop, fds, watch_now()) < 0)
		return errno == EINTR ? 0 : WATCH_FAILED;
	end = signal_end(loop);
	if (end)
		return end;
	for (i = 0; i < WATCH_PROBES; i++)
		if (fds[RINGS + i].revents)
			consume(loop, i);
	if (fds[TARGET].revents)
		return WATCH_GONE;
	now = watch_now();
	refresh(loop, now);
	if (now >= loop->next_total)
		total(loop, now);
	if (watch_out_flush() || fds[STDOUT].revents & (POLLERR | POLLHUP | POLLNVAL))
		return watch_out_terminal() ? WATCH_HANGUP : WATCH_OUTPUT;
	return loop->end && now >= loop->end ? WATCH_TIME : 0;
}

/* What was seen up to now and is not told yet: no longer than who reads has patience. */
static void drain(struct loop *loop)
{
	struct pollfd pollfd = { .fd = watch_out_fd(), .events = POLLOUT };
	unsigned long long now = watch_now(), until = now + PATIENCE;
	bool more;
	int i;

	loop->end = now;
	loop->ending = true;
	watch_count(loop->watch);
	do {
		more = false;
		for (i = 0; i < WATCH_PROBES; i++)
			if (loop->rings[i])
				more |= consume(loop, i);
		if (watch_out_flush())
			return;
		if (watch_out_full())
			poll(&pollfd, 1, 100);
		if (more && watch_now() > until)
			loop->watch->output_failed = true;
	} while (more && !loop->watch->output_failed);
}

static int open_rings(struct loop *loop)
{
	int i;

	for (i = 0; i < WATCH_PROBES; i++) {
		if (!loop->watch->probes[i])
			continue;
		loop->rings[i] = ring_buffer__new(
			watch_kinds[i].ring(loop->watch->probes[i]), take, loop, NULL);
		if (!loop->rings[i])
			return -errno;
	}
	return 0;
}

enum watch_end watch_loop(struct watch *watch, int signals, int target)
{
	unsigned long long now = watch_now();
	struct loop loop = {
		.watch = watch,
		.signals = signals,
		.target = target,
		.next_total = now,
		.next_refresh = now + REFRESH,
		.next_settle = now + SETTLE,
		.end = watch->seconds ? now + (unsigned long long)(watch->seconds * 1e9) :
					0,
	};
	int i, end = 0, err = open_rings(&loop);

	if (err) {
		complain("the ring buffers of the probes: %s", strerror(-err));
		end = WATCH_FAILED;
	}
	while (!end)
		end = turn(&loop);
	drain(&loop);
	for (i = 0; i < WATCH_PROBES; i++)
		ring_buffer__free(loop.rings[i]);
	return end;
}
