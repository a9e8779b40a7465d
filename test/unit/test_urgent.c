/* SPDX-License-Identifier: MIT */
/* Urgent data: RFC 9293 section 3.8.5, RFC 6093. */
#include <errno.h>

#include "harness.h"
#include "stack.h"

enum { U = TCP_URG };

/* A segment with an urgent pointer. */
static void inject_urgent(unsigned flags, tcp_seq seq, uint32_t len, uint16_t pointer)
{
    world.urgent = pointer;
    inject(flags | U, seq, 1, WIN, len);
    world.urgent = 0;
    drop_sent();
}

static void expect_urgent(int result, tcp_seq at)
{
    uint8_t byte = 0;

    assert_int_equal(utcp_receive_urgent(world.conn, &byte, true), result);
    if (result > 0)
        assert_int_equal(byte, pattern(at));
}

static void take_urgent(tcp_seq at)
{
    uint8_t byte;

    assert_int_equal(utcp_receive_urgent(world.conn, &byte, false), 1);
    assert_int_equal(byte, pattern(at));
}

static bool shows(unsigned bit)
{
    return (utcp_ready(world.conn) & bit) != 0;
}

static long waiting(void)
{
    struct utcp_slice data[2];

    return utcp_receive_data(world.conn, data);
}

/* ---- receiving ---- */

static void the_byte_before_the_pointer_is_urgent(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    expect_urgent(-EINVAL, 0);
    assert_false(shows(UTCP_PRI));
    inject_urgent(PA, 1, 10, 10);
    assert_true(shows(UTCP_PRI));
    expect_urgent(1, 10);
    take_urgent(10);
    assert_false(shows(UTCP_PRI));
    expect_urgent(-EINVAL, 0);
}

static void the_setting_reads_the_pointer_as_the_byte_itself(void **state)
{
    (void)state;
    world.settings.stdurg = 1;
    established_client(plain_peer(WIN));
    inject_urgent(PA, 1, 10, 4);
    take_urgent(5);
}

static void receiving_stops_at_the_mark_and_leaves_the_byte_out(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    inject_urgent(PA, 1, 10, 5);
    assert_int_equal(waiting(), 4);
    assert_false(utcp_at_mark(world.conn));
    read_bytes(4);
    assert_true(utcp_at_mark(world.conn));
    take_urgent(5);
    assert_true(utcp_at_mark(world.conn));
    assert_int_equal(waiting(), 5);
    world.read++;
    read_bytes(5);
    assert_false(utcp_at_mark(world.conn));
    assert_int_equal(waiting(), -EAGAIN);
}

static void reading_on_over_the_mark_loses_the_byte(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    inject_urgent(PA, 1, 10, 5);
    read_bytes(4);
    world.read++;
    read_bytes(2);
    expect_urgent(-EINVAL, 0);
    assert_false(shows(UTCP_PRI));
    read_bytes(3);
}

static void the_byte_alone_is_nothing_to_read(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    inject_urgent(PA, 1, 1, 1);
    assert_false(shows(UTCP_IN));
    assert_true(shows(UTCP_PRI));
    assert_int_equal(waiting(), -EAGAIN);
    take_urgent(1);
}

static void inline_the_byte_is_in_the_stream(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_OOBINLINE, true), 0);
    inject_urgent(PA, 1, 10, 5);
    assert_true(shows(UTCP_PRI));
    expect_urgent(-EINVAL, 0);
    assert_int_equal(waiting(), 4);
    read_bytes(4);
    assert_true(utcp_at_mark(world.conn));
    assert_int_equal(waiting(), 6);
    read_bytes(6);
    assert_false(shows(UTCP_PRI));
}

static void it_may_be_announced_before_it_comes(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    inject_urgent(A, 1, 0, 7);
    expect_urgent(-EAGAIN, 0);
    assert_false(shows(UTCP_PRI));
    inject(PA, 1, 1, WIN, 10);
    drop_sent();
    assert_true(shows(UTCP_PRI));
    take_urgent(7);
}

static void it_counts_out_of_order_too(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    inject_urgent(PA, 11, 10, 5);
    take_urgent(15);
    inject(A, 1, 1, WIN, 10);
    drop_sent();
    read_bytes(14);
    assert_true(utcp_at_mark(world.conn));
    world.read++;
    read_bytes(5);
}

/* As Linux: only the last is urgent. */
static void a_later_one_makes_the_earlier_one_data(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    inject_urgent(PA, 1, 10, 5);
    inject_urgent(PA, 11, 10, 5);
    take_urgent(15);
    read_bytes(14);
    world.read++;
    read_bytes(5);
}

static void one_that_is_next_is_gone_when_another_comes(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    inject_urgent(PA, 1, 5, 5);
    read_bytes(4);
    inject_urgent(PA, 6, 5, 5);
    world.read++;
    read_bytes(4);
    take_urgent(10);
}

static void what_goes_again_is_no_news(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    inject_urgent(PA, 1, 10, 10);
    take_urgent(10);
    inject_urgent(PA, 1, 10, 10);
    assert_false(shows(UTCP_PRI));
    expect_urgent(-EINVAL, 0);
    assert_int_equal(utcp_counters(world.stack)->tcp_urgent, 1);
}

static void one_that_never_came_ends_with_the_stream(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    inject_urgent(A, 1, 0, 100);
    inject(FA, 1, 1, WIN, 10);
    drop_sent();
    expect_urgent(0, 0);
}

/* ---- sending ---- */

static void the_pointer_is_behind_the_last_byte(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    write_with(10, UTCP_SEND_URGENT);
    expect(PA | U, 1, 1, WIN, 10);
    assert_int_equal(world.urgent_sent, 10);
    inject(A, 1, 11, WIN, 0);
    write_bytes(10);
    expect(PA, 11, 1, WIN, 10);
}

static void all_segments_before_it_tell(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    write_with(2500, UTCP_SEND_URGENT);
    expect(A | U, 1, 1, WIN, 1000);
    assert_int_equal(world.urgent_sent, 2500);
    expect(A | U, 1001, 1, WIN, 1000);
    assert_int_equal(world.urgent_sent, 1500);
    expect(PA | U, 2001, 1, WIN, 500);
    assert_int_equal(world.urgent_sent, 500);
}

static void an_urgent_byte_does_not_wait_for_an_ack(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    write_bytes(10);
    expect(PA, 1, 1, WIN, 10);
    write_with(1, UTCP_SEND_URGENT);
    expect(PA | U, 11, 1, WIN, 1);
}

static void what_goes_again_tells_again(void **state)
{
    (void)state;
    world.settings.tail_probe = 0;
    established_client(plain_peer(WIN));
    write_with(10, UTCP_SEND_URGENT);
    expect(PA | U, 1, 1, WIN, 10);
    nothing_before(RTO);
    expect(PA | U, 1, 1, WIN, 10);
    assert_int_equal(world.urgent_sent, 10);
}

/* RFC 9293 section 3.8.5, with a window of zero: the probe is one that the peer accepts. */
static void a_closed_window_lets_the_pointer_through(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    write_bytes(100);
    expect(PA, 1, 1, WIN, 100);
    inject(A, 1, 101, 0, 0);
    write_with(10, UTCP_SEND_URGENT);
    expect(A | U, 101, 1, WIN, 0);
    assert_int_equal(world.urgent_sent, 10);
    expect_nothing();
    inject(A, 1, 101, WIN, 0);
    expect(PA | U, 101, 1, WIN, 10);
}

static void a_byte_too_far_off_is_said_to_be_somewhere(void **state)
{
    (void)state;
    established_client((struct peer){.window = WIN, .mss = 1000, .wscale = 4});
    write_with(100000, UTCP_SEND_URGENT);
    expect(A | U, 1, 1, 8192, 1000);
    assert_int_equal(world.urgent_sent, 65535);
    drop_sent();
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(the_byte_before_the_pointer_is_urgent),
        TEST(the_setting_reads_the_pointer_as_the_byte_itself),
        TEST(receiving_stops_at_the_mark_and_leaves_the_byte_out),
        TEST(reading_on_over_the_mark_loses_the_byte),
        TEST(the_byte_alone_is_nothing_to_read),
        TEST(inline_the_byte_is_in_the_stream),
        TEST(it_may_be_announced_before_it_comes),
        TEST(it_counts_out_of_order_too),
        TEST(a_later_one_makes_the_earlier_one_data),
        TEST(one_that_is_next_is_gone_when_another_comes),
        TEST(what_goes_again_is_no_news),
        TEST(one_that_never_came_ends_with_the_stream),
        TEST(the_pointer_is_behind_the_last_byte),
        TEST(all_segments_before_it_tell),
        TEST(an_urgent_byte_does_not_wait_for_an_ack),
        TEST(what_goes_again_tells_again),
        TEST(a_closed_window_lets_the_pointer_through),
        TEST(a_byte_too_far_off_is_said_to_be_somewhere),
    };

    select_test(argc, argv);
    return cmocka_run_group_tests_name("urgent", tests, NULL, NULL);
}
