/* SPDX-License-Identifier: MIT */
#include "link.h"

#include <string.h>

#include "base/checksum.h"
#include "wire/bytes.h"
#include "wire/ipv4.h"
#include "world.h"

#define ECN_BITS 3
#define ECN_MARKED 3

/* ---- what a seed means ---- */

static void draw_losses(struct link *link, const struct cuts *cuts)
{
    struct rng *rng = &link->rng;

    /* The bounds leave every exchange a fair chance: a fifth lost each way lets two of three
     * through, and the retries of the settings are many. */
    link->loss = rng_chance(rng, 600) ? rng_magnitude(rng, 200000) : 0;
    link->burst = rng_chance(rng, 200) ? rng_magnitude(rng, 20000) : 0;
    link->calm = rng_between(rng, 100, 900);
    link->duplicate = rng_chance(rng, 300) ? rng_magnitude(rng, 200) : 0;
    link->corrupt = rng_chance(rng, 300) ? rng_magnitude(rng, 50) : 0;
    link->marks = rng_chance(rng, 300) ? rng_magnitude(rng, 200000) : 0;
    if (rng_chance(rng, 100)) {
        link->down_ns = rng_magnitude(rng, 5 * UTCP_SEC);
        link->down_every = link->down_ns + rng_between(rng, UTCP_SEC, 20 * UTCP_SEC);
    }
    link->window_most = rng_chance(rng, 50) ? (uint16_t)rng_magnitude(rng, 5000) : 0;
    link->dead_at = rng_chance(rng, 20) ? rng_magnitude(rng, 10 * UTCP_SEC) : UTCP_NEVER;
    link->loss *= !cuts->without[FAULT_loss];
    link->burst *= !cuts->without[FAULT_bursts];
    link->duplicate *= !cuts->without[FAULT_duplicates];
    link->corrupt *= !cuts->without[FAULT_corruption];
    link->marks *= !cuts->without[FAULT_marks];
    link->down_every *= !cuts->without[FAULT_outages];
    if (cuts->without[FAULT_windows])
        link->window_most = 0;
    if (cuts->without[FAULT_death])
        link->dead_at = UTCP_NEVER;
}

static void draw_times(struct link *link, const struct cuts *cuts)
{
    struct rng *rng = &link->rng;

    link->delay_ns = rng_chance(rng, 900) ? rng_magnitude(rng, 300 * UTCP_MSEC) : 0;
    link->reorder = rng_chance(rng, 500) ? rng_magnitude(rng, 1000) : 0;
    link->reorder_ns = rng_magnitude(rng, 100 * UTCP_MSEC);
    link->jitter_ns = rng_chance(rng, 300) ? rng_magnitude(rng, 100 * UTCP_MSEC) : 0;
    link->rate = rng_chance(rng, 300) ? 4000 + rng_magnitude(rng, 4000000) : 0;
    link->queue_bytes = 20000 + rng_magnitude(rng, 200000);
    /* A queue in which packets outlast a time-out of any length only shows how networks collapse. */
    if (link->queue_bytes > 5 * link->rate && link->rate > 0)
        link->queue_bytes = 5 * link->rate;
    link->mark_bytes = rng_chance(rng, 500) ? rng_magnitude(rng, link->queue_bytes) : 0;
    link->delay_ns *= !cuts->without[FAULT_delay];
    link->reorder *= !cuts->without[FAULT_overtaking];
    link->jitter_ns *= !cuts->without[FAULT_jitter];
    link->rate *= !cuts->without[FAULT_rate];
    link->mark_bytes *= !cuts->without[FAULT_marks];
}

void link_draw(struct link *link, uint64_t seed, const struct cuts *cuts)
{
    link->rng.state = seed;
    draw_losses(link, cuts);
    draw_times(link, cuts);
}

void link_draw_mtu(struct link *link, uint32_t least, uint32_t most)
{
    struct rng *rng = &link->rng;

    link->narrow_every = rng_between(rng, UTCP_SEC / 10, 10 * UTCP_SEC);
    link->narrow_ns = rng_between(rng, 1, link->narrow_every);
    link->narrow_mtu = (uint32_t)rng_between(rng, least, most);
    link->old_router = rng_chance(rng, 200);
}

utcp_time link_lifetime(const struct link *link)
{
    utcp_time queue = link->rate > 0 ? link->queue_bytes * UTCP_SEC / link->rate : 0;

    return link->delay_ns + link->reorder_ns + link->jitter_ns + queue;
}

/* ---- the line ---- */

/* Once in each period, each time at another moment of it: else a time-out of the same length would always
 * meet it. */
static bool is_down(const struct link *link, utcp_time now)
{
    struct rng moment = {now / (link->down_every + 1)};
    utcp_time since;

    if (now >= link->dead_at || link->down_every == 0)
        return now >= link->dead_at;
    since = rng_between(&moment, 0, link->down_every - link->down_ns);
    return now % (link->down_every + 1) >= since &&
           now % (link->down_every + 1) < since + link->down_ns;
}

/* Bytes that wait for the line. */
static uint64_t waiting(const struct link *link, utcp_time now)
{
    return link->line_free > now ? (link->line_free - now) * link->rate / UTCP_SEC : 0;
}

/* When the last bit leaves the line, UTCP_NEVER when the queue is full. */
static utcp_time serialise(struct link *link, size_t len, utcp_time now)
{
    if (link->rate == 0)
        return now;
    if (waiting(link, now) + len > link->queue_bytes)
        return UTCP_NEVER;
    if (link->line_free < now)
        link->line_free = now;
    link->line_free += len * UTCP_SEC / link->rate;
    return link->line_free;
}

static bool is_lost(struct link *link, size_t len)
{
    bool text = len > IPV4_HEADER_MOST + TCP_HEADER; /* more than a pure ACK, near enough */

    if (link->bursting)
        link->bursting = !rng_chance(&link->rng, link->calm);
    else
        link->bursting = rng_ppm(&link->rng, link->burst);
    if (text && link->loss_every > 0 && ++link->texts % link->loss_every == 0)
        return true;
    return rng_ppm(&link->rng, link->loss) || link->bursting;
}

/* When a packet that leaves the line then comes to its end. */
static utcp_time arrival(struct link *link, utcp_time leaves)
{
    utcp_time at = leaves + link->delay_ns;

    if (rng_chance(&link->rng, link->reorder))
        return at + rng_between(&link->rng, 0, link->reorder_ns);
    at += rng_between(&link->rng, 0, link->jitter_ns);
    if (at < link->last_arrival)
        at = link->last_arrival;
    link->last_arrival = at;
    return at;
}

/* ---- what it does to a packet ---- */

/* Inverts neighbouring bits, fewer than 16: that much RFC 1071's checksum never misses, and more it
 * now and then does, which would be nobody's fault. */
static void corrupt(struct rng *rng, uint8_t *bytes, size_t len)
{
    uint64_t first = rng_between(rng, 0, len * 8 - 1);
    uint64_t bits = rng_between(rng, 1, 15);

    for (uint64_t bit = first; bit < first + bits && bit < len * 8; bit++)
        bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
}

/* RFC 3168 section 5: only a packet that says its ends understand may be marked. */
static bool may_mark(const uint8_t *bytes)
{
    return (bytes[1] & ECN_BITS) != 0 && (bytes[1] & ECN_BITS) != ECN_MARKED;
}

static void mark(uint8_t *bytes)
{
    bytes[1] |= ECN_MARKED;
    put16(bytes + 10, 0);
    put16(bytes + 10, checksum_finish(checksum_add(0, bytes, (size_t)(bytes[0] & 15) * 4)));
}

/* Some boxes clamp the window to keep the queues behind them short. The checksum is amended as
 * RFC 1624 has it. */
static void clamp_window(uint8_t *bytes, size_t len, uint16_t most)
{
    size_t header = (size_t)(bytes[0] & 15) * 4;
    uint8_t *window = bytes + header + 14, *sum = bytes + header + 16;
    bool later_fragment = (get16(bytes + 6) & 0x1fff) != 0;
    uint16_t old;

    if (len < header + TCP_HEADER || bytes[9] != IP_TCP || later_fragment)
        return;
    old = get16(window);
    if (old <= most)
        return;
    put16(window, most);
    put16(sum, (uint16_t)~checksum_fold((uint64_t)(uint16_t)~get16(sum) + (uint16_t)~old + most));
}

/* A copy goes its way. */
static void carry(struct world *world, int from, utcp_time leaves, const uint8_t *bytes, size_t len,
                  unsigned flags, bool marked)
{
    struct link *link = &world->links[from];
    /* What a device vouches for has not been on a wire that could have hurt it. */
    bool hurt = flags == 0 && rng_chance(&link->rng, link->corrupt);
    struct packet *packet = world_deliver(world, !from, arrival(link, leaves), bytes, len, flags);

    if (marked)
        mark(packet->bytes);
    if (link->window_most > 0)
        clamp_window(packet->bytes, len, link->window_most);
    if (hurt)
        corrupt(&link->rng, packet->bytes, len);
    packet->hurt = hurt;
    if (plant_on_way(world, packet->bytes, len))
        packet->flags = UTCP_INPUT_CSUM_OK;
}

/* ---- the narrow way ---- */

static uint32_t mtu_now(const struct link *link, utcp_time now)
{
    bool narrow = link->narrow_mtu != 0 && now % link->narrow_every < link->narrow_ns;

    return narrow ? link->narrow_mtu : IPV4_MOST;
}

/* RFC 792 and RFC 1191 section 4: the router tells the sender. It quotes eight bytes of what the
 * datagram carried, or more (RFC 1812 section 4.3.2.3). */
static void tell_too_big(struct world *world, int from, const struct ipv4 *about, uint32_t mtu)
{
    struct link *link = &world->links[from];
    size_t quote = about->header_len + rng_between(&link->rng, 8, 28);
    uint8_t message[IPV4_HEADER + 8 + IPV4_HEADER_MOST + 28] = {0};
    uint8_t *body = message + IPV4_HEADER;
    struct ipv4 ip = {
        .src = {.family = UTCP_IPV4, .bytes = {10, 0, 0, 254}},
        .dst = about->src,
        .protocol = IP_ICMP,
        .ttl = 64,
        .payload_len = 8 + quote,
    };

    ipv4_write(message, &ip);
    body[0] = 3; /* destination unreachable: fragmentation needed */
    body[1] = 4;
    put16(body + 6, link->old_router ? 0 : (uint16_t)mtu);
    memcpy(body + 8, about->payload - about->header_len, quote);
    put16(body + 2, checksum_finish(checksum_add(0, body, ip.payload_len)));
    if (!rng_ppm(&link->rng, link->loss))
        world_deliver(world, from, world->now + link->delay_ns, message, IPV4_HEADER + 8 + quote,
                      0);
}

/* Fragments of fragments stay whole: no way is narrower than another. */
static void carry_fragments(struct world *world, int from, utcp_time leaves,
                            const struct ipv4 *whole, uint32_t mtu)
{
    uint8_t fragment[IPV4_MOST];
    size_t most = (mtu - IPV4_HEADER) / 8 * 8;

    for (size_t offset = 0; offset < whole->payload_len; offset += most) {
        struct ipv4 ip = *whole;

        ip.offset = (uint32_t)offset;
        ip.more_fragments = whole->payload_len - offset > most;
        ip.payload_len = ip.more_fragments ? most : whole->payload_len - offset;
        ipv4_write(fragment, &ip);
        memcpy(fragment + IPV4_HEADER, whole->payload + offset, ip.payload_len);
        carry(world, from, leaves, fragment, IPV4_HEADER + ip.payload_len, 0, false);
    }
}

/* A packet comes to a router whose way on is too narrow for it. */
static const char *squeeze(struct world *world, int from, utcp_time leaves, const uint8_t *bytes,
                           size_t len)
{
    uint32_t mtu = mtu_now(&world->links[from], world->now);
    struct ipv4 ip;

    if (!ipv4_parse(bytes, len, &ip))
        return "nonsense";
    if (ip.dont_fragment) {
        tell_too_big(world, from, &ip, mtu);
        return "too big";
    }
    carry_fragments(world, from, leaves, &ip, mtu);
    return "fragmented";
}

const char *link_send(struct world *world, int from, const uint8_t *bytes, size_t len,
                      unsigned flags)
{
    struct link *link = &world->links[from];
    bool full = link->mark_bytes > 0 && waiting(link, world->now) > link->mark_bytes;
    utcp_time leaves = serialise(link, len, world->now);
    bool marked = (rng_ppm(&link->rng, link->marks) || full) && may_mark(bytes);
    bool twice = rng_chance(&link->rng, link->duplicate);

    if (leaves == UTCP_NEVER)
        return "queue full";
    if (is_down(link, world->now))
        return "line down";
    if (is_lost(link, len))
        return "lost";
    if (len > mtu_now(link, world->now))
        return squeeze(world, from, leaves, bytes, len);
    if (twice)
        carry(world, from, leaves, bytes, len, flags, marked);
    carry(world, from, leaves, bytes, len, flags, marked);
    return twice ? "twice" : marked ? "marked" : "sent";
}
