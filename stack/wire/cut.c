/* SPDX-License-Identifier: MIT */
/*
 * Cutting: what a device with segmentation and checksum offload does, for one that has none. A big
 * packet becomes segments of segment_bytes, each with its own length, sequence number,
 * identification and checksums. FIN and PSH belong to the last of them, CWR to the first (RFC 3168
 * section 6.1.2).
 */
#include <string.h>

#include "base/checksum.h"
#include "utcp.h"
#include "wire/bytes.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"

static void copy_payload(uint8_t *to, const struct utcp_packet *packet, size_t offset, size_t len)
{
    for (size_t i = 0; i < 2 && len > 0; i++) {
        const struct utcp_slice *from = &packet->payload[i];
        size_t part;

        if (offset >= from->len) {
            offset -= from->len;
            continue;
        }
        part = from->len - offset < len ? from->len - offset : len;
        memcpy(to, from->data + offset, part);
        to += part;
        len -= part;
        offset = 0;
    }
}

/* Makes the header copied from the big packet that of the piece at offset. */
static void fit_header(uint8_t *header, const struct utcp_packet *packet, size_t offset, size_t len)
{
    uint8_t *tcp = header + packet->tcp_offset;
    size_t index = packet->segment_bytes > 0 ? offset / packet->segment_bytes : 0;

    put32(tcp + 4, get32(tcp + 4) + (uint32_t)offset);
    if (offset + len < packet->payload_len)
        tcp[13] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
    if (offset > 0)
        tcp[13] &= (uint8_t)~TCP_CWR;
    ipv4_rewrite(header, (uint16_t)(get16(header + 4) + index),
                 packet->header_len - IPV4_HEADER + len);
}

size_t utcp_cut_next(const struct utcp_packet *packet, size_t *offset, uint8_t *buffer)
{
    size_t len = packet->payload_len - *offset;

    /* Even an empty packet is cut once: one past the end marks it as done. */
    if (*offset > packet->payload_len || (*offset == packet->payload_len && *offset > 0))
        return 0;
    if (packet->segment_bytes > 0 && len > packet->segment_bytes)
        len = packet->segment_bytes;
    memcpy(buffer, packet->header, packet->header_len);
    copy_payload(buffer + packet->header_len, packet, *offset, len);
    if (packet->tcp_offset != 0) {
        fit_header(buffer, packet, *offset, len);
        put16(buffer + packet->tcp_offset + 16, 0);
        utcp_packet_fill_checksum(buffer, packet->header_len + len);
    }
    *offset += len > 0 ? len : 1;
    return packet->header_len + len;
}

size_t utcp_packet_headers(const uint8_t *packet, size_t len)
{
    struct ipv4 ip;
    size_t tcp;

    if (!ipv4_parse(packet, len, &ip) || ip.protocol != IP_TCP || ip.payload_len < TCP_HEADER)
        return 0;
    tcp = (size_t)(ip.payload[12] >> 4) * 4;
    if (tcp < TCP_HEADER || tcp > ip.payload_len)
        return 0;
    return (size_t)(ip.payload - packet) + tcp;
}

void utcp_packet_fill_checksum(uint8_t *packet, size_t len)
{
    struct ipv4 ip;
    uint8_t *tcp;

    if (utcp_packet_headers(packet, len) == 0 || !ipv4_parse(packet, len, &ip))
        return;
    tcp = packet + (ip.payload - packet);
    put16(tcp + 16, 0);
    put16(tcp + 16,
          checksum_finish(checksum_add(ipv4_pseudo_sum(&ip.src, &ip.dst, IP_TCP, ip.payload_len),
                                       tcp, ip.payload_len)));
}
