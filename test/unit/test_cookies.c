/* SPDX-License-Identifier: MIT */
/* SYN cookies: RFC 4987 section 3.6. */
#include <errno.h>

#include "harness.h"
#include "stack.h"

enum {
    E = TCP_ECE,
    C = TCP_CWR,
};

static const struct peer ours_unscaled = {.window = WIN, .mss = 1460, .wscale = NO_WSCALE};

static uint64_t count_sent(void)
{
    return utcp_counters(world.stack)->tcp_cookies_sent;
}

static uint64_t count_good(void)
{
    return utcp_counters(world.stack)->tcp_cookies_good;
}

static void always(void)
{
    world.settings.syncookies = 2;
    start_listening(8);
}

/* Everything that can be agreed to. */
static struct peer capable_peer(void)
{
    world.settings.sack = 1;
    world.settings.timestamps = 1;
    return (struct peer){
        .window = 1000, .mss = 1000, .wscale = 4, .sack = true, .timestamps = true};
}

static void answer_syn(unsigned flags, struct peer peer)
{
    inject_syn(S | flags, 0, 0, peer);
    assert_int_equal(drop_sent(), 1);
    assert_int_equal(count_sent(), 1);
    expect_connections(1);
}

static void bring_it_back(void)
{
    inject(A, 1, 1, 1000, 0);
    world.conn = utcp_accept(world.listener, &world);
    assert_non_null(world.conn);
    expect_state(TCP_ESTABLISHED);
}

/* ---- when ---- */

static void a_flood_takes_no_more_memory_than_the_backlog(void **state)
{
    size_t before;

    (void)state;
    start_listening(4);
    for (uint16_t port = 10000; port < 10005; port++) {
        world.peer_port = port;
        inject_syn(S, 0, 0, plain_peer(1000));
    }
    assert_int_equal(count_sent(), 0);
    before = world.memory_bytes;
    for (uint16_t port = 11000; port < 12000; port++) {
        world.peer_port = port;
        inject_syn(S, 0, 0, plain_peer(1000));
    }
    assert_int_equal(drop_sent(), 1005);
    assert_int_equal(count_sent(), 1000);
    expect_connections(1 + 5);
    assert_int_equal(world.memory_bytes, before);
}

static void somebody_gets_through_the_flood(void **state)
{
    (void)state;
    start_listening(1);
    for (uint16_t port = 10000; port < 11000; port++) {
        world.peer_port = port;
        inject_syn(S, 0, 0, plain_peer(1000));
    }
    drop_sent();
    world.peer_port = 20000;
    inject_syn(S, 0, 0, plain_peer(1000));
    expect_syn(SA, 0, 1, ours_unscaled);
    bring_it_back();
    write_bytes(10);
    expect(PA, 1, 1, WIN, 10);
    inject(PA, 1, 11, 1000, 5);
    read_bytes(5);
    drop_sent();
}

static void the_setting_forbids_cookies(void **state)
{
    (void)state;
    world.settings.syncookies = 0;
    start_listening(0);
    inject_syn(S, 0, 0, plain_peer(1000));
    expect_syn(SA, 0, 1, ours_unscaled);
    world.peer_port++;
    inject_syn(S, 0, 0, plain_peer(1000));
    expect_nothing();
    assert_int_equal(utcp_counters(world.stack)->tcp_listen_overflows, 1);
}

static void a_full_accept_queue_gets_no_cookie(void **state)
{
    (void)state;
    world.settings.syncookies = 2;
    start_listening(0);
    answer_syn(0, plain_peer(1000));
    inject(A, 1, 1, 1000, 0);
    world.peer_port++;
    inject_syn(S, 0, 0, plain_peer(1000));
    expect_nothing();
}

/* The cookie was sent when there was room. The peer tries again. */
static void a_cookie_for_a_full_accept_queue_is_dropped(void **state)
{
    tcp_seq first;

    (void)state;
    world.settings.syncookies = 2;
    start_listening(0);
    answer_syn(0, plain_peer(1000));
    first = world.iss;
    world.peer_port++;
    inject_syn(S, 0, 0, plain_peer(1000));
    drop_sent();
    inject(A, 1, 1, 1000, 0);
    assert_int_equal(count_good(), 1);
    world.peer_port--;
    world.iss = first;
    inject(A, 1, 1, 1000, 0);
    expect_nothing();
    assert_non_null(utcp_accept(world.listener, &world));
    inject(A, 1, 1, 1000, 0);
    assert_int_equal(count_good(), 2);
}

/* ---- what comes back ---- */

static void data_with_the_cookie_is_kept(void **state)
{
    (void)state;
    always();
    answer_syn(0, plain_peer(1000));
    inject(PA, 1, 1, 1000, 10);
    expect(A, 1, 11, WIN - 10, 0);
    world.conn = utcp_accept(world.listener, &world);
    assert_non_null(world.conn);
    read_bytes(10);
}

static void a_fin_with_the_cookie_is_kept(void **state)
{
    (void)state;
    always();
    answer_syn(0, plain_peer(1000));
    inject(FA, 1, 1, 1000, 0);
    expect(A, 1, 2, WIN - 1, 0);
    world.conn = utcp_accept(world.listener, &world);
    assert_non_null(world.conn);
    expect_state(TCP_CLOSE_WAIT);
}

static void the_mss_comes_back_rounded_down(void **state)
{
    static const uint16_t mss[][2] = {{9000, 1460}, {1460, 1460}, {1459, 1440}, {1400, 1300},
                                      {1299, 1024}, {600, 536},   {535, 216},   {100, 48}};

    (void)state;
    always();
    for (size_t i = 0; i < sizeof(mss) / sizeof(mss[0]); i++) {
        struct peer peer = plain_peer(1000);

        peer.mss = mss[i][0];
        world.peer_port++;
        inject_syn(S, 0, 0, peer);
        drop_sent();
        bring_it_back();
        assert_int_equal(world.conn->mss, mss[i][1]);
        utcp_abort(world.conn, world.now);
        release();
        drop_sent();
    }
}

static void options_come_back_with_the_timestamp(void **state)
{
    struct peer peer = capable_peer();
    uint32_t now;

    (void)state;
    always();
    world.peer_mss = 1000;
    inject_syn(S | E | C, 0, 0, peer);
    assert_int_equal(count_sent(), 1);
    now = world.ts_last;
    assert_int_equal(drop_sent(), 1);
    inject(A, 1, 1, 1000, 0);
    world.conn = utcp_accept(world.listener, &world);
    assert_non_null(world.conn);
    assert_true(world.conn->wscale_ok);
    assert_int_equal(world.conn->snd_wscale, 4);
    assert_int_equal(world.conn->snd_wnd, 16000);
    assert_int_equal(world.conn->rcv_wscale, 7);
    assert_true(world.conn->sack_ok);
    assert_true(world.conn->ecn.ok);
    assert_true(world.conn->timestamps_ok);
    assert_int_equal(world.conn->ts_recent, peer_time());
    /* The clock goes on from there: 63 ms at most have been borrowed from it. */
    assert_in_range(timestamps_now(world.conn) - now, 0, 63);
}

static void options_that_were_not_offered_do_not_come_back(void **state)
{
    struct peer peer = capable_peer();

    (void)state;
    peer.sack = false;
    peer.wscale = NO_WSCALE;
    always();
    answer_syn(0, peer);
    bring_it_back();
    assert_false(world.conn->wscale_ok);
    assert_false(world.conn->sack_ok);
    assert_false(world.conn->ecn.ok);
    assert_true(world.conn->timestamps_ok);
}

static void without_timestamps_nothing_but_the_mss_is_agreed(void **state)
{
    struct peer peer = capable_peer();

    (void)state;
    peer.timestamps = false;
    always();
    inject_syn(S | E | C, 0, 0, peer);
    expect_syn(SA, 0, 1, ours_unscaled);
    bring_it_back();
    assert_false(world.conn->wscale_ok);
    assert_false(world.conn->sack_ok);
    assert_false(world.conn->ecn.ok);
    assert_false(world.conn->timestamps_ok);
}

/* ---- what does not ---- */

static void a_guess_is_reset(void **state)
{
    (void)state;
    always();
    answer_syn(0, plain_peer(1000));
    inject(A, 1, 12345, 1000, 0);
    expect(R, 12345, 0, 0, 0);
    inject(A, 2, 1, 1000, 0);
    expect(R, 1, 0, 0, 0);
    world.peer_port++;
    inject(A, 1, 1, 1000, 0);
    expect(R, 1, 0, 0, 0);
    expect_connections(1);
    assert_int_equal(utcp_counters(world.stack)->tcp_cookies_bad, 3);
}

static void a_cookie_is_good_for_a_minute(void **state)
{
    (void)state;
    always();
    answer_syn(0, plain_peer(1000));
    advance_by(60 * UTCP_SEC);
    bring_it_back();
}

static void an_old_cookie_is_reset(void **state)
{
    (void)state;
    always();
    answer_syn(0, plain_peer(1000));
    advance_by(119 * UTCP_SEC + 999 * UTCP_MSEC);
    inject(A, 1, 1, 1000, 0);
    expect(R, 1, 0, 0, 0);
}

static void a_listener_that_sent_none_looks_at_none(void **state)
{
    (void)state;
    start_listening(8);
    inject(A, 1, 1, 1000, 0);
    expect(R, 1, 0, 0, 0);
    assert_int_equal(utcp_counters(world.stack)->tcp_cookies_bad, 0);
}

static void without_memory_a_cookie_is_dropped(void **state)
{
    (void)state;
    always();
    answer_syn(0, plain_peer(1000));
    world.memory_left = 0;
    inject(A, 1, 1, 1000, 0);
    expect_nothing();
    world.memory_left = SIZE_MAX;
    bring_it_back();
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(a_flood_takes_no_more_memory_than_the_backlog),
        TEST(somebody_gets_through_the_flood),
        TEST(the_setting_forbids_cookies),
        TEST(a_full_accept_queue_gets_no_cookie),
        TEST(a_cookie_for_a_full_accept_queue_is_dropped),
        TEST(data_with_the_cookie_is_kept),
        TEST(a_fin_with_the_cookie_is_kept),
        TEST(the_mss_comes_back_rounded_down),
        TEST(options_come_back_with_the_timestamp),
        TEST(options_that_were_not_offered_do_not_come_back),
        TEST(without_timestamps_nothing_but_the_mss_is_agreed),
        TEST(a_guess_is_reset),
        TEST(a_cookie_is_good_for_a_minute),
        TEST(an_old_cookie_is_reset),
        TEST(a_listener_that_sent_none_looks_at_none),
        TEST(without_memory_a_cookie_is_dropped),
    };

    select_test(argc, argv);
    return cmocka_run_group_tests_name("cookies", tests, NULL, NULL);
}
