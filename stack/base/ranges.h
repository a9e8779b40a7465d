/* SPDX-License-Identifier: MIT */
/*
 * A set of sequence numbers, kept as sorted ranges that neither touch nor overlap. Its size is
 * bounded: a peer that makes a thousand holes fills the set and no more.
 */
#ifndef BASE_RANGES_H
#define BASE_RANGES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/seq.h"

struct range {
    tcp_seq from, to; /* [from, to) */
};

struct ranges {
    struct range *items; /* the owner's memory, room for capacity */
    size_t count, capacity;
};

/* Adds [from, to); false when it would need one range more than there is room for. All members must
 * lie within 2^31 of each other. */
bool ranges_add(struct ranges *set, tcp_seq from, tcp_seq to);

/* Removes everything before seq. */
void ranges_drop_before(struct ranges *set, tcp_seq seq);

/* The end of the range that holds seq, or seq itself when none does. */
tcp_seq ranges_end_of(const struct ranges *set, tcp_seq seq);

/* Finds the range that holds seq; false = none does. */
bool ranges_holding(const struct ranges *set, tcp_seq seq, struct range *range);

/* How many numbers of [from, to) the set holds. */
uint32_t ranges_overlap(const struct ranges *set, tcp_seq from, tcp_seq to);

/* How many numbers the set holds. */
uint32_t ranges_total(const struct ranges *set);

#endif
