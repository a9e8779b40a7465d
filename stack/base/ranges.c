/* SPDX-License-Identifier: MIT */
#include "base/ranges.h"

#include <string.h>

/* The first range that ends at or behind seq: the one that [seq, ...) would touch, if any does. */
static size_t find(const struct ranges *set, tcp_seq seq)
{
    size_t low = 0, high = set->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (seq_lt(set->items[middle].to, seq))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void erase(struct ranges *set, size_t at, size_t count)
{
    if (count == 0)
        return; /* there may be no items at all, and no memory for them */
    memmove(&set->items[at], &set->items[at + count],
            (set->count - at - count) * sizeof(*set->items));
    set->count -= count;
}

bool ranges_add(struct ranges *set, tcp_seq from, tcp_seq to)
{
    size_t at, end;

    if (seq_ge(from, to))
        return true;
    at = find(set, from);
    for (end = at; end < set->count && seq_le(set->items[end].from, to); end++)
        ;
    if (end > at) {
        set->items[at].from = seq_min(set->items[at].from, from);
        set->items[at].to = seq_max(set->items[end - 1].to, to);
        erase(set, at + 1, end - at - 1);
        return true;
    }
    if (set->count == set->capacity)
        return false;
    memmove(&set->items[at + 1], &set->items[at], (set->count - at) * sizeof(*set->items));
    set->items[at] = (struct range){from, to};
    set->count++;
    return true;
}

void ranges_drop_before(struct ranges *set, tcp_seq seq)
{
    size_t keep = 0;

    while (keep < set->count && seq_le(set->items[keep].to, seq))
        keep++;
    erase(set, 0, keep);
    if (set->count > 0)
        set->items[0].from = seq_max(set->items[0].from, seq);
}

tcp_seq ranges_end_of(const struct ranges *set, tcp_seq seq)
{
    size_t at = find(set, seq);

    if (at < set->count && seq_le(set->items[at].from, seq))
        return seq_max(set->items[at].to, seq);
    return seq;
}

bool ranges_holding(const struct ranges *set, tcp_seq seq, struct range *range)
{
    size_t at = find(set, seq + 1);

    if (at == set->count || seq_gt(set->items[at].from, seq))
        return false;
    *range = set->items[at];
    return true;
}

uint32_t ranges_overlap(const struct ranges *set, tcp_seq from, tcp_seq to)
{
    uint32_t overlap = 0;

    for (size_t at = find(set, from); at < set->count && seq_lt(set->items[at].from, to); at++)
        overlap += seq_min(set->items[at].to, to) - seq_max(set->items[at].from, from);
    return overlap;
}

uint32_t ranges_total(const struct ranges *set)
{
    uint32_t total = 0;

    for (size_t i = 0; i < set->count; i++)
        total += set->items[i].to - set->items[i].from;
    return total;
}
