# SPDX-License-Identifier: MIT
#
# curl, unmodified, on our TCP; nginx on the kernel's. The device exists before, so that dumpcap can
# look at it from the kernel's side.

load lib

setup_file() {
    namespace_start net
    persistent_device
    # On a busy machine the kernel's tail loss probe, due after two round trips, comes before we have run at all.
    inside sysctl -qw net.ipv4.tcp_early_retrans=0
    serve
    make_file "$WWW/byte" 1
    make_file "$WWW/million" 1000000
    make_file "$WWW/thousand_millions" 1000000000
    mkdir "$WWW/many"
    for i in {1..50}; do make_file "$WWW/many/$i" $((i * 20011)); done
}

teardown_file() {
    namespace_stop net
}

setup() {
    cd "$BATS_TEST_TMPDIR"
}

# fetch NAME: and compare byte for byte with what the server has.
fetch() {
    ours curl -sS "http://$KERNEL/$1" | cmp - "$WWW/$1"
}

# nothing_wrong_in FILE [FILTER]: a capture holds both directions, no bad checksum (of what the filter lets
# through), nothing sent twice.
nothing_wrong_in() {
    local checksums="(${2:-tcp}) && (tcp.checksum.status == \"Bad\" || ip.checksum.status == \"Bad\")"
    assert [ "$(packets "$1" "ip.src == $STACK && tcp.len > 0")" -gt 0 ] &&
        assert [ "$(packets "$1" "ip.src == $KERNEL && tcp.len > 0")" -gt 0 ] &&
        assert_equal "$(packets "$1" "$checksums" -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE)" 0 &&
        assert_equal "$(packets "$1" 'tcp.analysis.retransmission || tcp.analysis.fast_retransmission')" 0 &&
        assert_equal "$(packets "$1" 'tcp.flags.reset == 1')" 0
}

@test "curl fetches one byte" {
    fetch byte
}

@test "curl fetches a megabyte" {
    fetch million
}

@test "curl fetches a gigabyte" {
    fetch thousand_millions
}

@test "curl fetches a gigabyte without offload" {
    export UTCP_SET=offload=0
    fetch thousand_millions
}

@test "curl uploads 100 megabytes with -T" {
    make_file upload 100000000
    ours curl -sS -T upload "http://$KERNEL/upload"
    cmp upload "$WWW/upload"
}

@test "curl uploads 100 megabytes without offload" {
    make_file upload 100000000
    UTCP_SET=offload=0 ours curl -sS -T upload "http://$KERNEL/upload2"
    cmp upload "$WWW/upload2"
}

@test "curl fetches 50 files at once" {
    ours curl -sS --parallel --parallel-immediate --parallel-max 50 \
        --remote-name-all "http://$KERNEL/many/[1-50]"
    for i in {1..50}; do cmp "$i" "$WWW/many/$i"; done
}

@test "curl goes on with a download that was interrupted" {
    head -c 400000 "$WWW/million" >part
    ours curl -sS -C - -o part "http://$KERNEL/million"
    cmp part "$WWW/million"
}

@test "our capture shows a clean download without a bad checksum or a retransmission" {
    UTCP_PCAP=$PWD/download.pcapng fetch million
    wait_until 240 no_keeper
    nothing_wrong_in download.pcapng
}

upload() {
    rm -f upload.pcapng
    UTCP_PCAP=$PWD/upload.pcapng ours curl -sS -T "$WWW/million" "http://$KERNEL/copy"
    cmp "$WWW/million" "$WWW/copy"
    wait_until 240 no_keeper
}

# Our probe, too, may take a busy machine for loss, whose kernel answers late: not three times in a row.
@test "our capture shows a clean upload without a bad checksum or a retransmission" {
    for try in 1 2 3; do
        upload
        if (nothing_wrong_in upload.pcapng); then return; fi
        echo "that was upload $try"
    done
    return 1
}

@test "a capture on the device agrees, without offload" {
    capture_start "$PWD/device.pcapng"
    UTCP_SET=offload=0 fetch million
    wait_until 240 no_keeper
    capture_stop device.pcapng
    # The kernel's last word to the connection before may still have been meant for a device with offload.
    nothing_wrong_in device.pcapng "ip.src == $STACK"
}

@test "a capture on the device sees our packets with offload, and no retransmission" {
    capture_start "$PWD/device.pcapng"
    fetch million
    wait_until 240 no_keeper
    capture_stop device.pcapng
    assert [ "$(packets device.pcapng "ip.src == $STACK")" -gt 5 ]
    assert_equal "$(packets device.pcapng 'tcp.analysis.retransmission')" 0
}

@test "the kernel's TCP opens no connection for curl" {
    local opens
    opens=$(kernel_tcp ActiveOpens)
    fetch million
    assert_equal "$(kernel_tcp ActiveOpens)" "$opens"
}

@test "every connection ends with a FIN in both directions" {
    UTCP_PCAP=$PWD/fin.pcapng fetch byte
    wait_until 240 no_keeper
    assert [ "$(packets fin.pcapng "ip.src == $STACK && tcp.flags.fin == 1")" -ge 1 ]
    assert [ "$(packets fin.pcapng "ip.src == $KERNEL && tcp.flags.fin == 1")" -ge 1 ]
    wait_until 10 sh -c "! nsenter --target $net --net ss -Htn state established | grep -q $STACK"
}

@test "curl resolves names in a thread while its sockets are ours" {
    echo "$KERNEL server.test" >hosts
    inside mount --bind hosts /etc/hosts
    run -0 ours curl -sS --fail -o named "http://server.test/million"
    inside umount /etc/hosts
    cmp named "$WWW/million"
}
