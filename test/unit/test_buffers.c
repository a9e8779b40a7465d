/* SPDX-License-Identifier: MIT */
/* How the buffers grow by themselves: stack/tcp/buffers.c. */
#include <errno.h>

#include "harness.h"
#include "stack.h"

enum { MSS = 1000, SEGMENT_COST = 2048 + 256 };

static uint64_t option(enum utcp_option which)
{
    return utcp_get_option(world.conn, which);
}

/* ---- receiving ---- */

/* A window of 20,000 bytes that may become 100,000. */
static void small_window(bool timestamps)
{
    world.settings.timestamps = timestamps;
    world.settings.rcv_buf = 20000;
    world.settings.rcv_buf_max = 100000;
    established_client((struct peer){
        .window = WIN, .mss = MSS, .wscale = timestamps ? 0 : NO_WSCALE, .timestamps = timestamps});
}

/* Full segments, from the relative number on; the ACKs are not looked at. */
static tcp_seq receive(tcp_seq seq, unsigned segments)
{
    uint32_t len = world.timestamps ? MSS - 12 : MSS;

    while (segments-- > 0) {
        inject(A, seq, 1, WIN, len);
        seq += len;
    }
    drop_sent();
    return seq;
}

/* So many in a round trip, read at its end; they answer a segment of ours. */
static tcp_seq round_trip(tcp_seq seq, unsigned segments)
{
    tcp_seq end;

    advance_by(RTT);
    end = receive(seq, segments);
    read_bytes(end - seq);
    drop_sent();
    return end;
}

static void the_window_becomes_twice_what_is_read_in_a_round_trip(void **state)
{
    tcp_seq at;
    uint32_t most = 10 * 988, read = 15 * 988;

    (void)state;
    small_window(true);
    at = round_trip(1, 10);
    assert_int_equal(option(UTCP_OPT_RCV_BUF), 20000);
    round_trip(at, 15);
    assert_int_equal(option(UTCP_OPT_RCV_BUF),
                     (2 * read + 16 * 988) + 2 * (2 * read + 16 * 988) * (read - most) / most);
}

static void the_window_grows_to_its_setting(void **state)
{
    tcp_seq at = 1;

    (void)state;
    small_window(true);
    for (unsigned segments = 15; segments <= 60; segments += 15)
        at = round_trip(at, segments);
    assert_int_equal(option(UTCP_OPT_RCV_BUF), 100000);
}

static void without_timestamps_a_window_of_data_tells_the_round_trip(void **state)
{
    tcp_seq at = 1;

    (void)state;
    small_window(false);
    for (unsigned i = 0; i < 10; i++)
        at = round_trip(at, 15);
    assert_true(option(UTCP_OPT_RCV_BUF) > 20000);
}

static void a_program_that_reads_slowly_keeps_a_small_window(void **state)
{
    tcp_seq at = 1;

    (void)state;
    small_window(true);
    for (unsigned i = 0; i < 20; i++)
        at = round_trip(at, 9);
    assert_int_equal(option(UTCP_OPT_RCV_BUF), 20000);
}

static void the_users_size_is_the_last_word(void **state)
{
    tcp_seq at = 1;

    (void)state;
    small_window(true);
    assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_RCV_BUF, 22000), 0);
    for (unsigned i = 0; i < 10; i++)
        at = round_trip(at, 15);
    assert_int_equal(option(UTCP_OPT_RCV_BUF), 22000);
}

static void what_lies_beyond_a_hole_moves_with_the_buffer(void **state)
{
    tcp_seq at;

    (void)state;
    small_window(true);
    at = round_trip(1, 8);
    at = round_trip(at, 8);
    advance_by(RTT);
    assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_RCV_BUF, 64000), 0);
    receive(at, 5);
    inject(A, at + 7 * 988, 1, WIN, 988);
    assert_int_equal(world.conn->rcv_buf.size, 32768);
    read_bytes(5 * 988);
    assert_int_equal(world.conn->rcv_buf.size, 65536);
    inject(A, at + 5 * 988, 1, WIN, 2 * 988);
    read_bytes(3 * 988);
    drop_sent();
}

static void less_than_was_promised_is_kept_room_for(void **state)
{
    (void)state;
    small_window(false);
    assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_RCV_BUF, 300), 0);
    receive(1, 20);
    read_bytes(20 * MSS);
    expect(A, 1, 20001, 300, 0);
}

static void without_memory_the_window_stays(void **state)
{
    tcp_seq at;

    (void)state;
    small_window(true);
    at = round_trip(1, 8);
    world.memory_left = 0;
    at = round_trip(at, 15);
    assert_int_equal(option(UTCP_OPT_RCV_BUF), 20000);
    world.memory_left = SIZE_MAX;
    round_trip(at, 19);
    assert_true(option(UTCP_OPT_RCV_BUF) > 20000);
}

/* ---- window scale ---- */

static void check_shift(uint64_t most, uint64_t limit, uint8_t shift)
{
    world.settings.rcv_buf = 60000;
    world.settings.rcv_buf_max = most;
    world.settings.wscale = limit;
    start_connecting();
    expect_syn(S, 0, 0, ((struct peer){.window = 60000, .mss = 1460, .wscale = shift}));
}

static void the_shift_count_is_of_the_largest_buffer(void **state)
{
    (void)state;
    check_shift(15728640 / 2, 14, 8);
}

static void the_shift_count_has_a_limit(void **state)
{
    (void)state;
    check_shift(1 << 30, 5, 5);
}

static void a_shift_is_not_needed_for_a_window_that_stays_small(void **state)
{
    (void)state;
    check_shift(0, 14, 1);
}

/* ---- sending ---- */

static void small_send_buffer(void)
{
    world.settings.snd_buf = 16384;
    world.settings.snd_buf_max = 200000;
    established_client(plain_peer(WIN));
}

static void fill(void)
{
    struct utcp_slice space[2];
    long room;

    while ((room = utcp_send_space(world.conn, space)) > 0)
        write_bytes((uint32_t)room);
    assert_int_equal(room, -EAGAIN);
}

static void the_send_buffer_begins_with_twice_the_initial_window(void **state)
{
    (void)state;
    small_send_buffer();
    assert_int_equal(option(UTCP_OPT_SND_BUF), 2 * 10 * SEGMENT_COST);
}

static void it_follows_the_congestion_window_of_a_program_that_waits(void **state)
{
    (void)state;
    small_send_buffer();
    world.conn->cc.cwnd = 100 * MSS;
    fill();
    drop_sent();
    advance_by(RTT);
    inject(A, 1, 1001, WIN, 0);
    drop_sent();
    assert_int_equal(option(UTCP_OPT_SND_BUF), 200000);
    assert_int_equal(world.last_ready & UTCP_OUT, UTCP_OUT);
    fill();
    drop_sent();
    assert_int_equal(world.conn->snd_buf.size, 262144);
}

static void it_stays_when_the_congestion_window_is_what_limits(void **state)
{
    (void)state;
    small_send_buffer();
    fill();
    drop_sent();
    advance_by(RTT);
    inject(A, 1, 1001, WIN, 0);
    drop_sent();
    assert_int_equal(option(UTCP_OPT_SND_BUF), 2 * 10 * SEGMENT_COST);
}

/* As Linux: what will be in flight soon is no more than the peer's window. */
static void it_grows_too_when_the_peers_window_is_what_limits(void **state)
{
    (void)state;
    small_send_buffer();
    inject(A, 1, 1, 20000, 0);
    world.conn->cc.cwnd = 30 * MSS;
    fill();
    drop_sent();
    advance_by(RTT);
    inject(A, 1, 1001, 20000, 0);
    drop_sent();
    assert_int_equal(option(UTCP_OPT_SND_BUF), 2 * 31 * SEGMENT_COST);
}

/* As Linux: what is begun while there is room is as long as the device takes in one piece. */
static void one_chunk_fits_into_the_smallest_buffer(void **state)
{
    struct utcp_slice space[2];

    (void)state;
    small_send_buffer();
    utcp_set_option(world.conn, UTCP_OPT_SND_BUF, 2000);
    assert_int_equal(utcp_send_space(world.conn, space), 32000);
    assert_int_equal(world.conn->snd_buf.size, 32768);
}

static void it_stays_at_the_users_size(void **state)
{
    (void)state;
    small_send_buffer();
    assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_SND_BUF, 30000), 0);
    world.conn->cc.cwnd = 100 * MSS;
    fill();
    drop_sent();
    advance_by(RTT);
    inject(A, 1, 1001, WIN, 0);
    drop_sent();
    assert_int_equal(option(UTCP_OPT_SND_BUF), 30000);
}

/* What a device has not taken yet points into the buffer. */
static void a_packet_on_its_way_keeps_its_bytes(void **state)
{
    struct utcp_packet packet;
    struct utcp_slice space[2];

    (void)state;
    small_send_buffer();
    world.held = true;
    write_bytes(500);
    assert_true(utcp_output(world.stack, &packet, world.now));
    assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_SND_BUF, 200000), 0);
    assert_true(utcp_send_space(world.conn, space) > 0);
    memset(space[0].data, 0xff, space[0].len);
    assert_int_equal(world.conn->snd_buf.size, 262144);
    for (tcp_seq i = 0; i < 500; i++)
        assert_int_equal(packet.payload[0].data[i], pattern(1 + i));
    utcp_output_done(world.stack, &packet);
    assert_null(world.conn->snd_retired);
    release();
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(the_window_becomes_twice_what_is_read_in_a_round_trip),
        TEST(the_window_grows_to_its_setting),
        TEST(without_timestamps_a_window_of_data_tells_the_round_trip),
        TEST(a_program_that_reads_slowly_keeps_a_small_window),
        TEST(the_users_size_is_the_last_word),
        TEST(what_lies_beyond_a_hole_moves_with_the_buffer),
        TEST(less_than_was_promised_is_kept_room_for),
        TEST(without_memory_the_window_stays),
        TEST(the_shift_count_is_of_the_largest_buffer),
        TEST(the_shift_count_has_a_limit),
        TEST(a_shift_is_not_needed_for_a_window_that_stays_small),
        TEST(the_send_buffer_begins_with_twice_the_initial_window),
        TEST(it_follows_the_congestion_window_of_a_program_that_waits),
        TEST(it_stays_when_the_congestion_window_is_what_limits),
        TEST(it_grows_too_when_the_peers_window_is_what_limits),
        TEST(one_chunk_fits_into_the_smallest_buffer),
        TEST(it_stays_at_the_users_size),
        TEST(a_packet_on_its_way_keeps_its_bytes),
    };

    select_test(argc, argv);
    return cmocka_run_group_tests_name("buffers", tests, NULL, NULL);
}
