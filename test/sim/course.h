/* SPDX-License-Identifier: MIT */
/* Long transfers over a link that is given: how fast they are. Nothing else of the world is checked. */
#ifndef SIM_COURSE_H
#define SIM_COURSE_H

#include "world.h"

#define FLOWS_MAX 2

/*
 * rtt_ns       of the empty path; the packets' delays vary by a hundredth of it
 * rate         bytes a second, 0 = no limit; queue_bytes wait for it
 * marking      the queue marks where it is half full, and the ends agree on ECN
 * reorder      chance in a thousand to be up to reorder_ns later, and to be overtaken
 * loss         chance in a million; loss_every: one segment in so many instead
 * congestion   the algorithm of each flow, NULL = no such flow
 * bytes        that each flow has to send
 */
struct course {
    utcp_time rtt_ns;
    uint64_t rate, queue_bytes;
    bool marking;
    uint64_t reorder;
    utcp_time reorder_ns;
    uint64_t loss, loss_every;
    const char *congestion[FLOWS_MAX];
    uint64_t bytes;
};

/* Lays it out; the flows begin with the first step. */
void course_begin(struct world *world, const struct course *course);

/* Goes on until the flow has delivered so many bytes, or it is that time. */
void course_run(struct world *world, int flow, uint64_t bytes, utcp_time end);

/* Bytes that a flow has delivered to its program. */
uint64_t course_received(const struct world *world, int flow);

#endif
