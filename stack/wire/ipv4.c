/* SPDX-License-Identifier: MIT */
#include "wire/ipv4.h"

#include <string.h>

#include "base/checksum.h"
#include "wire/bytes.h"

#define DONT_FRAGMENT 0x4000
#define MORE_FRAGMENTS 0x2000
#define OFFSET_MASK 0x1fff

static struct utcp_addr read_addr(const uint8_t *bytes)
{
    struct utcp_addr addr = {.family = UTCP_IPV4};

    memcpy(addr.bytes, bytes, 4);
    return addr;
}

bool ipv4_parse(const uint8_t *packet, size_t len, struct ipv4 *ip)
{
    size_t header, total;
    uint16_t fragment;

    if (len < IPV4_HEADER || packet[0] >> 4 != 4)
        return false;
    header = (size_t)(packet[0] & 15) * 4;
    total = get16(packet + 2);
    if (header < IPV4_HEADER || total < header || total > len)
        return false;
    if (checksum_finish(checksum_add(0, packet, header)) != 0)
        return false;
    fragment = get16(packet + 6);
    *ip = (struct ipv4){
        .src = read_addr(packet + 12),
        .dst = read_addr(packet + 16),
        .protocol = packet[9],
        .ttl = packet[8],
        .tos = packet[1],
        .id = get16(packet + 4),
        .dont_fragment = (fragment & DONT_FRAGMENT) != 0,
        .fragment = (fragment & (MORE_FRAGMENTS | OFFSET_MASK)) != 0,
        .more_fragments = (fragment & MORE_FRAGMENTS) != 0,
        .offset = (uint32_t)(fragment & OFFSET_MASK) * 8,
        .header_len = header,
        .payload = packet + header,
        .payload_len = total - header,
    };
    return true;
}

static void write_checksum(uint8_t *header)
{
    put16(header + 10, 0);
    put16(header + 10, checksum_finish(checksum_add(0, header, IPV4_HEADER)));
}

void ipv4_write(uint8_t *header, const struct ipv4 *ip)
{
    uint32_t fragment = ip->offset / 8;

    if (ip->dont_fragment)
        fragment |= DONT_FRAGMENT;
    if (ip->more_fragments)
        fragment |= MORE_FRAGMENTS;
    header[0] = 4 << 4 | IPV4_HEADER / 4;
    header[1] = ip->tos;
    put16(header + 2, (uint32_t)(IPV4_HEADER + ip->payload_len));
    put16(header + 4, ip->id);
    put16(header + 6, fragment);
    header[8] = ip->ttl;
    header[9] = ip->protocol;
    memcpy(header + 12, ip->src.bytes, 4);
    memcpy(header + 16, ip->dst.bytes, 4);
    write_checksum(header);
}

void ipv4_rewrite(uint8_t *header, uint16_t id, size_t payload_len)
{
    put16(header + 2, (uint32_t)(IPV4_HEADER + payload_len));
    put16(header + 4, id);
    write_checksum(header);
}

uint64_t ipv4_pseudo_sum(const struct utcp_addr *src, const struct utcp_addr *dst, uint8_t protocol,
                         size_t payload_len)
{
    uint64_t sum = checksum_add(0, src->bytes, 4);

    return checksum_add(sum, dst->bytes, 4) + protocol + payload_len;
}
