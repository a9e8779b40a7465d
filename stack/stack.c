/* SPDX-License-Identifier: MIT */
#include "stack.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "wire/bytes.h"
#include "wire/tcp.h"

#define TABLE_LEAST 64
#define MTU_LEAST 68 /* RFC 791: every host takes that much */
#define MTU_MOST 65535

/* ---- memory ---- */

void *stack_alloc(struct utcp_stack *stack, size_t size)
{
    return stack->allocator.alloc(stack->allocator.ctx, size);
}

void stack_free(struct utcp_stack *stack, void *memory, size_t size)
{
    if (memory != NULL)
        stack->allocator.free(stack->allocator.ctx, memory, size);
}

static void free_conn(struct utcp_conn *conn)
{
    struct utcp_stack *stack = conn->stack;

    rings_release(conn);
    rings_free(stack, conn->snd_retired, conn->snd_retired_bytes);
    flight_free(conn);
    chunks_free(conn);
    stack_free(stack, conn->out_of_order.items,
               conn->out_of_order.capacity * sizeof(*conn->out_of_order.items));
    if (stack->receiver == conn)
        stack->receiver = NULL;
    list_remove(&conn->all_link);
    stack->conns--;
    stack_free(stack, conn, sizeof(*conn));
}

void stack_reap(struct utcp_conn *conn)
{
    if (conn->state != TCP_CLOSED || conn->user != NULL || conn->listener != NULL || conn->pins > 0)
        return;
    list_remove(&conn->send_link);
    list_remove(&conn->tell_link);
    list_remove(&conn->all_link);
    list_append(&conn->stack->dead, &conn->all_link);
}

/* Begins a call: what ended in an earlier one can go now, as nobody refers to it any more. */
static void begin(struct utcp_stack *stack, utcp_time now)
{
    struct list *link;

    stack->now = now;
    while ((link = list_first(&stack->dead)) != NULL)
        free_conn(list_entry(link, struct utcp_conn, all_link));
}

/* With the engine's part an idle connection has less than 2 KB. */
_Static_assert(sizeof(struct utcp_conn) <= 1536, "an idle connection is small");

/* ---- settings ---- */

void utcp_settings_init(struct utcp_settings *settings)
{
#define SETTING_DEFAULT(name, initial, least, most, unit, text) settings->name = initial;
    UTCP_SETTINGS(SETTING_DEFAULT)
#undef SETTING_DEFAULT
}

static bool settings_valid(const struct utcp_settings *settings)
{
    bool valid = settings->port_first <= settings->port_last &&
                 (settings->mss == 0 || settings->mss >= MSS_LEAST);

    /* A bound of 0 makes `value < 0` always false, which the compiler would tell us for each. */
#define SETTING_VALID(name, initial, least, most, unit, text) \
    valid = valid && settings->name + 1 > (uint64_t)(least) && settings->name <= (uint64_t)(most);
    UTCP_SETTINGS(SETTING_VALID)
#undef SETTING_VALID
    return valid;
}

/* ---- life ---- */

static bool config_valid(const struct utcp_config *config)
{
    return config->addr.family == UTCP_IPV4 && config->mtu_bytes >= MTU_LEAST &&
           config->mtu_bytes <= MTU_MOST && settings_valid(&config->settings) &&
           cc_find(config->congestion) != NULL;
}

static void init_lists(struct utcp_stack *stack)
{
    list_init(&stack->all);
    list_init(&stack->dead);
    list_init(&stack->to_send);
    list_init(&stack->to_tell);
    list_init(&stack->holders);
    list_init(&stack->fragments.waiting);
}

struct utcp_stack *utcp_create(const struct utcp_config *config, utcp_time now)
{
    const struct utcp_allocator *allocator = &config->allocator;
    struct utcp_stack *stack;

    if (!config_valid(config))
        return NULL;
    stack = allocator->alloc(allocator->ctx, sizeof(*stack));
    if (stack == NULL)
        return NULL;
    stack->allocator = *allocator;
    stack->random = config->random;
    stack->settings = config->settings;
    stack->addr = config->addr;
    stack->mtu_bytes = config->mtu_bytes;
    stack->congestion = cc_find(config->congestion);
    stack->now = now;
    init_lists(stack);
    stack->random.fill(stack->random.ctx, &stack->secret, sizeof(stack->secret));
    stack->timestamp_key =
        config->timestamp_key != 0 ? (struct siphash_key){config->timestamp_key, 0} : stack->secret;
    stack->random.fill(stack->random.ctx, &stack->ip_id, sizeof(stack->ip_id));
    stack->by_tuple_size = TABLE_LEAST;
    stack->by_tuple = stack_alloc(stack, TABLE_LEAST * sizeof(struct utcp_conn *));
    if (stack->by_tuple != NULL)
        return stack;
    stack_free(stack, stack, sizeof(*stack));
    return NULL;
}

void utcp_destroy(struct utcp_stack *stack)
{
    struct list *link;

    begin(stack, stack->now);
    while ((link = list_first(&stack->all)) != NULL)
        free_conn(list_entry(link, struct utcp_conn, all_link));
    for (size_t i = 0; i < stack->replies_count; i++) {
        struct reply *reply = &stack->replies[(stack->replies_first + i) % REPLIES_MAX];

        stack_free(stack, reply->packet, reply->len);
    }
    fragments_drop_all(stack);
    utcp_trim(stack);
    stack_free(stack, stack->by_tuple, stack->by_tuple_size * sizeof(struct utcp_conn *));
    stack_free(stack, stack->deadlines.nodes, stack->deadlines_size * sizeof(struct heap_node *));
    stack_free(stack, stack, sizeof(*stack));
}

/* ---- the table ---- */

uint64_t stack_hash_tuple(const struct utcp_stack *stack, const struct utcp_endpoint *local,
                          const struct utcp_endpoint *remote, uint64_t salt)
{
    uint8_t bytes[16 + 2 + 16 + 2 + 8];

    memcpy(bytes, local->addr.bytes, 16);
    memcpy(bytes + 16, &local->port, 2);
    memcpy(bytes + 18, remote->addr.bytes, 16);
    memcpy(bytes + 34, &remote->port, 2);
    memcpy(bytes + 36, &salt, 8);
    return siphash(&stack->secret, bytes, sizeof(bytes));
}

#define SALT_TABLE 1
#define SALT_PORT 2

static struct utcp_conn **bucket_of(const struct utcp_stack *stack,
                                    const struct utcp_endpoint *local,
                                    const struct utcp_endpoint *remote)
{
    uint64_t hash = stack_hash_tuple(stack, local, remote, SALT_TABLE);

    return &stack->by_tuple[hash & (stack->by_tuple_size - 1)];
}

static bool same_endpoint(const struct utcp_endpoint *a, const struct utcp_endpoint *b)
{
    return a->port == b->port && same_addr(&a->addr, &b->addr);
}

struct utcp_conn *stack_find_tuple(struct utcp_stack *stack, const struct utcp_endpoint *local,
                                   const struct utcp_endpoint *remote)
{
    struct utcp_conn *conn = *bucket_of(stack, local, remote);

    while (conn != NULL &&
           !(same_endpoint(&conn->local, local) && same_endpoint(&conn->remote, remote)))
        conn = conn->tuple_next;
    return conn;
}

static void link_tuple(struct utcp_conn *conn)
{
    struct utcp_conn **bucket = bucket_of(conn->stack, &conn->local, &conn->remote);

    conn->tuple_next = *bucket;
    *bucket = conn;
    conn->in_tuple_table = true;
}

bool stack_insert_tuple(struct utcp_conn *conn)
{
    if (stack_find_tuple(conn->stack, &conn->local, &conn->remote) != NULL)
        return false;
    link_tuple(conn);
    return true;
}

void stack_remove_tuple(struct utcp_conn *conn)
{
    struct utcp_conn **at;

    if (!conn->in_tuple_table)
        return;
    for (at = bucket_of(conn->stack, &conn->local, &conn->remote); *at != conn;
         at = &(*at)->tuple_next)
        ;
    *at = conn->tuple_next;
    conn->in_tuple_table = false;
}

/* Twice the buckets once there are as many connections; no memory only means longer chains. */
static void grow_table(struct utcp_stack *stack)
{
    size_t old_size = stack->by_tuple_size;
    struct utcp_conn **old = stack->by_tuple;
    struct utcp_conn **table;

    if (stack->conns < old_size)
        return;
    table = stack_alloc(stack, 2 * old_size * sizeof(*table));
    if (table == NULL)
        return;
    stack->by_tuple = table;
    stack->by_tuple_size = 2 * old_size;
    for (size_t i = 0; i < old_size; i++) {
        while (old[i] != NULL) {
            struct utcp_conn *conn = old[i];

            old[i] = conn->tuple_next;
            link_tuple(conn);
        }
    }
    stack_free(stack, old, old_size * sizeof(*old));
}

/* Room in the heap for one connection more, so that a timer can always be set. */
static bool grow_deadlines(struct utcp_stack *stack)
{
    size_t size = stack->deadlines_size > 0 ? 2 * stack->deadlines_size : TABLE_LEAST;
    struct heap_node **nodes;

    if (stack->conns < stack->deadlines_size)
        return true;
    nodes = stack_alloc(stack, size * sizeof(*nodes));
    if (nodes == NULL)
        return false;
    if (stack->deadlines.count > 0)
        memcpy(nodes, stack->deadlines.nodes, stack->deadlines.count * sizeof(*nodes));
    stack_free(stack, stack->deadlines.nodes, stack->deadlines_size * sizeof(*nodes));
    stack->deadlines.nodes = nodes;
    stack->deadlines_size = size;
    return true;
}

static void init_conn(struct utcp_conn *conn, struct utcp_stack *stack)
{
    const struct utcp_settings *settings = &stack->settings;

    conn->stack = stack;
    conn->state = TCP_CLOSED;
    conn->local.addr.family = conn->remote.addr.family = UTCP_IPV4;
    conn->snd_limit = (uint32_t)settings->snd_buf;
    conn->rcv_limit = conn->rcv_wanted = (uint32_t)settings->rcv_buf;
    conn->mss_limit = (uint32_t)settings->mss;
    conn->syn_retries = settings->syn_retries;
    conn->fin_wait2 = UINT64_MAX;
    conn->keepalive = (struct keepalive){.idle = settings->keepalive_idle,
                                         .interval = settings->keepalive_interval,
                                         .count = settings->keepalive_count};
    conn->ttl = (uint8_t)settings->ttl;
    conn->mtu_discover = UTCP_PMTU_WANT;
    conn->congestion = stack->congestion;
    conn->pacing.max_rate = UINT64_MAX;
    conn->deadline = (struct heap_node){.deadline = UTCP_NEVER, .index = HEAP_NONE};
    for (size_t i = 0; i < TIMERS; i++)
        conn->timers[i] = UTCP_NEVER;
}

struct utcp_conn *stack_add_conn(struct utcp_stack *stack)
{
    struct utcp_conn *conn;

    if (!grow_deadlines(stack))
        return NULL;
    grow_table(stack);
    conn = stack_alloc(stack, sizeof(*conn));
    if (conn == NULL)
        return NULL;
    init_conn(conn, stack);
    list_append(&stack->all, &conn->all_link);
    stack->conns++;
    return conn;
}

/* ---- ports ---- */

static struct utcp_conn **port_bucket(struct utcp_stack *stack, uint16_t port)
{
    return &stack->by_port[port % PORT_BUCKETS];
}

void stack_insert_port(struct utcp_conn *conn)
{
    struct utcp_conn **bucket = port_bucket(conn->stack, conn->local.port);

    conn->port_next = *bucket;
    *bucket = conn;
}

void stack_remove_port(struct utcp_conn *conn)
{
    struct utcp_conn **at = port_bucket(conn->stack, conn->local.port);

    while (*at != NULL && *at != conn)
        at = &(*at)->port_next;
    if (*at != NULL)
        *at = conn->port_next;
}

/* With SO_REUSEPORT several may listen: the one with the shortest queue takes the next connection.
 */
struct utcp_conn *stack_find_listener(struct utcp_stack *stack, const struct utcp_endpoint *local)
{
    struct utcp_conn *best = NULL;
    struct utcp_conn *conn;

    for (conn = *port_bucket(stack, local->port); conn != NULL; conn = conn->port_next) {
        if (conn->state == TCP_LISTEN && conn->local.port == local->port &&
            (best == NULL || conn->accept_count < best->accept_count))
            best = conn;
    }
    return best;
}

/* Linux: two may share a port when both say SO_REUSEPORT, or both SO_REUSEADDR and the other
 * does not listen: of two that are bound, the first may. */
static bool may_share(const struct utcp_conn *conn, const struct utcp_conn *other)
{
    if (conn->reuse_port && other->reuse_port)
        return true;
    return conn->reuse_addr && other->reuse_addr && other->state != TCP_LISTEN;
}

/* An established connection is no obstacle to the listener it came from, or to one of its port
 * again. */
static bool stands_in_the_way(const struct utcp_conn *conn, const struct utcp_conn *other)
{
    if (other == conn || other->local.port == 0)
        return false;
    if (other->state == TCP_CLOSED && !other->bound)
        return false;
    if (other->in_tuple_table && conn->reuse_addr && other->reuse_addr)
        return false;
    return !may_share(conn, other);
}

bool stack_port_free(const struct utcp_conn *conn, const struct utcp_endpoint *local)
{
    const struct list *all = &conn->stack->all;

    for (const struct list *link = all->next; link != all; link = link->next) {
        const struct utcp_conn *other = list_entry(link, struct utcp_conn, all_link);

        if (other->local.port == local->port && stands_in_the_way(conn, other))
            return false;
    }
    return true;
}

static bool port_usable(struct utcp_conn *conn)
{
    struct utcp_stack *stack = conn->stack;
    struct utcp_conn *in_the_way;

    if (conn->remote.port == 0)
        return stack_port_free(conn, &conn->local);
    for (struct utcp_conn *other = *port_bucket(stack, conn->local.port); other != NULL;
         other = other->port_next) {
        if (other->local.port == conn->local.port)
            return false;
    }
    in_the_way = stack_find_tuple(stack, &conn->local, &conn->remote);
    return in_the_way == NULL || tcp_may_succeed(in_the_way);
}

/* RFC 6056 algorithm 3: a start that differs for each destination and cannot be guessed, then a
 * counter. */
bool stack_pick_port(struct utcp_conn *conn)
{
    struct utcp_stack *stack = conn->stack;
    uint32_t first = (uint32_t)stack->settings.port_first;
    uint32_t count = (uint32_t)stack->settings.port_last - first + 1;
    uint32_t start;

    conn->local.port = 0;
    start = (uint32_t)stack_hash_tuple(stack, &conn->local, &conn->remote, SALT_PORT);
    for (uint32_t i = 0; i < count; i++) {
        conn->local.port = (uint16_t)(first + (start + stack->port_counter++) % count);
        if (port_usable(conn))
            return true;
    }
    conn->local.port = 0;
    return false;
}

/* ---- packets ---- */

void utcp_input(struct utcp_stack *stack, const uint8_t *packet, size_t len, unsigned flags,
                utcp_time now)
{
    begin(stack, now);
    ip_input(stack, packet, len, (flags & UTCP_INPUT_CSUM_OK) == 0);
}

size_t utcp_expect(struct utcp_stack *stack, struct utcp_slice *space)
{
    struct utcp_conn *conn = stack->receiver;

    if (conn == NULL || stack->expecting != NULL || conn->state != TCP_ESTABLISHED ||
        !buffers_expect(conn, space))
        return 0;
    conn->pins++;
    stack->expecting = conn;
    return IPV4_HEADER + TCP_HEADER + (conn->timestamps_ok ? TCP_TIMESTAMPS_LEN : 0);
}

/* Whether the text begins where the headers end. */
static bool has_such_headers(const uint8_t *header, size_t header_len, size_t len)
{
    return header[0] == 0x45 && header[9] == IP_TCP && (get16(header + 6) & 0x3fff) == 0 &&
           get16(header + 2) == len &&
           IPV4_HEADER + (size_t)(header[IPV4_HEADER + 12] >> 4) * 4 == header_len;
}

bool utcp_input_expected(struct utcp_stack *stack, const uint8_t *header, size_t header_len,
                         struct utcp_slice text, utcp_time now)
{
    size_t len = header_len + text.len;

    if (header_len < IPV4_HEADER + TCP_HEADER || !has_such_headers(header, header_len, len))
        return false;
    begin(stack, now);
    stack->text = text.data;
    ip_input(stack, header, len, false);
    stack->text = NULL;
    return true;
}

void utcp_expect_end(struct utcp_stack *stack)
{
    struct utcp_conn *conn = stack->expecting;

    stack->expecting = NULL;
    if (conn == NULL)
        return;
    conn->pins--;
    buffers_free_retired(conn);
    stack_reap(conn);
}

void stack_write_ip(struct utcp_stack *stack, uint8_t *header, struct ipv4 *ip)
{
    ip->src = stack->addr;
    ip->id = stack->ip_id++;
    if (ip->ttl == 0)
        ip->ttl = (uint8_t)stack->settings.ttl;
    ipv4_write(header, ip);
}

uint8_t *stack_reply(struct utcp_stack *stack, struct ipv4 *ip)
{
    struct reply *reply;
    size_t len = IPV4_HEADER + ip->payload_len;
    uint8_t *packet = NULL;

    if (stack->replies_count < REPLIES_MAX && len <= IPV4_MOST &&
        (len <= stack->mtu_bytes || !ip->dont_fragment))
        packet = stack_alloc(stack, len);
    if (packet == NULL) {
        stack->counters.replies_dropped++;
        return NULL;
    }
    stack_write_ip(stack, packet, ip);
    reply = &stack->replies[(stack->replies_first + stack->replies_count++) % REPLIES_MAX];
    *reply = (struct reply){.packet = packet, .len = len};
    return packet + IPV4_HEADER;
}

/* The packet's memory is given back by utcp_output_done(); a RST is a header and nothing more. */
static void send_whole_reply(struct utcp_stack *stack, const struct reply *reply,
                             struct utcp_packet *packet)
{
    bool tcp = reply->packet[9] == IP_TCP;
    size_t header = tcp ? reply->len : IPV4_HEADER;

    *packet = (struct utcp_packet){.header_len = header, .tcp_offset = tcp ? IPV4_HEADER : 0};
    memcpy(packet->header, reply->packet, header);
    packet->payload[0] = (struct utcp_slice){reply->packet + header, reply->len - header};
    packet->payload_len = reply->len - header;
    packet->pinned_reply = reply->packet;
    packet->pinned_len = reply->len;
    stack->counters.tcp_out += tcp;
}

/* RFC 791 section 3.2: each fragment but the last has a multiple of 8 bytes. True with the last, which
 * takes the memory with it. */
static bool send_fragment_of_reply(struct utcp_stack *stack, struct reply *reply,
                                   struct utcp_packet *packet)
{
    size_t most = (stack->mtu_bytes - IPV4_HEADER) & ~(size_t)7;
    struct ipv4 ip;

    *packet = (struct utcp_packet){.header_len = IPV4_HEADER};
    ipv4_parse(reply->packet, reply->len, &ip);
    packet->payload_len = ip.payload_len - reply->sent;
    ip.more_fragments = packet->payload_len > most;
    if (ip.more_fragments)
        packet->payload_len = most;
    packet->payload[0].data = reply->packet + IPV4_HEADER + reply->sent;
    packet->payload[0].len = packet->payload_len;
    ip.offset = (uint32_t)reply->sent;
    ip.payload_len = packet->payload_len;
    ipv4_write(packet->header, &ip);
    reply->sent += packet->payload_len;
    if (ip.more_fragments)
        return false;
    packet->pinned_reply = reply->packet;
    packet->pinned_len = reply->len;
    return true;
}

static void send_reply(struct utcp_stack *stack, struct utcp_packet *packet)
{
    struct reply *reply = &stack->replies[stack->replies_first];

    if (reply->len <= stack->mtu_bytes && reply->sent == 0)
        send_whole_reply(stack, reply, packet);
    else if (!send_fragment_of_reply(stack, reply, packet))
        return;
    stack->replies_first = (stack->replies_first + 1) % REPLIES_MAX;
    stack->replies_count--;
}

static bool send_from_conns(struct utcp_stack *stack, struct utcp_packet *packet)
{
    struct list *link;

    while ((link = list_first(&stack->to_send)) != NULL) {
        struct utcp_conn *conn = list_entry(link, struct utcp_conn, send_link);

        list_remove(link);
        if (!tcp_output(conn, packet))
            continue;
        conn->pins++;
        packet->pinned_conn = conn;
        list_append(&stack->to_send, link); /* behind the others: each gets its turn */
        return true;
    }
    return false;
}

bool utcp_output(struct utcp_stack *stack, struct utcp_packet *packet, utcp_time now)
{
    begin(stack, now);
    if (stack->replies_count > 0) {
        send_reply(stack, packet);
        return true;
    }
    return send_from_conns(stack, packet);
}

void utcp_output_done(struct utcp_stack *stack, struct utcp_packet *packet)
{
    if (packet->pinned_reply != NULL)
        stack_free(stack, packet->pinned_reply, packet->pinned_len);
    if (packet->pinned_conn != NULL) {
        packet->pinned_conn->pins--;
        buffers_free_retired(packet->pinned_conn);
        stack_reap(packet->pinned_conn);
    }
    packet->pinned_reply = NULL;
    packet->pinned_conn = NULL;
}

bool utcp_output_pending(const struct utcp_stack *stack)
{
    return stack->replies_count > 0 || !list_empty(&stack->to_send);
}

/* ---- time ---- */

int utcp_set_mtu(struct utcp_stack *stack, uint32_t mtu_bytes, utcp_time now)
{
    if (mtu_bytes < MTU_LEAST || mtu_bytes > MTU_MOST)
        return -EINVAL;
    begin(stack, now);
    stack->mtu_bytes = mtu_bytes;
    tcp_path_changed(stack, NULL);
    return 0;
}

utcp_time utcp_next_deadline(const struct utcp_stack *stack)
{
    const struct heap_node *top = heap_top(&stack->deadlines);

    utcp_time connections = top != NULL ? top->deadline : UTCP_NEVER;
    utcp_time fragments = fragments_deadline(&stack->fragments);

    return connections < fragments ? connections : fragments;
}

void utcp_advance(struct utcp_stack *stack, utcp_time now)
{
    struct heap_node *top;

    begin(stack, now);
    while ((top = heap_top(&stack->deadlines)) != NULL && top->deadline <= now)
        tcp_timers_fire(list_entry(top, struct utcp_conn, deadline));
    fragments_expire(stack);
}

/* ---- queues ---- */

void stack_want_send(struct utcp_conn *conn)
{
    if (!list_linked(&conn->send_link) && conn->state != TCP_CLOSED)
        list_append(&conn->stack->to_send, &conn->send_link);
}

void stack_want_tell(struct utcp_conn *conn)
{
    if (!list_linked(&conn->tell_link) && conn->user != NULL)
        list_append(&conn->stack->to_tell, &conn->tell_link);
}

bool utcp_next_event(struct utcp_stack *stack, struct utcp_event *event)
{
    struct list *link;

    while ((link = list_first(&stack->to_tell)) != NULL) {
        struct utcp_conn *conn = list_entry(link, struct utcp_conn, tell_link);
        unsigned ready = utcp_ready(conn);

        list_remove(link);
        if (ready == conn->told && !conn->tell_anyway)
            continue;
        conn->told = ready;
        conn->tell_anyway = false;
        *event = (struct utcp_event){.conn = conn, .user = conn->user, .ready = ready};
        return true;
    }
    return false;
}

/* ---- what is there ---- */

const struct utcp_counters *utcp_counters(const struct utcp_stack *stack)
{
    return &stack->counters;
}

static bool unfinished(const struct utcp_conn *conn)
{
    switch (conn->state) {
    case TCP_CLOSED:
    case TCP_LISTEN:
    case TCP_TIME_WAIT:
    case TCP_FIN_WAIT_2:
        return false;
    default:
        return true;
    }
}

static bool had_losses(const struct utcp_conn *conn)
{
    return conn->count.retransmits != 0 || conn->count.out_of_order != 0;
}

static uint64_t linger(const struct utcp_conn *conn)
{
    if (conn->state == TCP_FIN_WAIT_2 || (conn->state == TCP_TIME_WAIT && had_losses(conn)))
        return tcp_fin_again(conn);
    return 0;
}

void utcp_population(const struct utcp_stack *stack, struct utcp_population *population)
{
    *population = (struct utcp_population){.connections = (uint32_t)stack->conns};
    for (const struct list *link = stack->all.next; link != &stack->all; link = link->next) {
        const struct utcp_conn *conn = list_entry(link, struct utcp_conn, all_link);
        uint64_t needed = linger(conn);

        population->unfinished += unfinished(conn);
        if (needed > population->linger)
            population->linger = needed;
    }
}
