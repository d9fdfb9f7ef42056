// SPDX-License-Identifier: MIT
/*
 * Hibernates to a disk and goes on in a second boot, with the swap probe attached all
 * the while: a secret in a region, which is wiped before; the same in memory that is
 * only locked, which is in the image, as memory that is only locked is; decoys; and one
 * in the registers of a section that is open all the while, which are in the image as
 * well, since the kernel has them in memory of its own. The host searches the raw image while the machine is off (tests/vm/power.py) and, here,
 * when it has gone on: both must find what the probe saw the kernel choose, to the page.
 * Before, two attempts come to nothing: the module's veto, and the kernel's own while
 * there is a memfd_secret. The same disk is searched after each; that it can be, the
 * image then shows.
 *
 * What the probe has counted is in the image too. Its counts when the machine goes on
 * are those of the moment at which it was copied: of the image being written nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "../selftests/registers.h"
#include "../selftests/tap.h"
#include "../vm/hostlink.h"
#include "ending.h"
#include "job.h"
#include "lethe.h"
#include "record.h"
#include "swap.h"

#define SWAP "/dev/nvme0n1"
#define DECOYS ((size_t)512)
#define MODE "/sys/module/lethe/parameters/hibernate"
/* Or the frames of what is locked are not those that the set has. */
#define COMPACT "/proc/sys/vm/compact_unevictable_allowed"
#define LOG_BYTES (1 << 20)
#define READ_ALL 3 /* of klogctl() */

/* power.py: what is named control is to be found. */
enum { CONTROL, LOCKED, REGISTERS, SECRET, MEMFD, NEEDLES };

#define IN_IMAGE \
	"nothing keeps a locked page out of the image, nor the image from being made"

static sigjmp_buf jump;
static struct layout layout;
static struct frames *frames;
static struct swap_probe *probe;

static struct needle needles[NEEDLES];
/* After each of the attempts, and in the image. */
static struct hostlink_found vetoed[NEEDLES], refused[NEEDLES], found[NEEDLES];
static uint64_t searched;

static void must(int err, const char *what, const char *why)
{
	if (err)
		tap_bail("%s: %s%s%s", what, strerror(-err), why ? ", " : "", why ?: "");
}

static void jump_out(int number)
{
	siglongjmp(jump, number);
}

static bool is_gone(volatile unsigned char *map)
{
	volatile size_t gone = 0;

	signal(SIGBUS, jump_out);
	for (volatile size_t i = 0; i < ENDING_PAGES; i++) {
		if (sigsetjmp(jump, 1) == SIGBUS)
			gone++;
		else
			(void)map[i * ENDING_PAGE];
	}
	return gone == ENDING_PAGES;
}

static bool all_zero(const unsigned char *p)
{
	for (size_t i = 0; i < ENDING_PAGES * ENDING_PAGE; i++)
		if (p[i])
			return false;
	return true;
}

/* Locked, so that it is in the image and nowhere else on the disk, and not moved. */
static unsigned char *ordinary(size_t pages)
{
	size_t length = pages * ENDING_PAGE;
	void *map = mmap(NULL, length, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED || madvise(map, length, MADV_NOHUGEPAGE) ||
	    mlock(map, length))
		tap_bail("ordinary memory: %s", strerror(errno));
	return map;
}

/* As a secret is kept where there is neither the module nor memfd_secret. */
static unsigned char *only_locked(size_t pages)
{
	unsigned char *map = ordinary(pages);

	if (madvise(map, pages * ENDING_PAGE, MADV_DONTDUMP) ||
	    madvise(map, pages * ENDING_PAGE, MADV_DONTFORK))
		tap_bail("madvise: %s", strerror(errno));
	return map;
}

static void watch(const unsigned char *decoys)
{
	struct frames_total total;
	const char *why = NULL;

	must(layout_learn(&layout, &why), "the layout of memory", why);
	must(frames_open(&frames, &layout, &why), "frames", why);
	must(frames_refresh(frames, 0), "frames", NULL);
	for (size_t i = 0; i < DECOYS; i++)
		must(frames_mark(frames, decoys + i * ENDING_PAGE, FRAME_DECOY),
		     "a decoy", NULL);
	must(swap_probe_open(&probe, frames, &why), "the swap probe", why);
	frames_total(frames, &total);
	tap_ok(total.kmod == ENDING_PAGES && total.locked == ENDING_PAGES &&
		       total.decoys == DECOYS,
	       "the frames of the region (%llu) and of what is only locked (%llu) are known",
	       total.kmod, total.locked);
}

/* That comes to nothing: what it is refused with, and what is on the disk then. */
static int hibernate_in_vain(struct hostlink_found *on_disk)
{
	int err = ending_write("/sys/power/state", "disk");

	must(hostlink_search_drive("refused", 0, needles, NEEDLES, on_disk, NULL),
	     "the host's search", NULL);
	return err;
}

static bool none_of_any(const struct hostlink_found *on_disk)
{
	for (int i = 0; i < NEEDLES; i++)
		if (on_disk[i].copies)
			return false;
	return true;
}

static void test_veto(void)
{
	struct swap_counts counts;
	int err;

	must(ending_write(MODE, "veto"), MODE, NULL);
	err = hibernate_in_vain(vetoed);
	must(ending_write(MODE, "wipe"), MODE, NULL);
	must(swap_probe_counts(probe, &counts), "counts", NULL);
	tap_ok(err == -EBUSY && !counts.way[SWAP_IMAGE].pages && none_of_any(vetoed),
	       "hibernate=veto: with a region open it is EBUSY, no page is chosen (%llu), and none is on the disk",
	       counts.way[SWAP_IMAGE].pages);
}

static struct {
	int fd;
	unsigned char *map;
} memfd;

static void give_up_memfd(void)
{
	munmap(memfd.map, ENDING_PAGES * ENDING_PAGE);
	close(memfd.fd);
}

static void test_memfd(void)
{
	int err = hibernate_in_vain(refused);

	tap_ok(err == -EPERM && none_of_any(refused),
	       "while there is a memfd_secret it is EPERM, and no page is on the disk");
	give_up_memfd();
}

/* How many pages the kernel says that it copied; 0 where it does not. */
static unsigned long long pages_copied(void)
{
	static const char words[] = "Need to copy ";
	char *log = calloc(1, LOG_BYTES + 1), *line = log;
	unsigned long long pages = 0;

	if (!log || klogctl(READ_ALL, log, LOG_BYTES) < 0)
		tap_bail("the kernel's log: %s", strerror(errno));
	while ((line = strstr(line, words))) {
		line += strlen(words);
		pages = strtoull(line, NULL, 10);
	}
	free(log);
	return pages;
}

static void record(const char *row, const char *backend,
		   const struct hostlink_found *secret)
{
	residue_record(row, backend, found[CONTROL].copies, secret->copies, searched,
		       secret == &found[LOCKED] ? IN_IMAGE : "");
}

static void record_all(void)
{
	record("hibernation image, wipe", "kmod", &found[SECRET]);
	record("hibernation image, wipe", "memfd_secret", &refused[MEMFD]);
	record("hibernation image, wipe", "mlock", &found[LOCKED]);
	record("hibernation image, veto", "kmod", &vetoed[SECRET]);
	record("hibernation image, veto", "memfd_secret", &refused[MEMFD]);
	record("hibernation image, veto", "mlock", &found[LOCKED]);
}

/* Since 7.0 one that is preempted at a tracepoint is not run for who comes there. */
static bool may_leave_out(void)
{
	struct utsname name;

	return !uname(&name) && strtoul(name.release, NULL, 10) >= 7;
}

static void test_image(void)
{
	unsigned long long copied = pages_copied();
	const struct swap_count *image;
	struct frames_total total;
	struct swap_counts counts;

	must(swap_probe_counts(probe, &counts), "counts", NULL);
	frames_total(frames, &total);
	for (int i = 0; i < SWAP_WAYS; i++)
		tap_note("%s: %llu pages, %llu decoys, %llu secret, %llu unjudged",
			 swap_way_names[i], counts.way[i].pages, counts.way[i].decoys,
			 counts.way[i].secret, counts.way[i].unjudged);
	must(hostlink_search_drive("the image", 0, needles, NEEDLES, found, &searched),
	     "the host's search", NULL);
	record_all();
	image = &counts.way[SWAP_IMAGE];
	if (copied)
		tap_ok(image->pages == copied,
		       "the probe sees as many pages chosen for the image (%llu) as the kernel says (%llu)",
		       image->pages, copied);
	else
		tap_skip("a kernel that says how many pages it copies",
			 "the probe sees as many pages chosen as the kernel says");
	tap_ok(image->decoys == DECOYS && found[CONTROL].whole == DECOYS,
	       "the probe sees each of %zu decoys chosen (%llu), and the host finds as many (%" PRIu64
	       ")",
	       DECOYS, image->decoys, found[CONTROL].whole);
	tap_ok(image->secret == ENDING_PAGES && found[LOCKED].whole == ENDING_PAGES,
	       "of what is only locked it sees each of %zu pages (%llu), and the host finds it (%" PRIu64
	       ")",
	       ENDING_PAGES, image->secret, found[LOCKED].whole);
	tap_ok(!total.kmod && !found[SECRET].copies && !image->unjudged,
	       "of the region none: its frames are no longer (%llu), and the host finds nothing (%" PRIu64
	       ")",
	       total.kmod, found[SECRET].copies);
	/* Then the probe alone could not tell; the host has searched all the same. */
	if (counts.lost && may_leave_out())
		tap_skip("a kernel that runs a program whenever a tracepoint is passed",
			 "no event was lost (%llu)", counts.lost);
	else
		tap_ok(!counts.lost, "no event was lost (%llu)", counts.lost);
}

static void test_region(int region, unsigned char *map)
{
	struct pollfd poller = { .fd = region };
	unsigned char *next;
	int fd;

	tap_ok(is_gone(map), "each page of the region faults with SIGBUS");
	tap_ok(poll(&poller, 1, 0) == 1 && poller.revents == (POLLHUP | POLLERR),
	       "poll() says POLLHUP and POLLERR");
	tap_ok(ending_map(region) == MAP_FAILED && errno == ESTALE, "mmap() is ESTALE");
	fd = ending_region();
	next = ending_map(fd);
	tap_ok(next != MAP_FAILED && all_zero(next),
	       "a new region can be made, all zero");
	if (next == MAP_FAILED)
		return;
	next[ENDING_PAGE] = 0x5a;
	tap_ok(next[ENDING_PAGE] == 0x5a && !munmap(next, ENDING_PAGES * ENDING_PAGE) &&
		       !close(fd),
	       "and used, and given up");
}

static void map_memfd(void)
{
	memfd.fd = syscall(SYS_memfd_secret, O_CLOEXEC);
	if (memfd.fd < 0 || ftruncate(memfd.fd, ENDING_PAGES * ENDING_PAGE))
		tap_bail("memfd_secret: %s", strerror(errno));
	memfd.map = ending_map(memfd.fd);
	if (memfd.map == MAP_FAILED)
		tap_bail("memfd_secret: %s", strerror(errno));
}

/* Asleep, and nowhere but in registers and on the secret stack. */
static void sleep_full(void *arg)
{
	struct job *job = arg;
	uint64_t secret;

	if (getrandom(&secret, sizeof(secret), 0) != sizeof(secret) ||
	    needle_make(&job->needle, "control-registers", &secret, sizeof(secret)))
		_exit(1);
	job_tell(job);
	job_sleep_full(&secret, 3600, 0);
}

/* With a memfd_secret, its parent's too, nobody would hibernate. */
static void in_section(struct job *job)
{
	give_up_memfd();
	if (lethe_do(sleep_full, job))
		_exit(1);
}

int main(void)
{
	int region = ending_region(), err;
	unsigned char *map = ending_map(region), *decoys = ordinary(DECOYS);
	pid_t sleeper;

	/* With a memfd_secret it would be refused, too. */
	must(ending_write("/sys/power/disk", "shutdown"), "/sys/power/disk", NULL);
	map_memfd();
	if (map == MAP_FAILED)
		tap_bail("no region: %s", strerror(errno));
	tap_plan(14);
	must(ending_write(COMPACT, "0"), COMPACT, NULL);
	ending_plant(&needles[CONTROL], "control", decoys, DECOYS);
	ending_plant(&needles[LOCKED], "control-locked", only_locked(ENDING_PAGES),
		     ENDING_PAGES);
	ending_plant(&needles[SECRET], "secret", map, ENDING_PAGES);
	ending_plant(&needles[MEMFD], "memfd_secret", memfd.map, ENDING_PAGES);
	watch(decoys);
	/* Its pages are the module's, too: those of the region are counted by now. */
	registers_look();
	sleeper = job_start(in_section, NULL, &needles[REGISTERS]);
	job_wait_asleep(sleeper);
	must(hostlink_later("hibernate", needles, NEEDLES), "the host", NULL);
	if (swapon(SWAP, 0))
		tap_bail("swapon: %s", strerror(errno));
	test_memfd();
	test_veto();

	/* It ends here, and goes on in another boot, another QEMU. */
	err = ending_write("/sys/power/state", "disk");
	tap_ok(!err, "a machine with an open region hibernates to disk, and resumes (%s)",
	       err ? strerror(-err) : "0");
	test_image();
	test_region(region, map);
	job_kill(sleeper);
	return tap_end();
}
