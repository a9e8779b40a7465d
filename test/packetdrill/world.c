/* SPDX-License-Identifier: MIT */
#include "world.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine.h"
#include "settings.h"
#include "sockets.h"

enum { PACKET_MAX = 65535, OWN_ADDRESS_BYTES = 4 };

/* packetdrill is told the same one: --local_ip. */
static const uint8_t own_address[OWN_ADDRESS_BYTES] = {192, 168, 0, 2};

/* Longer than any script waits for a packet. */
#define PATIENCE (120 * UTCP_SEC)

struct packet {
    struct packet *next;
    utcp_time time;
    size_t len;
    uint8_t bytes[];
};

struct waiter {
    struct waiter *next;
    bool (*done)(void *context);
    void *context;
    utcp_time deadline;
    bool woken;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    utcp_time now;
    struct utcp_stack *stack;
    uint64_t random;
    struct packet *first, **end; /* sent, and not yet asked for */
    struct waiter *waiters;
    unsigned awake; /* threads that were woken and have not read the clock since */
    bool finishing; /* one of them has read it, and has the rest of its call to do */
} world = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .changed = PTHREAD_COND_INITIALIZER,
    .now = 1000 * UTCP_SEC,
    .end = &world.first,
};

struct world_device world_device = {.mtu_bytes = 1500};

/* This thread is one of those that are awake. */
static _Thread_local bool owes_reading;

void world_lock(void)
{
    pthread_mutex_lock(&world.lock);
    settings_refresh(world.stack);
}

void world_unlock(void)
{
    pthread_mutex_unlock(&world.lock);
}

utcp_time world_now(void)
{
    return world.now;
}

/* ---- the stack ---- */

static void *allocate(void *context, size_t size)
{
    (void)context;
    return calloc(1, size);
}

static void release(void *context, void *memory, size_t size)
{
    (void)context;
    (void)size;
    free(memory);
}

/* The same bytes in every run: a linear congruential generator. */
static void fill_random(void *context, void *buffer, size_t size)
{
    uint8_t *bytes = buffer;

    (void)context;
    for (size_t i = 0; i < size; i++) {
        world.random = world.random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        bytes[i] = (uint8_t)(world.random >> 56);
    }
}

struct utcp_stack *world_stack(void)
{
    struct utcp_config config = {
        .allocator = {.alloc = allocate, .free = release},
        .random = {.fill = fill_random},
        .addr = {.family = UTCP_IPV4},
        .mtu_bytes = world_device.mtu_bytes,
    };

    if (world.stack)
        return world.stack;
    memcpy(config.addr.bytes, own_address, sizeof own_address);
    settings_begin(&config);
    world.stack = utcp_create(&config, world.now);
    if (!world.stack)
        abort();
    return world.stack;
}

/* ---- packets out ---- */

static void keep_packet(const uint8_t *bytes, size_t len)
{
    struct packet *packet = malloc(sizeof *packet + len);

    if (!packet)
        abort();
    *packet = (struct packet){.time = world.now, .len = len};
    memcpy(packet->bytes, bytes, len);
    *world.end = packet;
    world.end = &packet->next;
}

/* As a device with offload would get it: packetdrill knows packets longer than the MTU. */
static void keep_whole(const struct utcp_packet *packet)
{
    uint8_t bytes[UTCP_HEADER_MAX + PACKET_MAX];
    size_t len = packet->header_len;

    memcpy(bytes, packet->header, len);
    for (int i = 0; i < 2; i++) {
        if (packet->payload[i].len == 0)
            continue;
        memcpy(bytes + len, packet->payload[i].data, packet->payload[i].len);
        len += packet->payload[i].len;
    }
    if (packet->tcp_offset != 0)
        utcp_packet_fill_checksum(bytes, len);
    keep_packet(bytes, len);
}

static void keep_cut(const struct utcp_packet *packet)
{
    uint8_t bytes[PACKET_MAX];
    size_t offset = 0, len;

    while ((len = utcp_cut_next(packet, &offset, bytes)) > 0)
        keep_packet(bytes, len);
}

static void fetch_packets(void)
{
    struct utcp_packet packet;

    while (utcp_output(world.stack, &packet, world.now)) {
        if (!world_device.drops && world_device.no_offload)
            keep_cut(&packet);
        else if (!world_device.drops)
            keep_whole(&packet);
        utcp_output_done(world.stack, &packet);
    }
}

static void fetch_events(void)
{
    struct utcp_event event;

    while (utcp_next_event(world.stack, &event))
        socket_event(event.user, event.ready);
}

/* ---- who waits ---- */

static void wake(struct waiter **link)
{
    struct waiter *waiter = *link;

    *link = waiter->next;
    waiter->woken = true;
    world.awake++;
    pthread_cond_broadcast(&world.changed);
}

static void wake_waiters(void)
{
    struct waiter **link = &world.waiters;

    while (*link) {
        if ((*link)->done((*link)->context) || (*link)->deadline <= world.now)
            wake(link);
        else
            link = &(*link)->next;
    }
}

static void clock_was_read(void)
{
    if (!owes_reading)
        return;
    owes_reading = false;
    world.awake--;
    world.finishing = true;
    pthread_cond_broadcast(&world.changed);
}

static void await_readers(void)
{
    while (world.awake > 0 && !owes_reading)
        pthread_cond_wait(&world.changed, &world.lock);
}

bool world_wait(bool (*done)(void *context), void *context, utcp_time deadline)
{
    struct waiter waiter = {.done = done, .context = context, .deadline = deadline};

    if (done(context))
        return true;
    if (deadline <= world.now)
        return false;
    clock_was_read();
    waiter.next = world.waiters;
    world.waiters = &waiter;
    while (!waiter.woken)
        pthread_cond_wait(&world.changed, &world.lock);
    owes_reading = true;
    return done(context);
}

void world_settle(void)
{
    if (world.stack) {
        fetch_packets();
        fetch_events();
    }
    wake_waiters();
    await_readers();
}

/* ---- time ---- */

static utcp_time next_deadline(void)
{
    utcp_time next = world.stack ? utcp_next_deadline(world.stack) : UTCP_NEVER;

    for (struct waiter *waiter = world.waiters; waiter; waiter = waiter->next) {
        if (waiter->deadline < next)
            next = waiter->deadline;
    }
    return next;
}

static void step_to(utcp_time time)
{
    if (time > world.now)
        world.now = time;
    if (world.stack)
        utcp_advance(world.stack, world.now);
    world_settle();
}

static void pass_until(utcp_time time)
{
    await_readers();
    while (next_deadline() <= time)
        step_to(next_deadline());
    if (time > world.now)
        world.now = time;
}

utcp_time world_read_clock(void)
{
    if (owes_reading)
        clock_was_read();
    else
        pass_until(world.now + UTCP_USEC);
    return world.now;
}

/* Behind the clock a thread wants packetdrill's own lock, which the main thread gives up only while it
 * sleeps: so this sleep takes some real time. */
static void let_finish(void)
{
    const struct timespec while_it_locks = {.tv_nsec = 5 * UTCP_MSEC};

    if (!world.finishing)
        return;
    world.finishing = false;
    pthread_mutex_unlock(&world.lock);
    nanosleep(&while_it_locks, NULL);
    pthread_mutex_lock(&world.lock);
}

void world_sleep(utcp_time duration)
{
    let_finish();
    pass_until(world.now + duration);
}

/* ---- packets ---- */

/* A device that glues segments together says how long they were, which the interface does not: they are
 * taken one by one. */
static void input_segments(const uint8_t *bytes, size_t len)
{
    struct utcp_packet packet = {
        .header_len = utcp_packet_headers(bytes, len),
        .tcp_offset = (size_t)(bytes[0] & 0x0f) * 4,
        .segment_bytes = world_device.mss_bytes,
    };
    uint8_t piece[PACKET_MAX];
    size_t offset = 0, piece_len;

    packet.payload_len = len - packet.header_len;
    packet.payload[0].data = (uint8_t *)(uintptr_t)(bytes + packet.header_len);
    packet.payload[0].len = packet.payload_len;
    memcpy(packet.header, bytes, packet.header_len);
    while ((piece_len = utcp_cut_next(&packet, &offset, piece)) > 0)
        utcp_input(world_stack(), piece, piece_len, 0, world.now);
}

void world_input(const void *packet, size_t len)
{
    size_t headers = utcp_packet_headers(packet, len);

    await_readers();
    if (world_device.mss_bytes > 0 && headers > 0 && len - headers > world_device.mss_bytes)
        input_segments(packet, len);
    else
        utcp_input(world_stack(), packet, len, 0, world.now);
    world_settle();
}

static struct packet *take_packet(void)
{
    struct packet *packet = world.first;

    if (!packet)
        return NULL;
    world.first = packet->next;
    if (!world.first)
        world.end = &world.first;
    return packet;
}

static bool has_packet(utcp_time limit)
{
    await_readers();
    while (!world.first && next_deadline() <= limit)
        step_to(next_deadline());
    return world.first != NULL;
}

size_t world_output(void *bytes, size_t room, utcp_time *time)
{
    struct packet *packet;
    size_t len;

    *time = world.now;
    if (!has_packet(world.now + PATIENCE))
        return 0;
    packet = take_packet();
    len = packet->len < room ? packet->len : room;
    memcpy(bytes, packet->bytes, len);
    *time = packet->time;
    free(packet);
    return len;
}
