/* SPDX-License-Identifier: MIT */
/*
 * What is lost, by time: RACK-TLP, RFC 8985.
 *
 * Of two transmissions the one sent later should arrive later. When one that was sent well after another
 * has been delivered, the other is lost; "well after" is the reordering window, which begins small
 * and grows while DSACKs tell that we were too quick. The log is in the order of times, so what may
 * be lost stands at its front.
 *
 * When the last segments of a flight are lost nothing comes back that could tell. The tail loss probe
 * asks: two round trips after the last news it sends a segment, new or the last one again, whose
 * ACK sets the rest in motion without a time-out.
 */
#include "stack.h"
#include "tcp/tcb.h"

/* RFC 8985 section 7.2: more than a delayed ACK's worth of scheduling noise. As Linux: two ticks. */
#define PROBE_SLACK (2 * UTCP_MSEC)

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* RFC 8985 section 6.2: RACK_sent_after(), the sequence number breaks a tie. */
static bool sent_after(utcp_time at, tcp_seq to, utcp_time other_at, tcp_seq other_to)
{
    return at > other_at || (at == other_at && seq_gt(to, other_to));
}

/* Step 2: "RACK.rtt ... and RACK.xmit_ts", but "if the packet was retransmitted and the RTT is less
 * than the minimum, this is the original's ACK". */
void rack_on_delivery(struct utcp_conn *conn, const struct sent *piece)
{
    struct rack *rack = &conn->recovery.rack;
    uint64_t rtt = conn->stack->now - piece->at;

    if (piece->resent && conn->rtt.min != UINT64_MAX && rtt < conn->rtt.min)
        return;
    rack->rtt = rtt;
    if (sent_after(piece->at, piece->to, rack->at, rack->to)) {
        rack->at = piece->at;
        rack->to = piece->to;
    }
}

/*
 * Step 4: no window as long as there was no reordering and either recovery has begun or DupThresh
 * segments were SACKed, which begins it; else a quarter of the least RTT.
 *
 * The RFC has it grow by as much for each round trip with a DSACK, up to srtt. Where segments overtake
 * others, the least RTT is that of the quickest, both ways, and may be next to nothing: such a window
 * never gets anywhere. Ours grows to the delay that reordering was seen to cause, and by a quarter of
 * srtt for each round trip with a DSACK. A time-out is not put off by that.
 */
static uint64_t reordering_window(const struct utcp_conn *conn)
{
    const struct recovery *recovery = &conn->recovery;
    const struct rack *rack = &recovery->rack;
    const struct rtt *rtt = &conn->rtt;
    uint32_t threshold = recovery->reordering;

    if (!rack->reordered && (recovery->state >= CA_RECOVERY || recovery->dup_acks >= threshold ||
                             conn->flight.sacked_bytes >= (uint64_t)threshold * conn->mss))
        return 0;
    if (rtt->min == UINT64_MAX)
        return 0;
    return max_u64(rack->grown, min_u64(rtt->min / 4, rtt->srtt));
}

/* "An original transmission of a segment delivered after a later one" shows that the path reorders
 * (step 3), and how long what is late must be waited for. */
void rack_note_reordering(struct utcp_conn *conn, const struct sent *piece)
{
    struct rack *rack = &conn->recovery.rack;
    uint64_t age = conn->stack->now - piece->at;

    rack->reordered = true;
    if (age <= rack->rtt + rack->grown)
        return;
    rack->grown = age - rack->rtt;
    rack->window_persist = RACK_WINDOW_RECOVERIES;
}

void rack_adapt(struct utcp_conn *conn, const struct delivery *delivery)
{
    struct rack *rack = &conn->recovery.rack;

    if (rack->window_grew && seq_ge(conn->snd_una, rack->window_round))
        rack->window_grew = false;
    /* Once for each round trip with a DSACK, and for 16 recoveries. What the probe duplicated says
     * nothing about reordering. */
    if (!delivery->dsack || delivery->dsack_probe || rack->window_grew)
        return;
    rack->window_grew = true;
    rack->window_round = conn->snd_nxt;
    rack->window_persist = RACK_WINDOW_RECOVERIES;
    rack->grown = min_u64(rack->grown + conn->rtt.srtt / 4, conn->rtt.rto);
}

bool rack_is_recent(const struct utcp_conn *conn, const struct sent *sent)
{
    return sent->at + conn->recovery.rack.rtt > conn->stack->now;
}

/* Step 5: RACK_detect_loss(). */
uint32_t rack_mark_lost(struct utcp_conn *conn)
{
    struct rack *rack = &conn->recovery.rack;
    struct flight *flight = &conn->flight;
    uint64_t patience = rack->rtt + reordering_window(conn);
    utcp_time wait_until = 0;
    uint32_t lost = 0;

    rack->again = false;
    for (uint32_t i = 0; i < flight->log.count;) {
        const struct sent *sent = flight_item(flight, &flight->log, i);

        if (sent->at > rack->at)
            break;
        if (!sent_after(rack->at, rack->to, sent->at, sent->to)) {
            i++;
        } else if (sent->at + patience <= conn->stack->now) {
            lost += sent->to - sent->from;
            rack->again |= sent->resent;
            flight_lose(conn, i);
        } else {
            wait_until = sent->at + patience;
            i++;
        }
    }
    tcp_timer_set(conn, TIMER_REORDER, wait_until > 0 ? wait_until : UTCP_NEVER);
    return lost;
}

/* ---- the tail loss probe ---- */

/* Section 7.2: TLP_calc_PTO(), with Linux's allowance of the least RTO for a peer that delays the ACK
 * of a single segment. */
static uint64_t probe_timeout(const struct utcp_conn *conn)
{
    uint64_t timeout = 2 * conn->rtt.srtt + PROBE_SLACK;

    if (conn->rtt.srtt == 0)
        return conn->stack->settings.rto_init;
    if (outstanding(conn) <= conn->mss)
        timeout += conn->stack->settings.rto_min - PROBE_SLACK;
    return timeout;
}

/* Only where RACK can learn from the answer, and while nothing is amiss. */
static bool may_probe(const struct utcp_conn *conn)
{
    const struct recovery *recovery = &conn->recovery;

    return conn->stack->settings.tail_probe && conn->sack_ok && outstanding(conn) > 0 &&
           tcp_synchronized(conn->state) && conn->backoff == 0 &&
           (recovery->state == CA_OPEN || recovery->state == CA_CWR);
}

void probe_review(struct utcp_conn *conn)
{
    if (!may_probe(conn))
        tcp_timer_stop(conn, TIMER_LOSS_PROBE);
}

/* Section 7.2: "after transmitting new data ... or upon receiving an ACK that cumulatively acknowledges
 * new data". */
void probe_schedule(struct utcp_conn *conn)
{
    utcp_time due;

    if (!may_probe(conn)) {
        tcp_timer_stop(conn, TIMER_LOSS_PROBE);
        return;
    }
    due = conn->stack->now + probe_timeout(conn);
    if (tcp_timer_runs(conn, TIMER_RETRANSMIT))
        due = min_u64(due, conn->timers[TIMER_RETRANSMIT]);
    tcp_timer_set(conn, TIMER_LOSS_PROBE, due);
}

/* "There is at most one probe in flight"; the time-out waits for its answer. */
void probe_on_timer(struct utcp_conn *conn)
{
    if (!may_probe(conn) || conn->recovery.probe.out || !tcp_probe_fits(conn))
        return;
    conn->recovery.probe.due = true;
    conn->stack->counters.tcp_tail_probes++;
    tcp_timer_stop(conn, TIMER_RETRANSMIT);
    tcp_timer_review(conn);
    stack_want_send(conn);
}

/* Section 7.4.2: TLP_process_ack(). */
void probe_on_ack(struct utcp_conn *conn, const struct delivery *delivery)
{
    struct tail_probe *probe = &conn->recovery.probe;
    bool harmless = !probe->resent || delivery->dsack_probe;
    bool goes_on = seq_gt(conn->snd_una, probe->high);
    bool both_arrived = delivery->duplicate && delivery->acked == 0;

    if (!probe->out || seq_lt(conn->snd_una, probe->high))
        return;
    if (harmless || goes_on || both_arrived)
        probe->out = false;
    /* "If there was no DSACK, the probe repaired a loss": congestion control must respond. */
    if (!harmless && goes_on)
        recovery_reduce_once(conn);
}
