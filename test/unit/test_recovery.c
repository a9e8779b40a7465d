/* SPDX-License-Identifier: MIT */
/* Loss: RTT and RTO (RFC 6298), fast retransmit and NewReno (RFC 5681, RFC 6582). */
#include <errno.h>

#include "harness.h"

static void expect_segments(tcp_seq seq, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        expect(A, seq + i * 1000, 1, WIN, 1000);
}

/* So many ACKs of the same byte. */
static void duplicate_acks(tcp_seq ack, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        inject(A, 1, ack, WIN, 0);
}

/* A connection with so many segments in flight and, behind them, this much queued. */
static void fly(unsigned segments, uint32_t queued)
{
    world.settings.initial_window = segments;
    established_client(plain_peer(WIN));
    write_bytes(segments * 1000 + queued);
    assert_int_equal(drop_sent(), segments);
}

/* ---- RTO ---- */

static void the_rto_follows_rfc_6298(void **state)
{
    struct utcp_settings settings;
    struct rtt rtt;

    (void)state;
    utcp_settings_init(&settings);
    rtt_init(&rtt, &settings);
    assert_int_equal(rtt_rto(&rtt, &settings, 0), UTCP_SEC);
    rtt_sample(&rtt, &settings, 800 * UTCP_MSEC, 0, 0);
    assert_int_equal(rtt.srtt, 800 * UTCP_MSEC);
    assert_int_equal(rtt.rttvar, 400 * UTCP_MSEC);
    assert_int_equal(rtt.rto, 2400 * UTCP_MSEC);
    rtt_sample(&rtt, &settings, 400 * UTCP_MSEC, 0, 0);
    assert_int_equal(rtt.rttvar, 400 * UTCP_MSEC);
    assert_int_equal(rtt.srtt, 750 * UTCP_MSEC);
    assert_int_equal(rtt.rto, 2350 * UTCP_MSEC);
}

static void the_rto_is_at_least_200_ms_above_the_rtt(void **state)
{
    struct utcp_settings settings;
    struct rtt rtt;

    (void)state;
    utcp_settings_init(&settings);
    rtt_init(&rtt, &settings);
    for (unsigned i = 0; i < 1000; i++)
        rtt_sample(&rtt, &settings, 0, 0, 0);
    assert_in_range(rtt.rto, 200 * UTCP_MSEC, 200 * UTCP_MSEC + 10);
    settings.rto_min = UTCP_SEC;
    rtt_init(&rtt, &settings);
    rtt_sample(&rtt, &settings, UTCP_MSEC, 0, 0);
    assert_in_range(rtt.rto, UTCP_SEC, UTCP_SEC + UTCP_MSEC);
}

static void the_rto_doubles_up_to_a_minute(void **state)
{
    struct utcp_settings settings;
    struct rtt rtt;

    (void)state;
    utcp_settings_init(&settings);
    rtt_init(&rtt, &settings);
    assert_int_equal(rtt_rto(&rtt, &settings, 1), 2 * UTCP_SEC);
    assert_int_equal(rtt_rto(&rtt, &settings, 5), 32 * UTCP_SEC);
    assert_int_equal(rtt_rto(&rtt, &settings, 6), 60 * UTCP_SEC);
    assert_int_equal(rtt_rto(&rtt, &settings, 1000), 60 * UTCP_SEC);
    rtt.rto = 1000 * UTCP_SEC;
    assert_int_equal(rtt_rto(&rtt, &settings, 0), 60 * UTCP_SEC);
}

static void lost_data_goes_again_at_doubling_intervals_until_it_times_out(void **state)
{
    utcp_time interval = RTO;

    (void)state;
    established_client(plain_peer(WIN));
    write_bytes(100);
    expect(PA, 1, 1, WIN, 100);
    for (unsigned i = 0; i < 15; i++) {
        nothing_before(interval);
        expect(PA, 1, 1, WIN, 100);
        expect_nothing();
        interval = interval * 2 < 60 * UTCP_SEC ? interval * 2 : 60 * UTCP_SEC;
    }
    nothing_before(interval);
    expect_nothing();
    expect_state(TCP_CLOSED);
    assert_int_equal(utcp_take_error(world.conn), -ETIMEDOUT);
}

static void an_ack_of_new_data_starts_the_timer_anew(void **state)
{
    (void)state;
    fly(2, 0);
    advance_by(RTO - 1);
    inject(A, 1, 1001, WIN, 0);
    /* The sample of 210 ms makes the RTO 245 ms; it runs from now. */
    nothing_before(world.conn->rtt.rto);
    expect(PA, 1001, 1, WIN, 1000);
}

static void an_ack_of_everything_stops_the_timer(void **state)
{
    (void)state;
    fly(2, 0);
    inject(A, 1, 2001, WIN, 0);
    assert_int_equal(utcp_next_deadline(world.stack), UTCP_NEVER);
}

static void an_ack_measures_the_round_trip(void **state)
{
    (void)state;
    fly(1, 0);
    advance_by(90 * UTCP_MSEC);
    inject(A, 1, 1001, WIN, 0);
    /* After the handshake's 10 ms: 7/8 * 10 + 1/8 * 90, and 3/4 * 5 + 1/4 * 80. */
    assert_int_equal(world.conn->rtt.srtt, 20 * UTCP_MSEC);
    assert_int_equal(world.conn->rtt.rttvar, 23750 * UTCP_USEC);
}

static void what_was_sent_twice_is_not_measured(void **state)
{
    (void)state;
    fly(1, 0);
    advance_by(RTO);
    expect(PA, 1, 1, WIN, 1000);
    advance_by(UTCP_MSEC);
    inject(A, 1, 1001, WIN, 0);
    assert_int_equal(world.conn->rtt.srtt, RTT);
    assert_int_equal(world.conn->rtt.rttvar, RTT / 2);
}

static void a_syn_sent_twice_is_not_measured(void **state)
{
    (void)state;
    start_connecting();
    advance_by(UTCP_SEC);
    drop_sent();
    inject_syn(SA, 0, 1, plain_peer(WIN));
    drop_sent();
    assert_int_equal(world.conn->rtt.srtt, 0);
    write_bytes(10);
    drop_sent();
    nothing_before(UTCP_SEC);
    expect(PA, 1, 1, WIN, 10);
}

static void backing_off_ends_with_the_first_ack_of_new_data(void **state)
{
    (void)state;
    fly(2, 0);
    advance_by(RTO + 2 * RTO + 4 * RTO);
    assert_int_equal(drop_sent(), 3);
    inject(A, 1, 1001, WIN, 0);
    expect(PA, 1001, 1, WIN, 1000);
    nothing_before(RTO);
    expect(PA, 1001, 1, WIN, 1000);
}

static void after_a_timeout_slow_start_sends_all_again(void **state)
{
    (void)state;
    fly(5, 0);
    advance_by(RTO);
    expect_segments(1, 1);
    expect_nothing();
    inject(A, 1, 1001, WIN, 0);
    expect_segments(1001, 2);
    expect_nothing();
    inject(A, 1, 3001, WIN, 0);
    expect_segments(3001, 1);
    expect(PA, 4001, 1, WIN, 1000);
    expect_nothing();
}

static void an_ack_of_all_that_was_held_to_be_lost_is_good(void **state)
{
    (void)state;
    fly(5, 500);
    advance_by(RTO);
    expect_segments(1, 1);
    inject(A, 1, 5001, WIN, 0);
    expect(PA, 5001, 1, WIN, 500);
    expect_nothing();
}

/* ---- fast retransmit ---- */

static void the_third_duplicate_ack_sends_the_head_again(void **state)
{
    (void)state;
    fly(10, 0);
    duplicate_acks(1, 2);
    expect_nothing();
    duplicate_acks(1, 1);
    expect_segments(1, 1);
    expect_nothing();
    assert_int_equal(world.conn->cc.ssthresh, 5000);
    assert_int_equal(world.conn->cc.cwnd, 7000);
    assert_int_equal(utcp_counters(world.stack)->tcp_fast_retransmits, 1);
}

static void the_first_two_duplicate_acks_each_let_a_new_segment_out(void **state)
{
    (void)state;
    fly(4, 5000);
    duplicate_acks(1, 1);
    expect_segments(4001, 1);
    duplicate_acks(1, 1);
    expect_segments(5001, 1);
    duplicate_acks(1, 1);
    expect_segments(1, 1);
    expect_nothing();
}

/* RFC 6937: ssthresh is half of what the window was, so every second duplicate lets a segment out. */
static void every_second_duplicate_ack_lets_a_new_segment_out(void **state)
{
    (void)state;
    fly(10, 5000);
    duplicate_acks(1, 3);
    assert_int_equal(drop_sent(), 3);
    duplicate_acks(1, 1);
    expect_nothing();
    duplicate_acks(1, 1);
    expect_segments(12001, 1);
    duplicate_acks(1, 1);
    expect_nothing();
    duplicate_acks(1, 1);
    expect_segments(13001, 1);
    expect_nothing();
}

static void a_partial_ack_sends_the_next_hole_and_a_full_one_ends_recovery(void **state)
{
    (void)state;
    fly(10, 0);
    duplicate_acks(1, 3);
    expect_segments(1, 1);
    inject(A, 1, 4001, WIN, 0);
    expect_segments(4001, 1);
    expect_nothing();
    assert_int_equal(world.conn->recovery.state, CA_RECOVERY);
    assert_int_equal(world.conn->cc.cwnd, 6000);
    inject(A, 1, 10001, WIN, 0);
    expect_nothing();
    assert_int_equal(world.conn->recovery.state, CA_OPEN);
    assert_in_range(world.conn->cc.cwnd, 5000, 6000);
}

static void duplicates_that_a_timeout_caused_send_nothing_again(void **state)
{
    (void)state;
    fly(5, 0);
    advance_by(RTO);
    expect_segments(1, 1);
    duplicate_acks(1, 5);
    assert_int_equal(utcp_counters(world.stack)->tcp_fast_retransmits, 0);
    assert_int_equal(utcp_counters(world.stack)->tcp_timeouts, 1);
}

static void what_is_no_duplicate_ack_counts_for_nothing(void **state)
{
    (void)state;
    fly(10, 0);
    for (uint16_t i = 0; i < 5; i++)
        inject(A, 1, 1, (uint16_t)(WIN - 1 - i), 0); /* another window */
    inject(PA, 1, 1, WIN - 5, 10);                   /* data */
    inject(PA, 11, 1, WIN - 5, 10);
    inject(PA, 21, 1, WIN - 5, 10);
    drop_sent();
    assert_int_equal(utcp_counters(world.stack)->tcp_dup_acks, 0);
    inject(A, 31, 10001, WIN - 5, 0);
    for (unsigned i = 0; i < 5; i++)
        inject(A, 31, 10001, WIN - 5, 0); /* nothing in flight */
    assert_int_equal(utcp_counters(world.stack)->tcp_dup_acks, 0);
    expect_nothing();
}

static void three_hundred_duplicate_acks_overflow_nothing(void **state)
{
    (void)state;
    fly(10, 0);
    duplicate_acks(1, 300);
    expect_segments(1, 1);
    expect_nothing();
    inject(A, 1, 10001, WIN, 0);
    assert_in_range(world.conn->cc.cwnd, 1000, 5000);
    assert_int_equal(utcp_next_deadline(world.stack), UTCP_NEVER);
}

static void cwnd_survives_many_losses(void **state)
{
    (void)state;
    fly(10, 0);
    for (unsigned i = 0; i < 10; i++) {
        advance_by(60 * UTCP_SEC);
        duplicate_acks(1, 4);
        assert_true(world.conn->cc.cwnd >= 1000);
        assert_true(world.conn->cc.ssthresh >= 2000);
    }
    drop_sent();
}

/* Five segments, the second and the fifth lost, and the repetition of the second, too. */
static void duplicate_acks_do_not_push_the_timeout_away(void **state)
{
    (void)state;
    fly(5, 0);
    inject(A, 1, 1001, WIN, 0);
    duplicate_acks(1001, 2);
    expect_nothing();
    advance_by(100 * UTCP_MSEC);
    duplicate_acks(1001, 1);
    expect_segments(1001, 1);
    advance_by(100 * UTCP_MSEC);
    duplicate_acks(1001, 3);
    nothing_before(world.conn->rtt.rto - 100 * UTCP_MSEC);
    expect_segments(1001, 1);
    inject(A, 1, 4001, WIN, 0);
    expect(PA, 4001, 1, WIN, 1000);
    inject(A, 1, 5001, WIN, 0);
    expect_nothing();
    assert_int_equal(world.conn->snd_buf.len, 0);
}

static void a_thousand_reorderings_without_loss_leave_nothing_in_flight(void **state)
{
    (void)state;
    choose_iss(0xffff0000);
    established_client(plain_peer(WIN));
    for (unsigned i = 0; i < 1000; i++) {
        tcp_seq una = world.written;

        write_bytes(3000);
        duplicate_acks(una, 2);
        inject(A, 1, una + 3000, WIN, 0);
        drop_sent();
    }
    assert_int_equal(world.conn->snd_nxt, world.conn->snd_una);
    assert_int_equal(utcp_counters(world.stack)->tcp_retransmits, 0);
}

/* ---- another cut ---- */

static void an_ack_in_the_middle_of_a_segment_cuts_it(void **state)
{
    (void)state;
    fly(3, 0);
    inject(A, 1, 1501, WIN, 0);
    nothing_before(world.conn->rtt.rto);
    expect(A, 1501, 1, WIN, 500);
    expect_nothing();
    inject(A, 1, 2001, WIN, 0);
    expect(PA, 2001, 1, WIN, 1000);
}

static void short_segments_go_again_as_one(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    utcp_set_option(world.conn, UTCP_OPT_NODELAY, 1);
    for (unsigned i = 0; i < 5; i++)
        write_bytes(100);
    assert_int_equal(drop_sent(), 5);
    advance_by(RTO);
    expect(PA, 1, 1, WIN, 500);
    inject(A, 1, 201, WIN, 0);
    expect_nothing();
    inject(A, 1, 501, WIN, 0);
    assert_int_equal(utcp_next_deadline(world.stack), UTCP_NEVER);
}

/* ---- ACKs that cannot be ---- */

/* As Linux: so they have the PSH of a packet of several segments, however small the window is. */
static void segments_that_went_in_one_packet_go_again_in_one(void **state)
{
    (void)state;
    world.settings.frto = 0;
    established_client(plain_peer(WIN));
    write_bytes(12000);
    assert_int_equal(drop_sent(), 10);
    advance_by(RTO);
    expect(A, 1, 1, WIN, 1000);
    inject(A, 1, 2001, WIN, 0);
    world.exact_push = true;
    expect(A, 2001, 1, WIN, 1000);
    expect(PA, 3001, 1, WIN, 1000);
    drop_sent();
}

/* As Linux; the RFC would have it answered. */
static void an_ack_of_what_was_never_sent_is_dropped(void **state)
{
    (void)state;
    fly(2, 0);
    inject(PA, 1, 2002, WIN, 10);
    expect_nothing();
    assert_int_equal(world.conn->snd_una - world.iss, 1);
    assert_int_equal(world.conn->rcv_buf.len, 0);
}

static void an_ack_of_what_was_never_sent_is_answered_while_closing(void **state)
{
    (void)state;
    fly(2, 0);
    close_conn();
    drop_sent();
    inject(A, 1, 2003, WIN, 0);
    expect(A, 2002, 1, WIN, 0);
    expect_nothing();
    assert_int_equal(world.conn->snd_una - world.iss, 1);
}

static void an_ack_from_long_ago_is_challenged(void **state)
{
    (void)state;
    established_client(plain_peer(1000));
    for (unsigned i = 0; i < 10; i++) {
        write_bytes(1000);
        inject(A, 1, world.written, 1000, 0);
    }
    drop_sent();
    inject(PA, 1, 1, 1000, 10);
    expect(A, 10001, 1, WIN, 0);
    inject(A, 1, 9901, 1000, 0);
    expect_nothing();
}

/* The first ACK may have been lost: how long ago the others arrived nobody knows. */
static void an_ack_over_what_went_again_measures_nothing(void **state)
{
    struct utcp_info info;

    (void)state;
    established_client(plain_peer(WIN));
    write_bytes(3000);
    drop_sent();
    advance_by(RTO);
    expect(A, 1, 1, WIN, 1000);
    advance_by(150 * UTCP_MSEC);
    inject(A, 1, 3001, WIN, 0);
    utcp_info(world.conn, world.now, &info);
    assert_int_equal(info.srtt, RTT);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(the_rto_follows_rfc_6298),
        TEST(the_rto_is_at_least_200_ms_above_the_rtt),
        TEST(the_rto_doubles_up_to_a_minute),
        TEST(lost_data_goes_again_at_doubling_intervals_until_it_times_out),
        TEST(an_ack_of_new_data_starts_the_timer_anew),
        TEST(an_ack_of_everything_stops_the_timer),
        TEST(an_ack_measures_the_round_trip),
        TEST(what_was_sent_twice_is_not_measured),
        TEST(a_syn_sent_twice_is_not_measured),
        TEST(backing_off_ends_with_the_first_ack_of_new_data),
        TEST(after_a_timeout_slow_start_sends_all_again),
        TEST(an_ack_of_all_that_was_held_to_be_lost_is_good),
        TEST(the_third_duplicate_ack_sends_the_head_again),
        TEST(the_first_two_duplicate_acks_each_let_a_new_segment_out),
        TEST(every_second_duplicate_ack_lets_a_new_segment_out),
        TEST(a_partial_ack_sends_the_next_hole_and_a_full_one_ends_recovery),
        TEST(duplicates_that_a_timeout_caused_send_nothing_again),
        TEST(what_is_no_duplicate_ack_counts_for_nothing),
        TEST(three_hundred_duplicate_acks_overflow_nothing),
        TEST(cwnd_survives_many_losses),
        TEST(duplicate_acks_do_not_push_the_timeout_away),
        TEST(a_thousand_reorderings_without_loss_leave_nothing_in_flight),
        TEST(an_ack_in_the_middle_of_a_segment_cuts_it),
        TEST(short_segments_go_again_as_one),
        TEST(segments_that_went_in_one_packet_go_again_in_one),
        TEST(an_ack_of_what_was_never_sent_is_dropped),
        TEST(an_ack_of_what_was_never_sent_is_answered_while_closing),
        TEST(an_ack_from_long_ago_is_challenged),
        TEST(an_ack_over_what_went_again_measures_nothing),
    };

    select_test(argc, argv);
    return cmocka_run_group_tests_name("recovery", tests, NULL, NULL);
}
