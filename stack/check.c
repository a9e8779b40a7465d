/* SPDX-License-Identifier: MIT */
/* The invariants of a stack, for tests: each a sentence that must be true after every call. */
#include "stack.h"

static const char *check_sequence_variables(const struct utcp_conn *conn)
{
    if (seq_gt(conn->snd_una, conn->snd_nxt))
        return "snd_una is at most snd_nxt";
    if (seq_gt(conn->snd_nxt, conn->snd_max))
        return "snd_nxt is at most snd_max";
    if (seq_gt(conn->snd_max, snd_end(conn) + conn->fin_queued))
        return "nothing is sent that was not queued";
    if (seq_gt(conn->rcv_nxt, conn->rcv_adv))
        return "rcv_nxt is at most the advertised right edge";
    if (conn->rcv_buf.data != NULL &&
        conn->rcv_buf.len + (conn->rcv_adv - conn->rcv_nxt) > conn->rcv_buf.size)
        return "the receive buffer has room for the window that is advertised";
    return NULL;
}

static const char *check_timers(const struct utcp_conn *conn)
{
    bool flying = conn->snd_max != conn->snd_una;
    bool waiting = seq_lt(conn->snd_max, snd_end(conn));

    if (flying && !tcp_timer_runs(conn, TIMER_RETRANSMIT))
        return "data in flight means that the retransmission timer runs";
    if (!flying && waiting && !tcp_timer_runs(conn, TIMER_PERSIST) &&
        !list_linked(&conn->send_link))
        return "data that waits means that a timer runs";
    if (conn->state == TCP_TIME_WAIT && !tcp_timer_runs(conn, TIMER_TIME_WAIT))
        return "TIME-WAIT ends";
    return NULL;
}

static const char *check_ranges(const struct utcp_conn *conn)
{
    const struct ranges *set = &conn->out_of_order;
    tcp_seq before = conn->rcv_nxt;

    for (size_t i = 0; i < set->count; i++) {
        if (seq_le(set->items[i].from, before))
            return "ranges beyond the hole are sorted and apart";
        before = set->items[i].to;
    }
    if (set->count > 0 && seq_gt(before, conn->rcv_adv))
        return "nothing is kept from beyond the window";
    return NULL;
}

static const char *check_conn(const struct utcp_conn *conn)
{
    const char *broken = NULL;

    if (!tcp_synchronized(conn->state))
        return NULL;
    if (conn->cc.cwnd < conn->mss || conn->cc.cwnd == 0)
        return "cwnd is at least one segment";
    broken = check_sequence_variables(conn);
    if (broken == NULL)
        broken = check_timers(conn);
    return broken != NULL ? broken : check_ranges(conn);
}

const char *utcp_check(const struct utcp_stack *stack)
{
    const char *broken = NULL;

    for (const struct list *link = stack->all.next; link != &stack->all && broken == NULL;
         link = link->next)
        broken = check_conn(list_entry(link, struct utcp_conn, all_link));
    return broken;
}
