/* SPDX-License-Identifier: MIT */
/*
 * How large the buffers are. Both begin small and grow with what the path takes, unless the program has
 * set a size; so thousands of idle connections cost little, and one over a long fat path fills it.
 *
 * The receive buffer, and with it the window, becomes twice what the program has read within a round
 * trip: that is what the sender needs to double its own window in slow start. This is Linux's dynamic
 * right-sizing (tcp_rcv_space_adjust()). Who only receives has no ACKs to measure the round trip by: the
 * peer's echo of our timestamps tells it, or without timestamps the time that a window of data takes.
 *
 * The send buffer follows twice the congestion window (tcp_sndbuf_expand()): one flight waits for its
 * ACKs while the next is written.
 *
 * Only a call of the user's grows a ring, the one that begins to write or ends a read, as no slice of it
 * is in the user's hands then. A packet on its way out may still point into the send ring that was.
 */
#include "stack.h"
#include "tcp/tcb.h"

#define BUFFER_LEAST 256

/* Linux counts what a segment costs in memory: struct sk_buff, and headers and struct skb_shared_info
 * beside the payload, together rounded up to a power of two. */
#define SEGMENT_COST 256
#define SEGMENT_OVERHEAD 640

#define SEGMENTS_LEAST 10

/* Linux's usual bound of a send buffer (tcp_wmem), here of all together, what each may have anyway, and twice what
 * a link of 100 Gbit/s holds for each nanosecond of the round trip. */
#define SEND_USUALLY (4u << 20)
#define SEND_EACH (512u << 10)
#define BYTES_EACH_NS 25

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* ---- rings ---- */

/* An edge that is promised may be rounded up to the next unit of the window field: tcp_advertise(). */
static size_t receive_ring_size(const struct utcp_conn *conn, uint32_t limit)
{
    return ring_size_for((size_t)limit + (2u << conn->rcv_wscale));
}

/* What the peer was promised has room, even if the user has set less since. */
bool buffers_allocate_receive(struct utcp_conn *conn)
{
    uint32_t promised = conn->rcv_adv - conn->rcv_nxt;
    size_t size = receive_ring_size(conn, max_u32(conn->rcv_limit, promised));
    uint8_t *memory;

    if (conn->rcv_buf.data != NULL)
        return true;
    memory = rings_alloc(conn->stack, size);
    if (memory == NULL)
        return false;
    ring_init(&conn->rcv_buf, memory, size);
    rings_hold(conn);
    return true;
}

/* All that is there, in order and beyond holes. */
static size_t received_span(const struct utcp_conn *conn)
{
    const struct ranges *set = &conn->out_of_order;

    if (set->count == 0)
        return conn->rcv_buf.len;
    return conn->rcv_buf.len + (set->items[set->count - 1].to - conn->rcv_nxt);
}

/* Without memory the buffer stays as it is. */
static void grow_receive(struct utcp_conn *conn)
{
    size_t size = receive_ring_size(conn, conn->rcv_wanted), old = conn->rcv_buf.size;
    uint8_t *memory, *before = conn->rcv_buf.data;

    if (size > old && conn->pins > 0)
        return; /* somebody may be writing there: another time */
    if (size > old && before != NULL) {
        memory = rings_alloc(conn->stack, size);
        if (memory == NULL) {
            conn->rcv_wanted = conn->rcv_limit;
            return;
        }
        ring_move(&conn->rcv_buf, memory, size, received_span(conn));
        rings_free(conn->stack, before, old);
    }
    conn->rcv_limit = conn->rcv_wanted;
}

void buffers_free_retired(struct utcp_conn *conn)
{
    if (conn->snd_retired == NULL || conn->pins > 0)
        return;
    rings_free(conn->stack, conn->snd_retired, conn->snd_retired_bytes);
    conn->snd_retired = NULL;
}

/* As Linux, a chunk that is begun while there is room may be filled beyond the limit. */
bool buffers_allocate_send(struct utcp_conn *conn)
{
    size_t most = conn->snd_buf.len + chunks_room(conn);
    size_t size = ring_size_for(most > conn->snd_limit ? most : conn->snd_limit);
    size_t old = conn->snd_buf.size;
    uint8_t *memory;

    if (size <= old || conn->snd_retired != NULL)
        return true;
    memory = rings_alloc(conn->stack, size);
    if (memory == NULL) {
        conn->snd_limit = old > 0 && old < conn->snd_limit ? (uint32_t)old : conn->snd_limit;
        return old > 0;
    }
    conn->stack->send_ring_bytes += size - old;
    conn->snd_retired = conn->snd_buf.data;
    conn->snd_retired_bytes = old;
    ring_move(&conn->snd_buf, memory, size, conn->snd_buf.len);
    buffers_free_retired(conn);
    rings_hold(conn);
    return true;
}

void buffers_free_unused(struct utcp_conn *conn)
{
    if (conn->user != NULL || conn->state != TCP_TIME_WAIT || conn->pins > 0)
        return;
    rings_release(conn);
}

void buffers_rewind(struct utcp_conn *conn)
{
    if (conn->rcv_buf.len == 0 && conn->out_of_order.count == 0 && conn->pins == 0)
        ring_rewind(&conn->rcv_buf);
}

bool buffers_expect(const struct utcp_conn *conn, struct utcp_slice *space)
{
    size_t window = conn->rcv_adv - conn->rcv_nxt;
    struct utcp_slice slices[2];

    if (conn->rcv_buf.data == NULL || conn->out_of_order.count > 0 || window == 0)
        return false;
    ring_slices(&conn->rcv_buf, conn->rcv_buf.len, window, slices);
    *space = slices[0];
    return slices[1].len == 0 || slices[0].len >= IPV4_MOST;
}

/* ---- the receive buffer ---- */

uint32_t buffers_largest_window(const struct utcp_conn *conn)
{
    uint32_t most = (uint32_t)conn->stack->settings.rcv_buf_max;

    return conn->rcv_fixed ? conn->rcv_limit : max_u32(conn->rcv_limit, most);
}

/* Linux: tcp_rcv_rtt_update(). What a window's worth took is never less than the round trip. */
static void note_round_trip(struct receive_tuning *tuning, uint64_t sample, bool by_window)
{
    if (tuning->rtt == 0 || (by_window && sample < tuning->rtt))
        tuning->rtt = sample;
    else if (!by_window)
        tuning->rtt += sample / 8 - tuning->rtt / 8;
}

/* The first full segment with a new echo: what it answers left us one round trip ago. */
static void measure_by_echo(struct utcp_conn *conn, const struct tcp_segment *segment)
{
    struct receive_tuning *tuning = &conn->rcv_tuning;
    uint64_t sample = timestamps_rtt(conn, &segment->options);

    if (sample == 0 || segment->options.ts_echo == tuning->last_echo ||
        segment->payload_len < conn->rcv_mss)
        return;
    tuning->last_echo = segment->options.ts_echo;
    note_round_trip(tuning, sample, false);
}

static void measure_by_window(struct utcp_conn *conn)
{
    struct receive_tuning *tuning = &conn->rcv_tuning;

    if (tuning->window_since != 0 && seq_lt(conn->rcv_nxt, tuning->window_end))
        return;
    if (tuning->window_since != 0)
        note_round_trip(tuning, conn->stack->now - tuning->window_since, true);
    tuning->window_end = conn->rcv_adv;
    tuning->window_since = conn->stack->now;
}

void buffers_on_text(struct utcp_conn *conn, const struct tcp_segment *segment)
{
    if (conn->timestamps_ok)
        measure_by_echo(conn, segment);
    else
        measure_by_window(conn);
}

/* Twice what is read in a round trip, some segments for the ACKs' coarseness, and as much again as the
 * reading has grown by. */
static uint64_t window_for(const struct utcp_conn *conn, uint64_t read)
{
    uint64_t before = conn->rcv_tuning.most;
    uint64_t window = 2 * read + 16 * (uint64_t)conn->mss;

    return window + 2 * window * (read - before) / before;
}

void buffers_on_read(struct utcp_conn *conn)
{
    struct receive_tuning *tuning = &conn->rcv_tuning;
    uint64_t total = conn->count.bytes_received - conn->rcv_buf.len;
    uint64_t most = conn->stack->settings.rcv_buf_max, read = total - tuning->read_before;

    if (tuning->rtt != 0 && conn->stack->now - tuning->since >= tuning->rtt) {
        if (read > tuning->most && !conn->rcv_fixed && conn->rcv_wanted < most)
            conn->rcv_wanted =
                max_u32(conn->rcv_wanted, (uint32_t)min_u64(window_for(conn, read), most));
        if (read > tuning->most)
            tuning->most = read;
        tuning->read_before = total;
        tuning->since = conn->stack->now;
    }
    if (conn->rcv_wanted > conn->rcv_limit)
        grow_receive(conn);
}

/* Once the shift count is chosen the window field must be able to say more than "closed"; and the window
 * of our SYN is noted nowhere until it is answered, so it stays. */
void buffers_set_receive(struct utcp_conn *conn, uint32_t bytes)
{
    uint32_t least = conn->state == TCP_SYN_SENT ? conn->rcv_limit : 2u << conn->rcv_wscale;

    conn->rcv_wanted = max_u32(bytes, max_u32(least, BUFFER_LEAST));
    conn->rcv_fixed = true;
    if (conn->rcv_buf.data == NULL || conn->rcv_wanted < conn->rcv_limit)
        conn->rcv_limit = conn->rcv_wanted;
}

/* ---- the send buffer ---- */

static uint32_t segment_cost(const struct utcp_conn *conn)
{
    return (uint32_t)ring_size_for(conn->mss + SEGMENT_OVERHEAD) + SEGMENT_COST;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* More than what is usual helps on long paths only. On short ones it takes the bytes out of the processor's caches
 * before they are sent, and all connections share these. */
static uint64_t send_most(const struct utcp_conn *conn)
{
    uint64_t path = min_u64(conn->rtt.min, UTCP_SEC) * BYTES_EACH_NS;
    uint64_t others = conn->stack->send_ring_bytes - conn->snd_buf.size;
    uint64_t rest = others < SEND_USUALLY ? SEND_USUALLY - others : 0;

    return min_u64(conn->stack->settings.snd_buf_max, max_u64(path, max_u64(rest, SEND_EACH)));
}

static void expand_send(struct utcp_conn *conn)
{
    uint32_t segments = max_u32(conn->cc.cwnd / conn->mss, SEGMENTS_LEAST);
    uint64_t wanted, most = send_most(conn);

    segments = max_u32(segments, conn->recovery.reordering + 1);
    wanted = min_u64(2 * (uint64_t)segments * segment_cost(conn), most);
    conn->snd_limit = max_u32(conn->snd_limit, (uint32_t)wanted);
}

/* What will be in flight when output has sent what the peer's window allows. */
static uint64_t flight_soon(const struct utcp_conn *conn)
{
    uint32_t unsent = snd_end(conn) - seq_min(conn->snd_nxt, snd_end(conn));
    uint32_t used = outstanding(conn);
    uint32_t room = used < conn->snd_wnd ? conn->snd_wnd - used : 0;

    return (uint64_t)in_flight(conn) + (unsent < room ? unsent : room);
}

/* A program that waits for room while the congestion window has some is held up by the buffer. As Linux,
 * also when it is the peer's window that leaves the congestion window unused. */
void buffers_on_ack(struct utcp_conn *conn)
{
    if (!conn->snd_fixed && (conn->told & UTCP_OUT) == 0 && flight_soon(conn) < conn->cc.cwnd)
        expand_send(conn);
}

void buffers_set_send(struct utcp_conn *conn, uint32_t bytes)
{
    conn->snd_limit = max_u32(bytes, BUFFER_LEAST);
    conn->snd_fixed = true;
    stack_want_tell(conn);
}

/* ---- */

void buffers_start(struct utcp_conn *conn)
{
    uint32_t window = conn->rcv_adv - conn->rcv_nxt, first = SEGMENTS_LEAST * conn->mss;

    conn->rcv_tuning.since = conn->stack->now;
    conn->rcv_tuning.most = window < first ? max_u32(window, 1) : first;
    if (!conn->snd_fixed)
        expand_send(conn);
}
