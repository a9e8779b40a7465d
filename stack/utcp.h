/* SPDX-License-Identifier: MIT */
/*
 * The protocol core: TCP over IPv4 as a function of its inputs.
 *
 * Nothing here makes a system call, reads a clock, starts a thread or takes a lock. The caller
 * brings packets, the time, randomness and memory, and takes packets, deadlines and events away:
 *
 *	utcp_input()         a packet came
 *	utcp_output()        the next packet to send, pulled until there is none
 *	utcp_next_deadline() when the core wants utcp_advance() although nothing happens
 *	utcp_advance()       time passed
 *	utcp_next_event()    a connection whose readiness may have changed
 *
 * Beside these stand the user calls of RFC 9293 section 3.10. After any call the caller pulls the
 * output and the events until both are empty.
 *
 * A stack and its connections belong to one caller at a time: who shares them between threads
 * brings the lock. The slices of a connection's buffers (utcp_send_space(), utcp_receive_data(),
 * utcp_packet.payload) may be copied from and to without that lock.
 *
 * Calls that can fail return a negative errno value; times are nanoseconds.
 */
#ifndef UTCP_H
#define UTCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Nanoseconds on a clock that never goes back; its origin is the caller's. */
typedef uint64_t utcp_time;

#define UTCP_NEVER UINT64_MAX
#define UTCP_USEC UINT64_C(1000)
#define UTCP_MSEC UINT64_C(1000000)
#define UTCP_SEC UINT64_C(1000000000)

enum utcp_family { UTCP_UNSPEC = 0, UTCP_IPV4 = 4, UTCP_IPV6 = 6 };

/* An address in network byte order; IPv4 uses the first four bytes, the rest is zero. */
struct utcp_addr {
    uint8_t family; /* enum utcp_family */
    uint8_t bytes[16];
};

struct utcp_endpoint {
    struct utcp_addr addr;
    uint16_t port; /* host byte order, 0 = not chosen yet */
};

struct utcp_slice {
    uint8_t *data;
    size_t len;
};

/*
 * The settings of a stack: one list that declares, defaults, bounds and documents each.
 *
 *	X(name, default, least, most, unit, text)
 *
 * The unit is one of: ns (a time), bytes, count, bool.
 */
/* clang-format off */
#define UTCP_SETTINGS(X) \
    X(rto_min, 200 * UTCP_MSEC, UTCP_MSEC, 60 * UTCP_SEC, ns, \
      "least retransmission time-out (Linux: 200 ms; RFC 6298: 1 s)") \
    X(rto_max, 60 * UTCP_SEC, UTCP_SEC, 600 * UTCP_SEC, ns, \
      "greatest retransmission time-out (RFC 6298 section 2.4)") \
    X(rto_init, UTCP_SEC, 10 * UTCP_MSEC, 60 * UTCP_SEC, ns, \
      "retransmission time-out before the first RTT sample (RFC 6298 section 2.1)") \
    X(syn_retries, 6, 0, 255, count, "retransmissions of a SYN before ETIMEDOUT") \
    X(synack_retries, 5, 0, 255, count, "retransmissions of a SYN-ACK before giving up") \
    X(retries, 15, 1, 255, count, "retransmissions of data before ETIMEDOUT") \
    X(orphan_retries, 8, 1, 255, count, "the same once the program has closed the socket") \
    X(initial_window, 10, 1, 1000, count, "initial congestion window in segments (RFC 6928)") \
    X(ecn, 2, 0, 2, count, \
      "ECN (RFC 3168): 0 never, 1 offered and accepted, 2 accepted (Linux: tcp_ecn)") \
    X(abe, 1, 0, 1, bool, "ECN marks reduce the window less than loss does (RFC 8511)") \
    X(slow_start_after_idle, 1, 0, 1, bool, "a window that is not used shrinks (RFC 2861)") \
    X(pacing, 0, 0, 1, bool, "spread the window over the round trip (Linux: the fq queue)") \
    X(pacing_ss_ratio, 200, 0, 1000, count, "per cent of the window a round trip in slow start") \
    X(pacing_ca_ratio, 120, 0, 1000, count, "the same in congestion avoidance") \
    X(burst, 2, 1, 45, count, "least segments in a packet, however slow the path (Linux: 2)") \
    X(hystart, 1, 0, 2, count, "CUBIC's end of slow start: 0 loss, 1 RFC 9406, 2 as Linux") \
    X(mss, 0, 0, 65495, bytes, "greatest MSS to announce and use, 0 = from the MTU") \
    X(window_scaling, 1, 0, 1, bool, "offer and accept window scaling (RFC 7323)") \
    X(wscale, 14, 0, 14, count, "greatest shift count to announce (RFC 7323 section 2.3)") \
    X(sack, 1, 0, 1, bool, "offer and accept selective acknowledgments (RFC 2018)") \
    X(timestamps, 1, 0, 2, count, \
      "timestamps (RFC 7323): 0 none, 1 with a random offset, 2 without (Linux: tcp_timestamps)") \
    X(dsack, 1, 0, 1, bool, "tell the peer of duplicates (RFC 2883)") \
    X(rack, 1, 0, 1, bool, "detect losses by time (RFC 8985), not by count (RFC 6675)") \
    X(tail_probe, 1, 0, 1, bool, "probe for the loss of the last segments (RFC 8985)") \
    X(frto, 1, 0, 1, bool, "detect spurious time-outs (RFC 5682)") \
    X(reordering, 3, 1, 300, count, "duplicate ACKs that mean a loss (RFC 5681: 3)") \
    X(delack_min, 40 * UTCP_MSEC, 0, UTCP_SEC, ns, "least delay of an ACK (Linux: 40 ms)") \
    X(delack_max, 200 * UTCP_MSEC, 0, UTCP_SEC, ns, \
      "greatest delay of an ACK, 0 = each segment is acknowledged at once (RFC 1122: 500 ms)") \
    X(stdurg, 0, 0, 1, bool, "the urgent pointer is of the last urgent byte (RFC 1122), not behind it") \
    X(keepalive_idle, 7200 * UTCP_SEC, UTCP_SEC, 32767 * UTCP_SEC, ns, \
      "silence before a keep-alive, where the program asks for them (RFC 9293: 2 h)") \
    X(keepalive_interval, 75 * UTCP_SEC, UTCP_SEC, 32767 * UTCP_SEC, ns, "between keep-alives (Linux: 75 s)") \
    X(keepalive_count, 9, 1, 127, count, "keep-alives without an answer before ETIMEDOUT (Linux: 9)") \
    X(rcv_buf, 64 << 10, 256, 1 << 30, bytes, "receive buffer of a new connection (Linux: tcp_rmem)") \
    X(rcv_buf_max, 16 << 20, 0, 1 << 30, bytes, "what it may grow to by itself (Linux: tcp_rmem)") \
    X(snd_buf, 16 << 10, 256, 1 << 30, bytes, "send buffer of a new connection (Linux: tcp_wmem)") \
    X(snd_buf_max, 16 << 20, 0, 1 << 30, bytes, "what it may grow to by itself (Linux: 4 MB)") \
    X(notsent_lowat, UINT32_MAX, 1, UINT32_MAX, bytes, \
      "a socket is not writable with so much that is not sent (Linux: unbounded)") \
    X(time_wait, 60 * UTCP_SEC, 0, 600 * UTCP_SEC, ns, "length of TIME-WAIT (Linux: 60 s)") \
    X(tw_reuse, 0, 0, 1, bool, \
      "connect from a port in TIME-WAIT for a second, with timestamps (Linux: only to itself)") \
    X(fin_wait2, 60 * UTCP_SEC, UTCP_SEC, 600 * UTCP_SEC, ns, \
      "how long an orphan waits for the peer's FIN in FIN-WAIT-2 (Linux: 60 s)") \
    X(port_first, 32768, 1, 65535, count, "first ephemeral port (Linux: 32768)") \
    X(port_last, 60999, 1, 65535, count, "last ephemeral port (Linux: 60999)") \
    X(frag_time, 30 * UTCP_SEC, UTCP_MSEC, 600 * UTCP_SEC, ns, \
      "how long the fragments of a datagram wait for the others (Linux: ipfrag_time)") \
    X(frag_memory, 4 << 20, 0, 1 << 30, bytes, \
      "memory for fragments, 0 = they are dropped (Linux: ipfrag_high_thresh)") \
    X(min_pmtu, 552, 88, 65535, bytes, "least path MTU to believe an ICMP message (Linux: 552)") \
    X(pmtu_expires, 600 * UTCP_SEC, UTCP_SEC, 86400 * UTCP_SEC, ns, \
      "how long a path MTU is remembered (RFC 1191 section 6.3, Linux: 10 min)") \
    X(icmp_rate, 1000, 0, 1000000, count, \
      "ICMP errors sent in a second, 0 = none (Linux: icmp_msgs_per_sec)") \
    X(syncookies, 1, 0, 2, count, \
      "SYN cookies (RFC 4987): 0 never, 1 when the backlog is full, 2 always") \
    X(challenge_acks, INT32_MAX, 0, INT32_MAX, count, \
      "challenge ACKs in a second, about (RFC 5961 section 7; Linux: no limit)") \
    X(ttl, 64, 1, 255, count, "time to live of packets sent") \
    X(gso, 65000, 0, 65000, bytes, "most payload in one packet of utcp_output(), 0 = one MSS")
/* clang-format on */

struct utcp_settings {
#define UTCP_SETTING_FIELD(name, initial, least, most, unit, text) uint64_t name;
    UTCP_SETTINGS(UTCP_SETTING_FIELD)
#undef UTCP_SETTING_FIELD
};

/* Fills in the default of every setting. */
void utcp_settings_init(struct utcp_settings *settings);

struct utcp_allocator {
    void *(*alloc)(void *ctx, size_t size); /* zeroed and aligned to 16 bytes, NULL = none left */
    void (*free)(void *ctx, void *memory, size_t size);
    void *ctx;
};

/* Fills buffer with size bytes that an attacker cannot guess (or a simulator's seeded ones). */
struct utcp_random {
    void (*fill)(void *ctx, void *buffer, size_t size);
    void *ctx;
};

struct utcp_config {
    struct utcp_allocator allocator;
    struct utcp_random random;
    struct utcp_settings settings;
    struct utcp_addr addr;  /* the stack's own address */
    uint32_t mtu_bytes;     /* of the device: 68 to 65535 */
    const char *congestion; /* name of the congestion control, NULL = the default */
    /* Settles the offset of timestamps. Stacks that have an address one after the other should share it, so that a peer
     * who remembers the last one (TIME-WAIT) sees time go on; 0 = a random one. */
    uint64_t timestamp_key;
};

struct utcp_stack;
struct utcp_conn;

/* Returns NULL when memory is short or the configuration makes no sense. */
struct utcp_stack *utcp_create(const struct utcp_config *config, utcp_time now);

/* Frees the stack and every connection of it without a word to the peers. */
void utcp_destroy(struct utcp_stack *stack);

/* ---- packets and time ---- */

enum utcp_input_flags {
    UTCP_INPUT_CSUM_OK = 1, /* the device vouches for the TCP checksum */
};

/* Takes one IP packet, up to 65,535 bytes, possibly glued together from many by the device. */
void utcp_input(struct utcp_stack *stack, const uint8_t *packet, size_t len, unsigned flags,
                utcp_time now);

/*
 * Saves a copy of much text: says where the text of the next packet would go if it continued what was received
 * last. Returns how many bytes of headers (IP and TCP) would come before it, 0 = nobody knows. A packet whose headers have
 * that length may have its text read to that space, which is the caller's alone until utcp_expect_end(), and be
 * handed in by utcp_input_expected(), whatever connection it is for; its TCP checksum must have been verified. False:
 * the packet is of another kind and was not taken; it goes to utcp_input(), in one piece.
 * Between the two calls no other packet may be handed in.
 */
size_t utcp_expect(struct utcp_stack *stack, struct utcp_slice *space);
bool utcp_input_expected(struct utcp_stack *stack, const uint8_t *header, size_t header_len,
                         struct utcp_slice text, utcp_time now);
void utcp_expect_end(struct utcp_stack *stack);

#define UTCP_HEADER_MAX 120 /* IPv4 and TCP header, both with all their options */

/*
 * A packet to send: a header and up to two slices of the connection's send buffer.
 *
 * When segment_bytes is not 0, the payload is to be cut into segments of that size by the device or
 * by utcp_cut_next(). The TCP checksum field of a packet with tcp_offset != 0 holds the
 * pseudo-header's sum only, as devices with checksum offload want it; utcp_cut_next() completes it.
 */
struct utcp_packet {
    uint8_t header[UTCP_HEADER_MAX];
    size_t header_len;
    size_t tcp_offset; /* where the TCP header begins, 0 = not TCP, complete as it is */
    struct utcp_slice payload[2];
    size_t payload_len;
    size_t segment_bytes;
    struct utcp_conn *pinned_conn; /* the core's, as the next: for utcp_output_done() */
    uint8_t *pinned_reply;
    size_t pinned_len;
};

/*
 * Fetches the next packet to send; false = none. The payload slices stay valid until
 * utcp_output_done(), which must follow each packet fetched, under the caller's lock.
 */
bool utcp_output(struct utcp_stack *stack, struct utcp_packet *packet, utcp_time now);
void utcp_output_done(struct utcp_stack *stack, struct utcp_packet *packet);

/* True when utcp_output() would have something. */
bool utcp_output_pending(const struct utcp_stack *stack);

/*
 * Cuts a packet into complete ones for a device without offload: each call writes the next one,
 * with all checksums, into buffer (at least the MTU) and returns its length; 0 = that was all.
 * Needs no lock. Begin with offset 0.
 */
size_t utcp_cut_next(const struct utcp_packet *packet, size_t *offset, uint8_t *buffer);

/* Length in bytes of the first IPv4 header plus TCP header in packet, 0 when it is not whole TCP.
 */
size_t utcp_packet_headers(const uint8_t *packet, size_t len);

/* Completes the TCP checksum of a packet whose checksum field holds the pseudo-header's sum. */
void utcp_packet_fill_checksum(uint8_t *packet, size_t len);

/* When utcp_advance() wants to be called next; UTCP_NEVER when no timer runs. */
utcp_time utcp_next_deadline(const struct utcp_stack *stack);
void utcp_advance(struct utcp_stack *stack, utcp_time now);

/* The device has another MTU now, 68 to 65535 bytes: connections adapt. -EINVAL. */
int utcp_set_mtu(struct utcp_stack *stack, uint32_t mtu_bytes, utcp_time now);

/* ---- events ---- */

/* What poll() would show of a TCP socket. */
enum utcp_ready {
    UTCP_IN = 1,    /* data, end of data, an error, or a connection to accept */
    UTCP_OUT = 2,   /* room to send: a third of the buffer, as Linux */
    UTCP_PRI = 32,  /* an urgent byte waits */
    UTCP_RDHUP = 4, /* the peer has said FIN */
    UTCP_HUP = 8,   /* both directions are shut, or the connection is gone */
    UTCP_ERR = 16,  /* an error waits for utcp_take_error() or is sticky */
};

struct utcp_event {
    struct utcp_conn *conn;
    void *user;     /* what utcp_open() or utcp_accept() was given; never NULL */
    unsigned ready; /* enum utcp_ready, as of now */
};

/* Fetches the next connection whose readiness may have changed since it was last fetched.
 * Connections whose user is NULL (not accepted yet, or closed) make no events. */
bool utcp_next_event(struct utcp_stack *stack, struct utcp_event *event);

unsigned utcp_ready(const struct utcp_conn *conn);

/* True from SYN on until the handshake has ended either way. */
bool utcp_connecting(const struct utcp_conn *conn);

/* False once the user has said FIN, or the connection is gone. */
bool utcp_can_send(const struct utcp_conn *conn);

/* ---- user calls, RFC 9293 section 3.10 ---- */

/* A connection in CLOSED, not bound. NULL when memory is short. */
struct utcp_conn *utcp_open(struct utcp_stack *stack, void *user);

/* Binds to a local address (the stack's own or all zero) and port (0 = an ephemeral one at once).
 * -EADDRINUSE, -EADDRNOTAVAIL, -EINVAL when bound already. */
int utcp_bind(struct utcp_conn *conn, const struct utcp_endpoint *local);

/* Begins the handshake. 0 = SYN is on its way; -EISCONN, -EALREADY, -EADDRNOTAVAIL (no port left),
 * -EOPNOTSUPP while listening, -ENOMEM, -ENETUNREACH for a family or address that cannot be. */
int utcp_connect(struct utcp_conn *conn, const struct utcp_endpoint *remote, utcp_time now);

/* Begins, or goes on with another backlog. Binds to an ephemeral port if needed. -EADDRINUSE,
 * -EINVAL in any state but CLOSED and LISTEN. */
int utcp_listen(struct utcp_conn *conn, unsigned backlog);

/* The peer of the connection that utcp_accept() would take; false = none waits. */
bool utcp_next_to_accept(const struct utcp_conn *listener, struct utcp_endpoint *remote);

/* Takes an established connection from the queue; NULL = none waits. user must not be NULL. */
struct utcp_conn *utcp_accept(struct utcp_conn *listener, void *user);

/* Puts it back in front: nobody has used it yet. */
void utcp_accept_undo(struct utcp_conn *listener, struct utcp_conn *conn);

/*
 * Sending is reserve, copy, commit, so that the copy needs no lock: utcp_send_space() returns the
 * free bytes and where they are, or a negative errno (-EPIPE, -ENOTCONN, -EAGAIN while connecting
 * or when there is no room, or the pending error, which it takes); utcp_send_commit() queues the
 * first len of them, with enum utcp_send_flags. One sender at a time for each connection.
 */
long utcp_send_space(struct utcp_conn *conn, struct utcp_slice space[2]);
enum utcp_send_flags {
    UTCP_SEND_MORE = 1,   /* more follows at once: no PSH */
    UTCP_SEND_RECORD = 2, /* what follows goes in packets of its own (MSG_EOR) */
    UTCP_SEND_URGENT = 4, /* the last byte is urgent (MSG_OOB) */
};
void utcp_send_commit(struct utcp_conn *conn, size_t len, unsigned flags, utcp_time now);

/*
 * Receiving likewise: returns the bytes that wait and where they are, 0 at the end of data, or a
 * negative errno (-EAGAIN, -ENOTCONN, or the pending error, which it takes); utcp_receive_commit()
 * drops the first len of them and may open the window. One receiver at a time.
 */
long utcp_receive_data(struct utcp_conn *conn, struct utcp_slice data[2]);

/* Bytes that utcp_receive_data() would come to, in all. */
size_t utcp_unread(const struct utcp_conn *conn);

/* The urgent byte, which is taken unless peek is set, though the mark stays: 1 = there it is; 0 = it will
 * not come any more; -EAGAIN = it is announced; -EINVAL = there is none, or it is inline. */
int utcp_receive_urgent(struct utcp_conn *conn, uint8_t *byte, bool peek);

/* True when the next byte of the stream is the urgent one, or was: receiving has stopped there. */
bool utcp_at_mark(const struct utcp_conn *conn);
void utcp_receive_commit(struct utcp_conn *conn, size_t len, utcp_time now);

enum utcp_shutdown { UTCP_SHUT_RD = 1, UTCP_SHUT_WR = 2 };

/* Half-close, or both halves. -ENOTCONN. */
int utcp_shutdown(struct utcp_conn *conn, unsigned how, utcp_time now);

/*
 * The user lets go: conn must not be used again. Sends what is queued and then FIN; RST when
 * received data was never read (RFC 9293 section 3.6.1, RFC 2525 section 2.17). A listener resets
 * what it has not handed out.
 */
void utcp_close(struct utcp_conn *conn, utcp_time now);

/* The user lets go with a RST. conn must not be used again. */
void utcp_abort(struct utcp_conn *conn, utcp_time now);

/*
 * For who finds a stack in the middle of a change, and can call nothing else any more: the packet that
 * resets conn's peer. False when there is no peer. Only the connection's own fields are looked at.
 */
bool utcp_last_words(struct utcp_conn *conn, struct utcp_packet *packet);

/* Returns the pending error as a negative errno and clears it, 0 = none. */
int utcp_take_error(struct utcp_conn *conn);

enum utcp_option {
    UTCP_OPT_NODELAY,   /* bool: Nagle off */
    UTCP_OPT_OOBINLINE, /* bool: the urgent byte is part of the stream */
    UTCP_OPT_CORK,      /* bool: short segments wait until it is off, at least 200 ms (TCP_CORK) */
    UTCP_OPT_QUICKACK,  /* bool: ACKs are not delayed, until the program answers; not for good */
    UTCP_OPT_REUSEADDR, /* bool: bind over connections in TIME-WAIT */
    UTCP_OPT_REUSEPORT, /* bool: several listeners on a port; the newest without a full queue wins
                         */
    UTCP_OPT_KEEPALIVE, /* bool */
    UTCP_OPT_KEEPALIVE_IDLE,     /* ns before the first probe: 1 s to 32767 s */
    UTCP_OPT_KEEPALIVE_INTERVAL, /* ns between probes: 1 s to 32767 s */
    UTCP_OPT_KEEPALIVE_COUNT,    /* probes without an answer: 1 to 127 */
    UTCP_OPT_USER_TIMEOUT,  /* ns that data may stay unacknowledged, 0 = as the retries have it */
    UTCP_OPT_SYN_RETRIES,   /* retransmissions of a SYN: 1 to 127 */
    UTCP_OPT_DEFER_ACCEPT,  /* a listener's: so many time-outs of a SYN-ACK are waited for text, and
                             * not for an ACK alone: 0 to 255 */
    UTCP_OPT_FIN_WAIT2,     /* ns that an orphan waits for the peer's FIN, 120 s at most; 0 = it is
                             * reset instead, UINT64_MAX = the setting */
    UTCP_OPT_SND_BUF,       /* bytes; changes the limit, never below what is queued */
    UTCP_OPT_RCV_BUF,       /* bytes; before the handshake, later ones are remembered only */
    UTCP_OPT_MAXSEG,        /* bytes: greatest MSS to announce and use; reads as the one in
                         * use, before that as what was set or 536 */
    UTCP_OPT_NOTSENT_LOWAT, /* bytes: no more is taken while so much is not sent; 0 = the setting */
    UTCP_OPT_TTL,           /* 1 to 255 */
    UTCP_OPT_TOS,           /* 0 to 255; the two ECN bits are the stack's */
    UTCP_OPT_MTU_DISCOVER,  /* enum utcp_mtu_discover */
    UTCP_OPT_MAX_PACING_RATE, /* bytes a second: turns pacing on; UINT64_MAX = no bound */
    UTCP_OPT_CONGESTION,      /* the index of utcp_congestion_name(); the window stays as it is */
};

/* What a connection does about the path's MTU, numbered as Linux numbers IP_MTU_DISCOVER. */
enum utcp_mtu_discover {
    UTCP_PMTU_DONT,      /* packets may be fragmented */
    UTCP_PMTU_WANT,      /* the default: RFC 1191, but above the setting min_pmtu */
    UTCP_PMTU_DO,        /* packets may never be fragmented */
    UTCP_PMTU_PROBE,     /* ... and what ICMP says does not count */
    UTCP_PMTU_INTERFACE, /* packets may be fragmented, and what ICMP says does not count */
    UTCP_PMTU_OMIT,      /* the same */
};

/* -EINVAL for a value out of range. */
int utcp_set_option(struct utcp_conn *conn, enum utcp_option option, uint64_t value);
uint64_t utcp_get_option(const struct utcp_conn *conn, enum utcp_option option);

/* The states of RFC 9293 section 3.3.2, numbered as Linux numbers them. */
enum tcp_state {
    TCP_ESTABLISHED = 1,
    TCP_SYN_SENT,
    TCP_SYN_RECEIVED,
    TCP_FIN_WAIT_1,
    TCP_FIN_WAIT_2,
    TCP_TIME_WAIT,
    TCP_CLOSED,
    TCP_CLOSE_WAIT,
    TCP_LAST_ACK,
    TCP_LISTEN,
    TCP_CLOSING,
    TCP_STATES
};

/* STATUS of RFC 9293 section 3.10.6, and what TCP_INFO wants. */
struct utcp_info {
    enum tcp_state state;
    struct utcp_endpoint local, remote;
    uint32_t mss, rcv_mss, pmtu;    /* bytes */
    uint32_t adv_mss;               /* bytes, announced to the peer */
    uint32_t cwnd, ssthresh;        /* bytes */
    uint32_t snd_wnd, rcv_wnd;      /* bytes */
    uint8_t snd_wscale, rcv_wscale; /* shift counts */
    bool wscale_ok;
    uint64_t srtt, rttvar, rto;      /* ns, 0 = no sample yet */
    bool may_send;                   /* connecting, or open in our direction */
    bool at_mark;                    /* the urgent byte is next */
    uint32_t rcv_queued;             /* bytes that wait to be received, as far as the mark */
    uint32_t snd_queued, snd_unsent; /* bytes not acknowledged, and of these not sent yet */
    uint32_t retransmits;            /* time-outs in a row */
    uint64_t total_retransmits;      /* segments */
    uint8_t recovery;                /* 0 open, 1 disorder, 2 reduction, 3 recovery, 4 loss */
    uint32_t snd_sacked, snd_lost;   /* bytes SACKed; held to be lost, sent again or not */
    uint32_t snd_resent;             /* bytes in flight for a second time, or more */
    uint32_t snd_outstanding;        /* bytes sent and not acknowledged, SYN and FIN counted */
    uint32_t reordering;             /* segments above a hole that mean a loss */
    uint32_t dsacks;                 /* duplicates the peer told of */
    bool sack_ok;
    bool timestamps_ok, ecn_ok;
    bool ecn_seen;                         /* the peer has sent what is capable of ECN */
    uint64_t pacing_rate, max_pacing_rate; /* bytes a second, UINT64_MAX = none */
    uint64_t min_rtt;                      /* ns, 0 = no sample yet */
    uint64_t bytes_sent, bytes_retransmitted, bytes_acked, bytes_received;
    uint64_t segs_in, segs_out;
    uint64_t data_segs_in, data_segs_out;     /* of these, with text */
    uint64_t out_of_order, reorderings;       /* segments received so; ACKs that told of it */
    uint64_t delivered, delivered_marked;     /* bytes the peer has told of; ... with ECE */
    utcp_time data_sent_at, data_received_at; /* the last, or the handshake's end; 0 = not yet */
    utcp_time ack_received_at;                /* the last, 0 = none yet */
    uint64_t busy_time; /* ns during which something waited to be sent or acknowledged, ... */
    uint64_t window_limited, buffer_limited; /* ... for the peer's window, for our buffer */
    uint32_t accept_queued, backlog;         /* a listener's */
};

void utcp_info(const struct utcp_conn *conn, utcp_time now, struct utcp_info *info);

/* What the stack counted; one list. */
/* clang-format off */
#define UTCP_COUNTERS(X) \
    X(ip_in, "IP packets received") \
    X(ip_bad, "IP packets dropped: bad version, length or checksum") \
    X(ip_not_ours, "IP packets dropped: another destination") \
    X(ip_fragments, "IP fragments received") \
    X(ip_reassembled, "IP datagrams put together from fragments") \
    X(ip_frag_timeouts, "IP datagrams of which fragments were missing too long") \
    X(ip_frag_bad, "IP datagrams dropped: fragments that contradict each other") \
    X(ip_frag_evicted, "IP datagrams dropped unfinished: no room for their fragments") \
    X(icmp_in, "ICMP messages received") \
    X(icmp_bad, "ICMP messages dropped: bad length or checksum") \
    X(icmp_echoes, "ICMP echo replies sent") \
    X(icmp_errors, "ICMP errors matched to a connection") \
    X(icmp_errors_out, "ICMP errors sent") \
    X(path_mtu_reduced, "path MTUs learned from ICMP") \
    X(tcp_in, "TCP segments received") \
    X(tcp_bad, "TCP segments dropped: bad length or checksum") \
    X(tcp_no_conn, "TCP segments for no connection") \
    X(tcp_out, "TCP segments sent") \
    X(tcp_dsacks, "duplicates that peers told of: segments that went again in vain") \
    X(tcp_tail_probes, "tail loss probes") \
    X(tcp_spurious, "reductions of a window that were taken back") \
    X(tcp_rst_out, "RST segments sent") \
    X(tcp_retransmits, "TCP segments sent again") \
    X(tcp_timeouts, "retransmission time-outs") \
    X(tcp_keepalives, "keep-alive probes sent") \
    X(tcp_urgent, "urgent bytes announced by peers") \
    X(tcp_fast_retransmits, "fast retransmits") \
    X(tcp_dup_acks, "duplicate ACKs received") \
    X(tcp_out_of_order, "segments received out of order") \
    X(tcp_duplicates, "segments received that brought nothing new") \
    X(tcp_listen_overflows, "SYNs dropped: the backlog was full") \
    X(tcp_ecn_marks, "data segments received that a router had marked (ECN)") \
    X(tcp_ecn_echoes, "reductions of a window because the peer told of marks (ECN)") \
    X(tcp_paws, "segments dropped: their timestamps were old (PAWS)") \
    X(tcp_cookies_sent, "SYN cookies sent") \
    X(tcp_cookies_good, "connections that began with a SYN cookie's return") \
    X(tcp_cookies_bad, "ACKs for a listener that brought no SYN cookie of ours") \
    X(tcp_challenge_acks, "challenge ACKs sent (RFC 5961)") \
    X(replies_dropped, "replies dropped: too many wait already, or no memory")
/* clang-format on */

struct utcp_counters {
#define UTCP_COUNTER_FIELD(name, text) uint64_t name;
    UTCP_COUNTERS(UTCP_COUNTER_FIELD)
#undef UTCP_COUNTER_FIELD
};

const struct utcp_counters *utcp_counters(const struct utcp_stack *stack);

/*
 * Connections by what is left to do for them.
 *
 * connections   all there are
 * unfinished    have data or a FIN that the peer has not acknowledged
 * linger        ns that the peer's FIN may still take to come, even if it has come where segments got lost or came late,
 *               for then it may come again. 0 = nobody waits for us
 */
struct utcp_population {
    uint32_t connections;
    uint32_t unfinished;
    uint64_t linger;
};

void utcp_population(const struct utcp_stack *stack, struct utcp_population *population);

/* Memory in bytes that is kept for the buffers of connections to come; and gives it back to the allocator. */
size_t utcp_spare_bytes(const struct utcp_stack *stack);
void utcp_trim(struct utcp_stack *stack);

/* The name of a state as RFC 9293 writes it, for example "SYN-RECEIVED". */
const char *tcp_state_name(enum tcp_state state);

/* The name of the i-th congestion control that is built in, NULL = no more. */
const char *utcp_congestion_name(size_t i);

/*
 * Checks the invariants of a connection or of all of them, for tests: NULL when they hold, else a
 * sentence about the first that does not.
 */
const char *utcp_check(const struct utcp_stack *stack);

#endif
