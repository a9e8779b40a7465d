/* SPDX-License-Identifier: MIT */
/*
 * The interface of packetdrill --so_filename: the shim's own calls, a clock and a wire. The same library
 * is preloaded into packetdrill, for it makes some calls (TCP_INFO, sendfile, the last close) by
 * themselves.
 */
#include PACKETDRILL_H /* its own, wherever it lies */

#include <errno.h>
#include <stdarg.h>
#include <sys/mman.h>

#include "libc.h"
#include "polling.h"
#include "process.h"
#include "sockets.h"
#include "world.h"

#define EXPORTED __attribute__((visibility("default")))

/* ---- calls of the shim ---- */

static int call_socket(void *unused, int domain, int type, int protocol)
{
    (void)unused;
    return socket(domain, type, protocol);
}

static int call_bind(void *unused, int fd, const struct sockaddr *name, socklen_t size)
{
    (void)unused;
    return bind(fd, name, size);
}

static int call_listen(void *unused, int fd, int backlog)
{
    (void)unused;
    return listen(fd, backlog);
}

static int call_accept(void *unused, int fd, struct sockaddr *name, socklen_t *size)
{
    (void)unused;
    return accept(fd, name, size);
}

static int call_connect(void *unused, int fd, const struct sockaddr *name, socklen_t size)
{
    (void)unused;
    return connect(fd, name, size);
}

static ssize_t call_read(void *unused, int fd, void *buffer, size_t size)
{
    (void)unused;
    return read(fd, buffer, size);
}

static ssize_t call_readv(void *unused, int fd, const struct iovec *iov, int count)
{
    (void)unused;
    return readv(fd, iov, count);
}

static ssize_t call_recv(void *unused, int fd, void *buffer, size_t size, int flags)
{
    (void)unused;
    return recv(fd, buffer, size, flags);
}

static ssize_t call_recvfrom(void *unused, int fd, void *buffer, size_t size, int flags,
                             struct sockaddr *name, socklen_t *name_size)
{
    (void)unused;
    return recvfrom(fd, buffer, size, flags, name, name_size);
}

static ssize_t call_recvmsg(void *unused, int fd, struct msghdr *message, int flags)
{
    (void)unused;
    return recvmsg(fd, message, flags);
}

static ssize_t call_write(void *unused, int fd, const void *buffer, size_t size)
{
    (void)unused;
    return write(fd, buffer, size);
}

static ssize_t call_writev(void *unused, int fd, const struct iovec *iov, int count)
{
    (void)unused;
    return writev(fd, iov, count);
}

static ssize_t call_send(void *unused, int fd, const void *buffer, size_t size, int flags)
{
    (void)unused;
    return send(fd, buffer, size, flags);
}

static ssize_t call_sendto(void *unused, int fd, const void *buffer, size_t size, int flags,
                           const struct sockaddr *name, socklen_t name_size)
{
    (void)unused;
    return sendto(fd, buffer, size, flags, name, name_size);
}

static ssize_t call_sendmsg(void *unused, int fd, const struct msghdr *message, int flags)
{
    (void)unused;
    return sendmsg(fd, message, flags);
}

static int call_fcntl(void *unused, int fd, int command, ...)
{
    (void)unused;
    return fcntl(fd, command, ARGUMENT_AFTER(command));
}

static int call_ioctl(void *unused, int fd, unsigned long request, ...)
{
    (void)unused;
    return ioctl(fd, request, ARGUMENT_AFTER(request));
}

static int call_close(void *unused, int fd)
{
    (void)unused;
    world_lock();
    if (!socket_find(fd))
        epoll_forget(fd);
    world_unlock();
    return close(fd);
}

static int call_shutdown(void *unused, int fd, int how)
{
    (void)unused;
    return shutdown(fd, how);
}

static int call_getsockopt(void *unused, int fd, int level, int name, void *value, socklen_t *size)
{
    (void)unused;
    return getsockopt(fd, level, name, value, size);
}

static int call_setsockopt(void *unused, int fd, int level, int name, const void *value,
                           socklen_t size)
{
    (void)unused;
    return setsockopt(fd, level, name, value, size);
}

/* ---- waiting for several ---- */

static int call_poll(void *unused, struct pollfd *fds, nfds_t count, int milliseconds)
{
    (void)unused;
    return (int)result(virtual_poll(fds, count, milliseconds));
}

/* A real one, for its number only. */
static int call_epoll_create(void *unused, int size)
{
    (void)unused;
    return epoll_create(size);
}

static int call_epoll_ctl(void *unused, int epoll_fd, int how, int fd, struct epoll_event *event)
{
    (void)unused;
    return (int)result(virtual_epoll_ctl(epoll_fd, how, fd, event));
}

static int call_epoll_wait(void *unused, int epoll_fd, struct epoll_event *events, int most,
                           int milliseconds)
{
    (void)unused;
    return (int)result(virtual_epoll_wait(epoll_fd, events, most, milliseconds));
}

static int call_pipe(void *unused, int ends[2])
{
    (void)unused;
    return pipe(ends);
}

static int call_splice(void *unused, int in, loff_t *in_offset, int out, loff_t *out_offset,
                       size_t size, unsigned flags)
{
    (void)unused;
    (void)in;
    (void)in_offset;
    (void)out;
    (void)out_offset;
    (void)size;
    (void)flags;
    errno = EINVAL;
    return -1;
}

/* ---- wire and clock ---- */

static int wire_send(void *unused, const void *packet, size_t len)
{
    (void)unused;
    world_lock();
    world_input(packet, len);
    world_unlock();
    return 0;
}

static int wire_receive(void *unused, void *packet, size_t *len, long long *time_us)
{
    utcp_time time;

    (void)unused;
    world_lock();
    *len = world_output(packet, *len, &time);
    world_unlock();
    *time_us = (long long)(time / UTCP_USEC);
    return 0;
}

static int clock_sleep(void *unused, useconds_t us)
{
    (void)unused;
    world_lock();
    world_sleep(us * UTCP_USEC);
    world_unlock();
    return 0;
}

static int clock_read(void *unused, struct timeval *time, struct timezone *zone)
{
    uint64_t us;

    (void)unused;
    (void)zone;
    world_lock();
    us = world_read_clock() / UTCP_USEC;
    world_unlock();
    time->tv_sec = (time_t)(us / 1000000);
    time->tv_usec = (suseconds_t)(us % 1000000);
    return 0;
}

/* The stack goes with the process, which packetdrill ends after a script. */
static void release(void *unused)
{
    (void)unused;
}

EXPORTED void packetdrill_interface_init(const char *flags,
                                         struct packetdrill_interface *interface);

void packetdrill_interface_init(const char *flags, struct packetdrill_interface *interface)
{
    (void)flags;
    *interface = (struct packetdrill_interface){
        .free = release,
        .socket = call_socket,
        .bind = call_bind,
        .listen = call_listen,
        .accept = call_accept,
        .connect = call_connect,
        .read = call_read,
        .readv = call_readv,
        .recv = call_recv,
        .recvfrom = call_recvfrom,
        .recvmsg = call_recvmsg,
        .write = call_write,
        .writev = call_writev,
        .send = call_send,
        .sendto = call_sendto,
        .sendmsg = call_sendmsg,
        .fcntl = call_fcntl,
        .ioctl = call_ioctl,
        .close = call_close,
        .shutdown = call_shutdown,
        .getsockopt = call_getsockopt,
        .setsockopt = call_setsockopt,
        .poll = call_poll,
        .netdev_send = wire_send,
        .netdev_receive = wire_receive,
        .usleep = clock_sleep,
        .gettimeofday = clock_read,
        .epoll_create = call_epoll_create,
        .epoll_ctl = call_epoll_ctl,
        .epoll_wait = call_epoll_wait,
        .pipe = call_pipe,
        .splice = call_splice,
    };
}

/* packetdrill keeps its pages in memory for the sake of real time; in virtual time nobody needs that, nor
 * the privilege for it. */
EXPORTED int mlockall(int flags)
{
    (void)flags;
    return 0;
}
