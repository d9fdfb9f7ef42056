// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What prompt_read.h says. Each character goes by one read(2) from the terminal to where
 * it stays, and is looked at there: no stdio, no line on the stack, and never two of them
 * in a register. So this needs no section.
 *
 * Signals are blocked but while it waits, and caught there: the terminal is put back, the
 * buffer wiped, and then the signal is raised again, for whom it was meant.
 */
#define _GNU_SOURCE 1
#include "prompt_read.h"

#include <errno.h>
#include <fcntl.h>
#include <lethe.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/*
 * Not SIGTTIN and SIGTTOU: in the background they stop the process at the call that is not
 * for it there. SIGCONT: a shell has set its own modes in between.
 */
static const int signals[] = { SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGALRM,
			       SIGPIPE, SIGTSTP, SIGCONT, SIGUSR1, SIGUSR2 };
enum { SIGNALS = sizeof(signals) / sizeof(signals[0]) };

static volatile sig_atomic_t caught[NSIG];

static void catch (int number)
{
	caught[number] = 1;
}

static bool any_caught(void)
{
	for (int i = 0; i < SIGNALS; i++) {
		if (caught[signals[i]])
			return true;
	}
	return false;
}

struct terminal {
	int fd;
	struct termios before;
	sigset_t mask; /* the program's */
	struct sigaction actions[SIGNALS];
};

/* What is ignored stays ignored. */
static void catch_signals(struct terminal *terminal)
{
	struct sigaction action = { .sa_handler = catch };
	sigset_t blocked;

	sigemptyset(&blocked);
	for (int i = 0; i < SIGNALS; i++)
		sigaddset(&blocked, signals[i]);
	pthread_sigmask(SIG_BLOCK, &blocked, &terminal->mask);
	sigfillset(&action.sa_mask);
	for (int i = 0; i < SIGNALS; i++) {
		caught[signals[i]] = 0;
		sigaction(signals[i], NULL, &terminal->actions[i]);
		if (terminal->actions[i].sa_handler != SIG_IGN)
			sigaction(signals[i], &action, NULL);
	}
}

/* And let each have its way: it may be the end, or a stop. Whether to ask once more. */
static bool raise_signals(struct terminal *terminal)
{
	bool again = true;

	for (int i = 0; i < SIGNALS; i++)
		sigaction(signals[i], &terminal->actions[i], NULL);
	pthread_sigmask(SIG_SETMASK, &terminal->mask, NULL);
	for (int i = 0; i < SIGNALS; i++) {
		if (!caught[signals[i]])
			continue;
		again &= signals[i] == SIGTSTP || signals[i] == SIGCONT;
		/* A second one would be for nobody: the process runs. */
		if (signals[i] != SIGCONT)
			raise(signals[i]);
	}
	return again;
}

/* Character by character, and none is shown. */
static int hide(const struct terminal *terminal)
{
	struct termios modes = terminal->before;

	modes.c_lflag &= ~(ICANON | ECHO | ECHONL);
	modes.c_lflag |= ISIG;
	modes.c_cc[VMIN] = 1;
	modes.c_cc[VTIME] = 0;
	if (tcsetattr(terminal->fd, TCSAFLUSH, &modes))
		return -errno;
	/* It is a success too if not all was done. */
	if (tcgetattr(terminal->fd, &modes))
		return -errno;
	return modes.c_lflag & (ICANON | ECHO) ? -EIO : 0;
}

/* Where the last character begins, and the last word. */
static size_t before_character(const unsigned char *data, size_t length)
{
	while (length && (data[--length] & 0xc0) == 0x80)
		;
	return length;
}

static size_t before_word(const unsigned char *data, size_t length)
{
	while (length && data[length - 1] == ' ')
		length--;
	while (length && data[length - 1] != ' ')
		length--;
	return length;
}

/* Is the character what the terminal has there, if it has anything? */
static bool is(const struct terminal *terminal, unsigned char c, int which)
{
	return c == terminal->before.c_cc[which] && c != _POSIX_VDISABLE;
}

/* Until the terminal can be read or written; under the program's mask, here alone. */
static int wait_for(const struct terminal *terminal, short events)
{
	struct pollfd polled = { .fd = terminal->fd, .events = events };

	if (ppoll(&polled, 1, NULL, &terminal->mask) < 0 && errno != EINTR)
		return -errno;
	return any_caught() ? -EAGAIN : 0;
}

static int say(const struct terminal *terminal, const char *text)
{
	int err = 0;

	while (*text && !err) {
		ssize_t said = write(terminal->fd, text, strlen(text));

		if (said > 0)
			text += said;
		else
			err = errno == EAGAIN || errno == EINTR ?
				      wait_for(terminal, POLLOUT) :
				      -errno;
	}
	return err;
}

/*
 * -EAGAIN: a signal came. It never waits in read(2), where signals are blocked: one from
 * the keyboard takes away what had been typed.
 */
static ssize_t type_in(const struct terminal *terminal, unsigned char *data, size_t room)
{
	size_t length = 0, kept;
	bool fits = true;

	for (;;) {
		int err = wait_for(terminal, POLLIN);
		ssize_t got;

		if (err)
			return err;
		got = read(terminal->fd, data + length, 1);
		if (got < 0 && errno != EAGAIN)
			return -errno;
		if (got < 0)
			continue;
		if (!got || (!length && is(terminal, data[0], VEOF)))
			return -ENODATA;
		if (data[length] == '\n' || data[length] == '\r' ||
		    is(terminal, data[length], VEOF))
			break;
		kept = length;
		if (is(terminal, data[length], VERASE) || data[length] == '\b')
			kept = before_character(data, length);
		else if (is(terminal, data[length], VKILL))
			kept = 0;
		else if (is(terminal, data[length], VWERASE))
			kept = before_word(data, length);
		else if (length + 1 < room)
			kept = length + 1;
		else
			fits = false;
		if (kept <= length)
			lethe_wipe(data + kept, length - kept + 1);
		length = kept;
	}
	data[length] = 0;
	return fits ? (ssize_t)length : -EMSGSIZE;
}

/* Once, as far as a signal lets it. */
static ssize_t read_once(struct terminal *terminal, const char *question,
			 struct lethe_buffer *passphrase)
{
	unsigned char *data = NULL;
	ssize_t result = hide(terminal);
	bool hidden = !result;

	if (!result)
		result = lethe_buffer_open(passphrase, LETHE_ACCESS_WRITE);
	if (!result) {
		data = lethe_buffer_data(passphrase);
		result = say(terminal, question);
	}
	if (!result)
		result = type_in(terminal, data, lethe_buffer_length(passphrase));
	/* Also where it failed: some of it may have been done. */
	if (tcsetattr(terminal->fd, TCSAFLUSH, &terminal->before) && result >= 0)
		result = -errno;
	if (data) {
		if (result < 0)
			lethe_wipe(data, lethe_buffer_length(passphrase));
		lethe_buffer_close(passphrase);
	}
	if (hidden)
		say(terminal, "\n");
	return result;
}

ssize_t prompt_read(const char *question, struct lethe_buffer *passphrase)
{
	struct terminal terminal = {
		.fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)
	};
	ssize_t result;
	bool again;

	if (terminal.fd < 0)
		return -errno;
	result = tcgetattr(terminal.fd, &terminal.before) ? -errno : 0;
	if (!result)
		result = lethe_buffer_length(passphrase) ? 0 : -EMSGSIZE;
	if (!result)
		result = lethe_buffer_protect(passphrase, LETHE_ACCESS_NONE);
	while (!result) {
		catch_signals(&terminal);
		result = read_once(&terminal, question, passphrase);
		again = raise_signals(&terminal);
		if (result != -EAGAIN)
			break;
		result = again ? 0 : -EINTR;
	}
	close(terminal.fd);
	return result;
}
