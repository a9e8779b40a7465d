/* SPDX-License-Identifier: MIT */
#include <linux/tcp.h>

#include "options.h"
#include "status.h"

/* Whole segments that hold so many bytes. */
static uint32_t segments(uint32_t bytes, uint32_t mss)
{
    return mss == 0 ? 0 : (bytes + mss - 1) / mss;
}

static void fill_window(struct tcp_info *info, const struct engine_status *status)
{
    info->tcpi_snd_wscale = status->snd_wscale & 15U;
    info->tcpi_rcv_wscale = status->rcv_wscale & 15U;
    info->tcpi_options = status->wscale_ok ? TCPI_OPT_WSCALE : 0;
    info->tcpi_snd_wnd = status->snd_wnd;
    info->tcpi_rcv_space = status->rcv_wnd;
    info->tcpi_rcv_ssthresh = status->rcv_wnd;
    info->tcpi_snd_cwnd = status->cwnd;
    info->tcpi_snd_ssthresh = status->ssthresh;
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
    uint32_t flight = status->unacked_bytes - status->unsent_bytes;
    info->tcpi_unacked = listening ? status->accept_queued : segments(flight, status->snd_mss);
    info->tcpi_sacked = listening ? status->backlog : 0;
    info->tcpi_notsent_bytes = status->unsent_bytes;
}

int tcp_info_get(struct engine_socket *socket, void *value, socklen_t *size)
{
    struct engine_status status = status_of(socket);
    struct tcp_info info = {
        .tcpi_state = status.tcp_state,
        .tcpi_rto = status.rto,
        .tcpi_rtt = status.rtt,
        .tcpi_rttvar = status.rttvar,
        .tcpi_snd_mss = status.snd_mss,
        .tcpi_rcv_mss = status.rcv_mss,
        .tcpi_advmss = status.rcv_mss,
        .tcpi_pmtu = status.pmtu,
    };
    fill_window(&info, &status);
    fill_counts(&info, &status);
    fill_flight(&info, &status);
    return option_write(value, size, &info, sizeof(info));
}
