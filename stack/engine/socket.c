/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * The calls of engine.h that the program's threads make, and the memory of sockets.
 *
 * Copying needs no lock but the socket's own: the core says where there is room or data, the lock
 * is dropped for the copy, and taken again to commit it. Both loops go on until the program's
 * buffer is used up or the core has no more, and find that out under the lock; so the descriptor
 * can be mirrored as not writable or not readable at that very moment, and no event is missed. It
 * follows that a short count means "that was all", on which edge-triggered programs rely.
 *
 * A socket's memory is never given back, and stays a socket's: a pointer to one may be tested by
 * engine_socket_hold() at any time.
 */
#include "state.h"

#include "log.h"
#include "memory.h"
#include "sys.h"

#include <errno.h>
#include <string.h>

enum { OFFER_RETRY_MS = 20, OFFERS_BYTES = 1 << 20 };

static atomic_bool trouble_told, device_told;

/* ---- memory and references ---- */

struct engine_socket *socket_new(void)
{
    struct engine_socket *socket = engine.free_sockets;

    if (socket)
        engine.free_sockets = socket->next_free;
    else
        socket = memory_alloc(sizeof *socket);
    if (!socket)
        return NULL;
    /* Everything but life, which others may be looking at. */
    memset((char *)socket + sizeof socket->life, 0, sizeof *socket - sizeof socket->life);
    pthread_mutex_init(&socket->send_lock, NULL);
    pthread_mutex_init(&socket->receive_lock, NULL);
    socket->end = -1;
    socket->next = engine.sockets;
    if (socket->next)
        socket->next->previous = socket;
    engine.sockets = socket;
    atomic_store(&socket->life, (uint64_t)engine_generation << 32 | 1);
    return socket;
}

static void socket_free(struct engine_socket *socket)
{
    if (socket->conn)
        utcp_close(socket->conn, engine_now());
    socket->conn = NULL;
    if (socket->previous)
        socket->previous->next = socket->next;
    else
        engine.sockets = socket->next;
    if (socket->next)
        socket->next->previous = socket->previous;
    socket->next_free = engine.free_sockets;
    engine.free_sockets = socket;
}

void socket_release(struct engine_socket *socket)
{
    if ((atomic_fetch_sub(&socket->life, 1) & SOCKET_REFS) == 1)
        socket_free(socket);
}

void socket_mark(struct engine_socket *socket)
{
    if (socket->dirty)
        return;
    socket->dirty = true;
    atomic_fetch_add(&socket->life, 1);
    socket->next_dirty = engine.dirty;
    engine.dirty = socket;
}

bool engine_socket_hold(struct engine_socket *socket)
{
    uint64_t life = atomic_load(&socket->life);

    do {
        if (!(life & SOCKET_REFS) || (life & SOCKET_DEAD) || life >> 32 != engine_generation)
            return false;
    } while (!atomic_compare_exchange_weak(&socket->life, &life, life + 1));
    return true;
}

void engine_socket_drop(struct engine_socket *socket)
{
    uint64_t life = atomic_load(&socket->life);
    uint64_t signals;

    /* A forked child has no business with the sockets of its parent's engine. */
    if (life >> 32 != engine_generation)
        return;
    while ((life & SOCKET_REFS) > 1) {
        if (atomic_compare_exchange_weak(&socket->life, &life, life - 1))
            return;
    }
    if (engine_enter(socket, &signals))
        return;
    socket_release(socket);
    engine_leave(signals);
}

bool engine_socket_is(struct engine_socket *socket, int fd)
{
    return mirror_is(socket, fd);
}

/* ---- addresses ---- */

static struct utcp_endpoint to_core(const struct engine_endpoint *endpoint)
{
    struct utcp_endpoint core = {.addr.family = endpoint->family, .port = endpoint->port};

    memcpy(core.addr.bytes, endpoint->addr, sizeof core.addr.bytes);
    return core;
}

static struct engine_endpoint from_core(const struct utcp_endpoint *core)
{
    struct engine_endpoint endpoint = {.family = core->addr.family, .port = core->port};

    memcpy(endpoint.addr, core->addr.bytes, sizeof endpoint.addr);
    return endpoint;
}

/* ---- options ---- */

static const enum utcp_option core_options[ENGINE_OPTIONS] = {
    [ENGINE_NODELAY] = UTCP_OPT_NODELAY,
    [ENGINE_REUSEADDR] = UTCP_OPT_REUSEADDR,
    [ENGINE_REUSEPORT] = UTCP_OPT_REUSEPORT,
    [ENGINE_SND_BUF] = UTCP_OPT_SND_BUF,
    [ENGINE_RCV_BUF] = UTCP_OPT_RCV_BUF,
    [ENGINE_MAXSEG] = UTCP_OPT_MAXSEG,
    [ENGINE_TTL] = UTCP_OPT_TTL,
    [ENGINE_TOS] = UTCP_OPT_TOS,
};

/* The least and greatest value of each, for sockets that have no connection yet to ask. */
static const struct {
    uint64_t least, most;
} option_range[ENGINE_OPTIONS] = {
    [ENGINE_NODELAY] = {0, 1},         [ENGINE_REUSEADDR] = {0, 1},
    [ENGINE_REUSEPORT] = {0, 1},       [ENGINE_SND_BUF] = {0, INT32_MAX},
    [ENGINE_RCV_BUF] = {0, INT32_MAX}, [ENGINE_MAXSEG] = {0, 65495},
    [ENGINE_TTL] = {1, 255},           [ENGINE_TOS] = {0, 255},
};

int socket_ensure_conn(struct engine_socket *socket)
{
    if (socket->conn)
        return 0;
    if (!engine.stack)
        return -ENETDOWN;
    socket->conn = utcp_open(engine.stack, socket);
    if (!socket->conn)
        return -ENOMEM;
    for (unsigned i = 0; i < ENGINE_OPTIONS; i++) {
        if (socket->options_set & 1u << i)
            utcp_set_option(socket->conn, core_options[i], socket->options[i]);
    }
    return 0;
}

int engine_set_option(struct engine_socket *socket, enum engine_option option, uint64_t value)
{
    uint64_t signals;
    int error = engine_enter(socket, &signals);

    if (error)
        return error;
    if (value < option_range[option].least || value > option_range[option].most) {
        error = -EINVAL;
    } else if (socket->conn) {
        error = utcp_set_option(socket->conn, core_options[option], value);
    } else {
        socket->options[option] = value;
        socket->options_set |= 1u << option;
    }
    engine_leave(signals);
    return error;
}

static uint64_t default_option(enum engine_option option)
{
    const struct utcp_settings *settings = &engine.config.settings;

    switch (option) {
    case ENGINE_SND_BUF:
        return settings->snd_buf;
    case ENGINE_RCV_BUF:
        return settings->rcv_buf;
    case ENGINE_TTL:
        return settings->ttl;
    case ENGINE_MAXSEG:
        return settings->mss ? settings->mss : 536; /* RFC 9293 section 3.7.1, as Linux says it */
    default:
        return 0;
    }
}

uint64_t engine_get_option(struct engine_socket *socket, enum engine_option option)
{
    uint64_t signals, value;

    if (engine_enter(socket, &signals))
        return 0;
    if (socket->conn)
        value = utcp_get_option(socket->conn, core_options[option]);
    else if (socket->options_set & 1u << option)
        value = socket->options[option];
    else
        value = default_option(option);
    engine_leave(signals);
    return value;
}

void engine_read_extra(struct engine_socket *socket, struct engine_extra *extra)
{
    uint64_t signals;

    *extra = (struct engine_extra){0};
    if (engine_enter(socket, &signals))
        return;
    *extra = socket->extra;
    engine_leave(signals);
}

void engine_write_extra(struct engine_socket *socket, unsigned index, int32_t value)
{
    uint64_t signals;

    if (index >= sizeof socket->extra.values / sizeof *socket->extra.values ||
        engine_enter(socket, &signals))
        return;
    socket->extra.values[index] = value;
    engine_leave(signals);
}

/* ---- open, bind, listen, connect ---- */

static void tell_trouble(void)
{
    if (atomic_exchange(&trouble_told, true))
        return;
    if (engine.config.error[0])
        engine_log(ENGINE_ERROR, "%s", engine.config.error);
    if (engine.config.warning[0])
        engine_log(ENGINE_ERROR, "%s", engine.config.warning);
}

int engine_socket_open(unsigned flags, struct engine_socket **socket)
{
    struct control_reply reply = {0};
    uint64_t signals;
    int fd = -1, error;

    tell_trouble();
    log_flush();
    signals = sys_block_signals(UINT64_MAX);
    error = engine.gone ? -EPIPE : control_start();
    if (!error)
        error = control_call(CONTROL_SOCKET, &reply, &fd);
    sys_block_signals(signals);
    if (error)
        return error;
    if (!(flags & ENGINE_CLOEXEC))
        sys_fcntl(fd, F_SETFD, 0);
    if (flags & ENGINE_NONBLOCK)
        sys_fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
    *socket = reply.socket;
    return fd;
}

/* Opens the device if it is not open. The reason why it cannot be is told once. */
static int need_stack(void)
{
    uint64_t signals;
    int error;

    if (engine.stack)
        return 0;
    if (engine.config.error[0])
        return -ENETDOWN;
    signals = sys_block_signals(UINT64_MAX);
    error = control_call(CONTROL_DEVICE, NULL, NULL);
    sys_block_signals(signals);
    if (!error)
        return 0;
    if (!atomic_exchange(&device_told, true))
        engine_log(ENGINE_ERROR, "%s", engine.why);
    return -ENETDOWN;
}

/* Enters with a connection to work on. */
static int enter_with_conn(struct engine_socket *socket, uint64_t *signals)
{
    int error = need_stack();

    if (!error)
        error = engine_enter(socket, signals);
    if (error)
        return error;
    error = socket_ensure_conn(socket);
    if (error)
        engine_leave(*signals);
    return error;
}

int engine_bind(struct engine_socket *socket, const struct engine_endpoint *local)
{
    struct utcp_endpoint endpoint = to_core(local);
    uint64_t signals;
    int error = enter_with_conn(socket, &signals);

    if (error)
        return error;
    error = utcp_bind(socket->conn, &endpoint);
    engine_leave(signals);
    return error;
}

int engine_listen(struct engine_socket *socket, int fd, int backlog)
{
    uint64_t signals;
    int error = enter_with_conn(socket, &signals);

    (void)fd;
    if (error)
        return error;
    error = utcp_listen(socket->conn, backlog < 0 ? INT32_MAX : (unsigned)backlog);
    if (!error) {
        socket->phase = SOCKET_LISTENING;
        socket_mark(socket);
    }
    engine_leave(signals);
    return error;
}

static int connect_locked(struct engine_socket *socket, int fd, const struct utcp_endpoint *remote)
{
    int error;

    /* What Linux answers to a second attempt on a socket whose first one failed. */
    if (socket->end < 0)
        return -ECONNABORTED;
    error = utcp_connect(socket->conn, remote, engine_now());
    if (error)
        return error;
    socket->phase = SOCKET_ACTIVE;
    error = mirror_fill(socket, fd);
    return error ? error : -EINPROGRESS;
}

int engine_connect(struct engine_socket *socket, int fd, const struct engine_endpoint *remote)
{
    struct utcp_endpoint endpoint = to_core(remote);
    uint64_t signals;
    int error = enter_with_conn(socket, &signals);

    if (error)
        return error;
    error = connect_locked(socket, fd, &endpoint);
    engine_leave(signals);
    return error;
}

/* ---- accept ---- */

/* Sends a descriptor and the socket behind it through the listener's pair. */
static int send_offer(struct engine_socket *listener, struct engine_socket *socket, int fd)
{
    _Alignas(struct cmsghdr) char ancillary[CMSG_SPACE(sizeof(int))] = {0};
    struct socket_offer offer = {.token = engine.token, .socket = socket};
    struct iovec iov = {.iov_base = &offer, .iov_len = sizeof offer};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = ancillary,
                             .msg_controllen = sizeof ancillary};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    long sent;

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    sent = sys_sendmsg(listener->end, &message, MSG_DONTWAIT);
    return sent < 0 ? (int)sent : 0;
}

/* The connection is taken from the core only when it is on its way: what cannot be sent stays in
 * the core's queue, where the backlog counts it. */
static int offer_one(struct engine_socket *listener)
{
    struct engine_socket *socket = socket_new();
    int fd, error;

    if (!socket)
        return -ENOMEM;
    error = mirror_open(socket, &fd);
    if (!error) {
        error = send_offer(listener, socket, fd);
        sys_close(fd);
        if (error)
            mirror_close(socket);
    }
    if (!error) {
        socket->conn = utcp_accept(listener->conn, socket);
        socket->extra = listener->extra;
        socket->phase = SOCKET_ACTIVE;
        mirror_sync(socket);
    }
    socket_release(socket);
    return error;
}

void socket_offer_connections(struct engine_socket *listener)
{
    struct epoll_event event = {.events = EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = listener};
    int error = 0;

    while (!error && (utcp_ready(listener->conn) & UTCP_IN))
        error = offer_one(listener);
    if (error == -EAGAIN)
        sys_epoll_ctl(engine.epoll, EPOLL_CTL_MOD, listener->end, &event);
    else if (error)
        engine.offer_at = engine_now() + OFFER_RETRY_MS * UTCP_MSEC;
}

/* Receives an offer; the descriptor that came with it, or a negative errno. */
static int receive_offer(int listener_fd, engine_recvmsg *receive, struct socket_offer *offer)
{
    _Alignas(struct cmsghdr) char ancillary[CMSG_SPACE(sizeof(int))];
    struct iovec iov = {.iov_base = offer, .iov_len = sizeof *offer};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = ancillary,
                             .msg_controllen = sizeof ancillary};
    const struct cmsghdr *header;
    ssize_t len = receive(listener_fd, &message, MSG_CMSG_CLOEXEC);
    int fd;

    if (len < 0)
        return -errno;
    header = CMSG_FIRSTHDR(&message);
    if (!header || header->cmsg_type != SCM_RIGHTS)
        return message.msg_flags & MSG_CTRUNC ? -EMFILE : -EINVAL;
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
}

/* Makes the offer the caller's own; false when it came from another process's engine, or is over.
 */
static bool take_offer(const struct socket_offer *offer, struct engine_endpoint *remote)
{
    struct engine_socket *socket = offer->socket;
    struct utcp_info info;
    uint64_t signals;

    if (offer->token != engine.token || !engine_socket_hold(socket))
        return false;
    if (engine_enter(socket, &signals) == 0) {
        socket->delivered = true;
        if (socket->conn) {
            utcp_info(socket->conn, &info);
            *remote = from_core(&info.remote);
        }
        engine_leave(signals);
        return true;
    }
    engine_socket_drop(socket);
    return false;
}

int engine_accept(int listener_fd, unsigned flags, engine_recvmsg *receive,
                  struct engine_socket **accepted, struct engine_endpoint *remote)
{
    struct socket_offer offer = {0};
    int fd = receive_offer(listener_fd, receive, &offer);

    if (fd < 0)
        return fd;
    *remote = (struct engine_endpoint){0};
    if (!take_offer(&offer, remote)) {
        sys_close(fd);
        return -ECONNABORTED;
    }
    if (!(flags & ENGINE_CLOEXEC))
        sys_fcntl(fd, F_SETFD, 0);
    if (flags & ENGINE_NONBLOCK)
        sys_fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
    *accepted = offer.socket;
    return fd;
}

/* ---- send and receive ---- */

/* Where a copy stands in the program's buffers. */
struct cursor {
    const struct iovec *iov;
    int count;
    size_t offset; /* in the first of them */
};

static struct cursor cursor_at_start(const struct iovec *iov, int count)
{
    struct cursor cursor = {.iov = iov, .count = count};

    while (cursor.count > 0 && cursor.iov->iov_len == 0) {
        cursor.iov++;
        cursor.count--;
    }
    return cursor;
}

/* The bytes at the cursor that lie in one piece. */
static size_t cursor_run(const struct cursor *cursor)
{
    return cursor->count > 0 ? cursor->iov->iov_len - cursor->offset : 0;
}

static void cursor_advance(struct cursor *cursor, size_t len)
{
    cursor->offset += len;
    while (cursor->count > 0 && cursor->offset == cursor->iov->iov_len) {
        cursor->iov++;
        cursor->count--;
        cursor->offset = 0;
    }
}

enum copy { COPY_IN, COPY_OUT, COPY_NOTHING };

/* Copies between the program's buffers and the core's slices until one side is used up. */
static size_t copy(struct cursor *cursor, const struct utcp_slice slices[2], enum copy direction)
{
    size_t copied = 0;

    for (int i = 0; i < 2; i++) {
        for (size_t at = 0; at < slices[i].len && cursor->count > 0;) {
            size_t len = cursor_run(cursor);
            char *user = (char *)cursor->iov->iov_base + cursor->offset;

            if (len > slices[i].len - at)
                len = slices[i].len - at;
            if (direction == COPY_IN)
                memcpy(slices[i].data + at, user, len);
            else if (direction == COPY_OUT)
                memcpy(user, slices[i].data + at, len);
            at += len;
            copied += len;
            cursor_advance(cursor, len);
        }
    }
    return copied;
}

/* Finds room, under the lock. Where there is none, the descriptor is made to show it. */
static long send_space(struct engine_socket *socket, int fd, struct utcp_slice space[2])
{
    long room = socket->conn ? utcp_send_space(socket->conn, space) : -EPIPE;
    int error;

    if (room != -EAGAIN && room != 0)
        return room;
    error = mirror_fill(socket, fd);
    return error ? error : -EAGAIN;
}

static ssize_t send_locked(struct engine_socket *socket, int fd, struct cursor *cursor)
{
    struct utcp_slice space[2] = {0};
    ssize_t sent = 0;
    long room;

    engine_lock();
    do {
        size_t len;

        room = engine.gone ? -EPIPE : send_space(socket, fd, space);
        if (room < 0)
            break;
        engine_unlock_waking();
        len = copy(cursor, space, COPY_IN);
        engine_lock();
        if (engine.gone || !socket->conn)
            break;
        utcp_send_commit(socket->conn, len, engine_now());
        sent += (ssize_t)len;
    } while (cursor->count > 0);
    engine_unlock_waking();
    return sent ? sent : room < 0 ? room : -EPIPE;
}

ssize_t engine_send(struct engine_socket *socket, int fd, const struct iovec *iov, int iov_count,
                    unsigned flags)
{
    struct cursor cursor = cursor_at_start(iov, iov_count);
    uint64_t signals;
    ssize_t result;

    (void)flags;
    log_flush();
    signals = sys_block_signals(UINT64_MAX);
    pthread_mutex_lock(&socket->send_lock);
    result = send_locked(socket, fd, &cursor);
    pthread_mutex_unlock(&socket->send_lock);
    sys_block_signals(signals);
    return result;
}

static long receive_data(struct engine_socket *socket, int fd, struct utcp_slice data[2])
{
    long waiting = socket->conn ? utcp_receive_data(socket->conn, data) : -ENOTCONN;
    int error = waiting == -EAGAIN ? mirror_take(socket, fd) : 0;

    return error ? error : waiting;
}

/* A receive that left nothing takes the readiness byte out at once. */
static void receive_commit(struct engine_socket *socket, int fd, size_t len)
{
    utcp_receive_commit(socket->conn, len, engine_now());
    mirror_take(socket, fd);
}

static ssize_t receive_locked(struct engine_socket *socket, int fd, struct cursor *cursor,
                              unsigned flags)
{
    enum copy direction = flags & ENGINE_DISCARD ? COPY_NOTHING : COPY_OUT;
    struct utcp_slice data[2] = {0};
    ssize_t received = 0;
    long waiting;

    engine_lock();
    do {
        size_t len;

        waiting = engine.gone ? -EPIPE : receive_data(socket, fd, data);
        if (waiting <= 0)
            break;
        engine_unlock_waking();
        len = copy(cursor, data, direction);
        engine_lock();
        received += (ssize_t)len;
        if ((flags & ENGINE_PEEK) || engine.gone || !socket->conn)
            break;
        receive_commit(socket, fd, len);
    } while (cursor->count > 0);
    engine_unlock_waking();
    return received ? received : waiting;
}

ssize_t engine_receive(struct engine_socket *socket, int fd, const struct iovec *iov, int iov_count,
                       unsigned flags)
{
    struct cursor cursor = cursor_at_start(iov, iov_count);
    uint64_t signals;
    ssize_t result;

    log_flush();
    signals = sys_block_signals(UINT64_MAX);
    pthread_mutex_lock(&socket->receive_lock);
    result = receive_locked(socket, fd, &cursor, flags);
    pthread_mutex_unlock(&socket->receive_lock);
    sys_block_signals(signals);
    return result;
}

/* ---- the rest of a socket's life ---- */

int engine_shutdown(struct engine_socket *socket, int fd, int how)
{
    uint64_t signals;
    int error = engine_enter(socket, &signals);

    (void)fd;
    if (error)
        return error;
    /* SHUT_RD, SHUT_WR, SHUT_RDWR are 0, 1, 2: one less than the bits. */
    error = socket->conn ? utcp_shutdown(socket->conn, (unsigned)how + 1, engine_now()) : -ENOTCONN;
    engine_leave(signals);
    return error;
}

void engine_close_resets(struct engine_socket *socket, bool resets)
{
    uint64_t signals;

    if (engine_enter(socket, &signals))
        return;
    socket->resets = resets;
    engine_leave(signals);
}

int engine_take_error(struct engine_socket *socket)
{
    uint64_t signals;
    int error = engine_enter(socket, &signals);

    if (error)
        return error;
    error = socket->conn ? utcp_take_error(socket->conn) : 0;
    engine_leave(signals);
    return error;
}

/* A connection that the program never fetched is reset, as by the kernel when a listener goes. */
void socket_hang_up(struct engine_socket *socket)
{
    struct utcp_conn *conn = socket->conn;

    socket->conn = NULL;
    if (conn && (socket->resets || !socket->delivered))
        utcp_abort(conn, engine_now());
    else if (conn)
        utcp_close(conn, engine_now());
    atomic_fetch_or(&socket->life, SOCKET_DEAD);
    mirror_close(socket);
}

/* ---- status ---- */

static uint32_t in_segments(uint32_t bytes, uint32_t mss)
{
    return mss ? (uint32_t)((bytes + (uint64_t)mss - 1) / mss) : 0;
}

static uint32_t in_us(uint64_t ns)
{
    return (uint32_t)(ns / UTCP_USEC);
}

static bool is_connected(enum tcp_state state)
{
    return state != TCP_CLOSED && state != TCP_LISTEN && state != TCP_SYN_SENT &&
           state != TCP_SYN_RECEIVED;
}

static void fill_status(struct engine_status *status, const struct utcp_info *info)
{
    *status = (struct engine_status){
        .tcp_state = (uint8_t)info->state,
        .bound = info->local.port != 0,
        .connected = is_connected(info->state),
        .connecting = info->state == TCP_SYN_SENT || info->state == TCP_SYN_RECEIVED,
        .wscale_ok = info->wscale_ok,
        .local = from_core(&info->local),
        .remote = from_core(&info->remote),
        .readable = info->rcv_queued,
        .unacked_bytes = info->snd_queued,
        .unsent_bytes = info->snd_unsent,
        .snd_mss = info->mss,
        .rcv_mss = info->rcv_mss,
        .pmtu = engine.stack ? engine.device.mtu_bytes : 0,
        .cwnd = in_segments(info->cwnd, info->mss),
        .ssthresh = in_segments(info->ssthresh, info->mss),
        .snd_wnd = info->snd_wnd,
        .rcv_wnd = info->rcv_wnd,
        .snd_wscale = info->snd_wscale,
        .rcv_wscale = info->rcv_wscale,
        .rtt = in_us(info->srtt),
        .rttvar = in_us(info->rttvar),
        .rto = in_us(info->rto),
        .retransmits = info->retransmits,
        .total_retransmits = (uint32_t)info->total_retransmits,
        .bytes_sent = info->bytes_sent,
        .bytes_retransmitted = info->bytes_retransmitted,
        .bytes_acked = info->bytes_acked,
        .bytes_received = info->bytes_received,
        .segs_in = info->segs_in,
        .segs_out = info->segs_out,
        .accept_queued = info->accept_queued,
        .backlog = info->backlog,
    };
}

void engine_get_status(struct engine_socket *socket, struct engine_status *status)
{
    struct utcp_info info = {.state = TCP_CLOSED};
    uint64_t signals;

    if (engine_enter(socket, &signals)) {
        *status = (struct engine_status){.tcp_state = TCP_CLOSED};
        return;
    }
    if (socket->conn)
        utcp_info(socket->conn, &info);
    fill_status(status, &info);
    engine_leave(signals);
}
