/* SPDX-License-Identifier: MIT */
/*
 * What the launcher cannot find out in shell: lists, and whether a program can be interposed.
 *
 *	utcp-probe settings      the settings of the stack with default and range, one a line
 *	utcp-probe cc            the congestion controls, one a line, the default first
 *	utcp-probe check         reads the UTCP_* variables as the library will
 *	utcp-probe program FILE  "script INTERPRETER [ARGUMENT]" when another program runs it
 *
 * Exit status 0 = yes, 1 = no, with one sentence on stdout that says why.
 */
#define _GNU_SOURCE
#include "config.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

typedef ElfW(Ehdr) elf_header;
typedef ElfW(Phdr) elf_segment;

enum { YES = 0, NO = 1, USAGE = 2, LINE_BYTES = 256, INTERPRETER_BYTES = 4096 };

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

/* ---- programs ---- */

/* Reads exactly size bytes at an offset. */
static bool read_at(int fd, void *buffer, size_t size, uint64_t offset)
{
    return pread(fd, buffer, size, (off_t)offset) == (ssize_t)size;
}

/* Splits "#! /usr/bin/env -S node" as the kernel does: the interpreter, and all the rest as one
 * argument. */
static int tell_script(char line[LINE_BYTES])
{
    char *interpreter = line + 2 + strspn(line + 2, " \t");
    char *argument;

    interpreter[strcspn(interpreter, "\n")] = '\0';
    argument = interpreter + strcspn(interpreter, " \t");
    if (*argument)
        *argument++ = '\0';
    argument += strspn(argument, " \t");
    printf("script %s%s%s\n", interpreter, *argument ? " " : "", argument);
    return YES;
}

static bool same_architecture(const elf_header *header)
{
    elf_header own;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    bool known = fd >= 0 && read_at(fd, &own, sizeof own, 0);

    if (fd >= 0)
        close(fd);
    return !known ||
           (own.e_ident[EI_CLASS] == header->e_ident[EI_CLASS] &&
            own.e_ident[EI_DATA] == header->e_ident[EI_DATA] && own.e_machine == header->e_machine);
}

/* The loader that a program names (PT_INTERP); false when it names none. */
static bool find_loader(int fd, const elf_header *header, char loader[INTERPRETER_BYTES])
{
    for (unsigned i = 0; i < header->e_phnum; i++) {
        elf_segment part;

        if (!read_at(fd, &part, sizeof part, header->e_phoff + (uint64_t)i * header->e_phentsize))
            return false;
        if (part.p_type != PT_INTERP)
            continue;
        if (part.p_filesz >= INTERPRETER_BYTES)
            return false;
        loader[part.p_filesz] = '\0';
        return read_at(fd, loader, part.p_filesz, part.p_offset);
    }
    return false;
}

static int check_elf(int fd, const elf_header *header)
{
    char loader[INTERPRETER_BYTES];

    if (!same_architecture(header))
        return no("it is built for another architecture than the library");
    if (!find_loader(fd, header, loader))
        return no("it is linked statically: no loader reads LD_PRELOAD");
    if (strstr(loader, "ld-musl"))
        return no("its C library is musl (%s), and ours is built for glibc", loader);
    return YES;
}

/* The loader ignores LD_PRELOAD when the program gets rights that its caller lacks (AT_SECURE). */
static int check_rights(int fd)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return YES;
    if ((status.st_mode & S_ISUID) && status.st_uid != getuid())
        return no("it is setuid: its loader ignores LD_PRELOAD");
    if ((status.st_mode & S_ISGID) && (status.st_mode & S_IXGRP) && status.st_gid != getgid())
        return no("it is setgid: its loader ignores LD_PRELOAD");
    if (getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0)
        return no("it has file capabilities: its loader ignores LD_PRELOAD");
    return YES;
}

/* The kernel ignores the set-id bits and capabilities of a script: its interpreter's count. */
static int check_file(int fd)
{
    elf_header header;
    char line[LINE_BYTES] = "";

    if (pread(fd, line, sizeof line - 1, 0) > 2 && memcmp(line, "#!", 2) == 0)
        return tell_script(line);
    if (check_rights(fd) == NO)
        return NO;
    if (!read_at(fd, &header, sizeof header, 0) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
        return YES; /* whoever runs it knows */
    return check_elf(fd, &header);
}

static int check_program(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int answer;

    if (fd < 0) /* may still be run, by its x bits alone */
        return errno == EACCES ? YES : no("%s", strerror(errno));
    answer = check_file(fd);
    close(fd);
    return answer;
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
        return check_program(argv[2]);
    fputs("usage: utcp-probe settings|cc|check|program FILE\n", stderr);
    return USAGE;
}
