/* SPDX-License-Identifier: MIT */
/* ICMP (RFC 792): echoes, and errors about our segments (RFC 1122 section 4.2.3.9, RFC 5927). */
#include <errno.h>

#include "base/checksum.h"
#include "harness.h"
#include "wire/bytes.h"

#define ICMP_HEADER 8
#define UNREACHABLE 3
#define ECHO 8
#define TIME_EXCEEDED 11

static void inject_icmp(uint8_t *message, size_t len)
{
    uint8_t packet[1500];

    put16(message + 2, 0);
    put16(message + 2, checksum_finish(checksum_add(0, message, len)));
    inject_bytes(packet, build_ip(packet, IP_ICMP, message, len));
}

/* What a router says about a segment of ours with this relative number. */
static size_t build_error(uint8_t *message, uint8_t type, uint8_t code, tcp_seq seq)
{
    struct ipv4 quoted = {
        .src = {UTCP_IPV4, {10, 0, 0, 1}},
        .dst = {UTCP_IPV4, {10, 0, 0, 2}},
        .protocol = IP_TCP,
        .ttl = 64,
        .payload_len = 500, /* but only eight bytes of them are quoted */
    };

    memset(message, 0, ICMP_HEADER + IPV4_HEADER + 8);
    message[0] = type;
    message[1] = code;
    ipv4_write(message + ICMP_HEADER, &quoted);
    put16(message + ICMP_HEADER + IPV4_HEADER, OWN_PORT);
    put16(message + ICMP_HEADER + IPV4_HEADER + 2, world.peer_port);
    put32(message + ICMP_HEADER + IPV4_HEADER + 4, world.iss + seq);
    return ICMP_HEADER + IPV4_HEADER + 8;
}

static void inject_error(uint8_t type, uint8_t code, tcp_seq seq)
{
    uint8_t message[100];

    inject_icmp(message, build_error(message, type, code, seq));
}

/* ---- echo ---- */

static void an_echo_comes_back_byte_for_byte(void **state)
{
    uint8_t request[ICMP_HEADER + 57] = {ECHO, 0, 0, 0, 0x12, 0x34, 0, 7};
    uint8_t reply[1500];
    struct ipv4 ip;

    (void)state;
    start_stack();
    for (size_t i = ICMP_HEADER; i < sizeof(request); i++)
        request[i] = (uint8_t)i;
    inject_icmp(request, sizeof(request));
    assert_int_equal(take_packet(reply, sizeof(reply)), IPV4_HEADER + sizeof(request));
    assert_true(ipv4_parse(reply, IPV4_HEADER + sizeof(request), &ip));
    assert_memory_equal(ip.src.bytes, "\x0a\x00\x00\x01", 4);
    assert_memory_equal(ip.dst.bytes, "\x0a\x00\x00\x02", 4);
    assert_int_equal(ip.protocol, IP_ICMP);
    assert_int_equal(ip.ttl, 64);
    request[0] = 0;
    put16(request + 2, 0);
    put16(request + 2, checksum_finish(checksum_add(0, request, sizeof(request))));
    assert_int_equal(ip.payload_len, sizeof(request));
    assert_memory_equal(ip.payload, request, sizeof(request));
    assert_int_equal(utcp_counters(world.stack)->icmp_echoes, 1);
}

static void an_echo_without_data_comes_back(void **state)
{
    uint8_t request[ICMP_HEADER] = {ECHO};
    uint8_t reply[1500];

    (void)state;
    start_stack();
    inject_icmp(request, sizeof(request));
    assert_int_equal(take_packet(reply, sizeof(reply)), IPV4_HEADER + ICMP_HEADER);
    assert_int_equal(checksum_finish(checksum_add(0, reply + IPV4_HEADER, ICMP_HEADER)), 0);
}

static void a_bad_checksum_is_dropped(void **state)
{
    uint8_t request[ICMP_HEADER] = {ECHO, 0, 0x12, 0x34};
    uint8_t packet[100];

    (void)state;
    start_stack();
    inject_bytes(packet, build_ip(packet, IP_ICMP, request, sizeof(request)));
    expect_nothing();
    assert_int_equal(utcp_counters(world.stack)->icmp_bad, 1);
}

static void a_message_shorter_than_its_header_is_dropped(void **state)
{
    uint8_t request[ICMP_HEADER] = {ECHO};

    (void)state;
    start_stack();
    for (size_t len = 4; len < ICMP_HEADER; len++)
        inject_icmp(request, len);
    expect_nothing();
    assert_int_equal(utcp_counters(world.stack)->icmp_bad, 4);
}

static void other_types_are_ignored(void **state)
{
    uint8_t message[ICMP_HEADER];

    (void)state;
    start_stack();
    for (unsigned type = 0; type < 256; type++) {
        memset(message, 0, sizeof(message));
        message[0] = (uint8_t)type;
        if (type != ECHO)
            inject_icmp(message, sizeof(message));
    }
    expect_nothing();
}

static void a_flood_of_echoes_fills_the_queue_and_no_more(void **state)
{
    uint8_t request[ICMP_HEADER] = {ECHO};

    (void)state;
    start_stack();
    world.held = true;
    for (unsigned i = 0; i < 100; i++)
        inject_icmp(request, sizeof(request));
    release();
    assert_int_equal(drop_sent(), 64);
    assert_int_equal(utcp_counters(world.stack)->replies_dropped, 36);
}

/* RFC 1122 section 3.2.2.6: "Data received in an ICMP Echo Request MUST be entirely included in the
 * resulting Echo Reply." */
static void an_echo_above_the_mtu_comes_back_in_fragments(void **state)
{
    uint8_t request[171] = {ECHO};
    uint8_t reply[171], packet[100];
    struct ipv4 ip;
    size_t got = 0;

    (void)state;
    world.mtu_bytes = 100;
    start_stack();
    for (size_t i = ICMP_HEADER; i < sizeof(request); i++)
        request[i] = (uint8_t)i;
    inject_icmp(request, sizeof(request));
    for (size_t i = 0; i < 3; i++) {
        assert_true(ipv4_parse(packet, take_packet(packet, sizeof(packet)), &ip));
        assert_int_equal(ip.offset, got);
        assert_int_equal(ip.more_fragments, i < 2);
        assert_int_equal(ip.payload_len, i < 2 ? 80 : 11);
        memcpy(reply + got, ip.payload, ip.payload_len);
        got += ip.payload_len;
    }
    expect_nothing();
    assert_int_equal(checksum_finish(checksum_add(0, reply, got)), 0);
    assert_memory_equal(reply + 4, request + 4, sizeof(request) - 4);
    inject_icmp(request, 80);
    assert_int_equal(drop_sent(), 1);
}

/* ---- errors ---- */

static void an_error_while_connecting_ends_the_attempt(void **state)
{
    static const struct {
        uint8_t type, code;
        int error;
    } cases[] = {
        {UNREACHABLE, 0, ENETUNREACH},    {UNREACHABLE, 1, EHOSTUNREACH},
        {UNREACHABLE, 2, ENOPROTOOPT},    {UNREACHABLE, 3, ECONNREFUSED},
        {UNREACHABLE, 6, ENETUNREACH},    {UNREACHABLE, 13, EHOSTUNREACH},
        {UNREACHABLE, 200, EHOSTUNREACH}, {TIME_EXCEEDED, 0, EHOSTUNREACH},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        start_connecting();
        drop_sent();
        inject_error(cases[i].type, cases[i].code, 0);
        expect_state(TCP_CLOSED);
        assert_int_equal(utcp_take_error(world.conn), -cases[i].error);
        close_conn();
        expect_nothing();
    }
}

static void fragmentation_needed_does_not_end_the_attempt(void **state)
{
    (void)state;
    start_connecting();
    inject_error(UNREACHABLE, 4, 0);
    expect_state(TCP_SYN_SENT);
}

static void an_error_about_what_is_not_in_flight_is_ignored(void **state)
{
    (void)state;
    start_connecting();
    inject_error(UNREACHABLE, 3, 1);
    inject_error(UNREACHABLE, 3, (tcp_seq)-1);
    expect_state(TCP_SYN_SENT);
    assert_int_equal(utcp_counters(world.stack)->icmp_errors, 0);
}

static void an_error_in_established_is_only_a_hint(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    write_bytes(100);
    drop_sent();
    inject_error(UNREACHABLE, 1, 1);
    expect_state(TCP_ESTABLISHED);
    assert_int_equal(utcp_take_error(world.conn), 0);
    inject(A, 1, 101, WIN, 0);
    expect_state(TCP_ESTABLISHED);
}

static void the_hint_is_told_when_the_connection_times_out(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    write_bytes(100);
    inject_error(UNREACHABLE, 1, 1);
    advance_by(3600 * UTCP_SEC);
    expect_state(TCP_CLOSED);
    assert_int_equal(utcp_take_error(world.conn), -EHOSTUNREACH);
    drop_sent();
}

static void an_error_about_another_connection_is_ignored(void **state)
{
    (void)state;
    start_connecting();
    world.peer_port++;
    inject_error(UNREACHABLE, 3, 0);
    expect_state(TCP_SYN_SENT);
}

static void a_quote_that_is_too_short_is_ignored(void **state)
{
    uint8_t message[100];
    size_t whole;

    (void)state;
    start_connecting();
    whole = build_error(message, UNREACHABLE, 3, 0);
    for (size_t len = ICMP_HEADER; len < whole; len++)
        inject_icmp(message, len);
    expect_state(TCP_SYN_SENT);
    message[ICMP_HEADER] = 0x4f; /* a header longer than the quote */
    inject_icmp(message, whole);
    message[ICMP_HEADER] = 0x44; /* ... or than it can be short */
    inject_icmp(message, whole);
    expect_state(TCP_SYN_SENT);
}

static void an_error_about_another_protocol_is_ignored(void **state)
{
    uint8_t message[100];
    size_t len;

    (void)state;
    start_connecting();
    len = build_error(message, UNREACHABLE, 3, 0);
    message[ICMP_HEADER + 9] = 17;
    inject_icmp(message, len);
    expect_state(TCP_SYN_SENT);
}

/* ---- errors that we send ---- */

#define UDP 17
#define OSPF 89

static void inject_protocol(uint8_t protocol, const uint8_t *payload, size_t len)
{
    uint8_t packet[2000];

    inject_bytes(packet, build_ip(packet, protocol, payload, len));
}

static void expect_error(uint8_t type, uint8_t code, uint8_t protocol, size_t quoted)
{
    uint8_t packet[2000];
    struct ipv4 ip;

    assert_true(ipv4_parse(packet, take_packet(packet, sizeof(packet)), &ip));
    assert_memory_equal(ip.dst.bytes, "\x0a\x00\x00\x02", 4);
    assert_int_equal(ip.protocol, IP_ICMP);
    assert_int_equal(ip.tos, 0xc0);
    assert_int_equal(ip.payload[0], type);
    assert_int_equal(ip.payload[1], code);
    assert_int_equal(checksum_finish(checksum_add(0, ip.payload, ip.payload_len)), 0);
    assert_int_equal(ip.payload[ICMP_HEADER + 9], protocol);
    assert_int_equal(ip.payload_len, ICMP_HEADER + quoted);
    expect_nothing();
}

static void a_udp_datagram_is_answered_with_port_unreachable(void **state)
{
    uint8_t datagram[8 + 20] = {0, 53, 0, 53, 0, 28};

    (void)state;
    start_stack();
    inject_protocol(UDP, datagram, sizeof(datagram));
    expect_error(UNREACHABLE, 3, UDP, IPV4_HEADER + sizeof(datagram));
    assert_int_equal(utcp_counters(world.stack)->icmp_errors_out, 1);
}

static void an_unknown_protocol_is_answered_with_protocol_unreachable(void **state)
{
    uint8_t payload[40] = {0};

    (void)state;
    start_stack();
    inject_protocol(OSPF, payload, sizeof(payload));
    expect_error(UNREACHABLE, 2, OSPF, IPV4_HEADER + sizeof(payload));
}

static void an_error_is_at_most_576_bytes_long(void **state)
{
    uint8_t payload[1400] = {0};

    (void)state;
    start_stack();
    inject_protocol(OSPF, payload, sizeof(payload));
    expect_error(UNREACHABLE, 2, OSPF, 576 - IPV4_HEADER - ICMP_HEADER);
}

/* 50 at once, then one each millisecond. */
static void errors_are_limited_in_rate(void **state)
{
    uint8_t payload[40] = {0};

    (void)state;
    start_stack();
    for (unsigned i = 0; i < 100; i++)
        inject_protocol(OSPF, payload, sizeof(payload));
    assert_int_equal(drop_sent(), 50);
    advance_by(5 * UTCP_MSEC);
    for (unsigned i = 0; i < 100; i++)
        inject_protocol(OSPF, payload, sizeof(payload));
    assert_int_equal(drop_sent(), 5);
    advance_by(UTCP_SEC);
    for (unsigned i = 0; i < 100; i++)
        inject_protocol(OSPF, payload, sizeof(payload));
    assert_int_equal(drop_sent(), 50);
}

static void a_rate_of_0_sends_no_errors(void **state)
{
    uint8_t payload[40] = {0};

    (void)state;
    world.settings.icmp_rate = 0;
    start_stack();
    inject_protocol(OSPF, payload, sizeof(payload));
    expect_nothing();
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(an_echo_comes_back_byte_for_byte),
        TEST(an_echo_without_data_comes_back),
        TEST(a_bad_checksum_is_dropped),
        TEST(a_message_shorter_than_its_header_is_dropped),
        TEST(other_types_are_ignored),
        TEST(a_flood_of_echoes_fills_the_queue_and_no_more),
        TEST(an_echo_above_the_mtu_comes_back_in_fragments),
        TEST(an_error_while_connecting_ends_the_attempt),
        TEST(fragmentation_needed_does_not_end_the_attempt),
        TEST(an_error_about_what_is_not_in_flight_is_ignored),
        TEST(an_error_in_established_is_only_a_hint),
        TEST(the_hint_is_told_when_the_connection_times_out),
        TEST(an_error_about_another_connection_is_ignored),
        TEST(a_quote_that_is_too_short_is_ignored),
        TEST(an_error_about_another_protocol_is_ignored),
        TEST(a_udp_datagram_is_answered_with_port_unreachable),
        TEST(an_unknown_protocol_is_answered_with_protocol_unreachable),
        TEST(an_error_is_at_most_576_bytes_long),
        TEST(errors_are_limited_in_rate),
        TEST(a_rate_of_0_sends_no_errors),
    };

    select_test(argc, argv);
    return cmocka_run_group_tests_name("icmp", tests, NULL, NULL);
}
