/* SPDX-License-Identifier: MIT */
#include "plant.h"

#include "base/checksum.h"
#include "stack.h"
#include "wire/bytes.h"
#include "world.h"

/* The handshake is over by then. */
#define PACKETS_BEFORE 8

#define SEQ 4
#define ACK 8
#define FLAGS 13
#define WINDOW 14
#define CHECKSUM 16

/* ---- faulty packets ---- */

/* What a mistake needs to know of the packet. flow and peer are NULL when the watch knows none. */
struct victim {
    uint8_t *tcp;
    size_t tcp_len;
    struct tcp_segment segment;
    const struct flow *flow, *peer;
};

static bool find_victim(struct world *world, int host, uint8_t *bytes, size_t len,
                        struct victim *victim)
{
    struct ipv4 ip;

    if (!ipv4_parse(bytes, len, &ip) || ip.protocol != IP_TCP)
        return false;
    victim->tcp = bytes + ip.header_len;
    victim->tcp_len = len - ip.header_len;
    victim->segment = (struct tcp_segment){.src.addr = ip.src, .dst.addr = ip.dst};
    if (!tcp_parse(victim->tcp, victim->tcp_len, false, &victim->segment))
        return false;
    victim->flow = watch_find(world, host, victim->segment.src.port, victim->segment.dst.port);
    victim->peer = watch_find(world, !host, victim->segment.dst.port, victim->segment.src.port);
    return victim->flow != NULL && victim->peer != NULL &&
           victim->flow->pair == victim->peer->pair && (victim->segment.flags & TCP_SYN) == 0;
}

static bool is_rst(const struct victim *victim)
{
    return (victim->segment.flags & TCP_RST) != 0;
}

static bool ack_back(struct world *world, int host, uint8_t *bytes, size_t len)
{
    struct victim victim;

    if (!find_victim(world, host, bytes, len, &victim) || is_rst(&victim) || !victim.flow->acked)
        return false;
    put32(victim.tcp + ACK, victim.flow->ack - 1);
    return true;
}

static bool ack_ahead(struct world *world, int host, uint8_t *bytes, size_t len)
{
    struct victim victim;

    if (!find_victim(world, host, bytes, len, &victim) || is_rst(&victim))
        return false;
    put32(victim.tcp + ACK, victim.peer->end + 1);
    put16(victim.tcp + WINDOW, UINT16_MAX);
    return true;
}

static bool edge_left(struct world *world, int host, uint8_t *bytes, size_t len)
{
    struct victim victim;

    if (!find_victim(world, host, bytes, len, &victim) || is_rst(&victim) || !victim.flow->acked ||
        victim.flow->edge - victim.segment.ack < UINT32_C(1) << 14 || victim.segment.window == 0)
        return false;
    put16(victim.tcp + WINDOW, 0);
    return true;
}

static bool beyond_window(struct world *world, int host, uint8_t *bytes, size_t len)
{
    struct victim victim;

    if (!find_victim(world, host, bytes, len, &victim) || victim.segment.payload_len == 0 ||
        !victim.peer->acked)
        return false;
    put32(victim.tcp + SEQ, victim.peer->edge);
    return true;
}

static bool skip_number(struct world *world, int host, uint8_t *bytes, size_t len)
{
    struct victim victim;

    if (!find_victim(world, host, bytes, len, &victim) || segment_len(&victim.segment) > 0 ||
        is_rst(&victim))
        return false;
    put32(victim.tcp + SEQ, victim.flow->end + 1);
    return true;
}

static bool wrong_byte(struct world *world, int host, uint8_t *bytes, size_t len)
{
    struct victim victim;

    if (!find_victim(world, host, bytes, len, &victim) || victim.segment.payload_len == 0)
        return false;
    bytes[len - 1] ^= 1;
    return true;
}

static bool fin_too_soon(struct world *world, int host, uint8_t *bytes, size_t len)
{
    struct victim victim;

    if (!find_victim(world, host, bytes, len, &victim) || is_rst(&victim) ||
        victim.flow->finished ||
        !seq_lt(victim.segment.seq + victim.segment.payload_len, victim.flow->end))
        return false;
    victim.tcp[FLAGS] |= TCP_FIN;
    return true;
}

static bool no_ack(struct world *world, int host, uint8_t *bytes, size_t len)
{
    struct victim victim;

    if (!find_victim(world, host, bytes, len, &victim) || is_rst(&victim))
        return false;
    victim.tcp[FLAGS] &= (uint8_t)~TCP_ACK;
    return true;
}

static bool speak_after_abort(struct world *world, int host, uint8_t *bytes, size_t len)
{
    struct victim victim;

    if (!find_victim(world, host, bytes, len, &victim) || !victim.flow->aborted)
        return false;
    victim.tcp[FLAGS] = TCP_ACK;
    return true;
}

static void mend_checksum(uint8_t *bytes, size_t len)
{
    struct ipv4 ip;
    uint8_t *tcp;
    uint64_t sum;

    if (!ipv4_parse(bytes, len, &ip))
        return;
    tcp = bytes + ip.header_len;
    sum = ipv4_pseudo_sum(&ip.src, &ip.dst, IP_TCP, ip.payload_len);
    put16(tcp + CHECKSUM, 0);
    put16(tcp + CHECKSUM, checksum_finish(checksum_add(sum, tcp, ip.payload_len)));
}

static bool ready(const struct world *world)
{
    return world->plant != NULL && !world->planted && world->packets >= PACKETS_BEFORE;
}

void plant_in_packet(struct world *world, int host, uint8_t *bytes, size_t len)
{
    if (!ready(world) || world->plant->in_packet == NULL ||
        !world->plant->in_packet(world, host, bytes, len))
        return;
    mend_checksum(bytes, len);
    world->planted = true;
}

/* ---- faulty ways ---- */

static bool alter(uint8_t *bytes, size_t len)
{
    if (len < 200)
        return false;
    bytes[len - 1] ^= 1;
    return true;
}

bool plant_on_way(struct world *world, uint8_t *bytes, size_t len)
{
    if (!ready(world) || world->plant->on_way == NULL)
        return false;
    world->planted = world->plant->on_way(bytes, len);
    return world->planted;
}

/* ---- faulty stacks ---- */

static bool miscount(struct world *world, struct utcp_conn *conn)
{
    (void)world;
    if (conn->flight.log_bytes == 0)
        return false;
    conn->flight.log_bytes++;
    return true;
}

static bool forget_retransmission(struct world *world, struct utcp_conn *conn)
{
    struct flight *flight = &conn->flight;

    (void)world;
    for (uint32_t i = 0; i < flight->log.count; i++) {
        if (flight_item(flight, &flight->log, i)->resent) {
            flight_item(flight, &flight->log, i)->resent = false;
            return true;
        }
    }
    return false;
}

static bool mistake_time(struct world *world, struct utcp_conn *conn)
{
    struct flight *flight = &conn->flight;

    (void)world;
    if (flight->log.count == 0)
        return false;
    flight_item(flight, &flight->log, 0)->at++;
    return true;
}

static bool forget_timer(struct world *world, struct utcp_conn *conn)
{
    (void)world;
    if (outstanding(conn) == 0)
        return false;
    tcp_timer_stop(conn, TIMER_RETRANSMIT);
    return true;
}

static bool go_beyond_queue(struct world *world, struct utcp_conn *conn)
{
    (void)world;
    conn->snd_nxt += 1000000000;
    return true;
}

static bool answer_acks(struct world *world, struct utcp_conn *conn)
{
    if (!world->answering || tcp_state_flags(conn->state) != TCP_ACK)
        return false;
    tcp_ack_due(conn);
    stack_want_send(conn);
    return true;
}

static void look_away(struct utcp_conn *conn, const struct sent *piece, void *ctx)
{
    (void)conn, (void)piece, (void)ctx;
}

static bool sack_falsely(struct world *world, struct utcp_conn *conn)
{
    struct range range = {conn->snd_nxt - 1, conn->snd_nxt};

    (void)world;
    if (outstanding(conn) < 2 || fin_sent(conn))
        return false;
    return flight_take_sack(conn, range, look_away, NULL) > 0;
}

void plant_in_stack(struct world *world)
{
    if (!ready(world) || world->plant->in_stack == NULL)
        return;
    for (int i = 0; i < world->app_count && !world->planted; i++) {
        struct utcp_conn *conn = world->apps[i].conn;

        if (conn != NULL && tcp_synchronized(conn->state))
            world->planted = world->plant->in_stack(world, conn);
    }
}

bool plant_swallows(struct world *world)
{
    if (!ready(world) || !world->plant->swallow)
        return false;
    world->planted = true;
    return true;
}

bool plant_leaks(struct world *world)
{
    if (!ready(world) || !world->plant->leak)
        return false;
    world->planted = true;
    return true;
}

uint64_t plant_chance(const struct world *world)
{
    static uint64_t calls;

    return world->plant != NULL && world->plant->by_chance ? ++calls : 0;
}

/* ---- all of them ---- */

const struct plant *plant_at(size_t i)
{
    static const struct plant plants[] = {
        {.name = "an old ACK",
         .sentence = "an acknowledgment number never goes back",
         .in_packet = ack_back},
        {.name = "an ACK of what was not sent",
         .sentence = "only what was sent is acknowledged",
         .in_packet = ack_ahead},
        {.name = "a window that shrinks",
         .sentence = "the advertised right edge never moves left",
         .in_packet = edge_left},
        {.name = "text beyond the window",
         .sentence = "no byte is sent beyond the peer's window",
         .in_packet = beyond_window},
        {.name = "a number that is left out",
         .sentence = "no number is skipped",
         .in_packet = skip_number},
        {.name = "a wrong byte",
         .sentence = "a segment carries the bytes of its place",
         .in_packet = wrong_byte},
        {.name = "a FIN amid the data",
         .sentence = "the FIN is behind all data",
         .in_packet = fin_too_soon},
        {.name = "a segment without ACK",
         .sentence = "every segment but the first SYN carries an acknowledgment",
         .in_packet = no_ack},
        {.name = "an ACK after an abort",
         .sentence = "nothing but RST is sent after an abort",
         .in_packet = speak_after_abort},
        {.name = "a byte changed on the way",
         .sentence = "bytes delivered are the bytes sent, in order, once",
         .on_way = alter},
        {.name = "a scoreboard that miscounts",
         .sentence = "the bytes in flight, lost and SACKed are as many as a recount finds",
         .in_stack = miscount},
        {.name = "a scoreboard that believes what nobody said",
         .sentence = "what is held to be SACKed is with the peer",
         .in_stack = sack_falsely},
        {.name = "a retransmission that is taken for the first",
         .sentence = "what went twice is known to have gone twice",
         .in_stack = forget_retransmission},
        {.name = "a wrong time",
         .sentence = "what is in flight has the time when it was sent last",
         .in_stack = mistake_time},
        {.name = "a timer that is forgotten",
         .sentence = "data in flight means that the retransmission timer runs",
         .in_stack = forget_timer},
        {.name = "more sent than there is",
         .sentence = "nothing is sent that was not queued",
         .in_stack = go_beyond_queue},
        {.name = "an ACK of an ACK",
         .sentence = "a pure ACK in the window is not answered with an ACK",
         .in_stack = answer_acks},
        {.name = "an event that is not told",
         .sentence = "within two hours the programs get on",
         .swallow = true},
        {.name = "memory that stays",
         .sentence = "at the end no memory is left but the stack's own",
         .leak = true},
        {.name = "chance", .sentence = "two runs of a seed are the same", .by_chance = true},
    };

    return i < sizeof(plants) / sizeof(*plants) ? &plants[i] : NULL;
}
