/* SPDX-License-Identifier: MIT */
#include "base/heap.h"

static void put(struct heap *heap, size_t index, struct heap_node *node)
{
    heap->nodes[index] = node;
    node->index = index;
}

static void sift_up(struct heap *heap, struct heap_node *node)
{
    size_t index = node->index;

    while (index > 0 && heap->nodes[(index - 1) / 2]->deadline > node->deadline) {
        put(heap, index, heap->nodes[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    put(heap, index, node);
}

static void sift_down(struct heap *heap, struct heap_node *node)
{
    size_t index = node->index;

    for (;;) {
        size_t child = 2 * index + 1;

        if (child + 1 < heap->count &&
            heap->nodes[child + 1]->deadline < heap->nodes[child]->deadline)
            child++;
        if (child >= heap->count || heap->nodes[child]->deadline >= node->deadline)
            break;
        put(heap, index, heap->nodes[child]);
        index = child;
    }
    put(heap, index, node);
}

static void take_out(struct heap *heap, struct heap_node *node)
{
    struct heap_node *last = heap->nodes[--heap->count];

    if (last != node) {
        put(heap, node->index, last);
        sift_up(heap, last);
        sift_down(heap, last);
    }
    node->index = HEAP_NONE;
}

void heap_set(struct heap *heap, struct heap_node *node, utcp_time deadline)
{
    node->deadline = deadline;
    if (deadline == UTCP_NEVER) {
        if (node->index != HEAP_NONE)
            take_out(heap, node);
        return;
    }
    if (node->index == HEAP_NONE)
        put(heap, heap->count++, node);
    sift_up(heap, node);
    sift_down(heap, node);
}
