/* SPDX-License-Identifier: MIT */
/* One direction of the wire between the two hosts, and all that can go wrong on it. */
#ifndef SIM_LINK_H
#define SIM_LINK_H

#include <stddef.h>
#include <stdint.h>

#include "cuts.h"
#include "rng.h"
#include "utcp.h"

struct world;

#define MTU_LEAST 88 /* the least MSS that the stack respects, 48, and two headers */

/*
 * The parameters:
 *
 * loss, marks  chances in a million for each packet to be lost, or marked as RFC 3168 has it
 * loss_every   one packet with text in so many is lost, 0 = none
 * burst, calm  chances for a burst of losses to begin (in a million), and to end (in a thousand)
 * duplicate, corrupt, reorder   chances in a thousand for each packet
 * delay_ns     each packet takes the delay
 * jitter_ns    ... and up to this more, but stays behind those before it
 * reorder_ns   ... or up to this more, and may be overtaken
 * rate         bytes a second, 0 = no limit; queue_bytes may wait for the line, the rest is lost
 * mark_bytes   the queue marks beyond so many bytes, 0 = never
 * down_every   the line is dead for down_ns in each such period, 0 = never
 * dead_at      when it dies for good
 * narrow_mtu   of a router on the way, for narrow_ns in each period of narrow_every; 0 = never
 * window_most  of a box on the way that lets no greater window field through, 0 = none
 * old_router   its messages are as before RFC 1191, and name no MTU
 *
 * and what is so now:
 *
 * line_free    when what waits for the line will have left
 * last_arrival of the packets that stay in order
 * texts        packets with text so far
 */
struct link {
    struct rng rng;
    uint64_t loss, marks, loss_every;
    uint64_t burst, calm;
    uint64_t duplicate, corrupt, reorder;
    utcp_time delay_ns, jitter_ns, reorder_ns;
    uint64_t rate, queue_bytes, mark_bytes;
    utcp_time down_every, down_ns, dead_at;
    uint32_t narrow_mtu;
    utcp_time narrow_every, narrow_ns;
    uint16_t window_most;
    bool old_router;

    utcp_time line_free, last_arrival;
    uint64_t texts;
    bool bursting;
};

/* Draws the parameters, all but the narrow MTU. */
void link_draw(struct link *link, uint64_t seed, const struct cuts *cuts);

/* Draws a narrow way within these bounds. */
void link_draw_mtu(struct link *link, uint32_t least, uint32_t most);

/* Takes a packet from a host, and has it arrive at the other, once, twice or never. flags are those
 * of utcp_input(). Returns what became of it, in a word. */
const char *link_send(struct world *world, int from, const uint8_t *bytes, size_t len,
                      unsigned flags);

/* How long a packet is under way at most. */
utcp_time link_lifetime(const struct link *link);

#endif
