/* SPDX-License-Identifier: MIT */
/* Between redirect_new.c and redirect_new.cpp: what C++ has made. */
#ifndef REDIRECT_NEW_H
#define REDIRECT_NEW_H

#ifdef __cplusplus
extern "C" {
#endif

struct new_blocks {
	void *text, *string, *vector, *one, *array, *nothrow;
	void *wide, *wide_array, *wide_nothrow, *raw, *raw_aligned;
};

void new_make(struct new_blocks *blocks);
void new_grow(struct new_blocks *blocks);
void new_delete(struct new_blocks *blocks);
/* A bit for each form that refused what cannot be had; 15 is all. */
unsigned int new_refused(void);

#ifdef __cplusplus
}
#endif

#endif /* REDIRECT_NEW_H */
