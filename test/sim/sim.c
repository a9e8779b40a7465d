/* SPDX-License-Identifier: MIT */
/*
 * Two stacks, a bad link between them, and programs that use it, all drawn from a seed:
 *
 *	sim --seeds 1..1000
 *	sim --seed 42 --trace
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "world.h"

#define SECONDS_MOST 60 /* of real time for one seed */
#define REPEAT_EVERY 50 /* seeds are run twice, to see that nothing but the seed counts */

static struct world world;

/* NOLINTBEGIN(bugprone-signal-handler): on_signal() says why. */
static void report(const char *sentence)
{
    fflush(stdout);
    fprintf(stderr, "seed %" PRIu64 ", %" PRIu64 ".%06" PRIu64 " s: not true: %s\n", world.seed,
            world.now / UTCP_SEC, world.now % UTCP_SEC / UTCP_USEC, sentence);
    if (!world.trace.live)
        trace_dump(&world.trace, stderr);
    fprintf(stderr, "replay: sim --seed %" PRIu64 " --trace\n", world.seed);
}

/* An assertion of the core, or a call that does not return, ends the program: the seed must be
 * known all the same. What printf() does here is safe enough, as these signals are not from
 * outside. */
static void on_signal(int signal)
{
    report(signal == SIGALRM ? "a run comes to an end" : "the stack's assertions hold");
    _exit(1);
}
/* NOLINTEND(bugprone-signal-handler) */

static bool run_seed(uint64_t seed, bool live)
{
    uint64_t hash;

    alarm(SECONDS_MOST);
    if (world_run(&world, seed, live) != NULL) {
        report(world.failure);
        return false;
    }
    if (seed % REPEAT_EVERY != 0 || live)
        return true;
    hash = world.hash;
    world_run(&world, seed, false);
    if (world.hash == hash)
        return true;
    report("two runs of a seed are the same");
    return false;
}

static int usage(void)
{
    fputs("usage: sim --seed N [--trace] | --seeds A..B\n", stderr);
    return 2;
}

int main(int argc, char **argv)
{
    uint64_t first = 1, last = 1000, failed = 0;
    bool live = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0)
            live = true;
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc &&
                 sscanf(argv[i + 1], "%" SCNu64, &first) == 1)
            last = first, i++;
        else if (strcmp(argv[i], "--seeds") != 0 || i + 1 >= argc ||
                 sscanf(argv[++i], "%" SCNu64 "..%" SCNu64, &first, &last) != 2)
            return usage();
    }
    signal(SIGABRT, on_signal);
    signal(SIGSEGV, on_signal);
    signal(SIGALRM, on_signal);
    for (uint64_t seed = first; seed <= last; seed++)
        failed += !run_seed(seed, live);
    printf("%" PRIu64 " seeds, %" PRIu64 " failed\n", last - first + 1, failed);
    return failed > 0;
}
