/* SPDX-License-Identifier: MIT */
/*
 * A TUN device, as the programs that are no utcp use it to be compared with.
 */
#ifndef BENCH_TUN_H
#define BENCH_TUN_H

#include <stdbool.h>

/* Room for the largest frame: virtio's header and 64 KB of packet. */
enum { TUN_FRAME_BYTES = 65536 + 16 };

/* Attaches to a device of this network namespace: a descriptor. With offload each frame has virtio's
 * header in front, may hold 64 KB, and lacks its checksum; without it is a bare packet of at most the
 * MTU. Ends the program when that fails. */
int tun_attach(const char *device, bool offload);

#endif
