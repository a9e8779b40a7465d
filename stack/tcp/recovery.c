/* SPDX-License-Identifier: MIT */
/*
 * Loss recovery without SACK: fast retransmit and fast recovery of RFC 5681 with the NewReno
 * modification (RFC 6582), and what a time-out does (RFC 5681 section 3.1, RFC 6298 section 5).
 *
 * Fast retransmit sends the head of what is in flight again and leaves snd_nxt alone. A time-out
 * takes snd_nxt back to snd_una: everything from there is sent again as the window opens.
 */
#include "stack.h"
#include "tcp/tcb.h"

#define DUP_ACK_THRESHOLD 3

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* RFC 6582 section 3.2 step 2: "the data sender ... sets recover to the highest sequence number
 * transmitted"; step 3: "ssthresh = max (FlightSize / 2, 2*SMSS)", then the lost segment is sent
 * again and cwnd is ssthresh plus the three segments that have left the network. */
static void enter_recovery(struct utcp_conn *conn)
{
    struct cc *cc = &conn->cc;

    congestion_signal(conn, CC_LOSS);
    cc->cwnd = cc->ssthresh + DUP_ACK_THRESHOLD * cc->mss;
    conn->recovery.active = true;
    conn->recovery.recover = conn->snd_max;
    conn->recovery.recover_valid = true;
    conn->recovery.retransmit_head = true;
    conn->rtt.timing = false;
    conn->stack->counters.tcp_fast_retransmits++;
}

void recovery_on_dup_ack(struct utcp_conn *conn)
{
    struct recovery *recovery = &conn->recovery;

    conn->stack->counters.tcp_dup_acks++;
    if (recovery->active) {
        /* RFC 5681 section 3.2 step 4: each further duplicate tells of a segment that has left. */
        conn->cc.cwnd += conn->cc.mss;
        return;
    }
    recovery->dup_acks++;
    if (recovery->dup_acks != DUP_ACK_THRESHOLD)
        return;
    /* RFC 6582 section 3.2 step 2: duplicates caused by what a time-out sent again tell nothing. */
    if (recovery->recover_valid && !seq_gt(conn->snd_una, recovery->recover))
        return;
    enter_recovery(conn);
}

/* RFC 6582 section 3.2 step 3, a full acknowledgment. */
static void leave_recovery(struct utcp_conn *conn)
{
    struct cc *cc = &conn->cc;

    conn->recovery.active = false;
    conn->recovery.retransmit_head = false;
    cc->cwnd = min_u32(cc->ssthresh, max_u32(in_flight(conn), cc->mss) + cc->mss);
}

/* ... and a partial one: "retransmit the first unacknowledged segment. Deflate the congestion
 * window by the amount of new data acknowledged", plus one SMSS if that was at least one. */
static void stay_in_recovery(struct utcp_conn *conn, uint32_t acked)
{
    struct cc *cc = &conn->cc;

    conn->recovery.retransmit_head = true;
    cc->cwnd = cc->cwnd > acked ? cc->cwnd - acked : 0;
    if (acked >= cc->mss)
        cc->cwnd += cc->mss;
    cc->cwnd = max_u32(cc->cwnd, cc->mss);
}

bool recovery_on_ack(struct utcp_conn *conn, uint32_t acked)
{
    struct recovery *recovery = &conn->recovery;

    recovery->dup_acks = 0;
    if (!recovery->active) {
        /* A recover left far behind would one day lie ahead again. */
        if (recovery->recover_valid && seq_gt(conn->snd_una, recovery->recover))
            recovery->recover_valid = false;
        return true;
    }
    if (seq_ge(conn->snd_una, recovery->recover))
        leave_recovery(conn);
    else
        stay_in_recovery(conn, acked);
    return false;
}

void recovery_on_timeout(struct utcp_conn *conn)
{
    struct cc *cc = &conn->cc;

    /* RFC 5681 section 3.1: a second time-out of the same segment leaves ssthresh as it is. */
    if (conn->backoff == 1)
        congestion_signal(conn, CC_TIMEOUT);
    cc->cwnd = cc->mss;
    conn->recovery = (struct recovery){.recover_valid = true, .recover = conn->snd_max};
    conn->snd_nxt = conn->snd_una;
}
