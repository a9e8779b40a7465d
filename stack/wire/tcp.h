/* SPDX-License-Identifier: MIT */
/* The TCP header, RFC 9293 section 3.1: bytes to a checked structure and back. */
#ifndef WIRE_TCP_H
#define WIRE_TCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ranges.h"
#include "base/seq.h"
#include "utcp.h"

#define TCP_HEADER 20
#define TCP_TIMESTAMPS_LEN 12 /* with the padding that everybody sends */

/* What Linux holds to be the least MSS, full options and 8 bytes of data: CVE-2019-11479 is a story
 * of a peer that says 1. */
#define MSS_LEAST 48

enum tcp_flags {
    TCP_FIN = 1,
    TCP_SYN = 2,
    TCP_RST = 4,
    TCP_PSH = 8,
    TCP_ACK = 16,
    TCP_URG = 32,
    TCP_ECE = 64,
    TCP_CWR = 128,
};

#define SACK_BLOCKS_MAX 4 /* as many as 40 bytes of options hold, RFC 2018 section 3 */

/* Options of a segment; a field is 0 (or false) when the option is not there. */
struct tcp_options {
    uint16_t mss;
    bool has_wscale;
    uint8_t wscale; /* at most 14 */
    bool sack_permitted;
    bool has_timestamps;
    uint32_t ts_value, ts_echo; /* TSval and TSecr, RFC 7323 section 3.2 */
    uint8_t sack_count;
    struct range sack[SACK_BLOCKS_MAX]; /* in the order of the segment */
};

struct tcp_segment {
    struct utcp_endpoint src, dst;
    tcp_seq seq, ack;
    uint8_t flags;   /* enum tcp_flags */
    uint16_t window; /* as it stands in the header, not scaled */
    uint16_t urgent;
    uint8_t ecn; /* the two bits of the IP header, RFC 3168 section 5: the caller's to fill in */
    struct tcp_options options;
    const uint8_t *payload;
    uint32_t payload_len;
};

/*
 * Reads a header and its options from the payload of an IP packet; false = to be dropped. The
 * addresses of src and dst must be filled in before; the ports are read. With verify the checksum
 * is checked.
 */
bool tcp_parse(const uint8_t *bytes, size_t len, bool verify, struct tcp_segment *segment);

/*
 * Writes header and options and returns their length. The checksum field gets the sum of the pseudo
 * header for a payload of segment->payload_len bytes: see struct utcp_packet.
 */
size_t tcp_write(uint8_t *header, const struct tcp_segment *segment);

/* Length of the sequence space a segment takes: SEG.LEN. */
static inline uint32_t segment_len(const struct tcp_segment *segment)
{
    return segment->payload_len + ((segment->flags & TCP_SYN) != 0) +
           ((segment->flags & TCP_FIN) != 0);
}

#endif
