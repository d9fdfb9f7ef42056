// SPDX-License-Identifier: MIT
/*
 * A control for the example's prompt: the same by getline(3) with echo off, as a careful
 * program does it, which wipes the line as soon as it has used it. Asks twice, compares
 * nothing, and never uses Lethe.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static int ask(const char *question)
{
	static const unsigned char salt[16];
	struct termios before, hidden;
	unsigned char key[32];
	char *line = NULL;
	size_t size = 0;
	ssize_t length;
	int good;

	if (tcgetattr(STDIN_FILENO, &before))
		return 0;
	hidden = before;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
	fputs(question, stderr);
	length = getline(&line, &size, stdin);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	good = length > 0 && EVP_PBE_scrypt(line, (size_t)length - 1, salt, sizeof(salt),
					    2048, 8, 4, 0, key, sizeof(key)) == 1;
	if (line)
		explicit_bzero(line, size);
	explicit_bzero(key, sizeof(key));
	free(line);
	return good;
}

int main(void)
{
	return ask("New passphrase: ") && ask("The same again: ") ? 0 : 1;
}
