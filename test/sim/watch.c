/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include "wire/ipv4.h"
#include "world.h"

struct flow *watch_find(struct world *world, int host, uint16_t port, uint16_t peer_port)
{
    struct watch *watch = &world->watch;

    for (int i = 0; i < watch->count[host]; i++) {
        struct flow *flow = &watch->flows[host][i];

        if (flow->port == port && flow->peer_port == peer_port)
            return flow;
    }
    return NULL;
}

static const struct pair *pair_of(const struct world *world, int host, uint16_t port,
                                  uint16_t peer_port)
{
    for (int i = 0; i < world->pair_count; i++) {
        const struct pair *pair = &world->pairs[i];

        if (pair->ports[host] == port && pair->ports[!host] == peer_port)
            return pair;
    }
    return NULL;
}

static struct flow *add_flow(struct world *world, int host)
{
    struct watch *watch = &world->watch;

    if (watch->count[host] == FLOWS_MAX)
        return NULL;
    return &watch->flows[host][watch->count[host]++];
}

/* A SYN with a number that is new begins the flow anew. */
static void begin_flow(struct world *world, int host, struct flow *flow,
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
        .pair = pair_of(world, host, segment->src.port, segment->dst.port),
    };
}

/* RFC 7323 section 2.2: both sides must have offered, and the window of a SYN is never scaled. */
static uint8_t shift_of(const struct flow *flow, const struct flow *peer,
                        const struct tcp_segment *segment)
{
    bool scaled =
        (segment->flags & TCP_SYN) == 0 && flow->offers_scale && peer != NULL && peer->offers_scale;

    return scaled ? flow->shift : 0;
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
    if (known && seq_le(edge + unit, flow->edge))
        return "the advertised right edge never moves left";
    if (peer != NULL && seq_gt(segment->ack, peer->end))
        return "only what was sent is acknowledged";
    flow->acked = true;
    flow->edge = known ? seq_max(flow->edge, edge) : edge;
    flow->ack = segment->ack;
    return NULL;
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
                       struct tcp_segment *segment)
{
    struct flow *flow, *peer;

    if (!parse(bytes, len, whole, segment))
        return "packets have right lengths and checksums";
    if ((segment->flags & TCP_RST) != 0)
        return NULL;
    flow = watch_find(world, host, segment->src.port, segment->dst.port);
    peer = watch_find(world, !host, segment->dst.port, segment->src.port);
    if ((segment->flags & TCP_SYN) != 0 && (flow == NULL || flow->iss != segment->seq)) {
        if (flow == NULL)
            flow = add_flow(world, host);
        if (flow == NULL)
            return "connections are as many as were opened";
        begin_flow(world, host, flow, segment);
    }
    if (flow == NULL)
        return "a connection begins with a SYN";
    if (world->answering && segment_len(segment) == 0)
        return "a pure ACK in the window is not answered with an ACK";
    return check_segment(flow, peer, host, segment);
}

bool watch_is_pure_ack(struct world *world, int host, const uint8_t *bytes, size_t len)
{
    struct tcp_segment segment;
    const struct flow *flow, *peer;

    if (!parse(bytes, len, true, &segment) || segment_len(&segment) > 0 ||
        (segment.flags & (TCP_ACK | TCP_RST)) != TCP_ACK)
        return false;
    flow = watch_find(world, host, segment.dst.port, segment.src.port);
    peer = watch_find(world, !host, segment.src.port, segment.dst.port);
    /* One that later text may have overtaken is an old duplicate to PAWS. */
    return flow != NULL && flow->acked && peer != NULL && peer->ack == segment.ack &&
           seq_ge(segment.seq, seq_max(flow->ack, peer->end)) && seq_le(segment.seq, flow->edge);
}

void watch_aborted(struct world *world, int host, uint16_t port, uint16_t peer_port)
{
    struct flow *flow = watch_find(world, host, port, peer_port);

    if (flow != NULL)
        flow->aborted = true;
}
