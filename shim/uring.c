/* SPDX-License-Identifier: MIT */
/*
 * io_uring, whose operations the kernel carries out without a call that could be interposed. They find every byte in the
 * pair of a bridged socket: so all sockets are bridged when the first ring is made, and those that come later
 * from the start. Accepting and connecting by a ring is not possible, for the kernel knows no TCP of ours.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>

#include "descriptors.h"
#include "libc.h"
#include "refusals.h"
#include "uring.h"

void uring_begins(void)
{
    int saved = errno;
    refusals_left("io_uring",
                  "sockets of ours are bridged for it; it cannot accept or connect them");
    descriptors_expose_all();
    errno = saved;
}

static int no_ring(void)
{
    return -ENOSYS;
}

void *uring_late(const char *name)
{
    static const char *const libraries[] = {"liburing.so.2", "liburing.so.1"};
    void *function = NULL;
    for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]) && function == NULL; i++) {
        void *library = dlopen(libraries[i], RTLD_NOW | RTLD_NOLOAD);
        if (library != NULL)
            function = dlsym(library, name);
    }
    return function != NULL ? function : (void *)(uintptr_t)no_ring;
}

int io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags)
{
    uring_begins();
    return libc.io_uring_queue_init(entries, ring, flags);
}

int io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
                               struct io_uring_params *params)
{
    uring_begins();
    return libc.io_uring_queue_init_params(entries, ring, params);
}

int io_uring_queue_init_mem(unsigned entries, struct io_uring *ring, struct io_uring_params *params,
                            void *memory, size_t size)
{
    uring_begins();
    return libc.io_uring_queue_init_mem(entries, ring, params, memory, size);
}

int io_uring_setup(unsigned entries, struct io_uring_params *params)
{
    uring_begins();
    return libc.io_uring_setup(entries, params);
}
