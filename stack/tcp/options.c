/* SPDX-License-Identifier: MIT */
/* The options of a connection: where each is kept, in which range, and what else changes with it. */
#include <errno.h>

#include "stack.h"
#include "tcp/tcb.h"

/* RFC 9293 section 3.7.1. */
#define MSS_DEFAULT 536

/* An option that is a plain number. */
struct number {
    uint64_t *field;
    uint64_t least, most;
};

static bool *find_flag(struct utcp_conn *conn, enum utcp_option option)
{
    switch (option) {
    case UTCP_OPT_NODELAY:
        return &conn->nodelay;
    case UTCP_OPT_REUSEADDR:
        return &conn->reuse_addr;
    case UTCP_OPT_REUSEPORT:
        return &conn->reuse_port;
    case UTCP_OPT_OOBINLINE:
        return &conn->urgent.is_inline;
    case UTCP_OPT_CORK:
        return &conn->cork;
    default:
        return NULL;
    }
}

static struct number find_number(struct utcp_conn *conn, enum utcp_option option)
{
    switch (option) {
    case UTCP_OPT_KEEPALIVE_IDLE:
        return (struct number){&conn->keepalive.idle, UTCP_SEC, 32767 * UTCP_SEC};
    case UTCP_OPT_KEEPALIVE_INTERVAL:
        return (struct number){&conn->keepalive.interval, UTCP_SEC, 32767 * UTCP_SEC};
    case UTCP_OPT_KEEPALIVE_COUNT:
        return (struct number){&conn->keepalive.count, 1, 127};
    case UTCP_OPT_USER_TIMEOUT:
        return (struct number){&conn->user_timeout, 0, INT32_MAX * UTCP_MSEC};
    case UTCP_OPT_SYN_RETRIES:
        return (struct number){&conn->syn_retries, 1, 127};
    case UTCP_OPT_DEFER_ACCEPT:
        return (struct number){&conn->defer_accept, 0, UINT8_MAX};
    case UTCP_OPT_NOTSENT_LOWAT:
        return (struct number){&conn->notsent_lowat, 0, UINT32_MAX};
    default:
        return (struct number){NULL, 0, 0};
    }
}

static int set_max_segment(struct utcp_conn *conn, uint64_t value)
{
    if (value != 0 && (value < MSS_LEAST || value > 65495))
        return -EINVAL;
    conn->mss_limit = (uint32_t)value;
    return 0;
}

static int set_mtu_discover(struct utcp_conn *conn, uint64_t value)
{
    if (value > UTCP_PMTU_OMIT)
        return -EINVAL;
    conn->mtu_discover = (enum utcp_mtu_discover)value;
    if (conn->had_peer)
        tcp_look_up_path(conn);
    return 0;
}

static int set_ttl(struct utcp_conn *conn, uint64_t value)
{
    if (value < 1 || value > 255)
        return -EINVAL;
    conn->ttl = (uint8_t)value;
    return 0;
}

/* The two lowest bits are ECN's. */
static int set_tos(struct utcp_conn *conn, uint64_t value)
{
    if (value > 255)
        return -EINVAL;
    conn->tos = (uint8_t)(value & 0xfc);
    return 0;
}

static int set_fin_wait2(struct utcp_conn *conn, uint64_t value)
{
    if (value > 120 * UTCP_SEC && value != UINT64_MAX)
        return -EINVAL;
    conn->fin_wait2 = value;
    return 0;
}

static int set_buffer(struct utcp_conn *conn, uint64_t value,
                      void (*set)(struct utcp_conn *conn, uint32_t bytes))
{
    if (value > INT32_MAX)
        return -EINVAL;
    set(conn, (uint32_t)value);
    return 0;
}

static int set_other(struct utcp_conn *conn, enum utcp_option option, uint64_t value)
{
    switch (option) {
    case UTCP_OPT_QUICKACK:
        delack_set_quick(conn, value != 0);
        return 0;
    case UTCP_OPT_KEEPALIVE:
        keepalive_turn(conn, value != 0);
        return 0;
    case UTCP_OPT_SND_BUF:
        return set_buffer(conn, value, buffers_set_send);
    case UTCP_OPT_RCV_BUF:
        return set_buffer(conn, value, buffers_set_receive);
    case UTCP_OPT_FIN_WAIT2:
        return set_fin_wait2(conn, value);
    case UTCP_OPT_MAXSEG:
        return set_max_segment(conn, value);
    case UTCP_OPT_TTL:
        return set_ttl(conn, value);
    case UTCP_OPT_TOS:
        return set_tos(conn, value);
    case UTCP_OPT_MTU_DISCOVER:
        return set_mtu_discover(conn, value);
    case UTCP_OPT_MAX_PACING_RATE:
        pacing_limit(conn, value);
        return 0;
    case UTCP_OPT_CONGESTION:
        return congestion_choose(conn, cc_at((size_t)value));
    default:
        return -EINVAL;
    }
}

/* What depends on a flag or a number that has changed. */
static void follow(struct utcp_conn *conn, enum utcp_option option)
{
    if (option == UTCP_OPT_NODELAY && conn->nodelay)
        conn->uncorked = snd_end(conn);
    if (option == UTCP_OPT_CORK)
        conn->more = false;
    if (option == UTCP_OPT_NODELAY || option == UTCP_OPT_CORK)
        stack_want_send(conn);
    if (option == UTCP_OPT_NOTSENT_LOWAT)
        stack_want_tell(conn);
    if (option == UTCP_OPT_KEEPALIVE_IDLE)
        keepalive_review(conn);
}

int utcp_set_option(struct utcp_conn *conn, enum utcp_option option, uint64_t value)
{
    bool *flag = find_flag(conn, option);
    struct number number = find_number(conn, option);

    if (flag != NULL) {
        *flag = value != 0;
    } else if (number.field != NULL) {
        if (value < number.least || value > number.most)
            return -EINVAL;
        *number.field = value;
    } else {
        return set_other(conn, option, value);
    }
    follow(conn, option);
    return 0;
}

/* What Linux says of TCP_MAXSEG: before there is a connection what was asked for, or the default. */
static uint32_t max_segment(const struct utcp_conn *conn)
{
    if (conn->had_peer)
        return conn->mss;
    return conn->mss_limit > 0 ? conn->mss_limit : MSS_DEFAULT;
}

uint64_t utcp_get_option(const struct utcp_conn *conn, enum utcp_option option)
{
    switch (option) {
    case UTCP_OPT_NODELAY:
        return conn->nodelay;
    case UTCP_OPT_QUICKACK:
        return !conn->delack.interactive;
    case UTCP_OPT_REUSEADDR:
        return conn->reuse_addr;
    case UTCP_OPT_REUSEPORT:
        return conn->reuse_port;
    case UTCP_OPT_OOBINLINE:
        return conn->urgent.is_inline;
    case UTCP_OPT_CORK:
        return conn->cork;
    case UTCP_OPT_KEEPALIVE:
        return conn->keepalive.on;
    case UTCP_OPT_KEEPALIVE_IDLE:
        return conn->keepalive.idle;
    case UTCP_OPT_KEEPALIVE_INTERVAL:
        return conn->keepalive.interval;
    case UTCP_OPT_KEEPALIVE_COUNT:
        return conn->keepalive.count;
    case UTCP_OPT_USER_TIMEOUT:
        return conn->user_timeout;
    case UTCP_OPT_SYN_RETRIES:
        return conn->syn_retries;
    case UTCP_OPT_DEFER_ACCEPT:
        return conn->defer_accept;
    case UTCP_OPT_FIN_WAIT2:
        return tcp_fin_wait2(conn);
    case UTCP_OPT_SND_BUF:
        return conn->snd_limit;
    case UTCP_OPT_RCV_BUF:
        return conn->rcv_wanted;
    case UTCP_OPT_MAXSEG:
        return max_segment(conn);
    case UTCP_OPT_NOTSENT_LOWAT:
        return conn->notsent_lowat;
    case UTCP_OPT_TTL:
        return conn->ttl;
    case UTCP_OPT_TOS:
        return conn->tos;
    case UTCP_OPT_MTU_DISCOVER:
        return conn->mtu_discover;
    case UTCP_OPT_MAX_PACING_RATE:
        return conn->pacing.max_rate;
    case UTCP_OPT_CONGESTION:
        return cc_index(conn->congestion);
    }
    return 0;
}
