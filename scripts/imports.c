/* SPDX-License-Identifier: MIT */
#include "imports.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "elffile.h"

#define MISSED "a socket of ours is not one to it"
#define PAST_US "what it moves goes past us"
#define KERNELS "the socket it makes is the kernel's"

struct function {
    const char *name;
    const char *lack; /* why a program had better not call it when it is not interposed */
};

/*
 * What Debian 12's C library, and the libraries that go past it, have to make, name, duplicate, pass and close
 * descriptors, and to move bytes on them. Whether one is interposed is asked of our library, each time.
 *
 * Not here: what works by readiness alone (poll, select, epoll), for that is mirrored; fork and its kin, which are noticed;
 * what no socket allows (pread, lseek, copy_file_range).
 */
static const struct function functions[] = {
    {"socket", KERNELS},
    {"bind", MISSED},
    {"listen", MISSED},
    {"accept", MISSED},
    {"accept4", MISSED},
    {"connect", MISSED},
    {"__connect", MISSED},
    {"shutdown", MISSED},
    {"getsockname", MISSED},
    {"getpeername", MISSED},
    {"getsockopt", MISSED},
    {"setsockopt", MISSED},
    {"sockatmark", MISSED},
    {"bindresvport", MISSED},
    {"rcmd", KERNELS},
    {"rcmd_af", KERNELS},
    {"rexec", KERNELS},
    {"rexec_af", KERNELS},
    {"rresvport", KERNELS},
    {"rresvport_af", KERNELS},

    {"read", PAST_US},
    {"__read", PAST_US},
    {"__read_chk", PAST_US},
    {"readv", PAST_US},
    {"preadv2", PAST_US},
    {"preadv64v2", PAST_US},
    {"recv", PAST_US},
    {"__recv_chk", PAST_US},
    {"recvfrom", PAST_US},
    {"__recvfrom_chk", PAST_US},
    {"recvmsg", PAST_US},
    {"recvmmsg", PAST_US},
    {"write", PAST_US},
    {"__write", PAST_US},
    {"writev", PAST_US},
    {"pwritev2", PAST_US},
    {"pwritev64v2", PAST_US},
    {"send", PAST_US},
    {"__send", PAST_US},
    {"sendto", PAST_US},
    {"sendmsg", PAST_US},
    {"sendmmsg", PAST_US},
    {"sendfile", PAST_US},
    {"sendfile64", PAST_US},
    {"splice", PAST_US},
    {"dprintf", PAST_US},
    {"vdprintf", PAST_US},
    {"__dprintf_chk", PAST_US},
    {"__vdprintf_chk", PAST_US},
    {"fdopen", PAST_US},
    {"_IO_fdopen", PAST_US},
    {"aio_read", PAST_US},
    {"aio_read64", PAST_US},
    {"aio_write", PAST_US},
    {"aio_write64", PAST_US},
    {"lio_listio", PAST_US},
    {"lio_listio64", PAST_US},
    {"io_submit", PAST_US},
    {"io_uring_queue_init", PAST_US},
    {"io_uring_queue_init_params", PAST_US},
    {"io_uring_queue_init_mem", PAST_US},
    {"io_uring_setup", PAST_US},

    {"close", MISSED},
    {"__close", MISSED},
    {"close_range", MISSED},
    {"closefrom", MISSED},
    {"dup", MISSED},
    {"dup2", MISSED},
    {"__dup2", MISSED},
    {"dup3", MISSED},
    {"fcntl", MISSED},
    {"fcntl64", MISSED},
    {"__fcntl", MISSED},
    {"ioctl", MISSED},
    {"pidfd_getfd", MISSED},

    {"execl", MISSED},
    {"execle", MISSED},
    {"execlp", MISSED},
    {"execv", MISSED},
    {"execve", MISSED},
    {"execveat", MISSED},
    {"execvp", MISSED},
    {"execvpe", MISSED},
    {"fexecve", MISSED},
    {"posix_spawn", MISSED},
    {"posix_spawnp", MISSED},
    {"system", MISSED},
    {"popen", MISSED},
    {"daemon", MISSED},
    {"_exit", "what is unsent then is lost"},
    {"_Exit", "what is unsent then is lost"},

    /* These are told of whether they are interposed or not. */
    {"syscall", "calls by number are followed as far as they are about sockets"},
    {"dlopen", "what it loads while it runs was not looked at"},
};
enum { FUNCTIONS = sizeof functions / sizeof functions[0], NOTES = 2 };

static const char *importer[FUNCTIONS]; /* the first file that imports it, NULL = none does */
static bool served[FUNCTIONS];

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* FUNCTIONS when it is none of them. */
static size_t find(const char *name)
{
    size_t i = 0;

    while (i < FUNCTIONS && strcmp(functions[i].name, name) != 0)
        i++;
    return i;
}

/* Calls visit with the name of each dynamic function that the file defines, or imports. */
static bool each_symbol(const char *path, bool defined,
                        void (*visit)(const char *name, const char *path))
{
    struct elf_symbols symbols;
    struct elf elf;
    bool good = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return false;
    if (elf_open(&elf, fd) == NULL) {
        good = elf_read_symbols(&elf, &symbols);
        for (size_t i = 0; good && i < symbols.count; i++) {
            const char *name = elf_symbol_name(&symbols, i, defined);

            if (name != NULL)
                visit(name, path);
        }
        elf_free_symbols(&symbols);
        elf_close(&elf);
    }
    close(fd);
    return good;
}

static void mark_served(const char *name, const char *path)
{
    size_t i = find(name);

    (void)path;
    if (i < FUNCTIONS)
        served[i] = true;
}

static void mark_imported(const char *name, const char *path)
{
    size_t i = find(name);

    if (i < FUNCTIONS && importer[i] == NULL)
        importer[i] = base_name(path);
}

static void tell(const char *prefix, size_t i)
{
    if (importer[i] != NULL)
        printf("%s%s (%s): %s\n", prefix, functions[i].name, importer[i], functions[i].lack);
}

static void tell_sum(size_t libraries)
{
    unsigned imported = 0, interposed = 0;

    for (size_t i = 0; i < FUNCTIONS - NOTES; i++) {
        imported += importer[i] != NULL;
        interposed += importer[i] != NULL && served[i];
    }
    printf("%u of the %u functions for sockets and descriptors that it and its %zu libraries call "
           "are interposed\n",
           interposed, imported, libraries);
    if (importer[find("socket")] == NULL && importer[find("accept")] == NULL &&
        importer[find("accept4")] == NULL)
        puts("none of them calls socket(): there is no TCP of it that we could serve");
}

int imports_tell(const char *library, char *const *files, size_t count)
{
    if (!each_symbol(library, true, mark_served)) {
        printf("%s is no library that can be read\n", library);
        return 1;
    }
    for (size_t i = 0; i < count; i++)
        each_symbol(files[i], false, mark_imported);
    tell_sum(count - 1);
    for (size_t i = 0; i < FUNCTIONS - NOTES; i++) {
        if (!served[i])
            tell("not interposed: ", i);
    }
    for (size_t i = FUNCTIONS - NOTES; i < FUNCTIONS; i++)
        tell("", i);
    return 0;
}
