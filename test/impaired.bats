# SPDX-License-Identifier: MIT
#
# The same transfers over bad links: our own impairment at the device, from a seed.
#
# A transfer with 3 % loss and a round trip of 40 ms takes its time, most of it waiting: so all of
# them run at once, each program with a device of its own, and the tests collect the results. The
# devices are persistent, or the kernel's address would go away with the first program.

load lib

BAD='delay 20ms 5ms loss 3% reorder 25% duplicate 1% seed 7'

setup_file() {
    namespace_start net
    inside "$ROOT/scripts/utcp" setup --count 12
    serve
    cd "$BATS_FILE_TMPDIR"
    make_file "$WWW/file" 20000000
    head -c 3000000 "$WWW/file" >"$WWW/part"

    job download over "$BAD" curl -sS -o download "http://$KERNEL/file"
    job upload over "$BAD" curl -sS -T "$WWW/file" "http://$KERNEL/upload"
    export UTCP_SET=offload=0
    job bare_download over "$BAD" curl -sS -o bare_download "http://$KERNEL/file"
    job bare_upload over "$BAD" curl -sS -T "$WWW/file" "http://$KERNEL/bare_upload"
    unset UTCP_SET
    job nc_sends nc_sends
    job nc_serves nc_serves
    job corrupted over 'corrupt 1% seed 3' curl -sS -o corrupted "http://$KERNEL/file"
    job lost_in over 'loss 3% dir in seed 4' curl -sS -o lost_in "http://$KERNEL/part"
    job lost_out over 'loss 3% dir out seed 5' curl -sS -T "$WWW/part" "http://$KERNEL/lost_out"
    job slow over 'rate 20mbit' curl -sS -o slow "http://$KERNEL/part"
}

teardown_file() {
    namespace_stop net
}

setup() {
    cd "$BATS_FILE_TMPDIR"
}

# over IMPAIRMENT COMMAND...
over() {
    UTCP_IMPAIR=$1 ours "${@:2}"
}

nc_sends() {
    start server nc -l 5000 >nc_sent
    wait_until 20 kernel_listens 5000
    over "$BAD" nc -N $KERNEL 5000 <"$WWW/file"
    wait "$server"
}

# The last device of the pool, where the stack is 10.0.0.45.
nc_serves() {
    start server env UTCP_DEV=utcp11 UTCP_IMPAIR="$BAD" LD_PRELOAD="$LIBRARY" nc -l 5001 >nc_served
    wait_until 20 inside ping -c 1 -W 1 10.0.0.45
    inside nc -N 10.0.0.45 5001 <"$WWW/file"
    wait "$server"
}

@test "curl fetches 20 megabytes over a bad link" {
    job_succeeds download
    cmp download "$WWW/file"
}

@test "curl uploads 20 megabytes over a bad link" {
    job_succeeds upload
    cmp "$WWW/upload" "$WWW/file"
}

@test "curl fetches 20 megabytes over a bad link without offload" {
    job_succeeds bare_download
    cmp bare_download "$WWW/file"
}

@test "curl uploads 20 megabytes over a bad link without offload" {
    job_succeeds bare_upload
    cmp "$WWW/bare_upload" "$WWW/file"
}

@test "nc sends 20 megabytes over a bad link" {
    job_succeeds nc_sends
    cmp nc_sent "$WWW/file"
}

@test "nc as a server receives 20 megabytes over a bad link" {
    job_succeeds nc_serves
    cmp nc_served "$WWW/file"
}

@test "corrupted packets are dropped, and the data is whole" {
    job_succeeds corrupted
    cmp corrupted "$WWW/file"
}

@test "losses of what comes in are survived" {
    job_succeeds lost_in
    cmp lost_in "$WWW/part"
}

@test "losses of what goes out are survived" {
    job_succeeds lost_out
    cmp "$WWW/lost_out" "$WWW/part"
}

@test "a rate holds packets back and loses none of the data" {
    job_succeeds slow
    cmp slow "$WWW/part"
}

@test "our capture shows the retransmissions that the losses caused" {
    UTCP_PCAP=$PWD/lossy.pcapng over 'loss 3% dir out seed 6' \
        curl -sS -T "$WWW/part" "http://$KERNEL/lossy"
    cmp "$WWW/lossy" "$WWW/part"
    assert [ "$(packets lossy.pcapng 'tcp.analysis.retransmission || tcp.analysis.fast_retransmission')" -gt 0 ]
}
