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
 * The lock is held while the core is called, not while the device is. Whoever made the core want to send, sends:
 * a program's thread on its way out of a call, through its own descriptor of the device, or the engine's thread.
 * Only one does at a time, so that packets keep their order (engine.sending), and then sends for the others, too.
 * Capture, impairment and a device that takes no more are left to the engine's thread. So it is with reading: the
 * engine's thread does, or one that waits for its socket (lead.c).
 */
#include "state.h"

#include "sys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Packets in one go before the other direction, the clock and the sockets get their turn. */
enum { BATCH = 64, TRAIN = 32 };

/* As much as a program that waits for it should find in its cache. */
#define BATCH_BYTES (512u << 10)

static pthread_mutex_t input_mutex = PTHREAD_MUTEX_INITIALIZER;

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
    if (!engine.train && !engine.device.offload)
        engine.train = sys_map((size_t)2 * DEVICE_PACKET_MAX);
    if (!engine.input || !engine.cut || (!engine.train && !engine.device.offload))
        error = -ENOMEM;
    if (!error)
        error = open_capture();
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

static void note_arrival(size_t len, utcp_time now)
{
    engine.last_input = now;
    engine.batch_bytes += len;
}

/* Where the next packet's text belongs, if it is what the core expects. Not where somebody wants to see the
 * packet in one piece, be it to compute its checksum. */
static size_t expect(struct utcp_slice *text)
{
    size_t header_len;

    if (!engine.direct || !engine.device.offload)
        return 0;
    engine_lock();
    header_len = utcp_expect(engine.stack, text);
    engine_unlock();
    return header_len;
}

/* Puts a packet together whose headers were not as long as expected, or that was longer. */
static void join(size_t len, size_t header_len, struct utcp_slice text)
{
    uint8_t *behind = engine.input->packet + header_len;

    if (len <= header_len)
        return;
    if (text.len > len - header_len)
        text.len = len - header_len;
    memmove(behind + text.len, behind, len - header_len - text.len);
    memcpy(behind, text.data, text.len);
}

static void hand_in_expected(size_t len, size_t header_len, struct utcp_slice text)
{
    unsigned flags = device_checksum_ok(&engine.device, engine.input) ? UTCP_INPUT_CSUM_OK : 0;
    bool fits = flags && len > header_len && len - header_len <= text.len;
    struct utcp_slice arrived = {.data = text.data, .len = len - header_len};
    utcp_time now = engine_now();

    note_arrival(len, now);
    engine_lock();
    if (!fits ||
        !utcp_input_expected(engine.stack, engine.input->packet, header_len, arrived, now)) {
        join(len, header_len, text);
        utcp_input(engine.stack, engine.input->packet, len, flags, now);
    }
    utcp_expect_end(engine.stack);
    engine_unlock();
}

static long receive_expected(int fd, size_t header_len, struct utcp_slice text)
{
    long len = device_read_split(&engine.device, fd, engine.input, header_len, text);

    if (len > 0) {
        hand_in_expected((size_t)len, header_len, text);
        return len;
    }
    engine_lock();
    utcp_expect_end(engine.stack);
    engine_unlock();
    return len;
}

/* Packets of a device without offload are small: as many as wait are read one behind the other, and handed in
 * together. False when fewer wait than might have been read. */
static bool receive_train(int fd, int *count)
{
    const uint8_t *packet = engine.train;
    uint32_t lens[TRAIN];
    size_t used = 0;
    int cars = 0;
    utcp_time now;
    long len = 0;

    while (cars < TRAIN && used < DEVICE_PACKET_MAX) {
        len = sys_read(fd, engine.train + used, DEVICE_PACKET_MAX);
        if (len <= 0)
            break;
        lens[cars++] = (uint32_t)len;
        used += (size_t)len;
    }
    if (cars > 0) {
        now = engine_now();
        note_arrival(used, now);
        engine_lock();
        for (int i = 0; i < cars; packet += lens[i++])
            utcp_input(engine.stack, packet, lens[i], 0, now);
        engine_unlock();
    }
    *count += cars;
    return len > 0 || len == -EINTR;
}

/* Reads one packet; false when none waits. */
static bool receive_one(int fd)
{
    struct utcp_slice text;
    size_t header_len = expect(&text);
    unsigned flags;
    utcp_time now;
    long len;

    if (header_len) {
        len = receive_expected(fd, header_len, text);
        return len > 0 || len == -EINTR;
    }
    len = device_read(&engine.device, fd, engine.input);
    if (len <= 0)
        return len == -EINTR;
    now = engine_now();
    note_arrival((size_t)len, now);
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

/* Reads some packets and counts them; false when no more wait. */
static bool receive_some(int fd, int *count)
{
    bool more;

    if (engine.direct && !engine.device.offload)
        return receive_train(fd, count);
    more = receive_one(fd);
    *count += more;
    return more;
}

/* The order of packets is kept, and the buffer is one thread's at a time. */
static void input_lock(void)
{
    if (!engine.alone)
        pthread_mutex_lock(&input_mutex);
}

static void input_unlock(void)
{
    if (!engine.alone)
        pthread_mutex_unlock(&input_mutex);
}

void traffic_fork_child(void)
{
    pthread_mutex_init(&input_mutex, NULL);
}

bool traffic_receive(void)
{
    int count = 0;

    input_lock();
    while (engine.readable && count < BATCH)
        engine.readable = receive_some(engine.device.fd, &count);
    if (engine.impair_in)
        receive_impaired();
    input_unlock();
    return count > 0;
}

unsigned traffic_receive_here(int fd)
{
    int count = 0;

    input_lock();
    engine.batch_bytes = 0;
    while (count < BATCH && engine.batch_bytes < BATCH_BYTES && receive_some(fd, &count))
        ;
    input_unlock();
    return (unsigned)count;
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

void traffic_watch(void)
{
    struct epoll_event event = {.events =
                                    (engine.yields ? 0 : EPOLLIN) | (engine.stalled ? EPOLLOUT : 0),
                                .data.ptr = &engine.device};

    sys_epoll_ctl(engine.epoll, EPOLL_CTL_MOD, engine.device.fd, &event);
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
static bool write_frame(int fd)
{
    int error = device_write(&engine.device, fd, &engine.frame);

    if (error == -EAGAIN || error == -ENOBUFS)
        return false;
    if (error)
        engine_log(ENGINE_DEBUG, "%s refused a packet: %s", engine.device.name,
                   strerrordesc_np(-error));
    else
        capture_output();
    return true;
}

/* False when the device takes no more. */
static bool send_frames(int fd)
{
    for (int i = 0; i < BATCH; i++) {
        if (!engine.frame_ready)
            engine.frame_ready = next_frame();
        if (!engine.frame_ready)
            return true;
        if (!write_frame(fd))
            return false;
        engine.frame_ready = false;
    }
    return true;
}

bool traffic_may_send(void)
{
    return engine.stack && !engine.sending && !(engine.direct && engine.writers) &&
           (engine.frame_ready || engine.packet_active || utcp_output_pending(engine.stack));
}

void traffic_transmit(void)
{
    bool stalled;

    engine_lock();
    if (engine.sending || (engine.direct && engine.writers)) {
        engine_unlock();
        return;
    }
    engine.sending = true;
    engine_unlock();
    stalled = !send_frames(engine.device.fd);
    engine_lock();
    engine.sending = false;
    if (engine.stalled != stalled) {
        engine.stalled = stalled;
        traffic_watch();
    }
    engine_unlock();
}

void traffic_transmit_here(void)
{
    int fd;

    engine.sending = true;
    engine_unlock();
    fd = control_device();
    if (fd >= 0)
        send_frames(fd);
    else
        engine.direct = false;
    engine_lock();
    engine.sending = false;
}

void traffic_reset(struct utcp_conn *conn)
{
    struct utcp_packet packet;
    size_t offset = 0, len;

    if (!utcp_last_words(conn, &packet))
        return;
    len = utcp_cut_next(&packet, &offset, engine.cut);
    device_frame_bytes(&engine.frame, engine.cut, len);
    write_frame(engine.device.fd);
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
