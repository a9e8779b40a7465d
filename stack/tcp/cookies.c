/* SPDX-License-Identifier: MIT */
/*
 * SYN cookies, RFC 4987 section 3.6: when too many SYNs wait for their ACKs, the SYN-ACK itself
 * remembers. Its sequence number is a code that only we could have made for these addresses, this
 * minute and the peer's number, and it holds the class of the peer's MSS. The ACK brings it back, and
 * with it the connection begins as if its SYN had just come; until then it has taken no memory.
 *
 * Of the options only the MSS has room in it. What else was agreed goes into the low bits of our
 * timestamp, whose echo comes back with the ACK; so a peer without timestamps gets none of them. All as
 * Linux does it, but for the classes, of which there are more here.
 */
#include "stack.h"
#include "tcp/tcb.h"

#define SALT_PEER 4
#define SALT_MINUTE 5

#define MINUTE (60 * UTCP_SEC)
#define MINUTES_VALID 2 /* this one and the one before */
#define MINUTE_SHIFT 24
#define CODE_MASK ((UINT32_C(1) << MINUTE_SHIFT) - 1)

/* What the low bits of a timestamp hold. */
enum {
    WSCALE_BITS = 15, /* 15 itself: none */
    SACK_BIT = 16,
    ECN_BIT = 32,
    TIME_BITS = 63,
};

/* What links have: none of them greater than what the peer announced. */
static const uint16_t classes[] = {MSS_LEAST, 216, 536, 1024, 1300, 1440, 1460, 8960};

#define CLASSES (sizeof(classes) / sizeof(classes[0]))

static uint32_t class_of(uint32_t mss)
{
    uint32_t i = CLASSES - 1;

    while (i > 0 && classes[i] > mss)
        i--;
    return i;
}

static uint32_t minute(const struct utcp_stack *stack)
{
    return (uint32_t)(stack->now / MINUTE);
}

/* Keeps the numbers of one peer's connections apart in each minute, as those of RFC 6528. */
static uint32_t base(const struct utcp_stack *stack, const struct tcp_segment *segment, tcp_seq irs)
{
    return (uint32_t)stack_hash_tuple(stack, &segment->dst, &segment->src, SALT_PEER) + irs;
}

/* Depends on all that must come back unchanged, so that a number beside the right one is no better than
 * any other. */
static uint32_t code(const struct utcp_stack *stack, const struct tcp_segment *segment, tcp_seq irs,
                     uint32_t at_minute)
{
    uint64_t salt = SALT_MINUTE | (uint64_t)(at_minute & CODE_MASK) << 8 | (uint64_t)irs << 32;

    return (uint32_t)stack_hash_tuple(stack, &segment->dst, &segment->src, salt);
}

tcp_seq cookie_make(const struct utcp_stack *stack, const struct tcp_segment *syn, uint32_t mss)
{
    uint32_t now = minute(stack);

    return base(stack, syn, syn->seq) + (now << MINUTE_SHIFT) +
           ((code(stack, syn, syn->seq, now) + class_of(mss)) & CODE_MASK);
}

uint32_t cookie_time(const struct utcp_conn *conn)
{
    uint32_t now = timestamps_now(conn);
    uint32_t options = conn->wscale_ok ? conn->snd_wscale : WSCALE_BITS;
    uint32_t time;

    options |= conn->sack_ok ? SACK_BIT : 0;
    options |= conn->ecn.ok ? ECN_BIT : 0;
    time = (now & ~(uint32_t)TIME_BITS) | options;
    /* Never from the future: the clock must not seem to go back with the next segment. */
    return seq_gt(time, now) ? time - (TIME_BITS + 1) : time;
}

/* Which class an ACK's number is the code of; CLASSES = of none. */
static uint32_t find_class(const struct utcp_stack *stack, const struct tcp_segment *ack)
{
    tcp_seq irs = ack->seq - 1;
    uint32_t rest = ack->ack - 1 - base(stack, ack, irs);
    uint32_t age = (minute(stack) - (rest >> MINUTE_SHIFT)) & UINT8_MAX;
    uint32_t found;

    if (age >= MINUTES_VALID)
        return CLASSES;
    found = (rest - code(stack, ack, irs, minute(stack) - age)) & CODE_MASK;
    return found < CLASSES ? found : CLASSES;
}

/* What was agreed, from the echo. */
static void read_echo(struct tcp_segment *syn, const struct tcp_options *options)
{
    uint32_t echo = options->ts_echo;

    syn->options.has_timestamps = true;
    syn->options.ts_value = options->ts_value;
    syn->options.has_wscale = (echo & WSCALE_BITS) != WSCALE_BITS;
    syn->options.wscale = syn->options.has_wscale ? echo & WSCALE_BITS : 0;
    syn->options.sack_permitted = (echo & SACK_BIT) != 0;
    if ((echo & ECN_BIT) != 0)
        syn->flags |= TCP_ECE | TCP_CWR;
}

bool cookie_read(const struct utcp_stack *stack, const struct tcp_segment *ack,
                 struct tcp_segment *syn)
{
    uint32_t found = find_class(stack, ack);

    if (found == CLASSES)
        return false;
    *syn = (struct tcp_segment){
        .src = ack->src,
        .dst = ack->dst,
        .seq = ack->seq - 1,
        .flags = TCP_SYN,
        .window = ack->window,
        .options.mss = classes[found],
    };
    if (ack->options.has_timestamps && stack->settings.timestamps != 0)
        read_echo(syn, &ack->options);
    return true;
}
