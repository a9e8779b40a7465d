/* SPDX-License-Identifier: MIT */
/* A library whose calls go to libc past every preloaded one when it is loaded with RTLD_DEEPBIND. */
#include <arpa/inet.h>
#include <stdint.h>
#include <sys/socket.h>

int connect_to(const char *address, int port);

/* A connected descriptor, or -1. */
int connect_to(const char *address, int port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || inet_pton(AF_INET, address, &name.sin_addr) != 1 ||
        connect(fd, (struct sockaddr *)&name, sizeof name) != 0)
        return -1;
    return fd;
}
