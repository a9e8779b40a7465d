/* SPDX-License-Identifier: MIT */
/*
 * Receiving. A call that finds nothing waits and tries again; it goes on until it has what Linux
 * would have it wait for: a byte, SO_RCVLOWAT bytes, or with MSG_WAITALL all that was asked for.
 */
#include <errno.h>
#include <limits.h>

#include "descriptors.h"
#include "libc.h"
#include "options.h"
#include "process.h"
#include "status.h"
#include "transfer.h"
#include "wait.h"

static unsigned engine_flags(int flags)
{
    return (flags & MSG_PEEK ? ENGINE_PEEK : 0) | (flags & MSG_TRUNC ? ENGINE_DISCARD : 0);
}

/* Takes what is there until there are `least` bytes in all, no more come, or the end: *last is
 * then 0 or an error. A peek takes one look, for the next would show the same bytes. */
static size_t receive_available(struct engine_socket *socket, int fd, const struct iovec *iov,
                                size_t count, int flags, size_t done, size_t least, ssize_t *last)
{
    do {
        struct iovec part;
        int left = (int)count;
        const struct iovec *next = iov_after(iov, &left, done, &part);
        *last = engine_receive(socket, fd, next, left, engine_flags(flags));
        if (*last > 0)
            done += (size_t)*last;
    } while (*last > 0 && done < least && !(flags & MSG_PEEK) && !status_of(socket).at_mark);
    return done;
}

/* The socket was bridged meanwhile: what remains comes from the kernel. */
static ssize_t receive_bridged(int fd, const struct iovec *iov, size_t count, int flags,
                               size_t done, size_t least)
{
    struct iovec part;
    int left = (int)count;
    struct msghdr message = {.msg_iov = (struct iovec *)iov_after(iov, &left, done, &part)};
    if (done >= least)
        return (ssize_t)done;
    message.msg_iovlen = (size_t)left;
    int saved = errno;
    ssize_t got = libc.recvmsg(fd, &message, flags & ~(MSG_TRUNC | MSG_OOB));
    int error = errno;
    errno = saved;
    if (got < 0)
        return done > 0 ? (ssize_t)done : -error;
    return (ssize_t)done + got;
}

/* When it has waited, engine_reader_ends() is due. */
static int wait_as_reader(struct engine_socket *socket, int fd)
{
    engine_reader_begins(socket);
    int waited = wait_readable(socket, fd);
    if (waited < 0)
        engine_reader_ends(socket);
    return waited;
}

static ssize_t receive_until(struct engine_socket *socket, int fd, const struct iovec *iov,
                             size_t count, int flags, size_t least)
{
    size_t done = 0;
    int waited = -EAGAIN;
    for (;;) {
        ssize_t last;
        done = receive_available(socket, fd, iov, count, flags, done, least, &last);
        if (waited >= 0)
            engine_reader_ends(socket);
        if (last == -EREMOTE)
            return receive_bridged(fd, iov, count, flags, done, least);
        if (last != -EAGAIN || (done > 0 && status_of(socket).at_mark))
            return done > 0 ? (ssize_t)done : last;
        if (waited == WAIT_OVER)
            return (ssize_t)done;
        waited = wait_allowed(fd, flags) ? wait_as_reader(socket, fd) : -EAGAIN;
        if (waited < 0)
            return done > 0 ? (ssize_t)done : waited;
    }
}

/* It never waits, whatever the descriptor says. Without room for the byte it is taken all the same. */
static ssize_t receive_urgent(struct engine_socket *socket, int fd, const struct iovec *iov,
                              size_t count, int flags)
{
    char byte;
    ssize_t bytes = iov_bytes(iov, count);
    if (bytes < 0)
        return bytes;
    int got = engine_receive_urgent(socket, fd, &byte, flags & MSG_PEEK);
    for (size_t i = 0; i < count && got > 0 && !(flags & MSG_TRUNC); i++) {
        if (iov[i].iov_len > 0) {
            *(char *)iov[i].iov_base = byte;
            break;
        }
    }
    return got > 0 && bytes == 0 ? 0 : got;
}

/* Linux waits for something to come, and then takes nothing of it. */
static ssize_t receive_nothing(struct engine_socket *socket, int fd, int flags)
{
    char byte;
    const struct iovec iov = {.iov_base = &byte, .iov_len = sizeof(byte)};
    ssize_t got = receive_until(socket, fd, &iov, 1, flags | MSG_PEEK, 1);
    return got > 0 ? 0 : got;
}

ssize_t receive(struct engine_socket *socket, int fd, const struct iovec *iov, size_t count,
                int flags)
{
    if (flags & MSG_OOB)
        return receive_urgent(socket, fd, iov, count, flags);
    if (flags & MSG_ERRQUEUE)
        return -EAGAIN; /* an empty queue */
    ssize_t bytes = iov_bytes(iov, count);
    if (bytes <= 0)
        return bytes < 0 ? bytes : receive_nothing(socket, fd, flags);
    size_t least = flags & MSG_WAITALL ? (size_t)bytes : options_low_water(socket);
    return receive_until(socket, fd, iov, count, flags,
                         least < (size_t)bytes ? least : (size_t)bytes);
}

static ssize_t receive_buffer(struct engine_socket *socket, int fd, void *buffer, size_t size,
                              int flags)
{
    struct iovec iov = {.iov_base = buffer, .iov_len = size};
    return receive(socket, fd, &iov, 1, flags);
}

/* As files are read: nothing is read at once. */
static ssize_t read_vector(struct engine_socket *socket, int fd, const struct iovec *iov, int count,
                           int flags)
{
    ssize_t bytes = count < 0 ? -EINVAL : iov_bytes(iov, (size_t)count);
    return bytes <= 0 ? bytes : receive(socket, fd, iov, (size_t)count, flags);
}

ssize_t read(int fd, void *buffer, size_t size)
{
    struct engine_socket *socket HELD = NULL;
    if (!descriptors_find_direct(fd, &socket))
        return libc.read(fd, buffer, size);
    return result(size == 0 ? 0 : receive_buffer(socket, fd, buffer, size, 0));
}

ssize_t __read(int fd, void *buffer, size_t size)
{
    return read(fd, buffer, size);
}

/* The _chk calls come from fortified programs: libc's own says what a buffer too small deserves. */
ssize_t __read_chk(int fd, void *buffer, size_t size, size_t room)
{
    return size > room ? libc.__read_chk(fd, buffer, size, room) : read(fd, buffer, size);
}

ssize_t readv(int fd, const struct iovec *iov, int count)
{
    struct engine_socket *socket HELD = NULL;
    if (!descriptors_find_direct(fd, &socket))
        return libc.readv(fd, iov, count);
    return result(read_vector(socket, fd, iov, count, 0));
}

/* A position of -1 makes it readv(); a socket has no other. */
ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
    struct engine_socket *socket HELD = NULL;
    if (offset != -1 || !descriptors_find_direct(fd, &socket))
        return libc.preadv2(fd, iov, count, offset, flags);
    if (flags & ~RWF_KNOWN)
        return result(-EOPNOTSUPP);
    int message_flags = flags & RWF_NOWAIT ? MSG_DONTWAIT : 0;
    return result(read_vector(socket, fd, iov, count, message_flags));
}

ssize_t preadv64v2(int fd, const struct iovec *iov, int count, off64_t offset, int flags)
{
    return preadv2(fd, iov, count, offset, flags);
}

ssize_t recv(int fd, void *buffer, size_t size, int flags)
{
    struct engine_socket *socket HELD = NULL;
    if (!descriptors_find_direct(fd, &socket))
        return libc.recv(fd, buffer, size, flags);
    return result(receive_buffer(socket, fd, buffer, size, flags));
}

ssize_t __recv_chk(int fd, void *buffer, size_t size, size_t room, int flags)
{
    return size > room ? libc.__recv_chk(fd, buffer, size, room, flags)
                       : recv(fd, buffer, size, flags);
}

/* The kernel names the other end of a bridged one's pair. */
static ssize_t without_pairs_name(int fd, ssize_t got, const struct sockaddr *name, socklen_t *size)
{
    if (got >= 0 && name != NULL && size != NULL && *size > sizeof(name->sa_family) &&
        name->sa_family == AF_UNIX && descriptors_listed(fd))
        *size = 0;
    return got;
}

/* Linux names nobody for a stream: the size of the name becomes 0. */
ssize_t recvfrom(int fd, void *buffer, size_t size, int flags, struct sockaddr *name,
                 socklen_t *name_size)
{
    struct engine_socket *socket HELD = NULL;
    if (!descriptors_find_direct(fd, &socket))
        return without_pairs_name(fd, libc.recvfrom(fd, buffer, size, flags, name, name_size), name,
                                  name_size);
    ssize_t got = receive_buffer(socket, fd, buffer, size, flags);
    if (got >= 0 && name != NULL && name_size != NULL)
        *name_size = 0;
    return result(got);
}

ssize_t __recvfrom_chk(int fd, void *buffer, size_t size, size_t room, int flags,
                       struct sockaddr *name, socklen_t *name_size)
{
    return size > room ? libc.__recvfrom_chk(fd, buffer, size, room, flags, name, name_size)
                       : recvfrom(fd, buffer, size, flags, name, name_size);
}

static ssize_t receive_message(struct engine_socket *socket, int fd, struct msghdr *message,
                               int flags)
{
    if (!engine_addressable(message))
        return -EFAULT;
    if ((int)message->msg_namelen < 0)
        return -EINVAL;
    if (message->msg_iovlen > IOV_MAX)
        return -EMSGSIZE;
    ssize_t got = receive(socket, fd, message->msg_iov, message->msg_iovlen, flags);
    if (got >= 0) {
        message->msg_namelen = 0;
        message->msg_controllen = 0;
        message->msg_flags = flags & (MSG_OOB | MSG_CMSG_CLOEXEC);
    }
    return got;
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    struct engine_socket *socket HELD = NULL;
    if (!descriptors_find_direct(fd, &socket))
        return libc.recvmsg(fd, message, flags);
    return result(receive_message(socket, fd, message, flags));
}

/* As in Linux, the time-out is looked at between messages only. */
static long receive_messages(struct engine_socket *socket, int fd, struct mmsghdr *messages,
                             unsigned count, int flags, const struct timespec *timeout)
{
    int64_t end_ns = INT64_MAX;
    if (timeout != NULL &&
        (timeout->tv_sec < 0 || timeout->tv_nsec < 0 || timeout->tv_nsec >= 1000000000))
        return -EINVAL;
    if (timeout != NULL)
        end_ns = monotonic_ns() + timeout->tv_sec * INT64_C(1000000000) + timeout->tv_nsec;
    unsigned done = 0;
    while (done < count) {
        ssize_t got = receive_message(socket, fd, &messages[done].msg_hdr, flags);
        if (got < 0)
            return done > 0 ? (long)done : got;
        messages[done++].msg_len = (unsigned)got;
        if (got == 0 || monotonic_ns() >= end_ns)
            break;
        if (flags & MSG_WAITFORONE)
            flags |= MSG_DONTWAIT;
    }
    return (long)done;
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
    struct engine_socket *socket HELD = NULL;
    if (!descriptors_find_direct(fd, &socket))
        return libc.recvmmsg(fd, messages, count, flags, timeout);
    return (int)result(receive_messages(socket, fd, messages, count, flags, timeout));
}
