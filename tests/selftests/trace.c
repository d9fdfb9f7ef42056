// SPDX-License-Identifier: MIT
/*
 * Tracepoints: that each event comes when it should, with right numbers, and that
 * who follows them always knows every frame that may hold a secret. It reads them
 * from an instance of its own, and wants the module for itself.
 */
#include <linux/perf_event.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "door.h"
#include "trace.h"

#define SNAPSHOT "/dev/snapshot"

/* What the format file says of an event's own fields. */
static bool fields_are(const char *name, const char *fields)
{
	char path[128], line[256], list[256] = "", word[64];
	bool plain = true;
	FILE *format;

	snprintf(path, sizeof(path), EVENTS "/%s/format", name);
	format = fopen(path, "r");
	while (format && fgets(line, sizeof(line), format)) {
		char *end = strchr(line, ';');

		if (strncmp(line, "\tfield:", 7) || !end || strstr(line, " common_"))
			continue;
		*end = 0;
		plain &= !strchr(line, '*') && !strchr(line, '[') &&
			 !strstr(line, "char");
		snprintf(word, sizeof(word), "%s%s", *list ? " " : "",
			 strrchr(line, ' ') + 1);
		strncat(list, word, sizeof(list) - strlen(list) - 1);
	}
	if (format)
		fclose(format);
	if (strcmp(list, fields))
		tap_note("%s: \"%s\"", name, list);
	return plain && !strcmp(list, fields);
}

static void test_listed(void)
{
	bool all = true;

	for (enum kind kind = 0; kind < KINDS; kind++)
		all &= fields_are(kinds[kind].name, kinds[kind].fields);
	tap_ok(all, "there are %d events, of numbers alone: no pointer, no text", KINDS);
}

#define NR ((size_t)600)

static size_t frames_of(int fd, uint64_t *frames, size_t room)
{
	struct lethe_query args = {
		.size = sizeof(args),
		.flags = LETHE_QUERY_FRAMES | LETHE_QUERY_REGION,
		.fd = fd,
		.nr_frames = room,
		.frames = (uintptr_t)frames,
	};
	int err = call(LETHE_IOC_QUERY, &args);

	if (err)
		tap_bail("LETHE_QUERY_FRAMES: %s", strerror(-err));
	return args.nr_frames;
}

/* Are the frames announced, or taken back, those of the array, in its order? */
static bool frames_are(uint64_t region, bool added, const uint64_t *frames, size_t nr)
{
	size_t at = 0;

	for (size_t i = 0; i < nr_events; i++) {
		const struct event *event = &events[i];

		if (event->kind != REGION_FRAMES)
			continue;
		if (value(event, "region") != region || value(event, "added") != added)
			return false;
		for (uint64_t j = 0; j < value(event, "count"); j++, at++)
			if (at == nr || frames[at] != value(event, "first") + j)
				return false;
	}
	return at == nr;
}

/* Each of the frames is in one of the blocks that came, or went. */
static bool blocks_have(enum kind kind, const uint64_t *frames, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		size_t in = 0;

		for (size_t j = 0; j < nr_events; j++)
			if (events[j].kind == kind)
				in += frames[i] - value(&events[j], "first") <
				      value(&events[j], "pages");
		if (in != 1)
			return false;
	}
	return true;
}

static size_t pages_in(enum kind kind)
{
	size_t pages = 0;

	for (size_t i = 0; i < nr_events; i++)
		if (events[i].kind == kind)
			pages += value(&events[i], "pages");
	return pages;
}

/* Nothing of one kind comes after anything of another. */
static bool comes_before(enum kind first, enum kind second)
{
	bool seen = false;

	for (size_t i = 0; i < nr_events; i++) {
		seen |= events[i].kind == second;
		if (events[i].kind == first && seen)
			return false;
	}
	return true;
}

static void test_region(void)
{
	static uint64_t frames[NR];
	const struct event *made = NULL, *ended = NULL, *block = NULL;
	struct lethe_query at;
	uint64_t region;
	size_t came;
	int fd;

	forget_events();
	fd = must_create(NR * PAGE);
	read_events();
	at = must_query();
	tap_ok(count(REGION_CREATE, &made) == 1 && value(made, "pages") == NR &&
		       value(made, "pid") == (uint64_t)getpid(),
	       "region_create says how many pages it has, and who made it");
	region = made ? value(made, "region") : 0;
	tap_ok(frames_of(fd, frames, NR) == NR && frames_are(region, true, frames, NR),
	       "region_frames announces the frames that QUERY gives, in its order");
	came = count(BLOCK_ADD, &block);
	tap_ok(came && blocks_have(BLOCK_ADD, frames, NR) &&
		       pages_in(BLOCK_ADD) == at.pages_used + at.pages_free,
	       "block_add announces the %zu blocks that they are in, and no others",
	       came);
	tap_ok(comes_before(BLOCK_ADD, REGION_CREATE) &&
		       comes_before(REGION_CREATE, REGION_FRAMES),
	       "first the blocks, then the region, then its frames");
	tap_ok(!count(BLOCK_REMOVE, &block) && !count(REGION_DESTROY, &ended),
	       "and nothing is told to have gone");

	forget_events();
	close(fd);
	read_events();
	tap_ok(count(REGION_DESTROY, &ended) == 1 && value(ended, "region") == region &&
		       value(ended, "pages") == NR &&
		       value(ended, "pid") == (uint64_t)getpid() &&
		       !value(ended, "revoked"),
	       "region_destroy: the same region, pages and maker, not revoked");
	tap_ok(frames_are(region, false, frames, NR),
	       "region_frames takes back each frame that it had announced");
	tap_ok(count(BLOCK_REMOVE, &block) == came &&
		       blocks_have(BLOCK_REMOVE, frames, NR),
	       "block_remove tells of as many blocks as block_add had");
	tap_ok(comes_before(REGION_FRAMES, REGION_DESTROY) &&
		       comes_before(REGION_FRAMES, BLOCK_REMOVE) &&
		       !count(BLOCK_ADD, &block) && !count(REGION_CREATE, &made),
	       "the frames first, then the region and the blocks");
}

static void test_wipe(void)
{
	unsigned char *map = must_map_plain(4 * PAGE);
	const struct event *event = NULL;
	struct lethe_wipe args = {
		.size = sizeof(args),
		.flags = LETHE_WIPE_RANGE | LETHE_WIPE_REGISTERS,
		.start = (uintptr_t)map,
		.length = 4 * PAGE,
	};
	int err;

	memset(map, 0x5a, 3 * PAGE);
	forget_events();
	err = call(LETHE_IOC_WIPE, &args);
	read_events();
	tap_ok(!err && args.wiped == 3 * PAGE && count(WIPE, &event) == 1 &&
		       value(event, "length") == 4 * PAGE &&
		       value(event, "wiped") == 3 * PAGE && !value(event, "skipped") &&
		       !value(event, "dropped") && !value(event, "err"),
	       "wipe says what was asked, and what came of it");
	tap_ok(event && value(event, "tid") == (uint64_t)getpid() &&
		       strstr(event->text, " flags=range|registers "),
	       "and of whom, and what kind");

	args.flags |= 1U << 31;
	forget_events();
	err = call(LETHE_IOC_WIPE, &args);
	read_events();
	tap_ok(err == -EINVAL && !nr_events, "a wipe that was refused is no event");
	munmap(map, 4 * PAGE);
}

static size_t pages_told(bool added)
{
	size_t pages = 0;

	for (size_t i = 0; i < nr_events; i++)
		if (events[i].kind == REGION_FRAMES &&
		    value(&events[i], "added") == added)
			pages += value(&events[i], "count");
	return pages;
}

/* In a child, since what was given up of a limit is gone. */
static int make_without_descriptor(void)
{
	const struct rlimit none = { 0, 0 };

	return setrlimit(RLIMIT_NOFILE, &none) || create(3 * PAGE) != -EMFILE;
}

static void test_failed(void)
{
	const struct event *made = NULL, *ended = NULL;
	pid_t pid;
	int end;

	forget_events();
	pid = must_fork();
	if (!pid)
		_exit(make_without_descriptor());
	end = end_of(pid);
	read_events();
	tap_ok(!end && count(REGION_CREATE, &made) == 1 &&
		       count(REGION_DESTROY, &ended) == 1 &&
		       value(made, "pid") == (uint64_t)pid &&
		       value(made, "region") == value(ended, "region") &&
		       pages_told(true) == 3 && pages_told(false) == 3,
	       "a region that gets no descriptor is taken back");
}

#define ROUNDS 300

static void *make_and_end(void *arg)
{
	unsigned int seed = *(unsigned int *)arg;

	for (int i = 0; i < ROUNDS; i++)
		close(must_create((rand_r(&seed) % 48 + 1) * PAGE));
	return NULL;
}

/* What a tracer knows of each frame. */
static struct frame {
	bool out;
	uint32_t region;
} * map_of_frames;

static uint64_t last_frame(void)
{
	uint64_t last = 0;

	for (size_t i = 0; i < nr_events; i++)
		if (events[i].kind == BLOCK_ADD)
			if (value(&events[i], "first") + value(&events[i], "pages") >
			    last)
				last = value(&events[i], "first") +
				       value(&events[i], "pages");
	return last;
}

/* False where an event contradicts what was known before it. */
static bool follow(const struct event *event)
{
	uint64_t first = value(event, "first"), region = value(event, "region");
	bool good = true;

	switch (event->kind) {
	case BLOCK_ADD:
	case BLOCK_REMOVE:
		for (uint64_t i = first; i < first + value(event, "pages"); i++) {
			good &= !map_of_frames[i].region &&
				map_of_frames[i].out == (event->kind == BLOCK_REMOVE);
			map_of_frames[i].out = event->kind == BLOCK_ADD;
		}
		return good;
	case REGION_FRAMES:
		for (uint64_t i = first; i < first + value(event, "count"); i++) {
			uint64_t was = value(event, "added") ? 0 : region;

			good &= map_of_frames[i].out && map_of_frames[i].region == was;
			map_of_frames[i].region = value(event, "added") ? region : 0;
		}
		return good;
	default:
		return true;
	}
}

/*
 * Two threads that take the frames which the other has just given up: whoever
 * follows the events must not lose one of them.
 */
static void test_followed(void)
{
	unsigned int seeds[2] = { 1, 2 };
	const struct event *any;
	pthread_t threads[2];
	size_t wrong = 0, left = 0;
	uint64_t last;
	bool whole;

	forget_events();
	set_keep("1");
	for (int i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, make_and_end, &seeds[i]))
			tap_bail("pthread_create failed");
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	set_keep("0");
	whole = read_events();
	tap_ok(whole && count(REGION_CREATE, &any) == 2 * ROUNDS &&
		       count(REGION_DESTROY, &any) == 2 * ROUNDS,
	       "two threads: %d regions come and go, and no event is lost", 2 * ROUNDS);

	last = last_frame();
	map_of_frames = calloc(last + 1, sizeof(*map_of_frames));
	if (!map_of_frames)
		tap_bail("calloc failed");
	for (size_t i = 0; i < nr_events; i++)
		wrong += !follow(&events[i]);
	tap_ok(!wrong,
	       "no frame is announced that is another's, or not in a block (%zu of %zu)",
	       wrong, nr_events);
	for (uint64_t i = 0; i < last; i++)
		left += map_of_frames[i].out || map_of_frames[i].region;
	tap_ok(!left, "and after them all, none is left (%zu)", left);
	free(map_of_frames);
}

/* /dev/snapshot begins a hibernation, and ends it: see power.c. */
static void test_revoked(void)
{
	const struct event *made = NULL, *ended = NULL;
	static uint64_t frames[NR];
	int fd, snapshot;
	bool right;

	forget_events();
	fd = must_create(NR * PAGE);
	frames_of(fd, frames, NR);
	read_events();
	count(REGION_CREATE, &made);
	right = made;
	if (right) {
		uint64_t region = value(made, "region");

		forget_events();
		snapshot = open(SNAPSHOT, O_RDONLY | O_CLOEXEC);
		if (snapshot < 0) {
			tap_skip(SNAPSHOT, "a revoked region is told of once");
			close(fd);
			return;
		}
		close(snapshot);
		close(fd);
		read_events();
		right = count(REGION_DESTROY, &ended) == 1 &&
			value(ended, "region") == region &&
			value(ended, "revoked") == 1 &&
			frames_are(region, false, frames, NR);
	}
	tap_ok(right, "a revoked region is told of as it is revoked, and only then");
}

static bool may_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* With what the event says, of whatever this process does. */
static bool may_record(uint64_t id)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.config = id,
		.sample_period = 1,
		.sample_type = PERF_SAMPLE_RAW,
	};
	int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int doors_open(uint64_t id)
{
	return may_open(INSTANCE "/trace") + may_open(INSTANCE "/trace_pipe") +
	       may_open(EVENTS "/region_frames/format") +
	       may_open(EVENTS "/region_frames/id") +
	       may_open(EVENTS "/region_frames/enable") + may_record(id);
}

static void test_unprivileged(void)
{
	uint64_t id = read_number(EVENTS "/region_frames/id");
	int root = doors_open(id), end;
	pid_t pid = must_fork();

	if (!pid)
		_exit(become_nobody() ? doors_open(id) : 99);
	end = end_of(pid);
	tap_ok(root == 6, "root reads them in tracefs, and with perf (%d ways of 6)",
	       root);
	tap_ok(!end, "an unprivileged user does not, with perf neither (%d ways)", end);
}

static void test_left(void)
{
	char on[8] = "";
	int fd;

	if (rmdir(INSTANCE))
		tap_bail("rmdir " INSTANCE ": %s", strerror(errno));
	fd = open(EVENTS "/enable", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, on, sizeof(on) - 1) < 1)
		tap_bail(EVENTS "/enable: %s", strerror(errno));
	close(fd);
	tap_ok(on[0] == '0' && (!mounted || !umount(TRACEFS)),
	       "nothing is left enabled, or mounted");
	mounted = false;
}

int main(void)
{
	char keep[16];

	if (getuid())
		tap_skip_all("root, for tracefs");
	door_open_alone();
	if (!find_tracefs() || access(EVENTS, F_OK))
		tap_skip_all("tracefs, with events of modules");
	if (must_query().regions)
		tap_skip_all("a module that nobody else uses");
	make_instance();
	snprintf(keep, sizeof(keep), "%ld", read_number(PARAMETERS "keep_blocks"));
	set_keep("0");

	tap_plan(21);
	test_listed();
	test_region();
	test_wipe();
	test_failed();
	test_followed();
	test_revoked();
	test_unprivileged();
	test_left();
	set_keep(keep);
	return tap_end();
}
