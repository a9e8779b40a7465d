/* SPDX-License-Identifier: MIT */
/*
 * What is not served as Linux's TCP would is said, once for each thing and process, to whom UTCP_LOG asks for it
 * (info): what was refused, what was left to the kernel, what is remembered without effect, and what is bridged.
 *
 * All of these return at once when nobody asks. They allocate nothing and leave errno alone; any thread may call them.
 */
#ifndef UTCP_SHIM_REFUSALS_H
#define UTCP_SHIM_REFUSALS_H

#include "engine.h"

/* A call that failed because we lack what it asks for. error is the negative errno value. */
void refusals_call(const char *call, const char *why, int error);

/* The same for getsockopt() and setsockopt(), and for ioctl(). Says nothing of results that are no refusal: success, and
 * what the program did wrong. */
void refusals_option(const char *call, int level, int name, int result);
void refusals_ioctl(unsigned long request, int result);

/* An option that reads back as it was set, and does nothing. */
void refusals_idle_option(int level, int name);

/* A call that the kernel gets, or answers. */
void refusals_left(const char *call, const char *why);
void refusals_left_address(const char *call, const struct engine_endpoint *endpoint);
void refusals_left_ioctl(unsigned long request);

/* A socket that is bridged, here or by the process that handed it to this one. */
void refusals_bridged(void);

#endif
