/* SPDX-License-Identifier: MIT */
/*
 * A naive scoreboard: every transmission of a host as it was seen on the wire, one after the other, and never
 * merged, cut or moved. The stack's own (tcp/flight.h) is held against it after every event.
 */
#ifndef SIM_BOARD_H
#define SIM_BOARD_H

#include <stddef.h>

#include "wire/tcp.h"

struct utcp_conn;

/* [from, to) was sent at that time, on the host's clock; a FIN counts. */
struct transmission {
    tcp_seq from, to;
    utcp_time at;
};

struct board {
    struct transmission *sent;
    size_t count, room;
    size_t turn; /* whose time is looked at next */
};

/* A segment leaves the host. */
void board_note(struct board *board, const struct tcp_segment *segment, utcp_time now);

/* Forgets what is acknowledged, and returns the sentence that is not true of the connection's scoreboard, NULL = all
 * are. */
const char *board_check(struct board *board, const struct utcp_conn *conn);

void board_free(struct board *board);

#endif
