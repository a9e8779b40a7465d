/* SPDX-License-Identifier: MIT */
#ifndef UTCP_SHIM_PROGRAMS_H
#define UTCP_SHIM_PROGRAMS_H

#include <stddef.h>

/*
 * Says once, when UTCP_LOG asks for it (info), that a program about to be executed will not load us, and so use the
 * kernel's TCP. The first takes a path, the second a name to be looked for in PATH, as the calls of these names do. Both may
 * be called in a child of vfork(), and leave errno alone.
 */
void programs_execve(const char *path, char *const *environment);
void programs_execvpe(const char *name, char *const *environment);

/*
 * The environment for a program that inherits sockets of ours: it can do little with a listener that it takes for the
 * kernel's. Some servers clean their environment (nginx when its binary is replaced, systemd-socket-activate), so what this
 * process was started with, LD_PRELOAD and UTCP_*, is put back, unless an LD_PRELOAD is there. The room, of
 * programs_room() pointers, is the caller's. Writes nothing else: a child of vfork() may call it.
 */
size_t programs_room(char *const *environment);
char *const *programs_environment(char *const *environment, char **room);

#endif
