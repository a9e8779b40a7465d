/* SPDX-License-Identifier: MIT */
/* The user calls of RFC 9293 section 3.10: OPEN, SEND, RECEIVE, CLOSE, ABORT, STATUS. */
#include <errno.h>

#include "stack.h"
#include "tcp/tcb.h"

static void set_now(struct utcp_conn *conn, utcp_time now)
{
    conn->stack->now = now;
}

/* ---- OPEN ---- */

struct utcp_conn *utcp_open(struct utcp_stack *stack, void *user)
{
    struct utcp_conn *conn = stack_add_conn(stack);

    if (conn != NULL)
        conn->user = user;
    return conn;
}

static bool is_unspecified(const struct utcp_addr *addr)
{
    static const uint8_t zero[16];

    for (size_t i = 0; i < sizeof(zero); i++) {
        if (addr->bytes[i] != 0)
            return false;
    }
    return true;
}

int utcp_bind(struct utcp_conn *conn, const struct utcp_endpoint *local)
{
    struct utcp_endpoint wanted = *local;

    if (local->addr.family != UTCP_IPV4)
        return -EAFNOSUPPORT;
    if (!is_unspecified(&local->addr) && !same_addr(&local->addr, &conn->stack->addr))
        return -EADDRNOTAVAIL;
    if (conn->state != TCP_CLOSED || conn->had_peer || conn->bound)
        return -EINVAL;
    if (wanted.port != 0 && !stack_port_free(conn, &wanted))
        return -EADDRINUSE;
    conn->local = wanted;
    if (wanted.port == 0 && !stack_pick_port(conn))
        return -EADDRINUSE;
    conn->bound = true;
    stack_insert_port(conn);
    return 0;
}

/* As on Linux, a socket that was once connected never connects again: its buffers still hold what
 * was said on the old connection. */
static bool was_established(const struct utcp_conn *conn)
{
    return conn->cc.ops != NULL;
}

/* 0 when a connection may be begun now. */
static int may_connect(const struct utcp_conn *conn, const struct utcp_endpoint *remote)
{
    if (conn->state == TCP_LISTEN)
        return -EISCONN;
    if (conn->state == TCP_SYN_SENT || conn->state == TCP_SYN_RECEIVED)
        return -EALREADY;
    if (conn->state != TCP_CLOSED || was_established(conn))
        return -EISCONN;
    if (remote->addr.family != UTCP_IPV4)
        return -EAFNOSUPPORT;
    /* Nobody can answer from nowhere, from a group, or to all: RFC 1122 section 3.2.1.3. */
    if (remote->port == 0 || is_unspecified(&remote->addr) || remote->addr.bytes[0] >= 224)
        return -ENETUNREACH;
    return 0;
}

/* A failed attempt leaves a socket that may try again, as on Linux. */
static void forget_last_attempt(struct utcp_conn *conn)
{
    conn->error = conn->soft_error = 0;
    got_through(conn);
    conn->had_peer = false;
    if (!conn->bound)
        conn->local.port = 0;
}

int utcp_connect(struct utcp_conn *conn, const struct utcp_endpoint *remote, utcp_time now)
{
    int error = may_connect(conn, remote);
    struct utcp_conn *predecessor;

    set_now(conn, now);
    if (error != 0)
        return error;
    forget_last_attempt(conn);
    conn->remote = *remote;
    conn->local.addr = conn->stack->addr;
    if (conn->local.port == 0 && !stack_pick_port(conn))
        return -EADDRNOTAVAIL;
    predecessor = stack_find_tuple(conn->stack, &conn->local, &conn->remote);
    if (predecessor != NULL && tcp_may_succeed(predecessor))
        tcp_finish(predecessor, 0);
    if (!stack_insert_tuple(conn))
        return -EADDRNOTAVAIL;
    tcp_set_state(conn, TCP_SYN_SENT);
    tcp_start_sending(conn, predecessor);
    return 0;
}

int utcp_listen(struct utcp_conn *conn, unsigned backlog)
{
    if (conn->state == TCP_LISTEN) {
        conn->backlog = backlog;
        return 0;
    }
    if (conn->state != TCP_CLOSED || conn->had_peer)
        return -EINVAL;
    if (!conn->bound) {
        conn->local.addr = (struct utcp_addr){.family = UTCP_IPV4};
        if (!stack_pick_port(conn))
            return -EADDRINUSE;
        conn->bound = true;
        stack_insert_port(conn);
    }
    tcp_set_state(conn, TCP_LISTEN);
    if (!stack_port_free(conn, &conn->local)) {
        conn->state = TCP_CLOSED;
        return -EADDRINUSE;
    }
    conn->backlog = backlog;
    list_init(&conn->accept_queue);
    return 0;
}

static struct utcp_conn *first_to_accept(const struct utcp_conn *listener)
{
    struct list *link = NULL;

    if (listener->state == TCP_LISTEN)
        link = list_first(&listener->accept_queue);
    return link != NULL ? list_entry(link, struct utcp_conn, accept_link) : NULL;
}

bool utcp_next_to_accept(const struct utcp_conn *listener, struct utcp_endpoint *remote)
{
    const struct utcp_conn *conn = first_to_accept(listener);

    if (conn != NULL)
        *remote = conn->remote;
    return conn != NULL;
}

struct utcp_conn *utcp_accept(struct utcp_conn *listener, void *user)
{
    struct utcp_conn *conn = first_to_accept(listener);

    if (conn == NULL)
        return NULL;
    list_remove(&conn->accept_link);
    listener->accept_count--;
    conn->listener = NULL;
    conn->user = user;
    stack_want_tell(conn);
    return conn;
}

/* ---- SEND ---- */

bool utcp_can_send(const struct utcp_conn *conn)
{
    return (conn->state == TCP_ESTABLISHED || conn->state == TCP_CLOSE_WAIT) && !conn->fin_queued;
}

bool utcp_connecting(const struct utcp_conn *conn)
{
    return conn->state == TCP_SYN_SENT || conn->state == TCP_SYN_RECEIVED;
}

static size_t send_room(const struct utcp_conn *conn)
{
    size_t room = chunks_room(conn), most = ring_free(&conn->snd_buf);

    return room < most ? room : most;
}

long utcp_send_space(struct utcp_conn *conn, struct utcp_slice space[2])
{
    size_t room;

    if (conn->error != 0)
        return utcp_take_error(conn);
    if (utcp_connecting(conn))
        return -EAGAIN;
    if (!utcp_can_send(conn))
        return -EPIPE;
    if (!buffers_allocate_send(conn))
        return -ENOBUFS;
    room = send_room(conn);
    if (room == 0) {
        /* The user knows now: to be writable again is news, whatever was told before. */
        conn->told &= ~UTCP_OUT;
        return -EAGAIN;
    }
    ring_slices(&conn->snd_buf, conn->snd_buf.len, room, space);
    conn->snd_lent = true;
    return (long)room;
}

void utcp_send_commit(struct utcp_conn *conn, size_t len, unsigned flags, utcp_time now)
{
    set_now(conn, now);
    conn->snd_lent = false;
    /* The connection may have ended while the bytes were copied. */
    if (len == 0 || !utcp_can_send(conn))
        return;
    ring_append(&conn->snd_buf, len);
    chunks_append(conn, (uint32_t)len, flags);
    conn->more = (flags & UTCP_SEND_MORE) != 0;
    if ((flags & UTCP_SEND_URGENT) != 0)
        urgent_mark(conn);
    tcp_timer_review(conn);
    stack_want_send(conn);
    stack_want_tell(conn);
}

/* ---- RECEIVE ---- */

long utcp_receive_data(struct utcp_conn *conn, struct utcp_slice data[2])
{
    uint32_t skip, len = urgent_stretch(conn, &skip);

    if (len > 0) {
        ring_slices(&conn->rcv_buf, skip, len, data);
        return (long)len;
    }
    if (conn->error != 0)
        return utcp_take_error(conn);
    if (conn->fin_received || conn->shut_rd)
        return 0;
    if (conn->state == TCP_LISTEN || (conn->state == TCP_CLOSED && !conn->had_peer))
        return -ENOTCONN;
    return conn->state == TCP_CLOSED ? 0 : -EAGAIN;
}

void utcp_receive_commit(struct utcp_conn *conn, size_t len, utcp_time now)
{
    set_now(conn, now);
    ring_drop(&conn->rcv_buf, len + (len > 0 ? conn->urgent.hidden : 0));
    urgent_on_read(conn);
    buffers_rewind(conn);
    stack_want_tell(conn);
    if (!tcp_synchronized(conn->state))
        return;
    buffers_on_read(conn);
    delack_on_read(conn);
    if (tcp_window_update_due(conn)) {
        tcp_ack_due(conn);
        stack_want_send(conn);
    }
    rings_review(conn);
}

/* ---- CLOSE and ABORT ---- */

static void shut_sending(struct utcp_conn *conn)
{
    if (conn->fin_queued)
        return;
    conn->fin_queued = true;
    if (conn->state == TCP_ESTABLISHED)
        tcp_set_state(conn, TCP_FIN_WAIT_1);
    else if (conn->state == TCP_CLOSE_WAIT)
        tcp_set_state(conn, TCP_LAST_ACK);
    tcp_timer_review(conn);
    stack_want_send(conn);
    stack_want_tell(conn);
}

int utcp_shutdown(struct utcp_conn *conn, unsigned how, utcp_time now)
{
    set_now(conn, now);
    if (!tcp_synchronized(conn->state) && !utcp_connecting(conn))
        return -ENOTCONN;
    if (conn->state == TCP_TIME_WAIT) /* of which Linux's socket knows nothing any more */
        return -ENOTCONN;
    if ((how & UTCP_SHUT_RD) != 0)
        conn->shut_rd = true;
    if ((how & UTCP_SHUT_WR) != 0 && conn->state == TCP_SYN_SENT)
        tcp_finish(conn, 0);
    else if ((how & UTCP_SHUT_WR) != 0)
        shut_sending(conn);
    stack_want_tell(conn);
    return 0;
}

/* A listener's children that nobody accepted have nobody to go to. */
static void abort_children(struct utcp_conn *listener)
{
    struct utcp_stack *stack = listener->stack;
    struct list *link = stack->all.next;

    while (link != &stack->all) {
        struct utcp_conn *conn = list_entry(link, struct utcp_conn, all_link);

        link = link->next;
        if (conn->listener != listener)
            continue;
        if (conn->state != TCP_CLOSED)
            tcp_output_reset(conn);
        tcp_leave_listener(conn);
        tcp_finish(conn, 0);
        stack_reap(conn);
    }
}

void utcp_accept_undo(struct utcp_conn *listener, struct utcp_conn *conn)
{
    conn->user = NULL;
    list_remove(&conn->tell_link);
    list_prepend(&listener->accept_queue, &conn->accept_link);
    listener->accept_count++;
    conn->listener = listener;
}

static void let_go(struct utcp_conn *conn)
{
    conn->user = NULL;
    list_remove(&conn->tell_link);
    stack_remove_port(conn);
    buffers_free_unused(conn);
    stack_reap(conn);
}

void utcp_close(struct utcp_conn *conn, utcp_time now)
{
    set_now(conn, now);
    if (conn->state == TCP_LISTEN) {
        abort_children(conn);
        tcp_finish(conn, 0);
    } else if (conn->state == TCP_SYN_SENT) {
        tcp_finish(conn, 0);
    } else if (conn->rcv_buf.len > 0 && tcp_synchronized(conn->state)) {
        tcp_output_reset(conn);
        tcp_finish(conn, 0);
    } else if (conn->state != TCP_CLOSED) {
        shut_sending(conn);
    }
    if (conn->state == TCP_FIN_WAIT_2)
        tcp_start_fin_wait2_orphan(conn);
    let_go(conn);
}

void utcp_abort(struct utcp_conn *conn, utcp_time now)
{
    set_now(conn, now);
    if (conn->state == TCP_LISTEN)
        abort_children(conn);
    else if (conn->state != TCP_TIME_WAIT && conn->state != TCP_SYN_SENT &&
             conn->state != TCP_CLOSED)
        tcp_output_reset(conn);
    tcp_finish(conn, 0);
    let_go(conn);
}

/* ---- readiness, options, STATUS ---- */

int utcp_take_error(struct utcp_conn *conn)
{
    int error = conn->error;

    conn->error = 0;
    if (error != 0)
        stack_want_tell(conn);
    return error;
}

/* Linux calls a socket writable when a third of the buffer is free, and less than half of what it may
 * hold unsent is not sent: sk_stream_is_writeable(), tcp_stream_memory_free(). */
static bool writable(const struct utcp_conn *conn)
{
    size_t cost = chunks_cost(conn);
    uint64_t unsent = snd_end(conn) - conn->snd_nxt;

    return !utcp_can_send(conn) ||
           (cost + cost / 2 <= conn->snd_limit && 2 * unsent < chunks_unsent_limit(conn));
}

unsigned utcp_ready(const struct utcp_conn *conn)
{
    bool gone = conn->state == TCP_CLOSED && conn->had_peer;
    bool end_of_data = conn->fin_received || conn->shut_rd || gone;
    unsigned ready = 0;

    if (conn->state == TCP_LISTEN)
        return conn->accept_count > 0 ? UTCP_IN : 0;
    if (utcp_connecting(conn))
        return 0;
    if (conn->urgent.state == URGENT_HERE)
        ready |= UTCP_PRI;
    if (urgent_readable(conn) > 0 || end_of_data || conn->error != 0)
        ready |= UTCP_IN;
    if (gone || writable(conn))
        ready |= UTCP_OUT;
    if (end_of_data)
        ready |= UTCP_RDHUP;
    if (gone || (end_of_data && conn->fin_queued))
        ready |= UTCP_HUP;
    if (conn->error != 0)
        ready |= UTCP_ERR;
    return ready;
}

static uint32_t unsent_bytes(const struct utcp_conn *conn)
{
    tcp_seq end = snd_end(conn);

    return conn->had_peer && seq_gt(end, conn->snd_nxt) ? end - conn->snd_nxt : 0;
}

static void describe_times(const struct utcp_conn *conn, utcp_time now, struct utcp_info *info)
{
    info->data_sent_at = conn->data_sent_at;
    info->data_received_at = conn->data_received_at;
    info->ack_received_at = conn->ack_received_at;
    info->window_limited = chrono_total(conn, CHRONO_WINDOW, now);
    info->buffer_limited = chrono_total(conn, CHRONO_BUFFER, now);
    info->busy_time =
        chrono_total(conn, CHRONO_BUSY, now) + info->window_limited + info->buffer_limited;
}

static void describe_counts(const struct utcp_conn *conn, struct utcp_info *info)
{
    info->retransmits = conn->backoff;
    info->total_retransmits = conn->count.retransmits;
    info->bytes_sent = conn->count.bytes_sent;
    info->bytes_retransmitted = conn->count.bytes_retransmitted;
    info->bytes_acked = conn->count.bytes_acked;
    info->bytes_received = conn->count.bytes_received;
    info->segs_in = conn->count.segs_in;
    info->segs_out = conn->count.segs_out;
    info->data_segs_in = conn->count.data_segs_in;
    info->data_segs_out = conn->count.data_segs_out;
    info->out_of_order = conn->count.out_of_order;
    info->reorderings = conn->count.reorderings;
    info->delivered = conn->count.bytes_delivered;
    info->delivered_marked = conn->count.bytes_delivered_marked;
    info->accept_queued = conn->accept_count;
    info->backlog = conn->backlog;
}

/* As Linux has it, the tail loss probe is none of them: what it repeats is not held to be lost. */
static bool is_probe(const struct utcp_conn *conn, const struct sent *sent)
{
    const struct tail_probe *probe = &conn->recovery.probe;

    return probe->out && probe->resent && sent->to == probe->high;
}

static uint32_t resent_in_flight(const struct utcp_conn *conn)
{
    const struct flight *flight = &conn->flight;
    uint32_t bytes = 0;

    for (uint32_t i = 0; i < flight->log.count; i++) {
        const struct sent *sent = flight_item(flight, &flight->log, i);

        bytes += sent->resent && !is_probe(conn, sent) ? sent->to - sent->from : 0;
    }
    return bytes;
}

static void describe_recovery(const struct utcp_conn *conn, struct utcp_info *info)
{
    info->recovery = (uint8_t)conn->recovery.state;
    info->snd_sacked = conn->flight.sacked_bytes;
    info->snd_resent = resent_in_flight(conn);
    info->snd_lost = conn->flight.lost_bytes + info->snd_resent;
    info->snd_outstanding = outstanding(conn);
    info->reordering = conn->recovery.reordering;
    info->dsacks = conn->recovery.dsacks;
    info->sack_ok = conn->sack_ok;
    info->timestamps_ok = conn->timestamps_ok;
    info->ecn_ok = conn->ecn.ok;
    info->ecn_seen = conn->ecn.seen;
    info->min_rtt = conn->rtt.min != UINT64_MAX ? conn->rtt.min : 0;
}

void utcp_info(const struct utcp_conn *conn, utcp_time now, struct utcp_info *info)
{
    *info = (struct utcp_info){
        .state = conn->state,
        .local = conn->local,
        .remote = conn->remote,
        .mss = conn->mss,
        .rcv_mss = conn->rcv_mss,
        .pmtu = conn->had_peer ? conn->path.mtu_bytes : conn->stack->mtu_bytes,
        .adv_mss = tcp_path_mss(conn),
        .cwnd = conn->cc.cwnd,
        .ssthresh = conn->cc.ssthresh,
        .pacing_rate = pacing_rate(conn),
        .max_pacing_rate = conn->pacing.max_rate,
        .snd_wnd = conn->snd_wnd,
        .rcv_wnd = conn->rcv_adv - conn->rcv_nxt,
        .snd_wscale = conn->snd_wscale,
        .rcv_wscale = conn->rcv_wscale,
        .wscale_ok = conn->wscale_ok,
        .srtt = conn->rtt.srtt,
        .rttvar = conn->rtt.rttvar,
        .rto = rtt_rto(&conn->rtt, &conn->stack->settings, conn->backoff),
        .rcv_queued = urgent_readable(conn),
        .may_send = utcp_can_send(conn) || utcp_connecting(conn),
        .at_mark = utcp_at_mark(conn),
        .snd_queued = (uint32_t)conn->snd_buf.len,
        .snd_unsent = unsent_bytes(conn),
    };
    describe_counts(conn, info);
    describe_times(conn, now, info);
    describe_recovery(conn, info);
}
