/* SPDX-License-Identifier: MIT */
#include "semantics.h"

#include <sys/time.h>

static void check_arguments(void)
{
    struct name peers = name_of(peer_address, peer_port), other = peers;
    int fd = fresh(0);
    theme("connect");
    check("to nothing", connect(fd, NULL, peers.size));
    check("to a short name", connect(fd, any(&peers), 6));
    check("to a name of size 0", connect(fd, any(&peers), 0));
    other.storage.ss_family = AF_UNIX;
    check("to a name of another family", connect(fd, any(&other), other.size));
    other = name_of("255.255.255.255", 80);
    check("to everybody", connect(fd, any(&other), other.size));
    other = name_of("224.0.0.1", 80);
    check("to a group", connect(fd, any(&other), other.size));
    check("of descriptor -1", connect(-1, any(&peers), peers.size));
    check("of a file", connect(0, any(&peers), peers.size));
    check("to the peer, after all that", connect(fd, any(&peers), peers.size));
    peer(PEER_ACCEPT, 0);
    check("again", connect(fd, any(&peers), peers.size));
    check_state("state", fd);
    close(fd);
}

static void check_refused(void)
{
    struct name peers = name_of(peer_address, peer_port);
    struct name refused = name_of(peer_address, refused_port);
    struct sockaddr_storage name;
    socklen_t size = sizeof name;
    char text[8];
    int error, fd = fresh(0);
    theme("connect, refused");
    check("connect", connect(fd, any(&refused), refused.size));
    check_events("poll", fd);
    check_state("state", fd);
    size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    check("SO_ERROR", error);
    check("read", read(fd, text, sizeof text));
    check("send", send(fd, "text", 4, MSG_NOSIGNAL));
    size = sizeof name;
    check("getpeername", getpeername(fd, (struct sockaddr *)&name, &size));
    check("shutdown", shutdown(fd, SHUT_RDWR));
    check("connect again", connect(fd, any(&refused), refused.size));
    check("connect to one who listens", connect(fd, any(&peers), peers.size));
    check("who takes it", peer(PEER_ACCEPT, 0));
    check("write", write(fd, "text", 4));
    check("which arrives", peer(PEER_READ, 4));
    check_state("state after that", fd);
    close(fd);
}

static void check_refused_later(void)
{
    struct name peers = name_of(peer_address, peer_port);
    struct name refused = name_of(peer_address, refused_port);
    char text[8];
    int error, fd = fresh(SOCK_NONBLOCK);
    socklen_t size = sizeof error;
    theme("connect, refused, not blocking");
    check("connect", connect(fd, any(&refused), refused.size));
    await(fd, POLLERR);
    check_events("poll", fd);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    check_text("SO_ERROR", "%s", strerrorname_np(error));
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    check("SO_ERROR again", error);
    check_events("poll after that", fd);
    check("read", read(fd, text, sizeof text));
    check("send", send(fd, "text", 4, MSG_NOSIGNAL));
    check("connect again", connect(fd, any(&refused), refused.size));
    close(fd);
    fd = fresh(SOCK_NONBLOCK);
    connect(fd, any(&refused), refused.size);
    await(fd, POLLERR);
    check("connect instead of SO_ERROR", connect(fd, any(&refused), refused.size));
    check("connect to one who listens", connect(fd, any(&peers), peers.size));
    await(fd, POLLOUT);
    peer(PEER_ACCEPT, 0);
    check_events("poll when that is done", fd);
    check_state("state then", fd);
    close(fd);
    fd = fresh(SOCK_NONBLOCK);
    connect(fd, any(&refused), refused.size);
    await(fd, POLLERR);
    check("read instead of SO_ERROR", read(fd, text, sizeof text));
    check("read again", read(fd, text, sizeof text));
    close(fd);
    fd = fresh(SOCK_NONBLOCK);
    connect(fd, any(&refused), refused.size);
    await(fd, POLLERR);
    check("send instead of SO_ERROR", send(fd, "text", 4, MSG_NOSIGNAL));
    check("send again", send(fd, "text", 4, MSG_NOSIGNAL));
    close(fd);
}

static void check_pending(void)
{
    struct name nobody = name_of(nobody_address, 80);
    struct sockaddr_storage name;
    socklen_t size = sizeof name;
    char text[8];
    int error, pending, fd = fresh(SOCK_NONBLOCK);
    theme("connect, pending");
    check("connect", connect(fd, any(&nobody), nobody.size));
    check("connect again", connect(fd, any(&nobody), nobody.size));
    check_events("poll", fd);
    check_state("state", fd);
    check("getpeername", getpeername(fd, (struct sockaddr *)&name, &size));
    size = sizeof name;
    check("getsockname", getsockname(fd, (struct sockaddr *)&name, &size));
    check("read", read(fd, text, sizeof text));
    check("send", send(fd, "text", 4, MSG_NOSIGNAL));
    check("send of nothing", send(fd, "text", 0, MSG_NOSIGNAL));
    check("listen", listen(fd, 5));
    check("accept", accept(fd, NULL, NULL));
    check("bind", bind(fd, any(&nobody), nobody.size));
    check("FIONREAD", ioctl(fd, FIONREAD, &pending));
    size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    check("SO_ERROR", error);
    check("shutdown of writing", shutdown(fd, SHUT_WR));
    check_state("state after that", fd);
    await(fd, POLLHUP);
    check_events("poll after that", fd);
    close(fd);
    struct timeval soon = {.tv_usec = 50000};
    fd = fresh(0);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon);
    check("blocking, with SO_SNDTIMEO", connect(fd, any(&nobody), nobody.size));
    check("again", connect(fd, any(&nobody), nobody.size));
    check_state("state then", fd);
    close(fd);
}

static void check_established_later(void)
{
    struct name peers = name_of(peer_address, peer_port);
    int error, fd = fresh(SOCK_NONBLOCK);
    socklen_t size = sizeof error;
    theme("connect, not blocking");
    check("connect", connect(fd, any(&peers), peers.size));
    await(fd, POLLOUT);
    peer(PEER_ACCEPT, 0);
    check_events("poll", fd);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    check("SO_ERROR", error);
    check("connect again", connect(fd, any(&peers), peers.size));
    check("and again", connect(fd, any(&peers), peers.size));
    close(fd);
}

static void check_disconnect(void)
{
    struct name peers = name_of(peer_address, peer_port);
    struct sockaddr nothing = {.sa_family = AF_UNSPEC};
    struct sockaddr_storage name;
    socklen_t size = sizeof name;
    char text[8];
    int fd = connected(0);
    theme("connect to AF_UNSPEC");
    check("connect", connect(fd, &nothing, sizeof nothing));
    check("the peer is reset", peer(PEER_READ, 1) == -ECONNRESET);
    check("getpeername", getpeername(fd, (struct sockaddr *)&name, &size));
    check("read", read(fd, text, sizeof text));
    check("send", send(fd, "text", 4, MSG_NOSIGNAL));
    check_events("poll", fd);
    check_state("state", fd);
    check("connect to the peer", connect(fd, any(&peers), peers.size));
    check("who takes it", peer(PEER_ACCEPT, 0));
    check("write", write(fd, "text", 4));
    check("which arrives", peer(PEER_READ, 4));
    close(fd);
    fd = fresh(0);
    check("of a fresh one", connect(fd, &nothing, sizeof nothing));
    close(fd);
}

static void check_bound(void)
{
    struct name own = name_of(own_address, 0), peers = name_of(peer_address, peer_port);
    struct sockaddr_storage before, after;
    socklen_t size = sizeof before;
    int fd = fresh(0);
    theme("connect, bound");
    check("bind", bind(fd, any(&own), own.size));
    getsockname(fd, (struct sockaddr *)&before, &size);
    check("connect", connect(fd, any(&peers), peers.size));
    peer(PEER_ACCEPT, 0);
    size = sizeof after;
    getsockname(fd, (struct sockaddr *)&after, &size);
    check("the name is as before", memcmp(&before, &after, size) == 0);
    close(fd);
}

void check_connect(void)
{
    check_arguments();
    check_refused();
    check_refused_later();
    check_pending();
    check_established_later();
    check_disconnect();
    check_bound();
}
