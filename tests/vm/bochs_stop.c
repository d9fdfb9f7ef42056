// SPDX-License-Identifier: MIT
/*
 * Runs a program, and then executes what Bochs's debugger stops at. Says how it ended.
 */
#include <stdio.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int status = -1;
	pid_t pid = argc > 1 ? fork() : -1;

	if (!pid) {
		execv(argv[1], argv + 1);
		_exit(127);
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
	printf("ended %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128);
	fflush(stdout);
	/* What was written is out: the machine ends here. */
	tcdrain(STDOUT_FILENO);
	for (;;)
		__asm__ volatile("xchgw %bx, %bx");
}
