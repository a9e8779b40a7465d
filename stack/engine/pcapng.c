/* SPDX-License-Identifier: MIT */
/* The format is that of draft-ietf-opsawg-pcapng: blocks of 32-bit words in the writer's own byte
 * order, each with its type in front and its length at both ends. */
#include "pcapng.h"

#include "sys.h"
#include "utcp.h"

#include <errno.h>
#include <string.h>

enum {
    BUFFER_BYTES = 512 * 1024,
    PACKET_MAX = 65535,
    EPB_OVERHEAD = 64, /* everything but the packet, generously */

    BLOCK_SECTION = 0x0a0d0d0a,
    BLOCK_INTERFACE = 1,
    BLOCK_PACKET = 6,

    LINKTYPE_RAW = 101,
    OPTION_IF_NAME = 2,
    OPTION_IF_TSRESOL = 9,
    OPTION_EPB_FLAGS = 2,
    TSRESOL_NS = 9, /* 10^-9 s */
};

static void put(struct pcapng *file, const void *bytes, size_t len)
{
    memcpy(file->buffer + file->used, bytes, len);
    file->used += len;
}

static void put32(struct pcapng *file, uint32_t value)
{
    put(file, &value, sizeof value);
}

static void put16(struct pcapng *file, uint16_t value)
{
    put(file, &value, sizeof value);
}

/* Fills up to a whole 32-bit word. */
static void pad(struct pcapng *file)
{
    while (file->used % 4)
        file->buffer[file->used++] = 0;
}

static void put_option(struct pcapng *file, uint16_t code, const void *value, size_t len)
{
    put16(file, code);
    put16(file, (uint16_t)len);
    put(file, value, len);
    pad(file);
}

static size_t begin_block(struct pcapng *file, uint32_t type)
{
    size_t start = file->used;

    put32(file, type);
    put32(file, 0);
    return start;
}

/* Ends the options and the block, and writes its length in both places. */
static void end_block(struct pcapng *file, size_t start)
{
    uint32_t len;

    put32(file, 0);
    len = (uint32_t)(file->used - start + sizeof len);
    memcpy(file->buffer + start + 4, &len, sizeof len);
    put32(file, len);
}

static void put_head(struct pcapng *file, const char *interface)
{
    static const uint8_t tsresol = TSRESOL_NS;
    static const uint64_t length_unknown = UINT64_MAX;
    size_t block = begin_block(file, BLOCK_SECTION);

    put32(file, 0x1a2b3c4d); /* tells the byte order */
    put16(file, 1);          /* version 1.0 */
    put16(file, 0);
    put(file, &length_unknown, sizeof length_unknown);
    end_block(file, block);

    block = begin_block(file, BLOCK_INTERFACE);
    put16(file, LINKTYPE_RAW);
    put16(file, 0);
    put32(file, 0); /* no limit to the length of packets */
    put_option(file, OPTION_IF_NAME, interface, strlen(interface));
    put_option(file, OPTION_IF_TSRESOL, &tsresol, sizeof tsresol);
    end_block(file, block);
}

static int64_t read_clock(clockid_t clock)
{
    struct timespec time;

    clock_gettime(clock, &time);
    return time.tv_sec * (int64_t)UTCP_SEC + time.tv_nsec;
}

int pcapng_open(struct pcapng *file, const char *path, const char *interface)
{
    int fd = sys_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0)
        return fd;
    file->buffer = sys_map(BUFFER_BYTES);
    if (!file->buffer) {
        sys_close(fd);
        return -ENOMEM;
    }
    file->fd = fd;
    file->used = 0;
    file->clock_offset = read_clock(CLOCK_REALTIME) - read_clock(CLOCK_MONOTONIC);
    put_head(file, interface);
    pcapng_flush(file);
    return 0;
}

static size_t total(const struct iovec *iov, int iov_count)
{
    size_t len = 0;

    for (int i = 0; i < iov_count; i++)
        len += iov[i].iov_len;
    return len;
}

void pcapng_packet(struct pcapng *file, enum pcapng_direction direction, const struct iovec *iov,
                   int iov_count, bool fill_checksum, uint64_t now)
{
    uint64_t stamp = now + (uint64_t)file->clock_offset;
    uint32_t len = (uint32_t)total(iov, iov_count);
    uint32_t flags = direction;
    size_t block;
    uint8_t *packet;

    if (len > PACKET_MAX)
        return;
    if (file->used + len + EPB_OVERHEAD > BUFFER_BYTES)
        pcapng_flush(file);
    block = begin_block(file, BLOCK_PACKET);
    put32(file, 0); /* the first and only interface */
    put32(file, (uint32_t)(stamp >> 32));
    put32(file, (uint32_t)stamp);
    put32(file, len);
    put32(file, len);
    packet = file->buffer + file->used;
    for (int i = 0; i < iov_count; i++)
        put(file, iov[i].iov_base, iov[i].iov_len);
    if (fill_checksum)
        utcp_packet_fill_checksum(packet, len);
    pad(file);
    put_option(file, OPTION_EPB_FLAGS, &flags, sizeof flags);
    end_block(file, block);
}

void pcapng_flush(struct pcapng *file)
{
    for (size_t done = 0; done < file->used;) {
        long written = sys_write(file->fd, file->buffer + done, file->used - done);

        if (written == -EINTR)
            continue;
        if (written <= 0)
            break;
        done += (size_t)written;
    }
    file->used = 0;
}
