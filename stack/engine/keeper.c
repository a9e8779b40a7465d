/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * A kernel's TCP goes on after exit(), and so must this one: data that was written has to be
 * brought to the peer, lost segments sent again, FIN said and acknowledged. When the program is
 * about to end and there is such work, the engine's thread forks itself, with the device and
 * everything else in its descriptor table, into a keeper that runs the same loop. The program then
 * ends, the kernel closes its ends of the pairs, and the keeper sees them hang up as always, and
 * says FIN.
 *
 * The fork is a bare clone without an exit signal, and twice, so that neither wait() nor SIGCHLD
 * tells the program. Only the engine's thread exists in the copy, and it holds the lock at that
 * moment, so nobody else is inside the stack.
 *
 * The keeper goes when nothing is unfinished any more: at the latest when the core has given up on
 * every peer. It lingers a moment for the peer's FIN if that has not come, but does not sit out
 * TIME-WAIT, for it holds the device; and it waits only so long for other processes that still hold
 * descriptors.
 */
#include "state.h"

#include "log.h"
#include "sys.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINGER (100 * UTCP_MSEC)      /* for the peer's FIN, after the last packet from it */
#define PATIENCE (15 * 60 * UTCP_SEC) /* without a packet from anybody */

/* What is said at the end when UTCP_LOG asks for a summary. */
static void summarise(void)
{
    const struct utcp_counters *c;

    if (!engine.config.summary || !engine.stack)
        return;
    c = utcp_counters(engine.stack);
#define COUNT(name) ((unsigned long long)c->name)
    engine_log(
        ENGINE_ERROR,
        "summary: %llu segments out, %llu in, %llu retransmitted (%llu time-outs, %llu fast), "
        "%llu duplicate ACKs, %llu in vain",
        COUNT(tcp_out), COUNT(tcp_in), COUNT(tcp_retransmits), COUNT(tcp_timeouts),
        COUNT(tcp_fast_retransmits), COUNT(tcp_dup_acks), COUNT(tcp_dsacks));
    engine_log(
        ENGINE_ERROR,
        "summary: %llu out of order, %llu duplicates, %llu resets out, %llu for no connection, "
        "%llu bad segments, %llu bad packets",
        COUNT(tcp_out_of_order), COUNT(tcp_duplicates), COUNT(tcp_rst_out), COUNT(tcp_no_conn),
        COUNT(tcp_bad), COUNT(ip_bad));
#undef COUNT
}

static uint32_t unfinished(void)
{
    struct utcp_population population;

    utcp_population(engine.stack, &population);
    return population.unfinished;
}

/* A connection on which FIN has not been said, and will have to be. */
static bool has_open_connection(void)
{
    for (const struct engine_socket *socket = engine.sockets; socket; socket = socket->next) {
        struct utcp_info info;

        if (!socket->conn || socket->phase != SOCKET_ACTIVE)
            continue;
        utcp_info(socket->conn, engine_now(), &info);
        if (info.state == TCP_ESTABLISHED || info.state == TCP_CLOSE_WAIT)
            return true;
    }
    return false;
}

static bool has_open_end(void)
{
    for (const struct engine_socket *socket = engine.sockets; socket; socket = socket->next) {
        if (socket->end >= 0)
            return true;
    }
    return false;
}

/* ---- the keeper's life ---- */

/* Until when the keeper stays although nothing happens; 0 = it may go now. */
static utcp_time stays_until(void)
{
    struct utcp_population population;

    utcp_population(engine.stack, &population);
    if (population.unfinished || traffic_waiting() || utcp_output_pending(engine.stack) ||
        has_open_end())
        return engine.last_input + PATIENCE;
    return population.half_closed ? engine.last_input + LINGER : 0;
}

static _Noreturn void keep(void)
{
    utcp_time until;

    engine.last_input = engine_now();
    do {
        engine_turn();
        engine_wait(stays_until());
        engine_lock();
        engine_collect();
        until = stays_until();
        engine_unlock();
    } while (engine_now() < until || engine.dirty);
    if (engine.capture.fd >= 0)
        pcapng_flush(&engine.capture);
    sys_exit(0);
}

/* The program's handlers must not run here: what asks the keeper to go gets the kernel's own
 * answer. */
static void obey_sigterm(void)
{
    static const uint64_t default_action[4] = {0}; /* the kernel's struct sigaction, SIG_DFL */

    sys_call(SYS_rt_sigaction, SIGTERM, (long)default_action, 0, sizeof(uint64_t), 0, 0);
    sys_block_signals(~(UINT64_C(1) << (SIGTERM - 1)));
}

static _Noreturn void become_keeper(void)
{
    log_set_level(-1); /* another thread may have been inside the log when it was copied */
    sys_close(engine.control);
    engine.control = -1;
    sys_call(SYS_prctl, PR_SET_NAME, (long)"utcp-keeper", 0, 0, 0, 0);
    sys_call(SYS_setsid, 0, 0, 0, 0, 0, 0);
    sys_call(SYS_chdir, (long)"/", 0, 0, 0, 0, 0);
    obey_sigterm();
    engine_unlock();
    keep();
}

/* Forks twice; returns in the program's process only, 0 or a negative errno. */
static int leave_keeper(void)
{
    int child = sys_fork_quietly();

    if (child == 0) {
        child = sys_fork_quietly();
        if (child == 0)
            become_keeper();
        sys_exit(child < 0);
    }
    if (child > 0)
        sys_wait(child, __WCLONE);
    return child < 0 ? child : 0;
}

/* ---- the farewell ---- */

/* Closes all that the thread has but the channel, so that the device is the keeper's alone. */
static void close_table(void)
{
    sys_close_range((unsigned)engine.control + 1, UINT32_MAX, 0);
    if (engine.control)
        sys_close_range(0, (unsigned)engine.control - 1, 0);
}

void keeper_farewell(void)
{
    const struct control_reply reply = {0};

    if (engine.stack)
        engine_turn(); /* what was just written, or closed, may go out at once */
    if (engine.capture.fd >= 0)
        pcapng_flush(&engine.capture);
    engine_lock();
    if (engine.stack && (unfinished() || traffic_waiting() || utcp_output_pending(engine.stack) ||
                         has_open_connection())) {
        int error = leave_keeper();

        if (error)
            engine_log(ENGINE_ERROR, "no keeper to finish the connections: %s",
                       strerrordesc_np(-error));
    }
    engine.gone = true;
    engine_unlock();
    close_table();
    control_answer(&reply, -1);
    for (;;)
        sys_sleep(3600 * UTCP_SEC);
}

void engine_farewell(void)
{
    uint64_t signals;
    bool first = control_running() && !engine.gone;

    log_flush();
    if (!first)
        return;
    signals = sys_block_signals(UINT64_MAX);
    control_call(CONTROL_FAREWELL, NULL, NULL);
    log_flush();
    summarise();
    sys_block_signals(signals);
}
