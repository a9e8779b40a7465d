/* SPDX-License-Identifier: MIT */
/* The IPv4 header, RFC 791: bytes to a checked structure and back. */
#ifndef WIRE_IPV4_H
#define WIRE_IPV4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "utcp.h"

#define IPV4_HEADER 20
#define IPV4_HEADER_MOST 60 /* with options */
#define IPV4_MOST 65535     /* bytes of a datagram with its header */

enum ip_protocol { IP_ICMP = 1, IP_TCP = 6, IP_UDP = 17 };

struct ipv4 {
    struct utcp_addr src, dst;
    uint8_t protocol, ttl, tos;
    uint16_t id;
    bool dont_fragment;
    bool fragment; /* a part of a packet: more follow, or an offset */
    bool more_fragments;
    uint32_t offset;   /* of a fragment's payload in the datagram's, bytes */
    size_t header_len; /* with options, of what was parsed; it lies right before the payload */
    const uint8_t *payload;
    size_t payload_len;
};

/* Checks version, lengths and header checksum; false = to be dropped. Options are skipped. What the
 * packet has behind its total length is padding. */
bool ipv4_parse(const uint8_t *packet, size_t len, struct ipv4 *ip);

/* Writes a header of IPV4_HEADER bytes for a payload of ip->payload_len, with its checksum. What it
 * says of fragments is in dont_fragment, more_fragments and offset. */
void ipv4_write(uint8_t *header, const struct ipv4 *ip);

/* Sets id and payload length of a written header anew, and its checksum. */
void ipv4_rewrite(uint8_t *header, uint16_t id, size_t payload_len);

/* The sum of the pseudo header of RFC 9293 section 3.1, for checksum_add() to go on with. */
uint64_t ipv4_pseudo_sum(const struct utcp_addr *src, const struct utcp_addr *dst, uint8_t protocol,
                         size_t payload_len);

#endif
