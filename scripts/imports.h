/* SPDX-License-Identifier: MIT */
#ifndef UTCP_SCRIPTS_IMPORTS_H
#define UTCP_SCRIPTS_IMPORTS_H

#include <stddef.h>

/*
 * Says on stdout which functions for sockets and descriptors some files import (a program, and what the loader gives it)
 * that a library does not interpose. Returns 0, or 1 when the library cannot be read; then one sentence says so. Files that
 * cannot be read are left out.
 */
int imports_tell(const char *library, char *const *files, size_t count);

#endif
