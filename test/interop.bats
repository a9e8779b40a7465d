# SPDX-License-Identifier: MIT
#
# Every option on and off on either side, against each congestion control that the kernel has: our
# TCP at one end, the kernel's at the other, tshark as the judge of our own captures.
#
# A set of options is a number, a bit for each. What is sent and answered is compared with what the
# kernel sends and answers for the same set, so the kernel says what is right.

load lib

# The settings of ours, and the kernel's of the same meaning.
readonly options=(sack window_scaling timestamps ecn)
readonly sysctls=(tcp_sack tcp_window_scaling tcp_timestamps tcp_ecn)
readonly ALL=15 TIMESTAMPS=4 ECN=8 DEVICES=4
# Everything, nothing, each missing; each alone.
readonly sets=(15 0 14 13 11 7) singles=(1 2 4 8)

setup_file() {
    namespace_start net
    inside "$ROOT/scripts/utcp" setup --count $DEVICES
    serve
    make_file "$WWW/some" 300000
}

teardown_file() {
    namespace_stop net
}

setup() {
    cd "$BATS_TEST_TMPDIR"
}

# settings SET: as UTCP_SET takes it; without offload, so that the capture shows every segment.
settings() {
    local i text=offload=0
    for i in "${!options[@]}"; do
        text+=",${options[i]}=$(($1 >> i & 1))"
    done
    echo "$text"
}

# kernel_has SET
kernel_has() {
    local i values=()
    for i in "${!sysctls[@]}"; do
        values+=("net.ipv4.${sysctls[i]}=$(($1 >> i & 1))")
    done
    inside sysctl -qw "${values[@]}"
}

# kernel_uses CC: for what goes to our stack. As an attribute of the route, for the namespace's default
# may only be one that the machine's administrator has released to everybody.
kernel_uses() {
    local i
    for ((i = 0; i < DEVICES; i++)); do
        inside ip route replace "10.0.0.$((4 * i + 1))" dev "utcp$i" src "10.0.0.$((4 * i + 2))" \
            congctl "$1"
    done
}

# exchange OURS CAPTURE: a file down and a file up, over one connection of ours. The delay is there so
# that no tail loss probe, due after two round trips, takes a busy machine for a loss.
exchange() {
    UTCP_IMPAIR='delay 5ms' UTCP_SET=$(settings "$1") UTCP_PCAP=$2 ours curl -sS --fail -o down "http://$KERNEL/some" \
        --next -sS --fail -T "$WWW/some" "http://$KERNEL/up"
    cmp down "$WWW/some"
    cmp "$WWW/up" "$WWW/some"
}

# told CAPTURE FILTER: flags, kinds of options and length of the header of each packet that matches.
told() {
    tshark -n -r "$1" -Y "$2" -T fields -e tcp.flags -e tcp.option_kind -e tcp.hdr_len 2>/dev/null
}

# clean CAPTURE: nothing is wrong with a checksum, and nothing was sent twice or is a mystery to tshark.
# What the kernel computes in software is 0xffff where tshark would have 0, which is the same.
clean() {
    local bad='(tcp.checksum.status == "Bad" && tcp.checksum != 0xffff) || ip.checksum.status == "Bad" ||
        tcp.analysis.retransmission || tcp.analysis.fast_retransmission ||
        tcp.analysis.spurious_retransmission || tcp.analysis.lost_segment ||
        tcp.analysis.ack_lost_segment || tcp.analysis.out_of_order ||
        tcp.options.sack.dsack || tcp.flags.reset == 1 || _ws.malformed'
    run -0 --separate-stderr tshark -n -r "$1" -d tcp.port==5000,data -Y "$bad" \
        -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE
    assert_equal "$(head -n 5 <<<"$output")" ''
}

# agreed CAPTURE OURS KERNEL: what both wanted is in use from the third packet on, and else not.
agreed() {
    local both=$(($2 & $3)) data='tcp.len > 0' stamped=tcp.options.timestamp.tsval capable=0
    if ((both & TIMESTAMPS)); then stamped="!$stamped"; fi
    if ((both & ECN)); then capable=2; fi
    assert [ "$(packets "$1" "$data")" -gt 400 ]
    assert_equal "$(packets "$1" "tcp.flags.syn == 0 && $stamped")" 0
    assert_equal "$(packets "$1" "$data && ip.dsfield.ecn != $capable")" 0
    assert_equal "$(packets "$1" 'tcp.flags.syn == 1 && ip.dsfield.ecn != 0')" 0
}

# active OURS KERNEL: our client and the kernel's server; the capture is OURS-KERNEL.pcapng.
active() {
    kernel_has "$2"
    exchange "$1" "$PWD/$1-$2.pcapng"
}

# passive OURS KERNEL: our server and the kernel's client; the capture is by-OURS-KERNEL.pcapng.
# A listening nc leaves at the client's FIN, sent all or not: the client says it (no -N) after the server's.
passive() {
    kernel_has "$2"
    start server env UTCP_SET="$(settings "$1")" UTCP_IMPAIR='delay 5ms' UTCP_DEV=utcp3 \
        UTCP_PCAP="$PWD/by-$1-$2.pcapng" LD_PRELOAD="$LIBRARY" nc -N -l 5000 \
        <"$WWW/some" >taken
    wait_until 20 inside ping -c 1 -W 1 10.0.0.13
    inside nc 10.0.0.13 5000 <"$WWW/some" >given
    wait "$server"
    cmp given "$WWW/some"
    cmp taken "$WWW/some"
}

# exchanges OURS KERNEL...: of one set of ours with many of the kernel's; nothing may be wrong.
exchanges() {
    local ours=$1 kernel
    shift
    for kernel; do
        active "$ours" "$kernel"
    done
    wait_until 60 no_keeper
    for kernel; do
        cat "$ours-$kernel.pcapng"
    done >all.pcapng
    clean all.pcapng
    for kernel; do
        agreed "$ours-$kernel.pcapng" "$ours" "$kernel"
    done
}

# matrix CC: all of ours with all the kernel's sets, and the kernel's whole set with all of ours.
matrix() {
    local set
    kernel_uses "$1"
    exchanges $ALL "${sets[@]}"
    for set in "${sets[@]:1}"; do
        exchanges "$set" $ALL
    done
}

@test "every option on and off, with the kernel's Reno" {
    matrix reno
}

@test "every option on and off, with the kernel's CUBIC" {
    matrix cubic
}

@test "every option on and off, with the kernel's BBR" {
    matrix bbr
}

SYN='tcp.flags.syn == 1 && tcp.flags.ack == 0'
SYN_ACK='tcp.flags.syn == 1 && tcp.flags.ack == 1'

@test "our SYN and our SYN-ACK have what the kernel's have, for every set of options" {
    local set
    for set in "${sets[@]}" "${singles[@]}"; do
        active "$set" $ALL
        active $ALL "$set"
        passive $ALL "$set"
        passive "$set" $ALL
        wait_until 60 no_keeper
        assert [ "$(told "$set-$ALL.pcapng" "$SYN")" ]
        assert_equal "$(told "$set-$ALL.pcapng" "$SYN")" "$(told "by-$ALL-$set.pcapng" "$SYN")"
        assert_equal "$(told "by-$set-$ALL.pcapng" "$SYN_ACK")" "$(told "$ALL-$set.pcapng" "$SYN_ACK")"
        assert_equal "$(told "by-$ALL-$set.pcapng" "$SYN_ACK")" "$(told "$set-$ALL.pcapng" "$SYN_ACK")"
        clean "by-$ALL-$set.pcapng"
        clean "by-$set-$ALL.pcapng"
    done
}

# marked DIRECTION CAPTURE CURL...: over a link that marks.
marked() {
    kernel_has $ALL
    kernel_uses cubic
    UTCP_IMPAIR="delay 5ms mark 5% dir $1 seed 9" UTCP_DEV=utcp0 UTCP_SET=$(settings $ALL) UTCP_PCAP=$2 \
        ours curl -sS "${@:3}"
    wait_until 60 no_keeper
}

@test "marks on what we send come back as echoes, and we say that the window is smaller" {
    marked out "$PWD/out.pcapng" -T "$WWW/some" "http://$KERNEL/marked"
    cmp "$WWW/marked" "$WWW/some"
    assert [ "$(packets out.pcapng "ip.src == $STACK && ip.dsfield.ecn == 3")" -gt 0 ]
    assert [ "$(packets out.pcapng "ip.src == $KERNEL && tcp.flags.ece == 1 && tcp.flags.syn == 0")" -gt 0 ]
    assert [ "$(packets out.pcapng "ip.src == $STACK && tcp.flags.cwr == 1 && tcp.flags.syn == 0")" -gt 0 ]
    clean out.pcapng
}

@test "marks on what we receive are echoed until the kernel says that its window is smaller" {
    marked in "$PWD/in.pcapng" -o down "http://$KERNEL/some"
    cmp down "$WWW/some"
    assert [ "$(packets in.pcapng "ip.src == $STACK && tcp.flags.ece == 1 && tcp.flags.syn == 0")" -gt 0 ]
    assert [ "$(packets in.pcapng "ip.src == $KERNEL && tcp.flags.cwr == 1 && tcp.flags.syn == 0")" -gt 0 ]
    clean in.pcapng
}
