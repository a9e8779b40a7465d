/* SPDX-License-Identifier: MIT */
#include "trace.h"

#include <inttypes.h>

static void print_flags(uint8_t flags, FILE *to)
{
    static const char letters[] = "FSRP.UEW";

    fputs("Flags [", to);
    for (unsigned i = 0; i < 8; i++) {
        if ((flags & 1u << i) != 0)
            fputc(letters[i], to);
    }
    fputs("]", to);
}

static void print_packet(const struct trace_entry *entry, FILE *to)
{
    const struct tcp_segment *segment = &entry->segment;
    uint32_t seq = segment->seq - entry->seq_base;

    fprintf(to, "%c.%u > %c.%u: ", 'A' + entry->host, segment->src.port, 'A' + !entry->host,
            segment->dst.port);
    print_flags(segment->flags, to);
    fprintf(to, ", seq %" PRIu32, seq);
    if (segment->payload_len > 0)
        fprintf(to, ":%" PRIu32, seq + segment->payload_len);
    if ((segment->flags & TCP_ACK) != 0)
        fprintf(to, ", ack %" PRIu32, segment->ack - entry->ack_base);
    fprintf(to, ", win %u", segment->window);
    if (segment->options.mss != 0)
        fprintf(to, ", mss %u", segment->options.mss);
    if (segment->options.has_wscale)
        fprintf(to, ", wscale %u", segment->options.wscale);
    fprintf(to, ", length %" PRIu32 "  (%s)\n", segment->payload_len, entry->fate);
}

static void print_note(const struct trace_entry *entry, FILE *to)
{
    fprintf(to, "%c#%d %s", 'A' + entry->host, entry->pair, entry->what);
    if (entry->count != 0)
        fprintf(to, " %" PRIu64, entry->count);
    if (entry->total != 0)
        fprintf(to, " of %" PRIu64, entry->total);
    fputc('\n', to);
}

static void print_entry(const struct trace_entry *entry, FILE *to)
{
    fprintf(to, "%" PRIu64 ".%06" PRIu64 " ", entry->time / UTCP_SEC,
            entry->time % UTCP_SEC / UTCP_USEC);
    if (entry->fate != NULL)
        print_packet(entry, to);
    else
        print_note(entry, to);
}

void trace_add(struct trace *trace, const struct trace_entry *entry)
{
    trace->last[trace->entries++ % TRACE_KEPT] = *entry;
    if (trace->live)
        print_entry(entry, stdout);
}

void trace_dump(const struct trace *trace, FILE *to)
{
    size_t first = trace->entries > TRACE_KEPT ? trace->entries - TRACE_KEPT : 0;

    for (size_t i = first; i < trace->entries; i++)
        print_entry(&trace->last[i % TRACE_KEPT], to);
}
