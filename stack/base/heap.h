/* SPDX-License-Identifier: MIT */
/* A binary heap of deadlines: the earliest at the top, each entry movable in O(log n). */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stddef.h>

#include "utcp.h"

#define HEAP_NONE SIZE_MAX

/* Embedded in what has a deadline. */
struct heap_node {
    utcp_time deadline;
    size_t index; /* in the heap, HEAP_NONE when it is in none */
};

struct heap {
    struct heap_node **nodes; /* the owner's memory, room for at least as many as there are nodes */
    size_t count;
};

/* Moves node to its new deadline: into the heap, within it, or (UTCP_NEVER) out of it. */
void heap_set(struct heap *heap, struct heap_node *node, utcp_time deadline);

/* The node with the earliest deadline, NULL when the heap is empty. */
static inline struct heap_node *heap_top(const struct heap *heap)
{
    return heap->count > 0 ? heap->nodes[0] : NULL;
}

#endif
