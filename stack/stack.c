/* SPDX-License-Identifier: MIT */
#include "utcp.h"
