/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * The table has two levels of atomic pointers: chunks are mapped when first needed and stay for
 * ever, so a reader needs no lock to follow them. A reader loads the entry, takes a reference to
 * the socket, and loads the entry again: if it is the same still, the reference was taken while the
 * entry's own kept the socket alive (or the socket came back to the same number, which is as good).
 *
 * An entry can be stale: a descriptor that was closed where the shim could not see it, its number
 * perhaps a file's by now. The engine sees the last copy of each descriptor close, and no reference
 * can be had from then on. Whoever notices clears the entry and leaves the call to the kernel.
 */
#include "descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

#include "libc.h"
#include "process.h"

enum { CHUNK_ENTRIES = 4096, CHUNKS = DESCRIPTORS_MAX / CHUNK_ENTRIES };

typedef _Atomic(struct engine_socket *) entry;

static _Atomic(entry *) chunks[CHUNKS];

/* What the entries of a forked child point at. */
static char inherited_mark;
#define INHERITED ((struct engine_socket *)(void *)&inherited_mark)

static entry *entry_of(int fd)
{
    if (fd < 0 || fd >= DESCRIPTORS_MAX)
        return NULL;
    entry *chunk = atomic_load_explicit(&chunks[fd / CHUNK_ENTRIES], memory_order_acquire);
    return chunk == NULL ? NULL : &chunk[fd % CHUNK_ENTRIES];
}

/* Maps the chunk of fd unless it is there. Two threads may try at once: the first to finish wins.
 */
static int map_chunk(int fd)
{
    if (fd < 0 || fd >= DESCRIPTORS_MAX)
        return -EMFILE;
    if (entry_of(fd) != NULL)
        return 0;
    size_t size = CHUNK_ENTRIES * sizeof(entry);
    int saved = errno;
    entry *chunk = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    errno = saved;
    if (chunk == MAP_FAILED)
        return -ENOMEM;
    entry *none = NULL;
    if (!atomic_compare_exchange_strong(&chunks[fd / CHUNK_ENTRIES], &none, chunk))
        munmap(chunk, size);
    return 0;
}

static void drop(struct engine_socket *socket)
{
    if (socket != NULL && socket != INHERITED)
        engine_socket_drop(socket);
}

void descriptors_release(struct engine_socket **socket)
{
    drop(*socket);
}

/* Clears an entry that still holds what the caller saw there. */
static void forget(entry *place, struct engine_socket *seen)
{
    if (process_is_ours() && atomic_compare_exchange_strong(place, &seen, NULL))
        drop(seen);
}

/* An inherited number may have become something else behind our back: ours are AF_UNIX. */
static bool still_inherited(int fd)
{
    int domain = 0;
    socklen_t size = sizeof(domain);
    int saved = errno;
    bool is_socket = libc.getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0;
    errno = saved;
    return is_socket && domain == AF_UNIX;
}

bool descriptors_find(int fd, struct engine_socket **socket)
{
    entry *place = entry_of(fd);
    struct engine_socket *seen;
    *socket = NULL;
    while (place != NULL && (seen = atomic_load(place)) != NULL) {
        if (seen == INHERITED && still_inherited(fd))
            return true;
        if (seen == INHERITED || !engine_socket_hold(seen)) {
            forget(place, seen);
            return false;
        }
        if (atomic_load(place) == seen) {
            *socket = seen;
            return true;
        }
        engine_socket_drop(seen);
    }
    return false;
}

bool descriptors_listed(int fd)
{
    entry *place = entry_of(fd);
    return place != NULL && atomic_load(place) != NULL;
}

int descriptors_inherited(int fd)
{
    static atomic_flag told = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&told))
        engine_log(ENGINE_ERROR,
                   "descriptor %d was made by another process, which has its TCP: it can be closed "
                   "here, but not used",
                   fd);
    return -EIO;
}

/* Another program that is executed here would read readiness bytes from it, and take them for data. */
static void hide_from_exec(int fd)
{
    libc.fcntl(fd, F_SETFD, FD_CLOEXEC);
}

int descriptors_install(int fd, struct engine_socket *socket)
{
    int error = map_chunk(fd);
    if (error < 0 || !process_is_ours()) {
        drop(socket);
        return error;
    }
    drop(atomic_exchange(entry_of(fd), socket));
    return 0;
}

int descriptors_copy(int from, int to)
{
    struct engine_socket *socket = NULL;
    if (!descriptors_find(from, &socket)) {
        descriptors_clear(to);
        return 0;
    }
    if (socket == NULL) {
        descriptors_inherited(from);
        hide_from_exec(to);
        return descriptors_install(to, INHERITED);
    }
    if (engine_socket_is(socket, to))
        return descriptors_install(to, socket);
    engine_socket_drop(socket);
    descriptors_clear(from);
    descriptors_clear(to);
    return 0;
}

void descriptors_clear(int fd)
{
    if (descriptors_listed(fd) && process_is_ours())
        drop(atomic_exchange(entry_of(fd), NULL));
}

/* Calls visit with every entry between two numbers that is not empty. */
static void visit_range(unsigned first, unsigned last, void (*visit)(int fd))
{
    if (last >= DESCRIPTORS_MAX)
        last = DESCRIPTORS_MAX - 1;
    for (unsigned fd = first; fd <= last; fd++) {
        if (entry_of((int)fd) == NULL)
            fd |= CHUNK_ENTRIES - 1;
        else if (descriptors_listed((int)fd))
            visit((int)fd);
    }
}

void descriptors_clear_range(unsigned first, unsigned last)
{
    visit_range(first, last, descriptors_clear);
}

/* The reference is not given back: the sockets are the parent's, this copy of them is dead. */
static void inherit(int fd)
{
    atomic_store(entry_of(fd), INHERITED);
    hide_from_exec(fd);
}

void descriptors_inherit(void)
{
    visit_range(0, DESCRIPTORS_MAX - 1, inherit);
}
