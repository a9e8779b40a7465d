/* SPDX-License-Identifier: MIT */
#include "base/checksum.h"

#include <string.h>

/* The sum of native words, byte-swapped at the end, equals the sum of swapped words (RFC 1071
 * section 2 (B)); so eight bytes are added at a time, whatever the byte order. */
static uint64_t add_words(const uint8_t *bytes, size_t words)
{
    uint64_t low = 0, high = 0;

    for (size_t i = 0; i < words; i++) {
        uint64_t word;

        memcpy(&word, bytes + 8 * i, sizeof(word));
        low += word & 0xffffffff;
        high += word >> 32;
    }
    return (low & 0xffffffff) + (low >> 32) + (high & 0xffffffff) + (high >> 32);
}

static uint16_t to_big_endian(uint16_t value)
{
    const uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};
    uint16_t swapped;

    memcpy(&swapped, bytes, sizeof(swapped));
    return swapped;
}

uint64_t checksum_add(uint64_t sum, const uint8_t *bytes, size_t len)
{
    size_t words = len / 8;

    sum += to_big_endian(checksum_fold(add_words(bytes, words)));
    for (size_t i = 8 * words; i < len; i++)
        sum += (i & 1) != 0 ? bytes[i] : (uint64_t)bytes[i] << 8;
    return sum;
}

uint16_t checksum_fold(uint64_t sum)
{
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}
