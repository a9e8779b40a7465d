/* SPDX-License-Identifier: MIT */
#include "semantics.h"

#include <sys/un.h>

struct order {
    enum peer_command command;
    int value;
    char from[INET_ADDRSTRLEN]; /* whose address the checks have */
};

static int channel = -1;

/* ---- the side of who gives orders ---- */

static struct sockaddr_un path_name(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    strncpy(name.sun_path, path, sizeof name.sun_path - 1);
    return name;
}

void peer_begin(enum peer_command command, int value)
{
    struct order order = {.command = command, .value = value};
    memcpy(order.from, own_address, strlen(own_address));
    if (write(channel, &order, sizeof order) != sizeof order)
        _exit(3);
}

long peer_answer(void)
{
    long answer;
    while (read(channel, &answer, sizeof answer) != sizeof answer) {
        if (errno != EINTR)
            give_up("the peer is gone");
    }
    return answer;
}

long peer(enum peer_command command, int value)
{
    peer_begin(command, value);
    return peer_answer();
}

void peer_open(const char *path)
{
    struct sockaddr_un name = path_name(path);
    int ports[2];
    channel = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (connect(channel, (struct sockaddr *)&name, sizeof name) < 0 ||
        read(channel, ports, sizeof ports) != sizeof ports)
        give_up("no peer");
    peer_port = ports[0];
    refused_port = ports[1];
}

/* ---- the side of who carries them out ---- */

static const char *address;
static int listener, connection = -1;
static unsigned written;

static struct sockaddr_in tcp_name(const char *host, int port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, host, &name.sin_addr);
    return name;
}

static int port_of(int fd)
{
    struct sockaddr_in name;
    socklen_t size = sizeof name;
    getsockname(fd, (struct sockaddr *)&name, &size);
    return ntohs(name.sin_port);
}

static void drop_connection(bool resets)
{
    struct linger now = {.l_onoff = 1};
    if (resets)
        setsockopt(connection, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    if (connection >= 0)
        close(connection);
    connection = -1;
}

static long take(int fd)
{
    drop_connection(false);
    connection = fd;
    written = 0;
    return fd < 0 ? -errno : 0;
}

static long dial(const char *host, int port)
{
    struct sockaddr_in name = tcp_name(host, port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&name, sizeof name) < 0)
        return -errno;
    return take(fd);
}

static long write_letters(int count)
{
    char text[65536];
    long done = 0;
    while (done < count) {
        size_t size = (size_t)(count - done) < sizeof text ? (size_t)(count - done) : sizeof text;
        for (size_t i = 0; i < size; i++)
            text[i] = (char)('a' + (written + i) % 26);
        ssize_t part = send(connection, text, size, MSG_NOSIGNAL);
        if (part < 0)
            return -errno;
        written += (unsigned)part;
        done += part;
    }
    return done;
}

static long read_bytes(int count)
{
    char text[65536];
    long done = 0;
    while (done < count) {
        size_t size = (size_t)(count - done) < sizeof text ? (size_t)(count - done) : sizeof text;
        ssize_t part = read(connection, text, size);
        if (part < 0)
            return -errno;
        if (part == 0)
            break;
        done += part;
    }
    return done;
}

static long carry_out(const struct order *order)
{
    int fd, least = 1, usual = 131072;
    switch (order->command) {
    case PEER_ACCEPT:
        fd = accept(listener, NULL, NULL);
        setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &usual, sizeof usual);
        return take(fd);
    case PEER_CONNECT:
        return dial(order->from, order->value);
    case PEER_WRITE:
        return write_letters(order->value);
    case PEER_READ:
        return read_bytes(order->value);
    case PEER_SHUTDOWN:
        return shutdown(connection, order->value);
    case PEER_CLOSE:
    case PEER_RESET:
        drop_connection(order->command == PEER_RESET);
        return 0;
    case PEER_URGENT:
        return send(connection, "!", 1, MSG_OOB);
    case PEER_SMALL:
        return setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &least, sizeof least);
    default:
        return -EINVAL;
    }
}

static int open_listener(int backlog)
{
    struct sockaddr_in name = tcp_name(address, 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&name, sizeof name) < 0 || (backlog && listen(fd, backlog) < 0))
        give_up("bind");
    return fd;
}

static void serve(int client)
{
    int refused = open_listener(0);
    int ports[] = {port_of(listener), port_of(refused)};
    struct order order;
    if (write(client, ports, sizeof ports) != sizeof ports)
        return;
    while (read(client, &order, sizeof order) == sizeof order) {
        long answer = carry_out(&order);
        if (write(client, &answer, sizeof answer) != sizeof answer)
            break;
    }
    drop_connection(false);
    close(refused);
    close(client);
}

int peer_main(const char *path, const char *own)
{
    struct sockaddr_un name = path_name(path);
    int orders = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    address = own;
    unlink(path);
    if (bind(orders, (struct sockaddr *)&name, sizeof name) < 0 || listen(orders, 1) < 0)
        give_up(path);
    for (;;) {
        listener = open_listener(10);
        serve(accept(orders, NULL, NULL));
        close(listener);
    }
}
