/* SPDX-License-Identifier: MIT */
/*
 * The process that the shim lives in.
 */
#ifndef UTCP_SHIM_PROCESS_H
#define UTCP_SHIM_PROCESS_H

#include <stdbool.h>

/* False in a child that shares our memory without having been forked (vfork, clone): it must change
 * nothing. False before the constructor has run, too. A system call: not for the fast path. */
bool process_is_ours(void);

/* What a child does first that was forked without the handlers of fork() having run (_Fork, clone). Costs a load
 * otherwise. */
void process_notice_fork(void);

/* Turns a negative errno value into -1 and errno; anything else is returned as it is. For the
 * outermost functions, which alone write errno. */
long result(long value);

#endif
