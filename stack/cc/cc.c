/* SPDX-License-Identifier: MIT */
#include "cc/cc.h"

/* The first is the default. */
static const struct cc_ops *const algorithms[] = {&cc_cubic, &cc_reno};

#define ALGORITHMS (sizeof(algorithms) / sizeof(algorithms[0]))

const struct cc_ops *cc_at(size_t i)
{
    return i < ALGORITHMS ? algorithms[i] : NULL;
}

size_t cc_index(const struct cc_ops *ops)
{
    size_t i = 0;

    while (i < ALGORITHMS && algorithms[i] != ops)
        i++;
    return i;
}

const char *utcp_congestion_name(size_t i)
{
    return i < ALGORITHMS ? algorithms[i]->name : NULL;
}

static bool same_name(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

const struct cc_ops *cc_find(const char *name)
{
    if (name == NULL)
        return algorithms[0];
    for (size_t i = 0; i < ALGORITHMS; i++) {
        if (same_name(algorithms[i]->name, name))
            return algorithms[i];
    }
    return NULL;
}

void cc_init(struct cc *cc, const struct cc_ops *ops, struct cc_options options, uint32_t mss,
             uint32_t initial_segments)
{
    *cc = (struct cc){
        .ops = ops,
        .options = options,
        .mss = mss,
        .cwnd = mss * initial_segments,
        .ssthresh = UINT32_MAX,
    };
    ops->start(cc);
}

void cc_switch(struct cc *cc, const struct cc_ops *ops)
{
    struct cc before = *cc;

    *cc = (struct cc){
        .ops = ops,
        .options = before.options,
        .mss = before.mss,
        .cwnd = before.cwnd,
        .ssthresh = before.ssthresh,
    };
    ops->start(cc);
}

/* RFC 5681 section 3.1: "during slow start, a TCP increments cwnd by at most SMSS bytes for each
 * ACK received that cumulatively acknowledges new data". One ACK may stand for a whole train here,
 * so we count bytes, as RFC 3465 does with L unbounded; Linux does the same. */
uint32_t cc_slow_start(struct cc *cc, uint32_t acked)
{
    uint32_t room = cc->ssthresh - cc->cwnd;
    uint32_t grow = acked < room ? acked : room;

    if (grow > CC_CWND_MAX - cc->cwnd)
        grow = CC_CWND_MAX - cc->cwnd;
    cc->cwnd += grow;
    return acked - grow;
}

/* As Linux (tcp_cong_avoid_ai()): what was counted while the price of a segment was higher buys one
 * of them at most. */
void cc_increase(struct cc *cc, uint32_t acked, uint32_t bytes_a_segment)
{
    uint32_t segments;

    if (cc->acked >= bytes_a_segment) {
        cc->acked = 0;
        cc->cwnd += cc->mss;
    }
    cc->acked += acked;
    segments = cc->acked / bytes_a_segment;
    cc->acked -= segments * bytes_a_segment;
    if (segments > (CC_CWND_MAX - cc->cwnd) / cc->mss)
        segments = (CC_CWND_MAX - cc->cwnd) / cc->mss;
    cc->cwnd += segments * cc->mss;
}

/* RFC 5681 equation (4) and RFC 9438 section 4.6 take a part of FlightSize. Linux takes it of cwnd,
 * which it keeps close to what is used (RFC 7661), and counts in segments; so do we. */
uint32_t cc_part_of_cwnd(const struct cc *cc, uint32_t numerator, uint32_t denominator)
{
    uint64_t part = (uint64_t)cc->cwnd * numerator / denominator;
    uint32_t whole = (uint32_t)part - (uint32_t)part % cc->mss;

    return whole > 2 * cc->mss ? whole : 2 * cc->mss;
}
