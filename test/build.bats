# SPDX-License-Identifier: MIT
#
# What the build must keep true: the boundaries between the layers, and what is exported.

load lib

setup() {
    cd "$ROOT"
}

# includes FILES...: the names that they include, without brackets or quotes.
includes() {
    grep -hoE '^#include +[<"][^>"]+' "$@" | sed -E 's/^#include +[<"]//' | sort -u
}

@test "the library exports exactly the list in symbols.h" {
    cc -E -P -D_GNU_SOURCE -x c - <<'END' | tr -s ' \n' '\n\n' | grep . | sort >"$BATS_TEST_TMPDIR/listed"
#include "shim/symbols.h"
#define NAME(type, name, parameters, early) name
UTCP_SYMBOLS(NAME)
END
    nm -D --defined-only "$LIBRARY" | awk '{ sub(/@.*/, "", $3); print $3 }' |
        sort >"$BATS_TEST_TMPDIR/exported"
    diff "$BATS_TEST_TMPDIR/listed" "$BATS_TEST_TMPDIR/exported"
}

@test "the core asks nothing of libc but a short list" {
    run -1 bash -c "nm -u '$BUILD/stack/libutcp-core.a' | awk '/ U / { print \$2 }' | sort -u |
        grep -vxE 'utcp_.*|memcpy|memmove|memset|memcmp|__assert_fail|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_' |
        grep -vxFf <(nm --defined-only '$BUILD/stack/libutcp-core.a' | awk 'NF == 3 { print \$3 }')"
    assert_output ''
}

@test "the core includes no header of the system's services" {
    run -1 bash -c "$(declare -f includes); includes stack/*.[ch] stack/{base,cc,ip,wire,tcp}/*.[ch] |
        grep -E '^(sys/|unistd|stdlib|time\\.h|pthread|fcntl|signal|stdio|poll|netinet/|arpa/|linux/|engine|shim)'"
    assert_output ''
}

@test "the engine includes nothing of the shim" {
    run -1 bash -c "$(declare -f includes); includes stack/engine/*.[ch] | grep -xFf <(cd shim && ls *.h)"
    assert_output ''
}

@test "the engine sees of the core utcp.h only" {
    run -1 bash -c "$(declare -f includes); includes stack/engine/*.[ch] |
        grep -E '^(base|cc|ip|wire|tcp)/|^stack\\.h'"
    assert_output ''
}

@test "the shim sees of the engine engine.h only, and nothing of the core" {
    run -1 bash -c "$(declare -f includes); includes shim/*.[ch] |
        grep -xFf <(cd stack && ls engine/*.h *.h */*.h | sed 's,.*/,,' | grep -vx engine.h)"
    assert_output ''
}

@test "every file begins with its licence" {
    run -1 bash -c "git ls-files '*.c' '*.h' '*.bash' '*.bats' '*.build' 'scripts/*' 'test/*.bats' |
        while read -r file; do head -n 2 \"\$file\" | grep -q SPDX-License-Identifier || echo \"\$file\"; done | grep ."
    assert_output ''
}
