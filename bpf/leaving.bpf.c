// SPDX-License-Identifier: GPL-2.0-only
/*
 * Looks at each system call that gives a buffer away to be copied: is it on secret
 * pages? It reads addresses and sizes, never what is in a buffer, and stops nothing.
 */
#include "system_call.bpf.h"

#include "leaving.h"
#include "mapping.bpf.h"
#include "tell.bpf.h"
#include "user_memory.bpf.h"

#include <bpf/bpf_tracing.h>

/* As many buffers, messages and requests of one call are looked at. */
#define PIECES_MAX 64

/* Of struct iocb: what is in it to be written. */
#define IOCB_PWRITE 1
#define IOCB_PWRITEV 8
/* io_sr_msg.flags, since 6.17: the buffer is a vector of buffers. */
#define SEND_VECTORIZED (1U << 5)
/* io_kiocb.flags: the kernel chooses the buffer. */
#define REQUEST_BUFFER_SELECT (1U << 5)
/* socketcall(2): no name. */
#define SOCKETCALL_SEND 9
#define SOCKETCALL_SENDTO 11
#define SOCKETCALL_SENDMSG 16
#define SOCKETCALL_SENDMMSG 20

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct leaving_counts);
} counts SEC(".maps");

/**
 * struct given - what one call gives away
 * @way: which call
 * @kind: of the first secret buffer, if there is one
 * @compat: vectors are of 32 bits
 * @unjudged: a buffer could not be judged
 * @address: of its first secret byte
 * @length: of the whole buffer
 */
struct given {
	__u32 way, kind;
	__u32 compat, unjudged;
	__u64 address, length;
};

/*
 * Not static, as give_all(): to the verifier a function of its own, which goes through
 * it once and not for each that calls it.
 */
__noinline int give(struct given *given, __u64 address, __u64 length)
{
	struct stretch stretch;

	if (!given || given->kind || !length)
		return 0;
	stretch_begin(&stretch, bpf_get_current_task_btf()->mm, address, length);
	judge_own(&stretch);
	/* Without the lock, what is found is there; what is not may be. */
	if (stretch.unjudged)
		judge(&stretch);
	given->unjudged |= stretch.unjudged;
	if (!stretch.kind)
		return 0;
	given->kind = stretch.kind;
	given->address = stretch.found;
	given->length = length;
	return 0;
}

/* What a call names: buffers, or what names buffers. */
enum list { VECTORS, MESSAGES, REQUESTS };

/**
 * struct giving - the way through the buffers that one call names
 * @given: what was found
 * @list: what @outer is
 * @vectors: the next vector, of the message or request that is being looked at
 * @nr_vectors: how many there are
 * @outer: the next message or request
 * @nr_outer: how many there are
 */
struct giving {
	struct given given;
	__u32 list, reserved;
	__u64 vectors, nr_vectors, outer, nr_outer;
};

/* Of the little stack that there is, for one of them at a time. */
union piece {
	__u64 address;
	struct vector vector;
	struct user_msghdr message;
	struct compat_msghdr narrow;
	struct iocb request;
};

/* False, as those that follow: it cannot be read. */
static __always_inline bool give_vector(struct giving *giving, union piece *piece)
{
	bool compat = giving->given.compat;

	if (read_vector(&piece->vector, giving->vectors, compat))
		return false;
	giving->vectors += compat ? 8 : 16;
	giving->nr_vectors--;
	give(&giving->given, piece->vector.address, piece->vector.length);
	return true;
}

/* Its control data is copied too. */
static __always_inline bool give_message(struct giving *giving, union piece *piece)
{
	struct user_msghdr *message = &piece->message;

	if (read_user(message, sizeof(*message), giving->outer))
		return false;
	giving->outer += sizeof(struct mmsghdr);
	giving->vectors = (__u64)message->msg_iov;
	giving->nr_vectors = message->msg_iovlen;
	give(&giving->given, (__u64)message->msg_control, message->msg_controllen);
	return true;
}

static __always_inline bool give_narrow_message(struct giving *giving, union piece *piece)
{
	struct compat_msghdr *message = &piece->narrow;

	if (read_user(message, sizeof(*message), giving->outer))
		return false;
	giving->outer += sizeof(struct compat_mmsghdr);
	giving->vectors = message->msg_iov;
	giving->nr_vectors = message->msg_iovlen;
	give(&giving->given, message->msg_control, message->msg_controllen);
	return true;
}

static __always_inline bool give_request(struct giving *giving, union piece *piece)
{
	__u32 size = giving->given.compat ? 4 : 8;

	piece->address = 0;
	if (read_user(&piece->address, size, giving->outer) ||
	    read_user(&piece->request, sizeof(piece->request), piece->address))
		return false;
	giving->outer += size;
	if (piece->request.aio_lio_opcode == IOCB_PWRITE) {
		give(&giving->given, piece->request.aio_buf, piece->request.aio_nbytes);
	} else if (piece->request.aio_lio_opcode == IOCB_PWRITEV) {
		giving->vectors = piece->request.aio_buf;
		giving->nr_vectors = piece->request.aio_nbytes;
	}
	return true;
}

static __always_inline bool give_piece(struct giving *giving, union piece *piece)
{
	if (giving->nr_vectors)
		return give_vector(giving, piece);
	giving->nr_outer--;
	if (giving->list == REQUESTS)
		return give_request(giving, piece);
	return giving->given.compat ? give_narrow_message(giving, piece) :
				      give_message(giving, piece);
}

static long give_next(__u32 index, struct giving *giving)
{
	union piece piece;

	if (giving->given.kind || !(giving->nr_vectors || giving->nr_outer))
		return 1;
	if (give_piece(giving, &piece))
		return 0;
	giving->given.unjudged = 1;
	return 1;
}

__noinline int give_all(struct given *given, enum list list, __u64 at, __u64 nr)
{
	struct giving giving = { .list = list };

	if (!given)
		return 0;
	giving.given = *given;
	if (list == VECTORS) {
		giving.vectors = at;
		giving.nr_vectors = nr;
	} else {
		giving.outer = at;
		giving.nr_outer = nr;
	}
	if (bpf_loop(PIECES_MAX, give_next, &giving, 0) == PIECES_MAX)
		giving.given.unjudged |= giving.nr_vectors || giving.nr_outer;
	*given = giving.given;
	return 0;
}

static __always_inline void report(const struct given *given)
{
	struct event *event = tell_begin(EVENT_LEAVING, given->way);

	if (!event)
		return;
	event->target = event->pid;
	event->address = given->address;
	event->length = given->length;
	event->kind = given->kind;
	tell(event);
}

static __always_inline void account(const struct given *given)
{
	__u32 zero = 0, way = given->way;
	struct leaving_counts *count = bpf_map_lookup_elem(&counts, &zero);

	if (!count || way >= LEAVING_WAYS)
		return;
	__sync_fetch_and_add(&count->calls[way], 1);
	if (given->kind) {
		__sync_fetch_and_add(&count->secret[way], 1);
		report(given);
	} else if (given->unjudged) {
		__sync_fetch_and_add(&count->unjudged[way], 1);
	}
}

/* The 32-bit door's one call for sockets: its arguments are in memory. */
static __always_inline bool give_by_socketcall(struct given *given,
					       const struct system_call *call)
{
	__u32 arg[3] = {};

	switch (call->arg[0]) {
	case SOCKETCALL_SEND:
	case SOCKETCALL_SENDTO:
	case SOCKETCALL_SENDMSG:
	case SOCKETCALL_SENDMMSG:
		break;
	default:
		return false;
	}
	given->way = LEAVING_SEND;
	if (read_user(arg, sizeof(arg), call->arg[1]))
		given->unjudged = 1;
	else if (call->arg[0] == SOCKETCALL_SENDMSG)
		give_all(given, MESSAGES, arg[1], 1);
	else if (call->arg[0] == SOCKETCALL_SENDMMSG)
		give_all(given, MESSAGES, arg[1], arg[2]);
	else
		give(given, arg[1], arg[2]);
	return true;
}

/* False: @call gives nothing away. */
static __always_inline bool give_by_call(struct given *given,
					 const struct system_call *call)
{
	switch (call->number) {
	case NR_write:
	case NR_pwrite64:
		given->way = LEAVING_WRITE;
		give(given, call->arg[1], call->arg[2]);
		return true;
	case NR_writev:
	case NR_pwritev:
	case NR_pwritev2:
		given->way = LEAVING_WRITE;
		give_all(given, VECTORS, call->arg[1], call->arg[2]);
		return true;
	case NR_io_submit:
		given->way = LEAVING_WRITE;
		give_all(given, REQUESTS, call->arg[2], call->arg[1]);
		return true;
	case NR_sendto:
		given->way = LEAVING_SEND;
		give(given, call->arg[1], call->arg[2]);
		return true;
	case NR_sendmsg:
		given->way = LEAVING_SEND;
		give_all(given, MESSAGES, call->arg[1], 1);
		return true;
	case NR_sendmmsg:
		given->way = LEAVING_SEND;
		give_all(given, MESSAGES, call->arg[1], call->arg[2]);
		return true;
	case NR_vmsplice:
		given->way = LEAVING_SPLICE;
		give_all(given, VECTORS, call->arg[1], call->arg[2]);
		return true;
	case NR_socketcall:
		return give_by_socketcall(given, call);
	default:
		return false;
	}
}

SEC("tp_btf/sys_enter")
int BPF_PROG(leaving_call, struct pt_regs *regs, long number)
{
	struct given given = {};
	struct system_call call;

	read_system_call(&call, number, regs);
	given.compat = call.compat;
	if (bpf_get_current_task_btf()->tgid != self && give_by_call(&given, &call))
		account(&given);
	return 0;
}

static __always_inline void give_by_write(struct given *given, struct io_kiocb *request,
					  bool vectors)
{
	struct io_rw *write = (void *)request;
	__u64 address = BPF_CORE_READ(write, addr);
	__u32 length = BPF_CORE_READ(write, len);

	if (vectors)
		give_all(given, VECTORS, address, length);
	else
		give(given, address, length);
}

static __always_inline void give_by_send(struct given *given, struct io_kiocb *request)
{
	struct io_sr_msg *send = (void *)request;
	__u64 address = (__u64)BPF_CORE_READ(send, buf);
	__u32 length = BPF_CORE_READ(send, len);

	if (BPF_CORE_READ(request, flags) & REQUEST_BUFFER_SELECT)
		given->unjudged = 1;
	else if (BPF_CORE_READ(send, flags) & SEND_VECTORIZED)
		give_all(given, VECTORS, address, length);
	else
		give(given, address, length);
}

/* Who submits is the process itself, or a thread that the kernel made in it. */
static __always_inline int give_by_ring(struct io_kiocb *request)
{
	struct io_sr_msg *send = (void *)request;
	struct given given = { .way = LEAVING_URING, .compat = by_compat_door() };

	if (bpf_get_current_task_btf()->tgid == self)
		return 0;
	switch (BPF_CORE_READ(request, opcode)) {
	case IORING_OP_WRITEV:
	case IORING_OP_WRITEV_FIXED:
		give_by_write(&given, request, true);
		break;
	case IORING_OP_WRITE:
	case IORING_OP_WRITE_FIXED:
		give_by_write(&given, request, false);
		break;
	case IORING_OP_SENDMSG:
	case IORING_OP_SENDMSG_ZC:
		give_all(&given, MESSAGES, (__u64)BPF_CORE_READ(send, umsg), 1);
		break;
	case IORING_OP_SEND:
	case IORING_OP_SEND_ZC:
		give_by_send(&given, request);
		break;
	default:
		return 0;
	}
	account(&given);
	return 0;
}

/* Also of io_uring_submit_sqe, its name until 6.2. */
SEC("raw_tp/io_uring_submit_req")
int leaving_request(struct bpf_raw_tracepoint_args *ctx)
{
	return give_by_ring((void *)ctx->args[0]);
}

char LICENSE[] SEC("license") = "GPL";
