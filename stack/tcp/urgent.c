/* SPDX-License-Identifier: MIT */
/*
 * Urgent data, RFC 9293 section 3.8.5 and RFC 6093, as programs know it from Linux and BSD: one byte that is
 * out of band. The pointer tells of it before it comes, even through a closed window. It is kept apart
 * from the stream, unless the user wants it inline, and receiving stops before it, at the mark.
 *
 * On the wire the pointer is the number behind the byte, as everybody has it and RFC 6093 allows; the
 * setting stdurg reads it as RFC 1122 would.
 */
#include <errno.h>

#include "stack.h"
#include "tcp/tcb.h"

#define POINTER_MAX UINT32_C(0xffff)

/* ---- receiving ---- */

/* The number of the byte that the user gets next. */
static tcp_seq read_seq(const struct utcp_conn *conn)
{
    return conn->rcv_nxt - conn->fin_received - (tcp_seq)conn->rcv_buf.len;
}

bool utcp_at_mark(const struct utcp_conn *conn)
{
    return conn->urgent.state != URGENT_NONE && conn->urgent.at == read_seq(conn);
}

/* At the mark the byte itself is not for the stream. */
static uint32_t hidden(const struct utcp_conn *conn)
{
    return utcp_at_mark(conn) && !conn->urgent.is_inline && conn->rcv_buf.len > 0;
}

/* What has been said already, or is older, is no news. As Linux (tcp_check_urg()): a byte that was announced
 * and not read yet becomes data again when another one is; but not one that is next. */
static void announce(struct utcp_conn *conn, tcp_seq at)
{
    struct urgent *urgent = &conn->urgent;

    if (seq_lt(at, read_seq(conn)) || seq_lt(at, conn->rcv_nxt) ||
        (urgent->state != URGENT_NONE && seq_le(at, urgent->at)))
        return;
    if (hidden(conn)) {
        ring_drop(&conn->rcv_buf, 1);
        urgent->hidden = 0;
    }
    urgent->state = URGENT_ANNOUNCED;
    urgent->at = at;
    conn->stack->counters.tcp_urgent++;
    stack_want_tell(conn);
}

/* "Sixth, check the URG bit" */
void urgent_take(struct utcp_conn *conn, const struct tcp_segment *segment)
{
    struct urgent *urgent = &conn->urgent;
    uint32_t pointer = segment->urgent;
    uint32_t offset;

    if ((segment->flags & TCP_URG) != 0) {
        if (pointer > 0 && conn->stack->settings.stdurg == 0)
            pointer--;
        announce(conn, segment->seq + pointer);
    }
    offset = urgent->at - segment->seq;
    if (urgent->state != URGENT_ANNOUNCED || offset >= segment->payload_len)
        return;
    urgent->byte = segment->payload[offset];
    urgent->state = URGENT_HERE;
    conn->tell_anyway = true;
    stack_want_tell(conn);
}

/* Receiving stops before the mark, and goes on behind it. */
uint32_t urgent_stretch(struct utcp_conn *conn, uint32_t *skip)
{
    struct urgent *urgent = &conn->urgent;
    uint32_t len = (uint32_t)conn->rcv_buf.len, before;

    *skip = urgent->hidden = hidden(conn);
    len -= urgent->hidden;
    before = urgent->at - read_seq(conn);
    if (urgent->state != URGENT_NONE && !utcp_at_mark(conn) && before < len)
        len = before;
    return len;
}

uint32_t urgent_readable(const struct utcp_conn *conn)
{
    return (uint32_t)conn->rcv_buf.len - hidden(conn);
}

size_t utcp_unread(const struct utcp_conn *conn)
{
    return urgent_readable(conn);
}

/* The user has read on; past the mark it is all over. */
void urgent_on_read(struct utcp_conn *conn)
{
    if (conn->urgent.state != URGENT_NONE && seq_gt(read_seq(conn), conn->urgent.at))
        conn->urgent.state = URGENT_NONE;
}

int utcp_receive_urgent(struct utcp_conn *conn, uint8_t *byte, bool peek)
{
    struct urgent *urgent = &conn->urgent;

    if (urgent->is_inline || urgent->state == URGENT_NONE || urgent->state == URGENT_READ)
        return -EINVAL;
    if (urgent->state == URGENT_ANNOUNCED)
        return conn->state == TCP_CLOSED || conn->shut_rd || conn->fin_received ? 0 : -EAGAIN;
    *byte = urgent->byte;
    if (!peek) {
        urgent->state = URGENT_READ;
        stack_want_tell(conn);
    }
    return 1;
}

/* ---- sending ---- */

bool urgent_is_due(const struct utcp_conn *conn)
{
    return seq_gt(conn->urgent.snd_up, conn->snd_una);
}

void urgent_mark(struct utcp_conn *conn)
{
    conn->urgent.snd_up = snd_end(conn);
    /* "... the peer has to be told", even if nothing can be sent. */
    if (conn->snd_wnd == 0)
        conn->probe_now = true;
}

/* The pointer "is an offset from the sequence number"; of a byte that is too far off for it, only that there
 * is one. */
void urgent_write(const struct utcp_conn *conn, struct tcp_segment *segment)
{
    uint32_t pointer = conn->urgent.snd_up - segment->seq;

    if (!urgent_is_due(conn) || seq_ge(segment->seq, conn->urgent.snd_up) ||
        (segment->flags & TCP_SYN) != 0)
        return;
    segment->flags |= TCP_URG;
    segment->urgent = (uint16_t)(pointer < POINTER_MAX ? pointer : POINTER_MAX);
}
