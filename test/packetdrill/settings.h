/* SPDX-License-Identifier: MIT */
/*
 * What a script's own commands set up. They are ours (see commands/): each appends a line with its name
 * and its arguments to the file that UTCP_PACKETDRILL_SETUP names, and this file reads what they mean.
 */
#ifndef PACKETDRILL_SETTINGS_H
#define PACKETDRILL_SETTINGS_H

#include "utcp.h"

/* Fills in settings and congestion control as Linux has them by default, and as set up since. */
void settings_begin(struct utcp_config *config);

/* Reads what has been set up since the last call; stack may be NULL. */
void settings_refresh(struct utcp_stack *stack);

#endif
