/* SPDX-License-Identifier: MIT */
/* Timestamps: RFC 7323 sections 3 to 5. */
#include <errno.h>

#include "harness.h"
#include "stack.h"

#define DAYS (24 * 3600 * UTCP_SEC)

static const struct peer ours = {.window = WIN, .mss = 1460, .wscale = 7, .timestamps = true};
static const struct peer ours_unscaled = {
    .window = WIN, .mss = 1460, .wscale = NO_WSCALE, .timestamps = true};

static int timestamps_setup(void **state)
{
    int result = world_setup(state);

    world.settings.timestamps = 1;
    return result;
}

#define TIMED(name) cmocka_unit_test_setup_teardown(name, timestamps_setup, world_teardown)

static struct peer timed_peer(void)
{
    struct peer peer = plain_peer(10000);

    peer.timestamps = true;
    return peer;
}

static struct tcp_options times(uint32_t value, uint32_t echo)
{
    return (struct tcp_options){.has_timestamps = true, .ts_value = value, .ts_echo = echo};
}

/* An established connection whose peer has a clock of its own making, at 5000. */
static void established_at_5000(void)
{
    world.peer_clock = 4990;
    established_server(timed_peer());
    inject_with(A, 1, 1, 10000, 0, times(5000, world.ts_last));
    expect_nothing();
    assert_int_equal(world.conn->ts_recent, 5000);
}

/* ---- the handshake ---- */

static void a_syn_offers_timestamps_and_the_first_ack_echoes(void **state)
{
    (void)state;
    start_connecting();
    expect_syn(S, 0, 0, ours);
    advance_by(RTT);
    inject_syn(SA, 0, 1, timed_peer());
    expect_with(A, 1, 1, WIN, 0, times(own_time(), peer_time()));
    assert_true(world.conn->timestamps_ok);
}

static void a_syn_ack_answers_an_offer(void **state)
{
    (void)state;
    start_listening(1);
    inject_syn(S, 0, 0, timed_peer());
    expect_syn(SA, 0, 1, ours_unscaled);
}

static void without_an_offer_no_segment_has_timestamps(void **state)
{
    (void)state;
    start_listening(1);
    inject_syn(S, 0, 0, plain_peer(1000));
    expect_syn(SA, 0, 1, ((struct peer){.window = WIN, .mss = 1460, .wscale = NO_WSCALE}));
    inject(A, 1, 1, 1000, 0);
    world.conn = utcp_accept(world.listener, &world);
    assert_false(world.conn->timestamps_ok);
    write_bytes(10);
    expect(PA, 1, 1, WIN, 10);
}

static void a_peer_that_does_not_answer_the_offer_gets_none(void **state)
{
    (void)state;
    established_client(plain_peer(10000));
    assert_false(world.conn->timestamps_ok);
    /* What it says all the same is not listened to. */
    inject_with(PA, 1, 1, 10000, 100, times(1, 1));
    expect(A, 1, 101, WIN - 100, 0);
    write_bytes(1000);
    expect(PA, 1, 101, WIN - 100, 1000);
}

static void the_setting_turns_them_off(void **state)
{
    (void)state;
    world.settings.timestamps = 0;
    start_listening(1);
    inject_syn(S, 0, 0, timed_peer());
    expect_syn(SA, 0, 1, ((struct peer){.window = WIN, .mss = 1460, .wscale = NO_WSCALE}));
}

static void syns_that_cross_agree(void **state)
{
    (void)state;
    start_connecting();
    drop_sent();
    inject_syn(S, 0, 0, timed_peer());
    expect_syn(SA, 0, 1, ours_unscaled);
    inject_syn(SA, 0, 1, timed_peer());
    expect_state(TCP_ESTABLISHED);
    assert_true(world.conn->timestamps_ok);
}

static void a_syn_ack_that_echoes_none_of_our_times_is_reset(void **state)
{
    (void)state;
    start_connecting();
    drop_sent();
    world.ts_last -= 10;
    inject_syn(SA, 0, 1, timed_peer());
    expect(R, 1, 0, 0, 0);
    expect_state(TCP_SYN_SENT);
    world.ts_last += 10;
    inject_syn(SA, 0, 1, timed_peer());
    expect_state(TCP_ESTABLISHED);
}

static void a_syn_ack_may_echo_nothing(void **state)
{
    (void)state;
    start_connecting();
    drop_sent();
    world.ts_last = 0;
    inject_syn(SA, 0, 1, timed_peer());
    expect_state(TCP_ESTABLISHED);
}

/* ---- the clock ---- */

static void the_clock_starts_at_a_number_of_its_own(void **state)
{
    (void)state;
    start_connecting();
    assert_int_not_equal(world.ts_offset, 0);
}

static void the_setting_shows_the_clock_as_it_is(void **state)
{
    (void)state;
    world.settings.timestamps = 2;
    start_connecting();
    assert_int_equal(world.ts_offset, 0);
    assert_int_equal(world.ts_last, world.now / UTCP_MSEC);
}

static void all_connections_with_a_peer_have_one_clock(void **state)
{
    uint32_t offset;

    (void)state;
    start_listening(8);
    inject_syn(S, 0, 0, timed_peer());
    offset = world.ts_offset;
    world.peer_port++;
    inject_syn(S, 0, 0, timed_peer());
    assert_int_equal(world.ts_offset, offset);
    drop_sent();
}

/* What a new process is to the peer that remembers the last one with this address. */
static void stacks_that_share_a_key_have_one_clock(void **state)
{
    uint32_t offset;

    (void)state;
    world.timestamp_key = 42;
    start_connecting();
    offset = world.ts_offset;
    world_teardown(state);
    world.random++;
    start_connecting();
    assert_int_equal(world.ts_offset, offset);
    world_teardown(state);
    world.timestamp_key = 43;
    start_connecting();
    assert_int_not_equal(world.ts_offset, offset);
}

static void the_clock_ticks_once_a_millisecond(void **state)
{
    uint32_t before;

    (void)state;
    established_server(timed_peer());
    write_bytes(10);
    drop_sent();
    before = world.ts_last;
    advance_by(UTCP_SEC / 10);
    inject(A, 1, 11, 10000, 0);
    write_bytes(10);
    drop_sent();
    assert_int_equal(world.ts_last, before + 100);
}

/* ---- segments ---- */

static void segments_are_shorter_by_the_option(void **state)
{
    (void)state;
    established_server(timed_peer());
    write_bytes(1976);
    expect(A, 1, 1, WIN, 988);
    expect(PA, 989, 1, WIN, 988);
    assert_int_equal(utcp_get_option(world.conn, UTCP_OPT_MAXSEG), 988);
}

static void data_fin_and_probes_have_timestamps(void **state)
{
    (void)state;
    established_server(timed_peer());
    write_bytes(10);
    expect_with(PA, 1, 1, WIN, 10, times(own_time(), peer_time()));
    inject(A, 1, 11, 0, 0);
    write_bytes(10);
    advance_by(2 * RTO);
    /* The harness has looked at the probe's time. */
    expect(A, 10, 1, WIN, 0);
    drop_sent();
    inject(A, 1, 11, 1000, 0);
    expect(PA, 11, 1, WIN, 10);
    utcp_shutdown(world.conn, UTCP_SHUT_WR, world.now);
    release();
    expect_with(FA, 21, 1, WIN, 0, times(own_time(), peer_time()));
}

/* As Linux; RFC 7323 section 3.2 leaves that open. What answers for no connection has none. */
static void a_reset_of_ours_has_a_timestamp(void **state)
{
    (void)state;
    established_server(timed_peer());
    inject(PA, 1, 1, 10000, 100);
    drop_sent();
    advance_by(UTCP_SEC);
    close_conn();
    expect_with(RA, 1, 101, WIN - 100, 0, times(own_time(), peer_time() - 1000));
    inject(PA, 101, 1, 10000, 100);
    expect(R, 1, 0, 0, 0);
}

static void sack_blocks_beside_timestamps_are_three(void **state)
{
    struct peer peer = timed_peer();

    (void)state;
    peer.sack = true;
    world.settings.sack = 1;
    established_server(peer);
    for (unsigned i = 1; i <= 4; i++)
        inject(PA, 1 + 200 * i, 1, 10000, 100);
    drop_sent();
    inject(PA, 1001, 1, 10000, 100);
    expect_with(A, 1, 1, WIN, 0,
                ((struct tcp_options){.has_timestamps = true,
                                      .ts_value = own_time(),
                                      .ts_echo = world.conn->ts_recent,
                                      .sack_count = 3,
                                      .sack = {{1001, 1101}, {801, 901}, {601, 701}}}));
}

/* SACK blocks take more of it: 28 bytes for three. */
static void data_beside_sack_blocks_is_shorter_still(void **state)
{
    struct peer peer = timed_peer();
    uint8_t packet[1500];

    (void)state;
    peer.sack = true;
    world.settings.sack = 1;
    established_server(peer);
    for (unsigned i = 1; i <= 3; i++)
        inject(PA, 1 + 200 * i, 1, 10000, 100);
    drop_sent();
    write_bytes(2000);
    assert_int_equal(take_packet(packet, sizeof(packet)), 20 + 20 + 12 + 28 + 960);
    drop_sent();
}

/* ---- TS.Recent: section 4.3 ---- */

static void the_first_of_two_segments_is_echoed(void **state)
{
    (void)state;
    established_at_5000();
    world.held = true;
    inject_with(A, 1, 1, 10000, 100, times(5010, world.ts_last));
    inject_with(PA, 101, 1, 10000, 100, times(5020, world.ts_last));
    release();
    expect_with(A, 1, 201, WIN - 200, 0, times(own_time(), 5010));
}

static void beyond_a_hole_the_last_before_it_is_echoed(void **state)
{
    (void)state;
    established_at_5000();
    inject_with(A, 1, 1, 10000, 100, times(5010, world.ts_last));
    expect_with(A, 1, 101, WIN - 100, 0, times(own_time(), 5010));
    inject_with(A, 201, 1, 10000, 100, times(5030, world.ts_last));
    expect_with(A, 1, 101, WIN - 100, 0, times(own_time(), 5010));
    inject_with(PA, 101, 1, 10000, 100, times(5020, world.ts_last));
    expect_with(A, 1, 301, WIN - 300, 0, times(own_time(), 5020));
}

/* Its time is greater, but its number lies beyond what was acknowledged last. */
static void time_does_not_go_back(void **state)
{
    (void)state;
    established_at_5000();
    inject_with(A, 1, 1, 10000, 100, times(5010, world.ts_last));
    drop_sent();
    /* One tick back is no reason to drop it, and none to believe it. */
    inject_with(A, 101, 1, 10000, 100, times(5009, world.ts_last));
    expect_with(A, 1, 201, WIN - 200, 0, times(own_time(), 5010));
}

static void a_segment_with_an_ack_of_nothing_sent_sets_no_time(void **state)
{
    (void)state;
    established_at_5000();
    inject_with(A, 1, 1000, 10000, 0, times(6000, world.ts_last));
    expect_nothing();
    assert_int_equal(world.conn->ts_recent, 5000);
}

/* ---- the round trip: section 4 ---- */

static void a_repeated_segment_is_measured_by_its_echo(void **state)
{
    (void)state;
    established_server(timed_peer());
    write_bytes(100);
    drop_sent();
    nothing_before(RTO);
    drop_sent();
    advance_by(30 * UTCP_MSEC);
    inject(A, 1, 101, 10000, 0);
    /* 7/8 of 10 ms and 1/8 of 30 ms. */
    assert_int_equal(world.conn->rtt.srtt, 12500 * UTCP_USEC);
}

static void an_echo_of_the_original_measures_all_of_it(void **state)
{
    uint32_t original;

    (void)state;
    established_server(timed_peer());
    write_bytes(100);
    drop_sent();
    original = world.ts_last;
    nothing_before(RTO);
    drop_sent();
    advance_by(30 * UTCP_MSEC);
    inject_with(A, 1, 101, 10000, 0, times(peer_time(), original));
    assert_int_equal(world.conn->rtt.srtt, (7 * 10 + 240) * UTCP_MSEC / 8);
}

static void an_echo_of_nothing_measures_nothing(void **state)
{
    (void)state;
    established_server(timed_peer());
    write_bytes(100);
    advance_by(RTO);
    drop_sent();
    advance_by(30 * UTCP_MSEC);
    inject_with(A, 1, 101, 10000, 0, times(peer_time(), 0));
    assert_int_equal(world.conn->rtt.srtt, RTT);
}

static void an_echo_from_the_future_measures_nothing(void **state)
{
    (void)state;
    established_server(timed_peer());
    write_bytes(100);
    advance_by(RTO);
    drop_sent();
    inject_with(A, 1, 101, 10000, 0, times(peer_time(), own_time() + 1));
    assert_int_equal(world.conn->rtt.srtt, RTT);
}

/* The ACK that the first repetition had was lost, and this one answers the second. */
static void an_answer_to_a_duplicate_measures_nothing(void **state)
{
    struct peer peer = timed_peer();
    struct tcp_options options;
    uint32_t first;

    (void)state;
    world.settings.sack = 1;
    peer.sack = true;
    established_server(peer);
    write_bytes(100);
    drop_sent();
    advance_by(RTO);
    drop_sent();
    first = world.ts_last;
    advance_by(2 * RTO);
    drop_sent();
    advance_by(RTT);
    options = times(peer_time(), first);
    options.sack_count = 1;
    options.sack[0] = (struct range){1, 101};
    inject_with(A, 1, 101, 10000, 0, options);
    assert_int_equal(world.conn->snd_una, world.iss + 101);
    assert_int_equal(world.conn->rtt.srtt, RTT);
}

/* The ACK of the first segment was lost, and the echo says that this one is of the second. */
static void a_lost_ack_makes_no_round_trip_longer(void **state)
{
    (void)state;
    world.settings.tail_probe = 0;
    established_server(timed_peer());
    assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_NODELAY, 1), 0);
    write_bytes(100);
    drop_sent();
    advance_by(100 * UTCP_MSEC);
    write_bytes(100);
    drop_sent();
    advance_by(RTT);
    inject(A, 1, 201, 10000, 0);
    assert_int_equal(world.conn->rtt.srtt, RTT);
}

static void what_went_once_is_measured_finer_than_the_clock(void **state)
{
    (void)state;
    established_server(timed_peer());
    write_bytes(100);
    drop_sent();
    advance_by(RTT + 8 * UTCP_USEC);
    inject(A, 1, 101, 10000, 0);
    assert_int_equal(world.conn->rtt.srtt, RTT + UTCP_USEC);
}

static void a_repeated_syn_is_measured_by_its_echo(void **state)
{
    (void)state;
    start_connecting();
    advance_by(UTCP_SEC);
    assert_int_equal(drop_sent(), 2);
    advance_by(20 * UTCP_MSEC);
    inject_syn(SA, 0, 1, timed_peer());
    assert_int_equal(world.conn->rtt.srtt, 20 * UTCP_MSEC);
}

static void a_repeated_syn_ack_is_measured_by_its_echo(void **state)
{
    (void)state;
    start_listening(1);
    inject_syn(S, 0, 0, timed_peer());
    advance_by(UTCP_SEC);
    assert_int_equal(drop_sent(), 2);
    advance_by(20 * UTCP_MSEC);
    inject(A, 1, 1, 1000, 0);
    world.conn = utcp_accept(world.listener, &world);
    assert_int_equal(world.conn->rtt.srtt, 20 * UTCP_MSEC);
}

/* RFC 3522: the time-out was spurious, and the window is what it was. */
static void an_echo_of_the_original_takes_a_time_out_back(void **state)
{
    uint32_t original, window;

    (void)state;
    established_server(timed_peer());
    write_bytes(1976);
    drop_sent();
    original = world.ts_last;
    window = world.conn->cc.cwnd;
    advance_by(RTO);
    assert_int_equal(world.conn->recovery.state, CA_LOSS);
    inject_with(A, 1, 989, 10000, 0, times(peer_time(), original));
    assert_int_equal(world.conn->recovery.state, CA_OPEN);
    assert_true(world.conn->cc.cwnd >= window);
    drop_sent();
}

/* ---- PAWS: section 5; regression scenario 14 ---- */

static void a_segment_without_a_time_is_accepted(void **state)
{
    (void)state;
    established_at_5000();
    world.silent = true;
    inject(PA, 1, 1, 10000, 100);
    expect_with(A, 1, 101, WIN - 100, 0, times(own_time(), 5000));
    read_bytes(100);
}

static void an_old_segment_is_dropped_and_answered(void **state)
{
    (void)state;
    established_at_5000();
    inject_with(PA, 1, 1, 10000, 100, times(4998, world.ts_last));
    expect_with(A, 1, 1, WIN, 0, times(own_time(), 5000));
    assert_int_equal(world.conn->rcv_buf.len, 0);
    assert_int_equal(utcp_counters(world.stack)->tcp_paws, 1);
}

static void the_ack_of_an_old_segment_does_not_count(void **state)
{
    (void)state;
    established_at_5000();
    write_bytes(100);
    drop_sent();
    inject_with(A, 1, 101, 10000, 0, times(4990, world.ts_last));
    assert_int_equal(world.conn->snd_una, world.iss + 1);
    expect(A, 101, 1, WIN, 0);
}

/* Two peers that are out of step would answer each other for ever. */
static void old_segments_without_data_are_answered_twice_a_second(void **state)
{
    (void)state;
    established_at_5000();
    for (unsigned i = 0; i < 10; i++)
        inject_with(A, 1, 1, 9999, 0, times(1000, world.ts_last));
    assert_int_equal(drop_sent(), 1);
    advance_by(UTCP_SEC / 2);
    inject_with(A, 1, 1, 9999, 0, times(1000, world.ts_last));
    assert_int_equal(drop_sent(), 1);
}

static void an_ack_that_was_overtaken_is_not_answered(void **state)
{
    (void)state;
    established_at_5000();
    inject_with(A, 1, 1, 10000, 0, times(4990, world.ts_last));
    expect_nothing();
    assert_int_equal(utcp_counters(world.stack)->tcp_paws, 0);
}

/* The window has opened since. */
static void an_ack_that_was_overtaken_closes_no_window(void **state)
{
    (void)state;
    established_at_5000();
    inject_with(A, 1, 1, 0, 0, times(4990, world.ts_last));
    expect_nothing();
    assert_int_equal(world.conn->snd_wnd, 10000);
}

static void a_reset_is_exempt(void **state)
{
    (void)state;
    established_at_5000();
    inject_with(R, 1, 0, 0, 0, times(1, 0));
    assert_int_equal(utcp_take_error(world.conn), -ECONNRESET);
    expect_state(TCP_CLOSED);
}

static void an_old_syn_is_answered_with_an_ack(void **state)
{
    (void)state;
    established_at_5000();
    inject_with(S, 1, 0, 1000, 0, times(1, 0));
    expect(A, 1, 1, WIN, 0);
    expect_state(TCP_ESTABLISHED);
}

static void old_segments_in_time_wait_are_answered(void **state)
{
    (void)state;
    established_at_5000();
    close_conn();
    drop_sent();
    inject_with(FA, 1, 2, 10000, 0, times(5010, world.ts_last));
    expect_state(TCP_TIME_WAIT);
    expect_with(A, 2, 2, WIN - 1, 0, times(own_time(), 5010));
    inject_with(FA, 1, 2, 10000, 0, times(4000, world.ts_last));
    expect_with(A, 2, 2, WIN - 1, 0, times(own_time(), 5010));
}

/* ---- a new connection in place of one in TIME-WAIT: RFC 6191 ---- */

static void enter_time_wait(void)
{
    established_at_5000();
    close_conn();
    inject_with(FA, 1, 2, 10000, 0, times(5010, world.ts_last));
    expect_state(TCP_TIME_WAIT);
    drop_sent();
}

/* The peer's clock is at 5000 when time-wait begins, and 5010 was the last it told. */
static void a_syn_with_a_later_time_reopens_time_wait(void **state)
{
    tcp_seq last;

    (void)state;
    enter_time_wait();
    last = world.conn->snd_nxt;
    advance_by(11 * UTCP_MSEC);
    inject_syn(S, (tcp_seq)-50000, 0, timed_peer());
    expect_syn(SA, 0, (tcp_seq)-49999, ours_unscaled);
    /* However much the old connection sent. */
    assert_int_equal(world.iss, last + 65537);
    inject(A, (tcp_seq)-49999, 1, 1000, 0);
    assert_non_null(utcp_accept(world.listener, &world));
}

static void a_syn_with_an_earlier_time_does_not_whatever_its_number(void **state)
{
    (void)state;
    enter_time_wait();
    inject_syn(S, 70000, 0, timed_peer());
    expect_with(A, 2, 2, WIN - 1, 0, times(own_time(), 5010));
    expect_state(TCP_TIME_WAIT);
}

static void a_syn_of_the_same_time_needs_a_greater_number(void **state)
{
    (void)state;
    enter_time_wait();
    advance_by(10 * UTCP_MSEC);
    inject_syn(S, (tcp_seq)-50000, 0, timed_peer());
    expect_state(TCP_TIME_WAIT);
    drop_sent();
    inject_syn(S, 70000, 0, timed_peer());
    expect_syn(SA, 0, 70001, ours_unscaled);
}

/* As a client whose ephemeral ports are all one. */
static int connect_again(void)
{
    struct utcp_endpoint peer = peer_endpoint();

    world.conn = utcp_open(world.stack, &world);
    return utcp_connect(world.conn, &peer, world.now);
}

static void end_first_connection(void)
{
    world.settings.port_first = world.settings.port_last = OWN_PORT;
    start_stack();
    assert_int_equal(connect_again(), 0);
    release();
    inject_syn(SA, 0, 1, timed_peer());
    close_conn();
    inject_with(FA, 1, 2, 10000, 0, times(peer_time(), world.ts_last));
    drop_sent();
}

static void a_port_in_time_wait_is_taken_for_the_next_connection(void **state)
{
    tcp_seq old;

    (void)state;
    world.settings.tw_reuse = 1;
    end_first_connection();
    old = world.iss;
    advance_by(UTCP_SEC + UTCP_MSEC);
    assert_int_equal(connect_again(), 0);
    release();
    expect_with(S, 0, 0, WIN, 0,
                ((struct tcp_options){.mss = 1460,
                                      .has_wscale = true,
                                      .wscale = 7,
                                      .has_timestamps = true,
                                      .ts_value = own_time(),
                                      .ts_echo = world.peer_clock}));
    assert_int_equal(world.iss, old + 2 + 65537);
    expect_connections(1);
}

static void a_port_just_in_time_wait_is_not(void **state)
{
    (void)state;
    world.settings.tw_reuse = 1;
    end_first_connection();
    advance_by(UTCP_SEC);
    assert_int_equal(connect_again(), -EADDRNOTAVAIL);
    expect_connections(2);
}

static void without_the_setting_a_port_stays_in_time_wait(void **state)
{
    (void)state;
    end_first_connection();
    advance_by(30 * UTCP_SEC);
    assert_int_equal(connect_again(), -EADDRNOTAVAIL);
}

static void without_timestamps_a_port_stays_in_time_wait(void **state)
{
    (void)state;
    world.settings.timestamps = 0;
    world.settings.tw_reuse = 1;
    end_first_connection();
    advance_by(30 * UTCP_SEC);
    assert_int_equal(connect_again(), -EADDRNOTAVAIL);
}

static void after_24_days_any_time_is_good(void **state)
{
    (void)state;
    established_at_5000();
    advance_by(24 * DAYS);
    inject_with(PA, 1, 1, 10000, 100, times(4000, world.ts_last));
    expect_with(A, 1, 101, WIN - 100, 0, times(own_time(), 4000));
}

static void before_24_days_an_old_time_is_not(void **state)
{
    (void)state;
    established_at_5000();
    advance_by(24 * DAYS - UTCP_SEC);
    inject_with(PA, 1, 1, 10000, 100, times(4000, world.ts_last));
    expect_with(A, 1, 1, WIN, 0, times(own_time(), 5000));
}

static void time_wraps_around(void **state)
{
    (void)state;
    world.peer_clock = UINT32_MAX - 15;
    established_server(timed_peer());
    inject_with(A, 1, 1, 10000, 100, times(UINT32_MAX, world.ts_last));
    expect_with(A, 1, 101, WIN - 100, 0, times(own_time(), UINT32_MAX));
    inject_with(A, 101, 1, 10000, 100, times(4, world.ts_last));
    expect_with(A, 1, 201, WIN - 200, 0, times(own_time(), 4));
    inject_with(A, 201, 1, 10000, 100, times(UINT32_MAX, world.ts_last));
    expect_with(A, 1, 201, WIN - 200, 0, times(own_time(), 4));
}

/* Some say 0 in their SYN and begin to count later, anywhere. */
static void a_first_time_of_zero_is_no_time(void **state)
{
    (void)state;
    world.peer_clock = 0;
    start_listening(1);
    inject_syn(S, 0, 0, timed_peer());
    drop_sent();
    inject_with(A, 1, 1, 1000, 0, times(0xf0000000, world.ts_last));
    world.conn = utcp_accept(world.listener, &world);
    assert_non_null(world.conn);
    assert_int_equal(world.conn->ts_recent, 0xf0000000);
}

/* What went again in vain: RFC 2883, also when all of it lies left of the window. */
static void an_old_duplicate_is_told_of(void **state)
{
    struct peer peer = timed_peer();

    (void)state;
    peer.sack = true;
    world.settings.sack = 1;
    established_server(peer);
    inject(PA, 1, 1, 10000, 100);
    inject(PA, 101, 1, 10000, 100);
    drop_sent();
    inject(PA, 1, 1, 10000, 100);
    expect_with(A, 1, 201, WIN - 200, 0,
                ((struct tcp_options){.has_timestamps = true,
                                      .ts_value = own_time(),
                                      .ts_echo = peer_time(),
                                      .sack_count = 1,
                                      .sack = {{1, 101}}}));
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TIMED(a_syn_offers_timestamps_and_the_first_ack_echoes),
        TIMED(a_syn_ack_answers_an_offer),
        TIMED(without_an_offer_no_segment_has_timestamps),
        TIMED(a_peer_that_does_not_answer_the_offer_gets_none),
        TIMED(the_setting_turns_them_off),
        TIMED(syns_that_cross_agree),
        TIMED(a_syn_ack_that_echoes_none_of_our_times_is_reset),
        TIMED(a_syn_ack_may_echo_nothing),
        TIMED(the_clock_starts_at_a_number_of_its_own),
        TIMED(the_setting_shows_the_clock_as_it_is),
        TIMED(all_connections_with_a_peer_have_one_clock),
        TIMED(stacks_that_share_a_key_have_one_clock),
        TIMED(the_clock_ticks_once_a_millisecond),
        TIMED(segments_are_shorter_by_the_option),
        TIMED(data_fin_and_probes_have_timestamps),
        TIMED(a_reset_of_ours_has_a_timestamp),
        TIMED(sack_blocks_beside_timestamps_are_three),
        TIMED(data_beside_sack_blocks_is_shorter_still),
        TIMED(the_first_of_two_segments_is_echoed),
        TIMED(beyond_a_hole_the_last_before_it_is_echoed),
        TIMED(time_does_not_go_back),
        TIMED(a_segment_with_an_ack_of_nothing_sent_sets_no_time),
        TIMED(a_repeated_segment_is_measured_by_its_echo),
        TIMED(an_echo_of_the_original_measures_all_of_it),
        TIMED(an_echo_of_nothing_measures_nothing),
        TIMED(an_echo_from_the_future_measures_nothing),
        TIMED(an_answer_to_a_duplicate_measures_nothing),
        TIMED(a_lost_ack_makes_no_round_trip_longer),
        TIMED(what_went_once_is_measured_finer_than_the_clock),
        TIMED(a_repeated_syn_is_measured_by_its_echo),
        TIMED(a_repeated_syn_ack_is_measured_by_its_echo),
        TIMED(an_echo_of_the_original_takes_a_time_out_back),
        TIMED(a_segment_without_a_time_is_accepted),
        TIMED(an_old_segment_is_dropped_and_answered),
        TIMED(the_ack_of_an_old_segment_does_not_count),
        TIMED(old_segments_without_data_are_answered_twice_a_second),
        TIMED(an_ack_that_was_overtaken_is_not_answered),
        TIMED(an_ack_that_was_overtaken_closes_no_window),
        TIMED(a_reset_is_exempt),
        TIMED(an_old_syn_is_answered_with_an_ack),
        TIMED(old_segments_in_time_wait_are_answered),
        TIMED(a_syn_with_a_later_time_reopens_time_wait),
        TIMED(a_syn_with_an_earlier_time_does_not_whatever_its_number),
        TIMED(a_syn_of_the_same_time_needs_a_greater_number),
        TIMED(a_port_in_time_wait_is_taken_for_the_next_connection),
        TIMED(a_port_just_in_time_wait_is_not),
        TIMED(without_the_setting_a_port_stays_in_time_wait),
        TIMED(without_timestamps_a_port_stays_in_time_wait),
        TIMED(after_24_days_any_time_is_good),
        TIMED(before_24_days_an_old_time_is_not),
        TIMED(time_wraps_around),
        TIMED(a_first_time_of_zero_is_no_time),
        TIMED(an_old_duplicate_is_told_of),
    };

    select_test(argc, argv);
    return cmocka_run_group_tests_name("timestamps", tests, NULL, NULL);
}
