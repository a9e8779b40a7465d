/* SPDX-License-Identifier: MIT */
/*
 * What one TUN descriptor can carry: the least that a kernel's TCP at the other end takes for a
 * connection, and no TCP behind it.
 *
 *	bare [-n] [-s] DEVICE LOCAL out|in|rtt AMOUNT ADDRESS PORT
 *
 * Speaks to `peer serve` and prints what peer prints. Out, it sends the largest frames as long as the window
 * has room; in, it reads until the device is empty and acknowledges what came. Nothing is sent
 * again, put in order, timed, or checked: the device loses nothing as long as no more is under way than
 * it queues. Each byte is copied once, as it is for a program that reads or writes; -n leaves that out. -s is
 * for small frames: without offload, of 1500 bytes.
 */
#include "tun.h"

#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <linux/virtio_net.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    MSS = 1460,
    SCALE = 10,                  /* of the window that we announce */
    WINDOW = 8 << 20,            /* with offload: 128 frames of the 500 that the device queues */
    SMALL_WINDOW = 400 * MSS,    /* without: 400 of them */
    LARGEST = 44 * MSS,          /* of payload in a frame */
    USER_BYTES = 1 << 18,        /* the program's buffer, as peer has it */
    RING_BYTES = 44 * MSS * 100, /* where its bytes go: 6 MB, as a connection's buffer has */
    PATIENCE_MS = 5000,
};

/* What a connection begins with, as in peer.c. */
struct request {
    char load;
    uint64_t amount;
};

struct headers {
    struct iphdr ip;
    struct tcphdr tcp;
    uint8_t options[8]; /* of a SYN */
};

/* A connection. The addresses and ports are in network order, sequence numbers in the machine's. */
struct bare {
    int tun;
    bool offload, copy;
    uint32_t local, remote;
    uint16_t local_port, remote_port;
    uint32_t snd_nxt, snd_una, snd_edge, rcv_nxt;
    unsigned snd_scale;
    bool syn_seen, fin_seen;
    uint64_t received;
    char *user, *ring, *frame;
    size_t ring_at;
};

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- sending ---- */

static uint32_t sum(const void *bytes, size_t len, uint32_t start)
{
    const uint8_t *at = bytes;

    for (; len > 1; at += 2, len -= 2)
        start += (uint32_t)(at[0] << 8 | at[1]);
    return len > 0 ? start + (uint32_t)(at[0] << 8) : start;
}

static uint16_t fold(uint32_t s)
{
    s = (s & 0xffff) + (s >> 16);
    s = (s & 0xffff) + (s >> 16);
    return htons((uint16_t)s);
}

/* With offload the kernel completes the sum. Without, what is long is all zeros and adds nothing. */
static void fill_checksums(const struct bare *b, struct headers *h, size_t header_len,
                           const void *payload, size_t len)
{
    size_t tcp_len = header_len - sizeof h->ip + len;
    uint32_t s = sum(&h->ip.saddr, 8, (uint32_t)(IPPROTO_TCP + tcp_len));

    h->ip.check = (uint16_t)~fold(sum(&h->ip, sizeof h->ip, 0));
    if (b->offload) {
        h->tcp.check = fold(s);
        return;
    }
    s = sum(&h->tcp, header_len - sizeof h->ip, s);
    if (len <= sizeof(struct request))
        s = sum(payload, len, s);
    h->tcp.check = (uint16_t)~fold(s);
}

static void fill_headers(struct bare *b, struct headers *h, size_t header_len, size_t len)
{
    uint32_t window = b->offload ? WINDOW : SMALL_WINDOW;

    h->ip.version = 4;
    h->ip.ihl = 5;
    h->ip.tot_len = htons((uint16_t)(header_len + len));
    h->ip.frag_off = htons(IP_DF);
    h->ip.ttl = 64;
    h->ip.protocol = IPPROTO_TCP;
    h->ip.saddr = b->local;
    h->ip.daddr = b->remote;
    h->tcp.source = b->local_port;
    h->tcp.dest = b->remote_port;
    h->tcp.seq = htonl(b->snd_nxt);
    h->tcp.ack_seq = htonl(b->rcv_nxt);
    h->tcp.doff = (uint16_t)((header_len - sizeof h->ip) / 4 & 15);
    h->tcp.window = htons((uint16_t)(window >> SCALE));
}

static void put_frame(const struct bare *b, const struct headers *h, size_t header_len,
                      const void *payload, size_t len)
{
    struct virtio_net_hdr virtio = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                    .csum_start = sizeof h->ip,
                                    .csum_offset = offsetof(struct tcphdr, check)};
    struct iovec parts[] = {
        {&virtio, sizeof virtio}, {(void *)h, header_len}, {(void *)payload, len}};
    int skip = !b->offload;

    if (len > MSS) {
        virtio.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
        virtio.gso_size = MSS;
        virtio.hdr_len = (uint16_t)header_len;
    }
    if (writev(b->tun, parts + skip, 3 - skip) < 0)
        err(1, "write to the device");
}

enum { ACK = 1, SYN = 2, FIN = 4 };

static void send_segment(struct bare *b, int flags, const void *payload, size_t len)
{
    struct headers h = {.options = {2, 4, MSS >> 8, MSS & 255, 1, 3, 3, SCALE}};
    size_t header_len = flags & SYN ? sizeof h : sizeof h - sizeof h.options;

    fill_headers(b, &h, header_len, len);
    h.tcp.syn = (flags & SYN) != 0;
    h.tcp.fin = (flags & FIN) != 0;
    h.tcp.ack = (flags & ACK) != 0;
    fill_checksums(b, &h, header_len, payload, len);
    put_frame(b, &h, header_len, payload, len);
    b->snd_nxt += (uint32_t)len + h.tcp.syn + h.tcp.fin;
}

/* ---- receiving ---- */

static void take_window_scale(struct bare *b, const uint8_t *option, const uint8_t *end)
{
    while (option < end && *option != 0) {
        if (*option == 3)
            b->snd_scale = option[2];
        option += *option == 1 ? 1 : option[1];
    }
}

static void take_payload(struct bare *b, const char *payload, size_t len)
{
    if (b->copy && len > 0)
        memcpy(b->user + (b->received % USER_BYTES < USER_BYTES / 2 ? 0 : USER_BYTES / 2), payload,
               len);
    b->received += len;
    b->rcv_nxt += (uint32_t)len;
}

static void take_segment(struct bare *b, const char *packet)
{
    struct iphdr ip;
    struct tcphdr tcp;
    size_t skip;

    memcpy(&ip, packet, sizeof ip);
    if (ip.version != 4 || ip.protocol != IPPROTO_TCP)
        return;
    memcpy(&tcp, packet + sizeof ip, sizeof tcp);
    if (tcp.dest != b->local_port)
        return;
    if (tcp.rst)
        errx(1, "the peer resets the connection");
    skip = sizeof ip + tcp.doff * 4U;
    if (tcp.syn) {
        b->syn_seen = true;
        b->rcv_nxt = ntohl(tcp.seq) + 1;
        take_window_scale(b, (const uint8_t *)packet + 40, (const uint8_t *)packet + skip);
    } else if (ntohl(tcp.seq) == b->rcv_nxt) {
        take_payload(b, packet + skip, ntohs(ip.tot_len) - skip);
        b->rcv_nxt += tcp.fin;
        b->fin_seen = b->fin_seen || tcp.fin;
    }
    b->snd_una = ntohl(tcp.ack_seq);
    b->snd_edge = b->snd_una + ((uint32_t)ntohs(tcp.window) << (tcp.syn ? 0 : b->snd_scale));
}

/* Takes one frame, if there is one. */
static bool receive(struct bare *b)
{
    ssize_t len = read(b->tun, b->frame, TUN_FRAME_BYTES);

    if (len <= 0)
        return false;
    take_segment(b, b->frame + (b->offload ? sizeof(struct virtio_net_hdr) : 0));
    return true;
}

static void receive_some(struct bare *b)
{
    struct pollfd readable = {.fd = b->tun, .events = POLLIN};

    while (!receive(b)) {
        if (poll(&readable, 1, PATIENCE_MS) == 0)
            errx(1, "the peer says nothing any more");
    }
    while (receive(b))
        ;
}

/* ---- the loads ---- */

static void open_connection(struct bare *b)
{
    b->snd_nxt =
        (uint32_t)time(NULL) * 250000; /* above that of an earlier one, which may be in TIME-WAIT */
    send_segment(b, SYN, NULL, 0);
    while (!b->syn_seen)
        receive_some(b);
    send_segment(b, ACK, NULL, 0);
}

static void close_connection(struct bare *b)
{
    send_segment(b, ACK | FIN, NULL, 0);
    while (!b->fin_seen)
        receive_some(b);
    send_segment(b, ACK, NULL, 0);
}

/* The program's bytes on their way into a ring, and from there to the device. */
static const char *bytes_to_send(struct bare *b, size_t len)
{
    const char *at = b->ring + b->ring_at;

    if (!b->copy)
        return b->user;
    memcpy(b->ring + b->ring_at, b->user, len);
    b->ring_at = b->ring_at + 2 * LARGEST <= RING_BYTES ? b->ring_at + LARGEST : 0;
    return at;
}

/* How much of so many bytes may go in the next frame: waits for room for the largest one, or what
 * there is once all is acknowledged. */
static size_t wait_for_room(struct bare *b, uint64_t amount)
{
    size_t largest = b->offload ? LARGEST : MSS;
    size_t wanted = amount < largest ? (size_t)amount : largest;

    for (;;) {
        int32_t room = (int32_t)(b->snd_edge - b->snd_nxt);

        if (room >= (int32_t)wanted)
            return wanted;
        if (b->snd_una == b->snd_nxt && room > 0)
            return (size_t)room;
        receive_some(b);
    }
}

static void run_out(struct bare *b, uint64_t amount)
{

    for (unsigned frames = 1; amount > 0; frames++) {
        size_t len = wait_for_room(b, amount);

        send_segment(b, ACK, bytes_to_send(b, len), len);
        amount -= len;
        if (frames % 64 == 0) /* or ACKs fill the queue, and the last one finds no room */
            while (receive(b))
                ;
    }
    while (b->received == 0)
        receive_some(b);
}

static void run_in(struct bare *b, uint64_t amount)
{
    while (b->received < amount) {
        receive_some(b);
        send_segment(b, ACK, NULL, 0);
    }
}

/* Sleeps in read(). */
static void run_rtt(struct bare *b, uint64_t amount)
{
    fcntl(b->tun, F_SETFL, 0);
    while (b->received < amount) {
        uint64_t before = b->received;

        send_segment(b, ACK, b->user, 1);
        while (b->received == before)
            receive(b);
    }
    fcntl(b->tun, F_SETFL, O_NONBLOCK);
}

static double run(struct bare *b, const struct request *request)
{
    double start, end;

    fcntl(b->tun, F_SETFL, O_NONBLOCK);
    open_connection(b);
    send_segment(b, ACK, request, sizeof *request);
    start = seconds();
    if (request->load == 'o')
        run_out(b, request->amount);
    else if (request->load == 'i')
        run_in(b, request->amount);
    else
        run_rtt(b, request->amount);
    end = seconds();
    close_connection(b);
    if (request->load == 'r')
        return (end - start) * 1e6 / (double)request->amount;
    return (double)request->amount * 8 / 1e9 / (end - start);
}

/* All pages there, and none of them the one that is shared by what was never written. */
static char *allocate(size_t len)
{
    void *memory =
        mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    if (memory == MAP_FAILED)
        err(1, "memory");
    return memory;
}

static uint32_t address_of(const char *text)
{
    struct in_addr address;

    if (inet_pton(AF_INET, text, &address) != 1)
        errx(1, "%s is no IPv4 address", text);
    return address.s_addr;
}

int main(int argc, char **argv)
{
    struct bare b = {.offload = true, .copy = true};
    struct request request;
    int option;

    while ((option = getopt(argc, argv, "ns")) != -1) {
        if (option == 'n')
            b.copy = false;
        else if (option == 's')
            b.offload = false;
        else
            return 2;
    }
    argv += optind;
    if (argc - optind != 6)
        errx(2, "usage: bare [-n] [-s] DEVICE LOCAL out|in|rtt AMOUNT ADDRESS PORT");
    memset(&request, 0, sizeof request);
    request.load = argv[2][0];
    request.amount = strtoull(argv[3], NULL, 10);
    b.local = address_of(argv[1]);
    b.remote = address_of(argv[4]);
    b.local_port = htons((uint16_t)(32768 + getpid() % 28000)); /* the last one's is in TIME-WAIT */
    b.remote_port = htons((uint16_t)atoi(argv[5]));
    b.user = allocate(USER_BYTES);
    b.ring = allocate(RING_BYTES);
    b.frame = allocate(TUN_FRAME_BYTES);
    b.tun = tun_attach(argv[0], b.offload);
    printf("%.2f\n", run(&b, &request));
    return 0;
}
