/* SPDX-License-Identifier: MIT */
/*
 * Socket options, as far as more than getsockopt() and setsockopt() ask about them.
 */
#ifndef UTCP_SHIM_OPTIONS_H
#define UTCP_SHIM_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "engine.h"

/* Sets on another socket, by libc's setsockopt() or by ours, what the program has set on fd. */
typedef int options_setter(int fd, int level, int name, const void *value, socklen_t size);
void options_carry(struct engine_socket *socket, int fd, int other_fd, options_setter *set);

/*
 * Gives an accepted socket what it inherits of its listener's options, as in Linux, and does not
 * find in the words that the engine copies.
 */
void options_inherit(struct engine_socket *accepted, int listener_fd, int fd);

/* Makes a new socket AF_INET6, with the system's default of IPV6_V6ONLY. */
void options_begin_inet6(struct engine_socket *socket);

/* IPV6_V6ONLY. */
bool options_v6only(struct engine_socket *socket);

/* Whether bind() was given a mapped address: remembered, for the engine has ::ffff:0.0.0.0 and ::
 * both as 0.0.0.0. */
void options_set_bound_mapped(struct engine_socket *socket);
bool options_bound_mapped(struct engine_socket *socket);

/* SO_RCVLOWAT: how many bytes a blocking receive waits for. */
size_t options_low_water(struct engine_socket *socket);

/* SO_LINGER: how many seconds a close waits for what was written, 0 = not at all. */
int options_linger(struct engine_socket *socket);

/* Hands a value to a getsockopt() caller, cut to *size, which becomes what was written. -EINVAL for
 * a negative size. */
int option_write(void *value, socklen_t *size, const void *from, size_t from_size);

/* TCP_INFO. */
int tcp_info_get(struct engine_socket *socket, void *value, socklen_t *size);

/* A connect() has begun whose success no connect() has told yet: Linux says it once. */
void options_set_connecting(struct engine_socket *socket, bool connecting);
bool options_connecting(struct engine_socket *socket);

#endif
