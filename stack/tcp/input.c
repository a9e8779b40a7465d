/* SPDX-License-Identifier: MIT */
/*
 * SEGMENT ARRIVES, RFC 9293 section 3.10.7, in the RFC's order. Each step records facts in the
 * control block and says whether the segment goes on to the next one. Nothing is sent from here:
 * what is due is noted (acks_due, send_syn), and plan.c decides.
 */
#include <errno.h>

#include "stack.h"
#include "tcp/tcb.h"
#include "wire/bytes.h"

enum verdict { DROP, GO_ON };

/* Segments outside the window and without data are answered at most so often: two peers that are
 * out of step would otherwise answer each other for ever. Linux: tcp_invalid_ratelimit, 500 ms. */
#define OOW_ACK_INTERVAL (500 * UTCP_MSEC)

void tcp_reset_reply(struct utcp_stack *stack, const struct tcp_segment *segment)
{
    struct tcp_segment reset = {.src = segment->dst, .dst = segment->src, .flags = TCP_RST};
    struct ipv4 ip = {.dst = segment->src.addr, .protocol = IP_TCP, .payload_len = TCP_HEADER};
    uint8_t *body;

    if ((segment->flags & TCP_RST) != 0)
        return;
    /* "If the ACK bit is off, sequence number zero is used, <SEQ=0><ACK=SEG.SEQ+SEG.LEN>
     * <CTL=RST,ACK>. If the ACK bit is on, <SEQ=SEG.ACK><CTL=RST>" */
    if ((segment->flags & TCP_ACK) != 0) {
        reset.seq = segment->ack;
    } else {
        reset.ack = segment->seq + segment_len(segment);
        reset.flags |= TCP_ACK;
    }
    body = stack_reply(stack, &ip);
    if (body == NULL)
        return;
    tcp_write(body, &reset);
    stack->counters.tcp_rst_out++;
}

/* Whether an answer without data to something without data must wait. */
static bool answered_lately(struct utcp_conn *conn)
{
    utcp_time now = conn->stack->now;

    if (conn->oow_ack_time != 0 && now - conn->oow_ack_time < OOW_ACK_INTERVAL)
        return true;
    conn->oow_ack_time = now;
    return false;
}

/*
 * RFC 5961 section 7: "no more than X" challenge ACKs "in a Y second" interval, of the whole stack. An
 * attacker who can count them learns whether a guess about somebody else's connection was right
 * (CVE-2016-5696), so how many there are varies; Linux has no such limit any more unless asked.
 */
static bool challenges_exhausted(struct utcp_stack *stack)
{
    uint64_t limit = stack->settings.challenge_acks, second = stack->now / UTCP_SEC + 1;
    uint64_t half = (limit + 1) / 2;
    uint32_t random = 0;

    if (limit == INT32_MAX)
        return false;
    if (stack->challenge_second != second) {
        stack->random.fill(stack->random.ctx, &random, sizeof(random));
        stack->challenge_second = second;
        stack->challenges_left = limit == 0 ? 0 : half + random % limit;
    }
    if (stack->challenges_left == 0)
        return true;
    stack->challenges_left--;
    return false;
}

void tcp_challenge(struct utcp_conn *conn)
{
    if (answered_lately(conn) || challenges_exhausted(conn->stack))
        return;
    conn->stack->counters.tcp_challenge_acks++;
    tcp_ack_due(conn);
    stack_want_send(conn);
}

/* ---- 3.10.7.2: LISTEN ---- */

static void input_synchronized(struct utcp_conn *conn, struct tcp_segment *segment);

/* An ACK may bring back a SYN cookie; then it is the third of its handshake. */
static bool input_cookie(struct utcp_conn *listener, struct tcp_segment *segment)
{
    struct utcp_conn *conn;

    if ((segment->flags & (TCP_SYN | TCP_ACK)) != TCP_ACK ||
        !tcp_listen_ack(listener, segment, &conn))
        return false;
    if (conn != NULL) {
        conn->count.segs_in++;
        input_synchronized(conn, segment);
    }
    return true;
}

static void input_listen(struct utcp_conn *listener, struct tcp_segment *segment)
{
    /* "First, check for a RST: An incoming RST segment should be ignored." */
    if ((segment->flags & TCP_RST) != 0)
        return;
    /* "Second, check for an ACK: Any acknowledgment is bad if it arrives on a connection still in
     * the LISTEN state." */
    if ((segment->flags & TCP_ACK) != 0) {
        if (!input_cookie(listener, segment))
            tcp_reset_reply(listener->stack, segment);
        return;
    }
    /* "Third, check for a SYN". A FIN beside it is nonsense that Linux drops, too. */
    if ((segment->flags & (TCP_SYN | TCP_FIN)) == TCP_SYN)
        tcp_listen_syn(listener, segment, NULL);
}

/* ---- 3.10.7.3: SYN-SENT ---- */

static void input_syn_sent(struct utcp_conn *conn, const struct tcp_segment *segment)
{
    bool acks = (segment->flags & TCP_ACK) != 0;

    /* "First, check the ACK bit: If SEG.ACK =< ISS or SEG.ACK > SND.NXT, send a reset". As Linux, also
     * when it echoes a time that was none of ours. */
    if (acks && (seq_le(segment->ack, conn->iss) || seq_gt(segment->ack, conn->snd_nxt) ||
                 !timestamps_echo_possible(conn, segment))) {
        tcp_reset_reply(conn->stack, segment);
        tcp_syn_again_soon(conn);
        return;
    }
    /* "Second, check the RST bit: If the ACK was acceptable, then signal to the user 'error:
     * connection reset', drop the segment, enter CLOSED state"; a user calls that "connection
     * refused". */
    if ((segment->flags & TCP_RST) != 0) {
        if (acks)
            tcp_finish(conn, -ECONNREFUSED);
        return;
    }
    /* "Fourth, check the SYN bit" */
    if ((segment->flags & TCP_SYN) == 0)
        return;
    tcp_learn_syn(conn, segment);
    if (acks) {
        tcp_establish(conn, segment);
        tcp_ack_due(conn);
    } else {
        /* Simultaneous open: "Otherwise, enter SYN-RECEIVED, form a SYN,ACK segment". */
        tcp_set_state(conn, TCP_SYN_RECEIVED);
        conn->send_syn = true;
    }
    stack_want_send(conn);
}

/* ---- 3.10.7.4: other states ---- */

/*
 * Acceptable is what begins at or before the right edge and ends at or behind what was last
 * acknowledged. That is wider than the RFC's table by the two edges, as Linux has it: a peer that
 * has filled the window sends its ACKs from the right edge, and they count.
 */
static bool in_window(const struct utcp_conn *conn, const struct tcp_segment *segment)
{
    return seq_le(segment->seq, conn->rcv_adv) &&
           seq_ge(segment->seq + segment_len(segment), conn->rcv_acked);
}

static void answer_out_of_window(struct utcp_conn *conn, const struct tcp_segment *segment)
{
    tcp_seq end = segment->seq + segment->payload_len;

    if (segment->payload_len == 0) {
        if (answered_lately(conn))
            return;
    } else if (seq_lt(segment->seq, conn->rcv_nxt)) {
        sack_note_duplicate(conn, segment->seq, seq_min(end, conn->rcv_nxt));
    }
    tcp_ack_due(conn);
    stack_want_send(conn);
}

/* RFC 7323 section 5.3, R1: "... then treat the arriving segment as not acceptable: Send an
 * acknowledgment in reply ... and drop the segment". A RST is exempt: section 5.2. A segment without
 * the option is taken as it is, as on Linux; the RFC would have it dropped. */
static enum verdict check_timestamps(struct utcp_conn *conn, const struct tcp_segment *segment)
{
    uint32_t window = (uint32_t)segment->window << conn->snd_wscale;

    if ((segment->flags & TCP_RST) != 0 || !timestamps_are_old(conn, segment))
        return GO_ON;
    /* As Linux (tcp_disordered_ack()): an ACK that was overtaken is a duplicate, and its SACK blocks
     * are true. With another window than the present one it would be answered there; here it is only
     * dropped: the window is as old as the rest, and the answer would help nobody. */
    if (timestamps_overtaken(conn, segment))
        return window == conn->snd_wnd ? GO_ON : DROP;
    conn->stack->counters.tcp_paws++;
    answer_out_of_window(conn, segment);
    return DROP;
}

/* As Linux (tcp_reset_check()): a peer whose program is killed behind its FIN resets with the FIN's number,
 * macOS for one. */
static bool resets_behind_fin(const struct utcp_conn *conn, const struct tcp_segment *segment)
{
    bool closing =
        conn->state == TCP_CLOSE_WAIT || conn->state == TCP_CLOSING || conn->state == TCP_LAST_ACK;

    return closing && (segment->flags & TCP_RST) != 0 && segment->seq == conn->rcv_nxt - 1;
}

/* "First, check sequence number" */
static enum verdict check_sequence(struct utcp_conn *conn, struct tcp_segment *segment)
{
    /* The SYN we know comes again: either our SYN-ACK was lost, or SYNs crossed and this is the
     * peer's SYN-ACK, whose SYN lies left of the window. */
    if (conn->state == TCP_SYN_RECEIVED && (segment->flags & TCP_SYN) != 0 &&
        segment->seq == conn->irs) {
        if ((segment->flags & TCP_ACK) == 0) {
            conn->send_syn = true;
            stack_want_send(conn);
            return DROP;
        }
        segment->flags &= (uint8_t)~TCP_SYN;
        segment->seq++;
        /* The window of a SYN is not scaled; that of the bare ACK which it passes for from here
         * is. What is lost by rounding down comes back with the next segment. */
        segment->window = (uint16_t)(segment->window >> conn->snd_wscale);
    }
    if (in_window(conn, segment) || resets_behind_fin(conn, segment))
        return GO_ON;
    /* "If an incoming segment is not acceptable, an acknowledgment should be sent in reply (unless
     * the RST bit is set...)" */
    if ((segment->flags & TCP_RST) == 0) {
        if (segment->payload_len > 0)
            conn->stack->counters.tcp_duplicates++;
        answer_out_of_window(conn, segment);
    }
    return DROP;
}

/* "Second, check the RST bit", with RFC 5961 section 3.2: only the exact number resets. */
static enum verdict check_reset(struct utcp_conn *conn, const struct tcp_segment *segment)
{
    if ((segment->flags & TCP_RST) == 0)
        return GO_ON;
    if (segment->seq != conn->rcv_nxt && !resets_behind_fin(conn, segment)) {
        if (seq_gt(segment->seq, conn->rcv_nxt))
            tcp_challenge(conn);
        return DROP;
    }
    switch (conn->state) {
    case TCP_SYN_RECEIVED:
        tcp_finish(conn, conn->passive ? 0 : -ECONNREFUSED);
        break;
    case TCP_CLOSE_WAIT:
        tcp_finish(conn, -EPIPE); /* as Linux: the peer had said all it wanted to say */
        break;
    case TCP_CLOSING:
    case TCP_LAST_ACK:
    case TCP_TIME_WAIT:
        tcp_finish(conn, 0);
        break;
    default:
        tcp_finish(conn, -ECONNRESET);
    }
    return DROP;
}

/*
 * A new connection from the same port: RFC 9293 section 3.10.7.4, fourth, TIME-WAIT (MAY-2, from
 * RFC 1122 section 4.2.2.13), when its sequence numbers are above the old ones; or, RFC 6191, when its
 * time is later. An earlier time is that of an old duplicate, whatever its number.
 */
static bool reopens(const struct utcp_conn *conn, const struct tcp_segment *segment)
{
    return conn->state == TCP_TIME_WAIT &&
           (segment->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN &&
           !timestamps_are_old(conn, segment) &&
           (seq_gt(segment->seq, conn->rcv_nxt) || timestamps_are_new(conn, segment)) &&
           stack_find_listener(conn->stack, &conn->local) != NULL;
}

static void reopen(struct utcp_conn *conn, const struct tcp_segment *segment)
{
    struct utcp_conn *listener = stack_find_listener(conn->stack, &conn->local);

    tcp_finish(conn, 0);
    tcp_listen_syn(listener, segment, conn);
}

/* "Fourth, check the SYN bit", with RFC 5961 section 4.2: a challenge ACK in any synchronized
 * state. */
static enum verdict check_syn(struct utcp_conn *conn, const struct tcp_segment *segment)
{
    if ((segment->flags & TCP_SYN) == 0)
        return GO_ON;
    tcp_challenge(conn);
    return DROP;
}

/* An ACK in SYN-RECEIVED: "If SND.UNA < SEG.ACK =< SND.NXT, then enter ESTABLISHED state", else a
 * reset. */
static enum verdict finish_handshake(struct utcp_conn *conn, const struct tcp_segment *segment)
{
    struct utcp_conn *listener = conn->listener;

    if (seq_le(segment->ack, conn->snd_una) || seq_gt(segment->ack, conn->snd_nxt)) {
        tcp_reset_reply(conn->stack, segment);
        return DROP;
    }
    if (listener != NULL) {
        if (tcp_defer_accept(conn, segment))
            return DROP;
        /* No room: the SYN-ACK goes out again later, and so does the peer's ACK. As Linux. */
        if (listener->accept_count > listener->backlog)
            return DROP;
        listener->half_open--;
        listener->accept_count++;
        list_append(&listener->accept_queue, &conn->accept_link);
        listener->tell_anyway = true;
        stack_want_tell(listener);
    }
    tcp_establish(conn, segment);
    return GO_ON;
}

static bool our_fin_is_acked(const struct utcp_conn *conn)
{
    return fin_sent(conn) && conn->snd_una == snd_end(conn) + 1;
}

/* "... in addition to the processing for the ESTABLISHED state, if the FIN segment is now
 * acknowledged" */
static void take_ack_of_fin(struct utcp_conn *conn)
{
    switch (conn->state) {
    case TCP_FIN_WAIT_1:
        tcp_set_state(conn, TCP_FIN_WAIT_2);
        if (conn->user == NULL)
            tcp_start_fin_wait2_orphan(conn);
        break;
    case TCP_CLOSING:
        tcp_enter_time_wait(conn);
        break;
    case TCP_LAST_ACK:
        tcp_finish(conn, 0);
        break;
    default:
        break;
    }
}

/* "Fifth, check the ACK field" */
static enum verdict check_ack(struct utcp_conn *conn, const struct tcp_segment *segment)
{
    if ((segment->flags & TCP_ACK) == 0)
        return DROP;
    if (conn->state == TCP_SYN_RECEIVED && finish_handshake(conn, segment) == DROP)
        return DROP;
    if (conn->state == TCP_TIME_WAIT)
        return GO_ON;
    if (!tcp_take_ack(conn, segment))
        return DROP;
    if (our_fin_is_acked(conn))
        take_ack_of_fin(conn);
    return conn->state == TCP_CLOSED ? DROP : GO_ON;
}

/* RFC 9293 section 3.6.1: data that nobody will ever read is answered with a reset. */
static bool orphan_got_data(const struct utcp_conn *conn, const struct tcp_segment *segment)
{
    return conn->user == NULL && conn->listener == NULL && segment->payload_len > 0 &&
           seq_gt(segment->seq + segment->payload_len, conn->rcv_nxt);
}

/* "Sixth, check the URG bit", "Seventh, process the segment text", and "Eighth, check the FIN bit" */
static void take_text_and_fin(struct utcp_conn *conn, const struct tcp_segment *segment)
{
    bool had_fin = conn->fin_received;

    if (conn->state != TCP_TIME_WAIT && orphan_got_data(conn, segment)) {
        tcp_reset_reply(conn->stack, segment);
        tcp_finish(conn, 0);
        return;
    }
    urgent_take(conn, segment);
    tcp_take_text(conn, segment);
    if (conn->acks_due > 0)
        stack_want_send(conn);
    if (conn->state == TCP_TIME_WAIT && (segment->flags & TCP_FIN) != 0)
        tcp_enter_time_wait(conn); /* "Restart the 2 MSL time-wait timeout." */
    if (had_fin || !conn->fin_received)
        return;
    switch (conn->state) {
    case TCP_ESTABLISHED:
        tcp_set_state(conn, TCP_CLOSE_WAIT);
        break;
    case TCP_FIN_WAIT_1:
        tcp_set_state(conn, TCP_CLOSING);
        break;
    case TCP_FIN_WAIT_2:
        tcp_enter_time_wait(conn);
        break;
    default:
        break;
    }
}

static void input_synchronized(struct utcp_conn *conn, struct tcp_segment *segment)
{
    if (reopens(conn, segment)) {
        reopen(conn, segment);
        return;
    }
    if (check_timestamps(conn, segment) == DROP || check_sequence(conn, segment) == DROP ||
        check_reset(conn, segment) == DROP || check_syn(conn, segment) == DROP ||
        check_ack(conn, segment) == DROP)
        return;
    take_text_and_fin(conn, segment);
}

/* ---- SEGMENT ARRIVES ---- */

static void dispatch(struct utcp_stack *stack, struct tcp_segment *segment)
{
    struct utcp_conn *conn = stack_find_tuple(stack, &segment->dst, &segment->src);

    if (conn == NULL)
        conn = stack_find_listener(stack, &segment->dst);
    if (conn == NULL) {
        /* 3.10.7.1: "If the state is CLOSED ... all data in the incoming segment is discarded." */
        stack->counters.tcp_no_conn++;
        tcp_reset_reply(stack, segment);
        return;
    }
    conn->count.segs_in++;
    conn->count.data_segs_in += segment->payload_len > 0;
    if (conn->state == TCP_LISTEN)
        input_listen(conn, segment);
    else if (conn->state == TCP_SYN_SENT)
        input_syn_sent(conn, segment);
    else
        input_synchronized(conn, segment);
    rings_review(conn);
}

void tcp_input(struct utcp_stack *stack, const struct ipv4 *ip, bool verify)
{
    struct tcp_segment segment = {
        .src.addr = ip->src,
        .dst.addr = ip->dst,
        .ecn = ip->tos & 3,
    };

    stack->counters.tcp_in++;
    if (!tcp_parse(ip->payload, ip->payload_len, verify, &segment)) {
        stack->counters.tcp_bad++;
        return;
    }
    if (stack->text != NULL)
        segment.payload = stack->text;
    dispatch(stack, &segment);
}

void tcp_icmp_error(struct utcp_conn *conn, tcp_seq seq, int error)
{
    /* RFC 5927 section 4.1: only about what is in flight. */
    if (seq_lt(seq, conn->snd_una) || seq_ge(seq, conn->snd_nxt))
        return;
    conn->stack->counters.icmp_errors++;
    /* RFC 5461 and Linux: hard while connecting; otherwise, RFC 1122 section 4.2.3.9, a hint only.
     */
    if (conn->state == TCP_SYN_SENT)
        tcp_finish(conn, error);
    else
        conn->soft_error = error;
}
