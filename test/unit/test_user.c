/* SPDX-License-Identifier: MIT */
/* The user calls of RFC 9293 section 3.10, settings, ports, events and shortage of memory. */
#include <errno.h>

#include "harness.h"

static const struct utcp_addr own = {UTCP_IPV4, {10, 0, 0, 1}};
static const struct utcp_addr any = {UTCP_IPV4, {0}};

static struct utcp_conn *open_conn(void)
{
    struct utcp_conn *conn;

    start_stack();
    conn = utcp_open(world.stack, &world);
    assert_non_null(conn);
    return conn;
}

static int bind_to(struct utcp_conn *conn, struct utcp_addr addr, uint16_t port)
{
    return utcp_bind(conn, &(struct utcp_endpoint){addr, port});
}

static int connect_to(struct utcp_conn *conn, uint8_t first_byte, uint16_t port)
{
    struct utcp_endpoint remote = {{UTCP_IPV4, {first_byte, 0, 0, 2}}, port};

    return utcp_connect(conn, &remote, world.now);
}

static uint16_t port_of(const struct utcp_conn *conn)
{
    struct utcp_info info;

    utcp_info(conn, world.now, &info);
    return info.local.port;
}

/* ---- settings ---- */

static struct utcp_stack *create(struct utcp_settings settings, uint32_t mtu, const char *cc)
{
    struct utcp_config config = {.settings = settings, .addr = own, .mtu_bytes = mtu};

    config.congestion = cc;
    return utcp_create(&config, 0);
}

static void a_configuration_that_makes_no_sense_is_refused(void **state)
{
    struct utcp_settings settings = world.settings;

    (void)state;
    assert_null(create(settings, 67, NULL));
    assert_null(create(settings, 65536, NULL));
    assert_null(create(settings, 1500, "no such thing"));
    settings.rto_min = 0;
    assert_null(create(settings, 1500, NULL));
    settings = world.settings;
    settings.wscale = 15;
    assert_null(create(settings, 1500, NULL));
    settings = world.settings;
    settings.port_first = settings.port_last + 1;
    assert_null(create(settings, 1500, NULL));
}

/* ---- ports ---- */

static void binding_says_what_is_wrong(void **state)
{
    struct utcp_addr foreign = {UTCP_IPV4, {10, 0, 0, 9}}, v6 = {UTCP_IPV6, {0}};
    struct utcp_conn *a, *b;

    (void)state;
    a = open_conn();
    b = open_conn();
    assert_int_equal(bind_to(a, foreign, 80), -EADDRNOTAVAIL);
    assert_int_equal(bind_to(a, v6, 80), -EAFNOSUPPORT);
    assert_int_equal(bind_to(a, own, 80), 0);
    assert_int_equal(bind_to(a, own, 81), -EINVAL);
    assert_int_equal(bind_to(b, any, 80), -EADDRINUSE);
    assert_int_equal(bind_to(b, any, 81), 0);
}

static void binding_to_port_zero_picks_an_ephemeral_one(void **state)
{
    struct utcp_conn *a, *b;

    (void)state;
    a = open_conn();
    b = open_conn();
    assert_int_equal(bind_to(a, any, 0), 0);
    assert_int_equal(bind_to(b, any, 0), 0);
    assert_in_range(port_of(a), 32768, 60999);
    assert_in_range(port_of(b), 32768, 60999);
    assert_int_not_equal(port_of(a), port_of(b));
}

static void a_port_is_free_again_once_its_socket_is_closed(void **state)
{
    struct utcp_conn *a;

    (void)state;
    a = open_conn();
    assert_int_equal(bind_to(a, any, 80), 0);
    utcp_close(a, world.now);
    a = open_conn();
    assert_int_equal(bind_to(a, any, 80), 0);
}

static void one_ephemeral_port_serves_many_destinations(void **state)
{
    (void)state;
    world.settings.port_first = world.settings.port_last = 40000;
    assert_int_equal(connect_to(open_conn(), 10, 80), 0);
    assert_int_equal(connect_to(open_conn(), 10, 80), -EADDRNOTAVAIL);
    assert_int_equal(connect_to(open_conn(), 10, 81), 0);
    assert_int_equal(connect_to(open_conn(), 11, 80), 0);
}

static void two_listen_on_a_port_only_when_both_say_so(void **state)
{
    struct utcp_conn *a, *b;

    (void)state;
    a = open_conn();
    utcp_set_option(a, UTCP_OPT_REUSEPORT, 1);
    assert_int_equal(bind_to(a, any, 80), 0);
    assert_int_equal(utcp_listen(a, 1), 0);
    b = open_conn();
    assert_int_equal(bind_to(b, any, 80), -EADDRINUSE);
    utcp_set_option(b, UTCP_OPT_REUSEADDR, 1);
    assert_int_equal(bind_to(b, any, 80), -EADDRINUSE);
    utcp_set_option(b, UTCP_OPT_REUSEPORT, 1);
    assert_int_equal(bind_to(b, any, 80), 0);
    assert_int_equal(utcp_listen(b, 1), 0);
}

/* Bound by two, listened to by the first. */
static void the_second_listener_of_a_reused_address_is_refused(void **state)
{
    struct utcp_conn *a, *b;

    (void)state;
    a = open_conn();
    b = open_conn();
    utcp_set_option(a, UTCP_OPT_REUSEADDR, 1);
    utcp_set_option(b, UTCP_OPT_REUSEADDR, 1);
    assert_int_equal(bind_to(a, any, 80), 0);
    assert_int_equal(bind_to(b, any, 80), 0);
    assert_int_equal(utcp_listen(a, 1), 0);
    assert_int_equal(utcp_listen(b, 1), -EADDRINUSE);
}

static void a_server_starts_again_over_its_time_wait(void **state)
{
    struct utcp_conn *again;

    (void)state;
    start_listening(1);
    utcp_set_option(world.listener, UTCP_OPT_REUSEADDR, 1);
    inject_syn(S, 0, 0, plain_peer(WIN));
    drop_sent();
    inject(A, 1, 1, WIN, 0);
    world.conn = utcp_accept(world.listener, &world);
    close_conn();
    inject(FA, 1, 2, WIN, 0);
    drop_sent();
    expect_state(TCP_TIME_WAIT);
    utcp_close(world.listener, world.now);
    again = open_conn();
    assert_int_equal(bind_to(again, any, OWN_PORT), -EADDRINUSE);
    utcp_set_option(again, UTCP_OPT_REUSEADDR, 1);
    assert_int_equal(bind_to(again, any, OWN_PORT), 0);
    assert_int_equal(utcp_listen(again, 1), 0);
}

static void a_server_starts_again_while_a_child_lives_on(void **state)
{
    struct utcp_conn *again;

    (void)state;
    start_listening(1);
    utcp_set_option(world.listener, UTCP_OPT_REUSEADDR, 1);
    inject_syn(S, 0, 0, plain_peer(WIN));
    drop_sent();
    inject(A, 1, 1, WIN, 0);
    world.conn = utcp_accept(world.listener, &world);
    utcp_close(world.listener, world.now);
    again = open_conn();
    assert_int_equal(bind_to(again, any, OWN_PORT), -EADDRINUSE);
    utcp_set_option(again, UTCP_OPT_REUSEADDR, 1);
    assert_int_equal(bind_to(again, any, OWN_PORT), 0);
    assert_int_equal(utcp_listen(again, 1), 0);
    /* ... and the child hears what is meant for it. */
    inject(PA, 1, 1, WIN, 10);
    expect(A, 1, 11, WIN - 10, 0);
    read_bytes(10);
}

static void listening_without_binding_picks_a_port(void **state)
{
    struct utcp_conn *conn;

    (void)state;
    conn = open_conn();
    assert_int_equal(utcp_listen(conn, 3), 0);
    assert_in_range(port_of(conn), 32768, 60999);
    assert_int_equal(utcp_listen(conn, 5), 0);
    assert_null(utcp_accept(conn, &world));
}

/* ---- OPEN ---- */

static void connecting_says_what_is_wrong(void **state)
{
    struct utcp_endpoint v6 = {{UTCP_IPV6, {0}}, 80};
    struct utcp_conn *conn;

    (void)state;
    conn = open_conn();
    assert_int_equal(connect_to(conn, 10, 0), -ENETUNREACH);
    assert_int_equal(connect_to(conn, 224, 80), -ENETUNREACH);
    assert_int_equal(connect_to(conn, 255, 80), -ENETUNREACH);
    assert_int_equal(utcp_connect(conn, &v6, world.now), -EAFNOSUPPORT);
    assert_int_equal(connect_to(conn, 10, 80), 0);
    assert_int_equal(connect_to(conn, 10, 80), -EALREADY);
    assert_int_equal(utcp_listen(conn, 1), -EINVAL);
    release();
    drop_sent();
    established_client(plain_peer(WIN));
    assert_int_equal(connect_to(world.conn, 10, 80), -EISCONN);
    assert_int_equal(utcp_listen(world.conn, 1), -EINVAL);
}

static void calls_before_the_connection_say_so(void **state)
{
    struct utcp_slice slices[2];
    struct utcp_conn *conn;

    (void)state;
    conn = open_conn();
    assert_int_equal(utcp_receive_data(conn, slices), -ENOTCONN);
    assert_int_equal(utcp_send_space(conn, slices), -EPIPE);
    assert_int_equal(utcp_shutdown(conn, UTCP_SHUT_WR, world.now), -ENOTCONN);
    assert_int_equal(connect_to(conn, 10, 80), 0);
    assert_int_equal(utcp_receive_data(conn, slices), -EAGAIN);
    assert_int_equal(utcp_send_space(conn, slices), -EAGAIN);
    assert_int_equal(utcp_ready(conn), 0);
}

/* ---- options and STATUS ---- */

static void ttl_and_tos_are_those_of_the_socket(void **state)
{
    uint8_t packet[1500];

    (void)state;
    established_client(plain_peer(WIN));
    assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_TTL, 7), 0);
    assert_int_equal(utcp_set_option(world.conn, UTCP_OPT_TOS, 0x13), 0);
    write_bytes(1);
    assert_int_equal(take_packet(packet, sizeof(packet)), 41);
    assert_int_equal(packet[8], 7);
    assert_int_equal(packet[1], 0x10); /* the ECN bits are not the user's */
    assert_int_equal(packet[6], 0x40); /* do not fragment */
}

static void options_out_of_range_are_refused(void **state)
{
    struct utcp_conn *conn;

    (void)state;
    conn = open_conn();
    assert_int_equal(utcp_set_option(conn, UTCP_OPT_TTL, 0), -EINVAL);
    assert_int_equal(utcp_set_option(conn, UTCP_OPT_TTL, 256), -EINVAL);
    assert_int_equal(utcp_set_option(conn, UTCP_OPT_TOS, 256), -EINVAL);
    assert_int_equal(utcp_get_option(conn, UTCP_OPT_TOS), 0);
    assert_int_equal(utcp_set_option(conn, UTCP_OPT_MAXSEG, 47), -EINVAL);
    assert_int_equal(utcp_set_option(conn, UTCP_OPT_RCV_BUF, UINT64_MAX), -EINVAL);
    assert_int_equal(utcp_set_option(conn, UTCP_OPT_RCV_BUF, 1), 0);
    assert_int_equal(utcp_get_option(conn, UTCP_OPT_RCV_BUF), 256);
}

static void maxseg_bounds_what_is_announced_and_used(void **state)
{
    struct peer ours = {.window = WIN, .mss = 700, .wscale = 7};

    (void)state;
    world.settings.mss = 700;
    start_connecting();
    expect_syn(S, 0, 0, ours);
    inject_syn(SA, 0, 1, plain_peer(WIN));
    drop_sent();
    write_bytes(800);
    expect(A, 1, 1, WIN, 700);
    expect(PA, 701, 1, WIN, 100);
}

static void a_child_has_its_listeners_options(void **state)
{
    uint8_t packet[1500];

    (void)state;
    start_listening(1);
    utcp_set_option(world.listener, UTCP_OPT_TTL, 9);
    utcp_set_option(world.listener, UTCP_OPT_NODELAY, 1);
    inject_syn(S, 0, 0, plain_peer(WIN));
    take_packet(packet, sizeof(packet));
    assert_int_equal(packet[8], 9);
    inject(A, 1, 1, WIN, 0);
    world.conn = utcp_accept(world.listener, &world);
    assert_int_equal(utcp_get_option(world.conn, UTCP_OPT_NODELAY), 1);
}

static void status_tells_what_is_queued_and_counted(void **state)
{
    struct utcp_info info;

    (void)state;
    established_client(plain_peer(2000));
    write_bytes(3000);
    inject(PA, 1, 1001, 1000, 300);
    utcp_info(world.conn, world.now, &info);
    assert_int_equal(info.state, TCP_ESTABLISHED);
    assert_int_equal(info.local.port, OWN_PORT);
    assert_int_equal(info.remote.port, PEER_PORT);
    assert_int_equal(info.mss, 1000);
    assert_int_equal(info.snd_queued, 2000);
    assert_int_equal(info.snd_unsent, 1000);
    assert_int_equal(info.rcv_queued, 300);
    assert_int_equal(info.bytes_sent, 2000);
    assert_int_equal(info.bytes_acked, 1000);
    assert_int_equal(info.bytes_received, 300);
    assert_int_equal(info.total_retransmits, 0);
    drop_sent();
}

/* As Linux: there is always a last time to tell of. */
static void the_last_data_counts_from_the_handshake(void **state)
{
    struct utcp_info info;
    utcp_time end;

    (void)state;
    established_client(plain_peer(WIN));
    end = world.now;
    advance_by(UTCP_SEC);
    utcp_info(world.conn, world.now, &info);
    assert_int_equal(info.data_sent_at, end);
    assert_int_equal(info.data_received_at, end);
    inject(PA, 1, 1, WIN, 300);
    utcp_info(world.conn, world.now, &info);
    assert_int_equal(info.data_sent_at, end);
    assert_int_equal(info.data_received_at, world.now);
    drop_sent();
}

/* Nothing happens meanwhile: the time of asking counts. */
static void the_time_spent_on_waiting_for_a_window_runs_until_now(void **state)
{
    struct utcp_info info;

    (void)state;
    established_client(plain_peer(1000));
    write_bytes(3000);
    assert_int_equal(drop_sent(), 1);
    utcp_info(world.conn, world.now + 5 * UTCP_MSEC, &info);
    assert_int_equal(info.window_limited, 5 * UTCP_MSEC);
    assert_int_equal(info.busy_time, 5 * UTCP_MSEC);
    utcp_info(world.conn, world.now + 7 * UTCP_MSEC, &info);
    assert_int_equal(info.window_limited, 7 * UTCP_MSEC);
}

/* A full buffer, all of it in flight, is no obstacle when the congestion window is as full. */
static void a_full_buffer_limits_only_a_window_that_would_take_more(void **state)
{
    struct utcp_info info;

    (void)state;
    established_client(plain_peer(WIN));
    utcp_set_option(world.conn, UTCP_OPT_SND_BUF, 10000);
    write_bytes(10000);
    assert_int_equal(drop_sent(), 10);
    utcp_info(world.conn, world.now + 5 * UTCP_MSEC, &info);
    assert_int_equal(info.buffer_limited, 0);
    assert_int_equal(info.busy_time, 5 * UTCP_MSEC);
    world.conn->cc.ssthresh = 5000;
    inject(A, 1, 2001, WIN, 0);
    write_bytes(2000);
    inject(A, 1, 4001, WIN, 0);
    assert_int_equal(drop_sent(), 2);
    utcp_info(world.conn, world.now + 5 * UTCP_MSEC, &info);
    assert_int_equal(info.buffer_limited, 0);
}

static void the_population_tells_who_has_something_to_say(void **state)
{
    struct utcp_population population;

    (void)state;
    established_client(plain_peer(WIN));
    utcp_population(world.stack, &population);
    assert_int_equal(population.unfinished, 1);
    close_conn();
    utcp_population(world.stack, &population);
    assert_int_equal(population.unfinished, 1);
    inject(FA, 1, 2, WIN, 0);
    drop_sent();
    utcp_population(world.stack, &population);
    assert_int_equal(population.connections, 1);
    assert_int_equal(population.unfinished, 0);
    assert_int_equal(population.linger, 0);
}

static void the_population_tells_that_the_peers_fin_may_come(void **state)
{
    struct utcp_population population;

    (void)state;
    established_client(plain_peer(WIN));
    close_conn();
    inject(A, 1, 2, WIN, 0);
    drop_sent();
    expect_state(TCP_FIN_WAIT_2);
    utcp_population(world.stack, &population);
    assert_int_equal(population.unfinished, 0);
    assert_true(population.linger > 3 * world.conn->rtt.rto);
}

static void the_population_tells_that_a_lost_ack_may_be_asked_for_again(void **state)
{
    struct utcp_population population;

    (void)state;
    established_client(plain_peer(WIN));
    inject(A, 101, 1, WIN, 100);
    inject(A, 1, 1, WIN, 100);
    read_bytes(200);
    close_conn();
    inject(FA, 201, 2, WIN, 0);
    drop_sent();
    expect_state(TCP_TIME_WAIT);
    utcp_population(world.stack, &population);
    assert_int_equal(population.unfinished, 0);
    assert_true(population.linger > 3 * world.conn->rtt.rto);
}

/* ---- events ---- */

static void each_arrival_is_an_event(void **state)
{
    unsigned before;

    (void)state;
    established_client(plain_peer(WIN));
    assert_int_equal(world.last_ready, UTCP_OUT);
    before = world.events;
    inject(PA, 1, 1, WIN, 10);
    inject(PA, 11, 1, WIN, 10);
    assert_int_equal(world.events, before + 2); /* an edge-triggered poller wants both */
    assert_int_equal(world.last_ready, UTCP_IN | UTCP_OUT);
    read_bytes(20);
    assert_int_equal(world.last_ready, UTCP_OUT);
    drop_sent();
}

static void a_bare_ack_is_no_event_while_there_is_room(void **state)
{
    unsigned before;

    (void)state;
    established_client(plain_peer(WIN));
    write_bytes(100);
    before = world.events;
    inject(A, 1, 101, WIN, 0);
    assert_int_equal(world.events, before);
    drop_sent();
}

static void a_closed_socket_makes_no_events(void **state)
{
    unsigned before;

    (void)state;
    established_client(plain_peer(WIN));
    close_conn();
    before = world.events;
    inject(FA, 1, 2, WIN, 0);
    advance_by(60 * UTCP_SEC);
    assert_int_equal(world.events, before);
    drop_sent();
}

static void shutting_both_ways_hangs_up(void **state)
{
    struct utcp_slice data[2];

    (void)state;
    established_client(plain_peer(WIN));
    assert_int_equal(utcp_shutdown(world.conn, UTCP_SHUT_RD | UTCP_SHUT_WR, world.now), 0);
    release();
    assert_int_equal(world.last_ready, UTCP_IN | UTCP_OUT | UTCP_RDHUP | UTCP_HUP);
    assert_int_equal(utcp_receive_data(world.conn, data), 0);
    drop_sent();
}

/* ---- memory ---- */

/* What a server does, as far as memory goes. */
static void converse(size_t allocations)
{
    struct utcp_slice space[2];

    start_listening(1);
    world.memory_left = allocations;
    inject_syn(S, 0, 0, plain_peer(WIN));
    if (drop_sent() == 0)
        return;
    inject(PA, 1, 1, WIN, 100);
    inject(PA, 201, 1, WIN, 100);
    world.conn = utcp_accept(world.listener, &world);
    assert_non_null(world.conn);
    if (utcp_send_space(world.conn, space) > 0)
        write_bytes(100);
    close_conn();
    drop_sent();
}

static void no_shortage_of_memory_breaks_anything(void **state)
{
    (void)state;
    for (size_t allocations = 0; allocations < 12; allocations++) {
        converse(allocations);
        utcp_destroy(world.stack);
        assert_int_equal(world.memory_bytes, 0);
        world_setup(state);
    }
}

static void without_memory_there_is_no_stack(void **state)
{
    (void)state;
    for (size_t allocations = 0; allocations < 2; allocations++) {
        world.memory_left = allocations;
        assert_null(try_stack());
        assert_int_equal(world.memory_bytes, 0);
    }
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(a_configuration_that_makes_no_sense_is_refused),
        TEST(binding_says_what_is_wrong),
        TEST(binding_to_port_zero_picks_an_ephemeral_one),
        TEST(a_port_is_free_again_once_its_socket_is_closed),
        TEST(one_ephemeral_port_serves_many_destinations),
        TEST(two_listen_on_a_port_only_when_both_say_so),
        TEST(the_second_listener_of_a_reused_address_is_refused),
        TEST(a_server_starts_again_over_its_time_wait),
        TEST(a_server_starts_again_while_a_child_lives_on),
        TEST(listening_without_binding_picks_a_port),
        TEST(connecting_says_what_is_wrong),
        TEST(calls_before_the_connection_say_so),
        TEST(ttl_and_tos_are_those_of_the_socket),
        TEST(options_out_of_range_are_refused),
        TEST(maxseg_bounds_what_is_announced_and_used),
        TEST(a_child_has_its_listeners_options),
        TEST(status_tells_what_is_queued_and_counted),
        TEST(the_last_data_counts_from_the_handshake),
        TEST(the_time_spent_on_waiting_for_a_window_runs_until_now),
        TEST(a_full_buffer_limits_only_a_window_that_would_take_more),
        TEST(the_population_tells_who_has_something_to_say),
        TEST(the_population_tells_that_the_peers_fin_may_come),
        TEST(the_population_tells_that_a_lost_ack_may_be_asked_for_again),
        TEST(each_arrival_is_an_event),
        TEST(a_bare_ack_is_no_event_while_there_is_room),
        TEST(a_closed_socket_makes_no_events),
        TEST(shutting_both_ways_hangs_up),
        TEST(no_shortage_of_memory_breaks_anything),
        TEST(without_memory_there_is_no_stack),
    };

    select_test(argc, argv);
    return cmocka_run_group_tests_name("user", tests, NULL, NULL);
}
