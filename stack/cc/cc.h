/* SPDX-License-Identifier: MIT */
/*
 * Congestion control: decides how many bytes may be in flight, from what it is told by value. It
 * never sees the connection. Loss detection, retransmission and what happens to cwnd in recovery are
 * not its business: it hears of their outcome. All sizes are bytes, all times ns.
 *
 * A new algorithm is one file that fills in struct cc_ops, and one line in the table of cc.c.
 */
#ifndef CC_CC_H
#define CC_CC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "utcp.h"

/* No algorithm goes beyond; 2^30 is the largest window that can be offered (RFC 7323 section 2.3). */
#define CC_CWND_MAX (UINT32_C(1) << 30)

/* What an algorithm may keep for itself, in words. */
#define CC_STATE_WORDS 21

/*
 * What an ACK of new data brings.
 *
 * acked      newly acknowledged
 * in_flight  before this ACK
 * rtt        a new sample, 0 = none
 * limited    the window was in use: only then has it been tested, and may grow (RFC 7661)
 * held       ... it was not, for data was held back by the pace and not missing
 */
struct cc_ack {
    utcp_time now;
    uint32_t acked;
    uint32_t in_flight;
    uint64_t rtt;
    bool limited, held;
};

enum cc_signal {
    CC_LOSS,    /* a segment was lost: once for each recovery */
    CC_ECN,     /* the peer echoes a mark: once for each window of data */
    CC_TIMEOUT, /* the retransmission timer expired for the first time */
};

/* What the user may choose; see the settings of the same names. */
struct cc_options {
    bool abe;         /* RFC 8511 */
    unsigned hystart; /* enum hystart_kind */
};

/*
 * cwnd      written by the algorithm for each ACK, by the connection in and after recovery
 * ssthresh  written by the connection with what on_congestion() returns; by the algorithm when it
 *           leaves slow start early
 * acked     counted towards the next increase, see cc_increase()
 * state     the algorithm's own, zeroed before start()
 */
struct cc {
    const struct cc_ops *ops;
    struct cc_options options;
    uint32_t mss;
    uint32_t cwnd;
    uint32_t ssthresh;
    uint32_t acked;
    uint64_t state[CC_STATE_WORDS];
};

/* A call that an algorithm has no use for is NULL, but for the first three. */
struct cc_ops {
    const char *name;
    /* Begins: after the handshake, or in mid-connection. cwnd and ssthresh are set and stay. */
    void (*start)(struct cc *cc);
    /* An ACK of new data outside recovery. */
    void (*on_ack)(struct cc *cc, const struct cc_ack *ack);
    /* The network is congested: returns the new ssthresh, at least two segments. cwnd is what it was
     * before. */
    uint32_t (*on_congestion)(struct cc *cc, enum cc_signal signal, uint32_t in_flight,
                              utcp_time now);
    /* The last congestion was none: forget it. The connection restores cwnd and ssthresh. */
    void (*undo)(struct cc *cc);
    /* Data goes out again after nothing was in flight since the last of it was sent, so long ago. */
    void (*after_idle)(struct cc *cc, uint64_t idle, utcp_time now);
};

extern const struct cc_ops cc_cubic, cc_reno;

/* The algorithm of that name, the default for NULL; NULL when there is none. */
const struct cc_ops *cc_find(const char *name);

/* The algorithm that utcp_congestion_name() counts as the i-th, NULL = no more; and back. */
const struct cc_ops *cc_at(size_t i);
size_t cc_index(const struct cc_ops *ops);

/* Begins with a window of so many segments and an unbounded ssthresh. */
void cc_init(struct cc *cc, const struct cc_ops *ops, struct cc_options options, uint32_t mss,
             uint32_t initial_segments);

/* Goes on with another algorithm and the same window. */
void cc_switch(struct cc *cc, const struct cc_ops *ops);

/* ---- for algorithms ---- */

static inline bool cc_in_slow_start(const struct cc *cc)
{
    return cc->cwnd < cc->ssthresh;
}

/* Slow start: adds what was acknowledged, up to ssthresh; returns what is left over of it. */
uint32_t cc_slow_start(struct cc *cc, uint32_t acked);

/* Adds a segment for every so many bytes acknowledged. */
void cc_increase(struct cc *cc, uint32_t acked, uint32_t bytes_a_segment);

/* A part of cwnd, in whole segments and at least two of them: an ssthresh. */
uint32_t cc_part_of_cwnd(const struct cc *cc, uint32_t numerator, uint32_t denominator);

#endif
