/* SPDX-License-Identifier: MIT */
/*
 * The life of a socket: making, naming, connecting, listening, accepting, shutting down.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "descriptors.h"
#include "engine.h"
#include "kernel.h"
#include "libc.h"
#include "names.h"
#include "options.h"
#include "process.h"
#include "refusals.h"
#include "status.h"
#include "wait.h"

enum { TYPE_FLAGS = SOCK_CLOEXEC | SOCK_NONBLOCK };

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* Multipath TCP is served as TCP, which is what it falls back to. */
static bool is_tcp(int domain, int type, int protocol)
{
    return (domain == AF_INET || domain == AF_INET6) && (type & ~TYPE_FLAGS) == SOCK_STREAM &&
           (protocol == 0 || protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP);
}

static unsigned engine_flags(int type)
{
    return (type & SOCK_CLOEXEC ? ENGINE_CLOEXEC : 0) |
           (type & SOCK_NONBLOCK ? ENGINE_NONBLOCK : 0);
}

/* Enters a new descriptor in the table; it is closed when that fails. */
static int enter(int fd, struct engine_socket *socket)
{
    if (fd < 0)
        return fd;
    int error = descriptors_install(fd, socket);
    if (error == 0)
        return fd;
    libc.close(fd);
    return error;
}

/* A stream of another protocol, as SCTP, could be taken for ours. */
static int socket_in_kernel(int domain, int type, int protocol)
{
    bool inet = domain == AF_INET || domain == AF_INET6;
    if (inet && (type & ~TYPE_FLAGS) == SOCK_STREAM && process_is_ours())
        refusals_left("socket", "a stream of a protocol that is not TCP");
    return libc.socket(domain, type, protocol);
}

int socket(int domain, int type, int protocol)
{
    struct engine_socket *made;
    if (!is_tcp(domain, type, protocol) || !process_is_ours())
        return socket_in_kernel(domain, type, protocol);
    int fd = engine_socket_open(engine_flags(type), &made);
    if (fd >= 0 && domain == AF_INET6)
        options_begin_inet6(made);
    return (int)result(enter(fd, made));
}

/* For an AF_INET6 socket, :: is every address of IPv4, too, and so ours; but with IPV6_V6ONLY it can have
 * none of those. */
static int bind_socket(struct engine_socket *socket, int fd, const struct sockaddr *name,
                       socklen_t size)
{
    struct engine_endpoint local;
    bool inet6 = engine_is_inet6(socket);
    int error = name_parse_local(name, size, inet6, &local);
    if (error < 0)
        return error;
    bool mapped = inet6 && local.family == ENGINE_IPV4;
    bool v6only = inet6 && options_v6only(socket);
    if (mapped && v6only)
        return -EINVAL;
    if (status_of(socket).bound) {
        error = inet6
                    ? 0
                    : engine_bind(socket, &local); /* an address that is not ours is found first */
        return error < 0 ? error : -EINVAL;
    }
    if (is_unspecified6(&local) && !v6only)
        local.family = ENGINE_IPV4;
    if (engine_bypasses(&local)) {
        refusals_left_address("bind", &local);
        return kernel_bind(socket, fd, name, size);
    }
    error = engine_bind(socket, &local);
    if (error == 0 && mapped)
        options_set_bound_mapped(socket);
    return error;
}

int bind(int fd, const struct sockaddr *name, socklen_t size)
{
    struct engine_socket *socket HELD = NULL;
    if (!descriptors_recognise(fd, &socket))
        return libc.bind(fd, name, size);
    return (int)result(bind_socket(socket, fd, name, size));
}

/* Without an address, listen() takes all of the family: with IPV6_V6ONLY none of ours. */
static int listen_socket(struct engine_socket *socket, int fd, int backlog)
{
    if (!engine_is_inet6(socket) || !options_v6only(socket) || status_of(socket).bound)
        return engine_listen(socket, fd, backlog);
    refusals_left("listen", "with IPV6_V6ONLY it is for IPv6 alone");
    int error = kernel_take_over(socket, fd);
    if (error < 0)
        return error;
    return libc.listen(fd, backlog) < 0 ? -errno : 0;
}

int listen(int fd, int backlog)
{
    struct engine_socket *socket HELD = NULL;
    if (!descriptors_recognise(fd, &socket))
        return libc.listen(fd, backlog);
    return (int)result(listen_socket(socket, fd, backlog));
}

/* Waits for the end of a handshake. What Linux says when it has not come to one is `unfinished`. */
static int await_connection(struct engine_socket *socket, int fd, int unfinished)
{
    struct wait_limit limit = {0};
    int waited;
    do
        waited = wait_allowed(fd, 0) ? wait_writable(socket, fd, &limit) : -EAGAIN;
    while (waited == WAIT_READY && status_of(socket).connecting);
    if (waited < 0) {
        engine_show_full(socket, fd, false);
        return waited == -EAGAIN ? unfinished : waited;
    }
    int error = engine_take_error(socket);
    if (error == 0 && !status_of(socket).connected)
        return -ECONNABORTED;
    return error;
}

/* AF_UNSPEC dissolves an association: the peer is reset. */
static int disconnect(struct engine_socket *socket, int fd, const struct engine_status *status)
{
    bool idle = !status->connected && !status->connecting && !is_listening(status);
    if (idle)
        return 0;
    int error = kernel_renew(socket, fd);
    if (error == -EOPNOTSUPP)
        refusals_call("connect(AF_UNSPEC)", "another process has the connection", error);
    return error;
}

/* A destination of 0.0.0.0 means this host, as in Linux. So does ::, with which the kernel deals. */
static struct engine_endpoint destination(struct engine_endpoint remote)
{
    static const uint8_t any[4], loopback[4] = {127, 0, 0, 1};
    if (remote.family == ENGINE_IPV4 && memcmp(remote.addr, any, sizeof(any)) == 0)
        memcpy(remote.addr, loopback, sizeof(loopback));
    return remote;
}

/* What Linux says when the two ends are not of one kind. */
static int check_inet6(struct engine_socket *socket, const struct engine_endpoint *remote)
{
    if (remote->family == ENGINE_IPV4)
        return options_v6only(socket) ? -ENETUNREACH : 0;
    return options_bound_mapped(socket) && !is_unspecified6(remote) ? -EAFNOSUPPORT : 0;
}

static int connect_idle(struct engine_socket *socket, int fd, const struct sockaddr *name,
                        socklen_t size)
{
    struct engine_endpoint remote;
    bool inet6 = engine_is_inet6(socket);
    int error = name_parse(name, size, inet6, &remote);
    if (error == 0 && inet6)
        error = check_inet6(socket, &remote);
    if (error < 0)
        return error;
    remote = destination(remote);
    if (engine_bypasses(&remote)) {
        refusals_left_address("connect", &remote);
        error = kernel_take_over(socket, fd);
        if (error < 0)
            return error;
        return libc.connect(fd, name, size) < 0 ? -errno : 0;
    }
    error = engine_connect(socket, fd, &remote);
    if (error == -EINPROGRESS)
        error = await_connection(socket, fd, -EINPROGRESS);
    if (error == -EINPROGRESS || error == -EINTR)
        options_set_connecting(socket, true);
    return error;
}

/* The state is looked at before the address, as Linux does. An error that the last handshake left
 * is told first: a second connect() is one of the ways to ask for it. */
static int connect_socket(struct engine_socket *socket, int fd, const struct sockaddr *name,
                          socklen_t size)
{
    if (size < sizeof(name->sa_family) || name == NULL)
        return name == NULL ? -EFAULT : -EINVAL;
    struct engine_status status = status_of(socket);
    if (name->sa_family == AF_UNSPEC)
        return disconnect(socket, fd, &status);
    if (status.connecting)
        return await_connection(socket, fd, -EALREADY);
    if (status.connected && options_connecting(socket)) {
        options_set_connecting(socket, false);
        return 0;
    }
    if (status.connected || is_listening(&status))
        return -EISCONN;
    if (!status.failed)
        return connect_idle(socket, fd, name, size);
    int error = engine_take_error(socket);
    return error < 0 ? error : -ECONNABORTED;
}

/* As in Linux a socket is good for another attempt when this one has told why the last one failed. */
static int connect_and_renew(struct engine_socket *socket, int fd, const struct sockaddr *name,
                             socklen_t size)
{
    int error = connect_socket(socket, fd, name, size);
    bool told = error < 0 && error != -EINPROGRESS && error != -EALREADY && error != -EISCONN;
    if (told && status_of(socket).failed)
        kernel_renew(socket, fd);
    return error;
}

int connect(int fd, const struct sockaddr *name, socklen_t size)
{
    struct engine_socket *socket HELD = NULL;
    if (!descriptors_recognise(fd, &socket))
        return libc.connect(fd, name, size);
    return (int)result(connect_and_renew(socket, fd, name, size));
}

int __connect(int fd, const struct sockaddr *name, socklen_t size)
{
    return connect(fd, name, size);
}

static int check_accept(struct engine_socket *socket, int flags)
{
    if (flags & ~TYPE_FLAGS)
        return -EINVAL;
    if (engine_listens_elsewhere(socket))
        return 0;
    struct engine_status status = status_of(socket);
    return is_listening(&status) ? 0 : -EINVAL;
}

/* As in Linux, a connection whose peer's name has no place to go is taken, and lost. */
static int tell_accepted(int fd, const struct engine_endpoint *remote, bool inet6,
                         struct sockaddr *name, socklen_t *size)
{
    int error = size == NULL ? -EFAULT : (int)*size < 0 ? -EINVAL : 0;
    if (error < 0) {
        close(fd);
        return error;
    }
    name_write(remote, inet6, name, size);
    return fd;
}

static void cancelled(void *listener)
{
    engine_socket_drop(listener);
}

static int take_connection(struct engine_socket *listener, int listener_fd, int flags,
                           struct engine_socket **accepted, struct engine_endpoint *remote)
{
    int fd;
    pthread_cleanup_push(cancelled, listener);
    fd = engine_accept(listener, listener_fd, engine_flags(flags), libc.recvmsg, accepted, remote);
    pthread_cleanup_pop(0);
    return fd;
}

static int accept_from(struct engine_socket *listener, int listener_fd, struct sockaddr *name,
                       socklen_t *size, int flags)
{
    struct engine_socket *accepted;
    struct engine_endpoint remote;
    int saved = errno;
    int fd = take_connection(listener, listener_fd, flags, &accepted, &remote);
    if (fd >= 0)
        options_inherit(accepted, listener_fd, fd);
    bool inet6 = fd >= 0 && name != NULL && engine_is_inet6(accepted);
    errno = saved;
    fd = enter(fd, accepted);
    return fd >= 0 && name != NULL ? tell_accepted(fd, &remote, inet6, name, size) : fd;
}

static int accept_or_wait(struct engine_socket *listener, int fd, struct sockaddr *name,
                          socklen_t *size, int flags)
{
    int accepted = accept_from(listener, fd, name, size, flags);
    while (accepted == -EAGAIN && !engine_is_bridged(listener) && wait_allowed(fd, 0)) {
        int waited = wait_acceptable(listener, fd);
        if (waited < 0)
            return waited;
        accepted = accept_from(listener, fd, name, size, flags);
        if (accepted == -EAGAIN && waited == WAIT_OVER)
            return -EINVAL;
    }
    return accepted;
}

int accept4(int fd, struct sockaddr *name, socklen_t *size, int flags)
{
    struct engine_socket *listener = NULL;
    if (!descriptors_recognise(fd, &listener))
        return libc.accept4(fd, name, size, flags);
    int accepted = check_accept(listener, flags);
    if (accepted == 0)
        accepted = accept_or_wait(listener, fd, name, size, flags);
    descriptors_release(&listener);
    return (int)result(accepted);
}

int accept(int fd, struct sockaddr *name, socklen_t *size)
{
    return accept4(fd, name, size, 0);
}

static int shut(struct engine_socket *socket, int fd, int how)
{
    if (how < SHUT_RD || how > SHUT_RDWR)
        return -EINVAL;
    /* What a bridged one has written, and the end of it, go the same way. */
    if (engine_is_bridged(socket) && status_of(socket).connected)
        return libc.shutdown(fd, how) < 0 ? -errno : 0;
    return engine_shutdown(socket, fd, how);
}

int shutdown(int fd, int how)
{
    struct engine_socket *socket HELD = NULL;
    if (!descriptors_find(fd, &socket))
        return libc.shutdown(fd, how);
    return (int)result(shut(socket, fd, how));
}
