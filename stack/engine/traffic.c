/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * Inward: device, capture, impairment, core. Outward: core, (cutting,) impairment, capture, device.
 * Both ways the capture sees what passes the device, and the impairment is the link behind it.
 *
 * The core's packets reach the device without being copied: the frame points to the header and to
 * the slices of the connection's send buffer, which stay where they are until utcp_output_done(). A
 * device without offload gets each packet cut into a buffer, piece by piece. At any time there is
 * one frame at most between core and device; when the device takes no more, it waits there and
 * nothing more is pulled, so the core keeps its queues and its say over what goes first.
 *
 * The lock is held while the core is called, not while the device is.
 */
#include "state.h"

#include "sys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Packets in one go before the other direction, the clock and the sockets get their turn. */
enum { BATCH = 64 };

static struct impair *make_impairment(enum impair_direction direction)
{
    return impair_create(&engine.config.impair, direction, engine.device.mtu_bytes);
}

static int open_impairment(void)
{
    struct impair_config *config = &engine.config.impair;
    bool in = impair_active(config, IMPAIR_IN), out = impair_active(config, IMPAIR_OUT);

    if (!in && !out)
        return 0;
    if (!config->seeded) {
        uint32_t seed = 0;

        sys_getrandom(&seed, sizeof seed);
        config->seed = seed;
        config->seeded = true;
    }
    engine_log(ENGINE_INFO, "impairment with seed %llu", (unsigned long long)config->seed);
    engine.impair_mtu = engine.device.mtu_bytes;
    if (in)
        engine.impair_in = make_impairment(IMPAIR_IN);
    if (out)
        engine.impair_out = make_impairment(IMPAIR_OUT);
    return (in && !engine.impair_in) || (out && !engine.impair_out) ? -ENOMEM : 0;
}

/* The name of the capture file with %p replaced by the process id. */
static void capture_path(char path[CONFIG_PATH])
{
    size_t used = 0;

    for (const char *from = engine.config.pcap; *from && used < CONFIG_PATH - 16; from++) {
        if (from[0] == '%' && from[1] == 'p') {
            used += (size_t)snprintf(path + used, 16, "%d", sys_getpid());
            from++;
        } else {
            path[used++] = *from;
        }
    }
    path[used] = '\0';
}

static int open_capture(void)
{
    char path[CONFIG_PATH];
    int error;

    if (!engine.config.pcap[0] || engine.capture.fd >= 0)
        return 0;
    capture_path(path);
    error = pcapng_open(&engine.capture, path, engine.device.name);
    if (error)
        snprintf(engine.why, sizeof engine.why, "no capture: cannot write UTCP_PCAP=%.200s: %s",
                 path, strerrordesc_np(-error));
    return error;
}

int traffic_open(void)
{
    int error = device_open(&engine.device, &engine.config, engine.why, sizeof engine.why);

    if (error)
        return error;
    if (!engine.input)
        engine.input = sys_map(sizeof *engine.input);
    if (!engine.cut)
        engine.cut = sys_map(DEVICE_PACKET_MAX);
    error = engine.input && engine.cut ? open_capture() : -ENOMEM;
    if (!error)
        error = open_impairment();
    if (error) {
        sys_close(engine.device.fd);
        engine.device.fd = -1;
    }
    return error;
}

/* ---- inward ---- */

static void capture_input(size_t len, bool partial, utcp_time now)
{
    struct iovec whole = {.iov_base = engine.input->packet, .iov_len = len};

    if (engine.capture.fd >= 0)
        pcapng_packet(&engine.capture, PCAPNG_IN, &whole, 1, partial, now);
}

static void hand_in(const uint8_t *packet, size_t len, unsigned flags, utcp_time now)
{
    engine_lock();
    utcp_input(engine.stack, packet, len, flags, now);
    engine_unlock();
}

/* Reads one packet; false when none waits. */
static bool receive_one(void)
{
    long len = device_read(&engine.device, engine.input);
    unsigned flags;
    utcp_time now;

    if (len <= 0)
        return len == -EINTR;
    now = engine_now();
    engine.last_input = now;
    flags = device_checksum_ok(&engine.device, engine.input) ? UTCP_INPUT_CSUM_OK : 0;
    capture_input((size_t)len, device_checksum_partial(&engine.device, &engine.input->header), now);
    if (engine.impair_in)
        impair_push(engine.impair_in, engine.input->packet, (size_t)len, flags, now);
    else
        hand_in(engine.input->packet, (size_t)len, flags, now);
    return true;
}

static void receive_impaired(void)
{
    utcp_time now = engine_now();
    const uint8_t *packet;
    unsigned flags;
    size_t len;

    while ((packet = impair_pop(engine.impair_in, &len, &flags, now)))
        hand_in(packet, len, flags, now);
}

void traffic_receive(void)
{
    for (int i = 0; engine.readable && i < BATCH; i++)
        engine.readable = receive_one();
    if (engine.impair_in)
        receive_impaired();
}

/* ---- outward ---- */

/* Lets go of the last packet and fetches the next; false = the core has none. */
static bool next_packet(void)
{
    utcp_time now = engine_now();

    engine_lock();
    if (engine.packet_active)
        utcp_output_done(engine.stack, &engine.packet);
    engine.packet_active = utcp_output(engine.stack, &engine.packet, now);
    engine_unlock();
    engine.packet_cut = 0;
    return engine.packet_active;
}

/* The next packet as it goes over the wire, in engine.cut; 0 = none. */
static size_t next_cut(void)
{
    do {
        size_t len = 0;

        if (engine.packet_active)
            len = utcp_cut_next(&engine.packet, &engine.packet_cut, engine.cut);
        if (len)
            return len;
    } while (next_packet());
    return 0;
}

/* Everything the core has goes into the link at once: its queue is the link's. */
static bool next_impaired_frame(void)
{
    utcp_time now = engine_now();
    const uint8_t *packet;
    unsigned flags;
    size_t len;

    while ((len = next_cut()))
        impair_push(engine.impair_out, engine.cut, len, 0, now);
    packet = impair_pop(engine.impair_out, &len, &flags, now);
    if (packet)
        device_frame_bytes(&engine.frame, packet, len);
    return packet;
}

static bool next_cut_frame(void)
{
    size_t len = next_cut();

    device_frame_bytes(&engine.frame, engine.cut, len);
    return len;
}

static bool next_whole_frame(void)
{
    if (!next_packet())
        return false;
    device_frame_packet(&engine.frame, &engine.packet);
    return true;
}

static bool next_frame(void)
{
    if (engine.impair_out)
        return next_impaired_frame();
    return engine.device.offload ? next_whole_frame() : next_cut_frame();
}

static void watch_output(bool wanted)
{
    struct epoll_event event = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0),
                                .data.ptr = &engine.device};

    sys_epoll_ctl(engine.epoll, EPOLL_CTL_MOD, engine.device.fd, &event);
    engine.stalled = wanted;
}

static void capture_output(void)
{
    const struct device_frame *frame = &engine.frame;

    if (engine.capture.fd >= 0)
        pcapng_packet(&engine.capture, PCAPNG_OUT, frame->iov + 1, frame->iov_count - 1,
                      device_checksum_partial(&engine.device, &frame->header), engine_now());
}

/* Writes the frame; false when the device takes none now. A frame that it refuses for another
 * reason (the interface went down) is lost, as on any link. */
static bool write_frame(void)
{
    int error = device_write(&engine.device, &engine.frame);

    if (error == -EAGAIN || error == -ENOBUFS) {
        watch_output(true);
        return false;
    }
    if (error)
        engine_log(ENGINE_DEBUG, "%s refused a packet: %s", engine.device.name,
                   strerrordesc_np(-error));
    else
        capture_output();
    if (engine.stalled)
        watch_output(false);
    return true;
}

void traffic_transmit(void)
{
    for (int i = 0; i < BATCH; i++) {
        if (!engine.frame_ready)
            engine.frame_ready = next_frame();
        if (!engine.frame_ready || !write_frame())
            return;
        engine.frame_ready = false;
    }
}

void traffic_reset(struct utcp_conn *conn)
{
    struct utcp_packet packet;
    size_t offset = 0, len;

    if (!utcp_last_words(conn, &packet))
        return;
    len = utcp_cut_next(&packet, &offset, engine.cut);
    device_frame_bytes(&engine.frame, engine.cut, len);
    write_frame();
}

utcp_time traffic_deadline(void)
{
    utcp_time in = engine.impair_in ? impair_deadline(engine.impair_in) : UTCP_NEVER;
    utcp_time out = engine.impair_out ? impair_deadline(engine.impair_out) : UTCP_NEVER;

    return in < out ? in : out;
}

bool traffic_waiting(void)
{
    return engine.frame_ready || engine.packet_active || traffic_deadline() != UTCP_NEVER;
}
