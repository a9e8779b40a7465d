/* SPDX-License-Identifier: MIT */
/*
 * RFC 6298: computing the retransmission timer.
 *
 * The RFC's gains are made for one sample a round trip. We take one from each ACK, as Linux does, and
 * with it Linux's remedies (tcp_rtt_estimator()): a deviation downwards counts an eighth, so that a
 * path that gets faster does not look unsteady; and the spread above srtt follows the largest
 * deviation of each round trip at once, but goes down by a quarter a round trip.
 */
#include "tcp/tcb.h"

/* G of RFC 6298: our clock has nanoseconds, but a timer is never better than this. */
#define GRANULARITY UTCP_MSEC

#define BACKOFF_MAX 32

#define MIN_RTT_AGE (300 * UTCP_SEC)

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void rtt_init(struct rtt *rtt, const struct utcp_settings *settings)
{
    *rtt = (struct rtt){.rto = settings->rto_init, .min = UINT64_MAX};
}

/* The RFC bounds the sum from below by 1 s; Linux bounds the spread by 200 ms instead, and so do we:
 * the time-out is the setting above the RTT, never so close that a delayed ACK trips it. */
static uint64_t least_spread(const struct utcp_settings *settings)
{
    return max_u64(settings->rto_min, GRANULARITY);
}

/* "(2.2) When the first RTT measurement R is made, the host MUST set SRTT <- R, RTTVAR <- R/2" */
static void first_sample(struct rtt *rtt, const struct utcp_settings *settings, uint64_t sample,
                         tcp_seq snd_nxt)
{
    rtt->srtt = sample;
    rtt->rttvar = sample / 2;
    rtt->peak = rtt->spread = max_u64(4 * rtt->rttvar, least_spread(settings));
    rtt->round_end = snd_nxt;
}

/* "(2.3) RTTVAR <- (1 - beta) * RTTVAR + beta * |SRTT - R'|, SRTT <- (1 - alpha) * SRTT + alpha *
 * R'", with alpha=1/8 and beta=1/4 */
static void next_sample(struct rtt *rtt, uint64_t sample)
{
    bool faster = sample < rtt->srtt;
    uint64_t error = faster ? rtt->srtt - sample : sample - rtt->srtt;

    rtt->srtt = (7 * rtt->srtt + sample) / 8;
    if (faster && error > rtt->rttvar)
        rtt->rttvar += (error - rtt->rttvar) / 32;
    else
        rtt->rttvar = (3 * rtt->rttvar + error) / 4;
}

static void widen_spread(struct rtt *rtt)
{
    rtt->peak = max_u64(rtt->peak, 4 * rtt->rttvar);
    rtt->spread = max_u64(rtt->spread, rtt->peak);
}

static void end_round(struct rtt *rtt, const struct utcp_settings *settings, tcp_seq snd_nxt)
{
    if (rtt->peak < rtt->spread)
        rtt->spread -= (rtt->spread - rtt->peak) / 4;
    rtt->round_end = snd_nxt;
    rtt->peak = least_spread(settings);
}

void rtt_sample(struct rtt *rtt, const struct utcp_settings *settings, uint64_t sample_ns,
                tcp_seq snd_una, tcp_seq snd_nxt)
{
    uint64_t sample = max_u64(sample_ns, 1);

    if (rtt->srtt == 0) {
        first_sample(rtt, settings, sample, snd_nxt);
    } else {
        next_sample(rtt, sample);
        widen_spread(rtt);
        if (seq_gt(snd_una, rtt->round_end))
            end_round(rtt, settings, snd_nxt);
    }
    rtt->rto = rtt->srtt + rtt->spread;
}

void rtt_note_min(struct rtt *rtt, uint64_t sample_ns, utcp_time now)
{
    if (sample_ns > rtt->min && now - rtt->min_at < MIN_RTT_AGE)
        return;
    rtt->min = sample_ns;
    rtt->min_at = now;
}

uint64_t rtt_rto(const struct rtt *rtt, const struct utcp_settings *settings, unsigned backoff)
{
    uint64_t rto = rtt->rto;

    for (unsigned i = 0; i < backoff && i < BACKOFF_MAX && rto < settings->rto_max; i++)
        rto *= 2;
    return rto < settings->rto_max ? rto : settings->rto_max;
}
