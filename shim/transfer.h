/* SPDX-License-Identifier: MIT */
/*
 * Moving bytes, below the many calls that do: with MSG_ flags, blocking where the descriptor says
 * so. A count or a negative errno value comes back. socket may be NULL: an inherited one, -EIO.
 */
#ifndef UTCP_SHIM_TRANSFER_H
#define UTCP_SHIM_TRANSFER_H

#include <sys/uio.h>

#include "engine.h"

ssize_t receive(struct engine_socket *socket, int fd, const struct iovec *iov, size_t count,
                int flags);

/* Raises SIGPIPE with -EPIPE unless MSG_NOSIGNAL is among the flags. */
ssize_t transmit(struct engine_socket *socket, int fd, const struct iovec *iov, size_t count,
                 int flags);

/* What preadv2() and pwritev2() may be asked for, with effect or without. */
enum { RWF_KNOWN = RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND };

/* Bytes in all; -EINVAL when there are too many elements or they overflow ssize_t. */
ssize_t iov_bytes(const struct iovec *iov, size_t count);

/*
 * Where to go on in an iov after its first `done` bytes: returns the elements to use next and their
 * number. In the middle of an element that is `part` alone, filled in with what remains of it.
 * done is less than the bytes in all.
 */
const struct iovec *iov_after(const struct iovec *iov, int *count, size_t done, struct iovec *part);

#endif
