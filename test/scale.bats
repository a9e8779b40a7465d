# SPDX-License-Identifier: MIT
#
# Many connections: held at once, made one after the other, idle; and programs that have none.

load lib

CROWD=$BUILD/test/programs/crowd

setup() {
    cd "$BATS_TEST_TMPDIR"
    namespace_start net
}

teardown() {
    exec 7>&-
    namespace_stop net
}

# kernel_serves, we_serve: what comes back on port 5000.
kernel_serves() {
    start server "$CROWD" serve 0.0.0.0 5000 >server.out
    wait_until 20 grep -q listening server.out
}

we_serve() {
    start_ours server "$@" "$CROWD" serve 0.0.0.0 5000 >server.out
    wait_until 20 grep -q listening server.out
}

# descriptors PID: of all its threads, for the engine's has its own.
descriptors() {
    ls /proc/"$1"/task/*/fd | grep -c '^[0-9]'
}

resident_kb() {
    sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$1/status"
}

# Both ends of the sockets that the engine keeps in advance, at most.
readonly SPARE=32

# has_descriptors PID COUNT: so many, and spare ones.
has_descriptors() {
    (($(descriptors "$1") <= $2 + SPARE))
}

# ticks: of processor time that everything in the namespace has used so far.
ticks() {
    local pid sum=0 fields
    for pid in $(processes_in "$(readlink "/proc/$net/ns/net")"); do
        fields=$(sed 's/.*) //' "/proc/$pid/stat")
        # shellcheck disable=SC2086
        set -- $fields
        sum=$((sum + ${12} + ${13}))
    done
    echo "$sum"
}

anonymous_kb() {
    sed -n 's/^anonymous //p' "$1"
}

@test "a client holds 10,000 connections, and each sends and receives" {
    kernel_serves
    run -0 ours "$CROWD" hold 10000 $KERNEL 5000 </dev/null
    assert_output $'held\nserved'
}

@test "a server holds 10,000 connections, and each sends and receives" {
    we_serve
    run -0 inside "$CROWD" hold 10000 $STACK 5000 </dev/null
    assert_output $'held\nserved'
}

@test "20,000 connections in a row leave nothing in a client" {
    kernel_serves
    run -0 ours "$CROWD" turns 20000 $KERNEL 5000
    read -r own all resident_kb <<<"$output"
    assert_equal "$own" 0
    [ "$all" -le $SPARE ]
    # A connection has more than 1,000 bytes; so much may be touched for other reasons.
    [ "$resident_kb" -lt 2048 ]
}

@test "20,000 connections in a row leave nothing in a server" {
    local before memory
    # The server closes first, so it is the one that has TIME-WAIT.
    UTCP_SET=time_wait=100ms we_serve
    before=$(descriptors "$server")
    run -0 inside "$CROWD" turns 1000 $STACK 5000
    memory=$(resident_kb "$server")
    run -0 inside "$CROWD" turns 20000 $STACK 5000
    wait_until 60 has_descriptors "$server" "$before"
    [ $(($(resident_kb "$server") - memory)) -lt 2048 ]
}

@test "1,000 idle connections use no processor time" {
    local before
    kernel_serves
    mkfifo stdin
    exec 7<>stdin
    start_ours holder "$CROWD" hold 1000 $KERNEL 5000 <stdin >holder.out
    wait_until 60 grep -q held holder.out
    sleep 2 # the last acknowledgments are delayed, and probes for lost tails wait
    before=$(ticks)
    sleep 5
    # A tick is 10 ms.
    [ $(($(ticks) - before)) -le 1 ]
    echo >&7
    wait_until 60 grep -q served holder.out
    wait "$holder"
}

@test "a program without TCP sockets gets no thread, no descriptor, and no mapping but the library's" {
    inside "$CROWD" nothing >without
    ours "$CROWD" nothing >with
    assert_equal "$(grep -E 'threads|descriptors' with)" "$(grep -E 'threads|descriptors' without)"
    run -0 grep '^threads' with
    assert_output 'threads 1'
    run -0 comm -13 <(grep ^file without | sort) <(grep ^file with | sort | grep -v "libutcp\.so\|libcap\.so")
    assert_output ""
    # Its variables, and the page by which a fork is noticed.
    [ $(($(anonymous_kb with) - $(anonymous_kb without))) -le 64 ]
}
