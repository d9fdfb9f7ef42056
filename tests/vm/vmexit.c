// SPDX-License-Identifier: MIT
/*
 * vmexit VALUE: end the virtual machine, and tell the host that this end was
 * meant. QEMU's isa-debug-exit turns VALUE into its own exit status, which is
 * 2 * VALUE + 1; a panic, a reset or a power-off cannot produce it.
 *
 * It waits until the host has every byte of the ports named after VALUE, and
 * never touches a disk: whoever wrote to one syncs first. Not for use outside
 * the virtual machine: the port may belong to anything there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <termios.h>
#include <unistd.h>

/* As machine.py gives it to the device. */
#define DEBUG_EXIT_PORT 0xf4
#define DEBUG_EXIT_SIZE 4

/* What the port still holds would be lost: QEMU exits within the outl(). */
static int drain(const char *path)
{
	int fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
	int err = 0;

	if (fd < 0 || tcdrain(fd))
		err = errno;
	if (err)
		fprintf(stderr, "vmexit: %s: %s\n", path, strerror(err));
	if (fd >= 0)
		close(fd);
	return err;
}

int main(int argc, char **argv)
{
	unsigned long value;
	char *end;

	if (argc < 2) {
		fprintf(stderr, "usage: vmexit VALUE [TTY...]\n");
		return 2;
	}
	value = strtoul(argv[1], &end, 0);
	if (end == argv[1] || *end || value > 0x7f) {
		fprintf(stderr, "vmexit: '%s' is no value\n", argv[1]);
		return 2;
	}

	for (int i = 2; i < argc; i++)
		if (drain(argv[i]))
			return 1;

	if (ioperm(DEBUG_EXIT_PORT, DEBUG_EXIT_SIZE, 1)) {
		perror("vmexit: ioperm");
		return 1;
	}
	outl((unsigned int)value, DEBUG_EXIT_PORT);

	fprintf(stderr, "vmexit: there is no isa-debug-exit device\n");
	return 1;
}
