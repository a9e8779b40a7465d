/* SPDX-License-Identifier: MIT */
/* Opening connections: RFC 9293 section 3.5 and its figures 6 to 9. */
#include <errno.h>

#include "harness.h"
#include "stack.h"

/* What we say in a SYN by default: Ethernet's MSS, and a shift count of 7. */
static const struct peer ours = {.window = WIN, .mss = 1460, .wscale = 7};
static const struct peer ours_unscaled = {.window = WIN, .mss = 1460, .wscale = NO_WSCALE};

static void connecting_takes_three_segments(void **state)
{
    (void)state;
    start_connecting();
    expect_syn(S, 0, 0, ours);
    expect_state(TCP_SYN_SENT);
    inject_syn(SA, 0, 1, plain_peer(1000));
    expect(A, 1, 1, WIN, 0);
    expect_nothing();
    expect_state(TCP_ESTABLISHED);
    assert_int_equal(utcp_ready(world.conn), UTCP_OUT);
}

static void listening_takes_three_segments(void **state)
{
    (void)state;
    start_listening(1);
    inject_syn(S, 0, 0, plain_peer(1000));
    expect_syn(SA, 0, 1, ours_unscaled);
    assert_null(utcp_accept(world.listener, &world));
    inject(A, 1, 1, 1000, 0);
    expect_nothing();
    assert_int_equal(utcp_ready(world.listener), UTCP_IN);
    world.conn = utcp_accept(world.listener, &world);
    assert_non_null(world.conn);
    expect_state(TCP_ESTABLISHED);
    assert_int_equal(utcp_ready(world.listener), 0);
}

static struct utcp_conn *establish_from(uint16_t port)
{
    world.peer_port = port;
    inject_syn(S, 0, 0, plain_peer(1000));
    expect_syn(SA, 0, 1, ours_unscaled);
    inject(A, 1, 1, 1000, 0);
    return stack_find_tuple(world.stack, &(struct utcp_endpoint){world.stack->addr, OWN_PORT},
                            &(struct utcp_endpoint){peer_endpoint().addr, port});
}

static void who_could_not_be_handed_over_stands_in_front_again(void **state)
{
    struct utcp_conn *first, *second;

    (void)state;
    start_listening(2);
    first = establish_from(5001);
    second = establish_from(5002);
    assert_ptr_equal(utcp_accept(world.listener, &world), first);
    utcp_accept_undo(world.listener, first);
    assert_int_equal(world.listener->accept_count, 2);
    assert_ptr_equal(utcp_accept(world.listener, &world), first);
    assert_ptr_equal(utcp_accept(world.listener, &world), second);
    utcp_abort(first, world.now);
    utcp_abort(second, world.now);
    drop_sent();
}

static void who_is_reset_before_accept_waits_to_tell_so(void **state)
{
    struct utcp_conn *conn;

    (void)state;
    start_listening(2);
    conn = establish_from(5001);
    inject(R, 1, 0, 0, 0);
    assert_int_equal(world.listener->accept_count, 1);
    assert_ptr_equal(utcp_accept(world.listener, &world), conn);
    utcp_accept_undo(world.listener, conn);
    assert_ptr_equal(utcp_accept(world.listener, &world), conn);
    assert_int_equal(utcp_take_error(conn), -ECONNRESET);
    utcp_close(conn, world.now);
    expect_connections(1);
}

static void who_is_reset_before_accept_goes_with_the_listener(void **state)
{
    (void)state;
    start_listening(2);
    establish_from(5001);
    inject(R, 1, 0, 0, 0);
    utcp_close(world.listener, world.now);
    world.listener = NULL;
    expect_nothing();
    expect_connections(0);
}

/* RFC 9293 figure 7. */
static void syns_that_cross_open_one_connection(void **state)
{
    (void)state;
    start_connecting();
    expect_syn(S, 0, 0, ours);
    inject_syn(S, 0, 0, plain_peer(1000));
    expect_syn(SA, 0, 1, ours_unscaled);
    expect_state(TCP_SYN_RECEIVED);
    inject_syn(SA, 0, 1, plain_peer(1000));
    expect_state(TCP_ESTABLISHED);
    expect_nothing();
    write_bytes(10);
    expect(PA, 1, 1, WIN, 10);
}

static void the_window_of_a_crossing_syn_ack_is_not_scaled(void **state)
{
    struct peer peer = {.window = 1000, .mss = 1000, .wscale = 4};

    (void)state;
    start_connecting();
    drop_sent();
    inject_syn(S, 0, 0, peer);
    drop_sent();
    inject_syn(SA, 0, 1, peer);
    expect_state(TCP_ESTABLISHED);
    assert_true(world.conn->snd_wnd <= 1000);
    assert_true(world.conn->snd_wnd > 1000 - 16);
}

/* The peer's SYN-ACK was lost on its way here; ours arrived, so the peer sends an ACK. */
static void a_crossed_syn_is_acknowledged_by_a_bare_ack_as_well(void **state)
{
    (void)state;
    start_connecting();
    inject_syn(S, 0, 0, plain_peer(1000));
    drop_sent();
    inject(A, 1, 1, 1000, 0);
    expect_state(TCP_ESTABLISHED);
    expect_nothing();
}

/* RFC 9293 figure 8, from the side of A: the SYN-ACK answers an old SYN of ours. */
static void a_syn_ack_for_an_old_syn_is_reset(void **state)
{
    (void)state;
    start_connecting();
    expect_syn(S, 0, 0, ours);
    inject_syn(SA, 0, (tcp_seq)-9, plain_peer(1000));
    expect(R, (tcp_seq)-9, 0, 0, 0);
    expect_state(TCP_SYN_SENT);
    inject_syn(SA, 300, 1, plain_peer(1000));
    expect(A, 1, 301, WIN, 0);
    expect_state(TCP_ESTABLISHED);
}

/* RFC 9293 figure 8, from the side of B: the old SYN is taken, and its reset takes us back. */
static void an_old_duplicate_syn_is_forgotten_when_reset(void **state)
{
    (void)state;
    start_listening(1);
    inject_syn(S, 0, 0, plain_peer(1000));
    expect_syn(SA, 0, 1, ours_unscaled);
    inject(R, 1, 0, 0, 0);
    expect_nothing();
    expect_connections(1);
    inject_syn(S, 10, 0, plain_peer(1000));
    expect_syn(SA, 0, 11, ours_unscaled);
    inject(A, 11, 1, 1000, 0);
    assert_non_null(utcp_accept(world.listener, &world));
}

/* The new SYN comes before the peer has reset the old one: the ACK it gets makes the peer do so. */
static void another_syn_in_syn_received_is_answered_with_an_ack(void **state)
{
    (void)state;
    start_listening(1);
    inject_syn(S, 0, 0, plain_peer(1000));
    expect_syn(SA, 0, 1, ours_unscaled);
    inject_syn(S, 10, 0, plain_peer(1000));
    expect(A, 1, 1, WIN, 0);
    expect_nothing();
}

/* RFC 9293 figure 9: A has crashed and knows nothing, B is still connected. */
static void a_half_open_connection_is_found_by_the_ack_that_a_syn_gets(void **state)
{
    (void)state;
    established_server(plain_peer(1000));
    inject_syn(S, 400, 0, plain_peer(1000));
    expect(A, 1, 1, WIN, 0);
    inject(R, 1, 0, 0, 0);
    expect_nothing();
    expect_state(TCP_CLOSED);
    assert_int_equal(utcp_take_error(world.conn), -ECONNRESET);
}

/* ... seen from A, whose SYN is answered by such an ACK. */
static void an_ack_of_something_never_sent_is_reset_in_syn_sent(void **state)
{
    (void)state;
    start_connecting();
    drop_sent();
    inject(A, 300, 100, 1000, 0);
    expect(R, 100, 0, 0, 0);
    expect_state(TCP_SYN_SENT);
}

/* What answered is reset, and gone. */
static void a_syn_that_meets_an_old_connection_goes_again_soon_but_once(void **state)
{
    (void)state;
    start_connecting();
    drop_sent();
    inject(A, 300, 100, 1000, 0);
    expect(R, 100, 0, 0, 0);
    advance_by(8 * UTCP_MSEC);
    expect_syn(S, 0, 0, ours);
    inject(A, 300, 100, 1000, 0);
    expect(R, 100, 0, 0, 0);
    advance_by(500 * UTCP_MSEC);
    expect_nothing();
}

static void a_duplicate_syn_gets_the_same_syn_ack(void **state)
{
    (void)state;
    start_listening(1);
    inject_syn(S, 0, 0, plain_peer(1000));
    expect_syn(SA, 0, 1, ours_unscaled);
    tcp_seq iss = world.iss;
    advance_by(100 * UTCP_MSEC);
    inject_syn(S, 0, 0, plain_peer(1000));
    expect_syn(SA, 0, 1, ours_unscaled);
    assert_int_equal(world.iss, iss);
    expect_nothing();
    expect_connections(2);
}

/* Nothing but the time-out is meant for it, whatever was agreed. */
static void a_lost_syn_ack_with_sack_goes_again_after_a_second(void **state)
{
    struct peer peer = plain_peer(WIN);

    (void)state;
    peer.sack = true;
    world.settings.sack = 1;
    start_listening(1);
    inject_syn(S, 0, 0, peer);
    assert_int_equal(drop_sent(), 1);
    nothing_before(UTCP_SEC);
    assert_int_equal(drop_sent(), 1);
    nothing_before(2 * UTCP_SEC);
    assert_int_equal(drop_sent(), 1);
}

static void a_syn_in_established_is_challenged(void **state)
{
    (void)state;
    established_client(plain_peer(1000));
    inject_syn(S, 1, 0, plain_peer(1000));
    expect(A, 1, 1, WIN, 0);
    advance_by(UTCP_SEC / 2);
    inject_syn(SA, 0, 1, plain_peer(1000));
    expect(A, 1, 1, WIN, 0);
    expect_state(TCP_ESTABLISHED);
    assert_int_equal(utcp_counters(world.stack)->tcp_challenge_acks, 2);
}

/* As Linux: tcp_invalid_ratelimit. */
static void a_connection_challenges_twice_a_second(void **state)
{
    (void)state;
    established_client(plain_peer(1000));
    for (unsigned i = 0; i < 10; i++) {
        inject_syn(S, 1, 0, plain_peer(1000));
        inject(R, 10, 0, 0, 0);
        advance_by(100 * UTCP_MSEC);
    }
    assert_int_equal(drop_sent(), 2);
    expect_state(TCP_ESTABLISHED);
}

/* Opens a connection of the next port of the peer and sends it a SYN that is out of place. */
static void be_challenged_once_more(void)
{
    world.peer_port++;
    inject_syn(S, 0, 0, plain_peer(1000));
    inject(A, 1, 1, 1000, 0);
    world.conn = utcp_accept(world.listener, &world);
    drop_sent();
    inject_syn(S, 1, 0, plain_peer(1000));
}

/* RFC 5961 section 7. An attacker must not be able to count them, so the limit is not exact. */
static void a_stack_challenges_no_more_than_its_limit(void **state)
{
    size_t first = 0, next = 0;

    (void)state;
    world.settings.challenge_acks = 20;
    start_listening(100);
    for (unsigned i = 0; i < 50; i++) {
        be_challenged_once_more();
        first += drop_sent();
    }
    advance_by(UTCP_SEC);
    for (unsigned i = 0; i < 50; i++) {
        be_challenged_once_more();
        next += drop_sent();
    }
    assert_in_range(first, 10, 30);
    assert_in_range(next, 10, 30);
    assert_int_not_equal(first, next);
}

static void a_reset_in_syn_received_frees_its_slot(void **state)
{
    (void)state;
    start_listening(1);
    for (unsigned i = 0; i < 100; i++) {
        inject_syn(S, 0, 0, plain_peer(1000));
        expect_syn(SA, 0, 1, ours_unscaled);
        inject(R, 1, 0, 0, 0);
        expect_connections(1);
    }
    assert_int_equal(utcp_counters(world.stack)->tcp_listen_overflows, 0);
}

static void a_reset_beside_the_number_expected_does_not_end_syn_received(void **state)
{
    (void)state;
    start_listening(1);
    inject_syn(S, 0, 0, plain_peer(1000));
    drop_sent();
    inject(R, 70000, 0, 0, 0);
    inject(R, 0, 0, 0, 0);
    expect_connections(2);
}

static void data_on_the_third_ack_is_kept_until_accept(void **state)
{
    (void)state;
    start_listening(1);
    inject_syn(S, 0, 0, plain_peer(1000));
    drop_sent();
    inject(PA, 1, 1, 1000, 50);
    expect(A, 1, 51, WIN - 50, 0);
    inject(PA, 51, 1, 1000, 50);
    expect(A, 1, 101, WIN - 100, 0);
    world.conn = utcp_accept(world.listener, &world);
    assert_non_null(world.conn);
    assert_int_equal(utcp_ready(world.conn), UTCP_IN | UTCP_OUT);
    read_bytes(100);
}

static void data_when_the_third_ack_was_lost_completes_the_handshake(void **state)
{
    (void)state;
    start_listening(1);
    inject_syn(S, 0, 0, plain_peer(1000));
    drop_sent();
    inject(PA, 101, 1, 1000, 50);
    expect(A, 1, 1, WIN, 0);
    expect_nothing();
    world.conn = utcp_accept(world.listener, &world);
    assert_non_null(world.conn);
    expect_state(TCP_ESTABLISHED);
}

static void connect_from_port(uint16_t port)
{
    world.peer_port = port;
    inject_syn(S, 0, 0, plain_peer(1000));
    if (drop_sent() > 0)
        inject(A, 1, 1, 1000, 0);
}

static void a_full_backlog_drops_and_does_not_reset(void **state)
{
    (void)state;
    start_listening(1);
    connect_from_port(6000);
    connect_from_port(6001); /* Linux queues one more than it was told */
    world.peer_port = 6002;
    inject_syn(S, 0, 0, plain_peer(1000));
    expect_nothing();
    assert_int_equal(utcp_counters(world.stack)->tcp_listen_overflows, 1);
    assert_non_null(utcp_accept(world.listener, &world));
    inject_syn(S, 0, 0, plain_peer(1000));
    expect_syn(SA, 0, 1, ours_unscaled);
}

/* Both had a SYN-ACK before the queue was full: the later ACK is dropped, and asked for again. */
static void a_third_ack_into_a_full_queue_is_asked_for_again(void **state)
{
    tcp_seq iss;

    (void)state;
    start_listening(0);
    world.peer_port = 6000;
    inject_syn(S, 0, 0, plain_peer(1000));
    expect_syn(SA, 0, 1, ours_unscaled);
    iss = world.iss;
    connect_from_port(6001);
    world.peer_port = 6000;
    world.iss = iss;
    inject(A, 1, 1, 1000, 0);
    expect_nothing();
    assert_non_null(utcp_accept(world.listener, &world));
    advance_by(UTCP_SEC);
    expect_syn(SA, 0, 1, ours_unscaled);
    inject(A, 1, 1, 1000, 0);
    assert_non_null(utcp_accept(world.listener, &world));
}

static void many_connections_in_turn_fit_a_small_backlog(void **state)
{
    (void)state;
    start_listening(1);
    for (uint16_t port = 6000; port < 6100; port++) {
        connect_from_port(port);
        world.conn = utcp_accept(world.listener, &world);
        assert_non_null(world.conn);
    }
    assert_int_equal(utcp_counters(world.stack)->tcp_listen_overflows, 0);
}

static void a_flood_of_syns_is_bounded(void **state)
{
    (void)state;
    world.settings.syncookies = 0;
    start_listening(4);
    for (uint16_t port = 10000; port < 11000; port++) {
        world.peer_port = port;
        inject_syn(S, 0, 0, plain_peer(1000));
        drop_sent();
    }
    /* As Linux: one more than the backlog. */
    expect_connections(1 + 5);
    /* Nobody answers the SYN-ACKs: after five repetitions the slots are free again. */
    advance_by(70 * UTCP_SEC);
    drop_sent();
    expect_connections(1);
}

static void a_refused_connection_says_so(void **state)
{
    (void)state;
    start_connecting();
    drop_sent();
    inject(RA, 0, 1, 0, 0);
    expect_nothing();
    expect_state(TCP_CLOSED);
    assert_int_equal(utcp_ready(world.conn), UTCP_IN | UTCP_OUT | UTCP_RDHUP | UTCP_HUP | UTCP_ERR);
    assert_int_equal(utcp_take_error(world.conn), -ECONNREFUSED);
    assert_int_equal(utcp_take_error(world.conn), 0);
}

static void a_reset_that_acknowledges_nothing_is_ignored_in_syn_sent(void **state)
{
    (void)state;
    start_connecting();
    drop_sent();
    inject(R, 0, 0, 0, 0);
    inject(RA, 0, 2, 0, 0);
    inject(RA, 0, 0, 0, 0);
    expect_nothing();
    expect_state(TCP_SYN_SENT);
}

static void a_connection_nobody_listens_for_is_refused(void **state)
{
    (void)state;
    start_stack();
    inject_syn(S, 7, 0, plain_peer(1000));
    expect(RA, 0, 8, 0, 0);
    inject(PA, 7, 55, 1000, 10);
    expect(R, 55, 0, 0, 0);
    inject(R, 7, 0, 0, 0);
    inject(RA, 7, 7, 0, 0);
    expect_nothing();
}

static void a_listener_resets_acks_and_ignores_resets(void **state)
{
    (void)state;
    start_listening(1);
    inject(A, 1, 77, 1000, 0);
    expect(R, 77, 0, 0, 0);
    inject(SA, 1, 77, 1000, 0);
    expect(R, 77, 0, 0, 0);
    inject(R, 1, 0, 0, 0);
    inject(TCP_SYN | TCP_FIN, 1, 0, 0, 0);
    inject(0, 1, 0, 0, 10);
    expect_nothing();
    expect_connections(1);
}

static void a_syn_goes_again_after_1_3_7_seconds_and_gives_up(void **state)
{
    static const unsigned seconds[] = {1, 2, 4, 8, 16, 32};

    (void)state;
    start_connecting();
    expect_syn(S, 0, 0, ours);
    for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
        nothing_before(seconds[i] * UTCP_SEC);
        expect_syn(S, 0, 0, ours);
        expect_nothing();
    }
    nothing_before(60 * UTCP_SEC);
    expect_nothing();
    expect_state(TCP_CLOSED);
    assert_int_equal(utcp_take_error(world.conn), -ETIMEDOUT);
}

static void a_syn_ack_goes_again_after_1_3_7_seconds_and_gives_up(void **state)
{
    static const unsigned seconds[] = {1, 2, 4, 8, 16};

    (void)state;
    start_listening(1);
    inject_syn(S, 0, 0, plain_peer(1000));
    expect_syn(SA, 0, 1, ours_unscaled);
    for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
        nothing_before(seconds[i] * UTCP_SEC);
        expect_syn(SA, 0, 1, ours_unscaled);
    }
    nothing_before(32 * UTCP_SEC);
    expect_nothing();
    expect_connections(1);
}

static void a_failed_attempt_can_be_followed_by_another(void **state)
{
    struct utcp_endpoint peer;

    (void)state;
    start_connecting();
    drop_sent();
    inject(RA, 0, 1, 0, 0);
    assert_int_equal(utcp_take_error(world.conn), -ECONNREFUSED);
    peer = peer_endpoint();
    assert_int_equal(utcp_connect(world.conn, &peer, world.now), 0);
    release();
    expect_syn(S, 0, 0, ours);
}

static void the_window_of_a_syn_is_not_scaled(void **state)
{
    struct peer peer = {.window = 500, .mss = 1000, .wscale = 7};

    (void)state;
    start_connecting();
    expect_syn(S, 0, 0, ours);
    inject_syn(SA, 0, 1, peer);
    /* ... nor is ours, but all that follow are: 1 MB is 8192 units of 128. */
    expect(A, 1, 1, 8192, 0);
    assert_int_equal(world.conn->snd_wnd, 500);
    inject(A, 1, 1, 500, 0);
    assert_int_equal(world.conn->snd_wnd, 500 * 128);
}

static void the_third_ack_is_scaled(void **state)
{
    struct peer peer = {.window = 500, .mss = 1000, .wscale = 3};

    (void)state;
    established_server(peer);
    assert_int_equal(world.conn->snd_wnd, 500 * 8);
}

static void a_peer_without_scaling_gets_none(void **state)
{
    (void)state;
    start_connecting();
    expect_syn(S, 0, 0, ours);
    inject_syn(SA, 0, 1, plain_peer(1000));
    expect(A, 1, 1, WIN, 0);
    inject(A, 1, 1, 2000, 0);
    assert_int_equal(world.conn->snd_wnd, 2000);
}

static void scaling_can_be_turned_off(void **state)
{
    struct peer peer = {.window = 500, .mss = 1000, .wscale = 7};

    (void)state;
    world.settings.window_scaling = 0;
    start_connecting();
    expect_syn(S, 0, 0, ours_unscaled);
    inject_syn(SA, 0, 1, peer);
    expect(A, 1, 1, WIN, 0);
    inject(A, 1, 1, 500, 0);
    assert_int_equal(world.conn->snd_wnd, 500);
}

static void a_shift_count_above_14_is_14(void **state)
{
    struct peer peer = {.window = 500, .mss = 1000, .wscale = 15};

    (void)state;
    established_client(peer);
    assert_int_equal(world.conn->snd_wscale, 14);
}

static void the_peers_mss_is_respected(void **state)
{
    (void)state;
    established_client(plain_peer(WIN));
    write_bytes(2500);
    expect(A, 1, 1, WIN, 1000);
    expect(A, 1001, 1, WIN, 1000);
    expect(PA, 2001, 1, WIN, 500);
    expect_nothing();
}

static void without_an_mss_option_it_is_536(void **state)
{
    struct peer peer = {.window = WIN, .wscale = NO_WSCALE};

    (void)state;
    established_server(peer);
    write_bytes(600);
    expect(A, 1, 1, WIN, 536);
    expect(PA, 537, 1, WIN, 64);
}

static void a_peer_with_an_mss_of_1_gets_48(void **state)
{
    struct peer peer = {.window = WIN, .mss = 1, .wscale = NO_WSCALE};

    (void)state;
    established_client(peer);
    write_bytes(100);
    expect(A, 1, 1, WIN, 48);
    expect(A, 49, 1, WIN, 48);
    expect(PA, 97, 1, WIN, 4);
}

static void an_mss_above_the_mtu_is_cut_down_to_it(void **state)
{
    struct peer peer = {.window = WIN, .mss = 9000, .wscale = NO_WSCALE};

    (void)state;
    world.mtu_bytes = 1000;
    start_connecting();
    expect_syn(S, 0, 0, ((struct peer){.window = WIN, .mss = 960, .wscale = 7}));
    inject_syn(SA, 0, 1, peer);
    drop_sent();
    write_bytes(1000);
    expect(A, 1, 1, WIN, 960);
    expect(PA, 961, 1, WIN, 40);
}

static void a_small_buffer_is_announced_as_it_is(void **state)
{
    (void)state;
    world.settings.rcv_buf = 3000;
    start_connecting();
    expect_syn(S, 0, 0, ((struct peer){.window = 3000, .mss = 1460, .wscale = 7}));
    inject_syn(SA, 0, 1, plain_peer(1000));
    expect(A, 1, 1, 3000, 0);
}

static void without_memory_a_syn_is_dropped(void **state)
{
    (void)state;
    start_listening(1);
    world.memory_left = 0;
    inject_syn(S, 0, 0, plain_peer(1000));
    expect_nothing();
    world.memory_left = SIZE_MAX;
    inject_syn(S, 0, 0, plain_peer(1000));
    expect_syn(SA, 0, 1, ours_unscaled);
}

static void closing_a_listener_resets_what_it_has_not_handed_out(void **state)
{
    (void)state;
    start_listening(4);
    connect_from_port(6000);
    world.conn = world.listener;
    close_conn();
    expect(RA, 1, 1, WIN, 0);
    expect_nothing();
    expect_connections(0);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(connecting_takes_three_segments),
        TEST(listening_takes_three_segments),
        TEST(who_could_not_be_handed_over_stands_in_front_again),
        TEST(who_is_reset_before_accept_waits_to_tell_so),
        TEST(who_is_reset_before_accept_goes_with_the_listener),
        TEST(syns_that_cross_open_one_connection),
        TEST(the_window_of_a_crossing_syn_ack_is_not_scaled),
        TEST(a_crossed_syn_is_acknowledged_by_a_bare_ack_as_well),
        TEST(a_syn_ack_for_an_old_syn_is_reset),
        TEST(an_old_duplicate_syn_is_forgotten_when_reset),
        TEST(another_syn_in_syn_received_is_answered_with_an_ack),
        TEST(a_half_open_connection_is_found_by_the_ack_that_a_syn_gets),
        TEST(an_ack_of_something_never_sent_is_reset_in_syn_sent),
        TEST(a_syn_that_meets_an_old_connection_goes_again_soon_but_once),
        TEST(a_duplicate_syn_gets_the_same_syn_ack),
        TEST(a_lost_syn_ack_with_sack_goes_again_after_a_second),
        TEST(a_syn_in_established_is_challenged),
        TEST(a_connection_challenges_twice_a_second),
        TEST(a_stack_challenges_no_more_than_its_limit),
        TEST(a_reset_in_syn_received_frees_its_slot),
        TEST(a_reset_beside_the_number_expected_does_not_end_syn_received),
        TEST(data_on_the_third_ack_is_kept_until_accept),
        TEST(data_when_the_third_ack_was_lost_completes_the_handshake),
        TEST(a_full_backlog_drops_and_does_not_reset),
        TEST(a_third_ack_into_a_full_queue_is_asked_for_again),
        TEST(many_connections_in_turn_fit_a_small_backlog),
        TEST(a_flood_of_syns_is_bounded),
        TEST(a_refused_connection_says_so),
        TEST(a_reset_that_acknowledges_nothing_is_ignored_in_syn_sent),
        TEST(a_connection_nobody_listens_for_is_refused),
        TEST(a_listener_resets_acks_and_ignores_resets),
        TEST(a_syn_goes_again_after_1_3_7_seconds_and_gives_up),
        TEST(a_syn_ack_goes_again_after_1_3_7_seconds_and_gives_up),
        TEST(a_failed_attempt_can_be_followed_by_another),
        TEST(the_window_of_a_syn_is_not_scaled),
        TEST(the_third_ack_is_scaled),
        TEST(a_peer_without_scaling_gets_none),
        TEST(scaling_can_be_turned_off),
        TEST(a_shift_count_above_14_is_14),
        TEST(the_peers_mss_is_respected),
        TEST(without_an_mss_option_it_is_536),
        TEST(a_peer_with_an_mss_of_1_gets_48),
        TEST(an_mss_above_the_mtu_is_cut_down_to_it),
        TEST(a_small_buffer_is_announced_as_it_is),
        TEST(without_memory_a_syn_is_dropped),
        TEST(closing_a_listener_resets_what_it_has_not_handed_out),
    };

    select_test(argc, argv);
    return cmocka_run_group_tests_name("handshake", tests, NULL, NULL);
}
