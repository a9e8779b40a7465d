/* SPDX-License-Identifier: MIT */
/* Congestion control: the algorithms on their own, by what they are told, and what the connection
 * tells them. */
#include <errno.h>

#include "cc/hystart.h"
#include "harness.h"

#define MSS 1000

static struct cc begin(const char *name)
{
    struct cc cc;

    cc_init(&cc, cc_find(name), (struct cc_options){.abe = true}, MSS, 10);
    return cc;
}

/* ---- Reno, RFC 5681 ---- */

static void acked(struct cc *cc, uint32_t bytes)
{
    struct cc_ack ack = {.acked = bytes, .in_flight = cc->cwnd, .limited = true};

    cc->ops->on_ack(cc, &ack);
}

static uint32_t signalled(struct cc *cc, enum cc_signal signal)
{
    return cc->ops->on_congestion(cc, signal, cc->cwnd, 0);
}

static void slow_start_adds_what_is_acknowledged_up_to_ssthresh(void **state)
{
    struct cc cc = begin("reno");

    (void)state;
    assert_int_equal(cc.cwnd, 10000);
    assert_int_equal(cc.ssthresh, UINT32_MAX);
    acked(&cc, 500);
    acked(&cc, 2500);
    assert_int_equal(cc.cwnd, 13000);
    cc.ssthresh = 15000;
    acked(&cc, 5000); /* 3000 are left over */
    assert_int_equal(cc.cwnd, 15000);
    acked(&cc, 11999);
    assert_int_equal(cc.cwnd, 15000);
    acked(&cc, 1);
    assert_int_equal(cc.cwnd, 16000);
}

static void reno_adds_a_segment_for_each_window_above_ssthresh(void **state)
{
    struct cc cc = begin("reno");

    (void)state;
    cc.ssthresh = 10000;
    acked(&cc, 9999);
    assert_int_equal(cc.cwnd, 10000);
    acked(&cc, 1);
    assert_int_equal(cc.cwnd, 11000);
    acked(&cc, 10999);
    assert_int_equal(cc.cwnd, 11000);
    acked(&cc, 1);
    assert_int_equal(cc.cwnd, 12000);
    acked(&cc, 36000); /* one ACK for three windows */
    assert_int_equal(cc.cwnd, 15000);
}

static void a_window_that_was_not_in_use_does_not_grow(void **state)
{
    struct cc_ack ack = {.acked = 1000, .in_flight = 1000};
    struct cc cc = begin("reno");

    (void)state;
    cc.ops->on_ack(&cc, &ack);
    assert_int_equal(cc.cwnd, 10000);
}

static void the_window_stops_at_a_gigabyte(void **state)
{
    struct cc cc = begin("reno");

    (void)state;
    cc.cwnd = CC_CWND_MAX - 500;
    acked(&cc, 10000);
    assert_int_equal(cc.cwnd, CC_CWND_MAX);
    cc.ssthresh = 10000;
    acked(&cc, CC_CWND_MAX);
    assert_int_equal(cc.cwnd, CC_CWND_MAX);
}

static void reno_halves_in_whole_segments_and_never_below_two(void **state)
{
    struct cc cc = begin("reno");

    (void)state;
    assert_int_equal(signalled(&cc, CC_LOSS), 5000);
    cc.cwnd = 9000;
    assert_int_equal(signalled(&cc, CC_TIMEOUT), 4000);
    cc.cwnd = 3000;
    assert_int_equal(signalled(&cc, CC_LOSS), 2000);
}

/* RFC 8511: 0.8 instead of 0.5, in congestion avoidance only. */
static void reno_gives_way_less_to_a_mark(void **state)
{
    struct cc cc = begin("reno");

    (void)state;
    assert_int_equal(signalled(&cc, CC_ECN), 5000);
    cc.ssthresh = 10000;
    assert_int_equal(signalled(&cc, CC_ECN), 8000);
    cc.options.abe = false;
    assert_int_equal(signalled(&cc, CC_ECN), 5000);
}

/* ---- CUBIC, RFC 9438 ---- */

/* A path: ACKs of two segments each, spread over the round trip, for so long. */
static utcp_time run(struct cc *cc, utcp_time now, uint64_t rtt, uint64_t duration)
{
    utcp_time end = now + duration;

    while (now < end) {
        struct cc_ack ack = {.acked = 2 * MSS, .in_flight = cc->cwnd, .rtt = rtt, .limited = true};

        now += rtt * 2 * MSS / cc->cwnd;
        ack.now = now;
        cc->ops->on_ack(cc, &ack);
    }
    return now;
}

/* As the connection does it. */
static void reduce(struct cc *cc, enum cc_signal signal, utcp_time now)
{
    cc->ssthresh = cc->ops->on_congestion(cc, signal, cc->cwnd, now);
    cc->cwnd = cc->ssthresh;
}

static struct cc cubic_in_avoidance(uint32_t segments)
{
    struct cc cc = begin("cubic");

    cc.cwnd = cc.ssthresh = segments * MSS;
    return cc;
}

static void cubic_is_the_default(void **state)
{
    (void)state;
    assert_string_equal(cc_find(NULL)->name, "cubic");
    assert_null(cc_find("vegas"));
    assert_null(cc_find("cubi"));
    assert_null(cc_find(""));
}

static void cubic_keeps_seven_tenths(void **state)
{
    struct cc cc = cubic_in_avoidance(100);

    (void)state;
    assert_int_equal(signalled(&cc, CC_LOSS), 70000);
    assert_int_equal(signalled(&cc, CC_TIMEOUT), 70000);
    cc.cwnd = 11000;
    assert_int_equal(signalled(&cc, CC_LOSS), 7000);
    cc.cwnd = 1000;
    assert_int_equal(signalled(&cc, CC_LOSS), 2000);
}

/* RFC 8511: 0.85, in congestion avoidance only. */
static void cubic_gives_way_less_to_a_mark(void **state)
{
    struct cc cc = cubic_in_avoidance(100);

    (void)state;
    assert_int_equal(signalled(&cc, CC_ECN), 85000);
    cc.ssthresh = UINT32_MAX;
    assert_int_equal(signalled(&cc, CC_ECN), 70000);
    cc.ssthresh = 10000;
    cc.options.abe = false;
    assert_int_equal(signalled(&cc, CC_ECN), 70000);
}

/*
 * A loss at 100 segments leaves 70: K = cbrt(30 / 0.4) = 4.217 s. With an RTT of 100 ms the window
 * goes for W_cubic(t + RTT) and reaches W_cubic(t):
 *
 *	t = 1 s        0.4 * (1 - 4.217)^3 + 100 =  86.7
 *	t = 2 s        0.4 * (2 - 4.217)^3 + 100 =  95.6
 *	t = K          100
 *	t = K + 2 s    0.4 * 2^3 + 100           = 103.2
 *	t = K + 4 s    0.4 * 4^3 + 100           = 125.6
 *
 * Reno would have 70 + 0.53 * 10 a second, which is less, until t = K + 2 s: 103.
 */
static void cubic_is_concave_up_to_w_max_and_convex_beyond(void **state)
{
    struct cc cc = cubic_in_avoidance(100);
    utcp_time now = UTCP_SEC;

    (void)state;
    reduce(&cc, CC_LOSS, now);
    now = run(&cc, now, 100 * UTCP_MSEC, UTCP_SEC);
    assert_in_range(cc.cwnd, 86000, 88000);
    now = run(&cc, now, 100 * UTCP_MSEC, UTCP_SEC);
    assert_in_range(cc.cwnd, 95000, 97000);
    now = run(&cc, now, 100 * UTCP_MSEC, 2217 * UTCP_MSEC);
    assert_in_range(cc.cwnd, 99000, 101000);
    now = run(&cc, now, 100 * UTCP_MSEC, 2 * UTCP_SEC);
    assert_in_range(cc.cwnd, 102000, 105000);
    run(&cc, now, 100 * UTCP_MSEC, 2 * UTCP_SEC);
    assert_in_range(cc.cwnd, 124000, 128000);
}

/* The second loss comes below the first's W_max of 100: W_max is 90 * (1 + 0.7) / 2 = 76.5, and K =
 * cbrt((76.5 - 63) / 0.4) = 3.23 s. Without fast convergence 3.23 s later there would be
 * 0.4 * (3.23 - 4.07)^3 + 90 = 89.8. */
static void fast_convergence_asks_for_less_than_the_last_w_max(void **state)
{
    struct cc cc = cubic_in_avoidance(100);
    utcp_time now = UTCP_SEC;

    (void)state;
    reduce(&cc, CC_LOSS, now);
    cc.cwnd = 90000;
    reduce(&cc, CC_LOSS, now);
    assert_int_equal(cc.cwnd, 63000);
    run(&cc, now, 200 * UTCP_MSEC, 3230 * UTCP_MSEC);
    assert_in_range(cc.cwnd, 75500, 77500);
}

/* A loss at 20 segments leaves 14, and an RTT of 10 ms: K is 2.47 s, but Reno would have W_max again
 * after 6 / 0.529 = 11.3 round trips, and 10.6 segments more after another twenty. */
static void in_the_region_of_reno_cubic_does_as_reno(void **state)
{
    struct cc cc = cubic_in_avoidance(20);
    utcp_time now = UTCP_SEC;

    (void)state;
    reduce(&cc, CC_LOSS, now);
    now = run(&cc, now, 10 * UTCP_MSEC, 113 * UTCP_MSEC);
    assert_in_range(cc.cwnd, 18000, 20000);
    run(&cc, now, 10 * UTCP_MSEC, 200 * UTCP_MSEC);
    assert_in_range(cc.cwnd, 28000, 31000);
}

/* Section 4.2: the target is at most 1.5 * cwnd, so two segments acknowledged bring one at most. */
static void cubic_grows_by_half_a_window_at_most(void **state)
{
    struct cc_ack ack = {.acked = 1000, .rtt = 100 * UTCP_MSEC, .limited = true};
    struct cc cc = cubic_in_avoidance(10);

    (void)state;
    ack.now = UTCP_SEC;
    cc.ops->on_ack(&cc, &ack);
    ack.now = 60 * UTCP_SEC;
    ack.acked = 10000;
    cc.ops->on_ack(&cc, &ack);
    assert_int_equal(cc.cwnd, 15000);
}

/* As Linux: 5 % a round trip, even before t^3 amounts to anything. */
static void without_a_w_max_twenty_segments_buy_one(void **state)
{
    struct cc cc = cubic_in_avoidance(50);
    struct cc_ack ack = {.now = UTCP_SEC, .acked = 19000, .rtt = UTCP_MSEC, .limited = true};

    (void)state;
    cc.ops->on_ack(&cc, &ack);
    assert_int_equal(cc.cwnd, 50000);
    ack.acked = 1000;
    cc.ops->on_ack(&cc, &ack);
    assert_int_equal(cc.cwnd, 51000);
}

/* Section 4.8: K is 0 and W_max is where congestion avoidance begins: 70, so 4.217 s later there are
 * 0.4 * 4.217^3 + 70 = 100 again, but by the convex way: 0.4 * 2^3 + 70 = 73 after two seconds. Linux's
 * 5 % and Reno's growth would be more with a short RTT; it is 1 s. */
static void after_a_timeout_there_is_no_w_max(void **state)
{
    struct cc cc = cubic_in_avoidance(100);
    utcp_time now = UTCP_SEC;

    (void)state;
    reduce(&cc, CC_TIMEOUT, now);
    now = run(&cc, now, UTCP_SEC, 1900 * UTCP_MSEC);
    assert_in_range(cc.cwnd, 73000, 79000);
}

/* Section 4.9. K = cbrt(30 / 0.4); what was taken back leaves no trace in the growth. */
static void undo_brings_the_whole_epoch_back(void **state)
{
    struct cc cc = cubic_in_avoidance(100);
    utcp_time now = UTCP_SEC;
    struct cc never;

    (void)state;
    reduce(&cc, CC_LOSS, now);
    now = run(&cc, now, 100 * UTCP_MSEC, UTCP_SEC);
    never = cc;
    reduce(&cc, CC_TIMEOUT, now);
    cc.ops->undo(&cc);
    cc.cwnd = never.cwnd;
    cc.ssthresh = never.ssthresh;
    run(&cc, now, 100 * UTCP_MSEC, 2 * UTCP_SEC);
    run(&never, now, 100 * UTCP_MSEC, 2 * UTCP_SEC);
    assert_int_equal(cc.cwnd, never.cwnd);
}

/* The same growth in a second, with a minute of silence before it and without. */
static void idle_time_is_no_time_to_cubic(void **state)
{
    struct cc cc = cubic_in_avoidance(100);
    utcp_time now = UTCP_SEC;
    struct cc busy;

    (void)state;
    reduce(&cc, CC_LOSS, now);
    now = run(&cc, now, 100 * UTCP_MSEC, UTCP_SEC);
    busy = cc;
    run(&busy, now, 100 * UTCP_MSEC, UTCP_SEC);
    now += 60 * UTCP_SEC;
    cc.ops->after_idle(&cc, 60 * UTCP_SEC, now);
    run(&cc, now, 100 * UTCP_MSEC, UTCP_SEC);
    assert_int_equal(cc.cwnd, busy.cwnd);
}

/* Section 5.8: a minute of ACKs that could not move the window is no time either. */
static void time_with_too_little_to_send_is_no_time_to_cubic(void **state)
{
    struct cc_ack ack = {.acked = MSS, .in_flight = MSS};
    struct cc cc = cubic_in_avoidance(100);
    utcp_time now = UTCP_SEC;
    struct cc busy;

    (void)state;
    reduce(&cc, CC_LOSS, now);
    now = run(&cc, now, 100 * UTCP_MSEC, UTCP_SEC);
    busy = cc;
    run(&busy, now, 100 * UTCP_MSEC, UTCP_SEC);
    for (unsigned i = 0; i < 600; i++) {
        ack.now = now += 100 * UTCP_MSEC;
        cc.ops->on_ack(&cc, &ack);
    }
    run(&cc, now, 100 * UTCP_MSEC, UTCP_SEC);
    assert_int_equal(cc.cwnd, busy.cwnd);
}

/* Extremes of window, segment and time: nothing wraps. */
static void cubic_survives_huge_windows_and_long_times(void **state)
{
    struct cc cc;

    (void)state;
    cc_init(&cc, cc_find("cubic"), (struct cc_options){0}, 65495, 1000);
    cc.cwnd = cc.ssthresh = CC_CWND_MAX;
    reduce(&cc, CC_LOSS, UTCP_SEC);
    for (unsigned i = 1; i < 100; i++) {
        struct cc_ack ack = {
            .now = i * 1000000 * UTCP_SEC, .acked = cc.cwnd, .rtt = 1, .limited = true};
        uint32_t before = cc.cwnd;

        cc.ops->on_ack(&cc, &ack);
        assert_in_range(cc.cwnd, before, CC_CWND_MAX);
    }
    assert_in_range(cc.cwnd, CC_CWND_MAX - 65495, CC_CWND_MAX);
}

/*
 * Linux's CUBIC on a path that takes two segments each 100 ms, as google's packetdrill script
 * cubic-bulk-166k has it: HyStart ends slow start at 48, and then the window is, at each 20 segments
 * acknowledged, 49, 50, 52 and 58; from there on two segments acknowledged bring one.
 */
static void the_window_on_a_slow_path_is_that_of_linux(void **state)
{
    static const unsigned expected[] = {10, 30, 48, 49, 50, 52, 58, 68, 78, 88, 98, 108, 118};
    utcp_time sent[500] = {0};
    struct cc cc;
    unsigned acked = 0, next = 10;

    (void)state;
    cc_init(&cc, cc_find("cubic"), (struct cc_options){.hystart = HYSTART_LINUX}, MSS, 10);
    for (unsigned i = 1; i <= 120; i++) {
        struct cc_ack ack = {.now = i * 100 * UTCP_MSEC, .acked = 2 * MSS, .limited = true};

        ack.in_flight = (next - acked) * MSS;
        ack.rtt = ack.now - sent[acked + 1];
        cc.ops->on_ack(&cc, &ack);
        acked += 2;
        for (; next - acked < cc.cwnd / MSS; next++)
            sent[next] = ack.now;
        if (acked % 20 == 0)
            assert_int_equal(cc.cwnd / MSS, expected[acked / 20]);
    }
}

/* ---- HyStart++, RFC 9406 ---- */

/* A round trip of slow start, in ACKs of a segment with an RTT each; returns the segments grown. */
static uint32_t round_trip(struct cc *cc, unsigned acks, uint64_t rtt)
{
    uint32_t before = cc->cwnd;

    for (unsigned i = 0; i < acks; i++) {
        struct cc_ack ack = {.acked = MSS, .in_flight = acks * MSS, .rtt = rtt, .limited = true};

        cc->ops->on_ack(cc, &ack);
    }
    return (cc->cwnd - before) / MSS;
}

static struct cc hystart(enum hystart_kind kind)
{
    struct cc cc;

    cc_init(&cc, cc_find("cubic"), (struct cc_options){.hystart = kind}, MSS, 10);
    return cc;
}

static void steady_round_trips_keep_slow_start_going(void **state)
{
    struct cc cc = hystart(HYSTART_PLUS_PLUS);

    (void)state;
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(round_trip(&cc, 16, 50 * UTCP_MSEC), 16);
    assert_int_equal(cc.ssthresh, UINT32_MAX);
}

/* RttThresh = max(4 ms, min(40 ms / 8, 16 ms)) = 5 ms. The round's eighth sample decides; growth by a
 * quarter; that round counts as the first of five. */
static void a_longer_round_trip_slows_slow_start_down_for_five_rounds(void **state)
{
    struct cc cc = hystart(HYSTART_PLUS_PLUS);

    (void)state;
    round_trip(&cc, 16, 40 * UTCP_MSEC);
    assert_int_equal(round_trip(&cc, 16, 45 * UTCP_MSEC - 1), 16);
    round_trip(&cc, 16, 40 * UTCP_MSEC);
    /* Seven at full rate, nine at a quarter. */
    assert_int_equal(round_trip(&cc, 16, 45 * UTCP_MSEC), 7 + 2);
    for (unsigned i = 2; i <= 5; i++) {
        assert_int_equal(round_trip(&cc, 16, 45 * UTCP_MSEC), 4);
        assert_int_equal(cc.ssthresh, UINT32_MAX);
    }
    round_trip(&cc, 1, 45 * UTCP_MSEC);
    assert_in_range(cc.ssthresh, cc.cwnd - MSS, cc.cwnd);
}

/* Section 4.2: the threshold is 4 ms at least and 16 ms at most. */
static void the_threshold_has_bounds(void **state)
{
    struct cc cc = hystart(HYSTART_PLUS_PLUS);

    (void)state;
    round_trip(&cc, 16, 8 * UTCP_MSEC);
    assert_int_equal(round_trip(&cc, 16, 12 * UTCP_MSEC - 1), 16);
    cc = hystart(HYSTART_PLUS_PLUS);
    round_trip(&cc, 16, 8 * UTCP_MSEC);
    assert_int_equal(round_trip(&cc, 16, 12 * UTCP_MSEC), 9);
    cc = hystart(HYSTART_PLUS_PLUS);
    round_trip(&cc, 16, 400 * UTCP_MSEC);
    assert_int_equal(round_trip(&cc, 16, 416 * UTCP_MSEC), 9);
}

static void fewer_than_eight_samples_decide_nothing(void **state)
{
    struct cc cc = hystart(HYSTART_PLUS_PLUS);

    (void)state;
    round_trip(&cc, 7, 40 * UTCP_MSEC);
    assert_int_equal(round_trip(&cc, 7, 90 * UTCP_MSEC), 7);
    assert_int_equal(round_trip(&cc, 7, 190 * UTCP_MSEC), 7);
}

static void a_shorter_round_trip_resumes_slow_start(void **state)
{
    struct cc cc = hystart(HYSTART_PLUS_PLUS);

    (void)state;
    round_trip(&cc, 16, 40 * UTCP_MSEC);
    round_trip(&cc, 16, 60 * UTCP_MSEC);
    assert_int_equal(round_trip(&cc, 16, 60 * UTCP_MSEC), 4);
    /* The baseline is 60 ms; seven at a quarter, then in full again. */
    assert_in_range(round_trip(&cc, 16, 59 * UTCP_MSEC), 9 + 1, 9 + 2);
    assert_int_equal(round_trip(&cc, 16, 59 * UTCP_MSEC), 16);
    assert_int_equal(cc.ssthresh, UINT32_MAX);
}

static void only_the_first_slow_start_is_watched(void **state)
{
    struct cc cc = hystart(HYSTART_PLUS_PLUS);

    (void)state;
    cc.ssthresh = 1000 * MSS;
    round_trip(&cc, 16, 40 * UTCP_MSEC);
    assert_int_equal(round_trip(&cc, 16, 80 * UTCP_MSEC), 16);
}

/* As Linux: more than the least RTT of all and an eighth, after eight samples, ends it at once. */
static void linux_s_hystart_ends_slow_start_at_once(void **state)
{
    struct cc_ack ack = {.acked = 10000, .rtt = 200 * UTCP_MSEC, .limited = true};
    struct cc cc = hystart(HYSTART_LINUX);

    (void)state;
    cc.ops->on_ack(&cc, &ack);
    ack =
        (struct cc_ack){.acked = 2000, .in_flight = 20000, .rtt = 240 * UTCP_MSEC, .limited = true};
    for (unsigned i = 0; i < 8; i++)
        cc.ops->on_ack(&cc, &ack);
    assert_int_equal(cc.ssthresh, UINT32_MAX);
    assert_int_equal(cc.cwnd, 36000);
    cc.ops->on_ack(&cc, &ack);
    assert_int_equal(cc.ssthresh, 36000);
    assert_int_equal(cc.cwnd, 36000);
}

/* As Linux: ACKs less than 2 ms apart that go on for half the least RTT. */
static void linux_s_hystart_ends_slow_start_at_a_long_train_of_acks(void **state)
{
    struct cc_ack ack = {.acked = 10000, .rtt = 40 * UTCP_MSEC, .limited = true};
    struct cc cc = hystart(HYSTART_LINUX);

    (void)state;
    cc.ops->on_ack(&cc, &ack);
    ack.acked = MSS;
    ack.in_flight = 100000;
    for (unsigned i = 0; i <= 20; i++) {
        assert_int_equal(cc.ssthresh, UINT32_MAX);
        ack.now += UTCP_MSEC;
        cc.ops->on_ack(&cc, &ack);
    }
    ack.now += UTCP_MSEC;
    cc.ops->on_ack(&cc, &ack);
    assert_int_equal(cc.ssthresh, cc.cwnd);
}

static void without_hystart_only_loss_ends_slow_start(void **state)
{
    struct cc cc = hystart(HYSTART_OFF);

    (void)state;
    for (unsigned i = 1; i < 20; i++)
        assert_int_equal(round_trip(&cc, 16, i * 100 * UTCP_MSEC), 16);
}

/* ---- what is in use of the window, RFC 7661 ---- */

static void acks(tcp_seq number)
{
    inject(A, 1, number, WIN, 0);
}

/* A window of 36 segments after two round trips, with nothing in flight. */
static void with_36_segments(void)
{
    established_client(plain_peer(WIN));
    write_bytes(26000);
    acks(10001);
    acks(26001);
    drop_sent();
    assert_int_equal(world.conn->cc.cwnd, 36000);
}

/* google's slow-start-app-limited-9-packets-out. */
static void slow_start_grows_to_twice_what_was_in_flight(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    write_bytes(9000);
    assert_int_equal(drop_sent(), 9);
    for (tcp_seq number = 2001; number <= 8001; number += 2000)
        acks(number);
    assert_int_equal(world.conn->cc.cwnd, 18000);
    acks(9001);
    assert_int_equal(world.conn->cc.cwnd, 18000);
}

static void half_a_window_in_flight_does_not_widen_it(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    write_bytes(5000);
    acks(2001);
    acks(5001);
    drop_sent();
    assert_int_equal(world.conn->cc.cwnd, 10000);
}

static void above_ssthresh_only_a_full_window_grows(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    world.conn->cc.ssthresh = 10000;
    write_bytes(9000);
    acks(9001);
    assert_int_equal(world.conn->cc.acked, 0);
    write_bytes(10000);
    acks(19001);
    drop_sent();
    assert_int_equal(world.conn->cc.cwnd, 11000);
}

/* The RTO is 210 ms: 36 segments, 18, and then the initial window. ssthresh was unbounded. */
static void after_idle_the_window_halves_for_each_rto(void **state)
{
    (void)state;
    with_36_segments();
    advance_by(2 * world.conn->rtt.rto - UTCP_MSEC);
    write_bytes(20000);
    assert_int_equal(drop_sent(), 18);
    acks(44001);
    acks(46001);
    drop_sent();
    advance_by(60 * UTCP_SEC);
    write_bytes(20000);
    assert_int_equal(drop_sent(), 10);
}

static void a_pause_within_the_rto_leaves_the_window_alone(void **state)
{
    (void)state;
    with_36_segments();
    advance_by(world.conn->rtt.rto);
    write_bytes(30000);
    assert_int_equal(drop_sent(), 30);
}

static void what_an_idle_connection_knew_is_kept_in_ssthresh(void **state)
{
    (void)state;
    with_36_segments();
    world.conn->cc.ssthresh = 20000;
    advance_by(60 * UTCP_SEC);
    write_bytes(20000);
    assert_int_equal(drop_sent(), 10);
    assert_int_equal(world.conn->cc.ssthresh, 27000);
}

static void without_slow_start_after_idle_the_window_stays(void **state)
{
    (void)state;
    world.settings.slow_start_after_idle = 0;
    with_36_segments();
    advance_by(60 * UTCP_SEC);
    write_bytes(40000);
    assert_int_equal(drop_sent(), 36);
}

/* Two segments each 100 ms, never idle for an RTO: after one the window is cut half way down to the
 * initial one, (36 + 10) / 2, then (23 + 10) / 2. */
static void a_window_that_is_not_used_is_cut_half_way_for_each_rto(void **state)
{
    (void)state;
    with_36_segments();
    for (unsigned i = 0; i < 3; i++) {
        advance_by(100 * UTCP_MSEC);
        write_bytes(2000);
        acks(world.written);
    }
    assert_int_equal(world.conn->cc.cwnd, 23000);
    for (unsigned i = 0; i < 3; i++) {
        advance_by(100 * UTCP_MSEC);
        write_bytes(2000);
        acks(world.written);
    }
    assert_int_equal(world.conn->cc.cwnd, 16000);
    drop_sent();
}

/* google's slow-start-after-win-update: silence because the peer's window is closed is silence. */
static void a_window_that_was_closed_for_long_opens_to_slow_start(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    write_bytes(26000);
    acks(10001);
    inject(A, 1, 26001, 0, 0);
    drop_sent();
    write_bytes(20000);
    advance_by(2 * UTCP_SEC);
    drop_sent();
    assert_int_equal(world.conn->cc.cwnd, 36000);
    acks(26001);
    assert_int_equal(drop_sent(), 10);
}

/* ---- choosing ---- */

static void another_algorithm_goes_on_with_the_same_window(void **state)
{
    (void)state;
    with_36_segments();
    world.conn->cc.ssthresh = 50000;
    assert_int_equal(utcp_get_option(world.conn, UTCP_OPT_CONGESTION), 1);
    assert_string_equal(utcp_congestion_name(1), "reno");
    assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_CONGESTION, 0), 0);
    assert_string_equal(world.conn->cc.ops->name, "cubic");
    assert_int_equal(world.conn->cc.cwnd, 36000);
    assert_int_equal(world.conn->cc.ssthresh, 50000);
    assert_int_equal(utcp_get_option(world.conn, UTCP_OPT_CONGESTION), 0);
    assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_CONGESTION, 2), -EINVAL);
    write_bytes(36000);
    acks(62001); /* 14 up to ssthresh; 22 are left, and buy one */
    assert_int_equal(world.conn->cc.cwnd, 51000);
    drop_sent();
}

static void what_is_accepted_has_its_listener_s_algorithm(void **state)
{
    (void)state;
    start_listening(5);
    utcp_set_option(world.listener, UTCP_OPT_CONGESTION, 0);
    inject_syn(S, 0, 0, plain_peer(WIN));
    drop_sent();
    acks(1);
    world.conn = utcp_accept(world.listener, &world);
    assert_non_null(world.conn);
    assert_string_equal(world.conn->cc.ops->name, "cubic");
}

/* A loss in a reduction that ECN began reduces nothing more, so there is nothing to take back. */
static void undoing_a_recovery_leaves_the_reduction_by_ecn_before_it(void **state)
{
    uint64_t before[CC_STATE_WORDS];

    (void)state;
    with_36_segments();
    utcp_set_option(world.conn, UTCP_OPT_CONGESTION, 0);
    recovery_enter_cwr(world.conn, CC_ECN);
    memcpy(before, world.conn->cc.state, sizeof(before));
    undo_init(world.conn, false);
    world.conn->recovery.undo.resent = true;
    assert_true(undo_by_dsack(world.conn));
    assert_memory_equal(world.conn->cc.state, before, sizeof(before));
    assert_int_equal(world.conn->cc.ssthresh, 25000);
}

/* ---- pacing ---- */

/* So many whole segments from this number on, and nothing more. */
static void expect_segments(tcp_seq seq, unsigned count)
{
    for (unsigned i = 0; i < count; i++, seq += MSS)
        expect(seq + MSS == world.written ? PA : A, seq, 1, WIN, MSS);
    expect_nothing();
}

/* A window of 20 segments, none of them in flight, and an RTT of 10 ms. */
static void with_20_segments(void)
{
    established_client(plain_peer(WIN));
    write_bytes(10000);
    expect_segments(1, 10);
    advance_by(RTT);
    acks(10001);
    assert_int_equal(world.conn->rtt.srtt, RTT);
}

/* Twice 20 segments in 10 ms are 4 MB/s: 3906 bytes in 1/1024 s, so three segments in 750 us. The first
 * come late and catch up by half. */
static void in_slow_start_the_window_is_spread_over_half_a_round_trip(void **state)
{
    (void)state;
    world.settings.pacing = 1;
    with_20_segments();
    assert_int_equal(pacing_rate(world.conn), 4000000);
    write_bytes(20000);
    expect_segments(10001, 3);
    nothing_before(375 * UTCP_USEC);
    expect_segments(13001, 3);
    nothing_before(750 * UTCP_USEC);
    expect_segments(16001, 3);
    advance_by(4 * 750 * UTCP_USEC);
    assert_int_equal(drop_sent(), 11);
}

/* 1.2 times 20 segments in 10 ms are 2.4 MB/s, 2343 bytes in 1/1024 s: two segments in 833 us. */
static void in_avoidance_it_is_spread_over_five_sixths(void **state)
{
    (void)state;
    world.settings.pacing = 1;
    with_20_segments();
    world.conn->cc.ssthresh = 20000;
    write_bytes(20000);
    expect_segments(10001, 2);
    nothing_before(2000 * UTCP_SEC / 2400000 / 2 + 1);
    expect_segments(12001, 2);
    nothing_before(2000 * UTCP_SEC / 2400000);
    expect_segments(14001, 2);
    advance_by(UTCP_SEC);
    drop_sent();
}

/* The window after a reduction, a second of ACKs that could not move it, and five more seconds. */
static uint32_t window_after_a_second(bool held)
{
    struct cc cc = cubic_in_avoidance(100);
    utcp_time now = UTCP_SEC;

    reduce(&cc, CC_LOSS, now);
    now = run(&cc, now, 100 * UTCP_MSEC, 100 * UTCP_MSEC);
    for (unsigned i = 0; i < 10; i++) {
        struct cc_ack ack = {.acked = MSS, .in_flight = MSS, .held = held};

        ack.now = now += 100 * UTCP_MSEC;
        cc.ops->on_ack(&cc, &ack);
    }
    run(&cc, now, 100 * UTCP_MSEC, 5 * UTCP_SEC);
    return cc.cwnd;
}

/* Data that the pace holds back is not missing: the time counts, as in Linux, for which what waits in a
 * pacing queue is sent. */
static void time_spent_on_pacing_counts_to_cubic(void **state)
{
    (void)state;
    assert_true(window_after_a_second(true) > window_after_a_second(false));
}

static struct cc_ack heard;

static void hear(struct cc *cc, const struct cc_ack *ack)
{
    (void)cc;
    heard = *ack;
}

static void congestion_control_hears_that_the_pace_holds_data_back(void **state)
{
    struct cc_ops ops;

    (void)state;
    world.settings.pacing = 1;
    with_20_segments();
    ops = *world.conn->cc.ops;
    ops.on_ack = hear;
    world.conn->cc.ops = &ops;
    write_bytes(20000);
    assert_int_equal(drop_sent(), 3);
    acks(11001);
    assert_true(heard.held);
    advance_by(UTCP_SEC);
    drop_sent();
    acks(13001);
    assert_false(heard.held);
    world.conn->cc.ops = cc_find("cubic");
}

static void without_pacing_a_window_goes_at_once(void **state)
{
    (void)state;
    with_20_segments();
    write_bytes(20000);
    expect_segments(10001, 20);
}

/* SO_MAX_PACING_RATE: 100 kB/s are two segments in 20 ms. */
static void a_greatest_rate_paces_a_connection_by_itself(void **state)
{
    (void)state;
    with_20_segments();
    utcp_set_option(world.conn, UTCP_OPT_MAX_PACING_RATE, 100000);
    write_bytes(8000);
    expect_segments(10001, 2);
    nothing_before(10 * UTCP_MSEC);
    expect_segments(12001, 2);
    nothing_before(20 * UTCP_MSEC);
    expect_segments(14001, 2);
    assert_int_equal(utcp_get_option(world.conn, UTCP_OPT_MAX_PACING_RATE), 100000);
    utcp_set_option(world.conn, UTCP_OPT_MAX_PACING_RATE, UINT64_MAX);
    release();
    expect_segments(16001, 2);
}

/* A second for each segment. The persist timer has no part in it. */
static void a_rate_lower_than_the_rto_still_sends_data_and_no_probe(void **state)
{
    (void)state;
    with_20_segments();
    utcp_set_option(world.conn, UTCP_OPT_MAX_PACING_RATE, 1000);
    write_bytes(4000);
    expect_segments(10001, 2);
    acks(12001);
    nothing_before(UTCP_SEC);
    expect_segments(12001, 2);
    drop_sent();
}

static void acks_are_not_paced(void **state)
{
    (void)state;
    with_20_segments();
    utcp_set_option(world.conn, UTCP_OPT_MAX_PACING_RATE, 1000);
    write_bytes(4000);
    expect_segments(10001, 2);
    inject(PA, 1, 10001, WIN, 100);
    expect(A, 12001, 101, WIN - 100, 0);
    expect_nothing();
}

static void after_a_timeout_the_head_goes_whatever_the_pace(void **state)
{
    (void)state;
    world.settings.tail_probe = 0;
    with_20_segments();
    utcp_set_option(world.conn, UTCP_OPT_MAX_PACING_RATE, 100);
    write_bytes(4000);
    expect_segments(10001, 2);
    advance_by(UTCP_SEC);
    assert_true(utcp_counters(world.stack)->tcp_timeouts > 0);
    expect(A, 10001, 1, WIN, 1000);
    drop_sent();
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(slow_start_adds_what_is_acknowledged_up_to_ssthresh),
        TEST(reno_adds_a_segment_for_each_window_above_ssthresh),
        TEST(a_window_that_was_not_in_use_does_not_grow),
        TEST(the_window_stops_at_a_gigabyte),
        TEST(reno_halves_in_whole_segments_and_never_below_two),
        TEST(reno_gives_way_less_to_a_mark),
        TEST(cubic_is_the_default),
        TEST(cubic_keeps_seven_tenths),
        TEST(cubic_gives_way_less_to_a_mark),
        TEST(cubic_is_concave_up_to_w_max_and_convex_beyond),
        TEST(fast_convergence_asks_for_less_than_the_last_w_max),
        TEST(in_the_region_of_reno_cubic_does_as_reno),
        TEST(cubic_grows_by_half_a_window_at_most),
        TEST(without_a_w_max_twenty_segments_buy_one),
        TEST(after_a_timeout_there_is_no_w_max),
        TEST(undo_brings_the_whole_epoch_back),
        TEST(idle_time_is_no_time_to_cubic),
        TEST(time_with_too_little_to_send_is_no_time_to_cubic),
        TEST(cubic_survives_huge_windows_and_long_times),
        TEST(the_window_on_a_slow_path_is_that_of_linux),
        TEST(steady_round_trips_keep_slow_start_going),
        TEST(a_longer_round_trip_slows_slow_start_down_for_five_rounds),
        TEST(the_threshold_has_bounds),
        TEST(fewer_than_eight_samples_decide_nothing),
        TEST(a_shorter_round_trip_resumes_slow_start),
        TEST(only_the_first_slow_start_is_watched),
        TEST(linux_s_hystart_ends_slow_start_at_once),
        TEST(linux_s_hystart_ends_slow_start_at_a_long_train_of_acks),
        TEST(without_hystart_only_loss_ends_slow_start),
        TEST(slow_start_grows_to_twice_what_was_in_flight),
        TEST(half_a_window_in_flight_does_not_widen_it),
        TEST(above_ssthresh_only_a_full_window_grows),
        TEST(after_idle_the_window_halves_for_each_rto),
        TEST(a_pause_within_the_rto_leaves_the_window_alone),
        TEST(what_an_idle_connection_knew_is_kept_in_ssthresh),
        TEST(without_slow_start_after_idle_the_window_stays),
        TEST(a_window_that_is_not_used_is_cut_half_way_for_each_rto),
        TEST(a_window_that_was_closed_for_long_opens_to_slow_start),
        TEST(another_algorithm_goes_on_with_the_same_window),
        TEST(what_is_accepted_has_its_listener_s_algorithm),
        TEST(undoing_a_recovery_leaves_the_reduction_by_ecn_before_it),
        TEST(in_slow_start_the_window_is_spread_over_half_a_round_trip),
        TEST(in_avoidance_it_is_spread_over_five_sixths),
        TEST(time_spent_on_pacing_counts_to_cubic),
        TEST(congestion_control_hears_that_the_pace_holds_data_back),
        TEST(without_pacing_a_window_goes_at_once),
        TEST(a_greatest_rate_paces_a_connection_by_itself),
        TEST(a_rate_lower_than_the_rto_still_sends_data_and_no_probe),
        TEST(acks_are_not_paced),
        TEST(after_a_timeout_the_head_goes_whatever_the_pace),
    };

    select_test(argc, argv);
    return cmocka_run_group_tests_name("congestion", tests, NULL, NULL);
}
