/* SPDX-License-Identifier: MIT */
/*
 * Mistakes made on purpose: the test of the test. Each breaks one invariant once in a run, as a faulty
 * stack would, and the run must end with the sentence about it.
 */
#ifndef SIM_PLANT_H
#define SIM_PLANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct world;
struct utcp_conn;

/*
 * sentence    what must be found
 * in_packet   changes a packet before it is watched, and says whether it did
 * on_way      ... afterwards; the receiver is told that its checksum is good
 * in_stack    changes something in a connection
 * swallow     an event is not told
 * leak        memory is not given back
 * by_chance   what happens does not depend on the seed alone
 */
struct plant {
    const char *name, *sentence;
    bool (*in_packet)(struct world *world, int host, uint8_t *bytes, size_t len);
    bool (*on_way)(uint8_t *bytes, size_t len);
    bool (*in_stack)(struct world *world, struct utcp_conn *conn);
    bool swallow, leak, by_chance;
};

/* The i-th, NULL = no more. */
const struct plant *plant_at(size_t i);

void plant_in_packet(struct world *world, int host, uint8_t *bytes, size_t len);
bool plant_on_way(struct world *world, uint8_t *bytes, size_t len);
void plant_in_stack(struct world *world);
bool plant_swallows(struct world *world);
bool plant_leaks(struct world *world);

/* A number that is another in each run, 0 when nothing is planted. */
uint64_t plant_chance(const struct world *world);

#endif
