// SPDX-License-Identifier: MIT
/*
 * LETHE_IOC_WIPE of a thread of the process that cannot come to wipe itself: EAGAIN,
 * and nothing of it is wiped, then or later. Of one that waits for memory of its own,
 * which can. Of one that the kernel has made for itself, which is nobody.
 */
#include <dirent.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "other.h"

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

static int pipe_ends[2];

/* Of one that does not come: EAGAIN, and it is let go only a while after. */
static void judge_absent(const char *where, pthread_t thread, int err,
			 void (*let_go)(void))
{
	usleep(200 * 1000);
	let_go();
	pthread_join(thread, NULL);
	tap_ok(err == -EAGAIN && !last.wiped, "%s: EAGAIN, and nothing counted (%s)",
	       where, err ? strerrorname_np(-err) : "0");
	tap_ok(other.dead == DEAD && other.alternate == ALTERNATE &&
		       !strcmp(other.result, "done"),
	       "%s: it goes on unharmed, with all that it had: %s", where, other.result);
}

static const char *in_vfork(void)
{
	pid_t pid = vfork();

	if (!pid) {
		while (!other.go)
			usleep(1000);
		_exit(0);
	}
	return done_if(pid > 0 && !end_of(pid));
}

static void set_go(void)
{
	other.go = 1;
}

static void test_vfork(void)
{
	pthread_t thread = start(in_vfork, "DS");
	int err;

	usleep(50 * 1000);
	err = wipe_absent(ALL);
	judge_absent("waiting for its vfork child", thread, err, set_go);
}

static pid_t tracer;

static void end_tracer(void)
{
	kill(tracer, SIGKILL);
	end_of(tracer);
	other.go = 1;
}

static void test_traced(void)
{
	pthread_t thread = start(spin, "R");
	int ends[2], err;
	char byte = 0;

	if (pipe(ends))
		tap_bail("pipe: %s", strerror(errno));
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	tracer = must_fork();
	if (!tracer) {
		byte = !ptrace(PTRACE_SEIZE, other.tid, NULL, NULL) &&
		       !ptrace(PTRACE_INTERRUPT, other.tid, NULL, NULL) &&
		       waitpid(other.tid, NULL, __WALL) == other.tid;
		_exit(write(ends[1], &byte, 1) == 1 ? pause() : 1);
	}
	if (read(ends[0], &byte, 1) == 1 && byte) {
		err = wipe_absent(ALL);
		judge_absent("stopped by somebody else", thread, err, end_tracer);
	} else {
		end_tracer();
		pthread_join(thread, NULL);
		tap_skip("leave to trace one's parent",
			 "stopped by somebody else: EAGAIN");
		tap_skip("leave to trace one's parent", "it goes on unharmed");
	}
	close(ends[0]);
	close(ends[1]);
}

static unsigned char *missing;
static int fault_fd = -1;

static const char *in_fault(void)
{
	return *(volatile unsigned char *)missing == 0x77 ? "done" : "another byte";
}

static const char *in_copy(void)
{
	struct iovec from = { missing, 1 };

	return done_if(writev(pipe_ends[1], &from, 1) == 1);
}

static void fill_missing(void)
{
	static unsigned char page[PAGE] __attribute__((aligned(PAGE)));
	struct uffdio_copy copy = {
		.dst = (uintptr_t)missing,
		.src = (uintptr_t)page,
		.len = PAGE,
	};

	memset(page, 0x77, PAGE);
	if (ioctl(fault_fd, UFFDIO_COPY, &copy))
		tap_bail("UFFDIO_COPY: %s", strerror(errno));
	close(fault_fd);
}

static bool make_missing(int flags)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	missing = must_map_pages(1);
	range.range.start = (uintptr_t)missing;
	range.range.len = PAGE;
	fault_fd = syscall(SYS_userfaultfd, O_CLOEXEC | flags);
	return fault_fd >= 0 && !ioctl(fault_fd, UFFDIO_API, &api) &&
	       !ioctl(fault_fd, UFFDIO_REGISTER, &range);
}

static void test_fault(void)
{
	pthread_t thread;
	int err;

	if (!make_missing(UFFD_USER_MODE_ONLY)) {
		tap_skip("userfaultfd", "in a fault of its own: it wipes");
		tap_skip("userfaultfd", "in a fault of its own: and it goes on");
	} else {
		thread = start(in_fault, "SD");
		err = wipe_other(ALL);
		fill_missing();
		pthread_join(thread, NULL);
		tap_ok(!err && !other.dead && !other.alternate,
		       "in a fault of its own: it wipes (%s)",
		       err ? strerrorname_np(-err) : "0");
		tap_ok(!strcmp(other.result, "done"),
		       "in a fault of its own: and it goes on: %s", other.result);
	}
	if (!make_missing(0)) {
		tap_skip("userfaultfd for the kernel",
			 "in a fault of the kernel's: EAGAIN");
		tap_skip("userfaultfd for the kernel", "it goes on unharmed");
		return;
	}
	thread = start(in_copy, "SD");
	err = wipe_absent(ALL);
	judge_absent("in a fault of the kernel's", thread, err, fill_missing);
}

/* The one thread beside the first: the kernel's own. 0 if it makes none. */
static pid_t poller(void)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SQPOLL };
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *entry;
	pid_t tid = 0;

	if (syscall(SYS_io_uring_setup, 8, &params) >= 0)
		while (tasks && (entry = readdir(tasks)))
			if (atoi(entry->d_name) > 0 && atoi(entry->d_name) != getpid())
				tid = atoi(entry->d_name);
	if (tasks)
		closedir(tasks);
	return tid;
}

static void test_poller(void)
{
	unsigned char byte = FILL;
	int err, range;

	memset(&other, 0, sizeof(other));
	other.tid = poller();
	if (!other.tid) {
		tap_skip("io_uring",
			 "a thread that the kernel made in the process: ESRCH");
		return;
	}
	err = wipe_absent(ALL);
	ask(LETHE_WIPE_RANGE);
	last.start = (uintptr_t)&byte;
	last.length = 1;
	range = call(LETHE_IOC_WIPE, &last);
	tap_ok(err == -ESRCH && range == -ESRCH && byte == FILL,
	       "a thread that the kernel made in the process: ESRCH");
}

static int asked_of(pid_t tid, const struct lethe_wipe *how)
{
	struct lethe_wipe args = *how;

	args.tid = tid;
	return call(LETHE_IOC_WIPE, &args);
}

/* Right and wrong questions: the answer must not say whether somebody is there. */
static void test_nobody(void)
{
	static unsigned char byte = FILL;
	const struct lethe_wipe right = { .size = sizeof(right) };
	struct lethe_wipe how[64];
	size_t nr = 0, same = 0;
	pid_t pid, none = must_fork();

	if (!none)
		_exit(0);
	end_of(none);
	pid = must_fork();
	if (!pid)
		_exit(pause());
	for (uint32_t flags = 0; flags < 32; flags++) {
		how[nr] = right;
		how[nr++].flags = flags;
		how[nr] = right;
		how[nr].flags = flags;
		how[nr].start = flags & 8 ? (uintptr_t)&byte : 1ULL << 63;
		how[nr++].length = flags & 4 ? 1 : PAGE;
	}
	for (size_t i = 0; i < nr; i++) {
		int err = asked_of(none, &how[i]);

		same += err && err == asked_of(pid, &how[i]) &&
			err == asked_of(1, &how[i]) && err == asked_of(-5, &how[i]);
	}
	kill(pid, SIGKILL);
	end_of(pid);
	tap_ok(same == nr && byte == FILL,
	       "of somebody who may not be wiped it says what it says of nobody (%zu of %zu)",
	       same, nr);
}

int main(void)
{
	door_open();
	if (pipe(pipe_ends))
		tap_bail("pipe: %s", strerror(errno));
	tap_plan(10);
	test_vfork();
	test_traced();
	test_fault();
	test_nobody();
	/* Last, since the thread stays. */
	test_poller();
	return tap_end();
}
