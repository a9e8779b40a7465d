/* SPDX-License-Identifier: MIT */
/*
 * What a sender spends its time on, for TCP_INFO (RFC 4898, tcpEStatsPerfSndLim): waiting for the
 * peer's window, for the program to fill a send buffer that is too small to fill the path, or being
 * busy with all else. The clock of one of them runs at a time, and none while nothing is queued.
 */
#include "stack.h"
#include "tcp/tcb.h"

/* The unsent, or a whole segment of it, does not fit the peer's window. */
static bool waits_for_window(const struct utcp_conn *conn)
{
    uint32_t unsent = snd_end(conn) - conn->snd_nxt;
    uint32_t wanted = unsent < conn->mss ? unsent : conn->mss;
    uint32_t used = outstanding(conn);

    return seq_gt(snd_end(conn), conn->snd_nxt) && in_flight(conn) < conn->cc.cwnd &&
           used + wanted > conn->snd_wnd;
}

/* All is sent, the program cannot write more, and the congestion window would take more. */
static bool waits_for_room(const struct utcp_conn *conn)
{
    return seq_le(snd_end(conn), conn->snd_nxt) && (utcp_ready(conn) & UTCP_OUT) == 0 &&
           !congestion_window_in_use(conn);
}

static enum chrono_kind kind_now(const struct utcp_conn *conn)
{
    if (!tcp_synchronized(conn->state) || conn->snd_buf.len == 0)
        return CHRONO_IDLE;
    if (waits_for_window(conn))
        return CHRONO_WINDOW;
    return waits_for_room(conn) ? CHRONO_BUFFER : CHRONO_BUSY;
}

void chrono_review(struct utcp_conn *conn)
{
    struct chrono *chrono = &conn->chrono;
    utcp_time now = conn->stack->now;

    chrono->total[chrono->kind] += now - chrono->since;
    chrono->since = now;
    chrono->kind = kind_now(conn);
}

uint64_t chrono_total(const struct utcp_conn *conn, enum chrono_kind kind, utcp_time now)
{
    const struct chrono *chrono = &conn->chrono;
    uint64_t running = chrono->kind == kind ? now - chrono->since : 0;

    return chrono->total[kind] + running;
}
