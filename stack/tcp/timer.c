/* SPDX-License-Identifier: MIT */
/*
 * The timers of a connection. Each is a deadline; the earliest of them is the connection's place in
 * the stack's heap, so a connection with no timer running costs nothing.
 */
#include <errno.h>

#include "stack.h"
#include "tcp/tcb.h"

/* Linux's TCP_TIMEOUT_MIN: two ticks of the usual 250 a second. */
#define SYN_AGAIN (8 * UTCP_MSEC)

static void update_deadline(struct utcp_conn *conn)
{
    utcp_time earliest = UTCP_NEVER;

    for (size_t i = 0; i < TIMERS; i++) {
        if (conn->timers[i] < earliest)
            earliest = conn->timers[i];
    }
    if (earliest != conn->deadline.deadline)
        heap_set(&conn->stack->deadlines, &conn->deadline, earliest);
}

void tcp_timer_set(struct utcp_conn *conn, enum tcp_timer timer, utcp_time deadline)
{
    conn->timers[timer] = deadline;
    update_deadline(conn);
}

void tcp_timer_stop(struct utcp_conn *conn, enum tcp_timer timer)
{
    tcp_timer_set(conn, timer, UTCP_NEVER);
}

void tcp_timer_stop_all(struct utcp_conn *conn)
{
    for (size_t i = 0; i < TIMERS; i++)
        conn->timers[i] = UTCP_NEVER;
    update_deadline(conn);
}

static void start_after(struct utcp_conn *conn, enum tcp_timer timer, uint64_t delay)
{
    tcp_timer_set(conn, timer, conn->stack->now + delay);
}

static uint64_t backed_off_rto(const struct utcp_conn *conn)
{
    return rtt_rto(&conn->rtt, &conn->stack->settings, conn->backoff);
}

/* When the user's patience ends. As Linux, what a listener hands on counts from ESTABLISHED on. */
static utcp_time patience_end(const struct utcp_conn *conn)
{
    bool half_open = conn->passive && conn->state == TCP_SYN_RECEIVED;

    if (conn->user_timeout == 0 || conn->stuck_since == 0 || half_open)
        return UTCP_NEVER;
    return conn->stuck_since + conn->user_timeout;
}

/* A time-out from now, but no later than the user's patience ends. */
static void wait_for_answer(struct utcp_conn *conn, enum tcp_timer timer)
{
    utcp_time due = conn->stack->now + backed_off_rto(conn);
    utcp_time end = patience_end(conn);

    tcp_timer_set(conn, timer, due < end ? due : end);
}

bool tcp_has_unsent(const struct utcp_conn *conn)
{
    return seq_lt(conn->snd_nxt, snd_end(conn)) || (conn->fin_queued && !fin_sent(conn));
}

/*
 * Something in flight asks for the retransmission timer (RFC 6298 rule 5.1); nothing in flight but
 * something unsent asks for the persist timer, since only the peer's window can be holding it, or
 * pacing, which has a timer of its own.
 */
void tcp_timer_review(struct utcp_conn *conn)
{
    bool flying = outstanding(conn) > 0;
    bool held = tcp_timer_runs(conn, TIMER_PACE);
    bool waiting = !flying && !held && tcp_synchronized(conn->state) && tcp_has_unsent(conn);

    if (!flying) {
        tcp_timer_stop(conn, TIMER_RETRANSMIT);
        tcp_timer_stop(conn, TIMER_LOSS_PROBE);
        tcp_timer_stop(conn, TIMER_REORDER);
    }
    if (flying && !tcp_timer_runs(conn, TIMER_RETRANSMIT))
        wait_for_answer(conn, TIMER_RETRANSMIT);
    if (!waiting)
        tcp_timer_stop(conn, TIMER_PERSIST);
    else if (!tcp_timer_runs(conn, TIMER_PERSIST))
        wait_for_answer(conn, TIMER_PERSIST);
}

void tcp_enter_time_wait(struct utcp_conn *conn)
{
    if (conn->state != TCP_TIME_WAIT)
        tcp_set_state(conn, TCP_TIME_WAIT);
    tcp_timer_stop_all(conn);
    start_after(conn, TIMER_TIME_WAIT, conn->stack->settings.time_wait);
    buffers_free_unused(conn);
}

uint64_t tcp_fin_wait2(const struct utcp_conn *conn)
{
    return conn->fin_wait2 == UINT64_MAX ? conn->stack->settings.fin_wait2 : conn->fin_wait2;
}

/* As Linux (tcp_fin_time()): a FIN that is lost once, and goes again, must be in time. */
uint64_t tcp_fin_again(const struct utcp_conn *conn)
{
    return 4 * conn->rtt.rto - conn->rtt.rto / 2;
}

/* Nobody is left to send keep-alives for. */
void tcp_start_fin_wait2_orphan(struct utcp_conn *conn)
{
    uint64_t time = tcp_fin_wait2(conn);
    uint64_t least = tcp_fin_again(conn);

    if (time == 0) {
        tcp_output_reset(conn);
        tcp_finish(conn, 0);
        return;
    }
    tcp_timer_stop(conn, TIMER_KEEPALIVE);
    start_after(conn, TIMER_TIME_WAIT, time > least ? time : least);
}

static bool is_orphan(const struct utcp_conn *conn)
{
    return conn->user == NULL && conn->listener == NULL;
}

/* As Linux: an old connection that has answered a SYN is gone after our RST, so there is no need to wait for
 * the time-out. But only once, for it may have been somebody else's answer. */
void tcp_syn_again_soon(struct utcp_conn *conn)
{
    if (conn->unanswered == 0)
        start_after(conn, TIMER_RETRANSMIT, SYN_AGAIN);
}

/* How many unanswered retransmissions end the connection. */
static uint64_t retry_limit(const struct utcp_conn *conn)
{
    const struct utcp_settings *settings = &conn->stack->settings;

    if (conn->state == TCP_SYN_SENT)
        return conn->syn_retries;
    if (conn->state == TCP_SYN_RECEIVED && conn->deferred_at != 0 &&
        conn->defer_accept > settings->synack_retries)
        return conn->defer_accept;
    if (conn->state == TCP_SYN_RECEIVED)
        return settings->synack_retries;
    if (is_orphan(conn))
        return settings->orphan_retries;
    return settings->retries;
}

/* RFC 9293 section 3.8.3, R2 in the user's words. As Linux, the clock starts with the first time-out; and
 * while the peer keeps its window closed it runs although the probes are answered. */
static bool out_of_patience(const struct utcp_conn *conn)
{
    return patience_end(conn) <= conn->stack->now;
}

static void try_again(struct utcp_conn *conn)
{
    conn->unanswered++;
    conn->backoff++;
    if (conn->stuck_since == 0)
        conn->stuck_since = conn->stack->now;
}

static void time_out(struct utcp_conn *conn)
{
    tcp_finish(conn, conn->soft_error != 0 ? conn->soft_error : -ETIMEDOUT);
}

static void fire_retransmit(struct utcp_conn *conn)
{
    if (conn->unanswered >= retry_limit(conn) || out_of_patience(conn)) {
        time_out(conn);
        return;
    }
    try_again(conn);
    conn->stack->counters.tcp_timeouts++;
    if (tcp_synchronized(conn->state)) {
        recovery_on_timeout(conn);
    } else {
        /* As Linux: a peer whose ACK was put off is asked for another when the time is over. */
        conn->send_syn = conn->deferred_at == 0 || conn->unanswered >= conn->defer_accept;
        /* RFC 6298 (5.7) wants an RTO of 3 s after a lost SYN for hosts that begin with less; Linux
         * begins data with 1 s again, and so do we. */
    }
    wait_for_answer(conn, TIMER_RETRANSMIT);
    stack_want_send(conn);
}

/* Nobody is left who could lose patience, so a peer that answers and never opens its window would keep
 * an orphan for ever. As Linux: it ends when its probes are as far apart as they get. */
static bool waited_long_enough(const struct utcp_conn *conn)
{
    return is_orphan(conn) && conn->backoff >= conn->stack->settings.orphan_retries &&
           backed_off_rto(conn) >= conn->stack->settings.rto_max;
}

/* RFC 9293 section 3.8.6.1: the probes go on for as long as the peer answers them, and the interval
 * "SHOULD increase exponentially" even so. */
static void fire_persist(struct utcp_conn *conn)
{
    if (conn->unanswered >= retry_limit(conn) || waited_long_enough(conn) ||
        out_of_patience(conn)) {
        time_out(conn);
        return;
    }
    try_again(conn);
    conn->probe_now = true;
    wait_for_answer(conn, TIMER_PERSIST);
    stack_want_send(conn);
}

void tcp_timers_fire(struct utcp_conn *conn)
{
    static void (*const actions[TIMERS])(struct utcp_conn *) = {
        [TIMER_LOSS_PROBE] = probe_on_timer,   [TIMER_REORDER] = rack_on_timer,
        [TIMER_DELAYED_ACK] = delack_on_timer, [TIMER_RETRANSMIT] = fire_retransmit,
        [TIMER_PACE] = pacing_on_timer,        [TIMER_KEEPALIVE] = keepalive_on_timer,
        [TIMER_PERSIST] = fire_persist,        [TIMER_TIME_WAIT] = NULL,
    };

    for (size_t i = 0; i < TIMERS; i++) {
        if (conn->timers[i] > conn->stack->now)
            continue;
        tcp_timer_stop(conn, i);
        if (actions[i] == NULL)
            tcp_finish(conn, 0);
        else
            actions[i](conn);
        /* The connection may be gone; what else was due comes with the next deadline. */
        return;
    }
}
