/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * A socket's pair is made by the engine's thread, in whose table one end must lie: a program that opens one
 * connection after the other, or accepts them, would wait for that. So once a second socket is asked for, some
 * are made in advance. Both ends lie in that thread's table. Who takes one duplicates the program's end from there
 * with pidfd_getfd(), which chooses its number as socket() does; the thread closes its own copy in its next turn.
 * Until then it cannot see the last close of the program's: engine_closed().
 *
 * They could also lie in a channel, as SCM_RIGHTS. But while any socket is under way in one, each close of another makes
 * the kernel look for sockets that hold each other.
 *
 * A descriptor of a thread's that is not its process's takes Linux 6.9. On an older one the thread is asked each time.
 */
#include "state.h"

#include "sys.h"

#include <errno.h>

enum {
    LEAST = 4,
    MOST = 16,
    EACH_TURN = 4, /* made before packets have their turn */
};

struct guarded engine_spares = {.fd = -1};

static atomic_bool asked; /* for a descriptor of the engine's thread */

/* ---- the program's threads ---- */

struct engine_socket *spares_pop(void)
{
    struct engine_socket *socket = engine.spares;

    if (!socket)
        return NULL;
    engine.spares = socket->next_spare;
    engine.spares_count--;
    atomic_store(&socket->spare, false);
    return socket;
}

static void push(struct engine_socket *socket)
{
    atomic_store(&socket->spare, true);
    socket->next_spare = engine.spares;
    engine.spares = socket;
    engine.spares_count++;
}

/* With a reference: it may end, and be closed, before the thread has a turn. */
static void note_taken(struct engine_socket *socket)
{
    atomic_fetch_add(&socket->life, 1);
    socket->next_spare = engine.taken;
    engine.taken = socket;
}

static struct engine_socket *pop_locked(void)
{
    struct engine_socket *socket;

    engine_lock();
    socket = spares_pop();
    engine_unlock();
    return socket;
}

int spares_take(struct engine_socket **socket)
{
    int fd, thread = guarded_intact(&engine_spares);

    *socket = thread < 0 ? NULL : pop_locked();
    if (!*socket)
        return -EAGAIN;
    fd = sys_pidfd_getfd(thread, (*socket)->copy);
    engine_lock();
    if (fd >= 0)
        note_taken(*socket);
    else
        push(*socket);
    engine.called = true;
    engine_unlock();
    return fd < 0 && fd != -EMFILE ? -EAGAIN : fd;
}

void spares_missed(void)
{
    int fd;

    if (atomic_exchange(&asked, true))
        return;
    fd = sys_pidfd_open_thread(engine.thread_id);
    if (fd >= 0)
        guarded_keep(&engine_spares, fd);
}

void engine_closed(struct engine_socket *socket)
{
    uint64_t signals;

    if (socket->home || atomic_load(&socket->copy) < 0 || engine_enter(socket, &signals))
        return;
    engine.copies_due = true;
    engine_leave(signals);
}

void spares_fork_child(void)
{
    guarded_forget(&engine_spares);
    atomic_store(&asked, false);
}

/* ---- the engine's thread ---- */

void spares_short(void)
{
    if (engine.spares_missed++ > 0 && engine.spares_target < MOST)
        engine.spares_target = engine.spares_target ? 2 * engine.spares_target : LEAST;
}

bool spares_due(void)
{
    return 2 * engine.spares_count < engine.spares_target || engine.taken;
}

static int add(void)
{
    struct engine_socket *socket;
    int fd, error = socket_make(&socket, &fd);

    if (error)
        return error;
    atomic_store(&socket->copy, fd);
    engine_lock();
    push(socket);
    engine_unlock();
    return 0;
}

void spares_close_copies(void)
{
    struct engine_socket *socket;

    engine_lock();
    socket = engine.taken;
    engine.taken = NULL;
    engine.copies_due = false;
    engine_unlock();
    while (socket) {
        struct engine_socket *next = socket->next_spare;

        sys_close(atomic_exchange(&socket->copy, -1));
        engine_socket_drop(socket);
        socket = next;
    }
}

static int count_missing(void)
{
    int missing;

    engine_lock();
    missing = spares_due() ? engine.spares_target - engine.spares_count : 0;
    engine_unlock();
    return missing;
}

/* Descriptors may be short for a while, so it is tried again when spares are missed again. */
void spares_refill(void)
{
    int error = 0, missing = count_missing();

    for (int i = 0; !error && i < EACH_TURN && i < missing; i++)
        error = add();
    if (error) {
        engine.spares_target = 0;
        engine.spares_missed = 0;
    }
}
