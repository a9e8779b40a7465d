/* SPDX-License-Identifier: MIT */
/*
 * Programs that use io_uring.
 */
#ifndef UTCP_SHIM_URING_H
#define UTCP_SHIM_URING_H

/* A ring is about to be made: bridges every socket there is, and those that will be. errno is kept. */
void uring_begins(void);

/* A function of liburing's, when that was loaded later than we were. */
void *uring_late(const char *name);

#endif
