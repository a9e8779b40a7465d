/* SPDX-License-Identifier: MIT */
/*
 * Says what an AF_INET6 socket does, a line an experiment, for two runs to be compared: one on the
 * kernel's TCP, one on ours.
 *
 *	inet6 server PORT		takes connections of both families until it is ended
 *	inet6 client ADDRESS PORT	connects, and waits for the end
 *	inet6 names OWN PEER PORT	addresses and errors
 *	inet6 options OWN PEER PORT	options
 *	inet6 without COMMAND...	runs a command for which the kernel has no IPv6
 *
 * OWN is an IPv4 address that can be bound, PEER one where the server is, which is on ::1, too. Both
 * are "host" in what is said, and what port a socket got does not matter.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <spawn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *own, *peer, *self;
static uint16_t peer_port;

union name {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    char room[sizeof(struct sockaddr_storage) + 1];
};

/* ---- saying ---- */

static const char *error_or(int value, const char *good)
{
    return value < 0 ? strerrorname_np(errno) : good;
}

static const char *address_of(const union name *name, char text[INET6_ADDRSTRLEN])
{
    static const char mapped[] = "::ffff:";
    bool is_in = name->any.sa_family == AF_INET;
    const void *addr = is_in ? (const void *)&name->in.sin_addr : &name->in6.sin6_addr;

    inet_ntop(name->any.sa_family, addr, text, INET6_ADDRSTRLEN);
    char *rest = strncmp(text, mapped, strlen(mapped)) == 0 ? text + strlen(mapped) : text;
    if (strcmp(rest, own) == 0 || strcmp(rest, peer) == 0)
        strcpy(rest, "host");
    return text;
}

static void say_name(const char *what, int error, const union name *name, socklen_t size)
{
    char text[INET6_ADDRSTRLEN];
    uint16_t port = ntohs(name->in.sin_port);

    if (error < 0) {
        printf("  %s: %s\n", what, strerrorname_np(errno));
        return;
    }
    printf("  %s: family %d size %u %s port %s", what, name->any.sa_family, size,
           address_of(name, text),
           port == 0           ? "0"
           : port == peer_port ? "of the peer"
                               : "any");
    if (name->any.sa_family == AF_INET6)
        printf(" flow %u scope %u", ntohl(name->in6.sin6_flowinfo), name->in6.sin6_scope_id);
    printf("\n");
}

static void say_names(int fd)
{
    union name name = {0};
    socklen_t size = sizeof name.room;

    int error = getsockname(fd, &name.any, &size);
    say_name("getsockname", error, &name, size);
    size = sizeof name.room;
    error = getpeername(fd, &name.any, &size);
    say_name("getpeername", error, &name, size);
}

static void say_int(int fd, const char *what, int level, int option)
{
    int value = -1;
    socklen_t size = sizeof value;
    int error = getsockopt(fd, level, option, &value, &size);

    printf("  %s: %s %d size %u\n", what, error_or(error, ""), error < 0 ? 0 : value, size);
}

/* ---- doing ---- */

static int new_socket(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        perror("socket");
        exit(1);
    }
    return fd;
}

static uint16_t port_of(int fd)
{
    union name name = {0};
    socklen_t size = sizeof name;

    getsockname(fd, &name.any, &size);
    return ntohs(name.in.sin_port);
}

static socklen_t make_name(union name *name, const char *address, uint16_t port)
{
    *name = (union name){0};
    name->in.sin_port = htons(port);
    if (inet_pton(AF_INET, address, &name->in.sin_addr) == 1) {
        name->any.sa_family = AF_INET;
        return sizeof name->in;
    }
    name->any.sa_family = AF_INET6;
    inet_pton(AF_INET6, address, &name->in6.sin6_addr);
    return sizeof name->in6;
}

static const char *mapped(const char *address)
{
    static char text[INET6_ADDRSTRLEN];

    snprintf(text, sizeof text, "::ffff:%s", address);
    return text;
}

static int bind_to(int fd, const char *address)
{
    union name name;
    socklen_t size = make_name(&name, address, 0);

    return bind(fd, &name.any, size);
}

static int connect_to(int fd, const char *address)
{
    union name name;
    socklen_t size = make_name(&name, address, peer_port);

    return connect(fd, &name.any, size);
}

static void set(int fd, int level, int option, int value)
{
    if (setsockopt(fd, level, option, &value, sizeof value) < 0)
        printf("  cannot set %d of %d: %s\n", option, level, strerrorname_np(errno));
}

/* ---- names ---- */

enum call { BIND, CONNECT };

static void try_size(const char *what, enum call call, int family, const char *address,
                     unsigned size)
{
    union name name;
    int fd = new_socket(family);

    make_name(&name, address, call == CONNECT ? peer_port : 0);
    int error = call == CONNECT ? connect(fd, &name.any, size) : bind(fd, &name.any, size);
    printf(" %s %u: %s\n", what, size, error_or(error, "good"));
    close(fd);
}

/* bind() and connect() have their own ideas about names of no family. */
static void try_unspecified(int family, const char *address)
{
    union name name;
    int fd = new_socket(family);

    make_name(&name, address, 0);
    name.any.sa_family = AF_UNSPEC;
    int error = bind(fd, &name.any, sizeof name.in6);
    printf("AF %d bind AF_UNSPEC with %s: %s\n", family, strpbrk(address, "123") ? "host" : "zeros",
           error_or(error, "good"));
    say_names(fd);
    error = connect(fd, &name.any, sizeof name.in6);
    printf("  connect AF_UNSPEC: %s\n", error_or(error, "good"));
    close(fd);
}

static void sizes(void)
{
    static const unsigned tried[] = {0, 1, 2, 15, 16, 23, 24, 27, 28, 29, 128, 129};
    char own6[INET6_ADDRSTRLEN];

    strcpy(own6, mapped(own));
    for (unsigned i = 0; i < sizeof tried / sizeof *tried; i++) {
        try_size("connect AF_INET6 to a mapped name of", CONNECT, AF_INET6, mapped(peer), tried[i]);
        try_size("connect AF_INET6 to AF_INET of", CONNECT, AF_INET6, peer, tried[i]);
        try_size("connect AF_INET6 to ::1 of", CONNECT, AF_INET6, "::1", tried[i]);
        try_size("connect AF_INET to AF_INET6 of", CONNECT, AF_INET, mapped(peer), tried[i]);
        try_size("bind AF_INET6 to a mapped name of", BIND, AF_INET6, own6, tried[i]);
        try_size("bind AF_INET6 to AF_INET of", BIND, AF_INET6, own, tried[i]);
        try_size("bind AF_INET to AF_INET6 of", BIND, AF_INET, own6, tried[i]);
        try_size("bind AF_INET6 to :: of", BIND, AF_INET6, "::", tried[i]);
    }
}

/* Binds when there is something to bind to, connects when there is something to connect to. */
static void bind_and_connect(int v6only, const char *from, const char *to)
{
    char from_copy[INET6_ADDRSTRLEN] = "nothing";
    int fd = new_socket(AF_INET6);

    if (from)
        strcpy(from_copy, from);
    printf("bind %s connect %s v6only %d\n", from ? strchr(from, '.') ? "mapped" : from : "not",
           to ? strchr(to, '.') ? "mapped" : to : "not", v6only);
    if (v6only)
        set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (from)
        printf("  bind: %s\n", error_or(bind_to(fd, from_copy), "good"));
    say_names(fd);
    if (to)
        printf("  connect: %s\n", error_or(connect_to(fd, to), "good"));
    say_names(fd);
    say_int(fd, "IPV6_V6ONLY", IPPROTO_IPV6, IPV6_V6ONLY);
    say_int(fd, "SO_DOMAIN", SOL_SOCKET, SO_DOMAIN);
    say_int(fd, "SO_ERROR", SOL_SOCKET, SO_ERROR);
    int off = 0;
    printf("  IPV6_V6ONLY: %s\n",
           error_or(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off), "good"));
    printf("  bind again: %s\n", error_or(bind_to(fd, "::"), "good"));
    close(fd);
}

static void combinations(void)
{
    char own6[INET6_ADDRSTRLEN], peer6[INET6_ADDRSTRLEN];
    const char *from[] = {NULL, "::", "::ffff:0.0.0.0", own6, "::1", "::ffff:127.0.0.1"};
    const char *to[] = {NULL, "::1", "::", peer6, "::ffff:127.0.0.1"};

    strcpy(own6, mapped(own));
    strcpy(peer6, mapped(peer));
    for (int v6only = 0; v6only < 2; v6only++) {
        for (unsigned i = 0; i < sizeof from / sizeof *from; i++) {
            for (unsigned j = 0; j < sizeof to / sizeof *to; j++) {
                bool other_host = from[i] == own6 && j > 0 && to[j] != peer6;
                bool loopback = i >= 4 && to[j] == peer6;

                /* What the kernel says to these depends on whether it has the address. */
                if (!other_host && !loopback)
                    bind_and_connect(v6only, from[i], to[j]);
            }
        }
    }
    bind_and_connect(0, "2001:db8::1", NULL);
    bind_and_connect(0, "::ffff:192.0.2.1", NULL);
    bind_and_connect(0, "ff02::1", NULL);
    bind_and_connect(0, NULL, "2001:db8::1");
    bind_and_connect(0, NULL, "::ffff:224.0.0.1");
    bind_and_connect(0, NULL, "ff02::1");
}

static pid_t start_client(const char *address, uint16_t port)
{
    char port_text[8];
    char role[] = "client";
    char *arguments[] = {(char *)self, role, (char *)address, port_text, NULL};
    char *environment[] = {NULL};
    pid_t pid;

    snprintf(port_text, sizeof port_text, "%u", port);
    if (posix_spawn(&pid, self, NULL, NULL, arguments, environment) != 0)
        abort();
    return pid;
}

static void accept_on(const char *address, unsigned room,
                      int (*accepts)(int fd, union name *, socklen_t *))
{
    union name name = {0};
    socklen_t size = room;
    int listener = new_socket(AF_INET6);

    printf("accept on %s, room for %u\n", address ? address : "nothing bound", room);
    if (address)
        printf("  bind: %s\n", error_or(bind_to(listener, address), "good"));
    set(listener, IPPROTO_IPV6, IPV6_TCLASS, 0x20);
    printf("  listen: %s\n", error_or(listen(listener, 5), "good"));
    say_names(listener);
    pid_t client = start_client(own, port_of(listener));
    int fd = accepts(listener, &name, &size);
    if (room >= sizeof name.in6)
        say_name("accept", fd, &name, size);
    else
        printf("  accept: %s family %d size %u\n", error_or(fd, ""), name.any.sa_family, size);
    say_names(fd);
    say_int(fd, "SO_DOMAIN", SOL_SOCKET, SO_DOMAIN);
    say_int(fd, "IPV6_V6ONLY", IPPROTO_IPV6, IPV6_V6ONLY);
    say_int(fd, "IPV6_TCLASS", IPPROTO_IPV6, IPV6_TCLASS);
    char byte;
    size = sizeof name;
    printf("  recvfrom: %zd", recvfrom(fd, &byte, 1, 0, &name.any, &size));
    printf(" name of %u\n", size);
    close(fd);
    close(listener);
    waitpid(client, NULL, 0);
}

static int accept_plain(int fd, union name *name, socklen_t *size)
{
    return accept(fd, &name->any, size);
}

static int accept_by_duplicate(int fd, union name *name, socklen_t *size)
{
    int duplicate = dup(fd);
    int accepted = accept4(duplicate, &name->any, size, SOCK_CLOEXEC);

    close(duplicate);
    return accepted;
}

static void say_states(void)
{
    int fd = new_socket(AF_INET6);

    listen(fd, 1);
    printf("a listener\n  connect: %s\n", error_or(connect_to(fd, mapped(peer)), "good"));
    printf("  connect AF_INET: %s\n", error_or(connect_to(fd, peer), "good"));
    printf("  bind: %s\n", error_or(bind_to(fd, "::"), "good"));
    close(fd);
    fd = new_socket(AF_INET6);
    connect_to(fd, mapped(peer));
    printf("connected\n  connect: %s\n", error_or(connect_to(fd, mapped(peer)), "good"));
    printf("  connect AF_INET: %s\n", error_or(connect_to(fd, peer), "good"));
    printf("  connect ::1: %s\n", error_or(connect_to(fd, "::1"), "good"));
    printf("  bind: %s\n", error_or(bind_to(fd, "::"), "good"));
    close(fd);
    fd = new_socket(AF_INET6);
    set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    printf("a listener without an address, v6only\n  listen: %s\n",
           error_or(listen(fd, 1), "good"));
    say_names(fd);
    say_int(fd, "SO_ACCEPTCONN", SOL_SOCKET, SO_ACCEPTCONN);
    close(fd);
}

static void protocols(void)
{
    static const int tried[] = {0, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};

    for (unsigned i = 0; i < sizeof tried / sizeof *tried; i++) {
        int fd = socket(AF_INET6, SOCK_STREAM, tried[i]);

        printf("protocol %d: %s\n", tried[i], error_or(fd, "good"));
        if (fd >= 0)
            say_int(fd, "SO_PROTOCOL", SOL_SOCKET, SO_PROTOCOL);
        close(fd);
    }
}

/* A socket that becomes the kernel's keeps what was set on it. */
static void carried(void)
{
    static const struct {
        int level, option, value;
    } options[] = {
        {IPPROTO_IPV6, IPV6_TCLASS, 0x40},
        {IPPROTO_IPV6, IPV6_UNICAST_HOPS, 7},
        {IPPROTO_IPV6, IPV6_RECVTCLASS, 1},
        {IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO},
        {IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, 0},
        {IPPROTO_IPV6, IPV6_FREEBIND, 1},
        {IPPROTO_IP, IP_TTL, 9},
        {IPPROTO_IP, IP_TOS, 0x10},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
    };
    int fd = new_socket(AF_INET6), yes = 1;
    size_t count = sizeof options / sizeof *options;

    for (size_t i = 0; i < count; i++)
        set(fd, options[i].level, options[i].option, options[i].value);
    ioctl(fd, FIONBIO, &yes);
    int error = connect_to(fd, "::1");
    printf("carried: %s\n", error_or(error, "good"));
    for (size_t i = 0; i < count; i++)
        say_int(fd, "option", options[i].level, options[i].option);
    printf("  flags: %d %d\n", fcntl(fd, F_GETFD), (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    close(fd);
}

static int say_all_names(void)
{
    char own6[INET6_ADDRSTRLEN];

    strcpy(own6, mapped(own));
    protocols();
    sizes();
    try_unspecified(AF_INET, "0.0.0.0");
    try_unspecified(AF_INET, own);
    try_unspecified(AF_INET6, "::");
    combinations();
    accept_on("::", sizeof(struct sockaddr_in6), accept_plain);
    accept_on("::", sizeof(struct sockaddr_in), accept_plain);
    accept_on("::", 0, accept_by_duplicate);
    accept_on(NULL, sizeof(union name), accept_by_duplicate);
    accept_on("::ffff:0.0.0.0", sizeof(union name), accept_plain);
    say_states();
    carried();
    return 0;
}

/* ---- options ---- */

#define OPTION(level, name) \
    {                       \
        level, name, #name  \
    }

static const struct {
    int level, option;
    const char *name;
} tried_options[] = {
    OPTION(IPPROTO_IPV6, IPV6_V6ONLY),
    OPTION(IPPROTO_IPV6, IPV6_TCLASS),
    OPTION(IPPROTO_IPV6, IPV6_UNICAST_HOPS),
    OPTION(IPPROTO_IPV6, IPV6_MINHOPCOUNT),
    OPTION(IPPROTO_IPV6, IPV6_MTU_DISCOVER),
    OPTION(IPPROTO_IPV6, IPV6_MTU),
    OPTION(IPPROTO_IPV6, IPV6_RECVERR),
    OPTION(IPPROTO_IPV6, IPV6_RECVPKTINFO),
    OPTION(IPPROTO_IPV6, IPV6_RECVHOPLIMIT),
    OPTION(IPPROTO_IPV6, IPV6_RECVTCLASS),
    OPTION(IPPROTO_IPV6, IPV6_RECVHOPOPTS),
    OPTION(IPPROTO_IPV6, IPV6_RECVDSTOPTS),
    OPTION(IPPROTO_IPV6, IPV6_RECVRTHDR),
    OPTION(IPPROTO_IPV6, IPV6_RECVPATHMTU),
    OPTION(IPPROTO_IPV6, IPV6_RECVORIGDSTADDR),
    OPTION(IPPROTO_IPV6, IPV6_FREEBIND),
    OPTION(IPPROTO_IPV6, IPV6_ADDRFORM),
    OPTION(IPPROTO_IPV6, IPV6_CHECKSUM),
    OPTION(IPPROTO_IPV6, IPV6_NEXTHOP),
    OPTION(IPPROTO_IP, IP_TOS),
    OPTION(IPPROTO_IP, IP_TTL),
    OPTION(IPPROTO_IP, IP_MTU_DISCOVER),
    OPTION(IPPROTO_IP, IP_MTU),
    OPTION(IPPROTO_IP, IP_FREEBIND),
};

static void try_value(int family, size_t i, int value, socklen_t size)
{
    int fd = new_socket(family), level = tried_options[i].level, option = tried_options[i].option;
    int error = setsockopt(fd, level, option, &value, size);

    printf(" AF %d %s set %d of %u: %s\n", family, tried_options[i].name, value, size,
           error_or(error, "good"));
    if (error == 0)
        say_int(fd, "then", level, option);
    close(fd);
}

static void try_option(size_t i)
{
    static const int values[] = {-2, -1, 0, 1, 2, 3, 4, 5, 6, 64, 255, 256, 1280};
    int connected = new_socket(AF_INET6);

    for (unsigned v = 0; v < sizeof values / sizeof *values; v++) {
        try_value(AF_INET6, i, values[v], sizeof(int));
        if (tried_options[i].level == IPPROTO_IPV6)
            try_value(AF_INET, i, values[v], sizeof(int));
    }
    for (socklen_t size = 0; size < sizeof(int) && tried_options[i].level == IPPROTO_IPV6; size++)
        try_value(AF_INET6, i, 1, size);
    for (int family = AF_INET; family <= AF_INET6; family += AF_INET6 - AF_INET) {
        for (socklen_t room = 0; room <= sizeof(int) + 1; room++) {
            int fd = new_socket(family);
            char value[8] = {0};
            socklen_t size = room;
            int error =
                getsockopt(fd, tried_options[i].level, tried_options[i].option, value, &size);

            printf(" AF %d %s get into %u: %s %d %u\n", family, tried_options[i].name, room,
                   error_or(error, "good"), value[0], size);
            close(fd);
        }
    }
    connect_to(connected, mapped(peer));
    if (tried_options[i].option != IPV6_MTU && tried_options[i].option != IP_MTU)
        say_int(connected, "connected", tried_options[i].level, tried_options[i].option);
    close(connected);
}

/* Those that have a namesake in the other family, or not one of their own. */
static void say_pairs(void)
{
    static const struct {
        int option6, option4, value;
    } pairs[] = {
        {IPV6_TCLASS, IP_TOS, 0x10},
        {IPV6_UNICAST_HOPS, IP_TTL, 9},
        {IPV6_RECVERR, IP_RECVERR, 1},
        {IPV6_FREEBIND, IP_FREEBIND, 1},
        {IPV6_MTU_DISCOVER, IP_MTU_DISCOVER, 3},
    };

    for (unsigned i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        int fd = new_socket(AF_INET6);

        set(fd, IPPROTO_IPV6, pairs[i].option6, pairs[i].value);
        say_int(fd, "4 after 6", IPPROTO_IP, pairs[i].option4);
        close(fd);
        fd = new_socket(AF_INET6);
        set(fd, IPPROTO_IP, pairs[i].option4, pairs[i].value);
        say_int(fd, "6 after 4", IPPROTO_IPV6, pairs[i].option6);
        close(fd);
    }
}

static void become_inet(void)
{
    int fd = new_socket(AF_INET6), inet = AF_INET, inet6 = AF_INET6;

    connect_to(fd, mapped(peer));
    printf("IPV6_ADDRFORM\n");
    say_int(fd, "IPV6_ADDRFORM", IPPROTO_IPV6, IPV6_ADDRFORM);
    printf("  AF_INET6: %s\n",
           error_or(setsockopt(fd, IPPROTO_IPV6, IPV6_ADDRFORM, &inet6, sizeof inet6), "good"));
    printf("  short: %s\n",
           error_or(setsockopt(fd, IPPROTO_IPV6, IPV6_ADDRFORM, &inet, 1), "good"));
    printf("  AF_INET: %s\n",
           error_or(setsockopt(fd, IPPROTO_IPV6, IPV6_ADDRFORM, &inet, sizeof inet), "good"));
    say_names(fd);
    say_int(fd, "SO_DOMAIN", SOL_SOCKET, SO_DOMAIN);
    say_int(fd, "IPV6_V6ONLY", IPPROTO_IPV6, IPV6_V6ONLY);
    close(fd);
}

static int say_all_options(void)
{
    for (size_t i = 0; i < sizeof tried_options / sizeof *tried_options; i++)
        try_option(i);
    say_pairs();
    become_inet();
    return 0;
}

/* ---- the other end ---- */

/* Ends with the program that started it at the latest. */
static int client(const char *address, const char *port)
{
    char byte;
    int fd;

    own = peer = address;
    peer_port = (uint16_t)strtoul(port, NULL, 10);
    alarm(60);
    fd = new_socket(AF_INET);
    if (connect_to(fd, address) < 0 || write(fd, "x", 1) != 1)
        return 1;
    return read(fd, &byte, 1) == 0 ? 0 : 1;
}

/* Nobody holds more connections than are kept here at a time. */
static int serve(const char *port)
{
    enum { KEPT = 4 };
    union name name;
    int listener = new_socket(AF_INET6), yes = 1, connections[KEPT];

    make_name(&name, "::", (uint16_t)strtoul(port, NULL, 10));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, &name.any, sizeof name.in6) < 0 || listen(listener, SOMAXCONN) < 0) {
        perror("inet6: server");
        return 1;
    }
    for (unsigned i = 0;; i++) {
        if (i >= KEPT)
            close(connections[i % KEPT]);
        connections[i % KEPT] = accept(listener, NULL, NULL);
    }
}

/* Where there is no IPv6, socket() says EAFNOSUPPORT. */
static int run_without_inet6(char **command)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0)
        execvp(command[0], command);
    perror("inet6: without");
    return 1;
}

static void name_hosts(char **arguments)
{
    own = arguments[2];
    peer = arguments[3];
    peer_port = (uint16_t)strtoul(arguments[4], NULL, 10);
}

int main(int count, char **arguments)
{
    const char *role = count > 1 ? arguments[1] : "";

    self = arguments[0];
    if (strcmp(role, "server") == 0 && count == 3)
        return serve(arguments[2]);
    if (strcmp(role, "client") == 0 && count == 4)
        return client(arguments[2], arguments[3]);
    if (strcmp(role, "without") == 0 && count > 2)
        return run_without_inet6(arguments + 2);
    if (strcmp(role, "names") == 0 && count == 5) {
        name_hosts(arguments);
        return say_all_names();
    }
    if (strcmp(role, "options") == 0 && count == 5) {
        name_hosts(arguments);
        return say_all_options();
    }
    fprintf(stderr, "inet6: server PORT | client ADDRESS PORT | (names|options) OWN PEER PORT | "
                    "without COMMAND...\n");
    return 2;
}
