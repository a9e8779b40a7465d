/* SPDX-License-Identifier: MIT */
/*
 * CUBIC, RFC 9438, with HyStart. Above ssthresh the window follows
 *
 *	W_cubic(t) = C * (t - K)^3 + W_max	(1)	C = 0.4 segments/s^3
 *	K = cbrt((W_max - cwnd_epoch) / C)	(2)
 *
 * that is, it comes back quickly to where congestion was, W_max, stays there for a while, and then
 * looks for more. Where Reno would have a larger window, W_est, CUBIC takes that one.
 *
 * All in integers, so that every compiler and machine does the same: bytes and milliseconds.
 * As in Linux the RTT in W_cubic(t + RTT) is the least one, the rate of growth is a price, in bytes
 * acknowledged for each segment more, and it is found anew when the window has changed or 1/32 s
 * have passed.
 */
#include "cc/hystart.h"

#define PRICE_MOST (UINT32_C(1) << 31)
#define PRICE_INTERVAL (UTCP_SEC / 32)

/* Nobody waits that long for W_max: it keeps the third power in 64 bits. */
#define OFFSET_MOST_MS 1000000

/*
 * What a congestion event changes, and what undo() brings back.
 *
 * w_max       window at the last congestion, after fast convergence; 0 = none
 * running     the epoch has begun, at start; the rest is its own
 * origin      its plateau: W_max, or the window at its beginning
 * w_est       what Reno's window would be
 * est_acked   bytes counted towards the next segment of w_est
 */
struct epoch {
    utcp_time start;
    uint32_t w_max, origin, k_ms;
    uint32_t w_est, est_acked;
    bool running;
};

struct cubic {
    struct epoch epoch, before;
    struct hystart hystart;
    uint64_t min_rtt; /* UTCP_NEVER = none */
    utcp_time seen;   /* the last ACK */
    utcp_time priced; /* when the price was found */
    uint32_t priced_cwnd, price;
} __attribute__((may_alias)); /* it lives in cc.state */

_Static_assert(sizeof(struct cubic) <= sizeof(((struct cc *)0)->state), "CC_STATE_WORDS");

static struct cubic *cubic_of(struct cc *cc)
{
    return (struct cubic *)cc->state;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void start(struct cc *cc)
{
    struct cubic *cubic = cubic_of(cc);

    *cubic = (struct cubic){.min_rtt = UTCP_NEVER};
    hystart_start(&cubic->hystart);
}

/* The whole part of the third root, a bit at a time. */
static uint32_t cube_root(uint64_t x)
{
    uint64_t root = 0;

    for (int shift = 63; shift >= 0; shift -= 3) {
        uint64_t step;

        root *= 2;
        step = 3 * root * (root + 1) + 1; /* (root + 1)^3 - root^3 */
        if (x >> shift >= step) {
            x -= step << shift;
            root++;
        }
    }
    return (uint32_t)root;
}

/* 1 / C = 5/2 s^3 a segment, and a second has 10^9 cubic milliseconds in its third power. */
static uint32_t time_to_plateau_ms(const struct cc *cc, uint32_t bytes_below)
{
    return cube_root((uint64_t)bytes_below * 5 / 2 * 1000000000 / cc->mss);
}

/* Equation (1), t after the epoch began. C * offset^3 segments are 2/5 * 10^-9 of it in milliseconds;
 * whole ones, as in Linux. */
static uint64_t w_cubic(const struct cc *cc, const struct epoch *epoch, uint64_t t)
{
    uint64_t t_ms = t / UTCP_MSEC;
    bool below = t_ms < epoch->k_ms;
    uint64_t offset = min_u64(below ? epoch->k_ms - t_ms : t_ms - epoch->k_ms, OFFSET_MOST_MS);
    uint64_t bytes = offset * offset * offset * 2 / 5000000000 * cc->mss;

    if (!below)
        return epoch->origin + bytes;
    return bytes < epoch->origin ? epoch->origin - bytes : 0;
}

/* Congestion avoidance begins, or begins again. Sections 4.8 and 4.10: without a W_max, as after slow
 * start or a time-out, K is 0 and the plateau is where we are. */
static void begin_epoch(struct cc *cc, struct epoch *epoch, utcp_time now)
{
    bool below = cc->cwnd < epoch->w_max;

    epoch->running = true;
    epoch->start = now;
    epoch->origin = below ? epoch->w_max : cc->cwnd;
    epoch->k_ms = below ? time_to_plateau_ms(cc, epoch->w_max - cc->cwnd) : 0;
    epoch->w_est = cc->cwnd;
    epoch->est_acked = 0;
    cc->acked = 0;
}

/*
 * Section 4.3, equation (4): W_est = W_est + alpha * segments_acked / cwnd, where alpha is
 * 3 * (1 - beta) / (1 + beta) = 9/17: with beta of 0.7 that gives Reno's mean window. As in Linux alpha
 * stays that; the RFC has 1 once W_est has come to the window before the loss, which under random
 * loss makes the mean window a tenth larger than Reno's.
 */
static void grow_w_est(const struct cc *cc, struct epoch *epoch)
{
    uint64_t price = (uint64_t)cc->cwnd * 17 / 9;
    uint32_t segments = (uint32_t)(epoch->est_acked / price);

    epoch->est_acked -= (uint32_t)(segments * price);
    epoch->w_est = (uint32_t)min_u64(epoch->w_est + (uint64_t)segments * cc->mss, CC_CWND_MAX);
}

/* Sections 4.4 and 4.5: (target - cwnd) / cwnd segments more for each that is acknowledged. As in
 * Linux the price is whole segments. */
static uint64_t price_of(const struct cc *cc, uint64_t target)
{
    if (target <= cc->cwnd)
        return 100 * (uint64_t)cc->cwnd; /* Linux's notion of hardly any */
    return cc->cwnd / (target - cc->cwnd) * cc->mss;
}

static void find_price(struct cc *cc, struct cubic *cubic, utcp_time now)
{
    struct epoch *epoch = &cubic->epoch;
    uint64_t rtt = cubic->min_rtt == UTCP_NEVER ? 0 : cubic->min_rtt;
    uint64_t price = price_of(cc, w_cubic(cc, epoch, now - epoch->start + rtt));

    /* Linux: with no W_max to go by, 5 % a round trip at least. */
    if (epoch->w_max == 0)
        price = min_u64(price, 20 * (uint64_t)cc->mss);
    /* Section 4.3: never less than Reno would have. */
    grow_w_est(cc, epoch);
    if (epoch->w_est > cc->cwnd)
        price = min_u64(price, price_of(cc, epoch->w_est));
    /* Section 4.2: target is at most 1.5 * cwnd. */
    if (price < 2 * cc->mss)
        price = 2 * cc->mss;
    cubic->price = (uint32_t)min_u64(price, PRICE_MOST);
    cubic->priced = now;
    cubic->priced_cwnd = cc->cwnd;
}

static void congestion_avoidance(struct cc *cc, uint32_t acked, utcp_time now)
{
    struct cubic *cubic = cubic_of(cc);
    struct epoch *epoch = &cubic->epoch;
    bool begins = !epoch->running;

    if (begins)
        begin_epoch(cc, epoch, now);
    epoch->est_acked = (uint32_t)min_u64((uint64_t)epoch->est_acked + acked, CC_CWND_MAX);
    if (begins || cc->cwnd != cubic->priced_cwnd || now - cubic->priced > PRICE_INTERVAL)
        find_price(cc, cubic, now);
    cc_increase(cc, acked, cubic->price);
}

/* Sections 4.2 and 5.8: t does not count the time in which the window could not grow because the
 * program had too little to send. */
static void pass_over(struct cubic *cubic, uint64_t time, utcp_time now)
{
    cubic->epoch.start = min_u64(cubic->epoch.start + time, now);
    cubic->seen = min_u64(cubic->seen + time, now);
}

static void on_ack(struct cc *cc, const struct cc_ack *ack)
{
    struct cubic *cubic = cubic_of(cc);
    uint32_t left = ack->acked;

    if (ack->rtt > 0)
        cubic->min_rtt = min_u64(cubic->min_rtt, ack->rtt);
    if (cc_in_slow_start(cc))
        left = hystart_on_ack(&cubic->hystart, cc, ack);
    if (!ack->limited && !ack->held)
        pass_over(cubic, ack->now - cubic->seen, ack->now);
    cubic->seen = ack->now;
    if (!ack->limited)
        return;
    if (cc_in_slow_start(cc))
        left = cc_slow_start(cc, left);
    if (left > 0)
        congestion_avoidance(cc, left, ack->now);
}

/*
 * Section 4.6: 0.7 of the window. RFC 8511 section 3: 0.85 for a mark, in congestion avoidance.
 * Section 4.7, fast convergence: a W_max below the last one means that somebody needs room, so less
 * of it is asked for: W_max = cwnd * (1 + beta) / 2.
 * Section 4.8: after a time-out the window grows as if there had been no W_max.
 */
static uint32_t on_congestion(struct cc *cc, enum cc_signal signal, uint32_t in_flight,
                              utcp_time now)
{
    struct cubic *cubic = cubic_of(cc);
    struct epoch *epoch = &cubic->epoch;
    bool gently = signal == CC_ECN && cc->options.abe && !cc_in_slow_start(cc);

    (void)in_flight;
    (void)now;
    cubic->before = *epoch;
    epoch->running = false;
    if (signal == CC_TIMEOUT)
        epoch->w_max = 0;
    else if (cc->cwnd < epoch->w_max)
        epoch->w_max = (uint32_t)((uint64_t)cc->cwnd * 17 / 20);
    else
        epoch->w_max = cc->cwnd;
    return gently ? cc_part_of_cwnd(cc, 85, 100) : cc_part_of_cwnd(cc, 7, 10);
}

/* Section 4.9: all variables are what they were before. */
static void undo(struct cc *cc)
{
    struct cubic *cubic = cubic_of(cc);

    cubic->epoch = cubic->before;
}

static void after_idle(struct cc *cc, uint64_t idle, utcp_time now)
{
    pass_over(cubic_of(cc), idle, now);
}

const struct cc_ops cc_cubic = {
    .name = "cubic",
    .start = start,
    .on_ack = on_ack,
    .on_congestion = on_congestion,
    .undo = undo,
    .after_idle = after_idle,
};
