/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * Who waits drives the device meanwhile, if nobody else does: engine_lead(), which waits in ppoll(). SO_RCVTIMEO,
 * SO_SNDTIMEO and restarting after a signal are then for us to do.
 *
 * Another reader waits by peeking at one readiness byte with a blocking recv(). The kernel then does all
 * that a blocked read is known for: SO_RCVTIMEO, SA_RESTART, EINTR, cancellation, a shutdown by
 * another thread. There is no such call for a writer: the kernel's sends would put bytes into the pair. It
 * waits in ppoll(), too.
 *
 * The caller's reference to the socket is kept during the wait, for without it the socket's memory
 * could be another one's afterwards. A cancelled thread gives it back; one that leaves by longjmp()
 * out of a signal handler does not, which costs that memory and nothing else.
 */
#include "wait.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include "libc.h"

bool wait_allowed(int fd, int flags)
{
    if (flags & MSG_DONTWAIT)
        return false;
    int saved = errno;
    int status = libc.fcntl(fd, F_GETFL);
    errno = saved;
    return status >= 0 && !(status & O_NONBLOCK);
}

static void cancelled(void *socket)
{
    engine_socket_drop(socket);
}

static void reader_cancelled(void *socket)
{
    engine_reader_ends(socket);
    engine_socket_drop(socket);
}

int64_t monotonic_ns(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void learn_limit(struct wait_limit *limit, int fd, int option)
{
    struct timeval time = {0};
    socklen_t size = sizeof(time);
    limit->known = true;
    if (libc.getsockopt(fd, SOL_SOCKET, option, &time, &size) < 0)
        return;
    int64_t microseconds = time.tv_sec * INT64_C(1000000) + time.tv_usec;
    limit->limited = microseconds != 0;
    limit->end_ns = monotonic_ns() + microseconds * 1000;
}

/* A signal that a thread brings upon itself by an instruction: never what ended a wait. */
static bool is_fault(int number)
{
    return number == SIGSEGV || number == SIGBUS || number == SIGILL || number == SIGFPE ||
           number == SIGTRAP;
}

static bool ends_calls(int number)
{
    struct sigaction action;
    if (is_fault(number) || sigaction(number, NULL, &action) < 0)
        return false;
    return action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN &&
           !(action.sa_flags & SA_RESTART);
}

/*
 * Whether a call that a signal interrupted goes on. The kernel restarts what it interrupted when
 * the handler has SA_RESTART, but ppoll() never, and which signal it was cannot be learned. So: go
 * on when every handler there is wants that.
 */
static bool handlers_restart(void)
{
    for (int number = 1; number < NSIG; number++) {
        if (ends_calls(number))
            return false;
    }
    return true;
}

/* ---- leading ---- */

static void leader_cancelled(void *socket)
{
    engine_leads_no_more();
    engine_socket_drop(socket);
}

static void leading_reader_cancelled(void *socket)
{
    engine_reader_ends(socket);
    leader_cancelled(socket);
}

static int lead_once(struct engine_socket *socket, int fd, enum engine_wait what,
                     const struct wait_limit *limit)
{
    int waited;
    pthread_cleanup_push(what == ENGINE_TO_RECEIVE ? leading_reader_cancelled : leader_cancelled,
                         socket);
    waited = engine_lead(socket, fd, what, limit->limited ? limit->end_ns : INT64_MAX, ppoll);
    pthread_cleanup_pop(0);
    return waited;
}

static int lead(struct engine_socket *socket, int fd, enum engine_wait what,
                const struct wait_limit *limit)
{
    int waited, saved = errno;
    do
        waited = lead_once(socket, fd, what, limit);
    while (waited == -EINTR && !limit->limited && !limit->begun && handlers_restart());
    errno = saved;
    return waited;
}

/* ---- receiving and accepting ---- */

static int peek(struct engine_socket *socket, int fd, void (*if_cancelled)(void *socket))
{
    char byte;
    ssize_t got;
    int saved = errno;
    pthread_cleanup_push(if_cancelled, socket);
    got = libc.recv(fd, &byte, 1, MSG_PEEK);
    pthread_cleanup_pop(0);
    int error = got < 0 ? errno : 0;
    errno = saved;
    if (error == EINTR || error == EAGAIN)
        return -error;
    return got > 0 ? WAIT_READY : WAIT_OVER;
}

int wait_readable(struct engine_socket *socket, int fd)
{
    struct wait_limit limit = {0};
    learn_limit(&limit, fd, SO_RCVTIMEO);
    int waited = lead(socket, fd, ENGINE_TO_RECEIVE, &limit);
    return waited == -EBUSY ? peek(socket, fd, reader_cancelled) : waited;
}

int wait_acceptable(struct engine_socket *socket, int fd)
{
    struct wait_limit limit = {0};
    learn_limit(&limit, fd, SO_RCVTIMEO);
    int waited = lead(socket, fd, ENGINE_TO_ACCEPT, &limit);
    return waited == -EBUSY ? peek(socket, fd, cancelled) : waited;
}

/* ---- sending ---- */

/* ppoll() for POLLOUT that gives the reference back when the thread is cancelled. */
static int poll_writable(struct engine_socket *socket, struct pollfd *wanted,
                         const struct timespec *left)
{
    int count;
    pthread_cleanup_push(cancelled, socket);
    count = ppoll(wanted, 1, left, NULL);
    pthread_cleanup_pop(0);
    return count < 0 ? -errno : count;
}

static int wait_writable_once(struct engine_socket *socket, int fd, struct wait_limit *limit)
{
    struct pollfd wanted = {.fd = fd, .events = POLLOUT};
    int64_t left_ns = limit->limited ? limit->end_ns - monotonic_ns() : 0;
    if (left_ns < 0)
        return -EAGAIN;
    struct timespec left = {.tv_sec = left_ns / 1000000000, .tv_nsec = left_ns % 1000000000};
    int count = poll_writable(socket, &wanted, limit->limited ? &left : NULL);
    if (count == 0)
        return -EAGAIN;
    if (count < 0)
        return count;
    return wanted.revents & (POLLERR | POLLHUP | POLLNVAL) ? WAIT_OVER : WAIT_READY;
}

int wait_writable(struct engine_socket *socket, int fd, struct wait_limit *limit)
{
    int saved = errno;
    int waited;
    if (!limit->known)
        learn_limit(limit, fd, SO_SNDTIMEO);
    waited = lead(socket, fd, ENGINE_TO_SEND, limit);
    if (waited != -EBUSY)
        return waited;
    waited = engine_show_full(socket, fd, true);
    if (waited < 0)
        return waited;
    do
        waited = wait_writable_once(socket, fd, limit);
    while (waited == -EINTR && !limit->limited && !limit->begun && handlers_restart());
    errno = saved;
    return waited;
}
