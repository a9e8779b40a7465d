/* SPDX-License-Identifier: MIT */
/* The sockets of the engine in virtual time, as its other files see them. */
#ifndef PACKETDRILL_SOCKETS_H
#define PACKETDRILL_SOCKETS_H

#include "engine.h"
#include "utcp.h"

struct engine_socket {
    unsigned references;
    int fd;
    struct utcp_conn *conn; /* NULL once closed */
    bool resets;            /* the last close is a RST */
    bool inet6;
    struct engine_extra extra;
    struct engine_socket *next; /* all there are */
};

/* The core says that this socket's readiness may have changed. */
void socket_event(void *user, unsigned ready);

/* The socket behind a descriptor, NULL = none. */
struct engine_socket *socket_find(int fd);

/* Readiness as poll() shows it: POLLIN and so on. */
unsigned socket_poll(const struct engine_socket *socket);

/* ---- polling.c ---- */

/* A socket has news: edges for those who watch it. */
void epoll_tell(const struct engine_socket *socket);

/* A socket or an epoll descriptor is closed. */
void epoll_forget(int fd);

#endif
