/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * Connections wait in the core's queue, where the backlog counts them. That there are some is mirrored as for bytes that
 * wait to be read (mirror.c): each that arrives is an edge. accept() takes the first one by itself, with a socket
 * made in advance (spares.c), and the engine's thread has no part in it.
 *
 * A listener that other processes may have, too, is a bridged one (bridge.c): its pair carries its connections. For each
 * one that the core has established, the engine's thread makes a pair, and sends the program's end of it through
 * the listener's pair, together with a pointer to the socket and all that such a process must know. So the listener turns
 * readable, accept() is a recvmsg(), and the kernel settles which process gets the connection.
 *
 * What the listener's pair has no room for stays in the core's queue. What was sent and is never
 * fetched is closed by the kernel with the listener, which shows as a hang-up like any other.
 */
#include "state.h"

#include "sys.h"

#include <errno.h>
#include <string.h>

enum {
    OFFER_RETRY_MS = 20,
    OFFERS_BYTES = 1 << 20, /* room in a pair that was full once, cut down to net.core.wmem_max */
};

/* Gives the first connection that waits to a socket. Under the lock. */
static void attach(struct engine_socket *listener, struct engine_socket *socket,
                   struct engine_endpoint *remote)
{
    struct utcp_endpoint endpoint = {0};

    utcp_next_to_accept(listener->conn, &endpoint);
    *remote = endpoint_from_core(&endpoint);
    socket->conn = utcp_accept(listener->conn, socket);
    socket_inherit_extra(socket, listener);
    socket->inet6 = listener->inet6;
    socket->phase = SOCKET_ACTIVE;
}

/* ---- by the program's thread ---- */

static bool listens(const struct engine_socket *socket)
{
    return socket->phase == SOCKET_LISTENING && socket->conn;
}

/* Whether one waits; if none does, the descriptor shows it. Under the lock. */
static int look(struct engine_socket *listener, int fd)
{
    int error;

    if (listener->bridged)
        return -EREMOTE;
    if (!listens(listener))
        return -EINVAL;
    if (utcp_ready(listener->conn) & UTCP_IN)
        return 0;
    error = mirror_take(listener, fd);
    return error ? error : -EAGAIN;
}

/* The descriptor is made before a connection is taken, so that one waits on where there is no descriptor left. */
static int make_and_attach(struct engine_socket *listener, int listener_fd,
                           struct engine_socket **accepted, struct engine_endpoint *remote)
{
    int error, fd = socket_open(accepted);

    if (fd < 0)
        return fd;
    engine_lock();
    error = engine.gone ? -EPIPE : look(listener, listener_fd);
    if (!error)
        attach(listener, *accepted, remote);
    if (!error) {
        mirror_take(listener, listener_fd);
        lead_review(*accepted);
    }
    engine_unlock_waking_but(*accepted, UTCP_IN); /* most programs read at once */
    if (!error)
        return fd;
    /* Another thread was faster. */
    sys_close(fd);
    engine_closed(*accepted);
    engine_socket_drop(*accepted);
    return error;
}

static int accept_here(struct engine_socket *listener, int listener_fd,
                       struct engine_socket **accepted, struct engine_endpoint *remote)
{
    uint64_t signals;
    int fd = engine_enter(listener, &signals);

    if (fd)
        return fd;
    fd = look(listener, listener_fd);
    engine_unlock_waking();
    if (!fd)
        fd = make_and_attach(listener, listener_fd, accepted, remote);
    sys_block_signals(signals);
    return fd;
}

/* ---- through the listener's pair ---- */

/* What passes through a listener's pair with each descriptor. */
struct socket_offer {
    uint64_t token; /* tells offers of this process's engine from those of another's */
    struct engine_socket *socket;
    uint64_t key;
    bool inet6;
    struct engine_endpoint remote;
};

/* Sends a descriptor and the socket behind it through the listener's pair. */
static int send_offer(const struct offered *offered)
{
    const struct engine_socket *socket = offered->socket;
    struct socket_offer offer = {.token = engine.token,
                                 .socket = offered->socket,
                                 .key = socket->key,
                                 .inet6 = offered->listener->inet6,
                                 .remote = offered->remote};
    struct iovec iov = {.iov_base = &offer, .iov_len = sizeof offer};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    struct sys_passed passed;
    long sent;

    sys_pass(&message, &passed, &offered->fd, 1);
    sent = sys_sendmsg(offered->listener->end, &message, MSG_DONTWAIT);
    return sent < 0 ? (int)sent : 0;
}

/* A socket that was made in advance, or else now. */
static int ready_socket(struct engine_socket **socket, int *fd)
{
    int error;

    *socket = spares_pop();
    if (*socket) {
        *fd = atomic_exchange(&(*socket)->copy, -1);
        return 0;
    }
    spares_short();
    *socket = socket_new();
    if (!*socket)
        return -ENOMEM;
    error = mirror_open(*socket, fd);
    if (error)
        socket_release(*socket);
    return error;
}

/* Takes a connection from the core, and has it sent when the lock is free. */
static int offer_one(struct engine_socket *listener)
{
    struct offered *offered = &engine.offered[engine.offered_count];
    int error = ready_socket(&offered->socket, &offered->fd);

    if (error)
        return error;
    offered->listener = listener;
    bridge_accepted(offered->socket, offered->fd);
    attach(listener, offered->socket, &offered->remote);
    mirror_sync(offered->socket);
    engine.offered_count++;
    return 0;
}

void socket_offer_connections(struct engine_socket *listener)
{
    int error = 0;

    while (!error && engine.offered_count < OFFERED_MOST && (utcp_ready(listener->conn) & UTCP_IN))
        error = offer_one(listener);
    if (error || (utcp_ready(listener->conn) & UTCP_IN))
        engine.retry_at = engine_now() + (error ? OFFER_RETRY_MS * UTCP_MSEC : 0);
}

/* What could not be sent goes back to the core's queue, unless nobody listens any more. */
static void take_back(const struct offered *offered)
{
    struct engine_socket *listener = offered->listener, *socket = offered->socket;

    sys_close(offered->fd);
    if (listens(listener))
        utcp_accept_undo(listener->conn, socket->conn);
    else
        utcp_abort(socket->conn, engine_now());
    socket->conn = NULL;
    mirror_close(socket);
    socket_release(socket);
}

/* The last one first, so that they stand in line as before. */
static void take_back_from(unsigned first, int error)
{
    struct engine_socket *listener = engine.offered[first].listener;
    struct epoll_event event = {.events = EPOLLOUT | EPOLLET, .data.ptr = listener};

    engine_lock();
    for (unsigned i = engine.offered_count; i-- > first;) {
        take_back(&engine.offered[i]);
        if (engine.offered[i].listener != listener)
            socket_mark(engine.offered[i].listener);
    }
    engine_unlock();
    if (error == -EAGAIN) {
        sys_setsockopt(listener->end, SOL_SOCKET, SO_SNDBUF, OFFERS_BYTES);
        sys_epoll_ctl(engine.epoll, EPOLL_CTL_MOD, listener->end, &event);
    } else {
        engine.retry_at = engine_now() + OFFER_RETRY_MS * UTCP_MSEC;
    }
}

void socket_send_offered(void)
{
    for (unsigned i = 0; i < engine.offered_count; i++) {
        int error = send_offer(&engine.offered[i]);

        if (error) {
            take_back_from(i, error);
            break;
        }
        sys_close(engine.offered[i].fd);
        engine_socket_drop(engine.offered[i].socket);
    }
    engine.offered_count = 0;
}

/* Receives an offer; the descriptor that came with it, or a negative errno. */
static int receive_offer(int listener_fd, engine_recvmsg *receive, struct socket_offer *offer)
{
    _Alignas(struct cmsghdr) char ancillary[CMSG_SPACE(sizeof(int))];
    struct iovec iov = {.iov_base = offer, .iov_len = sizeof *offer};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = ancillary,
                             .msg_controllen = sizeof ancillary};
    const struct cmsghdr *header;
    ssize_t len = receive(listener_fd, &message, MSG_CMSG_CLOEXEC);
    int fd;

    if (len < 0)
        return -errno;
    header = CMSG_FIRSTHDR(&message);
    if (!header || header->cmsg_type != SCM_RIGHTS)
        return message.msg_flags & MSG_CTRUNC ? -EMFILE : -EINVAL;
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
}

/* Makes an offer of this process's engine the caller's; NULL when the connection is over already and its memory is
 * another socket's by now. */
static struct engine_socket *take_own(const struct socket_offer *offer, int fd)
{
    if (!engine_socket_hold(offer->socket))
        return NULL;
    if (mirror_is(offer->socket, fd))
        return offer->socket;
    engine_socket_drop(offer->socket);
    return NULL;
}

static struct engine_socket *take_foreign(const struct socket_offer *offer, int fd)
{
    struct engine_socket *socket =
        foreign_socket(fd, offer->token, offer->socket, offer->key, false);

    if (socket)
        engine_set_inet6(socket, offer->inet6);
    return socket;
}

static int accept_offered(int listener_fd, engine_recvmsg *receive, struct engine_socket **accepted,
                          struct engine_endpoint *remote)
{
    struct socket_offer offer = {0};
    int fd = receive_offer(listener_fd, receive, &offer);

    if (fd < 0)
        return fd;
    *remote = offer.remote;
    *accepted = offer.token == engine.token ? take_own(&offer, fd) : take_foreign(&offer, fd);
    if (*accepted)
        return fd;
    sys_close(fd);
    return -ECONNABORTED;
}

/* ---- */

int engine_accept(struct engine_socket *listener, int listener_fd, unsigned flags,
                  engine_recvmsg *receive, struct engine_socket **accepted,
                  struct engine_endpoint *remote)
{
    int fd = listener->home || engine_is_bridged(listener)
                 ? -EREMOTE
                 : accept_here(listener, listener_fd, accepted, remote);

    if (fd == -EREMOTE)
        fd = accept_offered(listener_fd, receive, accepted, remote);
    if (fd >= 0)
        socket_set_flags(fd, flags);
    return fd;
}
