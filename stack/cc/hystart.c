/* SPDX-License-Identifier: MIT */
/*
 * A round ends when what was sent before it began has been acknowledged. Since what is in flight is
 * known when it begins, counting acknowledged bytes is enough to find its end: RFC 9406 section 4.2
 * says the same with SND.NXT.
 */
#include "cc/hystart.h"

/* RFC 9406 section 4.3. */
#define MIN_RTT_THRESH (4 * UTCP_MSEC)
#define MAX_RTT_THRESH (16 * UTCP_MSEC)
#define MIN_RTT_DIVISOR 8
#define N_RTT_SAMPLE 8
#define CSS_GROWTH_DIVISOR 4
#define CSS_ROUNDS 5

/* Linux: smaller windows are left alone, and ACKs so close make a train. */
#define LINUX_LOW_WINDOW 16
#define LINUX_ACK_DELTA (2 * UTCP_MSEC)

void hystart_start(struct hystart *hystart)
{
    *hystart = (struct hystart){
        .min_rtt = UTCP_NEVER, .last_min_rtt = UTCP_NEVER, .least_rtt = UTCP_NEVER};
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* RttThresh = max(MIN_RTT_THRESH, min(lastRoundMinRTT / MIN_RTT_DIVISOR, MAX_RTT_THRESH)) */
static uint64_t rtt_thresh(uint64_t rtt)
{
    uint64_t part = min_u64(rtt / MIN_RTT_DIVISOR, MAX_RTT_THRESH);

    return part > MIN_RTT_THRESH ? part : MIN_RTT_THRESH;
}

static void begin_round(struct hystart *hystart, const struct cc_ack *ack)
{
    uint32_t left = ack->in_flight > ack->acked ? ack->in_flight - ack->acked : 0;

    hystart->round_end = hystart->acked + left;
    hystart->round_start = hystart->last_ack = ack->now;
    hystart->last_min_rtt = hystart->min_rtt;
    hystart->min_rtt = UTCP_NEVER;
    hystart->samples = 0;
    if (hystart->css_rounds > 0)
        hystart->css_rounds++;
}

static void take_sample(struct hystart *hystart, uint64_t rtt)
{
    if (rtt == 0)
        return;
    hystart->min_rtt = min_u64(hystart->min_rtt, rtt);
    hystart->least_rtt = min_u64(hystart->least_rtt, rtt);
    hystart->samples++;
}

/* RFC 9406 section 4.2: once there are N_RTT_SAMPLE samples in this round and any in the last, and
 * currentRoundMinRTT >= lastRoundMinRTT + RttThresh, "cssBaselineMinRtt = currentRoundMinRTT", and
 * conservative slow start (CSS) begins. The round it begins in counts as its first. */
static void watch_delay(struct hystart *hystart)
{
    if (hystart->samples < N_RTT_SAMPLE || hystart->last_min_rtt == UTCP_NEVER)
        return;
    if (hystart->min_rtt < hystart->last_min_rtt + rtt_thresh(hystart->last_min_rtt))
        return;
    hystart->css_baseline = hystart->min_rtt;
    hystart->css_rounds = 1;
}

/* When CSS_ROUNDS rounds are complete, congestion avoidance begins: ssthresh is cwnd. But when
 * currentRoundMinRTT < cssBaselineMinRtt, the delay was jitter, and slow start goes on. */
static void watch_css(struct hystart *hystart, struct cc *cc)
{
    if (hystart->css_rounds > CSS_ROUNDS)
        cc->ssthresh = cc->cwnd;
    else if (hystart->samples >= N_RTT_SAMPLE && hystart->min_rtt < hystart->css_baseline)
        hystart->css_rounds = 0;
}

/* RFC 9406 has no limit L on bytes an ACK for paced senders, and 8 segments for others. Ours has
 * none, as slow start has none here and in Linux: an ACK may stand for a whole train. */
static uint32_t plus_plus(struct hystart *hystart, struct cc *cc, const struct cc_ack *ack)
{
    if (hystart->acked > hystart->round_end)
        begin_round(hystart, ack);
    take_sample(hystart, ack->rtt);
    if (hystart->css_rounds == 0)
        watch_delay(hystart);
    else
        watch_css(hystart, cc);
    return hystart->css_rounds > 0 ? ack->acked / CSS_GROWTH_DIVISOR : ack->acked;
}

/* A train of ACKs longer than half the least RTT: the pipe is full. */
static bool linux_train_is_long(struct hystart *hystart, utcp_time now)
{
    if (now - hystart->last_ack > LINUX_ACK_DELTA)
        return false;
    hystart->last_ack = now;
    return now - hystart->round_start > hystart->least_rtt / 2;
}

static bool linux_delay_is_long(struct hystart *hystart, uint64_t rtt)
{
    bool enough = hystart->samples >= N_RTT_SAMPLE;

    take_sample(hystart, rtt);
    return enough && hystart->min_rtt > hystart->least_rtt + rtt_thresh(hystart->least_rtt);
}

/* Linux compares with the least RTT of the connection, and ends slow start at once. */
static void linux_watch(struct hystart *hystart, struct cc *cc, const struct cc_ack *ack)
{
    hystart->least_rtt = ack->rtt > 0 ? min_u64(hystart->least_rtt, ack->rtt) : hystart->least_rtt;
    if (ack->rtt == 0 || cc->cwnd < LINUX_LOW_WINDOW * cc->mss)
        return;
    if (hystart->acked > hystart->round_end)
        begin_round(hystart, ack);
    if (linux_train_is_long(hystart, ack->now) || linux_delay_is_long(hystart, ack->rtt))
        cc->ssthresh = cc->cwnd;
}

uint32_t hystart_on_ack(struct hystart *hystart, struct cc *cc, const struct cc_ack *ack)
{
    /* RFC 9406 section 4.3: only for the initial slow start, with ssthresh "arbitrarily high". */
    if (cc->options.hystart == HYSTART_OFF || cc->ssthresh != UINT32_MAX)
        return ack->acked;
    hystart->acked += ack->acked;
    if (cc->options.hystart == HYSTART_PLUS_PLUS)
        return plus_plus(hystart, cc, ack);
    linux_watch(hystart, cc, ack);
    return ack->acked;
}
