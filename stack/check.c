/* SPDX-License-Identifier: MIT */
/* The invariants of a stack, for tests: each a sentence that must be true after every call. */
#include "stack.h"

static const char *check_sequence_variables(const struct utcp_conn *conn)
{
    if (seq_gt(conn->snd_una, conn->snd_nxt))
        return "snd_una is at most snd_nxt";
    if (seq_gt(conn->snd_nxt, snd_end(conn) + conn->fin_queued))
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
    bool flying = outstanding(conn) > 0;
    bool waiting = seq_lt(conn->snd_nxt, snd_end(conn));

    if (flying && !tcp_timer_runs(conn, TIMER_RETRANSMIT))
        return "data in flight means that the retransmission timer runs";
    if (!flying && waiting && !tcp_timer_runs(conn, TIMER_PERSIST) &&
        !tcp_timer_runs(conn, TIMER_PACE) && !list_linked(&conn->send_link))
        return "data that waits means that a timer runs";
    if (conn->state == TCP_TIME_WAIT && !tcp_timer_runs(conn, TIMER_TIME_WAIT))
        return "TIME-WAIT ends";
    return NULL;
}

static uint32_t recount(const struct flight *flight, const struct sent_queue *queue)
{
    uint32_t total = 0;

    for (uint32_t i = 0; i < queue->count; i++)
        total += flight_item(flight, queue, i)->to - flight_item(flight, queue, i)->from;
    return total;
}

/* All together there are as many as are outstanding. That none is in two places the simulator sees. */
static const char *check_flight(const struct utcp_conn *conn)
{
    const struct flight *flight = &conn->flight;

    if (recount(flight, &flight->log) != flight->log_bytes ||
        recount(flight, &flight->lost) != flight->lost_bytes ||
        ranges_total(&flight->sacked) != flight->sacked_bytes)
        return "the bytes in flight, lost and SACKed are as many as a recount finds";
    if (flight->log_bytes + flight->lost_bytes + flight->sacked_bytes != outstanding(conn))
        return "what is outstanding is in flight, lost, or SACKed";
    for (uint32_t i = 0; i < flight->log.count + flight->lost.count; i++) {
        const struct sent *sent = i < flight->log.count
                                      ? flight_item(flight, &flight->log, i)
                                      : flight_item(flight, &flight->lost, i - flight->log.count);

        if (seq_lt(sent->from, conn->snd_una) || seq_gt(sent->to, conn->snd_nxt) ||
            seq_ge(sent->from, sent->to) ||
            ranges_overlap(&flight->sacked, sent->from, sent->to) > 0)
            return "no transmission is acknowledged, or SACKed, or empty";
    }
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
    if (conn->mss + IPV4_HEADER + TCP_HEADER > conn->path.mtu_bytes)
        return "a segment fits the path";
    broken = check_sequence_variables(conn);
    if (broken == NULL)
        broken = check_timers(conn);
    if (broken == NULL)
        broken = check_flight(conn);
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
