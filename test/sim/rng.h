/* SPDX-License-Identifier: MIT */
/* Random numbers from a seed: splitmix64, the same on every machine. */
#ifndef SIM_RNG_H
#define SIM_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
    uint64_t state;
};

static inline uint64_t rng_next(struct rng *rng)
{
    uint64_t z = rng->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* From least to most, both included. */
static inline uint64_t rng_between(struct rng *rng, uint64_t least, uint64_t most)
{
    return least + rng_next(rng) % (most - least + 1);
}

static inline bool rng_chance(struct rng *rng, uint64_t permille)
{
    return rng_next(rng) % 1000 < permille;
}

static inline bool rng_ppm(struct rng *rng, uint64_t ppm)
{
    return rng_next(rng) % 1000000 < ppm;
}

/* From 1 to most, with each order of magnitude as likely as the next: small numbers matter. */
static inline uint64_t rng_magnitude(struct rng *rng, uint64_t most)
{
    uint64_t bits = 0;

    while (most >> bits > 1)
        bits++;
    most = rng_between(rng, 0, bits) < bits ? UINT64_C(2) << rng_between(rng, 0, bits - 1) : most;
    return rng_between(rng, 1, most);
}

#endif
