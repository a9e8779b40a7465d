/* SPDX-License-Identifier: MIT */
/* The stack's own structure: the connection table, ports, deadlines, queues. */
#ifndef STACK_H
#define STACK_H

#include <string.h>

#include "base/heap.h"
#include "base/list.h"
#include "base/siphash.h"
#include "ip/fragments.h"
#include "ip/path.h"
#include "tcp/tcb.h"
#include "utcp.h"
#include "wire/ipv4.h"

static inline bool same_addr(const struct utcp_addr *a, const struct utcp_addr *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* Complete packets that answer for no connection (RST, echo reply) and wait to be sent. */
#define REPLIES_MAX 64

/* One that is longer than the MTU goes out in fragments: sent counts the bytes of payload that did. */
struct reply {
    uint8_t *packet;
    size_t len;
    size_t sent;
};

/* See tcp/rings.c: memory that no connection has now, the last in use at the end. */
#define SPARE_RINGS_MAX 64

struct spare_rings {
    struct spare_ring {
        uint8_t *memory;
        size_t size;
    } rings[SPARE_RINGS_MAX]; /* the oldest first */
    size_t bytes;
    size_t count;
};

#define PORT_BUCKETS 256

/*
 *	by_tuple	connections that have a peer, hashed by the four-tuple: buckets (a power of two) chained
 *			through utcp_conn.tuple_next
 *	by_port		connections bound by the user and listeners, chained through utcp_conn.port_next
 *	deadlines	of connections with a timer running; its memory has room for every connection
 *	to_send		connections that may have something to send, each asked in turn
 *	to_tell		connections whose readiness may have changed
 *	holders		connections that have memory for buffers
 *	all		every connection there is
 *	dead		those of them to be freed when the next call begins
 *	now		the time of the call under way
 *	secret		for ISNs, ports and the table
 *	receiver	that last took much text at once; NULL = nobody has
 *	expecting	for which utcp_expect() has handed out space
 *	text		of the packet that is handed in, where it does not lie behind its headers
 *	timestamp_key	for the offsets of timestamps: the configuration's, or secret
 */
struct utcp_stack {
    struct utcp_allocator allocator;
    struct utcp_random random;
    struct utcp_settings settings;
    struct utcp_addr addr;
    uint32_t mtu_bytes;
    const struct cc_ops *congestion;
    utcp_time now;
    struct siphash_key secret;
    struct siphash_key timestamp_key;
    struct utcp_counters counters;
    struct utcp_conn *receiver, *expecting;
    const uint8_t *text;

    struct utcp_conn **by_tuple;
    size_t by_tuple_size;
    struct utcp_conn *by_port[PORT_BUCKETS];
    struct heap deadlines;
    size_t deadlines_size;
    size_t conns;
    struct list all;
    struct list dead;
    struct list to_send;
    struct list to_tell;
    struct list holders;
    size_t holder_count;
    size_t send_ring_bytes; /* of all connections' send buffers */
    struct spare_rings spare_rings;
    struct reply replies[REPLIES_MAX]; /* a queue: first, count */
    size_t replies_first, replies_count;
    struct fragments fragments;
    struct paths paths;
    utcp_time next_icmp_error;                  /* see icmp_send_error() */
    uint64_t challenge_second, challenges_left; /* see tcp_challenge() */
    uint16_t ip_id;
    uint32_t port_counter;
};

void *stack_alloc(struct utcp_stack *stack, size_t size);
void stack_free(struct utcp_stack *stack, void *memory, size_t size);

/* ---- the table ---- */

/* A new connection in CLOSED, in no table yet; NULL when memory is short. */
struct utcp_conn *stack_add_conn(struct utcp_stack *stack);

/* Puts a connection with local and remote endpoints into the table by four-tuple; false = taken. */
bool stack_insert_tuple(struct utcp_conn *conn);
void stack_remove_tuple(struct utcp_conn *conn);
struct utcp_conn *stack_find_tuple(struct utcp_stack *stack, const struct utcp_endpoint *local,
                                   const struct utcp_endpoint *remote);

void stack_insert_port(struct utcp_conn *conn);
void stack_remove_port(struct utcp_conn *conn);
struct utcp_conn *stack_find_listener(struct utcp_stack *stack, const struct utcp_endpoint *local);

/* True when conn may be bound to this local endpoint. */
bool stack_port_free(const struct utcp_conn *conn, const struct utcp_endpoint *local);

/* Picks an ephemeral port into conn->local.port, for its remote when it has one; false = none left.
 */
bool stack_pick_port(struct utcp_conn *conn);

/* Has conn freed when it is closed, let go by its user, and nobody has one of its packets. It stays
 * valid until the call under way returns. */
void stack_reap(struct utcp_conn *conn);

/* ---- queues ---- */

void stack_want_send(struct utcp_conn *conn);
void stack_want_tell(struct utcp_conn *conn);

/* Queues a packet of an IPv4 header and a body, for any protocol: dst, tos and payload_len of ip
 * count, the rest is filled in here. Dropped and counted when too many wait. Returns where the body
 * goes. */
uint8_t *stack_reply(struct utcp_stack *stack, struct ipv4 *ip);

/* Writes the IPv4 header of a packet from the stack. */
void stack_write_ip(struct utcp_stack *stack, uint8_t *header, struct ipv4 *ip);

/* An unpredictable hash of a four-tuple and a word of salt. */
uint64_t stack_hash_tuple(const struct utcp_stack *stack, const struct utcp_endpoint *local,
                          const struct utcp_endpoint *remote, uint64_t salt);

/* ---- ip/ ---- */

/* Takes one packet; with verify the TCP checksum is checked. */
void ip_input(struct utcp_stack *stack, const uint8_t *packet, size_t len, bool verify);

/* Hands a whole datagram to its protocol. */
void ip_deliver(struct utcp_stack *stack, const struct ipv4 *ip, bool verify);

void icmp_input(struct utcp_stack *stack, const struct ipv4 *ip);

enum icmp_type {
    ICMP_ECHO_REPLY = 0,
    ICMP_UNREACHABLE = 3,
    ICMP_ECHO = 8,
    ICMP_TIME_EXCEEDED = 11
};

#define ICMP_PROTOCOL_UNREACHABLE 2
#define ICMP_PORT_UNREACHABLE 3
#define ICMP_FRAGMENTATION_NEEDED 4
#define ICMP_REASSEMBLY_TIME 1

/* Tells the sender of a packet what became of it, unless RFC 1122 forbids that or there have been too
 * many such errors. The packet's header must lie before its payload, as ipv4_parse() finds it. */
void icmp_send_error(struct utcp_stack *stack, const struct ipv4 *about, enum icmp_type type,
                     uint8_t code);

#endif
