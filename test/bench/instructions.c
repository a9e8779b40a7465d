/* SPDX-License-Identifier: MIT */
/*
 * A fixed transfer between two stacks in virtual time, to be counted by callgrind:
 *
 *	instructions segments|frames
 *
 * The packets are of one segment, or of up to 64 KB. What the core does for each kind of packet is in a
 * function of its own below, whose name scripts/instructions looks for; how often each was called is
 * printed. The payload is not copied into the sender's buffer, nor out of the receiver's, which is
 * the program's affair.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utcp.h"

#define BYTES (16 << 20)
#define WRITE 16384
#define HALF_RTT (500 * UTCP_USEC)

enum { FLIGHT_MAX = 16384 };

/* One that is under way, owned by its flight. */
struct packet {
    uint8_t *bytes;
    size_t len;
};

/* All that one side sends until the other has its turn. */
struct flight {
    struct packet packets[FLIGHT_MAX];
    size_t count;
};

/* What happened: one line of output each. */
struct tally {
    unsigned long write, send, receive, read, send_ack, receive_ack;
};

static utcp_time now = UTCP_SEC;
static struct tally tally;
static struct flight forth, back;

static void *allocate(void *ctx, size_t size)
{
    (void)ctx;
    return calloc(1, size);
}

static void release(void *ctx, void *memory, size_t size)
{
    (void)ctx;
    (void)size;
    free(memory);
}

static void fill(void *ctx, void *buffer, size_t size)
{
    unsigned *counter = ctx;

    for (size_t i = 0; i < size; i++)
        ((uint8_t *)buffer)[i] = (uint8_t)((*counter += 7919) >> 4);
}

static struct utcp_stack *make_stack(uint8_t host, bool frames)
{
    static unsigned counter = 1;
    struct utcp_config config = {
        .allocator = {allocate, release, NULL},
        .random = {fill, &counter},
        .addr = {UTCP_IPV4, {10, 0, 0, host}},
        .mtu_bytes = 1500,
    };

    utcp_settings_init(&config.settings);
    if (!frames)
        config.settings.gso = 0;
    return utcp_create(&config, now);
}

/* ---- what is counted ---- */

/* False = there is no room. */
__attribute__((noinline)) static bool counted_write(struct utcp_conn *conn)
{
    struct utcp_slice space[2];

    if (utcp_send_space(conn, space) < WRITE)
        return false;
    utcp_send_commit(conn, WRITE, 0, now);
    tally.write++;
    return true;
}

__attribute__((noinline)) static bool counted_send(struct utcp_stack *stack,
                                                   struct utcp_packet *packet)
{
    bool is_one = utcp_output(stack, packet, now);

    tally.send += is_one;
    return is_one;
}

__attribute__((noinline)) static bool counted_send_ack(struct utcp_stack *stack,
                                                       struct utcp_packet *packet)
{
    bool is_one = utcp_output(stack, packet, now);

    tally.send_ack += is_one;
    return is_one;
}

__attribute__((noinline)) static void counted_sent(struct utcp_stack *stack,
                                                   struct utcp_packet *packet)
{
    utcp_output_done(stack, packet);
}

__attribute__((noinline)) static void counted_receive(struct utcp_stack *stack,
                                                      const struct packet *packet)
{
    utcp_input(stack, packet->bytes, packet->len, UTCP_INPUT_CSUM_OK, now);
    tally.receive++;
}

__attribute__((noinline)) static void counted_receive_ack(struct utcp_stack *stack,
                                                          const struct packet *packet)
{
    utcp_input(stack, packet->bytes, packet->len, UTCP_INPUT_CSUM_OK, now);
    tally.receive_ack++;
}

__attribute__((noinline)) static size_t counted_read(struct utcp_conn *conn)
{
    struct utcp_slice data[2];
    long len = utcp_receive_data(conn, data);

    if (len <= 0)
        return 0;
    utcp_receive_commit(conn, (size_t)len, now);
    tally.read++;
    return (size_t)len;
}

/* ---- the way between them ---- */

static void keep(struct flight *flight, const struct utcp_packet *packet)
{
    struct packet *kept = &flight->packets[flight->count++];
    size_t len = packet->header_len;

    if (flight->count == FLIGHT_MAX)
        errx(1, "too much under way");
    kept->len = len + packet->payload_len;
    kept->bytes = malloc(kept->len);
    memcpy(kept->bytes, packet->header, len);
    for (int i = 0; i < 2; i++) {
        if (packet->payload[i].len > 0)
            memcpy(kept->bytes + len, packet->payload[i].data, packet->payload[i].len);
        len += packet->payload[i].len;
    }
}

/* One function for data and one for ACKs: callgrind adds up by function. */
static void send_all(struct utcp_stack *stack, struct flight *flight,
                     bool (*send)(struct utcp_stack *, struct utcp_packet *))
{
    struct utcp_packet packet;

    while (send(stack, &packet)) {
        keep(flight, &packet);
        counted_sent(stack, &packet);
    }
}

static void drop_all(struct flight *flight)
{
    for (size_t i = 0; i < flight->count; i++)
        free(flight->packets[i].bytes);
    flight->count = 0;
}

static void forget_events(struct utcp_stack *stack)
{
    struct utcp_event event;

    while (utcp_next_event(stack, &event))
        continue;
}

/* Of data: the program reads each packet's, and there is an ACK when one is due. */
static size_t receive_all(struct utcp_stack *stack, struct utcp_conn *conn)
{
    size_t received = 0;

    for (size_t i = 0; i < forth.count; i++) {
        counted_receive(stack, &forth.packets[i]);
        if (conn != NULL)
            received += counted_read(conn);
        send_all(stack, &back, counted_send_ack);
    }
    drop_all(&forth);
    forget_events(stack);
    return received;
}

static void receive_acks(struct utcp_stack *stack)
{
    for (size_t i = 0; i < back.count; i++)
        counted_receive_ack(stack, &back.packets[i]);
    drop_all(&back);
    forget_events(stack);
}

static void pass_time(struct utcp_stack *a, struct utcp_stack *b)
{
    now += HALF_RTT;
    utcp_advance(a, now);
    utcp_advance(b, now);
}

/* ---- the transfer ---- */

static struct utcp_conn *open_connection(struct utcp_stack *client, struct utcp_stack *server,
                                         struct utcp_conn **accepted)
{
    struct utcp_endpoint name = {.addr = {UTCP_IPV4, {10, 0, 0, 2}}, .port = 80};
    struct utcp_conn *listener = utcp_open(server, &tally), *conn = utcp_open(client, &tally);

    if (utcp_bind(listener, &name) != 0 || utcp_listen(listener, 1) != 0 ||
        utcp_connect(conn, &name, now) != 0)
        errx(1, "no connection");
    while ((*accepted = utcp_accept(listener, &tally)) == NULL) {
        send_all(client, &forth, counted_send);
        pass_time(client, server);
        receive_all(server, NULL);
        pass_time(client, server);
        receive_acks(client);
    }
    return conn;
}

static void transfer(struct utcp_stack *client, struct utcp_stack *server)
{
    struct utcp_conn *accepted, *conn = open_connection(client, server, &accepted);
    size_t written = 0, received = 0;

    while (received < BYTES) {
        while (written < BYTES && counted_write(conn))
            written += WRITE;
        send_all(client, &forth, counted_send);
        pass_time(client, server);
        received += receive_all(server, accepted);
        pass_time(client, server);
        receive_acks(client);
    }
}

int main(int argc, char **argv)
{
    bool frames = argc == 2 && strcmp(argv[1], "frames") == 0;
    struct utcp_stack *client = make_stack(1, frames), *server = make_stack(2, frames);

    if (argc != 2)
        errx(2, "usage: instructions segments|frames");
    transfer(client, server);
    printf("write %lu\nsend %lu\nreceive %lu\nread %lu\nsend_ack %lu\nreceive_ack %lu\n",
           tally.write, tally.send, tally.receive, tally.read, tally.send_ack, tally.receive_ack);
    utcp_destroy(client);
    utcp_destroy(server);
    return 0;
}
