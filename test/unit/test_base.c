/* SPDX-License-Identifier: MIT */
/* base/: ring, ranges, heap, checksum, SipHash, sequence numbers. */
#include <stdlib.h>

#include "base/checksum.h"
#include "base/heap.h"
#include "base/ranges.h"
#include "base/ring.h"
#include "base/seq.h"
#include "base/siphash.h"
#include "harness.h"

/* ---- sequence numbers ---- */

static void sequence_numbers_compare_across_zero(void **state)
{
    (void)state;
    assert_true(seq_lt(0xffffffff, 0));
    assert_true(seq_gt(0, 0xffffffff));
    assert_true(seq_le(7, 7));
    assert_true(seq_ge(7, 7));
    assert_false(seq_lt(7, 7));
    assert_true(seq_lt(0x80000000, 0xffffffff));
    assert_int_equal(seq_max(0xfffffff0, 16), 16);
    assert_int_equal(seq_min(0xfffffff0, 16), 0xfffffff0);
    assert_int_equal(seq_diff(16, 0xfffffff0), 32);
}

/* ---- ring ---- */

static void a_ring_has_a_power_of_two(void **state)
{
    (void)state;
    assert_int_equal(ring_size_for(0), 256);
    assert_int_equal(ring_size_for(256), 256);
    assert_int_equal(ring_size_for(257), 512);
    assert_int_equal(ring_size_for(1 << 20), 1 << 20);
}

static void a_ring_places_what_lies_in_its_own_free_space(void **state)
{
    uint8_t memory[16] = "ab..0123456789..";
    struct utcp_slice slices[2];
    struct ring ring;

    (void)state;
    ring_init(&ring, memory, sizeof(memory));
    ring_append(&ring, 2);
    /* Where it is; one place further back; across the end, which is where it comes from. */
    ring_place(&ring, 4, memory + 4, 10);
    assert_memory_equal(memory, "ab..0123456789..", 16);
    ring_place(&ring, 3, memory + 4, 10);
    assert_memory_equal(memory + 3, "0123456789", 10);
    ring_drop(&ring, 2);
    ring_append(&ring, 1);
    ring.head = 2;
    ring_place(&ring, 8, memory + 3, 8);
    ring_slices(&ring, 8, 8, slices);
    assert_memory_equal(slices[0].data, "012345", 6);
    assert_memory_equal(slices[1].data, "67", 2);
}

static void a_ring_gives_back_what_it_took_across_its_end(void **state)
{
    uint8_t memory[16];
    struct utcp_slice slices[2];
    struct ring ring;

    (void)state;
    ring_init(&ring, memory, sizeof(memory));
    assert_int_equal(ring_free(&ring), 16);
    ring_append(&ring, 12);
    ring_drop(&ring, 10);
    ring_place(&ring, 2, (const uint8_t *)"abcdefgh", 8);
    ring_append(&ring, 8);
    ring_drop(&ring, 2);
    assert_int_equal(ring.len, 8);
    ring_slices(&ring, 0, 8, slices);
    assert_int_equal(slices[0].len, 4);
    assert_memory_equal(slices[0].data, "abcd", 4);
    assert_int_equal(slices[1].len, 4);
    assert_memory_equal(slices[1].data, "efgh", 4);
    assert_ptr_equal(slices[1].data, memory);
}

static void bytes_placed_ahead_wait_for_what_is_before_them(void **state)
{
    uint8_t memory[16];
    struct utcp_slice slices[2];
    struct ring ring;

    (void)state;
    ring_init(&ring, memory, sizeof(memory));
    ring_place(&ring, 4, (const uint8_t *)"late", 4);
    assert_int_equal(ring.len, 0);
    ring_place(&ring, 0, (const uint8_t *)"soon", 4);
    ring_append(&ring, 8);
    ring_slices(&ring, 0, 8, slices);
    assert_memory_equal(slices[0].data, "soonlate", 8);
    assert_int_equal(slices[1].len, 0);
}

static void a_full_ring_has_its_bytes_in_one_or_two_slices(void **state)
{
    uint8_t memory[16];
    struct utcp_slice slices[2];
    struct ring ring;

    (void)state;
    ring_init(&ring, memory, sizeof(memory));
    for (size_t head = 0; head < 40; head++) {
        ring_append(&ring, 16);
        assert_int_equal(ring_free(&ring), 0);
        ring_slices(&ring, 0, 16, slices);
        assert_int_equal(slices[0].len, 16 - head % 16);
        assert_int_equal(slices[0].len + slices[1].len, 16);
        ring_drop(&ring, 16);
        ring_append(&ring, 1);
        ring_drop(&ring, 1);
    }
}

/* ---- ranges ---- */

static void expect_ranges(const struct ranges *set, const struct range *expected, size_t count)
{
    assert_int_equal(set->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(set->items[i].from, expected[i].from);
        assert_int_equal(set->items[i].to, expected[i].to);
    }
}

static void ranges_stay_sorted_and_apart(void **state)
{
    struct range items[4];
    struct ranges set = {.items = items, .capacity = 4};

    (void)state;
    assert_true(ranges_add(&set, 30, 40));
    assert_true(ranges_add(&set, 10, 20));
    assert_true(ranges_add(&set, 50, 60));
    expect_ranges(&set, (struct range[]){{10, 20}, {30, 40}, {50, 60}}, 3);
    assert_int_equal(ranges_total(&set), 30);
}

static void ranges_that_touch_or_overlap_become_one(void **state)
{
    struct range items[4];
    struct ranges set = {.items = items, .capacity = 4};

    (void)state;
    ranges_add(&set, 10, 20);
    ranges_add(&set, 20, 30); /* touches the end */
    expect_ranges(&set, (struct range[]){{10, 30}}, 1);
    ranges_add(&set, 5, 10); /* touches the beginning */
    expect_ranges(&set, (struct range[]){{5, 30}}, 1);
    ranges_add(&set, 12, 18); /* lies within */
    expect_ranges(&set, (struct range[]){{5, 30}}, 1);
    ranges_add(&set, 40, 50);
    ranges_add(&set, 60, 70);
    ranges_add(&set, 25, 65); /* joins all */
    expect_ranges(&set, (struct range[]){{5, 70}}, 1);
    ranges_add(&set, 0, 100); /* swallows it */
    expect_ranges(&set, (struct range[]){{0, 100}}, 1);
}

static void an_empty_range_is_nothing(void **state)
{
    struct ranges set = {0};

    (void)state;
    assert_true(ranges_add(&set, 10, 10));
    assert_int_equal(set.count, 0);
    assert_int_equal(ranges_end_of(&set, 5), 5);
    ranges_drop_before(&set, 5);
    assert_int_equal(ranges_total(&set), 0);
}

static void ranges_wrap_around(void **state)
{
    struct range items[4];
    struct ranges set = {.items = items, .capacity = 4};

    (void)state;
    ranges_add(&set, 0x10, 0x20);
    ranges_add(&set, 0xffffffe0, 0xfffffff0);
    expect_ranges(&set, (struct range[]){{0xffffffe0, 0xfffffff0}, {0x10, 0x20}}, 2);
    assert_int_equal(ranges_end_of(&set, 0xffffffe8), 0xfffffff0);
    assert_int_equal(ranges_end_of(&set, 0xfffffff4), 0xfffffff4);
    ranges_add(&set, 0xfffffff0, 0x10);
    expect_ranges(&set, (struct range[]){{0xffffffe0, 0x20}}, 1);
    assert_int_equal(ranges_total(&set), 0x40);
    ranges_drop_before(&set, 8);
    expect_ranges(&set, (struct range[]){{8, 0x20}}, 1);
}

static void a_full_set_takes_no_new_range_but_joins(void **state)
{
    struct range items[2];
    struct ranges set = {.items = items, .capacity = 2};

    (void)state;
    assert_true(ranges_add(&set, 10, 20));
    assert_true(ranges_add(&set, 30, 40));
    assert_false(ranges_add(&set, 50, 60));
    expect_ranges(&set, (struct range[]){{10, 20}, {30, 40}}, 2);
    assert_true(ranges_add(&set, 40, 60));
    assert_true(ranges_add(&set, 20, 30));
    expect_ranges(&set, (struct range[]){{10, 60}}, 1);
}

static void dropping_cuts_the_range_it_ends_in(void **state)
{
    struct range items[3];
    struct ranges set = {.items = items, .capacity = 3};

    (void)state;
    ranges_add(&set, 10, 20);
    ranges_add(&set, 30, 40);
    ranges_add(&set, 50, 60);
    ranges_drop_before(&set, 35);
    expect_ranges(&set, (struct range[]){{35, 40}, {50, 60}}, 2);
    ranges_drop_before(&set, 40);
    expect_ranges(&set, (struct range[]){{50, 60}}, 1);
    ranges_drop_before(&set, 100);
    assert_int_equal(set.count, 0);
}

/* Beside a set of bits, with numbers across zero. */
static void random_ranges_equal_a_bitmap(void **state)
{
    enum { SPAN = 200, ROUNDS = 2000 };
    struct range items[SPAN];
    struct ranges set = {.items = items, .capacity = SPAN};
    bool bits[SPAN] = {false};
    tcp_seq base = (tcp_seq)-100;

    (void)state;
    srand(1);
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned from = (unsigned)rand() % SPAN, len = (unsigned)rand() % 5;
        uint32_t total = 0;

        if (round % 100 == 99)
            ranges_drop_before(&set, base + from);
        for (unsigned i = 0; round % 100 == 99 && i < from; i++)
            bits[i] = false;
        if (from + len <= SPAN)
            assert_true(ranges_add(&set, base + from, base + from + len));
        for (unsigned i = from; from + len <= SPAN && i < from + len; i++)
            bits[i] = true;
        for (unsigned i = 0; i < SPAN; i++) {
            total += bits[i];
            assert_int_equal(ranges_end_of(&set, base + i) != base + i, bits[i]);
        }
        assert_int_equal(ranges_total(&set), total);
    }
}

/* ---- heap ---- */

static void the_earliest_deadline_is_on_top(void **state)
{
    enum { NODES = 100, ROUNDS = 5000 };
    struct heap_node nodes[NODES], *memory[NODES];
    struct heap heap = {.nodes = memory};

    (void)state;
    srand(2);
    for (size_t i = 0; i < NODES; i++)
        nodes[i] = (struct heap_node){.deadline = UTCP_NEVER, .index = HEAP_NONE};
    assert_null(heap_top(&heap));
    for (unsigned round = 0; round < ROUNDS; round++) {
        utcp_time least = UTCP_NEVER;
        struct heap_node *node = &nodes[rand() % NODES];

        heap_set(&heap, node, rand() % 3 == 0 ? UTCP_NEVER : (utcp_time)rand() % 1000);
        for (size_t i = 0; i < NODES; i++)
            least = nodes[i].deadline < least ? nodes[i].deadline : least;
        assert_int_equal(heap_top(&heap) != NULL ? heap_top(&heap)->deadline : UTCP_NEVER, least);
    }
    for (size_t i = 0; i < NODES; i++) {
        heap_set(&heap, &nodes[i], UTCP_NEVER);
        assert_int_equal(nodes[i].index, HEAP_NONE);
    }
    assert_int_equal(heap.count, 0);
}

/* ---- checksum ---- */

static uint16_t naive_checksum(const uint8_t *bytes, size_t len)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < len; i++)
        sum += (i & 1) != 0 ? bytes[i] : (uint32_t)bytes[i] << 8;
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

/* RFC 1071 section 3. */
static void the_checksum_of_the_rfcs_example(void **state)
{
    static const uint8_t bytes[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

    (void)state;
    assert_int_equal(checksum_fold(checksum_add(0, bytes, sizeof(bytes))), 0xddf2);
    assert_int_equal(checksum_finish(checksum_add(0, bytes, sizeof(bytes))), 0x220d);
}

static void checksums_of_every_length_and_alignment(void **state)
{
    uint8_t bytes[300];

    (void)state;
    srand(3);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)rand();
    for (size_t at = 0; at < 9; at++) {
        for (size_t len = 0; at + len <= sizeof(bytes); len++)
            assert_int_equal(checksum_fold(checksum_add(0, bytes + at, len)),
                             naive_checksum(bytes + at, len));
    }
}

static void a_checksum_may_be_added_in_pieces(void **state)
{
    uint8_t bytes[101];
    uint64_t sum;

    (void)state;
    memset(bytes, 0xff, sizeof(bytes));
    for (size_t cut = 0; cut <= sizeof(bytes); cut += 2) {
        sum = checksum_add(checksum_add(0, bytes, cut), bytes + cut, sizeof(bytes) - cut);
        assert_int_equal(checksum_fold(sum), naive_checksum(bytes, sizeof(bytes)));
    }
}

static void a_checksum_of_the_largest_packet_does_not_overflow(void **state)
{
    static uint8_t bytes[65535];

    (void)state;
    memset(bytes, 0xff, sizeof(bytes));
    assert_int_equal(checksum_fold(checksum_add(0, bytes, 65534)), 0xffff);
    assert_int_equal(checksum_finish(checksum_add(0, bytes, 65534)), 0);
    assert_int_equal(checksum_fold(checksum_add(0, bytes, 65535)), naive_checksum(bytes, 65535));
}

/* ---- SipHash ---- */

/* The vectors of the paper's reference implementation (vectors_sip64): key 00 01 .. 0f, message
 * 00 01 .. of each length from 0 on. */
static void siphash_gives_the_published_values(void **state)
{
    static const uint64_t expected[] = {
        0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
        0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
        0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
        0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5,
    };
    const struct siphash_key key = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
    uint8_t message[16];

    (void)state;
    for (uint8_t i = 0; i < 16; i++) {
        message[i] = i;
        assert_int_equal(siphash(&key, message, i), expected[i]);
    }
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequence_numbers_compare_across_zero),
        cmocka_unit_test(a_ring_has_a_power_of_two),
        cmocka_unit_test(a_ring_places_what_lies_in_its_own_free_space),
        cmocka_unit_test(a_ring_gives_back_what_it_took_across_its_end),
        cmocka_unit_test(bytes_placed_ahead_wait_for_what_is_before_them),
        cmocka_unit_test(a_full_ring_has_its_bytes_in_one_or_two_slices),
        cmocka_unit_test(ranges_stay_sorted_and_apart),
        cmocka_unit_test(ranges_that_touch_or_overlap_become_one),
        cmocka_unit_test(an_empty_range_is_nothing),
        cmocka_unit_test(ranges_wrap_around),
        cmocka_unit_test(a_full_set_takes_no_new_range_but_joins),
        cmocka_unit_test(dropping_cuts_the_range_it_ends_in),
        cmocka_unit_test(random_ranges_equal_a_bitmap),
        cmocka_unit_test(the_earliest_deadline_is_on_top),
        cmocka_unit_test(the_checksum_of_the_rfcs_example),
        cmocka_unit_test(checksums_of_every_length_and_alignment),
        cmocka_unit_test(a_checksum_may_be_added_in_pieces),
        cmocka_unit_test(a_checksum_of_the_largest_packet_does_not_overflow),
        cmocka_unit_test(siphash_gives_the_published_values),
    };

    select_test(argc, argv);
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
