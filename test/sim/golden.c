/* SPDX-License-Identifier: MIT */
/*
 * The golden table: how long a transfer takes, and what goes again, over many links. It is kept in the
 * repository, so that a change of behaviour is seen in review.
 */
#include "golden.h"

#include <inttypes.h>
#include <stddef.h>

#include "course.h"

#define MBIT (UINT64_C(1000000) / 8)
#define PACKET 1500

struct row {
    uint64_t loss_ppm, rtt_ms, rate_mbit;
    uint64_t queue_percent; /* of what fills the path */
    bool marking;
};

static uint64_t path_bytes(const struct row *row)
{
    return row->rate_mbit * MBIT * row->rtt_ms / 1000;
}

static uint64_t at_least(uint64_t least, uint64_t value)
{
    return value > least ? value : least;
}

static void print_row(FILE *to, const struct row *row, const char *congestion)
{
    static struct world world;
    struct course course = {
        .rtt_ns = row->rtt_ms * UTCP_MSEC,
        .rate = row->rate_mbit * MBIT,
        .queue_bytes = at_least(10 * PACKET, path_bytes(row) * row->queue_percent / 100),
        .marking = row->marking,
        .loss = row->loss_ppm,
        .congestion = {congestion},
        .bytes = 2 * row->rate_mbit * MBIT + 1000000,
    };
    const struct utcp_counters *counters;
    uint64_t time_ms;

    course_begin(&world, &course);
    course_run(&world, 0, course.bytes, UTCP_NEVER);
    counters = utcp_counters(world.hosts[0].stack);
    time_ms = world.now / UTCP_MSEC;
    fprintf(to,
            "%6.2f %6" PRIu64 " %7" PRIu64 " %6" PRIu64 " %5s  %-6s %9.2f %7" PRIu64 " %9" PRIu64
            " %8" PRIu64 " %9.2f\n",
            (double)row->loss_ppm / 10000, row->rtt_ms, row->rate_mbit, row->queue_percent,
            row->marking ? "marks" : "drops", congestion,
            (double)course.bytes * 8 / 1000 / (double)time_ms, counters->tcp_retransmits,
            counters->tcp_spurious, counters->tcp_timeouts, (double)time_ms / 1000);
    world_tear_down(&world);
}

static void print_both(FILE *to, const struct row *row)
{
    print_row(to, row, "cubic");
    print_row(to, row, "reno");
}

void golden_print(FILE *to)
{
    static const uint64_t losses[] = {0, 1000, 10000, 50000};
    static const uint64_t rtts[] = {10, 100};
    static const uint64_t rates[] = {10, 100};
    static const struct row queues[] = {
        {0, 40, 50, 10, false},    {0, 40, 50, 50, false},   {0, 40, 50, 400, false},
        {0, 40, 50, 100, true},    {0, 40, 50, 400, true},   {0, 2, 1000, 100, false},
        {0, 50, 1000, 100, false}, {0, 300, 10, 100, false},
    };

    fputs("# What a transfer of 2 s and 1 MB more takes. Made by: scripts/sim --golden --update\n"
          "# loss %  rtt ms  Mbit/s  queue %      algorithm  Mbit/s  resent  spurious timeouts    "
          "seconds\n",
          to);
    for (size_t i = 0; i < sizeof(losses) / sizeof(*losses); i++) {
        for (size_t j = 0; j < sizeof(rtts) / sizeof(*rtts); j++) {
            for (size_t k = 0; k < sizeof(rates) / sizeof(*rates); k++)
                print_both(to, &(struct row){losses[i], rtts[j], rates[k], 100, false});
        }
    }
    for (size_t i = 0; i < sizeof(queues) / sizeof(*queues); i++)
        print_both(to, &queues[i]);
}
