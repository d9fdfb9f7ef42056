// SPDX-License-Identifier: MIT
/*
 * The door: what /dev/lethe takes, and what it refuses. Nothing here is mapped
 * or wiped.
 */
#include <sys/stat.h>

#include "door.h"

/* The size bits of a command's number replaced. */
#define RESIZED(code, size) _IOC(_IOC_DIR(code), _IOC_TYPE(code), _IOC_NR(code), size)

static void test_node(void)
{
	struct stat st;

	tap_ok(!fstat(door, &st) && S_ISCHR(st.st_mode) && (st.st_mode & 07777) == 0666,
	       "the device is open to everybody: mode 0666");
	tap_ok(call(_IO(LETHE_IOC_MAGIC, 0x7f), NULL) == -ENOTTY &&
		       call(_IOWR('z', 0x10, struct lethe_create), NULL) == -ENOTTY,
	       "an unknown command is ENOTTY");
}

/* Any of the three: a size that is wrong is told before anything else is. */
static void test_sizes(const char *name, unsigned long code, void *args, size_t size,
		       size_t first)
{
	struct {
		unsigned char args[256];
	} longer;
	char *hole = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t other;
	int err;

	memset(&longer, 0, sizeof(longer));
	memcpy(&longer, args, size);

	other = first - 1;
	memcpy(&longer, &other, sizeof(other));
	tap_ok(call(code, &longer) == -EINVAL,
	       "%s: a structure shorter than its first form is EINVAL", name);

	other = 0;
	memcpy(&longer, &other, sizeof(other));
	tap_ok(call(code, &longer) == -EINVAL, "%s: a structure of size zero is EINVAL",
	       name);

	other = sizeof(longer);
	memcpy(&longer, &other, sizeof(other));
	err = call(code, &longer);
	tap_ok(err >= 0, "%s: a longer one with a tail of zeros is accepted", name);
	if (code == LETHE_IOC_CREATE && err >= 0)
		close(err);

	memcpy(&longer, args, size);
	memcpy(&longer, &other, sizeof(other));
	longer.args[sizeof(longer) - 1] = 1;
	tap_ok(call(code, &longer) == -E2BIG,
	       "%s: a longer one with anything else is E2BIG", name);

	other = PAGE + 1;
	memcpy(&longer, &other, sizeof(other));
	tap_ok(call(code, &longer) == -E2BIG, "%s: one longer than a page is E2BIG",
	       name);

	tap_ok(call(code, NULL) == -EFAULT && call(code, hole) == -EFAULT,
	       "%s: an address with nothing at it is EFAULT", name);

	err = call(RESIZED(code, 7), args);
	tap_ok(err >= 0, "%s: the size bits of the command do not matter", name);
	if (code == LETHE_IOC_CREATE && err >= 0)
		close(err);
	munmap(hole, PAGE);
}

static void test_create(void)
{
	struct lethe_create args = { .size = sizeof(args), .length = PAGE };
	struct lethe_query before = must_query(), after;
	int fd;

	test_sizes("CREATE", LETHE_IOC_CREATE, &args, sizeof(args), 16);

	tap_ok(create(0) == -EINVAL, "CREATE: a length of zero is EINVAL");
	tap_ok(create(UINT64_MAX) == -E2BIG && create(1ULL << 63) == -E2BIG,
	       "CREATE: a length that no file can have is E2BIG");
	tap_ok(create(INT64_MAX) == -ENOMEM && create(1ULL << 50) == -ENOMEM,
	       "CREATE: more than the machine has is ENOMEM");
	args.flags = 1;
	tap_ok(call(LETHE_IOC_CREATE, &args) == -EINVAL,
	       "CREATE: an unknown flag is EINVAL");

	fd = must_create(1);
	tap_ok(fcntl(fd, F_GETFD) == FD_CLOEXEC,
	       "CREATE: the descriptor is close-on-exec");
	after = must_query();
	tap_ok(after.pages_used == before.pages_used + 1 &&
		       after.regions == before.regions + 1,
	       "CREATE: a length is rounded up to whole pages");
	close(fd);
}

static void test_wipe(void)
{
	unsigned char byte = 1;
	struct lethe_wipe args = {
		.size = sizeof(args),
		.flags = LETHE_WIPE_RANGE,
		.start = (uintptr_t)&byte,
		.length = 1,
	};

	test_sizes("WIPE", LETHE_IOC_WIPE, &args, sizeof(args), 40);
}

static void test_query(void)
{
	struct lethe_query args = { .size = sizeof(args) };
	struct lethe_query known;
	int fd = must_create(3 * PAGE);

	test_sizes("QUERY", LETHE_IOC_QUERY, &args, sizeof(args), 80);

	known = must_query();
	tap_ok(known.version == LETHE_ABI_VERSION && known.page_size == PAGE &&
		       known.block_size == 2 * 1024 * 1024,
	       "QUERY: version, page and block size are known");
	tap_ok(known.features & LETHE_FEATURE_REGIONS &&
		       known.features & LETHE_FEATURE_WIPE_RANGE &&
		       known.features & LETHE_FEATURE_WIPE_REGISTERS &&
		       known.features & LETHE_FEATURE_WIPE_STACKS &&
		       known.features & LETHE_FEATURE_WIPE_OTHERS,
	       "QUERY: regions and every wipe are there");
	tap_ok((known.pages_used + known.pages_free) * known.page_size ==
			       known.blocks * known.block_size &&
		       known.pages_used >= 3,
	       "QUERY: pages used and free make up the blocks");

	args.flags = 1U << 31;
	tap_ok(call(LETHE_IOC_QUERY, &args) == -EINVAL,
	       "QUERY: an unknown flag is EINVAL");
	args.flags = LETHE_QUERY_REGION;
	args.fd = fd;
	tap_ok(call(LETHE_IOC_QUERY, &args) == -EINVAL,
	       "QUERY: a region without its frames is EINVAL");
	close(fd);
}

static bool distinct(const uint64_t *frames, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		for (size_t j = 0; j < i; j++)
			if (frames[i] == frames[j])
				return false;
	return true;
}

static int query_frames(int fd, uint64_t *frames, uint32_t *nr)
{
	struct lethe_query args = {
		.size = sizeof(args),
		.flags = LETHE_QUERY_FRAMES | LETHE_QUERY_REGION,
		.fd = fd,
		.nr_frames = *nr,
		.frames = (uintptr_t)frames,
	};
	int err = call(LETHE_IOC_QUERY, &args);

	*nr = args.nr_frames;
	return err;
}

/* KPF_OFFLINE is bit 23; headers for user space stop short of it. */
static bool marked_offline(uint64_t frame)
{
	uint64_t flags = 0;
	int fd = open("/proc/kpageflags", O_RDONLY);
	ssize_t got = pread(fd, &flags, sizeof(flags), frame * sizeof(flags));

	close(fd);
	return got == sizeof(flags) && flags >> 23 & 1;
}

static void test_frames(void)
{
	uint64_t frames[16], all[4096];
	uint32_t nr = 16;
	struct lethe_query args = {
		.size = sizeof(args),
		.flags = LETHE_QUERY_FRAMES,
		.nr_frames = 4096,
		.frames = (uintptr_t)all,
	};
	int fd = must_create(5 * PAGE), err;
	size_t offline = 0;

	err = query_frames(fd, frames, &nr);
	if (err == -EPERM) {
		for (int i = 0; i < 6; i++)
			tap_skip("CAP_SYS_ADMIN", "QUERY: frames");
		close(fd);
		return;
	}
	tap_ok(!err && nr == 5 && distinct(frames, 5),
	       "QUERY: a region of 5 pages has 5 frames, no two the same");
	for (size_t i = 0; i < 5; i++)
		offline += marked_offline(frames[i]);
	tap_ok(offline == 5, "QUERY: each of them is marked offline (%zu of 5)", offline);

	nr = 2;
	memset(frames, 0xff, sizeof(frames));
	err = query_frames(fd, frames, &nr);
	tap_ok(!err && nr == 5 && frames[1] != UINT64_MAX && frames[2] == UINT64_MAX,
	       "QUERY: no more frames are written than there is room for");

	err = call(LETHE_IOC_QUERY, &args);
	tap_ok(!err && args.nr_frames >= 5 && args.nr_frames == args.pages_used,
	       "QUERY: the frames of all regions are as many as pages used");

	nr = 16;
	tap_ok(query_frames(fd, (uint64_t *)1, &nr) == -EFAULT,
	       "QUERY: an array with nothing at it is EFAULT");
	nr = 16;
	tap_ok(query_frames(door, frames, &nr) == -EBADF &&
		       query_frames(-1, frames, &nr) == -EBADF &&
		       query_frames(1000, frames, &nr) == -EBADF,
	       "QUERY: a descriptor that is no region is EBADF");
	close(fd);
}

/* Bits of the exit status: what nobody was wrongly given or refused. */
static int as_nobody(void)
{
	uint64_t frames[1];
	uint32_t nr = 1;
	int bad = 0, fd;

	if (!become_nobody())
		return 64;
	close(door);
	door = open(LETHE_DEVICE, O_RDWR);
	if (door < 0)
		return 32;
	fd = create(2 * PAGE);
	bad |= fd < 0 ? 1 : 0;
	bad |= query_frames(fd, frames, &nr) == -EPERM ? 0 : 2;
	bad |= must_query().regions ? 0 : 4;
	return bad;
}

static void test_unprivileged(void)
{
	pid_t pid;
	int end;

	if (getuid()) {
		tap_skip("root, to become somebody else",
			 "an unprivileged user makes regions");
		tap_skip("root, to become somebody else", "and learns no frame numbers");
		return;
	}
	pid = must_fork();
	if (!pid)
		_exit(as_nobody());
	end = end_of(pid);
	tap_ok(end >= 0 && !(end & ~2),
	       "an unprivileged user opens the device, creates and queries");
	tap_ok(end >= 0 && !(end & ~5), "frame numbers are EPERM without CAP_SYS_ADMIN");
}

int main(void)
{
	door_open_alone();
	tap_plan(42);
	test_node();
	test_create();
	test_wipe();
	test_query();
	test_frames();
	test_unprivileged();
	return tap_end();
}
