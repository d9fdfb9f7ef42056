// SPDX-License-Identifier: MIT
/*
 * libc's own callers of malloc(): names looked up, streams, lines, characters turned,
 * locales, environment, patterns, a library loaded and unloaded, a thread made inside.
 */
#include "libs.h"

#include <dirent.h>
#include <dlfcn.h>
#include <iconv.h>
#include <locale.h>
#include <netdb.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct libc_use {
	struct addrinfo *addresses;
	FILE *file;
	DIR *directory;
	iconv_t converter;
	locale_t locale;
	void *library;
	regex_t pattern;
	char *line, *sorted;
	void *threads_block;
};

static bool look_up(struct libc_use *u)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_NUMERICSERV };

	/* By what nsswitch.conf names, where there is a name that needs no network. */
	const char *name = access("/etc/hosts", R_OK) ? "127.0.0.1" : "localhost";

	return !getaddrinfo(name, "443", &hints, &u->addresses) && u->addresses;
}

static bool stream(struct libc_use *u, struct use *use)
{
	size_t room = 0;

	u->file = fopen("/proc/self/status", "re");
	if (!u->file || getline(&u->line, &room, u->file) < 0)
		return false;
	u->directory = opendir("/proc/self/fd");
	snprintf((char *)use->result, 32, "%.*s", 5, u->line);
	return u->directory && readdir(u->directory) && !strncmp(u->line, "Name:", 5);
}

static bool turn(struct libc_use *u, struct use *use)
{
	char in[] = "gr\xc3\xbc\xc3\x9f", *from = in, *to = (char *)use->result + 32;
	size_t left = sizeof(in) - 1, room = 32;

	u->converter = iconv_open("UTF-16LE", "UTF-8");
	if (u->converter == (iconv_t)-1) {
		u->converter = NULL;
		return false;
	}
	return iconv(u->converter, &from, &left, &to, &room) == 0 && !left &&
	       room == 24 && !memcmp(use->result + 36, "\xfc", 2);
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, 16);
}

static bool sort(struct libc_use *u)
{
	size_t i, nr = 20000;

	u->sorted = calloc(nr, 16);
	for (i = 0; u->sorted && i < nr; i++)
		snprintf(u->sorted + 16 * i, 16, "%06zu", i * 7919 % 20011);
	qsort(u->sorted, nr, 16, compare);
	for (i = 1; i < nr; i++)
		if (compare(u->sorted + 16 * (i - 1), u->sorted + 16 * i) > 0)
			return false;
	return true;
}

static bool speak(struct libc_use *u)
{
	time_t then = 1000000000;
	char day[64];
	struct tm tm;

	u->locale = newlocale(LC_ALL_MASK, "C.UTF-8", NULL);
	return u->locale && setlocale(LC_ALL, "C.UTF-8") && setlocale(LC_ALL, "C") &&
	       localtime_r(&then, &tm) && strftime(day, sizeof(day), "%c %Z", &tm) &&
	       !setenv("LETHE_LIBS", "set inside", 1);
}

static bool load(struct libc_use *u)
{
	void *function;

	u->library = dlopen("libanl.so.1", RTLD_NOW | RTLD_LOCAL);
	function = dlopen("libutil.so.1", RTLD_NOW);
	return u->library && function && !dlclose(function);
}

static void *in_thread(void *arg)
{
	*(void **)arg = malloc(100);
	return arg;
}

static bool run_thread(struct libc_use *u)
{
	pthread_t thread;
	void *result = NULL;

	return !pthread_create(&thread, NULL, in_thread, &u->threads_block) &&
	       !pthread_join(thread, &result) && result == &u->threads_block;
}

static void use_glibc(struct use *use)
{
	struct libc_use *u = calloc(1, sizeof(*u));

	use->more = u;
	if (!u)
		return;
	use->good = look_up(u) && stream(u, use) && turn(u, use) && sort(u) && speak(u) &&
		    load(u) && run_thread(u) &&
		    !regcomp(&u->pattern, "^N(am|xx)e:", REG_EXTENDED) &&
		    !regexec(&u->pattern, u->line, 0, NULL, 0);
	use->objects[0] = u->addresses;
	use->objects[1] = u->file;
	use->objects[2] = u->directory;
	use->objects[3] = u->line;
	use->objects[4] = u->sorted;
	use->objects[5] = u->locale;
	use->objects[6] = u->pattern.buffer;
	/* A thread that the section starts is in none. */
	use->ordinary[0] = u->threads_block;
}

static void free_glibc(struct use *use)
{
	struct libc_use *u = use->more;

	if (!u)
		return;
	freeaddrinfo(u->addresses);
	if (u->file)
		fclose(u->file);
	if (u->directory)
		closedir(u->directory);
	if (u->converter)
		iconv_close(u->converter);
	if (u->locale)
		freelocale(u->locale);
	if (u->library)
		dlclose(u->library);
	regfree(&u->pattern);
	free(u->line);
	free(u->sorted);
	free(u->threads_block);
	free(u);
}

Test(libs, glibc)
{
	check_library(&(struct library){ "glibc", use_glibc, free_glibc });
}
