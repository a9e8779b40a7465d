/* SPDX-License-Identifier: MIT */
#include "link.h"

#include "world.h"

/* The bounds leave every exchange a fair chance: a fifth lost each way lets two of three through,
 * and the retries of the settings are many. */
void link_draw(struct link *link, uint64_t seed)
{
    struct rng *rng = &link->rng;

    rng->state = seed;
    link->loss = rng_chance(rng, 600) ? rng_magnitude(rng, 200) : 0;
    link->duplicate = rng_chance(rng, 300) ? rng_magnitude(rng, 200) : 0;
    link->corrupt = rng_chance(rng, 300) ? rng_magnitude(rng, 50) : 0;
    link->delay_ns = rng_chance(rng, 900) ? rng_magnitude(rng, 300 * UTCP_MSEC) : 0;
    link->reorder = rng_chance(rng, 500) ? rng_magnitude(rng, 1000) : 0;
    link->jitter_ns = rng_magnitude(rng, 100 * UTCP_MSEC);
    link->rate = rng_chance(rng, 300) ? 4000 + rng_magnitude(rng, 4000000) : 0;
    link->queue_bytes = 20000 + rng_magnitude(rng, 200000);
    if (rng_chance(rng, 100)) {
        link->down_ns = rng_magnitude(rng, 5 * UTCP_SEC);
        link->down_every = link->down_ns + rng_between(rng, UTCP_SEC, 20 * UTCP_SEC);
    }
}

static bool is_down(const struct link *link, utcp_time now)
{
    return link->down_every != 0 && now % link->down_every < link->down_ns;
}

/* When the last bit leaves the line, UTCP_NEVER when the queue is full. */
static utcp_time serialise(struct link *link, size_t len, utcp_time now)
{
    utcp_time waits = link->line_free > now ? link->line_free - now : 0;

    if (link->rate == 0)
        return now;
    if (waits * link->rate / UTCP_SEC + len > link->queue_bytes)
        return UTCP_NEVER;
    link->line_free = now + waits + len * UTCP_SEC / link->rate;
    return link->line_free;
}

/* Inverts neighbouring bits, fewer than 16: that much RFC 1071's checksum never misses, and more it
 * now and then does, which would be nobody's fault. */
static void corrupt(struct rng *rng, uint8_t *bytes, size_t len)
{
    uint64_t first = rng_between(rng, 0, len * 8 - 1);
    uint64_t bits = rng_between(rng, 1, 15);

    for (uint64_t bit = first; bit < first + bits && bit < len * 8; bit++)
        bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
}

static utcp_time travel_time(struct link *link)
{
    utcp_time extra = 0;

    if (rng_chance(&link->rng, link->reorder))
        extra = rng_between(&link->rng, 0, link->jitter_ns);
    return link->delay_ns + extra;
}

const char *link_send(struct world *world, int from, const uint8_t *bytes, size_t len,
                      unsigned flags)
{
    struct link *link = &world->links[from];
    utcp_time leaves = serialise(link, len, world->now);
    bool twice = rng_chance(&link->rng, link->duplicate);
    /* What a device vouches for has not been on a wire that could have hurt it. */
    bool hurt = flags == 0 && rng_chance(&link->rng, link->corrupt);
    struct packet *packet;

    if (leaves == UTCP_NEVER)
        return "queue full";
    if (is_down(link, world->now))
        return "line down";
    if (rng_chance(&link->rng, link->loss))
        return "lost";
    if (twice)
        world_deliver(world, !from, leaves + travel_time(link), bytes, len, flags);
    packet = world_deliver(world, !from, leaves + travel_time(link), bytes, len, flags);
    if (hurt)
        corrupt(&link->rng, packet->bytes, len);
    packet->hurt = hurt;
    return hurt ? "corrupted" : twice ? "twice" : "sent";
}
