/* SPDX-License-Identifier: MIT */
/* When text is acknowledged: RFC 1122 section 4.2.3.2, RFC 5681 section 4.2, and Linux's quick ACKs. */
#include "harness.h"

enum { MSS = 1000, QUICK = 16 };

static const utcp_time least = 40 * UTCP_MSEC;

/* A client whose ACKs may be delayed; none is yet. */
static void willing_to_delay(void)
{
    world.settings.delack_max = 200 * UTCP_MSEC;
    established_client(plain_peer(WIN));
}

/* So many full segments from there on, each acknowledged at once. */
static void quickly(tcp_seq seq, unsigned segments)
{
    while (segments-- > 0) {
        inject(A, seq, 1, WIN, MSS);
        seq += MSS;
        expect(A, 1, seq, WIN, 0);
        expect_nothing();
    }
}

/* The quick ACKs are used up, and the program has read everything; returns the next sequence number. */
static tcp_seq past_the_beginning(void)
{
    willing_to_delay();
    quickly(1, QUICK);
    read_bytes(QUICK * MSS);
    expect_nothing();
    return 1 + QUICK * MSS;
}

static void in_the_beginning_each_segment_is_acknowledged(void **state)
{
    (void)state;
    willing_to_delay();
    quickly(1, QUICK);
    inject(A, 1 + QUICK * MSS, 1, WIN, MSS);
    expect_nothing();
}

static void a_peer_with_a_small_mss_of_its_own_may_send_large_segments(void **state)
{
    struct peer peer = plain_peer(WIN);
    tcp_seq at = 1;

    (void)state;
    peer.mss = 536;
    world.settings.delack_max = 200 * UTCP_MSEC;
    established_client(peer);
    for (unsigned i = 0; i < QUICK; i++, at += 1460)
        inject(A, at, 1, WIN, 1460);
    read_bytes(QUICK * 1460);
    drop_sent();
    inject(A, at, 1, WIN, 1460);
    expect_nothing();
    inject(A, at + 1460, 1, WIN, 1460);
    expect(A, 1, at + 2 * 1460, WIN, 0);
}

static void later_every_second_segment_is(void **state)
{
    tcp_seq at = past_the_beginning();

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        inject(A, at, 1, WIN, MSS);
        expect_nothing();
        inject(A, at + MSS, 1, WIN, MSS);
        at += 2 * MSS;
        expect(A, 1, at, WIN, 0);
        expect_nothing();
    }
}

static void a_segment_that_stays_alone_waits_for_the_least_delay(void **state)
{
    tcp_seq at = past_the_beginning();

    (void)state;
    inject(A, at, 1, WIN, MSS);
    nothing_before(least);
    expect(A, 1, at + MSS, WIN, 0);
    expect_nothing();
}

static void no_delay_is_longer_than_the_setting_says(void **state)
{
    tcp_seq at;

    (void)state;
    world.settings.delack_max = 10 * UTCP_MSEC;
    established_client(plain_peer(WIN));
    quickly(1, QUICK);
    at = 1 + QUICK * MSS;
    inject(A, at, 1, WIN, MSS);
    nothing_before(10 * UTCP_MSEC);
    expect(A, 1, at + MSS, WIN, 0);
}

static void with_the_setting_at_nothing_each_segment_is_acknowledged(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    quickly(1, 3 * QUICK);
}

static void an_answer_carries_the_acknowledgment(void **state)
{
    tcp_seq at = past_the_beginning();

    (void)state;
    inject(A, at, 1, WIN, MSS);
    expect_nothing();
    write_bytes(100);
    expect(PA, 1, at + MSS, WIN, 100);
    expect_nothing();
    inject(A, at + MSS, 101, WIN, 0);
    advance_by(UTCP_SEC);
    expect_nothing();
}

/* A program that has answered once is expected to answer again: no more quick ACKs. */
static void who_answers_is_waited_for(void **state)
{
    (void)state;
    willing_to_delay();
    quickly(1, 2);
    read_bytes(2 * MSS);
    write_bytes(100);
    expect(PA, 1, 1 + 2 * MSS, WIN, 100);
    inject(PA, 1 + 2 * MSS, 101, WIN, 100);
    expect_nothing();
    nothing_before(least);
    expect(A, 101, 101 + 2 * MSS, WIN - 100, 0);
}

static void who_did_not_answer_in_time_is_waited_for_no_more(void **state)
{
    who_answers_is_waited_for(state);
    inject(PA, 101 + 2 * MSS, 101, WIN, 100);
    expect(A, 101, 201 + 2 * MSS, WIN - 200, 0);
}

static void text_out_of_order_is_acknowledged_and_so_is_all_for_a_while(void **state)
{
    tcp_seq at = past_the_beginning();

    (void)state;
    inject(A, at + MSS, 1, WIN, MSS);
    expect(A, 1, at, WIN, 0);
    inject(A, at, 1, WIN, MSS);
    expect(A, 1, at + 2 * MSS, WIN, 0);
    quickly(at + 2 * MSS, QUICK - 2);
    inject(A, at + QUICK * MSS, 1, WIN, MSS);
    expect_nothing();
}

static void text_that_comes_twice_is_acknowledged(void **state)
{
    tcp_seq at = past_the_beginning();

    (void)state;
    inject(A, at - MSS, 1, WIN, MSS);
    expect(A, 1, at, WIN, 0);
    expect_nothing();
}

static void a_fin_is_acknowledged(void **state)
{
    tcp_seq at = past_the_beginning();

    (void)state;
    inject(A, at, 1, WIN, MSS);
    expect_nothing();
    inject(FA, at + MSS, 1, WIN, 0);
    expect(A, 1, at + MSS + 1, WIN, 0);
    expect_nothing();
}

/* Linux: who has read all of a short message waits for more, and the peer may wait for the ACK (Nagle). */
static void a_short_message_is_acknowledged_when_it_is_read(void **state)
{
    tcp_seq at = past_the_beginning();

    (void)state;
    inject(PA, at, 1, WIN, 10);
    expect_nothing();
    read_bytes(10);
    expect(A, 1, at + 10, WIN - 10, 0);
    expect_nothing();
}

static void a_full_segment_is_not_acknowledged_because_it_is_read(void **state)
{
    tcp_seq at = past_the_beginning();

    (void)state;
    inject(A, at, 1, WIN, MSS);
    read_bytes(MSS);
    nothing_before(least);
    expect(A, 1, at + MSS, WIN, 0);
}

static void the_program_may_ask_for_the_acknowledgment(void **state)
{
    tcp_seq at = past_the_beginning();

    (void)state;
    inject(A, at, 1, WIN, MSS);
    expect_nothing();
    assert_int_equal(utcp_get_option(world.conn, UTCP_OPT_QUICKACK), 1);
    assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_QUICKACK, 1), 0);
    write_bytes(0);
    advance_by(0);
    expect(A, 1, at + MSS, WIN, 0);
}

static void the_program_may_turn_quick_acknowledgments_off(void **state)
{
    (void)state;
    willing_to_delay();
    quickly(1, 1);
    assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_QUICKACK, 0), 0);
    assert_int_equal(utcp_get_option(world.conn, UTCP_OPT_QUICKACK), 0);
    inject(A, 1 + MSS, 1, WIN, MSS);
    nothing_before(least);
    expect(A, 1, 1 + 2 * MSS, WIN, 0);
    assert_int_equal(utcp_get_option(world.conn, UTCP_OPT_QUICKACK), 1);
}

/* After a pause longer than the RTO the peer's window is small again. */
static void after_a_pause_acknowledgments_are_quick_again(void **state)
{
    tcp_seq at = past_the_beginning();

    (void)state;
    inject(A, at, 1, WIN, MSS);
    nothing_before(least);
    expect(A, 1, at + MSS, WIN, 0);
    advance_by(2 * RTO);
    quickly(at + MSS, QUICK);
}

int main(int argc, char *argv[])
{
    static const struct CMUnitTest tests[] = {
        TEST(in_the_beginning_each_segment_is_acknowledged),
        TEST(a_peer_with_a_small_mss_of_its_own_may_send_large_segments),
        TEST(later_every_second_segment_is),
        TEST(a_segment_that_stays_alone_waits_for_the_least_delay),
        TEST(no_delay_is_longer_than_the_setting_says),
        TEST(with_the_setting_at_nothing_each_segment_is_acknowledged),
        TEST(an_answer_carries_the_acknowledgment),
        TEST(who_answers_is_waited_for),
        TEST(who_did_not_answer_in_time_is_waited_for_no_more),
        TEST(text_out_of_order_is_acknowledged_and_so_is_all_for_a_while),
        TEST(text_that_comes_twice_is_acknowledged),
        TEST(a_fin_is_acknowledged),
        TEST(a_short_message_is_acknowledged_when_it_is_read),
        TEST(a_full_segment_is_not_acknowledged_because_it_is_read),
        TEST(the_program_may_ask_for_the_acknowledgment),
        TEST(the_program_may_turn_quick_acknowledgments_off),
        TEST(after_a_pause_acknowledgments_are_quick_again),
    };

    select_test(argc, argv);
    return cmocka_run_group_tests_name("acks", tests, NULL, NULL);
}
