/* SPDX-License-Identifier: MIT */
#include "wire/tcp.h"

#include <string.h>

#include "base/checksum.h"
#include "wire/bytes.h"
#include "wire/ipv4.h"

enum option_kind {
    OPTION_END = 0,
    OPTION_NOP = 1,
    OPTION_MSS = 2,
    OPTION_WSCALE = 3,
    OPTION_SACK_PERMITTED = 4,
    OPTION_SACK = 5,
    OPTION_TIMESTAMPS = 8,
};

#define WSCALE_MAX 14 /* RFC 7323 section 2.3 */

static void read_sack(struct tcp_options *options, const uint8_t *option, size_t len)
{
    if (len % 8 != 2 || len > 2 + 8 * SACK_BLOCKS_MAX)
        return;
    options->sack_count = (uint8_t)(len / 8);
    for (size_t i = 0; i < options->sack_count; i++)
        options->sack[i] = (struct range){get32(option + 2 + 8 * i), get32(option + 6 + 8 * i)};
}

static void read_option(struct tcp_options *options, const uint8_t *option, size_t len)
{
    if (option[0] == OPTION_MSS && len == 4)
        options->mss = get16(option + 2);
    if (option[0] == OPTION_WSCALE && len == 3) {
        options->has_wscale = true;
        options->wscale = option[2] > WSCALE_MAX ? WSCALE_MAX : option[2];
    }
    if (option[0] == OPTION_SACK_PERMITTED && len == 2)
        options->sack_permitted = true;
    if (option[0] == OPTION_SACK)
        read_sack(options, option, len);
    if (option[0] == OPTION_TIMESTAMPS && len == 10) {
        options->has_timestamps = true;
        options->ts_value = get32(option + 2);
        options->ts_echo = get32(option + 6);
    }
}

/* An option with a length that cannot be ends the list; what was read before stands, as in Linux.
 */
static void read_options(struct tcp_options *options, const uint8_t *bytes, size_t len)
{
    size_t at = 0;

    while (at < len && bytes[at] != OPTION_END) {
        size_t size = 1;

        if (bytes[at] != OPTION_NOP) {
            if (at + 1 >= len || bytes[at + 1] < 2 || at + bytes[at + 1] > len)
                return;
            size = bytes[at + 1];
            read_option(options, bytes + at, size);
        }
        at += size;
    }
}

static bool checksum_good(const uint8_t *bytes, size_t len, const struct tcp_segment *segment)
{
    uint64_t sum = ipv4_pseudo_sum(&segment->src.addr, &segment->dst.addr, IP_TCP, len);

    return checksum_finish(checksum_add(sum, bytes, len)) == 0;
}

bool tcp_parse(const uint8_t *bytes, size_t len, bool verify, struct tcp_segment *segment)
{
    size_t header;

    if (len < TCP_HEADER)
        return false;
    header = (size_t)(bytes[12] >> 4) * 4;
    if (header < TCP_HEADER || header > len)
        return false;
    if (verify && !checksum_good(bytes, len, segment))
        return false;
    segment->src.port = get16(bytes);
    segment->dst.port = get16(bytes + 2);
    segment->seq = get32(bytes + 4);
    segment->ack = get32(bytes + 8);
    segment->flags = bytes[13];
    segment->window = get16(bytes + 14);
    segment->urgent = get16(bytes + 18);
    segment->options = (struct tcp_options){0};
    read_options(&segment->options, bytes + TCP_HEADER, header - TCP_HEADER);
    segment->payload = bytes + header;
    segment->payload_len = (uint32_t)(len - header);
    return segment->src.port != 0 && segment->dst.port != 0;
}

static size_t write_timestamps(uint8_t *to, const struct tcp_options *options)
{
    /* Where SACK-permitted is due, too, it takes the place of the padding, as in Linux. */
    to[0] = options->sack_permitted ? OPTION_SACK_PERMITTED : OPTION_NOP;
    to[1] = options->sack_permitted ? 2 : OPTION_NOP;
    to[2] = OPTION_TIMESTAMPS;
    to[3] = 10;
    put32(to + 4, options->ts_value);
    put32(to + 8, options->ts_echo);
    return 12;
}

static size_t write_sack(uint8_t *to, const struct tcp_options *options)
{
    to[0] = to[1] = OPTION_NOP;
    to[2] = OPTION_SACK;
    to[3] = (uint8_t)(2 + 8 * options->sack_count);
    for (size_t i = 0; i < options->sack_count; i++) {
        put32(to + 4 + 8 * i, options->sack[i].from);
        put32(to + 8 + 8 * i, options->sack[i].to);
    }
    return 4 + 8 * (size_t)options->sack_count;
}

/* In Linux's order: MSS, SACK permitted, timestamps, window scale, SACK; each padded to words. */
static size_t write_options(uint8_t *to, const struct tcp_options *options)
{
    size_t len = 0;

    if (options->mss != 0) {
        to[0] = OPTION_MSS;
        to[1] = 4;
        put16(to + 2, options->mss);
        len = 4;
    }
    if (options->has_timestamps) {
        len += write_timestamps(to + len, options);
    } else if (options->sack_permitted) {
        to[len] = to[len + 1] = OPTION_NOP;
        to[len + 2] = OPTION_SACK_PERMITTED;
        to[len + 3] = 2;
        len += 4;
    }
    if (options->has_wscale) {
        to[len] = OPTION_NOP;
        to[len + 1] = OPTION_WSCALE;
        to[len + 2] = 3;
        to[len + 3] = options->wscale;
        len += 4;
    }
    if (options->sack_count > 0)
        len += write_sack(to + len, options);
    return len;
}

size_t tcp_write(uint8_t *header, const struct tcp_segment *segment)
{
    size_t len = TCP_HEADER + write_options(header + TCP_HEADER, &segment->options);

    put16(header, segment->src.port);
    put16(header + 2, segment->dst.port);
    put32(header + 4, segment->seq);
    put32(header + 8, segment->ack);
    header[12] = (uint8_t)(len / 4 << 4);
    header[13] = segment->flags;
    put16(header + 14, segment->window);
    put16(header + 16, checksum_fold(ipv4_pseudo_sum(&segment->src.addr, &segment->dst.addr, IP_TCP,
                                                     len + segment->payload_len)));
    put16(header + 18, segment->urgent);
    return len;
}
