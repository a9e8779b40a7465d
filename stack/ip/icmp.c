/* SPDX-License-Identifier: MIT */
/* ICMP, RFC 792: answers echo requests, hands errors about our segments to their connections, and
 * sends errors about what came here in vain. */
#include <errno.h>
#include <string.h>

#include "base/checksum.h"
#include "stack.h"
#include "wire/bytes.h"

#define ICMP_HEADER 8

/* RFC 1812 section 4.3.2.3, and Linux: an error is at most as long as every host must take. */
#define ERROR_MOST 576

/* RFC 1812 section 4.3.2.5: precedence "internetwork control". */
#define ERROR_TOS 0xc0

/* So many errors may go out at once before the rate counts, as Linux (icmp_msgs_burst). */
#define ERROR_BURST 50

/* What each code of "destination unreachable" is to a program, as Linux has it (icmp_err_convert).
 * Code 4, fragmentation needed, is no error of this kind: tcp_icmp_too_big(). */
static const int unreachable_errors[] = {
    [0] = ENETUNREACH,   [1] = EHOSTUNREACH,  [2] = ENOPROTOOPT,   [3] = ECONNREFUSED,
    [5] = EOPNOTSUPP,    [6] = ENETUNREACH,   [7] = EHOSTDOWN,     [8] = ENONET,
    [9] = ENETUNREACH,   [10] = EHOSTUNREACH, [11] = ENETUNREACH,  [12] = EHOSTUNREACH,
    [13] = EHOSTUNREACH, [14] = EHOSTUNREACH, [15] = EHOSTUNREACH,
};

/* RFC 792: the reply is the request with another type, and source and destination exchanged. */
static void answer_echo(struct utcp_stack *stack, const struct ipv4 *request)
{
    struct ipv4 ip = {
        .dst = request->src,
        .protocol = IP_ICMP,
        .tos = request->tos,
        .payload_len = request->payload_len,
    };
    uint8_t *body = stack_reply(stack, &ip);

    if (body == NULL)
        return;
    memcpy(body, request->payload, request->payload_len);
    body[0] = ICMP_ECHO_REPLY;
    put16(body + 2, 0);
    put16(body + 2, checksum_finish(checksum_add(0, body, request->payload_len)));
    stack->counters.icmp_echoes++;
}

static int error_of(uint8_t type, uint8_t code)
{
    if (type == ICMP_TIME_EXCEEDED)
        return EHOSTUNREACH;
    return code < sizeof(unreachable_errors) / sizeof(*unreachable_errors)
               ? unreachable_errors[code]
               : EHOSTUNREACH;
}

/* The message quotes the IP header and at least 8 bytes of the segment: ports and sequence number.
 * The quote may be cut short, so ipv4_parse() would refuse it. */
static void take_error(struct utcp_stack *stack, const struct ipv4 *ip)
{
    const uint8_t *quote = ip->payload + ICMP_HEADER;
    size_t len = ip->payload_len - ICMP_HEADER;
    size_t header = len > 0 ? (size_t)(quote[0] & 15) * 4 : 0;
    struct utcp_endpoint local = {.addr.family = UTCP_IPV4}, remote = local;
    bool too_big =
        ip->payload[0] == ICMP_UNREACHABLE && ip->payload[1] == ICMP_FRAGMENTATION_NEEDED;
    int error = error_of(ip->payload[0], ip->payload[1]);
    struct utcp_conn *conn;

    if (header < IPV4_HEADER || len < header + 8 || quote[9] != IP_TCP)
        return;
    memcpy(local.addr.bytes, quote + 12, 4);
    memcpy(remote.addr.bytes, quote + 16, 4);
    local.port = get16(quote + header);
    remote.port = get16(quote + header + 2);
    conn = stack_find_tuple(stack, &local, &remote);
    if (conn == NULL)
        return;
    if (too_big)
        tcp_icmp_too_big(conn, get32(quote + header + 4), get16(quote + 2), get16(ip->payload + 6));
    else
        tcp_icmp_error(conn, get32(quote + header + 4), -error);
}

/* RFC 1122 section 3.2.2: "An ICMP error message MUST NOT be sent as the result of receiving: an ICMP
 * error message, ... a non-initial fragment, or a datagram whose source address does not define a
 * single host". The last never get this far: see ip_input(). */
static bool deserves_error(const struct ipv4 *about)
{
    if (about->offset > 0)
        return false;
    if (about->protocol != IP_ICMP)
        return true;
    return about->payload_len > 0 && about->payload[0] == ICMP_ECHO;
}

/* RFC 1812 section 4.3.2.8: errors are limited in rate. next_error is when the next one would be due
 * if they left at just this rate. */
static bool within_rate(struct utcp_stack *stack)
{
    uint64_t rate = stack->settings.icmp_rate;
    uint64_t interval = rate > 0 ? UTCP_SEC / rate : 0;
    utcp_time *next = &stack->next_icmp_error;

    if (rate == 0 || *next > stack->now + (ERROR_BURST - 1) * interval)
        return false;
    *next = (*next > stack->now ? *next : stack->now) + interval;
    return true;
}

void icmp_send_error(struct utcp_stack *stack, const struct ipv4 *about, enum icmp_type type,
                     uint8_t code)
{
    size_t quote = about->header_len + about->payload_len;
    struct ipv4 ip = {.dst = about->src, .protocol = IP_ICMP, .tos = ERROR_TOS};
    uint8_t *body;

    if (!deserves_error(about) || !within_rate(stack))
        return;
    if (quote > ERROR_MOST - IPV4_HEADER - ICMP_HEADER)
        quote = ERROR_MOST - IPV4_HEADER - ICMP_HEADER;
    ip.payload_len = ICMP_HEADER + quote;
    body = stack_reply(stack, &ip);
    if (body == NULL)
        return;
    body[0] = (uint8_t)type;
    body[1] = code;
    memcpy(body + ICMP_HEADER, about->payload - about->header_len, quote);
    put16(body + 2, checksum_finish(checksum_add(0, body, ip.payload_len)));
    stack->counters.icmp_errors_out++;
}

void icmp_input(struct utcp_stack *stack, const struct ipv4 *ip)
{
    stack->counters.icmp_in++;
    if (ip->payload_len < ICMP_HEADER ||
        checksum_finish(checksum_add(0, ip->payload, ip->payload_len)) != 0) {
        stack->counters.icmp_bad++;
        return;
    }
    if (ip->payload[0] == ICMP_ECHO)
        answer_echo(stack, ip);
    if (ip->payload[0] == ICMP_UNREACHABLE || ip->payload[0] == ICMP_TIME_EXCEEDED)
        take_error(stack, ip);
}
