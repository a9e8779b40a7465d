/* SPDX-License-Identifier: MIT */
#include "left.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PATIENCE_S = 60,
    SPARE_SOCKETS =
        32, /* both ends of those that the engine may have ready by then, in its table */
};

static long count_entries(const char *path)
{
    DIR *directory = opendir(path);
    long count = 0;

    while (directory != NULL && readdir(directory) != NULL)
        count++;
    if (directory != NULL)
        closedir(directory);
    return count;
}

static long count_all_descriptors(void)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *task;
    char path[512];
    long count = 0;

    while ((task = readdir(tasks)) != NULL) {
        snprintf(path, sizeof path, "/proc/self/task/%s/fd", task->d_name);
        if (task->d_name[0] != '.')
            count += count_entries(path);
    }
    closedir(tasks);
    return count;
}

long read_number(const char *path, const char *key)
{
    FILE *file = fopen(path, "r");
    char line[256];
    long number = -1;

    while (file != NULL && number < 0 && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, key, strlen(key)) == 0)
            number = strtol(line + strlen(key), NULL, 10);
    }
    if (file != NULL)
        fclose(file);
    return number;
}

struct left look(void)
{
    return (struct left){.own = count_entries("/proc/self/fd"),
                         .all = count_all_descriptors(),
                         .resident_kb = read_number("/proc/self/status", "VmRSS:")};
}

struct left look_when_settled(const struct left *before)
{
    struct left after = look();

    for (int i = 0; i < PATIENCE_S * 10 && after.all > before->all + SPARE_SOCKETS; i++) {
        usleep(100000);
        after = look();
    }
    return after;
}
