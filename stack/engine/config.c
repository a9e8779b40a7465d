/* SPDX-License-Identifier: MIT */
/*
 * The UTCP_* variables. One table names each and its parser; a parser gets the value and returns
 * false, with a sentence in config->error, when it makes no sense. Numbers with units are parsed in
 * one place, from tables of units.
 */
#include "config.h"

#include "engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { WORD_BYTES = 128 };

struct unit {
    const char *name;
    uint64_t scale;
};

static const struct unit time_units[] = {{"ns", 1},       {"us", UTCP_USEC},    {"ms", UTCP_MSEC},
                                         {"s", UTCP_SEC}, {"m", 60 * UTCP_SEC}, {0}};

static const struct unit size_units[] = {
    {"", 1},        {"k", 1 << 10}, {"K", 1 << 10}, {"m", 1 << 20},
    {"M", 1 << 20}, {"g", 1 << 30}, {"G", 1 << 30}, {0}};

static const struct unit rate_units[] = {
    {"bit", 1}, {"kbit", 1000}, {"mbit", 1000000}, {"gbit", 1000000000}, {0}};

static const struct unit percent_units[] = {{"%", 10000}, {"", 10000}, {0}}; /* to millionths */

static const struct unit no_units[] = {{"", 1}, {0}};

__attribute__((format(printf, 2, 3))) static bool wrong(struct config *config, const char *format,
                                                        ...)
{
    va_list arguments;

    if (config->error[0])
        return false;
    va_start(arguments, format);
    vsnprintf(config->error, sizeof config->error, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- words and numbers ---- */

/* Takes the next word off *text, up to one of the separators; false = none left. */
static bool next_word(const char **text, const char *separators, char word[WORD_BYTES])
{
    size_t len;

    *text += strspn(*text, separators);
    len = strcspn(*text, separators);
    if (!len)
        return false;
    snprintf(word, WORD_BYTES, "%.*s", (int)len, *text);
    *text += len;
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The longest run of digits as a number; overflow stops at a value that is out of every range. */
static uint64_t digits(const char **text)
{
    uint64_t value = 0;

    for (; is_digit(**text); ++*text)
        value = value < UINT64_MAX / 16 ? value * 10 + (uint64_t)(**text - '0') : value;
    return value;
}

/* Reads "1.5ms": a number, perhaps with a fraction of up to six digits, and one of the units. */
static bool parse_number(const char *text, const struct unit *units, uint64_t *value)
{
    uint64_t whole, fraction = 0, divisor = 1;

    if (!is_digit(*text))
        return false;
    whole = digits(&text);
    if (*text == '.') {
        for (text++; is_digit(*text); text++) {
            if (divisor < 1000000) {
                fraction = fraction * 10 + (uint64_t)(*text - '0');
                divisor *= 10;
            }
        }
    }
    for (; units->name; units++) {
        if (strcmp(text, units->name) == 0) {
            if (whole > UINT64_MAX / 2 / units->scale)
                return false;
            *value = whole * units->scale + fraction * units->scale / divisor;
            return true;
        }
    }
    *value = 0;
    return *text == '\0' && whole == 0 && fraction == 0; /* a zero needs no unit */
}

/* Reads "10.0.0.1" or "10.0.0.1/30"; without a length, 32. */
static bool parse_net(const char *text, uint32_t *addr, unsigned *prefix_len)
{
    uint32_t value = 0;
    uint64_t part;

    for (int i = 0; i < 4; i++) {
        if ((i && *text++ != '.') || !is_digit(*text))
            return false;
        part = digits(&text);
        if (part > 255)
            return false;
        value = value << 8 | (uint32_t)part;
    }
    *addr = value;
    *prefix_len = 32;
    if (*text == '\0')
        return true;
    if (*text++ != '/' || !is_digit(*text))
        return false;
    part = digits(&text);
    *prefix_len = (unsigned)part;
    return part <= 32 && *text == '\0';
}

/* ---- the variables ---- */

static bool read_device(struct config *config, const char *value)
{
    if (strlen(value) >= sizeof config->device || strpbrk(value, "/ :%"))
        return wrong(config, "UTCP_DEV=%s: not a name of a network device", value);
    if (*value)
        snprintf(config->device, sizeof config->device, "%s", value);
    return true;
}

static bool read_addr(struct config *config, const char *value)
{
    if (!parse_net(value, &config->addr, &config->prefix_len))
        return wrong(config, "UTCP_ADDR=%s: not an address like 10.0.0.1/30", value);
    config->addr_set = true;
    return true;
}

static bool read_mtu(struct config *config, const char *value)
{
    uint64_t mtu;

    if (!parse_number(value, no_units, &mtu) || mtu < 68 || mtu > 65535)
        return wrong(config, "UTCP_MTU=%s: not a number from 68 to 65535", value);
    config->mtu_bytes = (uint32_t)mtu;
    return true;
}

static bool read_bypass(struct config *config, const char *value)
{
    char word[WORD_BYTES];
    unsigned len;
    uint32_t addr, mask;

    config->bypass_count = 0;
    if (strcmp(value, "none") == 0)
        return true;
    while (next_word(&value, ", ", word)) {
        if (!parse_net(word, &addr, &len))
            return wrong(config, "UTCP_BYPASS: %s is not a net like 192.168.0.0/16", word);
        if (config->bypass_count == CONFIG_NETS)
            return wrong(config, "UTCP_BYPASS: more than %d nets", CONFIG_NETS);
        mask = len ? UINT32_MAX << (32 - len) : 0;
        config->bypass[config->bypass_count++] = (struct config_net){addr & mask, mask};
    }
    return true;
}

static bool read_congestion(struct config *config, const char *value)
{
    char known[WORD_BYTES * 2] = "";
    const char *name;

    for (size_t i = 0; (name = utcp_congestion_name(i)); i++) {
        size_t used = strlen(known);

        if (strcmp(name, value) == 0) {
            config->congestion = name;
            return true;
        }
        snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", name);
    }
    return wrong(config, "UTCP_CC=%s: no such congestion control; there are: %s", value, known);
}

struct setting {
    const char *name;
    uint64_t least, most;
    const char *unit;
    size_t offset;
};

#define SETTING_ROW(name, initial, least, most, unit, text) \
    {#name, least, most, #unit, offsetof(struct utcp_settings, name)},
static const struct setting settings[] = {UTCP_SETTINGS(SETTING_ROW)};
#undef SETTING_ROW

/* Numbers of a unit of UTCP_SETTINGS. */
static const struct unit *setting_units(const char *unit)
{
    if (strcmp(unit, "ns") == 0)
        return time_units;
    return strcmp(unit, "bytes") == 0 ? size_units : no_units;
}

/* A bound as the user would write it: times in milliseconds. */
static void format_bound(char text[32], uint64_t bound, const char *unit)
{
    if (strcmp(unit, "ns") == 0)
        snprintf(text, 32, "%llums", (unsigned long long)(bound / UTCP_MSEC));
    else
        snprintf(text, 32, "%llu", (unsigned long long)bound);
}

static bool read_setting(struct config *config, const struct setting *setting, const char *value)
{
    char least[32], most[32];
    uint64_t number;

    if (!parse_number(value, setting_units(setting->unit), &number) || number < setting->least ||
        number > setting->most) {
        format_bound(least, setting->least, setting->unit);
        format_bound(most, setting->most, setting->unit);
        return wrong(config, "UTCP_SET: %s=%s: not a value from %s to %s", setting->name, value,
                     least, most);
    }
    memcpy((char *)&config->settings + setting->offset, &number, sizeof number);
    return true;
}

/* One of the engine's own, or of the core's. */
static bool read_assignment(struct config *config, const char *name, const char *value)
{
    if (strcmp(name, "offload") == 0) {
        if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
            return wrong(config, "UTCP_SET: offload=%s: not 0 or 1", value);
        config->offload = *value == '1';
        return true;
    }
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        if (strcmp(settings[i].name, name) == 0)
            return read_setting(config, &settings[i], value);
    }
    return wrong(config, "UTCP_SET: there is no setting called %s", name);
}

static bool read_settings(struct config *config, const char *value)
{
    char word[WORD_BYTES];

    while (next_word(&value, ", ", word)) {
        char *equals = strchr(word, '=');

        if (!equals)
            return wrong(config, "UTCP_SET: %s is not name=value", word);
        *equals = '\0';
        if (!read_assignment(config, word, equals + 1))
            return false;
    }
    return true;
}

/* ---- UTCP_IMPAIR ---- */

static bool impair_time(struct config *config, const char *word, uint64_t *ns)
{
    if (!parse_number(word, time_units, ns) || *ns > 3600 * UTCP_SEC)
        return wrong(config, "UTCP_IMPAIR: %s is not a time like 20ms", word);
    return true;
}

static bool impair_chance(struct config *config, const char *word, uint32_t *millionths)
{
    uint64_t value;

    if (!parse_number(word, percent_units, &value) || value > 1000000)
        return wrong(config, "UTCP_IMPAIR: %s is not a share like 1%%", word);
    *millionths = (uint32_t)value;
    return true;
}

static bool impair_rate(struct config *config, const char *word)
{
    if (!parse_number(word, rate_units, &config->impair.rate_bps))
        return wrong(config, "UTCP_IMPAIR: %s is not a rate like 10mbit", word);
    return true;
}

static bool impair_count(struct config *config, const char *word, uint64_t most, uint64_t *value)
{
    if (!parse_number(word, no_units, value) || *value > most)
        return wrong(config, "UTCP_IMPAIR: %s is not a number up to %llu", word,
                     (unsigned long long)most);
    return true;
}

static bool impair_small(struct config *config, const char *word, uint32_t *value)
{
    uint64_t number;

    if (!impair_count(config, word, 100000, &number))
        return false;
    *value = (uint32_t)number;
    return true;
}

static bool impair_direction(struct config *config, const char *word)
{
    static const char *const names[] = {"", "in", "out", "both"};

    for (unsigned i = IMPAIR_IN; i <= (IMPAIR_IN | IMPAIR_OUT); i++) {
        if (strcmp(names[i], word) == 0) {
            config->impair.directions = i;
            return true;
        }
    }
    return wrong(config, "UTCP_IMPAIR: dir %s is not one of in, out, both", word);
}

/* `delay TIME [JITTER]`: what follows is the jitter if it begins with a digit. */
static bool impair_delay(struct config *config, const char *word, const char **rest)
{
    char jitter[WORD_BYTES];

    if (!impair_time(config, word, &config->impair.delay_ns))
        return false;
    *rest += strspn(*rest, ", ");
    if (!is_digit(**rest))
        return true;
    return next_word(rest, ", ", jitter) && impair_time(config, jitter, &config->impair.jitter_ns);
}

/* One of netem's words with its value; more of it may follow in *rest. */
static bool impair_word(struct config *config, const char *name, const char *value,
                        const char **rest)
{
    struct impair_config *impair = &config->impair;

    if (strcmp(name, "delay") == 0)
        return impair_delay(config, value, rest);
    if (strcmp(name, "loss") == 0)
        return impair_chance(config, value, &impair->loss);
    if (strcmp(name, "duplicate") == 0)
        return impair_chance(config, value, &impair->duplicate);
    if (strcmp(name, "corrupt") == 0)
        return impair_chance(config, value, &impair->corrupt);
    if (strcmp(name, "reorder") == 0)
        return impair_chance(config, value, &impair->reorder);
    if (strcmp(name, "rate") == 0)
        return impair_rate(config, value);
    if (strcmp(name, "dir") == 0)
        return impair_direction(config, value);
    if (strcmp(name, "seed") == 0)
        return impair->seeded = impair_count(config, value, INT64_MAX, &impair->seed);
    if (strcmp(name, "mark") == 0)
        return impair_chance(config, value, &impair->mark);
    if (strcmp(name, "burst") == 0)
        return impair_small(config, value, &impair->burst);
    if (strcmp(name, "limit") == 0)
        return impair_small(config, value, &impair->limit);
    return wrong(config,
                 "UTCP_IMPAIR: %s is none of delay, loss, burst, duplicate, corrupt, reorder, "
                 "mark, rate, limit, dir, seed",
                 name);
}

static bool read_impair(struct config *config, const char *value)
{
    char name[WORD_BYTES], word[WORD_BYTES];

    while (next_word(&value, ", ", name)) {
        if (!next_word(&value, ", ", word))
            return wrong(config, "UTCP_IMPAIR: %s wants a value", name);
        if (!impair_word(config, name, word, &value))
            return false;
    }
    if (config->impair.reorder && !config->impair.delay_ns)
        return wrong(config, "UTCP_IMPAIR: reorder needs a delay that the packets can escape");
    return true;
}

static bool read_pcap(struct config *config, const char *value)
{
    if (strlen(value) >= sizeof config->pcap)
        return wrong(config, "UTCP_PCAP: the name is longer than %d bytes", CONFIG_PATH - 1);
    snprintf(config->pcap, sizeof config->pcap, "%s", value);
    return true;
}

static bool read_log(struct config *config, const char *value)
{
    static const char *const names[] = {"quiet", "error", "warn", "info", "debug"};
    char word[WORD_BYTES];

    while (next_word(&value, ", ", word)) {
        size_t i = 0;

        if (strcmp(word, "summary") == 0) {
            config->summary = true;
            continue;
        }
        while (i < sizeof names / sizeof *names && strcmp(word, names[i]) != 0)
            i++;
        if (i == sizeof names / sizeof *names)
            return wrong(config, "UTCP_LOG: %s is none of quiet, error, warn, info, debug, summary",
                         word);
        config->log_level = (int)i + ENGINE_ERROR - 1;
    }
    return true;
}

static const struct {
    const char *name;
    bool (*read)(struct config *config, const char *value);
} variables[] = {
    {"UTCP_DEV", read_device},    {"UTCP_ADDR", read_addr},     {"UTCP_MTU", read_mtu},
    {"UTCP_BYPASS", read_bypass}, {"UTCP_CC", read_congestion}, {"UTCP_SET", read_settings},
    {"UTCP_IMPAIR", read_impair}, {"UTCP_PCAP", read_pcap},     {"UTCP_LOG", read_log},
};

enum { VARIABLES = sizeof variables / sizeof *variables };

/* ---- names ---- */

/* The number of letters to insert, drop or change to make one name of the other (Levenshtein). */
static unsigned distance(const char *a, size_t a_len, const char *b)
{
    unsigned row[WORD_BYTES];
    size_t b_len = strlen(b);

    for (unsigned j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned change = diagonal + (a[i - 1] != b[j - 1]);
            unsigned other = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;

            diagonal = row[j];
            row[j] = change < other ? change : other;
        }
    }
    return row[b_len];
}

static void warn_unknown(struct config *config, const char *name, size_t len)
{
    const char *nearest = variables[0].name;
    unsigned best = UINT32_MAX;

    for (size_t i = 0; i < VARIABLES; i++) {
        unsigned d = distance(name, len, variables[i].name);

        if (d < best) {
            best = d;
            nearest = variables[i].name;
        }
    }
    if (!config->warning[0])
        snprintf(config->warning, sizeof config->warning,
                 "there is no variable %.*s; did you mean %s?", (int)(len < 64 ? len : 64), name,
                 nearest);
}

static void read_variable(struct config *config, const char *entry)
{
    size_t len = strcspn(entry, "=");

    for (size_t i = 0; i < VARIABLES; i++) {
        if (strlen(variables[i].name) == len && strncmp(entry, variables[i].name, len) == 0) {
            if (entry[len] && entry[len + 1])
                variables[i].read(config, entry + len + 1);
            return;
        }
    }
    warn_unknown(config, entry, len);
}

void config_read(struct config *config, char *const *environment)
{
    *config = (struct config){
        .device = "utcp",
        .bypass = {{0x7f000000, 0xff000000}},
        .bypass_count = 1,
        .offload = true,
        .impair = {.directions = IMPAIR_IN | IMPAIR_OUT},
        .log_level = ENGINE_ERROR,
    };
    utcp_settings_init(&config->settings);
    for (; environment && *environment; environment++) {
        if (strncmp(*environment, "UTCP_", 5) == 0)
            read_variable(config, *environment);
    }
}
