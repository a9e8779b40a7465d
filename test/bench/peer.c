/* SPDX-License-Identifier: MIT */
/*
 * Both ends of the benchmarks, on plain blocking sockets, so that the same binary runs on the kernel's
 * TCP and, preloaded, on ours:
 *
 *	peer serve ADDRESS PORT
 *	peer out|in BYTES ADDRESS PORT     prints Gbit/s
 *	peer rtt COUNT ADDRESS PORT        prints microseconds for a byte there and back
 *	peer connect COUNT ADDRESS PORT    prints connections per second
 *
 * A connection begins with a request: what the client will do, and how much.
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct request {
    char load;
    uint64_t amount;
};

static char buffer[1 << 18];

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void write_all(int fd, uint64_t amount)
{
    while (amount > 0) {
        size_t part = amount < sizeof(buffer) ? (size_t)amount : sizeof(buffer);
        ssize_t done = write(fd, buffer, part);

        if (done <= 0)
            err(1, "write");
        amount -= (uint64_t)done;
    }
}

static void read_all(int fd, uint64_t amount)
{
    while (amount > 0) {
        size_t part = amount < sizeof(buffer) ? (size_t)amount : sizeof(buffer);
        ssize_t done = read(fd, buffer, part);

        if (done <= 0)
            err(1, "read");
        amount -= (uint64_t)done;
    }
}

static void ping_pong(int fd, uint64_t count, int first)
{
    for (uint64_t i = 0; i < count; i++) {
        if (first)
            write_all(fd, 1);
        read_all(fd, 1);
        if (!first)
            write_all(fd, 1);
    }
}

/* ---- server ---- */

static void serve_one(int fd)
{
    struct request request;
    ssize_t len = recv(fd, &request, sizeof(request), MSG_WAITALL);

    if (len == 0)
        return; /* a connection for its own sake */
    if (len != sizeof(request))
        err(1, "request");
    if (request.load == 'o') {
        read_all(fd, request.amount);
        write_all(fd, 1);
    } else if (request.load == 'i') {
        write_all(fd, request.amount);
    } else {
        ping_pong(fd, request.amount, 0);
    }
}

static struct sockaddr_in address_of(const char *address, const char *port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};

    if (inet_pton(AF_INET, address, &name.sin_addr) != 1)
        errx(1, "%s is no IPv4 address", address);
    return name;
}

static void set_nodelay(int fd)
{
    int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void serve(const char *address, const char *port)
{
    struct sockaddr_in name = address_of(address, port);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int on = 1;

    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(listener, (struct sockaddr *)&name, sizeof(name)) != 0 || listen(listener, 128) != 0)
        err(1, "%s:%s", address, port);
    for (;;) {
        int fd = accept(listener, NULL, NULL);

        if (fd < 0)
            err(1, "accept");
        set_nodelay(fd);
        serve_one(fd);
        close(fd);
    }
}

/* ---- client ---- */

static int open_connection(const struct sockaddr_in *name)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)name, sizeof(*name)) != 0)
        err(1, "connect");
    set_nodelay(fd);
    return fd;
}

static double run_bulk(int fd, char load, uint64_t amount)
{
    double start = seconds();

    if (load == 'o') {
        write_all(fd, amount);
        read_all(fd, 1);
    } else {
        read_all(fd, amount);
    }
    return (double)amount * 8 / 1e9 / (seconds() - start);
}

static double run_rtt(int fd, uint64_t amount)
{
    double start = seconds();

    ping_pong(fd, amount, 1);
    return (seconds() - start) * 1e6 / (double)amount;
}

static double run_connect(const struct sockaddr_in *name, uint64_t amount)
{
    double start = seconds();

    for (uint64_t i = 0; i < amount; i++)
        close(open_connection(name));
    return (double)amount / (seconds() - start);
}

static double run(const struct sockaddr_in *name, const struct request *request)
{
    double figure;
    int fd;

    if (request->load == 'c')
        return run_connect(name, request->amount);
    fd = open_connection(name);
    if (send(fd, request, sizeof(*request), 0) != sizeof(*request))
        err(1, "send");
    figure = request->load == 'r' ? run_rtt(fd, request->amount)
                                  : run_bulk(fd, request->load, request->amount);
    close(fd);
    return figure;
}

int main(int argc, char **argv)
{
    struct sockaddr_in name;
    struct request request;

    if (argc == 4 && strcmp(argv[1], "serve") == 0)
        serve(argv[2], argv[3]);
    if (argc != 5)
        errx(2, "usage: peer serve ADDRESS PORT | peer out|in|rtt|connect AMOUNT ADDRESS PORT");
    name = address_of(argv[3], argv[4]);
    memset(&request, 0, sizeof(request));
    request.load = argv[1][0];
    request.amount = strtoull(argv[2], NULL, 10);
    printf("%.2f\n", run(&name, &request));
    return 0;
}
