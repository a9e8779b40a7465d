/* SPDX-License-Identifier: MIT */
/*
 * Waiting, as a kernel socket would: in the kernel, on the program's end of the pair.
 */
#ifndef UTCP_SHIM_WAIT_H
#define UTCP_SHIM_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "engine.h"

/* What the end of a wait may say beside a negative errno value. */
enum {
    WAIT_READY = 0, /* try again */
    WAIT_OVER = 1,  /* nothing will come any more: try once again, then give up */
};

/* True when a call with these MSG_ flags may block on fd. Asks the kernel, so that duplicates and
 * inherited descriptors agree. */
bool wait_allowed(int fd, int flags);

/* Waits until fd is readable. Honours SO_RCVTIMEO (-EAGAIN) and signals (-EINTR, or goes on where
 * the handler has SA_RESTART), and is a cancellation point. The caller holds the socket. */
int wait_readable(struct engine_socket *socket, int fd);

/* The same for a listener that is to have something to accept. */
int wait_acceptable(struct engine_socket *socket, int fd);

/* How long a sending call may wait in all, counted from its first wait. Begins as all zero. */
struct wait_limit {
    bool known;
    bool limited;
    bool begun;     /* a part was sent, which a signal makes the whole */
    int64_t end_ns; /* on monotonic_ns()'s clock, when limited */
};

/* Waits until fd is writable. Honours SO_SNDTIMEO and signals, as wait_readable() does. */
int wait_writable(struct engine_socket *socket, int fd, struct wait_limit *limit);

/* Nanoseconds of CLOCK_MONOTONIC. */
int64_t monotonic_ns(void);

#endif
