/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * The program's threads and the engine's thread have different descriptor tables. Between them lies
 * one AF_UNIX SOCK_SEQPACKET pair, the control channel: it wakes the engine's thread, which waits
 * in epoll, and carries descriptors from its table to the program's. A request is one packet of one
 * byte; the answer, for all but the wake, is a struct control_reply. One lock lets one exchange
 * take place at a time.
 *
 * The program's end of the channel is in the program's table, as are a duplicate of the device and a name of the
 * engine's thread (guarded.c). A descriptor comes through a channel with the lowest number that is free, and is moved up
 * only then. So that no other thread's open() gets the wrong number meanwhile, they come when there is no other
 * thread, or during a socket() which has not taken its own number yet.
 */
#include "state.h"

#include "guarded.h"
#include "sys.h"

#include <errno.h>
#include <string.h>

enum { STACK_BYTES = 256 * 1024, LARGE_STACK_BYTES = 64 << 20 };

static pthread_mutex_t control_lock = PTHREAD_MUTEX_INITIALIZER;
static struct guarded channel_end = {.fd = -1}, device_here = {.fd = -1};
static atomic_bool device_asked; /* for the duplicate */
static bool lost_told;

bool engine_owns_descriptor(int fd)
{
    return fd >= 0 && (guarded_is(&channel_end, fd) || guarded_is(&device_here, fd) ||
                       guarded_is(&engine_spares, fd));
}

bool control_running(void)
{
    return atomic_load(&channel_end.fd) >= 0;
}

/* ---- the channel ---- */

bool control_reaches_engine(void)
{
    return guarded_intact(&channel_end) >= 0;
}

int control_device(void)
{
    return guarded_intact(&device_here);
}

/* True while the descriptor is the channel and not what got its number later. */
static bool channel_intact(void)
{
    if (control_reaches_engine())
        return true;
    if (!lost_told)
        engine_log(ENGINE_ERROR,
                   "the program closed descriptor %d, which was the engine's: "
                   "its connections are cut off",
                   atomic_load(&channel_end.fd));
    lost_told = true;
    return false;
}

/* Receives a reply and the descriptor with it, -1 = none came. */
static int receive_reply(struct control_reply *reply, int *fd)
{
    int fds[2];
    long len;

    do
        len = sys_receive_passed(channel_end.fd, reply, sizeof *reply, fds, 0);
    while (len == -EINTR);
    *fd = fds[0];
    if (len != sizeof *reply)
        return len < 0 ? (int)len : -EPIPE;
    return reply->result;
}

static int send_message(int channel, const void *data, size_t size, int fd)
{
    struct iovec iov = {.iov_base = (void *)data, .iov_len = size};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    struct sys_passed passed;
    long sent;

    if (fd >= 0)
        sys_pass(&message, &passed, &fd, 1);
    do
        sent = sys_sendmsg(channel, &message, 0);
    while (sent == -EINTR);
    return sent < 0 ? (int)sent : 0;
}

static int send_request(enum control_request request, int fd)
{
    uint8_t byte = (uint8_t)request;

    return send_message(channel_end.fd, &byte, sizeof byte, fd);
}

/* Asks, with a descriptor unless it is -1, and waits for the answer. */
static int call(enum control_request request, int with, struct control_reply *reply, int *fd)
{
    int result;

    pthread_mutex_lock(&control_lock);
    result = channel_intact() ? send_request(request, with) : -ENETDOWN;
    if (!result)
        result = receive_reply(reply, fd);
    pthread_mutex_unlock(&control_lock);
    return result;
}

int control_call(enum control_request request, struct control_reply *reply, int *fd)
{
    struct control_reply ignored_reply;
    int ignored_fd;

    return call(request, -1, reply ? reply : &ignored_reply, fd ? fd : &ignored_fd);
}

int control_bridge(int fd)
{
    uint64_t signals = sys_block_signals(UINT64_MAX);
    struct control_reply reply;
    int ignored, result = call(CONTROL_BRIDGE, fd, &reply, &ignored);

    sys_block_signals(signals);
    return result;
}

/* True when this thread is the only one of the program's; the engine's is the other. */
static bool only_thread(void)
{
    const nlink_t links_of_two = 4; /* one for each thread, besides "." and ".." */
    struct stat status;

    return sys_stat("/proc/self/task", &status) == 0 && status.st_nlink == links_of_two;
}

void control_take_device(void)
{
    struct control_reply reply;
    int fd = -1;

    if (atomic_exchange(&device_asked, true))
        return;
    call(CONTROL_DEVICE_HERE, -1, &reply, &fd);
    if (fd >= 0)
        guarded_keep(&device_here, fd);
}

int control_open_device(void)
{
    int error = control_call(CONTROL_DEVICE, NULL, NULL);

    if (!error && only_thread())
        control_take_device();
    return error;
}

void control_wake(void)
{
    if (channel_intact())
        send_request(CONTROL_WAKE, -1);
}

/* ---- starting the thread ---- */

static int create_thread(int engine_end)
{
    void *argument = (void *)(intptr_t)engine_end;
    pthread_attr_t attributes;
    int error;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    error = pthread_create(&engine.thread, &attributes, engine_thread, argument);
    if (error == EINVAL) {
        /* A program with much thread-local storage, which lies on the stack, needs a larger one. */
        pthread_attr_setstacksize(&attributes, LARGE_STACK_BYTES);
        error = pthread_create(&engine.thread, &attributes, engine_thread, argument);
    }
    pthread_attr_destroy(&attributes);
    return -error;
}

static int start(void)
{
    struct control_reply ready;
    int ends[2], ignored;
    int error = sys_socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, ends);

    if (error)
        return error;
    sys_getrandom(&engine.token, sizeof engine.token);
    guarded_keep(&channel_end, ends[0]);
    ends[1] = guarded_move_up(ends[1]);
    error = create_thread(ends[1]);
    if (!error)
        error = receive_reply(&ready, &ignored); /* the thread has a table of its own by now */
    sys_close(ends[1]);
    if (error)
        guarded_forget(&channel_end);
    return error;
}

int control_start(void)
{
    int error = 0;

    if (control_running())
        return 0;
    pthread_mutex_lock(&control_lock);
    if (!control_running())
        error = start();
    pthread_mutex_unlock(&control_lock);
    return error;
}

/* ---- the engine's side ---- */

void control_answer(const struct control_reply *reply, int fd)
{
    send_message(engine.control, reply, sizeof *reply, fd);
}

/* Answers with a descriptor that is the program's from then on. */
static void hand_over(const struct control_reply *reply, int fd)
{
    control_answer(reply, fd);
    if (fd >= 0)
        sys_close(fd);
}

static void serve_socket(void)
{
    struct control_reply reply = {0};
    int fd = -1;

    reply.result = socket_make(&reply.socket, &fd);
    if (reply.result == -EMFILE) {
        engine_catch_up(); /* what the program has closed already has a descriptor here still */
        reply.result = socket_make(&reply.socket, &fd);
    }
    engine_lock();
    spares_short();
    engine_unlock();
    hand_over(&reply, fd);
}

/* With the descriptor that came along, or -1. */
static void serve(enum control_request request, int fd)
{
    struct control_reply reply = {0};

    switch (request) {
    case CONTROL_WAKE:
        break;
    case CONTROL_SETTLE: /* it may have come behind other requests, and later than their events */
        engine_catch_up();
        control_answer(&reply, -1);
        break;
    case CONTROL_SOCKET:
        serve_socket();
        break;
    case CONTROL_DEVICE:
        reply.result = engine_open_stack();
        control_answer(&reply, -1);
        break;
    case CONTROL_DEVICE_HERE:
        control_answer(&reply, engine.direct ? engine.device.fd : -1);
        break;
    case CONTROL_BRIDGE:
        reply.result = desk_bridge(fd);
        control_answer(&reply, -1);
        break;
    case CONTROL_PARK:
        keeper_park();
        break;
    case CONTROL_FAREWELL:
        keeper_farewell();
        break;
    }
}

void control_serve(void)
{
    uint8_t request;
    int fds[2];
    long len;

    while ((len = sys_receive_passed(engine.control, &request, sizeof request, fds, MSG_DONTWAIT)) >
           0) {
        serve(request, fds[0]);
        if (fds[0] >= 0)
            sys_close(fds[0]);
    }
    if (len == 0 || (len < 0 && len != -EAGAIN && len != -EINTR)) {
        /* The program has closed its end: nobody will ask again. */
        sys_close(engine.control);
        engine.control = -1;
    }
}

/* ---- fork ---- */

void control_fork_prepare(void)
{
    pthread_mutex_lock(&control_lock);
}

void control_fork_parent(void)
{
    pthread_mutex_unlock(&control_lock);
}

void control_fork_child(void)
{
    pthread_mutex_init(&control_lock, NULL);
    lost_told = false;
    guarded_forget(&channel_end);
    guarded_forget(&device_here);
    atomic_store(&device_asked, false);
    spares_fork_child();
}
