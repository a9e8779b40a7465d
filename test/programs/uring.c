/* SPDX-License-Identifier: MIT */
/*
 * uring ADDRESS PORT MEGABYTES
 *
 * Two connections to a server that returns what it gets, one made before the ring and one after, and for each a send and
 * a receive in flight at any time. Prints "all bytes in order" at the end.
 */
#include <arpa/inet.h>
#include <err.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { BLOCK = 65536, ENTRIES = 8 };

struct stream {
    int fd;
    unsigned salt;
    size_t said, heard;
    uint8_t out[BLOCK], in[BLOCK];
};

enum direction { SAYS, HEARS };

static struct io_uring ring;
static size_t total;

static int open_connection(const char *address, const char *port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    inet_pton(AF_INET, address, &name.sin_addr);
    if (connect(fd, (struct sockaddr *)&name, sizeof name) < 0)
        err(1, "connect");
    return fd;
}

static uint8_t byte_at(const struct stream *stream, size_t at)
{
    return (uint8_t)((at * 2654435761u >> 13) + stream->salt);
}

/* The lowest bit of a stream's address says which way. */
static void submit(struct stream *stream, enum direction direction)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&ring);
    if (direction == SAYS) {
        size_t len = total - stream->said < BLOCK ? total - stream->said : BLOCK;
        for (size_t i = 0; i < len; i++)
            stream->out[i] = byte_at(stream, stream->said + i);
        io_uring_prep_send(entry, stream->fd, stream->out, len, 0);
    } else {
        io_uring_prep_recv(entry, stream->fd, stream->in, BLOCK, 0);
    }
    io_uring_sqe_set_data64(entry, (uint64_t)(uintptr_t)stream | direction);
    io_uring_submit(&ring);
}

static void heard(struct stream *stream, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (stream->in[i] != byte_at(stream, stream->heard + i))
            errx(1, "byte %zu is wrong", stream->heard + i);
    }
    stream->heard += len;
    if (stream->heard < total)
        submit(stream, HEARS);
}

static void said(struct stream *stream, size_t len)
{
    stream->said += len;
    if (stream->said < total)
        submit(stream, SAYS);
}

static void complete_one(void)
{
    struct io_uring_cqe *entry;
    if (io_uring_wait_cqe(&ring, &entry) < 0)
        errx(1, "io_uring_wait_cqe");
    struct stream *stream = (struct stream *)(uintptr_t)(entry->user_data & ~UINT64_C(1));
    bool hears = (entry->user_data & 1) == HEARS;
    int result = entry->res;
    io_uring_cqe_seen(&ring, entry);
    if (result <= 0)
        errx(1, "%s: %d", hears ? "recv" : "send", result);
    if (hears)
        heard(stream, (size_t)result);
    else
        said(stream, (size_t)result);
}

int main(int count, char **arguments)
{
    static struct stream streams[2] = {{.salt = 1}, {.salt = 2}};
    if (count != 4) {
        fprintf(stderr, "usage: uring ADDRESS PORT MEGABYTES\n");
        return 2;
    }
    total = (size_t)atoi(arguments[3]) << 20;
    streams[0].fd = open_connection(arguments[1], arguments[2]);
    int error = io_uring_queue_init(ENTRIES, &ring, 0);
    if (error < 0)
        errx(1, "io_uring_queue_init: %d", error);
    streams[1].fd = open_connection(arguments[1], arguments[2]);
    for (int i = 0; i < 2; i++) {
        submit(&streams[i], SAYS);
        submit(&streams[i], HEARS);
    }
    while (streams[0].heard < total || streams[1].heard < total)
        complete_one();
    puts("all bytes in order");
    return 0;
}
