/* SPDX-License-Identifier: MIT */
/*
 * poll() and epoll in virtual time. The events of the core are the edges: so a script sees whether the
 * core tells of news when Linux would, and of nothing else.
 */
#include "polling.h"

#include <errno.h>
#include <stdbool.h>

#include "libc.h"
#include "sockets.h"
#include "world.h"

enum { INTERESTS = 64 };

struct interest {
    int epoll_fd; /* 0 = a free place */
    struct engine_socket *socket;
    struct epoll_event event;
    bool edge; /* there was news since it was last reported */
};

static struct interest interests[INTERESTS];

void epoll_tell(const struct engine_socket *socket)
{
    for (int i = 0; i < INTERESTS; i++) {
        struct interest *interest = &interests[i];

        if (interest->epoll_fd != 0 && interest->socket == socket)
            interest->edge = true;
    }
}

void epoll_forget(int fd)
{
    for (int i = 0; i < INTERESTS; i++) {
        struct interest *interest = &interests[i];

        if (interest->epoll_fd != 0 && (interest->epoll_fd == fd || interest->socket->fd == fd))
            *interest = (struct interest){0};
    }
}

static struct interest *find_interest(int epoll_fd, const struct engine_socket *socket)
{
    for (int i = 0; i < INTERESTS; i++) {
        if (interests[i].epoll_fd == epoll_fd && interests[i].socket == socket)
            return &interests[i];
    }
    return NULL;
}

static int add(int epoll_fd, struct engine_socket *socket, const struct epoll_event *event)
{
    struct interest *place = find_interest(0, NULL);

    if (find_interest(epoll_fd, socket))
        return -EEXIST;
    if (!place)
        return -ENOSPC;
    *place = (struct interest){epoll_fd, socket, *event, true};
    return 0;
}

static int change(int epoll_fd, struct engine_socket *socket, int how,
                  const struct epoll_event *event)
{
    struct interest *interest = find_interest(epoll_fd, socket);

    if (!interest)
        return -ENOENT;
    if (how == EPOLL_CTL_DEL)
        *interest = (struct interest){0};
    else
        *interest = (struct interest){epoll_fd, socket, *event, true};
    return 0;
}

int virtual_epoll_ctl(int epoll_fd, int how, int fd, const struct epoll_event *event)
{
    struct engine_socket *socket;
    int error = -EBADF;

    world_lock();
    socket = socket_find(fd);
    if (socket && how == EPOLL_CTL_ADD)
        error = add(epoll_fd, socket, event);
    else if (socket)
        error = change(epoll_fd, socket, how, event);
    world_unlock();
    return error;
}

/* ---- waiting ---- */

static unsigned shown(const struct interest *interest)
{
    unsigned wanted = interest->event.events | EPOLLERR | EPOLLHUP;
    bool edges = interest->event.events & EPOLLET;

    if (interest->epoll_fd == 0 || (edges && !interest->edge) || interest->event.events == 0)
        return 0;
    return socket_poll(interest->socket) & wanted;
}

static bool any_shown(void *epoll_fd)
{
    for (int i = 0; i < INTERESTS; i++) {
        if (interests[i].epoll_fd == *(int *)epoll_fd && shown(&interests[i]))
            return true;
    }
    return false;
}

static void report(struct interest *interest, struct epoll_event *event)
{
    *event = interest->event;
    event->events = shown(interest);
    interest->edge = false;
    if (interest->event.events & EPOLLONESHOT)
        interest->event.events = 0;
}

static utcp_time deadline(int milliseconds)
{
    return milliseconds < 0 ? UTCP_NEVER : world_now() + (utcp_time)milliseconds * UTCP_MSEC;
}

int virtual_epoll_wait(int epoll_fd, struct epoll_event *events, int most, int milliseconds)
{
    int count = 0;

    world_lock();
    world_wait(any_shown, &epoll_fd, deadline(milliseconds));
    for (int i = 0; i < INTERESTS && count < most; i++) {
        if (interests[i].epoll_fd == epoll_fd && shown(&interests[i]))
            report(&interests[i], &events[count++]);
    }
    world_unlock();
    return count;
}

struct polled {
    struct pollfd *fds;
    nfds_t count;
};

static bool any_ready(void *context)
{
    const struct polled *polled = context;
    bool any = false;

    for (nfds_t i = 0; i < polled->count; i++) {
        struct pollfd *fd = &polled->fds[i];
        const struct engine_socket *socket = socket_find(fd->fd);
        unsigned wanted = (unsigned short)fd->events | POLLERR | POLLHUP;

        fd->revents = socket ? (short)(socket_poll(socket) & wanted) : POLLNVAL;
        any = any || fd->revents != 0;
    }
    return any;
}

int virtual_poll(struct pollfd *fds, nfds_t count, int milliseconds)
{
    struct polled polled = {fds, count};
    int ready = 0;

    world_lock();
    world_wait(any_ready, &polled, deadline(milliseconds));
    world_unlock();
    for (nfds_t i = 0; i < count; i++)
        ready += fds[i].revents != 0;
    return ready;
}
