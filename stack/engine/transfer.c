/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * Copying needs no lock but the socket's own: the core says where there is room or data, the
 * engine's lock is dropped for the copy, and taken again to commit it. Both loops go on until the
 * program's buffer is used up or the core has no more, and find that out under the lock; so the
 * descriptor can be mirrored as not readable at that very moment, and no event is missed. It follows that a short
 * count means "that was all", on which edge-triggered programs rely. That it is not writable need not show while
 * the caller waits by itself; where room comes before it is shown, it is shown to come.
 */
#include "state.h"

#include "log.h"
#include "sys.h"

#include <errno.h>
#include <string.h>

/* Who writes so much, and waits until all has found room, also sends it, while it is in his processor's cache. */
#define MUCH (16u << 10)

/* Where a copy stands in the program's buffers. */
struct cursor {
    const struct iovec *iov;
    int count;
    size_t offset; /* in the first of them */
    bool faults;   /* there is one that can be no memory of the program's */
};

static struct cursor cursor_at_start(const struct iovec *iov, int count)
{
    struct cursor cursor = {.iov = iov, .count = count};

    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len > 0 && !engine_addressable(iov[i].iov_base))
            cursor.faults = true;
    }
    while (cursor.count > 0 && cursor.iov->iov_len == 0) {
        cursor.iov++;
        cursor.count--;
    }
    return cursor;
}

/* The bytes at the cursor that lie in one piece. */
static size_t cursor_run(const struct cursor *cursor)
{
    return cursor->count > 0 ? cursor->iov->iov_len - cursor->offset : 0;
}

/* All that there are. */
static size_t cursor_left(const struct cursor *cursor)
{
    size_t left = 0;

    for (int i = 0; i < cursor->count; i++)
        left += cursor->iov[i].iov_len;
    return left - cursor->offset;
}

static void cursor_advance(struct cursor *cursor, size_t len)
{
    cursor->offset += len;
    while (cursor->count > 0 && cursor->offset == cursor->iov->iov_len) {
        cursor->iov++;
        cursor->count--;
        cursor->offset = 0;
    }
}

enum copy { COPY_IN, COPY_OUT, COPY_NOTHING };

/* Copies between the program's buffers and the core's slices until one side is used up. */
static size_t copy(struct cursor *cursor, const struct utcp_slice slices[2], enum copy direction)
{
    size_t copied = 0;

    for (int i = 0; i < 2; i++) {
        for (size_t at = 0; at < slices[i].len && cursor->count > 0;) {
            size_t len = cursor_run(cursor);
            char *user = (char *)cursor->iov->iov_base + cursor->offset;

            if (len > slices[i].len - at)
                len = slices[i].len - at;
            if (direction == COPY_IN)
                memcpy(slices[i].data + at, user, len);
            else if (direction == COPY_OUT)
                memcpy(user, slices[i].data + at, len);
            at += len;
            copied += len;
            cursor_advance(cursor, len);
        }
    }
    return copied;
}

/* Between these the lock is not held, and the connection's buffers stay: a hang-up has to wait. */
static void begin_copy(struct engine_socket *socket)
{
    socket->copying++;
    engine_unlock_waking();
}

static void end_copy(struct engine_socket *socket)
{
    engine_lock();
    socket->copying--;
    if (!socket->copying && socket->ending)
        socket_mark(socket);
}

/* An error that came up after some bytes were moved is left to the next call. */
static bool error_waits(const struct engine_socket *socket)
{
    return utcp_ready(socket->conn) & UTCP_ERR;
}

/* Finds room, under the lock. */
static long send_space(struct engine_socket *socket, struct utcp_slice space[2])
{
    long room = -EPIPE;

    if (socket->bridged)
        return -EREMOTE;
    if (socket->conn && !engine.gone)
        room = utcp_send_space(socket->conn, space);
    return room != 0 ? room : -EAGAIN;
}

/* A record ends where the program's bytes do, and the last of them is the urgent one. */
static unsigned commit_flags(unsigned flags, const struct cursor *cursor)
{
    if (cursor->count > 0)
        flags &= ~(unsigned)(ENGINE_RECORD | ENGINE_URGENT);
    return send_flags_to_core(flags);
}

static ssize_t send_locked(struct engine_socket *socket, struct cursor *cursor, unsigned flags)
{
    struct utcp_slice space[2] = {0};
    ssize_t sent = 0;
    long room;

    do {
        size_t len;

        room = send_space(socket, space);
        if (room > 0 && cursor->faults)
            room = -EFAULT;
        if (room < 0)
            break;
        begin_copy(socket);
        len = copy(cursor, space, COPY_IN);
        end_copy(socket);
        if (engine.gone)
            break;
        utcp_send_commit(socket->conn, len, commit_flags(flags, cursor), engine_now());
        sent += (ssize_t)len;
    } while (cursor->count > 0 && !error_waits(socket));
    return sent || room >= 0 ? sent : room;
}

/* An error is told once. */
static void note_told(const struct engine_socket *socket, int fd, ssize_t result)
{
    if (result < 0 && result != -EAGAIN && result != -EREMOTE && result != -EFAULT)
        mirror_take_error(socket, fd);
}

ssize_t engine_send(struct engine_socket *socket, int fd, const struct iovec *iov, int iov_count,
                    unsigned flags)
{
    struct cursor cursor = cursor_at_start(iov, iov_count);
    bool much = socket->writer_waits && cursor_left(&cursor) >= MUCH;
    uint64_t signals;
    ssize_t result;

    log_flush();
    signals = sys_block_signals(UINT64_MAX);
    pthread_mutex_lock(&socket->send_lock);
    engine_lock();
    engine.writers += much;
    result = send_locked(socket, &cursor, flags);
    engine.writers -= much;
    engine.wrote_much = much;
    note_told(socket, fd, result);
    lead_review(socket);
    engine_unlock_waking();
    pthread_mutex_unlock(&socket->send_lock);
    sys_block_signals(signals);
    engine_end_with_process();
    return result;
}

int engine_show_full(struct engine_socket *socket, int fd, bool waits)
{
    uint64_t signals;
    int error;

    if (socket->home || engine_is_bridged(socket))
        return 0;
    error = engine_enter(socket, &signals);
    if (error)
        return error;
    socket->writer_waits = waits;
    if (!socket->bridged)
        error = mirror_fill(socket, fd);
    mirror_review(socket);
    engine_leave(signals);
    return error;
}

/* Finds what there is, under the lock. Where there is nothing, the descriptor is made to show it.
 */
static long receive_data(struct engine_socket *socket, int fd, struct utcp_slice data[2])
{
    long waiting = -ENOTCONN;
    int error;

    if (socket->bridged)
        return -EREMOTE;
    if (socket->conn)
        waiting = utcp_receive_data(socket->conn, data);
    if (waiting != -EAGAIN)
        return waiting;
    error = mirror_take(socket, fd);
    return error ? error : -EAGAIN;
}

static ssize_t receive_locked(struct engine_socket *socket, int fd, struct cursor *cursor,
                              unsigned flags)
{
    enum copy direction = flags & ENGINE_DISCARD ? COPY_NOTHING : COPY_OUT;
    struct utcp_slice data[2] = {0};
    ssize_t received = 0;
    long waiting;

    do {
        bool takes_byte;
        size_t len;

        waiting = engine.gone ? -EPIPE : receive_data(socket, fd, data);
        if (waiting > 0 && cursor->faults && direction == COPY_OUT)
            waiting = -EFAULT;
        if (waiting <= 0)
            break;
        takes_byte = !(flags & ENGINE_PEEK) && cursor_left(cursor) >= (size_t)waiting &&
                     mirror_promise_byte(socket);
        begin_copy(socket);
        len = copy(cursor, data, direction);
        if (takes_byte)
            mirror_take_promised(socket, fd);
        end_copy(socket);
        received += (ssize_t)len;
        if ((flags & ENGINE_PEEK) || engine.gone)
            break;
        utcp_receive_commit(socket->conn, len, engine_now());
        mirror_take(socket, fd);
    } while (cursor->count > 0 && !error_waits(socket) && !utcp_at_mark(socket->conn));
    return received || waiting >= 0 ? received : waiting;
}

ssize_t engine_receive(struct engine_socket *socket, int fd, const struct iovec *iov, int iov_count,
                       unsigned flags)
{
    struct cursor cursor = cursor_at_start(iov, iov_count);
    uint64_t signals;
    ssize_t result;

    log_flush();
    signals = sys_block_signals(UINT64_MAX);
    pthread_mutex_lock(&socket->receive_lock);
    engine_lock();
    result = receive_locked(socket, fd, &cursor, flags);
    note_told(socket, fd, result);
    lead_review(socket);
    engine_unlock_waking();
    pthread_mutex_unlock(&socket->receive_lock);
    sys_block_signals(signals);
    engine_end_with_process();
    return result;
}

int engine_receive_urgent(struct engine_socket *socket, int fd, char *byte, bool peek)
{
    uint64_t signals;
    uint8_t value = 0;
    int result = engine_enter(socket, &signals);

    if (result)
        return result;
    if (socket->bridged)
        result = -EREMOTE;
    else
        result = socket->conn ? utcp_receive_urgent(socket->conn, &value, peek) : -EINVAL;
    if (result > 0 && !peek)
        mirror_take(socket, fd);
    *byte = (char)value;
    engine_leave(signals);
    return result;
}
