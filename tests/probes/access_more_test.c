// SPDX-License-Identifier: MIT
/*
 * What gets at secret pages in a process's own name: pins of them, a dump of core,
 * samples of its stack, and programs of BPF that read its memory. Each is told where
 * the running kernel lets it be seen; beside each is one that is not about secret
 * pages, which is let, and not told.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <liburing.h>

#include "../selftests/tap.h"
#include "access_run.h"
#include "leaving.h"

static long result_of(long ret)
{
	return ret < 0 ? -errno : ret;
}

static long by_vmsplice(pid_t own, uint64_t address)
{
	struct iovec vector = { (void *)address, WORD };
	int ends[2];

	(void)own;
	if (pipe(ends))
		return -errno;
	return result_of(vmsplice(ends[1], &vector, 1, 0));
}

/* Shared, it is known by its page. */
static long by_futex(pid_t own, uint64_t address)
{
	(void)own;
	return result_of(syscall(SYS_futex, address, FUTEX_WAKE, 1, NULL, NULL, 0));
}

static long by_fixed_buffers(pid_t own, uint64_t address)
{
	struct iovec vector = { (void *)address, PAGE };
	struct io_uring ring;
	int err = io_uring_queue_init(2, &ring, 0);

	(void)own;
	return err ?: io_uring_register_buffers(&ring, &vector, 1);
}

/* Where files can be read past the page cache; else -EOPNOTSUPP. */
static long by_direct(pid_t own, uint64_t address)
{
	const char *disk = getenv("LETHE_DISK");
	int fd = open(disk ? disk : "/proc/self/exe", O_RDONLY | O_DIRECT | O_CLOEXEC);

	(void)own;
	if (fd < 0)
		return -EOPNOTSUPP;
	return result_of(pread(fd, (void *)address, PAGE, 0));
}

static const struct pin {
	const char *name;
	attack_fn *fn;
	const char *hook; /* by which it is seen of locked memory */
} pins[] = {
	{ "vmsplice", by_vmsplice, "gup_fast_fallback" },
	{ "a shared futex", by_futex, "gup_fast_fallback" },
	{ "a fixed buffer of io_uring", by_fixed_buffers, "__get_user_pages" },
	{ "direct I/O", by_direct, "gup_fast_fallback" },
};

#define PINS (sizeof(pins) / sizeof(pins[0]))

/* Under either of its names. */
static bool sees(const char *hook)
{
	return access_sees(hook) || (!strcmp(hook, "gup_fast_fallback") &&
				     access_sees("internal_get_user_pages_fast"));
}

static void test_pin_let(const struct pin *pin, enum kind kind)
{
	pid_t own = attack_own(pin->fn, kind);
	struct event event;

	if (access_run->result == -EOPNOTSUPP || access_run->result == -ENOSYS)
		tap_skip("nothing to try it on", "%s", pin->name);
	else if (kind == ORDINARY)
		tap_ok(access_run->result >= 0 && !access_told(own),
		       "%s of ordinary memory is let, and not told", pin->name);
	else if (!sees(pin->hook))
		tap_skip(pin->hook, "%s of locked memory", pin->name);
	else
		tap_ok(access_run->result >= 0 && access_told(own) == 1 &&
			       access_told_one(own, ACCESS_PIN, &event) &&
			       event.result == access_run->result &&
			       event.target == own && event.kind == kind_bits[kind] &&
			       event.address == access_run->secret,
		       "%s of locked memory is let, and told as that", pin->name);
}

static void test_pin(const struct pin *pin, enum kind kind)
{
	struct access_counts before = access_now();
	struct event event;
	pid_t own;

	if (!kind_possible(kind)) {
		tap_skip(kind_names[kind], "%s", pin->name);
		return;
	}
	own = attack_own(pin->fn, kind);
	if (access_run->result == -EOPNOTSUPP || access_run->result == -ENOSYS) {
		tap_skip("nothing to try it on", "%s", pin->name);
		return;
	}
	tap_ok(access_run->result == -EFAULT && access_told(own) == 1 &&
		       access_told_one(own, ACCESS_PIN, &event) &&
		       event.result == -EFAULT && event.target == own &&
		       event.kind == kind_bits[kind] &&
		       event.address == access_run->secret &&
		       access_now().refused[ACCESS_PIN] > before.refused[ACCESS_PIN],
	       "%s of %s memory is refused, and told once", pin->name, kind_names[kind]);
}

/* A program that reads a word at @address, run once by whoever calls this. */
static long by_bpf(pid_t own, uint64_t address)
{
	const struct bpf_insn program[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X,
		  .dst_reg = BPF_REG_1,
		  .src_reg = BPF_REG_10 },
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_1, .imm = -8 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K,
		  .dst_reg = BPF_REG_2,
		  .imm = WORD },
		{ .code = BPF_LD | BPF_IMM | BPF_DW,
		  .dst_reg = BPF_REG_3,
		  .imm = (int)address },
		{ .imm = (int)(address >> 32) },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_probe_read_user },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	struct bpf_test_run_opts opts = { .sz = sizeof(opts) };
	int fd = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "reads", "GPL", program,
			       sizeof(program) / sizeof(program[0]), NULL);

	(void)own;
	if (fd < 0 || bpf_prog_test_run_opts(fd, &opts))
		return -errno;
	return (int)opts.retval;
}

static void test_bpf(enum kind kind)
{
	struct access_counts before = access_now();
	struct event event;
	pid_t own;

	if (!access_sees("copy_from_user_nofault") || !kind_possible(kind)) {
		tap_skip(kind_possible(kind) ? "copy_from_user_nofault" :
					       kind_names[kind],
			 "a BPF program that reads %s memory", kind_names[kind]);
		return;
	}
	own = attack_own(by_bpf, kind);
	if (kind == ORDINARY)
		tap_ok(!access_run->result && !access_told(own) &&
			       access_now().tried[ACCESS_BPF] > before.tried[ACCESS_BPF],
		       "a BPF program that reads ordinary memory is counted, not told");
	else
		tap_ok(!access_run->result && access_told(own) == 1 &&
			       access_told_one(own, ACCESS_BPF, &event) &&
			       event.kind == kind_bits[kind] && !event.result &&
			       event.address == access_run->secret &&
			       event.length == WORD,
		       "a BPF program that reads %s memory is told, and that it was let",
		       kind_names[kind]);
}

/* The vector itself is on secret memory, where the probe "leaving" reads it. */
static long by_vector(pid_t own, uint64_t address)
{
	struct iovec *vector = (void *)address;

	(void)own;
	*vector = (struct iovec){ (void *)(address + sizeof(*vector)), WORD };
	return result_of(writev(open("/dev/null", O_WRONLY), vector, 1));
}

static void test_own_reads(void)
{
	struct leaving_counts counts = {};
	struct leaving_probe *leaving;
	const char *why;
	pid_t own;

	if (leaving_probe_open(&leaving, access_frames(), &why))
		tap_bail("%s", why);
	own = attack_own(by_vector, LOCKED);
	leaving_probe_counts(leaving, &counts);
	leaving_probe_close(leaving);
	tap_ok(access_run->result == (long)WORD && counts.secret[LEAVING_WRITE] &&
		       !access_told(own),
	       "what our own probes read of a call is not told as an access");
}

static void test_core(enum kind kind, rlim_t limit, int signal)
{
	struct rlimit old, new = { limit, RLIM_INFINITY };
	pid_t victim;
	struct event event;
	bool dumped, told;
	int status;

	/* The victim's, from its beginning. */
	getrlimit(RLIMIT_CORE, &old);
	setrlimit(RLIMIT_CORE, &new);
	victim = victim_start(kind);
	setrlimit(RLIMIT_CORE, &old);
	gather_begin();
	kill(victim, signal);
	waitpid(victim, &status, 0);
	gather();
	dumped = WIFSIGNALED(status) && WCOREDUMP(status);
	told = access_told_one(victim, ACCESS_CORE, &event);
	if (kind == ORDINARY || signal == SIGTERM)
		tap_ok(WIFSIGNALED(status) && !access_told(victim),
		       "%s's end by signal %d is not told", kind_names[kind], signal);
	else
		tap_ok(told && access_told(victim) == 1 && event.target == victim &&
			       event.result == (dumped ? 0 : -EPERM),
		       "%s's end by signal %d is told as a core %s", kind_names[kind],
		       signal, dumped ? "that was dumped" : "that was not dumped");
}

static long perf_open(pid_t pid, uint64_t sampled)
{
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attributes),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = 1000000,
		.sample_type = sampled,
		.sample_regs_user = sampled & PERF_SAMPLE_REGS_USER ? 1 : 0,
		.sample_stack_user = sampled & PERF_SAMPLE_STACK_USER ? 1024 : 0,
		.disabled = 1,
	};

	return result_of(syscall(SYS_perf_event_open, &attributes, pid,
				 pid == -1 ? 0 : -1, -1, PERF_FLAG_FD_CLOEXEC));
}

static long by_perf_stack(pid_t victim, uint64_t address)
{
	(void)address;
	return perf_open(victim, PERF_SAMPLE_STACK_USER);
}

static long by_perf_registers(pid_t victim, uint64_t address)
{
	(void)address;
	return perf_open(victim, PERF_SAMPLE_REGS_USER);
}

static long by_perf_all(pid_t victim, uint64_t address)
{
	(void)victim, (void)address;
	return perf_open(-1, PERF_SAMPLE_STACK_USER);
}

static long by_perf_address(pid_t victim, uint64_t address)
{
	(void)address;
	return perf_open(victim, PERF_SAMPLE_IP);
}

/* @told: 0 nothing, 1 on @victim, 2 on everybody. */
static void test_perf(attack_fn *fn, pid_t victim, int told, const char *what)
{
	pid_t attacker = attack(fn, victim, 0);
	struct event event;

	if (access_run->result == -ENOENT || access_run->result == -EOPNOTSUPP ||
	    access_run->result == -ENOSYS) {
		tap_skip("perf_event_open", "%s", what);
		return;
	}
	tap_ok(access_told(attacker) == !!told &&
		       (!told || (access_told_one(attacker, ACCESS_PERF, &event) &&
				  event.target == (told == 1 ? victim : 0) &&
				  event.result == access_run->result)),
	       "%s", what);
}

/* The same user, but one who may do less than the victim. */
static long by_powerless(pid_t victim, uint64_t address)
{
	struct __user_cap_header_struct header = { .version =
							   _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };
	char name[64];

	(void)address;
	snprintf(name, sizeof(name), "/proc/%d/mem", victim);
	if (syscall(SYS_capset, &header, none))
		return 0;
	return result_of(open(name, O_RDONLY));
}

static void test_denied(pid_t victim)
{
	static const char what[] = "who may not even open /proc/pid/mem is told";
	pid_t attacker;
	struct event event;

	if (!access_sees("mm_access")) {
		tap_skip("mm_access", what);
		return;
	}
	attacker = attack(by_powerless, victim, 0);
	tap_ok(access_run->result < 0 && access_told(attacker) == 1 &&
		       access_told_one(attacker, ACCESS_PROC_MEM, &event) &&
		       event.target == victim && event.result == access_run->result,
	       what);
}

/* Where core is dumped, and then taken away. */
static char empty[] = "/tmp/lethe-core-XXXXXX";

static void enter_empty(void)
{
	if (!mkdtemp(empty) || chdir(empty))
		tap_bail("mkdtemp: %s", strerror(errno));
}

static void leave_empty(void)
{
	DIR *directory = opendir(".");
	struct dirent *entry;

	while (directory && (entry = readdir(directory)))
		unlink(entry->d_name);
	closedir(directory);
	if (chdir("/") || rmdir(empty))
		tap_note("%s is left: %s", empty, strerror(errno));
}

static void test_others(pid_t victim)
{
	test_perf(by_perf_stack, victim, 1, "who samples a holder's stack is told");
	test_perf(by_perf_registers, victim, 1, "who samples its registers is told");
	test_perf(by_perf_all, victim, 2, "who samples everybody's stack is told");
	test_perf(by_perf_address, victim, 0,
		  "who samples no more than addresses is not");
	test_denied(victim);
}

int main(void)
{
	pid_t victim;

	access_begin();
	tap_plan(PINS * KINDS + KINDS + 1 + 5 + 5);
	for (size_t i = 0; i < PINS; i++) {
		test_pin(&pins[i], KMOD);
		test_pin(&pins[i], MEMFD);
		test_pin_let(&pins[i], LOCKED);
		test_pin_let(&pins[i], ORDINARY);
	}
	for (enum kind kind = 0; kind < KINDS; kind++)
		test_bpf(kind);
	test_own_reads();
	enter_empty();
	test_core(LOCKED, RLIM_INFINITY, SIGABRT);
	test_core(LOCKED, 0, SIGABRT);
	test_core(LOCKED, 0, SIGSEGV);
	test_core(LOCKED, 0, SIGTERM);
	test_core(ORDINARY, 0, SIGABRT);
	leave_empty();
	victim = victim_start(LOCKED);
	test_others(victim);
	victim_end(victim);
	access_end();
	return tap_end();
}
