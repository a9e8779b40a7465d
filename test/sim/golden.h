/* SPDX-License-Identifier: MIT */
#ifndef SIM_GOLDEN_H
#define SIM_GOLDEN_H

#include <stdio.h>

/* Prints how fast the stack is over many links. It is the same on every machine. */
void golden_print(FILE *to);

/* Holds long transfers against what theory says of them, and prints that; returns how many sentences
 * are not true. */
int laws_check(FILE *to);

#endif
