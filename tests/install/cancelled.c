// SPDX-License-Identifier: MIT
/*
 * A thread that is cancelled while libc has one of its own frames to unwind: static, it
 * comes to its end only if liblethe.a leaves libc.a what frames are unwound by.
 */
#include <lethe.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static void section(void *arg)
{
	(void)arg;
}

static ssize_t never(void *cookie, char *to, size_t length)
{
	(void)cookie;
	(void)to;
	(void)length;
	pause();
	return 0;
}

static void *thread(void *arg)
{
	const cookie_io_functions_t functions = { .read = never };
	FILE *stream = fopencookie(NULL, "r", functions);
	char byte;

	if (!stream || lethe_do(section, NULL))
		return arg;
	return fread(&byte, 1, 1, stream) ? stream : NULL;
}

int main(void)
{
	void *result = NULL;
	pthread_t id;

	if (pthread_create(&id, NULL, thread, NULL) || pthread_cancel(id) ||
	    pthread_join(id, &result))
		return 1;
	return result != PTHREAD_CANCELED;
}
