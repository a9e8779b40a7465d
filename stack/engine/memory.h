/* SPDX-License-Identifier: MIT */
#ifndef UTCP_ENGINE_MEMORY_H
#define UTCP_ENGINE_MEMORY_H

#include <stddef.h>

/*
 * Zeroed memory, aligned to 16 bytes; NULL = none left. memory_free() wants the size that was asked
 * for. The caller holds the engine's lock.
 */
void *memory_alloc(size_t size);
void memory_free(void *memory, size_t size);

#endif
