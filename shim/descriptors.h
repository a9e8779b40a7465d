/* SPDX-License-Identifier: MIT */
/*
 * Which of the program's descriptors are sockets of ours.
 *
 * A table from number to socket, read without a lock by every interposed call. Each entry owns one
 * reference to its socket. A call that uses a socket holds a reference of its own until it is done,
 * so that a close by another thread cannot pull it away.
 *
 * The table belongs to the process that made the entries. In a child that shares our memory (vfork,
 * clone) nothing here changes it; in a forked one the entries say "inherited", for the child has no
 * engine to serve them with.
 */
#ifndef UTCP_SHIM_DESCRIPTORS_H
#define UTCP_SHIM_DESCRIPTORS_H

#include <stdbool.h>

#include "engine.h"

/* Descriptors from here on are never ours. The kernel's own limit (fs.nr_open) is this by default,
 * and its table of descriptors grows with the highest one in use. */
enum { DESCRIPTORS_MAX = 1 << 20 };

/* A local variable that gives its reference back when it goes out of scope. */
#define HELD __attribute__((cleanup(descriptors_release)))
void descriptors_release(struct engine_socket **socket);

/*
 * True when fd is ours: *socket is then held for the caller, or NULL for an inherited one, which
 * descriptors_inherited() has the error for. False when it is the kernel's; *socket is NULL.
 */
bool descriptors_find(int fd, struct engine_socket **socket);

/* True when fd has an entry, stale or not. Cheaper than descriptors_find(). */
bool descriptors_listed(int fd);

/* Tells the user, once, that a socket was inherited from another process; returns -EIO. */
int descriptors_inherited(int fd);

/* Makes fd this socket's, whatever it was before. Takes over the caller's reference, also when it
 * fails: -EMFILE, -ENOMEM. */
int descriptors_install(int fd, struct engine_socket *socket);

/* Makes `to` what `from` is, after the kernel made it a duplicate. Fails like
 * descriptors_install(). */
int descriptors_copy(int from, int to);

/* Makes fd, or a range of them, the kernel's. */
void descriptors_clear(int fd);
void descriptors_clear_range(unsigned first, unsigned last);

/* In a child after fork: marks every entry as inherited. */
void descriptors_inherit(void);

#endif
