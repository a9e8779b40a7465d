/* SPDX-License-Identifier: MIT */
/* What a seed means: hosts, links and programs. */
#include <stdlib.h>
#include <string.h>

#include "stack.h"
#include "world.h"

#define ETHERNET_MTU 1500

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
    if (plant_leaks(host->world))
        host->live_bytes++;
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

/*
 * How far a setting may go in the simulator; one that is not named here goes as far as its own bounds
 * allow. Whoever adds a setting that keeps polite programs from getting on bounds it here.
 */
struct bound {
    const char *name;
    uint64_t least, most;
    bool always; /* it is never left at its default */
};

static const struct bound bounds[] = {
    /* The link may lose much: what is tried often enough gets through. */
    {"syn_retries", 255, 255, false},
    {"synack_retries", 255, 255, false},
    {"retries", 255, 255, false},
    {"orphan_retries", 255, 255, false},
    {"rto_min", UTCP_MSEC, UTCP_SEC, false},
    {"rto_max", 10 * UTCP_SEC, 60 * UTCP_SEC, false},
    {"rto_init", 10 * UTCP_MSEC, 3 * UTCP_SEC, false},
    {"initial_window", 1, 100, false},
    {"rcv_buf", 256, 1 << 18, true},
    {"snd_buf", 256, 1 << 18, true},
    {"rcv_buf_max", 0, 1 << 20, false},
    {"snd_buf_max", 0, 1 << 20, false},
    /* A connection that began with a cookie is forgotten by a lost ACK, and begins again with a late
     * duplicate of it: what is checked here does not hold then. */
    {"syncookies", 0, 0, false},
    {"mss", 48, 9000, false},
    /* A SYN-ACK that came again is answered by one: without any, some handshakes never end. */
    {"challenge_acks", 1, INT32_MAX, false},
    {"time_wait", 0, 60 * UTCP_SEC, false},
    /* An orphan that is gone resets what a lie has made answer. */
    {"fin_wait2", 300 * UTCP_SEC, 600 * UTCP_SEC, false},
    /* The ports are few enough to be used again anyway, and must not run out. */
    {"port_first", 32768, 32768, false},
    {"port_last", 60999, 60999, false},
    /* What is fragmented must have a chance to be put together. */
    {"frag_time", UTCP_SEC, 30 * UTCP_SEC, false},
    {"frag_memory", 1 << 20, 1 << 22, false},
    {"min_pmtu", MTU_LEAST, 1500, false},
};

/* With the setting left out it has its default, or what is next to it within the bounds; 0 is always
 * allowed to mean "none". */
static uint64_t draw_setting(struct rng *rng, bool without, const char *name, uint64_t initial,
                             uint64_t least, uint64_t most)
{
    bool draw = rng_chance(rng, 400);
    uint64_t value;

    for (size_t i = 0; i < sizeof(bounds) / sizeof(*bounds); i++) {
        if (strcmp(bounds[i].name, name) == 0) {
            least = bounds[i].least;
            most = bounds[i].most;
            draw = draw || bounds[i].always;
        }
    }
    if (initial != 0 && initial < least)
        initial = least;
    if (initial > most)
        initial = most;
    /* Both ends are as likely as what lies between: that is where mistakes are. */
    value = rng_chance(rng, 500) ? least + rng_magnitude(rng, most - least + 1) - 1
                                 : rng_between(rng, least, most);
    return draw && !without ? value : initial;
}

static void draw_settings(struct utcp_settings *settings, struct rng *rng, const struct cuts *cuts)
{
    utcp_settings_init(settings);
#define DRAW(name, initial, least, most, unit, text)                                  \
    settings->name = draw_setting(rng, cuts->without[SETTING_##name], #name, initial, \
                                  (uint64_t)(least), (uint64_t)(most));
    UTCP_SETTINGS(DRAW)
#undef DRAW
}

/* A line that dies for good leaves connections that only their own patience ends. */
static void limit_patience(struct utcp_settings *settings, struct rng *rng)
{
    settings->syn_retries = rng_between(rng, 0, 6);
    settings->synack_retries = rng_between(rng, 0, 5);
    settings->retries = rng_between(rng, 1, 8);
    settings->orphan_retries = rng_between(rng, 1, 8);
}

void host_init(struct host *host, struct world *world, int index, uint64_t seed)
{
    *host = (struct host){.world = world, .index = index, .rng = {seed}};
    host->config = (struct utcp_config){
        .allocator = {host_alloc, host_free, host},
        .random = {host_random, host},
        .addr = world_endpoint(index, 0).addr,
        .mtu_bytes = ETHERNET_MTU,
    };
    utcp_settings_init(&host->config.settings);
}

static void draw_config(struct host *host)
{
    struct rng *rng = &host->rng;
    const struct cuts *cuts = host->world->cuts;
    size_t algorithms = 1; /* there is always the default */

    while (utcp_congestion_name(algorithms) != NULL)
        algorithms++;
    if (!rng_chance(rng, 500))
        host->config.mtu_bytes = (uint32_t)rng_between(rng, MTU_LEAST, 9000);
    host->config.congestion = utcp_congestion_name(rng_between(rng, 0, algorithms - 1));
    if (cuts->without[FAULT_odd_mtu])
        host->config.mtu_bytes = ETHERNET_MTU;
    if (cuts->without[FAULT_congestion])
        host->config.congestion = NULL;
    draw_settings(&host->config.settings, rng, cuts);
    if (host->world->end != UTCP_NEVER)
        limit_patience(&host->config.settings, rng);
}

static void draw_device(struct host *host)
{
    struct rng *rng = &host->rng;
    const bool *without = host->world->cuts->without;

    host->uncut = rng_chance(rng, 500) ? rng_magnitude(rng, 1000) : 0;
    host->vouched = rng_chance(rng, 300) ? rng_magnitude(rng, 1000) : 0;
    host->hold = rng_chance(rng, 300) ? rng_magnitude(rng, 1000) : 0;
    host->slack = rng_chance(rng, 300) ? rng_magnitude(rng, 10 * UTCP_MSEC) : 0;
    host->accept_delay = rng_chance(rng, 300) ? rng_magnitude(rng, UTCP_SEC) : 0;
    host->forge_every = rng_chance(rng, 200) ? rng_between(rng, UTCP_MSEC, UTCP_SEC) : 0;
    host->mtu_every = rng_chance(rng, 100) ? rng_between(rng, UTCP_MSEC, UTCP_SEC) : 0;
    host->unlisten_at = rng_chance(rng, 30) ? rng_magnitude(rng, 2 * UTCP_SEC) : UTCP_NEVER;
    host->uncut *= !without[FAULT_uncut];
    host->vouched *= !without[FAULT_vouching];
    host->hold *= !without[FAULT_holding];
    host->slack *= !without[FAULT_slack];
    host->accept_delay *= !without[FAULT_backlog];
    host->forge_every *= !without[FAULT_forgery];
    host->mtu_every *= !without[FAULT_device_mtu];
    if (without[FAULT_closing])
        host->unlisten_at = UTCP_NEVER;
}

bool host_create(struct host *host)
{
    host->stack = utcp_create(&host->config, 0);
    return host->stack != NULL;
}

void host_listen(struct host *host, unsigned backlog)
{
    struct utcp_endpoint local = world_endpoint(host->index, LISTEN_PORT);

    host->listener = utcp_open(host->stack, host);
    if (host->listener == NULL || utcp_bind(host->listener, &local) != 0 ||
        utcp_listen(host->listener, backlog) != 0)
        world_fail(host->world, "a stack listens");
}

static void draw_host(struct world *world, int index, uint64_t seed)
{
    struct host *host = &world->hosts[index];
    unsigned backlog;

    host_init(host, world, index, seed + plant_chance(world));
    draw_config(host);
    draw_device(host);
    if (!host_create(host)) {
        world_fail(world, "a stack can be made");
        return;
    }
    backlog = (unsigned)rng_magnitude(&host->rng, 16) - 1;
    host_listen(host, world->cuts->without[FAULT_backlog] ? PAIRS_MAX : backlog);
    /* Not before all that is there: what cannot be made tells nothing. */
    host->no_memory = rng_chance(&host->rng, 100) ? rng_magnitude(&host->rng, 100) : 0;
    host->no_memory *= !world->cuts->without[FAULT_memory];
    host->renege_every =
        rng_chance(&host->rng, 100) ? rng_between(&host->rng, UTCP_MSEC, UTCP_SEC) : 0;
    host->renege_every *= !world->cuts->without[FAULT_reneging];
    if (host->renege_every > 0)
        world_schedule(world, EVENT_RENEGE, index, host->renege_every);
    if (host->forge_every > 0)
        world_schedule(world, EVENT_FORGE, index, host->forge_every);
    if (host->mtu_every > 0)
        world_schedule(world, EVENT_MTU, index, host->mtu_every);
    if (host->unlisten_at != UTCP_NEVER)
        world_schedule(world, EVENT_UNLISTEN, index, host->unlisten_at);
}

void host_change_mtu(struct host *host)
{
    struct world *world = host->world;

    host->config.mtu_bytes = (uint32_t)rng_between(&host->rng, MTU_LEAST, 9000);
    utcp_set_mtu(host->stack, host->config.mtu_bytes, host_now(host));
    if (!world_done(world))
        world_schedule(world, EVENT_MTU, host->index, world->now + host->mtu_every);
}

static void draw_narrow_ways(struct world *world, struct rng *rng)
{
    for (int i = 0; i < HOSTS; i++) {
        bool narrow = rng_chance(rng, 100);
        uint64_t least = world->hosts[i].config.settings.min_pmtu;
        uint64_t seed = rng_next(rng);
        struct rng own = world->links[i].rng;

        if (!narrow || world->cuts->without[FAULT_path_mtu])
            continue;
        world->links[i].rng.state = seed;
        link_draw_mtu(&world->links[i], (uint32_t)least, (uint32_t)least + 1500);
        world->links[i].rng = own;
    }
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

/* Listeners that close, and lines that die, spare nobody. */
static bool stays_polite(const struct world *world, const struct pair *pair)
{
    return pair->polite && pair->previous == NULL && world->end == UTCP_NEVER &&
           world->hosts[0].unlisten_at == UTCP_NEVER && world->hosts[1].unlisten_at == UTCP_NEVER;
}

/* The same ports again, once everything from the connection before has arrived: without TIME-WAIT
 * (an abort, or the setting) nothing else would keep them apart. And the clock of RFC 6528 must have
 * ticked, or both would begin with the same number. */
static void reuse_ports(struct world *world, struct pair *pair, struct rng *rng)
{
    struct pair *previous = pair - 1;

    if (previous->simultaneous || pair->simultaneous)
        return;
    pair->previous = previous;
    previous->next = pair;
    pair->opener = previous->opener;
    pair->pause_ns = link_lifetime(&world->links[0]) + link_lifetime(&world->links[1]) + UTCP_MSEC +
                     rng_magnitude(rng, 100 * UTCP_SEC);
}

/* most is about how many bytes it may exchange. */
static void draw_pair(struct world *world, struct rng *rng, int index, uint64_t most)
{
    struct pair *pair = &world->pairs[index];
    bool reuse = rng_chance(rng, 100);

    pair->index = index;
    pair_draw(pair, rng, most, world->cuts);
    /* SYNs cross only on a line that is long enough. */
    if (world->links[0].delay_ns < 5 * UTCP_MSEC || world->links[1].delay_ns < 5 * UTCP_MSEC)
        pair->simultaneous = false;
    if (reuse && index > 0 && !world->cuts->without[FAULT_reuse])
        reuse_ports(world, pair, rng);
    pair->polite = stays_polite(world, pair);
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
        const struct link *link = &world->links[i];
        uint64_t narrow = host->config.settings.rcv_buf;

        if (narrow > host->config.settings.snd_buf)
            narrow = host->config.settings.snd_buf;
        if (link->window_most > 0 && narrow > link->window_most)
            narrow = link->window_most;
        if (most > 300 * narrow)
            most = 300 * narrow;
        if (most > UINT64_C(1000) * host->config.mtu_bytes)
            most = UINT64_C(1000) * host->config.mtu_bytes;
    }
    return most;
}

/* Mostly few, seldom many. */
static int draw_count(struct rng *rng)
{
    uint64_t most = rng_chance(rng, 700) ? 4 : rng_chance(rng, 800) ? 16 : PAIRS_MAX;

    return (int)rng_magnitude(rng, most);
}

static void draw_pairs(struct world *world, struct rng *rng)
{
    uint64_t most = most_bytes(world);

    world->pair_count = draw_count(rng);
    most = most / (uint64_t)world->pair_count + 1;
    world->pairs = calloc((size_t)world->pair_count, sizeof(*world->pairs));
    world->apps = calloc(2 * (size_t)world->pair_count, sizeof(*world->apps));
    if (world->pairs == NULL || world->apps == NULL)
        abort();
    for (int i = 0; i < world->pair_count; i++)
        draw_pair(world, rng, i, most);
}

static void begin_pairs(struct world *world)
{
    const bool *dropped = world->cuts->dropped;

    for (int i = 0; i < world->pair_count; i++) {
        struct pair *pair = &world->pairs[i];

        if (pair->previous != NULL && dropped[i - 1]) {
            pair->previous->next = NULL;
            pair->previous = NULL;
        }
        if (dropped[i] && pair->previous != NULL)
            pair->previous->next = NULL;
        if (!dropped[i] && pair->previous == NULL)
            pair_begin(world, pair);
    }
}

void world_draw(struct world *world)
{
    struct rng rng = {world->seed};

    world->end = UTCP_NEVER;
    for (int i = 0; i < HOSTS; i++) {
        link_draw(&world->links[i], rng_next(&rng), world->cuts);
        if (world->links[i].dead_at < world->end)
            world->end = world->links[i].dead_at;
    }
    for (int i = 0; i < HOSTS; i++)
        draw_host(world, i, rng_next(&rng));
    draw_narrow_ways(world, &rng);
    draw_pairs(world, &rng);
    for (int i = 0; i < HOSTS && !world->cuts->without[FAULT_wraparound]; i++)
        set_clock(&world->hosts[i], &world->pairs[0]);
    begin_pairs(world);
}
