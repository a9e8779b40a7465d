/* SPDX-License-Identifier: MIT */
/*
 * The engine as the shim sees it: sockets whose bytes move through a TCP of our own, each behind a real
 * descriptor.
 *
 * The descriptor that the program holds is one end of an AF_UNIX stream socketpair ("the program's
 * end"); the engine's thread holds the other end in a descriptor table of its own. Readiness of the
 * TCP socket is mirrored into the pair, so poll, select and epoll need no help. The bytes move by the
 * calls below, which the program's threads make.
 *
 * Every call here returns 0, a count or a negative errno value, never touches errno, and never blocks
 * but in engine_accept() from a bridged listener (in the kernel, with no lock held). Signals are blocked while a lock is held,
 * so a handler may call anything here. Calls that take a descriptor want the program's end through
 * which the call was made; the engine uses it to take a readiness byte out or to put filler in.
 *
 * Memory is the engine's own, from mmap; the program's malloc is never called (but by pthread_create).
 */
#ifndef UTCP_ENGINE_H
#define UTCP_ENGINE_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

enum engine_family { ENGINE_IPV4 = 4, ENGINE_IPV6 = 6 };

/* An address (network byte order; IPv4 in the first four bytes) and a port in host byte order. */
struct engine_endpoint {
    uint8_t family; /* enum engine_family, 0 = none */
    uint8_t addr[16];
    uint16_t port;
};

/* A socket. Its memory stays a socket's for ever (it may become another one), so a stale pointer may be
 * handed to engine_socket_hold() without harm. */
struct engine_socket;

/* ---- life of the process ---- */

/*
 * Once, in the constructor, before anything else: reads and checks the UTCP_* variables. Starts no
 * thread and opens nothing. Trouble with a variable is told on stderr at the first engine_socket_open().
 */
void engine_init(char *const *environment);

/* fork(): in the parent before, in the parent after, in the child after. The child starts without an
 * engine; it can engine_adopt() the sockets it inherited (engine_socket_hold() fails before), and a new socket
 * starts an engine of its own. */
void engine_fork_prepare(void);
void engine_fork_parent(void);
void engine_fork_child(void);

/* The same in a child that was forked without a word to us. */
void engine_fork_unseen(void);

/*
 * The process is about to end. When connections have data or a FIN to bring to their peers, the keeper does
 * so. From then on every call here fails with -EPIPE. Async-signal-safe; may be called twice, and when no engine
 * runs. Without this call, as after SIGKILL, the keeper does the same, if no thread was inside the core.
 */
void engine_farewell(void);

/*
 * Around exec(): when it succeeds, what is left to do for this process's connections is done by a keeper. When it
 * fails and engine_exec_begin() was true, engine_exec_failed() must follow; nothing has happened then. Nothing of
 * the engine may be called in between, but by a signal handler after engine_exec_interrupted(): then all goes on before
 * the program is executed, or not.
 */
bool engine_exec_begin(void);
void engine_exec_failed(void);
void engine_exec_interrupted(void);

/* True for a descriptor in the program's table that is the engine's and must not be seen, closed or
 * replaced by the program. Cheap. */
bool engine_owns_descriptor(int fd);

/* True when connections to (or a bind to) this address are left to the kernel: UTCP_BYPASS, by default
 * loopback; and IPv6. The wildcard address is not bypassed. */
bool engine_bypasses(const struct engine_endpoint *endpoint);

/* False for an address where no program has memory: the first page, and the kernel's half. Anything else that is not
 * mapped faults when it is used, in our code as it would in memcpy(). */
static inline bool engine_addressable(const void *memory)
{
    enum { PAGE_BYTES = 4096 };

    return (uintptr_t)memory >= PAGE_BYTES && (uintptr_t)memory <= INTPTR_MAX;
}

/* A system call by its number and six arguments, past libc; a negative errno value when it fails. */
long engine_system_call(long number, const long arguments[6]);

/* Writes one line to stderr as "utcp: ..." when UTCP_LOG asks for that level. printf's format. */
enum engine_level { ENGINE_ERROR, ENGINE_WARN, ENGINE_INFO, ENGINE_DEBUG };
void engine_log(enum engine_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* True when a line of that level would be written. Cheap. */
bool engine_logs(enum engine_level level);

/* ---- sockets that leave our sight ---- */

/*
 * A socket is direct at first: its bytes move by engine_send() and engine_receive(). Once somebody may use its
 * descriptor who does not know of us, it is bridged: the bytes go through the pair, by plain system calls, and
 * these two answer -EREMOTE. All other calls are as before.
 *
 * engine_expose() bridges a socket; nothing is lost or repeated, whatever is in flight. It may be called in a child
 * of vfork() or fork(), too. -ECONNREFUSED when the engine is gone.
 */
int engine_expose(const struct engine_socket *socket, int fd);
bool engine_is_bridged(const struct engine_socket *socket);

/*
 * Gives this process a socket for a descriptor whose TCP another process has, and bridges it; *socket is held for
 * the caller. `inherited` is what the descriptor's table said in the parent before a fork, or NULL: the
 * descriptor is asked then. -ENOTSOCK when it is none of ours.
 */
int engine_adopt(const struct engine_socket *inherited, int fd, struct engine_socket **socket);

/* True when the socket was made by a process that this one is a forked child of. */
bool engine_is_inherited(const struct engine_socket *socket);

/* True when another process has its TCP and it listened when this one adopted it: no question asked. */
bool engine_listens_elsewhere(const struct engine_socket *socket);

/* ---- sockets ---- */

enum { ENGINE_CLOEXEC = 1, ENGINE_NONBLOCK = 2 };

/*
 * Makes a socket and returns its descriptor, the lowest that is free; flags are ENGINE_CLOEXEC,
 * ENGINE_NONBLOCK. *socket is held for the caller. Starts the engine's thread if none runs; the device is
 * not opened before the first engine_bind(), _connect() or _listen(). -EMFILE, -ENFILE, -ENOMEM.
 */
int engine_socket_open(unsigned flags, struct engine_socket **socket);

/* Takes a reference; false when the socket is gone: every copy of its descriptor was closed, or this
 * process did not make it. Lock-free. */
bool engine_socket_hold(struct engine_socket *socket);

/* Drops a reference. Closing is not done here: the engine sees the last copy of the descriptor close. */
void engine_socket_drop(struct engine_socket *socket);

/* A descriptor of the socket's has just been closed: sees to it that the engine's thread notices soon. */
void engine_closed(struct engine_socket *socket);

/* True when fd is this socket's descriptor (and not a stranger that got its number): asks the kernel. */
bool engine_socket_is(struct engine_socket *socket, int fd);

/*
 * Bind, listen, connect. Opening the device is part of these: -ENETDOWN (told on stderr) when there is
 * none. engine_connect() begins the handshake and returns -EINPROGRESS; after engine_show_full() the descriptor
 * turns writable when the handshake ended either way and engine_take_error() tells how; -EALREADY while it
 * goes on; -EISCONN.
 */
int engine_bind(struct engine_socket *socket, const struct engine_endpoint *local);
int engine_listen(struct engine_socket *socket, int fd, int backlog);
int engine_connect(struct engine_socket *socket, int fd, const struct engine_endpoint *remote);

/*
 * Takes a connection that waits at a listener; -EAGAIN when there is none, -EINVAL when it listens no more. From a
 * bridged listener, whose connections come through its descriptor, it blocks in the kernel as that says (O_NONBLOCK,
 * SO_RCVTIMEO, signals: -EAGAIN, -EINTR) and is a cancellation point through the `receive` function given, which is
 * libc's recvmsg (it alone touches errno). Returns the new descriptor, with flags as engine_socket_open();
 * *accepted is held for the caller.
 */
struct msghdr;
typedef ssize_t engine_recvmsg(int fd, struct msghdr *message, int flags);
int engine_accept(struct engine_socket *listener, int listener_fd, unsigned flags,
                  engine_recvmsg *receive, struct engine_socket **accepted,
                  struct engine_endpoint *remote);

enum {
    ENGINE_PEEK = 1,    /* receive: leave the bytes where they are */
    ENGINE_DISCARD = 2, /* receive: drop the bytes, write nothing (MSG_TRUNC) */
    ENGINE_MORE = 4,    /* send: more will follow at once (MSG_MORE) */
    ENGINE_RECORD = 8,  /* send: what follows goes in packets of its own (MSG_EOR) */
    ENGINE_URGENT = 16, /* send: the last byte is urgent (MSG_OOB) */
};

/*
 * Copies as much as there is room for, or as there is, and returns at once with the count; 0 from
 * engine_receive() is the end of data. -EAGAIN when nothing could be moved: the descriptor is then
 * mirrored as not readable, so waiting on it with poll() is right; for sending, after engine_show_full(). Errors:
 * -EPIPE (sending after shutdown; raising SIGPIPE is the caller's), -ENOTCONN, or what ended the connection
 * (-ECONNRESET, -ETIMEDOUT, -EHOSTUNREACH ...: told once). -EFAULT for memory that is not there.
 * fd is the descriptor that the program called with.
 */
ssize_t engine_send(struct engine_socket *socket, int fd, const struct iovec *iov, int iov_count,
                    unsigned flags);
ssize_t engine_receive(struct engine_socket *socket, int fd, const struct iovec *iov, int iov_count,
                       unsigned flags);

/* Makes the descriptor show that there is no room to send, until there is. For who does not wait in engine_lead(); waits:
 * in this call, and not for an event. */
int engine_show_full(struct engine_socket *socket, int fd, bool waits);

/* The urgent byte (MSG_OOB): 1 = it is in *byte, 0 = it will not come any more; -EAGAIN = it is announced;
 * -EINVAL = there is none. */
int engine_receive_urgent(struct engine_socket *socket, int fd, char *byte, bool peek);

/* how is SHUT_RD, SHUT_WR or SHUT_RDWR. -ENOTCONN. */
int engine_shutdown(struct engine_socket *socket, int fd, int how);

/*
 * Waits until a socket may have something to receive or to accept, or room to send, and drives the device
 * meanwhile. end_ns is on CLOCK_MONOTONIC, INT64_MAX = never. A cancellation point through `poll`, which is
 * libc's ppoll; engine_leads_no_more() must follow if it is cancelled there, and should when the thread is known to
 * have left by longjmp(). Returns 0 when it is time to try again;
 * -EAGAIN at end_ns; -EINTR; -EBUSY when another thread drives the device, or the descriptor itself shows
 * something: then poll that.
 */
typedef int engine_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                         const sigset_t *signals);
enum engine_wait { ENGINE_TO_RECEIVE, ENGINE_TO_ACCEPT, ENGINE_TO_SEND };
int engine_lead(struct engine_socket *socket, int fd, enum engine_wait what, int64_t end_ns,
                engine_ppoll *poll_call);
void engine_leads_no_more(void);

/* Around a wait for something to receive, and the engine_receive() that follows: if the descriptor is closed
 * meanwhile, what came can still be received. */
void engine_reader_begins(struct engine_socket *socket);
void engine_reader_ends(struct engine_socket *socket);

/* Resets its connection, if it has one, and lets go of it: the descriptor shows an end of data. -EOPNOTSUPP when
 * another process has the socket. */
int engine_disconnect(struct engine_socket *socket);

/* Makes the last close of the descriptor a RST (SO_LINGER with a time of 0), or no longer so. */
void engine_close_resets(struct engine_socket *socket, bool resets);

/* Whether the program holds it as an AF_INET6 socket: the engine only keeps that. Accepted connections
 * inherit it, and who adopts a socket learns it; a later change is not told to other processes. Lock-free. */
void engine_set_inet6(struct engine_socket *socket, bool inet6);
bool engine_is_inet6(const struct engine_socket *socket);

/* Returns the pending error as a negative errno and clears it; 0 = none. */
int engine_take_error(struct engine_socket *socket);

/* Options that the protocol knows; all others are the shim's to remember. */
enum engine_option {
    ENGINE_NODELAY,        /* bool */
    ENGINE_OOBINLINE,      /* bool */
    ENGINE_CORK,           /* bool */
    ENGINE_QUICKACK,       /* bool */
    ENGINE_KEEPALIVE,      /* bool */
    ENGINE_KEEPALIVE_IDLE, /* ns, as the next */
    ENGINE_KEEPALIVE_INTERVAL,
    ENGINE_KEEPALIVE_COUNT, /* 1 to 127 */
    ENGINE_USER_TIMEOUT,    /* ns, 0 = none */
    ENGINE_SYN_RETRIES,     /* 1 to 127 */
    ENGINE_FIN_WAIT2,       /* ns to 120 s, 0 = a reset, UINT64_MAX = the setting */
    ENGINE_DEFER_ACCEPT,    /* time-outs of a SYN-ACK, 0 to 255 */
    ENGINE_REUSEADDR,       /* bool */
    ENGINE_REUSEPORT,       /* bool */
    ENGINE_SND_BUF,         /* bytes, as Linux counts them: the cost of packets included */
    ENGINE_RCV_BUF,         /* bytes of window, half of what Linux counts */
    ENGINE_MAXSEG,          /* bytes */
    ENGINE_NOTSENT_LOWAT,   /* bytes */
    ENGINE_TTL,             /* 1 to 255 */
    ENGINE_TOS,             /* 0 to 255 */
    ENGINE_MTU_DISCOVER,    /* 0 to 5, as Linux numbers IP_MTU_DISCOVER */
    ENGINE_MAX_PACING_RATE, /* bytes a second, UINT64_MAX = no bound */
    ENGINE_CONGESTION,      /* the index of engine_congestion_name() */
};
int engine_set_option(struct engine_socket *socket, enum engine_option option, uint64_t value);
uint64_t engine_get_option(struct engine_socket *socket, enum engine_option option);

/* The name of the i-th congestion control, NULL = no more. */
const char *engine_congestion_name(size_t i);

/* What a socket can be asked. Times in microseconds, sizes in bytes unless said otherwise. */
struct engine_status {
    uint8_t tcp_state; /* as Linux numbers them in TCP_INFO: 1 ESTABLISHED ... 7 CLOSE, 10 LISTEN */
    bool bound;        /* has a local port */
    bool connected;    /* has a peer: getpeername() answers */
    bool connecting;   /* the handshake is under way */
    bool may_send;     /* connecting, or open in our direction */
    bool failed;       /* it had a connection, or tried; the descriptor shows its end */
    bool wscale_ok;
    struct engine_endpoint local, remote;
    bool at_mark;           /* the urgent byte is next: SIOCATMARK */
    uint32_t readable;      /* bytes that wait: FIONREAD */
    uint32_t unacked_bytes; /* sent or not, not acknowledged: SIOCOUTQ */
    uint32_t unsent_bytes;  /* SIOCOUTQNSD */
    uint32_t snd_mss, rcv_mss, pmtu;
    uint32_t cwnd, ssthresh; /* segments, as Linux counts; ssthresh INT32_MAX = unbounded */
    uint64_t pacing_rate, max_pacing_rate; /* bytes a second, UINT64_MAX = unbounded */
    uint32_t snd_wnd, rcv_wnd;
    uint8_t snd_wscale, rcv_wscale;
    uint32_t rtt, rttvar, rto;
    uint32_t retransmits, total_retransmits; /* in a row; segments in all */
    uint64_t bytes_sent, bytes_retransmitted, bytes_acked, bytes_received, segs_in, segs_out;
    uint32_t accept_queued, backlog; /* a listener's */
    bool sack_ok, timestamps_ok, ecn_ok, ecn_seen;
    uint8_t recovery; /* as Linux numbers it in TCP_INFO: 0 open, 1 disorder ... 4 loss */
    uint32_t sacked, lost, resent; /* segments: SACKed; held to be lost; in flight again */
    uint32_t in_flight;            /* segments sent and not acknowledged */
    uint32_t reordering, dsacks;   /* segments; duplicates that the peer told of */
    uint32_t min_rtt;
    uint32_t adv_mss; /* announced to the peer */
    uint64_t data_segs_in, data_segs_out, out_of_order, reorderings;
    uint32_t delivered, delivered_marked; /* segments the peer has told of; ... with ECE */
    uint32_t data_sent_ms, data_received_ms, ack_received_ms; /* since then, 0 = never yet */
    uint64_t busy_time, window_limited, buffer_limited;       /* us */
};
void engine_get_status(struct engine_socket *socket, struct engine_status *status);

/* A few words that the shim keeps with the socket, shared by all duplicates of its descriptor:
 * remembered options. Zero at the start; accepted connections inherit their listener's as of the moment
 * of the handshake's end. */
struct engine_extra {
    int32_t values[32];
};
void engine_read_extra(struct engine_socket *socket, struct engine_extra *extra);

/* 0, or -ENOBUFS: there is no memory to keep it in. */
int engine_write_extra(struct engine_socket *socket, unsigned index, int32_t value);

#endif
