/* SPDX-License-Identifier: MIT */
/*
 * Reassembly of IP fragments: RFC 791 section 3.2, RFC 815, RFC 5722, RFC 3168 section 5.3.
 *
 * The datagram is an echo request: when it is put together, the reply has its payload.
 */
#include "base/checksum.h"
#include "harness.h"
#include "wire/bytes.h"

#define ECHO 8
#define ID 4711
#define MOST 65535

static const struct utcp_addr own = {UTCP_IPV4, {10, 0, 0, 1}};
static const struct utcp_addr peer = {UTCP_IPV4, {10, 0, 0, 2}};

static uint8_t message[MOST + 1000];

/* An echo request of len bytes in message. */
static void make_echo(size_t len)
{
    memset(message, 0, sizeof(message));
    message[0] = ECHO;
    for (size_t i = 8; i < len; i++)
        message[i] = pattern((tcp_seq)i);
    put16(message + 2, checksum_finish(checksum_add(0, message, len)));
}

static const struct utcp_counters *counters(void)
{
    return utcp_counters(world.stack);
}

static void inject_as(struct ipv4 ip)
{
    static uint8_t packet[MOST];

    ip.dst = own;
    ip.ttl = 64;
    if (ip.src.family == UTCP_UNSPEC)
        ip.src = peer;
    if (ip.protocol == 0)
        ip.protocol = IP_ICMP;
    ipv4_write(packet, &ip);
    memcpy(packet + IPV4_HEADER, ip.payload, ip.payload_len);
    inject_bytes(packet, IPV4_HEADER + ip.payload_len);
}

/* The fragment of message from..to. */
static void inject_fragment(uint16_t id, uint32_t from, uint32_t to, bool more)
{
    inject_as((struct ipv4){
        .id = id,
        .offset = from,
        .more_fragments = more,
        .payload = message + from,
        .payload_len = to - from,
    });
}

static void expect_reply(size_t len)
{
    static uint8_t reply[MOST];
    struct ipv4 ip;
    size_t got = 0;

    while (got < len) {
        uint8_t packet[2000];

        assert_true(ipv4_parse(packet, take_packet(packet, sizeof(packet)), &ip));
        memcpy(reply + ip.offset, ip.payload, ip.payload_len);
        got += ip.payload_len;
    }
    assert_int_equal(got, len);
    assert_memory_equal(reply + 8, message + 8, len - 8);
    expect_nothing();
}

static void expect_nothing_kept(void)
{
    assert_int_equal(utcp_next_deadline(world.stack), UTCP_NEVER);
}

/* ---- what comes together ---- */

static void fragments_in_order_make_the_datagram(void **state)
{
    (void)state;
    start_stack();
    make_echo(1000);
    inject_fragment(ID, 0, 400, true);
    inject_fragment(ID, 400, 800, true);
    expect_nothing();
    inject_fragment(ID, 800, 1000, false);
    expect_reply(1000);
    assert_int_equal(counters()->ip_fragments, 3);
    assert_int_equal(counters()->ip_reassembled, 1);
    expect_nothing_kept();
}

static void fragments_in_any_order_make_the_datagram(void **state)
{
    static const uint8_t orders[][4] = {
        {3, 2, 1, 0}, {1, 0, 3, 2}, {2, 0, 1, 3}, {0, 3, 1, 2}, {3, 0, 2, 1}};

    (void)state;
    start_stack();
    make_echo(1600);
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        for (size_t j = 0; j < 4; j++) {
            uint32_t from = orders[i][j] * 400U;

            expect_nothing();
            inject_fragment(ID, from, from + 400, from < 1200);
        }
        expect_reply(1600);
    }
    expect_nothing_kept();
}

static void a_segment_in_fragments_reaches_its_connection(void **state)
{
    struct tcp_segment segment = {
        .src = {peer, PEER_PORT},
        .dst = {own, OWN_PORT},
        .flags = PA,
        .window = WIN,
        .payload_len = 980,
    };
    uint8_t packet[2000];
    size_t header;

    (void)state;
    established_client(plain_peer(WIN));
    segment.seq = world.peer_isn + 1;
    segment.ack = world.iss + 1;
    header = tcp_write(packet + IPV4_HEADER, &segment);
    for (tcp_seq i = 0; i < 980; i++)
        packet[IPV4_HEADER + header + i] = pattern(1 + i);
    memcpy(message, packet + IPV4_HEADER, header + 980);
    utcp_packet_fill_checksum(packet, build_ip(packet, IP_TCP, message, header + 980));
    memcpy(message, packet + IPV4_HEADER, header + 980);
    /* Not even the TCP header is whole in the first. */
    inject_as((struct ipv4){
        .protocol = IP_TCP, .more_fragments = true, .payload = message, .payload_len = 8});
    inject_as((struct ipv4){
        .protocol = IP_TCP, .offset = 8, .payload = message + 8, .payload_len = header + 980 - 8});
    read_bytes(980);
    expect(A, 1, 981, WIN - 980, 0);
}

static void a_bad_checksum_is_seen_although_the_device_vouches_for_its_packets(void **state)
{
    uint8_t packet[1000];

    (void)state;
    established_client(plain_peer(WIN));
    memset(message, 0, 100);
    put16(message, PEER_PORT);
    put16(message + 2, OWN_PORT);
    message[12] = 5 << 4;
    for (uint32_t from = 0; from < 48; from += 24) {
        struct ipv4 ip = {.src = peer,
                          .dst = own,
                          .protocol = IP_TCP,
                          .ttl = 64,
                          .offset = from,
                          .more_fragments = from == 0,
                          .payload_len = 24};

        ipv4_write(packet, &ip);
        memcpy(packet + IPV4_HEADER, message + from, 24);
        utcp_input(world.stack, packet, IPV4_HEADER + 24, UTCP_INPUT_CSUM_OK, world.now);
    }
    assert_int_equal(counters()->ip_reassembled, 1);
    assert_int_equal(counters()->tcp_bad, 1);
}

static void datagrams_of_one_sender_are_kept_apart_by_id_and_protocol(void **state)
{
    (void)state;
    start_stack();
    make_echo(1000);
    inject_fragment(1, 0, 400, true);
    inject_fragment(2, 400, 1000, false);
    inject_as((struct ipv4){
        .id = 1, .protocol = IP_TCP, .offset = 400, .payload = message + 400, .payload_len = 600});
    expect_nothing();
    inject_fragment(1, 400, 1000, false);
    expect_reply(1000);
}

static void datagrams_of_two_senders_are_kept_apart(void **state)
{
    struct utcp_addr other = {UTCP_IPV4, {10, 0, 0, 3}};

    (void)state;
    start_stack();
    make_echo(1000);
    inject_fragment(ID, 0, 400, true);
    inject_as((struct ipv4){
        .id = ID, .src = other, .offset = 400, .payload = message + 400, .payload_len = 600});
    expect_nothing();
    inject_fragment(ID, 400, 1000, false);
    expect_reply(1000);
}

static void a_duplicate_fragment_changes_nothing(void **state)
{
    (void)state;
    start_stack();
    make_echo(1000);
    inject_fragment(ID, 800, 1000, false);
    inject_fragment(ID, 800, 1000, false);
    inject_fragment(ID, 0, 400, true);
    inject_fragment(ID, 0, 400, true);
    inject_fragment(ID, 80, 160, true);
    inject_fragment(ID, 400, 800, true);
    expect_reply(1000);
}

/* The header, options and all, is that of fragment 0; the others have their own. */
static void options_of_the_fragments_are_skipped(void **state)
{
    uint8_t packet[200] = {0};
    struct ipv4 ip = {.src = peer,
                      .dst = own,
                      .protocol = IP_ICMP,
                      .ttl = 64,
                      .id = ID,
                      .more_fragments = true,
                      .payload_len = 24};

    (void)state;
    start_stack();
    make_echo(100);
    ipv4_write(packet, &ip);
    packet[0] = 0x46;
    memset(packet + 20, 1, 4); /* no operation */
    put16(packet + 10, 0);
    put16(packet + 10, checksum_finish(checksum_add(0, packet, 24)));
    memcpy(packet + 24, message, 20); /* of these only 16 are a multiple of 8 */
    inject_bytes(packet, 44);
    inject_fragment(ID, 16, 100, false);
    expect_reply(100);
}

/* ---- what does not ---- */

static void the_largest_datagram_is_whole_and_one_byte_more_is_not(void **state)
{
    (void)state;
    start_stack();
    make_echo(MOST - IPV4_HEADER);
    inject_fragment(ID, 0, 32768, true);
    inject_fragment(ID, 32768, MOST - IPV4_HEADER, false);
    expect_reply(MOST - IPV4_HEADER);
    inject_fragment(ID, 0, 32768, true);
    inject_fragment(ID, 32768, MOST - IPV4_HEADER + 1, false);
    expect_nothing();
    assert_int_equal(counters()->ip_frag_bad, 1);
    expect_nothing_kept();
}

/* The "ping of death": the offset is good, the end is not. */
static void fragments_that_add_up_to_more_than_65535_are_dropped(void **state)
{
    (void)state;
    start_stack();
    make_echo(1000);
    inject_fragment(ID, 0, 1000, true);
    inject_fragment(ID, 65528, 66528, false);
    expect_nothing();
    assert_int_equal(counters()->ip_frag_bad, 1);
    expect_nothing_kept();
}

static void overlapping_fragments_drop_the_datagram(void **state)
{
    static const struct {
        uint32_t from, to;
    } cases[] = {{0, 408}, {392, 800}, {392, 408}, {0, 1000}, {432, 488}, {776, 808}};

    (void)state;
    start_stack();
    make_echo(1600);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        inject_fragment(ID, 400, 440, true);
        inject_fragment(ID, 480, 800, true);
        inject_fragment(ID, cases[i].from, cases[i].to, true);
        assert_int_equal(counters()->ip_frag_bad, i + 1);
        expect_nothing_kept();
    }
    expect_nothing();
}

static void two_ends_drop_the_datagram(void **state)
{
    (void)state;
    start_stack();
    make_echo(1600);
    inject_fragment(ID, 800, 1600, false);
    inject_fragment(ID, 400, 800, false);
    assert_int_equal(counters()->ip_frag_bad, 1);
    inject_fragment(ID, 400, 800, false);
    inject_fragment(ID, 800, 1600, false);
    assert_int_equal(counters()->ip_frag_bad, 2);
    inject_fragment(ID, 400, 800, false);
    inject_fragment(ID, 800, 1600, true);
    assert_int_equal(counters()->ip_frag_bad, 3);
    expect_nothing_kept();
}

static void a_fragment_without_payload_drops_the_datagram(void **state)
{
    (void)state;
    start_stack();
    make_echo(1000);
    inject_fragment(ID, 0, 400, true);
    inject_fragment(ID, 400, 407, true); /* nothing is left of it that is a multiple of 8 */
    assert_int_equal(counters()->ip_frag_bad, 1);
    inject_fragment(ID, 400, 400, false);
    assert_int_equal(counters()->ip_frag_bad, 2);
    expect_nothing_kept();
}

static void what_is_incomplete_goes_after_30_seconds(void **state)
{
    (void)state;
    start_stack();
    make_echo(1000);
    inject_fragment(ID, 0, 400, true);
    advance_by(20 * UTCP_SEC);
    inject_fragment(ID, 400, 800, true); /* does not prolong it */
    assert_int_equal(utcp_next_deadline(world.stack), world.now + 10 * UTCP_SEC);
    advance_by(10 * UTCP_SEC - 1);
    assert_int_equal(counters()->ip_frag_timeouts, 0);
    advance_by(1);
    assert_int_equal(counters()->ip_frag_timeouts, 1);
    assert_int_equal(drop_sent(), 1);
    inject_fragment(ID, 800, 1000, false);
    expect_nothing();
}

/* RFC 792: the quote is fragment 0's header and what follows it. */
static void the_sender_hears_of_the_time_that_was_exceeded(void **state)
{
    uint8_t packet[2000];
    struct ipv4 ip;

    (void)state;
    start_stack();
    make_echo(1000);
    inject_fragment(ID, 400, 800, true);
    inject_fragment(ID, 0, 400, true);
    advance_by(30 * UTCP_SEC);
    assert_true(ipv4_parse(packet, take_packet(packet, sizeof(packet)), &ip));
    assert_int_equal(ip.protocol, IP_ICMP);
    assert_int_equal(ip.payload[0], 11);
    assert_int_equal(ip.payload[1], 1);
    assert_int_equal(checksum_finish(checksum_add(0, ip.payload, ip.payload_len)), 0);
    assert_int_equal(get16(ip.payload + 8 + 4), ID);
    assert_int_equal(get16(ip.payload + 8 + 6), 0x2000);
    assert_memory_equal(ip.payload + 8 + IPV4_HEADER, message, 400);
}

static void without_fragment_0_nobody_hears_of_it(void **state)
{
    (void)state;
    start_stack();
    make_echo(1000);
    inject_fragment(ID, 400, 1000, false);
    advance_by(30 * UTCP_SEC);
    assert_int_equal(counters()->ip_frag_timeouts, 1);
    expect_nothing();
}

static void the_time_is_a_setting(void **state)
{
    (void)state;
    world.settings.frag_time = UTCP_SEC;
    start_stack();
    make_echo(1000);
    inject_fragment(ID, 0, 400, true);
    assert_int_equal(utcp_next_deadline(world.stack), world.now + UTCP_SEC);
}

static void without_memory_all_fragments_are_dropped(void **state)
{
    (void)state;
    world.settings.frag_memory = 0;
    start_stack();
    make_echo(1000);
    inject_fragment(ID, 0, 400, true);
    inject_fragment(ID, 400, 1000, false);
    expect_nothing();
    expect_nothing_kept();
    assert_int_equal(counters()->ip_frag_evicted, 2);
}

static void an_allocation_that_fails_drops_the_datagram(void **state)
{
    (void)state;
    start_stack();
    make_echo(1000);
    for (size_t left = 0; left < 2; left++) {
        world.memory_left = left;
        inject_fragment(ID, 0, 400, true);
        expect_nothing_kept();
    }
    world.memory_left = SIZE_MAX;
}

/* ---- floods ---- */

static void a_flood_of_first_fragments_has_bounded_memory(void **state)
{
    size_t before, most = 0;

    (void)state;
    start_stack();
    make_echo(1400);
    before = world.memory_bytes;
    for (uint32_t id = 0; id < 20000; id++) {
        inject_fragment((uint16_t)id, 0, 1400 & ~7U, true);
        if (world.memory_bytes > most)
            most = world.memory_bytes;
    }
    assert_in_range(most - before, 1, 1 << 20);
    /* What comes whole in the middle of it gets through. */
    inject_fragment(30000, 0, 400, true);
    for (uint32_t id = 0; id < 200; id++)
        inject_fragment((uint16_t)id, 0, 1400 & ~7U, true);
    inject_fragment(30000, 400, 1400, false);
    expect_reply(1400);
    advance_by(30 * UTCP_SEC);
    assert_int_equal(world.memory_bytes, before);
}

static void a_flood_of_far_offsets_stays_within_the_memory(void **state)
{
    size_t before;

    (void)state;
    world.settings.frag_memory = 200000;
    start_stack();
    before = world.memory_bytes;
    for (uint32_t id = 0; id < 1000; id++) {
        inject_fragment((uint16_t)id, 65000, 65008, true);
        assert_in_range(world.memory_bytes - before, 1, 200000);
    }
    assert_true(counters()->ip_frag_evicted >= 997);
}

static void a_datagram_in_too_many_pieces_is_dropped(void **state)
{
    uint32_t pieces = 0;

    (void)state;
    start_stack();
    make_echo(65000);
    while (counters()->ip_frag_evicted == 0 && pieces < 4000) {
        inject_fragment(ID, pieces * 16, pieces * 16 + 8, true);
        pieces++;
    }
    assert_int_equal(pieces, 65);
    expect_nothing_kept();
}

static void a_datagram_that_outgrows_the_memory_alone_is_dropped(void **state)
{
    (void)state;
    world.settings.frag_memory = 5000;
    start_stack();
    make_echo(8000);
    inject_fragment(ID, 0, 1600, true);
    inject_fragment(ID, 1600, 8000, false);
    expect_nothing();
    expect_nothing_kept();
    assert_int_equal(counters()->ip_frag_evicted, 1);
}

/* ---- ECN across fragments ---- */

/* The reply has the request's TOS; returns 0xff when there is none. */
static uint8_t tos_of_reply(uint8_t first, uint8_t second)
{
    uint8_t packet[2000];

    make_echo(1000);
    inject_as((struct ipv4){
        .id = ID, .tos = first, .more_fragments = true, .payload = message, .payload_len = 400});
    inject_as((struct ipv4){
        .id = ID, .tos = second, .offset = 400, .payload = message + 400, .payload_len = 600});
    return take_packet(packet, sizeof(packet)) > 0 ? packet[1] : 0xff;
}

static void a_mark_on_one_fragment_marks_the_datagram(void **state)
{
    enum { NOT_ECT, ECT_1, ECT_0, CE, NONE = 0xff };

    (void)state;
    start_stack();
    assert_int_equal(tos_of_reply(0x20 | ECT_0, ECT_0), 0x20 | ECT_0);
    assert_int_equal(tos_of_reply(0x20 | ECT_0, CE), 0x20 | CE);
    assert_int_equal(tos_of_reply(CE, ECT_1), CE);
    assert_int_equal(tos_of_reply(ECT_1, ECT_0), ECT_1);
    assert_int_equal(tos_of_reply(NOT_ECT, NOT_ECT), NOT_ECT);
    assert_int_equal(tos_of_reply(NOT_ECT, CE), NONE);
    assert_int_equal(tos_of_reply(ECT_0, NOT_ECT), NONE);
    expect_nothing_kept();
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(fragments_in_order_make_the_datagram),
        TEST(fragments_in_any_order_make_the_datagram),
        TEST(a_segment_in_fragments_reaches_its_connection),
        TEST(a_bad_checksum_is_seen_although_the_device_vouches_for_its_packets),
        TEST(datagrams_of_one_sender_are_kept_apart_by_id_and_protocol),
        TEST(datagrams_of_two_senders_are_kept_apart),
        TEST(a_duplicate_fragment_changes_nothing),
        TEST(options_of_the_fragments_are_skipped),
        TEST(the_largest_datagram_is_whole_and_one_byte_more_is_not),
        TEST(fragments_that_add_up_to_more_than_65535_are_dropped),
        TEST(overlapping_fragments_drop_the_datagram),
        TEST(two_ends_drop_the_datagram),
        TEST(a_fragment_without_payload_drops_the_datagram),
        TEST(what_is_incomplete_goes_after_30_seconds),
        TEST(the_sender_hears_of_the_time_that_was_exceeded),
        TEST(without_fragment_0_nobody_hears_of_it),
        TEST(the_time_is_a_setting),
        TEST(without_memory_all_fragments_are_dropped),
        TEST(an_allocation_that_fails_drops_the_datagram),
        TEST(a_flood_of_first_fragments_has_bounded_memory),
        TEST(a_flood_of_far_offsets_stays_within_the_memory),
        TEST(a_datagram_in_too_many_pieces_is_dropped),
        TEST(a_datagram_that_outgrows_the_memory_alone_is_dropped),
        TEST(a_mark_on_one_fragment_marks_the_datagram),
    };

    select_test(argc, argv);
    return cmocka_run_group_tests_name("fragments", tests, NULL, NULL);
}
