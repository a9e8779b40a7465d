/* SPDX-License-Identifier: MIT */
/*
 * The transmission control block (RFC 9293 section 3.3.1) and the calls between the files of tcp/:
 *
 *	state.c     states, legal transitions, the flags each state sends
 *	input.c     SEGMENT ARRIVES: records facts, never sends
 *	handshake.c what both ends learn from SYNs
 *	ack.c       what an acceptable ACK means: window, RTT, congestion control, recovery
 *	buffers.c   how large the buffers are
 *	reassemble.c the receive buffer and its window
 *	keepalive.c asks a peer that is silent
 *	options.c   the options of a connection
 *	urgent.c    the byte out of band
 *	delack.c    when to acknowledge what has come in order
 *	plan.c      decides what is sent, one segment at a time
 *	output.c    sends it
 *	chunks.c    the send buffer, as it was written
 *	congestion.c what congestion control may know of the connection
 *	cookies.c   SYN cookies
 *	ecn.c       explicit congestion notification
 *	flight.c    what is in flight, lost, or SACKed: the scoreboard
 *	sack.c      SACK blocks, in and out
 *	rack.c      what is lost, by time: RACK, and the tail loss probe
 *	recovery.c  loss recovery: its states, the window in each, the time-out
 *	undo.c      taking back what proves to be spurious
 *	path.c      the path's MTU, and the MSS that follows from it
 *	timer.c     the timers
 *	timestamps.c times in segments, and what they tell
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
#include "ip/path.h"
#include "tcp/chunks.h"
#include "tcp/flight.h"
#include "utcp.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"

enum tcp_timer {
    TIMER_LOSS_PROBE,  /* RFC 8985 section 7: comes before the time-out, also when due together */
    TIMER_REORDER,     /* RFC 8985 section 6.2: what may be reordered is lost by now */
    TIMER_RETRANSMIT,  /* RFC 6298; also of SYN and FIN */
    TIMER_DELAYED_ACK, /* RFC 1122 section 4.2.3.2 */
    TIMER_PACE,        /* the gate of pacing opens */
    TIMER_KEEPALIVE,   /* RFC 9293 section 3.8.4 */
    TIMER_PERSIST,     /* RFC 9293 section 3.8.6.1: the window is closed and data waits */
    TIMER_TIME_WAIT,   /* 2MSL; for an orphan in FIN-WAIT-2 too */
    TIMERS
};

/* The RTT estimator of RFC 6298, with the refinements of Linux that rtt.c tells of. */
struct rtt {
    uint64_t srtt, rttvar; /* ns, 0 = no sample yet; rttvar is the mean deviation */
    uint64_t spread;       /* ns: what the RTO has above srtt */
    uint64_t rto;          /* ns, not backed off */
    uint64_t peak;         /* ns: the largest spread asked for in this round trip */
    tcp_seq round_end;     /* the round trip ends when this is acknowledged */
    uint64_t min;          /* ns: the least RTT of the last minutes, UINT64_MAX = no sample yet */
    utcp_time min_at;
};

/* RFC 3168. */
struct ecn {
    bool offered; /* by our SYN */
    bool ok;      /* both sides agreed */
    bool seen;    /* the peer's data has been capable of it */
    bool echo;    /* a mark came: ECE goes with every segment until CWR comes */
    bool cwr_due; /* the window was reduced: CWR goes with the next new data */
};

/* Linux's names and numbers: tcpi_ca_state. */
enum ca_state {
    CA_OPEN,     /* nothing is amiss */
    CA_DISORDER, /* duplicate ACKs or SACK blocks came: loss or reordering, nobody knows yet */
    CA_CWR,      /* the window shrinks because of ECN or of a tail loss that a probe mended */
    CA_RECOVERY, /* fast recovery: RFC 6675, or RFC 6582 without SACK */
    CA_LOSS,     /* after a time-out */
};

/* RFC 8985 section 5.3: of the transmission, among those delivered, that was sent last. */
struct rack {
    utcp_time at;   /* when it was sent, 0 = none was delivered yet */
    uint64_t rtt;   /* ns: how long its ACK took */
    tcp_seq to;     /* where it ended */
    bool reordered; /* the path has been seen to reorder */
    bool again;     /* what was found lost last had been sent again already */
    /* What the reordering window has grown to, in ns: once until window_round is acknowledged, and
     * for window_persist recoveries. */
    bool window_grew;
    uint64_t grown;
    tcp_seq window_round;
    unsigned window_persist;
};

#define RACK_WINDOW_RECOVERIES 16 /* RFC 8985 section 6.2 step 4 */

/* RFC 8985 section 7: one tail loss probe at a time. */
struct tail_probe {
    bool due;     /* output is to send it */
    bool out;     /* sent, and its fate not known */
    bool resent;  /* it repeated the last segment rather than sending a new one */
    tcp_seq high; /* snd_nxt when it was sent */
};

/* Delayed ACKs: see delack.c. */
struct delack {
    bool waits;        /* what has come is not acknowledged yet */
    bool interactive;  /* the program answers what it gets */
    unsigned small;    /* segments shorter than the largest that wait: none, one, more */
    uint32_t quick;    /* so many ACKs go at once */
    uint64_t delay;    /* ns, 0 = nothing has come yet */
    utcp_time last_at; /* when something came last */
};

enum urgent_state {
    URGENT_NONE,
    URGENT_ANNOUNCED, /* the byte is still to come */
    URGENT_HERE,
    URGENT_READ, /* the user has it; the mark is still there */
};

/* The byte that came out of band, and where our own is: see urgent.c. */
struct urgent {
    enum urgent_state state;
    tcp_seq at; /* the byte's number */
    uint8_t byte;
    bool is_inline;  /* the user wants it in the stream */
    uint32_t hidden; /* 1 = what the user receives now lies behind the byte */
    tcp_seq snd_up;  /* SND.UP: the number behind ours */
};

/* Keep-alives: see keepalive.c. Times in ns. */
struct keepalive {
    bool on;
    unsigned probes; /* without an answer */
    uint64_t idle, interval, count;
};

/* How to take back a reduction that proves to be spurious. */
struct undo {
    utcp_time first_resent;   /* when something was sent again first since then, 0 = not yet */
    uint32_t first_resent_ts; /* ... and the timestamp it had */
    bool valid;
    bool resent;             /* something has been sent again since */
    tcp_seq marker;          /* snd_una when the reduction was made */
    uint32_t undelivered;    /* bytes sent again since that no DSACK has spoken of */
    uint32_t cwnd, ssthresh; /* as they were before */
};

/*
 * Loss recovery. high is RFC 6582's "recover" and RFC 6675's RecoveryPoint: snd_nxt when the present
 * state began. unsacked is what duplicate ACKs without SACK blocks stand for: so many bytes have left
 * the network, nobody knows which.
 */
struct recovery {
    enum ca_state state;
    tcp_seq high;
    unsigned dup_acks;   /* since snd_una moved; with SACK those that brought news */
    uint32_t reordering; /* so many segments above a hole mean a loss: RFC 5681's three, or more */
    uint32_t unsacked;
    /* Proportional rate reduction, RFC 6937. */
    uint32_t prior_cwnd, prr_delivered, prr_out;
    uint32_t dsacks; /* DSACK blocks received: segments that went again in vain */
    bool frto;       /* RFC 5682: the time-out may still prove to be spurious */
    bool new_first;  /* ... section 3.1 (2b): new data goes before what may not be lost */
    struct tail_probe probe;
    struct undo undo;
    struct rack rack;
};

/* What one ACK delivered. */
struct delivery {
    tcp_seq prior_una, prior_sacked; /* snd_una and the end of what was SACKed, before it */
    uint32_t acked;                  /* bytes by which snd_una moved */
    uint32_t sacked;                 /* bytes SACKed for the first time */
    uint32_t delivered;              /* bytes heard of for the first time, one way or the other */
    uint32_t lost;                   /* bytes held to be lost now */
    uint32_t in_flight;              /* bytes in flight before it */
    utcp_time first_at, last_at; /* the first and last sent of what had been sent once, 0 = none */
    bool duplicate;              /* RFC 5681 section 2 */
    bool resent;                 /* something that had been sent again was delivered */
    bool original;  /* something sent once, before the present state began, was delivered */
    bool reordered; /* something sent once arrived after what was sent later */
    bool answers_duplicate;
    bool dsack;       /* ... of what is not known to be delivered */
    bool dsack_probe; /* ... which the tail loss probe was */
    bool ece;         /* it told of marks */
    uint32_t ts_echo; /* TSecr */
    bool has_ts_echo;
};

/* Pacing: max_rate is the user's bound in bytes a second, UINT64_MAX = none; no data goes before
 * next. */
struct pacing {
    uint64_t max_rate;
    utcp_time next;
};

/*
 * How much of the congestion window is in use (RFC 7661), as Linux counts it.
 *
 * limited    it was full in the last window of data, which ends at end
 * most       bytes in flight at most in that window
 * used       ... since it was last full, or cut to what is used: since
 * last_sent  when data last went out
 */
struct window_use {
    bool limited;
    tcp_seq end;
    uint32_t most, used;
    utcp_time since, last_sent;
};

enum chrono_kind { CHRONO_IDLE, CHRONO_BUSY, CHRONO_WINDOW, CHRONO_BUFFER, CHRONOS };

/* total of each in ns; kind runs since then. */
struct chrono {
    uint64_t total[CHRONOS];
    enum chrono_kind kind;
    utcp_time since;
};

/*
 * What the receive buffer's size follows: see buffers.c.
 *
 * rtt        between our window and what it lets come, ns, 0 = not known yet
 * last_echo  of our times, that it was measured by
 * window_end, window_since  what a window of data is measured by: its end, and when it began
 * most       bytes that the program has read in a round trip, so far
 * since, read_before  when the round trip began, and all the bytes that were read then
 */
struct receive_tuning {
    uint64_t rtt;
    uint32_t last_echo;
    tcp_seq window_end;
    utcp_time window_since;
    uint64_t most;
    utcp_time since;
    uint64_t read_before;
};

/* The send buffer's first byte has the sequence number snd_buf_seq. */
struct utcp_conn {
    struct utcp_stack *stack;
    void *user; /* NULL: not accepted yet, or let go */
    enum tcp_state state;
    struct utcp_endpoint local, remote;

    /* Send sequence variables, RFC 9293 figure 3. snd_nxt never goes back: see flight.h. */
    tcp_seq iss, snd_una, snd_nxt;
    struct flight flight;
    uint32_t snd_wnd;     /* scaled */
    uint32_t snd_wnd_max; /* the largest window the peer ever offered */
    tcp_seq snd_sml;      /* the end of the last short segment: Nagle's, after Minshall */
    tcp_seq snd_wl1, snd_wl2;
    tcp_seq snd_buf_seq;
    struct ring snd_buf;
    struct chunks chunks; /* of the send buffer */
    uint8_t *snd_retired; /* the ring before it grew, while packets point into it */
    size_t snd_retired_bytes;
    uint64_t notsent_lowat; /* no chunk is begun with so many bytes unsent, 0 = the setting */
    uint32_t snd_limit;     /* bytes the send buffer may hold, chunks_cost() counted */
    bool snd_fixed;         /* ... by the user's word */
    bool snd_lent;          /* the user may be writing to it */
    bool rcv_fixed;         /* the receive buffer's size is the user's word */
    bool in_tuple_table;

    /* Receive sequence variables. rcv_adv is the right edge that was advertised; rcv_acked the
     * rcv_nxt of the last ACK sent. */
    tcp_seq irs, rcv_nxt, rcv_adv, rcv_acked;
    tcp_seq fin_seq;
    uint32_t rcv_mss;    /* the largest segment the peer sent */
    struct ring rcv_buf; /* its tail is at rcv_nxt, or one before once FIN is in */
    uint32_t rcv_limit;  /* bytes the receive buffer may hold */
    uint32_t rcv_wanted; /* ... when the user has read next */
    struct receive_tuning rcv_tuning;
    struct ranges out_of_order;
    tcp_seq
        sack_recent[SACK_BLOCKS_MAX]; /* numbers in the ranges that changed last, newest first */
    struct range dsack;               /* the duplicate to tell of, empty = none */

    uint32_t mss;       /* payload bytes of the segments we send, with timestamps but no SACK */
    uint32_t mss_limit; /* the user's or the stack's, 0 = none */
    uint32_t peer_mss;  /* what the peer announced, 0 = nothing yet */
    enum utcp_mtu_discover mtu_discover;
    struct path path; /* as it was known at the last look */
    uint8_t snd_wscale, rcv_wscale;
    bool wscale_ok; /* both sides offered */
    bool sack_ok;   /* ... */

    struct ecn ecn;

    /* RFC 7323. Times are of the sender's clock; ours has ms. */
    bool timestamps_ok;     /* both sides offered */
    uint32_t ts_offset;     /* of our clock */
    uint32_t ts_first;      /* of our first SYN */
    uint32_t ts_recent;     /* TS.Recent: the peer's, to echo; 0 = none yet */
    utcp_time ts_recent_at; /* when it came */

    struct rtt rtt;
    utcp_time syn_sent_at; /* 0 = more than once, so it is no RTT sample (Karn) */
    struct recovery recovery;
    const struct cc_ops *congestion; /* the algorithm wanted */
    struct cc cc;                    /* from ESTABLISHED on */
    struct window_use window_use;
    struct pacing pacing;
    unsigned backoff;      /* time-outs (or probes) in a row: each doubles the next interval */
    unsigned unanswered;   /* ... since the peer last answered: too many end the connection */
    utcp_time stuck_since; /* the first of the time-outs (or probes) in a row, 0 = none */
    uint64_t user_timeout; /* RFC 9293 section 3.8.3: how long that may last, ns, 0 = no bound */
    uint64_t syn_retries;
    struct keepalive keepalive;
    struct urgent urgent;
    unsigned acks_due;        /* ACKs to send: one, or one for each segment out of order */
    uint64_t fin_wait2;       /* ns, UINT64_MAX = the setting: how long an orphan waits for a FIN */
    uint64_t defer_accept;    /* so many time-outs a bare ACK does not end SYN-RECEIVED */
    utcp_time deferred_at;    /* when such an ACK came first, 0 = never */
    utcp_time timers[TIMERS]; /* UTCP_NEVER = not running */
    utcp_time oow_ack_time;   /* when a segment outside the window was last answered */

    bool passive;      /* came to be by a listener: RST takes SYN-RECEIVED back to LISTEN */
    bool fin_queued;   /* the user has shut sending; FIN follows the data */
    bool fin_seen;     /* the peer's FIN has come, at fin_seq, perhaps ahead of its data */
    bool fin_received; /* ... and all data before it */
    bool shut_rd;      /* the user wants no more data */
    bool had_peer;     /* was connected, or tried: CLOSED means gone, not new */
    struct delack delack;
    bool send_syn;  /* SYN or SYN-ACK is due */
    bool probe_now; /* the persist timer fired: override silly-window avoidance */
    int error;      /* pending, negative errno, 0 = none */
    int soft_error; /* what ICMP said: told when the connection times out */

    bool nodelay, reuse_addr, reuse_port, bound;
    bool cork;        /* no short segment goes, for a while: the persist timer lets it out */
    bool more;        /* ... since the last write said that more follows */
    tcp_seq uncorked; /* all before it goes nevertheless */
    uint8_t ttl, tos;
    bool tell_anyway; /* something new came although readiness is the same */

    /* A listener's. */
    unsigned backlog, half_open, accept_count;
    utcp_time cookie_sent_at;   /* the last of them, 0 = none yet */
    struct list accept_queue;   /* established, through .accept_link */
    struct utcp_conn *listener; /* whose child this is until it is accepted */
    struct list accept_link;

    struct {
        uint64_t bytes_sent, bytes_retransmitted, bytes_acked, bytes_received;
        uint64_t segs_in, segs_out, retransmits;
        uint64_t data_segs_in, data_segs_out, out_of_order, reorderings;
        uint64_t bytes_delivered, bytes_delivered_marked; /* acknowledged or SACKed; with ECE */
    } count;
    utcp_time data_sent_at, data_received_at, ack_received_at; /* the last of each, see utcp_info */
    struct chrono chrono;

    struct heap_node deadline;
    struct list all_link, send_link, tell_link, holder_link;
    struct utcp_conn *tuple_next, *port_next;
    unsigned told; /* readiness in the last event */
    unsigned pins; /* packets handed out by utcp_output(), and space by utcp_expect() */
};

/* The sequence number behind the last byte queued: where FIN goes. */
static inline tcp_seq snd_end(const struct utcp_conn *conn)
{
    return conn->snd_buf_seq + (tcp_seq)conn->snd_buf.len;
}

/* Bytes (and SYN, FIN) sent and not acknowledged. */
static inline uint32_t outstanding(const struct utcp_conn *conn)
{
    return conn->snd_nxt - conn->snd_una;
}

/* Of these, what is still in the network as far as we know: RFC 6675's "pipe". */
static inline uint32_t in_flight(const struct utcp_conn *conn)
{
    uint32_t log = conn->flight.log_bytes;

    return log > conn->recovery.unsacked ? log - conn->recovery.unsacked : 0;
}

/* The peer got what was tried again and again. */
static inline void got_through(struct utcp_conn *conn)
{
    conn->backoff = conn->unanswered = 0;
    conn->stuck_since = 0;
}

static inline bool fin_sent(const struct utcp_conn *conn)
{
    return conn->fin_queued && seq_gt(conn->snd_nxt, snd_end(conn));
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

/* A half-open or not yet accepted child leaves its listener's books. */
void tcp_leave_listener(struct utcp_conn *conn);

/* The connection is over: leaves the tables, stops the timers, tells the user error (0 = none). */
void tcp_finish(struct utcp_conn *conn, int error);

/* ---- input.c ---- */

void tcp_input(struct utcp_stack *stack, const struct ipv4 *ip, bool verify);

/* RFC 5961: asks the peer with an ACK whether it meant what seems to have come from it, but not more
 * often than the limits allow. */
void tcp_challenge(struct utcp_conn *conn);

/* An ICMP error about a segment of ours with this sequence number; error is a negative errno. */
void tcp_icmp_error(struct utcp_conn *conn, tcp_seq seq, int error);

/* ---- path.c ---- */

/* A router dropped a segment of ours with this sequence number, in a packet of quoted_len bytes, for
 * its next hop takes mtu_bytes at most. */
void tcp_icmp_too_big(struct utcp_conn *conn, tcp_seq seq, uint32_t quoted_len, uint32_t mtu_bytes);

/* Looks up what is known of the path to the peer, and sets the MSS from it. */
void tcp_look_up_path(struct utcp_conn *conn);

/* Sets the MSS from the path, the peer's MSS and the user's, and the congestion window with it. */
void tcp_sync_mss(struct utcp_conn *conn);

/* The MSS that path and user allow, for what we send and for what we announce. For the latter
 * RFC 9293 section 3.7.1 would have the device's MTU count, but Linux announces what it knows of the
 * path. */
uint32_t tcp_path_mss(const struct utcp_conn *conn);

/* Whether the packets of conn may not be fragmented on their way. */
bool tcp_dont_fragment(const struct utcp_conn *conn);

/* The path to dst has changed (NULL = to everybody): its connections look it up. */
void tcp_path_changed(struct utcp_stack *stack, const struct utcp_addr *dst);

/* Builds a RST for a segment that no connection wants, RFC 9293 section 3.10.7.1. */
void tcp_reset_reply(struct utcp_stack *stack, const struct tcp_segment *segment);

/* ---- handshake.c ---- */

/* Fills in the sequence variables of a connection about to send its SYN. It may take the place of one in
 * TIME-WAIT with the same endpoints, which has ended but is there still; else that is NULL. */
void tcp_start_sending(struct utcp_conn *conn, const struct utcp_conn *predecessor);

/* True when a connection of ours may take the place of that one, which is in its way. */
bool tcp_may_succeed(const struct utcp_conn *predecessor);

/* Takes what the peer's SYN says: sequence number, options, window. */
void tcp_learn_syn(struct utcp_conn *conn, const struct tcp_segment *segment);

/* Both SYNs are acknowledged. */
void tcp_establish(struct utcp_conn *conn, const struct tcp_segment *segment);

/* An ACK that would end SYN-RECEIVED is to be forgotten: the listener waits for text. */
bool tcp_defer_accept(struct utcp_conn *conn, const struct tcp_segment *segment);

/* A SYN for a listener. predecessor: as in tcp_start_sending(). */
void tcp_listen_syn(struct utcp_conn *listener, const struct tcp_segment *segment,
                    const struct utcp_conn *predecessor);

/* ---- ack.c ---- */

/* RFC 9293 section 3.10.7.4, fifth, for synchronized states: false = drop the segment. */
bool tcp_take_ack(struct utcp_conn *conn, const struct tcp_segment *segment);

/* An ACK for a listener: makes a connection of it when it brings back a SYN cookie. *conn is NULL when
 * there is no room. False = it brings none. */
bool tcp_listen_ack(struct utcp_conn *listener, const struct tcp_segment *segment,
                    struct utcp_conn **conn);

/* ---- cookies.c ---- */

/* The number of a SYN-ACK that answers this SYN, from a peer whose MSS is mss. */
tcp_seq cookie_make(const struct utcp_stack *stack, const struct tcp_segment *syn, uint32_t mss);

/* The time of that SYN-ACK: about now, and holds what conn has agreed to. */
uint32_t cookie_time(const struct utcp_conn *conn);

/* Makes of an ACK the SYN of which a cookie was made; false = it brings none. */
bool cookie_read(const struct utcp_stack *stack, const struct tcp_segment *ack,
                 struct tcp_segment *syn);

/* ---- ecn.c ---- */

/* What the peer's SYN, or SYN-ACK, says of ECN. */
void ecn_learn_syn(struct utcp_conn *conn, const struct tcp_segment *segment);

/* Flags for the SYN or SYN-ACK that is sent now. */
uint8_t ecn_syn_flags(struct utcp_conn *conn);

/* Takes marks and CWR of a segment with acceptable text. */
void ecn_take(struct utcp_conn *conn, const struct tcp_segment *segment);

/* True when an acceptable ACK tells of marks. */
bool ecn_is_echo(const struct utcp_conn *conn, const struct tcp_segment *segment);

/* The window was reduced, for whatever reason; that was taken back. */
void ecn_reduced(struct utcp_conn *conn);
void ecn_reduction_undone(struct utcp_conn *conn);

/* Sets the flags of a segment about to be sent; returns the two bits for its IP header. */
uint8_t ecn_write(struct utcp_conn *conn, struct tcp_segment *segment);

/* ---- timestamps.c ---- */

/* What the clock shows that goes into a segment sent now. */
uint32_t timestamps_now(const struct utcp_conn *conn);

/* Sets the clock of a connection about to send its SYN. */
void timestamps_start(struct utcp_conn *conn);

void timestamps_learn_syn(struct utcp_conn *conn, const struct tcp_options *options);

/* Bytes that they take from each segment. */
uint32_t timestamps_bytes(const struct utcp_conn *conn);

void timestamps_write(const struct utcp_conn *conn, struct tcp_options *options);

/* PAWS: the segment is an old duplicate. */
bool timestamps_are_old(const struct utcp_conn *conn, const struct tcp_segment *segment);

/* Of one that is: a bare ACK that tells what is known already, overtaken on its way. */
bool timestamps_overtaken(const struct utcp_conn *conn, const struct tcp_segment *segment);

/* The segment is later than what was seen. */
bool timestamps_are_new(const struct utcp_conn *conn, const struct tcp_segment *segment);

/* Takes the time of an acceptable segment for the next echo, if it is due. */
void timestamps_note(struct utcp_conn *conn, const struct tcp_segment *segment);

/* False when a SYN-ACK echoes what no SYN of ours has said. */
bool timestamps_echo_possible(const struct utcp_conn *conn, const struct tcp_segment *segment);

/* The round trip in ns that an echo tells of, 0 = none. */
uint64_t timestamps_rtt(const struct utcp_conn *conn, const struct tcp_options *options);

/* ---- sack.c ---- */

/* Takes the SACK blocks of an ACK, RFC 2018 and RFC 2883. */
void sack_take(struct utcp_conn *conn, const struct tcp_segment *segment,
               struct delivery *delivery);

/* Marks as lost what RFC 6675 holds to be; returns how many bytes. For stacks without RACK. */
uint32_t sack_mark_lost(struct utcp_conn *conn);

/* A piece of a transmission was delivered: a flight_visitor with a struct delivery as its ctx. */
flight_visitor sack_note_delivery;

/* Text out of order has come, at seq. */
void sack_note_arrival(struct utcp_conn *conn, tcp_seq seq);

/* [from, to) has come again. */
void sack_note_duplicate(struct utcp_conn *conn, tcp_seq from, tcp_seq to);

/* How many blocks the next segment tells. */
unsigned sack_blocks(const struct utcp_conn *conn);

/* Fills in the blocks; a duplicate is told once. */
void sack_write(struct utcp_conn *conn, struct tcp_options *options);

/* ---- recovery.c, rack.c, undo.c, rtt.c ---- */

/* What an ACK that may be of interest means for loss recovery and the congestion window. */
void recovery_on_ack(struct utcp_conn *conn, struct delivery *delivery);

void recovery_on_timeout(struct utcp_conn *conn);

/* Segments larger than the MSS is now are lost, and not by congestion: they go again at once. */
void recovery_on_path_change(struct utcp_conn *conn);

/* Reduces the window once for each window of data, by ECN or otherwise without loss. */
void recovery_enter_cwr(struct utcp_conn *conn, enum cc_signal signal);

/* [from, to) was sent, perhaps again. */
void recovery_on_sent(struct utcp_conn *conn, uint32_t len, bool resent);

/* The same, and at once. */
void recovery_reduce_once(struct utcp_conn *conn);

/* SACK blocks start at snd_una: the peer has dropped what it had. */
bool recovery_reneged(const struct utcp_conn *conn);

/* RFC 8985: something was delivered; adapts the reordering window; marks what is lost; the timer
 * that waited for reordering has fired. */
void rack_on_delivery(struct utcp_conn *conn, const struct sent *piece);
void rack_note_reordering(struct utcp_conn *conn, const struct sent *piece);
void rack_adapt(struct utcp_conn *conn, const struct delivery *delivery);
uint32_t rack_mark_lost(struct utcp_conn *conn);
void rack_on_timer(struct utcp_conn *conn);

/* True when what was sent then would not be held for lost yet, even without reordering. */
bool rack_is_recent(const struct utcp_conn *conn, const struct sent *sent);

/* RFC 8985 section 7: starts the timer of a probe, if one is due; stops it when none is wanted any more; it
 * has fired; an ACK says what became of the probe. */
void probe_schedule(struct utcp_conn *conn);
void probe_review(struct utcp_conn *conn);
void probe_on_timer(struct utcp_conn *conn);
void probe_on_ack(struct utcp_conn *conn, const struct delivery *delivery);

/* Remembers the present window as the one to go back to. */
void undo_init(struct utcp_conn *conn, bool with_window);

/* The reduction was right, whatever else proves to be spurious. */
void undo_keep_window(struct utcp_conn *conn);

/* Each takes the reduction back when its evidence is there: DSACKs for all that went again; the echo
 * of an original's timestamp (Eifel, RFC 3522) or, of a time-out, an original's delivery (F-RTO,
 * RFC 5682). */
bool undo_by_dsack(struct utcp_conn *conn);
bool undo_by_echo(struct utcp_conn *conn, const struct delivery *delivery);
bool undo_timeout(struct utcp_conn *conn, const struct delivery *delivery, bool frto);
void undo_on_dsack(struct utcp_conn *conn, struct range range);

void rtt_init(struct rtt *rtt, const struct utcp_settings *settings);

/* snd_una and snd_nxt tell when a round trip ends. */
void rtt_sample(struct rtt *rtt, const struct utcp_settings *settings, uint64_t sample_ns,
                tcp_seq snd_una, tcp_seq snd_nxt);

/* Keeps the least RTT of the last five minutes, as Linux. */
void rtt_note_min(struct rtt *rtt, uint64_t sample_ns, utcp_time now);

/* The RTO with back-off, within the settings' bounds. */
uint64_t rtt_rto(const struct rtt *rtt, const struct utcp_settings *settings, unsigned backoff);

/* ---- congestion.c ---- */

void congestion_start(struct utcp_conn *conn);

/* Takes another algorithm, now or when the connection begins; -EINVAL for NULL. */
int congestion_choose(struct utcp_conn *conn, const struct cc_ops *ops);

/* New data was acknowledged outside a reduction; rtt is a sample in ns, 0 = none. */
void congestion_on_ack(struct utcp_conn *conn, uint32_t acked, uint32_t in_flight_before,
                       uint64_t rtt);

/* The window is full, or as good as full: more data would not have gone. */
bool congestion_window_in_use(const struct utcp_conn *conn);

/* Data is about to go: a window that was not used for long is not good any more. Returns true when
 * it was cut. */
bool congestion_before_sending(struct utcp_conn *conn);

/* Data went out, and snd_nxt has moved, unless it went again. */
void congestion_sent(struct utcp_conn *conn, bool resent);

/* Has ssthresh set anew; cwnd is left to the caller, and must not have been changed before. */
void congestion_signal(struct utcp_conn *conn, enum cc_signal signal);

/* The last signal was a mistake: the caller restores cwnd and ssthresh. */
void congestion_undo(struct utcp_conn *conn);

/* ---- pacing.c ---- */

/* Bytes a second, UINT64_MAX = without an RTT there is none yet; whether it is obeyed or not. */
uint64_t pacing_rate(const struct utcp_conn *conn);

/* Bytes that may go as one packet. */
uint32_t pacing_burst(const struct utcp_conn *conn);

/* True when data must wait; pacing_wait() wakes the connection then. */
bool pacing_holds(const struct utcp_conn *conn);
void pacing_wait(struct utcp_conn *conn);
void pacing_on_timer(struct utcp_conn *conn);

/* So many bytes of data went out, and are counted. */
void pacing_sent(struct utcp_conn *conn, uint32_t len);

/* Sets the user's bound, which turns pacing on; UINT64_MAX takes it back. */
void pacing_limit(struct utcp_conn *conn, uint64_t max_rate);

/* ---- reassemble.c ---- */

/* Takes the text and the FIN of an acceptable segment. */
void tcp_take_text(struct utcp_conn *conn, const struct tcp_segment *segment);

/* The window field of a header sent now, scaled down; rcv_adv moves to the edge that it promises.
 */
uint16_t tcp_advertise(struct utcp_conn *conn);

/* True when so much was read that the peer must hear of the larger window. */
bool tcp_window_update_due(const struct utcp_conn *conn);

/* Gives back memory that is not needed now. */
void reassembly_trim(struct utcp_conn *conn);

/* ---- rings.c: the memory of buffers ---- */

/* Not zeroed; size is a power of two. */
uint8_t *rings_alloc(struct utcp_stack *stack, size_t size);
void rings_free(struct utcp_stack *stack, uint8_t *memory, size_t size);

/* The connection has a buffer from now on; others that have been idle may lose theirs. */
void rings_hold(struct utcp_conn *conn);

/* It may have become idle. */
void rings_review(struct utcp_conn *conn);

/* Takes its buffers away, whatever they hold. */
void rings_release(struct utcp_conn *conn);

/* ---- buffers.c ---- */

/* When the connection is established. */
void buffers_start(struct utcp_conn *conn);

/* Makes sure that there is a ring; false without memory. The one for sending grows here: no slice of its
 * room may be in use. */
bool buffers_allocate_receive(struct utcp_conn *conn);
bool buffers_allocate_send(struct utcp_conn *conn);

/* No packet points into the send ring that was any more, perhaps. */
void buffers_free_retired(struct utcp_conn *conn);

/* In TIME-WAIT, which lasts a minute, nobody writes or reads any more once the user has gone. */
void buffers_free_unused(struct utcp_conn *conn);

/* Reuses the receive buffer from its start on when it is empty. */
void buffers_rewind(struct utcp_conn *conn);

/* Where text that is next in sequence will lie, as much as the peer may send and in one piece; false when that cannot
 * be told. */
bool buffers_expect(const struct utcp_conn *conn, struct utcp_slice *space);

/* The most that the window may become, bytes. */
uint32_t buffers_largest_window(const struct utcp_conn *conn);

/* A segment with text has come in order. */
void buffers_on_text(struct utcp_conn *conn, const struct tcp_segment *segment);

/* The user has taken text out of the buffer, and holds no slice of it. */
void buffers_on_read(struct utcp_conn *conn);

void buffers_on_ack(struct utcp_conn *conn);

/* The user's size, bytes: it follows nothing any more. */
void buffers_set_receive(struct utcp_conn *conn, uint32_t bytes);
void buffers_set_send(struct utcp_conn *conn, uint32_t bytes);

/* ---- urgent.c ---- */

/* What a segment that is taken says of urgent data. */
void urgent_take(struct utcp_conn *conn, const struct tcp_segment *segment);

/* How many bytes may be received in one go, and how many to leave out before them. */
uint32_t urgent_stretch(struct utcp_conn *conn, uint32_t *skip);

/* How many bytes of the stream wait. */
uint32_t urgent_readable(const struct utcp_conn *conn);

/* Bytes have been taken out of the receive buffer. */
void urgent_on_read(struct utcp_conn *conn);

/* The byte that was queued last is urgent. */
void urgent_mark(struct utcp_conn *conn);

/* True while the peer has not acknowledged an urgent byte of ours. */
bool urgent_is_due(const struct utcp_conn *conn);

/* Adds what a segment has to say of it. */
void urgent_write(const struct utcp_conn *conn, struct tcp_segment *segment);

/* ---- keepalive.c ---- */

/* The connection is established. */
void keepalive_start(struct utcp_conn *conn);

/* The user asks for keep-alives, or no longer. */
void keepalive_turn(struct utcp_conn *conn, bool on);

/* The idle time has changed. */
void keepalive_review(struct utcp_conn *conn);

void keepalive_on_timer(struct utcp_conn *conn);

/* ---- delack.c ---- */

/* New text has come in order, in a packet of that many bytes. */
void delack_on_text(struct utcp_conn *conn, uint32_t len);

/* From now on ACKs go at once again: something was lost, or came twice. */
void delack_quick(struct utcp_conn *conn);

void delack_on_ack_sent(struct utcp_conn *conn);
void delack_on_data_sent(struct utcp_conn *conn);
void delack_on_timer(struct utcp_conn *conn);

/* The user has taken text out of the buffer. */
void delack_on_read(struct utcp_conn *conn);

/* TCP_QUICKACK, as Linux: not for good. */
void delack_set_quick(struct utcp_conn *conn, bool quick);

/* ---- timer.c ---- */

void tcp_timer_set(struct utcp_conn *conn, enum tcp_timer timer, utcp_time deadline);
void tcp_timer_stop(struct utcp_conn *conn, enum tcp_timer timer);
void tcp_timer_stop_all(struct utcp_conn *conn);

/* A SYN was answered by what is none of this connection's: it goes again before its time-out. */
void tcp_syn_again_soon(struct utcp_conn *conn);

static inline bool tcp_timer_runs(const struct utcp_conn *conn, enum tcp_timer timer)
{
    return conn->timers[timer] != UTCP_NEVER;
}

/* Data, or a FIN, that was never sent. */
bool tcp_has_unsent(const struct utcp_conn *conn);

/* Starts or stops retransmission and persist timer as the send side's state asks. */
void tcp_timer_review(struct utcp_conn *conn);

void tcp_enter_time_wait(struct utcp_conn *conn);

/* ns that an orphan waits for the peer's FIN, as the user or the setting has it. */
uint64_t tcp_fin_wait2(const struct utcp_conn *conn);

/* ns in which the peer's FIN comes although it, or our ACK of it, was lost. */
uint64_t tcp_fin_again(const struct utcp_conn *conn);

/* The user is gone and the peer has not said FIN: waits for it so long, or does not and resets. */
void tcp_start_fin_wait2_orphan(struct utcp_conn *conn);

/* A deadline of conn has come. */
void tcp_timers_fire(struct utcp_conn *conn);

/* ---- chrono.c ---- */

/* Something happened: it may be another thing that the sender waits for. */
void chrono_review(struct utcp_conn *conn);

/* How long it has waited for that until now, ns. */
uint64_t chrono_total(const struct utcp_conn *conn, enum chrono_kind kind, utcp_time now);

/* ---- output.c ---- */

/* Bytes of new data that the peer's and the congestion window allow. */
uint32_t tcp_usable_window(const struct utcp_conn *conn);

/* There is a segment for a tail loss probe that the peer's window allows. */
bool tcp_probe_fits(const struct utcp_conn *conn);

/* Bytes of options that a segment has room for beside those it always carries. */
uint32_t tcp_option_room(const struct utcp_conn *conn);

/* Queues the SYN-ACK of a connection in SYN-RECEIVED that is not kept. */
void tcp_output_syn_ack(struct utcp_conn *conn);

/* Queues a RST to the peer of a connection that is about to be finished: RFC 9293 section 3.10.5. */
void tcp_output_reset(struct utcp_conn *conn);

/* Builds the next packet of conn; false = nothing to send now. */
bool tcp_output(struct utcp_conn *conn, struct utcp_packet *packet);

#endif
