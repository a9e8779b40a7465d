/* SPDX-License-Identifier: MIT */
#include "settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cc/hystart.h"
#include "stack.h"
#include "world.h"

/* The settings to change: of the configuration to be, or of the stack. */
static struct utcp_settings *settings;
static const char **congestion;
static long read_bytes; /* of the file */

/* ---- sysctls ---- */

/* A sysctl that is one setting, in another unit. */
struct number {
    const char *name;
    size_t offset; /* in struct utcp_settings */
    uint64_t unit;
};

#define NUMBER(name, setting, unit)                         \
    {                                                       \
        name, offsetof(struct utcp_settings, setting), unit \
    }

static const struct number numbers[] = {
    NUMBER("tcp_dsack", dsack, 1),
    NUMBER("tcp_ecn", ecn, 1),
    NUMBER("tcp_frto", frto, 1),
    NUMBER("tcp_pacing_ss_ratio", pacing_ss_ratio, 1),
    NUMBER("tcp_pacing_ca_ratio", pacing_ca_ratio, 1),
    NUMBER("tcp_recovery", rack, 1),
    NUMBER("tcp_reordering", reordering, 1),
    NUMBER("tcp_sack", sack, 1),
    NUMBER("tcp_timestamps", timestamps, 1),
    NUMBER("tcp_syncookies", syncookies, 1),
    NUMBER("tcp_min_tso_segs", burst, 1),
    NUMBER("tcp_notsent_lowat", notsent_lowat, 1),
    NUMBER("tcp_slow_start_after_idle", slow_start_after_idle, 1),
    NUMBER("tcp_syn_retries", syn_retries, 1),
    NUMBER("tcp_synack_retries", synack_retries, 1),
    NUMBER("tcp_window_scaling", window_scaling, 1),
};

/* Linux counts on half of a buffer for its own overhead; the rest is the window. */
static void set_receive_buffer(const char *value)
{
    unsigned long least, initial, most;

    if (sscanf(value, "%lu %lu %lu", &least, &initial, &most) != 3)
        return;
    settings->rcv_buf = initial / 2;
    settings->rcv_buf_max = most / 2;
}

static void set_send_buffer(const char *value)
{
    unsigned long least, initial, most;

    if (sscanf(value, "%lu %lu %lu", &least, &initial, &most) != 3)
        return;
    settings->snd_buf = initial;
    settings->snd_buf_max = most;
}

static void set_congestion(const char *value)
{
    const char *name;

    for (size_t i = 0; (name = utcp_congestion_name(i)) != NULL; i++) {
        if (strcmp(name, value) == 0 && congestion != NULL)
            *congestion = name;
    }
}

/* Neither has a counterpart: they are of fast open, of pacing by a queue, or decide what is never so in
 * the scripts. */
static const char *const without_counterpart[] = {
    "tcp_fack",     "tcp_fastopen",    "tcp_fastopen_key",    "tcp_ecn_option",
    "tcp_base_mss", "tcp_mtu_probing", "tcp_tso_win_divisor",
};

static bool is_without_counterpart(const char *name)
{
    for (size_t i = 0; i < sizeof without_counterpart / sizeof *without_counterpart; i++) {
        if (strcmp(name, without_counterpart[i]) == 0)
            return true;
    }
    return false;
}

static bool set_number(const char *name, const char *value)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (strcmp(name, numbers[i].name) != 0)
            continue;
        *(uint64_t *)(void *)((char *)settings + numbers[i].offset) =
            strtoull(value, NULL, 0) * numbers[i].unit;
        return true;
    }
    return false;
}

/* The name's last part tells enough: all are below net.ipv4. */
static void set_sysctl(const char *path, const char *value)
{
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    const char *name = dot > slash ? dot + 1 : slash ? slash + 1 : path;

    if (set_number(name, value))
        return;
    if (strcmp(name, "tcp_rmem") == 0)
        set_receive_buffer(value);
    else if (strcmp(name, "tcp_wmem") == 0)
        set_send_buffer(value);
    else if (strcmp(name, "tcp_early_retrans") == 0)
        settings->tail_probe = atoi(value) >= 3;
    else if (strcmp(name, "tcp_congestion_control") == 0)
        set_congestion(value);
    else if (!is_without_counterpart(name))
        fprintf(stderr, "packetdrill adapter: sysctl %s has no counterpart\n", name);
}

/* ---- the file ---- */

/* Arguments of the form NAME=VALUE; options are skipped. */
static void read_sysctls(char *arguments)
{
    for (char *word = strtok(arguments, "\t"); word; word = strtok(NULL, "\t")) {
        char *equals = strchr(word, '=');

        if (word[0] == '-' || !equals)
            continue;
        *equals = '\0';
        set_sysctl(word, equals + 1);
    }
}

static bool has_words(const char *line, const char *words)
{
    return strstr(line, words) != NULL;
}

/* A line is a command's name and its arguments, with tabs between. */
static void read_line(char *line)
{
    char *arguments = strchr(line, '\t');

    line[strcspn(line, "\n")] = '\0';
    if (!arguments)
        return;
    *arguments++ = '\0';
    if (strcmp(line, "sysctl") == 0)
        read_sysctls(arguments);
    else if (strcmp(line, "device") == 0 && has_words(arguments, "mss\t"))
        world_device.mss_bytes = (size_t)atol(arguments + strlen("mss\t"));
    else if (strcmp(line, "ethtool") == 0 && has_words(arguments, "gso\toff"))
        world_device.no_offload = true;
    else if (strcmp(line, "tc") == 0 && has_words(arguments, "root\tfq"))
        settings->pacing = 1;
    else if (strcmp(line, "tc") == 0)
        world_device.drops = has_words(arguments, "limit\t0");
}

static void read_new_lines(void)
{
    const char *path = getenv("UTCP_PACKETDRILL_SETUP");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[1024];

    if (!file)
        return;
    fseek(file, read_bytes, SEEK_SET);
    while (fgets(line, sizeof line, file))
        read_line(line);
    read_bytes = ftell(file);
    fclose(file);
}

void settings_begin(struct utcp_config *config)
{
    utcp_settings_init(&config->settings);
    config->settings.hystart = HYSTART_LINUX; /* the default is of a later RFC */
    config->settings.abe = 0;                 /* ... that Linux has not */
    settings = &config->settings;
    congestion = &config->congestion;
    read_bytes = 0;
    read_new_lines();
    congestion = NULL;
    settings = NULL;
}

void settings_refresh(struct utcp_stack *stack)
{
    if (!stack)
        return;
    settings = &stack->settings;
    read_new_lines();
}
