/* SPDX-License-Identifier: MIT */
/*
 * Taking back what proves to be spurious. A reduction of the window was wrong when nothing was lost:
 * when DSACKs account for all that was sent again (RFC 3708), when the ACK that ends it echoes the
 * timestamp of the original (Eifel, RFC 3522 and RFC 4015), or, after a time-out, when something that
 * went only once is delivered (F-RTO, RFC 5682).
 */
#include "stack.h"
#include "tcp/tcb.h"

void undo_init(struct utcp_conn *conn, bool with_window)
{
    conn->recovery.undo = (struct undo){
        .valid = true,
        .marker = conn->snd_una,
        .cwnd = with_window ? conn->cc.cwnd : 0,
        .ssthresh = with_window ? conn->cc.ssthresh : 0,
    };
}

void undo_keep_window(struct utcp_conn *conn)
{
    conn->recovery.undo.cwnd = conn->recovery.undo.ssthresh = 0;
}

void undo_on_dsack(struct utcp_conn *conn, struct range range)
{
    struct undo *undo = &conn->recovery.undo;
    uint32_t len = range.to - range.from;

    if (seq_lt(range.from, undo->marker))
        return;
    undo->undelivered = undo->undelivered > len ? undo->undelivered - len : 0;
}

/* RFC 4015 section 3.2: the window is as it was, and no smaller than it has become. */
static void restore_window(struct utcp_conn *conn)
{
    struct undo *undo = &conn->recovery.undo;
    struct cc *cc = &conn->cc;

    if (undo->cwnd > cc->cwnd)
        cc->cwnd = undo->cwnd;
    if (undo->ssthresh > cc->ssthresh) {
        cc->ssthresh = undo->ssthresh;
        ecn_reduction_undone(conn);
    }
    undo->valid = false;
    /* Without a window to go back to, this recovery reduced nothing: a reduction before it had. */
    if (undo->cwnd > 0)
        congestion_undo(conn);
    conn->stack->counters.tcp_spurious++;
}

static bool all_resent_was_duplicate(const struct undo *undo)
{
    return undo->valid && undo->resent && undo->undelivered == 0;
}

/* "If the value of the Timestamp Echo Reply field is smaller than the value of RetransmitTS", the
 * ACK is that of the original (RFC 3522 section 3.2). */
static bool echoes_original(const struct utcp_conn *conn, const struct delivery *delivery)
{
    const struct undo *undo = &conn->recovery.undo;

    return undo->valid && undo->first_resent != 0 && delivery->has_ts_echo &&
           delivery->ts_echo != 0 && seq_lt(delivery->ts_echo, undo->first_resent_ts);
}

bool undo_by_dsack(struct utcp_conn *conn)
{
    if (!all_resent_was_duplicate(&conn->recovery.undo))
        return false;
    restore_window(conn);
    return true;
}

bool undo_by_echo(struct utcp_conn *conn, const struct delivery *delivery)
{
    if (!echoes_original(conn, delivery))
        return false;
    restore_window(conn);
    return true;
}

bool undo_timeout(struct utcp_conn *conn, const struct delivery *delivery, bool frto)
{
    const struct undo *undo = &conn->recovery.undo;

    if (!undo->valid)
        return false;
    if (!frto && !all_resent_was_duplicate(undo) && !echoes_original(conn, delivery))
        return false;
    restore_window(conn);
    flight_restore(conn);
    got_through(conn);
    return true;
}
