/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * Our sockets show their readiness in the kernel, so epoll needs no help: epoll_ctl() is interposed for one thing only. A
 * socket is replaced under its number when it turns out to be the kernel's, or begins anew (kernel.c), and an
 * epoll forgets a file that is closed. Programs add a socket before they connect it, nginx for one. So it is noted
 * which epoll a number of ours was added to last, and asked for what; that epoll itself tells whether it still holds.
 *
 * The notes are mapped when the first is made; a page of them is for 256 numbers.
 */
#include "epoll.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

#include "descriptors.h"
#include "libc.h"
#include "process.h"

/* epoll: one more than its number, so that what was never written says "none". */
struct note {
    atomic_int epoll;
    _Atomic uint32_t events;
    _Atomic uint64_t data;
};

static _Atomic(struct note *) notes;

static struct note *map_notes(void)
{
    enum { BYTES = DESCRIPTORS_MAX * sizeof(struct note) };
    int saved = errno;
    struct note *fresh = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    errno = saved;
    if (fresh == MAP_FAILED)
        return NULL;
    struct note *none = NULL;
    if (atomic_compare_exchange_strong(&notes, &none, fresh))
        return fresh;
    munmap(fresh, BYTES);
    return none;
}

/* Without memory it goes as it would without this file. */
static void take_note(int epoll, int fd, const struct epoll_event *event)
{
    struct note *all = atomic_load(&notes);
    if (all == NULL)
        all = map_notes();
    if (all == NULL)
        return;
    all[fd].events = event->events;
    all[fd].data = event->data.u64;
    all[fd].epoll = epoll + 1;
}

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    if (engine_owns_descriptor(fd))
        return (int)result(-EBADF);
    int done = libc.epoll_ctl(epoll, operation, fd, event);
    if (done == 0 && operation != EPOLL_CTL_DEL && descriptors_listed(fd))
        take_note(epoll, fd, event);
    return done;
}

struct registration epoll_registration(int fd)
{
    struct registration registration = {.epoll = -1};
    const struct note *all = atomic_load(&notes);
    if (all == NULL || all[fd].epoll == 0)
        return registration;
    registration.event.events = all[fd].events;
    registration.event.data.u64 = all[fd].data;
    /* It may have been removed, and the number of the epoll be another file's by now. */
    int saved = errno;
    if (libc.epoll_ctl(all[fd].epoll - 1, EPOLL_CTL_MOD, fd, &registration.event) == 0)
        registration.epoll = all[fd].epoll - 1;
    errno = saved;
    return registration;
}

void epoll_register(int fd, const struct registration *registration)
{
    struct epoll_event event = registration->event;
    int saved = errno;
    if (registration->epoll >= 0)
        libc.epoll_ctl(registration->epoll, EPOLL_CTL_ADD, fd, &event);
    errno = saved;
}
