/* SPDX-License-Identifier: MIT */
/*
 * Socket addresses as programs pass them, and the engine's.
 *
 * An AF_INET6 socket that speaks to IPv4 names it by mapped addresses, ::ffff:a.b.c.d. The engine
 * knows these as IPv4, so they are made and taken apart here alone.
 */
#ifndef UTCP_SHIM_NAMES_H
#define UTCP_SHIM_NAMES_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "engine.h"

union name {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

/* The name of an endpoint for a socket of either family. Returns its size in bytes. */
socklen_t name_of(const struct engine_endpoint *endpoint, bool inet6, union name *name);

/* Reads a program's address for a socket of either family. -EFAULT, -EINVAL when it is too short
 * or too long, -EAFNOSUPPORT when it is of the other family. */
int name_parse(const struct sockaddr *name, socklen_t size, bool inet6,
               struct engine_endpoint *endpoint);

/* The same for bind(), for which AF_UNSPEC is as good as AF_INET when the address is 0.0.0.0. */
int name_parse_local(const struct sockaddr *name, socklen_t size, bool inet6,
                     struct engine_endpoint *endpoint);

/*
 * Writes an address where the program wants it. Like Linux: as much as there is room for, and the
 * full size in *size even so. -EFAULT, -EINVAL for a negative size.
 */
int name_write(const struct engine_endpoint *endpoint, bool inet6, struct sockaddr *name,
               socklen_t *size);

/* True for :: alone, not for ::ffff:0.0.0.0, which the engine has as IPv4. */
bool is_unspecified6(const struct engine_endpoint *endpoint);

/* The socket's own end as getsockname() tells it: an AF_INET6 socket that has no address yet, or
 * all of them, has ::, unless it was bound to ::ffff:0.0.0.0. */
struct engine_endpoint local_endpoint(struct engine_socket *socket,
                                      const struct engine_status *status);

#endif
