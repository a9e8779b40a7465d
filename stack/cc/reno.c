/* SPDX-License-Identifier: MIT */
/* Reno: slow start and congestion avoidance of RFC 5681, with appropriate byte counting (RFC 3465).
 */
#include "cc/cc.h"

#define CWND_MAX (UINT32_C(1) << 30)

static void start(struct cc *cc)
{
    cc->acked = 0;
}

/* RFC 5681 section 3.1: "during slow start, a TCP increments cwnd by at most SMSS bytes for each
 * ACK received that cumulatively acknowledges new data". One ACK may stand for a whole train here,
 * so we count bytes, as RFC 3465 does with L unbounded; Linux does the same. Returns the bytes left
 * over when ssthresh is reached. */
static uint32_t slow_start(struct cc *cc, uint32_t acked)
{
    uint32_t room = cc->ssthresh - cc->cwnd;
    uint32_t grow = acked < room ? acked : room;

    cc->cwnd += grow;
    return acked - grow;
}

/* RFC 5681 section 3.1: one SMSS for each window of data acknowledged. */
static void congestion_avoidance(struct cc *cc, uint32_t acked)
{
    cc->acked += acked;
    if (cc->acked >= cc->cwnd) {
        cc->acked -= cc->cwnd;
        cc->cwnd += cc->mss;
    }
}

static void on_ack(struct cc *cc, const struct cc_ack *ack)
{
    uint32_t left = ack->acked;

    if (cc->cwnd < cc->ssthresh)
        left = slow_start(cc, left);
    if (left > 0)
        congestion_avoidance(cc, left);
    if (cc->cwnd > CWND_MAX)
        cc->cwnd = CWND_MAX;
}

/* RFC 5681 equation (4): ssthresh = max(FlightSize / 2, 2*SMSS). */
static uint32_t on_loss(struct cc *cc, uint32_t in_flight, utcp_time now)
{
    uint32_t half = in_flight / 2;

    (void)now;
    cc->acked = 0;
    return half > 2 * cc->mss ? half : 2 * cc->mss;
}

const struct cc_ops cc_reno = {
    .name = "reno",
    .start = start,
    .on_ack = on_ack,
    .on_loss = on_loss,
};
