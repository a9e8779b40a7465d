/* SPDX-License-Identifier: MIT */
#include "cc/cc.h"

static const struct cc_ops *const algorithms[] = {&cc_reno};

#define ALGORITHMS (sizeof(algorithms) / sizeof(algorithms[0]))

const char *utcp_congestion_name(size_t i)
{
    return i < ALGORITHMS ? algorithms[i]->name : NULL;
}

static bool same_name(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

const struct cc_ops *cc_find(const char *name)
{
    if (name == NULL)
        return algorithms[0];
    for (size_t i = 0; i < ALGORITHMS; i++) {
        if (same_name(algorithms[i]->name, name))
            return algorithms[i];
    }
    return NULL;
}

void cc_init(struct cc *cc, const struct cc_ops *ops, uint32_t mss, uint32_t initial_segments)
{
    *cc = (struct cc){
        .ops = ops,
        .mss = mss,
        .cwnd = mss * initial_segments,
        .ssthresh = UINT32_MAX,
    };
    ops->start(cc);
}
