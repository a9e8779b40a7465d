/* SPDX-License-Identifier: MIT */
#include "ip/path.h"

#include "stack.h"

/* Where dst is, paths->count when it is not there. */
static size_t position(const struct paths *paths, const struct utcp_addr *dst)
{
    size_t i = 0;

    while (i < paths->count && !same_addr(&paths->items[i].dst, dst))
        i++;
    return i;
}

static size_t first_to_go(const struct paths *paths)
{
    size_t first = 0;

    for (size_t i = 1; i < paths->count; i++) {
        if (paths->items[i].path.expires < paths->items[first].path.expires)
            first = i;
    }
    return first;
}

struct path path_find(struct utcp_stack *stack, const struct utcp_addr *dst)
{
    struct paths *paths = &stack->paths;
    struct path path = {.mtu_bytes = stack->mtu_bytes, .expires = UTCP_NEVER};
    size_t i = position(paths, dst);

    if (i == paths->count)
        return path;
    if (paths->items[i].path.expires <= stack->now)
        paths->items[i] = paths->items[--paths->count];
    else if (paths->items[i].path.mtu_bytes < stack->mtu_bytes)
        path = paths->items[i].path;
    return path;
}

/* RFC 1191 section 6.3: what was learned is forgotten after about 10 minutes; hearing it again
 * prolongs that. As Linux, an MTU below min_pmtu is not believed: RFC 5927 section 7 tells what an
 * attacker could make of tiny segments. RFC 1191 section 7.1 has a table of plateaus to guess from
 * when the router does not tell its MTU; Linux has none, for such routers are gone. */
bool path_learn(struct utcp_stack *stack, const struct utcp_addr *dst, uint32_t mtu_bytes)
{
    struct paths *paths = &stack->paths;
    struct path old = path_find(stack, dst);
    uint32_t least = (uint32_t)stack->settings.min_pmtu;
    struct path path = {
        .mtu_bytes = mtu_bytes,
        .expires = stack->now + stack->settings.pmtu_expires,
    };
    size_t i;

    if (mtu_bytes < least) {
        path.mtu_bytes = least < old.mtu_bytes ? least : old.mtu_bytes;
        path.may_fragment = true;
    }
    if (path.mtu_bytes > old.mtu_bytes)
        return false;
    i = position(paths, dst);
    if (i == paths->count && paths->count == PATHS_MOST)
        i = first_to_go(paths);
    else if (i == paths->count)
        paths->count++;
    paths->items[i].dst = *dst;
    paths->items[i].path = path;
    return path.mtu_bytes < old.mtu_bytes || (path.may_fragment && !old.may_fragment);
}
