// SPDX-License-Identifier: MIT
/*
 * Whom lethectl status finds to hold secret pages, and what it says of the module, by
 * trees of files in the place of /proc and /sys.
 */
#include "tree.h"

#include "holders.h"

#define STATUS(locked) "Name:\tx\nVmLck:\t" locked " kB\n"
#define FLAGS(rss, flags) "Size: 64 kB\nRss: " rss " kB\nVmFlags: " flags " \n"

static void make_processes(void)
{
	make_root();
	put("/proc/1/comm", "init\n");
	put("/proc/1/status", STATUS("0"));
	put_link("/proc/1/fd/0", "/dev/null");
	/* One of each kind, and what is not: a file so named, locked memory that is dumped. */
	put("/proc/20/comm", "agent \033[1m\n");
	put("/proc/20/status", STATUS("100"));
	put_link("/proc/20/fd/3", "/secretmem (deleted)");
	put_link("/proc/20/fd/4", "/tmp/secretmem (deleted)");
	put("/proc/20/smaps",
	    "7000000-7010000 rw-s 00000000 00:0e 24022 /secretmem (deleted)\n" FLAGS("8", "rd wr sh lo dd") "7020000-7030000 rw-s 00000000 08:01 24022 /secretmem (deleted)\n" FLAGS("16", "rd wr sh lo dd") "7040000-7050000 rw-p 00000000 00:00 0 \n" FLAGS(
		    "32",
		    "rd wr lo ac dd") "7060000-7070000 rw-p 00000000 00:00 0 \n" FLAGS("64",
										       "rd wr lo ac") "7080000-7090000 rw-p 00000000 00:00 0 \n" FLAGS("64",
																		       "rd wr ac dd"));
	/* Holds a region that somebody else made; and a descriptor alone. */
	put("/proc/30/comm", "borrower\n");
	put("/proc/30/status", STATUS("0"));
	put_link("/proc/30/fd/3", "anon_inode:[lethe]");
	put("/proc/30/smaps",
	    "7000000-7010000 rw-s 00000000 00:0f 1031 anon_inode:[lethe]\n" FLAGS(
		    "64", "rd wr sh io dd"));
	put("/proc/40/comm", "idle\n");
	put("/proc/40/status", STATUS("0"));
	put_link("/proc/40/fd/3", "/secretmem (deleted)");
	/* A kernel thread, and one that has ended as it was looked at. */
	put("/proc/50/comm", "kthreadd\n");
	put("/proc/50/status", "Name:\tkthreadd\n");
	put("/proc/60/comm", "zombie\n");
	put("/proc/60/status", STATUS("8"));
}

static const struct holder *of_pid(const struct holders *holders, pid_t pid)
{
	static const struct holder none;
	size_t i;

	for (i = 0; i < holders->nr; i++)
		if (holders->all[i].pid == pid)
			return &holders->all[i];
	return &none;
}

static void test_holders(void)
{
	static const struct lethe_holder told[] = {
		{ .pid = 20, .regions = 2, .bytes = 8192, .command = "agent" },
		{ .pid = 0, .regions = 1, .bytes = 1 << 20, .command = "gone" },
	};
	struct holders holders;
	const struct holder *holder;
	int err;

	make_processes();
	err = holders_look(&holders, root, NULL, NULL);
	tap_ok(!err && holders.nr == 3, "of seven processes three hold something");
	holder = of_pid(&holders, 20);
	tap_ok(holder->memfd == 8 << 10 && holder->descriptors == 1,
	       "memfd_secret's are those on no device that is mounted: resident pages, descriptors");
	tap_ok(holder->locked == 32 << 10,
	       "locked are those that are kept from dumps, too");
	tap_ok(of_pid(&holders, 30)->kmod == 64 << 10,
	       "a region is seen by who has it mapped");
	tap_ok(of_pid(&holders, 40)->descriptors == 1, "a descriptor alone counts");
	tap_ok(!holders.unseen && !holders.closed && !holders.hidden,
	       "who ended meanwhile is not one that could not be looked into");
	err = holders_add_module(&holders, told, 2);
	holders_sort(&holders);
	tap_ok(!err && holders.nr == 3 && !of_pid(&holders, 30)->kmod &&
		       of_pid(&holders, 20)->kmod == 8192 &&
		       of_pid(&holders, 20)->regions == 2 && !holders.kmod_unseen,
	       "where the module says whose a region is, it is that one's");
	tap_ok(!holders.all[0].pid && !strcmp(holders.all[0].command, "gone"),
	       "most first, and who is gone is told of");
	holders_forget(&holders, 20);
	tap_ok(holders.nr == 2 && !of_pid(&holders, 20)->pid, "who looks is forgotten");
	holders_free(&holders);
}

static int open_up(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	return type == FTW_SL ? 0 : chmod(path, type == FTW_F ? 0644 : 0755);
}

static void shut(const char *path)
{
	char full[PATH_MAX];

	full_path(full, path);
	if (chmod(full, 0))
		tap_bail("%s: %s", full, strerror(errno));
}

/* As somebody whom modes hold for: what is there and cannot be opened. */
static void test_unseen(void)
{
	uid_t was = geteuid();
	struct holders holders;
	int err;

	make_processes();
	put("/proc/1/comm", NULL);
	put("/proc/1/status", NULL);
	nftw(root, open_up, 16, FTW_PHYS);
	shut("/proc/20/smaps");
	shut("/proc/40/fd");
	if (!was && seteuid(65534))
		tap_bail("seteuid: %s", strerror(errno));
	err = holders_look(&holders, root, NULL, NULL);
	tap_ok(!err && holders.unseen == 1 && holders.closed == 1 && !holders.hidden,
	       "locked memory, and descriptors, that cannot be looked at are counted");
	holders_free(&holders);
	if (!was && seteuid(0))
		tap_bail("seteuid: %s", strerror(errno));
	nftw(root, open_up, 16, FTW_PHYS);
}

static void test_proc(void)
{
	struct holders holders;
	int err;

	make_processes();
	lose("/proc/1");
	err = holders_look(&holders, root, NULL, NULL);
	tap_ok(!err && holders.hidden,
	       "a /proc that does not list others' processes is told from one that does");
	holders_free(&holders);
	lose("/proc/self");
	tap_ok(holders_look(&holders, root, NULL, NULL) == -ENOENT,
	       "without /proc who holds what is not told, rather than nobody");
}

static void test_module(void)
{
	struct module module;

	make_root();
	put("/sys/class/misc/lethe/version", "4\n");
	put("/sys/module/lethe/parameters/hibernate", "wipe\n");
	put("/sys/class/misc/lethe/blocks", "3\n");
	put("/sys/class/misc/lethe/block_size", "2097152\n");
	put("/sys/class/misc/lethe/pages_used", "12\n");
	put("/sys/class/misc/lethe/regions", "2\n");
	module_look(&module, root);
	tap_ok(module.there && module.query.version == 4 && module.query.blocks == 3 &&
		       module.query.pages_used == 12 && module.query.regions == 2 &&
		       !module.queried && !module.has_wipes &&
		       !strcmp(module.hibernate, "wipe"),
	       "the module is told of by sysfs, without what only root may read");
	put("/sys/class/misc/lethe/wipes", "7\n");
	put("/sys/class/misc/lethe/wiped_bytes", "4096\n");
	module_look(&module, root);
	tap_ok(module.has_wipes && module.wipes == 7 && module.wiped_bytes == 4096,
	       "and with it where that can be read");
	put("/sys/class/misc/lethe/version", NULL);
	module_look(&module, root);
	tap_ok(!module.there, "no module is none");
}

int main(void)
{
	tap_plan(9 + 1 + 2 + 3);
	test_holders();
	test_unseen();
	test_proc();
	test_module();
	clear();
	return tap_end();
}
