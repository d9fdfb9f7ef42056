// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Where the library must not be left half-way: the thread is cancelled neither at a
 * cancellation point in between nor, asynchronously, anywhere. What comes meanwhile
 * is pending, and acts where it is allowed again.
 */
#include <pthread.h>

#include "internal.h"

void cancel_hold(struct cancellable *was)
{
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &was->state);
	pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &was->type);
}

/*
 * In this order: glibc's pthread_setcancelstate() acts on what is pending too, but
 * forgets that pthread_join() is to say PTHREAD_CANCELED.
 */
void cancel_release(const struct cancellable *was)
{
	pthread_setcancelstate(was->state, NULL);
	pthread_setcanceltype(was->type, NULL);
}
