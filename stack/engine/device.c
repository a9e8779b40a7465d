/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * The device is a TUN interface that no other process uses. Either it exists already, made once by
 * root for this user, and can be attached without any privilege; or this process has CAP_NET_ADMIN
 * and makes one, which vanishes with the process. Devices form a pool, utcp0, utcp1 and so on, of
 * which the first free one is taken.
 *
 * An existing interface needs no configuration here: the stack's address is the interface's peer
 * address and its MTU is the interface's. A new one gets a /30 of 10.0.0.0/24, of which the stack
 * has the first address and the kernel the second.
 *
 * With IFF_VNET_HDR each packet travels behind a virtio_net_hdr, in which checksums and the cutting
 * of large packets are left to the other side. The features of a persistent device outlast the
 * process that set them, so they are switched off as carefully as on. Where offload is refused or
 * not wanted, packets go bare and whole.
 */
#include "device.h"

#include "holders.h"
#include "sys.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/ioctl.h>

enum {
    POOL_MAX = 256,
    POOL_NET = 0x0a000000, /* 10.0.0.0 */
    POOL_MADE_MAX = 64,    /* as many /30s as the net has */
    DEFAULT_MTU = 1500,
    TCP_CHECKSUM_OFFSET = 16,
    TCP_FLAGS_OFFSET = 13,
    TCP_CWR_FLAG = 128,
    KEEPER_WAIT_MS = 3000,     /* for a device, when this process may not make one */
    KEEPER_PATIENCE_MS = 1000, /* before it makes one; keepers mostly go at once */
    KEEPER_POLL_MS = 20,
    VANISHED_MS = 100,   /* for a holder that is not found any more to have let go */
    LINK_WAIT_MS = 1000, /* mostly none */
};

static const char tun_path[] = "/dev/net/tun";
static const char keeper_name[] = "utcp-keeper";
static const char setup_help[] = "once, as root:   sudo utcp setup";

/* One attempt to get a device. */
struct opening {
    const struct config *config;
    struct device *device;
    int control;  /* a socket for the interface requests */
    bool capable; /* CAP_NET_ADMIN is raised */
    int waited_ms;
    bool offload; /* wanted */
    char *why;
    size_t why_size;
};

/* Says why there is no device, and what helps. Returns error. */
__attribute__((format(printf, 4, 5))) static int refuse(struct opening *o, int error,
                                                        const char *help, const char *what, ...)
{
    va_list arguments;
    char reason[256];

    va_start(arguments, what);
    vsnprintf(reason, sizeof reason, what, arguments);
    va_end(arguments);
    snprintf(o->why, o->why_size, "no device: %s\n  %s\n  details:         utcp doctor", reason,
             help);
    return error;
}

/* ---- capability ---- */

/* Raises or lowers CAP_NET_ADMIN for this thread; true when it could be done. */
static bool set_capability(cap_flag_value_t value)
{
    const cap_value_t capability = CAP_NET_ADMIN;
    cap_flag_value_t permitted = CAP_CLEAR;
    cap_t caps = cap_get_proc();
    bool done;

    if (!caps)
        return false;
    done = cap_get_flag(caps, capability, CAP_PERMITTED, &permitted) == 0 && permitted == CAP_SET &&
           cap_set_flag(caps, CAP_EFFECTIVE, 1, &capability, value) == 0 && cap_set_proc(caps) == 0;
    cap_free(caps);
    return done;
}

/* ---- interface requests ---- */

static struct ifreq request_for(const char *name)
{
    struct ifreq request = {0};

    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    return request;
}

static bool exists(const struct opening *o, const char *name)
{
    struct ifreq request = request_for(name);

    return sys_ioctl(o->control, SIOCGIFINDEX, &request) == 0;
}

/* Reads an address of the interface, host byte order, 0 = has none. */
static uint32_t get_address(const struct opening *o, unsigned long which)
{
    struct ifreq request = request_for(o->device->name);
    struct sockaddr_in address;

    if (sys_ioctl(o->control, which, &request) < 0)
        return 0;
    memcpy(&address, &request.ifr_addr, sizeof address);
    return ntohl(address.sin_addr.s_addr);
}

static int set_address(const struct opening *o, unsigned long which, uint32_t value)
{
    struct ifreq request = request_for(o->device->name);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(value)};

    memcpy(&request.ifr_addr, &address, sizeof address);
    return sys_ioctl(o->control, which, &request);
}

static unsigned get_flags(const struct opening *o)
{
    struct ifreq request = request_for(o->device->name);

    return sys_ioctl(o->control, SIOCGIFFLAGS, &request) < 0 ? 0
                                                             : (unsigned short)request.ifr_flags;
}

static int bring_up(const struct opening *o)
{
    struct ifreq request = request_for(o->device->name);

    request.ifr_flags = (short)(get_flags(o) | IFF_UP | IFF_RUNNING);
    return sys_ioctl(o->control, SIOCSIFFLAGS, &request);
}

/* 0 = it does not say. */
static uint32_t get_mtu(int control, const char *name)
{
    struct ifreq request = request_for(name);

    return sys_ioctl(control, SIOCGIFMTU, &request) < 0 ? 0 : (uint32_t)request.ifr_mtu;
}

static int set_mtu(const struct opening *o, uint32_t mtu_bytes)
{
    struct ifreq request = request_for(o->device->name);

    request.ifr_mtu = (int)mtu_bytes;
    return sys_ioctl(o->control, SIOCSIFMTU, &request);
}

/* The number at the end of a name, 0 without one. */
static unsigned number_of(const char *name)
{
    unsigned number = 0;

    for (const char *digit = name + strcspn(name, "0123456789"); *digit; digit++)
        number = *digit >= '0' && *digit <= '9' ? number * 10 + (unsigned)(*digit - '0') : 0;
    return number;
}

/* The kernel's address on the link on which the stack has this one: the other host of the /30, or
 * of the pair where that would be the net's own address or its broadcast address. */
static uint32_t other_host(uint32_t addr)
{
    uint32_t host = addr & 3;

    return host == 1 || host == 2 ? addr ^ 3 : addr ^ 1;
}

/* Gives an interface its addresses. Needs the capability. */
static int set_addresses(const struct opening *o)
{
    uint32_t stack = POOL_NET + 4 * (number_of(o->device->name) % POOL_MADE_MAX) + 1;
    int error;

    if (o->config->addr_set)
        stack = o->config->addr;
    error = set_address(o, SIOCSIFADDR, other_host(stack));
    return error ? error : set_address(o, SIOCSIFDSTADDR, stack);
}

/* ---- attaching ---- */

static int attach_as(const char *name, bool vnet_hdr)
{
    struct ifreq request = request_for(name);
    unsigned long offload = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
    int header_bytes = sizeof(struct virtio_net_hdr);
    int fd = sys_open(tun_path, O_RDWR | O_NONBLOCK | O_CLOEXEC, 0);
    int error;

    if (fd < 0)
        return fd;
    request.ifr_flags = (short)(IFF_TUN | IFF_NO_PI | (vnet_hdr ? IFF_VNET_HDR : 0));
    error = sys_ioctl(fd, TUNSETIFF, &request);
    if (!error && vnet_hdr)
        error = sys_ioctl(fd, TUNSETVNETHDRSZ, &header_bytes);
    if (!error)
        error = sys_ioctl(fd, TUNSETOFFLOAD, (void *)(vnet_hdr ? offload : 0));
    if (error) {
        sys_close(fd);
        return error;
    }
    return fd;
}

/* Attaches to the device of that name, or makes it; the descriptor or a negative errno. */
static int attach(struct opening *o, const char *name)
{
    int fd = o->offload ? attach_as(name, true) : -EINVAL;

    o->device->offload = fd >= 0;
    if (fd == -EINVAL || fd == -ENOTTY)
        fd = attach_as(name, false);
    if (fd >= 0)
        snprintf(o->device->name, sizeof o->device->name, "%.15s", name);
    return fd;
}

static int check_up(struct opening *o)
{
    char help[96];

    if ((get_flags(o) & IFF_UP) || (o->capable && bring_up(o) == 0))
        return 0;
    snprintf(help, sizeof help, "as root:         ip link set %s up", o->device->name);
    return refuse(o, -ENETDOWN, help, "%s is down", o->device->name);
}

/* Once a device is attached, the kernel starts to send to it in a thread of its own, and until then drops what it has,
 * such as the answer to our first SYN. It is ready when the interface is running and, for that is shown a moment
 * earlier, the lock has been free that a request to the driver takes. */
static void wait_running(const struct opening *o, int fd)
{
    struct ifreq ignored;

    for (int i = 0; i < LINK_WAIT_MS && !(get_flags(o) & IFF_RUNNING); i++)
        sys_sleep(UTCP_MSEC);
    sys_ioctl(fd, TUNGETIFF, &ignored);
}

static int check_address(struct opening *o)
{
    struct device *device = o->device;
    uint32_t own, peer = 0;
    char help[96];

    if (o->capable && !get_address(o, SIOCGIFADDR))
        set_addresses(o);
    own = get_address(o, SIOCGIFADDR);
    if (own && (get_flags(o) & IFF_POINTOPOINT))
        peer = get_address(o, SIOCGIFDSTADDR);
    device->addr = peer && peer != own ? peer : o->config->addr;
    if (device->addr)
        return 0;
    snprintf(help, sizeof help, "as root:         ip address add 10.0.0.2 peer 10.0.0.1 dev %s",
             device->name);
    return refuse(o, -ENETDOWN, help, "%s has no %s, and UTCP_ADDR is not set", device->name,
                  own ? "peer address" : "address");
}

/* Learns what the interface says about itself, and mends what it may. */
static int adopt(struct opening *o)
{
    int error = check_address(o);

    if (!error)
        error = check_up(o);
    if (error)
        return error;
    o->device->mtu_bytes = get_mtu(o->control, o->device->name);
    if (!o->device->mtu_bytes)
        o->device->mtu_bytes = DEFAULT_MTU;
    return 0;
}

/* Attaches to an existing device and adopts it. */
static int use(struct opening *o, const char *name)
{
    int fd = attach(o, name);
    int error;

    if (fd < 0)
        return fd;
    error = adopt(o);
    if (error) {
        sys_close(fd);
        return error;
    }
    wait_running(o, fd);
    o->device->fd = fd;
    return 0;
}

/* Makes a device of that name; -EBUSY when somebody was faster. */
static int make(struct opening *o, const char *name)
{
    int fd = attach(o, name);
    int error;

    if (fd < 0)
        return fd;
    error = set_addresses(o);
    if (!error)
        error = set_mtu(o, o->config->mtu_bytes ? o->config->mtu_bytes : DEFAULT_MTU);
    if (!error)
        error = adopt(o);
    if (error) {
        sys_close(fd);
        return error;
    }
    o->device->fd = fd;
    return 0;
}

/* ---- choosing ---- */

static int refuse_errno(struct opening *o, int error, const char *name)
{
    switch (error) {
    case -ENOENT:
        return refuse(o, error, "once, as root:   modprobe tun", "%s is missing (ENOENT)",
                      tun_path);
    case -EACCES:
        return refuse(o, error, setup_help, "%s is there, but this user may not open it (EACCES)",
                      tun_path);
    case -EPERM:
        return refuse(o, error, setup_help, "%s is there, but this user may not make one (EPERM)",
                      tun_path);
    case -EINVAL:
        return refuse(o, error, setup_help, "%s is not a TUN device for one queue (EINVAL)", name);
    default:
        return refuse(o, error, setup_help, "%s: %s", name, strerrordesc_np(-error));
    }
}

/* Names the holder of a busy device. Returns true when it will be free soon: keepers go, and who is not found has
 * perhaps gone. */
static bool refuse_busy(struct opening *o, const char *name, char *holders, size_t size)
{
    size_t used = strlen(holders);
    struct holder holder;

    holder_find(name, &holder);
    if (holder.pid)
        snprintf(holders + used, size - used, "%s%s is held by %s (pid %d)", used ? ", " : "", name,
                 holder.name, holder.pid);
    else
        snprintf(holders + used, size - used, "%s%s is held by %s", used ? ", " : "", name,
                 holder.name);
    refuse(o, -EBUSY, "one more, as root: sudo utcp setup", "%s (EBUSY)", holders);
    return strcmp(holder.name, keeper_name) == 0 || (!holder.pid && o->waited_ms < VANISHED_MS);
}

/* The device of exactly that name. */
static int open_named(struct opening *o, const char *name, bool *soon)
{
    char holders[128] = "";
    bool there = exists(o, name);
    int error = there ? use(o, name) : make(o, name);

    if (error == -EBUSY)
        *soon = refuse_busy(o, name, holders, sizeof holders);
    else if (error && !o->why[0])
        refuse_errno(o, error, name);
    return error;
}

static void pool_name(const struct opening *o, unsigned number, char name[IF_NAMESIZE])
{
    snprintf(name, IF_NAMESIZE, "%.11s%u", o->config->device, number);
}

/* The first device of the pool that exists and is free; -ENODEV = none exists that could be ours.
 */
static int open_existing(struct opening *o, bool *soon)
{
    char name[IF_NAMESIZE], holders[192] = "";
    int result = -ENODEV;

    for (unsigned i = 0; i < POOL_MAX; i++) {
        int error;

        pool_name(o, i, name);
        if (!exists(o, name))
            continue;
        error = use(o, name);
        if (!error)
            return 0;
        if (error == -EBUSY)
            *soon |= refuse_busy(o, name, holders, sizeof holders);
        if (error != -EPERM && error != -EINVAL)
            result = error;
    }
    return result;
}

static int make_first(struct opening *o)
{
    char name[IF_NAMESIZE];
    int error = -EBUSY;

    for (unsigned i = 0; i < POOL_MADE_MAX && error == -EBUSY; i++) {
        pool_name(o, i, name);
        if (!exists(o, name))
            error = make(o, name);
    }
    return error;
}

static int open_pooled(struct opening *o, bool *soon)
{
    char name[IF_NAMESIZE];
    int error = open_existing(o, soon);
    bool waits = *soon && o->waited_ms < KEEPER_PATIENCE_MS;

    if (!error || (error != -ENODEV && (!o->capable || waits)))
        return error;
    o->why[0] = '\0';
    if (o->capable)
        error = make_first(o);
    else
        error = -EPERM;
    pool_name(o, 0, name);
    if (error && !o->why[0])
        refuse_errno(o, error, name);
    return error;
}

/* A name with a number at its end, or of an interface that exists, is a device's; others are the
 * prefix of a pool. */
static int choose(struct opening *o, bool *soon)
{
    const char *name = o->config->device;
    size_t len = strlen(name);
    bool numbered = name[len - 1] >= '0' && name[len - 1] <= '9';

    *soon = false;
    o->why[0] = '\0';
    return numbered || exists(o, name) ? open_named(o, name, soon) : open_pooled(o, soon);
}

/* True when the TUN driver can be used at all. */
static int probe(struct opening *o)
{
    int fd = sys_open(tun_path, O_RDWR | O_CLOEXEC, 0);

    if (fd < 0)
        return refuse_errno(o, fd, tun_path);
    sys_close(fd);
    return 0;
}

int device_open(struct device *device, const struct config *config, char *why, size_t why_size)
{
    struct opening o = {.config = config, .device = device, .why = why, .why_size = why_size};
    bool soon = true;
    int error;

    /* An impaired link is one of packets as they are on a wire. */
    o.offload = config->offload && !impair_active(&config->impair, IMPAIR_IN) &&
                !impair_active(&config->impair, IMPAIR_OUT);
    error = probe(&o);
    if (error)
        return error;
    o.control = sys_socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (o.control < 0)
        return refuse_errno(&o, o.control, "a socket for requests");
    o.capable = set_capability(CAP_SET);
    error = choose(&o, &soon);
    while (error && soon && o.waited_ms < KEEPER_WAIT_MS) {
        sys_sleep(KEEPER_POLL_MS * UTCP_MSEC);
        o.waited_ms += KEEPER_POLL_MS;
        error = choose(&o, &soon);
    }
    set_capability(CAP_CLEAR);
    sys_close(o.control);
    return error;
}

/* ---- packets ---- */

uint32_t device_ask_mtu(const struct device *device)
{
    int control = sys_socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    uint32_t mtu_bytes;

    if (control < 0)
        return 0;
    mtu_bytes = get_mtu(control, device->name);
    sys_close(control);
    return mtu_bytes;
}

long device_read(const struct device *device, int fd, struct device_input *input)
{
    long len;

    if (!device->offload)
        return sys_read(fd, input->packet, sizeof input->packet);
    len = sys_read(fd, &input->header, sizeof input->header + sizeof input->packet);
    if (len < 0)
        return len;
    return len < (long)sizeof input->header ? 0 : len - (long)sizeof input->header;
}

long device_read_split(const struct device *device, int fd, struct device_input *input,
                       size_t header_len, struct utcp_slice text)
{
    struct iovec iov[] = {
        {.iov_base = &input->header, .iov_len = sizeof input->header},
        {.iov_base = input->packet, .iov_len = header_len},
        {.iov_base = text.data, .iov_len = text.len},
        {.iov_base = input->packet + header_len, .iov_len = sizeof input->packet - header_len},
    };
    int skip = !device->offload;
    long len = sys_readv(fd, iov + skip, 4 - skip);

    if (len < 0 || skip)
        return len;
    return len < (long)sizeof input->header ? 0 : len - (long)sizeof input->header;
}

bool device_checksum_partial(const struct device *device, const struct virtio_net_hdr *header)
{
    return device->offload && (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM);
}

bool device_checksum_ok(const struct device *device, const struct device_input *input)
{
    return device->offload &&
           (input->header.flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID));
}

static void add_piece(struct device_frame *frame, const void *data, size_t len)
{
    if (len)
        frame->iov[frame->iov_count++] = (struct iovec){.iov_base = (void *)data, .iov_len = len};
}

void device_frame_bytes(struct device_frame *frame, const uint8_t *packet, size_t len)
{
    frame->header = (struct virtio_net_hdr){0};
    frame->iov_count = 0;
    add_piece(frame, &frame->header, sizeof frame->header);
    add_piece(frame, packet, len);
}

void device_frame_packet(struct device_frame *frame, const struct utcp_packet *packet)
{
    device_frame_bytes(frame, packet->header, packet->header_len);
    for (int i = 0; i < 2; i++)
        add_piece(frame, packet->payload[i].data, packet->payload[i].len);
    if (!packet->tcp_offset)
        return;
    frame->header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    frame->header.csum_start = (uint16_t)packet->tcp_offset;
    frame->header.csum_offset = TCP_CHECKSUM_OFFSET;
    if (packet->segment_bytes && packet->payload_len > packet->segment_bytes) {
        frame->header.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
        /* CWR goes with the first of the segments only: RFC 3168 section 6.1.2. */
        if ((packet->header[packet->tcp_offset + TCP_FLAGS_OFFSET] & TCP_CWR_FLAG) != 0)
            frame->header.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
        frame->header.gso_size = (uint16_t)packet->segment_bytes;
        frame->header.hdr_len = (uint16_t)packet->header_len;
    }
}

int device_write(const struct device *device, int fd, const struct device_frame *frame)
{
    int skip = !device->offload;
    long written = sys_writev(fd, frame->iov + skip, frame->iov_count - skip);

    return written < 0 ? (int)written : 0;
}
