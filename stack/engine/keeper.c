/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * A kernel's TCP goes on after exit(), and so must this one: data that was written has to be
 * brought to the peer, lost segments sent again, FIN said and acknowledged. It also goes on after
 * SIGKILL and after exec(), where no code of ours runs, and for processes that inherited descriptors
 * and outlive the one that made them.
 *
 * So a process stands by from the moment the device is open: the keeper, made by the engine's thread
 * with the same memory (CLONE_VM) and the same descriptor table, which is not the program's. It costs a
 * system call and a few pages, and sleeps until the engine's thread is dead: for then the program is
 * dead, or another one after exec(). Memory and table live on with the keeper, which runs the same loop
 * on them. The kernel closes the program's ends of the pairs: the keeper sees them hang up as always,
 * and says FIN.
 *
 * A farewell, and exec(), take care that no thread is inside the core then. A thread that was killed
 * may have been: then nothing but the addresses and sequence numbers of the connections is trusted, and their
 * peers get a reset.
 *
 * The keeper has an exit signal of none, so that neither wait() nor SIGCHLD tells the program, and goes
 * when nothing is unfinished any more: at the latest when the core has given up on every peer. It
 * lingers a moment for the peer's FIN if that has not come, or may have to be acknowledged again since the path has
 * lost segments: else a peer that we share the loss with would send it in vain for minutes. But it does not sit
 * out TIME-WAIT, for it holds the device. As long as another process holds a descriptor, the keeper stays.
 */
#include "state.h"

#include "log.h"
#include "sys.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PATIENCE (15 * 60 * UTCP_SEC) /* without a packet from anybody */

enum { STACK_BYTES = 128 * 1024 };

/* ThreadSanitizer keeps what it knows of a thread in memory of that thread's, which the keeper shares. */
#ifdef __SANITIZE_THREAD__
enum { UNDER_TSAN = 1 };
#else
enum { UNDER_TSAN = 0 };
#endif

/* What is said at the end when UTCP_LOG asks for a summary. */
static void summarise(void)
{
    const struct utcp_counters *c;

    if (!engine.config.summary || !engine.stack)
        return;
    c = &engine.counters;
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

static bool has_open_end(void)
{
    for (const struct engine_socket *socket = engine.sockets; socket; socket = socket->next) {
        if (socket->end >= 0 && !socket->spare)
            return true;
    }
    return false;
}

/* ---- the keeper's life ---- */

/* Until when the keeper stays although nothing happens; 0 = it may go now. */
static utcp_time stays_until(void)
{
    struct utcp_population population;

    if (has_open_end())
        return UTCP_NEVER;
    if (!engine.stack)
        return 0;
    utcp_population(engine.stack, &population);
    if (population.unfinished || traffic_waiting() || utcp_output_pending(engine.stack))
        return engine.last_input + PATIENCE;
    return population.linger ? engine.last_input + population.linger : 0;
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

/* Threads that are being killed run on for a moment. True when none of them was inside the core; then
 * none will be any more. */
static bool core_is_whole(void)
{
    enum { TRIES = 50 };

    for (int i = 0; i < TRIES && !engine.exec_holds; i++) {
        if (engine_try_lock())
            return true;
        sys_sleep(UTCP_MSEC);
    }
    return engine.exec_holds;
}

/* What a half-changed core allows: its connections are reset. */
static _Noreturn void reset_all(void)
{
    for (const struct engine_socket *socket = engine.sockets; socket; socket = socket->next) {
        if (socket->conn && socket->phase == SOCKET_ACTIVE)
            traffic_reset(socket->conn);
    }
    sys_exit(0);
}

/* The engine's thread is dead. */
static _Noreturn void take_over(void)
{
    bool whole = core_is_whole();

    if (engine.finished)
        sys_exit(0);
    sys_call(SYS_prctl, PR_SET_NAME, (long)"utcp-keeper", 0, 0, 0, 0);
    obey_sigterm();
    log_abandon();
    if (!whole)
        reset_all();
    engine_go_on_alone();
    keep();
}

/* It shares memory with a program that may give up its privileges, so it has none to lend. */
static void drop_privileges(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

    sys_call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0);
    sys_call(SYS_capset, (long)&header, (long)none, 0, 0, 0, 0);
}

/* Until it takes over it must not use what lives in thread-local storage, which is the engine's
 * thread's: that is why all is a system call here. */
/* libc's own name of clone(): the sanitizers stand in for the other, and take it for a fork. */
int __clone(int (*function)(void *), void *stack, int flags, void *argument, ...);

static int stand_by(void *unused)
{
    int thread;

    (void)unused;
    sys_block_signals(UINT64_MAX);
    sys_call(SYS_prctl, PR_SET_NAME, (long)"utcp-standby", 0, 0, 0, 0);
    sys_call(SYS_setsid, 0, 0, 0, 0, 0, 0);
    sys_call(SYS_chdir, (long)"/", 0, 0, 0, 0, 0);
    drop_privileges();
    while ((thread = atomic_load(&engine.thread_alive)))
        sys_call(SYS_futex, (long)&engine.thread_alive, FUTEX_WAIT, thread, 0, 0, 0);
    take_over();
}

void keeper_start(void)
{
    char *stack;
    int pid;

    if (engine.keeper || UNDER_TSAN)
        return;
    stack = sys_map(STACK_BYTES);
    if (!stack)
        return;
    /* The kernel clears the word when this thread ends, however that comes. */
    engine.thread_alive =
        (int)sys_call(SYS_set_tid_address, (long)&engine.thread_alive, 0, 0, 0, 0, 0);
    pid = __clone(stand_by, stack + STACK_BYTES, CLONE_VM | CLONE_FILES, NULL);
    if (pid < 0)
        engine_log(ENGINE_WARN, "no keeper: connections end with the program");
    else
        engine.keeper = pid;
}

/* ---- exec ---- */

void keeper_park(void)
{
    const struct control_reply reply = {0};

    if (engine.capture.fd >= 0)
        pcapng_flush(&engine.capture);
    atomic_store(&engine.parked, 1);
    control_answer(&reply, -1);
    while (atomic_load(&engine.parked))
        sys_call(SYS_futex, (long)&engine.parked, FUTEX_WAIT_PRIVATE, 1, 0, 0, 0);
}

/* No thread is to be in the middle of anything when exec() ends it: the engine's waits, and the lock is held. (Should a
 * signal handler use a socket or end the process before that, all goes on, and if exec() then meets a thread in the
 * core, its connections are reset.) */
bool engine_exec_begin(void)
{
    uint64_t signals;

    log_flush();
    if (!control_running() || engine.gone || !engine.keeper)
        return false;
    signals = sys_block_signals(UINT64_MAX);
    if (control_call(CONTROL_PARK, NULL, NULL)) {
        sys_block_signals(signals);
        return false;
    }
    engine_lock();
    engine.executing = pthread_self();
    engine.exec_holds = true;
    /* The program that is executed would inherit what is blocked. */
    sys_block_signals(signals);
    return true;
}

void engine_exec_failed(void)
{
    uint64_t signals = sys_block_signals(UINT64_MAX);

    if (!atomic_exchange(&engine.exec_holds, false)) {
        sys_block_signals(signals);
        return;
    }
    engine_unlock();
    atomic_store(&engine.parked, 0);
    sys_call(SYS_futex, (long)&engine.parked, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
    sys_block_signals(signals);
}

void engine_exec_interrupted(void)
{
    if (engine.exec_holds && pthread_equal(engine.executing, pthread_self()))
        engine_exec_failed();
}

/* ---- the farewell ---- */

/* Closes all that the thread and the keeper have but the channel. */
static void close_table(void)
{
    sys_close_range((unsigned)engine.control + 1, UINT32_MAX, 0);
    if (engine.control)
        sys_close_range(0, (unsigned)engine.control - 1, 0);
}

/* Whether anything is left to do once the program's descriptors are closed. */
static bool work_remains(void)
{
    return engine.stack && (has_open_end() || stays_until());
}

void keeper_farewell(void)
{
    const struct control_reply reply = {0};

    if (engine.stack)
        engine_turn(); /* what was just written, or closed, may go out at once */
    if (engine.capture.fd >= 0)
        pcapng_flush(&engine.capture);
    engine_lock();
    engine.gone = true;
    engine.finished = !work_remains();
    if (engine.stack)
        engine.counters = *utcp_counters(engine.stack);
    engine_unlock();
    if (engine.finished)
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
    engine_exec_interrupted();
    signals = sys_block_signals(UINT64_MAX);
    engine.leaving = pthread_self();
    control_call(CONTROL_FAREWELL, NULL, NULL);
    log_flush();
    summarise();
    sys_block_signals(signals);
}
