/* SPDX-License-Identifier: MIT */
/* What waits for more to come: TCP_CORK and MSG_MORE, as Linux has them. */
#include "harness.h"

enum { MSS = 1000 };

static void set(enum utcp_option option, bool on)
{
    assert_int_equal(utcp_set_option(world.conn, option, on), 0);
    release();
}

static void corked(void)
{
    established_client(plain_peer(WIN));
    set(UTCP_OPT_CORK, true);
}

static void short_writes_wait_under_a_cork(void **state)
{
    (void)state;
    corked();
    write_bytes(100);
    write_bytes(100);
    expect_nothing();
    set(UTCP_OPT_CORK, false);
    expect(PA, 1, 1, WIN, 200);
}

static void full_segments_go_under_a_cork(void **state)
{
    (void)state;
    corked();
    write_bytes(600);
    write_bytes(600);
    expect(A, 1, 1, WIN, MSS);
    expect_nothing();
    inject(A, 1, 1 + MSS, WIN, 0);
    expect_nothing();
    set(UTCP_OPT_CORK, false);
    expect(PA, 1 + MSS, 1, WIN, 200);
}

/* Linux: "there is a 200 millisecond ceiling on the time for which output is corked", an RTO in truth. */
static void a_cork_holds_no_longer_than_a_time_out(void **state)
{
    (void)state;
    corked();
    write_bytes(100);
    nothing_before(RTO);
    expect(PA, 1, 1, WIN, 100);
    inject(A, 1, 101, WIN, 0);
    expect_nothing();
}

static void a_fin_pulls_the_cork(void **state)
{
    (void)state;
    corked();
    write_bytes(100);
    expect_nothing();
    assert_int_equal(utcp_shutdown(world.conn, UTCP_SHUT_WR, world.now), 0);
    release();
    expect(FPA, 1, 1, WIN, 100);
}

static void turning_nagle_off_lets_out_what_is_there(void **state)
{
    (void)state;
    corked();
    write_bytes(100);
    set(UTCP_OPT_NODELAY, true);
    expect(PA, 1, 1, WIN, 100);
    inject(A, 1, 101, WIN, 0);
    write_bytes(100);
    expect_nothing();
    set(UTCP_OPT_NODELAY, true);
    expect(PA, 101, 1, WIN, 100);
}

/* Nagle's rule is still there. */
static void what_was_corked_waits_for_what_is_in_flight(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    write_bytes(50);
    expect(PA, 1, 1, WIN, 50);
    set(UTCP_OPT_CORK, true);
    write_bytes(100);
    set(UTCP_OPT_CORK, false);
    expect_nothing();
    inject(A, 1, 51, WIN, 0);
    expect(PA, 51, 1, WIN, 100);
}

static void a_write_with_more_to_come_waits_for_the_next(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    write_with(100, UTCP_SEND_MORE);
    expect_nothing();
    write_bytes(100);
    expect(PA, 1, 1, WIN, 200);
}

static void more_to_come_waits_though_nagle_is_off(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    set(UTCP_OPT_NODELAY, true);
    write_with(100, UTCP_SEND_MORE);
    expect_nothing();
    nothing_before(RTO);
    expect(PA, 1, 1, WIN, 100);
}

static void more_to_come_waits_no_longer_than_the_next_ack(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    write_bytes(MSS);
    expect(PA, 1, 1, WIN, MSS);
    write_with(100, UTCP_SEND_MORE);
    expect_nothing();
    inject(A, 1, 1 + MSS, WIN, 0);
    expect(A, 1 + MSS, 1, WIN, 100);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(short_writes_wait_under_a_cork),
        TEST(full_segments_go_under_a_cork),
        TEST(a_cork_holds_no_longer_than_a_time_out),
        TEST(a_fin_pulls_the_cork),
        TEST(turning_nagle_off_lets_out_what_is_there),
        TEST(what_was_corked_waits_for_what_is_in_flight),
        TEST(a_write_with_more_to_come_waits_for_the_next),
        TEST(more_to_come_waits_though_nagle_is_off),
        TEST(more_to_come_waits_no_longer_than_the_next_ack),
    };

    select_test(argc, argv);
    return cmocka_run_group_tests_name("cork", tests, NULL, NULL);
}
