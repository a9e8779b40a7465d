/* SPDX-License-Identifier: MIT */
/*
 * Congestion control: decides how many bytes may be in flight, from what it is told by value. It
 * never sees the connection. Loss detection and retransmission are not its business: it hears of
 * their outcome. All sizes are bytes.
 *
 * A new algorithm is one file that fills in struct cc_ops, and one line in the table of cc.c.
 */
#ifndef CC_CC_H
#define CC_CC_H

#include <stddef.h>
#include <stdint.h>

#include "utcp.h"

/* What an ACK of new data brings. */
struct cc_ack {
    utcp_time now;
    uint32_t acked;     /* newly acknowledged */
    uint32_t in_flight; /* before this ACK */
    uint64_t rtt;       /* a new sample in ns, 0 = none */
};

struct cc {
    const struct cc_ops *ops;
    uint32_t mss;
    uint32_t cwnd;
    uint32_t ssthresh;
    uint32_t acked; /* bytes counted towards the next increase */
};

struct cc_ops {
    const char *name;
    /* The handshake is done; cwnd is the initial window, ssthresh is unbounded. */
    void (*start)(struct cc *cc);
    /* An ACK of new data outside recovery, while the window was in use. */
    void (*on_ack)(struct cc *cc, const struct cc_ack *ack);
    /* Loss: returns the new ssthresh. Called once for each recovery and at a time-out. */
    uint32_t (*on_loss)(struct cc *cc, uint32_t in_flight, utcp_time now);
};

extern const struct cc_ops cc_reno;

/* The algorithm of that name, the default for NULL; NULL when there is none. */
const struct cc_ops *cc_find(const char *name);

/* Begins with a window of so many segments. */
void cc_init(struct cc *cc, const struct cc_ops *ops, uint32_t mss, uint32_t initial_segments);

#endif
