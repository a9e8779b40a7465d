/* SPDX-License-Identifier: MIT */
/* What is sent and when: both windows, Nagle, silly windows and window probes. */
#include <errno.h>

#include "harness.h"

/* So many full segments from this number on. */
static void expect_segments(tcp_seq seq, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        expect(A, seq + i * 1000, 1, WIN, 1000);
}

/* ---- windows ---- */

static void no_more_is_sent_than_the_peer_has_room_for(void **state)
{
    (void)state;
    established_client(plain_peer(3000));
    write_bytes(5000);
    expect_segments(1, 3);
    expect_nothing();
    inject(A, 1, 2001, 2000, 0);
    expect_segments(3001, 1);
    expect_nothing();
    inject(A, 1, 4001, 2000, 0);
    expect(PA, 4001, 1, WIN, 1000);
}

static void no_more_is_sent_than_the_initial_window(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    write_bytes(50000);
    expect_segments(1, 10);
    expect_nothing();
    /* Slow start: for each segment acknowledged, two more. */
    inject(A, 1, 1001, WIN, 0);
    expect_segments(10001, 2);
    inject(A, 1, 10001, WIN, 0);
    expect_segments(12001, 18);
    expect_nothing();
}

static void the_initial_window_is_a_setting(void **state)
{
    (void)state;
    world.settings.initial_window = 2;
    established_client(plain_peer(WIN));
    write_bytes(5000);
    expect_segments(1, 2);
    expect_nothing();
}

static void an_old_ack_does_not_change_the_window(void **state)
{
    (void)state;
    established_client(plain_peer(2000));
    inject(PA, 1, 1, 2000, 10);
    drop_sent();
    inject(A, 1, 1, 9000, 0);
    assert_int_equal(world.conn->snd_wnd, 2000);
    inject(A, 11, 1, 9000, 0);
    assert_int_equal(world.conn->snd_wnd, 9000);
}

static void an_ack_that_was_overtaken_does_not_change_the_window(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    write_bytes(2000);
    drop_sent();
    inject(A, 1, 2001, 5000, 0);
    inject(A, 1, 1001, 9000, 0);
    assert_int_equal(world.conn->snd_wnd, 5000);
}

/* RFC 7661: a window that is not used is not tested. */
static void a_trickle_does_not_widen_the_congestion_window(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    for (unsigned i = 0; i < 100; i++) {
        write_bytes(500);
        inject(A, 1, world.written, WIN, 0);
    }
    assert_int_equal(world.conn->cc.cwnd, 10000);
    drop_sent();
}

/* 44 segments of 1460 bytes are the most in 65,000; with what is left of 65,600 bytes the packet's
 * length would not fit its field. */
static void a_packet_of_many_segments_has_a_length_that_fits_its_field(void **state)
{
    struct peer peer = {.window = 1000, .mss = 1460, .wscale = 8};
    struct utcp_packet packet;

    (void)state;
    world.settings.initial_window = 100;
    established_client(peer);
    inject(A, 1, 1, 1000, 0);
    utcp_set_option(world.conn, UTCP_OPT_NODELAY, 1);
    world.held = true;
    write_bytes(65600);
    while (utcp_output(world.stack, &packet, world.now)) {
        assert_in_range(packet.header_len + packet.payload_len, 40, 65535);
        utcp_output_done(world.stack, &packet);
    }
    assert_int_equal(world.conn->snd_nxt - world.conn->snd_una, 65600);
}

static void a_scaled_window_is_used_whole(void **state)
{
    struct peer peer = {.window = 100, .mss = 1000, .wscale = 5};

    (void)state;
    world.settings.initial_window = 100;
    established_client(peer);
    inject(A, 1, 1, 100, 0);
    write_bytes(5000);
    assert_int_equal(drop_sent(), 3);
    assert_int_equal(world.conn->snd_nxt - world.conn->snd_una, 3000);
}

static void sequence_numbers_wrap_while_sending(void **state)
{
    (void)state;
    choose_iss(0xffffff00);
    established_client(plain_peer(WIN));
    assert_int_equal(world.iss, 0xffffff00);
    write_bytes(3000);
    expect_segments(1, 2);
    expect(PA, 2001, 1, WIN, 1000);
    inject(A, 1, 1001, WIN, 0);
    nothing_before(world.conn->rtt.rto);
    expect(A, 1001, 1, WIN, 1000);
    inject(A, 1, 3001, WIN, 0);
    assert_int_equal(world.conn->snd_buf.len, 0);
    advance_by(100 * UTCP_SEC);
    expect_nothing();
}

static void a_big_packet_is_handed_over_whole(void **state)
{
    struct utcp_packet packet;

    (void)state;
    world.settings.burst = 45;
    world.settings.initial_window = 20;
    established_client(plain_peer(WIN));
    world.held = true;
    write_bytes(8500);
    assert_true(utcp_output(world.stack, &packet, world.now));
    assert_int_equal(packet.payload_len, 8500);
    assert_int_equal(packet.segment_bytes, 1000);
    utcp_output_done(world.stack, &packet);
    assert_false(utcp_output(world.stack, &packet, world.now));
}

static void without_gso_each_packet_is_one_segment(void **state)
{
    struct utcp_packet packet;

    (void)state;
    world.settings.gso = 0;
    established_client(plain_peer(WIN));
    world.held = true;
    write_bytes(3000);
    assert_true(utcp_output(world.stack, &packet, world.now));
    assert_int_equal(packet.payload_len, 1000);
    assert_int_equal(packet.segment_bytes, 0);
    utcp_output_done(world.stack, &packet);
    release();
    assert_int_equal(drop_sent(), 2);
}

/* As Linux, a buffer is filled by whole packets with what each costs beside its bytes: two of 2,280. */
static void a_full_send_buffer_takes_no_more(void **state)
{
    struct utcp_slice space[2];

    (void)state;
    world.settings.snd_buf = 3500;
    established_client(plain_peer(1000));
    write_bytes(2000);
    assert_int_equal(utcp_send_space(world.conn, space), -EAGAIN);
    assert_int_equal(utcp_ready(world.conn), 0);
    inject(A, 1, 1001, 1000, 0);
    assert_int_equal(utcp_ready(world.conn), UTCP_OUT);
    assert_int_equal(utcp_send_space(world.conn, space), 1000);
}

/* ---- Nagle ---- */

static void nagle_holds_a_short_segment_while_data_is_in_flight(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    write_bytes(10);
    expect(PA, 1, 1, WIN, 10);
    write_bytes(10);
    write_bytes(10);
    expect_nothing();
    inject(A, 1, 11, WIN, 0);
    expect(PA, 11, 1, WIN, 20);
}

static void nagle_lets_full_segments_go(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    write_bytes(10);
    expect(PA, 1, 1, WIN, 10);
    write_bytes(1500);
    expect(A, 11, 1, WIN, 1000);
    expect_nothing();
    write_bytes(500);
    expect(PA, 1011, 1, WIN, 1000);
}

/* Minshall's variant, as Linux: nothing short is in flight. */
static void the_end_of_a_long_write_does_not_wait(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    write_bytes(1000);
    expect(PA, 1, 1, WIN, 1000);
    write_bytes(1500);
    expect(A, 1001, 1, WIN, 1000);
    expect(PA, 2001, 1, WIN, 500);
    write_bytes(500);
    expect_nothing();
}

/* What goes in a millisecond at twice the window in a round trip, and two segments at least. */
static void a_packet_is_no_longer_than_a_millisecond(void **state)
{
    struct utcp_packet packet;

    (void)state;
    world.settings.initial_window = 40;
    established_client(
        plain_peer(WIN)); /* an RTT of 10 ms: 8,000 bytes a millisecond, less 2.4 % */
    world.held = true;
    write_bytes(40000);
    assert_true(utcp_output(world.stack, &packet, world.now));
    assert_int_equal(packet.payload_len, 7000);
    utcp_output_done(world.stack, &packet);
    release();
    drop_sent();
}

static void a_packet_is_no_longer_than_half_the_window(void **state)
{
    struct utcp_packet packet;

    (void)state;
    world.settings.burst = 45;
    established_client(plain_peer(WIN));
    world.held = true;
    write_bytes(10000);
    assert_true(utcp_output(world.stack, &packet, world.now));
    assert_int_equal(packet.payload_len, 5000);
    utcp_output_done(world.stack, &packet);
    release();
    drop_sent();
}

static void nodelay_sends_at_once(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_NODELAY, 1), 0);
    write_bytes(10);
    write_bytes(10);
    expect(PA, 1, 1, WIN, 10);
    expect(PA, 11, 1, WIN, 10);
}

static void setting_nodelay_sends_what_was_held(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    write_bytes(10);
    write_bytes(10);
    drop_sent();
    assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_NODELAY, 1), 0);
    release();
    expect(PA, 11, 1, WIN, 10);
}

static void a_fin_takes_along_what_nagle_held(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    write_bytes(10);
    write_bytes(10);
    expect(PA, 1, 1, WIN, 10);
    close_conn();
    expect(FPA, 11, 1, WIN, 10);
}

/* ---- silly windows ---- */

static void a_sliver_of_window_is_not_used_at_once(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    inject(A, 1, 1, 3, 0);
    write_bytes(100);
    expect_nothing();
    /* RFC 9293 section 3.8.6.2.1, the override time-out: better three bytes than none. */
    nothing_before(RTO);
    expect(A, 1, 1, WIN, 3);
    expect_nothing();
}

static void half_the_largest_window_is_worth_a_segment(void **state)
{
    (void)state;
    established_client(plain_peer(800));
    write_bytes(2000);
    expect(A, 1, 1, WIN, 800);
    inject(A, 1, 801, 399, 0);
    expect_nothing();
    inject(A, 1, 801, 400, 0);
    expect(A, 801, 1, WIN, 400);
}

/* ---- probes ---- */

static void close_window(void)
{
    established_client(plain_peer(WIN));
    inject(A, 1, 1, 0, 0);
}

static void a_closed_window_is_probed_after_the_rto(void **state)
{
    (void)state;
    close_window();
    write_bytes(100);
    expect_nothing();
    nothing_before(RTO);
    expect(A, 0, 1, WIN, 0);
    expect_nothing();
    inject(A, 1, 1, 1000, 0);
    expect(PA, 1, 1, WIN, 100);
}

static void no_probe_without_data(void **state)
{
    (void)state;
    close_window();
    advance_by(600 * UTCP_SEC);
    expect_nothing();
}

static void probes_double_to_a_minute_and_never_end_while_answered(void **state)
{
    utcp_time interval = RTO;

    (void)state;
    close_window();
    write_bytes(100);
    for (unsigned i = 0; i < 100; i++) {
        nothing_before(interval);
        expect(A, 0, 1, WIN, 0);
        expect_nothing();
        inject(A, 1, 1, 0, 0);
        interval = interval * 2 < 60 * UTCP_SEC ? interval * 2 : 60 * UTCP_SEC;
    }
    inject(A, 1, 1, WIN, 0);
    expect(PA, 1, 1, WIN, 100);
    /* The window is open: time-outs begin anew. */
    nothing_before(RTO);
    expect(PA, 1, 1, WIN, 100);
}

static void probes_that_nobody_answers_end_the_connection(void **state)
{
    (void)state;
    close_window();
    write_bytes(100);
    advance_by(3600 * UTCP_SEC);
    assert_int_equal(drop_sent(), 15);
    expect_state(TCP_CLOSED);
    assert_int_equal(utcp_take_error(world.conn), -ETIMEDOUT);
}

static void one_answer_makes_probes_go_on(void **state)
{
    (void)state;
    close_window();
    write_bytes(100);
    advance_by(400 * UTCP_SEC);
    expect_state(TCP_ESTABLISHED);
    inject(A, 1, 1, 0, 0);
    advance_by(400 * UTCP_SEC);
    expect_state(TCP_ESTABLISHED);
    assert_true(drop_sent() > 15);
}

static void a_window_that_opens_by_itself_needs_no_probe(void **state)
{
    (void)state;
    close_window();
    write_bytes(2500);
    inject(A, 1, 1, 2000, 0);
    expect_segments(1, 2);
    expect_nothing();
}

static void a_window_that_closes_behind_the_data_is_probed(void **state)
{
    (void)state;
    established_client(plain_peer(2000));
    write_bytes(3000);
    expect_segments(1, 2);
    inject(A, 1, 2001, 0, 0);
    expect_nothing();
    nothing_before(world.conn->rtt.rto);
    expect(A, 2000, 1, WIN, 0);
    inject(A, 1, 2001, 1000, 0);
    expect(PA, 2001, 1, WIN, 1000);
}

/* ---- a window that shrinks ---- */

static void a_window_may_shrink_under_what_is_in_flight(void **state)
{
    (void)state;
    established_client(plain_peer(8000));
    write_bytes(12000);
    expect_segments(1, 8);
    inject(A, 1, 2, 64, 0);
    expect_nothing();
    nothing_before(world.conn->rtt.rto);
    expect(A, 2, 1, WIN, 1000);
    expect_nothing();
    inject(A, 1, 8001, 2500, 0);
    expect_segments(8001, 2);
    expect_nothing();
}

static void a_bare_ack_stays_inside_a_window_that_shrank(void **state)
{
    (void)state;
    established_client(plain_peer(8000));
    write_bytes(8000);
    drop_sent();
    inject(PA, 1, 1, 64, 10);
    expect(A, 65, 11, WIN - 10, 0);
}

static void a_window_shrunk_to_nothing_is_waited_for_while_the_peer_answers(void **state)
{
    (void)state;
    established_client(plain_peer(2000));
    write_bytes(2000);
    drop_sent();
    for (unsigned i = 0; i < 40; i++) {
        inject(A, 1, 1, 0, 0);
        advance_by(60 * UTCP_SEC);
        assert_true(drop_sent() > 0);
    }
    expect_state(TCP_ESTABLISHED);
    inject(A, 1, 2001, 2000, 0);
    assert_int_equal(utcp_take_error(world.conn), 0);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(no_more_is_sent_than_the_peer_has_room_for),
        TEST(no_more_is_sent_than_the_initial_window),
        TEST(the_initial_window_is_a_setting),
        TEST(an_old_ack_does_not_change_the_window),
        TEST(an_ack_that_was_overtaken_does_not_change_the_window),
        TEST(a_trickle_does_not_widen_the_congestion_window),
        TEST(a_packet_of_many_segments_has_a_length_that_fits_its_field),
        TEST(a_scaled_window_is_used_whole),
        TEST(sequence_numbers_wrap_while_sending),
        TEST(a_big_packet_is_handed_over_whole),
        TEST(without_gso_each_packet_is_one_segment),
        TEST(a_full_send_buffer_takes_no_more),
        TEST(nagle_holds_a_short_segment_while_data_is_in_flight),
        TEST(nagle_lets_full_segments_go),
        TEST(the_end_of_a_long_write_does_not_wait),
        TEST(a_packet_is_no_longer_than_a_millisecond),
        TEST(a_packet_is_no_longer_than_half_the_window),
        TEST(nodelay_sends_at_once),
        TEST(setting_nodelay_sends_what_was_held),
        TEST(a_fin_takes_along_what_nagle_held),
        TEST(a_sliver_of_window_is_not_used_at_once),
        TEST(half_the_largest_window_is_worth_a_segment),
        TEST(a_closed_window_is_probed_after_the_rto),
        TEST(no_probe_without_data),
        TEST(probes_double_to_a_minute_and_never_end_while_answered),
        TEST(probes_that_nobody_answers_end_the_connection),
        TEST(one_answer_makes_probes_go_on),
        TEST(a_window_that_opens_by_itself_needs_no_probe),
        TEST(a_window_that_closes_behind_the_data_is_probed),
        TEST(a_window_may_shrink_under_what_is_in_flight),
        TEST(a_bare_ack_stays_inside_a_window_that_shrank),
        TEST(a_window_shrunk_to_nothing_is_waited_for_while_the_peer_answers),
    };

    select_test(argc, argv);
    return cmocka_run_group_tests_name("sending", tests, NULL, NULL);
}
