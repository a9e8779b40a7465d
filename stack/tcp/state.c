/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "stack.h"
#include "tcp/tcb.h"

#define TO(state) (1u << (state))

/* RFC 9293 figure 5, and the way to CLOSED that RST and time-outs take from everywhere. */
static const uint32_t transitions[TCP_STATES] = {
    [TCP_CLOSED] = TO(TCP_LISTEN) | TO(TCP_SYN_SENT) | TO(TCP_SYN_RECEIVED),
    [TCP_LISTEN] = TO(TCP_CLOSED),
    [TCP_SYN_SENT] = TO(TCP_ESTABLISHED) | TO(TCP_SYN_RECEIVED) | TO(TCP_CLOSED),
    [TCP_SYN_RECEIVED] = TO(TCP_ESTABLISHED) | TO(TCP_FIN_WAIT_1) | TO(TCP_CLOSED),
    [TCP_ESTABLISHED] = TO(TCP_FIN_WAIT_1) | TO(TCP_CLOSE_WAIT) | TO(TCP_CLOSED),
    [TCP_FIN_WAIT_1] = TO(TCP_FIN_WAIT_2) | TO(TCP_CLOSING) | TO(TCP_TIME_WAIT) | TO(TCP_CLOSED),
    [TCP_FIN_WAIT_2] = TO(TCP_TIME_WAIT) | TO(TCP_CLOSED),
    [TCP_CLOSE_WAIT] = TO(TCP_LAST_ACK) | TO(TCP_CLOSED),
    [TCP_CLOSING] = TO(TCP_TIME_WAIT) | TO(TCP_CLOSED),
    [TCP_LAST_ACK] = TO(TCP_CLOSED),
    [TCP_TIME_WAIT] = TO(TCP_CLOSED),
};

static const uint8_t flags[TCP_STATES] = {
    [TCP_SYN_SENT] = TCP_SYN,
    [TCP_SYN_RECEIVED] = TCP_SYN | TCP_ACK,
    [TCP_ESTABLISHED] = TCP_ACK,
    [TCP_CLOSE_WAIT] = TCP_ACK,
    [TCP_FIN_WAIT_1] = TCP_FIN | TCP_ACK,
    [TCP_CLOSING] = TCP_FIN | TCP_ACK,
    [TCP_LAST_ACK] = TCP_FIN | TCP_ACK,
    [TCP_FIN_WAIT_2] = TCP_ACK,
    [TCP_TIME_WAIT] = TCP_ACK,
};

static const char *const names[TCP_STATES] = {
    [TCP_ESTABLISHED] = "ESTABLISHED",
    [TCP_SYN_SENT] = "SYN-SENT",
    [TCP_SYN_RECEIVED] = "SYN-RECEIVED",
    [TCP_FIN_WAIT_1] = "FIN-WAIT-1",
    [TCP_FIN_WAIT_2] = "FIN-WAIT-2",
    [TCP_TIME_WAIT] = "TIME-WAIT",
    [TCP_CLOSED] = "CLOSED",
    [TCP_CLOSE_WAIT] = "CLOSE-WAIT",
    [TCP_LAST_ACK] = "LAST-ACK",
    [TCP_LISTEN] = "LISTEN",
    [TCP_CLOSING] = "CLOSING",
};

const char *tcp_state_name(enum tcp_state state)
{
    return state < TCP_STATES && names[state] != NULL ? names[state] : "?";
}

uint8_t tcp_state_flags(enum tcp_state state)
{
    return flags[state];
}

bool tcp_synchronized(enum tcp_state state)
{
    return flags[state] != 0 && (flags[state] & TCP_SYN) == 0;
}

void tcp_set_state(struct utcp_conn *conn, enum tcp_state state)
{
    assert((transitions[conn->state] & TO(state)) != 0);
    conn->state = state;
    stack_want_tell(conn);
}

/* As on Linux, one that ends before it is accepted waits all the same, to tell how. */
static bool waits_for_accept(const struct utcp_conn *conn)
{
    return conn->listener != NULL && list_linked(&conn->accept_link);
}

void tcp_leave_listener(struct utcp_conn *conn)
{
    if (conn->listener == NULL)
        return;
    if (list_linked(&conn->accept_link)) {
        list_remove(&conn->accept_link);
        conn->listener->accept_count--;
    } else {
        conn->listener->half_open--;
    }
    conn->listener = NULL;
}

void tcp_finish(struct utcp_conn *conn, int error)
{
    if (conn->state == TCP_CLOSED)
        return;
    if (!waits_for_accept(conn))
        tcp_leave_listener(conn);
    tcp_set_state(conn, TCP_CLOSED);
    tcp_timer_stop_all(conn);
    list_remove(&conn->send_link);
    stack_remove_tuple(conn);
    stack_remove_port(conn);
    if (error != 0)
        conn->error = error;
    stack_reap(conn);
}
