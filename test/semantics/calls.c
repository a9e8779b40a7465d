/* SPDX-License-Identifier: MIT */
#include "semantics.h"

/* socket(), and every call on a socket that is not connected; names; listeners and accept(). */

static void check_socket(void)
{
    theme("socket");
    check("of UDP's protocol", socket(family, SOCK_STREAM, IPPROTO_UDP));
    check("of no type", socket(family, 77, 0));
    check("with flags that do not exist", socket(family, SOCK_STREAM | 0x100000, 0));
    check("of a negative protocol", socket(family, SOCK_STREAM, -1));
    check("of a large protocol", socket(family, SOCK_STREAM, 1000));
    int fd = socket(family, SOCK_STREAM, IPPROTO_TCP);
    check("of TCP's protocol", fd >= 0);
    check("F_GETFD", fcntl(fd, F_GETFD));
    check("F_GETFL", fcntl(fd, F_GETFL));
    close(fd);
    fd = fresh(SOCK_NONBLOCK | SOCK_CLOEXEC);
    check("F_GETFD with SOCK_CLOEXEC", fcntl(fd, F_GETFD));
    check("F_GETFL with SOCK_NONBLOCK", fcntl(fd, F_GETFL));
    close(fd);
}

static void check_fresh(void)
{
    struct iovec iov = {"text", 4};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    struct mmsghdr many = {.msg_hdr = message};
    struct sockaddr_storage name;
    socklen_t size = sizeof name;
    struct name peers = name_of(peer_address, peer_port);
    char text[8];
    int fd = fresh(0);
    theme("fresh socket");
    check("read", read(fd, text, sizeof text));
    check("write", write(fd, "text", 4));
    check_pipes("signals of write");
    check("send with MSG_NOSIGNAL", send(fd, "text", 4, MSG_NOSIGNAL));
    check_pipes("signals of that");
    check("recv with MSG_DONTWAIT", recv(fd, text, sizeof text, MSG_DONTWAIT));
    check("recv with MSG_PEEK", recv(fd, text, sizeof text, MSG_PEEK));
    check("recv with MSG_OOB", recv(fd, text, sizeof text, MSG_OOB));
    check("recv with MSG_ERRQUEUE", recv(fd, text, sizeof text, MSG_ERRQUEUE));
    check("recv of nothing", recv(fd, text, 0, 0));
    check("send of nothing", send(fd, text, 0, MSG_NOSIGNAL));
    check("write of nothing", write(fd, text, 0));
    check("read of nothing", read(fd, text, 0));
    check("sendto", sendto(fd, "text", 4, MSG_NOSIGNAL, any(&peers), peers.size));
    check("sendmsg", sendmsg(fd, &message, MSG_NOSIGNAL));
    check("sendmmsg", sendmmsg(fd, &many, 1, MSG_NOSIGNAL));
    check("readv", readv(fd, &iov, 1));
    check("recvmsg", recvmsg(fd, &message, 0));
    check("recvmmsg", recvmmsg(fd, &many, 1, 0, NULL));
    check("accept", accept(fd, NULL, NULL));
    check("shutdown of writing", shutdown(fd, SHUT_WR));
    check("shutdown of reading", shutdown(fd, SHUT_RD));
    check("getpeername", getpeername(fd, (struct sockaddr *)&name, &size));
    check("getsockname", getsockname(fd, (struct sockaddr *)&name, &size));
    check_name("its name", &name, size);
    check_events("poll", fd);
    check_state("state", fd);
    check("close", close(fd));
    check_pipes("signals in all");
}

static void check_bind(void)
{
    struct name own = name_of(own_address, 0), wildcard = name_of("any", 0);
    struct name foreign = name_of("192.0.2.77", 0), unix_name = own;
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;
    int fd = fresh(0), other = fresh(0);
    theme("bind");
    check("to nothing", bind(fd, NULL, own.size));
    check("to a short name", bind(fd, any(&own), 4));
    check("to a name of size 0", bind(fd, any(&own), 0));
    unix_name.storage.ss_family = AF_UNIX;
    check("to a name of another family", bind(fd, any(&unix_name), unix_name.size));
    check("to an address that is not ours", bind(fd, any(&foreign), foreign.size));
    check("to our address", bind(fd, any(&own), own.size));
    check("twice", bind(fd, any(&own), own.size));
    check("getsockname", getsockname(fd, (struct sockaddr *)&bound, &size));
    check_name("its name", &bound, size);
    check_events("poll", fd);
    check("of another to the same port", bind(other, (struct sockaddr *)&bound, size));
    struct sockaddr_storage everywhere = wildcard.storage;
    ((struct sockaddr_in *)&everywhere)->sin_port = ((struct sockaddr_in *)&bound)->sin_port;
    check("of another to the same port of all addresses",
          bind(other, (struct sockaddr *)&everywhere, wildcard.size));
    int yes = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    setsockopt(other, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    check("with SO_REUSEADDR on both", bind(other, (struct sockaddr *)&bound, size));
    check("listen on one", listen(fd, 1));
    check("listen on the other", listen(other, 1));
    int third = fresh(0);
    setsockopt(third, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    check("with SO_REUSEADDR against a listener", bind(third, (struct sockaddr *)&bound, size));
    close(fd);
    check("after the listener was closed",
          bind(third, (struct sockaddr *)&bound, size) == 0 || errno == EADDRINUSE);
    close(other);
    close(third);
    int refused = 0;
    for (int i = 0; i < 1000; i++) {
        fd = fresh(0);
        refused += bind(fd, (struct sockaddr *)&bound, size) < 0 || listen(fd, 1) < 0;
        close(fd);
    }
    check("and listen again and again, refused", refused);
    check("of descriptor -1", bind(-1, any(&own), own.size));
    check("of a file", bind(0, any(&own), own.size));
}

static void check_reuse_port(void)
{
    struct name own = name_of(own_address, 0);
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;
    int yes = 1, fd = fresh(0), other = fresh(0), third = fresh(0);
    theme("SO_REUSEPORT");
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
    setsockopt(other, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
    check("bind", bind(fd, any(&own), own.size));
    getsockname(fd, (struct sockaddr *)&bound, &size);
    check("listen", listen(fd, 5));
    check("bind of another", bind(other, (struct sockaddr *)&bound, size));
    check("listen on both", listen(other, 5));
    check("bind of one without", bind(third, (struct sockaddr *)&bound, size));
    close(fd);
    close(other);
    close(third);
}

static void check_names(void)
{
    struct sockaddr_storage name;
    socklen_t size = 0;
    int fd = connected(0);
    theme("names");
    check("getpeername with no room", getpeername(fd, (struct sockaddr *)&name, &size));
    check("the size it says", (long)size);
    size = 4;
    memset(&name, 0x55, sizeof name);
    check("getpeername with room for four bytes", getpeername(fd, (struct sockaddr *)&name, &size));
    check_text("what it wrote", "size %u, byte 4 is %#x", size, ((unsigned char *)&name)[4]);
    size = (socklen_t)-1;
    check("getpeername with a negative size", getpeername(fd, (struct sockaddr *)&name, &size));
    check("getsockname with a negative size", getsockname(fd, (struct sockaddr *)&name, &size));
    size = sizeof name;
    check("getpeername with no name", getpeername(fd, NULL, &size));
    check("getsockname with no size", getsockname(fd, (struct sockaddr *)&name, NULL));
    size = sizeof name;
    getpeername(fd, (struct sockaddr *)&name, &size);
    check_name("the peer's", &name, size);
    close(fd);
    check("getpeername of what is closed", getpeername(fd, (struct sockaddr *)&name, &size));
}

static void check_listener(void)
{
    struct name peers = name_of(peer_address, peer_port);
    struct sockaddr_storage name;
    socklen_t size = sizeof name;
    char text[8];
    int port, fd = listening(SOCK_NONBLOCK, &port);
    theme("listener");
    check("listen again", listen(fd, 20));
    check("listen with a negative backlog", listen(fd, -1));
    check("connect", connect(fd, any(&peers), peers.size));
    check("read", read(fd, text, sizeof text));
    check("write", write(fd, "text", 4));
    check_pipes("signals of write");
    check("getpeername", getpeername(fd, (struct sockaddr *)&name, &size));
    check("accept when nobody is there", accept(fd, NULL, NULL));
    check_events("poll when nobody is there", fd);
    check_state("state", fd);
    int pending = 77;
    check("FIONREAD", ioctl(fd, FIONREAD, &pending));
    check("SIOCOUTQ", ioctl(fd, TIOCOUTQ, &pending));
    check("shutdown of writing", shutdown(fd, SHUT_WR));
    check_state("state after that", fd);
    peer(PEER_CONNECT, port);
    await(fd, POLLIN);
    check_events("poll when somebody is there", fd);
    check("accept with flags that do not exist", accept4(fd, NULL, NULL, 0x100000));
    int peers_end = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    check("accept4 with SOCK_CLOEXEC", peers_end >= 0);
    check("F_GETFD", fcntl(peers_end, F_GETFD));
    check("F_GETFL: O_NONBLOCK is not inherited", fcntl(peers_end, F_GETFL));
    check("accept on a connection", accept(peers_end, NULL, NULL));
    check("listen on a connection", listen(peers_end, 5));
    check("bind of a connection", bind(peers_end, any(&peers), peers.size));
    close(peers_end);
    check("shutdown of reading", shutdown(fd, SHUT_RD));
    check("accept after that", accept(fd, NULL, NULL));
    await(fd, POLLHUP);
    check_events("poll after that", fd);
    check_state("state after that", fd);
    check("listen after that", listen(fd, 5));
    close(fd);
    check("listen on -1", listen(-1, 5));
    check("listen on a file", listen(0, 5));
    check("accept on -1", accept(-1, NULL, NULL));
    check("accept on a file", accept(0, NULL, NULL));
}

static void check_accept(void)
{
    struct sockaddr_storage name;
    socklen_t size = sizeof name;
    int port, yes = 1, value, listener;
    listener = listening(0, &port);
    theme("accept");
    setsockopt(listener, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(listener, SOL_SOCKET, SO_OOBINLINE, &yes, sizeof yes);
    setsockopt(listener, SOL_SOCKET, SO_LINGER, &(struct linger){1, 7}, sizeof(struct linger));
    peer(PEER_CONNECT, port);
    int fd = accept(listener, (struct sockaddr *)&name, &size);
    check("with a name", fd >= 0);
    check_name("the peer's", &name, size);
    size = sizeof name;
    check("getsockname", getsockname(fd, (struct sockaddr *)&name, &size));
    check_name("our own", &name, size);
    static const struct {
        const char *what;
        int level, option;
    } inherited[] = {{"SO_KEEPALIVE is inherited", SOL_SOCKET, SO_KEEPALIVE},
                     {"TCP_NODELAY is inherited", IPPROTO_TCP, TCP_NODELAY},
                     {"SO_OOBINLINE is inherited", SOL_SOCKET, SO_OOBINLINE},
                     {"SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR},
                     {"SO_ACCEPTCONN", SOL_SOCKET, SO_ACCEPTCONN}};
    for (size_t i = 0; i < sizeof inherited / sizeof inherited[0]; i++) {
        size = sizeof value;
        getsockopt(fd, inherited[i].level, inherited[i].option, &value, &size);
        check(inherited[i].what, value);
    }
    struct linger linger;
    size = sizeof linger;
    getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &size);
    check_text("SO_LINGER is inherited", "%d %d", linger.l_onoff, linger.l_linger);
    close(fd);
    peer(PEER_CONNECT, port);
    size = 5;
    memset(&name, 0x55, sizeof name);
    fd = accept(listener, (struct sockaddr *)&name, &size);
    check_text("with room for five bytes", "%d, size %u, byte 5 is %#x", fd >= 0, size,
               ((unsigned char *)&name)[5]);
    close(fd);
    peer(PEER_CONNECT, port);
    peer(PEER_WRITE, 5);
    peer(PEER_CLOSE, 0);
    fd = accept(listener, NULL, NULL);
    char text[10];
    check("of one who has gone", fd >= 0);
    check("what he said", read(fd, text, sizeof text));
    check("that he has gone", read(fd, text, sizeof text));
    close(fd);
    peer(PEER_CONNECT, port);
    check("with a name without a size", accept(listener, (struct sockaddr *)&name, NULL));
    peer(PEER_CONNECT, port);
    size = (socklen_t)-1;
    check("with a negative size", accept(listener, (struct sockaddr *)&name, &size));
    fcntl(listener, F_SETFL, O_NONBLOCK);
    check("of those two, again", accept(listener, NULL, NULL));
    close(listener);
}

void check_calls(void)
{
    check_socket();
    check_fresh();
    check_bind();
    check_reuse_port();
    check_names();
    check_listener();
    check_accept();
}
