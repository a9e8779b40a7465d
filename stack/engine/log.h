/* SPDX-License-Identifier: MIT */
#ifndef UTCP_ENGINE_LOG_H
#define UTCP_ENGINE_LOG_H

#include "engine.h"

/* What UTCP_LOG asks for; messages above it are dropped. -1 = not even errors. */
void log_set_level(int level);

/* Tells the log which thread has no stderr of its own (its descriptor table has none): lines from
 * it are kept until log_flush(). */
void log_adopt_thread(void);

/* Writes what the engine's thread has left; called by the program's threads. Cheap when there is
 * nothing. */
void log_flush(void);

/* For the keeper: nobody will write the lines any more. */
void log_abandon(void);

/* In a forked child: forgets the parent's lines and thread. */
void log_reset(void);

#endif
