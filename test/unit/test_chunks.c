/* SPDX-License-Identifier: MIT */
/* The send buffer as it was written: PSH, records, and how much it takes. */
#include <errno.h>

#include "harness.h"

static void exactly(void)
{
    world.exact_push = true;
    established_client(plain_peer(WIN));
}

/* ---- PSH ---- */

static void the_end_of_a_write_is_pushed(void **state)
{
    (void)state;
    exactly();
    write_bytes(500);
    expect(PA, 1, 1, WIN, 500);
}

static void a_packet_of_several_segments_is_pushed(void **state)
{
    (void)state;
    world.settings.initial_window = 4;
    exactly();
    write_bytes(6000);
    expect(A, 1, 1, WIN, 1000);
    expect(PA, 1001, 1, WIN, 1000);
    expect(A, 2001, 1, WIN, 1000);
    expect(PA, 3001, 1, WIN, 1000);
}

static void a_single_segment_in_the_middle_of_a_write_is_not_pushed(void **state)
{
    (void)state;
    world.settings.initial_window = 1;
    exactly();
    write_bytes(2000);
    expect(A, 1, 1, WIN, 1000);
    inject(A, 1, 1001, WIN, 0);
    expect(PA, 1001, 1, WIN, 1000);
}

static void what_was_pushed_is_pushed_again(void **state)
{
    (void)state;
    exactly();
    write_bytes(500);
    expect(PA, 1, 1, WIN, 500);
    advance_by(UTCP_SEC);
    expect(PA, 1, 1, WIN, 500);
}

static void more_to_come_is_not_pushed(void **state)
{
    (void)state;
    exactly();
    write_with(1000, UTCP_SEND_MORE);
    expect(A, 1, 1, WIN, 1000);
    write_bytes(1000);
    expect(PA, 1001, 1, WIN, 1000);
}

/* ---- records ---- */

static void a_packet_does_not_reach_into_the_next_record(void **state)
{
    (void)state;
    exactly();
    write_bytes(100);
    expect(PA, 1, 1, WIN, 100);
    write_with(1500, UTCP_SEND_RECORD);
    expect(A, 101, 1, WIN, 1000);
    expect_nothing();
    write_bytes(1000);
    /* Nothing can be added to what is left of the record, so Nagle does not hold it. */
    expect(PA, 1101, 1, WIN, 500);
    expect(PA, 1601, 1, WIN, 1000);
}

static void small_records_go_one_by_one_and_again_one_by_one(void **state)
{
    (void)state;
    exactly();
    utcp_set_option(world.conn, UTCP_OPT_NODELAY, 1);
    for (int i = 0; i < 3; i++)
        write_with(100, UTCP_SEND_RECORD);
    for (tcp_seq i = 0; i < 3; i++)
        expect(PA, 1 + 100 * i, 1, WIN, 100);
    for (unsigned i = 0; i < 3; i++)
        inject(A, 1, 1, WIN, 0);
    expect(PA, 1, 1, WIN, 100);
}

/* ---- how much is taken ---- */

static long room(void)
{
    struct utcp_slice space[2];

    return utcp_send_space(world.conn, space);
}

/* Linux: sk_stream_memory_free(). */
static void a_packet_may_be_begun_while_the_buffer_is_not_full(void **state)
{
    (void)state;
    world.settings.snd_buf = 50000;
    world.settings.initial_window = 1;
    established_client(plain_peer(32000));
    /* Packets of 16,000 bytes, half the peer's window, cost 17,280 each; the first 1,000 leave at once. */
    assert_int_equal(room(), 48000);
    write_bytes(48000);
    assert_int_equal(room(), 1000);
}

static void no_more_is_taken_than_may_wait_unsent(void **state)
{
    (void)state;
    world.settings.initial_window = 1;
    established_client(plain_peer(32000));
    assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_NOTSENT_LOWAT, 20000), 0);
    assert_int_equal(room(), 32000);
    write_bytes(32000);
    assert_int_equal(room(), 1000);
    write_bytes(1000);
    assert_int_equal(room(), -EAGAIN);
    assert_int_equal(utcp_ready(world.conn) & UTCP_OUT, 0);
}

static void a_socket_is_writable_when_half_of_that_is_sent(void **state)
{
    (void)state;
    established_client(plain_peer(32000));
    assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_NOTSENT_LOWAT, 4000), 0);
    write_bytes(12000);
    assert_int_equal(utcp_ready(world.conn) & UTCP_OUT, 0);
    inject(A, 1, 1001, 32000, 0);
    assert_int_equal(utcp_ready(world.conn) & UTCP_OUT, UTCP_OUT);
}

/* A write that fills the buffer, a write in vain, and then everything leaves. */
static void after_a_write_in_vain_being_writable_is_an_event(void **state)
{
    struct utcp_slice space[2];
    unsigned before;

    (void)state;
    established_client(plain_peer(WIN));
    assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_NOTSENT_LOWAT, 1000), 0);
    inject(A, 1, 1, WIN, 0);
    before = world.events;
    assert_true(utcp_send_space(world.conn, space) > 2000);
    for (tcp_seq i = 0; i < 2000; i++)
        space[0].data[i] = pattern(1 + i);
    utcp_send_commit(world.conn, 2000, UTCP_SEND_RECORD, world.now);
    assert_int_equal(room(), -EAGAIN);
    inject(A, 1, 1, WIN, 0);
    assert_int_equal(drop_sent(), 2);
    assert_int_equal(world.events, before + 1);
    assert_int_equal(world.last_ready & UTCP_OUT, UTCP_OUT);
}

static void without_memory_for_packets_all_is_one(void **state)
{
    (void)state;
    exactly();
    write_bytes(1000);
    expect(PA, 1, 1, WIN, 1000);
    inject(A, 1, 1001, WIN, 0);
    world.memory_left = 0;
    for (int i = 0; i < 20; i++)
        write_with(100, UTCP_SEND_RECORD);
    world.memory_left = SIZE_MAX;
    assert_int_equal(world.conn->chunks.count, 8);
    inject(A, 1, 1101, WIN, 0);
    drop_sent();
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(the_end_of_a_write_is_pushed),
        TEST(a_packet_of_several_segments_is_pushed),
        TEST(a_single_segment_in_the_middle_of_a_write_is_not_pushed),
        TEST(what_was_pushed_is_pushed_again),
        TEST(more_to_come_is_not_pushed),
        TEST(a_packet_does_not_reach_into_the_next_record),
        TEST(small_records_go_one_by_one_and_again_one_by_one),
        TEST(a_packet_may_be_begun_while_the_buffer_is_not_full),
        TEST(no_more_is_taken_than_may_wait_unsent),
        TEST(a_socket_is_writable_when_half_of_that_is_sent),
        TEST(after_a_write_in_vain_being_writable_is_an_event),
        TEST(without_memory_for_packets_all_is_one),
    };

    select_test(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
