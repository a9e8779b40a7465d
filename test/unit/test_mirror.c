/* SPDX-License-Identifier: MIT */
/* What a socketpair shows of a connection, stack/engine/mirror.c: real pairs, made-up connections. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cmocka.h>

#include "state.h"
#include "tcp/tcb.h"

static struct utcp_conn conn;
static struct engine_socket mirrored;
static int program_end;

static int open_pair(void **state)
{
    (void)state;
    conn = (struct utcp_conn){
        .state = TCP_ESTABLISHED,
        .snd_limit = 4096,
        .notsent_lowat = UINT32_MAX,
    };
    mirrored = (struct engine_socket){.conn = &conn, .phase = SOCKET_ACTIVE, .life = 1};
    engine.epoll = epoll_create1(EPOLL_CLOEXEC);
    assert_true(engine.epoll >= 0);
    assert_int_equal(mirror_open(&mirrored, &program_end), 0);
    return 0;
}

static int close_pair(void **state)
{
    (void)state;
    if (program_end >= 0)
        close(program_end);
    mirror_close(&mirrored);
    close(engine.epoll);
    return 0;
}

static unsigned shown(void)
{
    struct pollfd pollfd = {.fd = program_end, .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP};

    assert_true(poll(&pollfd, 1, 0) >= 0);
    return (unsigned)pollfd.revents;
}

static void synchronize(void)
{
    mirror_sync(&mirrored);
    mirror_send_announced();
    mirror_close_ends();
}

/* What the engine's thread sees of its end. */
static uint32_t seen(void)
{
    struct epoll_event event = {0};

    return epoll_wait(engine.epoll, &event, 1, 0) == 1 ? event.events : 0;
}

static void close_program_end(void)
{
    close(program_end);
    program_end = -1;
}

static void peer_says_fin(void)
{
    conn.state = TCP_CLOSE_WAIT;
    conn.fin_received = true;
}

static void a_connection_without_data_is_writable_only(void **state)
{
    (void)state;
    synchronize();
    assert_int_equal(shown(), POLLOUT);
}

static void the_peers_fin_shows_as_end_of_data(void **state)
{
    (void)state;
    peer_says_fin();
    synchronize();
    assert_int_equal(shown(), POLLIN | POLLOUT | POLLRDHUP);
}

static void filler_shows_as_not_writable_until_it_is_drained(void **state)
{
    (void)state;
    assert_int_equal(mirror_fill(&mirrored, program_end), 0);
    assert_int_equal(shown(), 0);
    synchronize();
    assert_int_equal(shown(), POLLOUT);
}

/* The program has text before the urgent byte, takes that, and then the text. */
static void an_urgent_byte_shows_until_it_is_taken(void **state)
{
    (void)state;
    conn.urgent.state = URGENT_HERE;
    conn.urgent.at = 3;
    conn.rcv_buf.len = conn.rcv_nxt = 4;
    synchronize();
    assert_int_equal(shown(), POLLIN | POLLOUT | POLLPRI);
    conn.urgent.state = URGENT_READ;
    assert_int_equal(mirror_take(&mirrored, program_end), 0);
    assert_int_equal(shown(), POLLIN | POLLOUT);
    conn.rcv_buf.len = 1;
    assert_int_equal(mirror_take(&mirrored, program_end), 0);
    assert_int_equal(shown(), POLLOUT);
}

static void an_urgent_byte_alone_leaves_nothing_behind(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        conn.urgent.state = URGENT_HERE;
        conn.rcv_buf.len = conn.rcv_nxt = 1;
        synchronize();
        assert_true((shown() & POLLPRI) != 0);
        conn.urgent.state = URGENT_READ;
        mirror_take(&mirrored, program_end);
        assert_int_equal(shown(), POLLOUT);
    }
    conn.rcv_buf.len = 0;
    conn.urgent.state = URGENT_NONE;
    close_program_end();
    assert_true((seen() & EPOLLHUP) != 0);
}

static void an_error_shows_as_a_reset(void **state)
{
    (void)state;
    conn.state = TCP_CLOSED;
    conn.had_peer = true;
    conn.error = -104;
    synchronize();
    assert_true((shown() & (POLLERR | POLLHUP)) == (POLLERR | POLLHUP));
}

static void the_last_close_is_seen_after_the_fin_was_shown(void **state)
{
    (void)state;
    peer_says_fin();
    synchronize();
    close_program_end();
    assert_true((seen() & EPOLLHUP) != 0);
}

/* The readiness byte cannot be sent any more, and the engine's end must stay as it is: shut, it would
 * show EPOLLHUP from then on, and the close would never be told from that. */
static void a_close_that_races_with_the_fin_is_seen(void **state)
{
    (void)state;
    close_program_end();
    peer_says_fin();
    synchronize();
    assert_int_equal(mirrored.shut, 0);
    assert_true((seen() & EPOLLHUP) != 0);
}

int main(void)
{
#define PAIR_TEST(name) cmocka_unit_test_setup_teardown(name, open_pair, close_pair)
    const struct CMUnitTest tests[] = {
        PAIR_TEST(a_connection_without_data_is_writable_only),
        PAIR_TEST(the_peers_fin_shows_as_end_of_data),
        PAIR_TEST(filler_shows_as_not_writable_until_it_is_drained),
        PAIR_TEST(an_urgent_byte_shows_until_it_is_taken),
        PAIR_TEST(an_urgent_byte_alone_leaves_nothing_behind),
        PAIR_TEST(an_error_shows_as_a_reset),
        PAIR_TEST(the_last_close_is_seen_after_the_fin_was_shown),
        PAIR_TEST(a_close_that_races_with_the_fin_is_seen),
    };

    return cmocka_run_group_tests_name("mirror", tests, NULL, NULL);
}
