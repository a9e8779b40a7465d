/* SPDX-License-Identifier: MIT */
/*
 * Reads what the launcher wants to know of an ELF file, without trusting a word of it: every offset and count is
 * checked against the size of the file, and each table is read once, by pread().
 */
#ifndef UTCP_SCRIPTS_ELF_H
#define UTCP_SCRIPTS_ELF_H

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ELF_PATH_BYTES = 4096 };

struct elf {
    int fd; /* the caller's; stays open as long as this is used */
    uint64_t size_bytes;
    ElfW(Ehdr) header;
    ElfW(Phdr) * segments; /* owned: elf_close() */
};

/* True when the file begins as an ELF file does, whole or not. */
bool elf_begins(int fd);

/* Fills in *elf, also its header only when the class is another than this program's. Returns NULL, or a phrase that
 * says what is wrong with the file; then there is nothing to close. */
const char *elf_open(struct elf *elf, int fd);
void elf_close(struct elf *elf);

/* True when the file is built for what this very program is built for. elf_open() was good, or failed by this. */
bool elf_is_native(const struct elf *elf);

/* The loader that the file names (PT_INTERP): NULL or a phrase that says what is wrong; empty when it names none. */
const char *elf_read_loader(const struct elf *elf, char path[ELF_PATH_BYTES]);

/* True when the file has a note of this owner and type. */
bool elf_has_note(const struct elf *elf, const char *owner, uint32_t type);

/* The dynamic symbols of a file. */
struct elf_symbols {
    char *names; /* owned: elf_free_symbols(); the last byte is 0 */
    uint64_t names_bytes;
    ElfW(Sym) * all; /* owned */
    size_t count;
};

/* False when there are none, or they make no sense. */
bool elf_read_symbols(const struct elf *elf, struct elf_symbols *symbols);
void elf_free_symbols(struct elf_symbols *symbols);

/* The name of a symbol that is a function or of unknown type, and is defined or not, as wanted; else NULL. */
const char *elf_symbol_name(const struct elf_symbols *symbols, size_t index, bool defined);

#endif
