# SPDX-License-Identifier: MIT
#
# Everything at once, for two minutes: 64 threads here and 64 at the other end open, use, duplicate, hand on, fork
# and close connections at random; once with the library as ThreadSanitizer builds it. STRESS_SECONDS and STRESS_SEED
# change how long and what.

load lib

setup_file() {
    export SECONDS_EACH=${STRESS_SECONDS:-120} SEED=${STRESS_SEED:-1}
    export TSAN=$ROOT/build-tsan
    # It watches descriptors, too, but not who closes one past libc: a connection that was reset before accept() had it.
    echo race:receive_offer >"$BATS_FILE_TMPDIR/known"
    export TSAN_OPTIONS="log_path=$BATS_FILE_TMPDIR/report suppressions=$BATS_FILE_TMPDIR/known"
    if [[ ! -e $TSAN/build.ninja ]]; then
        meson setup "$TSAN" "$ROOT" -Db_sanitize=thread -Db_lundef=false >/dev/null
    fi
    meson compile -C "$TSAN" shim/utcp stress >/dev/null
    job plain stress "$BUILD"
    job tsan stress "$TSAN"
}

# stress BUILD: one of the two on the kernel's TCP, the other on ours; each connects to the other, and each goes on serving
# until both are done.
stress() {
    local dir=$BATS_FILE_TMPDIR/${1##*/} program=test/programs/stress net
    mkdir "$dir" && cd "$dir" || return
    LIBRARY=$1/shim/libutcp.so
    namespace_start net
    persistent_device
    mkfifo to_kernel to_ours
    exec 8<>to_kernel 9<>to_ours
    start kernel "$BUILD/$program" $KERNEL 5000 $STACK 5000 64 "$SECONDS_EACH" "$SEED" <&8 >kernel.out
    start_ours ours "$1/$program" $STACK 5000 $KERNEL 5000 64 "$SECONDS_EACH" "$SEED" <&9 >ours.out
    wait_until 60 grep -q listening kernel.out
    wait_until 60 grep -q listening ours.out
    echo >&8 && echo >&9
    wait_until $((SECONDS_EACH + 300)) both_done
    echo >&9
    wait "$ours" && echo >&8 && wait "$kernel"
    local status=$?
    cat ours.out
    namespace_stop net
    return $status
}

both_done() {
    ended "$kernel" || ended "$ours" || { grep -q '^done' kernel.out && grep -q '^done' ours.out; }
}

# left_in BUILD: descriptors and memory that are left.
left_in() {
    sed -n 's/^left: \(.*\) own descriptors, \(.*\) of all threads, \(.*\) KB/\1 \2 \3/p' \
        "$BATS_FILE_TMPDIR/$1/ours.out"
}

@test "64 threads lose no byte, no descriptor and no memory" {
    job_succeeds plain
    read -r own all resident_kb <<<"$(left_in build)"
    # The engine keeps some spare sockets.
    assert [ "$own" -eq 0 ]
    assert [ "$all" -le 32 ] # both ends
    assert [ "$resident_kb" -lt 4096 ]
    echo "# $(grep connections "$BATS_FILE_TMPDIR/build/ours.out")" >&3
}

@test "nor with ThreadSanitizer, which finds no race" {
    job_succeeds tsan
    run -0 sh -c "cat $BATS_FILE_TMPDIR/report.* 2>/dev/null || true"
    assert_output ''
    read -r own all _ <<<"$(left_in build-tsan)"
    assert [ "$own" -eq 0 ]
    assert [ "$all" -le 32 ] # both ends
    echo "# $(grep connections "$BATS_FILE_TMPDIR/build-tsan/ours.out")" >&3
}
