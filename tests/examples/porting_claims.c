// SPDX-License-Identifier: MIT
/*
 * What the porting notes say of libsodium, OpenSSL's secure heap and Lethe, tried: the same
 * is done to a block of each in a process of its own, and what came of it is a row of the
 * table there. Judges nothing: porting_test.py holds the table against this.
 *
 * A row a line: what was done, and what came of it, with tabs between. With an argument, a
 * sentence a line, and whether it is so.
 */
#include <errno.h>
#include <fcntl.h>
#include <lethe.h>
#include <linux/capability.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* How far a process came, for the one that waits for it. */
static volatile int *stage;

struct peer {
	void (*start)(void);
	void *(*allocate)(size_t size);
	void (*release)(void *block);
};

static void start_sodium(void)
{
	if (sodium_init() < 0)
		abort();
}

static void start_openssl(void)
{
	if (!CRYPTO_secure_malloc_init(1 << 20, 32))
		abort();
}

static void *openssl_allocate(size_t size)
{
	return OPENSSL_secure_malloc(size);
}

static void openssl_release(void *block)
{
	OPENSSL_secure_free(block);
}

static void start_lethe(void)
{
	if (!lethe_backend())
		abort();
}

static struct lethe_buffer *buffer;

static void *buffer_allocate(size_t size)
{
	buffer = lethe_buffer_new(size, 0);
	return buffer ? lethe_buffer_data(buffer) : NULL;
}

static void buffer_release(void *block)
{
	(void)block;
	lethe_buffer_free(buffer);
}

static const struct peer peers[] = {
	{ start_sodium, sodium_malloc, sodium_free },
	{ start_openssl, openssl_allocate, openssl_release },
	{ start_lethe, lethe_malloc, lethe_free },
	{ start_lethe, buffer_allocate, buffer_release },
};

/* What is done; what it comes to if the process lives. */
struct deed {
	const char *name;
	const char *(*act)(const struct peer *peer);
};

static volatile unsigned char *block_of(const struct peer *peer, size_t size)
{
	void *block = NULL;

	/* The first of all may lie at the end of everything. */
	for (int n = 0; n < 4; n++)
		block = peer->allocate(size);
	if (!block)
		_exit(99);
	return block;
}

static const char *is_fresh(const struct peer *peer)
{
	volatile unsigned char *block = block_of(peer, 32);

	for (int n = 1; n < 32; n++)
		if (block[n] != block[0])
			return "anything";
	return block[0] ? "0xdb" : "zeroes";
}

static const char *is_aligned(const struct peer *peer)
{
	uintptr_t at = (uintptr_t)block_of(peer, 24);

	return at % 16 == 0 ? "to 16" : at % 8 == 0 ? "to 8" : "to less";
}

static const char *is_written_at(const struct peer *peer, ptrdiff_t place)
{
	volatile unsigned char *block = block_of(peer, 32);

	block[place] ^= 1;
	*stage = 1;
	peer->release((void *)block);
	return "nothing";
}

static const char *is_written_after(const struct peer *peer)
{
	return is_written_at(peer, 32);
}

static const char *is_written_before(const struct peer *peer)
{
	return is_written_at(peer, -1);
}

static const char *is_read_freed(const struct peer *peer)
{
	volatile unsigned char *block = block_of(peer, 32);

	memset((void *)block, 0xa5, 32);
	peer->release((void *)block);
	return block[7] == 0xa5 ? "what was there" : "wiped";
}

static const char *is_freed_twice(const struct peer *peer)
{
	volatile unsigned char *block = block_of(peer, 32);

	peer->release((void *)block);
	peer->release((void *)block);
	return "nothing";
}

static const char *is_read_by_child(const struct peer *peer)
{
	volatile unsigned char *block = block_of(peer, 32);
	int status;
	pid_t pid;

	memset((void *)block, 0xa5, 32);
	pid = fork();
	if (!pid)
		_exit(block[7] == 0xa5 ? 0 : 1);
	if (waitpid(pid, &status, 0) != pid)
		abort();
	return WIFSIGNALED(status) ? "the child dies" : "the child reads it";
}

/* As gdb does, and whoever may ptrace. */
static const char *is_read_from_outside(const struct peer *peer)
{
	volatile unsigned char *block = block_of(peer, 32);
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	unsigned char there[32];

	memset((void *)block, 0xa5, 32);
	return pread(fd, there, 32, (off_t)(uintptr_t)block) == 32 ? "is read" :
								     "is refused";
}

/* Before the peer has begun. */
static void limit(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	const struct rlimit most = { 65536, 65536 };
	struct __user_cap_data_struct data[2];

	if (setrlimit(RLIMIT_MEMLOCK, &most) || syscall(SYS_capget, &header, data))
		abort();
	data[0].effective &= ~(1U << CAP_IPC_LOCK);
	if (syscall(SYS_capset, &header, data))
		abort();
}

static const char *is_without_room(const struct peer *peer)
{
	for (int n = 0; n < 100; n++) {
		volatile unsigned char *block = peer->allocate(4096);

		if (!block)
			return errno == ENOMEM ? "`NULL`, `ENOMEM`" : "`NULL`";
		*block = 1;
	}
	return "goes on, unlocked";
}

static const struct deed deeds[] = {
	{ "a new block has in it", is_fresh },
	{ "24 bytes are aligned", is_aligned },
	{ "a byte is written after the end", is_written_after },
	{ "a byte is written before the start", is_written_before },
	{ "a freed block is read", is_read_freed },
	{ "it is freed twice", is_freed_twice },
	{ "it is read after `fork()`", is_read_by_child },
	{ "root reads it by `/proc/PID/mem`", is_read_from_outside },
	{ "400 KiB at a limit of 64 KiB", is_without_room },
};

static const char *death(int status)
{
	static char said[64];

	snprintf(said, sizeof(said), "SIG%s %s", sigabbrev_np(WTERMSIG(status)),
		 *stage ? "when freed" : "at once");
	return said;
}

static void try_one(const struct deed *deed, const struct peer *peer)
{
	const struct rlimit no_core = { 0, 0 };
	char said[64] = "";
	int ends[2], status;
	pid_t pid;

	*stage = 0;
	if (pipe(ends))
		abort();
	fflush(stdout);
	pid = fork();
	if (!pid) {
		/* What it says as it dies is for those who look for it. */
		int nowhere = open("/dev/null", O_WRONLY);
		const char *came;

		dup2(nowhere, STDERR_FILENO);
		setrlimit(RLIMIT_CORE, &no_core);
		if (deed->act == is_without_room)
			limit();
		peer->start();
		came = deed->act(peer);
		_exit(write(ends[1], came, strlen(came)) > 0 ? 0 : 1);
	}
	close(ends[1]);
	if (read(ends[0], said, sizeof(said) - 1) < 0 || waitpid(pid, &status, 0) != pid)
		abort();
	close(ends[0]);
	printf("\t%s", WIFSIGNALED(status) ? death(status) :
		       WEXITSTATUS(status) ? "cannot be tried" :
					     said);
}

/* What the tables say besides: a sentence, and whether it is so. */
static void say(const char *sentence, bool so)
{
	printf("%s\t%s\n", sentence, so ? "yes" : "no");
}

struct made {
	enum lethe_level malloced;
	BIGNUM *number;
};

/* The number stays: of two blocks, one has its words, and no function tells where. */
static void make(void *arg)
{
	void *block = OPENSSL_secure_malloc(32);
	struct made *made = arg;

	made->number = BN_secure_new();
	if (!block || !made->number || !BN_set_word(made->number, 1))
		abort();
	made->malloced = lethe_level_of(block);
	OPENSSL_secure_free(block);
}

/* How many blocks of Lethe's the number has; and where OPENSSL_secure_malloc()'s was. */
static size_t made_in_section(enum lethe_level *level)
{
	struct lethe_report report = { .size = sizeof(report) };
	struct made made;

	if (lethe_do_with(NULL, make, &made, &report))
		abort();
	BN_free(made.number);
	*level = made.malloced;
	return report.blocks_live;
}

static void say_of_sodium(void)
{
	unsigned char a[32] = { 1 }, b[32] = { 1 };
	bool overflow;

	start_sodium();
	say("sodium_memcmp() returns 0 where lethe_equal() returns true",
	    !sodium_memcmp(a, b, 32) && lethe_equal(a, b, 32));
	errno = 0;
	overflow = !sodium_allocarray(SIZE_MAX / 2, 3) && errno == ENOMEM;
	errno = 0;
	overflow &= !lethe_calloc(SIZE_MAX / 2, 3) && errno == ENOMEM;
	errno = 0;
	overflow &= !lethe_buffer_new_array(SIZE_MAX / 2, 3, 0) && errno == ENOMEM;
	say("a product that is no number is ENOMEM", overflow);
	sodium_munlock(a, sizeof(a));
	say("sodium_munlock() zeroes", sodium_is_zero(a, sizeof(a)));
}

static void say_of_openssl(void)
{
	unsigned char a[32] = { 1 }, b[32] = { 1 };
	enum lethe_level level;
	size_t blocks;

	say("CRYPTO_memcmp() returns 0 where lethe_equal() returns true",
	    !CRYPTO_memcmp(a, b, 32) && lethe_equal(a, b, 32));
	say("lethe_usable_size() of NULL is 0", !lethe_usable_size(NULL));
	/* Its start is not to be counted. */
	BN_free(BN_new());
	blocks = made_in_section(&level);
	say("without its heap, OPENSSL_secure_malloc() in a section is Lethe's, and so are "
	    "the words of BN_secure_new()",
	    level != LETHE_LEVEL_NONE && blocks == 2);
	start_openssl();
	blocks = made_in_section(&level);
	say("with its heap, neither is", level == LETHE_LEVEL_NONE && blocks == 1);
}

static void say_of_buffers(void)
{
	struct lethe_buffer *one = lethe_buffer_new(32, 0);
	unsigned char source[32] = { 1 };
	int ends[2];

	if (!one || pipe(ends) || write(ends[1], source, 16) != 16 || close(ends[1]))
		abort();
	say("too little from a descriptor is -ENODATA",
	    lethe_buffer_read_exactly(one, 0, ends[0], 32) == -ENODATA);
	say("what is moved into a buffer is wiped where it was",
	    !lethe_buffer_move(one, 0, source, 32) && !source[0]);
	say("two may have it open to read",
	    !lethe_buffer_open(one, LETHE_ACCESS_READ) &&
		    !lethe_buffer_open(one, LETHE_ACCESS_READ));
	lethe_buffer_close(one);
	say("and nobody to write then",
	    lethe_buffer_open(one, LETHE_ACCESS_WRITE) == -EBUSY);
	lethe_buffer_close(one);
	say("sealed, its data are nowhere, and opening it unseals it",
	    !lethe_buffer_seal(one) && !lethe_buffer_data(one) &&
		    !lethe_buffer_open(one, LETHE_ACCESS_READ) && lethe_buffer_data(one));
	lethe_buffer_close(one);
	lethe_buffer_free(one);
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1) {
		say_of_sodium();
		say_of_openssl();
		say_of_buffers();
		return 0;
	}
	stage = mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (stage == MAP_FAILED)
		return 1;
	for (size_t d = 0; d < sizeof(deeds) / sizeof(*deeds); d++) {
		fputs(deeds[d].name, stdout);
		for (size_t p = 0; p < sizeof(peers) / sizeof(*peers); p++)
			try_one(deeds + d, peers + p);
		putchar('\n');
	}
	return 0;
}
