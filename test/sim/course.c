/* SPDX-License-Identifier: MIT */
#include "course.h"

#include <stdlib.h>

#define SENDER 0
#define CALL_BYTES 65536

static void lay_link(struct link *link, const struct course *course, uint64_t seed)
{
    *link = (struct link){
        .rng = {seed},
        .delay_ns = course->rtt_ns / 2,
        .jitter_ns = course->rtt_ns / 200,
        .calm = 1000,
        .dead_at = UTCP_NEVER,
    };
}

static void lay_links(struct world *world, const struct course *course)
{
    struct link *way = &world->links[SENDER];

    lay_link(way, course, 1);
    lay_link(&world->links[!SENDER], course, 2);
    way->reorder = course->reorder;
    way->reorder_ns = course->reorder_ns;
    way->loss = course->loss;
    way->loss_every = course->loss_every;
    way->rate = course->rate;
    way->queue_bytes = course->queue_bytes;
    way->mark_bytes = course->marking ? course->queue_bytes / 2 : 0;
}

static void lay_host(struct world *world, int index, const struct course *course)
{
    struct host *host = &world->hosts[index];

    host_init(host, world, index, (uint64_t)index + 1);
    host->unlisten_at = UTCP_NEVER;
    host->config.settings.ecn = course->marking ? 1 : 0;
    if (!host_create(host))
        abort();
    host_listen(host, FLOWS_MAX);
}

static void lay_pair(struct pair *pair, int index, const struct course *course)
{
    *pair =
        (struct pair){.index = index, .opener = SENDER, .polite = true, .ports = {0, LISTEN_PORT}};
    for (int host = 0; host < HOSTS; host++) {
        pair->plans[host] = (struct plan){
            .ending = host == SENDER ? END_HALF_CLOSE : END_AFTER_PEER,
            .write_most = CALL_BYTES,
            .read_most = CALL_BYTES,
            .pause_ns = 1,
            .shut_rd_bytes = UINT64_MAX,
            .mtu_discover = UTCP_PMTU_WANT,
            .congestion = course->congestion[index],
        };
    }
    pair->plans[SENDER].to_send = course->bytes;
    /* Flows that begin at the same moment would go on in step. */
    pair->plans[SENDER].start_ns = (utcp_time)index * course->rtt_ns * 7 / 3;
}

void course_begin(struct world *world, const struct course *course)
{
    static const struct cuts none;

    *world = (struct world){.seed = 1, .cuts = &none, .bulk = true, .end = UTCP_NEVER};
    lay_links(world, course);
    for (int i = 0; i < HOSTS; i++)
        lay_host(world, i, course);
    while (world->pair_count < FLOWS_MAX && course->congestion[world->pair_count] != NULL)
        world->pair_count++;
    world->pairs = calloc((size_t)world->pair_count, sizeof(*world->pairs));
    world->apps = calloc(2 * (size_t)world->pair_count, sizeof(*world->apps));
    if (world->pairs == NULL || world->apps == NULL)
        abort();
    for (int i = 0; i < world->pair_count; i++) {
        lay_pair(&world->pairs[i], i, course);
        pair_begin(world, &world->pairs[i]);
    }
}

uint64_t course_received(const struct world *world, int flow)
{
    const struct app *app = world->pairs[flow].apps[!SENDER];

    return app != NULL ? app->received : 0;
}

void course_run(struct world *world, int flow, uint64_t bytes, utcp_time end)
{
    while (course_received(world, flow) < bytes && world->now < end && world_step(world))
        continue;
    if (world->failure != NULL) {
        fprintf(stderr, "sim: not true: %s\n", world->failure);
        abort();
    }
}
