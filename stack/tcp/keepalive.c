/* SPDX-License-Identifier: MIT */
/*
 * Keep-alives, RFC 9293 section 3.8.4, for a user who asks for them: "Implementers MAY include
 * keep-alives ... they MUST default to off". When nothing has come for a while and nothing is in flight, the
 * peer is asked: an old sequence number and no data, which it "MUST" answer. One that does not answer
 * several times in a row is gone.
 *
 * The times are Linux's (tcp_keepalive_timer()).
 */
#include <errno.h>

#include "stack.h"
#include "tcp/tcb.h"

/* Then other timers find out about the peer. */
static bool has_unacknowledged(const struct utcp_conn *conn)
{
    return outstanding(conn) > 0 || tcp_has_unsent(conn);
}

/* How long the peer has said nothing. */
static uint64_t silence(const struct utcp_conn *conn)
{
    utcp_time heard = conn->data_received_at > conn->ack_received_at ? conn->data_received_at
                                                                     : conn->ack_received_at;

    return conn->stack->now - heard;
}

static void wait(struct utcp_conn *conn, uint64_t delay)
{
    tcp_timer_set(conn, TIMER_KEEPALIVE, conn->stack->now + delay);
}

static bool wanted(const struct utcp_conn *conn)
{
    return conn->keepalive.on && tcp_synchronized(conn->state) && conn->state != TCP_TIME_WAIT;
}

void keepalive_start(struct utcp_conn *conn)
{
    if (wanted(conn))
        wait(conn, conn->keepalive.idle);
}

void keepalive_turn(struct utcp_conn *conn, bool on)
{
    bool was_on = conn->keepalive.on;

    conn->keepalive.on = on;
    if (!on)
        tcp_timer_stop(conn, TIMER_KEEPALIVE);
    else if (!was_on)
        keepalive_start(conn);
}

void keepalive_review(struct utcp_conn *conn)
{
    uint64_t idle = conn->keepalive.idle;

    if (wanted(conn))
        wait(conn, silence(conn) < idle ? idle - silence(conn) : 0);
}

/* With a user timeout it is the time that counts, and not the number of probes. */
static bool gave_up(const struct utcp_conn *conn)
{
    if (conn->user_timeout > 0)
        return silence(conn) >= conn->user_timeout && conn->keepalive.probes > 0;
    return conn->keepalive.probes >= conn->keepalive.count;
}

void keepalive_on_timer(struct utcp_conn *conn)
{
    uint64_t idle = conn->keepalive.idle;

    if (has_unacknowledged(conn)) {
        wait(conn, idle);
    } else if (silence(conn) < idle) {
        wait(conn, idle - silence(conn));
    } else if (gave_up(conn)) {
        tcp_output_reset(conn);
        tcp_finish(conn, conn->soft_error != 0 ? conn->soft_error : -ETIMEDOUT);
    } else {
        conn->keepalive.probes++;
        conn->stack->counters.tcp_keepalives++;
        conn->probe_now = true;
        stack_want_send(conn);
        wait(conn, conn->keepalive.interval);
    }
}
