/* SPDX-License-Identifier: MIT */
/* How long a silent peer is waited for: keep-alives (RFC 9293 section 3.8.4), the user's time-out,
 * listeners that wait for text, orphans that wait for a FIN. */
#include <errno.h>

#include "harness.h"
#include "stack.h"

static const utcp_time idle = 10 * UTCP_SEC, interval = 3 * UTCP_SEC;

static void set(enum utcp_option option, uint64_t value)
{
    assert_int_equal(utcp_set_option(world.conn, option, value), 0);
    assert_int_equal(utcp_get_option(world.conn, option), value);
}

/* ---- keep-alives ---- */

static void kept_alive(void)
{
    established_client(plain_peer(WIN));
    set(UTCP_OPT_KEEPALIVE_IDLE, idle);
    set(UTCP_OPT_KEEPALIVE_INTERVAL, interval);
    set(UTCP_OPT_KEEPALIVE_COUNT, 2);
    set(UTCP_OPT_KEEPALIVE, true);
}

static void nobody_is_asked_unless_the_user_wants_it(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    advance_by(24 * 3600 * UTCP_SEC);
    expect_nothing();
}

static void a_silent_peer_is_asked(void **state)
{
    (void)state;
    kept_alive();
    nothing_before(idle);
    expect(A, 0, 1, WIN, 0);
    inject(A, 1, 1, WIN, 0);
    nothing_before(idle);
    expect(A, 0, 1, WIN, 0);
    expect_state(TCP_ESTABLISHED);
}

static void a_peer_that_does_not_answer_is_gone(void **state)
{
    (void)state;
    kept_alive();
    nothing_before(idle);
    expect(A, 0, 1, WIN, 0);
    nothing_before(interval);
    expect(A, 0, 1, WIN, 0);
    nothing_before(interval);
    expect(RA, 1, 1, WIN, 0);
    expect_state(TCP_CLOSED);
    assert_int_equal(utcp_take_error(world.conn), -ETIMEDOUT);
}

static void what_comes_puts_the_question_off(void **state)
{
    (void)state;
    kept_alive();
    advance_by(idle - 1);
    inject(A, 1, 1, WIN, 100);
    expect(A, 1, 101, WIN - 100, 0);
    nothing_before(idle);
    expect(A, 0, 101, WIN - 100, 0);
}

static void one_answer_begins_the_count_anew(void **state)
{
    (void)state;
    kept_alive();
    for (int i = 0; i < 5; i++) {
        advance_by(idle + interval);
        expect(A, 0, 1, WIN, 0);
        expect(A, 0, 1, WIN, 0);
        inject(A, 1, 1, WIN, 0);
    }
    expect_state(TCP_ESTABLISHED);
}

static void nobody_is_asked_while_data_is_in_flight(void **state)
{
    (void)state;
    kept_alive();
    write_bytes(100);
    expect(PA, 1, 1, WIN, 100);
    for (int i = 0; i < 5; i++) {
        advance_by(5 * UTCP_SEC);
        while (drop_sent() > 0)
            continue;
    }
    assert_int_equal(utcp_counters(world.stack)->tcp_keepalives, 0);
}

static void a_listeners_option_is_its_childrens(void **state)
{
    (void)state;
    world.settings.keepalive_idle = idle;
    start_listening(1);
    assert_int_equal(utcp_set_option(world.listener, UTCP_OPT_KEEPALIVE, true), 0);
    inject_syn(S, 0, 0, plain_peer(WIN));
    assert_int_equal(drop_sent(), 1);
    inject(A, 1, 1, WIN, 0);
    world.conn = utcp_accept(world.listener, &world);
    nothing_before(idle);
    expect(A, 0, 1, WIN, 0);
}

static void turning_it_off_ends_it(void **state)
{
    (void)state;
    kept_alive();
    set(UTCP_OPT_KEEPALIVE, false);
    advance_by(100 * idle);
    expect_nothing();
}

/* As Linux: what is on already does not begin anew, and an extra question would count. */
static void asking_for_it_twice_asks_the_peer_no_sooner(void **state)
{
    (void)state;
    kept_alive();
    nothing_before(idle);
    expect(A, 0, 1, WIN, 0);
    set(UTCP_OPT_KEEPALIVE, true);
    nothing_before(interval);
    expect(A, 0, 1, WIN, 0);
    set(UTCP_OPT_KEEPALIVE, true);
    advance_by(interval - 1);
    expect_nothing();
    expect_state(TCP_ESTABLISHED);
}

/* As Linux: the silence before nobody asked for it does not count. */
static void it_begins_when_it_is_turned_on(void **state)
{
    (void)state;
    kept_alive();
    set(UTCP_OPT_KEEPALIVE, false);
    advance_by(100 * idle);
    set(UTCP_OPT_KEEPALIVE, true);
    nothing_before(idle);
    expect(A, 0, 1, WIN, 0);
}

/* A FIN that the window holds back is tried by the persist timer, at its times. */
static void nobody_is_asked_while_a_fin_waits(void **state)
{
    (void)state;
    established_client(plain_peer(100));
    set(UTCP_OPT_KEEPALIVE_IDLE, idle);
    write_bytes(100);
    expect(PA, 1, 1, WIN, 100);
    inject(A, 1, 101, 0, 0);
    set(UTCP_OPT_KEEPALIVE, true);
    advance_by(idle - RTO / 2);
    assert_int_equal(utcp_shutdown(world.conn, UTCP_SHUT_WR, world.now), 0);
    release();
    advance_by(RTO * 3 / 4);
    expect_nothing();
    advance_by(RTO / 4);
    expect(FA, 101, 1, WIN, 0);
    assert_int_equal(utcp_counters(world.stack)->tcp_keepalives, 0);
}

/* As Linux, where it is no more than an entry in a table by then. */
static void a_peer_that_owes_an_orphan_its_fin_is_not_asked(void **state)
{
    (void)state;
    kept_alive();
    close_conn();
    expect(FA, 1, 1, WIN, 0);
    inject(A, 1, 2, WIN, 0);
    expect_state(TCP_FIN_WAIT_2);
    advance_by(world.settings.fin_wait2);
    expect_nothing();
    expect_connections(0);
}

static void a_shorter_time_counts_at_once(void **state)
{
    (void)state;
    kept_alive();
    advance_by(5 * UTCP_SEC);
    set(UTCP_OPT_KEEPALIVE_IDLE, 6 * UTCP_SEC);
    nothing_before(UTCP_SEC);
    expect(A, 0, 1, WIN, 0);
}

static void with_a_user_timeout_it_is_the_time_that_counts(void **state)
{
    (void)state;
    kept_alive();
    set(UTCP_OPT_USER_TIMEOUT, idle + 10 * interval);
    advance_by(idle + 9 * interval);
    assert_int_equal(drop_sent(), 10);
    expect_state(TCP_ESTABLISHED);
    advance_by(interval);
    expect(RA, 1, 1, WIN, 0);
    expect_state(TCP_CLOSED);
}

/* ---- the user's time-out ---- */

static void data_is_sent_again_until_the_users_patience_ends(void **state)
{
    (void)state;
    world.settings.tail_probe = 0;
    established_client(plain_peer(WIN));
    set(UTCP_OPT_USER_TIMEOUT, UTCP_SEC);
    write_bytes(100);
    expect(PA, 1, 1, WIN, 100);
    nothing_before(RTO);
    expect(PA, 1, 1, WIN, 100);
    nothing_before(2 * RTO);
    expect(PA, 1, 1, WIN, 100);
    /* The next time-out would come four RTOs later, but a second after the first it is over. */
    advance_by(UTCP_SEC - 2 * RTO - 1);
    expect_state(TCP_ESTABLISHED);
    advance_by(1);
    expect_state(TCP_CLOSED);
    assert_int_equal(utcp_take_error(world.conn), -ETIMEDOUT);
    expect_nothing();
}

static void an_ack_of_new_data_begins_the_time_anew(void **state)
{
    (void)state;
    world.settings.tail_probe = 0;
    established_client(plain_peer(WIN));
    set(UTCP_OPT_USER_TIMEOUT, UTCP_SEC);
    for (int i = 0; i < 10; i++) {
        write_bytes(100);
        advance_by(RTO);
        drop_sent();
        inject(A, 1, 101 + 100 * (tcp_seq)i, WIN, 0);
    }
    expect_state(TCP_ESTABLISHED);
}

/* As Linux: the probes are answered, but nothing gets through. */
static void a_window_that_stays_closed_ends_it_too(void **state)
{
    (void)state;
    established_client(plain_peer(100));
    set(UTCP_OPT_USER_TIMEOUT, 3 * UTCP_SEC);
    write_bytes(200);
    expect(A, 1, 1, WIN, 100);
    inject(A, 1, 101, 0, 0);
    for (int i = 0; i < 100 && world.conn->state == TCP_ESTABLISHED; i++) {
        advance_by(100 * UTCP_MSEC);
        if (drop_sent() > 0 && world.conn->state == TCP_ESTABLISHED)
            inject(A, 1, 101, 0, 0);
    }
    expect_state(TCP_CLOSED);
    assert_int_equal(utcp_take_error(world.conn), -ETIMEDOUT);
}

static void a_syn_goes_again_as_often_as_the_user_says(void **state)
{
    struct utcp_endpoint peer = peer_endpoint();

    (void)state;
    start_stack();
    world.conn = utcp_open(world.stack, &world);
    set(UTCP_OPT_SYN_RETRIES, 1);
    assert_int_equal(utcp_connect(world.conn, &peer, world.now), 0);
    release();
    advance_by(60 * UTCP_SEC);
    assert_int_equal(drop_sent(), 2);
    expect_state(TCP_CLOSED);
}

/* As Linux: a connection has its listener's options from ESTABLISHED on. */
static void a_listeners_patience_does_not_end_a_handshake(void **state)
{
    (void)state;
    start_listening(1);
    assert_int_equal(utcp_set_option(world.listener, UTCP_OPT_USER_TIMEOUT, UTCP_SEC), 0);
    inject_syn(S, 0, 0, plain_peer(WIN));
    advance_by(20 * UTCP_SEC);
    assert_int_equal(drop_sent(), 5);
    expect_connections(2);
}

/* ---- a listener that waits for text ---- */

static void deferring_listener(unsigned timeouts)
{
    start_listening(1);
    assert_int_equal(utcp_set_option(world.listener, UTCP_OPT_DEFER_ACCEPT, timeouts), 0);
    inject_syn(S, 0, 0, plain_peer(WIN));
    assert_int_equal(drop_sent(), 1);
    advance_by(RTT);
    inject(A, 1, 1, WIN, 0);
    expect_nothing();
    assert_int_equal(utcp_ready(world.listener), 0);
}

static void accept_it(void)
{
    world.conn = utcp_accept(world.listener, &world);
    assert_non_null(world.conn);
    expect_state(TCP_ESTABLISHED);
}

static void a_connection_is_accepted_with_its_first_text(void **state)
{
    (void)state;
    deferring_listener(3);
    advance_by(500 * UTCP_MSEC);
    inject(PA, 1, 1, WIN, 100);
    accept_it();
    expect(A, 1, 101, WIN - 100, 0);
    read_bytes(100);
    /* The round trip ended with the ACK that was put off. */
    assert_int_equal(world.conn->rtt.srtt, RTT);
}

static void a_fin_is_as_good_as_text(void **state)
{
    (void)state;
    deferring_listener(3);
    inject(FA, 1, 1, WIN, 0);
    world.conn = utcp_accept(world.listener, &world);
    assert_non_null(world.conn);
    expect_state(TCP_CLOSE_WAIT);
    expect(A, 1, 2, WIN - 1, 0);
}

/* Time-outs after 1, 3 and 7 seconds: with the last of them the SYN-ACK goes again. */
static void who_says_nothing_is_asked_again_and_then_accepted(void **state)
{
    (void)state;
    deferring_listener(3);
    advance_by(7 * UTCP_SEC - RTT - 1);
    expect_nothing();
    inject(A, 1, 1, WIN, 0);
    assert_int_equal(utcp_ready(world.listener), 0);
    advance_by(1);
    expect_syn(SA, 0, 1, ((struct peer){.window = WIN, .mss = 1460, .wscale = NO_WSCALE}));
    inject(A, 1, 1, WIN, 0);
    accept_it();
    expect_nothing();
}

/* As Linux: the option may be the longer of the two. */
static void a_long_deferral_outlasts_the_repetitions_of_a_syn_ack(void **state)
{
    (void)state;
    world.settings.synack_retries = 1;
    deferring_listener(4);
    nothing_before(15 * UTCP_SEC - RTT);
    expect_syn(SA, 0, 1, ((struct peer){.window = WIN, .mss = 1460, .wscale = NO_WSCALE}));
    advance_by(60 * UTCP_SEC);
    expect_nothing();
    expect_connections(1);
}

static void until_an_ack_comes_the_syn_ack_goes_again_as_ever(void **state)
{
    (void)state;
    start_listening(1);
    assert_int_equal(utcp_set_option(world.listener, UTCP_OPT_DEFER_ACCEPT, 5), 0);
    inject_syn(S, 0, 0, plain_peer(WIN));
    assert_int_equal(drop_sent(), 1);
    advance_by(3 * UTCP_SEC);
    assert_int_equal(drop_sent(), 2);
}

/* A cookie leaves nothing behind that could wait. */
static void a_cookie_that_returns_is_accepted_at_once(void **state)
{
    (void)state;
    world.settings.syncookies = 2;
    start_listening(1);
    assert_int_equal(utcp_set_option(world.listener, UTCP_OPT_DEFER_ACCEPT, 5), 0);
    inject_syn(S, 0, 0, plain_peer(WIN));
    assert_int_equal(drop_sent(), 1);
    inject(A, 1, 1, WIN, 0);
    accept_it();
}

/* ---- an orphan that waits for the peer's FIN ---- */

static void an_orphan_waits_as_long_as_the_user_said(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    set(UTCP_OPT_FIN_WAIT2, 5 * UTCP_SEC);
    close_conn();
    expect(FA, 1, 1, WIN, 0);
    inject(A, 1, 2, WIN, 0);
    advance_by(5 * UTCP_SEC - 1);
    expect_connections(1);
    advance_by(1);
    expect_connections(0);
    expect_nothing();
}

static void an_orphan_that_is_not_to_wait_is_reset_when_its_fin_is_acknowledged(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    set(UTCP_OPT_FIN_WAIT2, 0);
    close_conn();
    expect(FA, 1, 1, WIN, 0);
    inject(A, 1, 2, WIN, 0);
    expect(RA, 2, 1, WIN, 0);
    expect_connections(0);
}

static void one_that_is_half_closed_already_is_reset_by_close(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    set(UTCP_OPT_FIN_WAIT2, 0);
    assert_int_equal(utcp_shutdown(world.conn, UTCP_SHUT_WR, world.now), 0);
    release();
    expect(FA, 1, 1, WIN, 0);
    inject(A, 1, 2, WIN, 0);
    expect_nothing();
    close_conn();
    expect(RA, 2, 1, WIN, 0);
    expect_connections(0);
}

/* As Linux: 3.5 RTOs. */
static void a_fin_that_is_lost_once_is_in_time(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    set(UTCP_OPT_FIN_WAIT2, 1);
    assert_int_equal(utcp_shutdown(world.conn, UTCP_SHUT_WR, world.now), 0);
    release();
    expect(FA, 1, 1, WIN, 0);
    advance_by(RTT);
    inject(A, 1, 2, WIN, 0);
    close_conn();
    advance_by(3 * RTO);
    expect_connections(1);
    advance_by(RTO / 2);
    expect_connections(0);
}

static void the_setting_counts_again_when_the_user_takes_his_word_back(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    set(UTCP_OPT_FIN_WAIT2, 5 * UTCP_SEC);
    assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_FIN_WAIT2, UINT64_MAX), 0);
    assert_int_equal(utcp_get_option(world.conn, UTCP_OPT_FIN_WAIT2), world.settings.fin_wait2);
}

static void values_out_of_range_are_refused(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_KEEPALIVE_IDLE, 0), -EINVAL);
    assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_KEEPALIVE_IDLE, 32768 * UTCP_SEC),
                     -EINVAL);
    assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_KEEPALIVE_COUNT, 128), -EINVAL);
    assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_SYN_RETRIES, 0), -EINVAL);
    assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_DEFER_ACCEPT, 256), -EINVAL);
    assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_FIN_WAIT2, 121 * UTCP_SEC), -EINVAL);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(nobody_is_asked_unless_the_user_wants_it),
        TEST(a_silent_peer_is_asked),
        TEST(a_peer_that_does_not_answer_is_gone),
        TEST(what_comes_puts_the_question_off),
        TEST(one_answer_begins_the_count_anew),
        TEST(nobody_is_asked_while_data_is_in_flight),
        TEST(a_listeners_option_is_its_childrens),
        TEST(turning_it_off_ends_it),
        TEST(asking_for_it_twice_asks_the_peer_no_sooner),
        TEST(it_begins_when_it_is_turned_on),
        TEST(nobody_is_asked_while_a_fin_waits),
        TEST(a_peer_that_owes_an_orphan_its_fin_is_not_asked),
        TEST(a_shorter_time_counts_at_once),
        TEST(with_a_user_timeout_it_is_the_time_that_counts),
        TEST(data_is_sent_again_until_the_users_patience_ends),
        TEST(an_ack_of_new_data_begins_the_time_anew),
        TEST(a_window_that_stays_closed_ends_it_too),
        TEST(a_syn_goes_again_as_often_as_the_user_says),
        TEST(a_listeners_patience_does_not_end_a_handshake),
        TEST(a_connection_is_accepted_with_its_first_text),
        TEST(a_fin_is_as_good_as_text),
        TEST(who_says_nothing_is_asked_again_and_then_accepted),
        TEST(a_long_deferral_outlasts_the_repetitions_of_a_syn_ack),
        TEST(until_an_ack_comes_the_syn_ack_goes_again_as_ever),
        TEST(a_cookie_that_returns_is_accepted_at_once),
        TEST(an_orphan_waits_as_long_as_the_user_said),
        TEST(an_orphan_that_is_not_to_wait_is_reset_when_its_fin_is_acknowledged),
        TEST(one_that_is_half_closed_already_is_reset_by_close),
        TEST(a_fin_that_is_lost_once_is_in_time),
        TEST(the_setting_counts_again_when_the_user_takes_his_word_back),
        TEST(values_out_of_range_are_refused),
    };

    select_test(argc, argv);
    return cmocka_run_group_tests_name("patience", tests, NULL, NULL);
}
