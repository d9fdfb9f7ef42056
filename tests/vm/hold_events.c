// SPDX-License-Identifier: MIT
/*
 * hold_events: keep software events of perf open, as long as the machine lives.
 *
 * The first such event and the last one have the kernel patch its scheduler and its
 * fault handler, which an emulator of several processors may execute half done (see
 * stale_int3() in klog.py). A test that opens an event of its own, in the middle of
 * all else, is then one of many. It goes on in the background once they are open, and
 * never counts anything; where the kernel has no events there is nothing to hold.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What the tests open, each of which is patched by itself. */
static const unsigned long events[] = {
	PERF_COUNT_SW_PAGE_FAULTS,
	PERF_COUNT_SW_CONTEXT_SWITCHES,
};

/* Of this process, since what is asked at a switch is whether any process has one. */
static int hold(unsigned long event)
{
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attributes),
		.config = event,
		.disabled = 1,
	};

	return syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0) < 0 ? errno : 0;
}

int main(void)
{
	int held[2];
	char byte;

	if (pipe(held)) {
		perror("hold_events: pipe");
		return 1;
	}
	switch (fork()) {
	case -1:
		perror("hold_events: fork");
		return 1;
	case 0:
		break;
	default:
		close(held[1]);
		return read(held[0], &byte, 1) == 1 ? 0 : 1;
	}

	for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++) {
		int err = hold(events[i]);

		if (err) {
			fprintf(stderr, "hold_events: event %lu: %s\n", events[i],
				strerror(err));
			return 1;
		}
	}
	if (write(held[1], "", 1) != 1)
		return 1;
	close(held[1]);
	for (;;)
		pause();
}
