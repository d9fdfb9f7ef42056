// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tries to read the first eight bytes of frames through the direct map, and says of
 * each frame whether it could: what is mapped is mapped by whole frames. Run by who
 * asks (BPF_PROG_TEST_RUN), attached to nothing; what it reads, nobody is told.
 */
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include "directmap.h"

#define FRAME_SIZE 4096

struct directmap_question question;
struct directmap_answer answer;

static __always_inline bool can_read(__u64 address)
{
	__u64 word;
	bool can = !bpf_probe_read_kernel(&word, sizeof(word), (void *)address);

	/* Not left behind on the stack of whoever asks. */
	word = 0;
	barrier();
	return can;
}

static long try_frame(__u32 i, void *unused)
{
	if (i >= question.nr)
		return 1;
	i &= DIRECTMAP_FRAMES - 1; /* so that the verifier knows */
	answer.readable[i] =
		can_read(question.direct_map + question.frame[i] * FRAME_SIZE);
	answer.asked = i + 1;
	return 0;
}

SEC("raw_tp")
int directmap_try(void *ctx)
{
	bpf_loop(DIRECTMAP_FRAMES, try_frame, NULL, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
