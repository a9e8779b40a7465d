/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that leave our sight: to other programs by exec and its kin, to libc's own streams, whose reads
 * and writes nobody can interpose, and into pipes. They are bridged before. (Those that are sent to
 * other processes are seen in send.c.)
 */
#include <alloca.h>
#include <errno.h>

#include "descriptors.h"
#include "engine.h"
#include "libc.h"
#include "process.h"
#include "programs.h"

/* ---- exec ---- */

/* Bridges what another program would inherit, and returns the environment that this program needs then. */
static char *const *bridge_for(char *const *environment, char **room)
{
    return descriptors_expose_inheritable() ? programs_environment(environment, room) : environment;
}

/* What execve(), execvpe() and fexecve() have in common; a child of vfork() leaves the engine alone. */
static bool leave(void)
{
    return process_is_ours() && engine_exec_begin();
}

static int failed(bool left, int value)
{
    int saved = errno;
    if (left)
        engine_exec_failed();
    errno = saved;
    return value;
}

int execve(const char *path, char *const *arguments, char *const *environment)
{
    char **room = alloca(programs_room(environment) * sizeof(char *));
    environment = bridge_for(environment, room);
    programs_execve(path, environment);
    bool left = leave();
    return failed(left, libc.execve(path, arguments, environment));
}

int execveat(int directory, const char *path, char *const *arguments, char *const *environment,
             int flags)
{
    char **room = alloca(programs_room(environment) * sizeof(char *));
    environment = bridge_for(environment, room);
    bool left = leave();
    return failed(left, libc.execveat(directory, path, arguments, environment, flags));
}

int fexecve(int fd, char *const *arguments, char *const *environment)
{
    char **room = alloca(programs_room(environment) * sizeof(char *));
    environment = bridge_for(environment, room);
    bool left = leave();
    return failed(left, libc.fexecve(fd, arguments, environment));
}

int execvpe(const char *file, char *const *arguments, char *const *environment)
{
    char **room = alloca(programs_room(environment) * sizeof(char *));
    environment = bridge_for(environment, room);
    programs_execvpe(file, environment);
    bool left = leave();
    return failed(left, libc.execvpe(file, arguments, environment));
}

int execv(const char *path, char *const *arguments)
{
    return execve(path, arguments, environ);
}

int execvp(const char *file, char *const *arguments)
{
    return execvpe(file, arguments, environ);
}

static int count_arguments(const char *first, va_list rest)
{
    int count = 0;
    for (const char *argument = first; argument != NULL; argument = va_arg(rest, const char *))
        count++;
    return count;
}

/* Fills in count arguments and the NULL behind them, up to which it takes them from rest. */
static void collect(char **arguments, int count, const char *first, va_list rest)
{
    arguments[0] = (char *)first;
    for (int i = 1; i <= count; i++)
        arguments[i] = va_arg(rest, char *);
}

/* The arguments of an execl(), as execv() takes them, on the caller's stack: memory may be shared with the
 * parent. `rest_` stands behind the NULL then. */
#define ARGUMENTS_FROM(first)                                         \
    va_list rest_;                                                    \
    va_start(rest_, first);                                           \
    int count_ = count_arguments(first, rest_);                       \
    va_end(rest_);                                                    \
    char **arguments = alloca(((size_t)count_ + 1) * sizeof(char *)); \
    va_start(rest_, first);                                           \
    collect(arguments, count_, first, rest_)

int execl(const char *path, const char *argument, ...)
{
    ARGUMENTS_FROM(argument);
    va_end(rest_);
    return execve(path, arguments, environ);
}

int execlp(const char *file, const char *argument, ...)
{
    ARGUMENTS_FROM(argument);
    va_end(rest_);
    return execvpe(file, arguments, environ);
}

int execle(const char *path, const char *argument, ...)
{
    ARGUMENTS_FROM(argument);
    char *const *environment = va_arg(rest_, char *const *);
    va_end(rest_);
    return execve(path, arguments, environment);
}

/* ---- new processes that libc makes without running our handlers ---- */

int posix_spawn(pid_t *child, const char *path, const posix_spawn_file_actions_t *actions,
                const posix_spawnattr_t *attributes, char *const *arguments,
                char *const *environment)
{
    char **room = alloca(programs_room(environment) * sizeof(char *));
    environment = bridge_for(environment, room);
    programs_execve(path, environment);
    return libc.posix_spawn(child, path, actions, attributes, arguments, environment);
}

int posix_spawnp(pid_t *child, const char *file, const posix_spawn_file_actions_t *actions,
                 const posix_spawnattr_t *attributes, char *const *arguments,
                 char *const *environment)
{
    char **room = alloca(programs_room(environment) * sizeof(char *));
    environment = bridge_for(environment, room);
    programs_execvpe(file, environment);
    return libc.posix_spawnp(child, file, actions, attributes, arguments, environment);
}

/* What is passed on so may be close-on-exec under its present number. */
int posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *actions, int fd, int target)
{
    descriptors_expose(fd);
    return libc.posix_spawn_file_actions_adddup2(actions, fd, target);
}

int system(const char *command)
{
    descriptors_expose_inheritable();
    return libc.system(command);
}

FILE *popen(const char *command, const char *mode)
{
    descriptors_expose_inheritable();
    return libc.popen(command, mode);
}

/* ---- libc's own calls ---- */

FILE *fdopen(int fd, const char *mode)
{
    descriptors_expose(fd);
    return libc.fdopen(fd, mode);
}

int vdprintf(int fd, const char *format, va_list rest)
{
    descriptors_expose(fd);
    return libc.vdprintf(fd, format, rest);
}

int dprintf(int fd, const char *format, ...)
{
    va_list rest;
    va_start(rest, format);
    int count = vdprintf(fd, format, rest);
    va_end(rest);
    return count;
}

int __vdprintf_chk(int fd, int flag, const char *format, va_list rest)
{
    descriptors_expose(fd);
    return libc.__vdprintf_chk(fd, flag, format, rest);
}

int __dprintf_chk(int fd, int flag, const char *format, ...)
{
    va_list rest;
    va_start(rest, format);
    int count = __vdprintf_chk(fd, flag, format, rest);
    va_end(rest);
    return count;
}

/* ---- the kernel ---- */

ssize_t splice(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t size,
               unsigned flags)
{
    descriptors_expose(in);
    descriptors_expose(out);
    return libc.splice(in, in_offset, out, out_offset, size, flags);
}
