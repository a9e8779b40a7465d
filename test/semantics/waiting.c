/* SPDX-License-Identifier: MIT */
#include "semantics.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/wait.h>

/* Calls that wait: time-outs, signals, jumps, cancellation, and threads that close what another waits for. */

static int new_connected(void)
{
    return connected(0);
}

/* ---- time-outs ---- */

static void set_times(int fd)
{
    struct timeval soon = {.tv_usec = 30000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon);
}

static void check_times(void)
{
    static char block[4000000];
    struct iovec iov = {block, 10};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    int port, listener = listening(0, &port), fd = new_connected();
    theme("time-outs");
    set_times(fd);
    set_times(listener);
    check("read", read(fd, block, 10));
    check("recv", recv(fd, block, 10, 0));
    check("recvmsg", recvmsg(fd, &message, 0));
    check("readv", readv(fd, &iov, 1));
    check("accept", accept(listener, NULL, NULL));
    peer(PEER_WRITE, 3);
    check("MSG_WAITALL with a part", recv(fd, block, 10, MSG_WAITALL));
    peer(PEER_SMALL, 0);
    close(fd);
    fd = new_connected();
    set_times(fd);
    long sum = 0, part;
    while ((part = write(fd, block, sizeof block)) > 0)
        sum += part;
    check("write when it is full", part);
    check("a part of it went", sum > 0);
    close(fd);
    close(listener);
}

/* ---- signals ---- */

static sigjmp_buf back;
static volatile sig_atomic_t alarms;
static volatile enum { GOES_ON, JUMPS, LETS_PEER_WRITE, LETS_PEER_READ } at_alarm;

static void on_alarm(int signal)
{
    (void)signal;
    alarms++;
    if (at_alarm == JUMPS && alarms == 2)
        siglongjmp(back, 1);
    if (at_alarm == LETS_PEER_WRITE && alarms == 3)
        peer_begin(PEER_WRITE, 5);
    if (at_alarm == LETS_PEER_READ && alarms == 3)
        peer_begin(PEER_READ, 4000000);
}

/* SIGALRM every 20 ms, until stop_alarms(). */
static void start_alarms(int flags, int what)
{
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = flags};
    struct itimerval often = {{0, 20000}, {0, 20000}};
    alarms = 0;
    at_alarm = what;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
}

static void stop_alarms(void)
{
    struct itimerval never = {0};
    int error = errno;
    setitimer(ITIMER_REAL, &never, NULL);
    errno = error;
}

/* One call that nothing but a signal ends. */
static void check_interrupted(const char *what, int flags, long (*call)(int fd), int fd)
{
    start_alarms(flags, GOES_ON);
    long result = call(fd);
    stop_alarms();
    check(what, result);
}

static long do_read(int fd)
{
    char text[8];
    return read(fd, text, sizeof text);
}

static long do_recv_all(int fd)
{
    char text[8];
    return recv(fd, text, sizeof text, MSG_WAITALL);
}

static long do_recvmsg(int fd)
{
    char text[8];
    struct iovec iov = {text, sizeof text};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    return recvmsg(fd, &message, 0);
}

static long do_accept(int fd)
{
    return accept(fd, NULL, NULL);
}

static long do_poll(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    return poll(&one, 1, -1);
}

static long do_select(int fd)
{
    fd_set in;
    FD_ZERO(&in);
    FD_SET(fd, &in);
    return select(fd + 1, &in, NULL, NULL, NULL);
}

static long do_connect(int fd)
{
    struct name nobody = name_of(nobody_address, 80);
    return connect(fd, any(&nobody), nobody.size);
}

static long do_large_write(int fd)
{
    static char block[4000000];
    return write(fd, block, sizeof block);
}

static void check_signals(void)
{
    int port, listener = listening(0, &port), fd = new_connected(), pending = fresh(0);
    theme("signals");
    check_interrupted("read", 0, do_read, fd);
    check_interrupted("recv with MSG_WAITALL", 0, do_recv_all, fd);
    check_interrupted("recvmsg", 0, do_recvmsg, fd);
    check_interrupted("accept", 0, do_accept, listener);
    check_interrupted("poll", 0, do_poll, fd);
    check_interrupted("poll with SA_RESTART", SA_RESTART, do_poll, fd);
    check_interrupted("select", 0, do_select, fd);
    check_interrupted("connect", 0, do_connect, pending);
    check_interrupted("connect again", 0, do_connect, pending);
    set_times(fd);
    struct timeval long_time = {.tv_sec = 60};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &long_time, sizeof long_time);
    check_interrupted("read with SO_RCVTIMEO", 0, do_read, fd);
    check_interrupted("read with SO_RCVTIMEO and SA_RESTART", SA_RESTART, do_read, fd);
    peer(PEER_WRITE, 3);
    check_interrupted("recv with MSG_WAITALL, after a part", 0, do_recv_all, fd);
    close(fd);
    close(pending);
    close(listener);
}

static void check_restarts(void)
{
    int port, listener = listening(0, &port), fd = new_connected();
    theme("signals, SA_RESTART");
    start_alarms(SA_RESTART, LETS_PEER_WRITE);
    long result = do_read(fd);
    stop_alarms();
    check("read", result);
    check("which the peer wrote after three signals", peer_answer());
    close(fd);
    peer(PEER_SMALL, 0);
    fd = new_connected();
    start_alarms(SA_RESTART, LETS_PEER_READ);
    result = do_large_write(fd);
    while (alarms < 3)
        pause();
    stop_alarms();
    check("a write that a signal interrupts has sent a part", result > 0 && result < 4000000);
    close(fd);
    check("as the peer sees", peer_answer() == result);
    close(listener);
}

static void check_jumps(void)
{
    char text[8];
    int fd = new_connected();
    theme("siglongjmp");
    start_alarms(0, JUMPS);
    if (sigsetjmp(back, 1) == 0) {
        while (read(fd, text, sizeof text) < 0 && errno == EINTR)
            continue;
        check_text("read", "returns");
    }
    stop_alarms();
    peer(PEER_WRITE, 5);
    check("read after the jump", read(fd, text, sizeof text));
    check("write after the jump", write(fd, "text", 4));
    check("which arrives", peer(PEER_READ, 4));
    check("close", close(fd));
    check("the peer sees it", peer(PEER_READ, 1));
}

/* ---- threads ---- */

struct waiter {
    pthread_t thread;
    long (*call)(int fd);
    int fd;
    pid_t id;
    long result;
    int error;
};

static void *run_waiter(void *argument)
{
    struct waiter *waiter = argument;
    __atomic_store_n(&waiter->id, gettid(), __ATOMIC_RELEASE);
    waiter->result = waiter->call(waiter->fd);
    waiter->error = errno;
    return NULL;
}

/* True when the thread sleeps. */
static bool sleeps(pid_t id)
{
    char path[64], line[256] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", id);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    if (!fgets(line, sizeof line, file))
        line[0] = '\0';
    fclose(file);
    const char *end = strrchr(line, ')');
    return end && end[2] == 'S';
}

static void start_waiter(struct waiter *waiter, long (*call)(int), int fd)
{
    *waiter = (struct waiter){.call = call, .fd = fd};
    pthread_create(&waiter->thread, NULL, run_waiter, waiter);
    while (__atomic_load_n(&waiter->id, __ATOMIC_ACQUIRE) == 0)
        usleep(1000);
    for (int calm = 0; calm < 20; calm = sleeps(waiter->id) ? calm + 1 : 0)
        usleep(1000);
}

static void join_waiter(const char *what, struct waiter *waiter)
{
    pthread_join(waiter->thread, NULL);
    errno = waiter->error;
    check(what, waiter->result);
}

static void check_cancel(void)
{
    char text[8];
    struct waiter waiter;
    void *end;
    int port, listener = listening(0, &port), fd = new_connected();
    theme("pthread_cancel");
    start_waiter(&waiter, do_read, fd);
    pthread_cancel(waiter.thread);
    pthread_join(waiter.thread, &end);
    check("of read", end == PTHREAD_CANCELED);
    start_waiter(&waiter, do_accept, listener);
    pthread_cancel(waiter.thread);
    pthread_join(waiter.thread, &end);
    check("of accept", end == PTHREAD_CANCELED);
    peer(PEER_WRITE, 5);
    check("read after that", read(fd, text, sizeof text));
    peer(PEER_CONNECT, port);
    int other = accept(listener, NULL, NULL);
    check("accept after that", other >= 0);
    close(other);
    close(listener);
    close(fd);
}

static void check_closing_by_others(void)
{
    struct waiter waiter, second;
    int fd = new_connected(), port, listener;
    theme("threads");
    start_waiter(&waiter, do_read, fd);
    check("shutdown of what another reads", shutdown(fd, SHUT_RD));
    join_waiter("its read", &waiter);
    close(fd);
    listener = listening(0, &port);
    start_waiter(&waiter, do_accept, listener);
    check("shutdown of what another accepts from", shutdown(listener, SHUT_RDWR));
    join_waiter("its accept", &waiter);
    close(listener);
    fd = new_connected();
    start_waiter(&waiter, do_read, fd);
    check("close of what another reads", close(fd));
    check("the peer writes then", peer(PEER_WRITE, 5));
    join_waiter("its read", &waiter);
    check("and now it is closed", peer(PEER_READ, 1));
    fd = new_connected();
    start_waiter(&waiter, do_read, fd);
    start_waiter(&second, do_read, fd);
    peer(PEER_SHUTDOWN, SHUT_WR);
    join_waiter("two that read at the end: one", &waiter);
    join_waiter("the other", &second);
    close(fd);
    fd = new_connected();
    start_waiter(&waiter, do_read, fd);
    peer(PEER_RESET, 0);
    join_waiter("read when the peer resets", &waiter);
    close(fd);
    peer(PEER_SMALL, 0);
    fd = new_connected();
    start_waiter(&waiter, do_large_write, fd);
    peer(PEER_RESET, 0);
    pthread_join(waiter.thread, NULL);
    check("write when the peer resets", waiter.result > 0 || waiter.error == ECONNRESET);
    close(fd);
    peer(PEER_SMALL, 0);
    fd = new_connected();
    start_waiter(&waiter, do_large_write, fd);
    start_waiter(&second, do_read, fd);
    peer(PEER_RESET, 0);
    pthread_join(waiter.thread, NULL);
    pthread_join(second.thread, NULL);
    check("one that writes and one that reads then: a byte is read", second.result > 0);
    check_events("poll then", fd);
    close(fd);
    check_pipes("signals");
}

static void check_forks(void)
{
    char text[8];
    int status, fd = new_connected();
    theme("fork");
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        write(fd, "child", 5);
        _exit(read(fd, text, 5) == 5 ? 0 : 1);
    }
    check("what the child writes", peer(PEER_READ, 5));
    peer(PEER_WRITE, 5);
    waitpid(child, &status, 0);
    check("what the child reads", status);
    peer(PEER_WRITE, 5);
    check("what the parent reads then", read(fd, text, 5));
    check("what the parent writes", write(fd, "text", 4));
    check("which arrives", peer(PEER_READ, 4));
    child = fork();
    if (child == 0)
        _exit(close(fd));
    waitpid(child, &status, 0);
    check("close by the child", status);
    check("write after that", write(fd, "text", 4));
    check("which arrives", peer(PEER_READ, 4));
    child = fork();
    if (child == 0)
        _exit(shutdown(fd, SHUT_WR));
    waitpid(child, &status, 0);
    check("shutdown by the child", status);
    check("the peer sees it", peer(PEER_READ, 1));
    check("write after that", send(fd, "text", 4, MSG_NOSIGNAL));
    close(fd);
}

void check_waiting(void)
{
    check_times();
    check_signals();
    check_restarts();
    check_jumps();
    check_cancel();
    check_closing_by_others();
    check_forks();
}
