// SPDX-License-Identifier: MIT
/* cancel_hold() and cancel_release(). */
#include <criterion/criterion.h>
#include <pthread.h>
#include <time.h>

#include "internal.h"

struct held {
	int type;
	volatile bool got_through, released;
};

/* Cancelled in between, where it may be anywhere, and at a cancellation point too. */
static void *cancel_itself(void *arg)
{
	const struct timespec moment = { .tv_nsec = 1 };
	struct held *held = arg;
	struct cancellable was;

	pthread_setcanceltype(held->type, NULL);
	cancel_hold(&was);
	pthread_cancel(pthread_self());
	nanosleep(&moment, NULL);
	held->got_through = true;
	cancel_release(&was);
	held->released = true;
	pthread_testcancel();
	return NULL;
}

static void *end_of(struct held *held)
{
	pthread_t thread;
	void *result;

	cr_assert_eq(pthread_create(&thread, NULL, cancel_itself, held), 0);
	cr_assert_eq(pthread_join(thread, &result), 0);
	return result;
}

Test(cancel, held_until_it_is_released_and_joined_as_cancelled)
{
	struct held held = { .type = PTHREAD_CANCEL_ASYNCHRONOUS };

	cr_expect_eq(end_of(&held), PTHREAD_CANCELED);
	cr_expect(held.got_through);
	cr_expect_not(held.released);
}

Test(cancel, of_a_deferred_kind_stays_for_a_cancellation_point)
{
	struct held held = { .type = PTHREAD_CANCEL_DEFERRED };

	cr_expect_eq(end_of(&held), PTHREAD_CANCELED);
	cr_expect(held.got_through);
	cr_expect(held.released);
}

Test(cancel, comes_back_as_it_was)
{
	struct cancellable outer, inner;
	int state, type;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	cancel_hold(&outer);
	cancel_hold(&inner);
	cancel_release(&inner);
	cancel_release(&outer);
	pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &type);
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
	cr_expect_eq(state, PTHREAD_CANCEL_DISABLE);
	cr_expect_eq(type, PTHREAD_CANCEL_ASYNCHRONOUS);
}
