/* SPDX-License-Identifier: MIT */
/*
 * The invariants that are seen on the wire: each host's segments are held against what it said
 * before, what its peer allowed, and what its program wrote. The watcher reads packets where they
 * leave the host, before the link can hurt them.
 */
#ifndef SIM_WATCH_H
#define SIM_WATCH_H

#include "board.h"
#include "utcp.h"
#include "wire/tcp.h"

struct pair;
struct world;

/*
 * What one host has said of one connection. edge is the right edge it has advertised, end the
 * highest number it has sent, ack its last acknowledgment number. pair is whose connection it is: an
 * incarnation that used the same ports is another one. NULL = nobody's that we know. scaled says that
 * its peer has offered to scale windows, too. board has all that it sent and that is not acknowledged.
 */
struct flow {
    uint16_t port, peer_port;
    tcp_seq iss, ack, edge, end, fin;
    bool acked, finished, aborted;
    bool offers_scale, scaled;
    uint8_t shift;
    uint16_t mss;
    const struct pair *pair;
    struct board board;
};

struct watch {
    struct flow *flows[2];
    size_t count[2], room[2];
};

/* A segment leaves a host, whose clock shows now. whole says that its TCP checksum must be right. Returns the sentence
 * that is not true, NULL = all are. */
const char *watch_sent(struct world *world, int host, const uint8_t *bytes, size_t len, bool whole,
                       utcp_time now, struct tcp_segment *segment);

/* True when the packet is nothing but an acknowledgment, up to date and inside the window of the
 * host it comes to: such a one must not be answered with another. */
bool watch_is_pure_ack(struct world *world, int host, const uint8_t *bytes, size_t len);

/* The host's program of this pair has aborted its connection. */
void watch_aborted(struct world *world, int host, const struct pair *pair);

void watch_free(struct watch *watch);

/* The flow of a host, NULL when it has said nothing yet. */
struct flow *watch_find(struct world *world, int host, uint16_t port, uint16_t peer_port);

#endif
