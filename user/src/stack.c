// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Secret stacks: made once, wiped, used again by whichever thread needs one
 * next. They are switched to, and never handed to pthreads, whose futexes on a
 * thread's stack the kernel refuses on secret pages.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "internal.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct stack *pool;
/* Descriptions without a stack; from pages of their own, never from malloc(). */
static struct stack *blank;

static struct stack *pop(struct stack **list)
{
	struct stack *stack = *list;

	if (stack)
		*list = stack->next;
	return stack;
}

static void push(struct stack **list, struct stack *stack)
{
	stack->next = *list;
	*list = stack;
}

static struct stack *take_blank(void)
{
	struct stack *page;
	size_t i;

	if (!blank) {
		page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (page == MAP_FAILED)
			return NULL;
		for (i = 0; i < PAGE / sizeof(*page); i++)
			push(&blank, &page[i]);
	}
	return pop(&blank);
}

static void explain_limit(void)
{
	static bool explained;
	struct rlimit limit;

	if (__atomic_exchange_n(&explained, true, __ATOMIC_RELAXED))
		return;
	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return;
	message("no %zu KiB for a secret stack: RLIMIT_MEMLOCK is %zu KiB in all; raise it (ulimit -l, LimitMEMLOCK=)",
		STACK_SIZE / KIB, (size_t)limit.rlim_cur / KIB);
}

static int make_stack(struct stack *stack)
{
	stack->size = STACK_SIZE;
	stack->start = space_map(stack->size);
	if (!stack->start && errno == ENOMEM) {
		/* What the heap keeps for later is for now. */
		heap_trim();
		stack->start = space_map(stack->size);
	}
	if (stack->start)
		return 0;
	if (errno == ENOMEM)
		explain_limit();
	return -errno;
}

int stack_take(struct stack **stack)
{
	struct stack *taken, *empty = NULL;
	int err;

	pthread_mutex_lock(&lock);
	taken = pop(&pool);
	if (!taken)
		empty = take_blank();
	pthread_mutex_unlock(&lock);
	if (taken) {
		*stack = taken;
		return 0;
	}
	if (!empty)
		return -ENOMEM;

	err = make_stack(empty);
	if (err) {
		pthread_mutex_lock(&lock);
		push(&blank, empty);
		pthread_mutex_unlock(&lock);
		return err;
	}
	*stack = empty;
	return 0;
}

void stack_give(struct stack *stack)
{
	lethe_wipe(stack->start, stack->size);
	pthread_mutex_lock(&lock);
	push(&pool, stack);
	pthread_mutex_unlock(&lock);
}

void stack_fork_prepare(void)
{
	pthread_mutex_lock(&lock);
}

void stack_fork_parent(void)
{
	pthread_mutex_unlock(&lock);
}

void stack_fork_child(void)
{
	/* Stacks of other threads are lost too, with their descriptions. */
	pool = NULL;
	pthread_mutex_unlock(&lock);
}
