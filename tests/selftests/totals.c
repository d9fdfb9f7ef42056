// SPDX-License-Identifier: MIT
/*
 * Totals in sysfs: that they are those of QUERY, that a wipe counts, and what of
 * them is for everybody. It compares counts, so it wants the module for itself.
 */
#include "door.h"
#include "knobs.h"

#define TOTALS "/sys/class/misc/lethe/"
#define SNAPSHOT "/dev/snapshot"

static uint64_t total(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), TOTALS "%s", name);
	return read_number(path);
}

static bool totals_agree(void)
{
	struct lethe_query at = must_query();

	return total("version") == at.version && total("block_size") == at.block_size &&
	       total("blocks") == at.blocks && total("pages_used") == at.pages_used &&
	       total("pages_free") == at.pages_free &&
	       total("pages_small") == at.pages_small && total("splits") == at.splits &&
	       total("regions") == at.regions;
}

static void test_agree(void)
{
	struct lethe_query before = must_query(), at;
	int one, two;

	tap_ok(totals_agree(), "the totals of sysfs are those of QUERY");
	one = must_create(3 * PAGE);
	two = must_create(600 * PAGE);
	at = must_query();
	tap_ok(at.regions == before.regions + 2 && totals_agree(),
	       "also while there are regions");
	close(one);
	close(two);
	tap_ok(totals_agree() && total("regions") == before.regions &&
		       total("pages_used") == before.pages_used,
	       "and after that they are back to what they were");
}

static void test_wipes(void)
{
	uint64_t wipes = total("wipes"), bytes = total("wiped_bytes");
	unsigned char *map = must_map_plain(2 * PAGE);
	struct lethe_wipe args = {
		.size = sizeof(args),
		.flags = LETHE_WIPE_RANGE,
		.start = (uintptr_t)map,
		.length = 2 * PAGE,
	};
	int err;

	memset(map, 0x5a, 2 * PAGE);
	err = call(LETHE_IOC_WIPE, &args);
	tap_ok(!err && total("wipes") == wipes + 1 &&
		       total("wiped_bytes") == bytes + args.wiped,
	       "a wipe counts in wipes and wiped_bytes");
	args.flags = 1U << 31;
	tap_ok(call(LETHE_IOC_WIPE, &args) == -EINVAL && total("wipes") == wipes + 1,
	       "one that was refused does not");
	tap_ok(write_file(TOTALS "regions", "1") == -EACCES &&
		       write_file(TOTALS "wipes", "0") == -EACCES &&
		       total("wipes") == wipes + 1,
	       "root cannot set them either");
	munmap(map, 2 * PAGE);
}

/* Bits of the exit status: what nobody was wrongly given or refused. */
static int as_nobody(void)
{
	int bad = 0;

	if (!become_nobody())
		return 99;
	bad |= totals_agree() ? 0 : 1;
	bad |= open(TOTALS "wipes", O_RDONLY) < 0 && errno == EACCES ? 0 : 2;
	bad |= open(TOTALS "wiped_bytes", O_RDONLY) < 0 && errno == EACCES ? 0 : 4;
	return bad;
}

static void test_nobody(void)
{
	int fd = must_create(2 * PAGE), ended;
	pid_t pid = must_fork();

	if (!pid)
		_exit(as_nobody());
	ended = end_of(pid);
	tap_ok(!(ended & ~6), "everybody may read what QUERY tells everybody");
	tap_ok(!(ended & ~1), "and not how much others wipe, which root may (%d)", ended);
	close(fd);
}

/* /dev/snapshot begins a hibernation, and ends it: see power.c. */
static void test_revoked(void)
{
	uint64_t revoked = total("revoked");
	int fd = must_create(3 * PAGE), snapshot = open(SNAPSHOT, O_RDONLY | O_CLOEXEC);

	if (snapshot < 0) {
		tap_skip(SNAPSHOT, "a revoked region counts once");
		close(fd);
		return;
	}
	close(snapshot);
	close(fd);
	tap_ok(total("revoked") == revoked + 1 && totals_agree(),
	       "a revoked region counts once");
}

int main(void)
{
	if (getuid())
		tap_skip_all("root, for the totals that are root's");
	door_open_alone();
	tap_plan(9);
	test_agree();
	test_wipes();
	test_nobody();
	test_revoked();
	return tap_end();
}
