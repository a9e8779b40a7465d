/* SPDX-License-Identifier: MIT */
/* Sends what plan.c has decided on: the headers and options of a segment, and what is noted of it. */
#include <string.h>

#include "stack.h"
#include "tcp/plan.h"
#include "tcp/tcb.h"

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* ---- the packet ---- */

static void fill_syn_options(const struct utcp_conn *conn, struct tcp_options *options)
{
    bool answers = (tcp_state_flags(conn->state) & TCP_ACK) != 0;

    options->sack_permitted = answers ? conn->sack_ok : conn->stack->settings.sack != 0;
    options->mss = (uint16_t)tcp_path_mss(conn);
    options->has_wscale = answers ? conn->wscale_ok : conn->stack->settings.window_scaling != 0;
    options->wscale = conn->rcv_wscale;
}

static void fill_options(struct utcp_conn *conn, bool syn, struct tcp_options *options)
{
    bool offers = conn->state == TCP_SYN_SENT && conn->stack->settings.timestamps != 0;

    if (syn)
        fill_syn_options(conn, options);
    else
        sack_write(conn, options);
    /* RFC 7323 section 3.2: "Once TSopt has been successfully negotiated, ... TSopt MUST be sent in
     * every non-<RST> segment". */
    if (conn->timestamps_ok || offers)
        timestamps_write(conn, options);
}

/* RFC 7323 section 2.2: the window of a SYN is never scaled. */
static uint16_t syn_window(const struct utcp_conn *conn)
{
    return (uint16_t)min_u32(conn->rcv_limit, 65535);
}

static struct ipv4 ip_header(const struct utcp_conn *conn)
{
    return (struct ipv4){
        .dst = conn->remote.addr,
        .protocol = IP_TCP,
        .ttl = conn->ttl,
        .tos = conn->tos,
        .dont_fragment = tcp_dont_fragment(conn),
    };
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
    struct ipv4 ip = ip_header(conn);
    uint32_t payload = plan_payload(conn);
    size_t tcp_len;

    segment.window = syn ? syn_window(conn) : tcp_advertise(conn);
    fill_options(conn, syn, &segment.options);
    if (syn)
        segment.flags |= ecn_syn_flags(conn);
    ip.tos |= ecn_write(conn, &segment);
    urgent_write(conn, &segment);
    *packet = (struct utcp_packet){.tcp_offset = IPV4_HEADER, .payload_len = plan->len};
    tcp_len = tcp_write(packet->header + IPV4_HEADER, &segment);
    packet->header_len = IPV4_HEADER + tcp_len;
    ip.payload_len = tcp_len + plan->len;
    stack_write_ip(conn->stack, packet->header, &ip);
    if (plan->len > 0)
        ring_slices(&conn->snd_buf, plan->seq - conn->snd_buf_seq, plan->len, packet->payload);
    if (plan->len > payload) {
        packet->segment_bytes = payload;
        /* Each segment will have an identification of its own. */
        conn->stack->ip_id += (uint16_t)((plan->len - 1) / payload);
    }
}

/* A packet of a connection that will not be there when it goes out. */
static void queue_packet(struct utcp_conn *conn, const struct plan *plan)
{
    struct ipv4 ip = ip_header(conn);
    struct utcp_packet packet;
    uint8_t *body;

    write_packet(conn, plan, &packet);
    ip.payload_len = packet.header_len - packet.tcp_offset;
    body = stack_reply(conn->stack, &ip);
    if (body != NULL)
        memcpy(body, packet.header + packet.tcp_offset, ip.payload_len);
}

void tcp_output_syn_ack(struct utcp_conn *conn)
{
    struct plan plan = {.seq = conn->iss, .flags = tcp_state_flags(conn->state)};

    queue_packet(conn, &plan);
}

void tcp_output_reset(struct utcp_conn *conn)
{
    struct plan plan = {.seq = plan_bare_seq(conn), .flags = TCP_RST | TCP_ACK};

    queue_packet(conn, &plan);
    conn->stack->counters.tcp_rst_out++;
}

bool utcp_last_words(struct utcp_conn *conn, struct utcp_packet *packet)
{
    struct plan plan = {.seq = plan_bare_seq(conn), .flags = TCP_RST | TCP_ACK};

    if (!tcp_synchronized(conn->state) || conn->state == TCP_TIME_WAIT)
        return false;
    write_packet(conn, &plan, packet);
    return true;
}

static uint32_t segments_in(const struct utcp_packet *packet)
{
    size_t each = packet->segment_bytes;

    return each > 0 ? (uint32_t)((packet->payload_len + each - 1) / each) : 1;
}

static void count_sent(struct utcp_conn *conn, const struct plan *plan, uint32_t segments,
                       bool resent)
{
    struct utcp_counters *counters = &conn->stack->counters;

    counters->tcp_out += segments;
    conn->count.segs_out += segments;
    conn->count.bytes_sent += plan->len;
    if (plan->len > 0) {
        conn->count.data_segs_out += segments;
        conn->data_sent_at = conn->stack->now;
    }
    if (!resent)
        return;
    counters->tcp_retransmits += segments;
    conn->count.retransmits += segments;
    conn->count.bytes_retransmitted += plan->len;
}

/* RFC 6298 section 3 (Karn): a SYN that went twice is not timed. */
static void note_syn(struct utcp_conn *conn, bool resent)
{
    conn->syn_sent_at = resent ? 0 : conn->stack->now;
    conn->snd_nxt = conn->iss + 1;
    conn->send_syn = false;
}

/* In segments of so many bytes. */
static void note_text(struct utcp_conn *conn, tcp_seq from, tcp_seq to, uint32_t payload,
                      bool resent)
{
    flight_send(conn, from, to, (uint16_t)payload, resent);
    if (!resent && (to - from) % payload != 0)
        conn->snd_sml = to;
    recovery_on_sent(conn, to - from, resent);
    conn->snd_nxt = seq_max(conn->snd_nxt, to);
    /* Where less than the buffer may wait unsent, what leaves makes room. */
    if (chunks_unsent_limit(conn) < UINT32_MAX)
        stack_want_tell(conn);
    congestion_sent(conn, resent);
    conn->probe_now = false;
    /* As Linux: from the head's repetition on, a time-out is waited for anew. */
    if (from == conn->snd_una && resent)
        tcp_timer_stop(conn, TIMER_RETRANSMIT);
}

static void note_tail_probe(struct utcp_conn *conn, bool resent)
{
    struct tail_probe *probe = &conn->recovery.probe;

    if (probe->due)
        *probe = (struct tail_probe){.out = true, .resent = resent, .high = conn->snd_nxt};
}

/* Every segment carries an ACK; only a bare one counts as one of several duplicates. */
static void settle_acks(struct utcp_conn *conn, const struct plan *plan)
{
    bool bare = plan->len == 0 && (plan->flags & (TCP_SYN | TCP_FIN)) == 0;

    if (conn->acks_due == 1 || (bare && conn->acks_due > 0))
        conn->acks_due--;
    conn->rcv_acked = conn->rcv_nxt;
    delack_on_ack_sent(conn);
}

static void note_sent(struct utcp_conn *conn, const struct plan *plan,
                      const struct utcp_packet *packet, uint32_t payload)
{
    bool syn = (plan->flags & TCP_SYN) != 0;
    tcp_seq end = plan->seq + plan->len + syn + ((plan->flags & TCP_FIN) != 0);
    bool resent = end != plan->seq && seq_lt(plan->seq, conn->snd_nxt);

    count_sent(conn, plan, segments_in(packet), resent);
    if (syn) {
        note_syn(conn, resent);
    } else if (end != plan->seq) {
        note_text(conn, plan->seq, end, payload, resent);
        delack_on_data_sent(conn);
        pacing_sent(conn, plan->len);
        note_tail_probe(conn, resent);
    } else {
        conn->probe_now = false;
    }
    settle_acks(conn, plan);
    tcp_timer_review(conn);
    if (end != plan->seq && !resent)
        probe_schedule(conn);
}

/* False when there is no memory to remember what is sent: then it waits, and only an ACK can go. */
static bool remembers(struct utcp_conn *conn, const struct plan *plan)
{
    bool text = plan->len > 0 || (plan->flags & TCP_FIN) != 0;

    return !text || flight_reserve(conn);
}

/* Data that goes after a pause is planned again when the pause has cut the window. */
static bool plan_in_valid_window(struct utcp_conn *conn, struct plan *plan)
{
    if (!plan_next(conn, plan))
        return false;
    return plan->len == 0 || !congestion_before_sending(conn) || plan_next(conn, plan);
}

bool tcp_output(struct utcp_conn *conn, struct utcp_packet *packet)
{
    struct plan plan;
    uint32_t payload;

    if (conn->path.expires <= conn->stack->now)
        tcp_look_up_path(conn);
    if (!plan_in_valid_window(conn, &plan) || (!remembers(conn, &plan) && !plan_ack(conn, &plan))) {
        conn->recovery.probe.due = false;
        chrono_review(conn);
        return false;
    }
    payload = plan_payload(
        conn); /* a duplicate that the packet tells of takes of it, but not of the next */
    write_packet(conn, &plan, packet);
    note_sent(conn, &plan, packet, payload);
    return true;
}
