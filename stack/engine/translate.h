/* SPDX-License-Identifier: MIT */
/*
 * The words of engine.h said in those of utcp.h, and back. Needs no lock, and knows no engine: what
 * else runs the shim over the core uses it too.
 */
#ifndef UTCP_ENGINE_TRANSLATE_H
#define UTCP_ENGINE_TRANSLATE_H

#include "engine.h"
#include "utcp.h"

enum { ENGINE_OPTIONS = ENGINE_CONGESTION + 1 };

struct utcp_endpoint endpoint_to_core(const struct engine_endpoint *endpoint);
struct engine_endpoint endpoint_from_core(const struct utcp_endpoint *core);

enum utcp_option option_to_core(enum engine_option option);

/* Of engine_send()'s flags those that the core knows. */
unsigned send_flags_to_core(unsigned flags);

/* False for a value that no connection would take. */
bool option_in_range(enum engine_option option, uint64_t value);

void status_fill(struct engine_status *status, const struct utcp_info *info, utcp_time now);

#endif
