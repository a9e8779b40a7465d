/* SPDX-License-Identifier: MIT */
/*
 * What the launcher cannot find out in shell: lists, and whether a program can be interposed.
 *
 *	utcp-probe settings      the settings of the stack with default and range, one a line
 *	utcp-probe cc            the congestion controls, one a line, the default first
 *	utcp-probe check         reads the UTCP_* variables as the library will
 *	utcp-probe program FILE  whether it can be interposed, and what runs it (program.h)
 *	utcp-probe imports LIBRARY FILE...  what they call that the library does not interpose
 *
 * Exit status 0 = yes, 1 = no, with a sentence on stdout that says why.
 */
#include "config.h"

#include "imports.h"
#include "program.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { YES = 0, NO = 1, USAGE = 2 };

__attribute__((format(printf, 1, 2))) static int no(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    return NO;
}

/* ---- lists ---- */

/* A value as it is written in UTCP_SET: times in the largest unit that fits. */
static const char *format_value(char text[32], uint64_t value, const char *unit)
{
    static const struct {
        const char *name;
        uint64_t scale;
    } units[] = {{"s", UTCP_SEC}, {"ms", UTCP_MSEC}, {"us", UTCP_USEC}, {"ns", 1}};
    size_t i = 0;

    if (strcmp(unit, "ns") != 0) {
        snprintf(text, 32, "%" PRIu64, value);
        return text;
    }
    while (value % units[i].scale)
        i++;
    snprintf(text, 32, "%" PRIu64 "%s", value / units[i].scale, value ? units[i].name : "");
    return text;
}

static void print_setting(const char *name, uint64_t initial, uint64_t least, uint64_t most,
                          const char *unit, const char *text)
{
    char a[32], b[32], c[32], range[72];

    snprintf(range, sizeof range, "%s to %s", format_value(b, least, unit),
             format_value(c, most, unit));
    printf("%-16s %-9s %-20s %s%s\n", name, format_value(a, initial, unit), range,
           strcmp(unit, "bytes") == 0 ? "bytes: " : "", text);
}

static int list_settings(void)
{
    printf("%-16s %-9s %-20s %s\n", "NAME", "DEFAULT", "RANGE", "MEANING");
#define PRINT_SETTING(name, initial, least, most, unit, text) \
    print_setting(#name, initial, least, most, #unit, text);
    UTCP_SETTINGS(PRINT_SETTING)
#undef PRINT_SETTING
    print_setting("offload", 1, 0, 1, "bool",
                  "leave checksums and the cutting of large segments to the device");
    return YES;
}

static int list_congestion_controls(void)
{
    const char *name;

    for (size_t i = 0; (name = utcp_congestion_name(i)); i++)
        puts(name);
    return YES;
}

static int check_environment(void)
{
    struct config config;

    config_read(&config, environ);
    return config.error[0] ? no("%s", config.error) : YES;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    if (strcmp(what, "settings") == 0)
        return list_settings();
    if (strcmp(what, "cc") == 0)
        return list_congestion_controls();
    if (strcmp(what, "check") == 0)
        return check_environment();
    if (strcmp(what, "program") == 0 && argc == 3)
        return program_tell(argv[2]);
    if (strcmp(what, "imports") == 0 && argc > 3)
        return imports_tell(argv[2], argv + 3, (size_t)argc - 3);
    fputs("usage: utcp-probe settings|cc|check|program FILE|imports LIBRARY FILE...\n", stderr);
    return USAGE;
}
