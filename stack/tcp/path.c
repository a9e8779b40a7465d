/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * Every segment goes with "don't fragment", and a router whose next hop is too narrow for it drops it
 * and says so (RFC 1191). The stack remembers the MTU for each destination; a connection has a copy of
 * what was known when it last looked, and looks again when that expires. From it comes the MSS.
 *
 * An ICMP message is easily forged, so it counts only when it quotes a segment in flight, and one that
 * was larger than the MTU it claims (RFC 5927 section 7). What it quotes is lost, and so is all else in
 * flight that is as large: it goes again at once. That is no sign of congestion, so the window stays.
 */
#include "stack.h"
#include "tcp/tcb.h"

#define HEADERS (IPV4_HEADER + TCP_HEADER)

static bool uses_path_mtu(const struct utcp_conn *conn)
{
    return conn->mtu_discover < UTCP_PMTU_PROBE;
}

static bool believes_icmp(const struct utcp_conn *conn)
{
    return conn->mtu_discover != UTCP_PMTU_DONT && uses_path_mtu(conn);
}

bool tcp_dont_fragment(const struct utcp_conn *conn)
{
    switch (conn->mtu_discover) {
    case UTCP_PMTU_WANT:
        return !conn->path.may_fragment;
    case UTCP_PMTU_DO:
    case UTCP_PMTU_PROBE:
        return true;
    default:
        return false;
    }
}

uint32_t tcp_path_mss(const struct utcp_conn *conn)
{
    uint32_t mss = conn->path.mtu_bytes - HEADERS;

    return conn->mss_limit > 0 && conn->mss_limit < mss ? conn->mss_limit : mss;
}

/* Linux counts its windows in segments, so that they shrink with the MSS; RFC 1191 section 6.4 leaves
 * that open. */
static uint32_t in_new_segments(uint32_t window, uint32_t old_mss, uint32_t mss)
{
    return window == UINT32_MAX ? window : (uint32_t)((uint64_t)window * mss / old_mss);
}

void tcp_sync_mss(struct utcp_conn *conn)
{
    struct cc *cc = &conn->cc;
    uint32_t old = conn->mss;

    conn->mss = tcp_path_mss(conn);
    if (conn->peer_mss > 0 && conn->peer_mss < conn->mss)
        conn->mss = conn->peer_mss;
    conn->mss -= timestamps_bytes(conn);
    if (cc->ops == NULL || conn->mss == old)
        return;
    cc->mss = conn->mss;
    if (conn->mss < old) {
        cc->cwnd = in_new_segments(cc->cwnd, old, conn->mss);
        cc->ssthresh = in_new_segments(cc->ssthresh, old, conn->mss);
    }
    if (cc->cwnd < cc->mss)
        cc->cwnd = cc->mss;
}

void tcp_look_up_path(struct utcp_conn *conn)
{
    if (uses_path_mtu(conn))
        conn->path = path_find(conn->stack, &conn->remote.addr);
    else
        conn->path = (struct path){.mtu_bytes = conn->stack->mtu_bytes, .expires = UTCP_NEVER};
    tcp_sync_mss(conn);
}

void tcp_path_changed(struct utcp_stack *stack, const struct utcp_addr *dst)
{
    for (struct list *link = stack->all.next; link != &stack->all; link = link->next) {
        struct utcp_conn *conn = list_entry(link, struct utcp_conn, all_link);

        if (conn->had_peer && (dst == NULL || same_addr(&conn->remote.addr, dst)))
            tcp_look_up_path(conn);
    }
}

void tcp_icmp_too_big(struct utcp_conn *conn, tcp_seq seq, uint32_t quoted_len, uint32_t mtu_bytes)
{
    uint32_t old = conn->mss;

    if (seq_lt(seq, conn->snd_una) || seq_ge(seq, conn->snd_nxt) || !believes_icmp(conn))
        return;
    /* RFC 5927 section 7.2: what the router had to fragment was larger than what fits. */
    if (quoted_len <= mtu_bytes)
        return;
    conn->stack->counters.icmp_errors++;
    if (!path_learn(conn->stack, &conn->remote.addr, mtu_bytes))
        return;
    conn->stack->counters.path_mtu_reduced++;
    tcp_path_changed(conn->stack, &conn->remote.addr);
    if (tcp_synchronized(conn->state) && conn->mss < old)
        recovery_on_path_change(conn);
}
