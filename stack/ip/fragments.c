/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * Each datagram under way has a buffer, in which every fragment lies at its place from the moment it
 * comes, and the set of ranges that have come. It is whole when the set is the one range from 0 to the
 * end, which the fragment without "more fragments" tells (RFC 815 keeps a list of the holes; what is
 * there and what is not are each other's complement).
 *
 * What an attacker can cost is bounded in three ways. The memory of all buffers together has a limit,
 * and so has the number of datagrams: beyond it the oldest one goes, so that a flood of first
 * fragments fills the place that it has and what comes whole meanwhile still gets through. (Linux
 * turns the newest away instead, and is deaf until the flood's datagrams have timed out.) The number
 * of ranges in a datagram has a limit, hence the time for each fragment.
 *
 * Fragments that overlap come from no honest sender, but from somebody who wants two readers of one
 * datagram to see two different ones. RFC 5722 forbids them in IPv6, and Linux treats IPv4 the same:
 * the datagram is dropped. A fragment that brings nothing new at all is a duplicate, which the network
 * does make, and harmless.
 */
#include "ip/fragments.h"

#include <string.h>

#include "base/ranges.h"
#include "stack.h"

#define DATAGRAMS_MOST 256
#define RANGES_MOST 64
#define BUFFER_LEAST 2048

enum { NOT_ECT = 0, CE = 3, ECN_MASK = 3 };

/*
 * link          in fragments.waiting
 * src, id, protocol  what RFC 791 knows a datagram by, the destination being us
 * first         fragment 0's header as it was parsed; header_len 0 = it has not come
 * ecn_seen      bit i: a fragment had the ECN codepoint i
 * total         bytes of payload, 0 = the last fragment has not come
 * buffer        room for the largest header, which lies right before the payload, and capacity
 *               bytes of payload
 */
struct datagram {
    struct list link;
    utcp_time deadline;
    struct utcp_addr src;
    uint16_t id;
    uint8_t protocol;
    struct ipv4 first;
    unsigned ecn_seen;
    uint32_t total;
    uint8_t *buffer;
    size_t capacity;
    struct ranges have;
    struct range ranges[RANGES_MOST];
};

enum verdict { FITS, DUPLICATE, BAD };

static uint8_t *payload_of(const struct datagram *datagram)
{
    return datagram->buffer + IPV4_HEADER_MOST;
}

/* ---- memory ---- */

static void *allocate(struct utcp_stack *stack, size_t size)
{
    void *memory = stack_alloc(stack, size);

    if (memory != NULL)
        stack->fragments.memory_bytes += size;
    return memory;
}

static void release(struct utcp_stack *stack, void *memory, size_t size)
{
    if (memory != NULL)
        stack->fragments.memory_bytes -= size;
    stack_free(stack, memory, size);
}

static void drop(struct utcp_stack *stack, struct datagram *datagram)
{
    list_remove(&datagram->link);
    stack->fragments.count--;
    release(stack, datagram->buffer, IPV4_HEADER_MOST + datagram->capacity);
    release(stack, datagram, sizeof(*datagram));
}

static struct datagram *oldest(const struct fragments *fragments)
{
    struct list *link = list_first(&fragments->waiting);

    return link != NULL ? list_entry(link, struct datagram, link) : NULL;
}

/* Lets the oldest datagrams go, but not `keep`, until size bytes more are within the limit. */
static bool make_room(struct utcp_stack *stack, size_t size, const struct datagram *keep)
{
    struct fragments *fragments = &stack->fragments;

    while (fragments->memory_bytes + size > stack->settings.frag_memory) {
        struct datagram *victim = oldest(fragments);

        if (victim != NULL && victim == keep)
            victim = victim->link.next != &fragments->waiting
                         ? list_entry(victim->link.next, struct datagram, link)
                         : NULL;
        if (victim == NULL)
            return false;
        drop(stack, victim);
        stack->counters.ip_frag_evicted++;
    }
    return true;
}

/* ---- the datagrams under way ---- */

static struct datagram *find(const struct fragments *fragments, const struct ipv4 *ip)
{
    const struct list *all = &fragments->waiting;

    for (struct list *link = all->next; link != all; link = link->next) {
        struct datagram *datagram = list_entry(link, struct datagram, link);

        if (datagram->id == ip->id && datagram->protocol == ip->protocol &&
            same_addr(&datagram->src, &ip->src))
            return datagram;
    }
    return NULL;
}

static struct datagram *add(struct utcp_stack *stack, const struct ipv4 *ip)
{
    struct fragments *fragments = &stack->fragments;
    struct datagram *datagram;

    if (fragments->count >= DATAGRAMS_MOST) {
        drop(stack, oldest(fragments));
        stack->counters.ip_frag_evicted++;
    }
    if (!make_room(stack, sizeof(*datagram), NULL))
        return NULL;
    datagram = allocate(stack, sizeof(*datagram));
    if (datagram == NULL)
        return NULL;
    datagram->src = ip->src;
    datagram->id = ip->id;
    datagram->protocol = ip->protocol;
    datagram->deadline = stack->now + stack->settings.frag_time;
    datagram->have = (struct ranges){.items = datagram->ranges, .capacity = RANGES_MOST};
    list_append(&fragments->waiting, &datagram->link);
    fragments->count++;
    return datagram;
}

/* Room in the buffer for so many bytes of payload. */
static bool reserve(struct utcp_stack *stack, struct datagram *datagram, size_t len)
{
    size_t capacity = BUFFER_LEAST;
    uint8_t *buffer;

    if (len <= datagram->capacity)
        return true;
    while (capacity < len)
        capacity *= 2;
    if (!make_room(stack, IPV4_HEADER_MOST + capacity, datagram))
        return false;
    buffer = allocate(stack, IPV4_HEADER_MOST + capacity);
    if (buffer == NULL)
        return false;
    if (datagram->buffer != NULL)
        memcpy(buffer, datagram->buffer, IPV4_HEADER_MOST + datagram->capacity);
    release(stack, datagram->buffer, IPV4_HEADER_MOST + datagram->capacity);
    datagram->buffer = buffer;
    datagram->capacity = capacity;
    return true;
}

/* ---- a fragment ---- */

/* Where the payload that came so far ends. */
static uint32_t end_of(const struct datagram *datagram)
{
    const struct ranges *have = &datagram->have;

    return have->count > 0 ? have->items[have->count - 1].to : 0;
}

/* Whether payload from..to agrees with what has come before. */
static enum verdict judge(const struct datagram *datagram, uint32_t from, uint32_t to, bool last)
{
    uint32_t overlap = ranges_overlap(&datagram->have, from, to);

    if (from >= to || to > IPV4_MOST - IPV4_HEADER)
        return BAD;
    if (datagram->total != 0 && (to > datagram->total || (last && to < datagram->total)))
        return BAD;
    if (last && to < end_of(datagram))
        return BAD;
    if (overlap == to - from)
        return DUPLICATE;
    return overlap == 0 ? FITS : BAD;
}

static bool store(struct utcp_stack *stack, struct datagram *datagram, const struct ipv4 *ip,
                  uint32_t len)
{
    if (!reserve(stack, datagram, ip->offset + len) ||
        !ranges_add(&datagram->have, ip->offset, ip->offset + len))
        return false;
    memcpy(payload_of(datagram) + ip->offset, ip->payload, len);
    if (ip->offset == 0) {
        datagram->first = *ip;
        memcpy(payload_of(datagram) - ip->header_len, ip->payload - ip->header_len, ip->header_len);
    }
    if (!ip->more_fragments)
        datagram->total = ip->offset + len;
    datagram->ecn_seen |= 1U << (ip->tos & ECN_MASK);
    return true;
}

/* ---- a whole datagram ---- */

/* RFC 3168 section 5.3: a mark on one fragment becomes a mark on the datagram, but not when another
 * fragment is not ECN-capable. As Linux, a datagram with such a mixture is dropped. */
static bool settle_ecn(const struct datagram *datagram, uint8_t *tos)
{
    bool capable = (datagram->ecn_seen & 1U << NOT_ECT) == 0;

    if (!capable)
        return datagram->ecn_seen == 1U << NOT_ECT;
    if ((datagram->ecn_seen & 1U << CE) != 0)
        *tos |= CE;
    return true;
}

static bool whole(const struct datagram *datagram)
{
    return datagram->total != 0 && datagram->have.count == 1 && datagram->have.items[0].from == 0 &&
           datagram->have.items[0].to == datagram->total;
}

/* The header is fragment 0's (RFC 791 section 3.2, the example reassembly procedure). The device
 * vouched for none of the checksums inside. */
static void deliver(struct utcp_stack *stack, struct datagram *datagram)
{
    struct ipv4 ip = datagram->first;

    ip.fragment = ip.more_fragments = false;
    ip.payload = payload_of(datagram);
    ip.payload_len = datagram->total;
    if (ip.header_len + ip.payload_len > IPV4_MOST || !settle_ecn(datagram, &ip.tos)) {
        stack->counters.ip_frag_bad++;
    } else {
        stack->counters.ip_reassembled++;
        ip_deliver(stack, &ip, true);
    }
    drop(stack, datagram);
}

void fragments_input(struct utcp_stack *stack, const struct ipv4 *ip)
{
    struct datagram *datagram = find(&stack->fragments, ip);
    uint32_t len = (uint32_t)ip->payload_len;
    enum verdict verdict;

    stack->counters.ip_fragments++;
    if (ip->more_fragments)
        len &= ~UINT32_C(7); /* as Linux: the rest could belong nowhere */
    if (datagram == NULL)
        datagram = add(stack, ip);
    if (datagram == NULL) {
        stack->counters.ip_frag_evicted++;
        return;
    }
    verdict = judge(datagram, ip->offset, ip->offset + len, !ip->more_fragments);
    if (verdict == DUPLICATE)
        return;
    if (verdict == BAD) {
        stack->counters.ip_frag_bad++;
        drop(stack, datagram);
    } else if (!store(stack, datagram, ip, len)) {
        stack->counters.ip_frag_evicted++;
        drop(stack, datagram);
    } else if (whole(datagram)) {
        deliver(stack, datagram);
    }
}

/* ---- time ---- */

utcp_time fragments_deadline(const struct fragments *fragments)
{
    const struct datagram *first = oldest(fragments);

    return first != NULL ? first->deadline : UTCP_NEVER;
}

/* RFC 792: "If fragment zero is not available then no time exceeded need be sent at all." */
static void tell_sender(struct utcp_stack *stack, const struct datagram *datagram)
{
    struct ipv4 ip = datagram->first;

    if (ip.header_len == 0)
        return;
    ip.payload = payload_of(datagram);
    icmp_send_error(stack, &ip, ICMP_TIME_EXCEEDED, ICMP_REASSEMBLY_TIME);
}

void fragments_expire(struct utcp_stack *stack)
{
    while (fragments_deadline(&stack->fragments) <= stack->now) {
        struct datagram *datagram = oldest(&stack->fragments);

        stack->counters.ip_frag_timeouts++;
        tell_sender(stack, datagram);
        drop(stack, datagram);
    }
}

void fragments_drop_all(struct utcp_stack *stack)
{
    while (!list_empty(&stack->fragments.waiting))
        drop(stack, oldest(&stack->fragments));
}
