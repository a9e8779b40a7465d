/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/sockios.h>

#include "descriptors.h"
#include "libc.h"
#include "process.h"
#include "refusals.h"
#include "status.h"

/* Programs use any socket as a handle for questions about interfaces; ours lends them a kernel one.
 */
static int ask_kernel_socket(struct engine_socket *socket, unsigned long request, void *argument)
{
    int family = engine_is_inet6(socket) ? AF_INET6 : AF_INET;
    refusals_left_ioctl(request);
    int handle = libc.socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (handle < 0)
        return -errno;
    int value = libc.ioctl(handle, request, argument);
    int error = value < 0 ? -errno : value;
    libc.close(handle);
    return error;
}

/* The descriptor's own flags and the receiver of its signals: the program's end keeps them. */
static bool is_descriptors(unsigned long request)
{
    switch (request) {
    case FIONBIO:
    case FIOASYNC:
    case FIOCLEX:
    case FIONCLEX:
    case FIOSETOWN:
    case FIOGETOWN:
    case SIOCSPGRP:
    case SIOCGPGRP:
        return true;
    default:
        return false;
    }
}

static int queued_bytes(struct engine_socket *socket, unsigned long request, int *bytes)
{
    struct engine_status status = status_of(socket);
    if (is_listening(&status))
        return -EINVAL;
    if (bytes == NULL)
        return -EFAULT;
    if (request == SIOCINQ)
        *bytes = (int)status.readable;
    else
        *bytes = (int)(request == SIOCOUTQ ? status.unacked_bytes : status.unsent_bytes);
    return 0;
}

static int at_mark(struct engine_socket *socket, int *answer)
{
    struct engine_status status = status_of(socket);
    if (answer == NULL)
        return -EFAULT;
    *answer = status.at_mark;
    return 0;
}

static bool is_sockets(unsigned long request)
{
    return request == SIOCINQ || request == SIOCOUTQ || request >> 8 == SOCK_IOC_TYPE;
}

static int control(struct engine_socket *socket, int fd, unsigned long request, void *argument)
{
    if (request == SIOCINQ && engine_is_bridged(socket)) {
        int value = libc.ioctl(fd, request, argument);
        return value < 0 ? -errno : value;
    }
    switch (request) {
    case SIOCINQ: /* FIONREAD by another name */
    case SIOCOUTQ:
    case SIOCOUTQNSD:
        return queued_bytes(socket, request, argument);
    case SIOCATMARK:
        return at_mark(socket, argument);
    }
    return request >> 8 == SOCK_IOC_TYPE ? ask_kernel_socket(socket, request, argument) : -ENOTTY;
}

/* What no socket knows is refused by the program's end of the pair as it would be by a socket. */
static int leave_to_kernel(int fd, unsigned long request, void *argument)
{
    if (engine_logs(ENGINE_INFO) && !is_descriptors(request) && descriptors_listed(fd))
        refusals_left_ioctl(request);
    return libc.ioctl(fd, request, argument);
}

int ioctl(int fd, unsigned long request, ...)
{
    void *argument = ARGUMENT_AFTER(request);
    struct engine_socket *socket HELD = NULL;
    if (engine_owns_descriptor(fd))
        return (int)result(-EBADF);
    if (is_descriptors(request) || !is_sockets(request) || !descriptors_recognise(fd, &socket))
        return leave_to_kernel(fd, request, argument);
    int saved = errno;
    int value = control(socket, fd, request, argument);
    refusals_ioctl(request, value);
    errno = saved;
    return (int)result(value);
}

int sockatmark(int fd)
{
    int mark;
    return ioctl(fd, SIOCATMARK, &mark) < 0 ? -1 : mark;
}
