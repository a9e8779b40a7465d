/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * A process may hold the program's end of a socket without having its TCP: a forked child, another
 * program after exec(), whoever was sent the descriptor. What the pair does not answer (names, options,
 * TCP_INFO, a change to bridged) it asks at the desk of the engine that has the socket: a datagram socket
 * in the abstract namespace, whose name is that engine's token.
 *
 * A request carries one end of a fresh pair for the answer. The first request for a socket also carries the
 * program's end itself: who holds it has the right to ask, whatever user he has become meanwhile. The
 * answer tells a key, a random number that is good for all later requests.
 *
 * How does a program that finds a descriptor know whose it is? A bridged socket's other end has a name, too, the
 * engine's token and the socket's inode, and getpeername() tells it.
 */
#include "state.h"

#include "sys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

/* Behind the zero byte that marks the abstract namespace. */
static const char prefix[] = "utcp-";
enum { TOKEN_DIGITS = 16 };

static size_t write_name(struct sockaddr_un *name, const char *text)
{
    *name = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(name->sun_path + 1, text, strlen(text));
    return offsetof(struct sockaddr_un, sun_path) + 1 + strlen(text);
}

size_t desk_name(uint64_t token, struct sockaddr_un *name)
{
    char text[48];

    snprintf(text, sizeof text, "%s%016llx", prefix, (unsigned long long)token);
    return write_name(name, text);
}

void desk_name_end(const struct engine_socket *socket)
{
    struct sockaddr_un name;
    char text[80];

    snprintf(text, sizeof text, "%s%016llx-%llu", prefix, (unsigned long long)engine.token,
             (unsigned long long)socket->inode);
    sys_bind(socket->end, &name, write_name(&name, text));
}

uint64_t desk_token(int fd)
{
    const size_t before = offsetof(struct sockaddr_un, sun_path) + 1;
    struct sockaddr_un name = {0};
    char digits[TOKEN_DIGITS + 1] = {0};
    size_t len;

    if (sys_getpeername(fd, &name, sizeof name, &len) || name.sun_family != AF_UNIX ||
        len < before + sizeof prefix - 1 + TOKEN_DIGITS ||
        memcmp(name.sun_path + 1, prefix, sizeof prefix - 1) != 0)
        return 0;
    memcpy(digits, name.sun_path + 1 + sizeof prefix - 1, TOKEN_DIGITS);
    return strtoull(digits, NULL, 16);
}

void desk_open(void)
{
    struct sockaddr_un name;
    size_t size = desk_name(engine.token, &name);
    int fd = sys_socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return;
    if (sys_bind(fd, &name, size) || engine_watch(fd, EPOLLIN, &engine.desk)) {
        sys_close(fd);
        return;
    }
    engine.desk = fd;
}

/* ---- requests ---- */

/* The descriptors that came along: where to answer, and the program's end or -1. */
struct visitor {
    int answer, fd;
};

/* By the program's end, or without one by what an earlier reply told. */
static struct engine_socket *find(const struct desk_request *request, int fd)
{
    struct engine_socket *socket;
    uint64_t inode = request ? 0 : mirror_inode(fd);

    engine_lock();
    for (socket = engine.sockets; socket; socket = socket->next) {
        if (request ? socket == request->socket && socket->key == request->key
                    : inode != 0 && socket->inode == inode)
            break;
    }
    if (socket && !engine_socket_hold(socket))
        socket = NULL;
    engine_unlock();
    return socket;
}

static void do_bridge(struct engine_socket *socket, int fd, struct desk_reply *reply)
{
    reply->result = bridge_begin(socket, fd);
    engine_lock();
    while (!socket->key)
        sys_getrandom(&socket->key, sizeof socket->key);
    engine_unlock();
    reply->socket = socket;
    reply->key = socket->key;
    reply->inet6 = socket->inet6;
    engine_get_status(socket, &reply->status);
}

static void answer(struct engine_socket *socket, const struct desk_request *request, int fd,
                   struct desk_reply *reply)
{
    enum engine_option option = (enum engine_option)request->number;

    switch ((enum desk_operation)request->operation) {
    case DESK_BRIDGE:
        do_bridge(socket, fd, reply);
        break;
    case DESK_STATUS:
        engine_get_status(socket, &reply->status);
        break;
    case DESK_SET_OPTION:
        reply->result = engine_set_option(socket, option, request->value);
        break;
    case DESK_GET_OPTION:
        reply->value = engine_get_option(socket, option);
        break;
    case DESK_READ_EXTRA:
        engine_read_extra(socket, &reply->extra);
        break;
    case DESK_WRITE_EXTRA:
        reply->result =
            engine_write_extra(socket, (unsigned)request->number, (int32_t)request->value);
        break;
    case DESK_TAKE_ERROR:
        reply->result = engine_take_error(socket);
        break;
    case DESK_CLOSE_RESETS:
        engine_close_resets(socket, request->value);
        break;
    case DESK_BIND:
        reply->result = engine_bind(socket, &request->endpoint);
        break;
    case DESK_LISTEN:
        reply->result = engine_listen(socket, fd, request->number);
        break;
    case DESK_CONNECT:
        reply->result = engine_connect(socket, fd, &request->endpoint);
        if (reply->result == -EINPROGRESS)
            engine_show_full(socket, fd, false);
        break;
    case DESK_SHUTDOWN:
        reply->result = engine_shutdown(socket, fd, request->number);
        break;
    }
}

static void serve(const struct desk_request *request, const struct visitor *visitor)
{
    struct desk_reply reply = {.result = -EBADF};
    bool knows = request->operation != DESK_BRIDGE;
    struct engine_socket *socket = find(knows ? request : NULL, visitor->fd);

    if (socket) {
        reply.result = 0;
        answer(socket, request, visitor->fd, &reply);
        engine_socket_drop(socket);
    }
    sys_send(visitor->answer, &reply, sizeof reply, MSG_DONTWAIT);
}

int desk_bridge(int fd)
{
    struct engine_socket *socket = find(NULL, fd);
    int result = -EBADF;

    if (socket) {
        result = bridge_begin(socket, fd);
        engine_socket_drop(socket);
    }
    return result;
}

static bool receive(struct desk_request *request, struct visitor *visitor)
{
    int fds[2];
    long len = sys_receive_passed(engine.desk, request, sizeof *request, fds, MSG_DONTWAIT);

    if (len < 0)
        return false;
    *visitor = (struct visitor){.answer = fds[0], .fd = fds[1]};
    if (len != sizeof *request)
        request->operation = UINT32_MAX;
    return true;
}

void desk_serve(void)
{
    struct desk_request request;
    struct visitor visitor;

    while (receive(&request, &visitor)) {
        if (visitor.answer >= 0 && request.operation <= DESK_SHUTDOWN)
            serve(&request, &visitor);
        if (visitor.answer >= 0)
            sys_close(visitor.answer);
        if (visitor.fd >= 0)
            sys_close(visitor.fd);
    }
}
