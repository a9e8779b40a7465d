/* SPDX-License-Identifier: MIT */
/*
 * Impairment: one direction of a bad link, in tc-netem's words. A function of its inputs: packets
 * and the time go in, packets come out when they are due, chance comes from a seed.
 */
#ifndef UTCP_ENGINE_IMPAIR_H
#define UTCP_ENGINE_IMPAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum impair_direction { IMPAIR_IN = 1, IMPAIR_OUT = 2 };

/* Times in nanoseconds; chances in millionths; all zero = a perfect link. */
struct impair_config {
    uint64_t delay_ns;
    uint64_t jitter_ns; /* added or taken away, uniformly */
    uint32_t loss;
    uint32_t burst; /* packets lost in a row on average; 0 = each is lost on its own */
    uint32_t duplicate;
    uint32_t corrupt;  /* one bit of the packet is flipped */
    uint32_t reorder;  /* packets that go at once instead of being delayed */
    uint32_t mark;     /* of packets that are ECN-capable, those marked "congestion experienced" */
    uint64_t rate_bps; /* bits per second, 0 = unlimited */
    uint32_t limit;    /* packets that wait at most, later ones are dropped; 0 = 1000 */
    unsigned directions;
    bool seeded;
    uint64_t seed;
};

struct impair;

/* True when the configuration does anything in that direction. */
bool impair_active(const struct impair_config *config, enum impair_direction direction);

/* Packets of up to mtu_bytes. The memory (a fixed amount, touched as it is needed) is never given
 * back; NULL = none left. Each direction draws its own chances from the one seed. */
struct impair *impair_create(const struct impair_config *config, enum impair_direction direction,
                             size_t mtu_bytes);

/* A packet enters the link; it is copied, twice, or dropped. */
void impair_push(struct impair *link, const uint8_t *packet, size_t len, unsigned flags,
                 uint64_t now);

/* The next packet that is due, NULL = none; good until the next call. flags are those of the push.
 */
const uint8_t *impair_pop(struct impair *link, size_t *len, unsigned *flags, uint64_t now);

/* When the next packet is due, UINT64_MAX = none waits. */
uint64_t impair_deadline(const struct impair *link);

/* Packets that wait. */
size_t impair_waiting(const struct impair *link);

#endif
