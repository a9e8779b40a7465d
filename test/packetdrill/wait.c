/* SPDX-License-Identifier: MIT */
/* The shim's wait.h in virtual time. */
#include "wait.h"

#include <errno.h>

#include "libc.h"
#include "sockets.h"
#include "world.h"

bool wait_allowed(int fd, int flags)
{
    return !(flags & MSG_DONTWAIT) && !(libc.fcntl(fd, F_GETFL) & O_NONBLOCK);
}

static bool readable(void *socket)
{
    return utcp_ready(((struct engine_socket *)socket)->conn) & (UTCP_IN | UTCP_HUP | UTCP_ERR);
}

static bool writable(void *socket)
{
    return utcp_ready(((struct engine_socket *)socket)->conn) & (UTCP_OUT | UTCP_HUP | UTCP_ERR);
}

int wait_readable(struct engine_socket *socket, int fd)
{
    (void)fd;
    world_lock();
    world_wait(readable, socket, UTCP_NEVER);
    world_unlock();
    return WAIT_READY;
}

int wait_writable(struct engine_socket *socket, int fd, struct wait_limit *limit)
{
    (void)fd;
    (void)limit;
    world_lock();
    world_wait(writable, socket, UTCP_NEVER);
    world_unlock();
    return WAIT_READY;
}

int64_t monotonic_ns(void)
{
    utcp_time now;

    world_lock();
    now = world_now();
    world_unlock();
    return (int64_t)now;
}

/* accept() waits by itself. */
int wait_acceptable(struct engine_socket *socket, int fd)
{
    (void)socket;
    (void)fd;
    return -EBUSY;
}
