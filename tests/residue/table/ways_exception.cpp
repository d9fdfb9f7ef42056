// SPDX-License-Identifier: MIT
/*
 * A C++ exception out of a section. It carries nothing of the secret; the frames that it
 * passes do.
 */
#include <stdexcept>

#include "fill.h"
#include "ways.h"

void ways_throw(uint8_t *secret)
{
	/* In the thrower's own: what unwinds it runs below, and overwrites what is there. */
	uint8_t frame[4096];

	fill_memory(frame, sizeof(frame), secret);
	fill_deep_frame(secret);
	throw std::runtime_error("out of a section");
}

void ways_catch(const struct row *row)
{
	try {
		row_run(row);
	} catch (const std::runtime_error &) {
		return;
	}
	row_die("no exception arrived");
}
