/* SPDX-License-Identifier: MIT */
#ifndef UTCP_SHIM_PROGRAMS_H
#define UTCP_SHIM_PROGRAMS_H

/*
 * Says once, when UTCP_LOG asks for it (info), that a program about to be executed will not load us, and so use the
 * kernel's TCP. The first takes a path, the second a name to be looked for in PATH, as the calls of these names do. Both may
 * be called in a child of vfork(), and leave errno alone.
 */
void programs_execve(const char *path, char *const *environment);
void programs_execvpe(const char *name, char *const *environment);

#endif
