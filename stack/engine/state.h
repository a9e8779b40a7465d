/* SPDX-License-Identifier: MIT */
/*
 * The engine's state and the calls by which its parts work together.
 *
 * Who may touch what:
 *
 *	struct engine, first part	written before the thread starts, then only read
 *	struct engine, second part	under the lock
 *	struct engine, third part	the engine's thread only, but for what has to do with sending
 *					and receiving, which is of the thread that does (traffic.c)
 *	struct engine_socket		under the lock, but for `life` (atomic)
 *
 * Lock order: control_lock, then a socket's send_lock or receive_lock, then the engine's lock. All of
 * them are taken with every signal blocked, so that a signal handler may call the engine; around exec(), where signals are
 * as the program has them, a handler that does gives the engine's back first. No user data
 * is copied and no packet is read or written under the engine's lock.
 */
#ifndef UTCP_ENGINE_STATE_H
#define UTCP_ENGINE_STATE_H

#include "config.h"
#include "device.h"
#include "engine.h"
#include "guarded.h"
#include "impair.h"
#include "pcapng.h"
#include "translate.h"
#include "utcp.h"

#include <pthread.h>
#include <stdatomic.h>

enum { WHY_BYTES = 512, ANNOUNCED_MOST = 64, OFFERED_MOST = 64, ENDS_MOST = 64 };

enum socket_phase {
    SOCKET_IDLE,      /* neither connecting nor listening: nothing is mirrored */
    SOCKET_ACTIVE,    /* connecting or connected, or the end of that */
    SOCKET_LISTENING, /* its connections are sent through its pair */
    SOCKET_STOPPED,   /* listened, or was connecting, until it was shut down: hung up */
};

/*
 * life: the process generation in the upper half; below it SOCKET_DEAD and the number of
 * references. The engine itself has one while `end` is open, so does the list of sockets to mirror.
 *
 * conn is NULL before the device is open and after the close. end is the engine's end of the pair
 * in its own table, -1 = closed. inode is that of the program's end, by which it is recognised; 0 = there is none.
 *
 * copy: the program's end in the engine's own table, where it is from being made in advance until the thread's next
 * turn after it is taken (spares.c); -1 = not there.
 *
 * has_byte: a readiness byte waits in the program's end, or is on its way, and more_bytes others, one for each later
 * edge; has_urgent:
 * one out of band; has_gap: its place behind them. left_some: the program has read since the last edge, and not all.
 * unread: bytes that wait in the engine's end, the last of which is the tripwire (see mirror.c). shut: how the
 * engine's end was shut down.
 */
struct engine_socket {
    _Atomic uint64_t life;
    struct engine_socket *next_free;
    struct engine_socket *next_dirty;
    struct engine_socket *next, *previous; /* all that are not free */
    struct engine_socket *next_spare;

    pthread_mutex_t send_lock, receive_lock;

    struct utcp_conn *conn;
    enum socket_phase phase;
    int end;
    atomic_int copy;
    _Atomic uint64_t inode;
    bool dirty;
    atomic_bool spare;        /* made in advance, and not taken yet */
    bool resets;              /* the last close is a RST */
    atomic_bool writer_waits; /* who writes waits for room in the call, and not for an event */
    atomic_bool inet6;        /* engine_set_inet6() */
    bool ending;              /* hung up, but a thread was copying, or about to receive */
    utcp_time hung_up_at;
    atomic_uint readers; /* threads that wait to receive */
    uint8_t copying;     /* threads that copy from or to conn's buffers without the lock */
    bool has_byte, has_urgent, has_gap, left_some;
    atomic_bool byte_on_way;
    uint8_t more_bytes;
    uint16_t unread;
    uint8_t shut; /* enum utcp_shutdown */

    /* bridge.c: bridged, for ever. ended: the program writes no more; hung: nor reads, for the last copy of its
     * end is closed; left_unread: without having read everything. */
    atomic_bool bridged;
    bool ended, hung, left_unread;

    /* The engine it belongs to, and what its desk knows it by (desk.c, foreign.c). home is NULL for a
     * socket of this process, else the socket there. */
    uint64_t token, key;
    struct engine_socket *home;
    bool home_listens;

    struct early_options *early; /* set before there was a conn, NULL = none */
    struct engine_extra *extra;  /* NULL = as at the start */
};

/* Bit i of set: values[i] was. */
struct early_options {
    uint32_t set;
    uint64_t values[ENGINE_OPTIONS];
};

#define SOCKET_DEAD (UINT64_C(1) << 31)
#define SOCKET_REFS (SOCKET_DEAD - 1)

/* A connection that goes through a listener's pair, with a reference to its socket, and the program's end. */
struct offered {
    struct engine_socket *listener, *socket;
    int fd;
    struct engine_endpoint remote;
};

/* Looks for the next packet before a thread goes to sleep. Guesses only. */
struct looks {
    atomic_uint in_vain; /* in a row ... */
    atomic_uint skipped; /* ... and how many are left out */
};

struct engine {
    struct config config;         /* before the thread starts, then only read */
    uint64_t token;               /* random: tells this process's connections from others' */
    _Atomic uint64_t pair_device; /* st_dev of every socket */

    struct utcp_stack *_Atomic stack; /* NULL before the device is open */
    struct engine_socket *sockets;
    struct engine_socket *free_sockets;
    struct engine_socket *dirty;
    bool asleep;        /* the thread waits, or is about to, and must be woken for work */
    atomic_bool looks;  /* ... or does not wait yet, and needs but be told */
    utcp_time wakes_at; /* by itself */
    struct engine_socket *spares, *taken; /* spares.c; spares_count: of the former */
    int spares_count;
    bool copies_due;    /* of those taken, for one has been closed already */
    bool called;        /* the program's threads have been here since it fell asleep last */
    utcp_time retry_at; /* when to try again to hand out connections, and to close */
    atomic_bool gone;   /* after the farewell ... */
    pthread_t leaving;  /* ... which this thread said */
    unsigned writers;   /* threads that are writing much, and will send it by themselves ... */
    bool wrote_much;    /* ... and one that has */
    bool sending;       /* a thread is between core and device: frame, packet and cut are its own */
    atomic_bool direct; /* the program's threads may use the device */

    /* lead.c */
    _Atomic uint64_t leader;       /* the number of the lead there is, 0 = nobody leads */
    uint64_t lead_steps;           /* leads begun, and times that a leader has read something */
    _Atomic pthread_t leading;     /* who had the last, and ... */
    struct engine_socket *led;     /* for which socket */
    bool yields;                   /* the engine's thread does not watch the device */
    struct engine_socket *late;    /* to be shown with the next tick, NULL = none */
    struct utcp_counters counters; /* as of the farewell */

    pthread_t thread;
    atomic_int thread_alive; /* its id; 0 once it is dead */
    int keeper;              /* its process id, 0 = none stands by */
    bool finished;           /* at the farewell: the keeper has nothing to do */
    bool alone;              /* the keeper is: no lock is needed */
    atomic_int parked;       /* the thread waits for the outcome of an exec() */
    atomic_bool exec_holds;  /* the lock is held by ... */
    pthread_t executing;     /* ... this thread, which is executing a program, signals open */
    int epoll;
    int control;
    int desk; /* where other processes ask, -1 = nowhere */
    atomic_int thread_id;
    int spares_target;      /* how many sockets to have in advance */
    unsigned spares_missed; /* how often there was none */
    int link;               /* tells of changes of the interface, -1 = nobody does */
    bool readable;          /* the device has more */
    bool doubts;            /* ... but it was a leader's to read */
    struct engine_socket *announced[ANNOUNCED_MOST]; /* whose program's ends get a byte */
    unsigned announced_count;
    int ends[ENDS_MOST]; /* to be closed */
    unsigned ends_count;
    struct offered offered[OFFERED_MOST]; /* connections that go through listeners' pairs */
    unsigned offered_count;
    bool expects; /* it has shown a thread that waits for events one that it will answer */
    struct looks looks_here, looks_led; /* of this thread and of leaders */
    size_t batch_bytes;                 /* read in one go by a leader; a guess only */
    utcp_time tick_at;                  /* when to look at the leader again */
    uint64_t steps_seen;
    bool stalled;       /* the device takes no more: the frame waits */
    bool frame_ready;   /* frame is to be written */
    bool packet_active; /* packet is being written or cut */
    size_t packet_cut;  /* how far */
    _Atomic utcp_time last_input;
    struct device device;
    struct pcapng capture;
    struct impair *impair_in, *impair_out; /* NULL = a perfect link */
    uint32_t impair_mtu;                   /* bytes that their packets may have */
    struct utcp_packet packet;
    struct device_frame frame;
    struct device_input *input;
    uint8_t *train; /* several packets, NULL where the device has offload */
    uint8_t *cut;
    char why[WHY_BYTES]; /* the device cannot be opened: read by who asked, once answered */
};

extern struct engine engine;

/* Counts up in each forked child. */
extern _Atomic uint32_t engine_generation;

/* ---- engine.c: lock, time, thread ---- */

utcp_time engine_now(void);

/* Blocks all signals and takes the lock; -EPIPE (and nothing taken) after the farewell, or when the
 * socket is another process's. */
int engine_enter(const struct engine_socket *socket, uint64_t *signals);
void engine_leave(uint64_t signals);

/* After the farewell: a call of any thread but the one that ends the process is cut short by that end, as in the
 * kernel, and not by an error. Signals as the program has them. */
void engine_end_with_process(void);

/* The same with signals blocked already. engine_unlock_waking() wakes the thread if there is work
 * for it; the plain one is for the thread itself, and for who has changed nothing. */
void engine_lock(void);
void engine_unlock(void);
void engine_unlock_waking(void);

/* For the keeper: takes the lock if it is free; then, when everybody else is dead, does without. */
bool engine_try_lock(void);
void engine_go_on_alone(void);

/* Moves the core's events to the list of sockets to mirror. Under the lock. */
void engine_collect(void);

/* The same, on behalf of a thread that leads: that one socket is ready for something (enum utcp_ready) need not be
 * shown, for the thread is about to take it. */
void engine_collect_but(const struct engine_socket *led, unsigned taken);
void engine_unlock_waking_but(const struct engine_socket *led, unsigned taken);

/* The thread's body; argument is the engine's end of the control channel. */
void *engine_thread(void *argument);

/* Opens device and stack. On the engine's thread. */
int engine_open_stack(void);

/* Registers a descriptor; tag comes back with its events. On the engine's thread. */
int engine_watch(int fd, uint32_t events, void *tag);

/* One turn of the loop, and the wait for the next, until the time given at most. On the engine's
 * thread. */
void engine_turn(void);
void engine_wait(utcp_time until);

/* Something is to be done before the thread may wait. Under the lock, on the engine's thread. */
bool engine_has_work(void);

/* Handles what has happened to descriptors up to now, but for requests. On the engine's thread. */
void engine_catch_up(void);

/* ---- control.c: requests of the program's threads to the engine's ---- */

enum control_request {
    CONTROL_WAKE,
    CONTROL_SETTLE,
    CONTROL_SOCKET,
    CONTROL_DEVICE,
    CONTROL_DEVICE_HERE,
    CONTROL_BRIDGE,
    CONTROL_PARK,
    CONTROL_FAREWELL
};

struct control_reply {
    int32_t result; /* 0 or a negative errno */
    struct engine_socket *socket;
};

/* Starts the thread if none runs. Signals blocked. */
int control_start(void);

/* Asks and waits for the answer. *fd gets the descriptor that came with it, close-on-exec; may be
 * NULL. Returns the reply's result or why there is none. Signals blocked. */
int control_call(enum control_request request, struct control_reply *reply, int *fd);

/* Lets the thread bridge the socket that fd is. 0 or a negative errno. */
int control_bridge(int fd);

/* True while this process can ask. */
bool control_reaches_engine(void);

/* Wakes the thread. */
void control_wake(void);

/* Lets the thread open the device. 0 or a negative errno. Signals blocked. */
int control_open_device(void);

/* Once the device is open: takes a duplicate of it for the program's threads, unless there was one. By a thread that
 * is about to make a descriptor anyway. Signals blocked. */
void control_take_device(void);

/* That duplicate, -1 = there is none, or the number is another file's by now. */
int control_device(void);

/* True when an engine's thread has been started in this process. */
bool control_running(void);

/* Serves all requests that wait. On the engine's thread. */
void control_serve(void);

/* Sends a reply, with a descriptor if fd >= 0. On the engine's thread. */
void control_answer(const struct control_reply *reply, int fd);

/* fork(): before it, after it in the parent, after it in the child. */
void control_fork_prepare(void);
void control_fork_parent(void);
void control_fork_child(void);

/* ---- spares.c: sockets made in advance ---- */

/* The engine's thread, in the program's table: a pidfd. */
extern struct guarded engine_spares;

/* Takes one: its descriptor, close-on-exec; -EAGAIN when there is none. -EMFILE. Signals blocked. */
int spares_take(struct engine_socket **socket);

/* Called when there was none and the thread will be asked for a socket. Signals blocked. */
void spares_missed(void);

void spares_fork_child(void);

/* One that waits; NULL = there is none. Its copy is the program's end. Under the lock. */
struct engine_socket *spares_pop(void);

/* On the engine's thread: hears that there were not enough; knows whether there is something to do (both under the lock);
 * closes the copies of those that were taken; makes some (without). */
void spares_short(void);
bool spares_due(void);
void spares_close_copies(void);
void spares_refill(void);

/* ---- mirror.c: the pair of each socket. Under the lock. ---- */

/* Makes the pair; *program_end is to be handed over and closed. On the engine's thread. */
int mirror_open(struct engine_socket *socket, int *program_end);

/* Lets go of the engine's end and drops the reference that went with it. On the engine's thread. */
void mirror_close(struct engine_socket *socket);

/* Closes the ends that were let go of. On the engine's thread, without the lock. */
void mirror_close_ends(void);

/* True when `ready` is not what the program's end shows. */
bool mirror_differs(const struct engine_socket *socket, unsigned ready);

/* Puts the socket on the list of those to mirror if its program's end does not show that there is something to
 * receive, or room to send. */
void mirror_review(struct engine_socket *socket);

/* Makes the program's end show what the connection is ready for. On the engine's thread. */
void mirror_sync(struct engine_socket *socket);

/* Sends what that has announced. On the engine's thread, without the lock. */
void mirror_send_announced(void);

/* Puts filler into the program's end: not writable. -EBADF when fd is not that end. */
int mirror_fill(struct engine_socket *socket, int fd);

/* Takes the readiness bytes out, whatever is left to receive. */
void mirror_take_bytes(struct engine_socket *socket, int fd);

/* The same for the only byte there is, of a socket of which everything is about to be received; but the byte itself is
 * taken by mirror_take_promised(), without the lock. False when it is not as simple as that. */
bool mirror_promise_byte(struct engine_socket *socket);
void mirror_take_promised(const struct engine_socket *socket, int fd);

/* Takes the readiness byte out if nothing is left to receive. -EBADF likewise. */
int mirror_take(struct engine_socket *socket, int fd);

/* The connection's error has been told: the program's end is not to show it again. */
void mirror_take_error(const struct engine_socket *socket, int fd);

/* Notes that fd is the socket's program end. */
void mirror_recognise(struct engine_socket *socket, int fd);

/* The inode of a socket's program end; 0 = fd can be none. No lock needed. */
uint64_t mirror_inode(int fd);

/* True when fd is the socket's program end. No lock needed. */
bool mirror_is(const struct engine_socket *socket, int fd);

/* ---- socket.c: sockets' memory and connections. Under the lock. ---- */

/* A socket with one reference, NULL = no memory. */
struct engine_socket *socket_new(void);

/* The same with its pair, of which *program_end is to be handed over and closed. On the engine's thread. 0 or a
 * negative errno. */
int socket_make(struct engine_socket **socket, int *program_end);
void socket_release(struct engine_socket *socket);

/* Takes one that was made in advance, or has one made: its descriptor, close-on-exec, or a negative errno. On the
 * program's thread, without the lock, signals blocked. */
int socket_open(struct engine_socket **socket);

/* Gives an accepted socket what its listener has. */
void socket_inherit_extra(struct engine_socket *socket, const struct engine_socket *listener);

/* Puts it on the list of sockets to mirror. */
void socket_mark(struct engine_socket *socket);

/* Makes the socket's connection, with the options set so far. */
int socket_ensure_conn(struct engine_socket *socket);

/* The last copy of the program's end was closed: says FIN, or RST. Puts it off, and marks the
 * socket later, while a thread is copying. On the engine's thread. */
void socket_hang_up(struct engine_socket *socket);

/* Gives a new descriptor (close-on-exec, blocking) the flags of engine_socket_open(). */
void socket_set_flags(int fd, unsigned flags);

/* ---- bridge.c: sockets whose bytes go through their pairs. On the engine's thread, under the lock but for
 * the first. ---- */

/* Makes the socket a bridged one; fd is the program's end of it. -EBADF when it is not. */
int bridge_begin(struct engine_socket *socket, int fd);

/* The same for one that is about to be handed out by a listener that is bridged. */
void bridge_accepted(struct engine_socket *socket, int fd);

/* Carries what there is, both ways, as mirror_sync() does for others. */
void bridge_sync(struct engine_socket *socket);

/* An event of the engine's end. */
void bridge_event(struct engine_socket *socket, uint32_t events);

/* ---- desk.c: what other processes, and this one, ask about sockets. On the engine's thread. ---- */

enum desk_operation {
    DESK_BRIDGE,
    DESK_STATUS,
    DESK_SET_OPTION,
    DESK_GET_OPTION,
    DESK_READ_EXTRA,
    DESK_WRITE_EXTRA,
    DESK_TAKE_ERROR,
    DESK_CLOSE_RESETS,
    DESK_BIND,
    DESK_LISTEN,
    DESK_CONNECT,
    DESK_SHUTDOWN,
};

/* socket and key are what DESK_BRIDGE answered; that itself goes by the descriptor. */
struct desk_request {
    uint32_t operation;
    int32_t number; /* option, index, backlog, how */
    uint64_t value;
    struct engine_endpoint endpoint;
    struct engine_socket *socket;
    uint64_t key;
};

struct desk_reply {
    int32_t result;
    uint64_t value;
    struct engine_socket *socket;
    uint64_t key;
    bool inet6;
    struct engine_status status;
    struct engine_extra extra;
};

/* The name under which the desk of an engine is found; returns its size. */
struct sockaddr_un;
size_t desk_name(uint64_t token, struct sockaddr_un *name);

/* Opens the desk. It can do without: then no other process can use this one's sockets. */
void desk_open(void);

/* Serves who waits. */
void desk_serve(void);

/* Bridges the socket that fd is. On the engine's thread; 0 or a negative errno. */
int desk_bridge(int fd);

/* Names the engine's end, so that a process that finds the other end among its descriptors knows whom to ask.
 */
void desk_name_end(const struct engine_socket *socket);

/* The engine that a descriptor's other end belongs to, by that name; 0 = it is no socket of ours. */
uint64_t desk_token(int fd);

/* ---- foreign.c: sockets of another process's engine ---- */

/* Asks the engine that has the socket; fd goes along, -1 = none. Fills in *reply and returns its result, or
 * why there is none. Any thread, no lock held. */
int foreign_ask(const struct engine_socket *socket, struct desk_request *request, int fd,
                struct desk_reply *reply);

/* A socket that stands for one that another engine has, and whose program's end is fd. NULL = no memory. */
struct engine_socket *foreign_socket(int fd, uint64_t token, struct engine_socket *home,
                                     uint64_t key, bool listens);

/* ---- accept.c ---- */

/* Takes waiting connections from the core, to be sent through the pair of a bridged listener. On the engine's thread. */
void socket_offer_connections(struct engine_socket *listener);

/* Sends them. On the engine's thread, without the lock. */
void socket_send_offered(void);

/* ---- traffic.c: packets between device and core ---- */

/* On the engine's thread, without the lock. traffic_receive() is true when there was something. */
int traffic_open(void);
bool traffic_receive(void);
void traffic_transmit(void);

/* Reads on a program's thread, through its descriptor of the device; returns how many packets. */
unsigned traffic_receive_here(int fd);

/* Watches the device for what the engine's thread waits for. On that thread. */
void traffic_watch(void);

void traffic_fork_child(void);

/* True when the core has something to send that no other thread is sending. Under the lock. */
bool traffic_may_send(void);

/* Sends it on a program's thread. The lock is dropped meanwhile, and held again at the end. */
void traffic_transmit_here(void);

/* Resets a connection's peer past all queues, for a keeper that can trust nothing else. */
void traffic_reset(struct utcp_conn *conn);

/* When a packet leaves the impairment; UTCP_NEVER = none waits. */
utcp_time traffic_deadline(void);

/* True when packets wait to be written or to leave the impairment. */
bool traffic_waiting(void);

/* ---- lead.c: threads that drive the device while they wait ---- */

/* Settles whether the device is the engine's thread's to read now. On that thread, without the lock. */
void lead_settle(void);

/* Looks a little for packets before that thread goes to sleep; true = there is something to do. On it, without the lock. */
bool lead_look(void);

/* Says whether anything was read then: if so where nothing should have been, nobody leads. */
void lead_doubt(bool found);

/* True when a thread leads that waits for this socket. Under the lock. */
bool lead_is_of(const struct engine_socket *socket);

/* After a thread has received or sent: what it left has to show. Under the lock. */
void lead_review(struct engine_socket *socket);

/* The socket's memory is about to be another's. Under the lock. */
void lead_forget(const struct engine_socket *socket);

/* ---- link.c: the interface's MTU. On the engine's thread, without the lock. ---- */

/* Begins to listen for changes; they come to link_changed(). */
void link_open(void);
void link_changed(void);

/* ---- keeper.c ---- */

/* Lets a keeper stand by, unless one does. On the engine's thread. */
void keeper_start(void);

/* Answers, and waits until engine_exec_failed(). On the engine's thread. */
void keeper_park(void);

/* Serves the farewell: the thread ends, and the keeper takes over if there is work. */
_Noreturn void keeper_farewell(void);

#endif
