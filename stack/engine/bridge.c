/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * A socket that leaves our sight is bridged: from then on the engine's thread carries its bytes through
 * the pair, so that whoever holds the program's end can read and write it by plain system calls. It
 * happens once for each socket, never back, and takes both halves at the same moment.
 *
 * Inward, the readiness byte is taken out of the program's end, and what was received goes in behind.
 * Outward, the engine's end holds `unread` bytes that are the mirror's own, the last of them the tripwire;
 * what comes behind them is the program's. They are dropped when sending becomes possible, but for the
 * last byte: something unread must be there at any time so that a reset can show (mirror.c). From then
 * on the last byte that was sent is the tripwire: it is looked at, sent, and left lying until another comes
 * behind it.
 *
 * The program's shutdown() and the last close show on the engine's end: EPOLLRDHUP, EPOLLHUP, and EPOLLERR
 * when something was left unread, which a TCP answers with RST. All that was written before is
 * sent first. When both directions are shut there is nothing left to carry, nor does a last close show any
 * more: the engine lets go of both, connection and pair.
 *
 * Copies are made by the kernel, without the lock. Only the engine's thread carries, so a connection's
 * buffers stay as they are meanwhile.
 */
#include "state.h"

#include "sys.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

enum {
    TRIPWIRE_BYTES = 1,
    PAIR_BYTES = 256 * 1024, /* how much may wait in the pair on its way out */
    ROUND_BYTES = 1 << 20,   /* carried one way before others have their turn */
};

/* Takes len of the mirror's own bytes out of the engine's end. */
static void drop(struct engine_socket *socket, size_t len)
{
    char bytes[256];

    while (len > 0) {
        size_t now = len < sizeof bytes ? len : sizeof bytes;

        if (sys_recv(socket->end, bytes, now, MSG_DONTWAIT) != (long)now)
            return;
        socket->unread -= (uint16_t)now;
        len -= now;
    }
}

/* ---- the change ---- */

/* Takes out of the program's end whatever the mirror has put there. */
static void empty_program_end(struct engine_socket *socket, int fd)
{
    char byte;

    if (socket->has_urgent)
        sys_recv(fd, &byte, sizeof byte, MSG_DONTWAIT | MSG_OOB);
    mirror_take_bytes(socket, fd);
    if (socket->has_urgent || socket->has_gap)
        sys_recv(fd, &byte, sizeof byte, MSG_DONTWAIT);
    socket->has_urgent = socket->has_gap = false;
}

static void watch_bytes(struct engine_socket *socket)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = socket};

    sys_epoll_ctl(engine.epoll, EPOLL_CTL_MOD, socket->end, &event);
}

static int change(struct engine_socket *socket, int fd)
{
    if (socket->bridged || socket->end < 0)
        return 0;
    if (!mirror_is(socket, fd))
        return -EBADF;
    desk_name_end(socket);
    atomic_store(&socket->bridged, true);
    empty_program_end(socket, fd);
    if (socket->phase == SOCKET_LISTENING) {
        socket_mark(socket);
        return 0;
    }
    sys_setsockopt(fd, SOL_SOCKET, SO_SNDBUF, PAIR_BYTES);
    if (socket->phase == SOCKET_ACTIVE && !utcp_connecting(socket->conn) &&
        !utcp_can_send(socket->conn))
        sys_shutdown(fd, SHUT_WR);
    socket->ended = socket->shut & UTCP_SHUT_RD;
    sys_setsockopt(socket->end, SOL_SOCKET, SO_OOBINLINE, 1);
    watch_bytes(socket);
    mirror_sync(socket);
    return 0;
}

int bridge_begin(struct engine_socket *socket, int fd)
{
    int error;

    pthread_mutex_lock(&socket->send_lock);
    pthread_mutex_lock(&socket->receive_lock);
    engine_lock();
    error = change(socket, fd);
    engine_unlock();
    pthread_mutex_unlock(&socket->receive_lock);
    pthread_mutex_unlock(&socket->send_lock);
    return error;
}

void bridge_accepted(struct engine_socket *socket, int fd)
{
    while (!socket->key)
        sys_getrandom(&socket->key, sizeof socket->key);
    desk_name_end(socket);
    atomic_store(&socket->bridged, true);
    sys_setsockopt(fd, SOL_SOCKET, SO_SNDBUF, PAIR_BYTES);
    watch_bytes(socket);
}

/* ---- inward ---- */

static struct msghdr message_of(const struct utcp_slice slices[2], struct iovec iov[2])
{
    for (int i = 0; i < 2; i++)
        iov[i] = (struct iovec){.iov_base = slices[i].data, .iov_len = slices[i].len};
    return (struct msghdr){.msg_iov = iov, .msg_iovlen = slices[1].len ? 2 : 1};
}

/* Lets others have the lock; who has it may wait for a byte that is announced. */
static void lend_lock(void)
{
    engine_unlock();
    mirror_send_announced();
}

static long put(struct engine_socket *socket, const struct utcp_slice data[2])
{
    struct iovec iov[2];
    struct msghdr message = message_of(data, iov);
    long sent;

    lend_lock();
    sent = sys_sendmsg(socket->end, &message, MSG_DONTWAIT);
    engine_lock();
    return sent;
}

static void show_end(struct engine_socket *socket)
{
    sys_shutdown(socket->end, SHUT_WR);
    socket->shut |= UTCP_SHUT_WR;
}

/* True when all that was received has gone in. */
static bool carry_in(struct engine_socket *socket)
{
    struct utcp_slice data[2] = {0};

    for (size_t carried = 0; utcp_unread(socket->conn) > 0;) {
        long sent;

        if (carried >= ROUND_BYTES) {
            socket_mark(socket);
            return false;
        }
        utcp_receive_data(socket->conn, data);
        sent = put(socket, data);
        if (sent == -EPIPE && !socket->hung) /* the program reads no more */
            utcp_shutdown(socket->conn, UTCP_SHUT_RD, engine_now());
        if (sent <= 0)
            return sent == -EPIPE;
        utcp_receive_commit(socket->conn, (size_t)sent, engine_now());
        carried += (size_t)sent;
    }
    if ((utcp_ready(socket->conn) & (UTCP_RDHUP | UTCP_ERR)) == UTCP_RDHUP &&
        !(socket->shut & UTCP_SHUT_WR))
        show_end(socket);
    return true;
}

/* ---- outward ---- */

/* Bytes of the program's that wait behind the mirror's own. */
static size_t waiting_bytes(const struct engine_socket *socket)
{
    int bytes = 0;

    sys_ioctl(socket->end, SIOCINQ, &bytes);
    return bytes > (int)socket->unread ? (size_t)bytes - socket->unread : 0;
}

/* Takes len bytes of the program's, with the tripwire before them; how many came. */
static size_t take(struct engine_socket *socket, const struct utcp_slice room[2], size_t len)
{
    size_t first = len < room[0].len ? len : room[0].len;
    char tripwire[TRIPWIRE_BYTES];
    struct iovec iov[3] = {
        {.iov_base = tripwire, .iov_len = socket->unread},
        {.iov_base = room[0].data, .iov_len = first},
        {.iov_base = room[1].data, .iov_len = len - first},
    };
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = 3};
    long got = sys_recvmsg(socket->end, &message, MSG_DONTWAIT);

    if (got < (long)socket->unread)
        return 0;
    got -= socket->unread;
    socket->unread = 0;
    return (size_t)got;
}

/* Looks at the next byte, which stays as the tripwire. */
static size_t look(struct engine_socket *socket, uint8_t *byte)
{
    socket->unread = sys_recv(socket->end, byte, 1, MSG_DONTWAIT | MSG_PEEK) == 1;
    return socket->unread;
}

/* Fetches len bytes of the program's into the room, or fewer; when they are the last that wait, the very
 * last is left lying. */
static size_t fetch(struct engine_socket *socket, const struct utcp_slice room[2], size_t len,
                    bool last)
{
    uint8_t *end = len > room[0].len ? room[1].data + (len - room[0].len) : room[0].data + len;
    size_t whole = len - last, got = 0;

    if (socket->unread + whole > 0)
        got = take(socket, room, whole);
    if (got == whole && last)
        got += look(socket, end - 1);
    return got;
}

static size_t bytes_in(const struct utcp_slice room[2])
{
    return room[0].len + room[1].len;
}

/* Moves what there is room for; 0 = nothing could be moved. */
static size_t carry_some(struct engine_socket *socket, size_t waiting)
{
    struct utcp_slice room[2] = {0};
    size_t len;
    bool last;

    if (utcp_send_space(socket->conn, room) <= 0)
        return 0;
    last = waiting <= bytes_in(room);
    lend_lock();
    len = fetch(socket, room, last ? waiting : bytes_in(room), last);
    engine_lock();
    utcp_send_commit(socket->conn, len, 0, engine_now());
    return len;
}

/* True when nothing of the program's waits any more, or can be sent. */
static bool carry_out(struct engine_socket *socket)
{
    size_t carried = 0, waiting, len;

    while ((waiting = waiting_bytes(socket)) > 0) {
        if (!utcp_can_send(socket->conn))
            return true;
        if (carried >= ROUND_BYTES) {
            socket_mark(socket);
            return false;
        }
        len = carry_some(socket, waiting);
        if (!len)
            return false;
        carried += len;
    }
    return true;
}

/* ---- both ---- */

/* Writability shows by itself once the filler is gone. */
static void drop_filler(struct engine_socket *socket)
{
    drop(socket, socket->unread > TRIPWIRE_BYTES ? socket->unread - TRIPWIRE_BYTES : 0);
}

/* All that the program wrote is sent, and it will write no more. */
static void end_output(struct engine_socket *socket)
{
    if (socket->hung) {
        socket_hang_up(socket);
    } else if (socket->shut & UTCP_SHUT_WR) {
        drop(socket, socket->unread);
        socket_hang_up(socket);
    } else if (!(socket->shut & UTCP_SHUT_RD)) {
        utcp_shutdown(socket->conn, UTCP_SHUT_WR, engine_now());
        socket->shut |= UTCP_SHUT_RD;
    }
}

void bridge_sync(struct engine_socket *socket)
{
    bool in, out;

    if (socket->left_unread || (socket->hung && socket->resets)) {
        socket->resets = true;
        socket_hang_up(socket);
        return;
    }
    if (utcp_connecting(socket->conn))
        return;
    drop_filler(socket);
    in = carry_in(socket);
    if (in && (utcp_ready(socket->conn) & UTCP_ERR)) {
        mirror_close(socket);
        return;
    }
    out = carry_out(socket);
    if (out && socket->ended)
        end_output(socket);
}

/* Remembers what the event says; the rest is bridge_sync()'s. */
void bridge_event(struct engine_socket *socket, uint32_t events)
{
    if (events & EPOLLERR)
        socket->left_unread = true;
    if (events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR))
        socket->ended = true;
    if ((events & (EPOLLHUP | EPOLLERR)) && !(socket->shut & UTCP_SHUT_WR))
        socket->hung = true;
    socket_mark(socket);
}
