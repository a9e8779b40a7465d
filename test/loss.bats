# SPDX-License-Identifier: MIT
#
# 20 megabytes each way over links that lose or reorder much, with what went again in vain: the
# duplicates that the peer told of (DSACK).
#
# Both ends use CUBIC, and 10 ms and a second for the least and the greatest RTO: where a fifth of
# everything is lost, ACKs and repetitions too, a window has two or three segments and now and then all
# of them are lost. Time-outs from 200 ms to two minutes would make that hours; they are not what is
# tested here. Nor has that link timestamps: where the ACK is lost, what goes again after a time-out is
# answered with the old timestamp (RFC 7323 section 4.3), so the time-out is taken for a round trip, and
# the next one is as long. On the way down that link loses data alone: the kernel's time-outs are whole
# ticks, and it would take minutes.
#
# Most of the time is spent waiting, so all transfers run at once, each with a device of its own.

load lib

readonly DEVICES=12
readonly LINKS=(
    'delay 2ms loss 1% seed 1'
    'delay 2ms loss 5% seed 2'
    'loss 20% seed 3'
    'delay 2ms loss 5% burst 4 seed 4'
    'delay 5ms reorder 30% limit 20000 seed 5'
    'delay 2ms loss 1% seed 6'
)
readonly DOWN=('' '' ' dir in' '' '' '')
readonly SETTINGS=('' '' ',timestamps=0' '' '' ',sack=0')
readonly NAMES=('1 % loss' '5 % loss' '20 % loss' '5 % loss in bursts of 4' '30 % reordering' '1 % loss without SACK')

setup_file() {
    local i
    namespace_start net
    inside "$ROOT/scripts/utcp" setup --count $DEVICES
    for ((i = 0; i < DEVICES; i++)); do
        inside ip route replace "10.0.0.$((4 * i + 1))" dev "utcp$i" src "10.0.0.$((4 * i + 2))" \
            congctl cubic rto_min 10ms
    done
    # -e: kernels before 6.15 do not have it.
    inside sysctl -qew net.ipv4.tcp_rto_max_ms=1000
    serve
    cd "$BATS_FILE_TMPDIR"
    make_file "$WWW/file" 20000000
    for i in "${!LINKS[@]}"; do
        job "down$i" over "$i" "${LINKS[i]}${DOWN[i]}" curl -sS -o "download$i" "http://$KERNEL/file"
        job "up$i" over "$i" "${LINKS[i]}" curl -sS -T "$WWW/file" "http://$KERNEL/upload$i"
    done
}

teardown_file() {
    namespace_stop net
}

setup() {
    cd "$BATS_FILE_TMPDIR"
}

# over I IMPAIRMENT COMMAND...
over() {
    local began=${EPOCHREALTIME/.} capture=
    if [[ $1 == 4 ]]; then capture=reordered-%p.pcapng; fi
    UTCP_IMPAIR=$2 UTCP_SET=rto_min=10ms,rto_max=1s${SETTINGS[$1]} UTCP_LOG=summary UTCP_PCAP=$capture \
        ours "${@:3}" || return
    echo "$(((${EPOCHREALTIME/.} - began) / 1000)) ms"
}

# report JOB TEXT: what the summary says, into the test's output: of what we sent, and of what we got.
report() {
    echo "# $2: $(grep ' ms$' "$1.log"): $(sed -n 's/.*summary: \(.*\)/\1/p' "$1.log" | paste -sd ';')" >&3
}

# finishes I
finishes() {
    job_succeeds "down$1"
    job_succeeds "up$1"
    cmp "download$1" "$WWW/file"
    cmp "$WWW/upload$1" "$WWW/file"
    report "down$1" "${NAMES[$1]}, down"
    report "up$1" "${NAMES[$1]}, up"
}

@test "20 megabytes each way under 1 % loss" {
    finishes 0
}

@test "20 megabytes each way under 5 % loss" {
    finishes 1
}

@test "20 megabytes each way under 20 % loss" {
    finishes 2
}

@test "20 megabytes each way under 5 % loss in bursts" {
    finishes 3
}

# sent_again FILE: how many segments of text in the second half of a capture have a number that was sent before.
sent_again() {
    tshark -n -r "$1" -Y 'tcp.dstport == 80 && tcp.len > 0' -T fields -e tcp.seq 2>/dev/null | awk '
        { again[NR] = ($1 in sent); sent[$1] }
        END { for (i = int(NR / 2); i <= NR; i++) count += again[i]; print count + 0 }'
}

@test "20 megabytes each way under 30 % reordering, and nothing goes again once RACK knows the link" {
    finishes 4
    for capture in reordered-*.pcapng; do
        assert_equal "$(sent_again "$capture")" 0
    done
}

@test "20 megabytes each way under 1 % loss without SACK" {
    finishes 5
}
