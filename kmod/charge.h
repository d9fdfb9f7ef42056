/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whose memory cgroup pays for a page: see charge.c.
 */
#ifndef LETHE_CHARGE_H
#define LETHE_CHARGE_H

struct page;

int lethe_charge(struct page **pages, unsigned long nr);
void lethe_uncharge(struct page **pages, unsigned long nr);

#endif /* LETHE_CHARGE_H */
