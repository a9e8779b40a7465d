/* SPDX-License-Identifier: MIT */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/checksum.h"
#include "stack.h"
#include "wire/bytes.h"

#define SENT_MAX 4096
#define PACKET_MAX 65536

struct world world;

/* The packets sent and not yet expected: a queue. */
static struct sent_packet {
    uint8_t *bytes;
    size_t len;
} sent[SENT_MAX];
static size_t sent_first, sent_count;

/* ---- memory and randomness ---- */

#define BLOCK_HEADER 16

static void *count_alloc(void *ctx, size_t size)
{
    uint8_t *block;

    (void)ctx;
    if (world.memory_left == 0)
        return NULL;
    world.memory_left--;
    block = calloc(1, BLOCK_HEADER + size);
    assert_non_null(block);
    memcpy(block, &size, sizeof(size));
    world.memory_bytes += size;
    return block + BLOCK_HEADER;
}

static void count_free(void *ctx, void *memory, size_t size)
{
    uint8_t *block = (uint8_t *)memory - BLOCK_HEADER;
    size_t was;

    (void)ctx;
    memcpy(&was, block, sizeof(was));
    assert_int_equal(was, size);
    world.memory_bytes -= size;
    free(block);
}

/* A linear congruential generator: the same bytes in every run. */
static void seeded_fill(void *ctx, void *buffer, size_t size)
{
    uint8_t *bytes = buffer;

    (void)ctx;
    for (size_t i = 0; i < size; i++) {
        world.random = world.random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        bytes[i] = (uint8_t)(world.random >> 56);
    }
}

/* ---- life ---- */

int world_setup(void **state)
{
    (void)state;
    world = (struct world){
        .mtu_bytes = 1500,
        .now = 1000 * UTCP_SEC,
        .peer_isn = 100000,
        .peer_port = PEER_PORT,
        .peer_mss = 1460,
        .peer_clock = 7000,
        .memory_left = SIZE_MAX,
        .written = 1,
        .read = 1,
    };
    utcp_settings_init(&world.settings);
    world.settings.sack = 0;
    world.settings.delack_max = 0;
    world.settings.rcv_buf = world.settings.snd_buf = 1 << 20;
    world.settings.rcv_buf_max = 2 << 20;
    world.settings.snd_buf_max = 0;
    world.settings.timestamps = 0;
    world.began = world.now;
    return 0;
}

int world_teardown(void **state)
{
    (void)state;
    drop_sent();
    if (world.stack != NULL)
        utcp_destroy(world.stack);
    world.stack = NULL;
    return world.memory_bytes == 0 ? 0 : -1;
}

void select_test(int argc, char *argv[])
{
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
}

static const struct utcp_addr own_addr = {UTCP_IPV4, {10, 0, 0, 1}};
static const struct utcp_addr peer_addr = {UTCP_IPV4, {10, 0, 0, 2}};

struct utcp_endpoint peer_endpoint(void)
{
    return (struct utcp_endpoint){.addr = peer_addr, .port = world.peer_port};
}

static struct utcp_endpoint own_endpoint(void)
{
    return (struct utcp_endpoint){.addr = own_addr, .port = OWN_PORT};
}

struct utcp_stack *try_stack(void)
{
    struct utcp_config config = {
        .allocator = {.alloc = count_alloc, .free = count_free},
        .random = {.fill = seeded_fill},
        .settings = world.settings,
        .addr = own_addr,
        .mtu_bytes = world.mtu_bytes,
        .timestamp_key = world.timestamp_key,
        .congestion = "reno",
    };

    return utcp_create(&config, world.now);
}

void start_stack(void)
{
    if (world.stack == NULL)
        world.stack = try_stack();
    assert_non_null(world.stack);
}

void choose_iss(tcp_seq iss)
{
    struct utcp_endpoint own = own_endpoint(), peer = peer_endpoint();
    tcp_seq base;

    /* RFC 6528: a hash of the four-tuple, and a clock with a tick of 4 microseconds. */
    start_stack();
    base = (tcp_seq)stack_hash_tuple(world.stack, &own, &peer, 0);
    world.now = ((uint64_t)(tcp_seq)(iss - base) + (UINT64_C(1) << 32)) * 4 * UTCP_USEC;
}

/* ---- taking what is sent ---- */

static bool parse(const struct sent_packet *packet, struct tcp_segment *segment)
{
    struct ipv4 ip;

    if (!ipv4_parse(packet->bytes, packet->len, &ip) || ip.protocol != IP_TCP)
        return false;
    segment->src.addr = ip.src;
    segment->dst.addr = ip.dst;
    return tcp_parse(ip.payload, ip.payload_len, true, segment);
}

static void check_right_edge(const struct tcp_segment *segment)
{
    unsigned scale = world.peer_scales ? world.own_wscale : 0;
    tcp_seq edge = segment->ack + ((uint32_t)segment->window << scale);

    if ((segment->flags & TCP_SYN) != 0 || (segment->flags & TCP_RST) != 0)
        return;
    assert_true(!world.right_edge_known || seq_ge(edge, world.right_edge));
    world.right_edge = edge;
    world.right_edge_known = true;
}

static void check_time(const struct tcp_segment *segment)
{
    if ((segment->flags & TCP_RST) != 0)
        return;
    if ((segment->flags & TCP_SYN) != 0)
        world.ts_offset = segment->options.ts_value - (uint32_t)(world.now / UTCP_MSEC);
    if (world.timestamps)
        assert_true(segment->options.has_timestamps);
    if (segment->options.has_timestamps)
        assert_int_equal(segment->options.ts_value, own_time());
    world.ts_last = segment->options.ts_value;
}

static void check_sent(const struct sent_packet *packet)
{
    struct tcp_segment segment;

    if (packet->bytes[9] != IP_TCP)
        return;
    assert_true(parse(packet, &segment));
    if ((segment.flags & TCP_SYN) != 0) {
        world.iss = segment.seq;
        world.own_wscale = segment.options.wscale;
        world.right_edge_known = false;
    }
    assert_true(packet->len <= world.mtu_bytes);
    assert_true(segment.payload_len <= world.peer_mss - (world.timestamps ? 12u : 0));
    check_right_edge(&segment);
    check_time(&segment);
    for (uint32_t i = 0; i < segment.payload_len; i++)
        assert_int_equal(segment.payload[i], pattern(segment.seq - world.iss + i));
}

static void keep(const uint8_t *bytes, size_t len)
{
    struct sent_packet *packet = &sent[(sent_first + sent_count++) % SENT_MAX];

    assert_true(sent_count < SENT_MAX);
    *packet = (struct sent_packet){.bytes = malloc(len), .len = len};
    assert_non_null(packet->bytes);
    memcpy(packet->bytes, bytes, len);
    check_sent(packet);
}

static void take_output(void)
{
    static uint8_t buffer[PACKET_MAX];
    struct utcp_packet packet;

    while (utcp_output(world.stack, &packet, world.now)) {
        size_t offset = 0, len;

        while ((len = utcp_cut_next(&packet, &offset, buffer)) > 0)
            keep(buffer, len);
        utcp_output_done(world.stack, &packet);
        check_world();
    }
    assert_false(utcp_output_pending(world.stack));
}

void check_world(void)
{
    const char *broken = utcp_check(world.stack);

    if (broken != NULL)
        fail_msg("invariant broken: %s", broken);
}

/* After each call into the stack. */
static void settle(void)
{
    struct utcp_event event;

    check_world();
    if (!world.held)
        take_output();
    while (utcp_next_event(world.stack, &event)) {
        assert_non_null(event.user);
        world.events++;
        world.last_ready = event.ready;
    }
}

void release(void)
{
    world.held = false;
    settle();
}

static struct sent_packet next_sent(void)
{
    struct sent_packet packet = sent[sent_first];

    assert_true(sent_count > 0);
    sent_first = (sent_first + 1) % SENT_MAX;
    sent_count--;
    return packet;
}

size_t take_packet(uint8_t *buffer, size_t size)
{
    struct sent_packet packet;

    if (sent_count == 0)
        return 0;
    packet = next_sent();
    assert_true(packet.len <= size);
    memcpy(buffer, packet.bytes, packet.len);
    free(packet.bytes);
    return packet.len;
}

size_t drop_sent(void)
{
    size_t count = sent_count;

    while (sent_count > 0)
        free(next_sent().bytes);
    return count;
}

/* ---- expecting ---- */

#define TEXT_MAX 320

static const char *flag_text(unsigned flags)
{
    static const char letters[] = "FSRPAUEC";
    static char text[sizeof(letters)];
    size_t len = 0;

    for (size_t i = 0; i < sizeof(letters) - 1; i++) {
        if ((flags & 1u << i) != 0)
            text[len++] = letters[i];
    }
    text[len] = '\0';
    return text;
}

static struct tcp_options options_of(struct peer peer)
{
    return (struct tcp_options){
        .mss = peer.mss,
        .has_wscale = peer.wscale != NO_WSCALE,
        .wscale = peer.wscale != NO_WSCALE ? (uint8_t)peer.wscale : 0,
        .sack_permitted = peer.sack,
        .has_timestamps = peer.timestamps,
    };
}

static void shift_sack(struct tcp_options *options, tcp_seq by)
{
    for (size_t i = 0; i < options->sack_count; i++) {
        options->sack[i].from += by;
        options->sack[i].to += by;
    }
}

static size_t describe_options(char *text, size_t size, const struct tcp_options *options)
{
    size_t len = 0;

    if (options->mss != 0)
        len += (size_t)snprintf(text + len, size - len, " mss %u", options->mss);
    if (options->has_wscale)
        len += (size_t)snprintf(text + len, size - len, " wscale %u", options->wscale);
    if (options->sack_permitted)
        len += (size_t)snprintf(text + len, size - len, " sackOK");
    if (options->has_timestamps)
        len += (size_t)snprintf(text + len, size - len, " ts %u echo %u", options->ts_value,
                                options->ts_echo);
    for (size_t i = 0; i < options->sack_count; i++)
        len += (size_t)snprintf(text + len, size - len, " sack %u:%u", options->sack[i].from,
                                options->sack[i].to);
    return len;
}

static void describe(char text[TEXT_MAX], const struct tcp_segment *segment)
{
    size_t len = (size_t)snprintf(text, TEXT_MAX, "%s seq %u ack %u window %u len %u to %u",
                                  flag_text(segment->flags), segment->seq, segment->ack,
                                  segment->window, segment->payload_len, segment->dst.port);

    describe_options(text + len, TEXT_MAX - len, &segment->options);
}

/* flags_seen masks what the segment's flags are compared in. */
static void describe_next(char text[TEXT_MAX], bool with_time, uint8_t flags_seen)
{
    struct tcp_segment segment;
    struct sent_packet packet;

    if (sent_count == 0) {
        strcpy(text, "nothing");
        return;
    }
    packet = next_sent();
    world.ecn_sent = packet.bytes[1] & 3;
    if (parse(&packet, &segment)) {
        world.urgent_sent = segment.urgent;
        segment.seq -= world.iss;
        /* Without the ACK bit the field must be 0 as it is. */
        if ((segment.flags & TCP_ACK) != 0)
            segment.ack -= world.peer_isn;
        shift_sack(&segment.options, -world.peer_isn);
        segment.flags &= flags_seen;
        segment.options.has_timestamps = segment.options.has_timestamps && with_time;
        describe(text, &segment);
    } else {
        snprintf(text, TEXT_MAX, "a packet of protocol %u", packet.bytes[9]);
    }
    free(packet.bytes);
}

void expect_syn_at(const char *file, int line, unsigned flags, tcp_seq seq, tcp_seq ack,
                   struct peer peer)
{
    struct tcp_options options = options_of(peer);

    if (peer.timestamps) {
        options.ts_value = own_time();
        options.ts_echo = (flags & TCP_ACK) != 0 ? peer_time() : 0;
    }
    expect_at(file, line, flags, seq, ack, peer.window, 0, options);
}

void expect_at(const char *file, int line, unsigned flags, tcp_seq seq, tcp_seq ack,
               uint16_t window, uint32_t len, struct tcp_options options)
{
    char expected[TEXT_MAX], got[TEXT_MAX];
    struct tcp_segment segment = {
        .dst.port = world.peer_port,
        .seq = seq,
        .ack = ack,
        .flags = (uint8_t)flags,
        .window = window,
        .payload_len = len,
        .options = options,
    };

    bool any_push = (flags & TCP_PSH) == 0 && !world.exact_push;

    describe(expected, &segment);
    describe_next(got, options.has_timestamps, any_push ? (uint8_t)~TCP_PSH : UINT8_MAX);
    if (strcmp(expected, got) == 0)
        return;
    print_error("expected %s\n     got %s\n", expected, got);
    _fail(file, line);
}

void expect_nothing_at(const char *file, int line)
{
    char got[TEXT_MAX];

    if (sent_count == 0)
        return;
    describe_next(got, true, UINT8_MAX);
    print_error("expected nothing\n     got %s\n", got);
    _fail(file, line);
}

/* ---- the peer ---- */

uint8_t pattern(tcp_seq relative)
{
    return (uint8_t)(relative * 7 + (relative >> 8) * 13);
}

size_t build_ip(uint8_t *packet, uint8_t protocol, const uint8_t *payload, size_t len)
{
    struct ipv4 ip = {
        .src = peer_addr,
        .dst = own_addr,
        .protocol = protocol,
        .ttl = 64,
        .tos = world.ecn,
        .payload_len = len,
    };

    ipv4_write(packet, &ip);
    memmove(packet + IPV4_HEADER, payload, len);
    return IPV4_HEADER + len;
}

/* What a device that verifies checksums can do; false = utcp_expect() knows nothing, or the packet is of another kind. */
static bool hand_in_expected(const uint8_t *packet, size_t len)
{
    struct utcp_slice text;
    size_t header = utcp_expect(world.stack, &text);
    bool taken = false;

    if (header > 0 && header < len && len - header <= text.len) {
        text.len = len - header;
        memcpy(text.data, packet + header, text.len);
        taken = utcp_input_expected(world.stack, packet, header, text, world.now);
    }
    utcp_expect_end(world.stack);
    return taken;
}

void inject_bytes(const uint8_t *packet, size_t len)
{
    /* A copy of just this size, so that a read beyond it is seen by the sanitizer. */
    uint8_t *copy = malloc(len > 0 ? len : 1);

    assert_non_null(copy);
    memcpy(copy, packet, len);
    if (!world.expected || !hand_in_expected(copy, len))
        utcp_input(world.stack, copy, len, 0, world.now);
    free(copy);
    settle();
}

static void inject_segment(struct tcp_segment *segment)
{
    static uint8_t tcp[PACKET_MAX], packet[PACKET_MAX];
    size_t header, len;

    segment->src = peer_endpoint();
    segment->dst = own_endpoint();
    header = tcp_write(tcp, segment);
    for (uint32_t i = 0; i < segment->payload_len; i++)
        tcp[header + i] = pattern(segment->seq - world.peer_isn + i);
    len = build_ip(packet, IP_TCP, tcp, header + segment->payload_len);
    utcp_packet_fill_checksum(packet, len);
    inject_bytes(packet, len);
}

uint32_t own_time(void)
{
    return (uint32_t)(world.now / UTCP_MSEC) + world.ts_offset;
}

uint32_t peer_time(void)
{
    return (uint32_t)((world.now - world.began) / UTCP_MSEC) + world.peer_clock;
}

static void set_time(struct tcp_options *options)
{
    options->has_timestamps = true;
    options->ts_value = peer_time();
    options->ts_echo = world.ts_last;
}

void inject(unsigned flags, tcp_seq seq, tcp_seq ack, uint16_t window, uint32_t len)
{
    inject_with(flags, seq, ack, window, len, (struct tcp_options){0});
}

void inject_with(unsigned flags, tcp_seq seq, tcp_seq ack, uint16_t window, uint32_t len,
                 struct tcp_options options)
{
    struct tcp_segment segment = {
        .seq = world.peer_isn + seq,
        .ack = (flags & TCP_ACK) != 0 ? world.iss + ack : 0,
        .flags = (uint8_t)flags,
        .window = window,
        .payload_len = len,
        .urgent = world.urgent,
        .options = options,
    };

    shift_sack(&segment.options, world.iss);
    if (world.timestamps && !world.silent && !options.has_timestamps && (flags & TCP_RST) == 0)
        set_time(&segment.options);
    inject_segment(&segment);
}

void inject_syn(unsigned flags, tcp_seq seq, tcp_seq ack, struct peer peer)
{
    struct tcp_segment segment = {
        .seq = world.peer_isn + seq,
        .ack = (flags & TCP_ACK) != 0 ? world.iss + ack : 0,
        .flags = (uint8_t)flags,
        .window = peer.window,
        .options = options_of(peer),
    };

    world.peer_scales = segment.options.has_wscale;
    world.timestamps = peer.timestamps && world.settings.timestamps != 0;
    if (peer.timestamps)
        set_time(&segment.options);
    inject_segment(&segment);
}

/* ---- time ---- */

void advance_by(utcp_time ns)
{
    utcp_time end = world.now + ns;

    while (utcp_next_deadline(world.stack) <= end) {
        utcp_time deadline = utcp_next_deadline(world.stack);

        world.now = deadline > world.now ? deadline : world.now;
        utcp_advance(world.stack, world.now);
        settle();
    }
    world.now = end;
    utcp_advance(world.stack, world.now);
    settle();
}

void nothing_before_at(const char *file, int line, utcp_time ns)
{
    advance_by(ns - 1);
    expect_nothing_at(file, line);
    advance_by(1);
}

/* ---- constructors ---- */

struct peer plain_peer(uint16_t window)
{
    return (struct peer){.window = window, .mss = 1000, .wscale = NO_WSCALE};
}

void start_connecting(void)
{
    struct utcp_endpoint own = own_endpoint(), peer = peer_endpoint();

    start_stack();
    world.conn = utcp_open(world.stack, &world);
    assert_non_null(world.conn);
    assert_int_equal(utcp_bind(world.conn, &own), 0);
    assert_int_equal(utcp_connect(world.conn, &peer, world.now), 0);
    settle();
}

void start_listening(unsigned backlog)
{
    struct utcp_endpoint own = own_endpoint();

    start_stack();
    world.listener = utcp_open(world.stack, &world);
    assert_non_null(world.listener);
    assert_int_equal(utcp_bind(world.listener, &own), 0);
    assert_int_equal(utcp_listen(world.listener, backlog), 0);
}

static void set_peer(struct peer peer)
{
    world.peer_mss = peer.mss != 0 ? peer.mss : 536;
    if (world.peer_mss < 48)
        world.peer_mss = 48;
}

void established_client(struct peer peer)
{
    set_peer(peer);
    start_connecting();
    assert_int_equal(drop_sent(), 1);
    advance_by(RTT);
    inject_syn(SA, 0, 1, peer);
    expect_state(TCP_ESTABLISHED);
    assert_int_equal(drop_sent(), 1);
}

void established_server(struct peer peer)
{
    set_peer(peer);
    start_listening(8);
    inject_syn(S, 0, 0, peer);
    assert_int_equal(drop_sent(), 1);
    advance_by(RTT);
    inject(A, 1, 1, peer.window, 0);
    world.conn = utcp_accept(world.listener, &world);
    assert_non_null(world.conn);
    expect_state(TCP_ESTABLISHED);
    expect_nothing();
}

/* ---- the user ---- */

void write_bytes(uint32_t len)
{
    write_with(len, 0);
}

void write_with(uint32_t len, unsigned flags)
{
    struct utcp_slice space[2];
    uint32_t at = 0;

    assert_true(utcp_send_space(world.conn, space) >= (long)len);
    for (size_t slice = 0; slice < 2; slice++) {
        for (size_t i = 0; i < space[slice].len && at < len; i++)
            space[slice].data[i] = pattern(world.written + at++);
    }
    world.written += len;
    utcp_send_commit(world.conn, len, flags, world.now);
    settle();
}

void read_bytes(uint32_t len)
{
    struct utcp_slice data[2];
    uint32_t at = 0;

    assert_true(utcp_receive_data(world.conn, data) >= (long)len);
    for (size_t slice = 0; slice < 2; slice++) {
        for (size_t i = 0; i < data[slice].len && at < len; i++)
            assert_int_equal(data[slice].data[i], pattern(world.read + at++));
    }
    assert_int_equal(at, len);
    world.read += len;
    utcp_receive_commit(world.conn, len, world.now);
    settle();
}

void close_conn(void)
{
    utcp_close(world.conn, world.now);
    settle();
}

void expect_connections(uint32_t count)
{
    struct utcp_population population;

    /* What has ended is freed when the next call begins. */
    utcp_advance(world.stack, world.now);
    utcp_population(world.stack, &population);
    assert_int_equal(population.connections, count);
}
