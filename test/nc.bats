# SPDX-License-Identifier: MIT
#
# nc (openbsd) on our TCP and on the kernel's, in both roles.

load lib

setup_file() {
    namespace_start net
    persistent_device
    make_file "$BATS_FILE_TMPDIR/there" 100000000
    make_file "$BATS_FILE_TMPDIR/back" 100000000
    make_file "$BATS_FILE_TMPDIR/short" 5000000
}

teardown_file() {
    namespace_stop net
}

setup() {
    cd "$BATS_FILE_TMPDIR"
    rm -f received answer from_client from_server
    server='' client=''
}

teardown() {
    for pid in $server $client; do kill "$pid" 2>/dev/null || true; done
    wait_until 240 no_keeper
}

# connects FILE COMMAND...: retries until our server is there; the file is its input.
connects() {
    local limit=$((SECONDS + 20)) input=$1
    shift
    until "$@" <"$input"; do
        ((SECONDS < limit)) || return 1
        sleep 0.1
    done
}

@test "nc as a client sends 100 megabytes" {
    start server nc -l 5000 >received
    wait_until 10 kernel_listens 5000
    cat there | ours nc -N $KERNEL 5000
    wait "$server"
    cmp there received
}

@test "nc as a client receives 100 megabytes" {
    start server nc -N -l 5000 <back
    wait_until 10 kernel_listens 5000
    ours nc -d $KERNEL 5000 | cmp - back
}

# Either nc leaves at the other's FIN, sent all or not: each says it when it has received all.
@test "nc as a client sends and receives at the same time" {
    both_say_fin_at_the_end
    start server nc -N -l 5000 <from_server >received
    wait_until 10 kernel_listens 5000
    ours nc -N $KERNEL 5000 <from_client >answer
    wait "$server"
    cmp there received
    cmp back answer
}

# Two pipes, from_client and from_server, that end when the other side has everything.
both_say_fin_at_the_end() {
    mkfifo from_client from_server
    { cat there && wait_until 60 same_size back answer; } >from_client 3>&- &
    { cat back && wait_until 60 same_size there received; } >from_server 3>&- &
}

same_size() {
    [[ $(stat -c %s "$1") == "$(stat -c %s "$2")" ]]
}

@test "nc as a server receives 100 megabytes" {
    start_ours server nc -l 5000 >received
    connects there inside nc -N $STACK 5000
    wait "$server"
    cmp there received
}

@test "nc as a server sends 100 megabytes" {
    start_ours server nc -N -l 5000 <back
    connects /dev/null inside nc -d $STACK 5000 >answer
    wait "$server"
    cmp back answer
}

@test "nc as a server sends and receives at the same time" {
    both_say_fin_at_the_end
    start_ours server nc -N -l 5000 <from_server >received
    wait_until 20 inside ping -c 1 -W 1 $STACK
    inside nc -N $STACK 5000 <from_client >answer
    wait "$server"
    cmp there received
    cmp back answer
}

@test "nc -k serves one client after another" {
    start_ours server nc -k -l 5000 >received
    connects short inside nc -N $STACK 5000
    connects short inside nc -N $STACK 5000
    wait_until 20 sh -c 'cat short short | cmp - received'
}

# A server that answers when it has seen the client's FIN, and not before.
answer_after_fin='
    socket(L, PF_INET, SOCK_STREAM, 0) or die $!; setsockopt(L, SOL_SOCKET, SO_REUSEADDR, 1);
    bind(L, sockaddr_in(5000, INADDR_ANY)) or die $!; listen(L, 1); accept(C, L);
    open(OUT, ">", "received"); while (sysread(C, $_, 65536)) { syswrite(OUT, $_) } close(OUT);
    open(IN, "<", "back"); while (sysread(IN, $_, 65536)) { syswrite(C, $_) == length or die $! }'

@test "after our FIN the peer's data still arrives" {
    start server perl -MSocket -e "$answer_after_fin"
    wait_until 10 kernel_listens 5000
    ours nc -N $KERNEL 5000 <short >answer
    cmp short received
    cmp back answer
}

@test "after the peer's FIN our data still arrives" {
    start_ours server perl -MSocket -e "$answer_after_fin"
    wait_until 20 inside ping -c 1 -W 1 $STACK
    inside nc -N $STACK 5000 <short >answer
    cmp short received
    cmp back answer
}

@test "the last byte arrives although nc was told to quit at once" {
    start server nc -l 5000 >received
    wait_until 10 kernel_listens 5000
    cat there | ours nc -q 0 $KERNEL 5000
    wait "$server"
    cmp there received
}

@test "the last byte arrives although nc was told to quit at once, under 5 % loss" {
    start server nc -l 5000 >received
    wait_until 10 kernel_listens 5000
    cat short | UTCP_IMPAIR='loss 5% seed 1' ours nc -q 0 $KERNEL 5000
    wait "$server"
    cmp short received
}

@test "a server's last byte arrives although it was told to quit at once, under 5 % loss" {
    start server env UTCP_IMPAIR='loss 5% seed 2' LD_PRELOAD="$LIBRARY" nc -q 0 -l 5000 <short
    connects /dev/null inside nc -d $STACK 5000 >answer
    wait "$server"
    cmp short answer
}

# nc waits for the peer in any case; this program exits with all of its data still to be sent.
@test "the last byte arrives although the program exits at once" {
    start server nc -l 5000 >received
    wait_until 10 kernel_listens 5000
    UTCP_SET=snd_buf=8M ours perl -e "$send_and_exit" $KERNEL 5000 <short
    wait "$server"
    cmp short received
}

@test "the last byte arrives although the program exits at once, under 5 % loss" {
    start server nc -l 5000 >received
    wait_until 10 kernel_listens 5000
    UTCP_SET=snd_buf=8M UTCP_IMPAIR='loss 5% seed 3' ours perl -e "$send_and_exit" $KERNEL 5000 <short
    wait "$server"
    cmp short received
}

@test "100 megabytes arrive both ways without offload" {
    both_say_fin_at_the_end
    start server nc -N -l 5000 <from_server >received
    wait_until 10 kernel_listens 5000
    UTCP_SET=offload=0 ours nc -N $KERNEL 5000 <from_client >answer
    wait "$server"
    cmp there received
    cmp back answer
}

@test "nc -z finds an open port and a closed one" {
    start server nc -k -l 5000
    wait_until 10 kernel_listens 5000
    ours nc -z $KERNEL 5000
    run -1 ours nc -z $KERNEL 5001
}

@test "nc -w gives up on a silent peer" {
    start server nc -l 5000
    wait_until 10 kernel_listens 5000
    run ours nc -w 1 -d $KERNEL 5000
}

@test "with SO_LINGER a close waits until the peer has everything" {
    make_file upload 2000000
    start server nc -l 5000 >received
    wait_until 10 kernel_listens 5000
    # At 8 Mbit/s most of it waits in the send buffer when all is written. With a duplicate there is no FIN
    # yet, on which the kernel's end would go.
    # shellcheck disable=SC2016
    UTCP_SET=snd_buf=4M UTCP_IMPAIR='rate 8mbit' ours perl -MSocket -e '
        socket(S, PF_INET, SOCK_STREAM, 0) or die $!;
        setsockopt(S, SOL_SOCKET, SO_LINGER, pack("ii", 1, 60)) or die $!;
        connect(S, sockaddr_in(5000, inet_aton(shift))) or die $!;
        while (sysread(STDIN, $_, 65536)) { syswrite(S, $_) == length or die $! }
        open(T, ">&", \*S) or die $!;
        close(S);
        system("ss -tinH sport = :5000 >at_close")' $KERNEL <upload
    grep -q 'bytes_received:2000000' at_close
    wait "$server"
    cmp upload received
}
