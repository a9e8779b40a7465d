/* SPDX-License-Identifier: MIT */
/*
 * What a program has now, to be compared with what it had: for tests that nothing is left behind.
 */
#ifndef LEFT_H
#define LEFT_H

struct left {
    long own, all; /* descriptors: the calling thread's, and those of all threads' tables */
    long resident_kb;
};

struct left look(void);

/* Looks until there are no more descriptors than before, which takes a moment after the last close, or for long
 * enough: a minute. */
struct left look_when_settled(const struct left *before);

/* The number behind a key at the beginning of a line; -1 when there is none. */
long read_number(const char *path, const char *key);

#endif
