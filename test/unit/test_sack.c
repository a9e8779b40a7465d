/* SPDX-License-Identifier: MIT */
/* Selective acknowledgments, both ways: RFC 2018, RFC 2883, RFC 6675. */
#include "harness.h"

static const struct peer sack_peer = {
    .window = WIN, .mss = 1000, .wscale = NO_WSCALE, .sack = true};

static struct tcp_options block(tcp_seq from, tcp_seq to)
{
    return (struct tcp_options){.sack_count = 1, .sack = {{from, to}}};
}

static struct tcp_options blocks(tcp_seq from, tcp_seq to, tcp_seq from2, tcp_seq to2)
{
    return (struct tcp_options){.sack_count = 2, .sack = {{from, to}, {from2, to2}}};
}

static void sacked_connection(void)
{
    world.settings.sack = 1;
    established_client(sack_peer);
}

/* So many segments in flight and, behind them, this much queued. */
static void fly(unsigned segments, uint32_t queued)
{
    world.settings.initial_window = segments;
    sacked_connection();
    write_bytes(segments * 1000 + queued);
    assert_int_equal(drop_sent(), segments);
    advance_by(RTT);
}

static void expect_segments(tcp_seq seq, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        expect(A, seq + i * 1000, 1, WIN, 1000);
}

/* ---- what we tell ---- */

static void sack_is_offered_and_taken(void **state)
{
    struct peer offer = {.window = WIN, .mss = 1460, .wscale = 7, .sack = true};

    (void)state;
    world.settings.sack = 1;
    start_connecting();
    expect_syn(S, 0, 0, offer);
    inject_syn(SA, 0, 1, sack_peer);
    assert_true(world.conn->sack_ok);
}

static void sack_is_not_used_with_a_peer_that_does_not_offer_it(void **state)
{
    (void)state;
    world.settings.sack = 1;
    established_server(plain_peer(WIN));
    assert_false(world.conn->sack_ok);
    inject(A, 1001, 1, WIN, 1000);
    expect(A, 1, 1, WIN, 0);
}

static void the_range_that_came_last_is_told_first(void **state)
{
    (void)state;
    sacked_connection();
    inject(A, 1001, 1, WIN, 1000);
    expect_with(A, 1, 1, WIN, 0, block(1001, 2001));
    inject(A, 5001, 1, WIN, 1000);
    expect_with(A, 1, 1, WIN, 0, blocks(5001, 6001, 1001, 2001));
    inject(A, 2001, 1, WIN, 1000);
    expect_with(A, 1, 1, WIN, 0, blocks(1001, 3001, 5001, 6001));
    inject(A, 1, 1, WIN, 1000);
    expect_with(A, 1, 3001, WIN, 0, block(5001, 6001));
    inject(A, 3001, 1, WIN, 2000);
    expect(A, 1, 6001, WIN, 0);
}

static void four_blocks_fit_and_the_oldest_gives_way(void **state)
{
    struct tcp_options four = {
        .sack_count = 4,
        .sack = {{9001, 10001}, {7001, 8001}, {5001, 6001}, {3001, 4001}},
    };

    (void)state;
    sacked_connection();
    for (tcp_seq seq = 1001; seq < 9001; seq += 2000)
        inject(A, seq, 1, WIN, 1000);
    drop_sent();
    inject(A, 9001, 1, WIN, 1000);
    expect_with(A, 1, 1, WIN, 0, four);
}

/* As Linux: a peer that is told of the data alone would send the last segment again for its FIN. */
static void a_fin_beyond_a_hole_is_part_of_its_block(void **state)
{
    (void)state;
    sacked_connection();
    inject(FA, 101, 1, WIN, 100);
    expect_with(A, 1, 1, WIN, 0, block(101, 202));
    inject(A, 51, 1, WIN, 50);
    expect_with(A, 1, 1, WIN, 0, block(51, 202));
    inject(A, 1, 1, WIN, 50);
    expect(A, 1, 202, WIN - 201, 0);
}

static void a_fin_alone_is_a_block(void **state)
{
    (void)state;
    sacked_connection();
    inject(FA, 201, 1, WIN, 0);
    expect_with(A, 1, 1, WIN, 0, block(201, 202));
    inject(A, 101, 1, WIN, 100);
    expect_with(A, 1, 1, WIN, 0, block(101, 202));
    inject(A, 1, 1, WIN, 100);
    expect(A, 1, 202, WIN - 201, 0);
}

/* What fills a block up is no reason to forget another. */
static void a_block_that_grows_takes_one_place(void **state)
{
    (void)state;
    sacked_connection();
    inject(A, 101, 1, WIN, 10);
    inject(A, 201, 1, WIN, 10);
    inject(A, 211, 1, WIN, 10);
    inject(A, 221, 1, WIN, 10);
    drop_sent();
    inject(A, 231, 1, WIN, 10);
    expect_with(A, 1, 1, WIN, 0, blocks(201, 241, 101, 111));
}

static void blocks_wrap_around_zero(void **state)
{
    (void)state;
    world.peer_isn = 0xfffffa00;
    sacked_connection();
    inject(A, 1001, 1, WIN, 1000);
    expect_with(A, 1, 1, WIN, 0, block(1001, 2001));
}

static void data_makes_room_for_the_blocks(void **state)
{
    (void)state;
    sacked_connection();
    inject(A, 1001, 1, WIN, 1000);
    drop_sent();
    utcp_set_option(world.conn, UTCP_OPT_NODELAY, 1);
    write_bytes(2000);
    expect_with(A, 1, 1, WIN, 988, block(1001, 2001));
    expect_with(A, 989, 1, WIN, 988, block(1001, 2001));
    expect_with(PA, 1977, 1, WIN, 24, block(1001, 2001));
    expect_nothing();
}

static void a_duplicate_below_the_ack_is_told_once(void **state)
{
    (void)state;
    sacked_connection();
    inject(PA, 1, 1, WIN, 1000);
    drop_sent();
    inject(PA, 501, 1, WIN, 500);
    expect_with(A, 1, 1001, WIN, 0, block(501, 1001));
    inject(PA, 1001, 1, WIN, 1000);
    expect(A, 1, 2001, WIN, 0);
}

static void a_duplicate_beyond_the_hole_comes_before_the_range_that_holds_it(void **state)
{
    (void)state;
    sacked_connection();
    inject(A, 1001, 1, WIN, 2000);
    drop_sent();
    inject(A, 1501, 1, WIN, 500);
    expect_with(A, 1, 1, WIN, 0, blocks(1501, 2001, 1001, 3001));
}

static void duplicates_are_not_told_when_the_setting_says_so(void **state)
{
    (void)state;
    world.settings.dsack = 0;
    sacked_connection();
    inject(PA, 1, 1, WIN, 1000);
    drop_sent();
    inject(PA, 1, 1, WIN, 1000);
    expect(A, 1, 1001, WIN, 0);
}

/* CVE-2018-5390: the memory and the time for each segment are bounded. */
static void a_thousand_tiny_holes_are_held_in_bounded_memory(void **state)
{
    size_t before;

    (void)state;
    sacked_connection();
    inject(A, 3, 1, WIN, 1);
    before = world.memory_bytes;
    for (tcp_seq seq = 5; seq < 4005; seq += 2)
        inject(A, seq, 1, WIN, 1);
    assert_int_equal(drop_sent(), 2001);
    assert_int_equal(world.memory_bytes, before);
    inject(A, 1, 1, WIN, 2000);
    read_bytes(2000);
}

/* ---- what the peer tells ---- */

static void only_the_holes_go_again(void **state)
{
    (void)state;
    fly(10, 0);
    inject_with(A, 1, 1, WIN, 0, block(1001, 3001));
    expect_nothing();
    inject_with(A, 1, 1, WIN, 0, blocks(4001, 6001, 1001, 3001));
    expect_segments(1, 1);
    expect_nothing();
    inject_with(A, 1, 3001, WIN, 0, block(4001, 10001));
    expect_segments(3001, 1);
    expect_nothing();
    inject(A, 1, 10001, WIN, 0);
    expect_nothing();
    assert_int_equal(world.conn->recovery.state, CA_OPEN);
    assert_int_equal(world.conn->cc.cwnd, 5000);
}

static void without_rack_more_than_two_segments_above_mean_a_loss(void **state)
{
    (void)state;
    world.settings.rack = 0;
    fly(10, 0);
    inject_with(A, 1, 1, WIN, 0, block(1001, 3001));
    expect_nothing();
    inject_with(A, 1, 1, WIN, 0, block(1001, 4001));
    expect_segments(1, 1);
    expect_nothing();
    inject(A, 1, 10001, WIN, 0);
    assert_int_equal(world.conn->recovery.state, CA_OPEN);
}

static void a_block_that_cannot_be_is_ignored(void **state)
{
    (void)state;
    fly(4, 0);
    inject_with(A, 1, 1, WIN, 0, block(3001, 5001)); /* beyond what was sent */
    inject_with(A, 1, 1, WIN, 0, block(2001, 1001)); /* ends before it begins */
    inject_with(A, 1, 1, WIN, 0, block(0x40000000, 0x40001000));
    assert_int_equal(world.conn->flight.sacked_bytes, 0);
    expect_nothing();
}

static void blocks_are_not_believed_when_they_were_not_agreed_on(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    write_bytes(4000);
    drop_sent();
    inject_with(A, 1, 1, WIN, 0, block(1001, 2001));
    assert_int_equal(world.conn->flight.sacked_bytes, 0);
}

/* A hole across 0, and nothing is left in flight at the end. */
static void blocks_of_ours_wrap_around_zero(void **state)
{
    (void)state;
    world.settings.sack = 1;
    choose_iss(0xfffff800);
    fly(5, 0);
    inject_with(A, 1, 1, WIN, 0, block(1001, 5001));
    expect_segments(1, 1);
    inject(A, 1, 5001, WIN, 0);
    assert_int_equal(in_flight(world.conn), 0);
    assert_int_equal(utcp_next_deadline(world.stack), UTCP_NEVER);
}

/* As Linux: of the first segment half is missing, of the last the second half. */
static void a_partly_sacked_segment_goes_again_as_a_whole(void **state)
{
    (void)state;
    fly(5, 0);
    inject_with(A, 1, 1, WIN, 0, block(501, 4501));
    assert_int_equal(world.conn->flight.sacked_bytes, 3000);
    expect(A, 1, 1, WIN, 1000);
    expect_nothing();
    inject_with(A, 1, 1001, WIN, 0, block(1001, 5001));
    assert_int_equal(world.conn->flight.sacked_bytes, 4000);
}

/* Not every peer counts it. */
static void a_last_segment_without_its_fin_is_whole(void **state)
{
    (void)state;
    fly(4, 500);
    close_conn();
    drop_sent();
    inject_with(A, 1, 1, WIN, 0, block(4001, 4501));
    assert_int_equal(world.conn->flight.sacked_bytes, 500);
}

/* google's fr-4pkt-fack-last-byte. */
static void a_sacked_byte_means_no_loss(void **state)
{
    (void)state;
    fly(4, 0);
    inject_with(A, 1, 1, WIN, 0, block(4000, 4001));
    assert_int_equal(world.conn->flight.sacked_bytes, 0);
    assert_int_equal(world.conn->recovery.state, CA_OPEN);
    assert_false(tcp_timer_runs(world.conn, TIMER_REORDER));
    expect_nothing();
}

/* CVE-2019-11478: blocks of single bytes may not fragment what is in flight without bounds. */
static void a_peer_that_sacks_single_bytes_exhausts_nothing(void **state)
{
    size_t before;

    (void)state;
    fly(60, 0);
    inject_with(A, 1, 1, WIN, 0, block(2, 3));
    before = world.memory_bytes;
    for (tcp_seq seq = 4; seq < 60000; seq += 2)
        inject_with(A, 1, 1, WIN, 0, block(seq, seq + 1));
    assert_true(world.memory_bytes - before < 256 * 1024);
    assert_int_equal(world.conn->flight.sacked.count, 0);
    for (tcp_seq seq = 1001; seq < 60000; seq += 2000)
        inject_with(A, 1, 1, WIN, 0, block(seq + 1, seq + 1999));
    assert_int_equal(world.conn->flight.sacked.count, 0);
    drop_sent();
    inject(A, 1, 60001, WIN, 0);
    assert_int_equal(in_flight(world.conn), 0);
}

static void what_a_peer_reneges_on_goes_again(void **state)
{
    (void)state;
    fly(5, 0);
    inject_with(A, 1, 1, WIN, 0, block(2001, 3001));
    advance_by(2 * UTCP_SEC);
    drop_sent();
    /* The SACKed segment is missing, says the ACK. */
    inject(A, 1, 2001, WIN, 0);
    drop_sent();
    advance_by(10 * UTCP_SEC);
    assert_int_equal(world.conn->flight.sacked_bytes, 0);
    expect(A, 2001, 1, WIN, 1000);
}

/* All but the head is SACKed, then the head is acknowledged: nothing is in flight or lost, but much to send again. */
static void a_large_flight_that_a_peer_reneges_on_goes_again(void **state)
{
    (void)state;
    world.settings.gso = 0;
    fly(40, 0);
    inject_with(A, 1, 1, WIN, 0, block(1001, 40001));
    drop_sent();
    inject(A, 1, 1001, WIN, 0);
    advance_by(10 * UTCP_SEC);
    expect(A, 1001, 1, WIN, 1000);
}

/* The duplicate is told with the text, and takes its room. */
static void segments_beside_a_duplicate_are_remembered_as_short_as_they_were(void **state)
{
    (void)state;
    sacked_connection();
    inject(A, 1, 1, WIN, 1000);
    drop_sent();
    world.held = true;
    inject(A, 1, 1, WIN, 1000);
    write_bytes(4000);
    release();
    expect_with(A, 1, 1001, WIN, 988, block(1, 1001));
    assert_int_equal(flight_item(&world.conn->flight, &world.conn->flight.log, 0)->segment, 988);
}

static void an_idle_connection_keeps_no_large_scoreboard(void **state)
{
    size_t idle;

    (void)state;
    world.settings.gso = 0;
    fly(2, 0);
    inject(A, 1, 2001, WIN, 0);
    idle = world.memory_bytes;
    world.conn->cc.cwnd = 1000000;
    for (unsigned i = 0; i < 60; i++) {
        write_bytes(1000);
        advance_by(UTCP_USEC);
    }
    assert_int_equal(drop_sent(), 60);
    assert_true(world.memory_bytes > idle);
    inject(A, 1, 62001, WIN, 0);
    assert_true(world.memory_bytes <= idle);
}

static void without_memory_for_the_scoreboard_the_timeout_repairs(void **state)
{
    (void)state;
    fly(3, 0);
    world.memory_left = 0;
    inject_with(A, 1, 1, WIN, 0, block(1001, 3001));
    assert_int_equal(world.conn->flight.sacked_bytes, 0);
    advance_by(UTCP_SEC);
    assert_true(drop_sent() > 0);
    inject(A, 1, 3001, WIN, 0);
    assert_int_equal(utcp_next_deadline(world.stack), UTCP_NEVER);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(sack_is_offered_and_taken),
        TEST(sack_is_not_used_with_a_peer_that_does_not_offer_it),
        TEST(the_range_that_came_last_is_told_first),
        TEST(four_blocks_fit_and_the_oldest_gives_way),
        TEST(a_fin_beyond_a_hole_is_part_of_its_block),
        TEST(a_fin_alone_is_a_block),
        TEST(a_block_that_grows_takes_one_place),
        TEST(blocks_wrap_around_zero),
        TEST(data_makes_room_for_the_blocks),
        TEST(a_duplicate_below_the_ack_is_told_once),
        TEST(a_duplicate_beyond_the_hole_comes_before_the_range_that_holds_it),
        TEST(duplicates_are_not_told_when_the_setting_says_so),
        TEST(a_thousand_tiny_holes_are_held_in_bounded_memory),
        TEST(only_the_holes_go_again),
        TEST(without_rack_more_than_two_segments_above_mean_a_loss),
        TEST(a_block_that_cannot_be_is_ignored),
        TEST(blocks_are_not_believed_when_they_were_not_agreed_on),
        TEST(blocks_of_ours_wrap_around_zero),
        TEST(a_partly_sacked_segment_goes_again_as_a_whole),
        TEST(a_last_segment_without_its_fin_is_whole),
        TEST(a_sacked_byte_means_no_loss),
        TEST(a_peer_that_sacks_single_bytes_exhausts_nothing),
        TEST(what_a_peer_reneges_on_goes_again),
        TEST(a_large_flight_that_a_peer_reneges_on_goes_again),
        TEST(segments_beside_a_duplicate_are_remembered_as_short_as_they_were),
        TEST(an_idle_connection_keeps_no_large_scoreboard),
        TEST(without_memory_for_the_scoreboard_the_timeout_repairs),
    };

    select_test(argc, argv);
    return cmocka_run_group_tests_name("sack", tests, NULL, NULL);
}
