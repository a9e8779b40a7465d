/* SPDX-License-Identifier: MIT */
#include "cuts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[CUTS] = {
#define FAULT_NAME(name, text) #name,
    FAULTS(FAULT_NAME)
#undef FAULT_NAME
#define SETTING_NAME(name, initial, least, most, unit, text) #name,
        UTCP_SETTINGS(SETTING_NAME)
#undef SETTING_NAME
};

static const char *const texts[CUTS] = {
#define FAULT_TEXT(name, text) text,
    FAULTS(FAULT_TEXT)
#undef FAULT_TEXT
#define SETTING_TEXT(name, initial, least, most, unit, text) text,
        UTCP_SETTINGS(SETTING_TEXT)
#undef SETTING_TEXT
};

const char *cut_text(unsigned cut)
{
    return texts[cut];
}

const char *cut_name(unsigned cut)
{
    return names[cut];
}

void cuts_init(struct cuts *cuts)
{
    *cuts = (struct cuts){.bytes = UINT64_MAX};
}

static bool set_one(struct cuts *cuts, const char *name, size_t len, bool without)
{
    for (unsigned i = 0; i < CUTS; i++) {
        if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0) {
            cuts->without[i] = without;
            return true;
        }
    }
    return false;
}

static bool set_all(struct cuts *cuts, const char *list, bool without)
{
    for (;;) {
        size_t len = strcspn(list, ",");

        if (!set_one(cuts, list, len, without))
            return false;
        if (list[len] == '\0')
            return true;
        list += len + 1;
    }
}

bool cuts_without(struct cuts *cuts, const char *list)
{
    return set_all(cuts, list, true);
}

bool cuts_only(struct cuts *cuts, const char *list)
{
    memset(cuts->without, true, sizeof(cuts->without));
    return strcmp(list, "nothing") == 0 || set_all(cuts, list, false);
}

bool cuts_connections(struct cuts *cuts, const char *numbers)
{
    memset(cuts->dropped, true, sizeof(cuts->dropped));
    for (;;) {
        char *end;
        unsigned long number = strtoul(numbers, &end, 10);

        if (end == numbers || number >= PAIRS_MAX || (*end != '\0' && *end != ','))
            return false;
        cuts->dropped[number] = false;
        if (*end == '\0')
            return true;
        numbers = end + 1;
    }
}

static void print_kept(const struct cuts *cuts, int pairs, FILE *to)
{
    const char *between = " --connections ";
    int dropped = 0;

    for (int i = 0; i < pairs; i++)
        dropped += cuts->dropped[i];
    for (int i = 0; i < pairs && dropped > 0; i++) {
        if (cuts->dropped[i])
            continue;
        fprintf(to, "%s%d", between, i);
        between = ",";
    }
}

/* What is left out, or what is left: whichever is less. */
static void print_faults(const struct cuts *cuts, FILE *to)
{
    const char *between;
    unsigned left_out = 0;
    bool listed;

    for (unsigned i = 0; i < CUTS; i++)
        left_out += cuts->without[i];
    listed = left_out <= CUTS / 2;
    between = listed ? " --without " : " --only ";
    for (unsigned i = 0; i < CUTS; i++) {
        if (cuts->without[i] != listed)
            continue;
        fprintf(to, "%s%s", between, names[i]);
        between = ",";
    }
    if (left_out == CUTS)
        fputs(" --only nothing", to);
}

void cuts_print(const struct cuts *cuts, int pairs, FILE *to)
{
    print_faults(cuts, to);
    print_kept(cuts, pairs, to);
    if (cuts->bytes != UINT64_MAX)
        fprintf(to, " --bytes %" PRIu64, cuts->bytes);
}
