/* SPDX-License-Identifier: MIT */
#include "base/ring.h"

#include <assert.h>
#include <string.h>

size_t ring_size_for(size_t bytes)
{
    size_t size = 256;

    while (size < bytes)
        size *= 2;
    return size;
}

void ring_init(struct ring *ring, uint8_t *memory, size_t size)
{
    assert((size & (size - 1)) == 0);
    *ring = (struct ring){.data = memory, .size = size};
}

void ring_slices(const struct ring *ring, size_t offset, size_t len, struct utcp_slice slices[2])
{
    size_t begin = (ring->head + offset) & (ring->size - 1);
    size_t first = ring->size - begin;

    assert(offset + len <= ring->size);
    if (first > len)
        first = len;
    slices[0] = (struct utcp_slice){ring->data + begin, first};
    slices[1] = (struct utcp_slice){ring->data, len - first};
}

void ring_place(struct ring *ring, size_t offset, const uint8_t *bytes, size_t len)
{
    struct utcp_slice to[2];

    ring_slices(ring, offset, len, to);
    if (bytes == to[0].data && to[1].len == 0)
        return;
    /* The second piece first: the first may lie where it comes from. */
    memmove(to[1].data, bytes + to[0].len, to[1].len);
    memmove(to[0].data, bytes, to[0].len);
}

void ring_move(struct ring *ring, uint8_t *memory, size_t size, size_t span)
{
    struct utcp_slice from[2];
    size_t len = ring->len;

    if (ring->data != NULL) {
        ring_slices(ring, 0, span, from);
        memcpy(memory, from[0].data, from[0].len);
        memcpy(memory + from[0].len, from[1].data, from[1].len);
    }
    ring_init(ring, memory, size);
    ring->len = len;
}

void ring_append(struct ring *ring, size_t len)
{
    assert(len <= ring_free(ring));
    ring->len += len;
}

void ring_drop(struct ring *ring, size_t len)
{
    assert(len <= ring->len);
    ring->head = (ring->head + len) & (ring->size - 1);
    ring->len -= len;
}

void ring_rewind(struct ring *ring)
{
    assert(ring->len == 0);
    ring->head = 0;
}
