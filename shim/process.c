/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * The constructor runs before the dynamic linker hands over to libc's start-up code, which is what
 * registers the destructors of libraries. The handler registered here therefore runs after all of
 * them: whatever they still send is part of what engine_farewell() brings to its end.
 *
 * Not every fork runs the handlers that pthread_atfork() registers. Who was forked without them finds a page
 * wiped, as the kernel was told (MADV_WIPEONFORK), and makes up for it; a child of vfork() shares the page
 * with its parent, and finds it as it was.
 */
#include "process.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#include "descriptors.h"
#include "engine.h"
#include "libc.h"

/* The id of the process whose memory this is; 0 = the constructor has not run. */
static pid_t owner;

/* Not 0, but after a fork that nobody told us of. */
static atomic_int never_wiped = 1;
static atomic_int *wiped = &never_wiped;

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
    atomic_store(wiped, 1);
    engine_fork_child();
}

void process_notice_fork(void)
{
    if (atomic_load_explicit(wiped, memory_order_relaxed) != 0)
        return;
    owner = getpid();
    atomic_store(wiped, 1);
    engine_fork_unseen();
}

static void watch_forks(void)
{
    enum { PAGE = 4096 };
    void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED || madvise(page, PAGE, MADV_WIPEONFORK) < 0)
        return;
    wiped = page;
    atomic_store(wiped, 1);
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
    watch_forks();
    on_exit(farewell_at_exit, NULL);
    at_quick_exit(farewell);
    owner = getpid();
}

pid_t _Fork(void)
{
    engine_fork_prepare();
    pid_t child = libc._Fork();
    if (child == 0)
        after_fork_in_child();
    else
        engine_fork_parent();
    return child;
}

/* libc's own leaves by an _exit() that nobody sees. */
int daemon(int keeps_directory, int keeps_streams)
{
    pid_t child = fork();
    if (child < 0)
        return -1;
    if (child > 0)
        _exit(0);
    if (setsid() < 0 || (!keeps_directory && chdir("/") < 0))
        return -1;
    if (keeps_streams)
        return 0;
    int null = open("/dev/null", O_RDWR);
    if (null < 0)
        return -1;
    for (int fd = 0; fd <= 2; fd++)
        dup2(null, fd);
    if (null > 2)
        close(null);
    return 0;
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
