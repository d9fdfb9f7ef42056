// SPDX-License-Identifier: MIT
/*
 * Runs a program that some system calls are denied to, by a seccomp filter such as
 * containers and units have: with an errno, or by death.
 *
 *	denied ERRNO|kill NUMBER[,NUMBER...] PROGRAM [ARG...]
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define MOST 16

int main(int argc, char **argv)
{
	struct sock_filter filter[2 * MOST + 2];
	struct sock_fprog program = { .filter = filter };
	unsigned int verdict, n = 0;
	char *number;

	if (argc < 4)
		return 2;
	verdict = strcmp(argv[1], "kill") ?
			  SECCOMP_RET_ERRNO | (unsigned int)atoi(argv[1]) :
			  SECCOMP_RET_KILL_PROCESS;

	filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						   offsetof(struct seccomp_data, nr));
	for (number = strtok(argv[2], ","); number && n < 2 * MOST;
	     number = strtok(NULL, ",")) {
		filter[n++] = (struct sock_filter)BPF_JUMP(
			BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)atoi(number), 0, 1);
		filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, verdict);
	}
	filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = (unsigned short)n;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
		perror("denied: seccomp");
		return 2;
	}
	execvp(argv[3], argv + 3);
	perror(argv[3]);
	return errno == ENOENT ? 127 : 126;
}
