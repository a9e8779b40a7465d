/* SPDX-License-Identifier: MIT */
#include "semantics.h"

#include <sys/epoll.h>

/* What epoll_wait() says at once, and how often. */
static void check_wait(const char *what, int epoll)
{
    struct epoll_event event = {0};
    char text[128] = "";
    int count = epoll_wait(epoll, &event, 1, 0);
    static const struct {
        uint32_t bit;
        const char *name;
    } bits[] = {{EPOLLIN, " IN"},   {EPOLLPRI, " PRI"}, {EPOLLOUT, " OUT"},
                {EPOLLERR, " ERR"}, {EPOLLHUP, " HUP"}, {EPOLLRDHUP, " RDHUP"}};
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++) {
        if (event.events & bits[i].bit)
            strcat(text, bits[i].name);
    }
    if (count < 0)
        check(what, count);
    else
        check_text(what, "%d%s", count, text);
}

/* Waits until epoll has something to say; its own readiness is level-triggered. */
static void await_epoll(int epoll)
{
    await(epoll, POLLIN);
}

static int watch(int epoll, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static int change(int epoll, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    return epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
}

static void check_control(void)
{
    int fd = connected(SOCK_NONBLOCK), epoll = epoll_create1(EPOLL_CLOEXEC);
    theme("epoll_ctl");
    check("of -1", watch(epoll, -1, EPOLLIN));
    check("of a number that is not open", watch(epoll, 9999, EPOLLIN));
    check("by what is no epoll", watch(fd, fd, EPOLLIN));
    check("MOD before ADD", change(epoll, fd, EPOLLIN));
    check("DEL before ADD", epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL));
    check("ADD", watch(epoll, fd, EPOLLIN));
    check("ADD again", watch(epoll, fd, EPOLLIN));
    int copy = dup(fd);
    check("ADD of a duplicate", watch(epoll, copy, EPOLLIN));
    check("MOD", change(epoll, fd, EPOLLIN | EPOLLOUT));
    check("EPOLLEXCLUSIVE by MOD", change(epoll, fd, EPOLLIN | EPOLLEXCLUSIVE));
    check("DEL", epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL));
    check("DEL again", epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL));
    check("ADD with EPOLLEXCLUSIVE", watch(epoll, fd, EPOLLIN | EPOLLEXCLUSIVE));
    check("no operation", epoll_ctl(epoll, 77, fd, NULL));
    close(fd);
    close(copy);
    check("DEL of what is closed", epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL));
    check_wait("wait for what is closed", epoll);
    close(epoll);
}

static void check_level(void)
{
    char text[64];
    int fd = connected(SOCK_NONBLOCK), epoll = epoll_create1(0);
    theme("epoll, level");
    watch(epoll, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
    check_wait("a connection", epoll);
    peer(PEER_WRITE, 4);
    await(fd, POLLIN);
    check_wait("with data", epoll);
    check_wait("again", epoll);
    change(epoll, fd, EPOLLIN);
    check_wait("only EPOLLIN", epoll);
    check("a part is read", read(fd, text, 2));
    check_wait("with the rest", epoll);
    check("the rest is read", read(fd, text, 2));
    check_wait("with nothing", epoll);
    change(epoll, fd, 0);
    peer(PEER_RESET, 0);
    await(fd, POLLERR);
    check_wait("nothing asked for, after a reset", epoll);
    close(fd);
    check_wait("after close", epoll);
    fd = fresh(SOCK_NONBLOCK);
    watch(epoll, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
    check_wait("a fresh one", epoll);
    close(fd);
    close(epoll);
}

static void check_edge(void)
{
    char text[64];
    int fd = connected(SOCK_NONBLOCK), epoll = epoll_create1(0);
    theme("epoll, edge");
    watch(epoll, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    check_wait("a connection", epoll);
    check_wait("again", epoll);
    peer(PEER_WRITE, 4);
    await_epoll(epoll);
    check_wait("with data", epoll);
    check_wait("again", epoll);
    check("a part is read", read(fd, text, 2));
    check_wait("with the rest", epoll);
    peer(PEER_WRITE, 4);
    await_epoll(epoll);
    check_wait("with more data", epoll);
    check("all is read", read(fd, text, sizeof text));
    check("nothing is left", read(fd, text, sizeof text));
    check_wait("with nothing", epoll);
    change(epoll, fd, EPOLLOUT | EPOLLET);
    check_wait("changed to EPOLLOUT", epoll);
    check_wait("again", epoll);
    change(epoll, fd, EPOLLIN | EPOLLRDHUP | EPOLLET);
    check_wait("changed to EPOLLIN", epoll);
    peer(PEER_SHUTDOWN, SHUT_WR);
    await_epoll(epoll);
    check_wait("at the end", epoll);
    check_wait("again", epoll);
    check("read", read(fd, text, sizeof text));
    close(fd);
    close(epoll);
}

/* Until nothing more goes, nor does after a while. */
static long fill(int fd)
{
    static char block[65536];
    long sum = 0, part;
    for (int i = 0; i < 20; i++) {
        while ((part = write(fd, block, sizeof block)) > 0)
            sum += part;
        usleep(10000);
    }
    return sum;
}

static void check_edge_of_writing(void)
{
    peer(PEER_SMALL, 0);
    int fd = connected(SOCK_NONBLOCK), epoll = epoll_create1(0);
    theme("epoll, edge of writing");
    watch(epoll, fd, EPOLLOUT | EPOLLET);
    check_wait("a connection", epoll);
    long sum = fill(fd);
    check_wait("when it is full", epoll);
    check("the peer reads all", peer(PEER_READ, (int)sum) == sum);
    await_epoll(epoll);
    check_wait("when there is room", epoll);
    check_wait("again", epoll);
    close(fd);
    close(epoll);
}

static void check_once(void)
{
    char text[64];
    int fd = connected(SOCK_NONBLOCK), epoll = epoll_create1(0);
    theme("epoll, one-shot");
    watch(epoll, fd, EPOLLIN | EPOLLONESHOT);
    check_wait("a connection", epoll);
    peer(PEER_WRITE, 4);
    await_epoll(epoll);
    check_wait("with data", epoll);
    check_wait("again", epoll);
    peer(PEER_WRITE, 4);
    check_wait("with more data", epoll);
    change(epoll, fd, EPOLLIN | EPOLLONESHOT);
    check_wait("armed again", epoll);
    check("all is read", read(fd, text, sizeof text) > 0);
    close(fd);
    close(epoll);
}

static void check_nested(void)
{
    char text[64];
    int port, fd = connected(SOCK_NONBLOCK), listener = listening(SOCK_NONBLOCK, &port);
    int inner = epoll_create1(0), outer = epoll_create1(0);
    theme("epoll, nested");
    watch(inner, fd, EPOLLIN);
    check("ADD of an epoll", watch(outer, inner, EPOLLIN));
    check_wait("with nothing", outer);
    check_events("poll of the inner one", inner);
    peer(PEER_WRITE, 4);
    await(fd, POLLIN);
    check_wait("with data", outer);
    check_events("poll of the inner one", inner);
    check("it is read", read(fd, text, sizeof text));
    check_wait("after that", outer);
    close(fd);
    watch(inner, listener, EPOLLIN | EPOLLEXCLUSIVE);
    check_wait("a listener", outer);
    peer(PEER_CONNECT, port);
    await(listener, POLLIN);
    check_wait("a listener with a connection", outer);
    close(accept(listener, NULL, NULL));
    check_wait("after accept", outer);
    close(listener);
    close(inner);
    close(outer);
}

void check_epoll(void)
{
    check_control();
    check_level();
    check_edge();
    check_edge_of_writing();
    check_once();
    check_nested();
}
