// SPDX-License-Identifier: MIT
/*
 * Leads two peers through an exchange and has them searched where they stop.
 *
 * This process never calls libcrypto and never sees a secret: what the peers
 * tell it is masked.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "run.h"

static const char *const role_names[] = {
	[SENDER] = "sender",
	[RECEIVER] = "receiver",
};

int run_failed(struct run *run, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(run->error, sizeof(run->error), format, args);
	va_end(args);
	return -1;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static int listen_for_peer(uint16_t *port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 1) ||
	    getsockname(fd, (struct sockaddr *)&address, &length)) {
		int err = -errno;

		close(fd);
		return err;
	}
	*port = address.sin_port;
	return fd;
}

static int next_note(struct run *run, struct peer *peer, struct note *note)
{
	int err = peer_listen(peer, note);

	if (err == -EPIPE)
		return run_failed(run, "the %s ended without a word",
				  role_names[peer->role]);
	if (err)
		return run_failed(run, "the %s does not answer: %s",
				  role_names[peer->role], strerror(-err));
	if (note->kind == NOTE_FAILED)
		return run_failed(run, "the %s failed: %s", role_names[peer->role],
				  note->error);
	return 0;
}

/* Both peers know the last three secrets; either's needle of them will do. */
static int until_stopped(struct run *run, struct peer *peer, unsigned int stop)
{
	struct note note;

	for (;;) {
		if (next_note(run, peer, &note))
			return -1;
		if (note.kind == NOTE_STOPPED)
			break;
		run->needles[note.secret] = note.needle;
	}
	if (note.stop != stop)
		return run_failed(run, "the %s stopped in the wrong place",
				  role_names[peer->role]);
	if (stop % 2 == 0) {
		memcpy(run->backend, note.backend, sizeof(run->backend));
		/* The lowest of any section. */
		if (stop == 0 || note.level < run->level)
			run->level = note.level;
		return 0;
	}
	if (stop != stop_after(STEP_TRANSFER))
		return 0;
	if (peer->role == RECEIVER &&
	    (note.size != run->size ||
	     memcmp(note.digest, run->digest, sizeof(run->digest))))
		return run_failed(run, "what arrived is not what was sent");
	run->size = note.size;
	memcpy(run->digest, note.digest, sizeof(run->digest));
	return 0;
}

static int ask_peer(struct run *run, struct peer *peer, struct tally *tally)
{
	struct note note;

	if (peer_search_itself(peer))
		return run_failed(run, "the %s is gone", role_names[peer->role]);
	if (next_note(run, peer, &note))
		return -1;
	for (int i = 0; i < NR_SECRETS; i++)
		tally->own[i] += note.copies[i];
	tally->own_bytes += note.bytes;
	return 0;
}

/*
 * From outside first: a peer that searches itself uses its registers. And all
 * of RAM without any ptrace at all, which puts registers into kernel memory.
 */
static int look(struct run *run, struct peer *peers, unsigned int stop)
{
	struct tally *tally = &run->tally[stop];

	if (run->look == LOOK_RAM)
		return look_at_ram(run, stop);
	for (int i = 0; i < 2; i++) {
		if (look_at_process(run, peers[i].pid, tally))
			return -1;
	}
	for (int i = 0; run->lethe && i < 2; i++) {
		if (ask_peer(run, &peers[i], tally))
			return -1;
	}
	return 0;
}

static int lead(struct run *run, struct peer *peers)
{
	for (unsigned int stop = 0; stop < NR_STOPS; stop++) {
		double start = now();

		if (until_stopped(run, &peers[SENDER], stop) ||
		    until_stopped(run, &peers[RECEIVER], stop))
			return -1;
		run->seconds += now() - start;
		if (look(run, peers, stop))
			return -1;
		for (int i = 0; i < 2; i++) {
			if (peer_go_on(&peers[i]))
				return run_failed(run, "the %s is gone",
						  role_names[peers[i].role]);
		}
	}
	return 0;
}

/* Both tell at their end what they have sent, or got. */
static int see_through(struct run *run, struct peer *peers)
{
	for (int role = SENDER; role <= RECEIVER; role++)
		if (until_stopped(run, &peers[role], stop_after(STEP_TRANSFER)))
			return -1;
	for (int role = SENDER; role <= RECEIVER; role++)
		if (peer_await(&peers[role]))
			return run_failed(run, "the %s failed at its end",
					  role_names[role]);
	return 0;
}

static int run_peers(struct run *run, struct peer_setup *of,
		     int (*lead_them)(struct run *run, struct peer *peers))
{
	struct peer_setup setup = *of;
	struct peer peers[2] = {
		[SENDER] = { .from = -1, .to = -1 },
		[RECEIVER] = { .from = -1, .to = -1 },
	};
	int err = 0;

	setup.listener = listen_for_peer(&setup.port);
	if (setup.listener < 0)
		return run_failed(run, "no loopback socket: %s",
				  strerror(-setup.listener));
	for (int role = SENDER; !err && role <= RECEIVER; role++) {
		setup.role = role;
		err = peer_start(&peers[role], &setup);
	}
	close(setup.listener);
	if (err)
		run_failed(run, "a peer cannot be started: %s", strerror(-err));
	else
		err = lead_them(run, peers);
	for (int role = SENDER; role <= RECEIVER; role++)
		peer_end(&peers[role]);
	return err ? -1 : 0;
}

int run_job(struct run *run)
{
	struct peer_setup setup = {
		.lethe = run->lethe,
		.file = run->file,
		.key_fd = -1,
	};

	return run_peers(run, &setup, lead);
}

int run_once(struct run *run, int key_fd)
{
	struct peer_setup setup = {
		.lethe = run->lethe,
		.file = run->file,
		.once = true,
		.key_fd = key_fd,
	};

	return run_peers(run, &setup, see_through);
}
