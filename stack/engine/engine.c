/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * One thread for each process drives the stack. It is started by the first socket and has a
 * descriptor table of its own, in which lie the TUN device, the engine's end of every socket's
 * pair, the engine's end of the control channel, the capture file and an epoll that watches them.
 * Nothing of the program's is in it: a pipe that the program closes must reach its end.
 *
 * The loop: read what the device has, let time pass, show the sockets' new readiness, write what
 * the core wants to send; then wait for a descriptor, a deadline or a wake-up. The program's
 * threads call the core themselves, under the one lock. They send what comes of it through a duplicate of the
 * device, and while they wait they read it (lead.c); readiness they leave to the thread, because it holds the
 * pairs, and all packets where there is impairment or capture. They wake it only when it sleeps and there is
 * something to do before it would wake by itself.
 *
 * The thread blocks every signal but the two that glibc uses inside itself (cancellation, and
 * setuid() in all threads, which waits for every thread to answer).
 */
#include "state.h"

#include "log.h"
#include "memory.h"
#include "sys.h"

#include <errno.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

enum {
    EVENTS = 64,
    LATE_TRIES = 3,
    LATE_BATCHES = 16,
    SIGNAL_CANCEL = 32, /* glibc's own */
    SIGNAL_SETXID = 33,
};

#define DOZE (20 * UTCP_MSEC) /* less than an ACK may be delayed */
#define QUIET UTCP_SEC
#define LATE UTCP_MSEC

#define SIGNAL_BIT(signal) (UINT64_C(1) << ((signal)-1))

struct engine engine;
_Atomic uint32_t engine_generation = 1;

/* It is held for a microsecond or so: less than it takes to sleep and be woken. */
static pthread_mutex_t engine_mutex = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
static uint64_t fork_signals; /* of the thread that forks, under the lock */

/* ---- time and lock ---- */

utcp_time engine_now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (utcp_time)time.tv_sec * UTCP_SEC + (utcp_time)time.tv_nsec;
}

void engine_lock(void)
{
    if (!engine.alone)
        pthread_mutex_lock(&engine_mutex);
}

void engine_unlock(void)
{
    if (!engine.alone)
        pthread_mutex_unlock(&engine_mutex);
}

bool engine_try_lock(void)
{
    return pthread_mutex_trylock(&engine_mutex) == 0;
}

/* Threads that died while they copied will not come back for what they copied. */
void engine_go_on_alone(void)
{
    engine.alone = true;
    engine.gone = false;
    engine.sending = false;
    engine.writers = 0;
    engine.leader = 0;
    if (engine.stack)
        utcp_expect_end(engine.stack);
    for (struct engine_socket *socket = engine.sockets; socket; socket = socket->next) {
        socket->copying = 0;
        if (socket->ending)
            socket_mark(socket);
    }
}

void engine_collect_but(const struct engine_socket *led, unsigned taken)
{
    struct utcp_event event;

    if (!engine.stack)
        return;
    while (utcp_next_event(engine.stack, &event)) {
        struct engine_socket *socket = event.user;

        if (mirror_differs(socket, socket == led ? event.ready & ~taken : event.ready))
            socket_mark(socket);
    }
}

void engine_collect(void)
{
    engine_collect_but(NULL, 0);
}

/* True when there is work before the thread would wake by itself. */
static bool work_waits(void)
{
    if (engine.dirty || engine.copies_due || (traffic_may_send() && !engine.stalled))
        return true;
    return engine.stack && utcp_next_deadline(engine.stack) < engine.wakes_at;
}

static bool on_engine_thread(void)
{
    return pthread_equal(pthread_self(), engine.thread);
}

/* What has come up is sent by this thread, so that the engine's need not be woken for it. When that is up, as while a
 * program waits for events, it sends, and the program goes on; but not while somebody writes much. */
static void send_here(const struct engine_socket *led, unsigned taken)
{
    bool here = (engine.asleep || engine.looks || engine.yields || engine.wrote_much) &&
                !on_engine_thread();

    engine.wrote_much = false;

    if (!here || !engine.direct || engine.stalled || engine.gone || !traffic_may_send())
        return;
    traffic_transmit_here();
    engine_collect_but(led, taken);
}

/* The events are fetched even when the thread is awake: what a call has made of the mirror (filler
 * for a full buffer) must be what the core believes to have told, or it will not tell of the change
 * back. */
void engine_unlock_waking_but(const struct engine_socket *led, unsigned taken)
{
    bool wake;

    engine_collect_but(led, taken);
    send_here(led, taken);
    engine.called = engine.called || !on_engine_thread();
    wake = engine.asleep && work_waits();
    if (wake)
        engine.asleep = false;
    else if (engine.looks && work_waits())
        engine.looks = false;
    engine_unlock();
    if (wake)
        control_wake();
}

void engine_unlock_waking(void)
{
    engine_unlock_waking_but(NULL, 0);
}

int engine_enter(const struct engine_socket *socket, uint64_t *signals)
{
    log_flush();
    *signals = sys_block_signals(UINT64_MAX);
    engine_lock();
    if (!engine.gone && atomic_load(&socket->life) >> 32 == engine_generation)
        return 0;
    engine_unlock();
    sys_block_signals(*signals);
    engine_end_with_process();
    return -EPIPE;
}

void engine_end_with_process(void)
{
    while (engine.gone && !pthread_equal(engine.leaving, pthread_self()))
        sys_sleep(3600 * UTCP_SEC);
}

void engine_leave(uint64_t signals)
{
    engine_unlock_waking();
    sys_block_signals(signals);
}

/* ---- the stack ---- */

static void *core_alloc(void *ctx, size_t size)
{
    (void)ctx;
    return memory_alloc(size);
}

static void core_free(void *ctx, void *memory, size_t size)
{
    (void)ctx;
    memory_free(memory, size);
}

static void core_random(void *ctx, void *buffer, size_t size)
{
    char *at = buffer;

    (void)ctx;
    while (size) {
        long got = sys_getrandom(at, size);

        if (got > 0) {
            at += got;
            size -= (size_t)got;
        }
    }
}

/* Processes that have an address one after the other look to their peers like one host. This is no secret, but
 * nobody elsewhere knows it. */
static uint64_t boot_key(void)
{
    uint64_t id[5] = {0}, key = 0; /* 36 characters */
    int fd = sys_open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC, 0);

    if (fd < 0)
        return 0;
    sys_read(fd, id, sizeof id);
    sys_close(fd);
    for (size_t i = 0; i < sizeof id / sizeof *id; i++)
        key = key * UINT64_C(6364136223846793005) + id[i];
    return key;
}

static struct utcp_stack *create_stack(void)
{
    uint32_t addr = engine.device.addr;
    struct utcp_config config = {
        .allocator = {.alloc = core_alloc, .free = core_free},
        .random = {.fill = core_random},
        .settings = engine.config.settings,
        .addr = {.family = UTCP_IPV4,
                 .bytes = {(uint8_t)(addr >> 24), (uint8_t)(addr >> 16), (uint8_t)(addr >> 8),
                           (uint8_t)addr}},
        .mtu_bytes = engine.device.mtu_bytes,
        .congestion = engine.config.congestion,
        .timestamp_key = boot_key(),
    };

    return utcp_create(&config, engine_now());
}

int engine_open_stack(void)
{
    int error;

    if (engine.stack)
        return 0;
    engine.why[0] = '\0';
    error = traffic_open();
    if (!error) {
        engine_lock();
        engine.stack = create_stack();
        engine_unlock();
        error = engine.stack ? engine_watch(engine.device.fd, EPOLLIN, &engine.device) : -ENOMEM;
    }
    if (error && !engine.why[0])
        snprintf(engine.why, sizeof engine.why, "no stack: %s", strerrordesc_np(-error));
    engine.direct = !error && engine.capture.fd < 0 && !engine.impair_in && !engine.impair_out;
    if (!error)
        link_open();
    if (!error)
        keeper_start();
    if (!error)
        engine_log(ENGINE_INFO, "%s, mtu %u, offload %s", engine.device.name,
                   engine.device.mtu_bytes, engine.device.offload ? "on" : "off");
    return error;
}

/* ---- the loop ---- */

int engine_watch(int fd, uint32_t events, void *tag)
{
    struct epoll_event event = {.events = events, .data.ptr = tag};

    return sys_epoll_ctl(engine.epoll, EPOLL_CTL_ADD, fd, &event);
}

static void sync_sockets(void)
{
    while (engine.dirty) {
        struct engine_socket *socket = engine.dirty;

        engine.dirty = socket->next_dirty;
        socket->dirty = false;
        if (socket->ending)
            socket_hang_up(socket);
        else
            mirror_sync(socket);
        socket_release(socket);
    }
}

/* Listeners whose pairs were full, or for which descriptors were short, get another chance; so do last closes that were
 * put off. */
static void retry(utcp_time now)
{
    if (now < engine.retry_at)
        return;
    engine.retry_at = UTCP_NEVER;
    for (struct engine_socket *socket = engine.sockets; socket; socket = socket->next) {
        if (socket->end >= 0 && (socket->phase == SOCKET_LISTENING || socket->ending))
            socket_mark(socket);
    }
}

/* Lets time pass, up to now. A time-out is none when the answer has come and only waits to be read: on a busy machine this
 * thread may be late. */
static utcp_time advance(void)
{
    utcp_time now = engine_now(), before = 0;

    if (!engine.stack)
        return now;
    if (utcp_next_deadline(engine.stack) <= now && !engine.yields && !engine.leader) {
        engine_unlock();
        /* Again if it was late once more, while it read. */
        for (int tries = 0; tries < LATE_TRIES && now - before > LATE; tries++) {
            before = now;
            engine.readable = true;
            for (int i = 0; i < LATE_BATCHES && engine.readable; i++)
                traffic_receive();
            now = engine_now();
        }
        engine_lock();
    }
    utcp_advance(engine.stack, now);
    return now;
}

void engine_turn(void)
{
    if (engine.stack) {
        lead_settle();
        lead_doubt(traffic_receive());
    }
    engine_lock();
    retry(advance());
    engine_collect();
    sync_sockets();
    engine_unlock();
    engine.expects = engine.announced_count > 0;
    mirror_send_announced();
    socket_send_offered();
    if (engine.stack)
        traffic_transmit();
    spares_close_copies();
    spares_refill();
    mirror_close_ends();
}

static bool hung_up(const struct engine_socket *socket, uint32_t events)
{
    const uint8_t both = UTCP_SHUT_RD | UTCP_SHUT_WR;

    return (events & EPOLLERR) || ((events & EPOLLHUP) && socket->shut != both);
}

static void handle_socket(struct engine_socket *socket, uint32_t events)
{
    engine_lock();
    if (socket->bridged && socket->phase != SOCKET_LISTENING)
        bridge_event(socket, events);
    else if (hung_up(socket, events))
        socket_hang_up(socket);
    else if ((events & EPOLLOUT) && socket->phase == SOCKET_LISTENING)
        socket_mark(socket);
    engine_unlock();
}

/* True when there are requests: these are the caller's to serve. */
static bool handle(const struct epoll_event *events, int count)
{
    bool asked = false;

    for (int i = 0; i < count; i++) {
        void *tag = events[i].data.ptr;

        if (tag == &engine.control)
            asked = true;
        else if (tag == &engine.link)
            link_changed();
        else if (tag == &engine.desk)
            desk_serve();
        else if (tag == &engine.device)
            engine.readable |= (events[i].events & EPOLLIN) != 0;
        else
            handle_socket(tag, events[i].events);
    }
    return asked;
}

static utcp_time earliest(utcp_time a, utcp_time b)
{
    return a < b ? a : b;
}

/* While the program makes calls this thread only dozes: else it would have to be woken for nearly each of them, because
 * of a time-out that hardly ever comes. No time-out of a connection at work is shorter, but for those that follow
 * an exchange of packets. */
static utcp_time doze(void)
{
    if (!engine.called)
        return UTCP_NEVER;
    engine.called = false;
    return engine_now() + DOZE;
}

/* When to give back what memory there is to spare; done if no packet has come for a while. */
static utcp_time trim(void)
{
    utcp_time when = engine.last_input + QUIET;

    if (!engine.stack || utcp_spare_bytes(engine.stack) == 0)
        return UTCP_NEVER;
    if (engine_now() < when)
        return when;
    utcp_trim(engine.stack);
    return UTCP_NEVER;
}

bool engine_has_work(void)
{
    return engine.readable || engine.dirty || spares_due() ||
           (traffic_may_send() && !engine.stalled);
}

/* Decides, under the lock, until when nothing will happen; 0 = there is work now. From then on the
 * program's threads wake this one. */
static utcp_time fall_asleep(utcp_time until)
{
    until = earliest(earliest(until, doze()), trim());
    engine_collect();
    engine.wakes_at = earliest(earliest(until, engine.retry_at), traffic_deadline());
    engine.wakes_at = earliest(engine.wakes_at, engine.tick_at);
    if (engine.stack)
        engine.wakes_at = earliest(engine.wakes_at, utcp_next_deadline(engine.stack));
    if (engine_has_work())
        return 0;
    engine.asleep = true;
    return engine.wakes_at;
}

static int wait_events(struct epoll_event events[EVENTS], utcp_time until)
{
    utcp_time now = until && until != UTCP_NEVER ? engine_now() : 0;
    utcp_time rest = until > now ? until - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(rest / UTCP_SEC),
                               .tv_nsec = (long)(rest % UTCP_SEC)};
    int count;

    if (until == UTCP_NEVER)
        return sys_epoll_wait(engine.epoll, events, EVENTS, -1);
    count = sys_epoll_wait_ns(engine.epoll, events, EVENTS, &timeout);
    if (count == -ENOSYS) {
        rest = (rest + UTCP_MSEC - 1) / UTCP_MSEC;
        count =
            sys_epoll_wait(engine.epoll, events, EVENTS, rest > INT32_MAX ? INT32_MAX : (int)rest);
    }
    return count;
}

void engine_wait(utcp_time until)
{
    struct epoll_event events[EVENTS];
    int count;

    if (engine.expects && lead_look())
        return;
    engine_lock();
    until = fall_asleep(until);
    engine_unlock();
    if (until && engine.capture.fd >= 0)
        pcapng_flush(&engine.capture);
    count = wait_events(events, until);
    engine_lock();
    engine.asleep = false;
    engine_unlock();
    mirror_close_ends();
    /* Requests come last: after the farewell there is nobody to handle the rest of the events. */
    if (handle(events, count))
        control_serve();
}

void engine_catch_up(void)
{
    struct epoll_event events[EVENTS];
    int count;

    spares_close_copies();
    do {
        count = wait_events(events, 0);
        handle(events, count);
        mirror_close_ends();
    } while (count == EVENTS);
}

/* ---- the thread ---- */

/* Leaves nothing in the thread's descriptor table, which becomes its own, but the control channel.
 */
static int unshare_table(int control)
{
    int error = sys_close_range((unsigned)control + 1, UINT32_MAX, CLOSE_RANGE_UNSHARE);

    return error || !control ? error : sys_close_range(0, (unsigned)control - 1, 0);
}

static int prepare_thread(int control)
{
    int error = unshare_table(control);

    if (error)
        return error;
    log_adopt_thread();
    engine.thread_id = (int)sys_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
    sys_call(SYS_prctl, PR_SET_NAME, (long)"utcp-engine", 0, 0, 0, 0);
    sys_block_signals(~(SIGNAL_BIT(SIGNAL_CANCEL) | SIGNAL_BIT(SIGNAL_SETXID)));
    engine.epoll = sys_epoll_create();
    if (engine.epoll < 0)
        return engine.epoll;
    desk_open();
    return engine_watch(control, EPOLLIN, &engine.control);
}

void *engine_thread(void *argument)
{
    struct control_reply reply = {0};

    engine.control = (int)(intptr_t)argument;
    reply.result = prepare_thread(engine.control);
    control_answer(&reply, -1);
    while (!reply.result) {
        engine_turn();
        engine_wait(UTCP_NEVER);
    }
    return NULL;
}

/* ---- life of the process ---- */

static void reset(void)
{
    engine = (struct engine){
        .config = engine.config,
        .epoll = -1,
        .control = -1,
        .desk = -1,
        .link = -1,
        .retry_at = UTCP_NEVER,
        .tick_at = UTCP_NEVER,
        .device.fd = -1,
        .capture.fd = -1,
    };
}

void engine_init(char *const *environment)
{
    config_read(&engine.config, environment);
    log_set_level(engine.config.log_level);
    reset();
}

void engine_fork_prepare(void)
{
    uint64_t signals = sys_block_signals(UINT64_MAX);

    control_fork_prepare();
    engine_lock();
    fork_signals = signals;
}

void engine_fork_parent(void)
{
    uint64_t signals = fork_signals;

    engine_unlock();
    control_fork_parent();
    sys_block_signals(signals);
}

void engine_fork_child(void)
{
    uint64_t signals = fork_signals;

    atomic_fetch_add(&engine_generation, 1);
    reset();
    log_reset();
    engine_mutex = (pthread_mutex_t)PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
    traffic_fork_child();
    control_fork_child();
    sys_block_signals(signals);
}

void engine_fork_unseen(void)
{
    fork_signals = sys_block_signals(UINT64_MAX);
    engine_fork_child();
}

long engine_system_call(long number, const long arguments[6])
{
    return sys_call(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                    arguments[5]);
}

bool engine_bypasses(const struct engine_endpoint *endpoint)
{
    uint32_t addr;

    if (endpoint->family != ENGINE_IPV4)
        return true;
    addr = (uint32_t)endpoint->addr[0] << 24 | (uint32_t)endpoint->addr[1] << 16 |
           (uint32_t)endpoint->addr[2] << 8 | endpoint->addr[3];
    for (unsigned i = 0; addr && i < engine.config.bypass_count; i++) {
        if ((addr & engine.config.bypass[i].mask) == engine.config.bypass[i].addr)
            return true;
    }
    return false;
}
