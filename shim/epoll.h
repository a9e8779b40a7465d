/* SPDX-License-Identifier: MIT */
/* Keeps a number registered with an epoll when another socket is put under it. */
#ifndef UTCP_SHIM_EPOLL_H
#define UTCP_SHIM_EPOLL_H

#include <stdbool.h>
#include <sys/epoll.h>

struct registration {
    int epoll; /* -1 = with none */
    struct epoll_event event;
};

/* How fd, one of ours, is registered now. */
struct registration epoll_registration(int fd);

/* Registers what is under fd now in the same way. */
void epoll_register(int fd, const struct registration *registration);

#endif
