// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Secret stacks: made once, wiped, used again by whichever thread needs one of
 * the same size next. They are switched to, and never handed to pthreads, whose
 * futexes on a thread's stack the kernel refuses on secret pages.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "internal.h"
#include "section.h"
#include "tools.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct stack *pool;
/* Descriptions without a stack; from pages of their own, never from malloc(). */
static struct stack *blank;

static void push(struct stack **list, struct stack *stack)
{
	stack->next = *list;
	*list = stack;
}

static struct stack *pop(struct stack **list)
{
	struct stack *stack = *list;

	if (stack)
		*list = stack->next;
	return stack;
}

static struct stack *pop_size(struct stack **list, size_t size)
{
	for (; *list; list = &(*list)->next)
		if ((*list)->size == size)
			return pop(list);
	return NULL;
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

static void give_blank(struct stack *stack)
{
	pthread_mutex_lock(&lock);
	push(&blank, stack);
	pthread_mutex_unlock(&lock);
}

static void explain_limit(size_t size)
{
	static bool explained;
	struct rlimit limit;

	if (__atomic_exchange_n(&explained, true, __ATOMIC_RELAXED))
		return;
	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return;
	message("no %zu KiB for a secret stack: RLIMIT_MEMLOCK is %zu KiB in all; raise it (ulimit -l, LimitMEMLOCK=)",
		size / KIB, (size_t)limit.rlim_cur / KIB);
}

static int make_stack(struct stack *stack, size_t size)
{
	stack->size = size;
	stack->generation = revoked_generation();
	stack->start = space_map(size, STACK_GUARD);
	if (!stack->start && errno == ENOMEM) {
		/* What is kept for later is for now. */
		buffers_trim();
		stack_trim();
		heap_trim();
		stack->start = space_map(size, STACK_GUARD);
	}
	if (stack->start) {
		tools_stack_new(stack);
		return 0;
	}
	if (errno == ENOMEM)
		explain_limit(size);
	return -errno;
}

int stack_take(struct stack **stack, size_t size)
{
	struct stack *taken, *empty = NULL;
	int err;

	pthread_mutex_lock(&lock);
	taken = pop_size(&pool, size);
	if (!taken)
		empty = take_blank();
	pthread_mutex_unlock(&lock);
	if (taken) {
		*stack = taken;
		return 0;
	}
	if (!empty)
		return -ENOMEM;

	err = make_stack(empty, size);
	if (err) {
		give_blank(empty);
		return err;
	}
	*stack = empty;
	return 0;
}

/*
 * Now up, now down: where one way ends, the next finds what is still in the nearest
 * cache, which is half the speed again for a stack a little larger than that.
 */
size_t stack_wipe(struct stack *stack)
{
	char *top = stack_top(stack), *lowest;
	size_t pieces = stack->size / WIPE_PIECE;

	tools_look(stack->start, stack->size);
	stack->downwards = !stack->downwards;
	if (stack->downwards)
		lowest = section_wipe(top - WIPE_PIECE, -WIPE_PIECE, pieces, top);
	else
		lowest = section_wipe(stack->start, WIPE_PIECE, pieces, top);
	return (size_t)(top - lowest);
}

void stack_give(struct stack *stack)
{
	if (stack->generation != revoked_generation()) {
		give_blank(stack);
		return;
	}
	stack_wipe(stack);
	pthread_mutex_lock(&lock);
	push(&pool, stack);
	pthread_mutex_unlock(&lock);
}

size_t stack_trim(void)
{
	struct stack *idle, *stack;
	size_t bytes = 0;

	pthread_mutex_lock(&lock);
	idle = pool;
	pool = NULL;
	pthread_mutex_unlock(&lock);
	while ((stack = pop(&idle))) {
		bytes += stack->size;
		tools_stack_gone(stack);
		space_unmap(stack->start, stack->size, STACK_GUARD);
		give_blank(stack);
	}
	return bytes;
}

void stack_lose_all(void)
{
	struct stack *stack;

	pthread_mutex_lock(&lock);
	while ((stack = pop(&pool)))
		push(&blank, stack);
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
