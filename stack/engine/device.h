/* SPDX-License-Identifier: MIT */
#ifndef UTCP_ENGINE_DEVICE_H
#define UTCP_ENGINE_DEVICE_H

#include "config.h"
#include "utcp.h"

#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* A TUN device that is ours alone. */
struct device {
    int fd; /* -1 = not open; non-blocking */
    char name[IF_NAMESIZE];
    bool offload;  /* packets carry a virtio_net_hdr: checksums and cutting are the device's */
    uint32_t addr; /* the stack's own, host byte order */
    uint32_t mtu_bytes;
};

enum { DEVICE_PACKET_MAX = 65535 };

/* What device_read() reads into. */
struct device_input {
    struct virtio_net_hdr header;
    uint8_t packet[DEVICE_PACKET_MAX];
};

/* A packet to write: the virtio_net_hdr and the pieces of the packet behind it. */
struct device_frame {
    struct virtio_net_hdr header;
    struct iovec iov[4]; /* iov[0] is the header */
    int iov_count;
};

/*
 * Finds, or makes and configures, the device that config asks for, and attaches to it. 0 or a
 * negative errno; then `why` says what, why, and ends with the command that helps.
 */
int device_open(struct device *device, const struct config *config, char *why, size_t why_size);

/* The interface's MTU in bytes as it is now, 0 = it does not say. */
uint32_t device_ask_mtu(const struct device *device);

/* Through fd, the device's or a duplicate of it. Length of the packet read, or a negative errno (-EAGAIN: none
 * waits). */
long device_read(const struct device *device, int fd, struct device_input *input);

/* The same, but what lies behind the first header_len bytes is read to `text` as far as that reaches, and what lies
 * behind that to where it would lie if text were empty. */
long device_read_split(const struct device *device, int fd, struct device_input *input,
                       size_t header_len, struct utcp_slice text);

/* True when the device vouches for the checksum of what it gave. */
bool device_checksum_ok(const struct device *device, const struct device_input *input);

/* True when the packet's TCP checksum holds the pseudo-header's sum only. */
bool device_checksum_partial(const struct device *device, const struct virtio_net_hdr *header);

/* Frames around a packet of the core for a device with offload, and around finished bytes. */
void device_frame_packet(struct device_frame *frame, const struct utcp_packet *packet);
void device_frame_bytes(struct device_frame *frame, const uint8_t *packet, size_t len);

/* Through fd likewise. 0 or a negative errno (-EAGAIN: wait until it is writable). */
int device_write(const struct device *device, int fd, const struct device_frame *frame);

#endif
