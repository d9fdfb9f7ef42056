// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Which sizes the secret heap has. Arithmetic alone: no memory, no lock.
 *
 * Above 128 bytes a slot is at most a quarter larger than what was asked for.
 * Each class has the fewest pages that leave at most a sixteenth of them unused.
 */
#include "heap.h"

/* clang-format off */
#define CLASS(bytes, nr_pages) {				\
	.size = (bytes),					\
	.pages = (nr_pages),					\
	.slots = (nr_pages) * PAGE / (bytes),			\
	.reciprocal = UINT32_MAX / (bytes) + 1,			\
}

const struct heap_class heap_classes[HEAP_CLASSES] = {
	CLASS(16, 1),	CLASS(32, 1),	CLASS(48, 1),	CLASS(64, 1),
	CLASS(80, 1),	CLASS(96, 1),	CLASS(112, 1),	CLASS(128, 1),
	CLASS(160, 1),	CLASS(192, 1),	CLASS(224, 1),	CLASS(256, 1),
	CLASS(320, 1),	CLASS(384, 1),	CLASS(448, 1),	CLASS(512, 1),
	CLASS(640, 1),	CLASS(768, 1),	CLASS(896, 2),	CLASS(1024, 1),
	CLASS(1280, 1),	CLASS(1536, 2),	CLASS(1792, 4),	CLASS(2048, 1),
	CLASS(2560, 2),	CLASS(3072, 3),	CLASS(3584, 7),	CLASS(4096, 1),
	CLASS(5120, 4),	CLASS(6144, 3),	CLASS(7168, 7),	CLASS(8192, 2),
};
/* clang-format on */

unsigned int heap_class_of(size_t size, size_t alignment)
{
	unsigned int i;

	if (likely(alignment <= HEAP_ALIGNMENT))
		return size <= HEAP_SMALL_MAX ? heap_class_of_size(size) : HEAP_RUN;
	if (size < alignment)
		size = alignment;
	if (size > HEAP_SMALL_MAX || alignment > PAGE)
		return HEAP_RUN;
	/* A run starts at a page, so its slots are aligned as their size is. */
	for (i = heap_class_of_size(size); i < HEAP_CLASSES; i++)
		if (heap_classes[i].size % alignment == 0)
			return i;
	return HEAP_RUN;
}
