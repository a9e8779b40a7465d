/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * The calls of engine.h that make, name and end sockets, and the memory of sockets. How bytes move
 * is in transfer.c, how connections are accepted in accept.c.
 *
 * A socket's memory is never given back, and stays a socket's: a pointer to one may be tested by
 * engine_socket_hold() at any time. It has a connection of the core's only once it needs one, for a
 * stack begins with the device, which is not opened before a bind, connect or listen; options set
 * earlier are remembered.
 */
#include "state.h"

#include "log.h"
#include "memory.h"
#include "sys.h"

#include <errno.h>
#include <string.h>

#define READER_LIMIT (100 * UTCP_MSEC)

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
    socket->copy = -1;
    socket->token = engine.token;
    socket->next = engine.sockets;
    if (socket->next)
        socket->next->previous = socket;
    engine.sockets = socket;
    atomic_store(&socket->life, (uint64_t)engine_generation << 32 | 1);
    return socket;
}

int socket_make(struct engine_socket **socket, int *program_end)
{
    int error = -ENOMEM;

    engine_lock();
    *socket = socket_new();
    engine_unlock();
    if (*socket)
        error = mirror_open(*socket, program_end);
    if (error && *socket)
        engine_socket_drop(*socket);
    return error;
}

static void drop_early(struct engine_socket *socket)
{
    memory_free(socket->early, sizeof *socket->early);
    socket->early = NULL;
}

static void socket_free(struct engine_socket *socket)
{
    lead_forget(socket);
    if (socket->conn)
        utcp_close(socket->conn, engine_now());
    socket->conn = NULL;
    drop_early(socket);
    memory_free(socket->extra, sizeof *socket->extra);
    socket->extra = NULL;
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
        if (!(life & SOCKET_REFS) || (life & SOCKET_DEAD) || engine_is_inherited(socket))
            return false;
    } while (!atomic_compare_exchange_weak(&socket->life, &life, life + 1));
    return true;
}

void engine_socket_drop(struct engine_socket *socket)
{
    uint64_t life = atomic_load(&socket->life);
    uint64_t signals;

    /* A forked child has no business with the sockets of its parent's engine. */
    if (engine_is_inherited(socket))
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

/* ---- options ---- */

int socket_ensure_conn(struct engine_socket *socket)
{
    if (socket->conn)
        return 0;
    if (!engine.stack)
        return -ENETDOWN;
    socket->conn = utcp_open(engine.stack, socket);
    if (!socket->conn)
        return -ENOMEM;
    for (unsigned i = 0; socket->early && i < ENGINE_OPTIONS; i++) {
        if (socket->early->set & 1u << i)
            utcp_set_option(socket->conn, option_to_core((enum engine_option)i),
                            socket->early->values[i]);
    }
    drop_early(socket);
    return 0;
}

static int set_early(struct engine_socket *socket, enum engine_option option, uint64_t value)
{
    if (!socket->early)
        socket->early = memory_alloc(sizeof *socket->early);
    if (!socket->early)
        return -ENOBUFS;
    socket->early->values[option] = value;
    socket->early->set |= 1u << option;
    return 0;
}

/* Asks the process that has the socket. */
static int ask_home(const struct engine_socket *socket, enum desk_operation operation, int number,
                    uint64_t value, struct desk_reply *reply)
{
    struct desk_request request = {.operation = operation, .number = number, .value = value};

    return foreign_ask(socket, &request, -1, reply);
}

int engine_set_option(struct engine_socket *socket, enum engine_option option, uint64_t value)
{
    struct desk_reply reply;
    uint64_t signals;
    int error;

    if (socket->home)
        return ask_home(socket, DESK_SET_OPTION, (int)option, value, &reply);
    error = engine_enter(socket, &signals);

    if (error)
        return error;
    if (!option_in_range(option, value)) {
        error = -EINVAL;
    } else if (socket->conn) {
        error = utcp_set_option(socket->conn, option_to_core(option), value);
    } else {
        error = set_early(socket, option, value);
    }
    engine_leave(signals);
    return error;
}

static uint64_t default_congestion(void)
{
    const char *wanted = engine.config.congestion;
    size_t i = 0;

    while (wanted && strcmp(utcp_congestion_name(i), wanted) != 0)
        i++;
    return i;
}

static uint64_t default_option(enum engine_option option)
{
    const struct utcp_settings *settings = &engine.config.settings;

    switch (option) {
    case ENGINE_SND_BUF:
        return settings->snd_buf;
    case ENGINE_RCV_BUF:
        return settings->rcv_buf;
    case ENGINE_QUICKACK:
        return 1;
    case ENGINE_KEEPALIVE_IDLE:
        return settings->keepalive_idle;
    case ENGINE_KEEPALIVE_INTERVAL:
        return settings->keepalive_interval;
    case ENGINE_KEEPALIVE_COUNT:
        return settings->keepalive_count;
    case ENGINE_SYN_RETRIES:
        return settings->syn_retries;
    case ENGINE_FIN_WAIT2:
        return settings->fin_wait2;
    case ENGINE_TTL:
        return settings->ttl;
    case ENGINE_MAXSEG:
        return settings->mss ? settings->mss : 536; /* RFC 9293 section 3.7.1, as Linux says it */
    case ENGINE_MTU_DISCOVER:
        return UTCP_PMTU_WANT;
    case ENGINE_MAX_PACING_RATE:
        return UINT64_MAX;
    case ENGINE_CONGESTION:
        return default_congestion();
    default:
        return 0;
    }
}

/* UINT64_MAX takes a word back: what is set to it has its default. */
uint64_t engine_get_option(struct engine_socket *socket, enum engine_option option)
{
    struct desk_reply reply;
    uint64_t signals, value;

    if (socket->home)
        return ask_home(socket, DESK_GET_OPTION, (int)option, 0, &reply) ? 0 : reply.value;
    if (engine_enter(socket, &signals))
        return 0;
    if (socket->conn)
        value = utcp_get_option(socket->conn, option_to_core(option));
    else if (socket->early && socket->early->set & 1u << option &&
             socket->early->values[option] != UINT64_MAX)
        value = socket->early->values[option];
    else
        value = default_option(option);
    engine_leave(signals);
    return value;
}

void engine_read_extra(struct engine_socket *socket, struct engine_extra *extra)
{
    struct desk_reply reply = {0};
    uint64_t signals;

    *extra = (struct engine_extra){0};
    if (socket->home) {
        if (!ask_home(socket, DESK_READ_EXTRA, 0, 0, &reply))
            *extra = reply.extra;
        return;
    }
    if (engine_enter(socket, &signals))
        return;
    if (socket->extra)
        *extra = *socket->extra;
    engine_leave(signals);
}

static bool ensure_extra(struct engine_socket *socket)
{
    if (!socket->extra)
        socket->extra = memory_alloc(sizeof *socket->extra);
    return socket->extra;
}

void socket_inherit_extra(struct engine_socket *socket, const struct engine_socket *listener)
{
    if (listener->extra && ensure_extra(socket))
        *socket->extra = *listener->extra;
}

int engine_write_extra(struct engine_socket *socket, unsigned index, int32_t value)
{
    struct desk_reply reply;
    uint64_t signals;
    int error = 0;

    if (index >= sizeof socket->extra->values / sizeof *socket->extra->values)
        return -EINVAL;
    if (socket->home)
        return ask_home(socket, DESK_WRITE_EXTRA, (int)index, (uint64_t)value, &reply);
    if (engine_enter(socket, &signals))
        return 0;
    if (ensure_extra(socket))
        socket->extra->values[index] = value;
    else
        error = -ENOBUFS;
    engine_leave(signals);
    return error;
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

void socket_set_flags(int fd, unsigned flags)
{
    if (!(flags & ENGINE_CLOEXEC))
        sys_fcntl(fd, F_SETFD, 0);
    if (flags & ENGINE_NONBLOCK)
        sys_fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
}

int socket_open(struct engine_socket **socket)
{
    struct control_reply reply = {0};
    int fd, error;

    if (engine.stack)
        control_take_device();
    fd = spares_take(socket);
    if (fd != -EAGAIN)
        return fd;
    spares_missed();
    error = control_call(CONTROL_SOCKET, &reply, &fd);
    *socket = reply.socket;
    return error ? error : fd;
}

int engine_socket_open(unsigned flags, struct engine_socket **socket)
{
    uint64_t signals;
    int fd;

    tell_trouble();
    log_flush();
    engine_exec_interrupted();
    signals = sys_block_signals(UINT64_MAX);
    fd = engine.gone ? -EPIPE : control_start();
    if (fd >= 0)
        fd = socket_open(socket);
    sys_block_signals(signals);
    if (fd >= 0)
        socket_set_flags(fd, flags);
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
    if (pthread_equal(pthread_self(), engine.thread))
        return engine_open_stack() ? -ENETDOWN : 0; /* asked at the desk */
    signals = sys_block_signals(UINT64_MAX);
    error = control_open_device();
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

/* What takes the program's end along, or an endpoint. */
static int ask_home_with(const struct engine_socket *socket, enum desk_operation operation,
                         int number, const struct engine_endpoint *endpoint, int fd)
{
    struct desk_request request = {.operation = operation, .number = number};
    struct desk_reply reply;

    if (endpoint)
        request.endpoint = *endpoint;
    return foreign_ask(socket, &request, fd, &reply);
}

/* Ports may be held by what the program has closed already: the engine's thread hears of that in a moment. True
 * when it is worth while to try again. */
static bool settled(int error)
{
    uint64_t signals;

    if ((error != -EADDRINUSE && error != -EADDRNOTAVAIL) ||
        pthread_equal(pthread_self(), engine.thread))
        return false;
    signals = sys_block_signals(UINT64_MAX);
    error = control_call(CONTROL_SETTLE, NULL, NULL);
    sys_block_signals(signals);
    return !error;
}

static int bind_once(struct engine_socket *socket, const struct utcp_endpoint *local)
{
    uint64_t signals;
    int error = enter_with_conn(socket, &signals);

    if (error)
        return error;
    error = utcp_bind(socket->conn, local);
    engine_leave(signals);
    return error;
}

int engine_bind(struct engine_socket *socket, const struct engine_endpoint *local)
{
    struct utcp_endpoint endpoint = endpoint_to_core(local);
    int error;

    if (socket->home)
        return ask_home_with(socket, DESK_BIND, 0, local, -1);
    error = bind_once(socket, &endpoint);
    return settled(error) ? bind_once(socket, &endpoint) : error;
}

static int listen_once(struct engine_socket *socket, int fd, int backlog)
{
    uint64_t signals;
    int error = enter_with_conn(socket, &signals);

    if (error)
        return error;
    error = utcp_listen(socket->conn, backlog < 0 ? INT32_MAX : (unsigned)backlog);
    if (!error)
        error = mirror_fill(socket, fd);
    if (!error) {
        socket->phase = SOCKET_LISTENING;
        socket_mark(socket);
    }
    engine_leave(signals);
    return error;
}

int engine_listen(struct engine_socket *socket, int fd, int backlog)
{
    int error;

    if (socket->home)
        return ask_home_with(socket, DESK_LISTEN, backlog, NULL, fd);
    error = listen_once(socket, fd, backlog);
    return settled(error) ? listen_once(socket, fd, backlog) : error;
}

static int connect_locked(struct engine_socket *socket, const struct utcp_endpoint *remote)
{
    int error;

    /* What Linux answers to a second attempt on a socket whose first one failed. */
    if (socket->end < 0)
        return -ECONNABORTED;
    error = utcp_connect(socket->conn, remote, engine_now());
    if (error)
        return error;
    socket->phase = SOCKET_ACTIVE;
    return -EINPROGRESS;
}

static int connect_once(struct engine_socket *socket, const struct utcp_endpoint *remote)
{
    uint64_t signals;
    int error = enter_with_conn(socket, &signals);

    if (error)
        return error;
    error = connect_locked(socket, remote);
    engine_leave(signals);
    return error;
}

int engine_connect(struct engine_socket *socket, int fd, const struct engine_endpoint *remote)
{
    struct utcp_endpoint endpoint = endpoint_to_core(remote);
    int error;

    if (socket->home)
        return ask_home_with(socket, DESK_CONNECT, 0, remote, fd);
    error = connect_once(socket, &endpoint);
    return settled(error) ? connect_once(socket, &endpoint) : error;
}

/* ---- the rest of a socket's life ---- */

/* Linux stops a listener whose receiving half is shut, which programs do to wake their accept(). */
static void stop_listening(struct engine_socket *socket)
{
    utcp_close(socket->conn, engine_now());
    socket->conn = NULL;
    socket->phase = SOCKET_STOPPED;
    socket_mark(socket);
}

/* It shows at once what can be shown of it. */
static int shut_connection(struct engine_socket *socket, int fd, unsigned how)
{
    bool connecting = utcp_connecting(socket->conn);
    int error = utcp_shutdown(socket->conn, how, engine_now());

    if (error)
        return error;
    if (connecting && !utcp_connecting(socket->conn)) {
        socket->phase = SOCKET_STOPPED;
        socket_mark(socket);
    } else if (!socket->bridged) {
        mirror_take(socket, fd);
    }
    return 0;
}

int engine_shutdown(struct engine_socket *socket, int fd, int how)
{
    uint64_t signals;
    int error;

    if (socket->home)
        return ask_home_with(socket, DESK_SHUTDOWN, how, NULL, fd);
    error = engine_enter(socket, &signals);
    if (error)
        return error;
    if (socket->phase == SOCKET_LISTENING) {
        if (how != SHUT_WR)
            stop_listening(socket);
        engine_leave(signals);
        return 0;
    }
    /* SHUT_RD, SHUT_WR, SHUT_RDWR are 0, 1, 2: one less than the bits. */
    error = socket->conn ? shut_connection(socket, fd, (unsigned)how + 1) : -ENOTCONN;
    engine_leave(signals);
    return error;
}

int engine_disconnect(struct engine_socket *socket)
{
    uint64_t signals;
    int error = -EPIPE;

    if (socket->home)
        return -EOPNOTSUPP;
    signals = sys_block_signals(UINT64_MAX);
    /* Another thread may be copying from or to the connection's buffers. */
    pthread_mutex_lock(&socket->send_lock);
    pthread_mutex_lock(&socket->receive_lock);
    engine_lock();
    if (!engine.gone) {
        if (socket->conn)
            utcp_abort(socket->conn, engine_now());
        socket->conn = NULL;
        socket->phase = SOCKET_STOPPED;
        socket_mark(socket);
        error = 0;
    }
    engine_unlock_waking();
    pthread_mutex_unlock(&socket->receive_lock);
    pthread_mutex_unlock(&socket->send_lock);
    sys_block_signals(signals);
    return error;
}

void engine_close_resets(struct engine_socket *socket, bool resets)
{
    struct desk_reply reply;
    uint64_t signals;

    if (socket->home)
        ask_home(socket, DESK_CLOSE_RESETS, 0, resets, &reply);
    if (socket->home || engine_enter(socket, &signals))
        return;
    socket->resets = resets;
    engine_leave(signals);
}

void engine_set_inet6(struct engine_socket *socket, bool inet6)
{
    atomic_store(&socket->inet6, inet6);
}

bool engine_is_inet6(const struct engine_socket *socket)
{
    return atomic_load(&socket->inet6);
}

int engine_take_error(struct engine_socket *socket)
{
    struct desk_reply reply;
    uint64_t signals;
    int error;

    if (socket->home)
        return ask_home(socket, DESK_TAKE_ERROR, 0, 0, &reply);
    error = engine_enter(socket, &signals);
    if (error)
        return error;
    error = socket->conn ? utcp_take_error(socket->conn) : 0;
    engine_leave(signals);
    return error;
}

void engine_reader_begins(struct engine_socket *socket)
{
    atomic_fetch_add(&socket->readers, 1);
}

void engine_reader_ends(struct engine_socket *socket)
{
    atomic_fetch_sub(&socket->readers, 1);
}

/* The program's end lives as long as a system call on it. A thread that read when another closed it has just
 * been woken, and takes what it was woken for. One that left by longjmp() is not waited for long. */
static bool reader_comes(const struct engine_socket *socket)
{
    utcp_time now = engine_now();

    bool comes = atomic_load(&socket->readers) && now < socket->hung_up_at + READER_LIMIT;

    if (!comes && !lead_is_of(socket))
        return false;
    engine.retry_at = now + READER_LIMIT / 5;
    return true;
}

void socket_hang_up(struct engine_socket *socket)
{
    struct utcp_conn *conn;

    if (!socket->ending)
        socket->hung_up_at = engine_now();
    socket->ending = true;
    if (socket->copying || reader_comes(socket))
        return;
    conn = socket->conn;
    socket->conn = NULL;
    if (conn && socket->resets)
        utcp_abort(conn, engine_now());
    else if (conn)
        utcp_close(conn, engine_now());
    atomic_fetch_or(&socket->life, SOCKET_DEAD);
    mirror_close(socket);
}

/* ---- status ---- */

void engine_get_status(struct engine_socket *socket, struct engine_status *status)
{
    struct utcp_info info = {.state = TCP_CLOSED};
    struct desk_reply reply;
    uint64_t signals;

    if (socket->home) {
        bool known = !ask_home(socket, DESK_STATUS, 0, 0, &reply);

        *status = known ? reply.status : (struct engine_status){.tcp_state = TCP_CLOSED};
        return;
    }
    if (engine_enter(socket, &signals)) {
        *status = (struct engine_status){.tcp_state = TCP_CLOSED};
        return;
    }
    if (socket->conn)
        utcp_info(socket->conn, engine_now(), &info);
    status_fill(status, &info, engine_now());
    status->failed =
        socket->end < 0 || (socket->phase == SOCKET_ACTIVE && info.state == TCP_CLOSED);
    engine_leave(signals);
}
