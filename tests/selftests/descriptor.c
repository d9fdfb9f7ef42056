// SPDX-License-Identifier: MIT
/*
 * What can be done with the descriptor, other than mapping it: file I/O first of
 * all, as the kernel's own test of memfd_secret has it.
 */
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "rows.h"

static uint64_t word;

/* What a call that returns a count came to: it had to move the whole word. */
static const char *moved(ssize_t count)
{
	if (count < 0)
		return failed();
	return count == sizeof(word) ? "done" : "nothing";
}

static const char *read_found(ssize_t count)
{
	return count == sizeof(word) ? seen(word) : moved(count);
}

static const char *by_read(struct memory *m, long arg)
{
	(void)arg;
	return read_found(read(m->fd, &word, sizeof(word)));
}

static const char *by_pread(struct memory *m, long arg)
{
	(void)arg;
	return read_found(pread(m->fd, &word, sizeof(word), 0));
}

static const char *by_write(struct memory *m, long arg)
{
	(void)arg;
	return moved(write(m->fd, &word, sizeof(word)));
}

static const char *by_pwrite(struct memory *m, long arg)
{
	(void)arg;
	return moved(pwrite(m->fd, &word, sizeof(word), 0));
}

static const char *by_seek(struct memory *m, long whence)
{
	off_t at = lseek(m->fd, 0, whence);

	return at < 0 ? failed() : at == (off_t)LENGTH ? "its length" : "done";
}

static const char *splice_from(struct memory *m, long arg)
{
	int ends[2];
	ssize_t count;

	(void)arg;
	if (pipe(ends))
		return failed();
	count = splice(m->fd, NULL, ends[1], NULL, sizeof(word), 0);
	if (count < 0)
		return failed();
	return read_found(read(ends[0], &word, sizeof(word)));
}

static const char *splice_to(struct memory *m, long arg)
{
	int ends[2];

	(void)arg;
	if (pipe(ends) || write(ends[1], &word, sizeof(word)) != sizeof(word))
		return failed();
	return moved(splice(ends[0], NULL, m->fd, NULL, sizeof(word), 0));
}

static int other_file(void)
{
	int fd = memfd_create("other", 0);

	if (fd < 0 || write(fd, &word, sizeof(word)) != sizeof(word) ||
	    lseek(fd, 0, SEEK_SET))
		return -1;
	return fd;
}

static const char *send_from(struct memory *m, long arg)
{
	int fd = other_file();

	(void)arg;
	if (sendfile(fd, m->fd, NULL, sizeof(word)) < 0)
		return failed();
	return read_found(pread(fd, &word, sizeof(word), 0));
}

static const char *send_to(struct memory *m, long arg)
{
	(void)arg;
	return moved(sendfile(m->fd, other_file(), NULL, sizeof(word)));
}

static const char *copy_from(struct memory *m, long arg)
{
	int fd = other_file();

	(void)arg;
	if (copy_file_range(m->fd, NULL, fd, NULL, sizeof(word), 0) < 0)
		return failed();
	return read_found(pread(fd, &word, sizeof(word), 0));
}

static const char *copy_to(struct memory *m, long arg)
{
	(void)arg;
	return moved(copy_file_range(other_file(), NULL, m->fd, NULL, sizeof(word), 0));
}

static const char *truncate_to(struct memory *m, long pages)
{
	return done_if(!ftruncate(m->fd, pages * PAGE));
}

static const char *allocate(struct memory *m, long mode)
{
	if (fallocate(m->fd, mode, 0, PAGE))
		return failed();
	return first_word(m) ? "done" : "zeroed";
}

static const char *size_of(struct memory *m, long arg)
{
	struct stat st;

	(void)arg;
	if (fstat(m->fd, &st))
		return failed();
	return st.st_size == (off_t)LENGTH ? "its length" : st.st_size ? "else" : "0";
}

static const char *duplicate(struct memory *m, long arg)
{
	int fd = dup(m->fd);
	volatile uint64_t *map;

	(void)arg;
	close(m->fd);
	munmap(m->map, LENGTH);
	map = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
	return map == MAP_FAILED ? failed() : seen(*map);
}

/* Neither the descriptor nor a mapping is left but one of the two. */
static const char *mapping_alone(struct memory *m, long arg)
{
	(void)arg;
	close(m->fd);
	return seen(first_word(m));
}

static const char *seal(struct memory *m, long seals)
{
	return done_if(!fcntl(m->fd, F_ADD_SEALS, seals));
}

static const char *get_seals(struct memory *m, long arg)
{
	(void)arg;
	return done_if(fcntl(m->fd, F_GET_SEALS) >= 0);
}

static const char *set_flag(struct memory *m, long flag)
{
	return done_if(!fcntl(m->fd, F_SETFL, flag));
}

static const char *get_flag(struct memory *m, long arg)
{
	(void)arg;
	return fcntl(m->fd, F_GETFD) & FD_CLOEXEC ? "yes" : "no";
}

static const char *open_again(struct memory *m, long arg)
{
	char name[32];

	(void)arg;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", m->fd);
	return done_if(open(name, O_RDONLY) >= 0);
}

static const char *to_disk(struct memory *m, long arg)
{
	(void)arg;
	return done_if(!fsync(m->fd));
}

static const char *ahead(struct memory *m, long arg)
{
	(void)arg;
	return done_if(!readahead(m->fd, 0, PAGE));
}

static const char *watch(struct memory *m, long arg)
{
	struct epoll_event event = { .events = EPOLLIN };
	int fd = epoll_create1(0);

	(void)arg;
	return done_if(!epoll_ctl(fd, EPOLL_CTL_ADD, m->fd, &event));
}

static const struct row rows[] = {
	ROW("file I/O: `read`", by_read, "EINVAL", "EINVAL", "the secret"),
	ROW("file I/O: `pread`", by_pread, "ESPIPE", "ESPIPE", "the secret"),
	ROW("file I/O: `write`", by_write, "EINVAL", "EINVAL", "done"),
	ROW("file I/O: `pwrite`", by_pwrite, "ESPIPE", "ESPIPE", "done"),
	ROW("`lseek` SEEK_SET", by_seek, "ESPIPE", "ESPIPE", "done", .arg = SEEK_SET),
	ROW("`lseek` SEEK_END", by_seek, "ESPIPE", "ESPIPE", "its length",
	    .arg = SEEK_END),
	ROW("`fstat`: the size", size_of, "0", "its length", "its length"),
	ROW("`splice` from it to a pipe", splice_from, "EINVAL", "EINVAL", "the secret"),
	ROW("`splice` from a pipe to it", splice_to, "EINVAL", "EINVAL", "done"),
	ROW("`sendfile` from it", send_from, "EINVAL", "EINVAL", "the secret"),
	ROW("`sendfile` to it", send_to, "EINVAL", "EINVAL", "done"),
	ROW("`copy_file_range` from it", copy_from, "EINVAL", "EXDEV", "the secret"),
	ROW("`copy_file_range` to it", copy_to, "EINVAL", "EXDEV", "done"),
	ROW("`ftruncate` to more", truncate_to, "EINVAL", "EINVAL", "done",
	    .arg = 2 * NR),
	ROW("`ftruncate` to 0", truncate_to, "EINVAL", "EINVAL", "done"),
	ROW("`fallocate`", allocate, "ENODEV", "EOPNOTSUPP", "done"),
	ROW("`fallocate` FALLOC_FL_PUNCH_HOLE", allocate, "ENODEV", "EOPNOTSUPP",
	    "zeroed", .arg = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE),
	ROW("`fsync`", to_disk, "EINVAL", "EINVAL", "done"),
	ROW("`readahead`", ahead, "EINVAL", "done or EINVAL", "done"),
	ROW("`dup`, and the first one closed and unmapped", duplicate, "the secret",
	    "the secret", "the secret"),
	ROW("`close`: what is still mapped", mapping_alone, "the secret", "the secret",
	    "the secret"),
	ROW("`fcntl` F_ADD_SEALS F_SEAL_SHRINK", seal, "EINVAL", "EINVAL", "done",
	    .arg = F_SEAL_SHRINK),
	ROW("`fcntl` F_GET_SEALS", get_seals, "EINVAL", "EINVAL", "done"),
	ROW("`fcntl` F_GETFD: close-on-exec without asking", get_flag, "yes", "no", "no"),
	ROW("`fcntl` F_SETFL O_DIRECT", set_flag, "EINVAL", "EINVAL", "EINVAL or done",
	    .arg = O_DIRECT),
	ROW("`open` of /proc/self/fd/N", open_again, "ENXIO or EACCES", "ENXIO", "done"),
	ROW("`epoll_ctl` EPOLL_CTL_ADD", watch, "done", "EPERM", "EPERM"),
};

ROWS_MAIN(rows)
