/* SPDX-License-Identifier: MIT */
#ifndef UTCP_SCRIPTS_PROGRAM_H
#define UTCP_SCRIPTS_PROGRAM_H

/*
 * Says on stdout whether the loader would preload a library into a program when this user runs it.
 *
 * Returns 0 for yes. Then the line is
 *	script INTERPRETER [ARGUMENT]	another program runs it: ask about that
 *	elf [LOADER]			the loader is named when it is this program's own
 *	go [LOADER]			the same, but the program makes its system calls itself
 *	unknown				it is neither, or may not be read
 * Returns 1 for no. Then the first line says why, and the second, if there is one, what helps.
 */
int program_tell(const char *path);

#endif
