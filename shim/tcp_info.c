/* SPDX-License-Identifier: MIT */
#include <linux/tcp.h>

#include "options.h"
#include "status.h"

static uint8_t options_in_use(const struct engine_status *status)
{
    unsigned options = 0;

    options |= status->timestamps_ok ? TCPI_OPT_TIMESTAMPS : 0;
    options |= status->sack_ok ? TCPI_OPT_SACK : 0;
    options |= status->wscale_ok ? TCPI_OPT_WSCALE : 0;
    options |= status->ecn_ok ? TCPI_OPT_ECN : 0;
    options |= status->ecn_seen ? TCPI_OPT_ECN_SEEN : 0;
    return (uint8_t)options;
}

static void fill_window(struct tcp_info *info, const struct engine_status *status)
{
    info->tcpi_snd_wscale = status->snd_wscale & 15U;
    info->tcpi_rcv_wscale = status->rcv_wscale & 15U;
    info->tcpi_options = options_in_use(status);
    info->tcpi_snd_wnd = status->snd_wnd;
    info->tcpi_rcv_space = status->rcv_wnd;
    info->tcpi_rcv_ssthresh = status->rcv_wnd;
    info->tcpi_snd_cwnd = status->cwnd;
    info->tcpi_snd_ssthresh = status->ssthresh;
    info->tcpi_pacing_rate = status->pacing_rate;
    info->tcpi_max_pacing_rate = status->max_pacing_rate;
}

static void fill_counts(struct tcp_info *info, const struct engine_status *status)
{
    info->tcpi_bytes_sent = status->bytes_sent;
    info->tcpi_bytes_retrans = status->bytes_retransmitted;
    info->tcpi_bytes_acked = status->bytes_acked;
    info->tcpi_bytes_received = status->bytes_received;
    info->tcpi_segs_in = (uint32_t)status->segs_in;
    info->tcpi_segs_out = (uint32_t)status->segs_out;
    info->tcpi_retransmits = (uint8_t)(status->retransmits < 255 ? status->retransmits : 255);
    info->tcpi_backoff = info->tcpi_retransmits;
    info->tcpi_total_retrans = status->total_retransmits;
}

/* A listener's queue stands where its segments would, as Linux has it. */
static void fill_flight(struct tcp_info *info, const struct engine_status *status)
{
    bool listening = is_listening(status);
    info->tcpi_unacked = listening ? status->accept_queued : status->in_flight;
    info->tcpi_sacked = listening ? status->backlog : status->sacked;
    info->tcpi_lost = status->lost;
    info->tcpi_retrans = status->resent;
    info->tcpi_notsent_bytes = status->unsent_bytes;
}

static void fill_history(struct tcp_info *info, const struct engine_status *status)
{
    info->tcpi_data_segs_in = (uint32_t)status->data_segs_in;
    info->tcpi_data_segs_out = (uint32_t)status->data_segs_out;
    info->tcpi_rcv_ooopack = (uint32_t)status->out_of_order;
    info->tcpi_reord_seen = (uint32_t)status->reorderings;
    info->tcpi_delivered = status->delivered;
    info->tcpi_delivered_ce = status->delivered_marked;
    info->tcpi_last_data_sent = status->data_sent_ms;
    info->tcpi_last_data_recv = status->data_received_ms;
    info->tcpi_last_ack_recv = status->ack_received_ms;
    info->tcpi_busy_time = status->busy_time;
    info->tcpi_rwnd_limited = status->window_limited;
    info->tcpi_sndbuf_limited = status->buffer_limited;
}

static void fill_recovery(struct tcp_info *info, const struct engine_status *status)
{
    info->tcpi_ca_state = status->recovery;
    info->tcpi_reordering = status->reordering;
    info->tcpi_dsack_dups = status->dsacks;
    info->tcpi_min_rtt = status->min_rtt != 0 ? status->min_rtt : UINT32_MAX;
}

/*
 * As long as Linux 6.18 has it, for programs may be newer than the headers here: what these do not name
 * reads as 0.
 */
union tcp_info_room {
    struct tcp_info info;
    uint8_t bytes[280];
};

int tcp_info_get(struct engine_socket *socket, void *value, socklen_t *size)
{
    struct engine_status status = status_of(socket);
    union tcp_info_room room = {.bytes = {0}};
    struct tcp_info *info = &room.info;
    info->tcpi_state = status.tcp_state;
    info->tcpi_rto = status.rto;
    info->tcpi_rtt = status.rtt;
    info->tcpi_rttvar = status.rttvar;
    info->tcpi_snd_mss = status.snd_mss;
    info->tcpi_rcv_mss = status.rcv_mss;
    info->tcpi_advmss = status.adv_mss;
    info->tcpi_pmtu = status.pmtu;
    fill_window(info, &status);
    fill_counts(info, &status);
    fill_flight(info, &status);
    fill_recovery(info, &status);
    fill_history(info, &status);
    return option_write(value, size, &room, sizeof(room));
}
