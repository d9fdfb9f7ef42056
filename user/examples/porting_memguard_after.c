// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * After: in C, what a Go program does with memguard:
 *
 *	enclave := memguard.NewBufferRandom(32).Seal()	// encrypted, as long as nobody asks
 *	defer memguard.Purge()
 *	key, err := enclave.Open()			// read-only
 *	if err != nil { memguard.SafePanic(err) }
 *	fmt.Println(key.EqualTo(guess))
 *	key.Destroy()
 *
 *	cc porting_memguard_after.c -llethe
 *
 * It shows that one object is either sealed or open, where memguard has two kinds. It never
 * catches a signal: pages are gone with the process, whatever ends it.
 */
#include <lethe.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	struct lethe_buffer *key = lethe_buffer_new(32, 0);
	static const unsigned char guess[32];
	int err;

	if (!key) {
		perror("no guarded buffer");
		return 1;
	}
	err = lethe_buffer_fill_random(key);
	if (!err)
		err = lethe_buffer_seal(key);
	/* Sealed, it takes no secret page. Opening it unseals it. */
	if (!err)
		err = lethe_buffer_open(key, LETHE_ACCESS_READ);
	if (err) {
		fprintf(stderr, "no key: %s\n", strerror(-err));
		lethe_buffer_free(key);
		return 1;
	}
	puts(lethe_equal(lethe_buffer_data(key), guess, 32) ? "guessed" : "not guessed");
	lethe_buffer_close(key);
	lethe_buffer_free(key);
	return 0;
}
