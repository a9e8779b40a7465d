/* SPDX-License-Identifier: MIT */
/*
 * handover ADDRESS PORT CONNECTIONS MEGABYTES SEED
 *
 * Streams over many connections to a server that returns what it gets, with a thread that writes and one that
 * reads for each, and bridges every socket somewhere on the way: by file actions for a program that is
 * spawned, by a stream of libc's, or by a forked child that goes on reading (or writing) where the thread
 * stopped. Both directions are a fixed sequence of bytes, so one that is lost, repeated or out of place is
 * found. Prints "all bytes in order" at the end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 256, BLOCK = 65536 };

enum way { BY_SPAWN, BY_STREAM, BY_READING_CHILD, BY_WRITING_CHILD, WAYS };

struct stream {
    int fd;
    unsigned seed;
    enum way way;
    size_t total, turn; /* bytes in all; where the socket is bridged */
    pthread_t reader, writer;
};

static struct stream streams[MOST];

static void fail(const char *what)
{
    fprintf(stderr, "handover: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* The sequence has no short period, and a stream's place in it depends on the stream. */
static uint8_t byte_at(const struct stream *stream, size_t at)
{
    uint64_t x = (at / 8 + 1) * UINT64_C(0x9e3779b97f4a7c15) + stream->seed;
    return (uint8_t)((x ^ x >> 29) >> (at % 8 * 8));
}

static size_t random_size(unsigned *seed, size_t most)
{
    return (size_t)rand_r(seed) % most + 1;
}

static void write_part(const struct stream *stream, size_t from, size_t to, unsigned *seed)
{
    uint8_t block[BLOCK];
    while (from < to) {
        size_t size = random_size(seed, BLOCK);
        if (size > to - from)
            size = to - from;
        for (size_t i = 0; i < size; i++)
            block[i] = byte_at(stream, from + i);
        for (size_t done = 0; done < size;) {
            ssize_t written = write(stream->fd, block + done, size - done);
            if (written < 0)
                fail("write");
            done += (size_t)written;
        }
        from += size;
    }
}

static void read_part(const struct stream *stream, size_t from, size_t to, unsigned *seed)
{
    uint8_t block[BLOCK];
    while (from < to) {
        size_t size = random_size(seed, BLOCK);
        ssize_t got = read(stream->fd, block, size < to - from ? size : to - from);
        if (got <= 0)
            fail(got < 0 ? "read" : "end of data too early");
        for (ssize_t i = 0; i < got; i++) {
            if (block[i] != byte_at(stream, from + (size_t)i)) {
                fprintf(stderr, "handover: byte %zu is wrong (way %d, turn %zu)\n",
                        from + (size_t)i, stream->way, stream->turn);
                exit(1);
            }
        }
        from += (size_t)got;
    }
}

/* What the thread does itself up to the turn, and from there on another process. */
static void in_child(struct stream *stream, unsigned *seed,
                     void (*part)(const struct stream *, size_t, size_t, unsigned *))
{
    int status;
    part(stream, 0, stream->turn, seed);
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        part(stream, stream->turn, stream->total, seed);
        _exit(0);
    }
    if (waitpid(child, &status, 0) != child || status != 0)
        fail("child");
}

static void turn_by_spawn(int fd)
{
    char name[] = "true";
    char *const arguments[] = {name, NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fd, 0);
    if (posix_spawnp(&child, "true", &actions, NULL, arguments, NULL) == 0)
        waitpid(child, NULL, 0);
    posix_spawn_file_actions_destroy(&actions);
}

static void turn_by_stream(int fd)
{
    FILE *stream = fdopen(dup(fd), "r");
    if (stream == NULL)
        fail("fdopen");
    fclose(stream);
}

static void *write_all(void *argument)
{
    struct stream *stream = argument;
    unsigned seed = stream->seed * 3;
    if (stream->way == BY_WRITING_CHILD) {
        in_child(stream, &seed, write_part);
    } else {
        write_part(stream, 0, stream->turn, &seed);
        if (stream->way == BY_SPAWN)
            turn_by_spawn(stream->fd);
        if (stream->way == BY_STREAM)
            turn_by_stream(stream->fd);
        write_part(stream, stream->turn, stream->total, &seed);
    }
    shutdown(stream->fd, SHUT_WR);
    return NULL;
}

static void *read_all(void *argument)
{
    struct stream *stream = argument;
    unsigned seed = stream->seed * 5;
    char byte;
    if (stream->way == BY_READING_CHILD)
        in_child(stream, &seed, read_part);
    else
        read_part(stream, 0, stream->total, &seed);
    if (read(stream->fd, &byte, 1) != 0)
        fail("no end of data");
    return NULL;
}

static void start(struct stream *stream, const struct sockaddr_in *server, size_t total,
                  unsigned seed)
{
    stream->seed = seed;
    stream->way = (enum way)(seed % WAYS);
    stream->total = total;
    stream->turn = random_size(&seed, total - 1);
    stream->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (stream->fd < 0 || connect(stream->fd, (const struct sockaddr *)server, sizeof(*server)) < 0)
        fail("connect");
    if (pthread_create(&stream->reader, NULL, read_all, stream) != 0 ||
        pthread_create(&stream->writer, NULL, write_all, stream) != 0)
        fail("pthread_create");
}

int main(int count, char **arguments)
{
    if (count != 6) {
        fprintf(stderr, "usage: handover ADDRESS PORT CONNECTIONS MEGABYTES SEED\n");
        return 2;
    }
    struct sockaddr_in server = {.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)atoi(arguments[2]))};
    inet_pton(AF_INET, arguments[1], &server.sin_addr);
    int connections = atoi(arguments[3]);
    if (connections < 1 || connections > MOST)
        return 2;
    for (int i = 0; i < connections; i++)
        start(&streams[i], &server, (size_t)atoi(arguments[4]) << 20,
              (unsigned)atoi(arguments[5]) * MOST + (unsigned)i);
    for (int i = 0; i < connections; i++) {
        pthread_join(streams[i].writer, NULL);
        pthread_join(streams[i].reader, NULL);
        close(streams[i].fd);
    }
    puts("all bytes in order");
    return 0;
}
