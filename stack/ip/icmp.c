/* SPDX-License-Identifier: MIT */
/* ICMP, RFC 792: answers echo requests, and hands errors about our segments to their connections.
 */
#include <errno.h>
#include <string.h>

#include "base/checksum.h"
#include "stack.h"
#include "wire/bytes.h"

#define ICMP_HEADER 8

enum icmp_type {
    ICMP_ECHO_REPLY = 0,
    ICMP_UNREACHABLE = 3,
    ICMP_ECHO = 8,
    ICMP_TIME_EXCEEDED = 11
};

/* What each code of "destination unreachable" is to a program, as Linux has it (icmp_err_convert).
 * Code 4, fragmentation needed, is no error of this kind. */
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
    int error = error_of(ip->payload[0], ip->payload[1]);
    struct utcp_conn *conn;

    if (header < IPV4_HEADER || len < header + 8 || quote[9] != IP_TCP || error == 0)
        return;
    memcpy(local.addr.bytes, quote + 12, 4);
    memcpy(remote.addr.bytes, quote + 16, 4);
    local.port = get16(quote + header);
    remote.port = get16(quote + header + 2);
    conn = stack_find_tuple(stack, &local, &remote);
    if (conn != NULL)
        tcp_icmp_error(conn, get32(quote + header + 4), -error);
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
