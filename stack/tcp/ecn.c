/* SPDX-License-Identifier: MIT */
/*
 * Explicit congestion notification, RFC 3168: routers mark instead of dropping.
 *
 * As receiver we say ECE on every segment once data came with a mark, until the peer's CWR says that it
 * has heard. As sender we take ECE for a loss that cost nothing: recovery.c reduces the window once for
 * each window of data, and the next new data carries CWR. Only new data is sent as capable of ECN: a
 * lost mark on anything else would be a lost signal (section 6.1.5).
 *
 * The setting is Linux's: we offer it only when asked to (1), and accept it unless forbidden (0). A SYN
 * that had to go again goes without the offer, for there are routers that drop it (section 6.1.1.1).
 */
#include "stack.h"
#include "tcp/tcb.h"

enum { NOT_ECT = 0, ECT_0 = 2, CE = 3 };
enum { ECN_OFF = 0, ECN_OFFER = 1 };

#define ECN_SETUP (TCP_ECE | TCP_CWR)

void ecn_learn_syn(struct utcp_conn *conn, const struct tcp_segment *segment)
{
    uint8_t flags = segment->flags & ECN_SETUP;

    /* Section 6.1.1: a SYN-ACK answers with ECE alone; both flags would be an echo of a SYN's by a host
     * that knows of neither. */
    if ((segment->flags & TCP_ACK) != 0)
        conn->ecn.ok = conn->ecn.offered && flags == TCP_ECE;
    else if (conn->passive)
        conn->ecn.ok =
            flags == ECN_SETUP && segment->ecn == NOT_ECT && conn->stack->settings.ecn != ECN_OFF;
    else
        conn->ecn.ok = conn->ecn.offered && flags == ECN_SETUP;
}

uint8_t ecn_syn_flags(struct utcp_conn *conn)
{
    bool first = conn->snd_nxt == conn->iss;

    if (conn->state == TCP_SYN_RECEIVED)
        return conn->ecn.ok ? TCP_ECE : 0;
    if (!first || conn->stack->settings.ecn != ECN_OFFER)
        return 0;
    conn->ecn.offered = true;
    return ECN_SETUP;
}

/* ---- as receiver ---- */

/* Section 6.1.3: CWR first, for the mark of this segment is younger than the reduction it tells of. */
void ecn_take(struct utcp_conn *conn, const struct tcp_segment *segment)
{
    struct ecn *ecn = &conn->ecn;

    if (!ecn->ok || segment->payload_len == 0)
        return;
    if ((segment->flags & TCP_CWR) != 0)
        ecn->echo = false;
    if (segment->ecn == CE) {
        ecn->echo = true;
        conn->stack->counters.tcp_ecn_marks++;
    }
    if (segment->ecn != NOT_ECT)
        ecn->seen = true;
}

/* ---- as sender ---- */

/* With nothing in flight it speaks of what was answered for before. */
bool ecn_is_echo(const struct utcp_conn *conn, const struct tcp_segment *segment)
{
    return conn->ecn.ok && outstanding(conn) > 0 &&
           (segment->flags & (TCP_ECE | TCP_SYN)) == TCP_ECE;
}

void ecn_reduced(struct utcp_conn *conn)
{
    conn->ecn.cwr_due = conn->ecn.ok;
}

void ecn_reduction_undone(struct utcp_conn *conn)
{
    conn->ecn.cwr_due = false;
}

uint8_t ecn_write(struct utcp_conn *conn, struct tcp_segment *segment)
{
    bool new_data = segment->payload_len > 0 && seq_ge(segment->seq, conn->snd_nxt);

    if (!conn->ecn.ok || (segment->flags & TCP_SYN) != 0)
        return NOT_ECT;
    if (conn->ecn.echo)
        segment->flags |= TCP_ECE;
    if (!new_data)
        return NOT_ECT;
    if (conn->ecn.cwr_due)
        segment->flags |= TCP_CWR;
    conn->ecn.cwr_due = false;
    return ECT_0;
}
