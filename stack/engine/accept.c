/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * A listener's pair carries its connections. For each one that the core has established, the
 * engine's thread makes a pair, and sends the program's end of it through the listener's pair,
 * together with a pointer to the socket. So the listener turns readable, accept() is a recvmsg(),
 * and the kernel settles which of several threads gets the connection. That thread takes the lock at
 * once, so nothing is sent while this one holds it.
 *
 * A process that has the listener but not its engine makes it a bridged one (bridge.c), and so is all that is
 * offered from then on, with all that the process must know.
 *
 * What the listener's pair has no room for stays in the core's queue. What was sent and is never
 * fetched is closed by the kernel with the listener, which shows as a hang-up like any other, and
 * is reset. Where accept() finds no free descriptor the kernel has closed it, too: as long as somebody listens it
 * goes back to the core's queue.
 */
#include "state.h"

#include "sys.h"

#include <errno.h>
#include <string.h>

enum {
    OFFER_RETRY_MS = 20,
    OFFERS_BYTES = 1 << 20, /* room in a pair that was full once, cut down to net.core.wmem_max */
};

/* What passes through a listener's pair with each descriptor. */
struct socket_offer {
    uint64_t token; /* tells offers of this process's engine from those of another's */
    struct engine_socket *socket;
    uint64_t key; /* of a bridged one, 0 = it is not */
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
        (*socket)->delivered = false;
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
    struct engine_socket *socket;
    struct utcp_endpoint remote = {0};
    int fd, error = ready_socket(&socket, &fd);

    if (error)
        return error;
    if (listener->bridged)
        bridge_accepted(socket, fd);
    utcp_next_to_accept(listener->conn, &remote);
    socket->conn = utcp_accept(listener->conn, socket);
    socket_inherit_extra(socket, listener);
    socket->inet6 = listener->inet6;
    socket->phase = SOCKET_ACTIVE;
    if (!socket->delivered) {
        socket->listener = listener;
        atomic_fetch_add(&listener->life, 1);
    }
    mirror_sync(socket);
    engine.offered[engine.offered_count++] =
        (struct offered){listener, socket, fd, endpoint_from_core(&remote)};
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

/* Puts a connection back into the core's queue, where the backlog counts it; false = nobody listens any more. */
static bool put_back(struct engine_socket *listener, struct engine_socket *socket)
{
    if (listener->phase != SOCKET_LISTENING || !listener->conn)
        return false;
    utcp_accept_undo(listener->conn, socket->conn);
    socket->conn = NULL;
    return true;
}

/* One that could not be sent. */
static void take_back(const struct offered *offered)
{
    struct engine_socket *socket = offered->socket;

    sys_close(offered->fd);
    if (!put_back(offered->listener, socket))
        utcp_abort(socket->conn, engine_now());
    socket->conn = NULL;
    socket_leave_listener(socket);
    mirror_close(socket);
    socket_release(socket);
}

void socket_leave_listener(struct engine_socket *socket)
{
    if (socket->listener)
        socket_release(socket->listener);
    socket->listener = NULL;
}

void socket_take_back(struct engine_socket *socket)
{
    if (!socket->listener || !socket->conn || !put_back(socket->listener, socket))
        return;
    socket_mark(socket->listener);
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

/* Learns the peer of a connection that has arrived; false when it is over already. */
static bool deliver(struct engine_socket *socket, struct engine_endpoint *remote)
{
    struct utcp_info info;
    uint64_t signals;
    bool alive;

    if (engine_enter(socket, &signals))
        return false;
    alive = socket->conn;
    if (alive) {
        utcp_info(socket->conn, engine_now(), &info);
        *remote = endpoint_from_core(&info.remote);
        socket->delivered = true;
        socket_leave_listener(socket);
        if (utcp_ready(socket->conn) & UTCP_ERR)
            socket_mark(socket); /* it was reset on its way */
    }
    engine_leave(signals);
    return alive;
}

/* Makes the offer the caller's own; NULL when the connection was reset on the way and its memory is another
 * socket's by now. */
static struct engine_socket *take_own(const struct socket_offer *offer, int fd,
                                      struct engine_endpoint *remote)
{
    struct engine_socket *socket = offer->socket;

    if (!engine_socket_hold(socket))
        return NULL;
    if (mirror_is(socket, fd) && deliver(socket, remote))
        return socket;
    engine_socket_drop(socket);
    return NULL;
}

/* One of another process's engine; it may have been offered before the listener was bridged. */
static struct engine_socket *take_foreign(const struct socket_offer *offer, int fd,
                                          struct engine_endpoint *remote)
{
    const struct engine_socket sender = {.token = offer->token};
    struct engine_socket *socket = NULL;

    *remote = offer->remote;
    if (offer->key)
        socket = foreign_socket(fd, offer->token, offer->socket, offer->key, false);
    else
        engine_adopt(&sender, fd, &socket);
    if (socket)
        engine_set_inet6(socket, offer->inet6);
    return socket;
}

int engine_accept(int listener_fd, unsigned flags, engine_recvmsg *receive,
                  struct engine_socket **accepted, struct engine_endpoint *remote)
{
    struct socket_offer offer = {0};
    int fd = receive_offer(listener_fd, receive, &offer);

    if (fd < 0)
        return fd;
    *remote = (struct engine_endpoint){0};
    *accepted = offer.token == engine.token ? take_own(&offer, fd, remote)
                                            : take_foreign(&offer, fd, remote);
    if (!*accepted) {
        sys_close(fd);
        return -ECONNABORTED;
    }
    socket_set_flags(fd, flags);
    return fd;
}
