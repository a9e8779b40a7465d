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
#include "refusals.h"

enum { CHUNK_ENTRIES = 4096, CHUNKS = DESCRIPTORS_MAX / CHUNK_ENTRIES };

typedef _Atomic(struct engine_socket *) entry;

static _Atomic(entry *) chunks[CHUNKS];

/* Each is exposed as soon as it is ours. */
static atomic_bool all_exposed;

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

void descriptors_release(struct engine_socket **socket)
{
    if (*socket != NULL)
        engine_socket_drop(*socket);
}

/* Changes an entry that still holds what the caller saw there; takes over the reference to what it becomes. */
static void change(entry *place, struct engine_socket *seen, struct engine_socket *next)
{
    if (process_is_ours() && atomic_compare_exchange_strong(place, &seen, next))
        engine_socket_drop(seen);
    else if (next != NULL)
        engine_socket_drop(next);
}

/* A forked child makes the parent's socket its own; when it cannot, the number is the kernel's. */
static void adopt(int fd, entry *place, struct engine_socket *seen)
{
    struct engine_socket *adopted = NULL;
    if (engine_adopt(seen, fd, &adopted) == 0)
        refusals_bridged();
    change(place, seen, adopted);
}

static bool expose(struct engine_socket *socket, int fd)
{
    if (engine_expose(socket, fd) < 0)
        return false;
    refusals_bridged();
    return true;
}

static bool find(int fd, bool adopting, struct engine_socket **socket)
{
    entry *place = entry_of(fd);
    struct engine_socket *seen;
    *socket = NULL;
    process_notice_fork();
    while (place != NULL && (seen = atomic_load(place)) != NULL) {
        engine_exec_interrupted();
        if (engine_is_inherited(seen)) {
            if (adopting && process_is_ours()) {
                adopt(fd, place, seen);
                continue;
            }
            if (adopting)
                expose(seen, fd);
            return false;
        }
        if (!engine_socket_hold(seen)) {
            change(place, seen, NULL);
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

bool descriptors_find(int fd, struct engine_socket **socket)
{
    return find(fd, true, socket);
}

bool descriptors_find_adopted(int fd, struct engine_socket **socket)
{
    return find(fd, false, socket);
}

/* What was bridged before a fork needs no word with its engine: a sandboxed child may not speak. */
static bool inherited_bridged(int fd)
{
    entry *place = entry_of(fd);
    struct engine_socket *seen = place != NULL ? atomic_load(place) : NULL;
    return seen != NULL && engine_is_inherited(seen) && engine_is_bridged(seen);
}

bool descriptors_find_direct(int fd, struct engine_socket **socket)
{
    *socket = NULL;
    process_notice_fork();
    if (inherited_bridged(fd) || !find(fd, true, socket))
        return false;
    if (!engine_is_bridged(*socket))
        return true;
    engine_socket_drop(*socket);
    *socket = NULL;
    return false;
}

bool descriptors_recognise(int fd, struct engine_socket **socket)
{
    struct engine_socket *adopted;
    if (find(fd, true, socket))
        return true;
    if (!process_is_ours() || engine_adopt(NULL, fd, &adopted) < 0 ||
        descriptors_install(fd, adopted) < 0)
        return false;
    refusals_bridged();
    return find(fd, true, socket);
}

bool descriptors_expose(int fd)
{
    process_notice_fork();
    entry *place = entry_of(fd);
    struct engine_socket *seen = place != NULL ? atomic_load(place) : NULL;
    return seen != NULL && expose(seen, fd);
}

bool descriptors_listed(int fd)
{
    entry *place = entry_of(fd);
    return place != NULL && atomic_load(place) != NULL;
}

static void put(int fd, struct engine_socket *socket)
{
    struct engine_socket *before = atomic_exchange(entry_of(fd), socket);
    if (before != NULL)
        engine_socket_drop(before);
}

int descriptors_install(int fd, struct engine_socket *socket)
{
    int error = map_chunk(fd);
    if (error < 0 || !process_is_ours()) {
        engine_socket_drop(socket);
        return error;
    }
    put(fd, socket);
    if (atomic_load(&all_exposed))
        descriptors_expose(fd);
    return 0;
}

int descriptors_copy(int from, int to)
{
    struct engine_socket *socket = NULL;
    if (!descriptors_find(from, &socket)) {
        descriptors_clear(to);
        return 0;
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
        put(fd, NULL);
}

/* Calls visit with every entry between two numbers that is not empty; true when it said so of any. */
static bool visit_range(unsigned first, unsigned last, bool (*visit)(int fd))
{
    bool any = false;
    if (last >= DESCRIPTORS_MAX)
        last = DESCRIPTORS_MAX - 1;
    for (unsigned fd = first; fd <= last; fd++) {
        if (entry_of((int)fd) == NULL)
            fd |= CHUNK_ENTRIES - 1;
        else if (descriptors_listed((int)fd) && visit((int)fd))
            any = true;
    }
    return any;
}

static bool clear(int fd)
{
    descriptors_clear(fd);
    return true;
}

void descriptors_clear_range(unsigned first, unsigned last)
{
    visit_range(first, last, clear);
}

static bool expose_inheritable(int fd)
{
    int flags = libc.fcntl(fd, F_GETFD);
    return flags >= 0 && !(flags & FD_CLOEXEC) && descriptors_expose(fd);
}

bool descriptors_expose_inheritable(void)
{
    int saved = errno;
    process_notice_fork();
    bool any = visit_range(0, DESCRIPTORS_MAX - 1, expose_inheritable);
    errno = saved;
    return any;
}

void descriptors_expose_all(void)
{
    process_notice_fork();
    atomic_store(&all_exposed, true);
    visit_range(0, DESCRIPTORS_MAX - 1, descriptors_expose);
}
