/* SPDX-License-Identifier: MIT */
/*
 * Two stacks, a bad link between them, and programs that use it, all drawn from a seed; scripts/sim
 * has the options.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "golden.h"
#include "run.h"

#define REPEAT_EVERY 50
#define SHRINK_MOST 3 /* of each process: many seeds fail of one cause */
#define SELF_TEST_SEEDS 200
#define SELF_TEST_PACKETS 1000 /* what a run that is cut down sends at most */

struct options {
    struct run run;
    unsigned jobs;
    bool self_test, faults, golden, laws, whole;
};

/* ---- a range of seeds ---- */

static void print_replay(const struct run *run, uint64_t seed, int pairs)
{
    fprintf(stderr, "replay: scripts/sim --seed %" PRIu64, seed);
    cuts_print(&run->cuts, pairs, stderr);
    fputs(" --trace\n", stderr);
}

static void report(const struct options *options, const struct verdict *verdict)
{
    struct run run = options->run;

    run.first = run.last = verdict->seed;
    fprintf(stderr, "seed %" PRIu64 " fails: %s\n", verdict->seed, verdict->sentence);
    if (!options->whole)
        shrink(&run, verdict);
    run.quiet = false;
    run_seeds(&run);
    print_replay(&run, verdict->seed, verdict->pairs);
}

/* Every jobs-th seed from the job-th on; returns how many failed. */
static uint64_t run_lane(struct options *options, unsigned job)
{
    struct run *run = &options->run;
    uint64_t failed = 0;

    run->quiet = true;
    run->step = options->jobs;
    for (run->first += job; run->first <= run->last;) {
        struct verdict verdict = run_seeds(run);

        if (!verdict.failed)
            break;
        if (failed++ < SHRINK_MOST)
            report(options, &verdict);
        else
            fprintf(stderr, "seed %" PRIu64 " fails: %s\n", verdict.seed, verdict.sentence);
        run->first = verdict.seed + run->step;
    }
    return failed;
}

/* The lanes tell by their exit status how many failed, as far as it goes. */
static int run_range(struct options *options)
{
    uint64_t seeds = options->run.last - options->run.first + 1;
    uint64_t failed = 0;
    int status;

    for (unsigned job = 0; job < options->jobs; job++) {
        pid_t pid = fork();

        if (pid < 0)
            abort();
        if (pid == 0) {
            failed = run_lane(options, job);
            exit(failed > 100 ? 100 : (int)failed);
        }
    }
    while (wait(&status) > 0)
        failed += WIFEXITED(status) ? (uint64_t)WEXITSTATUS(status) : 1;
    printf("%" PRIu64 " seeds, %" PRIu64 " failed\n", seeds, failed);
    return failed > 0;
}

static int run_one(struct options *options)
{
    struct verdict verdict = run_seeds(&options->run);

    if (!verdict.failed)
        printf("seed %" PRIu64 " holds\n", options->run.first);
    return verdict.failed;
}

/* ---- the test of the test ---- */

/* Looks for the seed in which the mistake is found by its sentence; in another it may show as something
 * else first. */
static struct verdict find(struct run *run)
{
    struct verdict verdict;

    do {
        verdict = run_seeds(run);
        run->first = verdict.seed + 1;
    } while (verdict.failed && strcmp(verdict.sentence, run->plant->sentence) != 0);
    return verdict;
}

/* What is left of the run when it is cut down is short. */
static bool finds(const struct plant *plant)
{
    struct run run = {
        .first = 1, .last = SELF_TEST_SEEDS, .step = 1, .repeat_every = plant->by_chance};
    struct verdict verdict;

    run.plant = plant;
    run.quiet = true;
    cuts_init(&run.cuts);
    verdict = find(&run);
    if (!verdict.failed) {
        printf("not found: %s\n", plant->name);
        return false;
    }
    shrink(&run, &verdict);
    run.first = run.last = verdict.seed;
    verdict = run_seeds(&run);
    printf("found: %s; seed %" PRIu64 ", cut down to %" PRIu64 " packets\n", plant->name,
           verdict.seed, verdict.packets);
    return verdict.failed && verdict.packets <= SELF_TEST_PACKETS;
}

static int self_test(void)
{
    const struct plant *plant;
    int failed = 0;

    for (size_t i = 0; (plant = plant_at(i)) != NULL; i++)
        failed += !finds(plant);
    printf("%d mistakes were not found\n", failed);
    return failed > 0;
}

/* ---- options ---- */

static bool parse_range(struct run *run, const char *value)
{
    return sscanf(value, "%" SCNu64 "..%" SCNu64, &run->first, &run->last) == 2 &&
           run->first <= run->last;
}

/* NULL = the value is good; else what it should be. */
static const char *parse_value(struct options *options, const char *name, const char *value)
{
    struct run *run = &options->run;

    if (strcmp(name, "--seed") == 0) {
        options->jobs = 0;
        return sscanf(value, "%" SCNu64, &run->first) == 1 ? (run->last = run->first, NULL)
                                                           : "a number";
    }
    if (strcmp(name, "--seeds") == 0)
        return parse_range(run, value) ? NULL : "a range A..B";
    if (strcmp(name, "--jobs") == 0)
        return sscanf(value, "%u", &options->jobs) == 1 && options->jobs > 0 ? NULL : "1 or more";
    if (strcmp(name, "--without") == 0)
        return cuts_without(&run->cuts, value) ? NULL : "names that --faults lists";
    if (strcmp(name, "--only") == 0)
        return cuts_only(&run->cuts, value) ? NULL : "names that --faults lists";
    if (strcmp(name, "--connections") == 0)
        return cuts_connections(&run->cuts, value) ? NULL : "numbers of connections";
    if (strcmp(name, "--bytes") == 0)
        return sscanf(value, "%" SCNu64, &run->cuts.bytes) == 1 ? NULL : "a number";
    return "to be an option, which it is not: scripts/sim --help";
}

/* An option without a value. */
static bool parse_word(struct options *options, const char *word)
{
    const struct {
        const char *name;
        bool *flag;
    } words[] = {
        {"--trace", &options->run.live}, {"--self-test", &options->self_test},
        {"--faults", &options->faults},  {"--golden", &options->golden},
        {"--laws", &options->laws},      {"--no-shrink", &options->whole},
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (strcmp(word, words[i].name) == 0) {
            *words[i].flag = true;
            return true;
        }
    }
    return false;
}

static bool parse(struct options *options, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *wanted;

        if (parse_word(options, argv[i]))
            continue;
        wanted = parse_value(options, argv[i], i + 1 < argc ? argv[i + 1] : "");
        if (wanted != NULL) {
            fprintf(stderr, "sim: %s wants %s\n", argv[i], wanted);
            return false;
        }
        i++;
    }
    return true;
}

static int print_faults(void)
{
    for (unsigned i = 0; i < CUTS; i++)
        printf("%-22s %s\n", cut_name(i), cut_text(i));
    return 0;
}

int main(int argc, char **argv)
{
    static struct options options = {
        .run = {.first = 1, .last = 1000, .step = 1, .repeat_every = REPEAT_EVERY},
    };

    options.jobs = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    cuts_init(&options.run.cuts);
    if (!parse(&options, argc, argv))
        return 2;
    if (options.faults)
        return print_faults();
    if (options.self_test)
        return self_test();
    if (options.laws)
        return laws_check(stdout) > 0;
    if (options.golden) {
        golden_print(stdout);
        return 0;
    }
    return options.jobs > 0 ? run_range(&options) : run_one(&options);
}
