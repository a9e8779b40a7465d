/* SPDX-License-Identifier: MIT */
/*
 * The transmission control block (RFC 9293 section 3.3.1) and the calls between the files of tcp/:
 *
 *	state.c     states, legal transitions, the flags each state sends
 *	input.c     SEGMENT ARRIVES: records facts, never sends
 *	handshake.c what both ends learn from SYNs
 *	ack.c       what an acceptable ACK means: window, RTT, congestion control, recovery
 *	reassemble.c the receive buffer and its window
 *	output.c    decides what is sent, one segment at a time
 *	congestion.c what congestion control may know of the connection
 *	recovery.c  loss recovery: duplicate ACKs, NewReno, the time-out
 *	timer.c     the timers
 *	rtt.c       RTT and RTO
 *	user.c      the user calls
 */
#ifndef TCP_TCB_H
#define TCP_TCB_H

#include "base/heap.h"
#include "base/list.h"
#include "base/ranges.h"
#include "base/ring.h"
#include "base/seq.h"
#include "cc/cc.h"
#include "utcp.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"

enum tcp_timer {
    TIMER_RETRANSMIT, /* RFC 6298; also of SYN and FIN */
    TIMER_PERSIST,    /* RFC 9293 section 3.8.6.1: the window is closed and data waits */
    TIMER_TIME_WAIT,  /* 2MSL; for an orphan in FIN-WAIT-2 too */
    TIMERS
};

/* The RTT estimator of RFC 6298. One segment is timed at a time. */
struct rtt {
    uint64_t srtt, rttvar; /* ns, 0 = no sample yet */
    uint64_t rto;          /* ns, not backed off */
    bool timing;
    tcp_seq timed_seq; /* an ACK of this ends the measurement */
    utcp_time timed_since;
};

/* Loss recovery of RFC 6582 (NewReno). */
struct recovery {
    bool active;          /* in fast recovery */
    bool recover_valid;   /* recover has been set */
    bool retransmit_head; /* output is to send the first segment in flight again */
    unsigned dup_acks;
    tcp_seq recover; /* snd_max when the recovery, or the last time-out, began */
};

/* The send buffer's first byte has the sequence number snd_buf_seq. */
struct utcp_conn {
    struct utcp_stack *stack;
    void *user; /* NULL: not accepted yet, or let go */
    enum tcp_state state;
    struct utcp_endpoint local, remote;

    /* Send sequence variables, RFC 9293 figure 3. snd_max is the highest snd_nxt ever. */
    tcp_seq iss, snd_una, snd_nxt, snd_max;
    uint32_t snd_wnd;     /* scaled */
    uint32_t snd_wnd_max; /* the largest window the peer ever offered */
    tcp_seq snd_wl1, snd_wl2;
    struct ring snd_buf;
    tcp_seq snd_buf_seq;
    uint32_t snd_limit; /* bytes the send buffer may hold */

    /* Receive sequence variables. rcv_adv is the right edge that was advertised; rcv_acked the
     * rcv_nxt of the last ACK sent. */
    tcp_seq irs, rcv_nxt, rcv_adv, rcv_acked;
    tcp_seq fin_seq;
    struct ring rcv_buf; /* its tail is at rcv_nxt, or one before once FIN is in */
    uint32_t rcv_limit;  /* bytes the receive buffer may hold */
    struct ranges out_of_order;

    uint32_t mss;       /* payload bytes of the segments we send */
    uint32_t mss_limit; /* the user's or the stack's, 0 = none */
    uint32_t rcv_mss;   /* the largest segment the peer sent */
    uint8_t snd_wscale, rcv_wscale;
    bool wscale_ok; /* both sides offered */
    bool sack_ok;   /* ... */

    struct rtt rtt;
    struct recovery recovery;
    struct cc cc;
    unsigned backoff;         /* time-outs (or probes) in a row: each doubles the next interval */
    unsigned unanswered;      /* ... since the peer last answered: too many end the connection */
    utcp_time timers[TIMERS]; /* UTCP_NEVER = not running */
    utcp_time oow_ack_time;   /* when a segment outside the window was last answered */

    bool passive;      /* came to be by a listener: RST takes SYN-RECEIVED back to LISTEN */
    bool fin_queued;   /* the user has shut sending; FIN follows the data */
    bool fin_seen;     /* the peer's FIN has come, at fin_seq, perhaps ahead of its data */
    bool fin_received; /* ... and all data before it */
    bool shut_rd;      /* the user wants no more data */
    bool had_peer;     /* was connected, or tried: CLOSED means gone, not new */
    unsigned acks_due; /* ACKs to send: one, or one for each segment out of order */
    bool send_syn;     /* SYN or SYN-ACK is due */
    bool probe_now;    /* the persist timer fired: override silly-window avoidance */
    int error;         /* pending, negative errno, 0 = none */
    int soft_error;    /* what ICMP said: told when the connection times out */

    bool nodelay, reuse_addr, reuse_port, bound;
    uint8_t ttl, tos;

    /* A listener's. */
    unsigned backlog, half_open, accept_count;
    struct list accept_queue;   /* established, through .accept_link */
    struct utcp_conn *listener; /* whose child this is until it is accepted */
    struct list accept_link;

    struct {
        uint64_t bytes_sent, bytes_retransmitted, bytes_acked, bytes_received;
        uint64_t segs_in, segs_out, retransmits;
    } count;

    struct heap_node deadline;
    struct list all_link, send_link, tell_link;
    struct utcp_conn *tuple_next, *port_next;
    bool in_tuple_table;
    unsigned told;    /* readiness in the last event */
    bool tell_anyway; /* something new came although readiness is the same */
    unsigned pins;    /* packets handed out by utcp_output() */
};

/* The sequence number behind the last byte queued: where FIN goes. */
static inline tcp_seq snd_end(const struct utcp_conn *conn)
{
    return conn->snd_buf_seq + (tcp_seq)conn->snd_buf.len;
}

/* Bytes (and FIN) sent and not acknowledged. */
static inline uint32_t in_flight(const struct utcp_conn *conn)
{
    return conn->snd_max - conn->snd_una;
}

static inline bool fin_sent(const struct utcp_conn *conn)
{
    return conn->fin_queued && seq_gt(conn->snd_max, snd_end(conn));
}

/* ---- state.c ---- */

/* The only way to change a state; asserts that RFC 9293 figure 5 has the transition. */
void tcp_set_state(struct utcp_conn *conn, enum tcp_state state);

/* An ACK is due: at least one, or one more when each counts as a duplicate. */
static inline void tcp_ack_due(struct utcp_conn *conn)
{
    if (conn->acks_due == 0)
        conn->acks_due = 1;
}

/* Flags that segments of this state carry; FIN only where the data ends. */
uint8_t tcp_state_flags(enum tcp_state state);

/* The peer is known and both sequence numbers are in step. */
bool tcp_synchronized(enum tcp_state state);

/* The connection is over: leaves the tables, stops the timers, tells the user error (0 = none). */
void tcp_finish(struct utcp_conn *conn, int error);

/* ---- input.c ---- */

void tcp_input(struct utcp_stack *stack, const struct ipv4 *ip, bool verify);

/* An ICMP error about a segment of ours with this sequence number; error is a negative errno. */
void tcp_icmp_error(struct utcp_conn *conn, tcp_seq seq, int error);

/* Builds a RST for a segment that no connection wants, RFC 9293 section 3.10.7.1. */
void tcp_reset_reply(struct utcp_stack *stack, const struct tcp_segment *segment);

/* Sends RST to the peer of a synchronized connection that is about to be finished. */
void tcp_reset_peer(struct utcp_conn *conn);

/* ---- handshake.c ---- */

/* Fills in the sequence variables of a connection about to send its SYN. */
void tcp_start_sending(struct utcp_conn *conn);

/* Takes what the peer's SYN says: sequence number, options, window. */
void tcp_learn_syn(struct utcp_conn *conn, const struct tcp_segment *segment);

/* Both SYNs are acknowledged. */
void tcp_establish(struct utcp_conn *conn, const struct tcp_segment *segment);

/* A SYN for a listener. */
void tcp_listen_syn(struct utcp_conn *listener, const struct tcp_segment *segment);

/* The MSS to announce, RFC 9293 section 3.7.1. */
uint32_t tcp_announced_mss(const struct utcp_conn *conn);

/* ---- ack.c, recovery.c ---- */

/* RFC 9293 section 3.10.7.4, fifth, for synchronized states: false = drop the segment. */
bool tcp_take_ack(struct utcp_conn *conn, const struct tcp_segment *segment);

void recovery_on_dup_ack(struct utcp_conn *conn);

/* New data was acknowledged; returns true when congestion control may grow the window. */
bool recovery_on_ack(struct utcp_conn *conn, uint32_t acked);

void recovery_on_timeout(struct utcp_conn *conn);

/* ---- congestion.c ---- */

void congestion_start(struct utcp_conn *conn);

/* New data was acknowledged outside recovery; rtt is a sample in ns, 0 = none. */
void congestion_on_ack(struct utcp_conn *conn, uint32_t acked, uint32_t in_flight_before,
                       uint64_t rtt);

/* Has ssthresh set anew; cwnd is left to the caller, and must not have been changed before. */
void congestion_signal(struct utcp_conn *conn, enum cc_signal signal);

/* The last signal was a mistake: the caller restores cwnd and ssthresh. */
void congestion_undo(struct utcp_conn *conn);

/* ---- rtt.c ---- */

void rtt_init(struct rtt *rtt, const struct utcp_settings *settings);
void rtt_sample(struct rtt *rtt, const struct utcp_settings *settings, uint64_t sample_ns);

/* The RTO with back-off, within the settings' bounds. */
uint64_t rtt_rto(const struct rtt *rtt, const struct utcp_settings *settings, unsigned backoff);

/* ---- reassemble.c ---- */

/* Takes the text and the FIN of an acceptable segment. */
void tcp_take_text(struct utcp_conn *conn, const struct tcp_segment *segment);

/* The window field of a header sent now, scaled down; rcv_adv moves to the edge that it promises.
 */
uint16_t tcp_advertise(struct utcp_conn *conn);

/* True when so much was read that the peer must hear of the larger window. */
bool tcp_window_update_due(const struct utcp_conn *conn);

/* ---- timer.c ---- */

void tcp_timer_set(struct utcp_conn *conn, enum tcp_timer timer, utcp_time deadline);
void tcp_timer_stop(struct utcp_conn *conn, enum tcp_timer timer);
void tcp_timer_stop_all(struct utcp_conn *conn);

static inline bool tcp_timer_runs(const struct utcp_conn *conn, enum tcp_timer timer)
{
    return conn->timers[timer] != UTCP_NEVER;
}

/* Starts or stops retransmission and persist timer as the send side's state asks. */
void tcp_timer_review(struct utcp_conn *conn);

void tcp_enter_time_wait(struct utcp_conn *conn);

/* The user is gone and the peer has not said FIN: waits for it no longer than the setting says. */
void tcp_start_fin_wait2_orphan(struct utcp_conn *conn);

/* A deadline of conn has come. */
void tcp_timers_fire(struct utcp_conn *conn);

/* ---- output.c ---- */

/* Builds the next packet of conn; false = nothing to send now. */
bool tcp_output(struct utcp_conn *conn, struct utcp_packet *packet);

#endif
