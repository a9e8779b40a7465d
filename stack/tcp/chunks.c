/* SPDX-License-Identifier: MIT */
#include "tcp/chunks.h"

#include "stack.h"
#include "tcp/tcb.h"

/* What Linux counts for a packet beside its bytes, struct sk_buff and a head: so much up to 6.2, and about
 * two thirds since. */
#define CHUNK_COST 1280

#define CAPACITY_LEAST 8

static struct chunk *chunk_at(const struct chunks *chunks, uint32_t i)
{
    return &chunks->items[(chunks->first + i) & (chunks->capacity - 1)];
}

static struct chunk *last_chunk(const struct chunks *chunks)
{
    return chunks->count > 0 ? chunk_at(chunks, chunks->count - 1) : NULL;
}

/* ---- memory ---- */

static bool grow(struct utcp_conn *conn)
{
    struct chunks *chunks = &conn->chunks;
    uint32_t capacity = chunks->capacity > 0 ? 2 * chunks->capacity : CAPACITY_LEAST;
    struct chunk *items = stack_alloc(conn->stack, capacity * sizeof(*items));

    if (items == NULL)
        return false;
    for (uint32_t i = 0; i < chunks->count; i++)
        items[i] = *chunk_at(chunks, i);
    if (chunks->items != NULL)
        stack_free(conn->stack, chunks->items, chunks->capacity * sizeof(*items));
    chunks->items = items;
    chunks->capacity = capacity;
    chunks->first = 0;
    return true;
}

void chunks_start(struct utcp_conn *conn, tcp_seq seq)
{
    conn->chunks.count = conn->chunks.records = 0;
    conn->chunks.pushed = seq;
}

void chunks_free(struct utcp_conn *conn)
{
    struct chunks *chunks = &conn->chunks;

    if (chunks->items != NULL)
        stack_free(conn->stack, chunks->items, chunks->capacity * sizeof(*chunks->items));
    *chunks = (struct chunks){0};
}

void chunks_trim(struct utcp_conn *conn)
{
    struct chunks *chunks = &conn->chunks;

    if (chunks->count > 0)
        return;
    stack_free(conn->stack, chunks->items, chunks->capacity * sizeof(*chunks->items));
    chunks->items = NULL;
    chunks->first = chunks->capacity = 0;
}

/* ---- sizes ---- */

/* A chunk's greatest size: what the device takes in one piece, but no more than half of the peer's
 * largest window, in whole segments (Linux: tcp_xmit_size_goal()). */
static uint32_t size_goal(const struct utcp_conn *conn)
{
    enum { MSS_DEFAULT = 536 };
    uint32_t most = (uint32_t)conn->stack->settings.gso;
    uint32_t window = conn->snd_wnd_max > MSS_DEFAULT ? conn->snd_wnd_max / 2 : conn->snd_wnd_max;

    if (window > 0 && most > window)
        most = window;
    most -= most % conn->mss;
    return most > conn->mss ? most : conn->mss;
}

/* The bytes of the last chunk from sent on; what was sent of it counts no more. */
static uint32_t unsent_in_last(const struct utcp_conn *conn, tcp_seq sent)
{
    const struct chunks *chunks = &conn->chunks;
    tcp_seq start = chunks->count > 1 ? chunk_at(chunks, chunks->count - 2)->end : conn->snd_una;

    if (chunks->count == 0 || seq_le(last_chunk(chunks)->end, sent))
        return 0;
    return last_chunk(chunks)->end - seq_max(start, sent);
}

/* How much the last chunk takes; one that was sent, or is a record, takes no more. */
static uint32_t room_in_last(const struct utcp_conn *conn, tcp_seq sent)
{
    const struct chunk *last = last_chunk(&conn->chunks);
    uint32_t goal = size_goal(conn);
    uint32_t unsent = unsent_in_last(conn, sent);

    if (last == NULL || last->record || unsent == 0 || unsent >= goal)
        return 0;
    return goal - unsent;
}

size_t chunks_cost(const struct utcp_conn *conn)
{
    return conn->snd_buf.len + (size_t)conn->chunks.count * CHUNK_COST;
}

uint64_t chunks_unsent_limit(const struct utcp_conn *conn)
{
    return conn->notsent_lowat > 0 ? conn->notsent_lowat : conn->stack->settings.notsent_lowat;
}

/* How many steps it takes to get from a number to the other. */
static uint64_t steps(uint64_t from, uint64_t to, uint64_t step)
{
    return from < to ? (to - from - 1) / step + 1 : 0;
}

/* How many new chunks may be begun: Linux's sk_stream_memory_free(). */
static size_t new_chunks(const struct utcp_conn *conn, size_t cost, size_t unsent)
{
    size_t goal = size_goal(conn);
    uint64_t by_cost = steps(cost, conn->snd_limit, goal + CHUNK_COST);
    uint64_t by_unsent = steps(unsent, chunks_unsent_limit(conn), goal);

    return by_cost < by_unsent ? by_cost : by_unsent;
}

size_t chunks_room(const struct utcp_conn *conn)
{
    size_t last = room_in_last(conn, conn->snd_nxt);
    size_t unsent = snd_end(conn) - conn->snd_nxt + last;

    return last + new_chunks(conn, chunks_cost(conn) + last, unsent) * size_goal(conn);
}

/* ---- writing ---- */

/* Without memory for another chunk the last one takes it all. */
static void begin_chunk(struct utcp_conn *conn, tcp_seq start)
{
    struct chunks *chunks = &conn->chunks;

    if (chunks->count == chunks->capacity && !grow(conn))
        return;
    *chunk_at(chunks, chunks->count++) = (struct chunk){.end = start};
}

static void push(struct chunks *chunks)
{
    struct chunk *last = last_chunk(chunks);

    last->push = true;
    chunks->pushed = last->end;
}

/* Where snd_nxt will be when output has sent what the windows allow of the bytes before end. */
static tcp_seq sent_soon(const struct utcp_conn *conn, tcp_seq end)
{
    uint32_t usable = tcp_usable_window(conn);

    usable -= usable % conn->mss;
    return seq_min(end, conn->snd_nxt + usable);
}

/*
 * As tcp_sendmsg_locked(): each full chunk is offered to output at once, and what that has sent of it
 * makes room in it; so the next chunk begins a full size behind what is sent, and not behind what was
 * written before. Half the peer's window is pushed without waiting for the end of the write.
 */
void chunks_append(struct utcp_conn *conn, uint32_t len, unsigned flags)
{
    struct chunks *chunks = &conn->chunks;
    tcp_seq sent = conn->snd_nxt, at = snd_end(conn) - len;

    while (len > 0) {
        uint32_t room = room_in_last(conn, sent);
        uint32_t part;

        if (room == 0) {
            begin_chunk(conn, at);
            room = size_goal(conn);
        }
        if (chunks->count == 0)
            return;
        part = len < room ? len : room;
        at = last_chunk(chunks)->end = at + part;
        len -= part;
        if (seq_gt(at, chunks->pushed + conn->snd_wnd_max / 2))
            push(chunks);
        if (len > 0)
            sent = seq_max(sent, sent_soon(conn, at));
    }
    if ((flags & UTCP_SEND_MORE) == 0)
        push(chunks);
    if ((flags & UTCP_SEND_RECORD) != 0) {
        last_chunk(chunks)->record = true;
        chunks->records++;
    }
}

void chunks_drop(struct utcp_conn *conn)
{
    struct chunks *chunks = &conn->chunks;

    while (chunks->count > 0 && seq_le(chunk_at(chunks, 0)->end, conn->snd_una)) {
        chunks->records -= chunk_at(chunks, 0)->record;
        chunks->first = (chunks->first + 1) & (chunks->capacity - 1);
        chunks->count--;
    }
}

/* ---- sending ---- */

/* The first chunk that ends behind seq, by halving; count when none does. */
static uint32_t find(const struct chunks *chunks, tcp_seq seq)
{
    uint32_t low = 0, high = chunks->count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (seq_gt(chunk_at(chunks, middle)->end, seq))
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

tcp_seq chunks_end(const struct utcp_conn *conn, tcp_seq seq)
{
    uint32_t i = find(&conn->chunks, seq);

    return i < conn->chunks.count ? chunk_at(&conn->chunks, i)->end : snd_end(conn);
}

tcp_seq chunks_record_end(const struct utcp_conn *conn, tcp_seq seq)
{
    const struct chunks *chunks = &conn->chunks;

    if (chunks->records == 0)
        return snd_end(conn);
    for (uint32_t i = find(chunks, seq); i < chunks->count; i++) {
        if (chunk_at(chunks, i)->record)
            return chunk_at(chunks, i)->end;
    }
    return snd_end(conn);
}

bool chunks_pushed(const struct utcp_conn *conn, tcp_seq from, tcp_seq to)
{
    const struct chunks *chunks = &conn->chunks;

    for (uint32_t i = find(chunks, from); i < chunks->count; i++) {
        const struct chunk *chunk = chunk_at(chunks, i);

        if (seq_gt(chunk->end, to))
            return false;
        if (chunk->push)
            return true;
    }
    return false;
}
