/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * A line is its own identity: what was said is remembered by the hash of the text, in a table of fixed size that is only
 * added to. When it is full nothing more is said, for a program that asks for so many things is told nothing by another.
 */
#include "refusals.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { SAID_ENTRIES = 256, LINE_BYTES = 256, NAME_BYTES = 48 };

static atomic_uint_least64_t said[SAID_ENTRIES]; /* hashes of lines, 0 = empty */

/* FNV-1a, of 64 bits; never 0. */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash != 0 ? hash : 1;
}

/* True for the first who asks about a line. */
static bool is_new(const char *line)
{
    uint64_t hash = hash_of(line);
    for (size_t i = 0; i < SAID_ENTRIES; i++) {
        uint64_t there = 0;
        if (atomic_compare_exchange_strong(&said[(hash + i) % SAID_ENTRIES], &there, hash))
            return true;
        if (there == hash)
            return false;
    }
    return false;
}

__attribute__((format(printf, 1, 2))) static void say_once(const char *format, ...)
{
    char line[LINE_BYTES];
    int saved = errno;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (is_new(line))
        engine_log(ENGINE_INFO, "%s", line);
    errno = saved;
}

static bool nobody_asks(void)
{
    return !engine_logs(ENGINE_INFO);
}

/* ---- names ---- */

struct name {
    int level;
    unsigned number;
    const char *name;
    const char *why; /* it is not served; empty when its name says that */
};

#define OPTION(level, name, why) \
    {                            \
        level, name, #name, why  \
    }

#define NO_TLS "TLS is the program's own affair here"
#define NO_SIGNATURES "there are no signatures of segments"
#define NO_REPAIR "a connection cannot be moved"
#define NO_FAST_OPEN "there is no fast open"
#define NO_ZERO_COPY "bytes are copied"
#define NO_STAMPS "segments are not stamped"
#define NO_FILTERS "there is no filter on it"
#define NO_PROXY "it would need the kernel's routing"
#define NO_LABELS "no packet carries it"

static const struct name options[] = {
    OPTION(SOL_SOCKET, SO_DEBUG, ""),
    OPTION(SOL_SOCKET, SO_DONTROUTE, ""),
    OPTION(SOL_SOCKET, SO_BROADCAST, ""),
    OPTION(SOL_SOCKET, SO_PRIORITY, NO_LABELS),
    OPTION(SOL_SOCKET, SO_MARK, NO_LABELS),
    OPTION(SOL_SOCKET, SO_BINDTODEVICE, ""),
    OPTION(SOL_SOCKET, SO_INCOMING_CPU, ""),
    OPTION(SOL_SOCKET, SO_INCOMING_NAPI_ID, ""),
    OPTION(SOL_SOCKET, SO_BUSY_POLL, ""),
    OPTION(SOL_SOCKET, SO_PREFER_BUSY_POLL, ""),
    OPTION(SOL_SOCKET, SO_BUSY_POLL_BUDGET, ""),
    OPTION(SOL_SOCKET, SO_ZEROCOPY, NO_ZERO_COPY),
    OPTION(SOL_SOCKET, SO_TIMESTAMP, NO_STAMPS),
    OPTION(SOL_SOCKET, SO_TIMESTAMPNS, NO_STAMPS),
    OPTION(SOL_SOCKET, SO_TIMESTAMPING, NO_STAMPS),
    OPTION(SOL_SOCKET, SO_TXTIME, NO_STAMPS),
    OPTION(SOL_SOCKET, SO_ATTACH_FILTER, NO_FILTERS),
    OPTION(SOL_SOCKET, SO_DETACH_FILTER, NO_FILTERS),
    OPTION(SOL_SOCKET, SO_LOCK_FILTER, NO_FILTERS),
    OPTION(SOL_SOCKET, SO_ATTACH_BPF, NO_FILTERS),
    OPTION(SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, NO_FILTERS),
    OPTION(SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, NO_FILTERS),
    OPTION(SOL_SOCKET, SO_PASSCRED, "a peer by TCP has no credentials"),
    OPTION(SOL_SOCKET, SO_PEERCRED, "a peer by TCP has no credentials"),
    OPTION(SOL_SOCKET, SO_PEERSEC, "a peer by TCP has no credentials"),
    OPTION(SOL_SOCKET, SO_PEERGROUPS, "a peer by TCP has no credentials"),
    OPTION(SOL_SOCKET, SO_COOKIE, ""),
    OPTION(SOL_SOCKET, SO_NETNS_COOKIE, ""),
    OPTION(SOL_SOCKET, SO_RXQ_OVFL, ""),
    OPTION(SOL_SOCKET, SO_PEEK_OFF, ""),
    OPTION(SOL_SOCKET, SO_RESERVE_MEM, ""),
    OPTION(SOL_SOCKET, SO_TXREHASH, ""),
    OPTION(IPPROTO_TCP, TCP_ULP, NO_TLS),
    OPTION(IPPROTO_TCP, TCP_MD5SIG, NO_SIGNATURES),
    OPTION(IPPROTO_TCP, TCP_MD5SIG_EXT, NO_SIGNATURES),
    OPTION(IPPROTO_TCP, TCP_REPAIR, NO_REPAIR),
    OPTION(IPPROTO_TCP, TCP_REPAIR_QUEUE, NO_REPAIR),
    OPTION(IPPROTO_TCP, TCP_REPAIR_OPTIONS, NO_REPAIR),
    OPTION(IPPROTO_TCP, TCP_REPAIR_WINDOW, NO_REPAIR),
    OPTION(IPPROTO_TCP, TCP_QUEUE_SEQ, NO_REPAIR),
    OPTION(IPPROTO_TCP, TCP_FASTOPEN, NO_FAST_OPEN),
    OPTION(IPPROTO_TCP, TCP_FASTOPEN_CONNECT, NO_FAST_OPEN),
    OPTION(IPPROTO_TCP, TCP_FASTOPEN_KEY, NO_FAST_OPEN),
    OPTION(IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, NO_FAST_OPEN),
    OPTION(IPPROTO_TCP, TCP_SAVE_SYN, ""),
    OPTION(IPPROTO_TCP, TCP_SAVED_SYN, ""),
    OPTION(IPPROTO_TCP, TCP_WINDOW_CLAMP, ""),
    OPTION(IPPROTO_TCP, TCP_TIMESTAMP, ""),
    OPTION(IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, ""),
    OPTION(IPPROTO_TCP, TCP_THIN_DUPACK, ""),
    OPTION(IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, NO_ZERO_COPY),
    OPTION(IPPROTO_TCP, TCP_INQ, ""),
    OPTION(IPPROTO_TCP, TCP_TX_DELAY, "impairment delays: UTCP_IMPAIR"),
    OPTION(IPPROTO_TCP, TCP_CONGESTION, "utcp cc lists what there is"),
    OPTION(IPPROTO_IP, IP_OPTIONS, "no packet has any"),
    OPTION(IPPROTO_IP, IP_TRANSPARENT, NO_PROXY),
    OPTION(IPPROTO_IP, IP_FREEBIND, NO_PROXY),
    OPTION(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, ""),
    OPTION(IPPROTO_IP, IP_RECVERR, ""),
    OPTION(IPPROTO_IP, IP_RECVTOS, ""),
    OPTION(IPPROTO_IP, IP_RECVTTL, ""),
    OPTION(IPPROTO_IP, IP_MINTTL, ""),
    OPTION(IPPROTO_IP, IP_PKTINFO, ""),
    OPTION(IPPROTO_IP, IP_HDRINCL, ""),
    OPTION(IPPROTO_IP, IP_RECVORIGDSTADDR, NO_PROXY),
    OPTION(IPPROTO_IP, IP_UNICAST_IF, NO_PROXY),
    OPTION(IPPROTO_IP, IP_MULTICAST_IF, ""),
    OPTION(IPPROTO_IP, IP_MULTICAST_TTL, ""),
    OPTION(IPPROTO_IP, IP_ADD_MEMBERSHIP, ""),
    {IPPROTO_IP, 80, "SO_ORIGINAL_DST", NO_PROXY}, /* linux/netfilter_ipv4.h */
    OPTION(IPPROTO_IPV6, IPV6_TRANSPARENT, NO_PROXY),
    OPTION(IPPROTO_IPV6, IPV6_FREEBIND, NO_PROXY),
    OPTION(IPPROTO_IPV6, IPV6_V6ONLY, ""),
    OPTION(IPPROTO_IPV6, IPV6_TCLASS, ""),
    OPTION(IPPROTO_IPV6, IPV6_UNICAST_HOPS, ""),
    OPTION(IPPROTO_IPV6, IPV6_MINHOPCOUNT, ""),
    OPTION(IPPROTO_IPV6, IPV6_MTU_DISCOVER, ""),
    OPTION(IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, ""),
};

/* Of the kernel's own, those that programs ask of any socket. */
static const struct name requests[] = {
    OPTION(0, SIOCGIFNAME, ""),  OPTION(0, SIOCGIFCONF, ""),    OPTION(0, SIOCGIFFLAGS, ""),
    OPTION(0, SIOCGIFADDR, ""),  OPTION(0, SIOCGIFNETMASK, ""), OPTION(0, SIOCGIFBRDADDR, ""),
    OPTION(0, SIOCGIFMTU, ""),   OPTION(0, SIOCGIFHWADDR, ""),  OPTION(0, SIOCGIFINDEX, ""),
    OPTION(0, SIOCETHTOOL, ""),  OPTION(0, SIOCGIFMETRIC, ""),  OPTION(0, SIOCGSTAMP_OLD, ""),
    OPTION(0, SIOCATMARK, ""),   OPTION(0, SIOCINQ, ""),        OPTION(0, SIOCOUTQ, ""),
    OPTION(0, SIOCGSTAMPNS, ""), OPTION(0, TCGETS, ""),         OPTION(0, TIOCGWINSZ, ""),
    OPTION(0, TIOCGPGRP, ""),
};

static const struct name *find(const struct name *names, size_t count, int level, unsigned number)
{
    for (size_t i = 0; i < count; i++) {
        if (names[i].level == level && names[i].number == number)
            return &names[i];
    }
    return NULL;
}

static const struct name *find_option(int level, int name)
{
    return find(options, sizeof(options) / sizeof(options[0]), level, (unsigned)name);
}

static const char *level_name(int level, char text[NAME_BYTES])
{
    switch (level) {
    case SOL_SOCKET:
        return "SOL_SOCKET";
    case IPPROTO_IP:
        return "IPPROTO_IP";
    case IPPROTO_IPV6:
        return "IPPROTO_IPV6";
    case IPPROTO_TCP:
        return "IPPROTO_TCP";
    }
    snprintf(text, NAME_BYTES, "level %d", level);
    return text;
}

static const char *option_name(int level, int name, char text[NAME_BYTES])
{
    const struct name *known = find_option(level, name);
    if (known != NULL)
        return known->name;
    snprintf(text, NAME_BYTES, "option %d", name);
    return text;
}

static const char *request_name(unsigned long request, char text[NAME_BYTES])
{
    const struct name *known =
        find(requests, sizeof(requests) / sizeof(requests[0]), 0, (unsigned)request);
    if (known != NULL)
        return known->name;
    snprintf(text, NAME_BYTES, "%#lx", request);
    return text;
}

/* ": because", or nothing. */
static const char *reason(int level, int name, const char **separator)
{
    const struct name *known = find_option(level, name);
    bool told = known != NULL && known->why[0] != '\0';
    *separator = told ? ": " : "";
    return told ? known->why : "";
}

/* ---- lines ---- */

void refusals_call(const char *call, const char *why, int error)
{
    if (nobody_asks())
        return;
    say_once("%s: refused: %s (%s)", call, why, strerrorname_np(-error));
}

/* Whether an error says that there is no such option here; others say what the program did wrong. */
static bool is_refusal(int level, int name, int result)
{
    bool names_congestion = level == IPPROTO_TCP && name == TCP_CONGESTION;
    return result == -ENOPROTOOPT || result == -EOPNOTSUPP ||
           (result == -ENOENT && names_congestion);
}

void refusals_option(const char *call, int level, int name, int result)
{
    char level_text[NAME_BYTES], name_text[NAME_BYTES];
    const char *separator;
    if (!is_refusal(level, name, result) || nobody_asks())
        return;
    const char *why = reason(level, name, &separator);
    say_once("%s(%s, %s): refused%s%s (%s)", call, level_name(level, level_text),
             option_name(level, name, name_text), separator, why, strerrorname_np(-result));
}

void refusals_idle_option(int level, int name)
{
    char level_text[NAME_BYTES], name_text[NAME_BYTES];
    const char *separator;
    if (nobody_asks())
        return;
    const char *why = reason(level, name, &separator);
    say_once("setsockopt(%s, %s): remembered, without effect%s%s", level_name(level, level_text),
             option_name(level, name, name_text), separator, why);
}

void refusals_ioctl(unsigned long request, int result)
{
    char text[NAME_BYTES];
    if (result != -ENOTTY || nobody_asks())
        return;
    say_once("ioctl(%s): refused (ENOTTY)", request_name(request, text));
}

void refusals_left(const char *call, const char *why)
{
    if (nobody_asks())
        return;
    say_once("%s: left to the kernel: %s", call, why);
}

void refusals_left_address(const char *call, const struct engine_endpoint *endpoint)
{
    bool inet6 = endpoint->family == ENGINE_IPV6;
    char text[INET6_ADDRSTRLEN] = "";
    if (nobody_asks())
        return;
    inet_ntop(inet6 ? AF_INET6 : AF_INET, endpoint->addr, text, sizeof(text));
    say_once("%s %s: left to the kernel: %s", call, text,
             inet6 ? "it is IPv6" : "it is in UTCP_BYPASS, by default loopback");
}

void refusals_left_ioctl(unsigned long request)
{
    char text[NAME_BYTES];
    if (nobody_asks())
        return;
    say_once("ioctl(%s): left to the kernel", request_name(request, text));
}

void refusals_bridged(void)
{
    if (nobody_asks())
        return;
    say_once("a socket is bridged: from here on its bytes pass through the kernel");
}
