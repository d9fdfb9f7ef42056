// SPDX-License-Identifier: MIT
/*
 * Who holds secret pages: the process that made a region, whatever becomes of it or
 * of the descriptor, and so do the rows say that root gets. It compares counts, so
 * it wants the module for itself.
 */
#include <pthread.h>
#include <sched.h>

#include "door.h"
#include "holders.h"

static void one_region(int line)
{
	prctl(PR_SET_NAME, "fifteen letters");
	must_create(10 * PAGE);
	meet(line);
}

static void mappings_alone(int line)
{
	int fd;

	prctl(PR_SET_NAME, "holder-mapped");
	for (int i = 0; i < 4; i++) {
		fd = must_create(PAGE);
		must_map(fd, PAGE);
		close(fd);
	}
	meet(line);
}

static void test_processes(void)
{
	struct worker two = begin(two_regions), one = begin(one_region),
		      mapped = begin(mappings_alone);

	must_ask();
	tap_ok(nr_rows == 3 && holds(two.pid, 2, 8, "holder-two") &&
		       holds(one.pid, 1, 10, "fifteen letters") &&
		       holds(mapped.pid, 4, 4, "holder-mapped"),
	       "three processes, three rows: pid, command, regions, bytes");
	tap_ok(rows_add_up(), "their sums are the totals of QUERY");
	tap_ok(rows[0].pid == one.pid && rows[2].pid == mapped.pid,
	       "who holds most comes first");

	end(&one);
	must_ask();
	tap_ok(nr_rows == 2 && holds_nothing(one.pid) && rows_add_up(),
	       "a process that has ended holds nothing");
	kill(mapped.pid, SIGKILL);
	end_of(mapped.pid);
	close(mapped.line);
	must_ask();
	tap_ok(nr_rows == 1 && holds(two.pid, 2, 8, "holder-two"),
	       "nor does one that was killed");
	end(&two);
	must_ask();
	tap_ok(!nr_rows && !must_query().regions, "and at last there is no row");
}

static void *make_two_pages(void *arg)
{
	prctl(PR_SET_NAME, "a thread");
	*(int *)arg = must_create(2 * PAGE);
	return NULL;
}

static void test_thread(void)
{
	pthread_t thread;
	int fd;

	if (pthread_create(&thread, NULL, make_two_pages, &fd))
		tap_bail("pthread_create failed");
	pthread_join(thread, NULL);
	must_ask();
	tap_ok(nr_rows == 1 && holds(getpid(), 1, 2, "holders"),
	       "what a thread makes is its process's, by the process's name");
	close(fd);
}

static void wait_alone(int line)
{
	meet(line);
}

static void test_fork(void)
{
	int fd = must_create(6 * PAGE);
	struct worker child = begin(wait_alone);

	must_ask();
	tap_ok(nr_rows == 1 && holds(getpid(), 1, 6, "holders"),
	       "a child that inherits a descriptor holds nothing: its maker does");
	close(fd);
	must_ask();
	tap_ok(nr_rows == 1 && holds(getpid(), 1, 6, "holders"),
	       "its maker does, also while the child alone has it");
	end(&child);
	must_ask();
	tap_ok(!nr_rows, "until that lets go of it");
}

/* One descriptor, over the line. */
static bool send_fd(int line, int fd)
{
	char space[CMSG_SPACE(sizeof(int))] = { 0 };
	char word = 0;
	struct iovec byte = { .iov_base = &word, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &byte,
		.msg_iovlen = 1,
		.msg_control = space,
		.msg_controllen = sizeof(space),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	return sendmsg(line, &message, 0) == 1;
}

static int receive_fd(int line)
{
	char space[CMSG_SPACE(sizeof(int))], word;
	struct iovec byte = { .iov_base = &word, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &byte,
		.msg_iovlen = 1,
		.msg_control = space,
		.msg_controllen = sizeof(space),
	};
	struct cmsghdr *header;
	int fd;

	if (recvmsg(line, &message, MSG_CMSG_CLOEXEC) != 1)
		tap_bail("recvmsg: %s", strerror(errno));
	header = CMSG_FIRSTHDR(&message);
	if (!header || header->cmsg_type != SCM_RIGHTS)
		tap_bail("no descriptor came");
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

static void pass_on(int line)
{
	int fd;

	prctl(PR_SET_NAME, "holder-gone");
	fd = must_create(7 * PAGE);
	meet(line);
	if (!send_fd(line, fd))
		_exit(1);
	close(fd);
	meet(line);
}

static void test_passed(void)
{
	struct worker maker = begin(pass_on);
	char byte;
	int fd;

	tell(&maker);
	fd = receive_fd(maker.line);
	if (read(maker.line, &byte, 1) != 1)
		tap_bail("a child of the test failed");
	must_ask();
	tap_ok(nr_rows == 1 && holds(maker.pid, 1, 7, "holder-gone"),
	       "a descriptor passed on: its maker holds it, not who has it");
	end(&maker);
	must_ask();
	tap_ok(nr_rows == 1 && holds(0, 1, 7, "holder-gone") && rows_add_up(),
	       "its maker gone: no pid any more, and the command that it had");
	close(fd);
	must_ask();
	tap_ok(!nr_rows, "until who has it closes it");
}

/* What this program is after its own execve(). */
static int after_exec(int line)
{
	meet(line);
	return 0;
}

static void exec_with(int line, bool keep)
{
	char name[] = "after", number[16], *argv[] = { name, number, NULL };
	int fd;

	prctl(PR_SET_NAME, "holder-before");
	fd = must_create(9 * PAGE);
	if (keep)
		fcntl(fd, F_SETFD, 0);
	fcntl(line, F_SETFD, 0);
	snprintf(number, sizeof(number), "%d", line);
	execv("/proc/self/exe", argv);
}

static void exec_keeping(int line)
{
	exec_with(line, true);
}

static void exec_plainly(int line)
{
	exec_with(line, false);
}

static void test_exec(void)
{
	struct worker keeps = begin(exec_keeping), plain = begin(exec_plainly);

	must_ask();
	tap_ok(nr_rows == 1 && holds(keeps.pid, 1, 9, "holder-before"),
	       "kept over execve(): the same process, by the name that it had");
	tap_ok(holds_nothing(plain.pid), "and without asking, it is not kept");
	end(&keeps);
	end(&plain);
}

/* The first process of a pid namespace: what it sees of itself and of others. */
static void from_inside(int line)
{
	int fd = must_create(PAGE);
	bool right;

	must_ask();
	right = getpid() == 1 && nr_rows == 2 && holds(1, 1, 1, "holders") &&
		holds(0, 1, 2, "holders");
	/* For who is outside. */
	meet(line);
	close(fd);
	_exit(right ? 0 : 1);
}

static void with_namespace(int line)
{
	pid_t inner;

	if (unshare(CLONE_NEWPID))
		_exit(4);
	inner = must_fork();
	if (!inner)
		from_inside(line);
	_exit(end_of(inner));
}

static void test_namespace(void)
{
	int fd = must_create(2 * PAGE);
	struct worker outer = begin(with_namespace);
	bool right;

	must_ask();
	right = nr_rows == 2 && holds(getpid(), 1, 2, "holders") &&
		!holds_nothing(getpid()) && holds_nothing(1) && holds_nothing(0);
	tap_ok(right, "a process of an inner pid namespace has a number outside");
	tap_ok(!end(&outer), "inside it is process 1, and who has no number there is 0");
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc == 2)
		return after_exec(atoi(argv[1]));
	if (getuid())
		tap_skip_all("root, who alone may ask");
	door_open_alone();
	if (must_query().regions)
		tap_skip_all("a module that nobody else uses");

	tap_plan(18);
	prctl(PR_SET_NAME, "holders");
	test_processes();
	test_thread();
	test_fork();
	test_passed();
	test_exec();
	test_namespace();
	must_ask();
	tap_ok(!nr_rows && !must_query().pages_used, "afterwards nobody holds anything");
	return tap_end();
}
