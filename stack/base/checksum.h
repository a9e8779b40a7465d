/* SPDX-License-Identifier: MIT */
/* The Internet checksum, RFC 1071. */
#ifndef BASE_CHECKSUM_H
#define BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Adds len bytes to a running sum (0 to begin with). The sum is over big-endian 16-bit words; only
 * the last piece added may have an odd length.
 */
uint64_t checksum_add(uint64_t sum, const uint8_t *bytes, size_t len);

/* Folds a sum to 16 bits, not complemented: what a device with checksum offload wants to find. */
uint16_t checksum_fold(uint64_t sum);

/* The checksum to be sent, or 0 when the sum covers a packet with a good checksum in it. */
static inline uint16_t checksum_finish(uint64_t sum)
{
    return (uint16_t)~checksum_fold(sum);
}

#endif
