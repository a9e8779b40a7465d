/* SPDX-License-Identifier: MIT */
/*
 * The receive buffer. A segment's text goes straight to its place in the ring, in order or not;
 * what lies beyond a hole is remembered as ranges of sequence numbers, and becomes part of the ring
 * when the hole is filled.
 *
 * The window that is advertised is what is free, with two rules. The right edge never moves left
 * (RFC 9293 section 3.8.6: "SHOULD NOT shrink the window"); and it moves right only in steps worth
 * having (silly-window avoidance, section 3.8.6.2.2).
 */
#include "stack.h"
#include "tcp/tcb.h"

/* Holes that a peer can make before segments are dropped: CVE-2018-5390 is a story of no such
 * limit. */
#define RANGES_MAX 256

#define WINDOW_FIELD_MAX 65535u

/* From here on it is worth while to guess where the next will belong. */
#define MUCH_TEXT 1024

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static bool allocate_ranges(struct utcp_conn *conn)
{
    struct ranges *set = &conn->out_of_order;

    if (set->items != NULL)
        return true;
    set->items = stack_alloc(conn->stack, RANGES_MAX * sizeof(*set->items));
    if (set->items != NULL)
        set->capacity = RANGES_MAX;
    return set->items != NULL;
}

void reassembly_trim(struct utcp_conn *conn)
{
    struct ranges *set = &conn->out_of_order;

    if (set->count > 0)
        return;
    stack_free(conn->stack, set->items, set->capacity * sizeof(*set->items));
    *set = (struct ranges){0};
}

/* Cuts off what came before and what lies behind the window, or behind the peer's FIN. */
static void trim(struct utcp_conn *conn, struct tcp_segment *segment)
{
    tcp_seq edge = conn->fin_seen ? seq_min(conn->rcv_adv, conn->fin_seq) : conn->rcv_adv;
    tcp_seq end;

    if (seq_lt(segment->seq, conn->rcv_nxt)) {
        uint32_t old = conn->rcv_nxt - segment->seq;

        sack_note_duplicate(conn, segment->seq, segment->seq + min_u32(old, segment->payload_len));
        if (old > segment->payload_len) {
            segment->flags &= (uint8_t)~TCP_FIN;
            old = segment->payload_len;
        }
        segment->payload += old;
        segment->payload_len -= old;
        segment->seq += old;
    }
    end = segment->seq + segment->payload_len;
    if (seq_gt(end, edge)) {
        segment->payload_len = seq_gt(edge, segment->seq) ? edge - segment->seq : 0;
        segment->flags &= (uint8_t)~TCP_FIN;
    }
}

/* Moves rcv_nxt over what is in sequence now. */
static void advance(struct utcp_conn *conn, uint32_t len)
{
    tcp_seq end = ranges_end_of(&conn->out_of_order, conn->rcv_nxt + len);
    uint32_t total = end - conn->rcv_nxt;

    ring_append(&conn->rcv_buf, total);
    conn->rcv_nxt = end;
    conn->count.bytes_received += total;
    ranges_drop_before(&conn->out_of_order, end);
    conn->tell_anyway = true;
    stack_want_tell(conn);
}

/* RFC 2883 section 4.2: what is there already is a duplicate, however far from the hole. */
static bool keep_out_of_order(struct utcp_conn *conn, const struct tcp_segment *segment)
{
    struct range range = {segment->seq, segment->seq + segment->payload_len};
    struct range held;

    if (ranges_holding(&conn->out_of_order, range.from, &held))
        sack_note_duplicate(conn, range.from, seq_min(held.to, range.to));
    if (!ranges_add(&conn->out_of_order, range.from, range.to))
        return false;
    sack_note_arrival(conn, range.from);
    return true;
}

/* Linux: tcp_measure_rcv_mss(). What the peer takes itself has nothing to do with it, but is a guess at what a packet
 * was glued together of. */
static void note_segment_size(struct utcp_conn *conn, uint32_t len)
{
    uint32_t most = tcp_path_mss(conn) - timestamps_bytes(conn);

    if (len > most)
        len = conn->mss;
    if (len > conn->rcv_mss)
        conn->rcv_mss = len;
}

static void take_payload(struct utcp_conn *conn, const struct tcp_segment *segment)
{
    uint32_t offset = segment->seq - conn->rcv_nxt;

    if (!buffers_allocate_receive(conn) || (offset > 0 && !allocate_ranges(conn)))
        return;
    note_segment_size(conn, segment->payload_len);
    if (offset > 0 && !keep_out_of_order(conn, segment))
        return;
    if (segment->payload_len > MUCH_TEXT)
        conn->stack->receiver = conn;
    ring_place(&conn->rcv_buf, conn->rcv_buf.len + offset, segment->payload, segment->payload_len);
    if (offset == 0)
        advance(conn, segment->payload_len);
}

/* RFC 9293 section 3.10.7.4, eighth: the FIN counts once all before it is there. */
static void take_fin(struct utcp_conn *conn)
{
    if (!conn->fin_seen || conn->fin_received || conn->rcv_nxt != conn->fin_seq)
        return;
    conn->fin_received = true;
    conn->rcv_nxt++;
    conn->rcv_adv = seq_max(conn->rcv_adv, conn->rcv_nxt);
    tcp_ack_due(conn);
    stack_want_tell(conn);
}

/* Takes the text and settles when it is acknowledged. RFC 5681 section 4.2: "A TCP receiver SHOULD send
 * an immediate duplicate ACK when an out-of-order segment arrives"; the sender counts them, so each
 * segment has its own. And "an immediate ACK when the incoming segment fills in all or part of a gap". */
static void acknowledge(struct utcp_conn *conn, const struct tcp_segment *segment)
{
    bool holes = conn->out_of_order.count > 0;
    tcp_seq before = conn->rcv_nxt;

    if (seq_gt(segment->seq, conn->rcv_nxt)) {
        conn->stack->counters.tcp_out_of_order++;
        conn->count.out_of_order++;
        conn->acks_due++;
        delack_quick(conn);
    }
    if (segment->payload_len > 0)
        take_payload(conn, segment);
    if (seq_gt(segment->seq, conn->rcv_nxt))
        return;
    if (conn->rcv_nxt != before)
        buffers_on_text(conn, segment);
    if (conn->rcv_nxt != before && !holes) {
        delack_on_text(conn, segment->payload_len);
        return;
    }
    tcp_ack_due(conn);
    if (conn->rcv_nxt == before)
        delack_quick(conn);
}

void tcp_take_text(struct utcp_conn *conn, const struct tcp_segment *arrived)
{
    struct tcp_segment segment = *arrived;

    if (arrived->payload_len == 0 && (arrived->flags & TCP_FIN) == 0)
        return;
    trim(conn, &segment);
    if (segment.payload_len == 0 && (segment.flags & TCP_FIN) == 0)
        conn->stack->counters.tcp_duplicates++;
    if ((segment.flags & TCP_FIN) != 0 && !conn->fin_seen) {
        conn->fin_seen = true;
        conn->fin_seq = segment.seq + segment.payload_len;
        if (segment.payload_len == 0)
            sack_note_arrival(conn, conn->fin_seq);
    }
    if (segment.payload_len > 0) {
        conn->data_received_at = conn->stack->now;
        ecn_take(conn, &segment);
    }
    acknowledge(conn, &segment);
    take_fin(conn);
}

/* The step by which the right edge may move: RFC 9293 section 3.8.6.2.2, min(Fr * RCV.BUFF,
 * Eff.snd.MSS) with the recommended Fr of 1/2. */
static uint32_t window_step(const struct utcp_conn *conn)
{
    uint32_t half = conn->rcv_limit / 2;

    return half < conn->mss ? half : conn->mss;
}

/* The right edge that may be promised now. */
static tcp_seq right_edge(const struct utcp_conn *conn)
{
    uint32_t held = (uint32_t)conn->rcv_buf.len;
    uint32_t room = held < conn->rcv_limit ? conn->rcv_limit - held : 0;
    uint32_t most = WINDOW_FIELD_MAX << conn->rcv_wscale;
    tcp_seq edge = conn->rcv_nxt + (room < most ? room : most);

    if (seq_diff(edge, conn->rcv_adv) < (int32_t)window_step(conn))
        return conn->rcv_adv;
    return edge;
}

/*
 * RFC 7323 section 2.4: a window that is not a multiple of the scale would be rounded down, and so
 * shrink. An edge that was promised is rounded up instead, as long as the ring has the room.
 */
uint16_t tcp_advertise(struct utcp_conn *conn)
{
    tcp_seq edge = right_edge(conn);
    uint32_t window = edge - conn->rcv_nxt;
    uint32_t unit = UINT32_C(1) << conn->rcv_wscale;
    uint32_t field = window >> conn->rcv_wscale;
    size_t room = conn->rcv_buf.data != NULL ? ring_free(&conn->rcv_buf) : SIZE_MAX;

    if (edge == conn->rcv_adv && window % unit != 0 && (field + 1) * unit <= room)
        field++;
    if (field > WINDOW_FIELD_MAX)
        field = WINDOW_FIELD_MAX;
    conn->rcv_adv = seq_max(conn->rcv_adv, conn->rcv_nxt + field * unit);
    return (uint16_t)field;
}

/* As Linux: when the window can at least double. */
bool tcp_window_update_due(const struct utcp_conn *conn)
{
    uint32_t now = conn->rcv_adv - conn->rcv_nxt;
    uint32_t then = right_edge(conn) - conn->rcv_nxt;

    return !conn->fin_received && then > now && then >= 2 * now;
}
