/* SPDX-License-Identifier: MIT */
/*
 * The send buffer in chunks, as Linux has it in packets: what is written fills the last chunk up to a
 * size that a device takes in one piece, then begins another. Where they end shows on the wire and to the
 * program:
 *
 *	- no packet reaches across the end of a record (MSG_EOR)
 *	- PSH stands at the end of a chunk whose last writer had no more to say (MSG_MORE)
 *	- a chunk may be begun while the send buffer is not full, and is then filled: so a buffer holds a
 *	  little more than its size, or less by what each chunk costs
 *
 * A chunk is kept until all of it is acknowledged.
 */
#ifndef TCP_CHUNKS_H
#define TCP_CHUNKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/seq.h"

struct chunk {
    tcp_seq end;
    bool push;
    bool record; /* ends here for good */
};

struct chunks {
    struct chunk *items; /* a ring */
    uint32_t first, count;
    uint32_t capacity; /* a power of two */
    uint32_t records;  /* of the chunks */
    tcp_seq pushed;    /* the end of the last push */
};

struct utcp_conn;

/* len bytes have been appended to the send buffer; flags are enum utcp_send_flags. */
void chunks_append(struct utcp_conn *conn, uint32_t len, unsigned flags);

/* The send buffer begins with this number. */
void chunks_start(struct utcp_conn *conn, tcp_seq seq);

/* Everything before snd_una is gone. */
void chunks_drop(struct utcp_conn *conn);

/* The end of the chunk that seq lies in. */
tcp_seq chunks_end(const struct utcp_conn *conn, tcp_seq seq);

/* The end of the record that seq lies in, or of all that was written. */
tcp_seq chunks_record_end(const struct utcp_conn *conn, tcp_seq seq);

/* True when a pushed chunk ends in (from, to]. */
bool chunks_pushed(const struct utcp_conn *conn, tcp_seq from, tcp_seq to);

/* Bytes that may be appended now. */
size_t chunks_room(const struct utcp_conn *conn);

/* As many bytes may wait to be sent for the first time (TCP_NOTSENT_LOWAT). */
uint64_t chunks_unsent_limit(const struct utcp_conn *conn);

/* What the send buffer is filled with, and its chunks' own cost with it: bytes. */
size_t chunks_cost(const struct utcp_conn *conn);

/* Gives back memory that is not needed now; or all. */
void chunks_trim(struct utcp_conn *conn);
void chunks_free(struct utcp_conn *conn);

#endif
