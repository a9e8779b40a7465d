/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * Each socket is an AF_UNIX stream pair: the program holds one end, the engine the other. The pair
 * carries no data; what is done to it makes the program's end show to poll, select and epoll what a
 * TCP socket would show.
 *
 *	readable	the engine sends one byte; the receive that leaves nothing behind takes it
 *			out. While it lies there a second one is sent only for what comes after
 *			a receive that left something: that makes an edge. The byte wakes a
 *			thread that takes the lock at once, so it goes when the lock is free.
 *	urgent byte	the engine sends one byte out of band; whoever takes the urgent one takes that.
 *	not writable	the calling thread writes filler into the program's own end. Its send
 *			buffer is the smallest there is (4608 bytes), of which a quarter may be
 *			used while it counts as writable: one skb of 1024 bytes (2304 with its
 *			overhead) is too much, one of a single byte (768) is not.
 *	writable again	the engine drains the filler.
 *	peer's FIN	the program's end is shut down for reading, which either end can do.
 *	both shut	it is shut down both ways.
 *	reset		the engine closes its end while something is unread there: the kernel then
 *			gives the program's end ECONNRESET. So that there is always something, the
 *			tripwire of one byte is written at the start and behind each filler, and
 *			never drained.
 *
 * What has been shut down carries no bytes any more, and what has been received must be able to go through
 * the pair should the socket be bridged (bridge.c). So a FIN shows when everything before it has been read.
 * That is later than on Linux, but hides nothing: until then there is something to read.
 *
 * The last close of the program's end, by whichever process, shows as EPOLLHUP on the engine's end,
 * but not after the engine shut its own end down both ways: EPOLLHUP is there already. What shows then
 * is EPOLLERR, provided that something was unread in the program's end; so a readiness byte is put
 * there before the engine's end is shut, and is left there. That hides nothing, for at the end of data
 * a socket is readable for ever. After a reset nothing shows any more, for the engine's end is closed:
 * the socket then lives until the last reference to it is dropped.
 *
 * Filler and readiness bytes go through the descriptor that the program called with, which another
 * thread may have closed and replaced by now: its inode is compared before.
 */
#include "state.h"

#include "sys.h"

#include <errno.h>

enum {
    FILLER_BYTES = 1024,
    TRIPWIRE_BYTES = 1,
    MORE_BYTES = 100, /* edges that are shown while the program always leaves something */
};

static const char filler[FILLER_BYTES];

/* ---- the pair ---- */

void mirror_recognise(struct engine_socket *socket, int fd)
{
    struct stat status;

    if (sys_fstat(fd, &status) == 0) {
        engine.pair_device = status.st_dev;
        socket->inode = status.st_ino;
    }
}

int mirror_open(struct engine_socket *socket, int *program_end)
{
    int ends[2];
    int error = sys_socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, ends);

    if (error)
        return error;
    sys_setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, 0);
    sys_send(ends[0], filler, TRIPWIRE_BYTES, MSG_DONTWAIT);
    mirror_recognise(socket, ends[0]);
    socket->unread = TRIPWIRE_BYTES;
    socket->end = ends[1];
    error = engine_watch(socket->end, EPOLLET, socket); /* hang-ups and errors only */
    if (error) {
        sys_close(ends[0]);
        sys_close(ends[1]);
        socket->end = -1;
        return error;
    }
    atomic_fetch_add(&socket->life, 1);
    *program_end = ends[0];
    return 0;
}

void mirror_close(struct engine_socket *socket)
{
    if (socket->end < 0)
        return;
    if (engine.ends_count == ENDS_MOST)
        mirror_close_ends();
    engine.ends[engine.ends_count++] = socket->end;
    socket->end = -1;
    atomic_store(&socket->byte_on_way, false);
    socket_release(socket);
}

void mirror_close_ends(void)
{
    while (engine.ends_count > 0)
        sys_close(engine.ends[--engine.ends_count]);
}

uint64_t mirror_inode(int fd)
{
    struct stat status;

    return sys_fstat(fd, &status) == 0 && status.st_dev == engine.pair_device ? status.st_ino : 0;
}

bool mirror_is(const struct engine_socket *socket, int fd)
{
    uint64_t inode = mirror_inode(fd);

    return inode != 0 && inode == socket->inode;
}

/* ---- what the engine's thread does ---- */

static bool filled(const struct engine_socket *socket)
{
    return socket->unread > FILLER_BYTES;
}

/* Whoever waits for edges has been told of what he left, and is to be told when more comes. */
static bool edge_due(const struct engine_socket *socket)
{
    return socket->left_some && socket->more_bytes < MORE_BYTES && !socket->shut &&
           !socket->has_urgent && !socket->has_gap;
}

/* What is to be shown as shut down: enum utcp_shutdown, as seen from the engine's end. */
static unsigned shut_wanted(const struct engine_socket *socket, unsigned ready)
{
    if (!(ready & UTCP_RDHUP) || utcp_unread(socket->conn) > 0)
        return 0;
    return ready & UTCP_HUP ? UTCP_SHUT_RD | UTCP_SHUT_WR : UTCP_SHUT_WR;
}

bool mirror_differs(const struct engine_socket *socket, unsigned ready)
{
    if (socket->end < 0)
        return false;
    if (socket->bridged)
        return socket->phase != SOCKET_IDLE;
    if (socket->phase != SOCKET_ACTIVE)
        return socket->phase == SOCKET_LISTENING && (ready & UTCP_IN);
    return ((ready & UTCP_IN) && (!socket->has_byte || edge_due(socket))) ||
           ((ready & UTCP_OUT) && filled(socket)) || ((ready & UTCP_PRI) && !socket->has_urgent) ||
           (shut_wanted(socket, ready) & ~socket->shut) || (ready & UTCP_ERR);
}

void mirror_review(struct engine_socket *socket)
{
    bool shows = socket->phase == SOCKET_ACTIVE || socket->phase == SOCKET_LISTENING;
    unsigned ready = socket->conn && shows ? utcp_ready(socket->conn) : 0;

    if (socket->end >= 0 && !socket->bridged &&
        (((ready & UTCP_IN) && !socket->has_byte) || ((ready & UTCP_OUT) && filled(socket))))
        socket_mark(socket);
}

static bool send_byte(struct engine_socket *socket)
{
    return sys_send(socket->end, filler, 1, MSG_DONTWAIT) == 1;
}

static void show_readable(struct engine_socket *socket)
{
    if (!socket->has_byte)
        socket->has_byte = send_byte(socket);
    else if (edge_due(socket))
        socket->more_bytes += send_byte(socket);
    socket->left_some = false;
}

/* The same, but a first byte is only announced: mirror_send_announced(). */
static void announce_readable(struct engine_socket *socket)
{
    if (socket->has_byte || engine.announced_count == ANNOUNCED_MOST) {
        show_readable(socket);
        return;
    }
    socket->has_byte = true;
    atomic_store(&socket->byte_on_way, true);
    engine.announced[engine.announced_count++] = socket;
}

/* As on Linux, each connection that arrives at a listener makes an edge. */
static void show_arrival(struct engine_socket *listener)
{
    if (listener->bridged)
        socket_offer_connections(listener);
    else if (!(utcp_ready(listener->conn) & UTCP_IN))
        return;
    else if (!listener->has_byte)
        announce_readable(listener);
    else if (listener->more_bytes < MORE_BYTES)
        listener->more_bytes += send_byte(listener);
}

/* A thread may wait for one of the bytes with the lock held, so all are sent before it is taken. */
void mirror_send_announced(void)
{
    unsigned failed = 0;

    for (unsigned i = 0; i < engine.announced_count; i++) {
        struct engine_socket *socket = engine.announced[i];

        if (socket->byte_on_way && !send_byte(socket))
            engine.announced[failed++] = socket; /* its program's end was closed just now */
        atomic_store(&socket->byte_on_way, false);
    }
    engine.announced_count = 0;
    if (!failed)
        return;
    engine_lock();
    while (failed > 0)
        engine.announced[--failed]->has_byte = false;
    engine_unlock();
}

/* The kernel sends SIGURG for that, too, to whom the program has named with F_SETOWN. */
static void show_urgent(struct engine_socket *socket)
{
    if (!socket->has_urgent)
        socket->has_urgent = sys_send(socket->end, filler, 1, MSG_DONTWAIT | MSG_OOB) == 1;
}

static void show_writable(struct engine_socket *socket)
{
    char drained[2 * FILLER_BYTES];
    long len = socket->unread - TRIPWIRE_BYTES;

    if (filled(socket) && sys_recv(socket->end, drained, (size_t)len, MSG_DONTWAIT) == len)
        socket->unread = TRIPWIRE_BYTES;
}

static void show_shut(struct engine_socket *socket, unsigned how)
{
    if (!(how & ~socket->shut))
        return;
    if (atomic_exchange(&socket->byte_on_way, false))
        socket->has_byte = false;
    show_readable(socket);
    if (!socket->has_byte)
        return; /* the program's end was closed just now: its hang-up must still be told apart */
    sys_shutdown(socket->end, how == UTCP_SHUT_WR ? SHUT_WR : SHUT_RDWR);
    socket->shut = (uint8_t)how;
}

/* A listener that listens no more: end of data, without the error that the tripwire would make. */
static void show_stopped(struct engine_socket *socket)
{
    char drained[2 * FILLER_BYTES];

    sys_recv(socket->end, drained, sizeof drained, MSG_DONTWAIT);
    mirror_close(socket);
}

void mirror_sync(struct engine_socket *socket)
{
    unsigned ready;

    if (socket->end >= 0 && socket->phase == SOCKET_STOPPED)
        show_stopped(socket);
    if (socket->end < 0 || !socket->conn || socket->phase == SOCKET_IDLE)
        return;
    if (socket->phase == SOCKET_LISTENING) {
        show_arrival(socket);
        return;
    }
    if (socket->bridged) {
        bridge_sync(socket);
        return;
    }
    ready = utcp_ready(socket->conn);
    if (ready & UTCP_ERR) {
        mirror_close(socket);
        return;
    }
    if (ready & UTCP_IN)
        announce_readable(socket);
    if (ready & UTCP_PRI)
        show_urgent(socket);
    if (ready & UTCP_OUT)
        show_writable(socket);
    show_shut(socket, shut_wanted(socket, ready));
}

/* ---- what the program's threads do ---- */

void mirror_take_error(const struct engine_socket *socket, int fd)
{
    int error;

    if (socket->end < 0 && mirror_is(socket, fd))
        sys_getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, sizeof error);
}

int mirror_fill(struct engine_socket *socket, int fd)
{
    if (socket->end < 0 || filled(socket))
        return 0;
    if (!mirror_is(socket, fd))
        return -EBADF;
    if (sys_send(fd, filler, FILLER_BYTES, MSG_DONTWAIT) == FILLER_BYTES)
        socket->unread += FILLER_BYTES;
    if (sys_send(fd, filler, TRIPWIRE_BYTES, MSG_DONTWAIT) == TRIPWIRE_BYTES)
        socket->unread += TRIPWIRE_BYTES;
    return 0;
}

/* The kernel leaves a gap where a byte out of band was, which looks like something to read until reading
 * comes there. */
static void skip_gap(struct engine_socket *socket, int fd)
{
    char byte;

    sys_recv(fd, &byte, sizeof byte, MSG_DONTWAIT);
    socket->has_gap = false;
}

static void take_urgent(struct engine_socket *socket, int fd)
{
    char byte;

    sys_recv(fd, &byte, sizeof byte, MSG_DONTWAIT | MSG_OOB);
    socket->has_urgent = false;
    socket->has_gap = true;
    if (!socket->has_byte)
        skip_gap(socket, fd);
}

static void take_more_bytes(struct engine_socket *socket, int fd)
{
    char bytes[MORE_BYTES];

    if (socket->more_bytes > 0)
        sys_recv(fd, bytes, socket->more_bytes, MSG_DONTWAIT);
    socket->more_bytes = 0;
}

/* One that is on its way comes in a moment, for no lock is needed to send it. What was no longer on its way before
 * this looked is there, or never came. */
static void take_first_byte(const struct engine_socket *socket, int fd)
{
    char byte;

    for (;;) {
        bool comes = atomic_load(&socket->byte_on_way);

        if (sys_recv(fd, &byte, sizeof byte, MSG_DONTWAIT) == 1 || !comes)
            return;
        sys_yield();
    }
}

bool mirror_promise_byte(struct engine_socket *socket)
{
    /* Behind the last byte there is an end to show, for which this one has to stay. */
    bool ends = utcp_ready(socket->conn) & (UTCP_RDHUP | UTCP_HUP | UTCP_ERR);
    bool simple = socket->has_byte && !socket->byte_on_way && !socket->more_bytes &&
                  !socket->shut && !socket->has_urgent && !socket->has_gap && socket->end >= 0 &&
                  !socket->bridged && !ends;

    if (simple)
        socket->has_byte = false;
    return simple;
}

/* What comes meanwhile has another byte announced: one of the two is taken, and one shows. */
void mirror_take_promised(const struct engine_socket *socket, int fd)
{
    char byte;

    if (mirror_is(socket, fd))
        sys_recv(fd, &byte, sizeof byte, MSG_DONTWAIT);
}

void mirror_take_bytes(struct engine_socket *socket, int fd)
{
    take_more_bytes(socket, fd);
    if (socket->has_byte)
        take_first_byte(socket, fd);
    socket->has_byte = false;
}

static void take_byte(struct engine_socket *socket, int fd)
{
    mirror_take_bytes(socket, fd);
    if (socket->has_gap)
        skip_gap(socket, fd);
}

/* What show_shut() does, from the program's end. */
static void shut_here(struct engine_socket *socket, int fd, unsigned how)
{
    if (!(how & ~socket->shut) || !socket->has_byte)
        return;
    while (socket->byte_on_way)
        sys_yield();
    sys_shutdown(fd, how == UTCP_SHUT_WR ? SHUT_RD : SHUT_RDWR);
    socket->shut = (uint8_t)how;
}

int mirror_take(struct engine_socket *socket, int fd)
{
    unsigned ready = utcp_ready(socket->conn);
    unsigned shut = shut_wanted(socket, ready);
    bool urgent = socket->has_urgent && !(ready & UTCP_PRI);
    bool read = socket->has_byte && !socket->shut && !(ready & UTCP_IN);
    bool full = socket->more_bytes == MORE_BYTES;

    socket->left_some = socket->has_byte && !read;
    if (socket->end < 0 || (!urgent && !read && !full && !(shut & ~socket->shut)))
        return 0;
    if (!mirror_is(socket, fd))
        return -EBADF;
    if (urgent)
        take_urgent(socket, fd);
    if (read)
        take_byte(socket, fd);
    else if (full)
        take_more_bytes(socket, fd);
    shut_here(socket, fd, shut);
    return 0;
}
