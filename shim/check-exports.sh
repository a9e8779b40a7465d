#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: check-exports.sh LIBRARY MAP
#
# The library exports what its version script lists, and nothing else. A symbol that is not marked
# as visible is left out by the linker without a word, and the program then talks to the kernel.
set -eu

listed=$(sed -n '/global:/,/local:/p' "$2" | grep -o '[A-Za-z_][A-Za-z0-9_]*;' | tr -d ';' | sort)
exported=$(nm -D --defined-only "$1" | awk '{ print $3 }' | sort)

[ -n "$listed" ] && [ "$listed" = "$exported" ] && exit 0
printf 'listed:\n%s\nexported:\n%s\n' "$listed" "$exported" >&2
exit 1
