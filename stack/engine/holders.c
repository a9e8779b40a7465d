/* SPDX-License-Identifier: MIT */
/*
 * Who holds a TUN device? The kernel says so only in /proc/PID/task/TID/fdinfo/FD, in a line
 * "iff: NAME". Threads are looked at one by one, for the engines of this stack have descriptor
 * tables of their own.
 */
#include "holders.h"

#include "sys.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 96, ENTRIES_BYTES = 4096, TEXT_BYTES = 512, NAMESPACE_BYTES = 32 };

struct search {
    char wanted[48]; /* the line to find */
    char namespace[NAMESPACE_BYTES];
    struct holder *holder;
};

typedef void visitor(struct search *search, const char *path, const char *name);

struct directory_entry {
    uint64_t inode;
    int64_t offset;
    uint16_t len;
    uint8_t type;
    char name[];
};

/* Calls visit() with each entry of a directory whose name is a number, until the search is over. */
static void each_number(struct search *search, const char *path, visitor *visit)
{
    _Alignas(struct directory_entry) char entries[ENTRIES_BYTES];
    int fd = sys_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    long len;

    if (fd < 0)
        return;
    while (!search->holder->pid && (len = sys_getdents(fd, entries, sizeof entries)) > 0) {
        for (long at = 0; at < len && !search->holder->pid;) {
            const struct directory_entry *entry = (const void *)(entries + at);

            if (entry->name[0] >= '0' && entry->name[0] <= '9')
                visit(search, path, entry->name);
            at += entry->len;
        }
    }
    sys_close(fd);
}

/* The beginning of a small file as a string; false when it cannot be read. */
static bool read_text(const char *path, char *text, size_t size)
{
    int fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
    long len;

    if (fd < 0)
        return false;
    len = sys_read(fd, text, size - 1);
    sys_close(fd);
    text[len > 0 ? len : 0] = '\0';
    return len > 0;
}

static void visit_descriptor(struct search *search, const char *path, const char *name)
{
    char file[PATH_BYTES], text[TEXT_BYTES];

    snprintf(file, sizeof file, "%s/%s", path, name);
    if (read_text(file, text, sizeof text) && strstr(text, search->wanted))
        search->holder->pid = atoi(path + sizeof "/proc");
}

static void visit_thread(struct search *search, const char *path, const char *name)
{
    char directory[PATH_BYTES];

    snprintf(directory, sizeof directory, "%s/%s/fdinfo", path, name);
    each_number(search, directory, visit_descriptor);
}

/* Reads which network namespace a process is in, as "net:[4026531840]". */
static bool read_namespace(const char *process, char *namespace, size_t size)
{
    char path[PATH_BYTES];
    long len;

    snprintf(path, sizeof path, "/proc/%s/ns/net", process);
    len = sys_readlink(path, namespace, size - 1);
    namespace[len > 0 ? len : 0] = '\0';
    return len > 0;
}

/* Devices of one name exist in many network namespaces: only those who live in ours count. */
static void visit_process(struct search *search, const char *path, const char *name)
{
    char directory[PATH_BYTES], namespace[NAMESPACE_BYTES];

    if (!read_namespace(name, namespace, sizeof namespace) ||
        strcmp(namespace, search->namespace) != 0)
        return;
    snprintf(directory, sizeof directory, "%s/%s/task", path, name);
    each_number(search, directory, visit_thread);
}

void holder_find(const char *device, struct holder *holder)
{
    struct search search = {.holder = holder};
    char path[PATH_BYTES];

    *holder = (struct holder){.name = "another process"};
    read_namespace("self", search.namespace, sizeof search.namespace);
    snprintf(search.wanted, sizeof search.wanted, "iff:\t%s\n", device);
    each_number(&search, "/proc", visit_process);
    if (!holder->pid)
        return;
    snprintf(path, sizeof path, "/proc/%d/comm", holder->pid);
    if (read_text(path, holder->name, sizeof holder->name))
        holder->name[strcspn(holder->name, "\n")] = '\0';
}
