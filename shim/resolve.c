/* SPDX-License-Identifier: MIT */
#include "libc.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>

#include "engine.h"
#include "uring.h"

#define UTCP_EARLY(type, name, parameters, early) \
    static type early_##name parameters           \
    {                                             \
        early;                                    \
    }
UTCP_SYMBOLS(UTCP_EARLY)
#undef UTCP_EARLY

struct libc libc = {
#define UTCP_INITIAL(type, name, parameters, early) .name = early_##name,
    UTCP_SYMBOLS(UTCP_INITIAL)
#undef UTCP_INITIAL
};

/* A symbol's name and where its pointer in `libc` lies. */
struct symbol {
    const char *name;
    void *pointer;
};

static const struct symbol symbols[] = {
#define UTCP_ROW(type, name, parameters, early) {#name, &libc.name},
    UTCP_SYMBOLS(UTCP_ROW)
#undef UTCP_ROW
};

static const size_t symbol_count = sizeof(symbols) / sizeof(symbols[0]);

/* True for each symbol that libc does not have. */
static bool absent[sizeof(symbols) / sizeof(symbols[0])];

void libc_resolve(void)
{
    for (size_t i = 0; i < symbol_count; i++) {
        void *function = dlsym(RTLD_NEXT, symbols[i].name);
        absent[i] = function == NULL;
        if (function != NULL)
            memcpy(symbols[i].pointer, &function, sizeof(function));
    }
}

void libc_report(void)
{
    engine_log(ENGINE_DEBUG, "%zu symbols are interposed", symbol_count);
    for (size_t i = 0; i < symbol_count; i++) {
        if (absent[i])
            engine_log(ENGINE_DEBUG, "libc has no %s: the system call stands in", symbols[i].name);
    }
}
