/* SPDX-License-Identifier: MIT */
/* What happened last, for a reader: packets as tcpdump prints them, and what the programs did. */
#ifndef SIM_TRACE_H
#define SIM_TRACE_H

#include <stdio.h>

#include "wire/tcp.h"

#define TRACE_KEPT 40

/*
 * fate       what the link does to a packet, or "arrives"; NULL for a note
 * what       of a note: what a program did, with a count and a total where they are not 0
 * seq_base   the ISN of the sender, ack_base that of its peer, to print relative numbers
 */
struct trace_entry {
    utcp_time time;
    int host;
    const char *fate;
    struct tcp_segment segment;
    tcp_seq seq_base, ack_base;
    const char *what;
    int pair;
    uint64_t count, total;
};

struct trace {
    bool live; /* print each entry at once */
    size_t entries;
    struct trace_entry last[TRACE_KEPT];
};

void trace_add(struct trace *trace, const struct trace_entry *entry);

/* Prints the entries that are kept, the oldest first. */
void trace_dump(const struct trace *trace, FILE *to);

#endif
