/* SPDX-License-Identifier: MIT */
/*
 * Timestamps, RFC 7323: each segment says when it was sent, and which of the peer's times it answers.
 *
 * Our clock has milliseconds, as Linux's, and begins for each peer at a number of its own: what it
 * shows tells nobody how long the machine is up, or which connections are of one machine behind an
 * address. It goes on from one connection with a peer to the next, so that a peer in TIME-WAIT can
 * tell a new connection from the old one's duplicates (RFC 6191).
 *
 * The peer's times are good for two things. Echoed back to us, ours measure the round trip even when
 * a segment went twice. And a segment with a time that lies before what was seen already is an old
 * duplicate, whatever its sequence number says: PAWS, protection against wrapped sequence numbers.
 */
#include "stack.h"
#include "tcp/tcb.h"

/* With the two bytes that pad it to words. */
#define TIMESTAMPS_OPTION 12

/* RFC 7323 section 5.5: a clock of 1 ms wraps around in 24.8 days, so what is remembered is worth
 * nothing after 24. */
#define RECENT_LIFE (24 * 24 * 3600 * UTCP_SEC)

/* As Linux: times may go back by so much, as on hosts whose processors disagree. */
#define PAWS_TOLERANCE 1

/* Samples of more are nonsense: Linux counts microseconds in 31 bits. */
#define ECHO_AGE_MAX (INT32_MAX / 1000)

/* The setting's value that leaves out the offset. */
#define TIMESTAMPS_PLAIN 2

uint32_t timestamps_now(const struct utcp_conn *conn)
{
    return (uint32_t)(conn->stack->now / UTCP_MSEC) + conn->ts_offset;
}

/* It is the same for all ports of a peer, or TIME-WAIT could not compare. */
static uint32_t choose_offset(const struct utcp_conn *conn)
{
    const size_t half = sizeof(conn->local.addr.bytes);
    uint8_t bytes[2 * sizeof(conn->local.addr.bytes)];

    memcpy(bytes, conn->local.addr.bytes, half);
    memcpy(bytes + half, conn->remote.addr.bytes, half);
    return (uint32_t)siphash(&conn->stack->timestamp_key, bytes, sizeof(bytes));
}

void timestamps_start(struct utcp_conn *conn)
{
    bool plain = conn->stack->settings.timestamps == TIMESTAMPS_PLAIN;

    conn->ts_offset = plain ? 0 : choose_offset(conn);
    conn->ts_first = timestamps_now(conn);
}

static void remember(struct utcp_conn *conn, uint32_t value)
{
    conn->ts_recent = value;
    conn->ts_recent_at = conn->stack->now;
}

/* RFC 7323 section 2.2: "... only if both" sent the option in their SYN. */
void timestamps_learn_syn(struct utcp_conn *conn, const struct tcp_options *options)
{
    conn->timestamps_ok = options->has_timestamps && conn->stack->settings.timestamps != 0;
    if (conn->timestamps_ok)
        remember(conn, options->ts_value);
}

uint32_t timestamps_bytes(const struct utcp_conn *conn)
{
    return conn->timestamps_ok ? TIMESTAMPS_OPTION : 0;
}

void timestamps_write(const struct utcp_conn *conn, struct tcp_options *options)
{
    options->has_timestamps = true;
    options->ts_value = timestamps_now(conn);
    options->ts_echo = conn->ts_recent;
}

/* ---- what the peer's times tell ---- */

static bool has_time(const struct utcp_conn *conn, const struct tcp_segment *segment)
{
    return conn->timestamps_ok && segment->options.has_timestamps;
}

/* How far a time lies before TS.Recent. */
static int32_t behind(const struct utcp_conn *conn, uint32_t value)
{
    return (int32_t)(conn->ts_recent - value);
}

/* RFC 7323 section 5.3, R1: "If there is a Timestamps option in the arriving segment, SEG.TSval <
 * TS.Recent, TS.Recent is valid". As Linux, 0 is not: some send it in their SYN only. */
static bool before_recent(const struct utcp_conn *conn, uint32_t value, int32_t tolerance)
{
    return behind(conn, value) > tolerance && conn->ts_recent != 0 &&
           conn->stack->now - conn->ts_recent_at < RECENT_LIFE;
}

bool timestamps_are_old(const struct utcp_conn *conn, const struct tcp_segment *segment)
{
    return has_time(conn, segment) &&
           before_recent(conn, segment->options.ts_value, PAWS_TOLERANCE);
}

bool timestamps_are_new(const struct utcp_conn *conn, const struct tcp_segment *segment)
{
    return has_time(conn, segment) && behind(conn, segment->options.ts_value) < 0;
}

bool timestamps_overtaken(const struct utcp_conn *conn, const struct tcp_segment *segment)
{
    uint64_t patience = conn->rtt.rto / UTCP_MSEC * 6 / 5; /* a clock of 1200 Hz has been seen */

    return (segment->flags & TCP_ACK) != 0 && segment_len(segment) == 0 &&
           segment->seq == conn->rcv_nxt && segment->ack == conn->snd_una &&
           behind(conn, segment->options.ts_value) <= (int64_t)patience;
}

/* Section 4.3: "(2) If: SEG.TSval >= TS.Recent and SEG.SEQ <= Last.ACK.sent then SEG.TSval is copied to
 * TS.Recent". So of several segments that one ACK answers the first is echoed, and while there is a
 * hole, the last before it. */
void timestamps_note(struct utcp_conn *conn, const struct tcp_segment *segment)
{
    if (has_time(conn, segment) && seq_le(segment->seq, conn->rcv_acked) &&
        !before_recent(conn, segment->options.ts_value, 0))
        remember(conn, segment->options.ts_value);
}

bool timestamps_echo_possible(const struct utcp_conn *conn, const struct tcp_segment *segment)
{
    uint32_t echo = segment->options.ts_echo;

    return !segment->options.has_timestamps || conn->stack->settings.timestamps == 0 || echo == 0 ||
           (seq_ge(echo, conn->ts_first) && seq_le(echo, timestamps_now(conn)));
}

/* Section 4.1: RTTM. What went and came within one tick took part of it. */
uint64_t timestamps_rtt(const struct utcp_conn *conn, const struct tcp_options *options)
{
    uint32_t age = timestamps_now(conn) - options->ts_echo;

    if (!conn->timestamps_ok || !options->has_timestamps || options->ts_echo == 0 ||
        age > ECHO_AGE_MAX)
        return 0;
    return (age > 0 ? age : 1) * UTCP_MSEC;
}
