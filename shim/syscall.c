/* SPDX-License-Identifier: MIT */
/*
 * Ways around libc: system calls by their numbers, as libuv closes its sockets, and libraries that ask the dynamic
 * linker to find their own symbols before ours.
 */
#include <errno.h>
#include <linux/close_range.h>
#include <sys/syscall.h>

#include "descriptors.h"
#include "engine.h"
#include "libc.h"
#include "process.h"
#include "uring.h"

enum { ARGUMENTS = 6 };

/* There may be fewer than six; the rest is rubbish that the kernel does not look at. */
static void take_arguments(long arguments[ARGUMENTS], va_list rest)
{
    for (int i = 0; i < ARGUMENTS; i++)
        arguments[i] = va_arg(rest, long);
}

long kernel_call(long number, ...)
{
    long arguments[ARGUMENTS];
    va_list rest;
    va_start(rest, number);
    take_arguments(arguments, rest);
    va_end(rest);
    return result(engine_system_call(number, arguments));
}

/* The calls of which the table has to know, or that find no bytes where ours are. */
static long socket_call(long number, const long a[ARGUMENTS])
{
    switch (number) {
    case SYS_socket:
        return socket((int)a[0], (int)a[1], (int)a[2]);
    case SYS_connect:
        return connect((int)a[0], (const struct sockaddr *)a[1], (socklen_t)a[2]);
    case SYS_bind:
        return bind((int)a[0], (const struct sockaddr *)a[1], (socklen_t)a[2]);
    case SYS_listen:
        return listen((int)a[0], (int)a[1]);
    case SYS_accept4:
        return accept4((int)a[0], (struct sockaddr *)a[1], (socklen_t *)a[2], (int)a[3]);
    case SYS_accept:
        return accept((int)a[0], (struct sockaddr *)a[1], (socklen_t *)a[2]);
    case SYS_shutdown:
        return shutdown((int)a[0], (int)a[1]);
    case SYS_getsockname:
        return getsockname((int)a[0], (struct sockaddr *)a[1], (socklen_t *)a[2]);
    case SYS_getpeername:
        return getpeername((int)a[0], (struct sockaddr *)a[1], (socklen_t *)a[2]);
    case SYS_getsockopt:
        return getsockopt((int)a[0], (int)a[1], (int)a[2], (void *)a[3], (socklen_t *)a[4]);
    case SYS_setsockopt:
        return setsockopt((int)a[0], (int)a[1], (int)a[2], (const void *)a[3], (socklen_t)a[4]);
    case SYS_io_uring_setup:
        uring_begins();
        return result(engine_system_call(number, a));
    default:
        return result(engine_system_call(number, a));
    }
}

static long transfer_call(long number, const long a[ARGUMENTS])
{
    switch (number) {
    case SYS_read:
        return read((int)a[0], (void *)a[1], (size_t)a[2]);
    case SYS_readv:
        return readv((int)a[0], (const struct iovec *)a[1], (int)a[2]);
    case SYS_recvfrom:
        return recvfrom((int)a[0], (void *)a[1], (size_t)a[2], (int)a[3], (struct sockaddr *)a[4],
                        (socklen_t *)a[5]);
    case SYS_recvmsg:
        return recvmsg((int)a[0], (struct msghdr *)a[1], (int)a[2]);
    case SYS_recvmmsg:
        return recvmmsg((int)a[0], (struct mmsghdr *)a[1], (unsigned)a[2], (int)a[3],
                        (struct timespec *)a[4]);
    case SYS_write:
        return write((int)a[0], (const void *)a[1], (size_t)a[2]);
    case SYS_writev:
        return writev((int)a[0], (const struct iovec *)a[1], (int)a[2]);
    case SYS_sendto:
        return sendto((int)a[0], (const void *)a[1], (size_t)a[2], (int)a[3],
                      (const struct sockaddr *)a[4], (socklen_t)a[5]);
    case SYS_sendmsg:
        return sendmsg((int)a[0], (const struct msghdr *)a[1], (int)a[2]);
    case SYS_sendmmsg:
        return sendmmsg((int)a[0], (struct mmsghdr *)a[1], (unsigned)a[2], (int)a[3]);
    case SYS_sendfile:
        return sendfile((int)a[0], (int)a[1], (off_t *)a[2], (size_t)a[3]);
    case SYS_splice:
        return splice((int)a[0], (off64_t *)a[1], (int)a[2], (off64_t *)a[3], (size_t)a[4],
                      (unsigned)a[5]);
    default:
        return socket_call(number, a);
    }
}

static long descriptor_call(long number, const long a[ARGUMENTS])
{
    switch (number) {
    case SYS_close:
        return close((int)a[0]);
    case SYS_close_range:
        return close_range((unsigned)a[0], (unsigned)a[1], (int)a[2]);
    case SYS_dup:
        return dup((int)a[0]);
#ifdef SYS_dup2
    case SYS_dup2:
        return dup2((int)a[0], (int)a[1]);
#endif
    case SYS_dup3:
        return dup3((int)a[0], (int)a[1], (int)a[2]);
    case SYS_fcntl:
        return fcntl((int)a[0], (int)a[1], a[2]);
    case SYS_ioctl:
        return ioctl((int)a[0], (unsigned long)a[1], a[2]);
    case SYS_execve:
        return execve((const char *)a[0], (char *const *)a[1], (char *const *)a[2]);
    case SYS_exit_group:
        _exit((int)a[0]);
    default:
        return transfer_call(number, a);
    }
}

long syscall(long number, ...)
{
    long arguments[ARGUMENTS];
    va_list rest;
    va_start(rest, number);
    take_arguments(arguments, rest);
    va_end(rest);
    return descriptor_call(number, arguments);
}

/* RTLD_DEEPBIND would hide us from the library. Both leave by a jump, so that the linker sees who called: that decides
 * where it looks. */
__attribute__((optimize("optimize-sibling-calls"))) void *dlopen(const char *file, int mode)
{
    return libc.dlopen(file, mode & ~RTLD_DEEPBIND);
}

__attribute__((optimize("optimize-sibling-calls"))) void *dlmopen(Lmid_t list, const char *file,
                                                                  int mode)
{
    return libc.dlmopen(list, file, mode & ~RTLD_DEEPBIND);
}
