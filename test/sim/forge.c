/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * The attacker sees nothing and knows the ports. What it sends has a sequence number or an
 * acknowledgment number that is wrong by a little or by much, but never both right: then nobody could
 * tell it from the peer. RFC 5961 (segments) and RFC 5927 (ICMP) say that the connection goes on as if
 * nothing had come, but for an ACK here and there.
 */
#include "base/checksum.h"
#include "stack.h"
#include "wire/bytes.h"
#include "world.h"

#define FAR (UINT32_C(1) << 30)
#define TEXT_MOST 100
#define FORGED_MOST 300

/* A number that is neither seq itself nor near what is right, before or behind [from, to). */
static tcp_seq outside(struct rng *rng, tcp_seq from, tcp_seq to)
{
    if (rng_chance(rng, 500))
        return to + (tcp_seq)rng_magnitude(rng, FAR);
    return from - TEXT_MOST - 1 - (tcp_seq)rng_magnitude(rng, FAR);
}

/* RFC 5961 section 5.2: acceptable is (SND.UNA - MAX.SND.WND) =< SEG.ACK =< SND.NXT. */
static tcp_seq bad_ack(const struct utcp_conn *conn, struct rng *rng)
{
    return outside(rng, conn->snd_una - conn->snd_wnd_max, conn->snd_nxt);
}

/* In the window, but not where the next byte is expected: RFC 5961 section 3.2. */
static bool near_miss(const struct utcp_conn *conn, struct rng *rng, tcp_seq *seq)
{
    uint32_t window = conn->rcv_adv - conn->rcv_nxt;

    if (window < 2)
        return false;
    *seq = conn->rcv_nxt + (tcp_seq)rng_between(rng, 1, window - 1);
    return true;
}

static void guess_rst(const struct utcp_conn *conn, struct rng *rng, struct tcp_segment *segment)
{
    segment->flags = rng_chance(rng, 500) ? TCP_RST : TCP_RST | TCP_ACK;
    if (rng_chance(rng, 300) || !near_miss(conn, rng, &segment->seq))
        segment->seq = outside(rng, conn->rcv_nxt, conn->rcv_adv);
}

/* RFC 5961 section 4.2: "irrespective of the sequence number, TCP MUST send an ACK". */
static void guess_syn(const struct utcp_conn *conn, struct rng *rng, struct tcp_segment *segment)
{
    segment->flags = rng_chance(rng, 500) ? TCP_SYN : TCP_SYN | TCP_ACK;
    segment->seq = conn->rcv_nxt + (tcp_seq)rng_magnitude(rng, UINT32_MAX) - 1;
}

/* Text or FIN that fits the window, and a wrong acknowledgment. */
static void guess_text(const struct utcp_conn *conn, struct rng *rng, struct tcp_segment *segment)
{
    segment->flags = rng_chance(rng, 200) ? TCP_FIN | TCP_ACK : TCP_ACK;
    segment->seq = conn->rcv_nxt;
    segment->ack = bad_ack(conn, rng);
    if (rng_chance(rng, 500))
        near_miss(conn, rng, &segment->seq);
}

/* A good acknowledgment, and text outside the window. As in Linux, the window begins where our last ACK
 * said. */
static void guess_ack(const struct utcp_conn *conn, struct rng *rng, struct tcp_segment *segment)
{
    segment->flags = TCP_ACK;
    segment->seq = outside(rng, conn->rcv_acked, conn->rcv_adv);
    segment->ack = conn->snd_una + (tcp_seq)rng_between(rng, 0, outstanding(conn));
}

/* RFC 9293 section 3.10.7.3, first: the acknowledgment must be of the SYN. */
static void guess_answer(const struct utcp_conn *conn, struct rng *rng, struct tcp_segment *segment)
{
    segment->flags = rng_chance(rng, 500) ? TCP_RST | TCP_ACK : TCP_SYN | TCP_ACK;
    segment->ack = outside(rng, conn->iss, conn->iss + 1);
}

static void guess(const struct utcp_conn *conn, struct rng *rng, struct tcp_segment *segment)
{
    segment->seq = (tcp_seq)rng_next(rng);
    segment->ack = conn->snd_una;
    segment->window = (uint16_t)rng_next(rng);
    if (conn->state == TCP_SYN_SENT) {
        guess_answer(conn, rng, segment);
        return;
    }
    segment->payload_len = (uint32_t)(rng_chance(rng, 500) ? rng_between(rng, 1, TEXT_MOST) : 0);
    switch (rng_between(rng, 0, 3)) {
    case 0:
        guess_rst(conn, rng, segment);
        break;
    case 1:
        guess_syn(conn, rng, segment);
        break;
    case 2:
        guess_text(conn, rng, segment);
        break;
    default:
        guess_ack(conn, rng, segment);
        break;
    }
}

static void arrive(struct host *host, uint8_t *packet, uint8_t protocol, const struct ipv4 *about)
{
    struct ipv4 ip = *about;

    ip.protocol = protocol;
    ip.ttl = 64;
    ipv4_write(packet, &ip);
    utcp_input(host->stack, packet, IPV4_HEADER + ip.payload_len, UTCP_INPUT_CSUM_OK,
               host_now(host));
}

static void forge_segment(struct host *host, const struct utcp_conn *conn)
{
    uint8_t packet[UTCP_HEADER_MAX + TEXT_MOST];
    struct tcp_segment segment = {.src = conn->remote, .dst = conn->local};
    size_t header;

    memset(packet, 'x', sizeof(packet));
    guess(conn, &host->rng, &segment);
    world_trace(host->world, !host->index, &segment, "forged");
    header = tcp_write(packet + IPV4_HEADER, &segment);
    arrive(host, packet, IP_TCP,
           &(struct ipv4){.src = conn->remote.addr,
                          .dst = conn->local.addr,
                          .payload_len = header + segment.payload_len});
}

/* RFC 5927 section 5.2: to a connection that stands, no ICMP message is a hard error; and one whose
 * quoted number is not in flight is none at all. */
static void forge_icmp(struct host *host, const struct utcp_conn *conn)
{
    struct rng *rng = &host->rng;
    uint8_t packet[2 * IPV4_HEADER + 16] = {0};
    uint8_t *body = packet + IPV4_HEADER, *quote = body + 8;
    struct ipv4 ip = {.src = conn->remote.addr,
                      .dst = conn->local.addr,
                      .payload_len = sizeof(packet) - IPV4_HEADER};
    bool too_big = rng_chance(rng, 500);
    struct ipv4 quoted = {.src = conn->local.addr,
                          .dst = conn->remote.addr,
                          .protocol = IP_TCP,
                          .ttl = 1,
                          .payload_len = too_big ? 1480 : 20};

    body[0] = ICMP_UNREACHABLE;
    body[1] = too_big ? ICMP_FRAGMENTATION_NEEDED : (uint8_t)rng_between(rng, 0, 3);
    put16(body + 6, too_big ? (uint32_t)rng_between(rng, 0, 1400) : 0);
    ipv4_write(quote, &quoted);
    put16(quote + IPV4_HEADER, conn->local.port);
    put16(quote + IPV4_HEADER + 2, conn->remote.port);
    put32(quote + IPV4_HEADER + 4,
          too_big ? outside(rng, conn->snd_una, conn->snd_nxt) : conn->snd_una);
    put16(body + 2, checksum_finish(checksum_add(0, body, ip.payload_len)));
    arrive(host, packet, IP_ICMP, &ip);
}

/* A connection of the host that an attack must not harm. */
static const struct utcp_conn *choose(struct host *host, const struct app **app)
{
    struct world *world = host->world;

    if (world->app_count == 0)
        return NULL;
    *app = &world->apps[rng_between(&host->rng, 0, (uint64_t)world->app_count - 1)];
    if ((*app)->host != host->index || (*app)->conn == NULL)
        return NULL;
    if (!tcp_synchronized((*app)->conn->state) && (*app)->conn->state != TCP_SYN_SENT)
        return NULL;
    return (*app)->conn->state == TCP_TIME_WAIT ? NULL : (*app)->conn;
}

void forge(struct host *host)
{
    const struct app *app;
    const struct utcp_conn *conn = choose(host, &app);

    if (conn != NULL) {
        if (tcp_synchronized(conn->state) && rng_chance(&host->rng, 100))
            forge_icmp(host, conn);
        else
            forge_segment(host, conn);
        world_note(host->world, app, "is told lies", 0, 0);
    }
    /* A flood would only show that a slow line can be filled with answers. */
    if (!world_done(host->world) && ++host->forged < FORGED_MOST)
        world_schedule(host->world, EVENT_FORGE, host->index,
                       host->world->now + rng_between(&host->rng, 1, 2 * host->forge_every));
}
