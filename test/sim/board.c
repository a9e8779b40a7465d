/* SPDX-License-Identifier: MIT */
#include "board.h"

#include <stdlib.h>

#include "tcp/tcb.h"

#define LOOKED_AT 3

void board_note(struct board *board, const struct tcp_segment *segment, utcp_time now)
{
    tcp_seq from = segment->seq + ((segment->flags & TCP_SYN) != 0);
    tcp_seq to = segment->seq + segment_len(segment);

    if (from == to)
        return;
    if (board->count == board->room) {
        board->room = 2 * board->room + 16;
        board->sent = realloc(board->sent, board->room * sizeof(*board->sent));
        if (board->sent == NULL)
            abort();
    }
    board->sent[board->count++] = (struct transmission){from, to, now};
}

void board_free(struct board *board)
{
    free(board->sent);
}

static void forget_before(struct board *board, tcp_seq una)
{
    size_t kept = 0;

    for (size_t i = 0; i < board->count; i++) {
        if (seq_gt(board->sent[i].to, una))
            board->sent[kept++] = board->sent[i];
    }
    board->count = kept;
}

/* ---- each number is in one place ---- */

static int by_number(const void *a, const void *b)
{
    return seq_diff(((const struct range *)a)->from, ((const struct range *)b)->from);
}

static size_t collect_queue(const struct flight *flight, const struct sent_queue *queue,
                            struct range *all, size_t count)
{
    for (uint32_t i = 0; i < queue->count; i++) {
        const struct sent *sent = flight_item(flight, queue, i);

        all[count++] = (struct range){sent->from, sent->to};
    }
    return count;
}

/* The three parts of the scoreboard, sorted, cover what is outstanding without gap or overlap. */
static const char *check_places(const struct utcp_conn *conn)
{
    const struct flight *flight = &conn->flight;
    size_t room = (size_t)flight->log.count + flight->lost.count + flight->sacked.count;
    struct range *all = room > 0 ? malloc(room * sizeof(*all)) : NULL;
    size_t count = collect_queue(flight, &flight->log, all, 0);
    tcp_seq next = conn->snd_una;

    count = collect_queue(flight, &flight->lost, all, count);
    for (size_t i = 0; i < flight->sacked.count; i++)
        all[count++] = flight->sacked.items[i];
    if (count > 1)
        qsort(all, count, sizeof(*all), by_number);
    for (size_t i = 0; i < count && all[i].from == next; i++)
        next = all[i].to;
    free(all);
    return next == conn->snd_nxt
               ? NULL
               : "each number is in flight, or lost, or SACKed, and only one of them";
}

/* ---- what is in flight was sent as it is remembered ---- */

/* When the byte was sent last, and how often; *end is where that may change. */
static utcp_time last_sent(const struct board *board, tcp_seq seq, tcp_seq *end, unsigned *times)
{
    utcp_time at = 0;

    *times = 0;
    for (size_t i = 0; i < board->count; i++) {
        const struct transmission *sent = &board->sent[i];

        if (seq_le(sent->from, seq) && seq_gt(sent->to, seq)) {
            at = sent->at;
            ++*times;
            *end = seq_min(*end, sent->to);
        } else if (seq_gt(sent->from, seq)) {
            *end = seq_min(*end, sent->from);
        }
    }
    return at;
}

static const char *check_sent(const struct board *board, const struct sent *sent)
{
    for (tcp_seq seq = sent->from; seq != sent->to;) {
        tcp_seq end = sent->to;
        unsigned times;
        utcp_time at = last_sent(board, seq, &end, &times);

        if (times == 0)
            return "what is in flight was sent";
        /* What a peer reneged on has no time. */
        if (sent->at != at && sent->at != 0)
            return "what is in flight has the time when it was sent last";
        if (times > 1 && !sent->resent)
            return "what went twice is known to have gone twice";
        seq = end;
    }
    return NULL;
}

const char *board_check(struct board *board, const struct utcp_conn *conn)
{
    const struct flight *flight = &conn->flight;
    const char *broken = NULL;

    forget_before(board, conn->snd_una);
    if (!tcp_synchronized(conn->state) || outstanding(conn) + flight->log.count == 0)
        return NULL;
    /* Of thousands a few each time. */
    for (uint32_t i = 0; i < flight->log.count && i < LOOKED_AT && broken == NULL; i++)
        broken = check_sent(board, flight_item(flight, &flight->log,
                                               (uint32_t)(board->turn++ % flight->log.count)));
    return broken != NULL ? broken : check_places(conn);
}
