/* SPDX-License-Identifier: MIT */
/*
 * Both ends of the benchmarks, on plain sockets, so that the same binary runs on the kernel's TCP and,
 * preloaded, on ours:
 *
 *	peer serve ADDRESS PORT
 *	peer out|in BYTES ADDRESS PORT                  prints Gbit/s
 *	peer rtt|rtt-poll|rtt-epoll COUNT ADDRESS PORT  prints microseconds for a byte there and back
 *	peer connect COUNT ADDRESS PORT                 prints connections per second
 *
 * A client with -i COUNT:PORT first makes so many connections to that port, which stay idle.
 *
 * A connection begins with a request: what the client will do, and how much. One of "connect" is a
 * request, a byte in answer, and the end. The client of rtt sleeps in read(), the others wait for
 * readiness before they read.
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
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

static void answer_each(int fd, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        read_all(fd, 1);
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
    } else if (request.load == 'c') {
        write_all(fd, 1);
    } else {
        answer_each(fd, request.amount);
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

/* COUNT:PORT. Root may have more descriptors than it was given. */
static void open_idle_ones(struct sockaddr_in name, const char *what)
{
    struct rlimit limit = {65536, 65536};
    char *port;
    long count = strtol(what, &port, 10);

    if (*port != ':')
        errx(2, "-i %s: not of the form COUNT:PORT", what);
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        warn("setrlimit");
    name.sin_port = htons((uint16_t)atoi(port + 1));
    for (long i = 0; i < count; i++)
        open_connection(&name);
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

/* How a client waits before it reads. */
enum waiting { IN_READ, IN_POLL, IN_EPOLL };

static void wait_in_poll(int fd, int epoll)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};

    (void)epoll;
    if (poll(&one, 1, -1) != 1)
        err(1, "poll");
}

static void wait_in_epoll(int fd, int epoll)
{
    struct epoll_event event;

    (void)fd;
    if (epoll_wait(epoll, &event, 1, -1) != 1)
        err(1, "epoll_wait");
}

static void wait_in_read(int fd, int epoll)
{
    (void)fd;
    (void)epoll;
}

static int epoll_on(int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = epoll_create1(0);

    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        err(1, "epoll");
    return epoll;
}

static double run_rtt(int fd, uint64_t amount, enum waiting waiting)
{
    static void (*const ways[])(int, int) = {wait_in_read, wait_in_poll, wait_in_epoll};
    int epoll = waiting == IN_EPOLL ? epoll_on(fd) : -1;
    double start = seconds();

    for (uint64_t i = 0; i < amount; i++) {
        write_all(fd, 1);
        ways[waiting](fd, epoll);
        read_all(fd, 1);
    }
    return (seconds() - start) * 1e6 / (double)amount;
}

static void ask(int fd, const struct request *request)
{
    if (send(fd, request, sizeof(*request), 0) != sizeof(*request))
        err(1, "send");
}

static void connect_once(const struct sockaddr_in *name, const struct request *request)
{
    int fd = open_connection(name);

    ask(fd, request);
    read_all(fd, 1);
    close(fd);
}

/* The first one does not count: a device may have to be opened. */
static double run_connect(const struct sockaddr_in *name, const struct request *request)
{
    double start;

    connect_once(name, request);
    start = seconds();
    for (uint64_t i = 0; i < request->amount; i++)
        connect_once(name, request);
    return (double)request->amount / (seconds() - start);
}

static double run(const struct sockaddr_in *name, const struct request *request,
                  enum waiting waiting)
{
    double figure;
    int fd;

    if (request->load == 'c')
        return run_connect(name, request);
    fd = open_connection(name);
    ask(fd, request);
    figure = request->load == 'r' ? run_rtt(fd, request->amount, waiting)
                                  : run_bulk(fd, request->load, request->amount);
    close(fd);
    return figure;
}

static enum waiting waiting_of(const char *load)
{
    if (strcmp(load, "rtt-poll") == 0)
        return IN_POLL;
    return strcmp(load, "rtt-epoll") == 0 ? IN_EPOLL : IN_READ;
}

static int usage(void)
{
    fputs("usage: peer serve ADDRESS PORT |\n"
          "       peer [-i COUNT:PORT] out|in|rtt|rtt-poll|rtt-epoll|connect AMOUNT ADDRESS PORT\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    struct sockaddr_in name;
    struct request request;
    const char *idle = NULL;
    int option;

    while ((option = getopt(argc, argv, "i:")) != -1) {
        if (option != 'i')
            return usage();
        idle = optarg;
    }
    argv += optind - 1;
    argc -= optind - 1;
    memset(buffer, 'x', sizeof(buffer)); /* or all of it is one page of zeros */
    if (argc == 4 && strcmp(argv[1], "serve") == 0)
        serve(argv[2], argv[3]);
    if (argc != 5)
        return usage();
    name = address_of(argv[3], argv[4]);
    memset(&request, 0, sizeof(request));
    request.load = argv[1][0];
    request.amount = strtoull(argv[2], NULL, 10);
    if (idle != NULL)
        open_idle_ones(name, idle);
    printf("%.2f\n", run(&name, &request, waiting_of(argv[1])));
    return 0;
}
