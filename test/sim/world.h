/* SPDX-License-Identifier: MIT */
/*
 * The simulated world: two hosts with a stack each, a link each way, programs on both, and one
 * queue of what happens next. Everything in it follows from the seed.
 *
 * After each event both stacks are pulled until they have nothing left to send and nothing left to
 * tell; then both are checked. A broken invariant ends the run with a sentence.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "app.h"
#include "cuts.h"
#include "link.h"
#include "plant.h"
#include "rng.h"
#include "trace.h"
#include "utcp.h"
#include "watch.h"

#define HOSTS 2
#define LISTEN_PORT 80

/* A packet under way: hurt when the link has inverted bits of it. */
struct packet {
    size_t len;
    unsigned flags;
    bool hurt;
    uint8_t bytes[];
};

enum event_kind {
    EVENT_PACKET,
    EVENT_APP,
    EVENT_ACCEPT,
    EVENT_FORGE, /* somebody sends the host a segment in its peer's name */
    EVENT_MTU,   /* its device gets another MTU */
    EVENT_UNLISTEN,
    EVENT_RENEGE, /* it drops what lies beyond holes, as it may: RFC 2018 section 8 */
};

struct event {
    utcp_time time;
    uint64_t order; /* among those of the same time */
    enum event_kind kind;
    int host;
    void *subject; /* struct packet, struct app, or NULL */
};

/*
 * origin       what the host's clock shows when the world's shows 0
 * slack        how late the host notices a deadline
 * uncut        permille of the big packets that are delivered as they are
 * vouched      permille of good packets that come with a device's word for the checksum
 * no_memory    permille of allocations that fail
 * live_bytes   that the stack has from the allocator now
 * forge_every  the mean time between forged segments, 0 = none come; so many came
 * renege_every the mean time between drops of what lies beyond holes, 0 = it keeps that; so many were
 * mtu_every    the time between changes of its device's MTU, 0 = it has none
 * unlisten_at  when its listener closes, UTCP_NEVER = at the end
 * held         a packet whose utcp_output_done() is put off until the next is fetched
 */
struct host {
    struct world *world;
    int index;
    struct rng rng;
    utcp_time origin, slack;
    uint64_t uncut, vouched, hold, no_memory;
    size_t live_bytes;
    struct utcp_config config;
    struct utcp_stack *stack;
    struct utcp_conn *listener;
    utcp_time accept_delay, forge_every, renege_every, mtu_every, unlisten_at;
    uint64_t forged, reneged;
    struct utcp_packet held;
    bool holding;
};

/*
 * bulk           it is about how fast: nothing is checked, and bytes are not looked at
 * plant          a mistake made on purpose, to see that it is found
 * pairs, apps    as many as there are of the first, and room for twice as many of the second
 * end            when the programs give up: a line dies for good, UTCP_NEVER = none does
 * last_progress  when a program last got on
 * idle_packets   sent since then
 * answering      what is sent now answers a pure ACK inside the window
 */
struct world {
    uint64_t seed;
    const struct cuts *cuts;
    bool bulk;
    const struct plant *plant;
    bool planted;
    utcp_time now, end;
    struct host hosts[HOSTS];
    struct link links[HOSTS]; /* by the sending host */
    struct pair *pairs;
    int pair_count;
    struct app *apps;
    int app_count;
    struct watch watch;
    struct trace trace;
    struct event *events; /* a heap */
    size_t event_count, event_room;
    uint64_t event_order;
    utcp_time last_progress;
    uint64_t idle_packets, packets;
    bool answering;
    uint64_t hash;       /* of every packet with its time */
    const char *failure; /* the sentence that is not true, NULL = none */
};

/*
 * Makes the world of a seed, runs it to its end and takes it down. Returns the failure. plant is a
 * mistake to be made, or NULL.
 */
const char *world_run(struct world *world, uint64_t seed, const struct cuts *cuts,
                      const struct plant *plant, bool live);

/* Goes to the next moment at which something happens; false = never again. */
bool world_step(struct world *world);

/* Ends it at any moment, and frees all that it has. */
void world_tear_down(struct world *world);

/* True when every program has come to its end. */
bool world_done(const struct world *world);

/* Something is to happen to a host. */
void world_schedule(struct world *world, enum event_kind kind, int host, utcp_time time);

/* Remembers the first invariant that broke. */
void world_fail(struct world *world, const char *sentence);

/* Has a copy of the packet arrive; the copy is the caller's to change until it returns. */
struct packet *world_deliver(struct world *world, int host, utcp_time time, const uint8_t *bytes,
                             size_t len, unsigned flags);

void world_wake(struct world *world, struct app *app, utcp_time time);

/* A program got on: bytes moved, a connection began or ended. */
void world_progress(struct world *world);

/* A segment of the host, and what became of it, in a word. */
void world_trace(struct world *world, int host, const struct tcp_segment *segment,
                 const char *fate);

void world_note(struct world *world, const struct app *app, const char *what, uint64_t count,
                uint64_t total);

static inline utcp_time host_now(const struct host *host)
{
    return host->world->now + host->origin;
}

struct utcp_endpoint world_endpoint(int host, uint16_t port);

/* ---- setup.c ---- */

/* Draws hosts, links and programs, and creates the stacks. */
void world_draw(struct world *world);

/* A host on an Ethernet, with all the defaults. */
void host_init(struct host *host, struct world *world, int index, uint64_t seed);

/* Creates the stack of a host whose configuration is filled in; false = it cannot be. */
bool host_create(struct host *host);

/* Has it listen on LISTEN_PORT. */
void host_listen(struct host *host, unsigned backlog);

/* A device gets another MTU. */
void host_change_mtu(struct host *host);

/* ---- forge.c ---- */

/* Sends the host a segment that its peer never sent, with such guesses as RFC 5961 and RFC 5927 say
 * that a connection survives. */
void forge(struct host *host);

#endif
