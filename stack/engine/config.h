/* SPDX-License-Identifier: MIT */
#ifndef UTCP_ENGINE_CONFIG_H
#define UTCP_ENGINE_CONFIG_H

#include "impair.h"
#include "utcp.h"

#include <stdbool.h>
#include <stdint.h>

enum { CONFIG_NETS = 32, CONFIG_PATH = 512, CONFIG_MESSAGE = 512, CONFIG_NAME = 16 };

struct config_net {
    uint32_t addr, mask; /* host byte order */
};

/* What the UTCP_* variables say. */
struct config {
    char device[CONFIG_NAME]; /* a device, or the prefix of a pool */
    bool addr_set;
    uint32_t addr; /* of the stack, host byte order */
    unsigned prefix_len;
    uint32_t mtu_bytes; /* 0 = not said */
    struct config_net bypass[CONFIG_NETS];
    unsigned bypass_count;
    const char *congestion; /* NULL = the core's default */
    struct utcp_settings settings;
    bool offload;
    struct impair_config impair;
    char pcap[CONFIG_PATH]; /* empty = no capture */
    int log_level;          /* enum engine_level, -1 = nothing */
    bool summary;
    char error[CONFIG_MESSAGE];   /* what is wrong with a value, empty = nothing */
    char warning[CONFIG_MESSAGE]; /* an unknown variable, empty = none */
};

/* Fills in the defaults and then what the environment says. The first wrong value is left in
 * config->error; the others keep their defaults. Allocates nothing. */
void config_read(struct config *config, char *const *environment);

#endif
