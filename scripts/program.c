/* SPDX-License-Identifier: MIT */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "elffile.h"

enum { YES = 0, NO = 1, LINE_BYTES = 256 }; /* of a script, the kernel looks at so many bytes */

#define AS_ROOT "as root, it is preloaded: sudo utcp ..."

__attribute__((format(printf, 2, 3))) static int no(const char *helps, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("%s%s\n", helps != NULL ? "\n" : "", helps != NULL ? helps : "");
    return NO;
}

/* ---- rights ---- */

/* In a user namespace, an id that is not mapped gives no rights, and shows as somebody else's. */
static bool is_mapped(const char *map, unsigned id)
{
    unsigned first, outside, count;
    bool mapped = false;
    FILE *file = fopen(map, "re");

    if (file == NULL)
        return true;
    while (!mapped && fscanf(file, "%u %u %u", &first, &outside, &count) == 3)
        mapped = id >= first && id - first < count;
    fclose(file);
    return mapped;
}

static bool ids_are_ignored(const char *path)
{
    struct statvfs mount;

    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ||
           (statvfs(path, &mount) == 0 && (mount.f_flag & ST_NOSUID));
}

/* What the file permits, its caller gains. (What it inherits counts for callers only who can inherit, and nobody can.) */
static bool capabilities_rise(const char *path)
{
    struct vfs_ns_cap_data file = {0};
    struct statvfs mount;
    ssize_t size = getxattr(path, "security.capability", &file, sizeof file);
    uint32_t permitted = 0;

    if (size < (ssize_t)sizeof file.magic_etc ||
        (statvfs(path, &mount) == 0 && (mount.f_flag & ST_NOSUID)))
        return false;
    for (size_t i = 0; i < sizeof file.data / sizeof file.data[0]; i++)
        permitted |= file.data[i].permitted;
    return permitted != 0 || (file.magic_etc & VFS_CAP_FLAGS_EFFECTIVE);
}

/* The loader ignores LD_PRELOAD when the program gets rights that its caller lacks (AT_SECURE). Root, by its real id, can
 * get none by capabilities. */
static int check_rights(const char *path)
{
    struct stat status;

    if (stat(path, &status) < 0)
        return YES;
    if (!ids_are_ignored(path)) {
        if ((status.st_mode & S_ISUID) && status.st_uid != getuid() &&
            is_mapped("/proc/self/uid_map", status.st_uid))
            return no(status.st_uid == 0 ? AS_ROOT : NULL,
                      "it is setuid: its loader ignores LD_PRELOAD");
        if ((status.st_mode & S_ISGID) && (status.st_mode & S_IXGRP) && status.st_gid != getgid() &&
            is_mapped("/proc/self/gid_map", status.st_gid))
            return no("a copy without the bit is preloaded: cp FILE /tmp",
                      "it is setgid: its loader ignores LD_PRELOAD");
    }
    if (getuid() != 0 && capabilities_rise(path))
        return no(AS_ROOT, "it has file capabilities: its loader ignores LD_PRELOAD");
    return YES;
}

/* ---- scripts ---- */

/* Splits "#! /usr/bin/env -S node" as the kernel does: the interpreter, and all the rest as one
 * argument. */
static int tell_script(char line[LINE_BYTES])
{
    static const char blanks[] = " \t";
    char *interpreter = line + 2 + strspn(line + 2, blanks);
    char *end = interpreter + strcspn(interpreter, "\n");
    char *argument;

    if (*end == '\0' && strpbrk(interpreter, blanks) == NULL && strlen(line) == LINE_BYTES - 1)
        return no(NULL, "its first line, #!, is too long for the kernel");
    while (end > interpreter && strchr(blanks, end[-1]) != NULL)
        end--;
    *end = '\0';
    if (*interpreter == '\0')
        return no(NULL, "its first line, #!, names no interpreter");
    if (end[-1] == '\r')
        return no("how:             sed -i 's/\\r$//' FILE", "its lines end as on Windows, and no "
                                                             "interpreter's name ends so");
    argument = interpreter + strcspn(interpreter, blanks);
    if (*argument)
        *argument++ = '\0';
    argument += strspn(argument, blanks);
    printf("script %s%s%s\n", interpreter, *argument ? " " : "", argument);
    return YES;
}

/* ---- ELF ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* The names that glibc gives its loader on the architectures of Debian. */
static bool is_glibcs(const char *loader)
{
    const char *name = base_name(loader);
    return begins(name, "ld-linux") || begins(name, "ld64.so") || begins(name, "ld.so") ||
           (begins(name, "ld-2.") && strstr(name, ".so") != NULL);
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Whether a file is the loader that this very program has. */
static bool is_own_loader(const struct stat *status)
{
    char own[ELF_PATH_BYTES];
    struct stat loader;
    struct elf self;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    bool same = false;

    if (fd < 0)
        return false;
    if (elf_open(&self, fd) == NULL) {
        same = elf_read_loader(&self, own) == NULL && stat(own, &loader) == 0 &&
               is_same_file(&loader, status);
        elf_close(&self);
    }
    close(fd);
    return same;
}

/* Go's tools leave their own build id: such a program, also one with cgo, makes its system calls itself. */
static bool is_go(const struct elf *elf)
{
    enum { GO_BUILD_ID = 4 };
    return elf_has_note(elf, "Go", GO_BUILD_ID);
}

static int check_loader(const struct elf *elf, const char *loader)
{
    struct stat status;

    if (strstr(loader, "ld-musl") != NULL)
        return no("what helps:      a build of it for glibc, or of utcp for musl",
                  "its C library is musl (%s), and ours is built for glibc", loader);
    if (!is_glibcs(loader))
        return no(NULL, "its loader is not glibc's: %s", loader);
    if (stat(loader, &status) < 0)
        return no(NULL, "its loader %s: %s", loader, strerror(errno));
    printf("%s%s%s\n", is_go(elf) ? "go" : "elf", is_own_loader(&status) ? " " : "",
           is_own_loader(&status) ? loader : "");
    return YES;
}

static int check_segments(const struct elf *elf)
{
    char loader[ELF_PATH_BYTES];
    struct stat status;
    const char *wrong = elf_read_loader(elf, loader);

    if (wrong != NULL)
        return no(NULL, "%s", wrong);
    if (loader[0] != '\0')
        return check_loader(elf, loader);
    if (fstat(elf->fd, &status) == 0 && is_own_loader(&status))
        return puts("unknown"), YES; /* the loader itself, which can be told what to run */
    return no("what helps:      a build of it that is linked dynamically",
              "it is linked statically: no loader reads LD_PRELOAD");
}

static int check_elf(int fd)
{
    struct elf elf;
    const char *wrong = elf_open(&elf, fd);
    int answer;

    if (wrong != NULL)
        return no(NULL, "%s", wrong);
    answer = check_segments(&elf);
    elf_close(&elf);
    return answer;
}

/* The kernel ignores the set-id bits and capabilities of a script: its interpreter's count. */
static int check_file(const char *path, int fd)
{
    struct stat status;
    char line[LINE_BYTES] = "";

    if (fstat(fd, &status) == 0 && !S_ISREG(status.st_mode))
        return no(NULL, "it is not a file");
    if (pread(fd, line, sizeof line - 1, 0) > 2 && memcmp(line, "#!", 2) == 0)
        return tell_script(line);
    if (check_rights(path) == NO)
        return NO;
    if (elf_begins(fd))
        return check_elf(fd);
    puts("unknown");
    return YES;
}

int program_tell(const char *path)
{
    /* Not to wait for the other end of a pipe. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int answer;

    if (fd < 0 && errno != EACCES)
        return no(NULL, "%s", strerror(errno));
    if (fd < 0) { /* its x bits alone may be enough to run it */
        answer = check_rights(path);
        if (answer == YES)
            puts("unknown");
        return answer;
    }
    answer = check_file(path, fd);
    close(fd);
    return answer;
}
