/* SPDX-License-Identifier: MIT */
/*
 * A program that asks a TCP socket everything a program can ask, and prints the answers, a line each. It is run on
 * the kernel's sockets and on ours, and what it prints is compared.
 *
 *	semantics peer PATH ADDRESS             the other end, on the kernel's TCP; does what it is told through PATH
 *	semantics inet|inet6 PATH ADDRESS PEER NOBODY
 *	                                        all checks, with the address that is ours, the peer's, and one where
 *	                                        packets vanish; inet6: the same addresses, mapped
 *
 * Nothing that is printed depends on time, ports or numbers of descriptors.
 */
#ifndef SEMANTICS_H
#define SEMANTICS_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* ---- report.c: what is printed ---- */

/* Begins a group of checks; what follows is printed behind its name. */
void theme(const char *name);

/* A call's result; the name of errno when it is -1. */
void check(const char *what, long result);

/* printf's format. */
void check_text(const char *what, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What poll() says at once, asked for everything. */
void check_events(const char *what, int fd);

/* The address and port of getsockname(), getpeername() or their like, the port as "ours", "peer's", 0 or "other". */
void check_name(const char *what, const struct sockaddr_storage *name, socklen_t size);

/* TCP's state, by name. */
void check_state(const char *what, int fd);

/* How often SIGPIPE came since the last time. */
void check_pipes(const char *what);

void give_up(const char *what) __attribute__((noreturn));

/* ---- names ---- */

extern int family; /* AF_INET or AF_INET6 */
extern const char *own_address, *peer_address, *nobody_address;

struct name {
    struct sockaddr_storage storage;
    socklen_t size;
};

/* Mapped in AF_INET6; "any" is the wildcard. */
struct name name_of(const char *address, int port);

static inline const struct sockaddr *any(const struct name *name)
{
    return (const struct sockaddr *)&name->storage;
}

/* ---- sockets ---- */

/* Of the family under test, with SOCK_NONBLOCK and SOCK_CLOEXEC as flags. */
int fresh(int flags);

/* A connection that the peer has accepted. */
int connected(int flags);

/* A listener on a port that the kernel of either chose, and that port. */
int listening(int flags, int *port);

/* A connection that the peer made; the listener is closed. */
int accepted(void);

/* Waits until poll() shows all of these. */
void await(int fd, short events);

/* ---- peer.c: the other end ---- */

enum peer_command {
    PEER_ACCEPT,   /* takes the connection that we made; its port is returned */
    PEER_CONNECT,  /* makes one to our port */
    PEER_WRITE,    /* so many bytes, "abc..." from where it stopped */
    PEER_READ,     /* so many bytes; how many came before the end, or -errno */
    PEER_SHUTDOWN, /* its direction */
    PEER_CLOSE,
    PEER_RESET,
    PEER_URGENT, /* one byte, "!" */
    PEER_SMALL,  /* the smallest receive buffer, for the next connection */
    PEER_STOP
};

extern int peer_port;    /* where the peer listens */
extern int refused_port; /* where nobody does */

/* Lets the peer do it, and waits until it has. */
long peer(enum peer_command command, int value);

/* The same without waiting; for signal handlers. peer_answer() must follow. */
void peer_begin(enum peer_command command, int value);
long peer_answer(void);

void peer_open(const char *path);
int peer_main(const char *path, const char *address);

/* ---- the checks ---- */

void check_calls(void);
void check_connect(void);
void check_transfer(void);
void check_messages(void);
void check_readiness(void);
void check_epoll(void);
void check_waiting(void);
void check_closing(void);
void check_options(void);
void check_descriptors(void);

#endif
