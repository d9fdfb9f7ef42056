// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What the tools have to be told: see tools.h. Needs no header of theirs, so that
 * every build of the library is the same one: the sanitizers' functions are weak,
 * and Valgrind's requests are instructions that do nothing on a processor.
 */
#include "tools.h"
#include "internal.h"

#define WEAK __attribute__((weak))

/* <sanitizer/common_interface_defs.h>, <sanitizer/lsan_interface.h> */
WEAK void __sanitizer_start_switch_fiber(void **fake_stack, const void *bottom,
					 size_t size);
WEAK void __sanitizer_finish_switch_fiber(void *fake_stack, const void **old_bottom,
					  size_t *old_size);
WEAK void __asan_unpoison_memory_region(const volatile void *start, size_t size);
WEAK void __lsan_register_root_region(const void *start, size_t size);
WEAK void __lsan_unregister_root_region(const void *start, size_t size);

/* <valgrind/valgrind.h>, <valgrind/memcheck.h>: numbers that never change */
enum valgrind_request {
	RUNNING_ON_VALGRIND = 0x1001,
	STACK_REGISTER = 0x1501,
	STACK_DEREGISTER = 0x1502,
	MAKE_MEM_DEFINED = 'M' << 24 | 'C' << 16 | 2,
};

uint8_t tools_here = TOOLS_UNKNOWN;

/*
 * What ASan took for the thread's stack until a section began, and two stacks of
 * its own, on which it keeps the variables that somebody has the address of: the
 * thread's, and the one for sections. The latter stays from one to the next, since
 * after a longjmp() out of a section the thread has variables on it.
 */
static __thread struct {
	bool entered;
	void *fake_stack, *section_fake_stack;
	const void *bottom;
	size_t size;
	const void *own_bottom; /* the thread's own, while it has had a section */
	size_t own_size;
} outside;

static unsigned long valgrind(enum valgrind_request request, unsigned long a,
			      unsigned long b)
{
	volatile unsigned long words[6] = { request, a, b };
	unsigned long answer = 0;

	__asm__ volatile("rolq $3, %%rdi\n\t"
			 "rolq $13, %%rdi\n\t"
			 "rolq $61, %%rdi\n\t"
			 "rolq $51, %%rdi\n\t"
			 "xchgq %%rbx, %%rbx"
			 : "+d"(answer)
			 : "a"(words)
			 : "cc", "memory");
	return answer;
}

COLD bool tools_run_handlers(void)
{
	return valgrind(RUNNING_ON_VALGRIND, 0, 0);
}

static uint8_t look_for_tools(void)
{
	uint8_t here = 0;

	if (__sanitizer_start_switch_fiber && __sanitizer_finish_switch_fiber &&
	    __asan_unpoison_memory_region)
		here |= TOOLS_ASAN;
	if (valgrind(RUNNING_ON_VALGRIND, 0, 0))
		here |= TOOLS_VALGRIND;
	return here ? here : TOOLS_NONE;
}

COLD void tools_reserved_slow(void *start, size_t size)
{
	__atomic_store_n(&tools_here, look_for_tools(), __ATOMIC_RELAXED);
	/* A block that only secret memory points to is no leak. */
	if (tools_here & TOOLS_ASAN && __lsan_register_root_region)
		__lsan_register_root_region(start, size);
}

COLD void tools_stack_new_slow(struct stack *stack)
{
	if (tools_here & TOOLS_VALGRIND)
		stack->watched = valgrind(STACK_REGISTER, (unsigned long)stack->start,
					  (unsigned long)stack->start + stack->size - 1);
}

COLD void tools_stack_gone_slow(struct stack *stack)
{
	if (tools_here & TOOLS_VALGRIND)
		valgrind(STACK_DEREGISTER, stack->watched, 0);
}

/*
 * Both halves of ASan's switch here, while the thread is still on the old stack:
 * the section's function is the program's, and cannot be asked to do the second.
 */
static void asan_switch(void **fake_stack, const void *bottom, size_t size,
			void *next_fake_stack)
{
	const void *old_bottom = NULL;
	size_t old_size = 0;

	__sanitizer_start_switch_fiber(fake_stack, bottom, size);
	__sanitizer_finish_switch_fiber(next_fake_stack, &old_bottom, &old_size);
	outside.bottom = old_bottom;
	outside.size = old_size;
}

/*
 * A thread that is cancelled asynchronously between the two halves, or before what
 * is noted of them holds, would end its section with a switch in a switch, at which
 * ASan ends the process.
 */
COLD void tools_enter_slow(const struct stack *stack)
{
	struct cancellable was;

	if (!(tools_here & TOOLS_ASAN) || outside.entered)
		return;
	cancel_hold(&was);
	outside.entered = true;
	asan_switch(&outside.fake_stack, stack->start, stack->size,
		    outside.section_fake_stack);
	/*
	 * Pointers on it count, should the section end in exit(). Once for a thread:
	 * LSan takes a lock, which a fork() meanwhile would leave taken in the child.
	 */
	if (!outside.own_size && __lsan_register_root_region) {
		outside.own_bottom = outside.bottom;
		outside.own_size = outside.size;
		__lsan_register_root_region(outside.own_bottom, outside.own_size);
	}
	cancel_release(&was);
}

COLD void tools_leave_slow(bool jumped)
{
	const char *here = __builtin_frame_address(0), *bottom = outside.bottom;
	size_t size = outside.size;
	struct cancellable was;

	if (!outside.entered)
		return;
	cancel_hold(&was);
	asan_switch(&outside.section_fake_stack, bottom, size, outside.fake_stack);
	outside.entered = false;
	/* ASan's longjmp() looked after the section's frames, not those below it. */
	if (jumped && (size_t)(here - bottom) < size)
		__asan_unpoison_memory_region(bottom, (size_t)(here - bottom));
	cancel_release(&was);
}

COLD void tools_thread_gone_slow(void)
{
	if (outside.own_size)
		__lsan_unregister_root_region(outside.own_bottom, outside.own_size);
	outside.own_size = 0;
	if (!outside.section_fake_stack)
		return;
	/* ASan gives back the one that is left for good. */
	asan_switch(&outside.fake_stack, outside.bottom, outside.size,
		    outside.section_fake_stack);
	outside.section_fake_stack = NULL;
	asan_switch(NULL, outside.bottom, outside.size, outside.fake_stack);
}

COLD void tools_look_slow(const void *start, size_t size)
{
	/* A dead stack may be wiped before there is any secret memory. */
	if (tools_here == TOOLS_UNKNOWN)
		__atomic_store_n(&tools_here, look_for_tools(), __ATOMIC_RELAXED);
	/* Frames that a longjmp(), or a thread's end, left without a return. */
	if (tools_here & TOOLS_ASAN)
		__asan_unpoison_memory_region(start, size);
	/* What lies below the stack pointer is not to be touched, for Valgrind. */
	if (tools_here & TOOLS_VALGRIND)
		valgrind(MAKE_MEM_DEFINED, (unsigned long)start, size);
}
