/* SPDX-License-Identifier: MIT */
/*
 * Closing and duplicating descriptors. The table follows what the program does to its numbers, and
 * the engine's own are shown as not open.
 */
#include <errno.h>
#include <sys/resource.h>
#include <time.h>

#include "descriptors.h"
#include "libc.h"
#include "options.h"
#include "process.h"
#include "status.h"
#include "wait.h"

/*
 * SO_LINGER with a time: a close waits until the peer has all that was written. Linux waits for the answer
 * to the FIN, too; but that goes with the last copy of the descriptor, which another process may have. As
 * there, O_NONBLOCK changes nothing, a signal ends it, and nobody waits who leaves something unread, for
 * that is a reset, or when the connection has ended: what is not acknowledged then never will be.
 */
static void linger(struct engine_socket *socket)
{
    struct timespec pause = {.tv_nsec = 1000000};
    int64_t end_ns = monotonic_ns() + options_linger(socket) * INT64_C(1000000000);
    int saved = errno;
    while (monotonic_ns() < end_ns) {
        struct engine_status status = status_of(socket);
        bool wanted = !is_over(&status) && status.readable == 0 && status.unacked_bytes > 0;
        if (!wanted || nanosleep(&pause, NULL) < 0)
            break;
        if (pause.tv_nsec < 50000000)
            pause.tv_nsec *= 2;
    }
    errno = saved;
}

/* The entry goes first: once the kernel has closed the number, another thread may get it. */
int close(int fd)
{
    if (engine_owns_descriptor(fd))
        return (int)result(-EBADF);
    engine_leads_no_more();
    struct engine_socket *socket HELD = NULL;
    if (descriptors_find_adopted(fd, &socket))
        linger(socket);
    descriptors_clear(fd);
    int done = libc.close(fd);
    if (socket != NULL && process_is_ours())
        engine_closed(socket);
    return done;
}

int __close(int fd)
{
    return close(fd);
}

/* No descriptor of the engine has this number or a higher one: it was made below the limit, and
 * programs that lower theirs leave room for the usual ones. */
static unsigned engines_end(void)
{
    enum { USUAL = 1024 };
    struct rlimit limit = {.rlim_cur = DESCRIPTORS_MAX};
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < USUAL)
        return USUAL;
    return limit.rlim_cur < DESCRIPTORS_MAX ? (unsigned)limit.rlim_cur : DESCRIPTORS_MAX;
}

/* Closes a range in pieces, around the engine's descriptors. */
static int close_around(unsigned first, unsigned last, int flags)
{
    unsigned end = engines_end();
    for (unsigned fd = first; fd < end && fd <= last; fd++) {
        if (!engine_owns_descriptor((int)fd))
            continue;
        if (fd > first && libc.close_range(first, fd - 1, flags) < 0)
            return -1;
        first = fd + 1;
    }
    return first <= last ? libc.close_range(first, last, flags) : 0;
}

int close_range(unsigned first, unsigned last, int flags)
{
    if (first > last || flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC))
        return libc.close_range(first, last, flags); /* an error */
    if (!(flags & CLOSE_RANGE_CLOEXEC))
        descriptors_clear_range(first, last);
    return close_around(first, last, flags);
}

/* With a hole in the range this cannot be libc's closefrom(), nor may it fail. */
void closefrom(int first)
{
    int saved = errno;
    close_range(first > 0 ? (unsigned)first : 0, ~0U, 0);
    errno = saved;
}

/* Enters a duplicate that the kernel made; it is closed when that fails. A child of vfork() has no table of its
 * own to enter it in, and is about to execute another program. Behind 0, 1 and 2 there are streams of libc's, with
 * which the program may go on: a shell's printf, say. */
static int follow(int from, int to)
{
    if (to < 0 || (!descriptors_listed(from) && !descriptors_listed(to)))
        return to;
    if (!process_is_ours()) {
        descriptors_expose(from);
        return to;
    }
    int error = descriptors_copy(from, to);
    if (error == 0) {
        if (to <= STDERR_FILENO)
            descriptors_expose(to);
        return to;
    }
    libc.close(to);
    return (int)result(error);
}

int dup(int fd)
{
    if (engine_owns_descriptor(fd))
        return (int)result(-EBADF);
    return follow(fd, libc.dup(fd));
}

int dup2(int fd, int target)
{
    if (engine_owns_descriptor(fd) || engine_owns_descriptor(target))
        return (int)result(-EBADF);
    return fd == target ? libc.dup2(fd, target) : follow(fd, libc.dup2(fd, target));
}

int __dup2(int fd, int target)
{
    return dup2(fd, target);
}

int dup3(int fd, int target, int flags)
{
    if (engine_owns_descriptor(fd) || engine_owns_descriptor(target))
        return (int)result(-EBADF);
    return follow(fd, libc.dup3(fd, target, flags));
}

static int control(int fd, int command, void *argument)
{
    if (engine_owns_descriptor(fd))
        return (int)result(-EBADF);
    int value = libc.fcntl(fd, command, argument);
    return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? follow(fd, value) : value;
}

int fcntl(int fd, int command, ...)
{
    return control(fd, command, ARGUMENT_AFTER(command));
}

int fcntl64(int fd, int command, ...)
{
    return control(fd, command, ARGUMENT_AFTER(command));
}

int __fcntl(int fd, int command, ...)
{
    return control(fd, command, ARGUMENT_AFTER(command));
}
