/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * The other side of desk.c: sockets whose TCP another process has. One stands in this process's table like any
 * other, but has no connection; it is bridged, so its bytes need nobody's help, and every other question goes to
 * its engine's desk.
 *
 * Asking takes a pair for the answer and one datagram, and waits. When the engine is gone, the pair's other
 * end is closed by the kernel and the wait ends. A child of vfork() may ask, too: nothing but the stack is
 * written.
 */
#include "state.h"

#include "sys.h"

#include <errno.h>
#include <string.h>
#include <sys/un.h>

static int send_request(uint64_t token, const struct desk_request *request, const int fds[2])
{
    struct iovec iov = {.iov_base = (void *)request, .iov_len = sizeof *request};
    struct sockaddr_un name;
    struct msghdr message = {.msg_name = &name,
                             .msg_namelen = (socklen_t)desk_name(token, &name),
                             .msg_iov = &iov,
                             .msg_iovlen = 1};
    struct sys_passed passed;
    int desk = sys_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int error;

    if (desk < 0)
        return desk;
    sys_pass(&message, &passed, fds, fds[1] >= 0 ? 2 : 1);
    error = (int)sys_sendmsg(desk, &message, 0);
    sys_close(desk);
    return error < 0 ? error : 0;
}

static int ask(uint64_t token, const struct desk_request *request, int fd, struct desk_reply *reply)
{
    uint64_t signals = sys_block_signals(UINT64_MAX);
    int ends[2], error;
    long len;

    error = sys_socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, ends);
    if (!error) {
        error = send_request(token, request, (int[]){ends[1], fd});
        sys_close(ends[1]);
        if (!error) {
            len = sys_recv(ends[0], reply, sizeof *reply, 0);
            error = len == sizeof *reply ? reply->result : -EIO;
        }
        sys_close(ends[0]);
    }
    sys_block_signals(signals);
    return error;
}

int foreign_ask(const struct engine_socket *socket, struct desk_request *request, int fd,
                struct desk_reply *reply)
{
    request->socket = socket->home;
    request->key = socket->key;
    return ask(socket->token, request, fd, reply);
}

struct engine_socket *foreign_socket(int fd, uint64_t token, struct engine_socket *home,
                                     uint64_t key, bool listens)
{
    struct engine_socket *socket;
    uint64_t signals = sys_block_signals(UINT64_MAX);

    engine_lock();
    socket = socket_new();
    if (socket) {
        socket->token = token;
        socket->home = home;
        socket->key = key;
        socket->home_listens = listens;
        socket->bridged = true;
        mirror_recognise(socket, fd);
    }
    engine_unlock();
    sys_block_signals(signals);
    return socket;
}

int engine_expose(const struct engine_socket *socket, int fd)
{
    struct desk_request request = {.operation = DESK_BRIDGE};
    struct desk_reply reply;

    if (socket->bridged)
        return 0;
    /* In the process that has it, without a descriptor that a thread might see come and go. */
    if (!engine_is_inherited(socket) && control_reaches_engine())
        return control_bridge(fd);
    return ask(socket->token, &request, fd, &reply);
}

int engine_adopt(const struct engine_socket *inherited, int fd, struct engine_socket **socket)
{
    enum { LISTEN = 10 };
    uint64_t token = inherited ? inherited->token : desk_token(fd);
    struct desk_request request = {.operation = DESK_BRIDGE};
    struct desk_reply reply;
    int error = token ? ask(token, &request, fd, &reply) : -ENOTSOCK;

    if (error)
        return error;
    if (token == engine.token && engine_socket_hold(reply.socket))
        *socket = reply.socket;
    else
        *socket =
            foreign_socket(fd, token, reply.socket, reply.key, reply.status.tcp_state == LISTEN);
    if (!*socket)
        return -ENOMEM;
    engine_set_inet6(*socket, reply.inet6);
    return 0;
}

bool engine_is_inherited(const struct engine_socket *socket)
{
    return atomic_load(&socket->life) >> 32 != engine_generation && !socket->home;
}

bool engine_is_bridged(const struct engine_socket *socket)
{
    return atomic_load(&socket->bridged);
}

bool engine_listens_elsewhere(const struct engine_socket *socket)
{
    return socket->home_listens;
}
