/* SPDX-License-Identifier: MIT */
/*
 * A capture file in the pcapng format: one interface of raw IP packets, with nanoseconds and the
 * direction of each packet. Written in blocks of many packets; pcapng_flush() writes what waits.
 */
#ifndef UTCP_ENGINE_PCAPNG_H
#define UTCP_ENGINE_PCAPNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum pcapng_direction { PCAPNG_IN = 1, PCAPNG_OUT = 2 }; /* as in epb_flags */

struct pcapng {
    int fd; /* -1 = no capture */
    uint8_t *buffer;
    size_t used;
    int64_t clock_offset; /* from the monotonic clock to the time of day, ns */
};

/* Makes the file, or empties it, and writes the head. Negative errno. */
int pcapng_open(struct pcapng *file, const char *path, const char *interface);

/*
 * Adds a packet that lies in several pieces, seen at the monotonic time given. With fill_checksum
 * the TCP checksum, of which the packet holds the pseudo-header's sum only, is completed in the
 * file's copy.
 */
void pcapng_packet(struct pcapng *file, enum pcapng_direction direction, const struct iovec *iov,
                   int iov_count, bool fill_checksum, uint64_t now);

void pcapng_flush(struct pcapng *file);

#endif
