/* SPDX-License-Identifier: MIT */
/*
 * A ring of bytes: appended at the tail, dropped at the head. Bytes may also be placed beyond the
 * tail before they are appended, which is how a receive buffer takes segments out of order.
 *
 * Slices stay valid until their bytes are dropped or the ring is moved, and one thread may copy into
 * free space while another drops from the head.
 */
#ifndef BASE_RING_H
#define BASE_RING_H

#include <stddef.h>
#include <stdint.h>

#include "utcp.h"

struct ring {
    uint8_t *data; /* NULL until ring_init() */
    size_t size;   /* a power of two */
    size_t head;   /* where the first byte is, below size */
    size_t len;    /* bytes held */
};

/* The size of a ring that holds at least this many bytes. */
size_t ring_size_for(size_t bytes);

/* Takes memory of the given size, a power of two; it stays the caller's. */
void ring_init(struct ring *ring, uint8_t *memory, size_t size);

static inline size_t ring_free(const struct ring *ring)
{
    return ring->size - ring->len;
}

/* The place of len bytes that begin offset bytes behind the head; offset + len is at most the size.
 */
void ring_slices(const struct ring *ring, size_t offset, size_t len, struct utcp_slice slices[2]);

/* Copies bytes to a place offset bytes behind the head, without appending them. They may lie in free space of the
 * ring itself, in one piece that does not wrap: nothing is done for those that are in place. */
void ring_place(struct ring *ring, size_t offset, const uint8_t *bytes, size_t len);

/* Makes the next len bytes behind the tail part of the ring. */
void ring_append(struct ring *ring, size_t len);

/* Moves to other memory of a greater size, with the first span bytes behind the head; what was the memory
 * is the caller's again. */
void ring_move(struct ring *ring, uint8_t *memory, size_t size, size_t span);

/* Drops the first len bytes. */
void ring_drop(struct ring *ring, size_t len);

/* Lets an empty ring, in which nothing is placed, begin again where it is still in the cache. */
void ring_rewind(struct ring *ring);

#endif
