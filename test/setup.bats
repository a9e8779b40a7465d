# SPDX-License-Identifier: MIT
#
# Privileges: setup once by root, then nobody in particular; user namespaces; no device at all; teardown.

load lib

setup() {
    cd "$BATS_TEST_TMPDIR"
    namespace_start net
    checkout_for_everybody
}

teardown() {
    namespace_stop far
    namespace_stop net
}

utcp() {
    inside "$CHECKOUT/scripts/utcp" "$@"
}

utcp_as_nobody() {
    as_nobody "$CHECKOUT/scripts/utcp" "$@"
}

# state: all that setup may change.
state() {
    inside bash -c '
        ip -o -d link; ip -o address; ip route show table all; ip rule; nft list ruleset
        cat /proc/sys/net/ipv4/ip_forward; stat -c "%n %A %t,%T" /dev/net/*; ls -R /run | grep -v checkout'
}

a_server_with_a_greeting() {
    printf 'hello from the kernel' >greeting
    start server nc -N -l 5000 <greeting
    wait_until 10 kernel_listens 5000
}

@test "after one setup an unprivileged user's curl fetches and uploads" {
    run -0 utcp setup --user nobody
    serve
    make_file "$WWW/file" 5000000
    chmod 755 "$BATS_TEST_TMPDIR"
    utcp_as_nobody curl -sS "http://$KERNEL/file" | cmp - "$WWW/file"
    utcp_as_nobody curl -sS -T - "http://$KERNEL/copy" <"$WWW/file"
    cmp "$WWW/file" "$WWW/copy"
}

@test "after one setup LD_PRELOAD alone does it too" {
    run -0 utcp setup --user nobody
    a_server_with_a_greeting
    run -0 as_nobody env LD_PRELOAD=$CHECKOUT/build/shim/libutcp.so nc -d $KERNEL 5000
    assert_output 'hello from the kernel'
}

@test "after one setup an unprivileged user's nc serves" {
    run -0 utcp setup --user nobody
    make_file sent 5000000
    start server setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/nonexistent \
        $CHECKOUT/scripts/utcp nc -l 5000 >received
    wait_until 20 inside sh -c "nc -N $STACK 5000 <sent"
    wait "$server"
    cmp sent received
}

@test "an unprivileged user's device has offload" {
    run -0 utcp setup --user nobody
    a_server_with_a_greeting
    run -0 --separate-stderr utcp_as_nobody -vv nc -d $KERNEL 5000
    assert_output 'hello from the kernel'
    [[ $stderr == *offload* && $stderr != *'without offload'* ]]
}

@test "setup lets programs reach beyond the machine" {
    namespace_start far
    inside ip link add to_far type veth peer name to_net netns "$far"
    inside ip address add 192.168.9.1/24 dev to_far
    inside ip link set to_far up
    inside_of far ip address add 192.168.9.2/24 dev to_net
    inside_of far ip link set to_net up
    run -0 utcp setup --user nobody
    printf hello >greeting
    nsenter --target "$far" --net -- nc -N -l 5000 <greeting 3>&- &
    wait_until 10 inside_of far sh -c 'ss -Hltn "sport = :5000" | grep -q .'
    run -0 utcp_as_nobody nc -d 192.168.9.2 5000
    assert_output hello
}

@test "a second setup changes nothing and says so" {
    local before
    run -0 utcp setup --user nobody
    before=$(state)
    run -0 utcp setup --user nobody
    assert_output --partial 'nothing changed'
    assert_equal "$(state)" "$before"
}

@test "setup mends what went missing" {
    run -0 utcp setup --user nobody
    local before
    before=$(inside ip -o -4 address)
    inside ip link delete utcp2
    inside nft delete table ip utcp
    run -0 utcp setup --user nobody
    assert_equal "$(inside ip -o -4 address | grep -c 'inet 10\.0\.0\.')" 4
    run -0 inside nft list table ip utcp
}

@test "teardown leaves nothing" {
    local before
    before=$(state)
    run -0 utcp setup --user nobody --net 10.20.0.0/24 --count 3
    refute [ "$(state)" = "$before" ]
    run -0 utcp teardown
    assert_equal "$(state)" "$before"
    run -0 utcp teardown
    assert_output --partial 'nothing changed'
}

@test "teardown leaves nothing where /dev/net/tun was missing" {
    local before
    inside rm /dev/net/tun
    before=$(state)
    run -0 utcp setup
    run -0 inside test -c /dev/net/tun
    run -0 utcp teardown
    assert_equal "$(state)" "$before"
}

@test "teardown leaves nothing after programs have run" {
    local before
    before=$(state)
    run -0 utcp setup --user nobody
    a_server_with_a_greeting
    run -0 utcp_as_nobody nc -d $KERNEL 5000
    wait_until 240 no_keeper
    run -0 utcp teardown
    assert_equal "$(state)" "$before"
}

@test "teardown leaves a device alone that setup did not make" {
    inside ip tuntap add dev utcp7 mode tun
    run -0 utcp setup
    run -0 utcp teardown
    run -0 inside ip link show dev utcp7
}

@test "a rehearsed setup prints the commands and changes nothing" {
    local before
    before=$(state)
    run -0 utcp setup --dry-run --user nobody
    assert_line 'ip tuntap add dev utcp0 mode tun user nobody vnet_hdr'
    assert_line 'ip address add 10.0.0.2 peer 10.0.0.1 dev utcp0'
    assert_line --partial 'masquerade'
    assert_equal "$(state)" "$before"
}

@test "the rehearsed commands do what setup does" {
    local commands after
    commands=$(utcp setup --dry-run --user nobody)
    run -0 utcp setup --user nobody
    after=$(addresses_and_rules)
    run -0 utcp teardown
    inside sh -ec "$commands"
    assert_equal "$(addresses_and_rules)" "$after"
}

addresses_and_rules() {
    inside ip -o -4 address | sed 's/^[0-9]*//'
    inside nft list ruleset
}

@test "setup refuses a net that is in use, and proposes another" {
    inside ip link add dummy type veth
    inside ip address add 10.0.0.77/16 dev dummy
    inside ip link set dummy up
    run -125 utcp setup
    assert_output --partial 'this machine has a route to'
    assert_output --partial 'utcp setup --net 10.1.0.0/24'
    run -0 utcp setup --net 10.1.0.0/24
}

@test "setup refuses options that make no sense" {
    run -125 utcp setup --net 10.0.0.1/24
    assert_output --partial 'did you mean:    --net 10.0.0.0/24'
    run -125 utcp setup --net 300.0.0.0/24
    run -125 utcp setup --net 10.0.0.0/29 --count 3
    run -125 utcp setup --user no-such-user
    run -125 utcp setup --conut 3
    assert_output --partial 'did you mean --count?'
    run -125 utcp_as_nobody setup
    assert_output --partial 'sudo utcp setup'
}

@test "without setup an unprivileged user is told what to do" {
    inside chmod 0666 /dev/net/tun
    run -7 --separate-stderr utcp_as_nobody curl -sS http://$KERNEL/
    assert_equal "$output" ''
    assert_equal "${stderr_lines[0]}" \
        'utcp: no device: /dev/net/tun is there, but this user may not make one (EPERM)'
    assert_equal "${stderr_lines[1]}" '  once, as root:   sudo utcp setup'
    assert_equal "${stderr_lines[2]}" '  details:         utcp doctor'
}

@test "a /dev/net/tun that may not be opened is told as that" {
    run -7 --separate-stderr utcp_as_nobody curl -sS http://$KERNEL/
    [[ ${stderr_lines[0]} == 'utcp: no device: /dev/net/tun is there, but'*'(EACCES)' ]]
    assert_equal "${stderr_lines[1]}" '  once, as root:   sudo utcp setup'
}

@test "a missing /dev/net/tun is told as that" {
    inside rm /dev/net/tun
    run -7 --separate-stderr utcp curl -sS http://$KERNEL/
    [[ ${stderr_lines[0]} == 'utcp: no device: /dev/net/tun is missing (ENOENT)' ]]
}

@test "no device never means the kernel's TCP instead" {
    local opens
    serve
    persistent_device
    opens=$(kernel_tcp ActiveOpens)
    run -7 utcp_as_nobody curl -sS http://$KERNEL/
    assert_equal "$(kernel_tcp ActiveOpens)" "$opens"
}

@test "a user namespace needs no setup" {
    inside chmod 0666 /dev/net/tun
    printf 'hello from inside' >greeting
    chmod 755 . && chmod 644 greeting
    run -0 as_nobody unshare -Urn sh -c '
        ip link set lo up
        nc -N -l 5000 <&3 & server=$!
        until ss -Hltn | grep -q :5000; do sleep 0.1; done
        LD_PRELOAD=/run/checkout/build/shim/libutcp.so nc -d 10.0.0.2 5000
        wait $server' 3<greeting
    assert_output 'hello from inside'
}

@test "utcp --private makes that namespace itself" {
    inside chmod 0666 /dev/net/tun
    printf 'hello in private' >greeting
    run -0 utcp_as_nobody --private sh -c '
        LD_PRELOAD= nc -N -l 5000 <&3 & server=$!
        until ss -Hltn | grep -q :5000; do sleep 0.1; done
        nc -d 10.0.0.2 5000
        wait $server' 3<greeting
    assert_output 'hello in private'
}

@test "doctor says what is missing, and is content after setup" {
    run -1 utcp_as_nobody doctor
    assert_line --partial 'no  /dev/net/tun is there, but you may not open it'
    assert_line --partial 'sudo utcp setup'
    run -0 utcp setup --user nobody
    run -0 utcp_as_nobody doctor
    assert_line --partial 'ok  4 of 4 devices are free for you'
    run -0 utcp doctor
    assert_line --partial 'ok  this machine forwards and masquerades'
}

@test "doctor names who holds a device" {
    run -0 utcp setup --user nobody
    start server setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/nonexistent \
        $CHECKOUT/scripts/utcp nc -l 5000
    wait_until 20 inside ping -c 1 -W 1 $STACK
    run -0 utcp doctor
    assert_line --partial 'utcp0 of nobody, 10.0.0.2 peer 10.0.0.1/32: held by nc (pid'
    assert_line --partial 'ok  3 of 4 devices are free for you'
}

@test "doctor tells whether a program can be run" {
    inside cp "$(type -P true)" /run/setuid
    inside chmod 4755 /run/setuid
    run -0 utcp setup --user nobody
    run -0 utcp_as_nobody doctor curl
    assert_line 'ok  curl can be run on our TCP'
    run -1 utcp_as_nobody doctor /run/setuid
    assert_line --partial 'it is setuid: its loader ignores LD_PRELOAD'
}
