/* SPDX-License-Identifier: MIT */
/*
 * One stack in virtual time with one peer, whose packets the test writes by hand.
 *
 * Before each test world_setup() makes a world with defaults, but plain segments without SACK and
 * timestamps; a test may change settings, and the constructors below create the stack from them. After each call the stack's invariants are checked
 * (utcp_check()) and what it sends is taken apart: checksums must be good, no segment may be longer
 * than the peer's MSS, and the right edge of its window may never move left. The segments wait in a
 * queue for expect(). At the end every byte of memory must have been given back.
 *
 * Sequence numbers are relative, as in tcpdump: a SYN has 0 and the first byte 1. The byte with the
 * relative number n is pattern(n), in both directions, so that payloads check themselves.
 */
#ifndef HARNESS_H
#define HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tcp/tcb.h"
#include "utcp.h"

#define OWN_PORT 4000
#define PEER_PORT 5000

/* The window we advertise without scaling: the receive buffer has 1 MB. */
#define WIN 65535

/* The handshakes of the constructors take this long, so the first RTO is 200 ms more. */
#define RTT (10 * UTCP_MSEC)
#define RTO (RTT + 200 * UTCP_MSEC)

/* Flags as they mostly come together. */
enum {
    S = TCP_SYN,
    A = TCP_ACK,
    R = TCP_RST,
    SA = TCP_SYN | TCP_ACK,
    PA = TCP_PSH | TCP_ACK,
    FA = TCP_FIN | TCP_ACK,
    FPA = TCP_FIN | TCP_PSH | TCP_ACK,
    RA = TCP_RST | TCP_ACK,
};

#define NO_WSCALE (-1)

/* What the peer says in its SYN. */
struct peer {
    uint16_t window;
    uint16_t mss; /* 0 = no option */
    int wscale;   /* NO_WSCALE = no option */
    bool sack;    /* SACK permitted */
    bool timestamps;
};

/*
 * stack       created by the first constructor
 * conn        the connection under test, with a user
 * settings, mtu_bytes, timestamp_key, memory_left  may be changed before the stack is created; memory_left is the
 *             number of allocations that succeed
 * now         the virtual clock
 * iss         our initial sequence number, from the last SYN that was sent
 * peer_isn, peer_port  the peer's; may be changed at any time
 * own_wscale, peer_scales  what the SYNs said of scaling
 * events, last_ready  how many events there were, and what the last one said
 * timestamps  the SYNs agreed on them. Then injected segments without any have the peer's time and
 *             the echo of the last of ours, unless silent is set; and those expected without any
 *             must have had the time of their sending, whatever they echoed
 * peer_clock  what the peer's clock shows at the beginning, ms
 * ecn         the two bits of the IP header that injected segments have
 * ecn_sent    those of the packet that was expected last
 * urgent      the pointer that injected segments have
 * urgent_sent that of the packet that was expected last
 * expected    injected text is read to where utcp_expect() says, if it does
 * held        packets stay in the stack until it is false and release() is called
 */
struct world {
    struct utcp_stack *stack;
    struct utcp_conn *conn, *listener;
    struct utcp_settings settings;
    uint32_t mtu_bytes;
    uint64_t timestamp_key;
    utcp_time now;
    tcp_seq iss, peer_isn;
    uint16_t peer_port;
    uint16_t peer_mss;
    uint8_t own_wscale;
    bool peer_scales;
    bool timestamps, silent;
    uint8_t ecn, ecn_sent;
    uint16_t urgent, urgent_sent;
    uint32_t peer_clock, ts_offset, ts_last; /* of ours: what it shows at time 0, and last showed */
    utcp_time began;
    bool held, expected;
    size_t memory_bytes, memory_left;
    bool exact_push; /* expect() of a segment without PSH insists on that */
    uint64_t random;
    tcp_seq right_edge; /* that the stack has advertised, absolute */
    bool right_edge_known;
    unsigned events, last_ready;
    tcp_seq written, read; /* the next byte's relative number */
};

extern struct world world;

/* Fixtures for cmocka. */
int world_setup(void **state);
int world_teardown(void **state);

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

/* With an argument only the tests run whose names match it: a name, or a pattern with * and ?. */
void select_test(int argc, char *argv[]);

/* ---- constructors ---- */

/* A stack of this world's settings, NULL when it could not be made; start_stack() keeps it. */
struct utcp_stack *try_stack(void);
void start_stack(void);

/* Opens a connection to the peer; its SYN waits for expect_syn(). */
void start_connecting(void);

/* A listener at OWN_PORT in world.listener. */
void start_listening(unsigned backlog);

/* An established connection in world.conn; all segments of the handshake are consumed. */
void established_client(struct peer peer);
void established_server(struct peer peer);

/* A peer with an MSS of 1000 and this window, not scaled. */
struct peer plain_peer(uint16_t window);

/* Sets the clock so that the next connection has this initial sequence number. */
void choose_iss(tcp_seq iss);

/* ---- the peer ---- */

uint8_t pattern(tcp_seq relative);

void inject(unsigned flags, tcp_seq seq, tcp_seq ack, uint16_t window, uint32_t len);

/* The same with options; the numbers of SACK blocks are relative, too. */
void inject_with(unsigned flags, tcp_seq seq, tcp_seq ack, uint16_t window, uint32_t len,
                 struct tcp_options options);
void inject_syn(unsigned flags, tcp_seq seq, tcp_seq ack, struct peer peer);

/* What the two clocks for timestamps show. */
uint32_t own_time(void);
uint32_t peer_time(void);

/* Any packet, as it is. */
void inject_bytes(const uint8_t *packet, size_t len);

/* An IPv4 header before a payload, both checksums good; returns the packet's length. */
size_t build_ip(uint8_t *packet, uint8_t protocol, const uint8_t *payload, size_t len);

/* ---- what the stack sends ---- */

#define expect(flags, seq, ack, window, len) \
    expect_at(__FILE__, __LINE__, flags, seq, ack, window, len, (struct tcp_options){0})
#define expect_with(flags, seq, ack, window, len, options) \
    expect_at(__FILE__, __LINE__, flags, seq, ack, window, len, options)
#define expect_syn(flags, seq, ack, peer) expect_syn_at(__FILE__, __LINE__, flags, seq, ack, peer)
#define expect_nothing() expect_nothing_at(__FILE__, __LINE__)

void expect_at(const char *file, int line, unsigned flags, tcp_seq seq, tcp_seq ack,
               uint16_t window, uint32_t len, struct tcp_options options);
void expect_syn_at(const char *file, int line, unsigned flags, tcp_seq seq, tcp_seq ack,
                   struct peer peer);
void expect_nothing_at(const char *file, int line);

/* The next packet as bytes; returns its length, 0 = none. */
size_t take_packet(uint8_t *buffer, size_t size);

/* Throws away what was sent; returns the number of segments. */
size_t drop_sent(void);

/* Lets out what was held. */
void release(void);

/* ---- time ---- */

/* Calls the stack at each of its deadlines on the way. */
void advance_by(utcp_time ns);

/* Nothing is sent before ns have passed, to the nanosecond; what is sent then waits. */
#define nothing_before(ns) nothing_before_at(__FILE__, __LINE__, ns)
void nothing_before_at(const char *file, int line, utcp_time ns);

/* ---- the user ---- */

/* Queues len bytes of the pattern. */
void write_bytes(uint32_t len);
void write_with(uint32_t len, unsigned flags); /* enum utcp_send_flags */

/* Reads exactly len bytes, and checks them. */
void read_bytes(uint32_t len);

void close_conn(void);

#define expect_state(expected) \
    assert_string_equal(tcp_state_name(world.conn->state), tcp_state_name(expected))

/* So many connections are left in the stack, listeners counted. */
void expect_connections(uint32_t count);

struct utcp_endpoint peer_endpoint(void);

/* Fails the test when an invariant is broken. */
void check_world(void);

#endif
