/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include <stdlib.h>

#include "stack.h"
#include "wire/ipv4.h"
#include "world.h"

struct flow *watch_find(struct world *world, int host, uint16_t port, uint16_t peer_port)
{
    struct watch *watch = &world->watch;

    for (size_t i = 0; i < watch->count[host]; i++) {
        struct flow *flow = &watch->flows[host][i];

        if (flow->port == port && flow->peer_port == peer_port)
            return flow;
    }
    return NULL;
}

/* Whose a SYN is: the number tells incarnations apart. That of a SYN-ACK was not known before, but
 * it answers a SYN that was. */
static const struct pair *pair_of(const struct world *world, int host,
                                  const struct tcp_segment *syn, const struct flow *peer)
{
    if ((syn->flags & TCP_ACK) != 0)
        return peer != NULL && syn->ack == peer->iss + 1 ? peer->pair : NULL;
    for (int i = 0; i < world->pair_count; i++) {
        const struct pair *pair = &world->pairs[i];

        if (pair->ports[host] == syn->src.port && pair->ports[!host] == syn->dst.port &&
            pair->iss[host] == syn->seq)
            return pair;
    }
    return NULL;
}

static struct flow *add_flow(struct world *world, int host)
{
    struct watch *watch = &world->watch;

    if (watch->count[host] == watch->room[host]) {
        watch->room[host] = 2 * watch->room[host] + 8;
        watch->flows[host] =
            realloc(watch->flows[host], watch->room[host] * sizeof(*watch->flows[host]));
        if (watch->flows[host] == NULL)
            abort();
    }
    watch->flows[host][watch->count[host]] = (struct flow){0};
    return &watch->flows[host][watch->count[host]++];
}

void watch_free(struct watch *watch)
{
    for (int host = 0; host < HOSTS; host++) {
        for (size_t i = 0; i < watch->count[host]; i++)
            board_free(&watch->flows[host][i].board);
        free(watch->flows[host]);
    }
}

/* A SYN with a number that is new begins the flow anew. */
static void begin_flow(struct world *world, int host, struct flow *flow, const struct flow *peer,
                       const struct tcp_segment *segment)
{
    *flow = (struct flow){
        .port = segment->src.port,
        .peer_port = segment->dst.port,
        .iss = segment->seq,
        .end = segment->seq + 1,
        .mss = segment->options.mss,
        .offers_scale = segment->options.has_wscale,
        .shift = segment->options.wscale,
        .pair = pair_of(world, host, segment, peer),
        .board = {.sent = flow->board.sent, .room = flow->board.room},
    };
}

/* A late duplicate of the peer's SYN may begin another incarnation before the clock of RFC 6528 has
 * ticked. */
static bool is_another(const struct flow *flow, const struct tcp_segment *syn)
{
    bool older = (syn->flags & TCP_ACK) != 0 && flow->acked && seq_lt(syn->ack, flow->ack);

    return flow->iss != syn->seq || older;
}

/* RFC 7323 section 2.2: both sides must have offered, and the window of a SYN is never scaled. */
static uint8_t shift_of(struct flow *flow, const struct flow *peer,
                        const struct tcp_segment *segment)
{
    if (peer != NULL)
        flow->scaled = flow->offers_scale && peer->offers_scale;
    return flow->scaled && (segment->flags & TCP_SYN) == 0 ? flow->shift : 0;
}

/* RFC 7323 section 2.4: a scaled window cannot say every edge. One that is rounded down seems to
 * lie up to a unit to the left, but what was promised holds. */
static const char *check_ack(struct flow *flow, const struct flow *peer,
                             const struct tcp_segment *segment)
{
    uint32_t unit = UINT32_C(1) << shift_of(flow, peer, segment);
    tcp_seq edge = segment->ack + segment->window * unit;
    bool known = flow->acked;

    if (known && seq_lt(segment->ack, flow->ack))
        return "an acknowledgment number never goes back";
    /* A SYN-ACK that goes again cannot say as much as an ACK that was sent meanwhile. */
    if (known && seq_le(edge + unit, flow->edge) && (segment->flags & TCP_SYN) == 0)
        return "the advertised right edge never moves left";
    if (peer != NULL && seq_gt(segment->ack, peer->end))
        return "only what was sent is acknowledged";
    flow->acked = true;
    flow->edge = known ? seq_max(flow->edge, edge) : edge;
    flow->ack = segment->ack;
    return NULL;
}

/* RFC 9293 section 3.7.1: "If an MSS Option is not received at connection setup, TCP implementations
 * MUST assume a default send MSS of 536". A host whose SYN has not come yet may send none. */
static uint32_t most_text(const struct flow *peer)
{
    if (peer == NULL)
        return UINT32_MAX;
    return peer->mss > 0 ? peer->mss : 536;
}

static const char *check_text(const struct flow *flow, const struct flow *peer, int host,
                              const struct tcp_segment *segment)
{
    uint64_t at = (uint32_t)(segment->seq - flow->iss - 1);

    if (segment->payload_len > 0 && peer != NULL && peer->acked &&
        seq_gt(segment->seq + segment->payload_len, peer->edge))
        return "no byte is sent beyond the peer's window";
    if (segment->payload_len > 0 && flow->finished &&
        seq_gt(segment->seq + segment->payload_len, flow->fin))
        return "no byte is sent beyond the FIN";
    for (uint32_t i = 0; i < segment->payload_len && flow->pair != NULL; i++) {
        if (segment->payload[i] != pattern_byte(flow->pair->patterns[host], at + i))
            return "a segment carries the bytes of its place";
    }
    return NULL;
}

static const char *check_fin(struct flow *flow, const struct tcp_segment *segment)
{
    tcp_seq fin = segment->seq + segment->payload_len;

    if ((segment->flags & TCP_FIN) == 0)
        return NULL;
    if (flow->finished && fin != flow->fin)
        return "the FIN stays in its place";
    if (!flow->finished && seq_lt(fin, flow->end))
        return "the FIN is behind all data";
    flow->finished = true;
    flow->fin = fin;
    return NULL;
}

static const char *check_segment(struct flow *flow, const struct flow *peer, int host,
                                 const struct tcp_segment *segment)
{
    const char *broken = NULL;
    tcp_seq end = segment->seq + segment_len(segment);

    if (flow->aborted)
        return "nothing but RST is sent after an abort";
    if ((segment->flags & (TCP_SYN | TCP_ACK)) == 0)
        return "every segment but the first SYN carries an acknowledgment";
    if ((segment->flags & TCP_ACK) != 0)
        broken = check_ack(flow, peer, segment);
    if (broken == NULL)
        broken = check_text(flow, peer, host, segment);
    if (broken == NULL)
        broken = check_fin(flow, segment);
    if (broken == NULL && seq_gt(segment->seq, flow->end))
        broken = "no number is skipped";
    flow->end = seq_max(flow->end, end);
    return broken;
}

static bool parse(const uint8_t *bytes, size_t len, bool verify, struct tcp_segment *segment)
{
    struct ipv4 ip;

    if (!ipv4_parse(bytes, len, &ip) || ip.protocol != IP_TCP ||
        (size_t)(ip.payload - bytes) + ip.payload_len != len)
        return false;
    *segment = (struct tcp_segment){.src.addr = ip.src, .dst.addr = ip.dst};
    return tcp_parse(ip.payload, ip.payload_len, verify, segment);
}

const char *watch_sent(struct world *world, int host, const uint8_t *bytes, size_t len, bool whole,
                       utcp_time now, struct tcp_segment *segment)
{
    struct flow *flow, *peer;

    if (bytes[9] == IP_ICMP)
        return NULL;
    if (!parse(bytes, len, whole, segment))
        return "packets have right lengths and checksums";
    if ((segment->flags & TCP_RST) != 0)
        return NULL;
    flow = watch_find(world, host, segment->src.port, segment->dst.port);
    peer = watch_find(world, !host, segment->dst.port, segment->src.port);
    if ((segment->flags & TCP_SYN) != 0 && (flow == NULL || is_another(flow, segment))) {
        if (flow == NULL)
            flow = add_flow(world, host);
        begin_flow(world, host, flow, peer, segment);
    }
    if (flow == NULL)
        return "a connection begins with a SYN";
    /* Of SYNs that go again, nobody knows which will arrive first. */
    if (segment->options.mss > flow->mss)
        flow->mss = segment->options.mss;
    /* What was left of an incarnation before. */
    if (peer != NULL && peer->pair != flow->pair)
        peer = NULL;
    if (whole && segment->payload_len > most_text(peer))
        return "no segment is longer than the peer's MSS";
    if (world->answering && segment_len(segment) == 0)
        return "a pure ACK in the window is not answered with an ACK";
    board_note(&flow->board, segment, now);
    return check_segment(flow, peer, host, segment);
}

/* RFC 7323 section 5.3: what was overtaken by a later time "should" be answered. */
static bool was_overtaken(struct world *world, int host, const struct tcp_segment *segment)
{
    const struct utcp_conn *conn =
        stack_find_tuple(world->hosts[host].stack, &segment->dst, &segment->src);

    return conn != NULL && segment->options.has_timestamps &&
           (int32_t)(conn->ts_recent - segment->options.ts_value) > 0;
}

bool watch_is_pure_ack(struct world *world, int host, const uint8_t *bytes, size_t len)
{
    struct tcp_segment segment;
    const struct flow *flow, *peer;

    if (!parse(bytes, len, true, &segment) || segment_len(&segment) > 0 ||
        (segment.flags & (TCP_ACK | TCP_RST)) != TCP_ACK || was_overtaken(world, host, &segment))
        return false;
    flow = watch_find(world, host, segment.dst.port, segment.src.port);
    peer = watch_find(world, !host, segment.src.port, segment.dst.port);
    return flow != NULL && flow->acked && peer != NULL && peer->pair == flow->pair &&
           peer->ack == segment.ack && seq_ge(segment.seq, flow->ack) &&
           seq_le(segment.seq, flow->edge);
}

void watch_aborted(struct world *world, int host, const struct pair *pair)
{
    struct flow *flow = watch_find(world, host, pair->ports[host], pair->ports[!host]);

    if (flow != NULL && flow->pair == pair)
        flow->aborted = true;
}
