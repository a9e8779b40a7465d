/* SPDX-License-Identifier: MIT */
/* Closing: FIN from either side, TIME-WAIT, and resets. RFC 9293 section 3.6 and its figure 5. */
#include <errno.h>

#include "harness.h"

/* Our window once the peer's FIN is in: the right edge stays where it was. */
#define WIN_FIN (WIN - 1)

static void shut_sending(void)
{
    assert_int_equal(utcp_shutdown(world.conn, UTCP_SHUT_WR, world.now), 0);
    release();
}

/* ---- both sides ---- */

static void closing_first_takes_four_segments_and_time_wait(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    close_conn();
    expect(FA, 1, 1, WIN, 0);
    expect_state(TCP_FIN_WAIT_1);
    inject(A, 1, 2, WIN, 0);
    expect_state(TCP_FIN_WAIT_2);
    inject(FA, 1, 2, WIN, 0);
    expect(A, 2, 2, WIN_FIN, 0);
    expect_state(TCP_TIME_WAIT);
    advance_by(60 * UTCP_SEC - 1);
    expect_connections(1);
    advance_by(1);
    expect_nothing();
    expect_connections(0);
}

static void closing_second_ends_with_the_last_ack(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    inject(FA, 1, 1, WIN, 0);
    expect(A, 1, 2, WIN_FIN, 0);
    expect_state(TCP_CLOSE_WAIT);
    close_conn();
    expect(FA, 1, 2, WIN_FIN, 0);
    expect_state(TCP_LAST_ACK);
    inject(A, 2, 2, WIN, 0);
    expect_nothing();
    expect_connections(0);
}

static void a_fin_that_acknowledges_ours_leads_to_time_wait(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    close_conn();
    expect(FA, 1, 1, WIN, 0);
    inject(FA, 1, 2, WIN, 0);
    expect(A, 2, 2, WIN_FIN, 0);
    expect_state(TCP_TIME_WAIT);
}

static void fins_that_cross_close_both_ends(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    close_conn();
    expect(FA, 1, 1, WIN, 0);
    inject(FA, 1, 1, WIN, 0);
    expect(A, 2, 2, WIN_FIN, 0);
    expect_state(TCP_CLOSING);
    inject(A, 2, 2, WIN, 0);
    expect_nothing();
    expect_state(TCP_TIME_WAIT);
}

static void fin_goes_with_the_last_data(void **state)
{
    (void)state;
    established_client(plain_peer(1000));
    write_bytes(1500);
    expect(A, 1, 1, WIN, 1000);
    close_conn();
    expect_nothing();
    expect_state(TCP_FIN_WAIT_1);
    inject(A, 1, 1001, 1000, 0);
    expect(FPA, 1001, 1, WIN, 500);
    expect_state(TCP_FIN_WAIT_1);
    inject(A, 1, 1501, 1000, 0);
    expect_state(TCP_FIN_WAIT_1);
    inject(A, 1, 1502, 1000, 0);
    expect_state(TCP_FIN_WAIT_2);
}

/* As Linux: the peer's window counts, ours does not. */
static void the_last_segment_with_fin_goes_beyond_the_congestion_window(void **state)
{
    (void)state;
    established_client(plain_peer(11000));
    write_bytes(11000);
    for (tcp_seq seq = 1; seq < 10001; seq += 1000)
        expect(A, seq, 1, WIN, 1000);
    expect_nothing();
    close_conn();
    expect(FPA, 10001, 1, WIN, 1000);
    expect_nothing();
}

static void a_fin_alone_goes_beyond_the_congestion_window(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    write_bytes(10000);
    assert_int_equal(drop_sent(), 10);
    close_conn();
    expect(FA, 10001, 1, WIN, 0);
    expect_nothing();
}

static void closing_still_sends_data_and_fin_on_each_retransmission(void **state)
{
    (void)state;
    established_client(plain_peer(1000));
    write_bytes(1500);
    expect(A, 1, 1, WIN, 1000);
    close_conn();
    inject(FA, 1, 1, 1000, 0);
    expect(A, 1001, 2, WIN_FIN, 0);
    expect_state(TCP_CLOSING);
    inject(A, 2, 1001, 1000, 0);
    expect(FPA, 1001, 2, WIN_FIN, 500);
    nothing_before(world.conn->rtt.rto);
    expect(FPA, 1001, 2, WIN_FIN, 500);
    nothing_before(2 * world.conn->rtt.rto);
    expect(FPA, 1001, 2, WIN_FIN, 500);
    inject(A, 2, 1502, 1000, 0);
    expect_state(TCP_TIME_WAIT);
}

/* ---- half-close ---- */

static void what_the_peer_sends_after_our_fin_is_read(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    shut_sending();
    expect(FA, 1, 1, WIN, 0);
    inject(A, 1, 2, WIN, 0);
    expect_state(TCP_FIN_WAIT_2);
    advance_by(7200 * UTCP_SEC);
    inject(PA, 1, 2, WIN, 100);
    expect(A, 2, 101, WIN - 100, 0);
    read_bytes(100);
    inject(FA, 101, 2, WIN, 0);
    expect(A, 2, 102, WIN - 101, 0);
    expect_state(TCP_TIME_WAIT);
    close_conn();
    expect_nothing();
}

static void writing_goes_on_for_hours_after_the_peers_fin(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    inject(FA, 1, 1, WIN, 0);
    drop_sent();
    for (unsigned hour = 0; hour < 5; hour++) {
        advance_by(3600 * UTCP_SEC);
        expect_state(TCP_CLOSE_WAIT);
        write_bytes(100);
        expect(PA, 1 + hour * 100, 2, WIN_FIN, 100);
        inject(A, 2, 101 + hour * 100, WIN, 0);
        expect_nothing();
    }
}

static void nothing_can_be_sent_after_shutdown(void **state)
{
    struct utcp_slice space[2];

    (void)state;
    established_client(plain_peer(WIN));
    shut_sending();
    assert_int_equal(utcp_send_space(world.conn, space), -EPIPE);
    shut_sending();
    assert_int_equal(drop_sent(), 1);
}

static void a_user_may_stay_in_fin_wait_2_for_ever(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    shut_sending();
    inject(A, 1, 2, WIN, 0);
    drop_sent();
    advance_by(36000 * UTCP_SEC);
    expect_state(TCP_FIN_WAIT_2);
    close_conn();
    advance_by(60 * UTCP_SEC);
    expect_nothing();
    expect_connections(0);
}

static void an_orphan_in_fin_wait_2_goes_after_a_minute(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    close_conn();
    inject(A, 1, 2, WIN, 0);
    drop_sent();
    advance_by(60 * UTCP_SEC - 1);
    expect_connections(1);
    advance_by(1);
    expect_connections(0);
    expect_nothing();
}

/* ---- loss ---- */

static void a_lost_fin_goes_again_at_doubling_intervals(void **state)
{
    utcp_time interval = RTO;

    (void)state;
    established_client(plain_peer(WIN));
    close_conn();
    expect(FA, 1, 1, WIN, 0);
    for (unsigned i = 0; i < 8; i++) {
        nothing_before(interval);
        expect(FA, 1, 1, WIN, 0);
        interval *= 2;
    }
    nothing_before(interval);
    expect_nothing();
    expect_connections(0);
}

static void a_lost_last_ack_is_sent_again_and_time_wait_begins_anew(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    close_conn();
    inject(FA, 1, 2, WIN, 0);
    drop_sent();
    for (unsigned i = 0; i < 3; i++) {
        advance_by(59 * UTCP_SEC);
        inject(FA, 1, 2, WIN, 0);
        expect(A, 2, 2, WIN_FIN, 0);
        expect_state(TCP_TIME_WAIT);
    }
    advance_by(60 * UTCP_SEC - 1);
    expect_connections(1);
    advance_by(1);
    expect_connections(0);
}

static void a_lost_fin_in_last_ack_goes_again(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    inject(FA, 1, 1, WIN, 0);
    drop_sent();
    close_conn();
    expect(FA, 1, 2, WIN_FIN, 0);
    nothing_before(RTO);
    expect(FA, 1, 2, WIN_FIN, 0);
    /* The peer's FIN again: our ACK of it was lost. */
    inject(FA, 1, 1, WIN, 0);
    expect(A, 2, 2, WIN_FIN, 0);
    inject(A, 2, 2, WIN, 0);
    expect_connections(0);
}

/* ---- a closed window ---- */

static void fin_behind_data_waits_for_the_window(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    inject(A, 1, 1, 0, 0);
    write_bytes(100);
    close_conn();
    expect_nothing();
    expect_state(TCP_FIN_WAIT_1);
    nothing_before(RTO);
    expect(A, 0, 1, WIN, 0);
    inject(A, 1, 1, 0, 0);
    expect_state(TCP_FIN_WAIT_1);
    inject(A, 1, 1, 1000, 0);
    expect(FPA, 1, 1, WIN, 100);
}

static void an_orphan_does_not_wait_for_ever_for_a_window(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    inject(A, 1, 1, 0, 0);
    write_bytes(100);
    close_conn();
    for (unsigned minute = 0; minute < 3; minute++) {
        expect_connections(1);
        advance_by(60 * UTCP_SEC);
        inject(A, 1, 1, 0, 0);
    }
    advance_by(120 * UTCP_SEC);
    expect_connections(0);
    drop_sent();
}

static void an_earlier_ack_does_not_count_as_the_fins(void **state)
{
    (void)state;
    established_client(plain_peer(100));
    write_bytes(200);
    expect(A, 1, 1, WIN, 100);
    close_conn();
    inject(A, 1, 101, 0, 0);
    expect_state(TCP_FIN_WAIT_1);
    inject(A, 1, 101, 1000, 0);
    expect(FPA, 101, 1, WIN, 100);
    inject(A, 1, 201, 1000, 0);
    expect_state(TCP_FIN_WAIT_1);
    inject(A, 1, 202, 1000, 0);
    expect_state(TCP_FIN_WAIT_2);
}

static void a_fin_alone_is_its_own_probe(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    inject(A, 1, 1, 0, 0);
    close_conn();
    expect_nothing();
    expect_state(TCP_FIN_WAIT_1);
    nothing_before(RTO);
    expect(FA, 1, 1, WIN, 0);
    inject(A, 1, 2, 0, 0);
    expect_state(TCP_FIN_WAIT_2);
}

/* ---- TIME-WAIT ---- */

static void enter_time_wait_as_server(void)
{
    established_server(plain_peer(WIN));
    close_conn();
    inject(FA, 1, 2, WIN, 0);
    drop_sent();
    expect_state(TCP_TIME_WAIT);
}

static void time_wait_keeps_no_buffers(void **state)
{
    size_t before;

    (void)state;
    established_client(plain_peer(WIN));
    before = world.memory_bytes;
    write_bytes(1000);
    drop_sent();
    inject(PA, 1, 1001, WIN, 1000);
    read_bytes(1000);
    drop_sent();
    close_conn();
    inject(FA, 1001, 1002, WIN, 0);
    drop_sent();
    expect_state(TCP_TIME_WAIT);
    assert_true(world.memory_bytes - utcp_spare_bytes(world.stack) <= before + 1000);
}

static void time_wait_keeps_what_the_user_may_still_read(void **state)
{
    size_t before;

    (void)state;
    established_client(plain_peer(WIN));
    before = world.memory_bytes;
    shut_sending();
    inject(FA, 1, 2, WIN, 1000);
    drop_sent();
    expect_state(TCP_TIME_WAIT);
    read_bytes(1000);
    close_conn();
    expect_nothing();
    expect_connections(1);
    assert_true(world.memory_bytes - utcp_spare_bytes(world.stack) <= before + 1000);
}

static void data_in_time_wait_is_acknowledged_and_forgotten(void **state)
{
    (void)state;
    enter_time_wait_as_server();
    inject(PA, 2, 2, WIN, 10);
    expect(A, 2, 2, WIN_FIN, 0);
    expect_nothing();
    expect_state(TCP_TIME_WAIT);
}

static void aborting_in_time_wait_is_silent(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    shut_sending();
    inject(FA, 1, 2, WIN, 0);
    drop_sent();
    expect_state(TCP_TIME_WAIT);
    utcp_abort(world.conn, world.now);
    release();
    expect_nothing();
    expect_connections(0);
}

static void a_new_syn_reopens_time_wait(void **state)
{
    tcp_seq old_iss;

    (void)state;
    enter_time_wait_as_server();
    old_iss = world.iss;
    advance_by(UTCP_SEC);
    inject_syn(S, 1000, 0, plain_peer(WIN));
    expect_syn(SA, 0, 1001, ((struct peer){.window = WIN, .mss = 1460, .wscale = NO_WSCALE}));
    assert_true(seq_gt(world.iss, old_iss + 2));
    inject(A, 1001, 1, WIN, 0);
    world.conn = utcp_accept(world.listener, &world);
    assert_non_null(world.conn);
    expect_state(TCP_ESTABLISHED);
}

static void an_old_syn_does_not_reopen_time_wait(void **state)
{
    (void)state;
    enter_time_wait_as_server();
    inject_syn(S, (tcp_seq)-1000, 0, plain_peer(WIN));
    expect(A, 2, 2, WIN_FIN, 0);
    expect_state(TCP_TIME_WAIT);
}

static void time_wait_without_a_listener_is_not_reopened(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    close_conn();
    inject(FA, 1, 2, WIN, 0);
    drop_sent();
    inject_syn(S, 1000, 0, plain_peer(WIN));
    expect(A, 2, 2, WIN_FIN, 0);
    expect_state(TCP_TIME_WAIT);
}

/* ---- resets that come ---- */

static void a_reset_counts_at_the_exact_number_only(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    inject(R, 2, 0, 0, 0); /* in the window: RFC 5961 section 3.2 */
    expect(A, 1, 1, WIN, 0);
    inject(R, 70000, 0, 0, 0); /* beyond it */
    inject(R, 0, 0, 0, 0);     /* before it */
    expect_nothing();
    expect_state(TCP_ESTABLISHED);
    inject(R, 1, 0, 0, 0);
    expect_nothing();
    expect_state(TCP_CLOSED);
    assert_int_equal(utcp_take_error(world.conn), -ECONNRESET);
}

static void a_reset_at_a_closed_window_counts(void **state)
{
    (void)state;
    world.settings.rcv_buf = 1000;
    established_client(plain_peer(WIN));
    inject(PA, 1, 1, WIN, 1000);
    drop_sent();
    inject(R, 1001, 0, 0, 0);
    expect_state(TCP_CLOSED);
}

static void a_reset_behind_the_fin_is_a_broken_pipe(void **state)
{
    struct utcp_slice space[2];

    (void)state;
    established_client(plain_peer(WIN));
    inject(FA, 1, 1, WIN, 0);
    expect(A, 1, 2, WIN_FIN, 0);
    inject(R, 2, 0, 0, 0);
    expect_nothing();
    expect_state(TCP_CLOSED);
    assert_int_equal(utcp_send_space(world.conn, space), -EPIPE);
}

static void a_reset_with_the_number_of_the_fin_counts_behind_it(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    inject(FA, 1, 1, WIN, 0);
    expect(A, 1, 2, WIN_FIN, 0);
    inject(R, 0, 0, 0, 0);
    expect_state(TCP_CLOSE_WAIT);
    inject(R, 1, 0, 0, 0);
    expect_nothing();
    expect_state(TCP_CLOSED);
}

static void a_reset_ends_every_state_of_an_orphan(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    close_conn();
    expect_state(TCP_FIN_WAIT_1);
    inject(R, 1, 0, 0, 0);
    expect_connections(0);
    drop_sent();
    established_client(plain_peer(WIN));
    close_conn();
    inject(A, 1, 2, WIN, 0);
    expect_state(TCP_FIN_WAIT_2);
    inject(R, 1, 0, 0, 0);
    expect_connections(0);
    drop_sent();
    established_client(plain_peer(WIN));
    close_conn();
    inject(FA, 1, 1, WIN, 0);
    expect_state(TCP_CLOSING);
    inject(R, 2, 0, 0, 0);
    expect_connections(0);
    drop_sent();
}

static void a_reset_ends_last_ack_and_time_wait(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    inject(FA, 1, 1, WIN, 0);
    close_conn();
    expect_state(TCP_LAST_ACK);
    inject(R, 2, 0, 0, 0);
    expect_connections(0);
    drop_sent();
    established_client(plain_peer(WIN));
    close_conn();
    inject(FA, 1, 2, WIN, 0);
    expect_state(TCP_TIME_WAIT);
    inject(R, 2, 0, 0, 0);
    expect_connections(0);
    drop_sent();
}

static void a_connection_that_was_cannot_be_opened_again(void **state)
{
    struct utcp_endpoint peer = peer_endpoint();

    (void)state;
    established_client(plain_peer(WIN));
    write_bytes(100);
    inject(R, 1, 0, 0, 0);
    drop_sent();
    expect_state(TCP_CLOSED);
    /* Linux: a socket that was connected stays so in name, whatever became of the connection. */
    assert_int_equal(utcp_connect(world.conn, &peer, world.now), -EISCONN);
}

/* ---- resets that go ---- */

static void closing_with_unread_data_resets(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    inject(PA, 1, 1, WIN, 100);
    expect(A, 1, 101, WIN - 100, 0);
    close_conn();
    expect(RA, 1, 101, WIN - 100, 0);
    expect_nothing();
    expect_connections(0);
}

static void data_for_an_orphan_resets(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    close_conn();
    expect(FA, 1, 1, WIN, 0);
    inject(PA, 1, 2, WIN, 100);
    expect(R, 2, 0, 0, 0);
    expect_nothing();
    expect_connections(0);
}

static void an_old_segment_does_not_reset_an_orphan(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    inject(PA, 1, 1, WIN, 100);
    read_bytes(100);
    close_conn();
    drop_sent();
    inject(PA, 1, 1, WIN, 100);
    expect(A, 2, 101, WIN - 100, 0);
    expect_state(TCP_FIN_WAIT_1);
}

static void aborting_resets(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    write_bytes(100);
    drop_sent();
    utcp_abort(world.conn, world.now);
    release();
    expect(RA, 101, 1, WIN, 0);
    expect_nothing();
    expect_connections(0);
    /* What the peer sends from now on meets no connection. */
    inject(A, 1, 101, WIN, 0);
    expect(R, 101, 0, 0, 0);
}

static void aborting_before_the_answer_is_silent(void **state)
{
    (void)state;
    start_connecting();
    drop_sent();
    utcp_abort(world.conn, world.now);
    release();
    expect_nothing();
    expect_connections(0);
    inject_syn(SA, 0, 1, plain_peer(WIN));
    expect(R, 1, 0, 0, 0);
}

static void a_packet_on_its_way_out_keeps_its_connection(void **state)
{
    struct utcp_packet packet;
    uint8_t buffer[1500];
    size_t offset = 0;

    (void)state;
    established_client(plain_peer(WIN));
    world.held = true;
    write_bytes(100);
    assert_true(utcp_output(world.stack, &packet, world.now));
    utcp_abort(world.conn, world.now);
    advance_by(1);
    assert_int_equal(utcp_cut_next(&packet, &offset, buffer), 140);
    for (tcp_seq i = 0; i < 100; i++)
        assert_int_equal(buffer[40 + i], pattern(1 + i));
    expect_connections(1);
    utcp_output_done(world.stack, &packet);
    expect_connections(0);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(closing_first_takes_four_segments_and_time_wait),
        TEST(closing_second_ends_with_the_last_ack),
        TEST(a_fin_that_acknowledges_ours_leads_to_time_wait),
        TEST(fins_that_cross_close_both_ends),
        TEST(fin_goes_with_the_last_data),
        TEST(the_last_segment_with_fin_goes_beyond_the_congestion_window),
        TEST(a_fin_alone_goes_beyond_the_congestion_window),
        TEST(closing_still_sends_data_and_fin_on_each_retransmission),
        TEST(what_the_peer_sends_after_our_fin_is_read),
        TEST(writing_goes_on_for_hours_after_the_peers_fin),
        TEST(nothing_can_be_sent_after_shutdown),
        TEST(a_user_may_stay_in_fin_wait_2_for_ever),
        TEST(an_orphan_in_fin_wait_2_goes_after_a_minute),
        TEST(a_lost_fin_goes_again_at_doubling_intervals),
        TEST(a_lost_last_ack_is_sent_again_and_time_wait_begins_anew),
        TEST(a_lost_fin_in_last_ack_goes_again),
        TEST(fin_behind_data_waits_for_the_window),
        TEST(an_orphan_does_not_wait_for_ever_for_a_window),
        TEST(an_earlier_ack_does_not_count_as_the_fins),
        TEST(a_fin_alone_is_its_own_probe),
        TEST(time_wait_keeps_no_buffers),
        TEST(time_wait_keeps_what_the_user_may_still_read),
        TEST(data_in_time_wait_is_acknowledged_and_forgotten),
        TEST(aborting_in_time_wait_is_silent),
        TEST(a_new_syn_reopens_time_wait),
        TEST(an_old_syn_does_not_reopen_time_wait),
        TEST(time_wait_without_a_listener_is_not_reopened),
        TEST(a_reset_counts_at_the_exact_number_only),
        TEST(a_reset_at_a_closed_window_counts),
        TEST(a_reset_behind_the_fin_is_a_broken_pipe),
        TEST(a_reset_with_the_number_of_the_fin_counts_behind_it),
        TEST(a_reset_ends_every_state_of_an_orphan),
        TEST(a_reset_ends_last_ack_and_time_wait),
        TEST(a_connection_that_was_cannot_be_opened_again),
        TEST(closing_with_unread_data_resets),
        TEST(data_for_an_orphan_resets),
        TEST(an_old_segment_does_not_reset_an_orphan),
        TEST(aborting_resets),
        TEST(aborting_before_the_answer_is_silent),
        TEST(a_packet_on_its_way_out_keeps_its_connection),
    };

    select_test(argc, argv);
    return cmocka_run_group_tests_name("closing", tests, NULL, NULL);
}
