/* SPDX-License-Identifier: MIT */
/*
 * The scoreboard: what is known of each sequence number from snd_una to snd_nxt. Each is in exactly one
 * of three places:
 *
 *	log     in flight: transmissions in the order of their times
 *	lost    held to be lost, to be sent again: in the order of their numbers
 *	sacked  delivered, as SACK blocks told
 *
 * So the bytes in the log are RFC 6675's "pipe", and RACK (RFC 8985) finds what was sent before what
 * has been delivered at the front of the log. What an ACK takes out of the log was mostly sent first,
 * too: the search for it begins at the front and is short.
 */
#ifndef TCP_FLIGHT_H
#define TCP_FLIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ranges.h"
#include "base/seq.h"
#include "utcp.h"

/* One transmission, or what is left of it. */
struct sent {
    utcp_time at;     /* when it was last sent */
    tcp_seq from, to; /* [from, to), a FIN counted */
    uint16_t segment; /* bytes of each of its segments but the last */
    bool resent;      /* it was sent before that, too */
};

/* A queue in a ring of struct flight's capacity. */
struct sent_queue {
    struct sent *items;
    uint32_t first, count;
};

struct flight {
    struct sent_queue log, lost;
    uint32_t capacity; /* of each queue, a power of two; log.count + lost.count never exceed it */
    struct ranges sacked;
    uint32_t log_bytes, lost_bytes, sacked_bytes;
};

struct utcp_conn;

/* Is shown each piece of a transmission that has been delivered. */
typedef void flight_visitor(struct utcp_conn *conn, const struct sent *piece, void *ctx);

static inline struct sent *flight_item(const struct flight *flight, const struct sent_queue *queue,
                                       uint32_t i)
{
    return &queue->items[(queue->first + i) & (flight->capacity - 1)];
}

/* Makes room for one transmission more; false = no memory, so nothing can be sent now. */
bool flight_reserve(struct utcp_conn *conn);

/* [from, to) is sent now in such segments, for the first time or again. There must be room. */
void flight_send(struct utcp_conn *conn, tcp_seq from, tcp_seq to, uint16_t segment, bool resent);

/* All before ack has been acknowledged. */
void flight_take_ack(struct utcp_conn *conn, tcp_seq ack, flight_visitor *visit, void *ctx);

/* The peer has this range, which lies within snd_una and snd_nxt. As Linux, only whole segments of it count:
 * a peer that has a part of one will get it again, and who pretends to have single bytes gains nothing.
 * Without memory to remember that, nothing changes: it only goes again in vain. Returns the bytes that
 * are news. */
uint32_t flight_take_sack(struct utcp_conn *conn, struct range range, flight_visitor *visit,
                          void *ctx);

/* The i-th transmission of the log is lost; those behind it move up. */
void flight_lose(struct utcp_conn *conn, uint32_t i);

/* The first len bytes from snd_una on are lost, as far as they are in flight. */
void flight_lose_head(struct utcp_conn *conn, uint32_t len);

/* The peer has dropped what its SACK blocks told of (RFC 2018 section 8): that is lost, too. */
void flight_renege(struct utcp_conn *conn);

/* Nothing was lost after all. */
void flight_restore(struct utcp_conn *conn);

/* Behind the highest number that was SACKed; snd_una when none is. */
tcp_seq flight_highest_sacked(const struct utcp_conn *conn);

/* Gives back memory that is not needed now; or all. */
void flight_trim(struct utcp_conn *conn);
void flight_free(struct utcp_conn *conn);

#endif
