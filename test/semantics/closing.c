/* SPDX-License-Identifier: MIT */
#include "semantics.h"

/* Both ways to end: shutdown and FIN, and reset. */

static void await_state(int fd, int state)
{
    for (int i = 0; i < 2000; i++) {
        struct tcp_info info = {0};
        socklen_t size = sizeof info;
        getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size);
        if (info.tcpi_state == state)
            return;
        usleep(5000);
    }
}

static void check_shutdown(void)
{
    enum { FIN_WAIT_2 = 5 };
    char text[64];
    int fd = connected(0);
    theme("shutdown");
    check("of nothing that exists", shutdown(fd, 7));
    check("of -1", shutdown(-1, SHUT_WR));
    check("of a file", shutdown(0, SHUT_WR));
    check("of writing", shutdown(fd, SHUT_WR));
    check("the peer sees it", peer(PEER_READ, 1));
    await_state(fd, FIN_WAIT_2);
    check_state("state", fd);
    check("of writing, again", shutdown(fd, SHUT_WR));
    check("write", write(fd, "text", 4));
    check_pipes("signals of write");
    check("send with MSG_NOSIGNAL", send(fd, "text", 4, MSG_NOSIGNAL));
    check_pipes("signals of that");
    check("write of nothing", write(fd, "", 0));
    peer(PEER_WRITE, 5);
    check("read", read(fd, text, sizeof text));
    check("of reading", shutdown(fd, SHUT_RD));
    check("read after that", read(fd, text, sizeof text));
    check_state("state after that", fd);
    check("of both", shutdown(fd, SHUT_RDWR));
    peer(PEER_CLOSE, 0);
    await_state(fd, TCP_CLOSE);
    check_state("when the peer has closed, too", fd);
    check("of writing, after the end", shutdown(fd, SHUT_WR));
    close(fd);
    check("of what is closed", shutdown(fd, SHUT_WR));
}

static void check_reading_side(void)
{
    char text[64];
    int fd = connected(SOCK_NONBLOCK);
    theme("shutdown of reading");
    peer(PEER_WRITE, 5);
    await(fd, POLLIN);
    check("shutdown", shutdown(fd, SHUT_RD));
    check_events("poll", fd);
    check("what was there is read", read(fd, text, sizeof text));
    check("then the end", read(fd, text, sizeof text));
    check("write", write(fd, "text", 4));
    check("which arrives", peer(PEER_READ, 4));
    check("the peer writes", peer(PEER_WRITE, 5));
    for (int i = 0; i < 200 && recv(fd, text, 1, MSG_PEEK) <= 0; i++)
        usleep(5000);
    check("what comes is read", read(fd, text, sizeof text));
    check("then the end", read(fd, text, sizeof text));
    close(fd);
}

static void check_end(void)
{
    char text[64];
    int fd = connected(0);
    theme("the peer's end");
    peer(PEER_WRITE, 5);
    peer(PEER_SHUTDOWN, SHUT_WR);
    check("read", recv(fd, text, 5, MSG_WAITALL));
    check("read at the end", read(fd, text, sizeof text));
    check("read again", read(fd, text, sizeof text));
    check_state("state", fd);
    check("write", write(fd, "text", 4));
    check("which arrives", peer(PEER_READ, 4));
    check("shutdown", shutdown(fd, SHUT_WR));
    check("the peer sees it", peer(PEER_READ, 1));
    await_state(fd, TCP_CLOSE);
    check_state("state after that", fd);
    check("read after that", read(fd, text, sizeof text));
    check("write after that", send(fd, "text", 4, MSG_NOSIGNAL));
    check("close", close(fd));
    fd = connected(0);
    peer(PEER_CLOSE, 0);
    check("read when the peer has closed", read(fd, text, sizeof text));
    check("write then", write(fd, "text", 4));
    await(fd, POLLHUP);
    check("write, which the peer has reset", write(fd, "text", 4));
    check_pipes("signals");
    check("read after that", read(fd, text, sizeof text));
    close(fd);
}

static void check_reset(void)
{
    char text[64];
    int error, fd = connected(0);
    socklen_t size = sizeof error;
    theme("the peer's reset");
    peer(PEER_RESET, 0);
    check("read", read(fd, text, sizeof text));
    check("read again", read(fd, text, sizeof text));
    check("write", write(fd, "text", 4));
    check_pipes("signals");
    check_state("state", fd);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    check("SO_ERROR", error);
    check("shutdown", shutdown(fd, SHUT_WR));
    struct sockaddr_storage name;
    size = sizeof name;
    check("getpeername", getpeername(fd, (struct sockaddr *)&name, &size));
    close(fd);
    fd = connected(0);
    peer(PEER_RESET, 0);
    await(fd, POLLERR);
    check("write at first", send(fd, "text", 4, MSG_NOSIGNAL));
    check("write then", send(fd, "text", 4, MSG_NOSIGNAL));
    check("read then", read(fd, text, sizeof text));
    close(fd);
    fd = connected(0);
    peer(PEER_WRITE, 5);
    await(fd, POLLIN);
    peer(PEER_RESET, 0);
    await(fd, POLLERR);
    check("what came before it", read(fd, text, sizeof text));
    check("and then", read(fd, text, sizeof text));
    check("and then", read(fd, text, sizeof text));
    close(fd);
}

static void check_own_reset(void)
{
    struct linger now = {.l_onoff = 1}, later = {1, 5}, read_back;
    socklen_t size = sizeof read_back;
    int fd = connected(0);
    theme("our reset");
    peer(PEER_WRITE, 5);
    await(fd, POLLIN);
    check("close with data unread", close(fd));
    check("the peer is reset", peer(PEER_READ, 1) == -ECONNRESET);
    fd = connected(0);
    check("SO_LINGER of 0 s", setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now));
    check("close", close(fd));
    check("the peer is reset", peer(PEER_READ, 1) == -ECONNRESET);
    fd = connected(0);
    check("SO_LINGER of 5 s", setsockopt(fd, SOL_SOCKET, SO_LINGER, &later, sizeof later));
    getsockopt(fd, SOL_SOCKET, SO_LINGER, &read_back, &size);
    check_text("which reads", "%d %d", read_back.l_onoff, read_back.l_linger);
    write(fd, "text", 4);
    check("close", close(fd));
    check("the peer gets all", peer(PEER_READ, 5));
    fd = connected(0);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    check("shutdown with SO_LINGER of 0 s", shutdown(fd, SHUT_RDWR));
    check("the peer sees an end", peer(PEER_READ, 1));
    close(fd);
    fd = connected(0);
    int copy = dup(fd);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    check("close of one of two", close(fd));
    check("write to the other", write(copy, "text", 4));
    check("which arrives", peer(PEER_READ, 4));
    close(copy);
    check("and then the reset", peer(PEER_READ, 1) == -ECONNRESET);
}

void check_closing(void)
{
    check_shutdown();
    check_reading_side();
    check_end();
    check_reset();
    check_own_reset();
}
