/* SPDX-License-Identifier: MIT */
/* What an ACK says about our own data: RFC 9293 section 3.10.7.4, fifth, and RFC 5681. */
#include "stack.h"
#include "tcp/tcb.h"

#define RENEGED_LEAST (10 * UTCP_MSEC)

static uint32_t scaled_window(const struct utcp_conn *conn, const struct tcp_segment *segment)
{
    return (uint32_t)segment->window << conn->snd_wscale;
}

/* RFC 5681 section 2: an ACK is a duplicate when "(a) the receiver of the ACK has outstanding data,
 * (b) the incoming acknowledgment carries no data, (c) the SYN and FIN bits are both off, (d) the
 * acknowledgment number is equal to the greatest acknowledgment received ... and (e) the advertised
 * window ... equals the advertised window in the last incoming acknowledgment." */
static bool is_duplicate(const struct utcp_conn *conn, const struct tcp_segment *segment)
{
    return outstanding(conn) > 0 && segment_len(segment) == 0 && segment->ack == conn->snd_una &&
           scaled_window(conn, segment) == conn->snd_wnd;
}

/* "If SND.UNA =< SEG.ACK =< SND.NXT, the send window should be updated. If SND.WL1 < SEG.SEQ or
 * (SND.WL1 = SEG.SEQ and SND.WL2 =< SEG.ACK), set SND.WND <- SEG.WND, set SND.WL1 <- SEG.SEQ, and
 * set SND.WL2 <- SEG.ACK." As Linux (tcp_may_update_window()), an ACK of new data always counts,
 * even on a segment with an old number, such as one sent again: SND.WND begins at SND.UNA, so the
 * old window behind the new SND.UNA would end where no peer allowed it. */
static void update_window(struct utcp_conn *conn, const struct tcp_segment *segment, bool acks_new)
{
    if (seq_lt(segment->ack, conn->snd_una))
        return;
    if (!acks_new && (seq_gt(conn->snd_wl1, segment->seq) ||
                      (conn->snd_wl1 == segment->seq && seq_gt(conn->snd_wl2, segment->ack))))
        return;
    conn->snd_wnd = scaled_window(conn, segment);
    conn->snd_wl1 = segment->seq;
    conn->snd_wl2 = segment->ack;
    if (conn->snd_wnd > conn->snd_wnd_max)
        conn->snd_wnd_max = conn->snd_wnd;
}

static void free_acknowledged(struct utcp_conn *conn, tcp_seq ack)
{
    uint32_t len = ack - conn->snd_buf_seq;

    /* The FIN has a number, but no byte in the buffer. */
    if (len > conn->snd_buf.len)
        len = (uint32_t)conn->snd_buf.len;
    ring_drop(&conn->snd_buf, len);
    conn->snd_buf_seq += len;
    conn->count.bytes_acked += len;
    stack_want_tell(conn);
}

static void take_new_ack(struct utcp_conn *conn, tcp_seq ack, struct delivery *delivery)
{
    delivery->acked = ack - conn->snd_una;
    flight_take_ack(conn, ack, sack_note_delivery, delivery);
    free_acknowledged(conn, ack);
    conn->snd_una = ack;
    conn->urgent.snd_up = seq_max(conn->urgent.snd_up, ack);
    chunks_drop(conn);
    /* RFC 6298 (5.3): "When an ACK is received that acknowledges new data, restart the
     * retransmission timer". */
    got_through(conn);
    tcp_timer_stop(conn, TIMER_RETRANSMIT);
}

/* What was sent first of what is delivered took longest: that is what a time-out must allow for. But it
 * may have been answered long ago, by an ACK that was lost. What is SACKed alone is answered at once, so the
 * last of it tells; and the echo is of the first segment that this ACK answers (RFC 7323 section 4.3). Without
 * that, where a fifth of all is lost, long samples make long time-outs, and those longer samples. */
static uint64_t longest_trip(const struct utcp_conn *conn, const struct tcp_segment *segment,
                             const struct delivery *delivery)
{
    utcp_time now = conn->stack->now;
    uint64_t echoed = timestamps_rtt(conn, &segment->options);

    if (delivery->acked == 0)
        return now - delivery->last_at;
    if (echoed != 0 && now - delivery->first_at > echoed + UTCP_MSEC)
        return echoed;
    return now - delivery->first_at;
}

/* Of what went twice only the echo can tell: RFC 7323 section 4.1, "only if the segment advances the left
 * edge of the send window". As Linux, our own clock is preferred where it knows. An answer to a duplicate
 * repeats one that was lost, with its echo. */
static void measure(struct utcp_conn *conn, const struct tcp_segment *segment,
                    const struct delivery *delivery)
{
    struct utcp_stack *stack = conn->stack;
    uint64_t longest, least;

    if (delivery->answers_duplicate)
        return;
    if (delivery->first_at != 0) {
        longest = longest_trip(conn, segment, delivery);
        least = stack->now - delivery->last_at;
    } else {
        longest = least = timestamps_rtt(conn, &segment->options);
        if (delivery->acked == 0 || longest == 0)
            return;
    }
    rtt_sample(&conn->rtt, &stack->settings, longest, conn->snd_una, conn->snd_nxt);
    rtt_note_min(&conn->rtt, least, stack->now);
}

/* In a reduction the window goes its own way. */
static void grow_window(struct utcp_conn *conn, const struct delivery *delivery)
{
    uint64_t rtt = delivery->last_at > 0 ? conn->stack->now - delivery->last_at : 0;
    enum ca_state state = conn->recovery.state;

    if (delivery->acked > 0 && state != CA_CWR && state != CA_RECOVERY)
        congestion_on_ack(conn, delivery->delivered, delivery->in_flight, rtt);
}

/* A peer whose blocks begin at the very byte that its ACK says is missing has dropped what it had: the
 * time-out need not be waited for. As Linux: half a round trip. */
static void review_timers(struct utcp_conn *conn, const struct delivery *delivery)
{
    uint64_t half = conn->rtt.srtt / 2;

    tcp_timer_review(conn);
    if (recovery_reneged(conn) && delivery->acked > 0)
        tcp_timer_set(conn, TIMER_RETRANSMIT,
                      conn->stack->now + (half > RENEGED_LEAST ? half : RENEGED_LEAST));
    if (delivery->acked > 0)
        probe_schedule(conn);
    else
        probe_review(conn);
}

/* "As long as the receiving TCP peer continues to send ACKs in response to the probe segments, the
 * sending TCP peer MUST allow the connection to stay open" (RFC 9293 section 3.8.6.1). What is in
 * flight when the peer closes its window probes by being sent again. Probing ends when the window
 * opens. */
static void take_answer_to_probe(struct utcp_conn *conn)
{
    if (outstanding(conn) == 0 || conn->snd_wnd == 0)
        conn->unanswered = 0;
    if (outstanding(conn) == 0 && conn->snd_wnd > 0)
        got_through(conn);
}

/* RFC 5961 section 5.2: an ACK may be as old as the largest window, but, as Linux, of nothing that was never
 * sent; the SYN counts. */
static uint32_t oldest_answer(const struct utcp_conn *conn)
{
    uint64_t acked = conn->count.bytes_acked + 1;

    return acked < conn->snd_wnd_max ? (uint32_t)acked : conn->snd_wnd_max;
}

/* "If the ACK acks something not yet sent (SEG.ACK > SND.NXT), then send an ACK, drop the segment". As
 * Linux, in ESTABLISHED it is dropped without a word. One that is too old is dropped and answered. */
static bool acceptable(struct utcp_conn *conn, const struct tcp_segment *segment)
{
    bool unsent = seq_gt(segment->ack, conn->snd_nxt);
    bool too_old = seq_lt(segment->ack, conn->snd_una - oldest_answer(conn));

    if (too_old || (unsent && conn->state != TCP_ESTABLISHED))
        tcp_challenge(conn);
    return !too_old && !unsent;
}

/* As Linux: what an ACK covers together with something that went again may have arrived long ago, and
 * the ACK that said so been lost. SACK blocks still tell of single segments. */
static void forget_times(struct delivery *delivery)
{
    delivery->first_at = delivery->last_at = 0;
}

static void take_delivery(struct utcp_conn *conn, const struct tcp_segment *segment,
                          struct delivery *delivery)
{
    if (seq_gt(segment->ack, conn->snd_una))
        take_new_ack(conn, segment->ack, delivery);
    if (delivery->resent)
        forget_times(delivery);
    if (conn->sack_ok && segment->options.sack_count > 0)
        sack_take(conn, segment, delivery);
    measure(conn, segment, delivery);
    conn->count.bytes_delivered += delivery->delivered;
    conn->count.reorderings += delivery->reordered;
    conn->count.bytes_delivered_marked += delivery->ece ? delivery->delivered : 0;
    recovery_on_ack(conn, delivery);
    grow_window(conn, delivery);
}

bool tcp_take_ack(struct utcp_conn *conn, const struct tcp_segment *segment)
{
    struct delivery delivery = {
        .prior_una = conn->snd_una,
        .prior_sacked = flight_highest_sacked(conn),
        .in_flight = in_flight(conn),
        .duplicate = is_duplicate(conn, segment),
        .has_ts_echo = conn->timestamps_ok && segment->options.has_timestamps,
        .ts_echo = segment->options.ts_echo,
        .ece = ecn_is_echo(conn, segment),
    };

    if (!acceptable(conn, segment))
        return false;
    timestamps_note(conn, segment);
    conn->ack_received_at = conn->stack->now;
    conn->keepalive.probes = 0;
    conn->more = false;
    take_delivery(conn, segment, &delivery);
    update_window(conn, segment, delivery.acked > 0);
    take_answer_to_probe(conn);
    buffers_on_ack(conn);
    review_timers(conn, &delivery);
    stack_want_send(conn);
    return true;
}
