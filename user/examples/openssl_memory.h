/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * libcrypto's allocations in secret sections, on the secret heap: the narrow way, for
 * a program that does not want liblethe-malloc. Two files to take over as they are.
 */
#ifndef OPENSSL_MEMORY_H
#define OPENSSL_MEMORY_H

/*
 * Before anything else of libcrypto, at the top of main(): it takes no other functions
 * once it has allocated. So not where a library's constructor, or one that dlopen()
 * brings, was first.
 *
 * Return: 0, or -1 if libcrypto has allocated already.
 */
int openssl_memory_install(void);

#endif /* OPENSSL_MEMORY_H */
