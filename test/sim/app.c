/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * A program knows what any program knows: it tries a call, and when the call says -EAGAIN it waits
 * until the stack tells of readiness. It wakes by itself only when it chose to pause. So an event
 * that the stack forgets to tell leaves the program asleep, and the run ends with a sentence.
 */
#include "app.h"

#include <errno.h>
#include <string.h>

#include "stack.h"
#include "world.h"

/* How long a program waits for a peer that went away without a word that arrived. */
#define PATIENCE (60 * UTCP_SEC)

#define CALLS_AT_ONCE 16

static utcp_time now_of(const struct app *app)
{
    return host_now(&app->world->hosts[app->host]);
}

static utcp_time pause_of(struct app *app)
{
    return app->world->now + rng_between(&app->rng, 1, app->plan.pause_ns);
}

/* Of one call. */
static uint64_t draw_size(struct app *app, uint64_t most)
{
    return app->world->bulk ? most : rng_magnitude(&app->rng, most);
}

static struct app *peer_of(const struct app *app)
{
    return app->pair->apps[!app->host];
}

/* ---- the end ---- */

static void finished(struct app *app)
{
    struct app *peer = peer_of(app);

    app->conn = NULL;
    app->done = true;
    app->done_at = app->world->now;
    world_progress(app->world);
    if (peer != NULL && !peer->done && !app->pair->polite)
        world_wake(app->world, peer, app->world->now + PATIENCE);
    if (app->pair->next != NULL && pair_done(app->pair) &&
        app->pair->next->apps[app->pair->opener] == NULL)
        pair_begin(app->world, app->pair->next);
}

static void close_conn(struct app *app)
{
    world_note(app->world, app, "closes", 0, 0);
    utcp_close(app->conn, now_of(app));
    finished(app);
}

static void abort_conn(struct app *app)
{
    world_note(app->world, app, "aborts", 0, 0);
    utcp_abort(app->conn, now_of(app));
    watch_aborted(app->world, app->host, app->pair);
    finished(app);
}

static void take_error(struct app *app, long error)
{
    world_note(app->world, app, "has error", (uint64_t)-error, 0);
    app->error = (int)error;
    if (app->pair->polite)
        world_fail(app->world, "between polite programs no call fails");
    close_conn(app);
}

/* When a program gives up a peer that is gone. */
static utcp_time patience_ends(const struct app *app)
{
    const struct app *peer = peer_of(app);
    utcp_time end = app->world->end;

    if (app->pair->polite || peer == NULL || !peer->done || peer->done_at > end)
        return end == UTCP_NEVER ? end : end + PATIENCE;
    return peer->done_at + PATIENCE;
}

static bool wants_abort(const struct app *app)
{
    const struct plan *plan = &app->plan;
    utcp_time now = app->world->now;

    if (now >= patience_ends(app))
        return true;
    return plan->ending == END_ABORT &&
           (now >= plan->abort_ns || app->sent + app->received >= plan->abort_bytes);
}

/* Shuts or closes, whatever the plan says comes now. */
static void end_if_due(struct app *app)
{
    bool written = app->sent == app->plan.to_send;

    if (app->to_commit_sent > 0 || app->to_commit_read > 0)
        return;
    if (app->plan.ending == END_AFTER_PEER && !app->eof)
        return;
    if (written && app->plan.ending == END_CLOSE) {
        close_conn(app);
        return;
    }
    if (written && !app->shut) {
        world_note(app->world, app, "shuts sending", 0, 0);
        app->shut = true;
        if (utcp_shutdown(app->conn, UTCP_SHUT_WR, now_of(app)) != 0 && app->pair->polite)
            world_fail(app->world, "a polite program can shut sending");
    }
    if (app->shut && app->eof)
        close_conn(app);
}

static void shut_receiving(struct app *app)
{
    world_note(app->world, app, "shuts receiving", 0, 0);
    app->shut_rd = true;
    utcp_shutdown(app->conn, UTCP_SHUT_RD, now_of(app));
}

/* ---- writing ---- */

static void fill(struct app *app, const struct utcp_slice space[2], size_t len)
{
    uint32_t pattern = app->pair->patterns[app->host];

    if (app->world->bulk)
        return;
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = pattern_byte(pattern, app->sent + i);

        if (i < space[0].len)
            space[0].data[i] = byte;
        else
            space[1].data[i - space[0].len] = byte;
    }
}

static void commit_write(struct app *app, size_t len)
{
    app->sent += len;
    world_note(app->world, app, "writes", len, app->sent);
    utcp_send_commit(app->conn, len, 0, now_of(app));
    world_progress(app->world);
    app->to_commit_sent = 0;
    if (rng_chance(&app->rng, app->plan.write_pause))
        app->next_write = pause_of(app);
}

static bool may_write(const struct app *app)
{
    return app->conn != NULL && app->sent < app->plan.to_send && !app->shut &&
           app->to_commit_sent == 0 && app->next_write <= app->world->now &&
           (app->plan.ending != END_AFTER_PEER || app->received > 0 || app->eof);
}

/* One call; false = nothing more can be written now. */
static bool write_some(struct app *app)
{
    struct utcp_slice space[2];
    uint64_t len = draw_size(app, app->plan.write_most);
    unsigned ready = utcp_ready(app->conn);
    long room = utcp_send_space(app->conn, space);

    if (room == -EAGAIN) {
        if ((ready & UTCP_OUT) != 0)
            world_fail(app->world, "what is writable can be written to");
        return false;
    }
    if (room == -ENOBUFS) {
        app->next_write = app->world->now + UTCP_MSEC;
        return false;
    }
    if (room < 0) {
        take_error(app, room);
        return false;
    }
    if (len > app->plan.to_send - app->sent)
        len = app->plan.to_send - app->sent;
    if (len > (uint64_t)room)
        len = (uint64_t)room;
    fill(app, space, len);
    if (!rng_chance(&app->rng, app->plan.lazy)) {
        commit_write(app, len);
        return true;
    }
    app->to_commit_sent = len;
    app->commit_write = pause_of(app);
    return false;
}

/* ---- reading ---- */

static void check_bytes(struct app *app, const struct utcp_slice data[2], size_t len)
{
    uint32_t pattern = app->pair->patterns[!app->host];

    if (app->world->bulk)
        return;
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = i < data[0].len ? data[0].data[i] : data[1].data[i - data[0].len];

        if (byte != pattern_byte(pattern, app->received + i)) {
            world_fail(app->world, "bytes delivered are the bytes sent, in order, once");
            return;
        }
    }
}

/* Looks at the bytes again: they must not have changed while they were being copied. */
static void commit_read(struct app *app, size_t len)
{
    struct utcp_slice data[2];

    if (utcp_receive_data(app->conn, data) < (long)len)
        world_fail(app->world, "bytes that wait do not go away");
    else
        check_bytes(app, data, len);
    app->received += len;
    world_note(app->world, app, "reads", len, app->received);
    utcp_receive_commit(app->conn, len, now_of(app));
    world_progress(app->world);
    app->to_commit_read = 0;
    if (rng_chance(&app->rng, app->plan.read_pause))
        app->next_read = pause_of(app);
}

static bool may_read(const struct app *app)
{
    return app->conn != NULL && !app->eof && app->to_commit_read == 0 &&
           app->plan.ending != END_CLOSE && app->next_read <= app->world->now;
}

static bool read_end(struct app *app)
{
    const struct app *peer = peer_of(app);

    world_note(app->world, app, "reads the end", 0, app->received);
    app->eof = true;
    world_progress(app->world);
    if (app->pair->polite && (peer == NULL || app->received != peer->plan.to_send))
        world_fail(app->world, "the end of data comes behind all data");
    return false;
}

/* One call; false = nothing more can be read now. */
static bool read_some(struct app *app)
{
    struct utcp_slice data[2];
    uint64_t len = draw_size(app, app->plan.read_most);
    unsigned ready = utcp_ready(app->conn);
    long waiting = utcp_receive_data(app->conn, data);

    if ((waiting == -EAGAIN) != ((ready & UTCP_IN) == 0))
        world_fail(app->world, "what is readable can be read, and nothing else");
    if (waiting == -EAGAIN)
        return false;
    if (waiting == 0)
        return read_end(app);
    if (waiting < 0) {
        take_error(app, waiting);
        return false;
    }
    if (len > (uint64_t)waiting)
        len = (uint64_t)waiting;
    check_bytes(app, data, len);
    if (!rng_chance(&app->rng, app->plan.lazy)) {
        commit_read(app, len);
        return true;
    }
    app->to_commit_read = len;
    app->commit_read = pause_of(app);
    return false;
}

/* ---- opening ---- */

static void choose_congestion(struct app *app)
{
    const char *name;

    for (size_t i = 0; (name = utcp_congestion_name(i)) != NULL; i++) {
        if (strcmp(name, app->plan.congestion) == 0)
            utcp_set_option(app->conn, UTCP_OPT_CONGESTION, i);
    }
}

static void set_options(struct app *app)
{
    const struct plan *plan = &app->plan;

    utcp_set_option(app->conn, UTCP_OPT_NODELAY, plan->nodelay);
    utcp_set_option(app->conn, UTCP_OPT_MTU_DISCOVER, plan->mtu_discover);
    if (plan->snd_buf > 0)
        utcp_set_option(app->conn, UTCP_OPT_SND_BUF, plan->snd_buf);
    if (plan->rcv_buf > 0)
        utcp_set_option(app->conn, UTCP_OPT_RCV_BUF, plan->rcv_buf);
    if (plan->maxseg > 0)
        utcp_set_option(app->conn, UTCP_OPT_MAXSEG, plan->maxseg);
    if (plan->congestion != NULL)
        choose_congestion(app);
}

/* A port that was in use before may be so still. */
static bool bind_conn(struct app *app)
{
    struct utcp_endpoint local = world_endpoint(app->host, app->pair->ports[app->host]);

    if (app->pair->previous != NULL)
        utcp_set_option(app->conn, UTCP_OPT_REUSEADDR, true);
    if (local.port == 0 || utcp_bind(app->conn, &local) == 0)
        return true;
    if (app->pair->previous == NULL)
        world_fail(app->world, "a free port can be bound");
    utcp_close(app->conn, now_of(app));
    app->conn = NULL;
    return false;
}

static bool open_conn(struct app *app)
{
    app->conn = utcp_open(app->world->hosts[app->host].stack, app);
    if (app->conn == NULL)
        return false;
    set_options(app);
    return bind_conn(app);
}

static void retry_after(struct app *app, utcp_time most)
{
    app->retry_at = app->world->now + rng_between(&app->rng, 1, most);
}

static void connect_conn(struct app *app)
{
    struct pair *pair = app->pair;
    struct utcp_endpoint remote = world_endpoint(!app->host, pair->ports[!app->host]);
    int error = utcp_connect(app->conn, &remote, now_of(app));

    world_note(app->world, app, error == 0 ? "connects" : "cannot connect", 0, 0);
    /* The connection that had these ports before is in TIME-WAIT. */
    if (error == -EADDRNOTAVAIL && pair->previous != NULL) {
        retry_after(app, UTCP_SEC);
        return;
    }
    if (error != 0)
        world_fail(app->world, "a connection can be begun");
    pair->ports[app->host] = app->conn->local.port;
    pair->iss[app->host] = app->conn->iss;
    app->retry_at = UTCP_NEVER;
}

/* Two that open at once may miss each other: the first SYN comes before the other side has begun,
 * and is refused. They try until their SYNs cross. */
static void connection_failed(struct app *app)
{
    int error = utcp_take_error(app->conn);

    if (!app->pair->simultaneous || error != -ECONNREFUSED) {
        take_error(app, error != 0 ? error : -ECONNABORTED);
        return;
    }
    world_note(app->world, app, "is refused", 0, 0);
    retry_after(app, 50 * UTCP_MSEC);
}

/* Goes on with opening; true = the connection stands. */
static bool open_further(struct app *app)
{
    struct utcp_info info;

    if (app->connected)
        return true;
    if (app->conn == NULL && !open_conn(app)) {
        retry_after(app, app->pair->previous != NULL ? UTCP_SEC : UTCP_MSEC);
        return false;
    }
    if (app->retry_at <= app->world->now)
        connect_conn(app);
    utcp_info(app->conn, now_of(app), &info);
    if (info.state == TCP_CLOSED && app->retry_at == UTCP_NEVER)
        connection_failed(app);
    if (app->conn == NULL || info.state == TCP_CLOSED || info.state == TCP_SYN_SENT ||
        info.state == TCP_SYN_RECEIVED)
        return false;
    world_note(app->world, app, "is connected", 0, 0);
    world_progress(app->world);
    app->connected = true;
    return true;
}

/* ---- one turn ---- */

static utcp_time earlier(utcp_time a, utcp_time b, utcp_time now)
{
    return b > now && b < a ? b : a;
}

static void sleep_until_needed(struct app *app)
{
    utcp_time now = app->world->now;
    utcp_time at = UTCP_NEVER;

    if (app->done)
        return;
    at = earlier(at, app->next_write, now);
    at = earlier(at, app->next_read, now);
    at = earlier(at, app->to_commit_sent > 0 ? app->commit_write : UTCP_NEVER, now);
    at = earlier(at, app->to_commit_read > 0 ? app->commit_read : UTCP_NEVER, now);
    at = earlier(at, app->retry_at, now);
    at = earlier(at, patience_ends(app), now);
    if (app->plan.ending == END_ABORT)
        at = earlier(at, app->plan.abort_ns, now);
    if (at != UTCP_NEVER)
        world_wake(app->world, app, at);
}

/* Many calls in one turn, but not for ever: a program that is never out of work lets others run. */
static void read_and_write(struct app *app)
{
    utcp_time now = app->world->now;
    int calls = 0;

    if (app->to_commit_sent > 0 && app->commit_write <= now)
        commit_write(app, app->to_commit_sent);
    if (app->to_commit_read > 0 && app->commit_read <= now)
        commit_read(app, app->to_commit_read);
    while (calls < CALLS_AT_ONCE && may_read(app) && read_some(app))
        calls++;
    while (calls < CALLS_AT_ONCE && may_write(app) && write_some(app))
        calls++;
    if (app->conn != NULL && !app->shut_rd && app->received >= app->plan.shut_rd_bytes)
        shut_receiving(app);
    if (app->conn != NULL)
        end_if_due(app);
    if (!app->done && calls == CALLS_AT_ONCE)
        world_wake(app->world, app, now + UTCP_USEC);
}

void app_run(struct app *app)
{
    if (app->done)
        return;
    if (app->conn != NULL && wants_abort(app))
        abort_conn(app);
    else if (open_further(app))
        read_and_write(app);
    sleep_until_needed(app);
}

/* ---- beginning ---- */

struct app *app_begin(struct world *world, struct pair *pair, int host, struct utcp_conn *conn)
{
    struct app *app = &world->apps[world->app_count++];

    app->world = world;
    app->pair = pair;
    app->host = host;
    app->conn = conn;
    app->plan = pair->plans[host];
    app->rng.state = pair->patterns[host];
    app->plan.start_ns += pair->pause_ns;
    app->plan.abort_ns += app->plan.start_ns;
    app->next_read = world->now + app->plan.first_read_ns;
    app->retry_at = conn != NULL ? UTCP_NEVER : app->plan.start_ns;
    app->connected = conn != NULL;
    app->wake_at = UTCP_NEVER;
    pair->apps[host] = app;
    return app;
}

void pair_begin(struct world *world, struct pair *pair)
{
    const struct pair *previous = pair->previous;

    if (previous != NULL && previous->apps[previous->opener] != NULL) {
        memcpy(pair->ports, previous->ports, sizeof(pair->ports));
        pair->pause_ns += world->now;
    }
    for (int host = 0; host < HOSTS; host++) {
        struct app *app;

        if (host != pair->opener && !pair->simultaneous)
            continue;
        app = app_begin(world, pair, host, NULL);
        world_wake(world, app, app->plan.start_ns);
    }
}

bool pair_done(const struct pair *pair)
{
    const struct app *opener = pair->apps[pair->opener];
    const struct app *other = pair->apps[!pair->opener];

    return opener != NULL && opener->done && (other == NULL || other->done);
}

static enum ending draw_ending(struct rng *rng)
{
    uint64_t dice = rng_between(rng, 0, 99);

    if (dice < 50)
        return END_HALF_CLOSE;
    if (dice < 70)
        return END_AFTER_PEER;
    return dice < 90 ? END_CLOSE : END_ABORT;
}

static void draw_plan(struct plan *plan, struct rng *rng, uint64_t most)
{
    plan->ending = draw_ending(rng);
    plan->to_send = rng_chance(rng, 850) ? rng_magnitude(rng, most) : 0;
    if (rng_chance(rng, 300))
        plan->to_send = rng_between(rng, most / 2, most);
    plan->write_most = 1 + most / 1000 + rng_magnitude(rng, 100000);
    plan->read_most = 1 + most / 1000 + rng_magnitude(rng, 100000);
    plan->write_pause = rng_chance(rng, 500) ? rng_magnitude(rng, 300) : 0;
    plan->read_pause = rng_chance(rng, 500) ? rng_magnitude(rng, 300) : 0;
    plan->lazy = rng_chance(rng, 300) ? rng_magnitude(rng, 500) : 0;
    plan->pause_ns = rng_magnitude(rng, UTCP_SEC);
    plan->start_ns = rng_chance(rng, 500) ? rng_magnitude(rng, UTCP_SEC) : 1;
    plan->first_read_ns = rng_chance(rng, 200) ? rng_magnitude(rng, 20 * UTCP_SEC) : 0;
    plan->abort_bytes = rng_chance(rng, 500) ? rng_magnitude(rng, most) : UINT64_MAX;
    plan->abort_ns = rng_magnitude(rng, 5 * UTCP_SEC);
    plan->shut_rd_bytes = rng_chance(rng, 20) ? rng_between(rng, 0, most / 2) : UINT64_MAX;
}

static void draw_options(struct plan *plan, struct rng *rng)
{
    plan->nodelay = rng_chance(rng, 300);
    plan->snd_buf = rng_chance(rng, 100) ? rng_magnitude(rng, 100000) : 0;
    plan->rcv_buf = rng_chance(rng, 100) ? rng_magnitude(rng, 100000) : 0;
    plan->maxseg = rng_chance(rng, 100) ? rng_between(rng, 48, 3000) : 0;
    /* UTCP_PMTU_PROBE would stay blind to a narrow way for ever. */
    plan->mtu_discover = rng_chance(rng, 700) ? UTCP_PMTU_WANT : UTCP_PMTU_DONT;
}

static void cut_plan(struct plan *plan, const struct cuts *cuts)
{
    if (plan->to_send > cuts->bytes)
        plan->to_send = cuts->bytes;
    if (cuts->without[FAULT_pauses])
        plan->write_pause = plan->read_pause = plan->first_read_ns = 0;
    if (cuts->without[FAULT_laziness])
        plan->lazy = 0;
    if (cuts->without[FAULT_options]) {
        plan->nodelay = false;
        plan->snd_buf = plan->rcv_buf = plan->maxseg = 0;
        plan->mtu_discover = UTCP_PMTU_WANT;
    }
}

/* True when this side's ending takes nothing from the other. */
static bool is_polite(const struct plan *mine, const struct plan *other)
{
    if (mine->ending == END_ABORT || mine->shut_rd_bytes != UINT64_MAX)
        return false;
    return mine->ending != END_CLOSE || other->to_send == 0;
}

void pair_draw(struct pair *pair, struct rng *rng, uint64_t most, const struct cuts *cuts)
{
    struct plan *a = &pair->plans[0];
    struct plan *b = &pair->plans[1];

    draw_plan(a, rng, most);
    draw_plan(b, rng, most);
    draw_options(a, rng);
    draw_options(b, rng);
    /* Two that wait for each other, or write and never read, would wait for ever. */
    if (a->ending == b->ending && (a->ending == END_AFTER_PEER || a->ending == END_CLOSE))
        b->ending = END_HALF_CLOSE;
    /* ... and so would one that shuts receiving, with such a one. */
    if (a->ending == END_CLOSE || b->ending == END_CLOSE || b->shut_rd_bytes != UINT64_MAX)
        a->shut_rd_bytes = UINT64_MAX;
    if (a->ending == END_CLOSE || b->ending == END_CLOSE)
        b->shut_rd_bytes = UINT64_MAX;
    /* A program that closes after the other side's last word has been heard by nobody. */
    if (rng_chance(rng, 300) && a->ending == END_CLOSE)
        b->to_send = 0;
    pair->patterns[0] = (uint32_t)rng_next(rng);
    pair->patterns[1] = (uint32_t)rng_next(rng);
    pair->opener = (int)rng_between(rng, 0, 1);
    pair->pause_ns = 0;
    pair->simultaneous = rng_chance(rng, 100);
    if (pair->simultaneous)
        b->start_ns = a->start_ns + rng_magnitude(rng, 50 * UTCP_MSEC);
    cut_plan(a, cuts);
    cut_plan(b, cuts);
    if (cuts->without[FAULT_crossing])
        pair->simultaneous = false;
    pair->polite = is_polite(a, b) && is_polite(b, a);
}

const char *pair_check_end(const struct pair *pair)
{
    if (pair->apps[pair->opener] == NULL)
        return NULL; /* it never began */
    for (int host = 0; host < 2; host++) {
        const struct app *app = pair->apps[host];
        const struct app *peer = pair->apps[!host];

        if (app == NULL && pair->polite)
            return "each connection is accepted";
        if (app == NULL)
            continue;
        if (!app->done)
            return "each program comes to its end";
        if (peer != NULL && app->received > peer->sent + peer->to_commit_sent)
            return "no more bytes are delivered than were sent";
        if (pair->polite && app->received != pair->plans[!host].to_send)
            return "all bytes are delivered";
    }
    return NULL;
}
