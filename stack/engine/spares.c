/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * A socket's pair is made by the engine's thread, in whose table one end must lie: a program that opens one
 * connection after the other would wait for that thread each time. So once a second socket is asked for, some are made
 * in advance, and their program's ends are sent into a channel of their own. To take one is to receive a message,
 * and the number of the descriptor is chosen at that moment, as by socket().
 *
 * What lies in the channel when the process ends is closed with it, and shows as hung up. When the engine has closed
 * its end, what still lies there is taken, and then there are no spares.
 */
#include "state.h"

#include "sys.h"

#include <errno.h>

enum {
    LEAST = 4,
    MOST = 16,
    EACH_TURN = 4, /* made before packets have their turn */
};

struct guarded engine_spares = {.fd = -1};

static atomic_int waiting; /* in the channel */
static atomic_bool asked;  /* the thread was asked for a socket, and for the channel */

/* ---- the program's threads ---- */

int spares_take(struct engine_socket **socket)
{
    int fds[2], channel = guarded_intact(&engine_spares);
    long len;

    if (channel < 0)
        return -EAGAIN;
    len = sys_receive_passed(channel, socket, sizeof *socket, fds, MSG_DONTWAIT);
    if (len == -EAGAIN || len == 0)
        return -EAGAIN;
    atomic_fetch_sub(&waiting, 1);
    if (len < 0) {
        engine_socket_drop(*socket);
        return (int)len;
    }
    atomic_store(&(*socket)->spare, false);
    return fds[0];
}

static void open_channel(void)
{
    struct control_reply reply;
    int fd = -1, error = control_call(CONTROL_SPARES, &reply, &fd);

    if (!error && fd >= 0)
        guarded_keep(&engine_spares, fd);
}

void spares_missed(void)
{
    if (!atomic_exchange(&asked, true))
        open_channel();
}

void spares_fork_child(void)
{
    guarded_forget(&engine_spares);
    atomic_store(&waiting, 0);
    atomic_store(&asked, false);
}

/* ---- the engine's thread ---- */

void spares_open(int *program_end)
{
    int ends[2];

    if (engine.spares >= 0 || sys_socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, ends))
        return;
    engine.spares = ends[1];
    *program_end = ends[0];
}

void spares_short(void)
{
    if (engine.spares >= 0 && engine.spares_missed++ > 0 && engine.spares_target < MOST)
        engine.spares_target = engine.spares_target ? 2 * engine.spares_target : LEAST;
}

bool spares_low(void)
{
    return engine.spares >= 0 && 2 * atomic_load(&waiting) < engine.spares_target;
}

static int add(void)
{
    struct engine_socket *socket;
    struct iovec iov = {.iov_base = &socket, .iov_len = sizeof socket};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    struct sys_passed passed;
    long sent;
    int fd, error = socket_make(&socket, &fd);

    if (error)
        return error;
    atomic_store(&socket->spare, true);
    sys_pass(&message, &passed, &fd, 1);
    sent = sys_sendmsg(engine.spares, &message, MSG_DONTWAIT);
    sys_close(fd);
    if (sent < 0)
        engine_socket_drop(socket);
    else
        atomic_fetch_add(&waiting, 1);
    return sent < 0 ? (int)sent : 0;
}

/* Descriptors may be short for a while, so it is tried again when spares are missed again. When the program has closed
 * the channel there are none any more. */
static void give_up(int error)
{
    engine.spares_target = 0;
    engine.spares_missed = 0;
    if (error != -EPIPE)
        return;
    sys_close(engine.spares);
    engine.spares = -1;
}

void spares_refill(void)
{
    int error = 0;

    if (!spares_low())
        return;
    for (int i = 0; !error && i < EACH_TURN && atomic_load(&waiting) < engine.spares_target; i++)
        error = add();
    if (error)
        give_up(error);
}
