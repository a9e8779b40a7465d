/* SPDX-License-Identifier: MIT */
/* What an ACK says about our own data: RFC 9293 section 3.10.7.4, fifth, and RFC 5681. */
#include "stack.h"
#include "tcp/tcb.h"

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
    return in_flight(conn) > 0 && segment_len(segment) == 0 && segment->ack == conn->snd_una &&
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

/* Ends the measurement under way; returns the sample in ns, 0 = none. */
static uint64_t measure(struct utcp_conn *conn, tcp_seq ack)
{
    uint64_t sample;

    if (!conn->rtt.timing || seq_lt(ack, conn->rtt.timed_seq))
        return 0;
    conn->rtt.timing = false;
    sample = conn->stack->now - conn->rtt.timed_since;
    rtt_sample(&conn->rtt, &conn->stack->settings, sample);
    return sample;
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

static void take_new_ack(struct utcp_conn *conn, tcp_seq ack)
{
    uint32_t acked = ack - conn->snd_una;
    uint32_t in_flight_before = in_flight(conn);
    uint64_t rtt = measure(conn, ack);

    free_acknowledged(conn, ack);
    conn->snd_una = ack;
    conn->snd_nxt = seq_max(conn->snd_nxt, ack);
    /* RFC 6298 (5.3): "When an ACK is received that acknowledges new data, restart the
     * retransmission timer". */
    conn->backoff = conn->unanswered = 0;
    tcp_timer_stop(conn, TIMER_RETRANSMIT);
    if (recovery_on_ack(conn, acked))
        congestion_on_ack(conn, acked, in_flight_before, rtt);
}

/* "As long as the receiving TCP peer continues to send ACKs in response to the probe segments, the
 * sending TCP peer MUST allow the connection to stay open" (RFC 9293 section 3.8.6.1). What is in
 * flight when the peer closes its window probes by being sent again. Probing ends when the window
 * opens. */
static void take_answer_to_probe(struct utcp_conn *conn)
{
    if (in_flight(conn) == 0 || conn->snd_wnd == 0)
        conn->unanswered = 0;
    if (in_flight(conn) == 0 && conn->snd_wnd > 0)
        conn->backoff = 0;
}

bool tcp_take_ack(struct utcp_conn *conn, const struct tcp_segment *segment)
{
    bool acks_new;

    /* "If the ACK acks something not yet sent (SEG.ACK > SND.NXT), then send an ACK, drop the
     * segment". Not yet sent means beyond snd_max: snd_nxt goes back at a time-out. RFC 5961
     * section 5.2 does the same to an ACK that is older than the largest window. */
    if (seq_gt(segment->ack, conn->snd_max) ||
        seq_lt(segment->ack, conn->snd_una - conn->snd_wnd_max)) {
        conn->stack->counters.tcp_challenge_acks++;
        tcp_ack_due(conn);
        stack_want_send(conn);
        return false;
    }
    acks_new = seq_gt(segment->ack, conn->snd_una);
    if (acks_new)
        take_new_ack(conn, segment->ack);
    else if (is_duplicate(conn, segment))
        recovery_on_dup_ack(conn);
    update_window(conn, segment, acks_new);
    take_answer_to_probe(conn);
    tcp_timer_review(conn);
    stack_want_send(conn);
    return true;
}
