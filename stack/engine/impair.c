/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * A packet that enters the link meets chance in netem's order: duplication, loss, corruption, then
 * delay or the short cut of reordering; a mark comes before corruption. Losses in bursts follow
 * Gilbert's model: the link is good or bad, and while it is bad everything is lost. A pause ends a
 * burst: else a sender that waits longer and longer would meet the same burst each time. With a rate, it first waits for the packets before it to be
 * serialised. Out of this comes the moment at which the packet is due, and it waits in a heap by
 * that moment (and by order of arrival among equals), so jitter reorders packets as netem does.
 *
 * The packets wait in a fixed number of slots: what finds none free is dropped, as by a queue of
 * that length. The slot of the packet popped last is kept until the next call, for the caller still
 * looks at it.
 */
#include "impair.h"

#include "sys.h"

#include <string.h>

enum { DEFAULT_LIMIT = 1000, MILLION = 1000000, BURST_PAUSE_NS = 100000000 };

struct slot {
    uint64_t due;
    uint64_t order; /* of arrival */
    size_t len;
    unsigned flags;
};

struct impair {
    struct impair_config config;
    uint64_t random;    /* state of splitmix64 */
    uint64_t line_free; /* when the last packet will have been serialised */
    uint64_t arrivals;
    bool bad;              /* everything is lost, see above */
    uint64_t last_arrival; /* ns */
    size_t slot_bytes;
    uint32_t limit;
    uint32_t waiting; /* packets in the heap */
    uint32_t *heap;   /* slots, the first is due first; behind the waiting ones, the free slots */
    struct slot *slots;
    uint8_t *bytes;
};

bool impair_active(const struct impair_config *config, enum impair_direction direction)
{
    return (config->directions & direction) &&
           (config->delay_ns || config->jitter_ns || config->loss || config->duplicate ||
            config->corrupt || config->mark || config->rate_bps);
}

struct impair *impair_create(const struct impair_config *config, enum impair_direction direction,
                             size_t mtu_bytes)
{
    uint32_t limit = (config->limit ? config->limit : DEFAULT_LIMIT) + 1; /* and the popped one */
    size_t slot_bytes = (mtu_bytes + 63) & ~(size_t)63;
    struct impair *link = sys_map(sizeof *link);
    uint8_t *bytes = sys_map(limit * slot_bytes);
    struct slot *slots = sys_map(limit * sizeof *slots);
    uint32_t *heap = sys_map(limit * sizeof *heap);

    if (!link || !bytes || !slots || !heap)
        return NULL;
    *link = (struct impair){.config = *config,
                            .random = config->seed * 2 + (direction == IMPAIR_OUT),
                            .slot_bytes = slot_bytes,
                            .limit = limit,
                            .heap = heap,
                            .slots = slots,
                            .bytes = bytes};
    for (uint32_t i = 0; i < limit; i++)
        heap[i] = i;
    return link;
}

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t draw(struct impair *link)
{
    uint64_t z = link->random += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static bool chance(struct impair *link, uint32_t millionths)
{
    return millionths && draw(link) % MILLION < millionths;
}

/* The chances of changing between good and bad are such that the link is bad for the share of packets
 * that is to be lost, and for so many of them in a row. */
static bool lost(struct impair *link, uint64_t now)
{
    uint64_t loss = link->config.loss, burst = link->config.burst;

    if (burst <= 1 || loss >= MILLION)
        return chance(link, link->config.loss);
    if (now - link->last_arrival > BURST_PAUSE_NS)
        link->bad = false;
    link->last_arrival = now;
    if (link->bad)
        link->bad = !chance(link, (uint32_t)(MILLION / burst));
    else
        link->bad = chance(link, (uint32_t)(MILLION * loss / ((MILLION - loss) * burst)));
    return link->bad;
}

/* ---- the heap ---- */

static bool earlier(const struct impair *link, uint32_t a, uint32_t b)
{
    const struct slot *x = &link->slots[link->heap[a]], *y = &link->slots[link->heap[b]];

    return x->due != y->due ? x->due < y->due : x->order < y->order;
}

static void swap(struct impair *link, uint32_t a, uint32_t b)
{
    uint32_t slot = link->heap[a];

    link->heap[a] = link->heap[b];
    link->heap[b] = slot;
}

static void sift_up(struct impair *link, uint32_t i)
{
    for (; i && earlier(link, i, (i - 1) / 2); i = (i - 1) / 2)
        swap(link, i, (i - 1) / 2);
}

static void sift_down(struct impair *link)
{
    for (uint32_t i = 0, child; (child = 2 * i + 1) < link->waiting; i = child) {
        if (child + 1 < link->waiting && earlier(link, child + 1, child))
            child++;
        if (!earlier(link, child, i))
            return;
        swap(link, i, child);
    }
}

/* ---- packets ---- */

/* When a packet that arrives now comes out at the other end. */
static uint64_t due_time(struct impair *link, size_t len, uint64_t now)
{
    const struct impair_config *config = &link->config;
    uint64_t due = now;

    if (config->rate_bps) {
        if (link->line_free < now)
            link->line_free = now;
        link->line_free += len * 8 * UINT64_C(1000000000) / config->rate_bps;
        due = link->line_free;
    }
    if (chance(link, config->reorder))
        return due;
    due += config->delay_ns;
    if (config->jitter_ns) {
        uint64_t spread = draw(link) % (2 * config->jitter_ns + 1);

        due = due + spread > now + config->jitter_ns ? due + spread - config->jitter_ns : now;
    }
    return due;
}

/* RFC 3168: a router may turn either of the two codepoints that say "capable" into the mark. The sum in
 * the IPv4 header changes by as much (RFC 1624). */
static void mark(uint8_t *packet, size_t len)
{
    uint8_t *tos = packet + 1, *checksum = packet + 10;
    uint32_t sum;

    if (len < 20 || packet[0] >> 4 != 4 || (*tos & 3) == 0 || (*tos & 3) == 3)
        return;
    sum = (uint32_t)checksum[0] << 8 | checksum[1];
    sum = 0xffff - (0xffff - sum + 3 - (*tos & 3U)) % 0xffff;
    *tos |= 3;
    checksum[0] = (uint8_t)(sum >> 8);
    checksum[1] = (uint8_t)sum;
}

static void enqueue(struct impair *link, const uint8_t *packet, size_t len, unsigned flags,
                    uint64_t now)
{
    uint32_t index = link->waiting;
    uint8_t *copy;
    struct slot *slot;

    /* One slot stays free for the packet that was popped. */
    if (link->waiting + 1 >= link->limit || len > link->slot_bytes)
        return;
    slot = &link->slots[link->heap[index]];
    copy = link->bytes + link->heap[index] * link->slot_bytes;
    memcpy(copy, packet, len);
    if (chance(link, link->config.mark))
        mark(copy, len);
    if (len && chance(link, link->config.corrupt)) {
        uint64_t bit = draw(link) % (len * 8);

        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    *slot = (struct slot){
        .due = due_time(link, len, now), .order = link->arrivals++, .len = len, .flags = flags};
    link->waiting++;
    sift_up(link, index);
}

void impair_push(struct impair *link, const uint8_t *packet, size_t len, unsigned flags,
                 uint64_t now)
{
    int copies = 1 + chance(link, link->config.duplicate);

    for (copies -= lost(link, now); copies > 0; copies--)
        enqueue(link, packet, len, flags, now);
}

const uint8_t *impair_pop(struct impair *link, size_t *len, unsigned *flags, uint64_t now)
{
    const struct slot *slot;
    uint32_t popped;

    if (!link->waiting || impair_deadline(link) > now)
        return NULL;
    popped = link->heap[0];
    slot = &link->slots[popped];
    swap(link, 0, --link->waiting);
    sift_down(link);
    /* The popped slot must be the last of the free ones to be used again: move it to the end. */
    swap(link, link->waiting, link->limit - 1);
    *len = slot->len;
    *flags = slot->flags;
    return link->bytes + popped * link->slot_bytes;
}

uint64_t impair_deadline(const struct impair *link)
{
    return link->waiting ? link->slots[link->heap[0]].due : UINT64_MAX;
}

size_t impair_waiting(const struct impair *link)
{
    return link->waiting;
}
