/* SPDX-License-Identifier: MIT */
#include "kernel.h"

#include <errno.h>

#include "descriptors.h"
#include "epoll.h"
#include "libc.h"
#include "names.h"
#include "options.h"
#include "status.h"

static int carry_binding(struct engine_socket *socket, int kernel_fd)
{
    struct engine_status status = status_of(socket);
    if (!status.bound)
        return 0;
    union name name;
    struct engine_endpoint local = local_endpoint(socket, &status);
    socklen_t size = name_of(&local, engine_is_inet6(socket), &name);
    return libc.bind(kernel_fd, &name.any, size) < 0 ? -errno : 0;
}

/* O_NONBLOCK, O_ASYNC and who gets the signal. */
static void carry_flags(int fd, int other_fd)
{
    libc.fcntl(other_fd, F_SETFL, libc.fcntl(fd, F_GETFL));
    struct f_owner_ex owner;
    if (libc.fcntl(fd, F_GETOWN_EX, &owner) == 0 && owner.pid != 0)
        libc.fcntl(other_fd, F_SETOWN_EX, &owner);
}

static int put_under(int fd, int other_fd)
{
    int flags = libc.fcntl(fd, F_GETFD);
    struct registration registration = epoll_registration(fd);
    if (flags < 0 || libc.dup3(other_fd, fd, flags & FD_CLOEXEC ? O_CLOEXEC : 0) < 0)
        return -errno;
    epoll_register(fd, &registration);
    descriptors_clear(fd);
    return 0;
}

/* A kernel socket with all that was done to ours; a negative errno value. */
static int make(struct engine_socket *socket, int fd)
{
    int family = engine_is_inet6(socket) ? AF_INET6 : AF_INET;
    int kernel_fd = libc.socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (kernel_fd < 0)
        return -errno;
    options_carry(socket, fd, kernel_fd, libc.setsockopt);
    carry_flags(fd, kernel_fd);
    int error = carry_binding(socket, kernel_fd);
    if (error == 0)
        return kernel_fd;
    libc.close(kernel_fd);
    return error;
}

/* Binds the kernel socket, too, if there is a name. */
static int take_over(struct engine_socket *socket, int fd, const struct sockaddr *name,
                     socklen_t size)
{
    int kernel_fd = make(socket, fd);
    if (kernel_fd < 0)
        return kernel_fd;
    int error = name != NULL && libc.bind(kernel_fd, name, size) < 0 ? -errno : 0;
    if (error == 0)
        error = put_under(fd, kernel_fd);
    libc.close(kernel_fd);
    return error;
}

int kernel_take_over(struct engine_socket *socket, int fd)
{
    return kernel_bind(socket, fd, NULL, 0);
}

int kernel_bind(struct engine_socket *socket, int fd, const struct sockaddr *name, socklen_t size)
{
    int saved = errno;
    int error = take_over(socket, fd, name, size);
    errno = saved;
    return error;
}

static int put_fresh_under(struct engine_socket *socket, int fd, int fresh_fd)
{
    options_carry(socket, fd, fresh_fd, setsockopt);
    carry_flags(fd, fresh_fd);
    int error = put_under(fd, fresh_fd);
    return error < 0 ? error : descriptors_copy(fresh_fd, fd);
}

int kernel_renew(struct engine_socket *old, int fd)
{
    int saved = errno;
    int error = engine_disconnect(old);
    if (error < 0)
        return error;
    int family = engine_is_inet6(old) ? AF_INET6 : AF_INET;
    int fresh_fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    error = fresh_fd < 0 ? -errno : put_fresh_under(old, fd, fresh_fd);
    if (fresh_fd >= 0)
        close(fresh_fd);
    errno = saved;
    return error;
}
