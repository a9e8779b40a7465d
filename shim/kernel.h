/* SPDX-License-Identifier: MIT */
/*
 * Sockets that are replaced under their number: those that turn out to be the kernel's, and those that begin anew
 * when their descriptor already shows an end.
 */
#ifndef UTCP_SHIM_KERNEL_H
#define UTCP_SHIM_KERNEL_H

#include <sys/socket.h>

#include "engine.h"

/*
 * Puts a kernel socket under the number of one of ours, with its flags, options and local address
 * carried over, and registered with the epoll that fd was added to last; from then on fd is the kernel's. Returns 0
 * or a negative errno value, and fd is as it was.
 */
int kernel_take_over(struct engine_socket *socket, int fd);

/* The same for a socket that bind() makes the kernel's: when that address cannot be had, fd is ours
 * still. */
int kernel_bind(struct engine_socket *socket, int fd, const struct sockaddr *name, socklen_t size);

/* Puts a fresh socket of ours there, with flags and options carried over, and resets the connection of the old
 * one. Like kernel_take_over(); -EOPNOTSUPP when another process has the socket. */
int kernel_renew(struct engine_socket *old, int fd);

#endif
