/* SPDX-License-Identifier: MIT */
/* Seeds that are run in processes of their own, which may die of an assertion. */
#ifndef SIM_RUN_H
#define SIM_RUN_H

#include "cuts.h"
#include "plant.h"

#define SENTENCE_MOST 160

/* What became of a run. pairs is how many it had at all. packets counts those that were sent. */
struct verdict {
    bool failed;
    char sentence[SENTENCE_MOST];
    uint64_t seed, packets;
    int pairs;
};

/*
 * first, last, step   the seeds
 * repeat_every        of which one in so many is run twice, to see that nothing but the seed counts;
 *                     0 = none
 * live                prints each packet at once
 * quiet               prints nothing when it fails
 */
struct run {
    uint64_t first, last, step, repeat_every;
    struct cuts cuts;
    const struct plant *plant;
    bool live, quiet;
};

/* Runs the seeds until one fails, which is the verdict's. */
struct verdict run_seeds(const struct run *run);

/* Finds what can be left out of a run of one seed that fails, and still has it fail with the same
 * sentence; changes the run's cuts. */
void shrink(struct run *run, const struct verdict *verdict);

#endif
