/* SPDX-License-Identifier: MIT */
/* The receive side: what is stored, what is acknowledged, and which window is promised. */
#include <errno.h>

#include "harness.h"

/* A connection whose window is its whole buffer, in bytes, without scaling. */
static void established_with_buffer(uint32_t bytes)
{
    world.settings.rcv_buf = bytes;
    established_client(plain_peer(WIN));
}

static void end_of_data(void)
{
    struct utcp_slice data[2];

    assert_int_equal(utcp_receive_data(world.conn, data), 0);
}

/* ---- order ---- */

static void data_in_order_is_acknowledged_and_read(void **state)
{
    struct utcp_slice data[2];

    (void)state;
    established_with_buffer(10000);
    assert_int_equal(utcp_receive_data(world.conn, data), -EAGAIN);
    inject(PA, 1, 1, WIN, 500);
    expect(A, 1, 501, 9500, 0);
    assert_int_equal(utcp_ready(world.conn), UTCP_IN | UTCP_OUT);
    read_bytes(500);
    expect_nothing();
    assert_int_equal(utcp_receive_data(world.conn, data), -EAGAIN);
}

static void each_segment_out_of_order_gets_its_own_duplicate_ack(void **state)
{
    (void)state;
    established_with_buffer(10000);
    for (unsigned i = 1; i <= 4; i++) {
        inject(A, 1 + i * 500, 1, WIN, 500);
        expect(A, 1, 1, 10000, 0);
        expect_nothing();
    }
    assert_int_equal(utcp_ready(world.conn), UTCP_OUT);
}

static void segments_that_come_together_get_as_many_duplicate_acks(void **state)
{
    (void)state;
    established_with_buffer(10000);
    world.held = true;
    for (unsigned i = 1; i <= 4; i++)
        inject(A, 1 + i * 500, 1, WIN, 500);
    release();
    for (unsigned i = 1; i <= 4; i++)
        expect(A, 1, 1, 10000, 0);
    expect_nothing();
}

static void segments_in_order_that_come_together_get_one_ack(void **state)
{
    (void)state;
    established_with_buffer(10000);
    world.held = true;
    for (unsigned i = 0; i < 4; i++)
        inject(A, 1 + i * 500, 1, WIN, 500);
    release();
    expect(A, 1, 2001, 8000, 0);
    expect_nothing();
}

/* ---- text that is read to where it is expected ---- */

/* A connection whose peer has sent 2000 bytes, so that more of them are expected. */
static void established_with_much_text(void)
{
    established_server(plain_peer(10000));
    inject(A, 1, 1, 10000, 2000);
    read_bytes(2000);
    drop_sent();
    world.expected = true;
}

static void expected_text_is_where_it_belongs(void **state)
{
    struct utcp_slice text, data[2];

    (void)state;
    established_with_much_text();
    assert_int_equal(utcp_expect(world.stack, &text), 40);
    utcp_expect_end(world.stack);
    inject(A, 2001, 1, 10000, 3000);
    assert_int_equal(utcp_receive_data(world.conn, data), 3000);
    assert_ptr_equal(data[0].data, text.data);
    read_bytes(3000);
    drop_sent();
}

static void expected_text_that_came_before_in_part_is_taken_once(void **state)
{
    (void)state;
    established_with_much_text();
    inject(A, 1501, 1, 10000, 1500);
    read_bytes(1000);
    drop_sent();
}

static void expected_text_that_lies_behind_a_hole_goes_there(void **state)
{
    (void)state;
    established_with_much_text();
    inject(A, 2501, 1, 10000, 1500);
    inject(A, 2001, 1, 10000, 500);
    read_bytes(2000);
    drop_sent();
}

static void nothing_is_expected_while_there_is_a_hole_or_after_the_end(void **state)
{
    struct utcp_slice text;

    (void)state;
    established_with_much_text();
    inject(A, 2501, 1, 10000, 100);
    assert_int_equal(utcp_expect(world.stack, &text), 0);
    inject(A, 2001, 1, 10000, 500);
    assert_int_equal(utcp_expect(world.stack, &text), 40);
    utcp_expect_end(world.stack);
    inject(FA, 2601, 1, 10000, 0);
    assert_int_equal(utcp_expect(world.stack, &text), 0);
    read_bytes(600);
    drop_sent();
}

static void a_connection_that_is_aborted_while_text_is_expected_is_freed_afterwards(void **state)
{
    struct utcp_slice text;

    (void)state;
    established_with_much_text();
    assert_int_equal(utcp_expect(world.stack, &text), 40);
    utcp_abort(world.conn, world.now);
    world.conn = NULL;
    memset(text.data, 'x', text.len);
    expect_connections(2);
    utcp_expect_end(world.stack);
    drop_sent();
    inject(A, 2001, 1, 10000, 0);
    expect_connections(1);
    drop_sent();
}

static void a_filled_hole_gets_one_ack_for_all(void **state)
{
    (void)state;
    established_with_buffer(10000);
    inject(A, 501, 1, WIN, 500);
    inject(A, 1501, 1, WIN, 500);
    inject(A, 1001, 1, WIN, 500);
    drop_sent();
    inject(A, 1, 1, WIN, 500);
    expect(A, 1, 2001, 8000, 0);
    expect_nothing();
    read_bytes(2000);
}

static void one_of_two_holes_filled_moves_to_the_other(void **state)
{
    (void)state;
    established_with_buffer(10000);
    inject(A, 501, 1, WIN, 500);
    inject(A, 1501, 1, WIN, 500);
    drop_sent();
    inject(A, 1, 1, WIN, 500);
    expect(A, 1, 1001, 9000, 0);
    inject(A, 1001, 1, WIN, 500);
    expect(A, 1, 2001, 8000, 0);
    read_bytes(2000);
}

static void overlaps_are_taken_once(void **state)
{
    (void)state;
    established_with_buffer(10000);
    inject(A, 1, 1, WIN, 500);
    inject(A, 251, 1, WIN, 500); /* overlaps at its head */
    expect(A, 1, 501, 9500, 0);
    expect(A, 1, 751, 9250, 0);
    inject(A, 1001, 1, WIN, 500);
    inject(A, 900, 1, WIN, 300);  /* overlaps a stored one's head */
    inject(A, 1400, 1, WIN, 300); /* ... and its tail */
    inject(A, 800, 1, WIN, 1200); /* ... and all of it */
    drop_sent();
    inject(A, 700, 1, WIN, 150);
    expect(A, 1, 2000, 8001, 0);
    read_bytes(1999);
    assert_int_equal(world.conn->out_of_order.count, 0);
}

static void what_was_received_already_is_acknowledged_again(void **state)
{
    (void)state;
    established_with_buffer(10000);
    inject(A, 1, 1, WIN, 500);
    expect(A, 1, 501, 9500, 0);
    inject(A, 1, 1, WIN, 500);
    expect(A, 1, 501, 9500, 0);
    expect_nothing();
    assert_int_equal(world.conn->rcv_buf.len, 500);
}

static void sequence_numbers_wrap_while_receiving(void **state)
{
    (void)state;
    world.peer_isn = 0xffffff00;
    established_with_buffer(10000);
    inject(A, 1001, 1, WIN, 500); /* beyond 0 */
    expect(A, 1, 1, 10000, 0);
    inject(A, 101, 1, WIN, 400); /* across it */
    expect(A, 1, 1, 10000, 0);
    inject(A, 1, 1, WIN, 100); /* before it */
    expect(A, 1, 501, 9500, 0);
    inject(A, 501, 1, WIN, 500);
    expect(A, 1, 1501, 8500, 0);
    read_bytes(1500);
}

static void a_thousand_tiny_holes_are_bounded(void **state)
{
    (void)state;
    established_with_buffer(65535);
    for (unsigned i = 0; i < 1000; i++)
        inject(A, 3 + i * 2, 1, WIN, 1);
    assert_in_range(world.conn->out_of_order.count, 1, 256);
    assert_int_equal(drop_sent(), 1000);
    /* What was dropped comes again. */
    for (unsigned i = 0; i < 1000; i++) {
        inject(A, 1 + i * 2, 1, WIN, 1);
        inject(A, 2 + i * 2, 1, WIN, 1);
    }
    read_bytes(2000);
    assert_int_equal(world.conn->out_of_order.count, 0);
}

static void data_without_memory_comes_again(void **state)
{
    (void)state;
    established_with_buffer(10000);
    world.memory_left = 0;
    inject(A, 1, 1, WIN, 500);
    expect(A, 1, 1, 10000, 0);
    inject(A, 501, 1, WIN, 500);
    expect(A, 1, 1, 10000, 0);
    world.memory_left = SIZE_MAX;
    inject(A, 1, 1, WIN, 500);
    expect(A, 1, 501, 9500, 0);
    read_bytes(500);
}

static void an_ack_that_data_overtook_counts(void **state)
{
    (void)state;
    established_with_buffer(10000);
    write_bytes(100);
    drop_sent();
    world.held = true;
    inject(PA, 1, 1, WIN, 10);
    inject(A, 1, 101, WIN, 0); /* was sent before it, and we have not acknowledged either */
    release();
    expect(A, 101, 11, 9990, 0);
    expect_nothing();
    assert_int_equal(world.conn->snd_buf.len, 0);
}

/* ---- FIN ---- */

static void a_fin_ends_the_data(void **state)
{
    (void)state;
    established_with_buffer(10000);
    inject(FPA, 1, 1, WIN, 500);
    expect(A, 1, 502, 9499, 0);
    expect_state(TCP_CLOSE_WAIT);
    assert_int_equal(utcp_ready(world.conn), UTCP_IN | UTCP_OUT | UTCP_RDHUP);
    read_bytes(500);
    end_of_data();
    end_of_data();
}

static void fin_before_its_data_waits_for_the_hole(void **state)
{
    (void)state;
    established_with_buffer(10000);
    inject(FA, 1001, 1, WIN, 0);
    expect(A, 1, 1, 10000, 0);
    expect_state(TCP_ESTABLISHED);
    inject(FPA, 501, 1, WIN, 500);
    expect(A, 1, 1, 10000, 0);
    expect_state(TCP_ESTABLISHED);
    inject(A, 1, 1, WIN, 500);
    expect(A, 1, 1002, 8999, 0);
    expect_nothing();
    expect_state(TCP_CLOSE_WAIT);
    read_bytes(1000);
    end_of_data();
}

static void fin_beyond_the_window_is_not_taken(void **state)
{
    (void)state;
    established_with_buffer(1000);
    inject(FPA, 1, 1, WIN, 1500);
    expect(A, 1, 1001, 0, 0);
    expect_state(TCP_ESTABLISHED);
    inject(FA, 1501, 1, WIN, 0);
    expect(A, 1, 1001, 0, 0);
    expect_state(TCP_ESTABLISHED);
}

static void fin_right_behind_a_full_window_is_taken(void **state)
{
    (void)state;
    established_with_buffer(1000);
    inject(PA, 1, 1, WIN, 1000);
    expect(A, 1, 1001, 0, 0);
    inject(FA, 1001, 1, WIN, 0);
    expect(A, 1, 1002, 0, 0);
    expect_state(TCP_CLOSE_WAIT);
    read_bytes(1000);
    end_of_data();
    expect_nothing();
}

static void a_fin_with_the_last_byte_of_the_window_is_taken(void **state)
{
    (void)state;
    established_with_buffer(1000);
    inject(FPA, 1, 1, WIN, 1000);
    expect(A, 1, 1002, 0, 0);
    expect_state(TCP_CLOSE_WAIT);
}

static void a_fin_again_is_acknowledged_again(void **state)
{
    (void)state;
    established_with_buffer(10000);
    inject(FPA, 1, 1, WIN, 500);
    expect(A, 1, 502, 9499, 0);
    inject(FPA, 1, 1, WIN, 500);
    expect(A, 1, 502, 9499, 0);
    inject(FA, 501, 1, WIN, 0);
    expect(A, 1, 502, 9499, 0);
    expect_nothing();
    expect_state(TCP_CLOSE_WAIT);
}

static void a_fin_behind_data_that_came_before_counts(void **state)
{
    (void)state;
    established_with_buffer(10000);
    inject(PA, 1, 1, WIN, 100);
    expect(A, 1, 101, 9900, 0);
    inject(FPA, 1, 1, WIN, 100);
    expect(A, 1, 102, 9899, 0);
    expect_state(TCP_CLOSE_WAIT);
}

static void data_behind_the_fin_is_not_taken(void **state)
{
    (void)state;
    established_with_buffer(10000);
    inject(FA, 1, 1, WIN, 0);
    drop_sent();
    inject(PA, 2, 1, WIN, 100);
    drop_sent();
    end_of_data();
    assert_int_equal(world.conn->rcv_buf.len, 0);
}

static void a_second_fin_elsewhere_changes_nothing(void **state)
{
    (void)state;
    established_with_buffer(10000);
    inject(FA, 501, 1, WIN, 0);
    inject(FA, 301, 1, WIN, 0);
    inject(FA, 901, 1, WIN, 0);
    inject(A, 1, 1, WIN, 900);
    drop_sent();
    expect_state(TCP_CLOSE_WAIT);
    read_bytes(500);
    end_of_data();
}

/* ---- the window ---- */

static void data_beyond_the_window_is_cut_off(void **state)
{
    (void)state;
    established_with_buffer(1000);
    inject(A, 1, 1, WIN, 1400);
    expect(A, 1, 1001, 0, 0);
    read_bytes(1000);
    expect(A, 1, 1001, 1000, 0);
    inject(A, 1001, 1, WIN, 400);
    read_bytes(400);
}

static void data_wholly_beyond_the_window_is_answered_and_dropped(void **state)
{
    (void)state;
    established_with_buffer(1000);
    inject(A, 2001, 1, WIN, 100);
    expect(A, 1, 1, 1000, 0);
    assert_int_equal(world.conn->out_of_order.count, 0);
}

static void reading_from_a_full_buffer_sends_a_window_update(void **state)
{
    (void)state;
    established_with_buffer(4000);
    inject(A, 1, 1, WIN, 4000);
    expect(A, 1, 4001, 0, 0);
    read_bytes(4000);
    expect(A, 1, 4001, 4000, 0);
    expect_nothing();
}

static void reading_while_the_window_is_wide_sends_nothing(void **state)
{
    (void)state;
    established_with_buffer(10000);
    inject(A, 1, 1, WIN, 4000);
    expect(A, 1, 4001, 6000, 0);
    read_bytes(4000);
    expect_nothing();
}

static void a_lost_window_update_is_repeated_when_probed(void **state)
{
    (void)state;
    established_with_buffer(4000);
    inject(A, 1, 1, WIN, 4000);
    read_bytes(4000);
    drop_sent();
    inject(A, 4000, 1, WIN, 0); /* as Linux and we probe: an old number */
    expect(A, 1, 4001, 4000, 0);
    inject(A, 4001, 1, WIN, 1); /* as the RFC does: a byte */
    expect(A, 1, 4002, 3999, 0);
}

static void probes_of_a_closed_window_are_answered(void **state)
{
    (void)state;
    established_with_buffer(4000);
    inject(A, 1, 1, WIN, 4000);
    drop_sent();
    inject(A, 4001, 1, WIN, 1);
    expect(A, 1, 4001, 0, 0);
    inject(A, 4000, 1, WIN, 0);
    expect(A, 1, 4001, 0, 0);
    advance_by(UTCP_SEC);
    inject(A, 4000, 1, WIN, 0);
    expect(A, 1, 4001, 0, 0);
    expect_nothing();
}

/* RFC 9293 section 3.8.6.2.2: the edge moves by min(MSS, half the buffer), or not at all. */
static void a_silly_window_is_not_advertised(void **state)
{
    (void)state;
    established_with_buffer(4000);
    inject(A, 1, 1, WIN, 4000);
    drop_sent();
    read_bytes(999);
    expect_nothing();
    inject(A, 4000, 1, WIN, 0);
    expect(A, 1, 4001, 0, 0);
    read_bytes(1);
    expect(A, 1, 4001, 1000, 0);
}

static void half_a_small_buffer_is_worth_advertising(void **state)
{
    (void)state;
    established_with_buffer(600);
    inject(A, 1, 1, WIN, 600);
    drop_sent();
    read_bytes(299);
    expect_nothing();
    read_bytes(1);
    expect(A, 1, 601, 300, 0);
}

static void the_right_edge_never_moves_left(void **state)
{
    tcp_seq next = 1;

    (void)state;
    /* The harness looks at the edge of each ACK; a scale of 7 rounds as badly as it can. */
    world.settings.rcv_buf = 5001;
    established_client((struct peer){.window = WIN, .mss = 1000, .wscale = 7});
    for (uint32_t i = 0; i < 300; i++) {
        uint32_t len = (i * 37) % 211 + 1;
        uint32_t window = world.conn->rcv_adv - world.conn->rcv_nxt;

        len = len < window ? len : window;
        if (len > 0)
            inject(A, next, 1, WIN, len);
        next += len;
        len = (uint32_t)world.conn->rcv_buf.len;
        read_bytes(i % 3 == 0 ? len : len / 3);
    }
    assert_true(drop_sent() > 200);
}

static void an_unread_buffer_takes_no_more_than_its_limit(void **state)
{
    (void)state;
    established_with_buffer(1000);
    for (tcp_seq seq = 1; seq < 5000; seq += 100)
        inject(A, seq, 1, WIN, 100);
    assert_int_equal(world.conn->rcv_buf.len, 1000);
    drop_sent();
}

/* ---- what gets no ACK ---- */

static void a_bare_ack_in_the_window_is_never_answered(void **state)
{
    (void)state;
    established_with_buffer(1000);
    inject(A, 1, 1, WIN, 0);
    inject(A, 2, 1, WIN, 0);
    inject(A, 1000, 1, WIN, 0);
    inject(A, 1001, 1, WIN, 0); /* the right edge: a peer that filled the window sends from there */
    inject(A, 1, 1, 0, 0);
    expect_nothing();
}

static void two_closed_windows_make_no_storm(void **state)
{
    (void)state;
    established_with_buffer(1000);
    inject(A, 1, 1, 0, 1000);
    expect(A, 1, 1001, 0, 0);
    write_bytes(100);
    inject(A, 1001, 1, 0, 0);
    inject(A, 1001, 1, 0, 0);
    expect_nothing();
    /* Two that are out of step answer one another twice a second at most. */
    for (unsigned i = 0; i < 100; i++)
        inject(A, 500, 1, 0, 0);
    assert_int_equal(drop_sent(), 1);
}

static void a_segment_without_ack_is_dropped(void **state)
{
    (void)state;
    established_with_buffer(1000);
    inject(0, 1, 0, WIN, 100);
    inject(TCP_FIN, 1, 0, WIN, 0);
    expect_nothing();
    expect_state(TCP_ESTABLISHED);
}

/* RFC 5961 section 5: data with an ACK of what we never sent is a guess of somebody's. */
static void data_with_an_ack_from_before_the_connection_is_challenged(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    inject(A, 1, (tcp_seq)-100, WIN, 10);
    expect(A, 1, 1, WIN, 0);
    inject(A, 1, 0, WIN, 10); /* of nothing but the SYN: this one is only late */
    expect(A, 1, 11, WIN - 10, 0);
}

static void an_ack_rides_on_data(void **state)
{
    (void)state;
    established_with_buffer(1000);
    world.held = true;
    inject(PA, 1, 1, WIN, 100);
    write_bytes(50);
    release();
    expect(PA, 1, 101, 900, 50);
    expect_nothing();
}

static void data_queued_before_a_reset_can_still_be_read(void **state)
{
    struct utcp_slice data[2];

    (void)state;
    established_with_buffer(1000);
    inject(PA, 1, 1, WIN, 100);
    inject(R, 101, 0, 0, 0);
    drop_sent();
    expect_state(TCP_CLOSED);
    read_bytes(100);
    assert_int_equal(utcp_receive_data(world.conn, data), -ECONNRESET);
    end_of_data();
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(data_in_order_is_acknowledged_and_read),
        TEST(each_segment_out_of_order_gets_its_own_duplicate_ack),
        TEST(segments_that_come_together_get_as_many_duplicate_acks),
        TEST(segments_in_order_that_come_together_get_one_ack),
        TEST(expected_text_is_where_it_belongs),
        TEST(expected_text_that_came_before_in_part_is_taken_once),
        TEST(expected_text_that_lies_behind_a_hole_goes_there),
        TEST(nothing_is_expected_while_there_is_a_hole_or_after_the_end),
        TEST(a_connection_that_is_aborted_while_text_is_expected_is_freed_afterwards),
        TEST(a_filled_hole_gets_one_ack_for_all),
        TEST(one_of_two_holes_filled_moves_to_the_other),
        TEST(overlaps_are_taken_once),
        TEST(what_was_received_already_is_acknowledged_again),
        TEST(sequence_numbers_wrap_while_receiving),
        TEST(a_thousand_tiny_holes_are_bounded),
        TEST(data_without_memory_comes_again),
        TEST(an_ack_that_data_overtook_counts),
        TEST(a_fin_ends_the_data),
        TEST(fin_before_its_data_waits_for_the_hole),
        TEST(fin_beyond_the_window_is_not_taken),
        TEST(fin_right_behind_a_full_window_is_taken),
        TEST(a_fin_with_the_last_byte_of_the_window_is_taken),
        TEST(a_fin_again_is_acknowledged_again),
        TEST(a_fin_behind_data_that_came_before_counts),
        TEST(data_behind_the_fin_is_not_taken),
        TEST(a_second_fin_elsewhere_changes_nothing),
        TEST(data_beyond_the_window_is_cut_off),
        TEST(data_wholly_beyond_the_window_is_answered_and_dropped),
        TEST(reading_from_a_full_buffer_sends_a_window_update),
        TEST(reading_while_the_window_is_wide_sends_nothing),
        TEST(a_lost_window_update_is_repeated_when_probed),
        TEST(probes_of_a_closed_window_are_answered),
        TEST(a_silly_window_is_not_advertised),
        TEST(half_a_small_buffer_is_worth_advertising),
        TEST(the_right_edge_never_moves_left),
        TEST(an_unread_buffer_takes_no_more_than_its_limit),
        TEST(a_bare_ack_in_the_window_is_never_answered),
        TEST(two_closed_windows_make_no_storm),
        TEST(a_segment_without_ack_is_dropped),
        TEST(data_with_an_ack_from_before_the_connection_is_challenged),
        TEST(an_ack_rides_on_data),
        TEST(data_queued_before_a_reset_can_still_be_read),
    };

    select_test(argc, argv);
    return cmocka_run_group_tests_name("receiving", tests, NULL, NULL);
}
