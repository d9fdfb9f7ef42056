// SPDX-License-Identifier: MIT
/*
 * mlock() and its kin, and what RLIMIT_MEMLOCK lets pass: how it is charged and
 * returned, exactly and by whom, is charge.c's subject.
 */
#include "rows.h"

#define LIMIT ((size_t)16 * PAGE)

static const char *lock(struct memory *m, long flags)
{
	return done_if(!mlock2(m->map, LENGTH, flags));
}

static const char *lock_unlock(struct memory *m, long arg)
{
	(void)arg;
	mlock(m->map, LENGTH);
	if (munlock(m->map, LENGTH))
		return failed();
	return seen(first_word(m));
}

static const char *lock_all(struct memory *m, long flags)
{
	if (mlockall(flags))
		return failed();
	return done_if(first_word(m) == MARK && !munlockall());
}

/* Whatever is mapped from here on is to be locked, and there. */
static const char *lock_future(struct memory *m, long arg)
{
	(void)arg;
	if (mlockall(MCL_FUTURE))
		return failed();
	return done_if(!make_memory(m, m->kind, LENGTH));
}

/* The "locked" of /proc/self/status, in KiB. */
static long locked(void)
{
	char line[128];
	long kib = -1;
	FILE *status = fopen("/proc/self/status", "r");

	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "VmLck: %ld kB", &kib) == 1)
			break;
	if (status)
		fclose(status);
	return kib;
}

static const char *charge(struct memory *m, long lock_too)
{
	static char text[64];
	long before = locked();

	if (make_memory(m, m->kind, LENGTH))
		return failed();
	if (lock_too)
		mlock(m->map, LENGTH);
	snprintf(text, sizeof(text), "%ld KiB", locked() - before);
	return text;
}

/*
 * memfd_secret's charge is its user's: so that no other program's counts, each
 * process is a user of its own.
 */
static const char *limited(void)
{
	struct rlimit limit = { LIMIT, LIMIT };
	uid_t user = 1000000 + getpid();

	if (setrlimit(RLIMIT_MEMLOCK, &limit))
		return failed();
	if (getuid())
		return "SKIP root, to be a user of its own";
	return setresuid(user, user, user) ? failed() : NULL;
}

static const char *take(struct memory *m, long length)
{
	const char *err = limited();

	if (!err)
		err = make_memory(m, m->kind, length);
	return err ? err : "done";
}

/* As much as there may be, given up, and again. */
static const char *take_again(struct memory *m, long arg)
{
	const char *err = limited();

	(void)arg;
	for (int i = 0; i < 50 && !err; i++) {
		err = make_memory(m, m->kind, LIMIT);
		if (err)
			break;
		if (i & 1)
			close(m->fd);
		munmap(m->map, LIMIT);
		if (!(i & 1))
			close(m->fd);
	}
	return err ? err : "done";
}

/* Root keeps CAP_IPC_LOCK, which is what mlock() asks. */
static const char *take_capable(struct memory *m, long length)
{
	struct rlimit limit = { LIMIT, LIMIT };
	const char *err;

	if (geteuid())
		return "SKIP root, for CAP_IPC_LOCK";
	if (setrlimit(RLIMIT_MEMLOCK, &limit))
		return failed();
	err = make_memory(m, m->kind, length);
	return err ? err : "done";
}

/* With nothing else locked: as much of ordinary memory as is allowed, or not. */
static const char *lock_beside(struct memory *m, long arg)
{
	const char *err = limited();

	(void)arg;
	if (!err)
		err = make_memory(m, m->kind, LIMIT);
	if (err)
		return err;
	return done_if(!mlock(must_map_plain(PAGE), PAGE));
}

static const struct row rows[] = {
	ROW("`mlock`", lock, "done", "ENOMEM", "done"),
	ROW("`mlock2` MLOCK_ONFAULT", lock, "done", "ENOMEM", "done",
	    .arg = MLOCK_ONFAULT),
	ROW("`munlock`", lock_unlock, "the secret", "the secret", "the secret"),
	ROW("`mlockall` MCL_CURRENT, `munlockall`", lock_all, "done", "done", "done",
	    .arg = MCL_CURRENT),
	ROW("`mlockall` MCL_FUTURE, and more of it", lock_future, "done", "done", "done"),
	ROW("VmLck of 8 pages", charge, "32 KiB", "0 KiB or 32 KiB", "0 KiB"),
	ROW("VmLck of 8 pages, after `mlock`", charge, "32 KiB", "0 KiB or 32 KiB",
	    "32 KiB", .arg = 1),
	ROW("as much as RLIMIT_MEMLOCK", take, "done", "done", "done", .arg = LIMIT,
	    .bare = true),
	ROW("a page more than RLIMIT_MEMLOCK", take, "ENOMEM", "SIGBUS or EAGAIN", "done",
	    .arg = LIMIT + PAGE, .bare = true),
	ROW("a page more, with CAP_IPC_LOCK", take_capable, "done", "SIGBUS or done",
	    "done", .arg = LIMIT + PAGE, .bare = true),
	ROW("as much as RLIMIT_MEMLOCK, 50 times after another", take_again, "done",
	    "done", "done", .bare = true),
	ROW("`mlock` of a page beside as much as RLIMIT_MEMLOCK", lock_beside, "ENOMEM",
	    "done or ENOMEM", "done", .bare = true),
};

ROWS_MAIN(rows)
