/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * The few descriptors of ours in the program's table lie at high numbers, so that low ones come out as they would
 * without us, but not so high that the table of every forked child grows by it. A program can close them behind
 * our back, and the number can become another file: before anything is read or written there, its inode is
 * compared.
 */
#include "guarded.h"

#include "sys.h"

enum { HIGHEST_DESCRIPTOR = 1019 };

int guarded_move_up(int fd)
{
    struct rlimit limit = {.rlim_cur = 1024};
    int moved = -EMFILE;
    long number;

    sys_getrlimit(RLIMIT_NOFILE, &limit);
    number = limit.rlim_cur > HIGHEST_DESCRIPTOR ? HIGHEST_DESCRIPTOR : (long)limit.rlim_cur - 1;
    for (; moved < 0 && number > fd; number--)
        moved = sys_fcntl(fd, F_DUPFD_CLOEXEC, number);
    if (moved < 0)
        return fd;
    sys_close(fd);
    return moved;
}

void guarded_keep(struct guarded *guarded, int fd)
{
    struct stat status = {0};

    fd = guarded_move_up(fd);
    sys_fstat(fd, &status);
    guarded->device = status.st_dev;
    guarded->inode = status.st_ino;
    atomic_store(&guarded->fd, fd);
}

int guarded_intact(const struct guarded *guarded)
{
    int fd = atomic_load(&guarded->fd);
    struct stat status;

    if (fd < 0 || sys_fstat(fd, &status) || status.st_ino != guarded->inode ||
        status.st_dev != guarded->device)
        return -1;
    return fd;
}

void guarded_forget(struct guarded *guarded)
{
    int fd = guarded_intact(guarded);

    atomic_store(&guarded->fd, -1);
    if (fd >= 0)
        sys_close(fd);
}

bool guarded_is(const struct guarded *guarded, int fd)
{
    return fd == atomic_load_explicit(&guarded->fd, memory_order_relaxed);
}
