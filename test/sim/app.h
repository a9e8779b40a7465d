/* SPDX-License-Identifier: MIT */
/* The programs: each writes, reads and ends its connection in its own way. */
#ifndef SIM_APP_H
#define SIM_APP_H

#include "base/seq.h"
#include "cuts.h"
#include "rng.h"
#include "utcp.h"

struct world;

enum ending {
    END_HALF_CLOSE, /* shuts sending when all is written, reads to the end, closes */
    END_AFTER_PEER, /* waits for the end of the peer's data before it ends its own */
    END_CLOSE,      /* closes when all is written, read or not */
    END_ABORT,      /* aborts when so many bytes have gone either way, or so much time */
};

/*
 * write_most, read_most       bytes of one call at most
 * write_pause, read_pause     permille of calls that are followed by a pause, at most pause_ns
 * lazy                        permille of calls that copy now and commit later
 * shut_rd_bytes               after so many bytes it shuts receiving
 * snd_buf, rcv_buf, maxseg    options of the socket, 0 = they are left alone
 * congestion                  the algorithm, NULL = the host's
 */
struct plan {
    enum ending ending;
    uint64_t to_send;
    uint64_t write_most, read_most;
    uint64_t write_pause, read_pause, lazy;
    utcp_time pause_ns, start_ns, first_read_ns;
    uint64_t abort_bytes;
    utcp_time abort_ns;
    uint64_t shut_rd_bytes;
    uint64_t snd_buf, rcv_buf, maxseg;
    enum utcp_mtu_discover mtu_discover;
    const char *congestion;
    bool nodelay;
};

/*
 * conn is NULL before the program has opened its connection and after it has let it go (done).
 * to_commit_* are bytes copied whose commit is put off until a wake-up that is due at commit_at_*.
 */
struct app {
    struct world *world;
    struct pair *pair;
    struct rng rng;
    int host;
    struct utcp_conn *conn;
    struct plan plan;
    uint64_t sent, received;
    uint64_t to_commit_sent, to_commit_read;
    utcp_time next_write, next_read, commit_write, commit_read, wake_at;
    utcp_time retry_at;
    bool connected, shut, shut_rd, eof, done;
    utcp_time done_at;
    int error;
};

/*
 * Two programs and their connection. apps[] are by host; that of a listener's side is NULL until
 * the connection is accepted. When polite, neither ends the connection before the other has all,
 * and no byte may be lost and no error told.
 *
 * iss       of each host's SYN, by which an incarnation of a connection is known
 * next      a pair that uses the same ports again when this one is done, NULL = none; and back
 * reneged   a host has dropped what it had told by SACK
 * pause_ns  how long after its predecessor it begins
 */
struct pair {
    int index;
    int opener;
    bool simultaneous, polite, reneged;
    uint16_t ports[2]; /* by host; 0 = not known yet */
    uint32_t patterns[2];
    tcp_seq iss[2];
    struct plan plans[2];
    struct app *apps[2];
    struct pair *previous, *next;
    utcp_time pause_ns;
};

/* What a program writes: a byte that depends on the place, so that nothing out of place, missing or
 * doubled can look right. */
static inline uint8_t pattern_byte(uint32_t pattern, uint64_t at)
{
    return (uint8_t)((at + pattern) * UINT64_C(0x9e3779b97f4a7c15) >> 56);
}

/* Draws how the two programs of a pair behave; most is about how many bytes they may exchange. */
void pair_draw(struct pair *pair, struct rng *rng, uint64_t most, const struct cuts *cuts);

/* The programs of a pair that open a connection begin. */
void pair_begin(struct world *world, struct pair *pair);

/* True when a pair has begun, and both of its programs have come to their end. */
bool pair_done(const struct pair *pair);

/* The program of a pair on a host begins; with conn NULL it opens the connection when its time has
 * come. */
struct app *app_begin(struct world *world, struct pair *pair, int host, struct utcp_conn *conn);

/* Goes on with what it can do now: after an event of its connection, or when it wanted to wake. */
void app_run(struct app *app);

/* The sentence that is not true of what the programs of a pair have got at the end. */
const char *pair_check_end(const struct pair *pair);

#endif
