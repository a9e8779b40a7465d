/* SPDX-License-Identifier: MIT */
/* What is left out of a seed: so a run that fails is cut down to what it takes to fail. */
#ifndef SIM_CUTS_H
#define SIM_CUTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "utcp.h"

#define PAIRS_MAX 128

/* All that can be left out, beside connections and bytes: X(name, text). */
#define FAULTS(X)                                                \
    X(loss, "random losses")                                     \
    X(bursts, "losses in bursts")                                \
    X(duplicates, "packets that come twice")                     \
    X(corruption, "inverted bits")                               \
    X(overtaking, "packets that overtake others")                \
    X(jitter, "delays that vary")                                \
    X(delay, "the delay of the lines")                           \
    X(rate, "the rate of the lines, and their queues")           \
    X(marks, "congestion marks")                                 \
    X(outages, "lines that are down now and then")               \
    X(death, "a line that dies for good")                        \
    X(path_mtu, "routers with a narrow way on")                  \
    X(device_mtu, "devices whose MTU changes")                   \
    X(windows, "a box on the way that keeps windows small")      \
    X(odd_mtu, "devices with another MTU than Ethernet's")       \
    X(forgery, "forged segments")                                \
    X(reneging, "receivers that drop what they have SACKed")     \
    X(uncut, "big packets")                                      \
    X(vouching, "a device's word for checksums")                 \
    X(holding, "packets that the device holds on to")            \
    X(slack, "deadlines that are noticed late")                  \
    X(memory, "allocations that fail")                           \
    X(closing, "listeners that close early")                     \
    X(backlog, "short backlogs, and accepting late")             \
    X(reuse, "ports that are used again")                        \
    X(crossing, "SYNs that cross")                               \
    X(options, "options of sockets")                             \
    X(pauses, "programs that pause")                             \
    X(laziness, "programs that commit later")                    \
    X(congestion, "another congestion control than the default") \
    X(wraparound, "sequence numbers that go through 0 soon")

enum fault {
#define FAULT_ENUM(name, text) FAULT_##name,
    FAULTS(FAULT_ENUM)
#undef FAULT_ENUM
#define SETTING_ENUM(name, initial, least, most, unit, text) SETTING_##name,
        UTCP_SETTINGS(SETTING_ENUM)
#undef SETTING_ENUM
            CUTS
};

/* without[] has a place for each fault, and for each setting that is to have its default. bytes is
 * what a program sends at most. dropped[] tells which pairs of programs never begin. */
struct cuts {
    bool without[CUTS];
    bool dropped[PAIRS_MAX];
    uint64_t bytes;
};

/* The name of a fault or a setting, and what it is. */
const char *cut_name(unsigned cut);
const char *cut_text(unsigned cut);

/* Nothing is left out. */
void cuts_init(struct cuts *cuts);

/* Leaves out everything but what a list of names, separated by commas, tells; false = one is unknown.
 */
bool cuts_only(struct cuts *cuts, const char *names);

/* Adds what a list of names, separated by commas, leaves out; false = one is unknown. */
bool cuts_without(struct cuts *cuts, const char *names);

/* Leaves only the pairs in a list of numbers, separated by commas; false = that is none. */
bool cuts_connections(struct cuts *cuts, const char *numbers);

/* Writes the options that make these cuts; pairs there are at all. */
void cuts_print(const struct cuts *cuts, int pairs, FILE *to);

#endif
