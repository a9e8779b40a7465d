/* SPDX-License-Identifier: MIT */
#include "translate.h"

#include <string.h>

struct utcp_endpoint endpoint_to_core(const struct engine_endpoint *endpoint)
{
    struct utcp_endpoint core = {.addr.family = endpoint->family, .port = endpoint->port};

    memcpy(core.addr.bytes, endpoint->addr, sizeof core.addr.bytes);
    return core;
}

struct engine_endpoint endpoint_from_core(const struct utcp_endpoint *core)
{
    struct engine_endpoint endpoint = {.family = core->addr.family, .port = core->port};

    memcpy(endpoint.addr, core->addr.bytes, sizeof endpoint.addr);
    return endpoint;
}

static const enum utcp_option core_options[ENGINE_OPTIONS] = {
    [ENGINE_NODELAY] = UTCP_OPT_NODELAY,
    [ENGINE_OOBINLINE] = UTCP_OPT_OOBINLINE,
    [ENGINE_CORK] = UTCP_OPT_CORK,
    [ENGINE_QUICKACK] = UTCP_OPT_QUICKACK,
    [ENGINE_KEEPALIVE] = UTCP_OPT_KEEPALIVE,
    [ENGINE_KEEPALIVE_IDLE] = UTCP_OPT_KEEPALIVE_IDLE,
    [ENGINE_KEEPALIVE_INTERVAL] = UTCP_OPT_KEEPALIVE_INTERVAL,
    [ENGINE_KEEPALIVE_COUNT] = UTCP_OPT_KEEPALIVE_COUNT,
    [ENGINE_USER_TIMEOUT] = UTCP_OPT_USER_TIMEOUT,
    [ENGINE_SYN_RETRIES] = UTCP_OPT_SYN_RETRIES,
    [ENGINE_FIN_WAIT2] = UTCP_OPT_FIN_WAIT2,
    [ENGINE_DEFER_ACCEPT] = UTCP_OPT_DEFER_ACCEPT,
    [ENGINE_REUSEADDR] = UTCP_OPT_REUSEADDR,
    [ENGINE_REUSEPORT] = UTCP_OPT_REUSEPORT,
    [ENGINE_SND_BUF] = UTCP_OPT_SND_BUF,
    [ENGINE_RCV_BUF] = UTCP_OPT_RCV_BUF,
    [ENGINE_MAXSEG] = UTCP_OPT_MAXSEG,
    [ENGINE_NOTSENT_LOWAT] = UTCP_OPT_NOTSENT_LOWAT,
    [ENGINE_TTL] = UTCP_OPT_TTL,
    [ENGINE_TOS] = UTCP_OPT_TOS,
    [ENGINE_MTU_DISCOVER] = UTCP_OPT_MTU_DISCOVER,
    [ENGINE_MAX_PACING_RATE] = UTCP_OPT_MAX_PACING_RATE,
    [ENGINE_CONGESTION] = UTCP_OPT_CONGESTION,
};

/* The least and greatest value of each, for sockets that have no connection yet to ask. */
static const struct {
    uint64_t least, most;
} option_range[ENGINE_OPTIONS] = {
    [ENGINE_NODELAY] = {0, 1},
    [ENGINE_OOBINLINE] = {0, 1},
    [ENGINE_CORK] = {0, 1},
    [ENGINE_QUICKACK] = {0, 1},
    [ENGINE_KEEPALIVE] = {0, 1},
    [ENGINE_KEEPALIVE_IDLE] = {UTCP_SEC, 32767 * UTCP_SEC},
    [ENGINE_KEEPALIVE_INTERVAL] = {UTCP_SEC, 32767 * UTCP_SEC},
    [ENGINE_KEEPALIVE_COUNT] = {1, 127},
    [ENGINE_USER_TIMEOUT] = {0, INT32_MAX *UTCP_MSEC},
    [ENGINE_SYN_RETRIES] = {1, 127},
    [ENGINE_FIN_WAIT2] = {0, UINT64_MAX},
    [ENGINE_DEFER_ACCEPT] = {0, UINT8_MAX},
    [ENGINE_REUSEADDR] = {0, 1},
    [ENGINE_REUSEPORT] = {0, 1},
    [ENGINE_SND_BUF] = {0, INT32_MAX},
    [ENGINE_RCV_BUF] = {0, INT32_MAX},
    [ENGINE_MAXSEG] = {0, 65495},
    [ENGINE_NOTSENT_LOWAT] = {0, UINT32_MAX},
    [ENGINE_TTL] = {1, 255},
    [ENGINE_TOS] = {0, 255},
    [ENGINE_MTU_DISCOVER] = {0, UTCP_PMTU_OMIT},
    [ENGINE_MAX_PACING_RATE] = {0, UINT64_MAX},
    [ENGINE_CONGESTION] = {0, INT32_MAX}, /* names are looked up, and not made up */
};

enum utcp_option option_to_core(enum engine_option option)
{
    return core_options[option];
}

unsigned send_flags_to_core(unsigned flags)
{
    return (flags & ENGINE_MORE ? UTCP_SEND_MORE : 0) |
           (flags & ENGINE_RECORD ? UTCP_SEND_RECORD : 0) |
           (flags & ENGINE_URGENT ? UTCP_SEND_URGENT : 0);
}

bool option_in_range(enum engine_option option, uint64_t value)
{
    return value >= option_range[option].least && value <= option_range[option].most;
}

const char *engine_congestion_name(size_t i)
{
    return utcp_congestion_name(i);
}

static uint32_t in_segments(uint64_t bytes, uint32_t mss)
{
    return mss ? (uint32_t)((bytes + mss - 1) / mss) : 0;
}

/* An ssthresh that no window will reach is Linux's TCP_INFINITE_SSTHRESH. */
static uint32_t ssthresh_in_segments(uint32_t bytes, uint32_t mss)
{
    return bytes == UINT32_MAX ? INT32_MAX : in_segments(bytes, mss);
}

static uint32_t in_us(uint64_t ns)
{
    return (uint32_t)(ns / UTCP_USEC);
}

static bool is_connected(enum tcp_state state)
{
    return state != TCP_CLOSED && state != TCP_LISTEN && state != TCP_SYN_SENT &&
           state != TCP_SYN_RECEIVED && state != TCP_TIME_WAIT;
}

/* How long ago that was, ms. */
static uint32_t ms_since(utcp_time at, utcp_time now)
{
    return at && now > at ? (uint32_t)((now - at) / UTCP_MSEC) : 0;
}

static void fill_history(struct engine_status *status, const struct utcp_info *info, utcp_time now)
{
    status->data_segs_in = info->data_segs_in;
    status->data_segs_out = info->data_segs_out;
    status->out_of_order = info->out_of_order;
    status->reorderings = info->reorderings;
    status->delivered = in_segments(info->delivered, info->mss);
    status->delivered_marked = in_segments(info->delivered_marked, info->mss);
    status->data_sent_ms = ms_since(info->data_sent_at, now);
    status->data_received_ms = ms_since(info->data_received_at, now);
    status->ack_received_ms = ms_since(info->ack_received_at, now);
    status->busy_time = info->busy_time / UTCP_USEC;
    status->window_limited = info->window_limited / UTCP_USEC;
    status->buffer_limited = info->buffer_limited / UTCP_USEC;
}

static void fill_recovery(struct engine_status *status, const struct utcp_info *info)
{
    status->sack_ok = info->sack_ok;
    status->timestamps_ok = info->timestamps_ok;
    status->ecn_ok = info->ecn_ok;
    status->ecn_seen = info->ecn_seen;
    status->recovery = info->recovery;
    status->sacked = in_segments(info->snd_sacked, info->mss);
    status->lost = in_segments(info->snd_lost, info->mss);
    status->resent = in_segments(info->snd_resent, info->mss);
    status->in_flight = in_segments(info->snd_outstanding, info->mss);
    status->reordering = info->reordering;
    status->dsacks = info->dsacks;
    status->min_rtt = in_us(info->min_rtt);
    status->adv_mss = info->adv_mss;
}

void status_fill(struct engine_status *status, const struct utcp_info *info, utcp_time now)
{
    *status = (struct engine_status){
        /* Linux lets go of a socket in TIME-WAIT. */
        .tcp_state = (uint8_t)(info->state == TCP_TIME_WAIT ? TCP_CLOSED : info->state),
        .bound = info->local.port != 0,
        .connected = is_connected(info->state),
        .may_send = info->may_send,
        .connecting = info->state == TCP_SYN_SENT || info->state == TCP_SYN_RECEIVED,
        .wscale_ok = info->wscale_ok,
        .local = endpoint_from_core(&info->local),
        .remote = endpoint_from_core(&info->remote),
        .at_mark = info->at_mark,
        .readable = info->rcv_queued,
        .unacked_bytes = info->snd_queued,
        .unsent_bytes = info->snd_unsent,
        .snd_mss = info->mss,
        .rcv_mss = info->rcv_mss,
        .pmtu = info->pmtu,
        .cwnd = in_segments(info->cwnd, info->mss),
        .ssthresh = ssthresh_in_segments(info->ssthresh, info->mss),
        .pacing_rate = info->pacing_rate,
        .max_pacing_rate = info->max_pacing_rate,
        .snd_wnd = info->snd_wnd,
        .rcv_wnd = info->rcv_wnd,
        .snd_wscale = info->snd_wscale,
        .rcv_wscale = info->rcv_wscale,
        .rtt = in_us(info->srtt),
        .rttvar = in_us(info->rttvar),
        .rto = in_us(info->rto),
        .retransmits = info->retransmits,
        .total_retransmits = (uint32_t)info->total_retransmits,
        .bytes_sent = info->bytes_sent,
        .bytes_retransmitted = info->bytes_retransmitted,
        .bytes_acked = info->bytes_acked,
        .bytes_received = info->bytes_received,
        .segs_in = info->segs_in,
        .segs_out = info->segs_out,
        .accept_queued = info->accept_queued,
        .backlog = info->backlog,
    };
    fill_recovery(status, info);
    fill_history(status, info, now);
}
