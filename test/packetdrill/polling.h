/* SPDX-License-Identifier: MIT */
/* poll() and epoll on the sockets in virtual time. Each returns a count, 0 or a negative errno. */
#ifndef PACKETDRILL_POLLING_H
#define PACKETDRILL_POLLING_H

#include <poll.h>
#include <sys/epoll.h>

int virtual_epoll_ctl(int epoll_fd, int how, int fd, const struct epoll_event *event);
int virtual_epoll_wait(int epoll_fd, struct epoll_event *events, int most, int milliseconds);
int virtual_poll(struct pollfd *fds, nfds_t count, int milliseconds);

#endif
