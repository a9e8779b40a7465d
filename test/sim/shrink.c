/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * What a seed means is drawn before anything of it is left out, so a cut changes as little else as can
 * be. Cuts are tried one at a time, the great ones first: connections, bytes, then faults and settings.
 * One stays when the run still ends with the same sentence. That goes on until none does.
 */
#include <string.h>

#include "run.h"

/* A trial takes some milliseconds, and a run that takes seconds deserves fewer of them. */
#define TRIALS_MOST 600

struct search {
    struct run run; /* of the best cuts so far */
    const struct verdict *wanted;
    uint64_t packets; /* that run sent */
    int trials;
};

/* True when the run fails as wanted with these cuts, which are kept then. */
static bool try(struct search *search, const struct cuts *cuts)
{
    struct run run = search->run;
    struct verdict verdict;

    if (search->trials++ >= TRIALS_MOST)
        return false;
    run.cuts = *cuts;
    verdict = run_seeds(&run);
    if (!verdict.failed || strcmp(verdict.sentence, search->wanted->sentence) != 0)
        return false;
    search->run.cuts = *cuts;
    search->packets = verdict.packets;
    return true;
}

/* Leaves out pairs by halves, quarters and so on, down to single ones. */
static bool drop_pairs(struct search *search)
{
    int pairs = search->wanted->pairs;
    bool changed = false;

    for (int size = (pairs + 1) / 2; size > 0; size = size > 1 ? (size + 1) / 2 : 0) {
        for (int first = 0; first < pairs; first += size) {
            struct cuts cuts = search->run.cuts;

            for (int i = first; i < first + size && i < pairs; i++)
                cuts.dropped[i] = true;
            if (memcmp(&cuts, &search->run.cuts, sizeof(cuts)) != 0)
                changed = try(search, &cuts) || changed;
        }
    }
    return changed;
}

static bool send_less(struct search *search)
{
    struct cuts cuts = search->run.cuts;
    bool changed = false;

    cuts.bytes = cuts.bytes == UINT64_MAX ? UINT64_C(1) << 20 : cuts.bytes / 2;
    while (search->run.cuts.bytes > 0 && try(search, &cuts)) {
        changed = true;
        cuts.bytes /= 2;
    }
    return changed;
}

static bool leave_out(struct search *search)
{
    bool changed = false;

    for (unsigned i = 0; i < CUTS; i++) {
        struct cuts cuts = search->run.cuts;

        if (cuts.without[i])
            continue;
        cuts.without[i] = true;
        changed = try(search, &cuts) || changed;
    }
    return changed;
}

void shrink(struct run *run, const struct verdict *verdict)
{
    struct search search = {.run = *run, .wanted = verdict, .packets = verdict->packets};
    bool changed = true;

    search.run.first = search.run.last = verdict->seed;
    search.run.quiet = true;
    if (search.run.repeat_every > 0)
        search.run.repeat_every = 1;
    while (changed && search.trials < TRIALS_MOST) {
        changed = drop_pairs(&search);
        changed = send_less(&search) || changed;
        changed = leave_out(&search) || changed;
    }
    run->cuts = search.run.cuts;
}
