/* SPDX-License-Identifier: MIT */
/* RFC 6298: computing the retransmission timer. */
#include "tcp/tcb.h"

/* G of RFC 6298: our clock has nanoseconds, but a timer is never better than this. */
#define GRANULARITY UTCP_MSEC

#define BACKOFF_MAX 32

void rtt_init(struct rtt *rtt, const struct utcp_settings *settings)
{
    *rtt = (struct rtt){.rto = settings->rto_init};
}

void rtt_sample(struct rtt *rtt, const struct utcp_settings *settings, uint64_t sample_ns)
{
    uint64_t sample = sample_ns > 0 ? sample_ns : 1;
    uint64_t error = rtt->srtt > sample ? rtt->srtt - sample : sample - rtt->srtt;
    uint64_t spread;

    /* "(2.2) When the first RTT measurement R is made, the host MUST set SRTT <- R,
     * RTTVAR <- R/2" */
    if (rtt->srtt == 0) {
        rtt->srtt = sample;
        rtt->rttvar = sample / 2;
    } else {
        /* "(2.3) RTTVAR <- (1 - beta) * RTTVAR + beta * |SRTT - R'|, SRTT <- (1 - alpha) * SRTT +
         * alpha * R'", with alpha=1/8 and beta=1/4 */
        rtt->rttvar = (3 * rtt->rttvar + error) / 4;
        rtt->srtt = (7 * rtt->srtt + sample) / 8;
    }
    spread = 4 * rtt->rttvar;
    /* The RFC bounds the sum from below by 1 s; Linux bounds the spread by 200 ms instead, and so
     * do we: the time-out is the setting above the RTT, never so close that a delayed ACK trips it.
     */
    if (spread < settings->rto_min)
        spread = settings->rto_min;
    if (spread < GRANULARITY)
        spread = GRANULARITY;
    rtt->rto = rtt->srtt + spread;
}

uint64_t rtt_rto(const struct rtt *rtt, const struct utcp_settings *settings, unsigned backoff)
{
    uint64_t rto = rtt->rto;

    for (unsigned i = 0; i < backoff && i < BACKOFF_MAX && rto < settings->rto_max; i++)
        rto *= 2;
    return rto < settings->rto_max ? rto : settings->rto_max;
}
