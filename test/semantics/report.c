/* SPDX-License-Identifier: MIT */
#include "semantics.h"

#include <signal.h>
#include <stdarg.h>

static const char *group = "";

void theme(const char *name)
{
    group = name;
}

void check_text(const char *what, const char *format, ...)
{
    va_list rest;
    printf("%s: %s: ", group, what);
    va_start(rest, format);
    vprintf(format, rest);
    va_end(rest);
    putchar('\n');
    fflush(stdout);
}

void check(const char *what, long result)
{
    int error = errno;
    if (result == -1)
        check_text(what, "%s", strerrorname_np(error));
    else
        check_text(what, "%ld", result);
}

void give_up(const char *what)
{
    fprintf(stderr, "semantics: %s: %s: %s\n", group, what, strerror(errno));
    exit(1);
}

void check_events(const char *what, int fd)
{
    static const struct {
        short bit;
        const char *name;
    } bits[] = {{POLLIN, " IN"},   {POLLPRI, " PRI"},   {POLLOUT, " OUT"},    {POLLERR, " ERR"},
                {POLLHUP, " HUP"}, {POLLNVAL, " NVAL"}, {POLLRDHUP, " RDHUP"}};
    struct pollfd one = {.fd = fd, .events = POLLIN | POLLPRI | POLLOUT | POLLRDHUP};
    char text[80] = "";
    poll(&one, 1, 0);
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++) {
        if (one.revents & bits[i].bit)
            strcat(text, bits[i].name);
    }
    check_text(what, "%s", text[0] ? text + 1 : "nothing");
}

static const char *port_word(int port)
{
    if (port == 0)
        return "0";
    return port == peer_port ? "peer's" : "other";
}

void check_name(const char *what, const struct sockaddr_storage *name, socklen_t size)
{
    char text[INET6_ADDRSTRLEN] = "?";
    int port = -1;
    if (name->ss_family == AF_INET && size >= sizeof(struct sockaddr_in)) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)name;
        inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
        port = ntohs(in->sin_port);
    } else if (name->ss_family == AF_INET6 && size >= sizeof(struct sockaddr_in6)) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)name;
        inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text);
        port = ntohs(in6->sin6_port);
    }
    const char *ipv4 = strncmp(text, "::ffff:", 7) == 0 ? text + 7 : text;
    if (strcmp(ipv4, own_address) == 0)
        strcpy(text, ipv4 == text ? "our address" : "our mapped address");
    else if (strcmp(ipv4, peer_address) == 0)
        strcpy(text, ipv4 == text ? "the peer's address" : "the peer's mapped address");
    check_text(what, "%s, port %s, %u bytes", text, port_word(port), size);
}

void check_state(const char *what, int fd)
{
    static const char *const names[] = {"?",          "ESTABLISHED", "SYN-SENT",  "SYN-RECEIVED",
                                        "FIN-WAIT-1", "FIN-WAIT-2",  "TIME-WAIT", "CLOSED",
                                        "CLOSE-WAIT", "LAST-ACK",    "LISTEN",    "CLOSING"};
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
        check(what, -1);
    else
        check_text(what, "%s", info.tcpi_state < 12 ? names[info.tcpi_state] : "beyond");
}

static volatile sig_atomic_t pipes;

static void count_pipe(int signal)
{
    (void)signal;
    pipes++;
}

void check_pipes(const char *what)
{
    check_text(what, "%d", (int)pipes);
    pipes = 0;
}

__attribute__((constructor)) static void catch_pipes(void)
{
    signal(SIGPIPE, count_pipe);
}
