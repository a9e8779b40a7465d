/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * Messages go to the program's stderr, one write for each, so that lines of several threads or
 * processes do not mix. The engine's thread has a descriptor table without 0, 1 and 2 (a pipe that
 * the program closed must reach its end): its lines wait in memory for the next thread of the
 * program that calls the engine. When there are more than fit, the later ones are lost, for the
 * first line about a trouble tells most.
 */
#include "log.h"

#include "sys.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES = 1024, QUEUE_BYTES = 8192 };

static int log_level = ENGINE_ERROR;
static atomic_bool adopted, abandoned;
static pthread_t adopted_thread;

static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER; /* taken with signals blocked */
static char queue[QUEUE_BYTES];
static atomic_size_t queue_len;

void log_set_level(int level)
{
    log_level = level;
}

void log_adopt_thread(void)
{
    adopted_thread = pthread_self();
    atomic_store(&adopted, true);
}

void log_reset(void)
{
    atomic_store(&adopted, false);
    atomic_store(&abandoned, false);
    atomic_store(&queue_len, 0);
    pthread_mutex_init(&queue_lock, NULL);
}

void log_abandon(void)
{
    atomic_store(&abandoned, true);
}

static void enqueue(const char *line, size_t len)
{
    size_t used;

    if (atomic_load(&abandoned))
        return; /* nor can the lock be taken: whoever held it may be dead */
    pthread_mutex_lock(&queue_lock);
    used = atomic_load(&queue_len);
    if (len <= sizeof queue - used) {
        memcpy(queue + used, line, len);
        atomic_store(&queue_len, used + len);
    }
    pthread_mutex_unlock(&queue_lock);
}

void log_flush(void)
{
    char lines[QUEUE_BYTES];
    uint64_t signals;
    size_t len;

    if (!atomic_load_explicit(&queue_len, memory_order_relaxed))
        return;
    signals = sys_block_signals(UINT64_MAX);
    pthread_mutex_lock(&queue_lock);
    len = atomic_exchange(&queue_len, 0);
    memcpy(lines, queue, len);
    pthread_mutex_unlock(&queue_lock);
    sys_block_signals(signals);
    sys_write(STDERR_FILENO, lines, len);
}

bool engine_logs(enum engine_level level)
{
    return (int)level <= log_level;
}

void engine_log(enum engine_level level, const char *format, ...)
{
    static const char prefix[] = "utcp: ";
    const size_t start = sizeof prefix - 1;
    char line[LINE_BYTES];
    va_list arguments;
    size_t len;
    int written;

    if ((int)level > log_level)
        return;
    memcpy(line, prefix, start);
    va_start(arguments, format);
    written = vsnprintf(line + start, sizeof line - start, format, arguments);
    va_end(arguments);
    if (written < 0)
        return;
    len = start + (size_t)written;
    if (len > sizeof line - 1)
        len = sizeof line - 1;
    line[len++] = '\n';
    if (atomic_load(&adopted) && pthread_equal(pthread_self(), adopted_thread))
        enqueue(line, len);
    else
        sys_write(STDERR_FILENO, line, len);
}
