/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * One table says for each option how it is set, how it is read, and by that who keeps it: the
 * protocol (engine_set_option()), the kernel on the program's end of the pair (time-outs, which the
 * kernel's waiting honours), or nobody but the words that the shim keeps with the socket. Such a
 * remembered option has no effect yet; it succeeds and reads back because a program that is refused
 * one gives up.
 *
 * A word holds value XOR default. So all words are zero at the start, as the engine makes them, and
 * the words that are not zero tell what the program has changed, in case the socket turns out to be
 * the kernel's. Options that the protocol keeps have one bit each in the first word for that.
 */
#include "options.h"

#include <errno.h>
#include <limits.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/time.h>

#include "descriptors.h"
#include "libc.h"
#include "process.h"
#include "refusals.h"
#include "status.h"

/* What each of the socket's words remembers. */
enum word {
    WORD_ENGINE, /* one bit for each enum engine_option that was set */
    WORD_LINGER, /* seconds + 1, 0 = off */
    WORD_RCVLOWAT,
    WORD_PRIORITY,
    WORD_MARK,
    WORD_INCOMING_CPU,
    WORD_BROADCAST,
    WORD_DONTROUTE,
    WORD_BINDTODEVICE, /* index of the interface */
    WORD_TIMESTAMP,
    WORD_FASTOPEN,
    WORD_FASTOPEN_CONNECT,
    WORD_WINDOW_CLAMP,
    WORD_RECVERR,
    WORD_BIND_NO_PORT,
    WORD_FREEBIND,
    WORD_RECVTOS,
    WORD_SAVE_SYN,
    WORD_IPV6, /* one bit for each enum ipv6_flag that is not as at the start */
    WORD_TCLASS,
    WORD_HOPS,
    WORD_LEAST_HOPS,
    WORD_MTU_DISCOVER6,
    WORDS
};
_Static_assert(WORDS <= sizeof(((struct engine_extra *)0)->values) / sizeof(int32_t),
               "more words than a socket has");

/* An AF_INET6 socket's. None of those that a program can set has an effect on what is sent by way of
 * IPv4, in Linux neither. */
enum ipv6_flag {
    FLAG_V6ONLY,
    FLAG_BOUND_MAPPED,
    FLAG_CONNECTING, /* not IPv6's: a connect() that was begun is not told to have succeeded */
    FLAG_RECVERR,
    FLAG_RECVPKTINFO,
    FLAG_RECVHOPLIMIT,
    FLAG_RECVTCLASS,
    FLAG_RECVHOPOPTS,
    FLAG_RECVDSTOPTS,
    FLAG_RECVRTHDR,
    FLAG_RECVPATHMTU,
    FLAG_RECVORIGDSTADDR,
    FLAG_DONTFRAG,
    FLAG_AUTOFLOWLABEL,
};

/* The greatest name of a congestion control, with its end (linux/tcp.h does not say). */
enum { CONGESTION_NAME_MAX = 16 };

#define NS_IN_SECOND UINT64_C(1000000000)
#define NS_IN_MILLISECOND UINT64_C(1000000)

struct option;

/* One call of the program. */
struct call {
    struct engine_socket *socket;
    int fd;
    const struct option *option;
};

/* Both return 0 or a negative errno value. For get, *size is the room at value, then what was
 * written. */
typedef int option_set(const struct call *call, const void *value, socklen_t size);
typedef int option_get(const struct call *call, void *value, socklen_t *size);

struct option {
    int level, name;
    option_set *set;
    option_get *get;
    int key;     /* enum engine_option, enum word or enum ipv6_flag */
    int initial; /* what a remembered option reads as before it is set */
    int least, most;
};

int option_write(void *value, socklen_t *size, const void *from, size_t from_size)
{
    if ((int)*size < 0)
        return -EINVAL;
    if (*size > from_size)
        *size = (socklen_t)from_size;
    memcpy(value, from, *size);
    return 0;
}

/* IPPROTO_IP lets a program with little room have one byte, where a byte is enough. */
static int write_int(const struct call *call, void *value, socklen_t *size, int number)
{
    uint8_t byte = (uint8_t)number;
    bool narrow = call->option->level == IPPROTO_IP && (int)*size > 0 && *size < sizeof(number);
    if (narrow && byte == number)
        return option_write(value, size, &byte, sizeof(byte));
    return option_write(value, size, &number, sizeof(number));
}

static int read_int(const struct call *call, const void *value, socklen_t size, int *number)
{
    *number = 0;
    if (call->option->level == IPPROTO_IP && size < sizeof(*number))
        size = size > 0 ? 1 : 0;
    else if ((int)size < (int)sizeof(*number))
        return -EINVAL;
    else
        size = sizeof(*number);
    if (value == NULL && size > 0)
        return -EFAULT;
    if (size == 1)
        *number = *(const uint8_t *)value;
    else if (size > 0)
        memcpy(number, value, size);
    return 0;
}

/* ---- remembered ---- */

static int recall(struct engine_socket *socket, enum word word)
{
    struct engine_extra extra;
    engine_read_extra(socket, &extra);
    return extra.values[word];
}

/* Whether any socket was ever given one of these: receiving and accepting need not look otherwise.
 */
static atomic_bool low_water_used, linger_used, timeouts_used;

static int remember(const struct call *call, int number)
{
    if (call->option->key == WORD_RCVLOWAT)
        atomic_store(&low_water_used, true);
    return engine_write_extra(call->socket, (unsigned)call->option->key,
                              number ^ call->option->initial);
}

/* What has no effect. */
static int remember_idle(const struct call *call, int number)
{
    if (number != call->option->initial)
        refusals_idle_option(call->option->level, call->option->name);
    return remember(call, number);
}

static int set_number(const struct call *call, const void *value, socklen_t size)
{
    int number;
    int error = read_int(call, value, size, &number);
    if (error < 0)
        return error;
    if (number < call->option->least || number > call->option->most)
        return -EINVAL;
    return remember_idle(call, number);
}

/* Linux has a least window, except for none, and does not look for a sign. */
static int set_window_clamp(const struct call *call, const void *value, socklen_t size)
{
    int number;
    int error = read_int(call, value, size, &number);
    if (error < 0)
        return error;
    bool raised = number != 0 && number < call->option->least;
    return remember_idle(call, raised ? call->option->least : number);
}

static int set_flag(const struct call *call, const void *value, socklen_t size)
{
    int number;
    int error = read_int(call, value, size, &number);
    return error < 0 ? error : remember_idle(call, number != 0);
}

static int get_number(const struct call *call, void *value, socklen_t *size)
{
    int number = recall(call->socket, (enum word)call->option->key) ^ call->option->initial;
    return write_int(call, value, size, number);
}

/* Linux reads 0 as 1 and a negative mark as no bound. */
static int set_low_water(const struct call *call, const void *value, socklen_t size)
{
    int number;
    int error = read_int(call, value, size, &number);
    if (error < 0)
        return error;
    return remember(call, number < 0 ? INT_MAX : number == 0 ? 1 : number);
}

size_t options_low_water(struct engine_socket *socket)
{
    return atomic_load(&low_water_used) ? (size_t)(recall(socket, WORD_RCVLOWAT) ^ 1) : 1;
}

/* ---- the protocol's ---- */

static int set_engine_value(const struct call *call, uint64_t number)
{
    int error = engine_set_option(call->socket, (enum engine_option)call->option->key, number);
    if (error < 0)
        return error;
    int bits = recall(call->socket, WORD_ENGINE) | 1 << call->option->key;
    return engine_write_extra(call->socket, WORD_ENGINE, bits);
}

static int get_engine_value(const struct call *call)
{
    return (int)engine_get_option(call->socket, (enum engine_option)call->option->key);
}

static int set_engine_flag(const struct call *call, const void *value, socklen_t size)
{
    int number;
    int error = read_int(call, value, size, &number);
    return error < 0 ? error : set_engine_value(call, number != 0);
}

static int set_engine_number(const struct call *call, const void *value, socklen_t size)
{
    int number;
    int error = read_int(call, value, size, &number);
    if (error < 0)
        return error;
    if (number < call->option->least || number > call->option->most)
        return -EINVAL;
    return set_engine_value(call, number);
}

static int get_engine(const struct call *call, void *value, socklen_t *size)
{
    return write_int(call, value, size, get_engine_value(call));
}

/* The engine counts times in nanoseconds. */
static int set_time(const struct call *call, const void *value, socklen_t size, uint64_t unit)
{
    int number;
    int error = read_int(call, value, size, &number);
    if (error < 0)
        return error;
    if (number < call->option->least || number > call->option->most)
        return -EINVAL;
    return set_engine_value(call, (uint64_t)number * unit);
}

static int get_time(const struct call *call, void *value, socklen_t *size, uint64_t unit)
{
    uint64_t time = engine_get_option(call->socket, (enum engine_option)call->option->key);
    return write_int(call, value, size, (int)(time / unit));
}

static int set_seconds(const struct call *call, const void *value, socklen_t size)
{
    return set_time(call, value, size, NS_IN_SECOND);
}

static int get_seconds(const struct call *call, void *value, socklen_t *size)
{
    return get_time(call, value, size, NS_IN_SECOND);
}

static int set_milliseconds(const struct call *call, const void *value, socklen_t size)
{
    return set_time(call, value, size, NS_IN_MILLISECOND);
}

static int get_milliseconds(const struct call *call, void *value, socklen_t *size)
{
    return get_time(call, value, size, NS_IN_MILLISECOND);
}

/* As Linux: 0 is the default, what is less is none at all, and there is no error for any number. */
static int set_fin_wait2(const struct call *call, const void *value, socklen_t size)
{
    int number;
    int error = read_int(call, value, size, &number);
    if (error < 0)
        return error;
    if (number == 0)
        return set_engine_value(call, UINT64_MAX);
    if (number < 0)
        return set_engine_value(call, 0);
    if (number > call->option->most)
        number = call->option->most;
    return set_engine_value(call, (uint64_t)number * NS_IN_SECOND);
}

static int get_fin_wait2(const struct call *call, void *value, socklen_t *size)
{
    uint64_t time = engine_get_option(call->socket, ENGINE_FIN_WAIT2);
    return write_int(call, value, size, time == 0 ? -1 : (int)(time / NS_IN_SECOND));
}

/* When so many time-outs of a SYN-ACK have passed, in seconds: the first after one, each later one twice
 * as long as the one before, up to two minutes. These are Linux's figures, for what reads back. */
static int64_t seconds_of_timeouts(int count)
{
    enum { LONGEST = 120 };
    int64_t sum = 0, next = 1;
    for (int i = 0; i < count; i++) {
        sum += next;
        next = next > LONGEST / 2 ? LONGEST : 2 * next;
    }
    return sum;
}

/* Seconds are made time-outs, and read back as what they came to. There is no error for any number. */
static int set_deferral(const struct call *call, const void *value, socklen_t size)
{
    int number, count = 0;
    int error = read_int(call, value, size, &number);
    if (error < 0)
        return error;
    while (count < call->option->most && seconds_of_timeouts(count) < number)
        count++;
    return set_engine_value(call, (uint64_t)count);
}

static int get_deferral(const struct call *call, void *value, socklen_t *size)
{
    return write_int(call, value, size, (int)seconds_of_timeouts(get_engine_value(call)));
}

static int set_unsigned(const struct call *call, const void *value, socklen_t size)
{
    int number;
    int error = read_int(call, value, size, &number);
    return error < 0 ? error : set_engine_value(call, (unsigned)number);
}

/* The two lowest bits are ECN's, and a program cannot have them on a stream. */
static int set_tos(const struct call *call, const void *value, socklen_t size)
{
    int number;
    int error = read_int(call, value, size, &number);
    return error < 0 ? error : set_engine_value(call, number & 0xfc);
}

/* -1 is the system's default. */
static int set_ttl(const struct call *call, const void *value, socklen_t size)
{
    enum { DEFAULT_TTL = 64 };
    int number;
    int error = size == 0 ? -EINVAL : read_int(call, value, size, &number);
    if (error < 0)
        return error;
    if (number == -1)
        number = DEFAULT_TTL;
    return number < 1 || number > 255 ? -EINVAL : set_engine_value(call, number);
}

/*
 * Buffer sizes: Linux doubles what is set, for its own overhead, and that is what it shows; the
 * bound below is of the doubled size. There is no error for any number.
 */
static int set_buffer(const struct call *call, const void *value, socklen_t size)
{
    int number;
    int error = read_int(call, value, size, &number);
    if (error < 0)
        return error;
    int least = call->option->least / 2;
    int most = call->option->most / 2;
    if (number < 0 || number > most)
        number = most;
    if (number < least)
        number = least;
    return set_engine_value(call,
                            (uint64_t)(call->option->key == ENGINE_SND_BUF ? 2 * number : number));
}

static int get_buffer(const struct call *call, void *value, socklen_t *size)
{
    int bytes = get_engine_value(call);
    if (call->option->key == ENGINE_RCV_BUF)
        bytes = bytes > INT_MAX / 2 ? INT_MAX : bytes * 2;
    return write_int(call, value, size, bytes);
}

/* 0 takes a bound back; else it is Linux's range. */
static int set_max_segment(const struct call *call, const void *value, socklen_t size)
{
    int number;
    int error = read_int(call, value, size, &number);
    if (error < 0)
        return error;
    bool legal = number == 0 || (number >= call->option->least && number <= call->option->most);
    return legal ? set_engine_value(call, number) : -EINVAL;
}

/* Bytes a second in 32 or 64 bits, as there is room; all ones are no bound in either. */
static int set_pacing_rate(const struct call *call, const void *value, socklen_t size)
{
    uint64_t rate = 0;
    int number;
    int error = read_int(call, value, size, &number);
    if (error < 0)
        return error;
    if (size >= sizeof(rate))
        memcpy(&rate, value, sizeof(rate));
    else
        rate = number == -1 ? UINT64_MAX : (uint32_t)number;
    return set_engine_value(call, rate);
}

static int get_pacing_rate(const struct call *call, void *value, socklen_t *size)
{
    uint64_t rate = engine_get_option(call->socket, ENGINE_MAX_PACING_RATE);
    uint32_t narrow = rate > UINT32_MAX ? UINT32_MAX : (uint32_t)rate;
    if (*size >= sizeof(rate))
        return option_write(value, size, &rate, sizeof(rate));
    return option_write(value, size, &narrow, sizeof(narrow));
}

/* ---- the kernel's ---- */

static int set_kernel(const struct call *call, const void *value, socklen_t size)
{
    const struct option *option = call->option;
    atomic_store(&timeouts_used, true);
    return libc.setsockopt(call->fd, option->level, option->name, value, size) < 0 ? -errno : 0;
}

static int get_kernel(const struct call *call, void *value, socklen_t *size)
{
    const struct option *option = call->option;
    return libc.getsockopt(call->fd, option->level, option->name, value, size) < 0 ? -errno : 0;
}

/* ---- one of a kind ---- */

static int refuse_set(const struct call *call, const void *value, socklen_t size)
{
    (void)call;
    (void)value;
    (void)size;
    return -ENOPROTOOPT;
}

static int refuse_get(const struct call *call, void *value, socklen_t *size)
{
    (void)call;
    (void)value;
    (void)size;
    return -ENOPROTOOPT;
}

/* Reads as the number in the table. */
static int get_constant(const struct call *call, void *value, socklen_t *size)
{
    return write_int(call, value, size, call->option->initial);
}

/* A reset is mirrored as an error of the program's end, and poll() shows that until it is taken. */
static int get_error(const struct call *call, void *value, socklen_t *size)
{
    int error = -engine_take_error(call->socket);
    int mirrored;
    socklen_t room = sizeof(mirrored);
    if (error != 0)
        libc.getsockopt(call->fd, SOL_SOCKET, SO_ERROR, &mirrored, &room);
    return write_int(call, value, size, error);
}

static int get_listening(const struct call *call, void *value, socklen_t *size)
{
    struct engine_status status = status_of(call->socket);
    return write_int(call, value, size, is_listening(&status));
}

static int get_path_mtu(const struct call *call, void *value, socklen_t *size)
{
    struct engine_status status = status_of(call->socket);
    bool has_peer = status.remote.port != 0; /* or had one */
    return has_peer ? write_int(call, value, size, (int)status.pmtu) : -ENOTCONN;
}

static int get_info(const struct call *call, void *value, socklen_t *size)
{
    return tcp_info_get(call->socket, value, size);
}

/* No algorithm has more to tell than TCP_INFO. */
static int get_cc_info(const struct call *call, void *value, socklen_t *size)
{
    (void)call;
    return option_write(value, size, "", 0);
}

/* Memory of the socket, as far as there is a figure: both buffers, and what waits in them. */
static int get_meminfo(const struct call *call, void *value, socklen_t *size)
{
    struct engine_status status = status_of(call->socket);
    uint32_t info[SK_MEMINFO_VARS] = {
        [SK_MEMINFO_RMEM_ALLOC] = status.readable,
        [SK_MEMINFO_RCVBUF] = 2 * (uint32_t)engine_get_option(call->socket, ENGINE_RCV_BUF),
        [SK_MEMINFO_WMEM_ALLOC] = status.unacked_bytes - status.unsent_bytes,
        [SK_MEMINFO_SNDBUF] = (uint32_t)engine_get_option(call->socket, ENGINE_SND_BUF),
        [SK_MEMINFO_WMEM_QUEUED] = status.unacked_bytes,
    };
    return option_write(value, size, info, sizeof(info));
}

static int set_linger(const struct call *call, const void *value, socklen_t size)
{
    struct linger linger;
    if ((int)size < (int)sizeof(linger))
        return -EINVAL;
    if (value == NULL)
        return -EFAULT;
    memcpy(&linger, value, sizeof(linger));
    int seconds = linger.l_linger < 0 ? INT_MAX - 1 : linger.l_linger;
    atomic_store(&linger_used, true);
    engine_close_resets(call->socket, linger.l_onoff != 0 && seconds == 0);
    return remember(call, linger.l_onoff != 0 ? seconds + 1 : 0);
}

int options_linger(struct engine_socket *socket)
{
    int word = atomic_load(&linger_used) ? recall(socket, WORD_LINGER) : 0;
    return word > 0 ? word - 1 : 0;
}

static int get_linger(const struct call *call, void *value, socklen_t *size)
{
    int word = recall(call->socket, WORD_LINGER);
    struct linger linger = {.l_onoff = word != 0, .l_linger = word != 0 ? word - 1 : 0};
    return option_write(value, size, &linger, sizeof(linger));
}

/* The name need not end in a zero byte, and an empty one takes the binding back. */
static int set_device(const struct call *call, const void *value, socklen_t size)
{
    char name[IFNAMSIZ] = {0};
    if ((int)size < 0)
        return -EINVAL;
    if (value == NULL && size > 0)
        return -EFAULT;
    if (size > 0)
        memcpy(name, value, size < IFNAMSIZ ? size : IFNAMSIZ - 1);
    unsigned index = name[0] != '\0' ? if_nametoindex(name) : 0;
    return name[0] != '\0' && index == 0 ? -ENODEV : remember(call, (int)index);
}

static int get_device(const struct call *call, void *value, socklen_t *size)
{
    char name[IFNAMSIZ] = {0};
    int index = recall(call->socket, WORD_BINDTODEVICE);
    if (index == 0)
        return option_write(value, size, name, 0);
    if (*size < IFNAMSIZ)
        return -EINVAL;
    if (if_indextoname((unsigned)index, name) == NULL)
        return -ENODEV;
    return option_write(value, size, name, strlen(name) + 1);
}

static int set_congestion(const struct call *call, const void *value, socklen_t size)
{
    char wanted[CONGESTION_NAME_MAX] = {0};
    const char *name;
    if ((int)size < 1)
        return -EINVAL;
    if (value == NULL)
        return -EFAULT;
    memcpy(wanted, value, size < sizeof(wanted) ? size : sizeof(wanted) - 1);
    for (int i = 0; (name = engine_congestion_name((size_t)i)) != NULL; i++) {
        if (strcmp(name, wanted) == 0)
            return set_engine_value(call, i);
    }
    return -ENOENT;
}

static int get_congestion(const struct call *call, void *value, socklen_t *size)
{
    char name[CONGESTION_NAME_MAX] = {0};
    const char *used = engine_congestion_name((size_t)get_engine_value(call));
    if (used != NULL)
        memcpy(name, used, strnlen(used, sizeof(name) - 1));
    return option_write(value, size, name, sizeof(name));
}

/* There are none, and none can be set. */
static int set_ip_options(const struct call *call, const void *value, socklen_t size)
{
    (void)call;
    (void)value;
    return size == 0 ? 0 : -ENOPROTOOPT;
}

static int get_ip_options(const struct call *call, void *value, socklen_t *size)
{
    (void)call;
    return option_write(value, size, "", 0);
}

/* ---- IPv6 ---- */

static bool has_flag(struct engine_socket *socket, enum ipv6_flag flag)
{
    return recall(socket, WORD_IPV6) & 1 << flag;
}

static int write_flag(struct engine_socket *socket, enum ipv6_flag flag, bool value)
{
    int others = recall(socket, WORD_IPV6) & ~(1 << flag);
    return engine_write_extra(socket, WORD_IPV6, others | value << flag);
}

static int set_ipv6_flag(const struct call *call, const void *value, socklen_t size)
{
    int number;
    int error = read_int(call, value, size, &number);
    if (error == 0)
        error = write_flag(call->socket, (enum ipv6_flag)call->option->key,
                           (number != 0) != call->option->initial);
    return error;
}

static int get_ipv6_flag(const struct call *call, void *value, socklen_t *size)
{
    bool changed = has_flag(call->socket, (enum ipv6_flag)call->option->key);
    return write_int(call, value, size, changed != call->option->initial);
}

/* Until the socket has a port. */
static int set_v6only(const struct call *call, const void *value, socklen_t size)
{
    return status_of(call->socket).bound ? -EINVAL : set_ipv6_flag(call, value, size);
}

/* As the system has it for new sockets; looked up once. */
static bool v6only_by_default(void)
{
    static atomic_int known; /* 0 = not yet, 1 = no, 2 = yes */
    if (atomic_load(&known) == 0) {
        char digit = '0';
        int fd = open("/proc/sys/net/ipv6/bindv6only", O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            libc.read(fd, &digit, sizeof(digit));
            libc.close(fd);
        }
        atomic_store(&known, digit == '1' ? 2 : 1);
    }
    return atomic_load(&known) == 2;
}

void options_begin_inet6(struct engine_socket *socket)
{
    int saved = errno;
    engine_set_inet6(socket, true);
    if (v6only_by_default())
        write_flag(socket, FLAG_V6ONLY, true);
    errno = saved;
}

bool options_v6only(struct engine_socket *socket)
{
    return has_flag(socket, FLAG_V6ONLY);
}

void options_set_bound_mapped(struct engine_socket *socket)
{
    write_flag(socket, FLAG_BOUND_MAPPED, true);
}

bool options_bound_mapped(struct engine_socket *socket)
{
    return has_flag(socket, FLAG_BOUND_MAPPED);
}

/* -1 is the system's default, which the table has. */
static int set_ipv6_number(const struct call *call, const void *value, socklen_t size)
{
    int number;
    int error = read_int(call, value, size, &number);
    if (error < 0)
        return error;
    if (number == -1)
        number = call->option->initial;
    return number < call->option->least || number > call->option->most ? -EINVAL
                                                                       : remember(call, number);
}

/* The two lowest bits are ECN's, as in set_tos(). */
static int set_traffic_class(const struct call *call, const void *value, socklen_t size)
{
    int number;
    int error = read_int(call, value, size, &number);
    if (error < 0)
        return error;
    return number < -1 || number > 255 ? -EINVAL : remember(call, number == -1 ? 0 : number & 0xfc);
}

/* What Linux takes and does not tell again: IPV6_MTU reads as the path's. */
static int set_path_mtu(const struct call *call, const void *value, socklen_t size)
{
    int number;
    int error = read_int(call, value, size, &number);
    return error == 0 && number != 0 && number < call->option->least ? -EINVAL : error;
}

/* A connected socket becomes AF_INET, for good. */
static int set_family(const struct call *call, const void *value, socklen_t size)
{
    int number;
    int error = read_int(call, value, size, &number);
    if (error < 0)
        return error;
    if (number != AF_INET)
        return -EINVAL;
    struct engine_status status = status_of(call->socket);
    if (!is_established(&status))
        return -ENOTCONN;
    engine_set_inet6(call->socket, false);
    return 0;
}

static int get_connected_family(const struct call *call, void *value, socklen_t *size)
{
    struct engine_status status = status_of(call->socket);
    return is_established(&status) ? write_int(call, value, size, AF_INET6) : -ENOTCONN;
}

static int get_domain(const struct call *call, void *value, socklen_t *size)
{
    return write_int(call, value, size, engine_is_inet6(call->socket) ? AF_INET6 : AF_INET);
}

/* ---- the table ---- */

/* Rows by who keeps the option. */
#define ENGINE_FLAG(level, name, key)                          \
    {                                                          \
        level, name, set_engine_flag, get_engine, key, 0, 0, 1 \
    }
#define BUFFER(name, key, least)                                         \
    {                                                                    \
        SOL_SOCKET, name, set_buffer, get_buffer, key, 0, least, 1 << 30 \
    }
#define FLAG(level, name, word, initial)                       \
    {                                                          \
        level, name, set_flag, get_number, word, initial, 0, 1 \
    }
#define NUMBER(level, name, word, initial, least, most)                 \
    {                                                                   \
        level, name, set_number, get_number, word, initial, least, most \
    }
#define IPV6_FLAG(name, flag, initial)                                        \
    {                                                                         \
        IPPROTO_IPV6, name, set_ipv6_flag, get_ipv6_flag, flag, initial, 0, 1 \
    }
#define READ_ONLY(level, name, get, initial)           \
    {                                                  \
        level, name, refuse_set, get, 0, initial, 0, 0 \
    }
#define KERNEL(name)                                         \
    {                                                        \
        SOL_SOCKET, name, set_kernel, get_kernel, 0, 0, 0, 0 \
    }
#define REFUSED(level, name)                            \
    {                                                   \
        level, name, refuse_set, refuse_get, 0, 0, 0, 0 \
    }

static const struct option options[] = {
    READ_ONLY(SOL_SOCKET, SO_ERROR, get_error, 0),
    READ_ONLY(SOL_SOCKET, SO_TYPE, get_constant, SOCK_STREAM),
    READ_ONLY(SOL_SOCKET, SO_PROTOCOL, get_constant, IPPROTO_TCP),
    READ_ONLY(SOL_SOCKET, SO_DOMAIN, get_domain, 0),
    READ_ONLY(SOL_SOCKET, SO_ACCEPTCONN, get_listening, 0),
    READ_ONLY(SOL_SOCKET, SO_SNDLOWAT, get_constant, 1),
    READ_ONLY(IPPROTO_TCP, TCP_INFO, get_info, 0),
    READ_ONLY(IPPROTO_TCP, TCP_CC_INFO, get_cc_info, 0),
    READ_ONLY(SOL_SOCKET, SO_MEMINFO, get_meminfo, 0),
    READ_ONLY(IPPROTO_IP, IP_MTU, get_path_mtu, 0),

    ENGINE_FLAG(SOL_SOCKET, SO_REUSEADDR, ENGINE_REUSEADDR),
    ENGINE_FLAG(SOL_SOCKET, SO_REUSEPORT, ENGINE_REUSEPORT),
    ENGINE_FLAG(SOL_SOCKET, SO_KEEPALIVE, ENGINE_KEEPALIVE),
    ENGINE_FLAG(IPPROTO_TCP, TCP_NODELAY, ENGINE_NODELAY),
    ENGINE_FLAG(SOL_SOCKET, SO_OOBINLINE, ENGINE_OOBINLINE),
    ENGINE_FLAG(IPPROTO_TCP, TCP_CORK, ENGINE_CORK),
    ENGINE_FLAG(IPPROTO_TCP, TCP_QUICKACK, ENGINE_QUICKACK),
    BUFFER(SO_SNDBUF, ENGINE_SND_BUF, 4608),
    BUFFER(SO_RCVBUF, ENGINE_RCV_BUF, 2304),
    BUFFER(SO_SNDBUFFORCE, ENGINE_SND_BUF, 4608),
    BUFFER(SO_RCVBUFFORCE, ENGINE_RCV_BUF, 2304),
    {IPPROTO_TCP, TCP_MAXSEG, set_max_segment, get_engine, ENGINE_MAXSEG, 0, 88, 32767},
    {IPPROTO_TCP, TCP_KEEPIDLE, set_seconds, get_seconds, ENGINE_KEEPALIVE_IDLE, 0, 1, 32767},
    {IPPROTO_TCP, TCP_KEEPINTVL, set_seconds, get_seconds, ENGINE_KEEPALIVE_INTERVAL, 0, 1, 32767},
    {IPPROTO_TCP, TCP_KEEPCNT, set_engine_number, get_engine, ENGINE_KEEPALIVE_COUNT, 0, 1, 127},
    {IPPROTO_TCP, TCP_SYNCNT, set_engine_number, get_engine, ENGINE_SYN_RETRIES, 0, 1, 127},
    {IPPROTO_TCP, TCP_DEFER_ACCEPT, set_deferral, get_deferral, ENGINE_DEFER_ACCEPT, 0, 0, 255},
    {IPPROTO_TCP, TCP_LINGER2, set_fin_wait2, get_fin_wait2, ENGINE_FIN_WAIT2, 0, 0, 120},
    {IPPROTO_TCP, TCP_USER_TIMEOUT, set_milliseconds, get_milliseconds, ENGINE_USER_TIMEOUT, 0, 0,
     INT_MAX},
    {IPPROTO_TCP, TCP_NOTSENT_LOWAT, set_unsigned, get_engine, ENGINE_NOTSENT_LOWAT, 0, 0, 0},
    {IPPROTO_IP, IP_TOS, set_tos, get_engine, ENGINE_TOS, 0, 0, 255},
    {IPPROTO_IP, IP_TTL, set_ttl, get_engine, ENGINE_TTL, 0, 1, 255},
    {IPPROTO_IP, IP_MTU_DISCOVER, set_engine_number, get_engine, ENGINE_MTU_DISCOVER, 0,
     IP_PMTUDISC_DONT, IP_PMTUDISC_OMIT},

    KERNEL(SO_RCVTIMEO_OLD),
    KERNEL(SO_SNDTIMEO_OLD),
    KERNEL(SO_RCVTIMEO_NEW),
    KERNEL(SO_SNDTIMEO_NEW),

    {SOL_SOCKET, SO_LINGER, set_linger, get_linger, WORD_LINGER, 0, 0, 0},
    {SOL_SOCKET, SO_RCVLOWAT, set_low_water, get_number, WORD_RCVLOWAT, 1, 1, INT_MAX},
    {SOL_SOCKET, SO_BINDTODEVICE, set_device, get_device, WORD_BINDTODEVICE, 0, 0, 0},
    FLAG(SOL_SOCKET, SO_BROADCAST, WORD_BROADCAST, 0),
    FLAG(SOL_SOCKET, SO_DONTROUTE, WORD_DONTROUTE, 0),
    FLAG(SOL_SOCKET, SO_TIMESTAMP, WORD_TIMESTAMP, 0),
    NUMBER(SOL_SOCKET, SO_PRIORITY, WORD_PRIORITY, 0, INT_MIN, INT_MAX),
    NUMBER(SOL_SOCKET, SO_MARK, WORD_MARK, 0, INT_MIN, INT_MAX),
    {SOL_SOCKET, SO_MAX_PACING_RATE, set_pacing_rate, get_pacing_rate, ENGINE_MAX_PACING_RATE, 0, 0,
     0},
    NUMBER(SOL_SOCKET, SO_INCOMING_CPU, WORD_INCOMING_CPU, -1, INT_MIN, INT_MAX),

    NUMBER(IPPROTO_TCP, TCP_FASTOPEN, WORD_FASTOPEN, 0, 0, INT_MAX),
    NUMBER(IPPROTO_TCP, TCP_FASTOPEN_CONNECT, WORD_FASTOPEN_CONNECT, 0, 0, 1),
    {IPPROTO_TCP, TCP_WINDOW_CLAMP, set_window_clamp, get_number, WORD_WINDOW_CLAMP, 0, 1152, 0},
    NUMBER(IPPROTO_TCP, TCP_SAVE_SYN, WORD_SAVE_SYN, 0, 0, 2),
    {IPPROTO_TCP, TCP_CONGESTION, set_congestion, get_congestion, ENGINE_CONGESTION, 0, 0, 0},

    FLAG(IPPROTO_IP, IP_RECVERR, WORD_RECVERR, 0),
    FLAG(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, WORD_BIND_NO_PORT, 0),
    FLAG(IPPROTO_IP, IP_FREEBIND, WORD_FREEBIND, 0),
    FLAG(IPPROTO_IP, IP_RECVTOS, WORD_RECVTOS, 0),
    {IPPROTO_IP, IP_OPTIONS, set_ip_options, get_ip_options, 0, 0, 0, 0},

    {IPPROTO_IPV6, IPV6_V6ONLY, set_v6only, get_ipv6_flag, FLAG_V6ONLY, 0, 0, 1},
    {IPPROTO_IPV6, IPV6_ADDRFORM, set_family, get_connected_family, 0, 0, 0, 0},
    {IPPROTO_IPV6, IPV6_MTU, set_path_mtu, get_path_mtu, 0, 0, 1280, INT_MAX},
    {IPPROTO_IPV6, IPV6_TCLASS, set_traffic_class, get_number, WORD_TCLASS, 0, 0, 255},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS, set_ipv6_number, get_number, WORD_HOPS, 64, 0, 255},
    NUMBER(IPPROTO_IPV6, IPV6_MINHOPCOUNT, WORD_LEAST_HOPS, 0, 0, 255),
    NUMBER(IPPROTO_IPV6, IPV6_MTU_DISCOVER, WORD_MTU_DISCOVER6, IPV6_PMTUDISC_WANT,
           IPV6_PMTUDISC_DONT, IPV6_PMTUDISC_OMIT),
    FLAG(IPPROTO_IPV6, IPV6_FREEBIND, WORD_FREEBIND, 0),
    IPV6_FLAG(IPV6_RECVERR, FLAG_RECVERR, 0),
    IPV6_FLAG(IPV6_RECVPKTINFO, FLAG_RECVPKTINFO, 0),
    IPV6_FLAG(IPV6_RECVHOPLIMIT, FLAG_RECVHOPLIMIT, 0),
    IPV6_FLAG(IPV6_RECVTCLASS, FLAG_RECVTCLASS, 0),
    IPV6_FLAG(IPV6_RECVHOPOPTS, FLAG_RECVHOPOPTS, 0),
    IPV6_FLAG(IPV6_RECVDSTOPTS, FLAG_RECVDSTOPTS, 0),
    IPV6_FLAG(IPV6_RECVRTHDR, FLAG_RECVRTHDR, 0),
    IPV6_FLAG(IPV6_RECVPATHMTU, FLAG_RECVPATHMTU, 0),
    IPV6_FLAG(IPV6_RECVORIGDSTADDR, FLAG_RECVORIGDSTADDR, 0),
    IPV6_FLAG(IPV6_DONTFRAG, FLAG_DONTFRAG, 0),
    IPV6_FLAG(IPV6_AUTOFLOWLABEL, FLAG_AUTOFLOWLABEL, 1),

    REFUSED(SOL_SOCKET, SO_ZEROCOPY),
    REFUSED(IPPROTO_TCP, TCP_ULP),
    REFUSED(IPPROTO_TCP, TCP_MD5SIG),
    REFUSED(IPPROTO_TCP, TCP_REPAIR),
    REFUSED(IPPROTO_IP, IP_TRANSPARENT),
    REFUSED(IPPROTO_IPV6, IPV6_TRANSPARENT),
};
static const size_t option_count = sizeof(options) / sizeof(options[0]);

static const struct option *find_option(int level, int name)
{
    for (size_t i = 0; i < option_count; i++) {
        if (options[i].level == level && options[i].name == name)
            return &options[i];
    }
    return NULL;
}

/* ---- handing them on to another socket ---- */

static bool is_engines(const struct option *option)
{
    return option->set == set_engine_flag || option->set == set_buffer ||
           option->set == set_engine_number || option->set == set_max_segment ||
           option->set == set_tos || option->set == set_ttl || option->set == set_congestion ||
           option->set == set_pacing_rate || option->set == set_unsigned ||
           option->set == set_seconds || option->set == set_milliseconds ||
           option->set == set_deferral || option->set == set_fin_wait2;
}

/* An AF_INET socket has no options of IPv6. */
/* One that does not exist is passed on to the last protocol in the line, and IPv6 says ENOPROTOOPT of it. */
static bool level_is_known(struct engine_socket *socket, int level)
{
    return level == SOL_SOCKET || level == IPPROTO_TCP || level == IPPROTO_IP ||
           engine_is_inet6(socket);
}

static bool was_set(const struct option *option, const struct engine_extra *extra)
{
    if (is_engines(option))
        return extra->values[WORD_ENGINE] & 1 << option->key;
    if (option->set == set_kernel)
        return option->name == SO_RCVTIMEO || option->name == SO_SNDTIMEO;
    if (option->set == set_v6only)
        return true; /* what a new socket has is the system's choice */
    if (option->set == set_ipv6_flag)
        return extra->values[WORD_IPV6] & 1 << option->key;
    return option->key != 0 && extra->values[option->key] != 0;
}

static void carry(const struct call *call, int other_fd, options_setter *set)
{
    const struct option *option = call->option;
    int value[8] = {0};
    socklen_t size = sizeof(value);
    if (option->get(call, value, &size) < 0)
        return;
    if (option->get == get_buffer)
        value[0] /= 2;
    set(other_fd, option->level, option->name, value, size);
}

void options_carry(struct engine_socket *socket, int fd, int other_fd, options_setter *set)
{
    struct engine_extra extra;
    engine_read_extra(socket, &extra);
    for (size_t i = 0; i < option_count; i++) {
        struct call call = {.socket = socket, .fd = fd, .option = &options[i]};
        if (level_is_known(socket, options[i].level) && was_set(&options[i], &extra))
            carry(&call, other_fd, set);
    }
}

void options_set_connecting(struct engine_socket *socket, bool connecting)
{
    write_flag(socket, FLAG_CONNECTING, connecting);
}

bool options_connecting(struct engine_socket *socket)
{
    return has_flag(socket, FLAG_CONNECTING);
}

static void inherit_timeout(int listener_fd, int fd, int name)
{
    struct timeval time;
    socklen_t size = sizeof(time);
    if (libc.getsockopt(listener_fd, SOL_SOCKET, name, &time, &size) == 0)
        libc.setsockopt(fd, SOL_SOCKET, name, &time, size);
}

void options_inherit(struct engine_socket *accepted, int listener_fd, int fd)
{
    enum { LINGER_RESETS = 1 };
    if (atomic_load(&linger_used))
        engine_close_resets(accepted, recall(accepted, WORD_LINGER) == LINGER_RESETS);
    if (!atomic_load(&timeouts_used))
        return;
    inherit_timeout(listener_fd, fd, SO_RCVTIMEO);
    inherit_timeout(listener_fd, fd, SO_SNDTIMEO);
}

/* ---- the calls ---- */

/* At these levels Linux looks at the size before the name. */
static bool takes_number(int level, int name)
{
    if (level == IPPROTO_TCP)
        return name != TCP_CONGESTION && name != TCP_ULP && name != TCP_FASTOPEN_KEY;
    return level == SOL_SOCKET && name != SO_BINDTODEVICE;
}

static int set_option(struct engine_socket *socket, int fd, int level, int name, const void *value,
                      socklen_t size)
{
    struct call call = {.socket = socket, .fd = fd};
    if (size < sizeof(int) && takes_number(level, name))
        return -EINVAL;
    call.option = find_option(level, name);
    if (call.option == NULL || !level_is_known(socket, level))
        return -ENOPROTOOPT;
    int saved = errno;
    int error = call.option->set(&call, value, size);
    errno = saved;
    return error;
}

static int get_option(struct engine_socket *socket, int fd, int level, int name, void *value,
                      socklen_t *size)
{
    struct call call = {.socket = socket, .fd = fd};
    if (size == NULL || (value == NULL && *size != 0))
        return -EFAULT;
    if (!level_is_known(socket, level))
        return -EOPNOTSUPP;
    call.option = find_option(level, name);
    if (call.option == NULL)
        return -ENOPROTOOPT;
    int saved = errno;
    int error = call.option->get(&call, value, size);
    errno = saved;
    return error;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    struct engine_socket *socket HELD = NULL;
    if (!descriptors_recognise(fd, &socket))
        return libc.setsockopt(fd, level, name, value, size);
    int error = set_option(socket, fd, level, name, value, size);
    refusals_option("setsockopt", level, name, error);
    return (int)result(error);
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
    struct engine_socket *socket HELD = NULL;
    if (!descriptors_recognise(fd, &socket))
        return libc.getsockopt(fd, level, name, value, size);
    int error = get_option(socket, fd, level, name, value, size);
    refusals_option("getsockopt", level, name, error);
    return (int)result(error);
}
