/* SPDX-License-Identifier: MIT */
/* Between the connection and its congestion control: what each may know of the other. */
#include "stack.h"
#include "tcp/tcb.h"

void congestion_start(struct utcp_conn *conn)
{
    const struct utcp_settings *settings = &conn->stack->settings;
    struct cc_options options = {
        .abe = settings->abe != 0,
        .hystart = (unsigned)settings->hystart,
    };

    cc_init(&conn->cc, conn->stack->congestion, options, conn->mss,
            (uint32_t)settings->initial_window);
}

void congestion_on_ack(struct utcp_conn *conn, uint32_t acked, uint32_t in_flight_before,
                       uint64_t rtt)
{
    struct cc_ack ack = {
        .now = conn->stack->now,
        .acked = acked,
        .in_flight = in_flight_before,
        .rtt = rtt,
        /* RFC 5681 section 4.1 and RFC 7661: a window that was not in use has not been tested. */
        .limited = 2 * (uint64_t)in_flight_before >= conn->cc.cwnd,
    };

    conn->cc.ops->on_ack(&conn->cc, &ack);
}

void congestion_signal(struct utcp_conn *conn, enum cc_signal signal)
{
    struct cc *cc = &conn->cc;

    cc->ssthresh = cc->ops->on_congestion(cc, signal, in_flight(conn), conn->stack->now);
}

void congestion_undo(struct utcp_conn *conn)
{
    if (conn->cc.ops->undo != NULL)
        conn->cc.ops->undo(&conn->cc);
}
