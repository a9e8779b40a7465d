/* SPDX-License-Identifier: MIT */
/* One direction of the wire between the two hosts, and all that can go wrong on it. */
#ifndef SIM_LINK_H
#define SIM_LINK_H

#include <stddef.h>
#include <stdint.h>

#include "rng.h"
#include "utcp.h"

struct world;

/*
 * loss, duplicate, corrupt, reorder   chances in a thousand for each packet
 * delay_ns, jitter_ns   each packet takes the delay, a reordered one up to the jitter more
 * rate         bytes a second, 0 = no limit; queue_bytes may wait for the line, the rest is lost
 * down_every   the line is dead for down_ns in each such period, 0 = never
 * line_free    when what waits for the line will have left
 */
struct link {
    struct rng rng;
    uint64_t loss, duplicate, corrupt, reorder;
    utcp_time delay_ns, jitter_ns;
    uint64_t rate, queue_bytes;
    utcp_time down_every, down_ns;
    utcp_time line_free;
};

void link_draw(struct link *link, uint64_t seed);

/* Takes a packet from a host, and has it arrive at the other, once, twice or never. flags are those
 * of utcp_input(). Returns what became of it, in a word. */
const char *link_send(struct world *world, int from, const uint8_t *bytes, size_t len,
                      unsigned flags);

#endif
