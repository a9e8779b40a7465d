/* SPDX-License-Identifier: MIT */
#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "stack.h"

#define PACKET_MOST 65535
#define OUTPUTS_MOST 20000
#define EVENTS_MOST 5000000
#define IDLE_PACKETS_MOST 20000
#define IDLE_TIME_MOST (2 * 3600 * UTCP_SEC)

void world_fail(struct world *world, const char *sentence)
{
    if (world->failure == NULL)
        world->failure = sentence;
}

void world_progress(struct world *world)
{
    world->last_progress = world->now;
    world->idle_packets = 0;
}

void world_note(struct world *world, const struct app *app, const char *what, uint64_t count,
                uint64_t total)
{
    struct trace_entry entry = {
        .time = world->now,
        .host = app->host,
        .what = what,
        .pair = app->pair->index,
        .count = count,
        .total = total,
    };

    trace_add(&world->trace, &entry);
}

struct utcp_endpoint world_endpoint(int host, uint16_t port)
{
    return (struct utcp_endpoint){
        .addr = {.family = UTCP_IPV4, .bytes = {10, 0, 0, (uint8_t)(1 + host)}},
        .port = port,
    };
}

/* ---- the queue of events ---- */

static bool before(const struct event *a, const struct event *b)
{
    return a->time != b->time ? a->time < b->time : a->order < b->order;
}

static void add_event(struct world *world, struct event event)
{
    size_t at = world->event_count++;

    if (world->event_count > world->event_room) {
        world->event_room = 2 * world->event_room + 64;
        world->events = realloc(world->events, world->event_room * sizeof(*world->events));
        if (world->events == NULL)
            abort();
    }
    event.order = world->event_order++;
    for (; at > 0 && before(&event, &world->events[(at - 1) / 2]); at = (at - 1) / 2)
        world->events[at] = world->events[(at - 1) / 2];
    world->events[at] = event;
}

static struct event take_event(struct world *world)
{
    struct event first = world->events[0];
    struct event last = world->events[--world->event_count];
    size_t at = 0, child;

    while ((child = 2 * at + 1) < world->event_count) {
        if (child + 1 < world->event_count &&
            before(&world->events[child + 1], &world->events[child]))
            child++;
        if (!before(&world->events[child], &last))
            break;
        world->events[at] = world->events[child];
        at = child;
    }
    world->events[at] = last;
    return first;
}

struct packet *world_deliver(struct world *world, int host, utcp_time time, const uint8_t *bytes,
                             size_t len, unsigned flags)
{
    struct packet *packet = malloc(sizeof(*packet) + len);

    if (packet == NULL)
        abort();
    packet->len = len;
    packet->flags = flags;
    packet->hurt = false;
    memcpy(packet->bytes, bytes, len);
    add_event(world,
              (struct event){.time = time, .kind = EVENT_PACKET, .host = host, .subject = packet});
    return packet;
}

void world_schedule(struct world *world, enum event_kind kind, int host, utcp_time time)
{
    add_event(world, (struct event){.time = time, .kind = kind, .host = host});
}

void world_wake(struct world *world, struct app *app, utcp_time time)
{
    if (app->wake_at > world->now && app->wake_at <= time)
        return;
    app->wake_at = time;
    add_event(world,
              (struct event){.time = time, .kind = EVENT_APP, .host = app->host, .subject = app});
}

/* ---- packets out ---- */

static void hash_bytes(struct world *world, const uint8_t *bytes, size_t len)
{
    uint64_t hash = world->hash;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3); /* FNV-1a */
    world->hash = hash;
}

void world_trace(struct world *world, int host, const struct tcp_segment *segment, const char *fate)
{
    const struct flow *flow = watch_find(world, host, segment->src.port, segment->dst.port);
    const struct flow *peer = watch_find(world, !host, segment->dst.port, segment->src.port);
    struct trace_entry entry = {
        .time = world->now,
        .host = host,
        .fate = fate,
        .segment = *segment,
        .seq_base = flow != NULL ? flow->iss : 0,
        .ack_base = peer != NULL ? peer->iss : 0,
    };

    trace_add(&world->trace, &entry);
}

static void transmit(struct host *host, uint8_t *bytes, size_t len, unsigned flags)
{
    struct world *world = host->world;
    struct tcp_segment segment = {0};
    const char *broken, *fate;

    if (world->bulk) {
        link_send(world, host->index, bytes, len, UTCP_INPUT_CSUM_OK);
        return;
    }
    plant_in_packet(world, host->index, bytes, len);
    broken = watch_sent(world, host->index, bytes, len, flags == 0, host_now(host), &segment);
    if (flags == 0 && rng_chance(&host->rng, host->vouched))
        flags = UTCP_INPUT_CSUM_OK;
    hash_bytes(world, (const uint8_t *)&world->now, sizeof(world->now));
    hash_bytes(world, bytes, len);
    fate = link_send(world, host->index, bytes, len, flags);
    world_trace(world, host->index, &segment, fate);
    if (broken != NULL)
        world_fail(world, broken);
    world->packets++;
    if (++world->idle_packets > IDLE_PACKETS_MOST)
        world_fail(world, "packets bring the programs on");
}

static void transmit_whole(struct host *host, const struct utcp_packet *packet)
{
    static uint8_t bytes[PACKET_MOST];
    size_t len = packet->header_len;

    memcpy(bytes, packet->header, len);
    for (size_t i = 0; i < 2; i++) {
        if (packet->payload[i].len > 0)
            memcpy(bytes + len, packet->payload[i].data, packet->payload[i].len);
        len += packet->payload[i].len;
    }
    if (packet->header_len + packet->segment_bytes > host->config.mtu_bytes)
        world_fail(host->world, "no segment is longer than the MTU");
    transmit(host, bytes, len, UTCP_INPUT_CSUM_OK);
}

static void transmit_cut(struct host *host, const struct utcp_packet *packet)
{
    static uint8_t bytes[PACKET_MOST];
    size_t offset = 0, len;

    while ((len = utcp_cut_next(packet, &offset, bytes)) > 0) {
        if (len > host->config.mtu_bytes)
            world_fail(host->world, "no segment is longer than the MTU");
        transmit(host, bytes, len, 0);
    }
}

static void release(struct host *host)
{
    if (host->holding)
        utcp_output_done(host->stack, &host->held);
    host->holding = false;
}

static void check(struct world *world)
{
    if (world->bulk)
        return;
    plant_in_stack(world);
    for (int i = 0; i < HOSTS; i++) {
        const char *broken = utcp_check(world->hosts[i].stack);

        if (broken != NULL)
            world_fail(world, broken);
    }
}

/* A line with a rate has a queue that a big packet would not fit in, and so has a narrow way. */
static bool goes_uncut(struct host *host, const struct utcp_packet *packet)
{
    const struct link *link = &host->world->links[host->index];

    return packet->segment_bytes > 0 && link->rate == 0 && link->narrow_mtu == 0 &&
           rng_chance(&host->rng, host->uncut);
}

static bool pull(struct host *host)
{
    struct world *world = host->world;
    struct utcp_packet packet;
    int outputs = 0;

    release(host);
    while (world->failure == NULL && utcp_output(host->stack, &packet, host_now(host))) {
        if (goes_uncut(host, &packet))
            transmit_whole(host, &packet);
        else
            transmit_cut(host, &packet);
        release(host);
        if (rng_chance(&host->rng, host->hold)) {
            host->held = packet;
            host->holding = true;
        } else {
            utcp_output_done(host->stack, &packet);
        }
        check(world);
        if (++outputs > OUTPUTS_MOST)
            world_fail(world, "output comes to an end");
    }
    if (world->failure == NULL && utcp_output_pending(host->stack))
        world_fail(world, "nothing is pending once output has been pulled");
    return outputs > 0;
}

/* ---- events in ---- */

/* Which pair a connection to a listener belongs to: ports and the opener's number tell. */
static struct pair *find_pair(struct world *world, int host, const struct utcp_conn *conn)
{
    for (int i = 0; i < world->pair_count; i++) {
        struct pair *pair = &world->pairs[i];

        if (pair->ports[host] == conn->local.port && pair->ports[!host] == conn->remote.port &&
            pair->iss[!host] == conn->irs)
            return pair;
    }
    return NULL;
}

static void accept_all(struct host *host)
{
    struct world *world = host->world;
    struct app *next = &world->apps[world->app_count];
    struct utcp_conn *conn;
    struct pair *pair;

    while (host->listener != NULL && world->app_count < 2 * world->pair_count &&
           (conn = utcp_accept(host->listener, next)) != NULL) {
        pair = find_pair(world, host->index, conn);
        if (pair == NULL || pair->apps[host->index] != NULL) {
            world_fail(world, "a connection is accepted once");
            return;
        }
        app_run(app_begin(world, pair, host->index, conn));
        next = &world->apps[world->app_count];
    }
}

static void tell(struct host *host, const struct utcp_event *event)
{
    struct world *world = host->world;

    if (event->user == host && host->accept_delay > 0)
        world_schedule(world, EVENT_ACCEPT, host->index, world->now + host->accept_delay);
    else if (event->user == host)
        accept_all(host);
    else if (((struct app *)event->user)->conn != event->conn)
        world_fail(world, "nothing is told of a connection that was let go");
    else
        app_run(event->user);
}

/* A window that was closed opens as soon as all is read, without waiting for the peer's probe. */
static void check_window(struct world *world, const struct app *app)
{
    const struct pair *pair = app->pair;
    const struct flow *flow =
        watch_find(world, app->host, pair->ports[app->host], pair->ports[!app->host]);
    struct utcp_info info;

    if (app->conn == NULL || flow == NULL || flow->pair != pair || !flow->acked ||
        flow->ack != flow->edge)
        return;
    utcp_info(app->conn, host_now(&world->hosts[app->host]), &info);
    if (info.rcv_queued == 0 && (info.state == TCP_ESTABLISHED || info.state == TCP_FIN_WAIT_1 ||
                                 info.state == TCP_FIN_WAIT_2))
        world_fail(world, "a window does not stay closed once all is read");
}

static bool is_there(const struct utcp_conn *conn, const struct range *range)
{
    struct range held;

    return seq_le(range->to, conn->rcv_nxt) ||
           (ranges_holding(&conn->out_of_order, range->from, &held) &&
            seq_ge(held.to, range->to)) ||
           (conn->fin_seen && range->to == conn->fin_seq + 1);
}

/* The scoreboard against what was seen of it on the wire. */
static void check_transmissions(struct world *world, const struct app *app)
{
    const struct pair *pair = app->pair;
    struct flow *flow =
        watch_find(world, app->host, pair->ports[app->host], pair->ports[!app->host]);
    const char *broken;

    if (app->conn == NULL || flow == NULL || flow->pair != pair)
        return;
    broken = board_check(&flow->board, app->conn);
    if (broken != NULL)
        world_fail(world, broken);
}

/* And against the truth. */
static void check_scoreboard(struct world *world, const struct app *app)
{
    const struct app *peer = app->pair->apps[!app->host];
    const struct ranges *sacked;

    if (app->conn == NULL || peer == NULL || peer->conn == NULL || app->pair->reneged ||
        peer->conn->irs != app->conn->iss)
        return;
    sacked = &app->conn->flight.sacked;
    for (uint32_t i = 0; i < sacked->count; i++) {
        if (!is_there(peer->conn, &sacked->items[i]))
            world_fail(world, "what is held to be SACKed is with the peer");
    }
}

static void check_app(struct world *world, const struct app *app)
{
    check_window(world, app);
    check_transmissions(world, app);
    check_scoreboard(world, app);
}

/* Until neither stack has anything to send or to tell. */
static void settle(struct world *world)
{
    bool busy = true;

    while (busy && world->failure == NULL) {
        busy = false;
        for (int i = 0; i < HOSTS; i++) {
            struct host *host = &world->hosts[i];
            struct utcp_event event;

            busy = pull(host) || busy;
            while (world->failure == NULL && utcp_next_event(host->stack, &event)) {
                if (!plant_swallows(world))
                    tell(host, &event);
                check(world);
                busy = true;
            }
        }
    }
    for (int i = 0; i < world->app_count && world->failure == NULL && !world->bulk; i++)
        check_app(world, &world->apps[i]);
}

static void trace_arrival(struct world *world, int host, const struct packet *packet)
{
    struct tcp_segment segment;
    struct ipv4 ip;

    if (!world->trace.live || packet->hurt || !ipv4_parse(packet->bytes, packet->len, &ip))
        return;
    segment = (struct tcp_segment){.src.addr = ip.src, .dst.addr = ip.dst};
    if (ip.protocol == IP_TCP && !ip.fragment &&
        tcp_parse(ip.payload, ip.payload_len, false, &segment))
        world_trace(world, !host, &segment, "arrives");
}

/* As the engine does: text that is expected goes to its place, whatever it turns out to be. */
static void hand_in(struct host *host, const struct packet *packet)
{
    struct utcp_slice text;
    size_t header = packet->hurt ? 0 : utcp_expect(host->stack, &text);
    size_t len = packet->len - header;
    bool taken = false;

    if (header > 0 && packet->len > header && len <= text.len) {
        memcpy(text.data, packet->bytes + header, len);
        taken = utcp_input_expected(host->stack, packet->bytes, header,
                                    (struct utcp_slice){text.data, len}, host_now(host));
    }
    if (!taken)
        utcp_input(host->stack, packet->bytes, packet->len, packet->flags, host_now(host));
    utcp_expect_end(host->stack);
}

static void packet_arrives(struct host *host, struct packet *packet)
{
    struct world *world = host->world;

    trace_arrival(world, host->index, packet);
    world->answering = !world->bulk && !packet->hurt &&
                       watch_is_pure_ack(world, host->index, packet->bytes, packet->len);
    hand_in(host, packet);
    free(packet);
    check(world);
    /* The answer, before a program has its say. */
    pull(host);
    world->answering = false;
}

#define RENEGED_MOST 100

static void renege(struct host *host)
{
    struct world *world = host->world;

    for (int i = 0; i < world->app_count; i++) {
        struct app *app = &world->apps[i];

        if (app->host != host->index || app->conn == NULL || app->conn->out_of_order.count == 0)
            continue;
        app->conn->out_of_order.count = 0;
        app->pair->reneged = true;
        world_note(world, app, "drops what lies beyond holes", 0, 0);
    }
    /* For ever would be a peer that takes nothing but what comes in order. */
    if (!world_done(world) && ++host->reneged < RENEGED_MOST)
        world_schedule(world, EVENT_RENEGE, host->index,
                       world->now + rng_between(&host->rng, 1, 2 * host->renege_every));
}

static void unlisten(struct host *host)
{
    utcp_close(host->listener, host_now(host));
    host->listener = NULL;
}

static void happen(struct world *world, const struct event *event)
{
    struct host *host = &world->hosts[event->host];

    switch (event->kind) {
    case EVENT_PACKET:
        packet_arrives(host, event->subject);
        break;
    case EVENT_APP:
        app_run(event->subject);
        break;
    case EVENT_ACCEPT:
        accept_all(host);
        break;
    case EVENT_FORGE:
        forge(host);
        break;
    case EVENT_MTU:
        host_change_mtu(host);
        break;
    case EVENT_UNLISTEN:
        unlisten(host);
        break;
    case EVENT_RENEGE:
        renege(host);
        break;
    }
    check(world);
}

/* ---- time ---- */

/* When the host will notice its next deadline, on the world's clock. */
static utcp_time deadline_of(const struct host *host)
{
    utcp_time deadline = utcp_next_deadline(host->stack);

    if (deadline == UTCP_NEVER)
        return UTCP_NEVER;
    deadline = deadline > host->origin ? deadline - host->origin + host->slack : host->slack;
    return deadline > host->world->now ? deadline : host->world->now;
}

static void advance(struct host *host)
{
    utcp_advance(host->stack, host_now(host));
    check(host->world);
    if (utcp_next_deadline(host->stack) <= host_now(host))
        world_fail(host->world, "a deadline that has come does not stay");
}

bool world_step(struct world *world)
{
    utcp_time next = world->event_count > 0 ? world->events[0].time : UTCP_NEVER;
    struct host *due = NULL;

    for (int i = 0; i < HOSTS; i++) {
        if (deadline_of(&world->hosts[i]) < next) {
            due = &world->hosts[i];
            next = deadline_of(due);
        }
    }
    if (next == UTCP_NEVER)
        return false;
    world->now = next;
    if (due != NULL) {
        advance(due);
    } else {
        struct event event = take_event(world);

        happen(world, &event);
    }
    settle(world);
    return true;
}

/* ---- the end ---- */

bool world_done(const struct world *world)
{
    for (int i = 0; i < world->app_count; i++) {
        if (!world->apps[i].done)
            return false;
    }
    return true;
}

/* What a stack keeps for itself. */
static size_t own_bytes(const struct utcp_stack *stack)
{
    return sizeof(*stack) + stack->by_tuple_size * sizeof(struct utcp_conn *) +
           stack->deadlines_size * sizeof(struct heap_node *);
}

static void check_host_end(struct host *host)
{
    struct utcp_population population;

    if (host->listener != NULL)
        unlisten(host);
    pull(host);
    release(host);
    utcp_advance(host->stack, host_now(host));
    utcp_population(host->stack, &population);
    if (population.connections != 0)
        world_fail(host->world, "at the end no connection is left");
    if (utcp_next_deadline(host->stack) != UTCP_NEVER)
        world_fail(host->world, "at the end no timer is left");
    if (host->stack->holder_count != 0)
        world_fail(host->world, "at the end nobody has memory for buffers");
    utcp_trim(host->stack);
    if (host->live_bytes != own_bytes(host->stack))
        world_fail(host->world, "at the end no memory is left but the stack's own");
}

static void check_end(struct world *world)
{
    for (int i = 0; i < world->pair_count && world->failure == NULL; i++) {
        const char *broken = pair_check_end(&world->pairs[i]);

        if (broken != NULL)
            world_fail(world, broken);
    }
    for (int i = 0; i < HOSTS && world->failure == NULL; i++)
        check_host_end(&world->hosts[i]);
}

void world_tear_down(struct world *world)
{
    for (size_t i = 0; i < world->event_count; i++) {
        if (world->events[i].kind == EVENT_PACKET)
            free(world->events[i].subject);
    }
    free(world->events);
    for (int i = 0; i < HOSTS; i++) {
        struct host *host = &world->hosts[i];

        if (host->stack == NULL)
            continue;
        release(host);
        utcp_destroy(host->stack);
        if (host->live_bytes != 0)
            world_fail(world, "a stack that is destroyed leaves no memory");
    }
    watch_free(&world->watch);
    free(world->pairs);
    free(world->apps);
}

const char *world_run(struct world *world, uint64_t seed, const struct cuts *cuts,
                      const struct plant *plant, bool live)
{
    size_t events = 0;

    *world = (struct world){
        .seed = seed, .cuts = cuts, .plant = plant, .hash = UINT64_C(0xcbf29ce484222325)};
    world->trace.live = live;
    world_draw(world);
    while (world->failure == NULL && world_step(world)) {
        if (++events > EVENTS_MOST)
            world_fail(world, "a run comes to an end");
        if (world->now - world->last_progress > IDLE_TIME_MOST && !world_done(world))
            world_fail(world, "within two hours the programs get on");
    }
    if (world->failure == NULL)
        check_end(world);
    world_tear_down(world);
    return world->failure;
}
