/* SPDX-License-Identifier: MIT */
#ifndef TCP_PLAN_H
#define TCP_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/seq.h"

struct utcp_conn;

/* A segment to send: len bytes from seq on, and TCP_* flags. */
struct plan {
    tcp_seq seq;
    uint32_t len;
    uint8_t flags;
};

/* What goes next; false = nothing now. */
bool plan_next(struct utcp_conn *conn, struct plan *plan);

/* A bare ACK; false when none is due. */
bool plan_ack(const struct utcp_conn *conn, struct plan *plan);

/* The number that a segment without text has. */
tcp_seq plan_bare_seq(const struct utcp_conn *conn);

/* How much text a segment has room for now, bytes: SACK blocks take theirs from it. */
uint32_t plan_payload(const struct utcp_conn *conn);

#endif
