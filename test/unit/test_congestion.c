/* SPDX-License-Identifier: MIT */
/* Congestion control: the algorithms on their own, by what they are told. */
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

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(slow_start_adds_what_is_acknowledged_up_to_ssthresh),
        TEST(reno_adds_a_segment_for_each_window_above_ssthresh),
        TEST(a_window_that_was_not_in_use_does_not_grow),
        TEST(the_window_stops_at_a_gigabyte),
        TEST(reno_halves_in_whole_segments_and_never_below_two),
        TEST(reno_gives_way_less_to_a_mark),
    };

    select_test(argc, argv);
    return cmocka_run_group_tests_name("congestion", tests, NULL, NULL);
}
