/* SPDX-License-Identifier: MIT */
#ifndef UTCP_SHIM_STATUS_H
#define UTCP_SHIM_STATUS_H

#include <stdbool.h>

#include "engine.h"

static inline struct engine_status status_of(struct engine_socket *socket)
{
    struct engine_status status;
    engine_get_status(socket, &status);
    return status;
}

static inline bool is_listening(const struct engine_status *status)
{
    enum { LISTEN = 10 };
    return status->tcp_state == LISTEN;
}

static inline bool is_established(const struct engine_status *status)
{
    enum { ESTABLISHED = 1 };
    return status->tcp_state == ESTABLISHED;
}

static inline bool is_over(const struct engine_status *status)
{
    enum { CLOSE = 7 };
    return status->tcp_state == CLOSE;
}

#endif
