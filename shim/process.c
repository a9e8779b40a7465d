/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * The constructor runs before the dynamic linker hands over to libc's start-up code, which is what
 * registers the destructors of libraries. The handler registered here therefore runs after all of
 * them: whatever they still send is part of what engine_farewell() brings to its end.
 */
#include "process.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#include "descriptors.h"
#include "engine.h"
#include "libc.h"

/* The id of the process whose memory this is; 0 = the constructor has not run. */
static pid_t owner;

bool process_is_ours(void)
{
    return owner != 0 && getpid() == owner;
}

long result(long value)
{
    if (value >= 0)
        return value;
    errno = (int)-value;
    return -1;
}

static void after_fork_in_child(void)
{
    owner = getpid();
    descriptors_inherit();
    engine_fork_child();
}

static void farewell(void)
{
    if (process_is_ours())
        engine_farewell();
}

static void farewell_at_exit(int status, void *unused)
{
    (void)status;
    (void)unused;
    farewell();
}

__attribute__((constructor)) static void begin(void)
{
    libc_resolve();
    engine_init(environ);
    libc_report();
    pthread_atfork(engine_fork_prepare, engine_fork_parent, after_fork_in_child);
    on_exit(farewell_at_exit, NULL);
    owner = getpid();
}

void _exit(int status)
{
    farewell();
    libc._exit(status);
    __builtin_unreachable();
}

void _Exit(int status)
{
    _exit(status);
}
