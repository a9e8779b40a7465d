/* SPDX-License-Identifier: MIT */
/*
 * stress ADDRESS PORT PEER_ADDRESS PEER_PORT THREADS SECONDS SEED
 *
 * Two of these talk to each other, one on each TCP under test. A quarter of the threads serve what comes: they
 * return it. The others connect to the peer and do with the connection what comes to mind: transfer, duplicate,
 * fork, run a program, hand it to another thread, end it in order or abort it. Each connection carries a
 * fixed sequence of bytes, so one that is lost, repeated or out of place is found; and each number of a descriptor is compared
 * with what a kernel gives: never one in use, and always the lowest that is free.
 *
 * After SECONDS it says "done" and goes on serving the peer until it reads a line. Then it says what it did and
 * what is left of it: own descriptors, those of all threads, and memory in KB against a third of the time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "left.h"

enum { MOST_THREADS = 256, MOST_NUMBERS = 1024, BLOCK = 32768, STEPS = 10, PATIENCE_S = 60 };

struct connection {
    int fd;
    uint64_t seed;
    uint64_t done; /* bytes that went to the peer and came back */
};

struct work {
    pthread_t thread;
    unsigned random;
};

extern char **environ;

static struct sockaddr_in own_name, peer_name;
static int listener;
static atomic_bool stop_connecting, stop_serving;
static atomic_ulong connections, served, forks, programs, aborts, bytes;

/* ---- numbers of descriptors ---- */

/* Who holds it alone knows every number in use. */
static pthread_rwlock_t numbers_lock = PTHREAD_RWLOCK_INITIALIZER;
static atomic_bool in_use[MOST_NUMBERS];

static _Noreturn void fail(const char *what)
{
    dprintf(2, "stress: %s: %s\n", what, strerror(errno));
    abort();
}

static unsigned draw(unsigned *random, unsigned below)
{
    return (unsigned)rand_r(random) % below;
}

/* True when nobody else opens or closes descriptors meanwhile. */
static bool begin_numbers(unsigned *random)
{
    bool alone = draw(random, 8) == 0;
    if (alone)
        pthread_rwlock_wrlock(&numbers_lock);
    else
        pthread_rwlock_rdlock(&numbers_lock);
    return alone;
}

static void end_numbers(void)
{
    pthread_rwlock_unlock(&numbers_lock);
}

/* Not the lowest number; tells what has that one. */
static _Noreturn void fail_lower(int fd, int lower)
{
    char path[32], what[64] = "nothing";
    snprintf(path, sizeof path, "/proc/self/fd/%d", lower);
    ssize_t len = readlink(path, what, sizeof what - 1);
    dprintf(2, "stress: %d is the new number, but %d was free; now it is %.*s\n", fd, lower,
            len < 0 ? 7 : (int)len, what);
    abort();
}

static void check_new(int fd, int least, bool alone)
{
    if (fd < least || fd >= MOST_NUMBERS)
        fail("no number for a descriptor");
    if (atomic_exchange(&in_use[fd], true))
        fail("a number that is in use was given again");
    for (int i = least; alone && i < fd; i++) {
        if (!in_use[i])
            fail_lower(fd, i);
    }
}

static int open_socket(unsigned *random)
{
    bool alone = begin_numbers(random);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail("socket");
    check_new(fd, 0, alone);
    end_numbers();
    return fd;
}

/* -1 when another thread was faster. */
static int accept_socket(unsigned *random)
{
    bool alone = begin_numbers(random);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0 && errno != EAGAIN && errno != ECONNABORTED)
        fail("accept");
    if (fd >= 0)
        check_new(fd, 0, alone);
    end_numbers();
    return fd;
}

static int duplicate(int fd, unsigned *random)
{
    int least = draw(random, 2) ? (int)draw(random, MOST_NUMBERS / 2) : 0;
    bool alone = begin_numbers(random);
    int copy = least > 0 ? fcntl(fd, F_DUPFD_CLOEXEC, least) : dup(fd);
    check_new(copy, least, alone);
    end_numbers();
    return copy;
}

static void close_number(int fd, unsigned *random)
{
    begin_numbers(random);
    atomic_store(&in_use[fd], false);
    if (close(fd) < 0)
        fail("close");
    end_numbers();
}

/* The copy takes the place of another descriptor of the same connection. */
static void duplicate_onto(int fd, int place, unsigned *random)
{
    begin_numbers(random);
    if (dup3(fd, place, O_CLOEXEC) != place)
        fail("dup3");
    end_numbers();
}

/* ---- transfers ---- */

static uint8_t byte_at(const struct connection *c, uint64_t at)
{
    uint64_t x = (at / 8 + 1) * UINT64_C(0x9e3779b97f4a7c15) + c->seed;
    return (uint8_t)((x ^ x >> 29) >> (at % 8 * 8));
}

static void await(int fd, short events)
{
    struct pollfd poll_one = {.fd = fd, .events = events};
    if (poll(&poll_one, 1, PATIENCE_S * 1000) != 1)
        fail("nothing happens");
}

static ssize_t write_some(int fd, const uint8_t *text, size_t size, unsigned way)
{
    struct iovec iov[] = {{(void *)(uintptr_t)text, size / 2},
                          {(void *)(uintptr_t)(text + size / 2), size - size / 2}};
    switch (way) {
    case 0:
        return send(fd, text, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    case 1:
        return writev(fd, iov, 2);
    default:
        return write(fd, text, size);
    }
}

static ssize_t read_some(int fd, uint8_t *text, size_t size, unsigned way)
{
    struct iovec iov[] = {{text, size / 2}, {text + size / 2, size - size / 2}};
    switch (way) {
    case 0:
        return recv(fd, text, size, MSG_DONTWAIT);
    case 1:
        return readv(fd, iov, 2);
    case 2:
        return recv(fd, text, size, size > 1 ? 0 : MSG_WAITALL);
    default:
        return read(fd, text, size);
    }
}

static void say(struct connection *c, size_t size, unsigned *random)
{
    uint8_t block[BLOCK];
    for (size_t i = 0; i < size; i++)
        block[i] = byte_at(c, c->done + i);
    for (size_t at = 0; at < size;) {
        ssize_t part =
            write_some(c->fd, block + at, draw(random, (unsigned)(size - at)) + 1, draw(random, 3));
        if (part < 0 && errno != EAGAIN)
            fail("write");
        if (part < 0)
            await(c->fd, POLLOUT);
        else
            at += (size_t)part;
    }
}

static void hear(struct connection *c, size_t size, unsigned *random)
{
    uint8_t block[BLOCK];
    while (size > 0) {
        ssize_t part = read_some(c->fd, block, draw(random, (unsigned)size) + 1, draw(random, 4));
        if (part == 0)
            fail("end of data too early");
        if (part < 0 && errno != EAGAIN)
            fail("read");
        if (part < 0)
            await(c->fd, POLLIN);
        for (ssize_t i = 0; i < part; i++) {
            if (block[i] != byte_at(c, c->done + (uint64_t)i))
                fail("a wrong byte");
        }
        if (part > 0) {
            c->done += (uint64_t)part;
            size -= (size_t)part;
        }
    }
}

static void exchange(struct connection *c, unsigned *random)
{
    size_t size = draw(random, BLOCK) + 1;
    say(c, size, random);
    hear(c, size, random);
    atomic_fetch_add(&bytes, size);
}

/* ---- what a client does ---- */

/* The child says and hears, and the parent goes on where the child stopped; a child that only hears gets
 * what its parent has said. */
static void by_child(struct connection *c, unsigned *random)
{
    size_t size = draw(random, BLOCK) + 1;
    bool only_hears = draw(random, 2);
    int status;
    if (only_hears)
        say(c, size, random);
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        if (!only_hears)
            say(c, size, random);
        hear(c, size, random);
        _exit(0);
    }
    if (waitpid(child, &status, 0) != child || status != 0)
        fail("a child");
    c->done += size;
    atomic_fetch_add(&forks, 1);
}

static void by_program(const struct connection *c)
{
    char name[] = "true";
    char *const arguments[] = {name, NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, c->fd, 0);
    if (posix_spawnp(&child, "true", &actions, NULL, arguments, environ) != 0 ||
        waitpid(child, NULL, 0) != child)
        fail("posix_spawn");
    posix_spawn_file_actions_destroy(&actions);
    atomic_fetch_add(&programs, 1);
}

/* Another thread goes on with the connection, and this one with another's. */
static void swap(struct connection *c)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct connection waiting = {.fd = -1};

    pthread_mutex_lock(&lock);
    struct connection mine = *c;
    *c = waiting;
    waiting = mine;
    pthread_mutex_unlock(&lock);
}

static void step(struct connection *c, unsigned *random)
{
    int copy;
    switch (draw(random, 24)) {
    case 0:
    case 1:
        copy = duplicate(c->fd, random);
        close_number(c->fd, random);
        c->fd = copy;
        break;
    case 2:
    case 3:
        copy = duplicate(c->fd, random);
        exchange(c, random);
        duplicate_onto(c->fd, copy, random);
        close_number(copy, random);
        break;
    case 4:
        by_child(c, random);
        break;
    case 5:
        if (draw(random, 4) == 0)
            by_program(c);
        break;
    case 6:
    case 7:
        swap(c);
        break;
    case 8:
        if (fcntl(c->fd, F_SETFL, draw(random, 2) ? O_RDWR | O_NONBLOCK : O_RDWR) < 0)
            fail("fcntl");
        break;
    default:
        exchange(c, random);
    }
}

static void end_in_order(struct connection *c, unsigned *random)
{
    uint8_t rest;
    if (shutdown(c->fd, SHUT_WR) < 0)
        fail("shutdown");
    await(c->fd, POLLIN);
    if (read(c->fd, &rest, 1) != 0)
        fail("no end of data");
    close_number(c->fd, random);
}

static void end_at_once(struct connection *c, unsigned *random)
{
    struct linger now = {.l_onoff = 1};
    if (draw(random, 2))
        say(c, draw(random, BLOCK) + 1, random);
    if (draw(random, 2))
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close_number(c->fd, random);
    atomic_fetch_add(&aborts, 1);
}

static struct connection open_connection(unsigned *random)
{
    struct connection c = {.fd = open_socket(random), .seed = (uint64_t)rand_r(random)};
    if (connect(c.fd, (const struct sockaddr *)&peer_name, sizeof peer_name) < 0)
        fail("connect");
    atomic_fetch_add(&connections, 1);
    return c;
}

static void *run_client(void *argument)
{
    unsigned *random = &((struct work *)argument)->random;
    while (!stop_connecting) {
        struct connection c = open_connection(random);
        for (unsigned steps = draw(random, STEPS); steps > 0 && c.fd >= 0; steps--)
            step(&c, random);
        if (c.fd < 0)
            continue;
        if (draw(random, 4) == 0)
            end_at_once(&c, random);
        else
            end_in_order(&c, random);
    }
    struct connection last = {.fd = -1};
    swap(&last);
    if (last.fd >= 0)
        end_in_order(&last, random);
    return NULL;
}

/* ---- what a server does ---- */

/* A reset may be lost on the way like any packet, and nobody sends it again. */
static void watch_over(int fd)
{
    const int yes = 1, seconds = 1;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
}

static void serve_one(int fd)
{
    uint8_t block[BLOCK];
    ssize_t size;
    while ((size = read(fd, block, sizeof block)) > 0) {
        for (ssize_t at = 0; at < size;) {
            ssize_t part = send(fd, block + at, (size_t)(size - at), MSG_NOSIGNAL);
            if (part < 0)
                return; /* the peer aborts some */
            at += part;
        }
    }
}

/* Each connection has a thread that lasts as long as it does: else a client would wait for a server that serves
 * one who waits for another. */
static void *serve_accepted(void *argument)
{
    struct work work = {.random = (unsigned)(uintptr_t)argument};
    int fd = (int)(uintptr_t)argument;
    watch_over(fd);
    serve_one(fd);
    close_number(fd, &work.random);
    atomic_fetch_sub(&served, 1);
    return NULL;
}

static void *run_server(void *argument)
{
    unsigned *random = &((struct work *)argument)->random;
    struct pollfd waiting = {.fd = listener, .events = POLLIN};
    while (!stop_serving) {
        if (poll(&waiting, 1, 100) < 1)
            continue;
        int fd = accept_socket(random);
        if (fd < 0)
            continue;
        pthread_t thread;
        atomic_fetch_add(&served, 1);
        if (pthread_create(&thread, NULL, serve_accepted, (void *)(uintptr_t)fd) != 0)
            fail("pthread_create");
        pthread_detach(thread);
    }
    return NULL;
}

/* ---- all of it ---- */

static struct sockaddr_in name_of(const char *address, const char *port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    if (inet_pton(AF_INET, address, &name.sin_addr) != 1)
        fail(address);
    return name;
}

static void open_listener(void)
{
    enum { BACKLOG = 1000 };
    int yes = 1;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&own_name, sizeof own_name) < 0 ||
        listen(listener, BACKLOG) < 0)
        fail("listen");
    for (int i = 0; i < MOST_NUMBERS; i++)
        in_use[i] = fcntl(i, F_GETFD) >= 0;
}

static void say_line(const char *text)
{
    puts(text);
    fflush(stdout);
}

static void start(struct work *work, int count, unsigned seed)
{
    for (int i = 0; i < count; i++) {
        work[i].random = seed * MOST_THREADS + (unsigned)i;
        if (pthread_create(&work[i].thread, NULL, i % 4 ? run_client : run_server, &work[i]) != 0)
            fail("pthread_create");
    }
}

static void finish(struct work *work, int count)
{
    stop_connecting = true;
    for (int i = 0; i < count; i++) {
        if (i % 4)
            pthread_join(work[i].thread, NULL);
    }
    say_line("done");
    getchar();
    stop_serving = true;
    for (int i = 0; i < count; i += 4)
        pthread_join(work[i].thread, NULL);
    while (served > 0)
        usleep(10000);
}

int main(int count, char **arguments)
{
    static struct work work[MOST_THREADS];
    if (count != 8 || atoi(arguments[5]) < 4 || atoi(arguments[5]) > MOST_THREADS) {
        fprintf(stderr, "usage: stress ADDRESS PORT PEER_ADDRESS PEER_PORT THREADS SECONDS SEED\n");
        return 2;
    }
    int threads = atoi(arguments[5]);
    unsigned seconds = (unsigned)atoi(arguments[6]);
    own_name = name_of(arguments[1], arguments[2]);
    peer_name = name_of(arguments[3], arguments[4]);
    open_listener();
    close(socket(AF_INET, SOCK_STREAM, 0)); /* what is kept for good is there from now on */
    say_line("listening");
    getchar();
    struct left before = look();
    start(work, threads, (unsigned)atoi(arguments[7]));
    sleep(seconds / 3);
    pthread_rwlock_wrlock(&numbers_lock); /* looking takes some */
    long resident_kb = look().resident_kb;
    end_numbers();
    sleep(seconds - seconds / 3);
    finish(work, threads);
    struct left after = look_when_settled(&before);
    printf("%lu connections, %lu forks, %lu programs, %lu aborts, %lu MB\n", connections, forks,
           programs, aborts, bytes >> 20);
    printf("left: %ld own descriptors, %ld of all threads, %ld KB\n", after.own - before.own,
           after.all - before.all, after.resident_kb - resident_kb);
    return 0;
}
