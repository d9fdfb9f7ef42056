// SPDX-License-Identifier: MIT
/*
 * The peer's process, and the runner's ends of its pipes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lethe.h"
#include "mark.h"
#include "peer.h"

/* Generous: an emulated processor without AES instructions is slow. */
#define PATIENCE_MS (300 * 1000)

const char *const secret_names[NR_SECRETS] = {
	[SECRET_SENDER_KEY] = "sender-private-key",
	[SECRET_RECEIVER_KEY] = "receiver-private-key",
	[SECRET_SHARED] = "shared-secret",
	[SECRET_SESSION_KEY] = "session-key",
	[SECRET_ROUND_KEYS] = "aes-round-keys",
};

/*
 * What the peer's own functions share. All of it lies here and not on the
 * stack: what is written there below a step takes away what libcrypto left,
 * which the search is to find.
 */
struct job {
	struct exchange exchange;
	bool lethe, once;
	int from, to; /* pipes, the peer's ends */
	enum step step;
	int err;
	struct needle needles[NR_SECRETS];
	bool known[NR_SECRETS];
	struct note note;
};

static int write_whole(int fd, const void *bytes, size_t length)
{
	const char *from = bytes;

	while (length) {
		ssize_t n = write(fd, from, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		from += n;
		length -= n;
	}
	return 0;
}

/* Sends job->note, but for its kind all zero until its maker fills it. */
static void tell(struct job *job, enum note_kind kind)
{
	job->note.kind = kind;
	/* Without a runner there is nobody to work for. */
	if (write_whole(job->to, &job->note, sizeof(job->note)))
		_exit(1);
	memset(&job->note, 0, sizeof(job->note));
}

static _Noreturn void fail(struct job *job, const char *error)
{
	snprintf(job->note.error, sizeof(job->note.error), "%s", error);
	tell(job, NOTE_FAILED);
	_exit(1);
}

/* Told at once, and not at the stop: that would use the registers once more. */
static void reveal(void *arg, enum secret which, const void *secret, size_t length)
{
	struct job *job = arg;

	/* Whoever searches knows it already; here it would be one copy more. */
	if (job->once)
		return;
	if (needle_make(&job->needles[which], secret_names[which], secret, length))
		fail(job, "a needle cannot be made");
	job->known[which] = true;
	job->note.secret = which;
	job->note.needle = job->needles[which];
	tell(job, NOTE_NEEDLE);
}

static void search_itself(struct job *job)
{
	if (search_secret_pages(job->needles, job->known, &job->note))
		fail(job, "the peer cannot search its own secret pages");
	tell(job, NOTE_SEARCHED);
}

/* Says so, and blocks: the searches happen now. */
static void stop(struct job *job)
{
	char order;

	/* Of one that nobody searches, what the last stop would tell is all there is to say. */
	if (job->once && job->note.stop != stop_after(NR_STEPS - 1))
		return;
	tell(job, NOTE_STOPPED);
	if (job->once)
		return;
	for (;;) {
		ssize_t n = read(job->from, &order, 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(1);
		if (order == 'g')
			return;
		search_itself(job);
	}
}

static void pause_step(void *arg)
{
	struct job *job = arg;
	struct note *note = &job->note;

	if (job->lethe && !job->once) {
		const char *backend = lethe_backend();
		void *block = malloc(1);
		int stack = lethe_level_of(&block), heap = lethe_level_of(block);

		free(block);
		note->level = heap < stack ? heap : stack;
		snprintf(note->backend, sizeof(note->backend), "%s", backend ?: "");
	}
	/* For lethectl verify --at. */
	if (job->once)
		MARK_OF("mainjob", "in_use");
	note->stop = stop_within(job->step);
	stop(job);
}

static void run_step(void *arg)
{
	struct job *job = arg;

	job->err = exchange_step(&job->exchange, job->step);
}

static void do_step(struct job *job)
{
	int err = 0;

	if (job->lethe)
		err = lethe_do(run_step, job);
	else
		run_step(job);

	if (err) {
		snprintf(job->exchange.error, sizeof(job->exchange.error), "lethe_do: %s",
			 strerror(-err));
		job->err = err;
	}
	if (job->err)
		fail(job, job->exchange.error);
	job->note.stop = stop_after(job->step);
	job->note.size = job->exchange.size;
	memcpy(job->note.digest, job->exchange.digest, sizeof(job->note.digest));
	if (job->once)
		MARK_OF("mainjob", "step_end");
	stop(job);
}

static int connect_peers(const struct peer_setup *setup)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = setup->port,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd;

	if (setup->role == RECEIVER)
		return accept4(setup->listener, NULL, NULL, SOCK_CLOEXEC);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return -1;
	return fd;
}

static _Noreturn void peer_main(const struct peer_setup *setup, int from, int to)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		_exit(1);
	/* The searcher is our sibling: where only a parent may attach, allow it. */
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
	job->lethe = setup->lethe;
	job->once = setup->once;
	job->from = from;
	job->to = to;
	job->exchange = (struct exchange){
		.role = setup->role,
		.socket = connect_peers(setup),
		.file = setup->file,
		.key_fd = setup->role == SENDER ? setup->key_fd : -1,
		.reveal = reveal,
		.pause = pause_step,
		.arg = job,
	};
	if (setup->key_fd >= 0 && setup->role != SENDER)
		close(setup->key_fd);
	if (job->exchange.socket < 0)
		fail(job, "the peers cannot connect to each other");

	for (job->step = 0; job->step < NR_STEPS; job->step++)
		do_step(job);
	_exit(0);
}

int peer_start(struct peer *peer, const struct peer_setup *setup)
{
	int up[2] = { -1, -1 }, down[2] = { -1, -1 }, err = 0;
	pid_t parent = getpid();

	*peer = (struct peer){ .role = setup->role, .from = -1, .to = -1 };
	if (pipe(up) || pipe(down)) {
		err = -errno;
		goto out;
	}
	peer->pid = fork();
	if (peer->pid < 0) {
		peer->pid = 0;
		err = -errno;
		goto out;
	}
	if (!peer->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		if (getppid() != parent)
			_exit(1);
		signal(SIGPIPE, SIG_IGN);
		close(up[0]);
		close(down[1]);
		peer_main(setup, down[0], up[1]);
	}
	peer->from = up[0];
	peer->to = down[1];
	up[0] = down[1] = -1;
out:
	for (int i = 0; i < 2; i++) {
		if (up[i] >= 0)
			close(up[i]);
		if (down[i] >= 0)
			close(down[i]);
	}
	return err;
}

int peer_listen(struct peer *peer, struct note *note)
{
	struct pollfd poll_from = { .fd = peer->from, .events = POLLIN };
	char *to = (char *)note;
	size_t left = sizeof(*note);

	while (left) {
		int ready = poll(&poll_from, 1, PATIENCE_MS);
		ssize_t n;

		if (ready == 0)
			return -ETIMEDOUT;
		if (ready < 0 && errno == EINTR)
			continue;
		n = ready < 0 ? -1 : read(peer->from, to, left);
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EPIPE;
		to += n;
		left -= n;
	}
	return 0;
}

int peer_go_on(struct peer *peer)
{
	return write_whole(peer->to, "g", 1);
}

int peer_search_itself(struct peer *peer)
{
	return write_whole(peer->to, "s", 1);
}

int peer_await(struct peer *peer)
{
	int status;

	while (waitpid(peer->pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	peer->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -ECHILD;
}

void peer_end(struct peer *peer)
{
	if (peer->from >= 0)
		close(peer->from);
	if (peer->to >= 0)
		close(peer->to);
	if (peer->pid > 0) {
		kill(peer->pid, SIGKILL);
		waitpid(peer->pid, NULL, 0);
	}
	*peer = (struct peer){ .from = -1, .to = -1 };
}
