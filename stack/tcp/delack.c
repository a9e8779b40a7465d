/* SPDX-License-Identifier: MIT */
/*
 * When to acknowledge what has come in order: RFC 1122 section 4.2.3.2 and RFC 5681 section 4.2, as Linux
 * does it. "An ACK SHOULD be generated for at least every second full-sized segment", the rest may wait
 * for data of our own to ride on.
 *
 * At the start, and after whatever looks like loss, each segment is answered at once (quick ACKs), since
 * the peer's window grows by the ACKs it gets; so many of them as half the receive window has segments.
 * Later the ACK is delayed by about the interval between segments. Once the program has answered what
 * it got, the connection is interactive, and an answer is expected to carry the ACK.
 *
 * What is out of order, fills a hole, or is a duplicate is never delayed: reassemble.c says so.
 */
#include "stack.h"
#include "tcp/tcb.h"

/* Linux: TCP_MAX_QUICKACKS. */
#define QUICK_MAX 16

/* What a peer's segments are held to have until one has come, RFC 9293 section 3.7.1. */
#define MSS_UNKNOWN 536

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t least_delay(const struct utcp_conn *conn)
{
    return min_u64(conn->stack->settings.delack_min, conn->stack->settings.delack_max);
}

static void add_quick(struct utcp_conn *conn)
{
    uint32_t mss = conn->rcv_mss > 0 ? conn->rcv_mss : MSS_UNKNOWN;
    uint32_t acks = (conn->rcv_adv - conn->rcv_nxt) / (2 * mss);

    acks = acks > 0 ? acks : 2;
    acks = acks < QUICK_MAX ? acks : QUICK_MAX;
    if (acks > conn->delack.quick)
        conn->delack.quick = acks;
}

void delack_quick(struct utcp_conn *conn)
{
    add_quick(conn);
    conn->delack.interactive = false;
    conn->delack.delay = least_delay(conn);
}

/* The delay follows the interval between segments; after a pause longer than the RTO the peer begins
 * with a small window again. */
static void adapt(struct utcp_conn *conn)
{
    struct delack *delack = &conn->delack;
    uint64_t gap = conn->stack->now - delack->last_at;
    uint64_t least = least_delay(conn);

    if (delack->delay == 0) {
        add_quick(conn);
        delack->delay = least;
    } else if (gap <= least / 2) {
        delack->delay = delack->delay / 2 + least / 2;
    } else if (gap < delack->delay) {
        delack->delay = min_u64(delack->delay / 2 + gap, conn->rtt.rto);
    } else if (gap > conn->rtt.rto) {
        add_quick(conn);
    }
    delack->last_at = conn->stack->now;
}

static bool due_now(const struct utcp_conn *conn)
{
    const struct delack *delack = &conn->delack;

    return conn->stack->settings.delack_max == 0 ||
           conn->rcv_nxt - conn->rcv_acked > conn->rcv_mss ||
           (delack->quick > 0 && !delack->interactive);
}

/* Linux: a delay beyond the least is no longer than the round trip, which is then known to be long; in
 * an interactive connection the setting's most. */
static uint64_t delay(const struct utcp_conn *conn)
{
    uint64_t least = least_delay(conn);
    uint64_t most = conn->stack->settings.delack_max;

    if (conn->rtt.srtt > 0)
        most = min_u64(most, max_u64(conn->rtt.srtt, least));
    return min_u64(conn->delack.delay, most);
}

void delack_on_text(struct utcp_conn *conn, uint32_t len)
{
    struct delack *delack = &conn->delack;
    utcp_time due;

    adapt(conn);
    if (len < conn->rcv_mss && delack->small < 2)
        delack->small++;
    if (due_now(conn)) {
        tcp_ack_due(conn);
        return;
    }
    delack->waits = true;
    due = conn->stack->now + delay(conn);
    tcp_timer_set(conn, TIMER_DELAYED_ACK, min_u64(due, conn->timers[TIMER_DELAYED_ACK]));
}

void delack_on_ack_sent(struct utcp_conn *conn)
{
    struct delack *delack = &conn->delack;

    delack->waits = false;
    delack->small = 0;
    tcp_timer_stop(conn, TIMER_DELAYED_ACK);
    if (delack->quick > 0 && --delack->quick == 0)
        delack->delay = least_delay(conn);
}

void delack_on_data_sent(struct utcp_conn *conn)
{
    if (conn->delack.last_at != 0 && conn->stack->now - conn->delack.last_at < conn->delack.delay)
        conn->delack.interactive = true;
}

/* The answer that was expected did not come in time. */
void delack_on_timer(struct utcp_conn *conn)
{
    struct delack *delack = &conn->delack;

    if (delack->interactive)
        delack->delay = least_delay(conn);
    else
        delack->delay = min_u64(2 * delack->delay, conn->rtt.rto);
    delack->interactive = false;
    tcp_ack_due(conn);
    stack_want_send(conn);
}

/* As Linux: a reader that is done with all there is, when the last segment was a short one, is waiting
 * for more, or has something to say only after another read. */
void delack_on_read(struct utcp_conn *conn)
{
    const struct delack *delack = &conn->delack;
    bool drained = conn->rcv_buf.len == 0;
    bool asks = delack->small > 1 || (delack->small > 0 && !delack->interactive);

    if (!delack->waits)
        return;
    if (conn->rcv_nxt - conn->rcv_acked > conn->rcv_mss || (drained && asks)) {
        tcp_ack_due(conn);
        stack_want_send(conn);
    }
}

void delack_set_quick(struct utcp_conn *conn, bool quick)
{
    conn->delack.interactive = !quick;
    if (quick && conn->delack.waits) {
        tcp_ack_due(conn);
        stack_want_send(conn);
    }
}
