/* SPDX-License-Identifier: MIT */
/*
 * Socket addresses as programs pass them, and the engine's.
 */
#ifndef UTCP_SHIM_NAMES_H
#define UTCP_SHIM_NAMES_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "engine.h"

struct sockaddr_in name_of(const struct engine_endpoint *endpoint);

/* Reads a program's AF_INET address. -EFAULT, -EINVAL when it is too short or too long,
 * -EAFNOSUPPORT. */
int name_parse(const struct sockaddr *name, socklen_t size, struct engine_endpoint *endpoint);

/*
 * Writes an address where the program wants it. Like Linux: as much as there is room for, and the
 * full size in *size even so. -EFAULT, -EINVAL for a negative size.
 */
int name_write(const struct engine_endpoint *endpoint, struct sockaddr *name, socklen_t *size);

#endif
