/* SPDX-License-Identifier: MIT */
#include "semantics.h"

int family, peer_port, refused_port;
const char *own_address, *peer_address, *nobody_address;

struct name name_of(const char *address, int port)
{
    struct name name = {.size = sizeof(struct sockaddr_in)};
    struct sockaddr_in *in = (struct sockaddr_in *)&name.storage;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&name.storage;
    char mapped[INET6_ADDRSTRLEN];
    bool wildcard = strcmp(address, "any") == 0;
    if (family == AF_INET) {
        *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        inet_pton(AF_INET, wildcard ? "0.0.0.0" : address, &in->sin_addr);
        return name;
    }
    name.size = sizeof *in6;
    *in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    snprintf(mapped, sizeof mapped, "::ffff:%s", address);
    inet_pton(AF_INET6, wildcard ? "::" : mapped, &in6->sin6_addr);
    return name;
}

int fresh(int flags)
{
    int fd = socket(family, SOCK_STREAM | flags, 0);
    if (fd < 0)
        give_up("socket");
    return fd;
}

int connected(int flags)
{
    struct name name = name_of(peer_address, peer_port);
    int fd = fresh(0);
    if (connect(fd, any(&name), name.size) < 0 || peer(PEER_ACCEPT, 0) < 0)
        give_up("connect");
    if (flags & SOCK_NONBLOCK)
        fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
    return fd;
}

int listening(int flags, int *port)
{
    struct name name = name_of(own_address, 0);
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;
    int fd = fresh(flags);
    if (bind(fd, any(&name), name.size) < 0 || listen(fd, 10) < 0 ||
        getsockname(fd, (struct sockaddr *)&bound, &size) < 0)
        give_up("listen");
    *port = ntohs(((struct sockaddr_in *)&bound)->sin_port); /* at the same place in both */
    return fd;
}

int accepted(void)
{
    int port, listener = listening(0, &port);
    peer(PEER_CONNECT, port);
    int fd = accept(listener, NULL, NULL);
    if (fd < 0)
        give_up("accept");
    close(listener);
    return fd;
}

void await(int fd, short events)
{
    struct pollfd one = {.fd = fd, .events = POLLIN | POLLPRI | POLLOUT | POLLRDHUP};
    for (int i = 0; i < 2000; i++) {
        poll(&one, 1, 0);
        if ((one.revents & events) == events)
            return;
        usleep(10000);
    }
    check_text("waited in vain for", "%#x, there is %#x", events, one.revents);
}

int main(int count, char **arguments)
{
    if (count == 4 && strcmp(arguments[1], "peer") == 0)
        return peer_main(arguments[2], arguments[3]);
    if (count != 6) {
        fprintf(stderr, "usage: semantics peer PATH ADDRESS\n"
                        "       semantics inet|inet6 PATH ADDRESS PEER NOBODY\n");
        return 2;
    }
    family = strcmp(arguments[1], "inet6") == 0 ? AF_INET6 : AF_INET;
    own_address = arguments[3];
    peer_address = arguments[4];
    nobody_address = arguments[5];
    peer_open(arguments[2]);
    check_calls();
    check_connect();
    check_transfer();
    check_messages();
    check_readiness();
    check_epoll();
    check_waiting();
    check_closing();
    check_options();
    check_descriptors();
    return 0;
}
