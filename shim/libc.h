/* SPDX-License-Identifier: MIT */
/*
 * Ours and libc's: declares what the shim exports, and the functions that lie behind it.
 */
#ifndef UTCP_SHIM_LIBC_H
#define UTCP_SHIM_LIBC_H

#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "symbols.h"

struct io_uring;
struct io_uring_params;

/* off_t and its 64-bit twin share one entry here; so do the system calls behind them. */
_Static_assert(sizeof(off_t) == 8, "32-bit platforms need entries of their own for off_t");

/* libc's own functions, for all of the shim to call: the plain names lead back to the shim. */
struct libc {
#define UTCP_FIELD(type, name, parameters, early) type(*name) parameters;
    UTCP_SYMBOLS(UTCP_FIELD)
#undef UTCP_FIELD
};
extern struct libc libc;

#define UTCP_DECLARE(type, name, parameters, early) \
    __attribute__((visibility("default"))) type name parameters;
UTCP_SYMBOLS(UTCP_DECLARE)
#undef UTCP_DECLARE

/* The one argument behind the named ones, as fcntl() and ioctl() take it; rubbish when there is
 * none, which the kernel then does not look at either. */
#define ARGUMENT_AFTER(last)                     \
    ({                                           \
        va_list rest_;                           \
        va_start(rest_, last);                   \
        void *argument_ = va_arg(rest_, void *); \
        va_end(rest_);                           \
        argument_;                               \
    })

/* syscall(), past all that is interposed. */
long kernel_call(long number, ...);

/* Points libc at the functions that come after ours. Those that are not there stay system calls. */
void libc_resolve(void);

/* Logs, for UTCP_LOG=debug, what libc_resolve() found. */
void libc_report(void);

#endif
