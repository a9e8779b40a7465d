# SPDX-License-Identifier: MIT
#
# What programs are told when there is nobody, and how the stack answers those who knock.
#
#	our TCP 10.0.0.1 --[utcp0]-- 10.0.0.2, which forwards --+-- veth 192.168.9.1 -- 192.168.9.2 "far"
#	                                                         +-- 192.0.2.0/24 unreachable

load lib

setup_file() {
    namespace_start net
    namespace_start far
    persistent_device
    inside sysctl -qw net.ipv4.ip_forward=1
    inside ip link add to_far type veth peer name to_net netns "$far"
    inside ip address add 192.168.9.1/24 dev to_far
    inside ip link set to_far up
    inside_of far ip address add 192.168.9.2/24 dev to_net
    inside_of far ip link set to_net up
    inside_of far ip route add 10.0.0.0/24 via 192.168.9.1
    inside ip route add unreachable 192.0.2.0/24
    inside ip route add prohibit 198.51.100.0/24
}

teardown_file() {
    namespace_stop far
    namespace_stop net
}

setup() {
    cd "$BATS_TEST_TMPDIR"
}

@test "ping of the stack's address answers" {
    start_ours server nc -k -l 5000
    wait_until 20 inside ping -c 1 -W 1 $STACK
    run -0 inside ping -c 20 -i 0.01 -W 2 $STACK
    assert_output --partial '20 received, 0% packet loss'
    run -0 inside ping -c 3 -i 0.01 -s 1400 -W 2 $STACK
    assert_output --partial '3 received'
    kill "$server"
}

@test "a refused port is told at once" {
    UTCP_PCAP=$PWD/refused.pcapng run -1 ours nc -v -w 20 $KERNEL 81
    assert_output --partial 'Connection refused'
    assert_equal "$(packets refused.pcapng 'tcp.flags.syn == 1 && tcp.flags.ack == 0')" 1
}

@test "curl's exit status says refused" {
    run -7 ours curl -sS "http://$KERNEL:81/"
}

@test "an unreachable network is told as the kernel tells it" {
    run -1 ours nc -v -w 20 192.0.2.1 80
    assert_output --partial 'No route to host'
}

@test "a prohibited network is told as the kernel tells it" {
    run -1 ours nc -v -w 20 198.51.100.1 80
    assert_output --partial 'No route to host'
}

@test "a host that answers nobody's ARP is told as the kernel tells it" {
    run -1 ours nc -v -w 20 192.168.9.77 80
    assert_output --partial 'No route to host'
}

@test "a closed port behind a router is refused" {
    run -1 ours nc -v -w 20 192.168.9.2 81
    assert_output --partial 'Connection refused'
}

@test "a server behind a router is reached" {
    printf hello >greeting
    nsenter --target "$far" --net -- nc -N -l 5000 <greeting 3>&- &
    wait_until 10 inside_of far sh -c 'ss -Hltn "sport = :5000" | grep -q .'
    run -0 ours nc -d 192.168.9.2 5000
    assert_output hello
}

@test "our closed port refuses the kernel's client" {
    start_ours server nc -k -l 5000
    wait_until 20 inside ping -c 1 -W 1 $STACK
    run -1 inside nc -v -w 5 $STACK 5001
    assert_output --partial 'Connection refused'
    kill "$server"
}

@test "a peer's reset reaches the program" {
    # SO_LINGER with a time of 0: the kernel's end resets instead of closing.
    start server perl -MSocket -e '
        socket(L, PF_INET, SOCK_STREAM, 0); setsockopt(L, SOL_SOCKET, SO_REUSEADDR, 1);
        bind(L, sockaddr_in(5000, INADDR_ANY)); listen(L, 1); accept(C, L); sysread(C, $_, 1);
        setsockopt(C, SOL_SOCKET, SO_LINGER, pack("ii", 1, 0)); close(C)'
    wait_until 10 kernel_listens 5000
    run -0 ours perl -MSocket -e '
        socket(S, PF_INET, SOCK_STREAM, 0); connect(S, sockaddr_in(5000, inet_aton($ARGV[0]))) or die $!;
        syswrite(S, "x"); $got = sysread(S, $_, 1); print defined $got ? "read $got" : "$!"' $KERNEL
    assert_output 'Connection reset by peer'
}

@test "loopback stays the kernel's" {
    start server nc -l 127.0.0.1 5000
    wait_until 10 kernel_listens 5000
    local opens
    opens=$(kernel_tcp ActiveOpens)
    echo hello | ours nc -N 127.0.0.1 5000
    assert_equal "$(kernel_tcp ActiveOpens)" $((opens + 1))
}

@test "a destination named in UTCP_BYPASS is left to the kernel" {
    start server nc -l 5000
    wait_until 10 kernel_listens 5000
    local opens
    opens=$(kernel_tcp ActiveOpens)
    echo hello | UTCP_BYPASS=10.0.0.0/8 ours nc -N $KERNEL 5000
    assert_equal "$(kernel_tcp ActiveOpens)" $((opens + 1))
}
