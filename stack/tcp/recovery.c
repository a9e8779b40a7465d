/* SPDX-License-Identifier: MIT */
/*
 * Loss recovery: what the sender makes of what it learns from each ACK. The states are Linux's:
 *
 *	OPEN      nothing is amiss
 *	DISORDER  duplicates have come: a hole, by loss or by reordering
 *	CWR       the window is on its way down, though nothing is missing
 *	RECOVERY  something was lost: it goes again, and the window is on its way down
 *	LOSS      after a time-out: slow start over what was lost
 *
 * What is lost is for rack.c to say, or without SACK for the count of duplicate ACKs (RFC 6582). In
 * CWR and RECOVERY proportional rate reduction (RFC 6937) leads the window to ssthresh. A state ends
 * when what had been sent at its beginning is acknowledged.
 */
#include "stack.h"
#include "tcp/tcb.h"

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static bool reducing(const struct recovery *recovery)
{
    return recovery->state == CA_CWR || recovery->state == CA_RECOVERY;
}

/* ---- the window ---- */

static void begin_reduction(struct utcp_conn *conn, enum cc_signal signal)
{
    struct recovery *recovery = &conn->recovery;

    recovery->high = conn->snd_nxt;
    recovery->prior_cwnd = conn->cc.cwnd;
    recovery->prr_delivered = recovery->prr_out = 0;
    recovery->probe.out = false;
    congestion_signal(conn, signal);
}

/* Whole segments: a part of one would only wait for the rest. */
static uint32_t round_up(uint32_t bytes, uint32_t mss)
{
    return (bytes + mss - 1) / mss * mss;
}

/* RFC 6582 section 3.2 step 3: a partial ACK means "retransmit the first unacknowledged segment", at
 * once, since nothing else will come to ask for it. */
static bool goes_on_without_sack(const struct utcp_conn *conn, const struct delivery *delivery)
{
    return !conn->sack_ok && delivery->acked > 0 && delivery->lost > 0;
}

/* RFC 6937 section 3, with the rules of its successor that Linux has: conservative bound while losses
 * go on, slow start's otherwise; and the first segment goes at once. */
static void reduce_proportionally(struct utcp_conn *conn, const struct delivery *delivery)
{
    struct recovery *recovery = &conn->recovery;
    struct cc *cc = &conn->cc;
    uint32_t pipe = in_flight(conn);
    uint32_t out = recovery->prr_out;
    uint64_t share;
    uint32_t send;

    if (delivery->delivered == 0 || recovery->prior_cwnd == 0)
        return;
    recovery->prr_delivered += delivery->delivered;
    if (pipe > cc->ssthresh) {
        share = (uint64_t)cc->ssthresh * recovery->prr_delivered / recovery->prior_cwnd;
        send = share > out ? round_up((uint32_t)share - out, conn->mss) : 0;
    } else {
        send = recovery->prr_delivered > out ? recovery->prr_delivered - out : 0;
        send = max_u32(send, delivery->delivered);
        if (delivery->acked > 0 && delivery->lost == 0)
            send += conn->mss;
        send = min_u32(send, cc->ssthresh - pipe);
    }
    if (out == 0 || goes_on_without_sack(conn, delivery))
        send = max_u32(send, conn->mss);
    cc->cwnd = max_u32(pipe + send, conn->mss);
}

static void end_reduction(struct utcp_conn *conn)
{
    struct cc *cc = &conn->cc;

    if (cc->ssthresh < UINT32_MAX && (conn->recovery.state == CA_CWR || conn->recovery.undo.valid))
        cc->cwnd = max_u32(cc->ssthresh, conn->mss);
}

/* ---- the states ---- */

static void settle(struct utcp_conn *conn)
{
    const struct flight *flight = &conn->flight;
    bool disorder = flight->sacked_bytes > 0 || flight->lost_bytes > 0 ||
                    conn->recovery.unsacked > 0 || conn->recovery.dup_acks > 0;

    conn->recovery.state = disorder ? CA_DISORDER : CA_OPEN;
}

static void enter_recovery(struct utcp_conn *conn)
{
    undo_init(conn, !reducing(&conn->recovery));
    if (!reducing(&conn->recovery))
        begin_reduction(conn, CC_LOSS);
    conn->recovery.state = CA_RECOVERY;
    conn->stack->counters.tcp_fast_retransmits++;
}

void recovery_enter_cwr(struct utcp_conn *conn, enum cc_signal signal)
{
    struct recovery *recovery = &conn->recovery;

    if (recovery->state >= CA_CWR)
        return;
    recovery->undo.valid = false;
    begin_reduction(conn, signal);
    recovery->state = CA_CWR;
}

void recovery_reduce_once(struct utcp_conn *conn)
{
    if (conn->recovery.state >= CA_CWR)
        return;
    recovery_enter_cwr(conn, CC_LOSS);
    end_reduction(conn);
    settle(conn);
}

bool recovery_reneged(const struct utcp_conn *conn)
{
    const struct ranges *sacked = &conn->flight.sacked;

    return sacked->count > 0 && seq_le(sacked->items[0].from, conn->snd_una);
}

static void leave_recovery(struct utcp_conn *conn)
{
    struct rack *rack = &conn->recovery.rack;

    if (rack->window_persist > 0 && --rack->window_persist == 0)
        rack->grown = 0;
    conn->recovery.unsacked = 0;
    settle(conn);
}

/* ---- without SACK ---- */

/* Each duplicate ACK tells of a segment that has left the network; an ACK of new data of one that was
 * missing, and the rest of it accounts for the duplicates before. */
static void count_unsacked(struct utcp_conn *conn, struct delivery *delivery)
{
    struct recovery *recovery = &conn->recovery;
    uint32_t mss = conn->mss;
    uint32_t beyond;

    if (delivery->duplicate) {
        recovery->unsacked = min_u32(recovery->unsacked + mss, conn->flight.log_bytes);
        delivery->delivered = mss;
    }
    if (delivery->acked == 0)
        return;
    beyond = delivery->acked > mss ? delivery->acked - mss : 0;
    delivery->delivered = delivery->acked > recovery->unsacked
                              ? delivery->acked - recovery->unsacked
                              : min_u32(delivery->acked, mss);
    recovery->unsacked -= min_u32(recovery->unsacked, beyond);
    if (recovery->state < CA_RECOVERY)
        recovery->unsacked = 0;
}

/* RFC 6582 section 3.2: the third duplicate means that the head is lost, and so does each partial
 * acknowledgment afterwards. */
static void lose_head_without_sack(struct utcp_conn *conn, struct delivery *delivery)
{
    struct recovery *recovery = &conn->recovery;
    uint32_t before = conn->flight.lost_bytes;
    bool begins = recovery->state < CA_RECOVERY && recovery->dup_acks >= recovery->reordering;
    bool goes_on = recovery->state == CA_RECOVERY && delivery->acked > 0;

    if ((begins || goes_on) && before == 0)
        flight_lose_head(conn, min_u32(conn->mss, outstanding(conn)));
    delivery->lost += conn->flight.lost_bytes - before;
}

static void find_lost(struct utcp_conn *conn, struct delivery *delivery)
{
    if (!conn->sack_ok)
        lose_head_without_sack(conn, delivery);
    else if (conn->stack->settings.rack)
        delivery->lost += rack_mark_lost(conn);
    else
        delivery->lost += sack_mark_lost(conn);
}

void rack_on_timer(struct utcp_conn *conn)
{
    struct delivery delivery = {.lost = rack_mark_lost(conn), .delivered = 1};

    if (delivery.lost == 0)
        return;
    if (conn->recovery.state != CA_RECOVERY)
        enter_recovery(conn);
    reduce_proportionally(conn, &delivery);
    stack_want_send(conn);
}

/* ---- what an ACK means in each state ---- */

/* RFC 6582 section 6: without SACK "the sender must not" take duplicates that its own repetitions
 * caused for new losses; Linux keeps the state until something above high is acknowledged. */
static bool holds_on(const struct utcp_conn *conn)
{
    return !conn->sack_ok && conn->snd_una == conn->recovery.high && outstanding(conn) > 0;
}

static void finish_recovery(struct utcp_conn *conn, const struct delivery *delivery)
{
    if (undo_by_dsack(conn) || undo_by_echo(conn, delivery)) {
        leave_recovery(conn);
        return;
    }
    if (holds_on(conn))
        return;
    end_reduction(conn);
    leave_recovery(conn);
}

static void end_states(struct utcp_conn *conn, const struct delivery *delivery)
{
    struct recovery *recovery = &conn->recovery;

    if (seq_lt(conn->snd_una, recovery->high))
        return;
    if (recovery->state == CA_CWR && conn->snd_una != recovery->high) {
        end_reduction(conn);
        settle(conn);
    } else if (recovery->state == CA_RECOVERY) {
        finish_recovery(conn, delivery);
    }
}

static void in_recovery(struct utcp_conn *conn, struct delivery *delivery)
{
    /* A partial ACK by the original: the hole was filled by what came late, nothing was lost. */
    if (delivery->acked > 0 && undo_by_echo(conn, delivery)) {
        flight_restore(conn);
        settle(conn);
        return;
    }
    if (undo_by_dsack(conn)) {
        settle(conn);
        return;
    }
    find_lost(conn, delivery);
}

/* F-RTO, RFC 5682 section 3.1; true = the time-out was spurious. */
static bool frto_on_ack(struct utcp_conn *conn, const struct delivery *delivery)
{
    struct recovery *recovery = &conn->recovery;
    bool recovered = seq_ge(conn->snd_una, recovery->high);

    /* (3b) "If the second acknowledgment ... advances the window", data that was not sent again has
     * arrived: with SACK one block is enough. */
    if (delivery->original && undo_timeout(conn, delivery, true))
        return true;
    if (seq_gt(conn->snd_nxt, recovery->high)) {
        /* (3a) "If the acknowledgment is a duplicate", the loss was real. */
        if (delivery->sacked > 0 || delivery->duplicate)
            recovery->frto = false;
    } else if (delivery->acked > 0 && !recovered) {
        /* (2b) "transmit new data", as far as there is any: output looks. */
        recovery->high = conn->snd_nxt;
        recovery->new_first = true;
    }
    return false;
}

static void in_loss(struct utcp_conn *conn, struct delivery *delivery)
{
    struct recovery *recovery = &conn->recovery;
    bool recovered = seq_ge(conn->snd_una, recovery->high);

    recovery->new_first = false;
    if (delivery->acked > 0 && undo_timeout(conn, delivery, false)) {
        leave_recovery(conn);
        return;
    }
    if (recovery->frto && frto_on_ack(conn, delivery)) {
        leave_recovery(conn);
        return;
    }
    if (recovered && !recovery->new_first) {
        recovery->frto = false;
        recovery->undo.valid = false;
        leave_recovery(conn);
        return;
    }
    if (!conn->sack_ok)
        return;
    find_lost(conn, delivery);
    /* As Linux (FLAG_LOST_RETRANS): what we send after the time-out is too much, too. */
    if (conn->stack->settings.rack && delivery->lost > 0 && recovery->rack.again)
        enter_recovery(conn);
}

/* RFC 3168 section 6.1.2: "... should react to congestion only once for each window of data". */
static void reduce_for_marks(struct utcp_conn *conn)
{
    if (conn->recovery.state == CA_CWR)
        return;
    conn->stack->counters.tcp_ecn_echoes++;
    recovery_enter_cwr(conn, CC_ECN);
}

static void in_order(struct utcp_conn *conn, struct delivery *delivery)
{
    if (undo_by_dsack(conn) && conn->recovery.state == CA_DISORDER)
        settle(conn);
    find_lost(conn, delivery);
    if (conn->flight.lost_bytes > 0)
        enter_recovery(conn);
    else if (delivery->ece)
        reduce_for_marks(conn);
    else if (conn->recovery.state != CA_CWR)
        settle(conn);
}

static void count_duplicates(struct utcp_conn *conn, struct delivery *delivery)
{
    bool counts = conn->sack_ok ? delivery->sacked > 0 : delivery->duplicate;

    conn->stack->counters.tcp_dup_acks += delivery->duplicate;
    if (delivery->acked > 0)
        conn->recovery.dup_acks = 0;
    else if (counts)
        conn->recovery.dup_acks++;
    if (!conn->sack_ok)
        count_unsacked(conn, delivery);
}

void recovery_on_ack(struct utcp_conn *conn, struct delivery *delivery)
{
    static void (*const handlers[])(struct utcp_conn *, struct delivery *) = {
        [CA_OPEN] = in_order,        [CA_DISORDER] = in_order, [CA_CWR] = in_order,
        [CA_RECOVERY] = in_recovery, [CA_LOSS] = in_loss,
    };

    count_duplicates(conn, delivery);
    /* As Linux: what was lost may prove to be there, but congestion there was. */
    if (delivery->ece)
        undo_keep_window(conn);
    rack_adapt(conn, delivery);
    probe_on_ack(conn, delivery);
    end_states(conn, delivery);
    handlers[conn->recovery.state](conn, delivery);
    if (reducing(&conn->recovery))
        reduce_proportionally(conn, delivery);
}

void recovery_on_sent(struct utcp_conn *conn, uint32_t len, bool resent)
{
    struct recovery *recovery = &conn->recovery;
    struct undo *undo = &recovery->undo;

    if (reducing(recovery))
        recovery->prr_out += len;
    if (!resent)
        return;
    undo->resent = true;
    undo->undelivered += len;
    if (undo->first_resent == 0) {
        undo->first_resent = conn->stack->now;
        undo->first_resent_ts = timestamps_now(conn);
    }
}

/* ---- the time-out ---- */

/* Linux keeps in flight what was sent less than a round trip ago (RFC 8985 section 6.3); the head goes
 * again in any case. */
static void lose_all(struct utcp_conn *conn)
{
    struct flight *flight = &conn->flight;

    conn->recovery.unsacked = 0;
    if (recovery_reneged(conn)) {
        flight_renege(conn);
        return;
    }
    for (uint32_t i = 0; i < flight->log.count;) {
        const struct sent *sent = flight_item(flight, &flight->log, i);
        bool head = sent->from == conn->snd_una;

        if (conn->sack_ok && !head && rack_is_recent(conn, sent))
            i++;
        else
            flight_lose(conn, i);
    }
}

void recovery_on_timeout(struct utcp_conn *conn)
{
    struct recovery *recovery = &conn->recovery;
    struct cc *cc = &conn->cc;
    bool first = conn->backoff == 1;
    bool anew = recovery->state <= CA_DISORDER || seq_le(recovery->high, conn->snd_una) ||
                (recovery->state == CA_LOSS && first);

    /* RFC 5681 section 3.1: ssthresh goes down once, not for each repetition of the same segment. */
    if (anew) {
        undo_init(conn, true);
        congestion_signal(conn, CC_TIMEOUT);
    }
    /* RFC 5682 section 3.1: not when the time-out interrupts a fast recovery. */
    recovery->frto = conn->stack->settings.frto && (recovery->state < CA_RECOVERY || !first);
    recovery->new_first = false;
    lose_all(conn);
    cc->cwnd = in_flight(conn) + conn->mss;
    recovery->state = CA_LOSS;
    recovery->high = conn->snd_nxt;
    recovery->probe = (struct tail_probe){0};
    recovery->dup_acks = 0;
    tcp_timer_stop(conn, TIMER_REORDER);
    tcp_timer_stop(conn, TIMER_LOSS_PROBE);
}

/* ---- the path ---- */

/* As Linux (tcp_simple_retransmit()): the state is that after a time-out, but the window stays, for the
 * amount of data in the network does not grow by this. A transmission of several segments that were
 * all small enough is not told from one of larger ones, and goes again in vain. */
void recovery_on_path_change(struct utcp_conn *conn)
{
    struct recovery *recovery = &conn->recovery;
    struct flight *flight = &conn->flight;
    struct cc *cc = &conn->cc;
    uint32_t before = flight->lost_bytes;

    for (uint32_t i = 0; i < flight->log.count;) {
        const struct sent *sent = flight_item(flight, &flight->log, i);

        if (sent->to - sent->from > conn->mss)
            flight_lose(conn, i);
        else
            i++;
    }
    if (flight->lost_bytes == before)
        return;
    recovery->unsacked = 0;
    if (recovery->state != CA_LOSS) {
        if (!reducing(recovery))
            cc->ssthresh = max_u32(cc->ssthresh, cc->cwnd / 4 * 3);
        recovery->frto = recovery->new_first = recovery->undo.valid = false;
        recovery->high = conn->snd_nxt;
        recovery->state = CA_LOSS;
    }
    stack_want_send(conn);
}
