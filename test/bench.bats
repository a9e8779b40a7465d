# SPDX-License-Identifier: MIT
#
# scripts/bench measures everything it says, and reports it in each of its forms. No figure is judged.

load lib

# bench OPTIONS...: one round of next to nothing.
bench() {
    "$ROOT/scripts/bench" --rounds 1 --scale 0.002 --patience 0 "$@" 3>&-
}

# field FILE EXPRESSION: of its JSON, which is in d.
field() {
    python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$1" "$2"
}

setup() {
    cd "$BATS_TEST_TMPDIR"
}

@test "each load gives a figure on each TCP, and the device alone has three" {
    bench --json --peers lo,veth,relay,relay1500,bare,bare0,bare1500,utcp,utcp1500 \
        --loads out,in,rtt,rtt-poll,rtt-epoll,connect,accept >report 2>errors
    refute grep failed errors
    assert_equal "$(field report '[len(l["peers"]) for l in d["loads"]]')" "[9, 9, 9, 6, 6, 6, 6]"
    assert_equal "$(field report 'all(p["median"] > 0 for l in d["loads"] for p in l["peers"])')" True
}

@test "each program gives a figure on utcp" {
    bench --json --peers lo,utcp \
        --loads iperf-out,iperf-in8,curl,nginx,nginx-1m-close,redis,redis-16,idle-10 >report 2>errors
    refute grep failed errors
    assert_equal "$(field report '[[p["peer"] for p in l["peers"]] for l in d["loads"][:7]] == 7 * [["lo", "utcp"]]')" True
    assert_equal "$(field report 'd["loads"][7]["peers"][0]["peer"]')" utcp
}

@test "the table compares within the round, and there is a picture" {
    run --separate-stderr -0 bench --peers lo,relay --loads rtt --plot picture.svg
    assert_line --index 0 --partial '| load | on | min | median | max |'
    assert_line --index 2 --regexp '^\| \*\*1 byte there and back.*kernel, loopback'
    assert_line --index 3 --regexp 'kernel, TUN relay \|.*\| 1\.00 \|'
    run -0 python3 -c 'import xml.dom.minidom; print(xml.dom.minidom.parse("picture.svg").documentElement.tagName)'
    assert_output svg
}

@test "the brief table has a line for each load" {
    run --separate-stderr -0 bench --brief --peers lo,relay,bare,utcp,relay1500,utcp1500 --loads out,rtt
    assert_equal "${#lines[@]}" 6
    assert_line --index 2 --regexp '^\| bulk out, Gbit/s( \| [0-9.]+){2}( \| ){2}'
    assert_line --index 3 --partial '1500-byte frames'
    assert_line --index 5 --regexp "^Linux $(uname -r) with [a-z]+, $(nproc) processors"
}

@test "what it does not know is told" {
    run ! bench --loads out,sideways
    assert_output --partial 'there is no sideways'
    run ! bench --peers
    assert_output --partial '--peers wants a value'
    run ! bench --round 1
    assert_output --partial 'unknown option --round'
}
