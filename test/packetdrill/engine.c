/* SPDX-License-Identifier: MIT */
/*
 * engine.h in virtual time: what lies under the shim when packetdrill runs it. No thread, no device; a
 * socket's descriptor is a real one of no use, since packetdrill closes it itself, and the socket closes
 * when the shim drops its last reference.
 */
#include "engine.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "libc.h"
#include "sockets.h"
#include "transfer.h"
#include "translate.h"
#include "world.h"

static struct engine_socket *sockets;

/* ---- life of the process ---- */

/* Commands that the script runs are not to be interposed. */
void engine_init(char *const *environment)
{
    (void)environment;
    unsetenv("LD_PRELOAD");
}

void engine_fork_prepare(void)
{
}

void engine_fork_parent(void)
{
}

void engine_fork_child(void)
{
}

/* packetdrill makes no system calls by their numbers. */
long engine_system_call(long number, const long arguments[6])
{
    (void)number;
    (void)arguments;
    return -ENOSYS;
}

void engine_fork_unseen(void)
{
}

/* packetdrill's descriptors stay where they are. */
int engine_expose(const struct engine_socket *socket, int fd)
{
    (void)socket;
    (void)fd;
    return 0;
}

bool engine_is_bridged(const struct engine_socket *socket)
{
    (void)socket;
    return false;
}

int engine_adopt(const struct engine_socket *inherited, int fd, struct engine_socket **socket)
{
    (void)inherited;
    (void)fd;
    (void)socket;
    return -ENOTSOCK;
}

bool engine_is_inherited(const struct engine_socket *socket)
{
    (void)socket;
    return false;
}

bool engine_listens_elsewhere(const struct engine_socket *socket)
{
    (void)socket;
    return false;
}

bool engine_exec_begin(void)
{
    return false;
}

void engine_exec_interrupted(void)
{
}

void engine_exec_failed(void)
{
}

void engine_farewell(void)
{
}

bool engine_owns_descriptor(int fd)
{
    (void)fd;
    return false;
}

bool engine_bypasses(const struct engine_endpoint *endpoint)
{
    (void)endpoint;
    return false;
}

bool engine_logs(enum engine_level level)
{
    (void)level;
    return false;
}

void engine_log(enum engine_level level, const char *format, ...)
{
    va_list arguments;

    if (level > ENGINE_WARN)
        return;
    va_start(arguments, format);
    fputs("utcp: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

/* ---- sockets ---- */

struct engine_socket *socket_find(int fd)
{
    struct engine_socket *socket = sockets;

    while (socket && socket->fd != fd)
        socket = socket->next;
    return socket;
}

static struct engine_socket *socket_add(unsigned flags)
{
    struct engine_socket *added = calloc(1, sizeof *added);
    int type = SOCK_STREAM | (flags & ENGINE_CLOEXEC ? SOCK_CLOEXEC : 0) |
               (flags & ENGINE_NONBLOCK ? SOCK_NONBLOCK : 0);

    if (!added)
        abort();
    added->references = 1;
    added->fd = libc.socket(AF_UNIX, type, 0);
    added->next = sockets;
    sockets = added;
    return added;
}

static void socket_remove(struct engine_socket *socket)
{
    struct engine_socket **link = &sockets;

    while (*link != socket)
        link = &(*link)->next;
    *link = socket->next;
    epoll_forget(socket->fd);
    if (socket->resets)
        utcp_abort(socket->conn, world_now());
    else
        utcp_close(socket->conn, world_now());
    free(socket);
    world_settle();
}

int engine_socket_open(unsigned flags, struct engine_socket **socket)
{
    world_lock();
    *socket = socket_add(flags);
    (*socket)->conn = utcp_open(world_stack(), *socket);
    world_unlock();
    return (*socket)->fd;
}

bool engine_socket_hold(struct engine_socket *socket)
{
    world_lock();
    socket->references++;
    world_unlock();
    return true;
}

void engine_closed(struct engine_socket *socket)
{
    (void)socket;
}

void engine_socket_drop(struct engine_socket *socket)
{
    world_lock();
    if (--socket->references == 0)
        socket_remove(socket);
    world_unlock();
}

bool engine_socket_is(struct engine_socket *socket, int fd)
{
    return socket->fd == fd;
}

int engine_bind(struct engine_socket *socket, const struct engine_endpoint *local)
{
    struct utcp_endpoint endpoint = endpoint_to_core(local);
    int error;

    world_lock();
    error = utcp_bind(socket->conn, &endpoint);
    world_unlock();
    return error;
}

int engine_listen(struct engine_socket *socket, int fd, int backlog)
{
    int error;

    (void)fd;
    world_lock();
    error = utcp_listen(socket->conn, backlog < 0 ? INT32_MAX : (unsigned)backlog);
    world_unlock();
    return error;
}

int engine_connect(struct engine_socket *socket, int fd, const struct engine_endpoint *remote)
{
    struct utcp_endpoint endpoint = endpoint_to_core(remote);
    int error;

    (void)fd;
    world_lock();
    error = utcp_connect(socket->conn, &endpoint, world_now());
    world_settle();
    world_unlock();
    return error ? error : -EINPROGRESS;
}

static bool can_accept(void *listener)
{
    return utcp_ready(((struct engine_socket *)listener)->conn) & UTCP_IN;
}

int engine_accept(struct engine_socket *named, int listener_fd, unsigned flags,
                  engine_recvmsg *unused, struct engine_socket **accepted,
                  struct engine_endpoint *remote)
{
    bool blocks = !(libc.fcntl(listener_fd, F_GETFL) & O_NONBLOCK);
    struct engine_socket *listener;
    struct utcp_info info;

    (void)named;
    (void)unused;
    world_lock();
    listener = socket_find(listener_fd);
    if (blocks)
        world_wait(can_accept, listener, UTCP_NEVER);
    if (!can_accept(listener)) {
        world_unlock();
        return -EAGAIN;
    }
    *accepted = socket_add(flags);
    (*accepted)->extra = listener->extra;
    (*accepted)->inet6 = listener->inet6;
    (*accepted)->conn = utcp_accept(listener->conn, *accepted);
    utcp_info((*accepted)->conn, world_now(), &info);
    *remote = endpoint_from_core(&info.remote);
    world_settle();
    world_unlock();
    return (*accepted)->fd;
}

/* ---- bytes ---- */

/* Copies between our memory and the program's, where there may be none. */
typedef ssize_t copier(pid_t pid, const struct iovec *ours, unsigned long count,
                       const struct iovec *theirs, unsigned long their_count, unsigned long flags);

static ssize_t copy(copier *move, const struct utcp_slice slices[2], const struct iovec *iov,
                    int count)
{
    struct iovec ours[2] = {{slices[0].data, slices[0].len}, {slices[1].data, slices[1].len}};
    ssize_t copied = move(getpid(), ours, 2, iov, (unsigned long)count, 0);

    return copied < 0 ? -errno : copied;
}

static size_t room(const struct iovec *iov, int count)
{
    size_t bytes = 0;

    for (int i = 0; i < count; i++)
        bytes += iov[i].iov_len;
    return bytes;
}

/* Once: as much as there is room for now. */
static ssize_t send_some(struct engine_socket *socket, const struct iovec *iov, int count,
                         unsigned flags)
{
    struct utcp_slice space[2] = {0};
    ssize_t sent = utcp_send_space(socket->conn, space);

    if (sent >= 0)
        sent = copy(process_vm_readv, space, iov, count);
    if (sent > 0 && (size_t)sent < room(iov, count))
        flags &= ~(unsigned)ENGINE_RECORD;
    if (sent > 0)
        utcp_send_commit(socket->conn, (size_t)sent, send_flags_to_core(flags), world_now());
    return sent;
}

void engine_leads_no_more(void)
{
}

int engine_show_full(struct engine_socket *socket, int fd, bool waits)
{
    (void)socket;
    (void)fd;
    (void)waits;
    return 0;
}

ssize_t engine_send(struct engine_socket *socket, int fd, const struct iovec *iov, int iov_count,
                    unsigned flags)
{
    size_t bytes = room(iov, iov_count), done = 0;
    ssize_t sent;

    (void)fd;
    world_lock();
    do {
        struct iovec part;
        int left = iov_count;
        const struct iovec *next = iov_after(iov, &left, done, &part);

        sent = send_some(socket, next, left, flags);
        done += sent > 0 ? (size_t)sent : 0;
        world_settle();
    } while (sent > 0 && done < bytes);
    world_unlock();
    return done > 0 ? (ssize_t)done : sent;
}

static ssize_t deliver(const struct utcp_slice data[2], size_t waiting, const struct iovec *iov,
                       int count, unsigned flags)
{
    size_t bytes = room(iov, count);

    if (flags & ENGINE_DISCARD)
        return (ssize_t)(bytes < waiting ? bytes : waiting);
    return copy(process_vm_writev, data, iov, count);
}

ssize_t engine_receive(struct engine_socket *socket, int fd, const struct iovec *iov, int iov_count,
                       unsigned flags)
{
    struct utcp_slice data[2] = {0};
    ssize_t got;

    (void)fd;
    world_lock();
    got = utcp_receive_data(socket->conn, data);
    if (got > 0)
        got = deliver(data, (size_t)got, iov, iov_count, flags);
    if (got > 0 && !(flags & ENGINE_PEEK))
        utcp_receive_commit(socket->conn, (size_t)got, world_now());
    world_settle();
    world_unlock();
    return got;
}

int engine_receive_urgent(struct engine_socket *socket, int fd, char *byte, bool peek)
{
    uint8_t value = 0;
    int got;

    (void)fd;
    world_lock();
    got = utcp_receive_urgent(socket->conn, &value, peek);
    world_unlock();
    *byte = (char)value;
    return got;
}

int engine_shutdown(struct engine_socket *socket, int fd, int how)
{
    int error;

    (void)fd;
    world_lock();
    error = utcp_shutdown(socket->conn, (unsigned)how + 1, world_now());
    world_settle();
    world_unlock();
    return error;
}

void engine_reader_begins(struct engine_socket *socket)
{
    (void)socket;
}

void engine_reader_ends(struct engine_socket *socket)
{
    (void)socket;
}

int engine_disconnect(struct engine_socket *socket)
{
    (void)socket;
    return -EOPNOTSUPP;
}

void engine_set_inet6(struct engine_socket *socket, bool inet6)
{
    socket->inet6 = inet6;
}

bool engine_is_inet6(const struct engine_socket *socket)
{
    return socket->inet6;
}

void engine_close_resets(struct engine_socket *socket, bool resets)
{
    world_lock();
    socket->resets = resets;
    world_unlock();
}

int engine_take_error(struct engine_socket *socket)
{
    int error;

    world_lock();
    error = utcp_take_error(socket->conn);
    world_unlock();
    return error;
}

/* ---- options and status ---- */

int engine_set_option(struct engine_socket *socket, enum engine_option option, uint64_t value)
{
    int error;

    world_lock();
    error = option_in_range(option, value)
                ? utcp_set_option(socket->conn, option_to_core(option), value)
                : -EINVAL;
    world_settle();
    world_unlock();
    return error;
}

uint64_t engine_get_option(struct engine_socket *socket, enum engine_option option)
{
    uint64_t value;

    world_lock();
    value = utcp_get_option(socket->conn, option_to_core(option));
    world_unlock();
    return value;
}

void engine_get_status(struct engine_socket *socket, struct engine_status *status)
{
    struct utcp_info info;

    world_lock();
    utcp_info(socket->conn, world_now(), &info);
    status_fill(status, &info, world_now());
    world_unlock();
}

void engine_read_extra(struct engine_socket *socket, struct engine_extra *extra)
{
    world_lock();
    *extra = socket->extra;
    world_unlock();
}

int engine_write_extra(struct engine_socket *socket, unsigned index, int32_t value)
{
    world_lock();
    socket->extra.values[index] = value;
    world_unlock();
    return 0;
}

/* ---- readiness ---- */

void socket_event(void *user, unsigned ready)
{
    (void)ready;
    epoll_tell(user);
}

unsigned socket_poll(const struct engine_socket *socket)
{
    unsigned ready = utcp_ready(socket->conn);

    return (ready & UTCP_IN ? POLLIN | POLLRDNORM : 0) |
           (ready & UTCP_OUT ? POLLOUT | POLLWRNORM : 0) | (ready & UTCP_RDHUP ? POLLRDHUP : 0) |
           (ready & UTCP_HUP ? POLLHUP : 0) | (ready & UTCP_ERR ? POLLERR : 0);
}
