/* SPDX-License-Identifier: MIT */
/* How idle connections give their memory back: stack/tcp/rings.c. */
#include "harness.h"
#include "stack.h"

enum { OTHERS = 80 };

/* Others need buffers, too. */
static void others_begin(void)
{
    for (int i = 0; i < OTHERS; i++) {
        struct utcp_conn *other = utcp_open(world.stack, &world);

        assert_non_null(other);
        assert_true(buffers_allocate_receive(other));
    }
}

static void exchange(void)
{
    tcp_seq sent = world.written, received = world.read;

    inject(PA, received, sent, WIN, 300);
    read_bytes(300);
    write_bytes(500);
    inject(A, received + 300, sent + 500, WIN, 0);
    drop_sent();
}

static void who_is_idle_gives_all_memory_back(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    exchange();
    assert_non_null(world.conn->snd_buf.data);
    assert_non_null(world.conn->rcv_buf.data);
    others_begin();
    assert_null(world.conn->snd_buf.data);
    assert_null(world.conn->rcv_buf.data);
    assert_null(world.conn->chunks.items);
    assert_null(world.conn->flight.log.items);
}

static void and_goes_on_as_if_nothing_had_been(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    exchange();
    others_begin();
    exchange();
    others_begin();
    exchange();
}

static void who_is_alone_keeps_its_memory(void **state)
{
    uint8_t *memory;

    (void)state;
    established_client(plain_peer(WIN));
    exchange();
    memory = world.conn->snd_buf.data;
    exchange();
    assert_ptr_equal(world.conn->snd_buf.data, memory);
}

static void what_is_not_read_yet_stays(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    inject(PA, 1, 1, WIN, 300);
    others_begin();
    read_bytes(300);
}

static void what_lies_beyond_a_hole_stays(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    inject(PA, 301, 1, WIN, 300);
    others_begin();
    inject(PA, 1, 1, WIN, 300);
    read_bytes(600);
    drop_sent();
}

static void what_is_not_acknowledged_yet_stays(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    write_bytes(500);
    expect(PA, 1, 1, WIN, 500);
    others_begin();
    advance_by(RTO);
    expect(PA, 1, 1, WIN, 500);
    drop_sent();
}

static void where_the_user_may_be_writing_stays(void **state)
{
    struct utcp_slice space[2];

    (void)state;
    established_client(plain_peer(WIN));
    assert_true(utcp_send_space(world.conn, space) >= 1);
    others_begin();
    assert_ptr_equal(world.conn->snd_buf.data, space[0].data);
    space[0].data[0] = pattern(world.written++);
    utcp_send_commit(world.conn, 1, 0, world.now);
    release();
    expect(PA, 1, 1, WIN, 1);
}

static void the_next_one_gets_what_was_in_use_last(void **state)
{
    uint8_t *memory;

    (void)state;
    start_stack();
    memory = rings_alloc(world.stack, 65536);
    rings_free(world.stack, memory, 65536);
    assert_ptr_equal(rings_alloc(world.stack, 65536), memory);
    rings_free(world.stack, memory, 65536);
}

static void no_more_than_some_is_kept(void **state)
{
    uint8_t *memory[SPARE_RINGS_MAX + 2];
    size_t before;

    (void)state;
    start_stack();
    before = world.memory_bytes;
    for (int i = 0; i < SPARE_RINGS_MAX + 2; i++)
        memory[i] = rings_alloc(world.stack, 65536);
    for (int i = 0; i < SPARE_RINGS_MAX + 2; i++)
        rings_free(world.stack, memory[i], 65536);
    assert_int_equal(world.memory_bytes, before + SPARE_RINGS_MAX * 65536);
    assert_int_equal(utcp_spare_bytes(world.stack), SPARE_RINGS_MAX * 65536);
    utcp_trim(world.stack);
    assert_int_equal(world.memory_bytes, before);
}

static void the_oldest_makes_room_for_a_large_one(void **state)
{
    uint8_t *small, *large;
    size_t before;

    (void)state;
    start_stack();
    before = world.memory_bytes;
    small = rings_alloc(world.stack, 65536);
    large = rings_alloc(world.stack, 32 << 20);
    rings_free(world.stack, small, 65536);
    rings_free(world.stack, large, 32 << 20);
    assert_int_equal(world.memory_bytes, before + (32 << 20));
    large = rings_alloc(world.stack, 64 << 20);
    rings_free(world.stack, large, 64 << 20);
    assert_int_equal(world.memory_bytes, before + (32 << 20));
    utcp_trim(world.stack);
    assert_int_equal(world.memory_bytes, before);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(who_is_idle_gives_all_memory_back),   TEST(and_goes_on_as_if_nothing_had_been),
        TEST(who_is_alone_keeps_its_memory),       TEST(what_is_not_read_yet_stays),
        TEST(what_lies_beyond_a_hole_stays),       TEST(what_is_not_acknowledged_yet_stays),
        TEST(where_the_user_may_be_writing_stays), TEST(the_next_one_gets_what_was_in_use_last),
        TEST(no_more_than_some_is_kept),           TEST(the_oldest_makes_room_for_a_large_one),
    };

    select_test(argc, argv);
    return cmocka_run_group_tests_name("rings", tests, NULL, NULL);
}
