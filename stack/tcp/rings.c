/* SPDX-License-Identifier: MIT */
/*
 * The memory of send and receive buffers. A connection has some while it holds bytes, and a little longer: most
 * connections are idle most of the time, and of thousands only a few need any.
 *
 * As long as no more than a few have memory they keep it. Else who becomes empty gives it back at once, unless it has
 * grown large, for then it streams. Those stand in a queue with all others: when one more joins, the first in the
 * queue are looked at, as a clock's hand would; what is empty is taken away, who holds bytes goes to the end. So the
 * work is the same among ten thousand.
 *
 * What was given back, and what a closed connection leaves, is kept for the next one, the last first: it is in the
 * processor's cache still, and to have the kernel take pages away and bring others is dearer than to fill them. In
 * quiet times the user gives all that to the kernel (utcp_trim()).
 */
#include "stack.h"
#include "tcp/tcb.h"

#define HOLDERS_USUALLY 64
#define LOOKED_AT 2

#define STREAM_BYTES (256 * 1024)    /* a larger ring is one of a connection that streams */
#define SPARE_BYTES_MOST (32u << 20) /* of all that are kept for the next */

static void remove_spare(struct spare_rings *spare, size_t i)
{
    spare->bytes -= spare->rings[i].size;
    spare->count--;
    memmove(&spare->rings[i], &spare->rings[i + 1], (spare->count - i) * sizeof(spare->rings[0]));
}

uint8_t *rings_alloc(struct utcp_stack *stack, size_t size)
{
    struct spare_rings *spare = &stack->spare_rings;

    for (size_t i = spare->count; i-- > 0;) {
        uint8_t *memory = spare->rings[i].memory;

        if (spare->rings[i].size != size)
            continue;
        remove_spare(spare, i);
        return memory;
    }
    return stack_alloc(stack, size);
}

static void free_oldest(struct utcp_stack *stack)
{
    struct spare_rings *spare = &stack->spare_rings;

    stack_free(stack, spare->rings[0].memory, spare->rings[0].size);
    remove_spare(spare, 0);
}

void rings_free(struct utcp_stack *stack, uint8_t *memory, size_t size)
{
    struct spare_rings *spare = &stack->spare_rings;

    if (memory == NULL)
        return;
    if (size > SPARE_BYTES_MOST) {
        stack_free(stack, memory, size);
        return;
    }
    while (spare->count == SPARE_RINGS_MAX || spare->bytes + size > SPARE_BYTES_MOST)
        free_oldest(stack);
    spare->rings[spare->count++] = (struct spare_ring){memory, size};
    spare->bytes += size;
}

size_t utcp_spare_bytes(const struct utcp_stack *stack)
{
    return stack->spare_rings.bytes;
}

void utcp_trim(struct utcp_stack *stack)
{
    while (stack->spare_rings.count > 0)
        free_oldest(stack);
}

static void drop(struct utcp_conn *conn, struct ring *ring)
{
    if (ring == &conn->snd_buf)
        conn->stack->send_ring_bytes -= ring->size;
    rings_free(conn->stack, ring->data, ring->size);
    *ring = (struct ring){0};
}

static void give_back(struct utcp_conn *conn)
{
    if (conn->pins > 0)
        return;
    if (conn->snd_buf.len == 0 && !conn->snd_lent) {
        drop(conn, &conn->snd_buf);
        chunks_trim(conn);
        flight_trim(conn);
    }
    if (conn->rcv_buf.len == 0 && conn->out_of_order.count == 0) {
        drop(conn, &conn->rcv_buf);
        reassembly_trim(conn);
    }
}

static void join(struct utcp_conn *conn)
{
    list_append(&conn->stack->holders, &conn->holder_link);
    conn->stack->holder_count++;
}

static void leave(struct utcp_conn *conn)
{
    list_remove(&conn->holder_link);
    conn->stack->holder_count--;
}

static bool holds(const struct utcp_conn *conn)
{
    return conn->snd_buf.data != NULL || conn->rcv_buf.data != NULL;
}

void rings_review(struct utcp_conn *conn)
{
    if (conn->stack->holder_count <= HOLDERS_USUALLY || !list_linked(&conn->holder_link) ||
        conn->snd_buf.size > STREAM_BYTES || conn->rcv_buf.size > STREAM_BYTES)
        return;
    give_back(conn);
    if (!holds(conn))
        leave(conn);
}

void rings_hold(struct utcp_conn *conn)
{
    struct utcp_stack *stack = conn->stack;

    if (list_linked(&conn->holder_link))
        return;
    join(conn);
    for (int i = 0; i < LOOKED_AT && stack->holder_count > HOLDERS_USUALLY; i++) {
        struct utcp_conn *first =
            list_entry(list_first(&stack->holders), struct utcp_conn, holder_link);

        give_back(first);
        leave(first);
        if (holds(first))
            join(first);
    }
}

void rings_release(struct utcp_conn *conn)
{
    drop(conn, &conn->snd_buf);
    drop(conn, &conn->rcv_buf);
    if (list_linked(&conn->holder_link))
        leave(conn);
}
