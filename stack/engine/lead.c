/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * What comes from the device wakes a thread that reads it. If that is the engine's, it has to wake another in
 * turn, which waits for its socket: the dearest part of a round trip. So a thread that waits in one of our calls leads:
 * it polls its own descriptor and the device, hands to the core what has come, sends what the core answers, and
 * goes on until its own socket has what it waits for. No readiness byte is written for that. What it learns
 * of other sockets it leaves to the engine's thread, which has the pairs. One thread leads at a time; others that wait do
 * so in the kernel.
 *
 * The engine's thread does not watch the device meanwhile, or both would wake for each packet. But a thread
 * that leads comes and goes with each call, and may leave by longjmp() out of a signal handler; so nothing
 * depends on a word from it. When there is something to read although somebody leads, the engine's
 * thread yields: it looks away for a tick. As long as somebody begins to lead, or takes packets, from one tick to the
 * next, it goes on to look away. If not, it reads what there is and watches the device again; what it finds then was
 * left lying, by somebody who leads no more.
 *
 * A thread that waits for events, in epoll_wait() say, cannot lead. For it the engine's thread does not go to sleep at
 * once when it has shown one: the thread will answer, and the peer will answer that. Meanwhile the program's threads
 * send by themselves, as when it sleeps, and when there is other work they but tell (engine.looks).
 *
 * The bytes that a leader's own read leaves behind have to show, too, but it will most likely be back for them at
 * once: while the engine's thread yields, that is looked at with the next tick.
 */
#include "state.h"

#include "sys.h"

#include <errno.h>

#define TICK (500 * UTCP_USEC)
#define LONGER (20 * UTCP_USEC)
#define LONGEST UTCP_MSEC
#define MOMENT (2 * UTCP_USEC)

enum { SKIP_BITS = 6 };

struct lead {
    struct engine_socket *socket;
    unsigned wanted; /* enum utcp_ready: one of these */
    unsigned taken;  /* of these what need not show, for the thread takes it away at once */
    uint64_t number; /* of the lead: engine.leader as long as it lasts */
};

/* ---- looking a little longer ---- */

/* The next packet is often there before a thread could have gone to sleep, be it of a stream or the answer of a peer
 * on this machine, and a sleep is dear to wake from; so it is looked for a little longer. Each time that this is in
 * vain twice as many waits go without it, up to 63: who waits for long hardly looks. */
static bool worth_a_look(struct looks *looks)
{
    if (looks->skipped == 0)
        return true;
    looks->skipped--;
    return false;
}

static void learn(struct looks *looks, bool found)
{
    looks->in_vain = found ? 0 : looks->in_vain + 1;
    looks->skipped = (1u << (looks->in_vain < SKIP_BITS ? looks->in_vain : SKIP_BITS)) - 1;
}

/* ---- the thread that leads ---- */

static unsigned wanted_for(enum engine_wait what)
{
    static const unsigned wanted[] = {[ENGINE_TO_RECEIVE] = UTCP_IN,
                                      [ENGINE_TO_ACCEPT] = UTCP_IN,
                                      [ENGINE_TO_SEND] = UTCP_OUT | UTCP_ERR | UTCP_HUP};

    return wanted[what];
}

static bool has_wanted(const struct lead *lead)
{
    const struct engine_socket *socket = lead->socket;

    if (!socket->conn || socket->bridged)
        return true;
    return utcp_ready(socket->conn) & lead->wanted;
}

/* A thread that left its last lead by longjmp() may lead again. */
static bool begin(struct lead *lead)
{
    bool leads;

    engine_lock();
    leads = engine.direct && !engine.gone && !engine.alone && lead->socket->conn &&
            (!engine.leader || pthread_equal(engine.leading, pthread_self()));
    if (leads) {
        lead->number = ++engine.lead_steps;
        engine.leader = lead->number;
        engine.leading = pthread_self();
        engine.led = lead->socket;
    }
    engine_unlock();
    return leads;
}

static unsigned look_longer(int device)
{
    utcp_time until = engine_now() + LONGER;
    unsigned taken;

    if (!worth_a_look(&engine.looks_led))
        return 0;
    do
        taken = traffic_receive_here(device);
    while (!taken && engine_now() < until);
    learn(&engine.looks_led, taken > 0);
    return taken;
}

static unsigned take(int device)
{
    unsigned taken = traffic_receive_here(device);

    return taken ? taken : look_longer(device);
}

/* Takes what the device has. True when that was what is waited for, or the lead is lost. */
static bool turn(const struct lead *lead, int device)
{
    bool over;
    unsigned taken = take(device);

    engine_lock();
    engine.lead_steps += taken > 0;
    over = engine.gone || engine.leader != lead->number;
    if (!over) {
        engine_collect_but(lead->socket, lead->taken);
        over = has_wanted(lead);
    }
    engine_unlock_waking_but(lead->socket, over ? lead->taken : 0);
    return over;
}

/* A signal that waited for the end of the lead may take the thread elsewhere, by longjmp(): then what was hidden for
 * it has to show. */
static void end(const struct lead *lead, int result)
{
    engine_lock();
    if (engine.leader == lead->number)
        engine.leader = 0;
    if (!result)
        lead_review(lead->socket);
    engine_unlock();
}

/* What is left of the time, or NULL for ever; false when it is over. */
static bool time_left(int64_t end_ns, struct timespec *left, const struct timespec **timeout)
{
    int64_t ns = end_ns == INT64_MAX ? 0 : end_ns - (int64_t)engine_now();

    *left = (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    *timeout = end_ns == INT64_MAX ? NULL : left;
    return ns >= 0;
}

/* Polls the device and the socket. 1 = the device has something; -EBUSY = only the socket has. Signals are let in there
 * and nowhere else, so that one that comes at any time ends it. */
static int wait(const struct pollfd watched[2], int64_t end_ns, uint64_t signals,
                engine_ppoll *poll_call)
{
    struct pollfd fds[2] = {watched[0], watched[1]};
    const struct timespec *timeout;
    struct timespec left;
    sigset_t mask;
    int count;

    sigemptyset(&mask);
    memcpy(&mask, &signals, sizeof signals);
    if (!time_left(end_ns, &left, &timeout))
        return -EAGAIN;
    count = poll_call(fds, 2, timeout, &mask);
    if (count < 0)
        return -errno;
    if (count == 0)
        return -EAGAIN;
    return fds[0].revents ? 1 : -EBUSY;
}

static int lead_on(const struct lead *lead, struct pollfd fds[2], int64_t end_ns, uint64_t signals,
                   engine_ppoll *poll_call)
{
    int result = 1;

    while (!(result > 0 && turn(lead, fds[0].fd))) {
        result = wait(fds, end_ns, signals, poll_call);
        if (result > 0)
            continue;
        /* Another thread may have closed it, which does not end the wait. Its number is nobody's then, or a
         * stranger's. */
        if (result != -EBUSY || mirror_is(lead->socket, fds[1].fd))
            return result;
        fds[1].fd = -1;
    }
    return 0;
}

int engine_lead(struct engine_socket *socket, int fd, enum engine_wait what, int64_t end_ns,
                engine_ppoll *poll_call)
{
    struct lead lead = {.socket = socket,
                        .wanted = wanted_for(what),
                        .taken = wanted_for(what) & (UTCP_IN | UTCP_OUT)};
    struct pollfd fds[2] = {
        {.fd = control_device(), .events = POLLIN},
        {.fd = fd, .events = what == ENGINE_TO_SEND ? POLLOUT : POLLIN},
    };
    uint64_t signals;
    int result = -EBUSY;

    if (fds[0].fd < 0)
        return -EBUSY;
    signals = sys_block_signals(UINT64_MAX);
    if (begin(&lead)) {
        result = lead_on(&lead, fds, end_ns, signals, poll_call);
        end(&lead, result);
    }
    sys_block_signals(signals);
    return result;
}

void engine_leads_no_more(void)
{
    uint64_t signals;

    if (!atomic_load(&engine.leader) || !pthread_equal(engine.leading, pthread_self()))
        return;
    signals = sys_block_signals(UINT64_MAX);
    engine_lock();
    if (pthread_equal(engine.leading, pthread_self()))
        engine.leader = 0;
    engine_unlock();
    sys_block_signals(signals);
}

bool lead_is_of(const struct engine_socket *socket)
{
    return engine.leader && engine.led == socket;
}

/* ---- the engine's thread ---- */

/* False = there is work already. */
static bool begin_to_look(void)
{
    bool may;

    engine_lock();
    engine_collect();
    may = !engine_has_work();
    engine.looks = may;
    engine.wakes_at = 0;
    engine_unlock();
    return may;
}

/* Threads that are to run on this processor, such as the one that is to answer, do so first, and that does not count;
 * but it may not go on for ever, for there are timers. When a packet is there as soon as another thread has run, this
 * one keeps to a processor that is in use: it had better sleep, and be woken on an idle one. */
static bool look(void)
{
    utcp_time began = engine_now(), last = began, now = began, looked = 0;
    bool found = false, crowded;

    while (atomic_load(&engine.looks) && looked < LONGER && now < began + LONGEST) {
        engine.readable = true;
        found = traffic_receive();
        if (found)
            break;
        sys_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
        now = engine_now();
        looked += now - last < MOMENT ? now - last : MOMENT;
        last = now;
    }
    crowded = looked == MOMENT;
    learn(&engine.looks_here, found && !crowded);
    return found;
}

bool lead_look(void)
{
    bool found;

    if (!engine.direct || engine.alone || engine.yields || engine.leader ||
        !worth_a_look(&engine.looks_here) || !begin_to_look())
        return false;
    found = look();
    return !atomic_exchange(&engine.looks, false) || found;
}

static void look_away(utcp_time now)
{
    engine.yields = true;
    engine.readable = false;
    engine.tick_at = now + TICK;
    traffic_watch();
}

static void look_again(void)
{
    engine.yields = false;
    engine.tick_at = UTCP_NEVER;
    engine.doubts = engine.readable = true;
    traffic_watch();
}

static void show_late(void)
{
    if (engine.late)
        mirror_review(engine.late);
    engine.late = NULL;
}

void lead_forget(const struct engine_socket *socket)
{
    if (engine.late == socket)
        engine.late = NULL;
}

/* Whether anybody has led since this was asked last. */
static bool led_meanwhile(void)
{
    bool led = engine.lead_steps != engine.steps_seen;

    engine.steps_seen = engine.lead_steps;
    return led;
}

static void tick(utcp_time now)
{
    show_late();
    if (led_meanwhile())
        engine.tick_at = now + TICK;
    else
        look_again();
}

void lead_settle(void)
{
    utcp_time now;

    if (!engine.readable && !engine.yields)
        return;
    now = engine_now();
    engine_lock();
    if (engine.yields && now >= engine.tick_at)
        tick(now);
    else if (!engine.yields && engine.readable && !engine.alone && engine.leader)
        look_away(now);
    engine_unlock();
}

void lead_doubt(bool found)
{
    if (!engine.doubts)
        return;
    engine.doubts = false;
    engine_lock();
    if (found)
        engine.leader = 0;
    engine_unlock();
}

void lead_review(struct engine_socket *socket)
{
    if (!engine.yields) {
        mirror_review(socket);
        return;
    }
    if (engine.late && engine.late != socket)
        mirror_review(engine.late);
    engine.late = socket;
}
