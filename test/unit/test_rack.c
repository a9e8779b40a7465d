/* SPDX-License-Identifier: MIT */
/*
 * Loss recovery with SACK: RACK and the tail loss probe (RFC 8985), PRR (RFC 6937), and what takes
 * back a reduction that was spurious (RFC 5682, RFC 3708).
 */
#include "harness.h"

static const struct peer sack_peer = {
    .window = WIN, .mss = 1000, .wscale = NO_WSCALE, .sack = true};

static struct tcp_options block(tcp_seq from, tcp_seq to)
{
    return (struct tcp_options){.sack_count = 1, .sack = {{from, to}}};
}

static struct tcp_options duplicate(tcp_seq from, tcp_seq to)
{
    return block(from, to);
}

/* So many segments, each sent half a millisecond after the one before. */
static void fly_spaced(unsigned segments)
{
    world.settings.sack = 1;
    world.settings.initial_window = segments;
    established_client(sack_peer);
    utcp_set_option(world.conn, UTCP_OPT_NODELAY, 1);
    for (unsigned i = 0; i < segments; i++) {
        write_bytes(1000);
        expect(PA, i * 1000 + 1, 1, WIN, 1000);
        advance_by(UTCP_MSEC / 2);
    }
}

static void fly(unsigned segments, uint32_t queued)
{
    world.settings.sack = 1;
    world.settings.initial_window = segments;
    established_client(sack_peer);
    write_bytes(segments * 1000 + queued);
    assert_int_equal(drop_sent(), segments);
}

/* ---- RACK ---- */

static void one_segment_out_of_order_waits_a_quarter_of_the_round_trip(void **state)
{
    (void)state;
    fly_spaced(3);
    advance_by(RTT - UTCP_MSEC); /* the second was sent 10 ms ago */
    inject_with(A, 1, 1, WIN, 0, block(1001, 2001));
    expect_nothing();
    /* The first was sent 10.5 ms ago: it is lost 10 + 10/4 ms after that. */
    nothing_before(2 * UTCP_MSEC);
    expect(A, 1, 1, WIN, 1000);
    assert_int_equal(world.conn->recovery.state, CA_RECOVERY);
}

static void what_comes_within_the_reordering_window_is_not_lost(void **state)
{
    (void)state;
    fly_spaced(3);
    advance_by(RTT - UTCP_MSEC);
    inject_with(A, 1, 1, WIN, 0, block(1001, 2001));
    advance_by(UTCP_MSEC);
    inject(A, 1, 2001, WIN, 0);
    inject(A, 1, 3001, WIN, 0);
    advance_by(10 * UTCP_SEC);
    expect_nothing();
    assert_true(world.conn->recovery.rack.reordered);
    assert_int_equal(utcp_counters(world.stack)->tcp_retransmits, 0);
}

static void three_segments_above_a_hole_end_the_wait(void **state)
{
    (void)state;
    fly_spaced(4);
    advance_by(RTT);
    inject_with(A, 1, 1, WIN, 0, block(1001, 3001));
    expect_nothing();
    inject_with(A, 1, 1, WIN, 0, block(1001, 4001));
    expect(A, 1, 1, WIN, 1000);
}

static void once_the_path_reorders_three_segments_prove_nothing(void **state)
{
    (void)state;
    fly_spaced(8);
    advance_by(RTT);
    inject_with(A, 1, 1, WIN, 0, block(1001, 2001));
    inject(A, 1, 2001, WIN, 0); /* reordered, not lost */
    inject_with(A, 1, 2001, WIN, 0, block(3001, 6001));
    expect_nothing();
    inject(A, 1, 8001, WIN, 0);
    assert_int_equal(utcp_counters(world.stack)->tcp_retransmits, 0);
}

static void a_repetition_that_is_lost_goes_again_without_a_timeout(void **state)
{
    (void)state;
    fly(10, 5000);
    advance_by(RTT);
    inject_with(A, 1, 1, WIN, 0, block(1001, 4001));
    expect(A, 1, 1, WIN, 1000);
    drop_sent();
    /* What was sent after the repetition is SACKed a round trip later. */
    inject_with(A, 1, 1, WIN, 0, block(1001, 9001));
    assert_true(drop_sent() > 0);
    advance_by(RTT);
    inject_with(A, 1, 1, WIN, 0, block(1001, 11001));
    advance_by(RTT);
    expect(A, 1, 1, WIN, 1000);
    assert_int_equal(utcp_counters(world.stack)->tcp_timeouts, 0);
}

static void the_reordering_window_grows_with_dsacks_and_shrinks_after_16_recoveries(void **state)
{
    struct rack *rack;

    (void)state;
    fly(4, 0);
    rack = &world.conn->recovery.rack;
    advance_by(RTT);
    inject_with(A, 1, 1, WIN, 0, block(1001, 4001));
    drop_sent();
    inject(A, 1, 4001, WIN, 0);
    write_bytes(1000);
    inject_with(A, 1, 4001, WIN, 0, duplicate(1, 1001));
    assert_int_equal(rack->grown, world.conn->rtt.srtt / 4);
    inject_with(A, 1, 4001, WIN, 0, duplicate(1, 1001));
    assert_int_equal(rack->grown, world.conn->rtt.srtt / 4); /* once a round trip */
    drop_sent();
    inject(A, 1, 5001, WIN, 0);
    for (tcp_seq una = 5001; rack->grown > 0; una += 4000) {
        world.conn->cc.cwnd = 10000;
        write_bytes(4000);
        advance_by(RTT);
        inject_with(A, 1, una, WIN, 0, block(una + 1000, una + 4000));
        advance_by(RTT);
        inject(A, 1, una + 4000, WIN, 0);
        drop_sent();
        assert_true(una < 5001 + 16 * 4000);
    }
    assert_int_equal(rack->window_persist, 0);
}

/* What came late without being lost is waited for as long the next time. */
static void the_reordering_window_is_as_large_as_the_delay_that_was_seen(void **state)
{
    (void)state;
    fly_spaced(6);
    advance_by(RTT - UTCP_MSEC); /* the third was sent 11.5 ms ago */
    inject_with(A, 1, 1, WIN, 0, block(1001, 3001));
    advance_by(UTCP_MSEC);
    inject(A, 1, 3001, WIN, 0);
    /* The first was 1 ms older than the third, and came 1 ms after it. */
    assert_int_equal(world.conn->recovery.rack.grown, 2 * UTCP_MSEC);
    inject(A, 1, 6001, WIN, 0);
}

/* As Linux: of a SACK and of the ACK after it, whatever lay before what had been SACKed. */
static void each_ack_that_tells_of_reordering_counts_once(void **state)
{
    struct utcp_info info;

    (void)state;
    fly(10, 0);
    advance_by(RTT);
    inject_with(A, 1, 1, WIN, 0, block(9001, 10001));
    inject_with(A, 1, 1, WIN, 0, block(3001, 4001));
    inject(A, 1, 10001, WIN, 0);
    utcp_info(world.conn, world.now, &info);
    assert_int_equal(info.reorderings, 2);
    assert_int_equal(info.reordering, 10);
}

/* ---- the tail loss probe ---- */

static void the_last_segment_goes_again_after_two_round_trips(void **state)
{
    (void)state;
    fly(3, 0);
    nothing_before(2 * RTT + 2 * UTCP_MSEC);
    expect(PA, 2001, 1, WIN, 1000);
    expect_nothing();
    assert_int_equal(utcp_counters(world.stack)->tcp_tail_probes, 1);
    assert_int_equal(utcp_counters(world.stack)->tcp_timeouts, 0);
    /* The RTO begins anew. */
    nothing_before(RTO);
    expect(A, 1, 1, WIN, 1000);
}

/* Only news puts it off: half a SACKed segment is none. */
static void an_ack_without_news_does_not_put_the_probe_off(void **state)
{
    (void)state;
    fly(3, 0);
    advance_by(RTT);
    inject_with(A, 1, 1, WIN, 0, block(2501, 3001));
    inject(A, 1, 1, WIN, 0);
    nothing_before(RTT + 2 * UTCP_MSEC);
    expect(PA, 2001, 1, WIN, 1000);
    assert_int_equal(utcp_counters(world.stack)->tcp_tail_probes, 1);
}

/* As Linux: the time-out sends the head, and comes no later for it. */
static void what_lies_beyond_a_shrunk_window_is_no_probe(void **state)
{
    (void)state;
    fly(3, 0);
    advance_by(UTCP_MSEC);
    inject(A, 1, 1, 1500, 0);
    nothing_before(RTO - UTCP_MSEC);
    expect(A, 1, 1, WIN, 1000);
    expect_nothing();
    assert_int_equal(utcp_counters(world.stack)->tcp_tail_probes, 0);
}

static void a_probe_of_a_lost_tail_brings_recovery(void **state)
{
    (void)state;
    fly(3, 0);
    advance_by(RTT);
    inject(A, 1, 1001, WIN, 0);
    advance_by(2 * RTT + 2 * UTCP_MSEC);
    expect(PA, 2001, 1, WIN, 1000);
    advance_by(RTT);
    inject_with(A, 1, 1001, WIN, 0, block(2001, 3001));
    advance_by(RTT);
    expect(A, 1001, 1, WIN, 1000);
    assert_int_equal(utcp_counters(world.stack)->tcp_timeouts, 0);
}

static void what_a_probe_repeats_is_not_told_as_lost(void **state)
{
    struct utcp_info info;

    (void)state;
    fly(3, 0);
    advance_by(2 * RTT + 2 * UTCP_MSEC);
    expect(PA, 2001, 1, WIN, 1000);
    utcp_info(world.conn, world.now, &info);
    assert_int_equal(info.snd_lost, 0);
    assert_int_equal(info.snd_resent, 0);
    assert_int_equal(info.total_retransmits, 1);
    advance_by(RTO);
    expect(A, 1, 1, WIN, 1000);
    utcp_info(world.conn, world.now, &info);
    assert_int_equal(info.snd_lost, 3000);
    assert_int_equal(info.snd_resent, 1000);
}

static void a_probe_is_new_data_when_there_is_some(void **state)
{
    (void)state;
    fly(3, 2000);
    nothing_before(2 * RTT + 2 * UTCP_MSEC);
    expect(A, 3001, 1, WIN, 1000);
    expect_nothing();
    inject(A, 1, 4001, WIN, 0);
    assert_false(world.conn->recovery.probe.out);
}

static void a_single_segment_is_given_time_for_a_delayed_ack(void **state)
{
    (void)state;
    fly(1, 0);
    nothing_before(RTO);
    expect(PA, 1, 1, WIN, 1000);
    assert_int_equal(utcp_counters(world.stack)->tcp_tail_probes, 1);
}

static void a_loss_that_only_the_probe_mended_reduces_the_window(void **state)
{
    (void)state;
    fly(10, 0);
    advance_by(RTT);
    inject(A, 1, 9001, WIN, 0);
    advance_by(RTO);
    expect(PA, 9001, 1, WIN, 1000);
    write_bytes(1000);
    inject(A, 1, 11001, WIN, 0);
    assert_true(world.conn->cc.cwnd <= 10000);
    assert_true(world.conn->cc.ssthresh < 10000);
}

static void a_dsack_for_the_probe_keeps_the_window(void **state)
{
    uint32_t before;

    (void)state;
    world.settings.slow_start_after_idle = 0;
    fly(3, 0);
    advance_by(RTT);
    inject(A, 1, 2001, WIN, 0);
    before = world.conn->cc.cwnd;
    advance_by(RTO);
    expect(PA, 2001, 1, WIN, 1000);
    inject(A, 1, 3001, WIN, 0);
    write_bytes(1000);
    drop_sent();
    inject_with(A, 1, 3001, WIN, 0, duplicate(2001, 3001));
    inject(A, 1, 4001, WIN, 0);
    assert_true(world.conn->cc.cwnd >= before);
    assert_int_equal(world.conn->cc.ssthresh, UINT32_MAX);
}

/* ---- the window in recovery ---- */

static void recovery_ends_at_ssthresh(void **state)
{
    (void)state;
    fly(20, 40000);
    advance_by(RTT);
    inject_with(A, 1, 1, WIN, 0, block(1001, 4001));
    expect(A, 1, 1, WIN, 1000);
    for (tcp_seq to = 5001; to <= 20001; to += 1000)
        inject_with(A, 1, 1, WIN, 0, block(1001, to));
    /* Half of what the SACKs tell of is replaced, the repetition counted. */
    assert_int_equal(drop_sent(), 9);
    assert_int_equal(in_flight(world.conn), 10000);
    inject(A, 1, 20001, WIN, 0);
    assert_in_range(world.conn->cc.cwnd, 10000, 11000);
}

/* ---- spurious ---- */

static void a_recovery_of_which_all_was_duplicate_is_taken_back(void **state)
{
    (void)state;
    fly(10, 0);
    advance_by(RTT);
    inject_with(A, 1, 1, WIN, 0, block(1001, 4001));
    expect(A, 1, 1, WIN, 1000);
    assert_int_equal(world.conn->cc.ssthresh, 5000);
    inject(A, 1, 5001, WIN, 0);
    inject_with(A, 1, 5001, WIN, 0, duplicate(1, 1001));
    assert_int_equal(world.conn->recovery.state, CA_OPEN);
    assert_int_equal(world.conn->cc.ssthresh, UINT32_MAX);
    assert_true(world.conn->cc.cwnd >= 10000);
    assert_int_equal(utcp_counters(world.stack)->tcp_spurious, 1);
    assert_int_equal(utcp_counters(world.stack)->tcp_dsacks, 1);
}

static void the_proof_may_come_when_nothing_is_in_flight_any_more(void **state)
{
    (void)state;
    fly(4, 0);
    advance_by(RTT);
    inject_with(A, 1, 1, WIN, 0, block(1001, 4001));
    expect(A, 1, 1, WIN, 1000);
    inject(A, 1, 4001, WIN, 0);
    inject_with(A, 1, 4001, WIN, 0, duplicate(1, 1001));
    assert_int_equal(utcp_counters(world.stack)->tcp_dsacks, 1);
    assert_true(world.conn->recovery.rack.grown > 0);
}

/* RFC 5682: the delay was long, nothing was lost. */
static void a_spurious_timeout_is_taken_back_when_an_original_is_acknowledged(void **state)
{
    (void)state;
    world.settings.tail_probe = 0;
    fly(6, 0);
    advance_by(RTO);
    expect(A, 1, 1, WIN, 1000);
    inject(A, 1, 2001, WIN, 0);
    expect_nothing();
    assert_int_equal(world.conn->recovery.state, CA_OPEN);
    assert_true(world.conn->cc.cwnd >= 6000);
    assert_int_equal(world.conn->cc.ssthresh, UINT32_MAX);
}

static void after_a_timeout_new_data_goes_before_what_may_not_be_lost(void **state)
{
    (void)state;
    world.settings.tail_probe = 0;
    fly(6, 4000);
    advance_by(RTO);
    expect(A, 1, 1, WIN, 1000);
    inject(A, 1, 1001, WIN, 0);
    expect(A, 6001, 1, WIN, 1000);
    expect(A, 7001, 1, WIN, 1000);
    expect_nothing();
    /* A duplicate: the loss was real. */
    inject_with(A, 1, 1001, WIN, 0, block(6001, 7001));
    expect(A, 1001, 1, WIN, 1000);
}

static void a_dsack_of_something_else_takes_nothing_back(void **state)
{
    (void)state;
    fly(10, 0);
    advance_by(RTT);
    inject_with(A, 1, 1, WIN, 0, block(1001, 4001));
    drop_sent();
    inject(A, 1, 10001, WIN, 0);
    write_bytes(1000);
    inject_with(A, 1, 10001, WIN, 0, duplicate(0xf0000000, 0xf0001000));
    assert_int_equal(utcp_counters(world.stack)->tcp_spurious, 0);
    assert_int_equal(utcp_counters(world.stack)->tcp_dsacks, 0);
    drop_sent();
}

/* Slow start after a time-out sent too much again: Linux's FLAG_LOST_RETRANS. */
static void what_is_lost_again_after_a_time_out_ends_slow_start(void **state)
{
    (void)state;
    world.settings.tail_probe = 0;
    world.settings.frto = 0;
    fly(10, 0);
    nothing_before(RTO);
    expect(A, 1, 1, WIN, 1000);
    advance_by(RTT);
    inject(A, 1, 1001, WIN, 0);
    assert_int_equal(drop_sent(), 2);
    assert_int_equal(world.conn->recovery.state, CA_LOSS);
    advance_by(RTT);
    inject_with(A, 1, 1001, WIN, 0, block(2001, 3001));
    assert_int_equal(world.conn->recovery.state, CA_RECOVERY);
    assert_int_equal(world.conn->cc.ssthresh, 2000);
    drop_sent();
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(one_segment_out_of_order_waits_a_quarter_of_the_round_trip),
        TEST(what_comes_within_the_reordering_window_is_not_lost),
        TEST(three_segments_above_a_hole_end_the_wait),
        TEST(once_the_path_reorders_three_segments_prove_nothing),
        TEST(a_repetition_that_is_lost_goes_again_without_a_timeout),
        TEST(the_reordering_window_grows_with_dsacks_and_shrinks_after_16_recoveries),
        TEST(the_reordering_window_is_as_large_as_the_delay_that_was_seen),
        TEST(each_ack_that_tells_of_reordering_counts_once),
        TEST(the_last_segment_goes_again_after_two_round_trips),
        TEST(an_ack_without_news_does_not_put_the_probe_off),
        TEST(what_lies_beyond_a_shrunk_window_is_no_probe),
        TEST(a_probe_of_a_lost_tail_brings_recovery),
        TEST(what_a_probe_repeats_is_not_told_as_lost),
        TEST(a_probe_is_new_data_when_there_is_some),
        TEST(a_single_segment_is_given_time_for_a_delayed_ack),
        TEST(a_loss_that_only_the_probe_mended_reduces_the_window),
        TEST(a_dsack_for_the_probe_keeps_the_window),
        TEST(recovery_ends_at_ssthresh),
        TEST(a_recovery_of_which_all_was_duplicate_is_taken_back),
        TEST(the_proof_may_come_when_nothing_is_in_flight_any_more),
        TEST(a_spurious_timeout_is_taken_back_when_an_original_is_acknowledged),
        TEST(after_a_timeout_new_data_goes_before_what_may_not_be_lost),
        TEST(a_dsack_of_something_else_takes_nothing_back),
        TEST(what_is_lost_again_after_a_time_out_ends_slow_start),
    };

    select_test(argc, argv);
    return cmocka_run_group_tests_name("rack", tests, NULL, NULL);
}
