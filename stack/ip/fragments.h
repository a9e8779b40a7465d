/* SPDX-License-Identifier: MIT */
/* Reassembly of fragments, RFC 791 section 3.2 and RFC 815, in bounded memory and time. */
#ifndef IP_FRAGMENTS_H
#define IP_FRAGMENTS_H

#include <stddef.h>

#include "base/list.h"
#include "wire/ipv4.h"

/* waiting: datagrams of which fragments are missing, the oldest first; memory_bytes is all of
 * theirs. */
struct fragments {
    struct list waiting;
    size_t count;
    size_t memory_bytes;
};

/* Takes a fragment; when it was the last one missing, the datagram goes to ip_deliver(). */
void fragments_input(struct utcp_stack *stack, const struct ipv4 *ip);

/* When the oldest datagram has waited long enough; UTCP_NEVER = none waits. */
utcp_time fragments_deadline(const struct fragments *fragments);

/* Drops the datagrams that have waited too long. */
void fragments_expire(struct utcp_stack *stack);

void fragments_drop_all(struct utcp_stack *stack);

#endif
