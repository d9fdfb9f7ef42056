// SPDX-License-Identifier: MIT
/*
 * The rows that C has.
 */
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../../selftests/registers.h"
#include "rows.h"

#define SHALLOW 4096
#define DEEP (64 * 1024)
#define ALTERNATE (64 * 1024)
#define GUARD 4096
#define SESSION 256
#define SECRET_AT 160

jmp_buf row_way_out;

/* What is kept past the piece, as a connection keeps its cipher. */
static EVP_CIPHER_CTX *kept;
static FILE *nowhere;

/* Of a size that the compiler cannot see: a call, and not some moves of its own. */
static volatile size_t size = SESSION;

/* Wipes what a row tells of by name, and touches no register for it. */
static void scrub(volatile void *start, size_t length)
{
	volatile uint8_t *byte = start;

	for (size_t i = 0; i < length; i++)
		byte[i] = 0;
}

static __attribute__((noinline)) void use_stack(volatile uint8_t *frame, size_t length,
						const uint8_t *secret)
{
	/* At the near end, in the middle and at the far end, byte by byte. */
	for (size_t i = 0; i < SECRET_SIZE; i++) {
		frame[length - SECRET_SIZE + i] = secret[i];
		frame[length / 2 + i] = secret[i];
		frame[i] = secret[i];
	}
}

static __attribute__((noinline)) void shallow(const uint8_t *secret)
{
	uint8_t frame[SHALLOW];

	use_stack(frame, sizeof(frame), secret);
}

static __attribute__((noinline)) void deep(const uint8_t *secret)
{
	uint8_t frame[DEEP];

	use_stack(frame, sizeof(frame), secret);
}

static void nothing(const uint8_t *secret)
{
	(void)secret;
}

static void general(const uint8_t *secret)
{
	row_fill_general(secret);
}

/*
 * As part of a larger structure: it is then in other registers than those few that a
 * memset() or a second small memcpy() takes, and stays there.
 */
static void vector(const uint8_t *secret)
{
	uint8_t session[SESSION] = { 0 }, copy[SESSION];

	for (size_t i = 0; i < SECRET_SIZE; i++)
		((volatile uint8_t *)session)[SECRET_AT + i] = secret[i];
	memcpy(copy, session, size);
	__asm__ volatile("" : : "r"(copy), "r"(session) : "memory");
	scrub(copy, sizeof(copy));
	scrub(session, sizeof(session));
}

static void live(const uint8_t *secret)
{
	static const uint8_t nonce[12];
	uint8_t sealed[16] = { 0 };
	int length;

	kept = EVP_CIPHER_CTX_new();
	if (!kept || !EVP_EncryptInit_ex(kept, EVP_aes_256_gcm(), NULL, secret, nonce) ||
	    !EVP_EncryptUpdate(kept, sealed, &length, sealed, sizeof(sealed)))
		abort();
}

static void print_hex(char *text, const uint8_t *secret)
{
	for (size_t i = 0; i < SECRET_SIZE; i += 8)
		sprintf(text + 2 * i, "%02x%02x%02x%02x%02x%02x%02x%02x", secret[i],
			secret[i + 1], secret[i + 2], secret[i + 3], secret[i + 4],
			secret[i + 5], secret[i + 6], secret[i + 7]);
}

static void text(const uint8_t *secret)
{
	char hex[2 * SECRET_SIZE + 1], line[128];

	print_hex(hex, secret);
	snprintf(line, sizeof(line), "key %s\n", hex);
	scrub(hex, sizeof(hex));
	scrub(line, sizeof(line));
}

static void open_nowhere(void)
{
	nowhere = fopen("/dev/null", "w");
	if (!nowhere)
		abort();
}

static void stream(const uint8_t *secret)
{
	char hex[2 * SECRET_SIZE + 1];

	print_hex(hex, secret);
	fprintf(nowhere, "a line before it; key %s\n", hex);
	fclose(nowhere);
	scrub(hex, sizeof(hex));
}

static void handler(int number)
{
	(void)number;
}

static void handle_signal(int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	if (sigaction(SIGUSR1, &action, NULL))
		abort();
}

static void handle_on_stack(void)
{
	handle_signal(0);
}

static void handle_on_alternate(void)
{
	stack_t stack = { .ss_size = ALTERNATE };
	char *map = mmap(NULL, ALTERNATE + 2 * GUARD, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	/* Else it may be one mapping with a library's .bss, beside which it happens to be. */
	if (map == MAP_FAILED || mprotect(map + GUARD, ALTERNATE, PROT_READ | PROT_WRITE))
		abort();
	stack.ss_sp = map + GUARD;
	if (sigaltstack(&stack, NULL))
		abort();
	handle_signal(SA_ONSTACK);
}

/* The registers are clean afterwards: what counts is where the kernel put them. */
static void interrupted(const uint8_t *secret)
{
	registers_fill((void *)secret);
	/* As a call, raise() would spill some of what it saves; a signal, all. */
	__asm__ volatile("emms" : : : "memory");
	raise(SIGUSR1);
	row_clear_registers();
}

static void way_out(const uint8_t *secret)
{
	uint8_t frame[SHALLOW];

	use_stack(frame, sizeof(frame), secret);
	longjmp(row_way_out, 1);
}

static void in_thread(void *secret)
{
	shallow(secret);
}

static void thread(const uint8_t *secret)
{
	piece_thread(in_thread, (void *)secret);
}

static const struct row rows[] = {
	{ "own", "any", "the secret itself, where it was put", NULL, nothing },
	{ "general", "register", "general registers", NULL, general },
	{ "vector", "register", "vector registers after `memcpy()` of a struct", NULL,
	  vector },
	{ "stack", "stack", "stack of a function that has returned", NULL, shallow },
	{ "deep", "stack", "the same, 64 KiB deep", NULL, deep },
	{ "text", "register", "`snprintf()` of the key as hex", NULL, text },
	{ "stream", "heap", "`fprintf()` of it, and `fclose()`", open_nowhere, stream },
	{ "live", "heap", "libcrypto's AES-256-GCM context, still in use", NULL, live },
	{ "signal", "stack", "a signal, handled on the stack", handle_on_stack,
	  interrupted },
	{ "altstack", "anonymous", "a signal, handled on an alternate stack",
	  handle_on_alternate, interrupted },
	{ "longjmp", "stack", "`longjmp()` out of the code", NULL, way_out },
	{ "thread", "anonymous", "the stack of a thread that has ended", NULL, thread },
};

#define NR_ROWS (sizeof(rows) / sizeof(rows[0]))

const struct row *row_named(const char *name)
{
	for (size_t i = 0; i < NR_ROWS; i++) {
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	}
	return NULL;
}

void rows_print(void)
{
	for (size_t i = 0; i < NR_ROWS; i++)
		printf("%s\t%s\t%s\n", rows[i].name, rows[i].where, rows[i].title);
}
