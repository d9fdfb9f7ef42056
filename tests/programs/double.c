// SPDX-License-Identifier: MIT
/*
 * The probes' double, for lethectl watch: what it makes of each thing that a probe can
 * tell, be it one that no test can make happen. The ring buffers are the kernel's, and
 * a BPF program puts events into them; but which, is read from a FIFO:
 *
 *	event WHAT HOW PID TARGET RESULT ADDRESS LENGTH FRAME KIND COMMAND [TIMES]
 *	count PROBE WAY ALL MARKED UNJUDGED
 *	fail PROBE			its counts cannot be read any more
 *	unreadable N			so many processes cannot be looked into
 *	holder PID COMMAND PAGES	it holds so many; 0 is none
 *
 * LETHE_DOUBLE names the FIFO, LETHE_DOUBLE_ABSENT a probe that cannot be had.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "double.h"

#define RING (1 << 20)

const char *const double_names[DOUBLE_PROBES] = { "swap", "access", "leaving" };
struct double_probe double_probes[DOUBLE_PROBES];
unsigned int double_unreadable;
struct frames_holder double_holder;

/* value of key 0 of @request into the ring: 0, or that there was no room. */
static int load(const struct double_probe *probe)
{
	const struct bpf_insn program[] = {
		{ .code = BPF_ST | BPF_MEM | BPF_W, .dst_reg = BPF_REG_10, .off = -4 },
		{ .code = BPF_LD | BPF_DW | BPF_IMM,
		  .dst_reg = BPF_REG_1,
		  .src_reg = BPF_PSEUDO_MAP_FD,
		  .imm = probe->request },
		{ 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X,
		  .dst_reg = BPF_REG_2,
		  .src_reg = BPF_REG_10 },
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_2, .imm = -4 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_map_lookup_elem },
		{ .code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = BPF_REG_0, .off = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X,
		  .dst_reg = BPF_REG_2,
		  .src_reg = BPF_REG_0 },
		/* event.when, at its beginning */
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X,
		  .dst_reg = BPF_REG_6,
		  .src_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_ktime_get_ns },
		{ .code = BPF_STX | BPF_MEM | BPF_DW,
		  .dst_reg = BPF_REG_6,
		  .src_reg = BPF_REG_0 },
		{ .code = BPF_LD | BPF_DW | BPF_IMM,
		  .dst_reg = BPF_REG_1,
		  .src_reg = BPF_PSEUDO_MAP_FD,
		  .imm = probe->ring },
		{ 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X,
		  .dst_reg = BPF_REG_2,
		  .src_reg = BPF_REG_6 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K,
		  .dst_reg = BPF_REG_3,
		  .imm = sizeof(struct event) },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_4 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_ringbuf_output },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "double", "GPL", program,
			     sizeof(program) / sizeof(program[0]), NULL);
}

static int find(const char *name)
{
	int i;

	for (i = 0; i < DOUBLE_PROBES; i++)
		if (!strcmp(name, double_names[i]))
			return i;
	fprintf(stderr, "double: no probe %s\n", name);
	abort();
}

static void tell(const char *what, struct event *event, unsigned int times)
{
	struct bpf_test_run_opts opts = { .sz = sizeof(opts) };
	int which = strcmp(what, "maps") ? find(what) : 2;
	struct double_probe *probe = &double_probes[which];
	unsigned int key = 0;

	event->what = strcmp(what, "maps") ? (unsigned int)which + EVENT_SWAP :
					     EVENT_MAPS;
	event->tid = event->pid;
	event->depth = 3;
	event->stack[0] = (unsigned long long)(size_t)write;
	event->stack[1] = 0x1234;
	event->stack[2] = (unsigned long long)(size_t)tell;
	if (bpf_map_update_elem(probe->request, &key, event, 0))
		abort();
	while (times--) {
		if (bpf_prog_test_run_opts(probe->program, &opts))
			abort();
		if (opts.retval)
			probe->lost++;
	}
}

static void command(const char *line)
{
	unsigned int way, times = 1;
	unsigned long long n[3];
	struct event event = { 0 };
	char word[32], name[16];
	int pid;

	if (sscanf(line, "event %31s %u %d %d %d %llx %llu %llx %u %15s %u", word,
		   &event.how, &event.pid, &event.target, &event.result, &event.address,
		   &event.length, &event.frame, &event.kind, event.command,
		   &times) >= 10) {
		tell(word, &event, times);
	} else if (sscanf(line, "count %31s %u %llu %llu %llu", word, &way, &n[0], &n[1],
			  &n[2]) == 5) {
		memcpy(double_probes[find(word)].counts[way], n, sizeof(n));
	} else if (sscanf(line, "fail %31s", word) == 1) {
		double_probes[find(word)].failed = true;
	} else if (sscanf(line, "unreadable %u", &double_unreadable) == 1) {
	} else if (sscanf(line, "holder %d %15s %llu", &pid, name, n) == 3) {
		double_holder.pid = pid;
		memcpy(double_holder.command, name, sizeof(name));
		double_holder.pages[1] = n[0];
	} else {
		fprintf(stderr, "double: what is \"%s\"?\n", line);
		abort();
	}
}

static void *commands(void *path)
{
	char line[256];
	/* For writing, too: it does not end when a writer is gone. */
	FILE *file = fopen(path, "r+");

	if (!file)
		abort();
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		command(line);
	}
	return NULL;
}

int double_open(const char **why)
{
	char *path = getenv("LETHE_DOUBLE");
	struct double_probe *probe;
	pthread_t thread;
	int i;

	for (i = 0; i < DOUBLE_PROBES; i++) {
		probe = &double_probes[i];
		probe->ring = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "double_ring", 0, 0,
					     RING, NULL);
		probe->request = bpf_map_create(BPF_MAP_TYPE_ARRAY, "double_request", 4,
						sizeof(struct event), 1, NULL);
		probe->program = load(probe);
		if (probe->program < 0) {
			*why = "the double's program cannot be loaded";
			return -EPERM;
		}
	}
	return path ? -pthread_create(&thread, NULL, commands, path) : 0;
}
