/* SPDX-License-Identifier: MIT */
/*
 * Sending. A blocking call is done when all of it has found room; any other when there is no more.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>

#include "descriptors.h"
#include "libc.h"
#include "process.h"
#include "refusals.h"
#include "status.h"
#include "transfer.h"
#include "wait.h"

static unsigned engine_flags(int flags)
{
    return (flags & MSG_MORE ? ENGINE_MORE : 0) | (flags & MSG_EOR ? ENGINE_RECORD : 0) |
           (flags & MSG_OOB ? ENGINE_URGENT : 0);
}

/* The socket was bridged meanwhile: what remains goes to the kernel. */
static ssize_t send_bridged(int fd, const struct iovec *iov, size_t count, int flags, size_t done)
{
    struct msghdr message = {.msg_iov = (struct iovec *)iov, .msg_iovlen = count};
    int saved = errno;
    ssize_t sent = libc.sendmsg(fd, &message, (flags & ~MSG_OOB) | MSG_NOSIGNAL);
    int error = errno;
    errno = saved;
    if (sent < 0)
        return done > 0 ? (ssize_t)done : -error;
    return (ssize_t)done + sent;
}

/* Who is not to wait any more, or at all, may poll. */
static int wait_to_send(struct engine_socket *socket, int fd, int flags, struct wait_limit *limit)
{
    int waited = wait_allowed(fd, flags) ? wait_writable(socket, fd, limit) : -EAGAIN;
    if (waited < 0)
        engine_show_full(socket, fd, false);
    return waited;
}

static ssize_t send_all(struct engine_socket *socket, int fd, const struct iovec *iov, size_t count,
                        size_t bytes, int flags)
{
    struct wait_limit limit = {0};
    size_t done = 0;
    int waited = WAIT_READY;
    for (;;) {
        struct iovec part;
        int left = (int)count;
        const struct iovec *next = iov_after(iov, &left, done, &part);
        ssize_t sent = engine_send(socket, fd, next, left, engine_flags(flags));
        if (sent == -EREMOTE)
            return send_bridged(fd, next, (size_t)left, flags, done);
        if (sent < 0 && sent != -EAGAIN)
            return done > 0 ? (ssize_t)done : sent;
        done += sent > 0 ? (size_t)sent : 0;
        if (done == bytes)
            return (ssize_t)done;
        if (waited == WAIT_OVER)
            return done > 0 ? (ssize_t)done : -EPIPE;
        limit.begun = done > 0;
        waited = wait_to_send(socket, fd, flags, &limit);
        if (waited < 0)
            return done > 0 ? (ssize_t)done : waited;
    }
}

/* Nothing is sent, but where nothing could be, that is said; a connection that is not yet there is waited for. */
static ssize_t send_nothing(struct engine_socket *socket, int fd, int flags)
{
    struct wait_limit limit = {0};
    if (status_of(socket).connecting) {
        int waited = wait_allowed(fd, flags) ? wait_writable(socket, fd, &limit) : -EAGAIN;
        if (waited < 0)
            return waited;
    }
    return status_of(socket).may_send ? 0 : -ENOTCONN;
}

ssize_t transmit(struct engine_socket *socket, int fd, const struct iovec *iov, size_t count,
                 int flags)
{
    if (flags & MSG_FASTOPEN) {
        refusals_call("send(MSG_FASTOPEN)", "there is no fast open", -EOPNOTSUPP);
        return -EOPNOTSUPP;
    }
    ssize_t bytes = iov_bytes(iov, count);
    if (bytes < 0)
        return bytes;
    ssize_t sent = bytes == 0 ? send_nothing(socket, fd, flags)
                              : send_all(socket, fd, iov, count, (size_t)bytes, flags);
    if (sent == -ENOTCONN)
        sent = -EPIPE; /* Linux has one error for "not yet" and "no longer" */
    if (sent == -EPIPE && !(flags & MSG_NOSIGNAL))
        raise(SIGPIPE);
    return sent;
}

static ssize_t transmit_buffer(struct engine_socket *socket, int fd, const void *buffer,
                               size_t size, int flags)
{
    struct iovec iov = {.iov_base = (void *)buffer, .iov_len = size};
    return transmit(socket, fd, &iov, 1, flags);
}

ssize_t write(int fd, const void *buffer, size_t size)
{
    struct engine_socket *socket HELD = NULL;
    if (!descriptors_find_direct(fd, &socket))
        return libc.write(fd, buffer, size);
    return result(transmit_buffer(socket, fd, buffer, size, 0));
}

ssize_t __write(int fd, const void *buffer, size_t size)
{
    return write(fd, buffer, size);
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
    struct engine_socket *socket HELD = NULL;
    if (!descriptors_find_direct(fd, &socket))
        return libc.writev(fd, iov, count);
    return result(count < 0 ? -EINVAL : transmit(socket, fd, iov, (size_t)count, 0));
}

ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
    struct engine_socket *socket HELD = NULL;
    if (offset != -1 || !descriptors_find_direct(fd, &socket))
        return libc.pwritev2(fd, iov, count, offset, flags);
    if (flags & ~RWF_KNOWN)
        return result(-EOPNOTSUPP);
    int message_flags = flags & RWF_NOWAIT ? MSG_DONTWAIT : 0;
    return result(count < 0 ? -EINVAL : transmit(socket, fd, iov, (size_t)count, message_flags));
}

ssize_t pwritev64v2(int fd, const struct iovec *iov, int count, off64_t offset, int flags)
{
    return pwritev2(fd, iov, count, offset, flags);
}

ssize_t send(int fd, const void *buffer, size_t size, int flags)
{
    struct engine_socket *socket HELD = NULL;
    if (!descriptors_find_direct(fd, &socket))
        return libc.send(fd, buffer, size, flags);
    return result(transmit_buffer(socket, fd, buffer, size, flags));
}

ssize_t __send(int fd, const void *buffer, size_t size, int flags)
{
    return send(fd, buffer, size, flags);
}

/* A stream goes to its peer, whatever name is given. */
ssize_t sendto(int fd, const void *buffer, size_t size, int flags, const struct sockaddr *name,
               socklen_t name_size)
{
    struct engine_socket *socket HELD = NULL;
    if (!descriptors_find_direct(fd, &socket))
        return libc.sendto(fd, buffer, size, flags, name, name_size);
    if (name != NULL && name_size > sizeof(struct sockaddr_storage))
        return result(-EINVAL);
    if (name != NULL && name_size > 0 && !engine_addressable(name))
        return result(-EFAULT);
    return result(transmit_buffer(socket, fd, buffer, size, flags));
}

/* Descriptors that are handed to another process leave our sight. */
static void expose_passed(const struct msghdr *message)
{
    if (message == NULL || message->msg_control == NULL)
        return;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL;
         part = CMSG_NXTHDR((struct msghdr *)message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = CMSG_LEN(0); at + sizeof(int) <= part->cmsg_len; at += sizeof(int)) {
            int fd;
            memcpy(&fd, (char *)part + at, sizeof(fd));
            descriptors_expose(fd);
        }
    }
}

/* What Linux finds wrong before it comes to the bytes. Control of other levels it does not look at. */
static int check_message(const struct msghdr *message)
{
    if (message->msg_iovlen > IOV_MAX)
        return -EMSGSIZE;
    if ((int)message->msg_namelen < 0)
        return -EINVAL;
    if (message->msg_control == NULL || message->msg_controllen == 0)
        return 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL;
         part = CMSG_NXTHDR((struct msghdr *)message, part)) {
        bool ignored = part->cmsg_type == SCM_RIGHTS || part->cmsg_type == SCM_CREDENTIALS;
        if (part->cmsg_len < sizeof(*part) || (part->cmsg_level == SOL_SOCKET && !ignored))
            return -EINVAL;
    }
    return 0;
}

static ssize_t transmit_message(struct engine_socket *socket, int fd, const struct msghdr *message,
                                int flags)
{
    if (!engine_addressable(message))
        return -EFAULT;
    int error = check_message(message);
    return error < 0 ? error : transmit(socket, fd, message->msg_iov, message->msg_iovlen, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct engine_socket *socket HELD = NULL;
    if (!descriptors_find_direct(fd, &socket)) {
        expose_passed(message);
        return libc.sendmsg(fd, message, flags);
    }
    return result(transmit_message(socket, fd, message, flags));
}

static long transmit_messages(struct engine_socket *socket, int fd, struct mmsghdr *messages,
                              unsigned count, int flags)
{
    for (unsigned done = 0; done < count; done++) {
        ssize_t sent = transmit_message(socket, fd, &messages[done].msg_hdr, flags);
        if (sent < 0)
            return done > 0 ? (long)done : sent;
        messages[done].msg_len = (unsigned)sent;
    }
    return (long)count;
}

int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    struct engine_socket *socket HELD = NULL;
    if (!descriptors_find_direct(fd, &socket)) {
        for (unsigned i = 0; messages != NULL && i < count; i++)
            expose_passed(&messages[i].msg_hdr);
        return libc.sendmmsg(fd, messages, count, flags);
    }
    return (int)result(transmit_messages(socket, fd, messages, count, flags));
}
