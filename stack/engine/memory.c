/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * Memory for the core and for the engine's sockets comes from mmap, never from the program's
 * malloc: the program may have replaced it, may be inside it, or may fork while another thread
 * holds its lock.
 *
 * Small blocks are carved from large chunks and rounded up to a size class: eight classes for each
 * power of two, so that at most a ninth is wasted. A freed block goes to the head of its class's
 * list and is the first to be used again, while it is still in the cache. Chunks are never given
 * back, hence memory of one class stays mapped for ever.
 *
 * Large blocks, the rings of connections above all, are mappings of their own: the kernel backs
 * them page by page as they are touched, and takes the pages back when they are freed.
 */
#include "memory.h"

#include "sys.h"

#include <string.h>

enum {
    CHUNK_BYTES = 256 * 1024,
    SMALLEST_SHIFT = 7, /* up to here, classes are 16 bytes apart */
    LARGEST_SHIFT = 15,
    LARGEST_BYTES = 1 << LARGEST_SHIFT,
    STEPS = 8, /* classes for each power of two */
    CLASSES = STEPS * (LARGEST_SHIFT - SMALLEST_SHIFT + 1),
    PAGE = 4096,
};

struct free_block {
    struct free_block *next;
};

static struct free_block *free_blocks[CLASSES];
static char *chunk;
static size_t chunk_left;

/* The class that serves size, and the size of its blocks. */
static unsigned size_class(size_t size, size_t *block_bytes)
{
    unsigned shift = SMALLEST_SHIFT;
    size_t step;

    while (size > (size_t)1 << shift)
        shift++;
    if (shift == SMALLEST_SHIFT) {
        unsigned class = size ? (unsigned)((size - 1) / 16) : 0;

        *block_bytes = (class + 1) * 16;
        return class;
    }
    step = ((size_t)1 << (shift - 1)) / STEPS;
    *block_bytes = (size + step - 1) / step * step;
    return STEPS * (shift - SMALLEST_SHIFT) + (unsigned)(*block_bytes / step) - STEPS - 1;
}

static void *carve(size_t block_bytes)
{
    void *block;

    if (chunk_left < block_bytes) {
        char *fresh = sys_map(CHUNK_BYTES);

        if (!fresh)
            return NULL;
        chunk = fresh;
        chunk_left = CHUNK_BYTES;
    }
    block = chunk;
    chunk += block_bytes;
    chunk_left -= block_bytes;
    return block;
}

static size_t whole_pages(size_t size)
{
    return (size + PAGE - 1) & ~(size_t)(PAGE - 1);
}

void *memory_alloc(size_t size)
{
    struct free_block *block;
    size_t block_bytes;
    unsigned class;

    if (size > LARGEST_BYTES)
        return sys_map(whole_pages(size));
    class = size_class(size, &block_bytes);
    block = free_blocks[class];
    if (!block)
        return carve(block_bytes);
    free_blocks[class] = block->next;
    return memset(block, 0, block_bytes);
}

void memory_free(void *memory, size_t size)
{
    struct free_block *block = memory;
    size_t block_bytes;
    unsigned class;

    if (!memory)
        return;
    if (size > LARGEST_BYTES) {
        sys_unmap(memory, whole_pages(size));
        return;
    }
    class = size_class(size, &block_bytes);
    block->next = free_blocks[class];
    free_blocks[class] = block;
}
