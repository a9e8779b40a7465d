/* SPDX-License-Identifier: MIT */
/* wire/: packets that are not what they should be, options, and cutting. */
#include "base/checksum.h"
#include "harness.h"
#include "wire/bytes.h"

static const struct utcp_addr own = {UTCP_IPV4, {10, 0, 0, 1}};
static const struct utcp_addr peer = {UTCP_IPV4, {10, 0, 0, 2}};

/* ---- IPv4 ---- */

#define PACKET 60

/* A good packet of 60 bytes. */
static void good_packet(uint8_t packet[PACKET])
{
    const uint8_t payload[PACKET - IPV4_HEADER] = {1, 2, 3};

    assert_int_equal(build_ip(packet, IP_TCP, payload, sizeof(payload)), PACKET);
}

static void fix_ip_checksum(uint8_t *packet)
{
    size_t header = (size_t)(packet[0] & 15) * 4;

    put16(packet + 10, 0);
    put16(packet + 10, checksum_finish(checksum_add(0, packet, header)));
}

/* A packet with one byte changed and its checksum good again. */
static bool parses_with(size_t at, uint8_t value)
{
    uint8_t packet[PACKET];
    struct ipv4 ip;

    good_packet(packet);
    packet[at] = value;
    fix_ip_checksum(packet);
    return ipv4_parse(packet, PACKET, &ip);
}

static void a_good_packet_is_read(void **state)
{
    uint8_t packet[PACKET];
    struct ipv4 ip;

    (void)state;
    good_packet(packet);
    assert_true(ipv4_parse(packet, PACKET, &ip));
    assert_memory_equal(&ip.src, &peer, sizeof(peer));
    assert_memory_equal(&ip.dst, &own, sizeof(own));
    assert_int_equal(ip.protocol, IP_TCP);
    assert_int_equal(ip.ttl, 64);
    assert_false(ip.fragment);
    assert_ptr_equal(ip.payload, packet + 20);
    assert_int_equal(ip.payload_len, 40);
}

static void a_packet_shorter_than_a_header_is_refused(void **state)
{
    uint8_t packet[PACKET];
    struct ipv4 ip;

    (void)state;
    good_packet(packet);
    for (size_t len = 0; len < PACKET; len++)
        assert_false(ipv4_parse(packet, len, &ip));
}

static void another_version_is_refused(void **state)
{
    (void)state;
    assert_false(parses_with(0, 0x05));
    assert_false(parses_with(0, 0x65));
    assert_true(parses_with(0, 0x45));
}

static void a_header_length_below_five_words_is_refused(void **state)
{
    (void)state;
    assert_false(parses_with(0, 0x40));
    assert_false(parses_with(0, 0x44));
}

static void a_header_longer_than_the_packet_is_refused(void **state)
{
    uint8_t packet[PACKET];
    struct ipv4 ip;

    (void)state;
    good_packet(packet);
    packet[0] = 0x4f;
    put16(packet + 2, 40);
    fix_ip_checksum(packet);
    assert_false(ipv4_parse(packet, 40, &ip));
}

static void a_total_length_that_cannot_be_is_refused(void **state)
{
    (void)state;
    assert_false(parses_with(3, 19));
    assert_false(parses_with(3, 61));
    assert_false(parses_with(2, 0xff));
}

static void padding_behind_the_total_length_is_cut_off(void **state)
{
    uint8_t packet[PACKET];
    struct ipv4 ip;

    (void)state;
    good_packet(packet);
    packet[3] = 50;
    fix_ip_checksum(packet);
    assert_true(ipv4_parse(packet, PACKET, &ip));
    assert_int_equal(ip.payload_len, 30);
}

static void ip_options_are_skipped(void **state)
{
    uint8_t packet[PACKET];
    struct ipv4 ip;

    (void)state;
    good_packet(packet);
    packet[0] = 0x47;
    fix_ip_checksum(packet);
    assert_true(ipv4_parse(packet, PACKET, &ip));
    assert_ptr_equal(ip.payload, packet + 28);
    assert_int_equal(ip.payload_len, 32);
}

static void every_bit_of_the_ip_header_is_under_its_checksum(void **state)
{
    uint8_t packet[PACKET];
    struct ipv4 ip;

    (void)state;
    for (size_t bit = 0; bit < IPV4_HEADER * 8; bit++) {
        good_packet(packet);
        packet[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(ipv4_parse(packet, PACKET, &ip));
    }
}

static void fragments_are_marked(void **state)
{
    uint8_t packet[PACKET];
    struct ipv4 ip;

    (void)state;
    good_packet(packet);
    put16(packet + 6, 0x2000);
    fix_ip_checksum(packet);
    assert_true(ipv4_parse(packet, PACKET, &ip) && ip.fragment);
    assert_true(ip.more_fragments && ip.offset == 0);
    put16(packet + 6, 0x0001);
    fix_ip_checksum(packet);
    assert_true(ipv4_parse(packet, PACKET, &ip) && ip.fragment);
    assert_true(!ip.more_fragments && ip.offset == 8);
    put16(packet + 6, 0x4000);
    fix_ip_checksum(packet);
    assert_true(ipv4_parse(packet, PACKET, &ip) && !ip.fragment && ip.dont_fragment);
}

/* ---- IP packets the stack refuses ---- */

static void inject_from(const uint8_t src[4], const uint8_t dst[4])
{
    uint8_t packet[PACKET];

    good_packet(packet);
    memcpy(packet + 12, src, 4);
    memcpy(packet + 16, dst, 4);
    fix_ip_checksum(packet);
    inject_bytes(packet, PACKET);
}

static void a_source_that_cannot_be_is_dropped(void **state)
{
    static const uint8_t sources[][4] = {
        {0, 0, 0, 0}, {127, 0, 0, 1}, {224, 0, 0, 1}, {255, 255, 255, 255}, {10, 0, 0, 1}};

    (void)state;
    start_stack();
    for (size_t i = 0; i < 5; i++)
        inject_from(sources[i], own.bytes);
    expect_nothing();
    assert_int_equal(utcp_counters(world.stack)->ip_bad, 5);
}

static void a_packet_for_somebody_else_is_dropped(void **state)
{
    static const uint8_t other[4] = {10, 0, 0, 3};

    (void)state;
    start_stack();
    inject_from(peer.bytes, other);
    expect_nothing();
    assert_int_equal(utcp_counters(world.stack)->ip_not_ours, 1);
}

static void an_empty_packet_is_dropped(void **state)
{
    (void)state;
    start_stack();
    inject_bytes((const uint8_t *)"", 0);
    inject_bytes((const uint8_t *)"\x45", 1);
    expect_nothing();
}

/* ---- TCP ---- */

#define SEGMENT 60

/* A TCP segment with room for 40 bytes of options, and its checksum good. */
static void finish_segment(uint8_t *bytes, size_t len)
{
    uint64_t sum = ipv4_pseudo_sum(&peer, &own, IP_TCP, len);

    put16(bytes + 16, 0);
    put16(bytes + 16, checksum_finish(checksum_add(sum, bytes, len)));
}

static void good_segment(uint8_t bytes[SEGMENT], size_t header)
{
    memset(bytes, 0, SEGMENT);
    put16(bytes, PEER_PORT);
    put16(bytes + 2, OWN_PORT);
    put32(bytes + 4, 0x01020304);
    put32(bytes + 8, 0x05060708);
    bytes[12] = (uint8_t)(header / 4 << 4);
    bytes[13] = TCP_ACK | TCP_PSH;
    put16(bytes + 14, 0x1234);
    put16(bytes + 18, 0x5678);
    finish_segment(bytes, SEGMENT);
}

static bool parse_segment(const uint8_t *bytes, size_t len, struct tcp_segment *segment)
{
    *segment = (struct tcp_segment){.src.addr = peer, .dst.addr = own};
    return tcp_parse(bytes, len, true, segment);
}

static void a_good_segment_is_read(void **state)
{
    struct tcp_segment segment;
    uint8_t bytes[SEGMENT];

    (void)state;
    good_segment(bytes, 20);
    assert_true(parse_segment(bytes, SEGMENT, &segment));
    assert_int_equal(segment.src.port, PEER_PORT);
    assert_int_equal(segment.dst.port, OWN_PORT);
    assert_int_equal(segment.seq, 0x01020304);
    assert_int_equal(segment.ack, 0x05060708);
    assert_int_equal(segment.flags, TCP_ACK | TCP_PSH);
    assert_int_equal(segment.window, 0x1234);
    assert_int_equal(segment.urgent, 0x5678);
    assert_ptr_equal(segment.payload, bytes + 20);
    assert_int_equal(segment.payload_len, 40);
}

static void a_segment_shorter_than_its_header_is_refused(void **state)
{
    struct tcp_segment segment;
    uint8_t bytes[SEGMENT];

    (void)state;
    for (size_t len = 0; len < TCP_HEADER; len++) {
        good_segment(bytes, 20);
        finish_segment(bytes, len < 18 ? 18 : len);
        assert_false(parse_segment(bytes, len, &segment));
    }
    good_segment(bytes, 24);
    finish_segment(bytes, 20);
    assert_false(parse_segment(bytes, 20, &segment));
}

static void a_data_offset_below_five_words_is_refused(void **state)
{
    struct tcp_segment segment;
    uint8_t bytes[SEGMENT];

    (void)state;
    for (size_t header = 0; header < 20; header += 4) {
        good_segment(bytes, header);
        assert_false(parse_segment(bytes, SEGMENT, &segment));
    }
}

static void port_zero_is_refused(void **state)
{
    struct tcp_segment segment;
    uint8_t bytes[SEGMENT];

    (void)state;
    for (size_t at = 0; at <= 2; at += 2) {
        good_segment(bytes, 20);
        put16(bytes + at, 0);
        finish_segment(bytes, SEGMENT);
        assert_false(parse_segment(bytes, SEGMENT, &segment));
    }
}

static void every_bit_of_a_segment_is_under_its_checksum(void **state)
{
    struct tcp_segment segment;
    uint8_t bytes[SEGMENT];

    (void)state;
    for (size_t bit = 0; bit < SEGMENT * 8; bit++) {
        good_segment(bytes, 20);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(parse_segment(bytes, SEGMENT, &segment));
    }
    good_segment(bytes, 20);
    segment = (struct tcp_segment){.src.addr = own, .dst.addr = own};
    assert_false(tcp_parse(bytes, SEGMENT, true, &segment)); /* the addresses, too */
    assert_true(tcp_parse(bytes, SEGMENT, false, &segment));
}

/* Reads these bytes as the options of a segment; they fill it up to the data offset with END. */
static struct tcp_options read_options(const char *options, size_t len)
{
    struct tcp_segment segment;
    uint8_t bytes[SEGMENT];

    good_segment(bytes, SEGMENT);
    memcpy(bytes + TCP_HEADER, options, len);
    finish_segment(bytes, SEGMENT);
    assert_true(parse_segment(bytes, SEGMENT, &segment));
    return segment.options;
}

static void options_are_read_in_any_order(void **state)
{
    struct tcp_options options = read_options("\1\3\3\7\1\1\2\4\5\xb4", 10);

    (void)state;
    assert_int_equal(options.mss, 1460);
    assert_true(options.has_wscale);
    assert_int_equal(options.wscale, 7);
}

static void sack_and_timestamps_are_read(void **state)
{
    struct tcp_options options = read_options("\4\2\x08\x0a\0\0\1\0\0\0\2\0"
                                              "\5\x12\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4",
                                              30);

    (void)state;
    assert_true(options.sack_permitted);
    assert_true(options.has_timestamps);
    assert_int_equal(options.ts_value, 0x100);
    assert_int_equal(options.ts_echo, 0x200);
    assert_int_equal(options.sack_count, 2);
    assert_int_equal(options.sack[1].from, 3);
    assert_int_equal(options.sack[1].to, 4);
    assert_int_equal(read_options("\5\x0b\0\0\0\1\0\0\0\2\0", 11).sack_count, 0);
    assert_false(read_options("\x08\x09\0\0\1\0\0\0\2", 9).has_timestamps);
}

static void expect_written(const struct tcp_options *options, const char *bytes, size_t len)
{
    struct tcp_segment segment = {.options = *options};
    uint8_t header[60];

    assert_int_equal(tcp_write(header, &segment), TCP_HEADER + len);
    assert_memory_equal(header + TCP_HEADER, bytes, len);
}

static void options_are_written_in_the_order_of_linux(void **state)
{
    struct tcp_options all = {
        .mss = 1460,
        .has_wscale = true,
        .wscale = 7,
        .sack_permitted = true,
        .has_timestamps = true,
        .ts_value = 1,
        .ts_echo = 2,
    };
    struct tcp_options none = {.sack_permitted = true, .mss = 1460};
    struct tcp_options data = {
        .has_timestamps = true,
        .sack_count = 1,
        .sack = {{3, 4}},
    };

    (void)state;
    expect_written(&all, "\2\4\5\xb4\4\2\x08\x0a\0\0\0\1\0\0\0\2\1\3\3\7", 20);
    expect_written(&none, "\2\4\5\xb4\1\1\4\2", 8);
    expect_written(&data, "\1\1\x08\x0a\0\0\0\0\0\0\0\0\1\1\5\x0a\0\0\0\3\0\0\0\4", 24);
}

static void unknown_options_are_skipped(void **state)
{
    struct tcp_options options = read_options("\xfd\6abcd\2\4\5\xb4", 10);

    (void)state;
    assert_int_equal(options.mss, 1460);
}

static void the_end_of_options_is_the_end(void **state)
{
    struct tcp_options options = read_options("\0\2\4\5\xb4", 5);

    (void)state;
    assert_int_equal(options.mss, 0);
}

static void an_option_of_another_length_is_not_believed(void **state)
{
    (void)state;
    assert_int_equal(read_options("\2\3\5\1\1", 5).mss, 0);
    assert_int_equal(read_options("\2\5\5\xb4\1", 5).mss, 0);
    assert_false(read_options("\3\2\1\1", 4).has_wscale);
    assert_false(read_options("\3\4\7\7", 4).has_wscale);
}

static void an_impossible_length_ends_the_list(void **state)
{
    (void)state;
    assert_int_equal(read_options("\x09\0\2\4\5\xb4", 6).mss, 0);
    assert_int_equal(read_options("\x09\1\2\4\5\xb4", 6).mss, 0);
    assert_int_equal(read_options("\2\4\5\xb4\x09\xff\3\3\7", 9).mss, 1460);
    assert_false(read_options("\2\4\5\xb4\x09\xff\3\3\7", 9).has_wscale);
}

static void an_option_that_begins_in_the_last_byte_is_ignored(void **state)
{
    struct tcp_segment segment;
    uint8_t bytes[SEGMENT];

    (void)state;
    good_segment(bytes, 24);
    memcpy(bytes + 20, "\1\1\1\2", 4);
    bytes[24] = 4; /* payload that looks like the option's rest */
    finish_segment(bytes, SEGMENT);
    assert_true(parse_segment(bytes, SEGMENT, &segment));
    assert_int_equal(segment.options.mss, 0);
}

static void an_option_that_reaches_into_the_payload_is_ignored(void **state)
{
    struct tcp_segment segment;
    uint8_t bytes[SEGMENT];

    (void)state;
    good_segment(bytes, 24);
    memcpy(bytes + 20, "\1\1\2\4\5\xb4", 6);
    finish_segment(bytes, SEGMENT);
    assert_true(parse_segment(bytes, SEGMENT, &segment));
    assert_int_equal(segment.options.mss, 0);
}

static void syn_options_are_written_in_linuxs_order(void **state)
{
    uint8_t packet[1500];

    (void)state;
    start_connecting();
    assert_int_equal(take_packet(packet, sizeof(packet)), 20 + 28);
    assert_memory_equal(packet + 40, "\2\4\5\xb4\1\3\3\7", 8);
}

/* ---- cutting ---- */

/* A packet of this many bytes to be cut at segment_bytes; the payload lies in two slices. */
static void big_packet(struct utcp_packet *packet, uint8_t *payload, size_t len, size_t cut,
                       uint8_t flags)
{
    struct tcp_segment segment = {
        .src = {own, OWN_PORT},
        .dst = {peer, PEER_PORT},
        .seq = 0xffffff00,
        .flags = flags,
        .payload_len = (uint32_t)len,
    };
    struct ipv4 ip = {.src = own, .dst = peer, .protocol = IP_TCP, .ttl = 64, .id = 0xffff};

    *packet = (struct utcp_packet){.tcp_offset = 20, .header_len = 40, .payload_len = len};
    packet->segment_bytes = cut;
    ip.payload_len = TCP_HEADER + len;
    ipv4_write(packet->header, &ip);
    tcp_write(packet->header + 20, &segment);
    for (size_t i = 0; i < len; i++)
        payload[i] = pattern((tcp_seq)i);
    packet->payload[0] = (struct utcp_slice){payload, len / 3};
    packet->payload[1] = (struct utcp_slice){payload + len / 3, len - len / 3};
}

/* Takes the next piece apart; returns its length in the sequence space. */
static struct tcp_segment next_piece(const struct utcp_packet *packet, size_t *offset,
                                     uint8_t *buffer, struct ipv4 *ip)
{
    size_t len = utcp_cut_next(packet, offset, buffer);
    struct tcp_segment segment;

    assert_true(len > 0);
    assert_true(ipv4_parse(buffer, len, ip));
    assert_int_equal(ip->payload_len, len - 20);
    segment = (struct tcp_segment){.src.addr = ip->src, .dst.addr = ip->dst};
    assert_true(tcp_parse(ip->payload, ip->payload_len, true, &segment));
    return segment;
}

static void a_big_packet_is_cut_into_good_segments(void **state)
{
    uint8_t payload[2500], buffer[1500];
    struct utcp_packet packet;
    size_t offset = 0;

    (void)state;
    big_packet(&packet, payload, sizeof(payload), 1000, TCP_ACK);
    for (size_t at = 0; at < sizeof(payload); at += 1000) {
        struct ipv4 ip;
        struct tcp_segment segment = next_piece(&packet, &offset, buffer, &ip);
        size_t len = at < 2000 ? 1000 : 500;

        assert_int_equal(segment.seq, (tcp_seq)(0xffffff00 + at));
        assert_int_equal(segment.payload_len, len);
        assert_memory_equal(segment.payload, payload + at, len);
        assert_int_equal(ip.id, (uint16_t)(0xffff + at / 1000));
    }
    assert_int_equal(utcp_cut_next(&packet, &offset, buffer), 0);
    assert_int_equal(utcp_cut_next(&packet, &offset, buffer), 0);
}

static void fin_and_psh_stand_on_the_last_piece_and_cwr_on_the_first(void **state)
{
    uint8_t payload[3000], buffer[1500];
    struct utcp_packet packet;
    size_t offset = 0;
    struct ipv4 ip;

    (void)state;
    big_packet(&packet, payload, sizeof(payload), 1000, TCP_ACK | TCP_FIN | TCP_PSH | TCP_CWR);
    assert_int_equal(next_piece(&packet, &offset, buffer, &ip).flags, TCP_ACK | TCP_CWR);
    assert_int_equal(next_piece(&packet, &offset, buffer, &ip).flags, TCP_ACK);
    assert_int_equal(next_piece(&packet, &offset, buffer, &ip).flags, TCP_ACK | TCP_FIN | TCP_PSH);
    assert_int_equal(utcp_cut_next(&packet, &offset, buffer), 0);
}

static void a_packet_without_payload_is_one_piece(void **state)
{
    uint8_t payload[1], buffer[1500];
    struct utcp_packet packet;
    size_t offset = 0;
    struct ipv4 ip;

    (void)state;
    big_packet(&packet, payload, 0, 0, TCP_ACK | TCP_FIN);
    assert_int_equal(next_piece(&packet, &offset, buffer, &ip).flags, TCP_ACK | TCP_FIN);
    assert_int_equal(utcp_cut_next(&packet, &offset, buffer), 0);
}

static void pieces_of_one_byte_are_good_as_well(void **state)
{
    uint8_t payload[7], buffer[1500];
    struct utcp_packet packet;
    size_t offset = 0;
    struct ipv4 ip;

    (void)state;
    big_packet(&packet, payload, sizeof(payload), 1, TCP_ACK);
    for (size_t i = 0; i < sizeof(payload); i++)
        assert_int_equal(next_piece(&packet, &offset, buffer, &ip).payload[0], payload[i]);
    assert_int_equal(utcp_cut_next(&packet, &offset, buffer), 0);
}

static void headers_are_measured_in_whole_tcp_packets_only(void **state)
{
    uint8_t payload[10], buffer[1500];
    struct utcp_packet packet;
    size_t offset = 0, len;

    (void)state;
    big_packet(&packet, payload, sizeof(payload), 0, TCP_ACK);
    len = utcp_cut_next(&packet, &offset, buffer);
    assert_int_equal(utcp_packet_headers(buffer, len), 40);
    assert_int_equal(utcp_packet_headers(buffer, len - 1), 0);
    buffer[32] = 0xf0; /* a TCP header beyond the end */
    assert_int_equal(utcp_packet_headers(buffer, len), 0);
    buffer[32] = 0x40;
    assert_int_equal(utcp_packet_headers(buffer, len), 0);
    buffer[32] = 0x50;
    buffer[9] = IP_ICMP;
    fix_ip_checksum(buffer);
    assert_int_equal(utcp_packet_headers(buffer, len), 0);
}

static void a_device_with_offload_finds_the_sum_it_expects(void **state)
{
    struct utcp_packet packet;
    uint64_t pseudo = ipv4_pseudo_sum(&own, &peer, IP_TCP, TCP_HEADER + 100);

    (void)state;
    established_client(plain_peer(WIN));
    world.held = true;
    write_bytes(100);
    assert_true(utcp_output(world.stack, &packet, world.now));
    assert_int_equal(get16(packet.header + packet.tcp_offset + 16), checksum_fold(pseudo));
    utcp_output_done(world.stack, &packet);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(a_good_packet_is_read),
        TEST(a_packet_shorter_than_a_header_is_refused),
        TEST(another_version_is_refused),
        TEST(a_header_length_below_five_words_is_refused),
        TEST(a_header_longer_than_the_packet_is_refused),
        TEST(a_total_length_that_cannot_be_is_refused),
        TEST(padding_behind_the_total_length_is_cut_off),
        TEST(ip_options_are_skipped),
        TEST(every_bit_of_the_ip_header_is_under_its_checksum),
        TEST(fragments_are_marked),
        TEST(a_source_that_cannot_be_is_dropped),
        TEST(a_packet_for_somebody_else_is_dropped),
        TEST(an_empty_packet_is_dropped),
        TEST(a_good_segment_is_read),
        TEST(a_segment_shorter_than_its_header_is_refused),
        TEST(a_data_offset_below_five_words_is_refused),
        TEST(port_zero_is_refused),
        TEST(every_bit_of_a_segment_is_under_its_checksum),
        TEST(options_are_read_in_any_order),
        TEST(sack_and_timestamps_are_read),
        TEST(options_are_written_in_the_order_of_linux),
        TEST(unknown_options_are_skipped),
        TEST(the_end_of_options_is_the_end),
        TEST(an_option_of_another_length_is_not_believed),
        TEST(an_impossible_length_ends_the_list),
        TEST(an_option_that_begins_in_the_last_byte_is_ignored),
        TEST(an_option_that_reaches_into_the_payload_is_ignored),
        TEST(syn_options_are_written_in_linuxs_order),
        TEST(a_big_packet_is_cut_into_good_segments),
        TEST(fin_and_psh_stand_on_the_last_piece_and_cwr_on_the_first),
        TEST(a_packet_without_payload_is_one_piece),
        TEST(pieces_of_one_byte_are_good_as_well),
        TEST(headers_are_measured_in_whole_tcp_packets_only),
        TEST(a_device_with_offload_finds_the_sum_it_expects),
    };

    select_test(argc, argv);
    return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
