/* SPDX-License-Identifier: MIT */
/*
 * Between the connection and its congestion control: what each may know of the other, and what is
 * the same for all algorithms, congestion window validation (RFC 7661). As Linux has it, in the
 * older form of RFC 2861:
 *
 *	- A window grows only when it was full, or, in slow start, half full.
 *	- What is used less than that for an RTO is cut half way down to what is used.
 *	- After nothing was in flight for an RTO it halves for each RTO, down to the initial window.
 */
#include <errno.h>

#include "stack.h"
#include "tcp/tcb.h"

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t initial_window(const struct utcp_conn *conn)
{
    return conn->mss * (uint32_t)conn->stack->settings.initial_window;
}

static uint64_t rto_of(const struct utcp_conn *conn)
{
    return rtt_rto(&conn->rtt, &conn->stack->settings, 0);
}

void congestion_start(struct utcp_conn *conn)
{
    const struct utcp_settings *settings = &conn->stack->settings;
    struct cc_options options = {
        .abe = settings->abe != 0,
        .hystart = (unsigned)settings->hystart,
    };

    cc_init(&conn->cc, conn->congestion, options, conn->mss, (uint32_t)settings->initial_window);
    conn->window_use = (struct window_use){
        .end = conn->snd_una, .since = conn->stack->now, .last_sent = conn->stack->now};
}

int congestion_choose(struct utcp_conn *conn, const struct cc_ops *ops)
{
    if (ops == NULL)
        return -EINVAL;
    conn->congestion = ops;
    if (conn->cc.ops != NULL && conn->cc.ops != ops)
        cc_switch(&conn->cc, ops);
    return 0;
}

/* In slow start the window doubles in each round trip, so what fills half of the new one has filled
 * the old one. */
bool congestion_window_in_use(const struct utcp_conn *conn)
{
    if (conn->window_use.limited)
        return true;
    return cc_in_slow_start(&conn->cc) && conn->cc.cwnd < 2 * (uint64_t)conn->window_use.most;
}

void congestion_on_ack(struct utcp_conn *conn, uint32_t acked, uint32_t in_flight_before,
                       uint64_t rtt)
{
    struct cc_ack ack = {
        .now = conn->stack->now,
        .acked = acked,
        .in_flight = in_flight_before,
        .rtt = rtt,
        .limited = congestion_window_in_use(conn),
        .held = tcp_timer_runs(conn, TIMER_PACE),
    };

    conn->cc.ops->on_ack(&conn->cc, &ack);
}

void congestion_signal(struct utcp_conn *conn, enum cc_signal signal)
{
    struct cc *cc = &conn->cc;

    ecn_reduced(conn);
    cc->ssthresh = cc->ops->on_congestion(cc, signal, in_flight(conn), conn->stack->now);
}

void congestion_undo(struct utcp_conn *conn)
{
    if (conn->cc.ops->undo != NULL)
        conn->cc.ops->undo(&conn->cc);
}

/* What was learnt about the path is kept: ssthresh is at least 3/4 of what is given up. */
static void keep_ssthresh(struct cc *cc)
{
    cc->ssthresh = max_u32(cc->ssthresh, cc->cwnd / 4 * 3);
}

/* In whole segments, as Linux counts. */
static uint32_t half(const struct cc *cc, uint64_t bytes)
{
    return (uint32_t)(bytes / 2 / cc->mss * cc->mss);
}

/* RFC 2861 section 3.1 halves for each RTO of silence; RFC 5681 section 4.1 would go back to the
 * initial window at once. */
static bool restart_after(struct utcp_conn *conn, uint64_t idle)
{
    uint64_t rto = rto_of(conn);
    struct cc *cc = &conn->cc;
    uint32_t before = cc->cwnd;
    uint32_t least = min_u32(initial_window(conn), cc->cwnd);

    if (idle <= rto)
        return false;
    keep_ssthresh(cc);
    for (; idle > rto && cc->cwnd > least; idle -= rto)
        cc->cwnd = max_u32(half(cc, cc->cwnd), least);
    conn->window_use.since = conn->stack->now;
    conn->window_use.used = 0;
    return cc->cwnd != before;
}

bool congestion_before_sending(struct utcp_conn *conn)
{
    uint64_t idle = conn->stack->now - conn->window_use.last_sent;

    if (outstanding(conn) > 0 || idle == 0)
        return false;
    if (conn->cc.ops->after_idle != NULL)
        conn->cc.ops->after_idle(&conn->cc, idle, conn->stack->now);
    conn->window_use.last_sent = conn->stack->now;
    return conn->stack->settings.slow_start_after_idle != 0 && restart_after(conn, idle);
}

/* The program, or the peer's window, has used less of the window for an RTO. A full send buffer is no
 * sign of that: then it is the buffer that limits. */
static void cut_unused(struct utcp_conn *conn)
{
    struct window_use *use = &conn->window_use;
    struct cc *cc = &conn->cc;
    uint32_t used = max_u32(use->used, initial_window(conn));

    if (conn->stack->now - use->since < rto_of(conn))
        return;
    if (used < cc->cwnd && conn->snd_buf.len < conn->snd_limit && conn->recovery.state == CA_OPEN) {
        keep_ssthresh(cc);
        cc->cwnd = half(cc, (uint64_t)cc->cwnd + used);
    }
    use->used = 0;
    use->since = conn->stack->now;
}

/* Linux looks once after each call that sends; what went with a later packet of the same call makes
 * the window full all the same. */
static void note_use(struct utcp_conn *conn)
{
    struct window_use *use = &conn->window_use;
    uint32_t flight = in_flight(conn);
    bool full = flight + conn->mss > conn->cc.cwnd;

    if (seq_ge(conn->snd_una, use->end) || full || (!use->limited && flight > use->most)) {
        use->limited = full;
        use->most = flight;
        use->end = conn->snd_nxt;
    }
    use->used = max_u32(use->used, flight);
}

/* There is another packet to the one that was sent: use is judged by all of them. */
static bool more_goes_now(const struct utcp_conn *conn)
{
    return seq_gt(snd_end(conn), conn->snd_nxt) && tcp_usable_window(conn) >= conn->mss;
}

void congestion_sent(struct utcp_conn *conn, bool resent)
{
    struct window_use *use = &conn->window_use;

    use->last_sent = conn->stack->now;
    if (resent)
        return;
    note_use(conn);
    if (congestion_window_in_use(conn)) {
        use->used = 0;
        use->since = conn->stack->now;
    } else if (conn->stack->settings.slow_start_after_idle != 0 && !more_goes_now(conn)) {
        cut_unused(conn);
    }
}
