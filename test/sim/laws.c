/* SPDX-License-Identifier: MIT */
/*
 * What theory says of long transfers: RFC 9438 section 5.1 for CUBIC, RFC 5681's sawtooth for Reno, and
 * that flows share a line.
 */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "course.h"
#include "golden.h"

#define MBIT (UINT64_C(1000000) / 8)
#define MSS 1448

static struct world world;

static bool judge(FILE *to, bool holds, const char *law, double is, double bound)
{
    fprintf(to, "%s %-68s %8.3f %8.3f\n", holds ? "ok    " : "NOT ok", law, is, bound);
    return holds;
}

/* ---- the window by the loss ---- */

/* Segments on average, by the sawtooth: every 1/p segments one is lost, and the window grows by one in a
 * round trip (alpha = 1, beta = 1/2). */
static double reno_window(double loss)
{
    return sqrt(1.5 / loss);
}

/* RFC 9438 figure 6 with C = 0.4 and beta = 0.7; on short or lossy paths CUBIC is as fast as Reno. */
static double cubic_window(double loss, double rtt)
{
    double cubic = pow(0.4 * 3.7 / (4 * 0.3), 0.25) * pow(rtt / loss, 0.75);

    return fmax(cubic, reno_window(loss));
}

static double measured_window(const char *congestion, uint64_t every, utcp_time rtt_ns)
{
    enum { WARM = 20, CYCLES = 30 };
    struct course course = {
        .rtt_ns = rtt_ns,
        .loss_every = every,
        .congestion = {congestion},
        .bytes = (WARM + CYCLES + 1) * every * MSS,
    };
    utcp_time began;
    uint64_t before;
    double seconds;

    course_begin(&world, &course);
    course_run(&world, 0, WARM * every * MSS, UTCP_NEVER);
    began = world.now;
    before = course_received(&world, 0);
    course_run(&world, 0, (WARM + CYCLES) * every * MSS, UTCP_NEVER);
    seconds = (double)(world.now - began) / UTCP_SEC;
    before = course_received(&world, 0) - before;
    world_tear_down(&world);
    return (double)before / MSS / seconds * (double)rtt_ns / UTCP_SEC;
}

static int check_windows(FILE *to)
{
    static const uint64_t every[] = {100, 1000, 10000};
    const utcp_time rtt = 100 * UTCP_MSEC;
    int failed = 0;
    char law[80];

    for (size_t i = 0; i < sizeof(every) / sizeof(*every); i++) {
        double loss = 1.0 / (double)every[i];
        double reno = measured_window("reno", every[i], rtt) / reno_window(loss);
        double cubic = measured_window("cubic", every[i], rtt) / cubic_window(loss, 0.1);

        snprintf(law, sizeof(law), "Reno's window at %g %% loss is theory's, within 20 %%",
                 100 * loss);
        failed += !judge(to, fabs(reno - 1) < 0.2, law, reno, 1);
        snprintf(law, sizeof(law), "CUBIC's window at %g %% loss is theory's, within 20 %%",
                 100 * loss);
        failed += !judge(to, fabs(cubic - 1) < 0.2, law, cubic, 1);
    }
    return failed;
}

/* ---- two flows ---- */

/* Jain's index of what two flows got: 1 when it is the same, 1/2 when one got all. */
static double jain(double a, double b)
{
    return (a + b) * (a + b) / (2 * (a * a + b * b));
}

/* Once both have found their shares: two minutes of a line of 20 Mbit/s and 40 ms. */
static double shared(const char *one, const char *other)
{
    struct course course = {
        .rtt_ns = 40 * UTCP_MSEC,
        .rate = 20 * MBIT,
        .queue_bytes = 20 * MBIT * 40 / 1000,
        .congestion = {one, other},
        .bytes = UINT64_C(1) << 32,
    };
    uint64_t before[FLOWS_MAX];
    double fairness;

    course_begin(&world, &course);
    course_run(&world, 0, UINT64_MAX, 30 * UTCP_SEC);
    for (int i = 0; i < FLOWS_MAX; i++)
        before[i] = course_received(&world, i);
    course_run(&world, 0, UINT64_MAX, 150 * UTCP_SEC);
    fairness = jain((double)(course_received(&world, 0) - before[0]),
                    (double)(course_received(&world, 1) - before[1]));
    world_tear_down(&world);
    return fairness;
}

static int check_fairness(FILE *to)
{
    static const struct {
        const char *law, *one, *other;
    } flows[] = {
        {"two CUBIC flows share a line (Jain's index)", "cubic", "cubic"},
        {"two Reno flows share a line", "reno", "reno"},
        {"CUBIC shares a line with Reno", "cubic", "reno"},
    };
    int failed = 0;

    for (size_t i = 0; i < sizeof(flows) / sizeof(*flows); i++) {
        double index = shared(flows[i].one, flows[i].other);

        failed += !judge(to, index > 0.95, flows[i].law, index, 0.95);
    }
    return failed;
}

/* ---- a long fat path ---- */

static double filled(const char *congestion)
{
    const double seconds = 20;
    struct course course = {
        .rtt_ns = 50 * UTCP_MSEC,
        .rate = 1000 * MBIT,
        .queue_bytes = 1000 * MBIT * 50 / 1000,
        .congestion = {congestion},
        .bytes = UINT64_C(1) << 33,
    };
    double share;

    course_begin(&world, &course);
    course_run(&world, 0, UINT64_MAX, (utcp_time)seconds * UTCP_SEC);
    share = (double)course_received(&world, 0) / seconds / (double)course.rate;
    world_tear_down(&world);
    return share;
}

static int check_filling(FILE *to)
{
    double cubic = filled("cubic"), reno = filled("reno");
    bool cubic_fills =
        judge(to, cubic > 0.9, "CUBIC fills 1 Gbit/s and 50 ms, from the start on", cubic, 0.9);
    bool reno_fills =
        judge(to, reno > 0.9, "Reno fills 1 Gbit/s and 50 ms, from the start on", reno, 0.9);

    return !cubic_fills + !reno_fills;
}

/* ---- reordering ---- */

/* Segments that go again after the first second of a transfer in which nothing is lost. */
static uint64_t sent_again(utcp_time reorder_ns)
{
    struct course course = {
        .rtt_ns = 20 * UTCP_MSEC,
        .rate = 100 * MBIT,
        .queue_bytes = UINT64_C(1) << 30,
        .reorder = 300,
        .reorder_ns = reorder_ns,
        .congestion = {"cubic"},
        .bytes = UINT64_C(1) << 26,
    };
    const struct utcp_counters *counters;
    uint64_t again;

    course_begin(&world, &course);
    course_run(&world, 0, UINT64_MAX, UTCP_SEC);
    counters = utcp_counters(world.hosts[0].stack);
    again = counters->tcp_retransmits;
    course_run(&world, 0, course.bytes, UTCP_NEVER);
    again = counters->tcp_retransmits - again;
    world_tear_down(&world);
    return again;
}

static int check_reordering(FILE *to)
{
    static const utcp_time late[] = {UTCP_MSEC, 5 * UTCP_MSEC, 10 * UTCP_MSEC};
    int failed = 0;
    char law[80];

    for (size_t i = 0; i < sizeof(late) / sizeof(*late); i++) {
        double again = (double)sent_again(late[i]);

        snprintf(law, sizeof(law), "of 30 %% overtaken by up to %d ms nothing goes again in vain",
                 (int)(late[i] / UTCP_MSEC));
        failed += !judge(to, again == 0, law, again, 0);
    }
    return failed;
}

int laws_check(FILE *to)
{
    return check_reordering(to) + check_windows(to) + check_fairness(to) + check_filling(to);
}
