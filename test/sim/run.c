/* SPDX-License-Identifier: MIT */
#include "run.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "world.h"

#define SECONDS_MOST 60 /* of real time for one seed */

static struct world world;
static const struct run *running;
static struct verdict *shared; /* with the parent process */

/* ---- in the child ---- */

/* NOLINTBEGIN(bugprone-signal-handler): on_signal() says why. */
static void conclude(const char *sentence)
{
    shared->failed = true;
    shared->pairs = world.pair_count;
    shared->packets = world.packets;
    snprintf(shared->sentence, sizeof(shared->sentence), "%s", sentence);
    if (running->quiet)
        return;
    fflush(stdout);
    fprintf(stderr, "seed %" PRIu64 ", %" PRIu64 ".%06" PRIu64 " s: not true: %s\n", world.seed,
            world.now / UTCP_SEC, world.now % UTCP_SEC / UTCP_USEC, sentence);
    if (!running->live)
        trace_dump(&world.trace, stderr);
}

/* An assertion of the core, or a call that does not return, ends the program: the seed must be
 * known all the same. What printf() does here is safe enough, as these signals are not from
 * outside. */
static void on_signal(int signal)
{
    conclude(signal == SIGALRM ? "a run comes to an end" : "the stack's assertions hold");
    _exit(1);
}
/* NOLINTEND(bugprone-signal-handler) */

static bool run_seed(uint64_t seed)
{
    uint64_t hash;

    shared->seed = seed;
    alarm(SECONDS_MOST);
    if (world_run(&world, seed, &running->cuts, running->plant, running->live) != NULL) {
        conclude(world.failure);
        return false;
    }
    if (running->repeat_every == 0 || seed % running->repeat_every != 0 || running->live)
        return true;
    hash = world.hash;
    world_run(&world, seed, &running->cuts, running->plant, false);
    if (world.hash == hash)
        return true;
    conclude("two runs of a seed are the same");
    return false;
}

static void child(void)
{
    signal(SIGABRT, on_signal);
    signal(SIGSEGV, on_signal);
    signal(SIGALRM, on_signal);
    if (running->quiet) {
        int null = open("/dev/null", O_WRONLY);

        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        close(null);
    }
    for (uint64_t seed = running->first; seed <= running->last; seed += running->step) {
        if (!run_seed(seed))
            break;
    }
    exit(0);
}

/* ---- in the parent ---- */

static struct verdict *share(void)
{
    void *memory = mmap(NULL, sizeof(struct verdict), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        abort();
    return memory;
}

struct verdict run_seeds(const struct run *run)
{
    struct verdict verdict;
    int status = 0;
    pid_t pid;

    if (shared == NULL)
        shared = share();
    memset(shared, 0, sizeof(*shared));
    running = run;
    fflush(NULL);
    pid = fork();
    if (pid < 0)
        abort();
    if (pid == 0)
        child();
    waitpid(pid, &status, 0);
    verdict = *shared;
    if (status != 0 && !verdict.failed) {
        verdict.failed = true;
        snprintf(verdict.sentence, sizeof(verdict.sentence), "a run does not kill its process");
    }
    return verdict;
}
