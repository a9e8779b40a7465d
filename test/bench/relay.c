/* SPDX-License-Identifier: MIT */
/*
 * Joins two TUN devices of the same name in two network namespaces, so that the kernel's TCP at both
 * ends meets what a TCP in user space meets:
 *
 *	relay DEVICE NAMESPACE [offload]
 *
 * One is in this namespace, the other one in that of the file. A thread for each direction sleeps in
 * read() and writes what it gets: no poll, no copy, nothing looked at.
 */
#include "tun.h"

#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

struct direction {
    int from, to;
};

static void *carry(void *argument)
{
    const struct direction *way = argument;
    static _Thread_local char frame[TUN_FRAME_BYTES];

    for (;;) {
        ssize_t len = read(way->from, frame, sizeof frame);

        if (len < 0)
            err(1, "read");
        /* What a device does not take is lost, as everywhere. */
        (void)!write(way->to, frame, (size_t)len);
    }
    return NULL;
}

static void enter(const char *namespace)
{
    int fd = open(namespace, O_RDONLY);

    if (fd < 0 || setns(fd, CLONE_NEWNET) != 0)
        err(1, "%s", namespace);
    close(fd);
}

int main(int argc, char **argv)
{
    struct direction there, back;
    pthread_t thread;
    bool offload;

    if (argc != 3 && !(argc == 4 && strcmp(argv[3], "offload") == 0))
        errx(2, "usage: relay DEVICE NAMESPACE [offload]");
    offload = argc == 4;
    there.from = back.to = tun_attach(argv[1], offload);
    enter(argv[2]);
    there.to = back.from = tun_attach(argv[1], offload);
    if (pthread_create(&thread, NULL, carry, &back) != 0)
        err(1, "thread");
    carry(&there);
    return 0;
}
