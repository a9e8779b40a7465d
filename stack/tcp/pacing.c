/* SPDX-License-Identifier: MIT */
/*
 * Pacing: a window spread over the round trip instead of sent at once. Off by default, as in Linux
 * without the fq queue; the setting turns it on, and SO_MAX_PACING_RATE for one connection.
 *
 * It is a gate in plan.c. What has gone through closes it for as long as it takes at the rate, which
 * is Linux's: twice the window in a round trip in slow start, so that the window can double, and 1.2
 * times after that. The first ten segments of a connection are not held.
 */
#include "stack.h"
#include "tcp/tcb.h"

#define UNPACED_SEGMENTS 10
#define BURSTS_A_SECOND 1024

static bool paced(const struct utcp_conn *conn)
{
    return conn->stack->settings.pacing != 0 || conn->pacing.max_rate != UINT64_MAX;
}

static uint64_t ratio_percent(const struct utcp_conn *conn)
{
    const struct utcp_settings *settings = &conn->stack->settings;
    bool probing = conn->cc.cwnd < conn->cc.ssthresh / 2;

    return probing ? settings->pacing_ss_ratio : settings->pacing_ca_ratio;
}

/* As tcp_update_pacing_rate(): a window that recovery has made small counts as what is in flight. */
uint64_t pacing_rate(const struct utcp_conn *conn)
{
    uint32_t flight = in_flight(conn);
    uint64_t window = conn->cc.cwnd > flight ? conn->cc.cwnd : flight;
    uint64_t rate = UINT64_MAX;

    if (conn->rtt.srtt > 0)
        rate = window * ratio_percent(conn) * (UTCP_SEC / 100) / conn->rtt.srtt;
    return rate < conn->pacing.max_rate ? rate : conn->pacing.max_rate;
}

/* On a short path there is more: all that a device takes, halved for each half millisecond. */
static uint64_t short_path_bonus(const struct utcp_conn *conn)
{
    enum { WHOLE = 65536, HALVED_EACH_US = 512 };
    uint64_t halvings = conn->rtt.min / UTCP_USEC / HALVED_EACH_US;

    return halvings < 32 ? WHOLE >> halvings : 0;
}

/*
 * As tcp_tso_autosize(): what goes in a millisecond, and two segments at least, so that a train of ACKs
 * keeps the clock.
 */
uint32_t pacing_burst(const struct utcp_conn *conn)
{
    uint64_t rate = pacing_rate(conn);
    uint64_t burst = rate == UINT64_MAX ? rate : rate / BURSTS_A_SECOND + short_path_bonus(conn);
    uint64_t least = conn->stack->settings.burst * conn->mss;

    if (burst < least)
        burst = least;
    if (burst > UINT32_MAX)
        return UINT32_MAX;
    return (uint32_t)(burst > conn->mss ? burst : conn->mss);
}

bool pacing_holds(const struct utcp_conn *conn)
{
    return paced(conn) && conn->stack->now < conn->pacing.next;
}

void pacing_wait(struct utcp_conn *conn)
{
    tcp_timer_set(conn, TIMER_PACE, conn->pacing.next);
    tcp_timer_review(conn);
}

/* What waits now may be waiting for the peer's window. */
void pacing_on_timer(struct utcp_conn *conn)
{
    tcp_timer_review(conn);
    stack_want_send(conn);
}

void pacing_sent(struct utcp_conn *conn, uint32_t len)
{
    utcp_time now = conn->stack->now;
    uint64_t rate = pacing_rate(conn);
    uint64_t late, time;

    if (!paced(conn) || rate == UINT64_MAX || rate == 0 ||
        conn->count.bytes_sent <= (uint64_t)UNPACED_SEGMENTS * conn->mss)
        return;
    time = len * UTCP_SEC / rate;
    /* As Linux: who comes late may catch up by half. */
    late = now > conn->pacing.next ? now - conn->pacing.next : 0;
    time -= late < time / 2 ? late : time / 2;
    conn->pacing.next = (now > conn->pacing.next ? now : conn->pacing.next) + time;
}

void pacing_limit(struct utcp_conn *conn, uint64_t max_rate)
{
    conn->pacing = (struct pacing){.max_rate = max_rate};
    stack_want_send(conn);
}
