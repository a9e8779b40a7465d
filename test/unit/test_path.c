/* SPDX-License-Identifier: MIT */
/* The path's MTU: RFC 1191, with the checks of RFC 5927 section 7 and Linux's bounds. */
#include <errno.h>

#include "base/checksum.h"
#include "harness.h"
#include "stack.h"
#include "wire/bytes.h"

#define ICMP_HEADER 8

/* A peer whose MSS is no obstacle. */
static struct peer wide_peer(void)
{
    return (struct peer){.window = WIN, .mss = 1460, .wscale = NO_WSCALE};
}

/* A router dropped a packet of ours, so long, that had this relative number: its next hop takes
 * mtu_bytes. */
static void inject_too_big(tcp_seq seq, uint16_t quoted_len, uint16_t mtu_bytes)
{
    uint8_t message[ICMP_HEADER + IPV4_HEADER + 8] = {ICMP_UNREACHABLE, ICMP_FRAGMENTATION_NEEDED};
    uint8_t *quote = message + ICMP_HEADER;
    uint8_t packet[100];
    struct ipv4 quoted = {
        .src = {UTCP_IPV4, {10, 0, 0, 1}},
        .dst = {UTCP_IPV4, {10, 0, 0, 2}},
        .protocol = IP_TCP,
        .ttl = 64,
        .dont_fragment = true,
        .payload_len = quoted_len - IPV4_HEADER,
    };

    put16(message + 6, mtu_bytes);
    ipv4_write(quote, &quoted);
    put16(quote + IPV4_HEADER, OWN_PORT);
    put16(quote + IPV4_HEADER + 2, world.peer_port);
    put32(quote + IPV4_HEADER + 4, world.iss + seq);
    put16(message + 2, checksum_finish(checksum_add(0, message, sizeof(message))));
    inject_bytes(packet, build_ip(packet, IP_ICMP, message, sizeof(message)));
}

static uint32_t path_mtu(void)
{
    struct utcp_info info;

    utcp_info(world.conn, world.now, &info);
    return info.pmtu;
}

static bool sent_with_dont_fragment(void)
{
    uint8_t packet[1500];
    struct ipv4 ip;

    assert_true(ipv4_parse(packet, take_packet(packet, sizeof(packet)), &ip));
    return ip.dont_fragment;
}

/* ---- what ICMP says ---- */

static void segments_too_big_for_the_path_go_again_in_its_size(void **state)
{
    (void)state;
    established_client(wide_peer());
    write_bytes(2920);
    expect(A, 1, 1, WIN, 1460);
    expect(PA, 1461, 1, WIN, 1460);
    inject_too_big(1, 1500, 1400);
    expect(A, 1, 1, WIN, 1360);
    expect(A, 1361, 1, WIN, 1360);
    expect(PA, 2721, 1, WIN, 200);
    expect_nothing();
    assert_int_equal(path_mtu(), 1400);
    assert_int_equal(utcp_counters(world.stack)->path_mtu_reduced, 1);
    inject(A, 1, 2921, WIN, 0);
    write_bytes(1460);
    expect(A, 2921, 1, WIN, 1360);
}

/* Linux counts its window in segments; the reduction is none for congestion. */
static void the_window_stays_as_many_segments(void **state)
{
    struct utcp_info info;

    (void)state;
    established_client(wide_peer());
    write_bytes(1460);
    inject_too_big(1, 1500, 1400);
    utcp_info(world.conn, world.now, &info);
    assert_int_equal(info.cwnd, 10 * 1360);
    assert_int_equal(utcp_counters(world.stack)->tcp_timeouts, 0);
    assert_int_equal(utcp_counters(world.stack)->tcp_fast_retransmits, 0);
}

static void a_path_may_become_narrower_twice(void **state)
{
    (void)state;
    established_client(wide_peer());
    write_bytes(1460);
    inject_too_big(1, 1500, 1400);
    drop_sent();
    inject_too_big(1, 1400, 1000);
    expect(A, 1, 1, WIN, 960);
    expect(A, 961, 1, WIN, 400);
    expect_nothing(); /* what followed it was small enough */
}

/* RFC 5927 section 7.2, and section 4.1: the number must be in flight. */
static void a_message_that_cannot_be_true_is_ignored(void **state)
{
    static const struct {
        tcp_seq seq;
        uint16_t quoted_len, mtu_bytes;
    } cases[] = {{0, 1500, 1400}, {1461, 1500, 1400}, {1, 1400, 1400}, {1, 1000, 1400},
                 {1, 1500, 1500}, {1, 65000, 1501},   {1, 65000, 9000}};

    (void)state;
    established_client(wide_peer());
    write_bytes(1460);
    drop_sent();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        inject_too_big(cases[i].seq, cases[i].quoted_len, cases[i].mtu_bytes);
    world.peer_port++;
    inject_too_big(1, 1500, 1400);
    expect_nothing();
    assert_int_equal(path_mtu(), 1500);
    assert_int_equal(utcp_counters(world.stack)->path_mtu_reduced, 0);
}

static void segments_that_fit_the_narrower_path_do_not_go_again(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    write_bytes(1000);
    drop_sent();
    inject_too_big(1, 1500, 1400);
    expect_nothing();
    assert_int_equal(path_mtu(), 1400);
}

/* As Linux: it is at least min_pmtu, and routers may do what they want to such packets. */
static void an_mtu_below_the_least_is_the_least_and_allows_fragments(void **state)
{
    static const uint16_t claims[] = {551, 68, 0};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        established_client(wide_peer());
        write_bytes(1460);
        assert_true(sent_with_dont_fragment());
        inject_too_big(1, 1500, claims[i]);
        assert_int_equal(path_mtu(), 552);
        assert_false(sent_with_dont_fragment());
        drop_sent();
        utcp_abort(world.conn, world.now);
        utcp_destroy(world.stack);
        world.stack = NULL;
        world.written = 1;
    }
}

static void the_least_is_a_setting(void **state)
{
    (void)state;
    world.settings.min_pmtu = 100;
    established_client(wide_peer());
    write_bytes(1460);
    drop_sent();
    inject_too_big(1, 1500, 296);
    assert_int_equal(path_mtu(), 296);
    assert_true(sent_with_dont_fragment());
    drop_sent();
}

/* ---- what the stack remembers ---- */

static void the_next_connection_knows_the_path(void **state)
{
    struct peer own = {.window = WIN, .mss = 1360, .wscale = 7};

    (void)state;
    established_client(wide_peer());
    write_bytes(1460);
    inject_too_big(1, 1500, 1400);
    utcp_abort(world.conn, world.now);
    release();
    drop_sent();
    world.written = 1;
    start_connecting();
    expect_syn(S, 0, 0, own);
    inject_syn(SA, 0, 1, wide_peer());
    expect(A, 1, 1, WIN, 0);
    write_bytes(1460);
    expect(A, 1, 1, WIN, 1360);
}

static void after_ten_minutes_the_device_counts_again(void **state)
{
    (void)state;
    established_client(wide_peer());
    write_bytes(1460);
    inject_too_big(1, 1500, 1400);
    inject(A, 1, 1461, WIN, 0);
    drop_sent();
    advance_by(600 * UTCP_SEC - 1);
    write_bytes(1460);
    expect(A, 1461, 1, WIN, 1360);
    inject(A, 1, 2921, WIN, 0);
    drop_sent();
    advance_by(1);
    write_bytes(1460);
    expect(PA, 2921, 1, WIN, 1460);
    assert_int_equal(path_mtu(), 1500);
}

static void hearing_it_again_prolongs_it(void **state)
{
    (void)state;
    established_client(wide_peer());
    write_bytes(1460);
    inject_too_big(1, 1500, 1400);
    drop_sent();
    inject(A, 1, 1361, WIN, 0);
    advance_by(100 * UTCP_MSEC);
    inject_too_big(1361, 1500, 1400);
    expect_nothing(); /* no news */
    inject(A, 1, 1461, WIN, 0);
    advance_by(600 * UTCP_SEC - 50 * UTCP_MSEC);
    write_bytes(1460);
    expect(A, 1461, 1, WIN, 1360);
}

static void the_memory_of_paths_is_bounded_and_forgets_the_oldest(void **state)
{
    struct utcp_addr dst = {UTCP_IPV4, {192, 0, 2, 1}};

    (void)state;
    start_stack();
    for (unsigned i = 0; i < 10 * PATHS_MOST; i++) {
        dst.bytes[2] = (uint8_t)(i >> 8);
        dst.bytes[3] = (uint8_t)i;
        world.stack->now++;
        assert_true(path_learn(world.stack, &dst, 1400));
        assert_true(world.stack->paths.count <= PATHS_MOST);
        assert_int_equal(path_find(world.stack, &dst).mtu_bytes, 1400);
    }
    dst.bytes[2]--;
    assert_int_equal(path_find(world.stack, &dst).mtu_bytes, 1500);
}

/* ---- what the user wants ---- */

static void a_user_who_wants_no_discovery_gets_none(void **state)
{
    static const struct {
        enum utcp_mtu_discover wish;
        bool dont_fragment;
    } cases[] = {{UTCP_PMTU_DONT, false},
                 {UTCP_PMTU_PROBE, true},
                 {UTCP_PMTU_INTERFACE, false},
                 {UTCP_PMTU_OMIT, false}};

    (void)state;
    established_client(wide_peer());
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_MTU_DISCOVER, cases[i].wish), 0);
        assert_int_equal(utcp_get_option(world.conn, UTCP_OPT_MTU_DISCOVER), cases[i].wish);
        write_bytes(1460);
        assert_int_equal(sent_with_dont_fragment(), cases[i].dont_fragment);
        inject_too_big(1460 * (tcp_seq)i + 1, 1500, 1400);
        expect_nothing();
        inject(A, 1, 1460 * (tcp_seq)i + 1461, WIN, 0);
    }
    assert_int_equal(path_mtu(), 1500);
    assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_MTU_DISCOVER, 6), -EINVAL);
}

static void a_user_may_insist_that_nothing_is_fragmented(void **state)
{
    (void)state;
    established_client(wide_peer());
    assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_MTU_DISCOVER, UTCP_PMTU_DO), 0);
    write_bytes(1460);
    drop_sent();
    inject_too_big(1, 1500, 68);
    assert_int_equal(path_mtu(), 552);
    assert_true(sent_with_dont_fragment());
    drop_sent();
}

/* ---- the device ---- */

static void connections_adapt_to_another_mtu_of_the_device(void **state)
{
    (void)state;
    established_client(wide_peer());
    assert_int_equal(utcp_set_mtu(world.stack, 1000, world.now), 0);
    world.mtu_bytes = 1000;
    write_bytes(1460);
    expect(A, 1, 1, WIN, 960);
    inject(A, 1, 961, WIN, 0);
    expect(PA, 961, 1, WIN, 500);
    inject(A, 1, 1461, WIN, 0);
    assert_int_equal(utcp_set_mtu(world.stack, 9000, world.now), 0);
    world.mtu_bytes = 9000;
    write_bytes(1461);
    expect(A, 1461, 1, WIN, 1460); /* the peer's MSS */
    assert_int_equal(path_mtu(), 9000);
    assert_int_equal(utcp_set_mtu(world.stack, 67, world.now), -EINVAL);
    assert_int_equal(utcp_set_mtu(world.stack, 65536, world.now), -EINVAL);
}

/* RFC 6864 section 4.3: "Sources emitting non-atomic datagrams MUST NOT repeat IPv4 ID values". */
static void each_segment_of_a_big_packet_has_its_own_identification(void **state)
{
    uint16_t before = 0;
    uint8_t packet[2000];

    (void)state;
    established_client(wide_peer());
    assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_MTU_DISCOVER, UTCP_PMTU_DONT), 0);
    write_bytes(5 * 1460);
    write_bytes(5 * 1460);
    for (int i = 0; i < 10; i++) {
        assert_true(take_packet(packet, sizeof(packet)) > 1400);
        if (i > 0)
            assert_int_equal(get16(packet + 4), (uint16_t)(before + 1));
        before = get16(packet + 4);
    }
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(segments_too_big_for_the_path_go_again_in_its_size),
        TEST(the_window_stays_as_many_segments),
        TEST(a_path_may_become_narrower_twice),
        TEST(a_message_that_cannot_be_true_is_ignored),
        TEST(segments_that_fit_the_narrower_path_do_not_go_again),
        TEST(an_mtu_below_the_least_is_the_least_and_allows_fragments),
        TEST(the_least_is_a_setting),
        TEST(the_next_connection_knows_the_path),
        TEST(after_ten_minutes_the_device_counts_again),
        TEST(hearing_it_again_prolongs_it),
        TEST(the_memory_of_paths_is_bounded_and_forgets_the_oldest),
        TEST(a_user_who_wants_no_discovery_gets_none),
        TEST(a_user_may_insist_that_nothing_is_fragmented),
        TEST(connections_adapt_to_another_mtu_of_the_device),
        TEST(each_segment_of_a_big_packet_has_its_own_identification),
    };

    select_test(argc, argv);
    return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
