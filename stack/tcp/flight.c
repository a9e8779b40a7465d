/* SPDX-License-Identifier: MIT */
#include "tcp/flight.h"

#include <string.h>

#include "stack.h"
#include "tcp/tcb.h"

#define CAPACITY_LEAST 16
#define CAPACITY_KEPT 32

/* SACKed ranges that are remembered at once: CVE-2019-11478 is a story of no such limit. */
#define SACKED_MAX 1024

/* ---- the queues ---- */

static struct sent *item(const struct flight *flight, const struct sent_queue *queue, uint32_t i)
{
    return flight_item(flight, queue, i);
}

/* Opens a gap before item i: the shorter side moves. */
static struct sent *insert(struct flight *flight, struct sent_queue *queue, uint32_t i)
{
    uint32_t last = queue->count++;

    if (i > last / 2) {
        for (uint32_t j = last; j > i; j--)
            *item(flight, queue, j) = *item(flight, queue, j - 1);
    } else {
        queue->first = (queue->first - 1) & (flight->capacity - 1);
        for (uint32_t j = 0; j < i; j++)
            *item(flight, queue, j) = *item(flight, queue, j + 1);
    }
    return item(flight, queue, i);
}

static void erase(struct flight *flight, struct sent_queue *queue, uint32_t i)
{
    uint32_t last = --queue->count;

    if (i > last / 2) {
        for (uint32_t j = i; j < last; j++)
            *item(flight, queue, j) = *item(flight, queue, j + 1);
    } else {
        for (uint32_t j = i; j > 0; j--)
            *item(flight, queue, j) = *item(flight, queue, j - 1);
        queue->first = (queue->first + 1) & (flight->capacity - 1);
    }
}

static void copy_queue(const struct flight *flight, struct sent_queue *queue, struct sent *to)
{
    for (uint32_t i = 0; i < queue->count; i++)
        to[i] = *item(flight, queue, i);
    queue->items = to;
    queue->first = 0;
}

static size_t memory_size(uint32_t capacity)
{
    return 2 * (size_t)capacity * sizeof(struct sent);
}

static bool grow(struct utcp_conn *conn)
{
    struct flight *flight = &conn->flight;
    uint32_t capacity = flight->capacity > 0 ? 2 * flight->capacity : CAPACITY_LEAST;
    struct sent *memory = stack_alloc(conn->stack, memory_size(capacity));
    struct sent *old = flight->log.items;

    if (memory == NULL)
        return false;
    copy_queue(flight, &flight->log, memory);
    copy_queue(flight, &flight->lost, memory + capacity);
    stack_free(conn->stack, old, memory_size(flight->capacity));
    flight->capacity = capacity;
    return true;
}

/* Room for so many items more, whichever queue they go to. */
static bool reserve(struct utcp_conn *conn, uint32_t items)
{
    struct flight *flight = &conn->flight;

    return flight->log.count + flight->lost.count + items <= flight->capacity || grow(conn);
}

/* Sending again may split what was sent before in two, and adds one. */
bool flight_reserve(struct utcp_conn *conn)
{
    return reserve(conn, 3);
}

static bool allocate_sacked(struct utcp_conn *conn)
{
    struct ranges *set = &conn->flight.sacked;

    if (set->items != NULL)
        return true;
    set->items = stack_alloc(conn->stack, SACKED_MAX * sizeof(*set->items));
    if (set->items != NULL)
        set->capacity = SACKED_MAX;
    return set->items != NULL;
}

static void free_queues(struct utcp_conn *conn)
{
    struct flight *flight = &conn->flight;

    stack_free(conn->stack, flight->log.items, memory_size(flight->capacity));
    flight->log = flight->lost = (struct sent_queue){0};
    flight->capacity = 0;
}

static void free_sacked(struct utcp_conn *conn)
{
    struct ranges *set = &conn->flight.sacked;

    stack_free(conn->stack, set->items, set->capacity * sizeof(*set->items));
    *set = (struct ranges){0};
}

/* What was SACKed may have to go into a queue again: flight_renege(). */
static bool nothing_outstanding(const struct flight *flight)
{
    return flight->log.count + flight->lost.count + flight->sacked.count == 0;
}

void flight_trim(struct utcp_conn *conn)
{
    if (nothing_outstanding(&conn->flight))
        flight_free(conn);
}

void flight_free(struct utcp_conn *conn)
{
    free_queues(conn);
    free_sacked(conn);
}

/* ---- taking out ---- */

struct cut {
    struct sent_queue *queue;
    bool in_order; /* of the numbers: nothing behind `to` needs a look */
    tcp_seq from, to;
    flight_visitor *visit; /* NULL = nobody wants to know */
    void *ctx;
};

/* Takes [from, to) out of item i, which holds all of it. */
static void cut_item(struct utcp_conn *conn, const struct cut *cut, uint32_t i, tcp_seq from,
                     tcp_seq to)
{
    struct flight *flight = &conn->flight;
    struct sent *whole = item(flight, cut->queue, i);
    struct sent piece = *whole, front = *whole;

    piece.from = from;
    piece.to = to;
    front.to = from;
    if (from == whole->from && to == whole->to) {
        erase(flight, cut->queue, i);
    } else if (to == whole->to) {
        whole->to = from;
    } else {
        whole->from = to;
        if (from != front.from)
            *insert(flight, cut->queue, i) = front;
    }
    if (cut->visit != NULL)
        cut->visit(conn, &piece, cut->ctx);
}

/* Takes the range out of the queue, which holds no more than so many bytes of it; returns how many
 * it held. */
static uint32_t take_out(struct utcp_conn *conn, const struct cut *cut, uint32_t most)
{
    uint32_t found = 0;

    for (uint32_t i = 0; i < cut->queue->count && found < most;) {
        const struct sent *sent = item(&conn->flight, cut->queue, i);
        tcp_seq from = seq_max(sent->from, cut->from);
        tcp_seq to = seq_min(sent->to, cut->to);
        uint32_t before = cut->queue->count;

        if (cut->in_order && seq_ge(sent->from, cut->to))
            break;
        if (seq_lt(from, to)) {
            found += to - from;
            cut_item(conn, cut, i, from, to);
        }
        i += 1 + cut->queue->count - before;
    }
    return found;
}

/* How many bytes of the range are in lost. */
static uint32_t lost_within(const struct flight *flight, struct range range)
{
    uint32_t bytes = 0;

    for (uint32_t i = 0; i < flight->lost.count; i++) {
        const struct sent *sent = item(flight, &flight->lost, i);
        tcp_seq from = seq_max(sent->from, range.from);
        tcp_seq to = seq_min(sent->to, range.to);

        if (seq_ge(sent->from, range.to))
            break;
        if (seq_lt(from, to))
            bytes += to - from;
    }
    return bytes;
}

/* Takes the range out of log and lost, wherever its bytes are; returns how many there were. What is in
 * lost was sent longer ago than what is in the log for its sake, and is shown last. */
static uint32_t take_out_of_both(struct utcp_conn *conn, struct range range, flight_visitor *visit,
                                 void *ctx)
{
    struct flight *flight = &conn->flight;
    uint32_t bytes = range.to - range.from - ranges_overlap(&flight->sacked, range.from, range.to);
    uint32_t in_lost = lost_within(flight, range);
    struct cut log = {&flight->log, false, range.from, range.to, visit, ctx};
    struct cut lost = {&flight->lost, true, range.from, range.to, visit, ctx};

    flight->log_bytes -= take_out(conn, &log, bytes - in_lost);
    flight->lost_bytes -= take_out(conn, &lost, in_lost);
    return bytes;
}

/* ---- what happens to transmissions ---- */

static void append_to_log(struct utcp_conn *conn, const struct sent *sent)
{
    struct flight *flight = &conn->flight;

    flight->log_bytes += sent->to - sent->from;
    *insert(flight, &flight->log, flight->log.count) = *sent;
}

void flight_send(struct utcp_conn *conn, tcp_seq from, tcp_seq to, uint16_t segment, bool resent)
{
    struct sent sent = {
        .at = conn->stack->now, .from = from, .to = to, .segment = segment, .resent = resent};

    if (resent)
        take_out_of_both(conn, (struct range){from, to}, NULL, NULL);
    append_to_log(conn, &sent);
}

void flight_take_ack(struct utcp_conn *conn, tcp_seq ack, flight_visitor *visit, void *ctx)
{
    struct range range = {conn->snd_una, ack};
    struct ranges *sacked = &conn->flight.sacked;

    take_out_of_both(conn, range, visit, ctx);
    conn->flight.sacked_bytes -= ranges_overlap(sacked, range.from, range.to);
    ranges_drop_before(sacked, ack);
    /* What a large flight needed is not kept while nothing is in flight. */
    if (nothing_outstanding(&conn->flight) && conn->flight.capacity > CAPACITY_KEPT)
        free_queues(conn);
}

/* The transmission that holds seq; NULL = the peer has it. What is lost is in order. */
static const struct sent *find_sent(const struct flight *flight, tcp_seq seq)
{
    uint32_t low = 0, high = flight->lost.count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (seq_le(item(flight, &flight->lost, middle)->to, seq))
            low = middle + 1;
        else
            high = middle;
    }
    if (low < flight->lost.count && seq_le(item(flight, &flight->lost, low)->from, seq))
        return item(flight, &flight->lost, low);
    for (uint32_t i = 0; i < flight->log.count; i++) {
        const struct sent *sent = item(flight, &flight->log, i);

        if (seq_le(sent->from, seq) && seq_gt(sent->to, seq))
            return sent;
    }
    return NULL;
}

/* The bytes before seq in the last segment that begins before it. */
static uint32_t into_segment(const struct sent *sent, tcp_seq seq)
{
    return (seq - sent->from) % sent->segment;
}

/* 1 when the FIN is its last number. */
static uint32_t fin_of(const struct utcp_conn *conn, const struct sent *sent)
{
    return seq_gt(sent->to, snd_end(conn)) ? 1 : 0;
}

/* Cuts off the parts of segments at both ends; nothing may be left. A peer may have taken the last segment
 * and not count its FIN. */
static struct range whole_segments(const struct utcp_conn *conn, struct range range)
{
    const struct flight *flight = &conn->flight;
    const struct ranges *sacked = &flight->sacked;
    const struct sent *first = NULL, *last = NULL;
    struct range held;

    if (!ranges_holding(sacked, range.from, &held))
        first = find_sent(flight, range.from);
    if (!ranges_holding(sacked, range.to - 1, &held))
        last = find_sent(flight, range.to - 1);
    if (first != NULL && into_segment(first, range.from) > 0)
        range.from =
            seq_min(first->to, range.from + first->segment - into_segment(first, range.from));
    if (last != NULL && range.to != last->to && range.to != last->to - fin_of(conn, last))
        range.to -= into_segment(last, range.to);
    return range;
}

/* Each SACK may split one transmission. */
uint32_t flight_take_sack(struct utcp_conn *conn, struct range range, flight_visitor *visit,
                          void *ctx)
{
    struct flight *flight = &conn->flight;
    uint32_t news;

    if (!allocate_sacked(conn) || !reserve(conn, 1) ||
        flight->sacked.count == flight->sacked.capacity)
        return 0;
    range = whole_segments(conn, range);
    if (seq_ge(range.from, range.to))
        return 0;
    news = take_out_of_both(conn, range, visit, ctx);
    ranges_add(&flight->sacked, range.from, range.to);
    flight->sacked_bytes += news;
    return news;
}

static void add_to_lost(struct utcp_conn *conn, const struct sent *sent)
{
    struct flight *flight = &conn->flight;
    uint32_t i = flight->lost.count;

    while (i > 0 && seq_gt(item(flight, &flight->lost, i - 1)->from, sent->from))
        i--;
    *insert(flight, &flight->lost, i) = *sent;
    flight->lost_bytes += sent->to - sent->from;
}

void flight_lose(struct utcp_conn *conn, uint32_t i)
{
    struct flight *flight = &conn->flight;
    struct sent sent = *item(flight, &flight->log, i);

    erase(flight, &flight->log, i);
    flight->log_bytes -= sent.to - sent.from;
    add_to_lost(conn, &sent);
}

static void lose_piece(struct utcp_conn *conn, const struct sent *piece, void *ctx)
{
    (void)ctx;
    add_to_lost(conn, piece);
}

void flight_lose_head(struct utcp_conn *conn, uint32_t len)
{
    struct flight *flight = &conn->flight;
    struct cut cut = {&flight->log, false, conn->snd_una, conn->snd_una + len, lose_piece, NULL};

    if (reserve(conn, 1))
        flight->log_bytes -= take_out(conn, &cut, len);
}

/* All that is not acknowledged becomes one piece: what was SACKed has no time of its own. */
void flight_renege(struct utcp_conn *conn)
{
    struct flight *flight = &conn->flight;
    struct sent all = {
        .from = conn->snd_una, .to = conn->snd_nxt, .segment = (uint16_t)conn->mss, .resent = true};

    flight->log.count = flight->lost.count = 0;
    flight->sacked.count = 0;
    flight->log_bytes = flight->lost_bytes = flight->sacked_bytes = 0;
    add_to_lost(conn, &all);
}

void flight_restore(struct utcp_conn *conn)
{
    struct flight *flight = &conn->flight;

    while (flight->lost.count > 0) {
        uint32_t last = flight->lost.count - 1;

        *insert(flight, &flight->log, 0) = *item(flight, &flight->lost, last);
        erase(flight, &flight->lost, last);
    }
    flight->log_bytes += flight->lost_bytes;
    flight->lost_bytes = 0;
}

tcp_seq flight_highest_sacked(const struct utcp_conn *conn)
{
    const struct ranges *sacked = &conn->flight.sacked;

    return sacked->count > 0 ? sacked->items[sacked->count - 1].to : conn->snd_una;
}
