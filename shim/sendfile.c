/* SPDX-License-Identifier: MIT */
/*
 * sendfile() to a socket of ours: a loop that copies. The file is read by position, so that what
 * found no room in the socket has not been taken from the file.
 */
#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "descriptors.h"
#include "libc.h"
#include "process.h"
#include "transfer.h"

enum { COPY_BYTES = 256 * 1024 };

/* One buffer is kept for the next call; calls at the same time map one of their own. */
static _Atomic(char *) spare;

static char *take_buffer(void)
{
    char *buffer = atomic_exchange(&spare, NULL);
    if (buffer != NULL)
        return buffer;
    buffer = mmap(NULL, COPY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return buffer == MAP_FAILED ? NULL : buffer;
}

static void give_buffer(char *buffer)
{
    char *none = NULL;
    if (!atomic_compare_exchange_strong(&spare, &none, buffer))
        munmap(buffer, COPY_BYTES);
}

/* Sends up to size bytes of the file from *position, which moves on by what was sent. A short count
 * means that no more can be sent now, or that the file has ended. */
static ssize_t copy_piece(struct engine_socket *socket, int out, int in, off_t *position,
                          size_t size, char *buffer)
{
    ssize_t got = pread(in, buffer, size < COPY_BYTES ? size : COPY_BYTES, *position);
    if (got <= 0)
        return got < 0 ? -errno : 0;
    struct iovec iov = {.iov_base = buffer, .iov_len = (size_t)got};
    ssize_t sent = transmit(socket, out, &iov, 1, 0);
    if (sent > 0)
        *position += sent;
    return sent;
}

static ssize_t copy_file(struct engine_socket *socket, int out, int in, off_t *position,
                         size_t count)
{
    char *buffer = take_buffer();
    if (buffer == NULL)
        return -ENOMEM;
    size_t done = 0;
    ssize_t sent = 1;
    while (done < count && sent > 0) {
        sent = copy_piece(socket, out, in, position, count - done, buffer);
        done += sent > 0 ? (size_t)sent : 0;
    }
    give_buffer(buffer);
    return done > 0 || sent >= 0 ? (ssize_t)done : sent;
}

static ssize_t send_file(struct engine_socket *socket, int out, int in, off_t *offset, size_t count)
{
    off_t position = offset != NULL ? *offset : lseek(in, 0, SEEK_CUR);
    if (position < 0)
        return libc.fcntl(in, F_GETFD) < 0 ? -EBADF : -EINVAL;
    ssize_t sent = copy_file(socket, out, in, &position, count);
    if (sent > 0 && offset != NULL)
        *offset = position;
    else if (sent > 0)
        lseek(in, position, SEEK_SET);
    return sent;
}

ssize_t sendfile(int out, int in, off_t *offset, size_t count)
{
    struct engine_socket *source HELD = NULL;
    if (descriptors_find(in, &source))
        return result(-EINVAL); /* a socket has no pages to lend, as Linux sees it */
    struct engine_socket *socket HELD = NULL;
    if (!descriptors_find_direct(out, &socket))
        return libc.sendfile(out, in, offset, count);
    int saved = errno;
    ssize_t sent = send_file(socket, out, in, offset, count);
    errno = saved;
    return result(sent);
}

ssize_t sendfile64(int out, int in, off64_t *offset, size_t count)
{
    return sendfile(out, in, offset, count);
}
