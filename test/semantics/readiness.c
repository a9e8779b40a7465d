/* SPDX-License-Identifier: MIT */
#include "semantics.h"

#include <sys/select.h>

/* What poll() and select() show in each state. */

static void check_poll(void)
{
    char text[64];
    int fd = connected(SOCK_NONBLOCK);
    theme("poll");
    check_events("a connection", fd);
    peer(PEER_WRITE, 10);
    await(fd, POLLIN);
    check_events("with data", fd);
    check("a part of it is read", read(fd, text, 4));
    check_events("with a part left", fd);
    check("the rest is read", read(fd, text, sizeof text));
    check_events("with nothing left", fd);
    check("our shutdown", shutdown(fd, SHUT_WR));
    check_events("after our shutdown", fd);
    peer(PEER_WRITE, 10);
    await(fd, POLLIN);
    check_events("with data after that", fd);
    check("it is read", read(fd, text, sizeof text));
    peer(PEER_SHUTDOWN, SHUT_WR);
    await(fd, POLLHUP);
    check_events("when both have ended", fd);
    check("read", read(fd, text, sizeof text));
    check_events("after that", fd);
    close(fd);
    fd = connected(SOCK_NONBLOCK);
    peer(PEER_SHUTDOWN, SHUT_WR);
    await(fd, POLLRDHUP);
    check_events("after the peer's end", fd);
    check("write", write(fd, "text", 4));
    check("our shutdown of reading", shutdown(fd, SHUT_RD));
    check_events("after our shutdown of reading", fd);
    check("our shutdown of writing", shutdown(fd, SHUT_WR));
    check_events("after our shutdown of both", fd);
    close(fd);
    check_events("what is closed", fd);
    fd = connected(SOCK_NONBLOCK);
    peer(PEER_WRITE, 10);
    peer(PEER_SHUTDOWN, SHUT_WR);
    while (recv(fd, text, 1, MSG_PEEK) < 0)
        usleep(1000);
    check("what came before the end is read", recv(fd, text, 10, MSG_WAITALL));
    await(fd, POLLRDHUP);
    check_events("and then the end", fd);
    close(fd);
}

static void check_resets(void)
{
    char text[64];
    int error, fd = connected(SOCK_NONBLOCK);
    socklen_t size = sizeof error;
    theme("poll, reset");
    peer(PEER_RESET, 0);
    await(fd, POLLERR);
    check_events("after a reset", fd);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    check_text("SO_ERROR", "%s", strerrorname_np(error));
    check_events("after that", fd);
    check("read", read(fd, text, sizeof text));
    check("write", write(fd, "text", 4));
    check_state("state", fd);
    close(fd);
    fd = connected(SOCK_NONBLOCK);
    shutdown(fd, SHUT_WR);
    peer(PEER_RESET, 0);
    await(fd, POLLERR);
    check_events("after our shutdown and a reset", fd);
    close(fd);
}

static void check_several(void)
{
    char text[8];
    int fd = connected(SOCK_NONBLOCK), other = connected(SOCK_NONBLOCK), copy = dup(other);
    struct pollfd polled[] = {{other, POLLIN, 0}, {-1, POLLIN, 7}, {copy, POLLIN | POLLOUT, 0},
                              {other, 0, 0},      {fd, POLLIN, 0}, {9999, POLLIN, 0}};
    theme("poll, several");
    await(fd, POLLIN); /* the peer has one connection at a time */
    check("with a bad descriptor", poll(polled, 6, 0));
    check("which shows", polled[5].revents);
    check("the negative one", polled[1].revents);
    peer(PEER_WRITE, 1);
    await(other, POLLIN);
    check("descriptors that are the same", poll(polled, 5, 0));
    check_text("events", "%#x %#x %#x %#x", polled[0].revents, polled[2].revents, polled[3].revents,
               polled[4].revents);
    check("read", read(copy, text, 1));
    check("after the read", poll(polled, 5, 0));
    check_text("events", "%#x %#x %#x", polled[0].revents, polled[2].revents, polled[4].revents);
    check("of none", poll(NULL, 0, 0));
    check("of a bad array", poll((struct pollfd *)8, 1, 0));
    struct timespec wrong = {.tv_nsec = 2000000000};
    check("ppoll with a wrong time", ppoll(polled, 5, &wrong, NULL));
    close(fd);
    close(other);
    close(copy);
}

static const char *in_sets(int fd, fd_set *in, fd_set *out, fd_set *except)
{
    static char text[32];
    snprintf(text, sizeof text, "%d %d %d", !!FD_ISSET(fd, in), !!FD_ISSET(fd, out),
             !!FD_ISSET(fd, except));
    return text;
}

static void check_one_select(const char *what, int fd)
{
    struct timeval now = {0};
    fd_set in, out, except;
    FD_ZERO(&in);
    FD_SET(fd, &in);
    out = except = in;
    int count = select(fd + 1, &in, &out, &except, &now);
    if (count < 0)
        check(what, count);
    else
        check_text(what, "%d: %s", count, in_sets(fd, &in, &out, &except));
}

static void check_select(void)
{
    char text[8];
    int port, fd = connected(SOCK_NONBLOCK), listener = listening(SOCK_NONBLOCK, &port);
    struct timeval wrong = {.tv_usec = -1};
    theme("select");
    check_one_select("a connection", fd);
    peer(PEER_WRITE, 3);
    await(fd, POLLIN);
    check_one_select("with data", fd);
    check("read", read(fd, text, sizeof text));
    peer(PEER_URGENT, 0);
    await(fd, POLLPRI);
    recv(fd, text, 1, MSG_OOB);
    check_one_select("the urgent byte is read", fd);
    peer(PEER_SHUTDOWN, SHUT_WR);
    read(fd, text, sizeof text);
    await(fd, POLLRDHUP);
    check_one_select("at the end", fd);
    check_one_select("a listener", listener);
    peer(PEER_CONNECT, port);
    await(listener, POLLIN);
    check_one_select("a listener with a connection", listener);
    int high = fcntl(fd, F_DUPFD, 1000);
    check_one_select("a number above 1000", high);
    close(high);
    check_one_select("what is closed", high);
    check("a wrong time", select(0, NULL, NULL, NULL, &wrong));
    check("a negative count", select(-1, NULL, NULL, NULL, NULL));
    close(listener);
    close(fd);
    fd = fresh(0);
    check_one_select("a fresh one", fd);
    close(fd);
}

void check_readiness(void)
{
    check_poll();
    check_resets();
    check_several();
    check_select();
}
