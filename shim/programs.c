/* SPDX-License-Identifier: MIT */
#include "programs.h"

#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "engine.h"
#include "libc.h"
#include "refusals.h"

static bool read_at(int fd, void *buffer, size_t size, off_t offset)
{
    return kernel_call(SYS_pread64, fd, buffer, size, offset) == (long)size;
}

/* An ELF file without PT_INTERP. */
static bool is_static(int fd, const ElfW(Ehdr) * header)
{
    for (unsigned i = 0; i < header->e_phnum; i++) {
        ElfW(Phdr) part;
        if (!read_at(fd, &part, sizeof(part), (off_t)header->e_phoff + (off_t)(i * sizeof(part))))
            return false;
        if (part.p_type == PT_INTERP)
            return false;
    }
    return true;
}

/* Scripts are let pass: what interprets them is asked about when it is a program of its own. */
static const char *doubt_file(int fd)
{
    enum { NATIVE_CLASS = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32 };
    ElfW(Ehdr) header;
    struct stat status;
    if (!read_at(fd, &header, sizeof(header), 0) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
        return NULL;
    if (header.e_ident[EI_CLASS] != NATIVE_CLASS)
        return "it is built for another architecture";
    if (is_static(fd, &header))
        return "it is linked statically";
    if (fstat(fd, &status) == 0 && (status.st_mode & S_ISUID) && status.st_uid != getuid())
        return "it is setuid";
    return NULL;
}

/* ---- the environment ---- */

static const char preload[] = "LD_PRELOAD=", settings[] = "UTCP_";

/* Our part of the environment as it was at the start: the program may have changed it since, or have overwritten the very
 * strings, as those do that write a title for ps. */
enum { KEPT_MAX = 16, KEPT_BYTES = 8192 };
static char *kept[KEPT_MAX], kept_text[KEPT_BYTES];
static size_t kept_count;
static bool was_preloaded;

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

__attribute__((constructor)) static void begin(void)
{
    size_t used = 0;
    for (char *const *variable = environ; variable != NULL && *variable != NULL; variable++) {
        size_t size = strlen(*variable) + 1;
        bool preloads = begins_with(*variable, preload);
        if (!preloads && !begins_with(*variable, settings))
            continue;
        was_preloaded |= preloads;
        if (kept_count == KEPT_MAX || size > sizeof(kept_text) - used)
            continue;
        kept[kept_count++] = memcpy(kept_text + used, *variable, size);
        used += size;
    }
}

/* Whether this process was given a library to preload, and the next one is not. */
static bool loses_preload(char *const *environment)
{
    if (!was_preloaded)
        return false;
    for (; environment != NULL && *environment != NULL; environment++) {
        if (begins_with(*environment, preload))
            return false;
    }
    return true;
}

size_t programs_room(char *const *environment)
{
    size_t count = 0;
    while (environment != NULL && environment[count] != NULL)
        count++;
    return count + KEPT_MAX + 1;
}

static bool names(char *const *environment, const char *variable)
{
    size_t name = strcspn(variable, "=") + 1;
    for (; environment != NULL && *environment != NULL; environment++) {
        if (strncmp(*environment, variable, name) == 0)
            return true;
    }
    return false;
}

char *const *programs_environment(char *const *environment, char **room)
{
    size_t count = 0;
    if (!loses_preload(environment))
        return environment;
    for (; environment != NULL && environment[count] != NULL; count++)
        room[count] = environment[count];
    for (size_t i = 0; i < kept_count; i++) {
        if (!names(environment, kept[i]))
            room[count++] = kept[i];
    }
    room[count] = NULL;
    return room;
}

/* ---- what is said ---- */

static void tell(const char *path, const char *why)
{
    char call[PATH_MAX];
    if (why == NULL)
        return;
    snprintf(call, sizeof(call), "exec of %s", path);
    refusals_left(call, why);
}

static void doubt(const char *path, char *const *environment)
{
    int fd = (int)kernel_call(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return;
    if (loses_preload(environment))
        tell(path, "its environment lacks LD_PRELOAD");
    else
        tell(path, doubt_file(fd));
    kernel_call(SYS_close, fd);
}

void programs_execve(const char *path, char *const *environment)
{
    int saved = errno;
    if (engine_logs(ENGINE_INFO) && path != NULL)
        doubt(path, environment);
    errno = saved;
}

/* The first of that name that may be executed, as execvpe() looks for it. */
static void doubt_in_path(const char *name, char *const *environment)
{
    const char *path = getenv("PATH");
    char file[PATH_MAX];
    while (path != NULL && *path != '\0') {
        size_t length = strcspn(path, ":");
        int size = snprintf(file, sizeof(file), "%.*s/%s", (int)length, path, name);
        if (length > 0 && size > 0 && (size_t)size < sizeof(file) && access(file, X_OK) == 0) {
            doubt(file, environment);
            return;
        }
        path += length + (path[length] == ':');
    }
}

void programs_execvpe(const char *name, char *const *environment)
{
    int saved = errno;
    if (name == NULL || strchr(name, '/') != NULL)
        programs_execve(name, environment);
    else if (engine_logs(ENGINE_INFO))
        doubt_in_path(name, environment);
    errno = saved;
}
