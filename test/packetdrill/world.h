/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * One stack and its clock. Time is virtual: it stands still but when packetdrill's main thread reads it,
 * sleeps, or waits for a packet, and then goes from deadline to deadline. After each call of the core,
 * what it wants to send is taken at once, with the time, and kept until packetdrill asks for it.
 *
 * packetdrill makes blocking calls in a second thread. Such a call waits here, with a condition. Whoever
 * makes the condition true wakes it, and from then on nobody else moves the clock, until that thread has
 * read it or waits again: so the call ends at the moment that ended it.
 */
#ifndef PACKETDRILL_WORLD_H
#define PACKETDRILL_WORLD_H

#include <stdbool.h>
#include <stddef.h>

#include "utcp.h"

/* All below wants the lock, but for world_lock(). */
void world_lock(void);
void world_unlock(void);

/* The stack; made at the first call, with the settings as the script's commands have left them. */
struct utcp_stack *world_stack(void);

utcp_time world_now(void);

/* To be called after each call of the core: fetches packets and events, wakes who waits. */
void world_settle(void);

/* Waits until done(context) or the deadline; false = it was the deadline. */
bool world_wait(bool (*done)(void *context), void *context, utcp_time deadline);

/* What a reader of the clock sees: 1 us more each time. */
utcp_time world_read_clock(void);

/* Lets time pass, timer by timer. */
void world_sleep(utcp_time duration);

/* A packet for the stack. */
void world_input(const void *packet, size_t len);

/*
 * The next packet that the stack has sent, at *time; lets time pass until there is one. Returns its
 * length, or 0 when there is none for two minutes. At most `room` bytes are written.
 */
size_t world_output(void *packet, size_t room, utcp_time *time);

/* The device: whether it cuts packets by itself, and whether it lets any out. */
struct world_device {
    bool no_offload;
    bool drops;
    uint32_t mtu_bytes;
    size_t mss_bytes; /* of what it has glued together, 0 = nothing */
};
extern struct world_device world_device;

#endif
