/* SPDX-License-Identifier: MIT */
#include "elffile.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool lies_inside(const struct elf *elf, uint64_t size, uint64_t offset)
{
    return offset <= elf->size_bytes && size <= elf->size_bytes - offset;
}

static bool read_at(const struct elf *elf, void *buffer, uint64_t size, uint64_t offset)
{
    return lies_inside(elf, size, offset) &&
           pread(elf->fd, buffer, size, (off_t)offset) == (ssize_t)size;
}

/* A table of the file in memory of its own, with a zero byte behind it; NULL when it is not all there. */
static void *read_table(const struct elf *elf, uint64_t size, uint64_t offset)
{
    char *table = lies_inside(elf, size, offset) ? malloc(size + 1) : NULL;

    if (table == NULL)
        return NULL;
    table[size] = '\0';
    if (read_at(elf, table, size, offset))
        return table;
    free(table);
    return NULL;
}

bool elf_begins(int fd)
{
    char magic[SELFMAG];

    return pread(fd, magic, SELFMAG, 0) == SELFMAG && memcmp(magic, ELFMAG, SELFMAG) == 0;
}

bool elf_is_native(const struct elf *elf)
{
    ElfW(Ehdr) own;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    bool known = fd >= 0 && pread(fd, &own, sizeof own, 0) == sizeof own;

    if (fd >= 0)
        close(fd);
    return !known || (own.e_ident[EI_CLASS] == elf->header.e_ident[EI_CLASS] &&
                      own.e_ident[EI_DATA] == elf->header.e_ident[EI_DATA] &&
                      own.e_machine == elf->header.e_machine);
}

const char *elf_open(struct elf *elf, int fd)
{
    struct stat status;

    *elf = (struct elf){.fd = fd};
    if (fstat(fd, &status) < 0)
        return "it cannot be looked at";
    elf->size_bytes = (uint64_t)status.st_size;
    if (!read_at(elf, &elf->header, sizeof elf->header, 0))
        return "it ends within its ELF header";
    if (!elf_is_native(elf))
        return "it is built for another architecture than the library";
    if (elf->header.e_type != ET_EXEC && elf->header.e_type != ET_DYN)
        return "it is an ELF file, but no program";
    if (elf->header.e_phentsize != sizeof *elf->segments)
        return "it is a damaged ELF file: its segments have a size that none has";
    elf->segments =
        read_table(elf, (uint64_t)elf->header.e_phnum * sizeof *elf->segments, elf->header.e_phoff);
    return elf->segments != NULL ? NULL
                                 : "it is a damaged ELF file: it ends before its segments do";
}

void elf_close(struct elf *elf)
{
    free(elf->segments);
}

static const ElfW(Phdr) * find_segment(const struct elf *elf, uint32_t type)
{
    for (unsigned i = 0; i < elf->header.e_phnum; i++) {
        if (elf->segments[i].p_type == type)
            return &elf->segments[i];
    }
    return NULL;
}

const char *elf_read_loader(const struct elf *elf, char path[ELF_PATH_BYTES])
{
    const ElfW(Phdr) *part = find_segment(elf, PT_INTERP);

    path[0] = '\0';
    if (part == NULL)
        return NULL;
    if (part->p_filesz < 2 || part->p_filesz > ELF_PATH_BYTES ||
        !read_at(elf, path, part->p_filesz, part->p_offset) || path[part->p_filesz - 1] != '\0')
        return "it is a damaged ELF file: the name of its loader is not one";
    return NULL;
}

/* Both lengths of a note are padded to multiples of four. That of a name counts its zero byte, and Go counts its padding. */
static uint64_t padded(uint32_t size)
{
    return ((uint64_t)size + 3) & ~UINT64_C(3);
}

static bool part_has_note(const char *notes, uint64_t size, const char *owner, uint32_t type)
{
    ElfW(Nhdr) note;
    uint64_t at = 0;
    uint32_t owner_bytes = (uint32_t)strlen(owner) + 1;

    while (size - at >= sizeof note) {
        memcpy(&note, notes + at, sizeof note);
        at += sizeof note;
        if (padded(note.n_namesz) > size - at)
            return false;
        if (note.n_type == type && padded(note.n_namesz) == padded(owner_bytes) &&
            note.n_namesz >= owner_bytes && memcmp(notes + at, owner, owner_bytes) == 0)
            return true;
        at += padded(note.n_namesz);
        if (padded(note.n_descsz) > size - at)
            return false;
        at += padded(note.n_descsz);
    }
    return false;
}

bool elf_has_note(const struct elf *elf, const char *owner, uint32_t type)
{
    bool found = false;

    for (unsigned i = 0; i < elf->header.e_phnum && !found; i++) {
        const ElfW(Phdr) *part = &elf->segments[i];
        char *notes;

        if (part->p_type != PT_NOTE)
            continue;
        notes = read_table(elf, part->p_filesz, part->p_offset);
        found = notes != NULL && part_has_note(notes, part->p_filesz, owner, type);
        free(notes);
    }
    return found;
}

/* ---- dynamic symbols ---- */

/* What the dynamic section says; addresses, not offsets. 0 = it does not say. */
struct dynamic {
    uint64_t names, names_bytes, symbols, hash, gnu_hash;
};

static bool read_dynamic(const struct elf *elf, struct dynamic *dynamic)
{
    const ElfW(Phdr) *part = find_segment(elf, PT_DYNAMIC);
    ElfW(Dyn) * all;

    *dynamic = (struct dynamic){0};
    all = part != NULL ? read_table(elf, part->p_filesz, part->p_offset) : NULL;
    if (all == NULL)
        return false;
    for (size_t i = 0; i < part->p_filesz / sizeof *all && all[i].d_tag != DT_NULL; i++) {
        switch (all[i].d_tag) {
        case DT_STRTAB:
            dynamic->names = all[i].d_un.d_ptr;
            break;
        case DT_STRSZ:
            dynamic->names_bytes = all[i].d_un.d_val;
            break;
        case DT_SYMTAB:
            dynamic->symbols = all[i].d_un.d_ptr;
            break;
        case DT_HASH:
            dynamic->hash = all[i].d_un.d_ptr;
            break;
        case DT_GNU_HASH:
            dynamic->gnu_hash = all[i].d_un.d_ptr;
            break;
        }
    }
    free(all);
    return dynamic->names != 0 && dynamic->symbols != 0;
}

/* Where in the file an address lies; UINT64_MAX = nowhere. */
static uint64_t offset_of(const struct elf *elf, uint64_t address)
{
    for (unsigned i = 0; i < elf->header.e_phnum; i++) {
        const ElfW(Phdr) *part = &elf->segments[i];

        if (part->p_type == PT_LOAD && address >= part->p_vaddr &&
            address - part->p_vaddr < part->p_filesz)
            return part->p_offset + (address - part->p_vaddr);
    }
    return UINT64_MAX;
}

static bool read_words(const struct elf *elf, uint32_t *words, size_t count, uint64_t offset)
{
    return offset < UINT64_MAX - 64 && read_at(elf, words, count * sizeof *words, offset);
}

/* Those that are not defined are not hashed, and come first. The last of the last chain is the last of all. */
static size_t count_gnu_hash(const struct elf *elf, uint64_t offset)
{
    enum { BUCKETS, FIRST, BLOOM_WORDS, BLOOM_SHIFT, HEADER };
    uint32_t header[HEADER], word, last = 0;
    uint32_t *buckets;

    if (!read_words(elf, header, HEADER, offset))
        return 0;
    offset += sizeof header + (uint64_t)header[BLOOM_WORDS] * sizeof(ElfW(Addr));
    buckets = read_table(elf, (uint64_t)header[BUCKETS] * sizeof word, offset);
    if (buckets == NULL)
        return 0;
    for (uint32_t i = 0; i < header[BUCKETS]; i++)
        last = buckets[i] > last ? buckets[i] : last;
    free(buckets);
    if (last < header[FIRST])
        return header[FIRST];
    offset += (uint64_t)header[BUCKETS] * sizeof word;
    do {
        if (!read_words(elf, &word, 1, offset + (uint64_t)(last - header[FIRST]) * sizeof word))
            return 0;
    } while (!(word & 1) && last++ < UINT32_MAX);
    return (size_t)last + 1;
}

static size_t count_symbols(const struct elf *elf, const struct dynamic *dynamic)
{
    uint32_t header[2]; /* buckets, chains; there are as many of these as symbols */

    if (dynamic->gnu_hash != 0)
        return count_gnu_hash(elf, offset_of(elf, dynamic->gnu_hash));
    if (dynamic->hash != 0 && read_words(elf, header, 2, offset_of(elf, dynamic->hash)))
        return header[1];
    return 0;
}

bool elf_read_symbols(const struct elf *elf, struct elf_symbols *symbols)
{
    struct dynamic dynamic;

    *symbols = (struct elf_symbols){0};
    if (!read_dynamic(elf, &dynamic))
        return false;
    symbols->count = count_symbols(elf, &dynamic);
    symbols->names_bytes = dynamic.names_bytes;
    symbols->names = read_table(elf, dynamic.names_bytes, offset_of(elf, dynamic.names));
    symbols->all = read_table(elf, (uint64_t)symbols->count * sizeof *symbols->all,
                              offset_of(elf, dynamic.symbols));
    if (symbols->count > 0 && symbols->names != NULL && symbols->all != NULL)
        return true;
    elf_free_symbols(symbols);
    return false;
}

void elf_free_symbols(struct elf_symbols *symbols)
{
    free(symbols->names);
    free(symbols->all);
    *symbols = (struct elf_symbols){0};
}

const char *elf_symbol_name(const struct elf_symbols *symbols, size_t index, bool defined)
{
    const ElfW(Sym) *symbol = &symbols->all[index];
    unsigned type = symbol->st_info & 0xf;

    if ((type != STT_FUNC && type != STT_NOTYPE && type != STT_GNU_IFUNC) ||
        (symbol->st_shndx != SHN_UNDEF) != defined || symbol->st_name >= symbols->names_bytes)
        return NULL;
    return symbols->names + symbol->st_name;
}
