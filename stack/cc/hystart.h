/* SPDX-License-Identifier: MIT */
/*
 * HyStart: leaves the first slow start when the round trips grow longer, before the queue overflows.
 * For any algorithm to use in its on_ack(): keep a struct hystart, and ask for each ACK.
 */
#ifndef CC_HYSTART_H
#define CC_HYSTART_H

#include "cc/cc.h"

enum hystart_kind {
    HYSTART_OFF,
    HYSTART_PLUS_PLUS, /* RFC 9406 */
    HYSTART_LINUX,     /* as Linux's CUBIC does by default */
};

/*
 * acked, round_end   bytes acknowledged so far, and when the round ends
 * round_start, last_ack  times, for trains of ACKs
 * samples            of the RTT in this round
 * min_rtt            of this round, of the round before, and of all; UTCP_NEVER = none
 * css_rounds         rounds of conservative slow start begun, 0 = in slow start proper
 * css_baseline       the RTT that took us there
 */
struct hystart {
    uint64_t acked, round_end;
    utcp_time round_start, last_ack;
    uint64_t min_rtt, last_min_rtt, least_rtt;
    uint64_t css_baseline;
    uint32_t samples;
    uint32_t css_rounds;
};

void hystart_start(struct hystart *hystart);

/*
 * An ACK in slow start, before the window grows: returns how many of the bytes acknowledged count
 * towards slow start. At its end sets ssthresh to cwnd.
 */
uint32_t hystart_on_ack(struct hystart *hystart, struct cc *cc, const struct cc_ack *ack);

#endif
