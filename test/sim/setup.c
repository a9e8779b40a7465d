/* SPDX-License-Identifier: MIT */
/* What a seed means: hosts, links and programs. */
#include <stdlib.h>
#include <string.h>

#include "stack.h"
#include "world.h"

#define MTU_LEAST 88 /* the least MSS that the stack respects, 48, and two headers */

static void *host_alloc(void *ctx, size_t size)
{
    struct host *host = ctx;
    void *memory;

    if (rng_chance(&host->rng, host->no_memory))
        return NULL;
    memory = calloc(1, size);
    if (memory == NULL)
        abort();
    host->live_bytes += size;
    return memory;
}

static void host_free(void *ctx, void *memory, size_t size)
{
    struct host *host = ctx;

    host->live_bytes -= size;
    free(memory);
}

static void host_random(void *ctx, void *buffer, size_t size)
{
    struct host *host = ctx;
    uint8_t *bytes = buffer;

    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)rng_next(&host->rng);
}

/* Switches are thrown by chance, also those that this program has never heard of. */
static void draw_switches(struct utcp_settings *settings, struct rng *rng)
{
#define DRAW(name, initial, least, most, unit, text)        \
    if (strcmp(#unit, "bool") == 0 && rng_chance(rng, 300)) \
        settings->name = !settings->name;
    UTCP_SETTINGS(DRAW)
#undef DRAW
}

static void draw_settings(struct utcp_settings *settings, struct rng *rng)
{
    utcp_settings_init(settings);
    draw_switches(settings, rng);
    /* The link may lose much: what is tried often enough gets through. */
    settings->syn_retries = settings->synack_retries = 255;
    settings->retries = settings->orphan_retries = 255;
    settings->rcv_buf = 255 + rng_magnitude(rng, 1 << 18);
    settings->snd_buf = 255 + rng_magnitude(rng, 1 << 18);
    settings->rcv_buf_max = rng_chance(rng, 500) ? 0 : rng_magnitude(rng, 1 << 30);
    settings->snd_buf_max = rng_chance(rng, 500) ? 0 : rng_magnitude(rng, 1 << 20);
    settings->wscale = rng_chance(rng, 500) ? 14 : rng_between(rng, 0, 14);
    /* A connection that began with a cookie is forgotten by a lost ACK, and begins again with a late
     * duplicate of it: what is checked here does not hold then. */
    settings->syncookies = 0;
    settings->ecn = rng_between(rng, 0, 2);
    settings->timestamps = rng_chance(rng, 500) ? 1 : rng_between(rng, 0, 2);
    settings->gso = rng_chance(rng, 300) ? 0 : rng_magnitude(rng, 65000);
    settings->initial_window = rng_chance(rng, 500) ? 10 : rng_magnitude(rng, 100);
    settings->rto_min =
        rng_chance(rng, 500) ? 200 * UTCP_MSEC : rng_between(rng, UTCP_MSEC, UTCP_SEC);
    settings->rto_max = rng_between(rng, UTCP_SEC, 60 * UTCP_SEC);
    settings->time_wait = rng_chance(rng, 500) ? 60 * UTCP_SEC : rng_magnitude(rng, UTCP_SEC) - 1;
    settings->fin_wait2 = rng_between(rng, UTCP_SEC, 60 * UTCP_SEC);
    settings->hystart = rng_between(rng, 0, 2);
}

static bool create_stack(struct host *host, uint64_t seed)
{
    struct rng *rng = &host->rng;
    const char *congestion = NULL;
    size_t algorithms = 1; /* there is always the default */

    rng->state = seed;
    while (utcp_congestion_name(algorithms) != NULL)
        algorithms++;
    congestion = utcp_congestion_name(rng_between(rng, 0, algorithms - 1));
    host->config = (struct utcp_config){
        .allocator = {host_alloc, host_free, host},
        .random = {host_random, host},
        .addr = world_endpoint(host->index, 0).addr,
        .mtu_bytes = rng_chance(rng, 500) ? 1500 : (uint32_t)rng_between(rng, MTU_LEAST, 9000),
        .congestion = congestion,
    };
    draw_settings(&host->config.settings, rng);
    host->uncut = rng_chance(rng, 500) ? rng_magnitude(rng, 1000) : 0;
    host->vouched = rng_chance(rng, 300) ? rng_magnitude(rng, 1000) : 0;
    host->hold = rng_chance(rng, 300) ? rng_magnitude(rng, 1000) : 0;
    host->slack = rng_chance(rng, 300) ? rng_magnitude(rng, 10 * UTCP_MSEC) : 0;
    host->accept_delay = rng_chance(rng, 300) ? rng_magnitude(rng, UTCP_SEC) : 0;
    host->stack = utcp_create(&host->config, 0);
    /* Not before the stack is there: one that cannot be made tells nothing. */
    host->no_memory = rng_chance(rng, 100) ? rng_magnitude(rng, 100) : 0;
    return host->stack != NULL;
}

static void listen_on(struct host *host)
{
    struct utcp_endpoint local = world_endpoint(host->index, LISTEN_PORT);
    unsigned backlog = (unsigned)rng_magnitude(&host->rng, 16) - 1;
    uint64_t no_memory = host->no_memory;

    host->no_memory = 0;
    host->listener = utcp_open(host->stack, host);
    if (host->listener == NULL || utcp_bind(host->listener, &local) != 0 ||
        utcp_listen(host->listener, backlog) != 0)
        world_fail(host->world, "a stack listens");
    host->no_memory = no_memory;
}

/*
 * The clock shows something that has the first connection's ISN lie just below 2^32, since an ISN
 * is a hash of the addresses and a clock that ticks every 4 microseconds (RFC 6528). Its ports must
 * be known for that.
 */
static void set_clock(struct host *host, const struct pair *pair)
{
    const uint64_t tick = 4 * UTCP_USEC;
    struct utcp_endpoint local = world_endpoint(host->index, pair->ports[host->index]);
    struct utcp_endpoint remote = world_endpoint(!host->index, pair->ports[!host->index]);
    uint64_t hash = stack_hash_tuple(host->stack, &local, &remote, 0);
    uint64_t start = pair->plans[pair->opener].start_ns / tick;
    uint64_t below = rng_magnitude(&host->rng, 1 << 18);

    host->origin = (uint32_t)(0 - hash - start - below) * tick;
}

/* most is about how many bytes it may exchange. */
static void draw_pair(struct world *world, struct rng *rng, int index, uint64_t most)
{
    struct pair *pair = &world->pairs[index];

    pair->index = index;
    pair_draw(pair, rng, most);
    /* SYNs cross only on a line that is long enough. */
    if (world->links[0].delay_ns < 5 * UTCP_MSEC || world->links[1].delay_ns < 5 * UTCP_MSEC)
        pair->simultaneous = false;
    pair->ports[!pair->opener] = LISTEN_PORT;
    if (pair->simultaneous || rng_chance(rng, 500))
        pair->ports[pair->opener] = (uint16_t)(1000 + index);
    if (pair->simultaneous)
        pair->ports[!pair->opener] = (uint16_t)(2000 + index);
}

/* As many bytes as such a link and such buffers move in a number of events that is bearable. */
static uint64_t most_bytes(const struct world *world)
{
    uint64_t most = 1000000;

    for (int i = 0; i < HOSTS; i++) {
        const struct host *host = &world->hosts[i];
        uint64_t narrow = host->config.settings.rcv_buf;

        if (narrow > host->config.settings.snd_buf)
            narrow = host->config.settings.snd_buf;
        if (most > 300 * narrow)
            most = 300 * narrow;
        if (most > UINT64_C(1000) * host->config.mtu_bytes)
            most = UINT64_C(1000) * host->config.mtu_bytes;
    }
    return most;
}

static void begin_programs(struct world *world, struct pair *pair)
{
    for (int host = 0; host < HOSTS; host++) {
        struct app *app;

        if (host != pair->opener && !pair->simultaneous)
            continue;
        app = app_begin(world, pair, host, NULL);
        world_wake(world, app, app->plan.start_ns);
    }
}

void world_draw(struct world *world)
{
    struct rng rng = {world->seed};

    for (int i = 0; i < HOSTS; i++) {
        struct host *host = &world->hosts[i];

        host->world = world;
        host->index = i;
        link_draw(&world->links[i], rng_next(&rng));
        if (!create_stack(host, rng_next(&rng))) {
            world_fail(world, "a stack can be made");
            return;
        }
        listen_on(host);
    }
    world->pair_count = (int)rng_magnitude(&rng, PAIRS_MAX);
    for (int i = 0; i < world->pair_count; i++)
        draw_pair(world, &rng, i, most_bytes(world));
    for (int i = 0; i < HOSTS; i++)
        set_clock(&world->hosts[i], &world->pairs[0]);
    for (int i = 0; i < world->pair_count; i++)
        begin_programs(world, &world->pairs[i]);
}
