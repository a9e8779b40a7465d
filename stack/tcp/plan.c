/* SPDX-License-Identifier: MIT */
/*
 * The only place where it is decided what is sent. Each call plans one segment from the state of the
 * connection, in this order:
 *
 *	1. SYN or SYN-ACK, when one is due
 *	2. the tail loss probe, and what loss recovery holds to be lost
 *	3. data and FIN from snd_nxt on, as far as windows, Nagle and silly-window avoidance allow
 *	4. a window probe, when the persist timer fired and nothing else could be sent
 *	5. a bare ACK, when one is due
 *
 * A segment may be as long as many: the device, or utcp_cut_next(), cuts it at segment_bytes.
 */
#include "tcp/plan.h"

#include <assert.h>

#include "stack.h"
#include "tcp/tcb.h"

#define TCP_OPTIONS_MAX 40
#define SACK_OPTION 4 /* with its padding */
#define SACK_BLOCK 8
#define PAYLOAD_LEAST 8 /* bytes of data beside the options, however narrow the path */

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t room_below(uint32_t limit, uint32_t used)
{
    return used < limit ? limit - used : 0;
}

/* Bytes that congestion control allows beside what is in flight. In disorder each duplicate takes one
 * segment out of flight, so that a new one may go: limited transmit, RFC 3042. */
static uint32_t congestion_room(const struct utcp_conn *conn)
{
    return room_below(conn->cc.cwnd, in_flight(conn));
}

uint32_t tcp_usable_window(const struct utcp_conn *conn)
{
    return min_u32(room_below(conn->snd_wnd, outstanding(conn)), congestion_room(conn));
}

/* SACK blocks take their room from the payload. */
uint32_t plan_payload(const struct utcp_conn *conn)
{
    unsigned blocks = sack_blocks(conn);
    uint32_t taken = blocks > 0 ? SACK_OPTION + SACK_BLOCK * blocks : 0;

    assert(taken < conn->mss);
    return conn->mss - taken;
}

uint32_t tcp_option_room(const struct utcp_conn *conn)
{
    uint32_t room =
        min_u32(TCP_OPTIONS_MAX - timestamps_bytes(conn), room_below(conn->mss, PAYLOAD_LEAST));

    return room_below(room, SACK_OPTION);
}

/*
 * Sender's silly-window avoidance, RFC 9293 section 3.8.6.2.1, and Nagle's algorithm,
 * section 3.7.4: a segment shorter than the MSS goes when it is all there is and no other short one is
 * in flight (or Nagle is off, or FIN follows), when it fills half the peer's largest window, when it
 * goes again, or when the override timer fired. Nagle's rule would have nothing be in flight; Linux has
 * taken Minshall's, by which the end of a long write does not wait for its beginning.
 */
static bool short_in_flight(const struct utcp_conn *conn)
{
    return seq_gt(conn->snd_sml, conn->snd_una) && seq_le(conn->snd_sml, conn->snd_nxt);
}

/* By the program's word: a cork, or more to come (MSG_MORE), which holds until the next ACK or write. As
 * Linux, what FIN follows goes, and what was there when Nagle was turned off. */
static bool is_corked(const struct utcp_conn *conn)
{
    return (conn->cork || conn->more) && !conn->fin_queued && seq_gt(snd_end(conn), conn->uncorked);
}

static bool short_segment_allowed(const struct utcp_conn *conn, uint32_t len, bool is_rest)
{
    if (conn->probe_now)
        return true;
    /* What has more behind it and still ends here is a record: it gets no longer by waiting. */
    if (is_rest && seq_lt(chunks_record_end(conn, conn->snd_nxt), snd_end(conn)))
        return true;
    if (is_corked(conn))
        return false;
    if (is_rest &&
        (conn->nodelay || urgent_is_due(conn) || conn->fin_queued || !short_in_flight(conn)))
        return true;
    return len >= conn->snd_wnd_max / 2;
}

/* In whole segments; one alone while an urgent pointer must be told, which is another in each. */
static uint32_t largest_resent(const struct utcp_conn *conn)
{
    uint32_t payload = plan_payload(conn);
    uint32_t burst = min_u32((uint32_t)conn->stack->settings.gso, pacing_burst(conn));
    uint32_t most = burst / payload * payload;

    return most > payload && !urgent_is_due(conn) ? most : payload;
}

/* As Linux (tcp_cwnd_test()), new data goes in two packets for each window at least. */
static uint32_t largest_packet(const struct utcp_conn *conn)
{
    uint32_t payload = plan_payload(conn);
    uint32_t half = conn->cc.cwnd / 2 / payload * payload;
    uint32_t most = min_u32(largest_resent(conn), half);

    return most > payload ? most : payload;
}

/* What goes as one packet of no more than that, in whole segments as far as it has more than one. */
static uint32_t whole_segments(const struct utcp_conn *conn, uint32_t len, uint32_t most)
{
    return len > most ? most : len - len % plan_payload(conn);
}

/* As Linux, a packet does not reach into the next chunk; but for a short rest it does, where Linux would
 * send that by itself. */
static tcp_seq packet_end(const struct utcp_conn *conn)
{
    tcp_seq end = chunks_end(conn, conn->snd_nxt);

    if (end - conn->snd_nxt < plan_payload(conn))
        return chunks_record_end(conn, conn->snd_nxt);
    return end;
}

/* Bytes of new data that the windows allow. As Linux (tcp_cwnd_test()), the last segment of all, with the
 * FIN, goes whatever the congestion window is. */
static uint32_t room_for_data(const struct utcp_conn *conn)
{
    uint32_t rest = snd_end(conn) - conn->snd_nxt;

    if (conn->fin_queued && rest <= plan_payload(conn))
        return room_below(conn->snd_wnd, outstanding(conn));
    return tcp_usable_window(conn);
}

/* Bytes of new data to send, 0 = none now. */
static uint32_t data_to_send(const struct utcp_conn *conn)
{
    uint32_t queued, len, whole;

    if (!seq_gt(snd_end(conn), conn->snd_nxt))
        return 0;
    queued = packet_end(conn) - conn->snd_nxt;
    len = min_u32(queued, room_for_data(conn));
    whole = whole_segments(conn, len, largest_packet(conn));
    if (len > whole && len <= largest_packet(conn) &&
        short_segment_allowed(conn, len - whole, len == queued))
        return len;
    return whole;
}

/* FIN goes with the last byte, or alone behind it. It takes a sequence number, so it waits for the
 * peer's window; the persist timer lets it out when nothing but FIN is left. */
static bool fin_fits(const struct utcp_conn *conn, tcp_seq seq, uint32_t len)
{
    if (!conn->fin_queued || seq + len != snd_end(conn))
        return false;
    return len > 0 || room_for_data(conn) > 0 || conn->probe_now;
}

static bool plan_syn(const struct utcp_conn *conn, struct plan *plan)
{
    if (!conn->send_syn)
        return false;
    *plan = (struct plan){.seq = conn->iss, .flags = tcp_state_flags(conn->state)};
    return true;
}

/* RFC 9293 section 3.9.1.2: "PSH bit set in the last segment" of what was pushed. As Linux, for the
 * peer's offload, on each packet of several segments too, and on what the override timer lets out. */
static uint8_t push_flag(const struct utcp_conn *conn, tcp_seq from, uint32_t len)
{
    bool push =
        len > plan_payload(conn) || conn->probe_now || chunks_pushed(conn, from, from + len);

    return len > 0 && push ? TCP_PSH : 0;
}

/* A plan for [from, to), which may include the FIN. */
static struct plan plan_of(const struct utcp_conn *conn, tcp_seq from, tcp_seq to)
{
    struct plan plan = {.seq = from, .len = to - from, .flags = TCP_ACK};

    if (seq_gt(to, snd_end(conn))) {
        plan.len--;
        plan.flags |= TCP_FIN;
    }
    plan.flags |= push_flag(conn, plan.seq, plan.len);
    return plan;
}

/* The first of what is lost, as far as it went in one packet; with the next ones when one segment takes
 * them all, as Linux (tcp_retrans_try_collapse()). */
static struct range first_lost(const struct utcp_conn *conn)
{
    const struct flight *flight = &conn->flight;
    struct range range = {conn->snd_nxt, conn->snd_nxt};

    for (uint32_t i = 0; i < flight->lost.count; i++) {
        const struct sent *sent = flight_item(flight, &flight->lost, i);

        if (i == 0)
            range.from = sent->from;
        else if (sent->from != range.to || sent->to - range.from > plan_payload(conn))
            break;
        range.to = sent->to;
    }
    return range;
}

/* What goes again goes within the peer's window, except its head: the peer once offered room for that,
 * and its answer tells what it thinks now. */
static uint32_t room_to_resend(const struct utcp_conn *conn, tcp_seq from)
{
    uint32_t window = room_below(conn->snd_wnd, from - conn->snd_una);

    if (from == conn->snd_una && window < conn->mss)
        window = conn->mss;
    return min_u32(window, congestion_room(conn));
}

/* A FIN behind the last record goes with it. */
static tcp_seq end_in_record(const struct utcp_conn *conn, struct range range)
{
    tcp_seq end = chunks_record_end(conn, range.from);

    return end == snd_end(conn) ? range.to : seq_min(range.to, end);
}

static bool plan_lost(const struct utcp_conn *conn, struct plan *plan)
{
    struct range lost = first_lost(conn);
    uint32_t len = end_in_record(conn, lost) - lost.from;
    uint32_t room = len > 0 ? room_to_resend(conn, lost.from) : 0;

    if (len > room || len > plan_payload(conn))
        len = whole_segments(conn, min_u32(len, room), largest_resent(conn));
    if (len == 0)
        return false;
    *plan = plan_of(conn, lost.from, lost.from + len);
    return true;
}

/* RFC 8985 section 7.3: "If there is previously unsent data ... send a new segment. Otherwise
 * retransmit the segment with the highest sequence number"; whatever the congestion window. As Linux, that one
 * does not go again when the peer's window has shrunk before it. */
static bool plan_probe_segment(const struct utcp_conn *conn, struct plan *plan)
{
    const struct flight *flight = &conn->flight;
    uint32_t payload = plan_payload(conn);
    const struct sent *last;
    uint32_t len;

    if (flight->log.count == 0)
        return false;
    if (seq_gt(snd_end(conn), conn->snd_nxt)) {
        len = min_u32(snd_end(conn) - conn->snd_nxt, payload);
        if (len <= room_below(conn->snd_wnd, outstanding(conn))) {
            *plan = plan_of(conn, conn->snd_nxt, conn->snd_nxt + len);
            return true;
        }
    }
    last = flight_item(flight, &flight->log, flight->log.count - 1);
    len = (last->to - last->from) % payload;
    if (len == 0)
        len = payload;
    *plan = plan_of(conn, last->to - len, last->to);
    return plan->seq == conn->snd_una || plan->seq - conn->snd_una < conn->snd_wnd;
}

bool tcp_probe_fits(const struct utcp_conn *conn)
{
    struct plan plan;

    return plan_probe_segment(conn, &plan);
}

static bool plan_tail_probe(const struct utcp_conn *conn, struct plan *plan)
{
    return conn->recovery.probe.due && plan_probe_segment(conn, plan);
}

static bool plan_data(const struct utcp_conn *conn, struct plan *plan)
{
    *plan = (struct plan){.seq = conn->snd_nxt, .len = data_to_send(conn), .flags = TCP_ACK};
    if (fin_fits(conn, plan->seq, plan->len))
        plan->flags |= TCP_FIN;
    plan->flags |= push_flag(conn, plan->seq, plan->len);
    return plan->len > 0 || (plan->flags & TCP_FIN) != 0;
}

/* F-RTO, RFC 5682 section 3.1 (2b): new data goes first, and then waits for its ACK; without any, what
 * is lost goes as usual. */
static bool plan_resend_or_data(struct utcp_conn *conn, struct plan *plan)
{
    struct recovery *recovery = &conn->recovery;

    if (recovery->new_first) {
        if (plan_data(conn, plan))
            return true;
        if (seq_gt(conn->snd_nxt, recovery->high))
            return false;
        recovery->new_first = recovery->frto = false;
    }
    return plan_lost(conn, plan) || plan_data(conn, plan);
}

/* After a time-out the head goes again whatever the pace: at a low rate the next time-out might be
 * nearer than the gate's opening. */
static bool head_timed_out(const struct utcp_conn *conn)
{
    return conn->recovery.state == CA_LOSS && conn->flight.lost_bytes > 0 &&
           first_lost(conn).from == conn->snd_una;
}

static bool plan_at_pace(struct utcp_conn *conn, struct plan *plan)
{
    bool planned = plan_resend_or_data(conn, plan);

    if (!planned || !pacing_holds(conn) || head_timed_out(conn))
        return planned;
    pacing_wait(conn);
    return false;
}

/* As Linux probes: an old sequence number and no data. The peer must answer with its window; unlike
 * a byte beyond the window, there is nothing it could half accept. An urgent pointer has to be accepted. */
static bool plan_probe(const struct utcp_conn *conn, struct plan *plan)
{
    if (!conn->probe_now)
        return false;
    *plan = (struct plan){.seq = conn->snd_una - !urgent_is_due(conn), .flags = TCP_ACK};
    return true;
}

/* The highest number sent, or the edge of the peer's window when it has moved left since. */
tcp_seq plan_bare_seq(const struct utcp_conn *conn)
{
    return seq_min(conn->snd_nxt, conn->snd_una + conn->snd_wnd);
}

bool plan_ack(const struct utcp_conn *conn, struct plan *plan)
{
    if (conn->acks_due == 0)
        return false;
    *plan = (struct plan){.seq = plan_bare_seq(conn), .flags = TCP_ACK};
    return true;
}

bool plan_next(struct utcp_conn *conn, struct plan *plan)
{
    if (plan_syn(conn, plan))
        return true;
    if (conn->state == TCP_SYN_RECEIVED)
        return plan_ack(conn, plan); /* a challenge: what came was out of place */
    if (!tcp_synchronized(conn->state))
        return false;
    return plan_tail_probe(conn, plan) || plan_at_pace(conn, plan) || plan_probe(conn, plan) ||
           plan_ack(conn, plan);
}
