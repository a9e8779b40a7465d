/* SPDX-License-Identifier: MIT */
#ifndef UTCP_ENGINE_HOLDERS_H
#define UTCP_ENGINE_HOLDERS_H

#include <stdbool.h>
#include <stddef.h>

/* The process that is attached to a TUN device. */
struct holder {
    int pid; /* 0 = not found: another user's, or in another pid namespace */
    char name[32];
};

/* Looks in the descriptors of every thread of every process that may be looked at. Slow. */
void holder_find(const char *device, struct holder *holder);

#endif
