/* SPDX-License-Identifier: MIT */
/*
 * The client of peer.c on lwIP as Debian builds it, by its raw API in one thread:
 *
 *	lwip DEVICE LOCAL out|in|rtt|connect AMOUNT ADDRESS PORT
 *
 * It takes frames of 64 KB in, of which it wants the checksums complete, and sends segments of one MSS.
 */
#include "tun.h"

#include <err.h>
#include <fcntl.h>
#include <linux/virtio_net.h>
#include <lwip/init.h>
#include <lwip/ip.h>
#include <lwip/netif.h>
#include <lwip/tcp.h>
#include <lwip/timeouts.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 100, LARGEST = 65535 };

/* What a connection begins with, as in peer.c. */
struct request {
    char load;
    uint64_t amount;
};

static struct request request;
static char user[1 << 18];

/* The connection under way, and what its callbacks have seen. */
static struct {
    struct tcp_pcb *pcb;
    uint64_t to_write, received;
    bool connected;
} conn;

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- the device ---- */

static err_t put_packet(struct netif *netif, struct pbuf *packet, const ip4_addr_t *to)
{
    struct virtio_net_hdr virtio = {0};
    struct iovec parts[16] = {{&virtio, sizeof virtio}};
    int count = 1;

    (void)to;
    for (struct pbuf *p = packet; p != NULL && count < 16; p = p->next)
        parts[count++] = (struct iovec){p->payload, p->len};
    return writev(*(int *)netif->state, parts, count) < 0 ? ERR_IF : ERR_OK;
}

/* Adds up what is not yet in the checksum's field, which has the sum of the pseudo-header. */
static void complete_checksum(char *packet, size_t len, const struct virtio_net_hdr *virtio)
{
    uint64_t sum = 0;
    uint32_t word;
    uint16_t folded;
    size_t at = virtio->csum_start;

    for (; at + 4 <= len; at += 4) {
        memcpy(&word, packet + at, 4);
        sum += word;
    }
    word = 0;
    memcpy(&word, packet + at, len - at);
    sum += word;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    folded = (uint16_t)~sum;
    memcpy(packet + virtio->csum_start + virtio->csum_offset, &folded, 2);
}

/* False = there is no packet. */
static bool take_packet(struct netif *netif)
{
    struct pbuf *packet = pbuf_alloc(PBUF_RAW, LARGEST, PBUF_RAM);
    struct virtio_net_hdr virtio;
    struct iovec parts[] = {{&virtio, sizeof virtio}, {packet->payload, LARGEST}};
    ssize_t len = readv(*(int *)netif->state, parts, 2) - (ssize_t)sizeof virtio;

    if (len <= 0) {
        pbuf_free(packet);
        return false;
    }
    if (virtio.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
        complete_checksum(packet->payload, (size_t)len, &virtio);
    pbuf_realloc(packet, (u16_t)len);
    if (netif->input(packet, netif) != ERR_OK)
        pbuf_free(packet);
    return true;
}

/* Lets everything happen that is due, and sleeps when there is nothing. */
static void turn(struct netif *netif)
{
    struct pollfd readable = {.fd = *(int *)netif->state, .events = POLLIN};

    sys_check_timeouts();
    if (take_packet(netif)) {
        while (take_packet(netif))
            continue;
    } else {
        poll(&readable, 1, PATIENCE_MS);
    }
}

static err_t set_up_netif(struct netif *netif)
{
    netif->name[0] = netif->name[1] = 't';
    netif->mtu = 1500;
    netif->output = put_packet;
    return ERR_OK;
}

/* ---- a connection ---- */

static void write_some(void)
{
    while (conn.to_write > 0) {
        uint64_t room = tcp_sndbuf(conn.pcb);
        u16_t part = (u16_t)(room < conn.to_write ? room : conn.to_write);

        if (part == 0 || tcp_write(conn.pcb, user, part, TCP_WRITE_FLAG_COPY) != ERR_OK)
            break;
        conn.to_write -= part;
    }
    tcp_output(conn.pcb);
}

static err_t on_sent(void *context, struct tcp_pcb *pcb, u16_t len)
{
    (void)context;
    (void)pcb;
    (void)len;
    write_some();
    return ERR_OK;
}

static err_t on_received(void *context, struct tcp_pcb *pcb, struct pbuf *data, err_t error)
{
    (void)context;
    (void)error;
    if (data == NULL)
        return ERR_OK;
    conn.received += pbuf_copy_partial(data, user, data->tot_len, 0);
    tcp_recved(pcb, data->tot_len);
    pbuf_free(data);
    return ERR_OK;
}

static err_t on_connected(void *context, struct tcp_pcb *pcb, err_t error)
{
    (void)context;
    (void)pcb;
    (void)error;
    conn.connected = true;
    return ERR_OK;
}

static void on_error(void *context, err_t error)
{
    (void)context;
    errx(1, "the connection ends: lwIP's error %d", error);
}

static void open_connection(struct netif *netif, const ip_addr_t *other, u16_t port)
{
    memset(&conn, 0, sizeof conn);
    conn.pcb = tcp_new();
    tcp_nagle_disable(conn.pcb);
    tcp_err(conn.pcb, on_error);
    tcp_recv(conn.pcb, on_received);
    tcp_sent(conn.pcb, on_sent);
    if (tcp_connect(conn.pcb, other, port, on_connected) != ERR_OK)
        errx(1, "connect");
    while (!conn.connected)
        turn(netif);
    tcp_write(conn.pcb, &request, sizeof request, TCP_WRITE_FLAG_COPY);
    tcp_output(conn.pcb);
}

static void receive_until(struct netif *netif, uint64_t amount)
{
    while (conn.received < amount)
        turn(netif);
}

static void close_connection(void)
{
    tcp_err(conn.pcb, NULL);
    tcp_sent(conn.pcb, NULL);
    tcp_close(conn.pcb);
}

/* ---- the loads ---- */

static void connect_once(struct netif *netif, const ip_addr_t *other, u16_t port)
{
    open_connection(netif, other, port);
    receive_until(netif, 1);
    close_connection();
}

static double run_connect(struct netif *netif, const ip_addr_t *other, u16_t port)
{
    double start;

    connect_once(netif, other, port);
    start = seconds();
    for (uint64_t i = 0; i < request.amount; i++)
        connect_once(netif, other, port);
    return (double)request.amount / (seconds() - start);
}

static void run_rtt(struct netif *netif)
{
    for (uint64_t i = 1; i <= request.amount; i++) {
        conn.to_write = 1;
        write_some();
        receive_until(netif, i);
    }
}

static double run(struct netif *netif, const ip_addr_t *other, u16_t port)
{
    double start, taken;

    if (request.load == 'c')
        return run_connect(netif, other, port);
    open_connection(netif, other, port);
    start = seconds();
    if (request.load == 'r') {
        run_rtt(netif);
    } else if (request.load == 'o') {
        conn.to_write = request.amount;
        write_some();
        receive_until(netif, 1);
    } else {
        receive_until(netif, request.amount);
    }
    taken = seconds() - start;
    close_connection();
    for (int i = 0; i < 3; i++) /* for the last words */
        turn(netif);
    if (request.load == 'r')
        return taken * 1e6 / (double)request.amount;
    return (double)request.amount * 8 / 1e9 / taken;
}

int main(int argc, char **argv)
{
    ip4_addr_t local, mask, none = {0};
    struct netif netif;
    ip_addr_t other;
    int tun;

    if (argc != 7 || !ip4addr_aton(argv[2], &local) || !ipaddr_aton(argv[5], &other))
        errx(2, "usage: lwip DEVICE LOCAL out|in|rtt|connect AMOUNT ADDRESS PORT");
    request.load = argv[3][0];
    request.amount = strtoull(argv[4], NULL, 10);
    tun = tun_attach(argv[1], true);
    fcntl(tun, F_SETFL, O_NONBLOCK);
    lwip_init();
    IP4_ADDR(&mask, 255, 255, 255, 255);
    memset(&netif, 0, sizeof netif);
    netif_add(&netif, &local, &mask, &none, &tun, set_up_netif, ip_input);
    netif_set_default(&netif);
    netif_set_up(&netif);
    netif_set_link_up(&netif);
    printf("%.2f\n", run(&netif, &other, (u16_t)atoi(argv[6])));
    return 0;
}
