/* SPDX-License-Identifier: MIT */
/*
 * Selective acknowledgments, RFC 2018, with the duplicates of RFC 2883.
 *
 * As receiver we tell of the ranges beyond the hole, the one that changed last first. As sender we note
 * what each block delivers; what that means is for rack.c and recovery.c to say.
 */
#include "stack.h"
#include "tcp/tcb.h"

#define REORDERING_MAX 300 /* Linux: tcp_max_reordering */

/* ---- what the peer tells ---- */

static utcp_time earliest(utcp_time a, utcp_time b)
{
    return a == 0 || b < a ? b : a;
}

/* As Linux: from now on, more segments than have overtaken this one mean a loss. */
static void note_extent(struct utcp_conn *conn, uint32_t late_by)
{
    struct recovery *recovery = &conn->recovery;
    uint32_t segments = (late_by + conn->mss - 1) / conn->mss;

    if (segments > recovery->reordering)
        recovery->reordering = segments < REORDERING_MAX ? segments : REORDERING_MAX;
}

/* RFC 6298 section 3 (Karn): only the ACK of what was sent once measures anything. */
static void note_original(struct utcp_conn *conn, const struct sent *piece,
                          struct delivery *delivery)
{
    delivery->first_at = earliest(delivery->first_at, piece->at);
    if (piece->at > delivery->last_at)
        delivery->last_at = piece->at;
    if (seq_le(piece->to, conn->recovery.high))
        delivery->original = true;
    if (conn->sack_ok && seq_lt(piece->from, delivery->prior_sacked)) {
        note_extent(conn, delivery->prior_sacked - piece->from);
        rack_note_reordering(conn, piece);
        delivery->reordered = true;
    }
}

void sack_note_delivery(struct utcp_conn *conn, const struct sent *piece, void *ctx)
{
    struct delivery *delivery = ctx;

    delivery->delivered += piece->to - piece->from;
    if (piece->resent)
        delivery->resent = true;
    else
        note_original(conn, piece, delivery);
    rack_on_delivery(conn, piece);
}

/* RFC 2883 section 4: the first block tells of a duplicate when it lies below the ACK, or within the
 * second block. */
static bool is_duplicate(const struct tcp_segment *segment)
{
    const struct range *block = segment->options.sack;

    if (seq_lt(block[0].from, segment->ack))
        return true;
    return segment->options.sack_count > 1 && seq_ge(block[0].from, block[1].from) &&
           seq_le(block[0].to, block[1].to);
}

static void take_duplicate(struct utcp_conn *conn, struct range range, struct delivery *delivery)
{
    const struct tail_probe *probe = &conn->recovery.probe;

    /* A peer may lie about anything; a duplicate of what was never in a window is no news. */
    if (seq_ge(range.from, range.to) || seq_gt(range.to, conn->snd_nxt) ||
        seq_lt(range.from, conn->snd_una - conn->snd_wnd_max))
        return;
    conn->stack->counters.tcp_dsacks++;
    conn->recovery.dsacks++;
    delivery->answers_duplicate = true;
    /* Where nothing went again, the network has duplicated it. */
    delivery->dsack = conn->recovery.undo.undelivered > 0;
    if (probe->out && probe->resent && range.to == probe->high)
        delivery->dsack_probe = true;
    undo_on_dsack(conn, range);
}

void sack_take(struct utcp_conn *conn, const struct tcp_segment *segment, struct delivery *delivery)
{
    for (unsigned i = 0; i < segment->options.sack_count; i++) {
        struct range range = segment->options.sack[i];

        if (i == 0 && is_duplicate(segment)) {
            take_duplicate(conn, range, delivery);
            continue;
        }
        range.from = seq_max(range.from, conn->snd_una);
        if (seq_lt(range.from, range.to) && seq_le(range.to, conn->snd_nxt))
            delivery->sacked += flight_take_sack(conn, range, sack_note_delivery, delivery);
    }
}

/* RFC 6675 section 4, IsLost(): "either DupThresh discontiguous SACKed sequences have arrived above
 * 'SeqNum' or more than (DupThresh - 1) * SMSS bytes with sequence numbers greater than 'SeqNum' have been
 * SACKed". Returns where that begins to be false. */
static tcp_seq lost_below(const struct utcp_conn *conn)
{
    const struct ranges *sacked = &conn->flight.sacked;
    uint64_t threshold = conn->recovery.reordering;
    uint64_t above = 0;

    for (size_t i = sacked->count; i > 0; i--) {
        above += sacked->items[i - 1].to - sacked->items[i - 1].from;
        if (above > (threshold - 1) * conn->mss || sacked->count - i + 1 >= threshold)
            return sacked->items[i - 1].from;
    }
    return conn->snd_una;
}

uint32_t sack_mark_lost(struct utcp_conn *conn)
{
    struct flight *flight = &conn->flight;
    tcp_seq below = lost_below(conn);
    uint32_t before = flight->lost_bytes;

    for (uint32_t i = 0; i < flight->log.count;) {
        const struct sent *sent = flight_item(flight, &flight->log, i);

        if (!sent->resent && seq_lt(sent->from, below))
            flight_lose(conn, i);
        else
            i++;
    }
    return flight->lost_bytes - before;
}

/* ---- what we tell ---- */

/* The block of what is beyond the hole around seq; as Linux, a FIN is part of it. */
static bool block_holding(const struct utcp_conn *conn, tcp_seq seq, struct range *block)
{
    bool fin_waits = conn->fin_seen && !conn->fin_received;

    if (fin_waits && seq == conn->fin_seq) {
        *block = (struct range){seq, seq + 1};
        if (ranges_holding(&conn->out_of_order, seq - 1, block))
            block->to++;
        return true;
    }
    if (!ranges_holding(&conn->out_of_order, seq, block))
        return false;
    if (fin_waits && block->to == conn->fin_seq)
        block->to++;
    return true;
}

/* Those of the same block, and of what is no block any more, are forgotten for it. */
void sack_note_arrival(struct utcp_conn *conn, tcp_seq seq)
{
    struct range block = {seq, seq + 1}, other;
    tcp_seq kept[SACK_BLOCKS_MAX] = {seq};
    unsigned count = 1;

    block_holding(conn, seq, &block);
    for (unsigned i = 0; i < SACK_BLOCKS_MAX && count < SACK_BLOCKS_MAX; i++) {
        tcp_seq recent = conn->sack_recent[i];

        if (block_holding(conn, recent, &other) && other.from != block.from)
            kept[count++] = recent;
    }
    for (unsigned i = 0; i < SACK_BLOCKS_MAX; i++)
        conn->sack_recent[i] = i < count ? kept[i] : seq;
}

void sack_note_duplicate(struct utcp_conn *conn, tcp_seq from, tcp_seq to)
{
    if (conn->sack_ok && conn->stack->settings.dsack)
        conn->dsack = (struct range){from, to};
}

static bool told(const struct tcp_options *options, unsigned first, struct range range)
{
    for (unsigned i = first; i < options->sack_count; i++) {
        if (options->sack[i].from == range.from)
            return true;
    }
    return false;
}

/* RFC 2018 section 4: "The first SACK block MUST specify the contiguous block of data containing the
 * segment which triggered this ACK", then those most recently told of. RFC 2883: a duplicate comes
 * before them. */
static void collect(const struct utcp_conn *conn, struct tcp_options *options)
{
    unsigned room = tcp_option_room(conn) / 8;
    unsigned first = 0;
    struct range range;

    options->sack_count = 0;
    if (conn->dsack.from != conn->dsack.to)
        options->sack[options->sack_count++] = conn->dsack;
    first = options->sack_count;
    for (unsigned i = 0; i < SACK_BLOCKS_MAX && options->sack_count < room; i++) {
        if (block_holding(conn, conn->sack_recent[i], &range) && !told(options, first, range))
            options->sack[options->sack_count++] = range;
    }
}

unsigned sack_blocks(const struct utcp_conn *conn)
{
    struct tcp_options options;

    if (!conn->sack_ok || (conn->out_of_order.count == 0 && conn->dsack.from == conn->dsack.to &&
                           conn->fin_seen == conn->fin_received))
        return 0;
    collect(conn, &options);
    return options.sack_count;
}

void sack_write(struct utcp_conn *conn, struct tcp_options *options)
{
    if (sack_blocks(conn) == 0)
        return;
    collect(conn, options);
    conn->dsack.to = conn->dsack.from;
}
