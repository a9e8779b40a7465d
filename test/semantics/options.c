/* SPDX-License-Identifier: MIT */
#include "semantics.h"

#include <linux/filter.h>
#include <sys/time.h>

/* Each option: its value at first, what it becomes by several values and sizes, and what it reads as. */

static const struct option {
    const char *name;
    int level, number;
} options[] = {
    {"SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR},
    {"SO_REUSEPORT", SOL_SOCKET, SO_REUSEPORT},
    {"SO_TYPE", SOL_SOCKET, SO_TYPE},
    {"SO_DOMAIN", SOL_SOCKET, SO_DOMAIN},
    {"SO_PROTOCOL", SOL_SOCKET, SO_PROTOCOL},
    {"SO_ERROR", SOL_SOCKET, SO_ERROR},
    {"SO_ACCEPTCONN", SOL_SOCKET, SO_ACCEPTCONN},
    {"SO_DONTROUTE", SOL_SOCKET, SO_DONTROUTE},
    {"SO_BROADCAST", SOL_SOCKET, SO_BROADCAST},
    {"SO_SNDBUF", SOL_SOCKET, SO_SNDBUF},
    {"SO_RCVBUF", SOL_SOCKET, SO_RCVBUF},
    {"SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE},
    {"SO_OOBINLINE", SOL_SOCKET, SO_OOBINLINE},
    {"SO_PRIORITY", SOL_SOCKET, SO_PRIORITY},
    {"SO_RCVLOWAT", SOL_SOCKET, SO_RCVLOWAT},
    {"SO_SNDLOWAT", SOL_SOCKET, SO_SNDLOWAT},
    {"SO_TIMESTAMP", SOL_SOCKET, SO_TIMESTAMP},
    {"SO_MARK", SOL_SOCKET, SO_MARK},
    {"SOL_SOCKET 4711", SOL_SOCKET, 4711},
    {"TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY},
    {"TCP_CORK", IPPROTO_TCP, TCP_CORK},
    {"TCP_KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE},
    {"TCP_KEEPINTVL", IPPROTO_TCP, TCP_KEEPINTVL},
    {"TCP_KEEPCNT", IPPROTO_TCP, TCP_KEEPCNT},
    {"TCP_SYNCNT", IPPROTO_TCP, TCP_SYNCNT},
    {"TCP_LINGER2", IPPROTO_TCP, TCP_LINGER2},
    {"TCP_DEFER_ACCEPT", IPPROTO_TCP, TCP_DEFER_ACCEPT},
    {"TCP_WINDOW_CLAMP", IPPROTO_TCP, TCP_WINDOW_CLAMP},
    {"TCP_QUICKACK", IPPROTO_TCP, TCP_QUICKACK},
    {"TCP_USER_TIMEOUT", IPPROTO_TCP, TCP_USER_TIMEOUT},
    {"TCP_NOTSENT_LOWAT", IPPROTO_TCP, TCP_NOTSENT_LOWAT},
    {"TCP 4711", IPPROTO_TCP, 4711},
    {"IP_TOS", IPPROTO_IP, IP_TOS},
    {"IP_TTL", IPPROTO_IP, IP_TTL},
    {"IP_RECVTOS", IPPROTO_IP, IP_RECVTOS},
    {"IP_RECVERR", IPPROTO_IP, IP_RECVERR},
    {"IP_MTU_DISCOVER", IPPROTO_IP, IP_MTU_DISCOVER},
    {"IP_FREEBIND", IPPROTO_IP, IP_FREEBIND},
    {"IP_BIND_ADDRESS_NO_PORT", IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT},
    {"IP_MTU of none", IPPROTO_IP, IP_MTU},
    {"a level that does not exist", 4711, 1},
};

/* Those that only Linux has, or that make no sense for a TCP of ours: whether they are there. */
static const struct option rare[] = {
    {"SO_DEBUG", SOL_SOCKET, SO_DEBUG},
    {"SO_PASSCRED", SOL_SOCKET, SO_PASSCRED},
    {"SO_BUSY_POLL", SOL_SOCKET, SO_BUSY_POLL},
    {"SO_INCOMING_NAPI_ID", SOL_SOCKET, SO_INCOMING_NAPI_ID},
    {"SO_PEEK_OFF", SOL_SOCKET, SO_PEEK_OFF},
    {"SO_NOFCS", SOL_SOCKET, SO_NOFCS},
    {"SO_LOCK_FILTER", SOL_SOCKET, SO_LOCK_FILTER},
    {"SO_COOKIE", SOL_SOCKET, SO_COOKIE},
    {"SO_ZEROCOPY", SOL_SOCKET, SO_ZEROCOPY},
    {"TCP_THIN_LINEAR_TIMEOUTS", IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS},
    {"TCP_THIN_DUPACK", IPPROTO_TCP, TCP_THIN_DUPACK},
    {"TCP_FASTOPEN_NO_COOKIE", IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE},
    {"TCP_FASTOPEN_CONNECT", IPPROTO_TCP, TCP_FASTOPEN_CONNECT},
    {"TCP_INQ", IPPROTO_TCP, TCP_INQ},
    {"TCP_SAVE_SYN", IPPROTO_TCP, TCP_SAVE_SYN},
    {"IP_PKTINFO", IPPROTO_IP, IP_PKTINFO},
    {"IP_MINTTL", IPPROTO_IP, IP_MINTTL},
    {"TCP_TX_DELAY", IPPROTO_TCP, TCP_TX_DELAY},
};

enum { OPTIONS = sizeof options / sizeof options[0] };

static void read_option(const char *when, int fd, const struct option *option)
{
    char what[96];
    int value = -77;
    socklen_t size = sizeof value;
    snprintf(what, sizeof what, "%s %s", option->name, when);
    if (getsockopt(fd, option->level, option->number, &value, &size) < 0)
        check(what, -1);
    else
        check_text(what, "%d, %u bytes", value, size);
}

static void write_option(int fd, const struct option *option, int value, socklen_t size)
{
    char what[96];
    snprintf(what, sizeof what, "%s set to %d of %u bytes", option->name, value, size);
    check(what, setsockopt(fd, option->level, option->number, &value, size));
    read_option("then", fd, option);
}

/* Its limit is the machine's. */
static bool is_size(const struct option *option)
{
    return option->level == SOL_SOCKET &&
           (option->number == SO_SNDBUF || option->number == SO_RCVBUF ||
            option->number == SO_RCVLOWAT);
}

static void check_each(void)
{
    theme("options");
    for (size_t i = 0; i < OPTIONS; i++) {
        int fd = fresh(0);
        read_option("at first", fd, &options[i]);
        write_option(fd, &options[i], 1, 4);
        write_option(fd, &options[i], 0, 4);
        write_option(fd, &options[i], 100, 4);
        if (!is_size(&options[i]))
            write_option(fd, &options[i], -1, 4);
        write_option(fd, &options[i], 5, 1);
        write_option(fd, &options[i], 5, 0);
        close(fd);
    }
}

static void check_rare(void)
{
    int fd = fresh(0);
    theme("rare options");
    for (size_t i = 0; i < sizeof rare / sizeof rare[0]; i++) {
        char value[8];
        socklen_t size = sizeof value;
        check(rare[i].name, getsockopt(fd, rare[i].level, rare[i].number, value, &size));
    }
    close(fd);
}

static void check_sizes(void)
{
    unsigned char bytes[16];
    socklen_t size = 1;
    int value = 1, fd = fresh(0);
    theme("sizes of options");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, sizeof value);
    memset(bytes, 0x55, sizeof bytes);
    check("getsockopt of one byte", getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, bytes, &size));
    check_text("which is", "%#x %#x, %u bytes", bytes[0], bytes[1], size);
    size = 16;
    memset(bytes, 0x55, sizeof bytes);
    check("getsockopt of 16 bytes", getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, bytes, &size));
    check_text("which is", "%#x %#x %#x, %u bytes", bytes[0], bytes[1], bytes[4], size);
    size = 0;
    check("getsockopt of none", getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, bytes, &size));
    size = (socklen_t)-1;
    check("getsockopt of -1 byte", getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, bytes, &size));
    size = 4;
    check("getsockopt to nowhere", getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, NULL, &size));
    check("getsockopt with no size", getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, bytes, NULL));
    check("setsockopt from nowhere", setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, NULL, 4));
    check("setsockopt from nowhere, SOL_SOCKET", setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, NULL, 4));
    check("getsockopt of -1", getsockopt(-1, SOL_SOCKET, SO_TYPE, bytes, &size));
    check("getsockopt of a file", getsockopt(0, SOL_SOCKET, SO_TYPE, bytes, &size));
    check("setsockopt of a file", setsockopt(0, SOL_SOCKET, SO_KEEPALIVE, &value, 4));
    close(fd);
    check("getsockopt of what is closed", getsockopt(fd, SOL_SOCKET, SO_TYPE, bytes, &size));
}

static void check_structures(void)
{
    struct timeval time = {1, 500000};
    struct linger linger = {1, 1000};
    char text[32] = "";
    socklen_t size = sizeof time;
    int fd = fresh(0);
    theme("options with structures");
    check("SO_RCVTIMEO", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time));
    time = (struct timeval){0};
    getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, &size);
    check_text("which reads", "%ld.%06ld, %u bytes", (long)time.tv_sec, (long)time.tv_usec, size);
    time = (struct timeval){0, 1000000};
    check("SO_RCVTIMEO of too many us",
          setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time));
    time = (struct timeval){-1, 0};
    check("SO_SNDTIMEO of -1 s", setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time));
    getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, &size);
    check_text("which reads", "%ld.%06ld", (long)time.tv_sec, (long)time.tv_usec);
    check("SO_RCVTIMEO of 4 bytes", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, 4));
    check("SO_LINGER of 4 bytes", setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, 4));
    check("SO_LINGER", setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
    size = 4;
    check("SO_LINGER read as 4 bytes", getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &size));
    size = sizeof text;
    check("TCP_CONGESTION", getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, text, &size));
    check_text("its size", "%u bytes", size);
    check("set to reno", setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
    size = sizeof text;
    getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, text, &size);
    check_text("which reads", "%s", text);
    check("set to what there is not", setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "none such", 9));
    check("set to nothing", setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "", 0));
    size = sizeof text;
    check("TCP_ULP", getsockopt(fd, IPPROTO_TCP, TCP_ULP, text, &size));
    check("SO_BINDTODEVICE to none", setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "", 0));
    check("SO_DETACH_FILTER of none", setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &size, 4));
    close(fd);
}

static void check_of_connections(void)
{
    static const struct option of_connections[] = {
        {"IP_MTU", IPPROTO_IP, IP_MTU},
        {"SO_ERROR", SOL_SOCKET, SO_ERROR},
        {"SO_ACCEPTCONN", SOL_SOCKET, SO_ACCEPTCONN},
        {"TCP_QUICKACK", IPPROTO_TCP, TCP_QUICKACK},
        {"TCP_DEFER_ACCEPT", IPPROTO_TCP, TCP_DEFER_ACCEPT},
        {"TCP_SAVED_SYN", IPPROTO_TCP, TCP_SAVED_SYN},
        {"TCP_FASTOPEN", IPPROTO_TCP, TCP_FASTOPEN},
        {"TCP_REPAIR", IPPROTO_TCP, TCP_REPAIR},
    };
    int port, fd = connected(0), listener = listening(0, &port);
    theme("options of connections");
    for (size_t i = 0; i < sizeof of_connections / sizeof of_connections[0]; i++) {
        read_option("of a connection", fd, &of_connections[i]);
        read_option("of a listener", listener, &of_connections[i]);
    }
    write_option(fd, &(struct option){"TCP_MAXSEG", IPPROTO_TCP, TCP_MAXSEG}, 1, 4);
    write_option(fd, &(struct option){"SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR}, 1, 4);
    write_option(fd, &(struct option){"IP_TRANSPARENT", IPPROTO_IP, IP_TRANSPARENT}, 1, 4);
    close(listener);
    close(fd);
}

void check_options(void)
{
    check_each();
    check_rare();
    check_sizes();
    check_structures();
    check_of_connections();
}
