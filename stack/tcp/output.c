/* SPDX-License-Identifier: MIT */
/*
 * The only place where it is decided what is sent. Each call builds one segment from the state of the
 * connection, in this order:
 *
 *	1. SYN or SYN-ACK, when one is due
 *	2. the head of what is in flight, when loss recovery asks for it again
 *	3. data and FIN from snd_nxt on, as far as windows, Nagle and silly-window avoidance allow
 *	4. a window probe, when the persist timer fired and nothing else could be sent
 *	5. a bare ACK, when one is due
 *
 * A segment may be as long as many: the device, or utcp_cut_next(), cuts it at segment_bytes.
 */
#include "stack.h"
#include "tcp/tcb.h"

struct plan {
    tcp_seq seq;
    uint32_t len;
    uint8_t flags;
};

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* ---- what to send ---- */

/* Limited transmit, RFC 3042: the first two duplicate ACKs each let one new segment out, so that a
 * small window still brings the third, and with it fast retransmit instead of a time-out. */
static uint32_t congestion_window(const struct utcp_conn *conn)
{
    const struct recovery *recovery = &conn->recovery;
    uint32_t extra = recovery->active ? 0 : min_u32(recovery->dup_acks, 2) * conn->mss;

    return conn->cc.cwnd + extra;
}

/* Bytes from snd_nxt that the peer's and the congestion window allow. */
static uint32_t usable_window(const struct utcp_conn *conn)
{
    uint32_t window = min_u32(conn->snd_wnd, congestion_window(conn));
    uint32_t used = conn->snd_nxt - conn->snd_una;
    uint32_t head;

    if (used > 0 || conn->snd_max == conn->snd_una)
        return used < window ? window - used : 0;
    /* What is sent again from the head goes whatever the window has become: the peer once offered
     * room for it, and its answer tells what it thinks now. */
    head = min_u32(in_flight(conn), conn->mss);
    return window > head ? window : head;
}

/*
 * Sender's silly-window avoidance, RFC 9293 section 3.8.6.2.1, and Nagle's algorithm,
 * section 3.7.4: a segment shorter than the MSS goes when it is all there is and nothing is in
 * flight (or Nagle is off, or FIN follows), when it fills half the peer's largest window, when it
 * goes again, or when the override timer fired.
 */
static bool short_segment_allowed(const struct utcp_conn *conn, uint32_t len, bool is_rest)
{
    if (conn->probe_now || seq_lt(conn->snd_nxt, conn->snd_max))
        return true;
    if (is_rest && (conn->nodelay || conn->fin_queued || in_flight(conn) == 0))
        return true;
    return len >= conn->snd_wnd_max / 2;
}

/* Bytes to send from snd_nxt, 0 = none now. */
static uint32_t data_to_send(const struct utcp_conn *conn)
{
    uint32_t most = (uint32_t)conn->stack->settings.gso / conn->mss * conn->mss;
    tcp_seq end = snd_end(conn);
    uint32_t queued = seq_gt(end, conn->snd_nxt) ? end - conn->snd_nxt : 0;
    uint32_t len = min_u32(queued, usable_window(conn));

    if (most < conn->mss)
        most = conn->mss;
    if (len > most)
        return most;
    if (len % conn->mss == 0 || short_segment_allowed(conn, len % conn->mss, len == queued))
        return len;
    return len - len % conn->mss;
}

/* FIN goes with the last byte, or alone behind it. It takes a sequence number, so it waits for the
 * peer's window; the persist timer lets it out when nothing but FIN is left. */
static bool fin_fits(const struct utcp_conn *conn, tcp_seq seq, uint32_t len)
{
    if (!conn->fin_queued || seq + len != snd_end(conn))
        return false;
    return len > 0 || usable_window(conn) > 0 || conn->probe_now;
}

static bool plan_syn(const struct utcp_conn *conn, struct plan *plan)
{
    if (!conn->send_syn)
        return false;
    *plan = (struct plan){.seq = conn->iss, .flags = tcp_state_flags(conn->state)};
    return true;
}

static bool plan_head(const struct utcp_conn *conn, struct plan *plan)
{
    uint32_t len = min_u32(conn->mss, in_flight(conn));
    tcp_seq end = snd_end(conn);

    if (!conn->recovery.retransmit_head || in_flight(conn) == 0)
        return false;
    *plan = (struct plan){.seq = conn->snd_una, .flags = TCP_ACK};
    plan->len = min_u32(len, end - conn->snd_una);
    if (fin_sent(conn) && conn->snd_una + plan->len == end)
        plan->flags |= TCP_FIN;
    return true;
}

static bool plan_data(const struct utcp_conn *conn, struct plan *plan)
{
    *plan = (struct plan){.seq = conn->snd_nxt, .len = data_to_send(conn), .flags = TCP_ACK};
    if (fin_fits(conn, plan->seq, plan->len))
        plan->flags |= TCP_FIN;
    if (plan->len > 0 && plan->seq + plan->len == snd_end(conn))
        plan->flags |= TCP_PSH;
    return plan->len > 0 || (plan->flags & TCP_FIN) != 0;
}

/* As Linux probes: an old sequence number and no data. The peer must answer with its window; unlike
 * a byte beyond the window, there is nothing it could half accept. */
static bool plan_probe(const struct utcp_conn *conn, struct plan *plan)
{
    if (!conn->probe_now)
        return false;
    *plan = (struct plan){.seq = conn->snd_una - 1, .flags = TCP_ACK};
    return true;
}

/* At the highest number sent, or at the edge of the peer's window when it has moved left since. */
static bool plan_ack(const struct utcp_conn *conn, struct plan *plan)
{
    tcp_seq edge = conn->snd_una + conn->snd_wnd;

    if (conn->acks_due == 0)
        return false;
    *plan = (struct plan){.seq = seq_min(conn->snd_max, edge), .flags = TCP_ACK};
    return true;
}

static bool plan_next(const struct utcp_conn *conn, struct plan *plan)
{
    if (plan_syn(conn, plan))
        return true;
    if (conn->state == TCP_SYN_RECEIVED)
        return plan_ack(conn, plan); /* a challenge: what came was out of place */
    if (!tcp_synchronized(conn->state))
        return false;
    return plan_head(conn, plan) || plan_data(conn, plan) || plan_probe(conn, plan) ||
           plan_ack(conn, plan);
}

/* ---- sending it ---- */

static void fill_syn_options(const struct utcp_conn *conn, struct tcp_options *options)
{
    bool answers = (tcp_state_flags(conn->state) & TCP_ACK) != 0;

    options->sack_permitted = answers ? conn->sack_ok : conn->stack->settings.sack != 0;
    options->mss = (uint16_t)tcp_announced_mss(conn);
    options->has_wscale = answers ? conn->wscale_ok : conn->stack->settings.window_scaling != 0;
    options->wscale = conn->rcv_wscale;
}

/* RFC 7323 section 2.2: the window of a SYN is never scaled. */
static uint16_t syn_window(const struct utcp_conn *conn)
{
    return (uint16_t)min_u32(conn->rcv_limit, 65535);
}

static void write_packet(struct utcp_conn *conn, const struct plan *plan,
                         struct utcp_packet *packet)
{
    bool syn = (plan->flags & TCP_SYN) != 0;
    struct tcp_segment segment = {
        .src = conn->local,
        .dst = conn->remote,
        .seq = plan->seq,
        .ack = (plan->flags & TCP_ACK) != 0 ? conn->rcv_nxt : 0,
        .flags = plan->flags,
        .payload_len = plan->len,
    };
    struct ipv4 ip = {
        .dst = conn->remote.addr,
        .protocol = IP_TCP,
        .ttl = conn->ttl,
        .tos = conn->tos,
        .dont_fragment = true,
    };
    size_t tcp_len;

    segment.window = syn ? syn_window(conn) : tcp_advertise(conn);
    if (syn)
        fill_syn_options(conn, &segment.options);
    *packet = (struct utcp_packet){.tcp_offset = IPV4_HEADER, .payload_len = plan->len};
    tcp_len = tcp_write(packet->header + IPV4_HEADER, &segment);
    packet->header_len = IPV4_HEADER + tcp_len;
    ip.payload_len = tcp_len + plan->len;
    stack_write_ip(conn->stack, packet->header, &ip);
    if (plan->len > 0)
        ring_slices(&conn->snd_buf, plan->seq - conn->snd_buf_seq, plan->len, packet->payload);
    if (plan->len > conn->mss)
        packet->segment_bytes = conn->mss;
}

static uint32_t segments_in(const struct utcp_conn *conn, uint32_t len)
{
    return len > conn->mss ? (len + conn->mss - 1) / conn->mss : 1;
}

/* RFC 6298 section 3 (Karn): only what is sent for the first time is timed. */
static void count_sent(struct utcp_conn *conn, const struct plan *plan, tcp_seq end)
{
    struct utcp_counters *counters = &conn->stack->counters;
    uint32_t segments = segments_in(conn, plan->len);

    counters->tcp_out += segments;
    conn->count.segs_out += segments;
    conn->count.bytes_sent += plan->len;
    if (end == plan->seq)
        return;
    if (seq_lt(plan->seq, conn->snd_max)) {
        counters->tcp_retransmits += segments;
        conn->count.retransmits += segments;
        conn->count.bytes_retransmitted += plan->len;
        conn->rtt.timing = false;
    } else if (!conn->rtt.timing) {
        conn->rtt.timing = true;
        conn->rtt.timed_seq = end;
        conn->rtt.timed_since = conn->stack->now;
    }
}

static void move_on(struct utcp_conn *conn, tcp_seq end)
{
    conn->snd_nxt = seq_max(conn->snd_nxt, end);
    conn->snd_max = seq_max(conn->snd_max, end);
    conn->recovery.retransmit_head = false;
    conn->send_syn = false;
    conn->probe_now = false;
}

/* Every segment carries an ACK; only a bare one counts as one of several duplicates. */
static void settle_acks(struct utcp_conn *conn, const struct plan *plan)
{
    bool bare = plan->len == 0 && (plan->flags & (TCP_SYN | TCP_FIN)) == 0;

    if (conn->acks_due == 1 || (bare && conn->acks_due > 0))
        conn->acks_due--;
    conn->rcv_acked = conn->rcv_nxt;
}

bool tcp_output(struct utcp_conn *conn, struct utcp_packet *packet)
{
    struct plan plan;
    tcp_seq end;

    if (!plan_next(conn, &plan))
        return false;
    end = plan.seq + plan.len + ((plan.flags & TCP_SYN) != 0) + ((plan.flags & TCP_FIN) != 0);
    write_packet(conn, &plan, packet);
    count_sent(conn, &plan, end);
    move_on(conn, end);
    settle_acks(conn, &plan);
    tcp_timer_review(conn);
    return true;
}
