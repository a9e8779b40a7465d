# SPDX-License-Identifier: MIT
#
# Real programs on the library as the sanitizers build it (build-asan/, which the asan suite makes).
# curl is not among them: with libasan preloaded Debian's hangs even without our library.

load lib

setup_file() {
    export SANITIZED=$ROOT/build-asan
    if [[ ! -e $SANITIZED/build.ninja ]]; then
        meson setup "$SANITIZED" "$ROOT" -Db_sanitize=address,undefined -Db_lundef=false >/dev/null
    fi
    meson compile -C "$SANITIZED" >/dev/null
    # The program's own leaks are not ours to report.
    export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:log_path=$BATS_FILE_TMPDIR/report
    export UBSAN_OPTIONS=halt_on_error=1:abort_on_error=1:print_stacktrace=1:log_path=$BATS_FILE_TMPDIR/report
    namespace_start net
    persistent_device
    serve
    make_file "$BATS_FILE_TMPDIR/file" 20000000
}

teardown_file() {
    namespace_stop net
}

setup() {
    cd "$BATS_FILE_TMPDIR"
    # In this order: the sanitizer's library insists on being the first.
    LIBRARY="$(cc -print-file-name=libasan.so):$SANITIZED/shim/libutcp.so"
}

teardown() {
    wait_until 240 no_keeper
    run -0 sh -c 'cat report.* 2>/dev/null || true'
    assert_output ''
}

@test "the sanitizers find nothing when nc sends" {
    start server nc -l 5000 >received
    wait_until 10 kernel_listens 5000
    ours nc -N $KERNEL 5000 <file
    wait "$server"
    cmp file received
}

@test "the sanitizers find nothing when nc serves" {
    start_ours server nc -l 5000 >received
    wait_until 30 inside ping -c 1 -W 1 $STACK
    inside nc -N $STACK 5000 <file
    wait "$server"
    cmp file received
}

@test "the sanitizers find nothing over a bad link, with a capture, and in the keeper" {
    start server nc -l 5000 >received
    wait_until 10 kernel_listens 5000
    head -c 2000000 file >part
    UTCP_SET=snd_buf=4M UTCP_PCAP=$PWD/capture.pcapng \
        UTCP_IMPAIR='delay 2ms 1ms loss 1% reorder 10% duplicate 2% corrupt 1% seed 8' \
        ours perl -e "$send_and_exit" $KERNEL 5000 <part
    wait "$server"
    cmp part received
}

@test "the sanitizers find nothing without offload" {
    start server nc -l 5000 >received
    wait_until 10 kernel_listens 5000
    UTCP_SET=offload=0 ours nc -N $KERNEL 5000 <file
    wait "$server"
    cmp file received
}

@test "the sanitizers find nothing when nobody is there" {
    run -1 ours nc -z $KERNEL 5001
    UTCP_DEV=lo run -1 ours nc -z $KERNEL 5001
}

@test "the sanitizers find nothing when a program asks all there is to ask of AF_INET6" {
    start server "$BUILD/test/programs/inet6" server 5002
    wait_until 10 kernel_listens 5002
    ours "$BUILD/test/programs/inet6" names $STACK $KERNEL 5002 >/dev/null
    ours "$BUILD/test/programs/inet6" options $STACK $KERNEL 5002 >/dev/null
    kill "$server"
}
