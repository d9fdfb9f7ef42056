/* SPDX-License-Identifier: MIT */
/*
 * What the files of verify_subject know of each other.
 */
#ifndef VERIFY_SUBJECT_H
#define VERIFY_SUBJECT_H

#define SIZE 32

/* verify_subject.c */
extern const char *file;
extern int number;
extern unsigned char kept[SIZE];

/* The secret. */
void take(void *to);
/* In a section: has the secret, and leaves it nowhere. */
void use(void *unused);
void section(void (*fn)(void *));

/* verify_subject_threads.c: ways, as main() has them. */
int threads(void);
int midst(void);
int spawning(void);
int leader(void);
int threads_exec(void);
int threads_exit(void);
int vforks(void);
int ends(void);

#endif /* VERIFY_SUBJECT_H */
