/* SPDX-License-Identifier: MIT */
/*
 * Many connections, on the kernel's TCP or on ours:
 *
 *	crowd serve ADDRESS PORT          sends back what comes; what begins with "q" is answered once
 *	crowd hold COUNT ADDRESS PORT     holds so many connections, each of them used twice; says "held"
 *	                                  and, after a line on stdin, "served" when each was used once more
 *	crowd turns COUNT ADDRESS PORT    makes so many one after the other, and says what is left of them:
 *	                                  growth of own descriptors, of all threads' descriptors, of memory in KB
 *	crowd nothing                     uses everything but TCP and lists threads, descriptors, mapped files and
 *	                                  the anonymous memory in KB
 *	crowd start COUNT LIBRARY PROGRAM [ARGUMENTS]
 *	                                  prints the median time to run a program without and with a library
 *	                                  preloaded, in microseconds
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "left.h"

enum { MESSAGE_BYTES = 64, BACKLOG = 4096, EVENTS = 256, BUFFER_BYTES = 4096 };

extern char **environ;

static struct sockaddr_in address_of(const char *address, const char *port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};

    if (inet_pton(AF_INET, address, &name.sin_addr) != 1)
        errx(2, "%s is no address", address);
    return name;
}

/* Root may have more than it was given. */
static void allow_descriptors(void)
{
    enum { ENOUGH = 16384 };
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        err(1, "getrlimit");
    if (limit.rlim_max < ENOUGH)
        limit.rlim_max = ENOUGH;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        err(1, "setrlimit");
}

/* ---- the server ---- */

static void take(int epoll, int listener)
{
    int fd = accept(listener, NULL, NULL);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (fd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        err(1, "accept");
}

static void answer(int fd)
{
    char buffer[BUFFER_BYTES];
    ssize_t size = read(fd, buffer, sizeof buffer);

    if (size > 0 && write(fd, buffer, (size_t)size) != size)
        err(1, "write");
    if (size <= 0 || buffer[0] == 'q')
        close(fd);
}

static int serve(const char *address, const char *port)
{
    struct sockaddr_in name = address_of(address, port);
    int listener = socket(AF_INET, SOCK_STREAM, 0), epoll = epoll_create1(0), yes = 1;
    struct epoll_event events[EVENTS] = {{.events = EPOLLIN, .data.fd = listener}};

    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&name, sizeof name) < 0 || listen(listener, BACKLOG) < 0)
        err(1, "listen");
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, events);
    puts("listening");
    fflush(stdout);
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);

        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener)
                take(epoll, listener);
            else
                answer(events[i].data.fd);
        }
    }
}

/* ---- clients ---- */

static int open_connection(const struct sockaddr_in *name)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0)
        err(1, "socket");
    if (connect(fd, (const struct sockaddr *)name, sizeof *name) < 0)
        err(1, "connect");
    return fd;
}

static void make_message(char message[MESSAGE_BYTES], int number, char round)
{
    memset(message, round, MESSAGE_BYTES);
    memcpy(message + 1, &number, sizeof number);
}

static void say(int fd, int number, char round)
{
    char message[MESSAGE_BYTES];

    make_message(message, number, round);
    if (write(fd, message, sizeof message) != sizeof message)
        err(1, "write to connection %d", number);
}

static void hear(int fd, int number, char round)
{
    char message[MESSAGE_BYTES], heard[MESSAGE_BYTES];
    size_t size = 0;

    make_message(message, number, round);
    while (size < sizeof heard) {
        ssize_t part = read(fd, heard + size, sizeof heard - size);

        if (part <= 0)
            err(1, "read from connection %d after %zu bytes", number, size);
        size += (size_t)part;
    }
    if (memcmp(message, heard, sizeof heard) != 0)
        errx(1, "connection %d heard what was said to another", number);
}

/* On all at once, so that each has something on its way while the others have. */
static void use_all(const int *fds, int count, char round)
{
    for (int i = 0; i < count; i++)
        say(fds[i], i, round);
    for (int i = 0; i < count; i++)
        hear(fds[i], i, round);
}

static int hold(int count, const char *address, const char *port)
{
    struct sockaddr_in name = address_of(address, port);
    int *fds = calloc((size_t)count, sizeof *fds);

    for (int i = 0; i < count; i++) {
        fds[i] = open_connection(&name);
        say(fds[i], i, 'a');
        hear(fds[i], i, 'a');
    }
    use_all(fds, count, 'b');
    puts("held");
    fflush(stdout);
    getchar();
    use_all(fds, count, 'c');
    puts("served");
    free(fds);
    return 0;
}

/* ---- what is left ---- */

static void take_turns(int count, const struct sockaddr_in *name)
{
    for (int i = 0; i < count; i++) {
        int fd = open_connection(name);
        char rest;

        say(fd, i, 'q');
        hear(fd, i, 'q');
        if (read(fd, &rest, 1) != 0)
            errx(1, "connection %d does not end", i);
        close(fd);
    }
}

static int turns(int count, const char *address, const char *port)
{
    enum { FIRST = 1000 }; /* after which all that is kept for the next one is there */
    struct sockaddr_in name = address_of(address, port);
    int lasting = open_connection(&name); /* so that what there is one of is there all the time */
    struct left start = look(), before, after;

    take_turns(FIRST, &name);
    before = look_when_settled(&start);
    take_turns(count, &name);
    after = look_when_settled(&before);
    printf("%ld %ld %ld\n", after.own - before.own, after.all - before.all,
           after.resident_kb - before.resident_kb);
    close(lasting);
    return 0;
}

/* ---- what there is without TCP ---- */

static void use_everything_but_tcp(void)
{
    struct sockaddr_in name = address_of("127.0.0.1", "9");
    int udp = socket(AF_INET, SOCK_DGRAM, 0), pair[2], ends[2];

    if (udp < 0 || connect(udp, (struct sockaddr *)&name, sizeof name) < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 || pipe(ends) < 0 || dup(udp) < 0)
        err(1, "sockets");
    if (write(pair[0], "x", 1) != 1 || write(ends[1], "x", 1) != 1 || send(udp, "x", 1, 0) != 1)
        err(1, "write");
}

/* Files that are mapped, each once, and the sum of what is nobody's. */
static void list_mappings(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[1024], path[512], last[512] = "";
    unsigned long first, end, anonymous = 0;

    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        path[0] = '\0';
        if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %511s", &first, &end, path) < 2)
            continue;
        if (path[0] == '\0')
            anonymous += end - first;
        else if (path[0] == '/' && strcmp(path, last) != 0)
            printf("file %s\n", strcpy(last, path));
    }
    printf("anonymous %lu\n", anonymous / 1024);
    if (maps != NULL)
        fclose(maps);
}

static int nothing(void)
{
    use_everything_but_tcp();
    printf("threads %ld\n", read_number("/proc/self/status", "Threads:"));
    printf("descriptors %ld\n", look().own);
    list_mappings();
    return 0;
}

/* ---- what a start costs ---- */

static double microseconds_to_run(char *const *arguments)
{
    struct timespec before, after;
    pid_t child;

    clock_gettime(CLOCK_MONOTONIC, &before);
    if (posix_spawn(&child, arguments[0], NULL, NULL, arguments, environ) != 0 ||
        waitpid(child, NULL, 0) != child)
        errx(1, "%s does not run", arguments[0]);
    clock_gettime(CLOCK_MONOTONIC, &after);
    return (double)(after.tv_sec - before.tv_sec) * 1e6 +
           (double)(after.tv_nsec - before.tv_nsec) / 1e3;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* By turns with and without the library, so that what else the machine does hurts both. */
static int start(int count, const char *library, char *const *arguments)
{
    double *without = calloc((size_t)count, sizeof *without);
    double *with = calloc((size_t)count, sizeof *with);

    for (int i = 0; i < count; i++) {
        unsetenv("LD_PRELOAD");
        without[i] = microseconds_to_run(arguments);
        setenv("LD_PRELOAD", library, 1);
        with[i] = microseconds_to_run(arguments);
    }
    qsort(without, (size_t)count, sizeof *without, compare);
    qsort(with, (size_t)count, sizeof *with, compare);
    printf("%.0f %.0f\n", without[count / 2], with[count / 2]);
    free(without);
    free(with);
    return 0;
}

static int usage(void)
{
    fputs("usage: crowd serve ADDRESS PORT | hold|turns COUNT ADDRESS PORT | nothing |\n"
          "       start COUNT LIBRARY PROGRAM [ARGUMENTS]\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";

    allow_descriptors();
    if (strcmp(mode, "serve") == 0 && argc == 4)
        return serve(argv[2], argv[3]);
    if (strcmp(mode, "hold") == 0 && argc == 5)
        return hold(atoi(argv[2]), argv[3], argv[4]);
    if (strcmp(mode, "turns") == 0 && argc == 5)
        return turns(atoi(argv[2]), argv[3], argv[4]);
    if (strcmp(mode, "nothing") == 0 && argc == 2)
        return nothing();
    if (strcmp(mode, "start") == 0 && argc > 4)
        return start(atoi(argv[2]), argv[3], argv + 4);
    return usage();
}
