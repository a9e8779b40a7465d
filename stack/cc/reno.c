/* SPDX-License-Identifier: MIT */
/* Reno: slow start and congestion avoidance of RFC 5681, with appropriate byte counting (RFC 3465).
 */
#include "cc/cc.h"

static void start(struct cc *cc)
{
    cc->acked = 0;
}

static void on_ack(struct cc *cc, const struct cc_ack *ack)
{
    uint32_t left = ack->acked;

    if (!ack->limited)
        return;
    if (cc_in_slow_start(cc))
        left = cc_slow_start(cc, left);
    /* RFC 5681 section 3.1: one SMSS for each window of data acknowledged. */
    if (left > 0)
        cc_increase(cc, left, cc->cwnd);
}

/* RFC 5681 equation (4): half. RFC 8511 section 3: a mark comes from a short queue, and in
 * congestion avoidance asks for 0.8 only. */
static uint32_t on_congestion(struct cc *cc, enum cc_signal signal, uint32_t in_flight,
                              utcp_time now)
{
    bool gently = signal == CC_ECN && cc->options.abe && !cc_in_slow_start(cc);

    (void)in_flight;
    (void)now;
    cc->acked = 0;
    return gently ? cc_part_of_cwnd(cc, 8, 10) : cc_part_of_cwnd(cc, 1, 2);
}

const struct cc_ops cc_reno = {
    .name = "reno",
    .start = start,
    .on_ack = on_ack,
    .on_congestion = on_congestion,
};
