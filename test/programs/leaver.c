/* SPDX-License-Identifier: MIT */
/*
 * A process that ends while its threads are in calls:
 *
 *	leaver ADDRESS PORT
 *
 * Half of the threads write, the other half read. Exits with 7; a thread whose call fails says so.
 */
#include <arpa/inet.h>
#include <err.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { THREADS = 6, STATUS = 7 };

static void *keep_writing(void *argument)
{
    char bytes[1000] = {0};

    while (write((int)(intptr_t)argument, bytes, sizeof bytes) >= 0)
        ;
    warn("write");
    return NULL;
}

static void *keep_reading(void *argument)
{
    char bytes[1000];

    while (read((int)(intptr_t)argument, bytes, sizeof bytes) > 0)
        ;
    warn("read");
    return NULL;
}

static int connect_to(const char *address, const char *port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (inet_pton(AF_INET, address, &name.sin_addr) != 1)
        errx(1, "%s is no IPv4 address", address);
    if (fd < 0 || connect(fd, (struct sockaddr *)&name, sizeof name) != 0)
        err(1, "connect");
    return fd;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        errx(2, "usage: leaver ADDRESS PORT");
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        int fd = connect_to(argv[1], argv[2]);

        if (pthread_create(&thread, NULL, i % 2 ? keep_writing : keep_reading,
                           (void *)(intptr_t)fd))
            errx(1, "no thread");
    }
    usleep(20000);
    _exit(STATUS);
}
