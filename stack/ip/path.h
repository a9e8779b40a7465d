/* SPDX-License-Identifier: MIT */
/* What is known of the MTU on the way to each destination, RFC 1191. */
#ifndef IP_PATH_H
#define IP_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "utcp.h"

#define PATHS_MOST 256

/*
 * mtu_bytes     of the largest packet that gets through, as far as we know
 * may_fragment  a router claims less than the setting min_pmtu: packets go without "don't fragment"
 * expires       when a larger MTU is to be tried; UTCP_NEVER = it is the device's own
 */
struct path {
    uint32_t mtu_bytes;
    bool may_fragment;
    utcp_time expires;
};

/* In no order; when it is full, the entry goes that would have gone first. */
struct paths {
    struct {
        struct utcp_addr dst;
        struct path path;
    } items[PATHS_MOST];
    size_t count;
};

/* The path to an address as it is known now. */
struct path path_find(struct utcp_stack *stack, const struct utcp_addr *dst);

/*
 * A router says that nothing above mtu_bytes gets through to dst. Never makes a path wider. Claims
 * below the setting min_pmtu count as that, and as a wish for packets that may be fragmented; so
 * does 0, from routers older than RFC 1191. False = that was no news.
 */
bool path_learn(struct utcp_stack *stack, const struct utcp_addr *dst, uint32_t mtu_bytes);

#endif
