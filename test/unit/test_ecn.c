/* SPDX-License-Identifier: MIT */
/* Explicit congestion notification: RFC 3168, RFC 8511. */
#include "harness.h"
#include "stack.h"

enum { NOT_ECT = 0, ECT_1 = 1, ECT_0 = 2, CE = 3 };

enum {
    E = TCP_ECE,
    C = TCP_CWR,
};

static const struct peer ours = {.window = WIN, .mss = 1460, .wscale = 7};
static const struct peer ours_unscaled = {.window = WIN, .mss = 1460, .wscale = NO_WSCALE};

#define expect_ecn(bits) assert_int_equal(world.ecn_sent, bits)

/* A connection that was asked for ECN, and agreed. */
static void established_with_ecn(void)
{
    start_listening(8);
    inject_syn(S | E | C, 0, 0, plain_peer(WIN));
    expect_syn(SA | E, 0, 1, ours_unscaled);
    expect_ecn(NOT_ECT);
    world.peer_mss = 1000;
    advance_by(RTT);
    inject(A, 1, 1, WIN, 0);
    world.conn = utcp_accept(world.listener, &world);
    assert_non_null(world.conn);
    assert_true(world.conn->ecn.ok);
}

/* ... and has ten segments in flight, its whole window. */
static void flying_with_ecn(void)
{
    established_with_ecn();
    write_bytes(20000);
    assert_int_equal(drop_sent(), 10);
}

/* ---- negotiation: section 6.1.1 ---- */

static void ecn_is_not_offered_by_default(void **state)
{
    (void)state;
    start_connecting();
    expect_syn(S, 0, 0, ours);
}

static void the_setting_offers_it(void **state)
{
    (void)state;
    world.settings.ecn = 1;
    start_connecting();
    expect_syn(S | E | C, 0, 0, ours);
    expect_ecn(NOT_ECT);
    inject_syn(SA | E, 0, 1, plain_peer(WIN));
    expect(A, 1, 1, WIN, 0);
    expect_ecn(NOT_ECT);
    write_bytes(10);
    expect(PA, 1, 1, WIN, 10);
    expect_ecn(ECT_0);
}

static void a_peer_that_knows_of_none_gets_none(void **state)
{
    (void)state;
    world.settings.ecn = 1;
    established_client(plain_peer(WIN));
    write_bytes(10);
    expect(PA, 1, 1, WIN, 10);
    expect_ecn(NOT_ECT);
}

/* Some answer with the flags that they got. */
static void a_syn_ack_that_only_reflects_the_flags_agrees_to_nothing(void **state)
{
    (void)state;
    world.settings.ecn = 1;
    start_connecting();
    drop_sent();
    inject_syn(SA | E | C, 0, 1, plain_peer(WIN));
    assert_false(world.conn->ecn.ok);
}

static void an_answer_to_no_offer_is_ignored(void **state)
{
    (void)state;
    start_connecting();
    drop_sent();
    inject_syn(SA | E, 0, 1, plain_peer(WIN));
    assert_false(world.conn->ecn.ok);
}

/* There are routers that drop SYNs with the offer: section 6.1.1.1. */
static void a_syn_that_goes_again_offers_nothing(void **state)
{
    (void)state;
    world.settings.ecn = 1;
    start_connecting();
    expect_syn(S | E | C, 0, 0, ours);
    nothing_before(UTCP_SEC);
    expect_syn(S, 0, 0, ours);
    /* The first one did arrive, after all. */
    inject_syn(SA | E, 0, 1, plain_peer(WIN));
    assert_true(world.conn->ecn.ok);
}

static void the_setting_refuses_it(void **state)
{
    (void)state;
    world.settings.ecn = 0;
    start_listening(1);
    inject_syn(S | E | C, 0, 0, plain_peer(WIN));
    expect_syn(SA, 0, 1, ours_unscaled);
}

static void a_marked_syn_is_no_offer(void **state)
{
    (void)state;
    start_listening(1);
    world.ecn = ECT_0;
    inject_syn(S | E | C, 0, 0, plain_peer(WIN));
    expect_syn(SA, 0, 1, ours_unscaled);
}

static void a_syn_ack_that_goes_again_still_agrees(void **state)
{
    (void)state;
    start_listening(1);
    inject_syn(S | E | C, 0, 0, plain_peer(WIN));
    expect_syn(SA | E, 0, 1, ours_unscaled);
    nothing_before(UTCP_SEC);
    expect_syn(SA | E, 0, 1, ours_unscaled);
}

static void syns_that_cross_agree(void **state)
{
    (void)state;
    world.settings.ecn = 1;
    start_connecting();
    expect_syn(S | E | C, 0, 0, ours);
    inject_syn(S | E | C, 0, 0, plain_peer(WIN));
    expect_syn(SA | E, 0, 1, ours_unscaled);
    inject(A, 1, 1, WIN, 0);
    assert_true(world.conn->ecn.ok);
}

/* ---- what is capable: sections 6.1.2, 6.1.4 to 6.1.6 ---- */

static void new_data_is_capable_and_nothing_else(void **state)
{
    (void)state;
    established_with_ecn();
    write_bytes(100);
    expect(PA, 1, 1, WIN, 100);
    expect_ecn(ECT_0);
    nothing_before(RTO);
    expect(PA, 1, 1, WIN, 100);
    expect_ecn(NOT_ECT);
    inject(A, 1, 101, WIN, 0);
    inject(PA, 1, 101, WIN, 10);
    expect(A, 101, 11, WIN - 10, 0);
    expect_ecn(NOT_ECT);
    utcp_shutdown(world.conn, UTCP_SHUT_WR, world.now);
    release();
    expect(FA, 101, 11, WIN - 10, 0);
    expect_ecn(NOT_ECT);
}

static void a_window_probe_is_not_capable(void **state)
{
    (void)state;
    established_with_ecn();
    inject(A, 1, 1, 0, 0);
    write_bytes(100);
    advance_by(2 * RTO);
    expect(A, 0, 1, WIN, 0);
    expect_ecn(NOT_ECT);
    drop_sent();
}

static void the_tos_of_the_user_stays(void **state)
{
    (void)state;
    established_with_ecn();
    assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_TOS, 0x10), 0);
    write_bytes(100);
    expect(PA, 1, 1, WIN, 100);
    expect_ecn(ECT_0);
    assert_int_equal(utcp_get_option(world.conn, UTCP_OPT_TOS), 0x10);
}

/* ---- the receiver: section 6.1.3 ---- */

static void a_mark_is_echoed_until_the_peer_has_heard(void **state)
{
    (void)state;
    established_with_ecn();
    world.ecn = CE;
    inject(A, 1, 1, WIN, 100);
    expect(A | E, 1, 101, WIN - 100, 0);
    world.ecn = ECT_0;
    inject(A, 101, 1, WIN, 100);
    expect(A | E, 1, 201, WIN - 200, 0);
    write_bytes(10);
    expect(PA | E, 1, 201, WIN - 200, 10);
    expect_ecn(ECT_0);
    inject(A | C, 201, 11, WIN, 100);
    expect(A, 11, 301, WIN - 300, 0);
    assert_int_equal(utcp_counters(world.stack)->tcp_ecn_marks, 1);
}

static void a_mark_beside_the_peers_cwr_is_a_new_one(void **state)
{
    (void)state;
    established_with_ecn();
    world.ecn = CE;
    inject(A, 1, 1, WIN, 100);
    drop_sent();
    inject(A | C, 101, 1, WIN, 100);
    expect(A | E, 1, 201, WIN - 200, 0);
}

static void a_mark_beyond_a_hole_is_echoed(void **state)
{
    (void)state;
    established_with_ecn();
    world.ecn = CE;
    inject(A, 101, 1, WIN, 100);
    expect(A | E, 1, 1, WIN, 0);
}

/* Somebody could mark at will what is not in the window. */
static void a_mark_outside_the_window_is_ignored(void **state)
{
    (void)state;
    established_with_ecn();
    world.ecn = CE;
    inject(A, 70000, 1, WIN, 100);
    expect(A, 1, 1, WIN, 0);
}

static void a_mark_on_a_bare_ack_is_ignored(void **state)
{
    (void)state;
    established_with_ecn();
    world.ecn = CE;
    inject(A, 1, 1, WIN, 0);
    world.ecn = NOT_ECT;
    inject(A, 1, 1, WIN, 100);
    expect(A, 1, 101, WIN - 100, 0);
}

static void without_agreement_no_mark_is_echoed(void **state)
{
    (void)state;
    established_server(plain_peer(WIN));
    world.ecn = CE;
    inject(A, 1, 1, WIN, 100);
    expect(A, 1, 101, WIN - 100, 0);
}

static void status_tells_that_the_peer_uses_it(void **state)
{
    struct utcp_info info;

    (void)state;
    established_with_ecn();
    utcp_info(world.conn, world.now, &info);
    assert_true(info.ecn_ok);
    assert_false(info.ecn_seen);
    world.ecn = ECT_1;
    inject(A, 1, 1, WIN, 100);
    drop_sent();
    utcp_info(world.conn, world.now, &info);
    assert_true(info.ecn_seen);
}

/* ---- the sender: section 6.1.2 ---- */

static void an_echo_halves_the_window_and_is_answered_once(void **state)
{
    (void)state;
    flying_with_ecn();
    inject(A | E, 1, 1001, WIN, 0);
    assert_int_equal(world.conn->recovery.state, CA_CWR);
    assert_int_equal(world.conn->cc.ssthresh, 5000);
    /* The first of what is new carries CWR, the next does not. */
    expect(A | C, 10001, 1, WIN, 1000);
    expect_ecn(ECT_0);
    inject(A | E, 1, 2001, WIN, 0);
    inject(A | E, 1, 3001, WIN, 0);
    expect(A, 11001, 1, WIN, 1000);
    assert_int_equal(world.conn->cc.ssthresh, 5000);
    assert_int_equal(utcp_counters(world.stack)->tcp_ecn_echoes, 1);
    assert_int_equal(utcp_counters(world.stack)->tcp_retransmits, 0);
    drop_sent();
}

static void the_window_goes_down_to_half_within_a_round_trip(void **state)
{
    (void)state;
    flying_with_ecn();
    for (unsigned i = 1; i <= 10; i++)
        inject(A | E, 1, 1 + 1000 * i, WIN, 0);
    drop_sent();
    assert_in_range(world.conn->cc.cwnd, 5000, 6000);
    inject(A, 1, world.conn->snd_nxt - world.iss, WIN, 0);
    assert_int_equal(world.conn->recovery.state, CA_OPEN);
    assert_in_range(world.conn->cc.cwnd, 5000, 6000);
    drop_sent();
}

static void an_echo_in_the_next_window_counts_again(void **state)
{
    tcp_seq end;

    (void)state;
    flying_with_ecn();
    inject(A | E, 1, 1001, WIN, 0);
    for (unsigned i = 2; i <= 10; i++)
        inject(A, 1, 1 + 1000 * i, WIN, 0);
    end = world.conn->snd_nxt - world.iss;
    drop_sent();
    inject(A, 1, 11001, WIN, 0);
    assert_int_equal(world.conn->recovery.state, CA_OPEN);
    inject(A | E, 1, 12001, WIN, 0);
    assert_int_equal(world.conn->recovery.state, CA_CWR);
    assert_true(end > 12001);
    /* RFC 8511: 0.8 of five segments, now that slow start is over. */
    assert_int_equal(world.conn->cc.ssthresh, 4000);
    drop_sent();
}

static void an_echo_with_nothing_in_flight_changes_nothing(void **state)
{
    (void)state;
    established_with_ecn();
    inject(A | E, 1, 1, WIN, 0);
    assert_int_equal(world.conn->recovery.state, CA_OPEN);
    write_bytes(100);
    expect(PA, 1, 1, WIN, 100);
}

static void without_agreement_an_echo_is_ignored(void **state)
{
    (void)state;
    established_server(plain_peer(WIN));
    write_bytes(1000);
    drop_sent();
    inject(A | E, 1, 1001, WIN, 0);
    assert_int_equal(world.conn->recovery.state, CA_OPEN);
    assert_int_equal(world.conn->cc.ssthresh, UINT32_MAX);
}

/* Section 6.1.2: "... CWR flag ... in the first new data packet" after any reduction. */
static void a_loss_is_answered_with_cwr_too(void **state)
{
    (void)state;
    flying_with_ecn();
    for (unsigned i = 0; i < 3; i++)
        inject(A, 1, 1, WIN, 0);
    assert_int_equal(world.conn->recovery.state, CA_RECOVERY);
    expect(A, 10001, 1, WIN, 1000); /* limited transmit, before the third */
    expect(A, 11001, 1, WIN, 1000);
    expect(A, 1, 1, WIN, 1000);
    expect_ecn(NOT_ECT);
    inject(A, 1, 12001, WIN, 0);
    expect(A | C, 12001, 1, WIN, 1000);
    expect_ecn(ECT_0);
    drop_sent();
}

static void a_loss_and_an_echo_reduce_the_window_once(void **state)
{
    (void)state;
    flying_with_ecn();
    inject(A | E, 1, 1001, WIN, 0);
    for (unsigned i = 0; i < 3; i++)
        inject(A | E, 1, 1001, WIN, 0);
    assert_int_equal(world.conn->recovery.state, CA_RECOVERY);
    assert_int_equal(world.conn->cc.ssthresh, 5000);
    drop_sent();
}

/* RFC 3168 section 6.1.2: of a packet that the device cuts only the first segment has CWR. */
static void of_a_big_packet_the_first_segment_has_cwr(void **state)
{
    (void)state;
    flying_with_ecn();
    world.held = true;
    inject(A | E, 1, 1001, WIN, 0);
    inject(A, 1, 12001 - 2000, WIN, 0);
    release();
    expect(A | C, 10001, 1, WIN, 1000);
    expect(A, 11001, 1, WIN, 1000);
    drop_sent();
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(ecn_is_not_offered_by_default),
        TEST(the_setting_offers_it),
        TEST(a_peer_that_knows_of_none_gets_none),
        TEST(a_syn_ack_that_only_reflects_the_flags_agrees_to_nothing),
        TEST(an_answer_to_no_offer_is_ignored),
        TEST(a_syn_that_goes_again_offers_nothing),
        TEST(the_setting_refuses_it),
        TEST(a_marked_syn_is_no_offer),
        TEST(a_syn_ack_that_goes_again_still_agrees),
        TEST(syns_that_cross_agree),
        TEST(new_data_is_capable_and_nothing_else),
        TEST(a_window_probe_is_not_capable),
        TEST(the_tos_of_the_user_stays),
        TEST(a_mark_is_echoed_until_the_peer_has_heard),
        TEST(a_mark_beside_the_peers_cwr_is_a_new_one),
        TEST(a_mark_beyond_a_hole_is_echoed),
        TEST(a_mark_outside_the_window_is_ignored),
        TEST(a_mark_on_a_bare_ack_is_ignored),
        TEST(without_agreement_no_mark_is_echoed),
        TEST(status_tells_that_the_peer_uses_it),
        TEST(an_echo_halves_the_window_and_is_answered_once),
        TEST(the_window_goes_down_to_half_within_a_round_trip),
        TEST(an_echo_in_the_next_window_counts_again),
        TEST(an_echo_with_nothing_in_flight_changes_nothing),
        TEST(without_agreement_an_echo_is_ignored),
        TEST(a_loss_is_answered_with_cwr_too),
        TEST(a_loss_and_an_echo_reduce_the_window_once),
        TEST(of_a_big_packet_the_first_segment_has_cwr),
    };

    select_test(argc, argv);
    return cmocka_run_group_tests_name("ecn", tests, NULL, NULL);
}
