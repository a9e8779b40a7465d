/* SPDX-License-Identifier: MIT */
/* Opening a connection: what both ends learn from SYNs, RFC 9293 section 3.5. */
#include <errno.h>

#include "stack.h"
#include "tcp/tcb.h"

/* RFC 9293 section 3.7.1: "If an MSS Option is not received at connection setup, TCP
 * implementations MUST assume a default send MSS of 536". */
#define MSS_DEFAULT 536

#define SUCCESSOR_DISTANCE (65535 + 2)

/* The setting's value that has every SYN answered with a cookie. */
#define COOKIES_ALWAYS 2

/* How long cookies may come back after the last of them was sent. */
#define COOKIES_AWAITED (120 * UTCP_SEC)

/* RFC 6528: ISN = M + F(localip, localport, remoteip, remoteport, secretkey), M a clock that ticks
 * every 4 microseconds. */
static tcp_seq choose_isn(const struct utcp_conn *conn)
{
    uint64_t hash = stack_hash_tuple(conn->stack, &conn->local, &conn->remote, 0);

    return (tcp_seq)(hash + conn->stack->now / (4 * UTCP_USEC));
}

/* As Linux: so that the field can say twice what the buffer may grow to. But never a unit that is more
 * than half the buffer of now: the field could not say more than "closed" then. */
static uint8_t choose_wscale(const struct utcp_conn *conn)
{
    const struct utcp_settings *settings = &conn->stack->settings;
    uint64_t largest = (conn->rcv_fixed ? 1 : 2) * (uint64_t)buffers_largest_window(conn);
    uint8_t shift = 0;

    while (shift < settings->wscale && UINT64_C(65536) << shift <= largest)
        shift++;
    if (settings->window_scaling == 0)
        return 0;
    while (shift > 0 && UINT32_C(1) << shift > conn->rcv_limit / 2)
        shift--;
    return shift;
}

/* Linux (tcp_twsk_unique()): a second after the last word of the old connection both clocks have gone on,
 * so PAWS tells its late duplicates from what is new. */
bool tcp_may_succeed(const struct utcp_conn *predecessor)
{
    const struct utcp_stack *stack = predecessor->stack;

    return stack->settings.tw_reuse != 0 && predecessor->state == TCP_TIME_WAIT &&
           predecessor->timestamps_ok && stack->now - predecessor->ts_recent_at > UTCP_SEC;
}

/* RFC 1122 section 4.2.2.13: the new number is to be "larger than the largest sequence number it used on
 * the previous connection incarnation": by more than a window without scaling, as Linux. A first SYN
 * echoes what the old connection saw last. */
static void succeed(struct utcp_conn *conn, const struct utcp_conn *predecessor)
{
    conn->iss = predecessor->snd_nxt + SUCCESSOR_DISTANCE;
    conn->ts_recent = predecessor->ts_recent;
    conn->ts_recent_at = predecessor->ts_recent_at;
}

void tcp_start_sending(struct utcp_conn *conn, const struct utcp_conn *predecessor)
{
    const struct utcp_settings *settings = &conn->stack->settings;

    conn->iss = choose_isn(conn);
    conn->ts_recent = 0;
    conn->ecn = (struct ecn){0};
    if (predecessor != NULL)
        succeed(conn, predecessor);
    conn->snd_una = conn->snd_nxt = conn->iss;
    conn->snd_buf_seq = conn->iss + 1;
    conn->urgent.snd_up = conn->iss;
    chunks_start(conn, conn->snd_buf_seq);
    conn->rcv_wscale = choose_wscale(conn);
    tcp_look_up_path(conn);
    timestamps_start(conn);
    conn->had_peer = true;
    conn->send_syn = true;
    rtt_init(&conn->rtt, settings);
    conn->recovery.reordering = (uint32_t)settings->reordering;
    stack_want_send(conn);
}

static void learn_options(struct utcp_conn *conn, const struct tcp_options *options)
{
    uint32_t mss = options->mss != 0 ? options->mss : MSS_DEFAULT;

    timestamps_learn_syn(conn, options);
    conn->peer_mss = mss > MSS_LEAST ? mss : MSS_LEAST;
    tcp_sync_mss(conn);
    /* RFC 7323 section 2.2: scaling is on "only if both" sent the option. */
    conn->wscale_ok = options->has_wscale && conn->stack->settings.window_scaling;
    conn->snd_wscale = conn->wscale_ok ? options->wscale : 0;
    if (!conn->wscale_ok)
        conn->rcv_wscale = 0;
    conn->sack_ok = options->sack_permitted && conn->stack->settings.sack;
}

void tcp_learn_syn(struct utcp_conn *conn, const struct tcp_segment *segment)
{
    uint32_t window = conn->rcv_limit < 65535 ? conn->rcv_limit : 65535;

    learn_options(conn, &segment->options);
    ecn_learn_syn(conn, segment);
    conn->irs = segment->seq;
    conn->rcv_nxt = segment->seq + 1;
    conn->rcv_acked = conn->rcv_nxt;
    conn->rcv_adv = conn->rcv_nxt + window;
    /* RFC 7323 section 2.2: "The window field in a segment where the SYN bit is set ... MUST NOT be
     * scaled". */
    conn->snd_wnd = conn->snd_wnd_max = segment->window;
    conn->snd_wl1 = segment->seq;
    conn->snd_wl2 = segment->ack;
}

/* RFC 6298 section 3 (Karn): when the SYN went more than once only its timestamp can tell; but not once
 * an ACK of it was put off. */
static void measure_handshake(struct utcp_conn *conn, const struct tcp_options *options)
{
    struct utcp_stack *stack = conn->stack;
    utcp_time answered_at = conn->deferred_at != 0 ? conn->deferred_at : stack->now;
    uint64_t sample = 0;

    if (conn->syn_sent_at != 0)
        sample = answered_at - conn->syn_sent_at;
    else if (conn->deferred_at == 0)
        sample = timestamps_rtt(conn, options);
    if (conn->syn_sent_at == 0 && sample == 0)
        return;
    rtt_sample(&conn->rtt, &stack->settings, sample, conn->snd_una, conn->snd_nxt);
    rtt_note_min(&conn->rtt, sample, stack->now);
}

void tcp_establish(struct utcp_conn *conn, const struct tcp_segment *segment)
{
    bool syn = (segment->flags & TCP_SYN) != 0;

    conn->snd_una = conn->iss + 1;
    conn->snd_nxt = seq_max(conn->snd_nxt, conn->snd_una);
    conn->snd_sml = conn->uncorked = conn->urgent.snd_up = conn->snd_una;
    conn->send_syn = false;
    got_through(conn);
    tcp_timer_stop(conn, TIMER_RETRANSMIT);
    conn->snd_wnd = (uint32_t)segment->window << (syn ? 0 : conn->snd_wscale);
    conn->snd_wnd_max = conn->snd_wnd;
    conn->snd_wl1 = segment->seq;
    conn->snd_wl2 = segment->ack;
    measure_handshake(conn, &segment->options);
    congestion_start(conn);
    conn->data_sent_at = conn->data_received_at = conn->stack->now;
    buffers_start(conn);
    tcp_set_state(conn, TCP_ESTABLISHED);
    if (conn->fin_queued)
        tcp_set_state(conn, TCP_FIN_WAIT_1);
    tcp_timer_review(conn);
    keepalive_start(conn);
    stack_want_send(conn);
}

/* Linux's TCP_DEFER_ACCEPT: a server whose clients speak first need not hear of them before. The ACK is
 * as good as lost, but the SYN-ACK does not go again before the time is over: see timer.c. */
bool tcp_defer_accept(struct utcp_conn *conn, const struct tcp_segment *segment)
{
    if (segment_len(segment) > 0 || conn->unanswered >= conn->defer_accept)
        return false;
    if (conn->deferred_at == 0)
        conn->deferred_at = conn->stack->now;
    return true;
}

/* Linux drops, and does not reset: the peer tries again, and by then there may be room. */
static bool accept_queue_full(const struct utcp_conn *listener)
{
    return listener->accept_count > listener->backlog;
}

static void inherit(struct utcp_conn *child, const struct utcp_conn *listener)
{
    child->mss_limit = listener->mss_limit;
    child->snd_limit = listener->snd_limit;
    child->snd_fixed = listener->snd_fixed;
    child->notsent_lowat = listener->notsent_lowat;
    child->keepalive = listener->keepalive;
    child->user_timeout = listener->user_timeout;
    child->fin_wait2 = listener->fin_wait2;
    child->defer_accept = listener->defer_accept;
    child->rcv_limit = child->rcv_wanted = listener->rcv_limit;
    child->rcv_fixed = listener->rcv_fixed;
    child->nodelay = listener->nodelay;
    child->cork = listener->cork;
    child->urgent.is_inline = listener->urgent.is_inline;
    child->reuse_addr = listener->reuse_addr;
    child->reuse_port = listener->reuse_port;
    child->ttl = listener->ttl;
    child->tos = listener->tos;
    child->mtu_discover = listener->mtu_discover;
    child->congestion = listener->congestion;
    child->pacing.max_rate = listener->pacing.max_rate;
}

/* What a listener's SYN begins, in no table yet. */
static void init_child(struct utcp_conn *child, const struct utcp_conn *listener,
                       const struct tcp_segment *syn)
{
    inherit(child, listener);
    child->local = syn->dst;
    child->remote = syn->src;
    child->passive = true;
}

static struct utcp_conn *add_child(struct utcp_conn *listener, const struct tcp_segment *syn,
                                   const struct utcp_conn *predecessor)
{
    struct utcp_conn *child = stack_add_conn(listener->stack);

    if (child == NULL) {
        listener->stack->counters.tcp_listen_overflows++;
        return NULL;
    }
    init_child(child, listener, syn);
    child->listener = listener;
    listener->half_open++;
    tcp_set_state(child, TCP_SYN_RECEIVED);
    stack_insert_tuple(child);
    tcp_start_sending(child, predecessor);
    tcp_learn_syn(child, syn);
    return child;
}

/* A SYN without timestamps agrees to nothing but its MSS: the rest could not be remembered. */
static void forget_options(struct tcp_segment *syn)
{
    syn->options = (struct tcp_options){.mss = syn->options.mss};
    syn->flags = TCP_SYN;
}

/* The connection lives as long as it takes to write its SYN-ACK. */
static void answer_with_cookie(struct utcp_conn *listener, const struct tcp_segment *segment)
{
    struct utcp_stack *stack = listener->stack;
    struct utcp_conn child = {.stack = stack, .state = TCP_CLOSED};
    struct tcp_segment syn = *segment;

    if (!syn.options.has_timestamps || stack->settings.timestamps == 0)
        forget_options(&syn);
    init_child(&child, listener, &syn);
    tcp_start_sending(&child, NULL);
    tcp_learn_syn(&child, &syn);
    child.state = TCP_SYN_RECEIVED;
    child.iss = cookie_make(stack, &syn, child.peer_mss);
    child.ts_offset += cookie_time(&child) - timestamps_now(&child);
    tcp_output_syn_ack(&child);
    listener->cookie_sent_at = stack->now;
    stack->counters.tcp_cookies_sent++;
}

/* As Linux: a SYN of one that was in TIME-WAIT is no flood. */
static bool must_answer_with_cookie(const struct utcp_conn *listener,
                                    const struct utcp_conn *predecessor)
{
    return predecessor == NULL && (listener->stack->settings.syncookies == COOKIES_ALWAYS ||
                                   listener->half_open > listener->backlog);
}

void tcp_listen_syn(struct utcp_conn *listener, const struct tcp_segment *segment,
                    const struct utcp_conn *predecessor)
{
    struct utcp_stack *stack = listener->stack;
    bool flood = must_answer_with_cookie(listener, predecessor);

    if (accept_queue_full(listener) || (flood && stack->settings.syncookies == 0))
        stack->counters.tcp_listen_overflows++;
    else if (flood)
        answer_with_cookie(listener, segment);
    else
        add_child(listener, segment, predecessor);
}

/* Only a listener that has sent some lately needs to look. */
static bool awaits_cookies(const struct utcp_conn *listener)
{
    return listener->cookie_sent_at != 0 &&
           listener->stack->now - listener->cookie_sent_at < COOKIES_AWAITED;
}

bool tcp_listen_ack(struct utcp_conn *listener, const struct tcp_segment *segment,
                    struct utcp_conn **conn)
{
    struct utcp_stack *stack = listener->stack;
    struct tcp_segment syn;

    *conn = NULL;
    if (!awaits_cookies(listener) || !cookie_read(stack, segment, &syn)) {
        stack->counters.tcp_cookies_bad += awaits_cookies(listener);
        return false;
    }
    if (!accept_queue_full(listener))
        *conn = add_child(listener, &syn, NULL);
    if (*conn == NULL)
        return true;
    stack->counters.tcp_cookies_good++;
    (*conn)->iss = segment->ack - 1;
    (*conn)->snd_una = (*conn)->iss;
    (*conn)->snd_nxt = (*conn)->snd_buf_seq = (*conn)->iss + 1;
    (*conn)->send_syn = false;
    (*conn)->defer_accept = 0;
    return true;
}
