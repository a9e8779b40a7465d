# SPDX-License-Identifier: MIT
#
# The same transfers over a bad link: our own impairment at the device, from a seed.

load lib

BAD='delay 20ms 5ms loss 3% reorder 25% duplicate 1% seed 7'

setup_file() {
    namespace_start net
    persistent_device
    serve
    make_file "$WWW/file" 20000000
    export FILE=$WWW/file
}

teardown_file() {
    namespace_stop net
}

setup() {
    cd "$BATS_TEST_TMPDIR"
}

teardown() {
    wait_until 60 no_keeper
}

@test "curl fetches 20 megabytes over a bad link" {
    UTCP_IMPAIR=$BAD ours curl -sS "http://$KERNEL/file" | cmp - "$FILE"
}

@test "curl uploads 20 megabytes over a bad link" {
    UTCP_IMPAIR=$BAD ours curl -sS -T "$FILE" "http://$KERNEL/copy"
    cmp "$FILE" "$WWW/copy"
}

@test "curl fetches 20 megabytes over a bad link without offload" {
    UTCP_SET=offload=0 UTCP_IMPAIR=$BAD ours curl -sS "http://$KERNEL/file" | cmp - "$FILE"
}

@test "curl uploads 20 megabytes over a bad link without offload" {
    UTCP_SET=offload=0 UTCP_IMPAIR=$BAD ours curl -sS -T "$FILE" "http://$KERNEL/copy2"
    cmp "$FILE" "$WWW/copy2"
}

@test "nc sends 20 megabytes over a bad link" {
    start server nc -l 5000 >received
    wait_until 10 kernel_listens 5000
    UTCP_IMPAIR=$BAD ours nc -N $KERNEL 5000 <"$FILE"
    wait "$server"
    cmp "$FILE" received
}

@test "nc as a server sends and receives 20 megabytes over a bad link" {
    start server env UTCP_IMPAIR="$BAD" LD_PRELOAD="$LIBRARY" nc -N -l 5000 <"$FILE" >received
    wait_until 20 inside sh -c "nc -N $STACK 5000 <'$FILE' >answer"
    wait "$server"
    cmp "$FILE" received
    cmp "$FILE" answer
}

@test "corrupted packets are dropped, and the data is whole" {
    UTCP_IMPAIR='corrupt 1% seed 3' ours curl -sS "http://$KERNEL/file" | cmp - "$FILE"
}

@test "losses in one direction only are survived, each" {
    UTCP_IMPAIR='loss 3% dir in seed 4' ours curl -sS "http://$KERNEL/file" | cmp - "$FILE"
    UTCP_IMPAIR='loss 3% dir out seed 5' ours curl -sS -T "$FILE" "http://$KERNEL/copy3"
    cmp "$FILE" "$WWW/copy3"
}

@test "a rate holds packets back and loses none of the data" {
    head -c 1000000 "$FILE" >"$WWW/part"
    UTCP_IMPAIR='rate 20mbit' ours curl -sS "http://$KERNEL/part" | cmp - "$WWW/part"
}

@test "our capture shows the retransmissions that the losses caused" {
    head -c 2000000 "$FILE" >"$WWW/part"
    UTCP_PCAP=$PWD/lossy.pcapng UTCP_IMPAIR='loss 3% dir out seed 6' \
        ours curl -sS -T "$WWW/part" "http://$KERNEL/copy4"
    wait_until 60 no_keeper
    assert [ "$(packets lossy.pcapng 'tcp.analysis.retransmission || tcp.analysis.fast_retransmission')" -gt 0 ]
}
