/* SPDX-License-Identifier: MIT */
#ifndef UTCP_ENGINE_GUARDED_H
#define UTCP_ENGINE_GUARDED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* A descriptor of ours in the program's table; which file it must be is written before it is there. */
struct guarded {
    atomic_int fd; /* -1 = none */
    uint64_t device, inode;
};

/* Moves a descriptor to the highest number that is free, and returns that. */
int guarded_move_up(int fd);

/* Keeps a descriptor, at a high number. */
void guarded_keep(struct guarded *guarded, int fd);

/* The descriptor, -1 when there is none or its number is another file's by now. Asks the kernel. */
int guarded_intact(const struct guarded *guarded);

/* Closes it, if it is still ours. */
void guarded_forget(struct guarded *guarded);

/* True when fd is its number. Cheap. */
bool guarded_is(const struct guarded *guarded, int fd);

#endif
