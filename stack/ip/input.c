/* SPDX-License-Identifier: MIT */
/* An IP packet arrives: what is whole, good and ours goes to its protocol. */
#include "stack.h"
#include "wire/ipv4.h"

/* RFC 1122 section 3.2.1.3: a group, everybody, or this very host cannot have sent it. */
static bool impossible_source(const struct utcp_stack *stack, const struct utcp_addr *src)
{
    return src->bytes[0] == 0 || src->bytes[0] == 127 || src->bytes[0] >= 224 ||
           same_addr(src, &stack->addr);
}

/* RFC 1122 sections 3.2.2.1 and 4.1.3.1: who speaks to a protocol or port that nobody serves shall
 * hear of it. */
void ip_deliver(struct utcp_stack *stack, const struct ipv4 *ip, bool verify)
{
    switch (ip->protocol) {
    case IP_TCP:
        tcp_input(stack, ip, verify);
        break;
    case IP_ICMP:
        icmp_input(stack, ip);
        break;
    case IP_UDP:
        icmp_send_error(stack, ip, ICMP_UNREACHABLE, ICMP_PORT_UNREACHABLE);
        break;
    default:
        icmp_send_error(stack, ip, ICMP_UNREACHABLE, ICMP_PROTOCOL_UNREACHABLE);
    }
}

void ip_input(struct utcp_stack *stack, const uint8_t *packet, size_t len, bool verify)
{
    struct ipv4 ip;

    stack->counters.ip_in++;
    if (len > 0 && packet[0] >> 4 == 6) {
        stack->counters.ip_not_ours++; /* kernels speak IPv6 to any interface */
        return;
    }
    if (!ipv4_parse(packet, len, &ip) || impossible_source(stack, &ip.src)) {
        stack->counters.ip_bad++;
        return;
    }
    if (!same_addr(&ip.dst, &stack->addr)) {
        stack->counters.ip_not_ours++;
        return;
    }
    if (ip.fragment)
        fragments_input(stack, &ip);
    else
        ip_deliver(stack, &ip, verify);
}
