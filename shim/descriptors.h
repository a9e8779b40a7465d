/* SPDX-License-Identifier: MIT */
/*
 * Which of the program's descriptors are sockets of ours.
 *
 * A table from number to socket, read without a lock by every interposed call. Each entry owns one
 * reference to its socket. A call that uses a socket holds a reference of its own until it is done,
 * so that a close by another thread cannot pull it away.
 *
 * A forked child has the parent's entries, but not its engine. What it uses, it adopts: the socket is bridged by
 * the engine that has it, and the child's entry then stands for it. A program that was executed finds sockets
 * among its descriptors that no table lists, and recognises them by what the kernel says of them.
 *
 * In a child that shares our memory (vfork, clone) nothing here changes the table.
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
 * True when fd is ours: *socket is then held for the caller. False when it is the kernel's; *socket is NULL.
 */
bool descriptors_find(int fd, struct engine_socket **socket);

/* The same, but does not adopt what a forked child has not used yet: false for that. */
bool descriptors_find_adopted(int fd, struct engine_socket **socket);

/* The same, for those whose bytes do not go through the kernel: false for a bridged one, too. */
bool descriptors_find_direct(int fd, struct engine_socket **socket);

/* The same as descriptors_find(), and adopts what another process has left to this one. Asks the kernel about
 * each descriptor that is not listed: not for the fast path. */
bool descriptors_recognise(int fd, struct engine_socket **socket);

/* True when fd has an entry, stale or not. Cheaper than descriptors_find(). */
bool descriptors_listed(int fd);

/* Bridges fd, if it is ours (then true), since somebody will use it who does not know of us. Also in a child of
 * vfork(). */
bool descriptors_expose(int fd);

/* The same for all that another program would inherit; true when there was one. */
bool descriptors_expose_inheritable(void);

/* The same for all that there are, and from now on for each as soon as it is installed. */
void descriptors_expose_all(void);

/* Makes fd this socket's, whatever it was before. Takes over the caller's reference, also when it
 * fails: -EMFILE, -ENOMEM. */
int descriptors_install(int fd, struct engine_socket *socket);

/* Makes `to` what `from` is, after the kernel made it a duplicate. Fails like
 * descriptors_install(). */
int descriptors_copy(int from, int to);

/* Makes fd, or a range of them, the kernel's. */
void descriptors_clear(int fd);
void descriptors_clear_range(unsigned first, unsigned last);

#endif
