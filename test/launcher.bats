# SPDX-License-Identifier: MIT
#
# The launcher: options, their sources and order, what it refuses, and what it is heard to say.

load lib

setup() {
    cd "$BATS_TEST_TMPDIR"
    export HOME=$PWD/home
    mkdir -p "$HOME/.config/utcp"
}

teardown() {
    namespace_stop net
}

utcp() {
    "$ROOT/scripts/utcp" "$@"
}

# settings ARGUMENTS...: the variables that a program would see.
settings() {
    utcp "$@" env | grep '^UTCP_' | sort
}

@test "the exit status is the program's" {
    run -0 utcp true
    run -7 utcp sh -c 'exit 7'
    run -143 utcp sh -c 'kill -TERM $$'
}

@test "options end at the first word that is none" {
    run -0 utcp --loss 1% echo --loss 2%
    assert_output -- '--loss 2%'
    run -0 utcp -- echo -- x
    assert_output -- '-- x'
}

@test "options become variables" {
    run -0 settings --dev utcp3 --addr 10.0.0.1/30 --mtu 1400 --bypass 127.0.0.0/8,10.1.0.0/16 \
        --cc reno --set wscale=2,rto_min=1s --pcap /tmp/%p.pcapng --summary -v
    assert_output - <<END
UTCP_ADDR=10.0.0.1/30
UTCP_BYPASS=127.0.0.0/8,10.1.0.0/16
UTCP_CC=reno
UTCP_DEV=utcp3
UTCP_LOG=info,summary
UTCP_MTU=1400
UTCP_PCAP=/tmp/%p.pcapng
UTCP_SET=wscale=2,rto_min=1s
END
}

@test "impairments become tc-netem's words" {
    run -0 settings --delay 20ms,5ms --loss 1% --burst 4 --dup 2% --corrupt 0.1% --reorder=25% \
        --mark 3% \
        --rate 10mbit --dir out --seed 7
    assert_output 'UTCP_IMPAIR=delay 20ms 5ms loss 1% burst 4 duplicate 2% corrupt 0.1% reorder 25% mark 3% rate 10mbit dir out seed 7'
}

@test "the command line goes before the variables" {
    UTCP_IMPAIR='delay 1ms 1ms loss 3%' UTCP_CC=reno UTCP_MTU=1000 run -0 settings --delay 2ms --mtu 1100
    assert_line 'UTCP_IMPAIR=delay 2ms loss 3%'
    assert_line 'UTCP_MTU=1100'
    assert_line 'UTCP_CC=reno'
}

@test "the variables go before the user's file" {
    printf '# a comment\n\nmtu = 900\nloss=5%%\nsummary = yes\n' >"$HOME/.config/utcp/utcp.conf"
    UTCP_MTU=1000 run -0 settings
    assert_line UTCP_MTU=1000
    assert_line 'UTCP_IMPAIR=loss 5%'
    assert_line UTCP_LOG=summary
}

@test "nothing is read from the current folder" {
    printf 'mtu = 900\n' >utcp.conf
    mkdir -p .config/utcp
    cp utcp.conf .config/utcp/
    HOME='' run settings
    assert_output ''
}

@test "a mistake in a file is told with its place" {
    printf 'mtu = 900\nlos = 5%%\n' >"$HOME/.config/utcp/utcp.conf"
    run -125 utcp true
    assert_line "utcp: $HOME/.config/utcp/utcp.conf:2: unknown option los; did you mean loss?"
}

@test "an unknown option is told with the nearest one" {
    run -125 --separate-stderr utcp --los 1% true
    assert_equal "${stderr_lines[0]}" 'utcp: unknown option --los; did you mean --loss?'
    assert_equal "${stderr_lines[1]}" '  all of them: utcp --help'
    assert_equal "$output" ''
}

@test "options without a value or with a senseless one are told before anything runs" {
    run -125 utcp --cc
    run -125 utcp --loss lots true
    assert_output --partial 'lots is not a share like 1%'
    run -125 utcp --set sacks=0 true
    assert_output --partial 'there is no setting called sacks'
    run -125 utcp --cc nosuch true
    run -125 utcp --mtu 12 true
    run -125 utcp --help=yes
    run -125 utcp
}

@test "a program that is not there, or not executable, is told as a shell does" {
    touch plain
    run -127 utcp no-such-program
    run -127 utcp ./no-such-program
    run -126 utcp ./plain
    run -126 utcp ./
}

@test "a static program is refused with the reason, also behind #! and env" {
    echo 'int main(void) { return 0; }' >static.c
    cc -static -o static static.c
    printf '#!%s/static\n' "$PWD" >script
    printf '#!/usr/bin/env -S %s/static x\n' "$PWD" >script2
    chmod +x script script2
    for program in ./static ./script ./script2; do
        run -126 utcp $program
        assert_output --partial 'is linked statically'
    done
    run -126 utcp env -u HOME A=1 ./static
    assert_output --partial 'is linked statically'
}

@test "a program with file capabilities is refused for who has fewer" {
    namespace_start net
    checkout_for_everybody
    inside cp "$(type -P true)" /run/capable
    # A tmpfs keeps capabilities.
    inside setcap cap_net_raw+ep /run/capable
    run -126 as_nobody $CHECKOUT/scripts/utcp /run/capable
    assert_output --partial 'it has file capabilities'
    run -0 inside $CHECKOUT/scripts/utcp /run/capable
}

@test "what is preloaded already stays, and comes first" {
    LD_PRELOAD=libc.so.6 run -0 utcp env
    assert_line "LD_PRELOAD=libc.so.6:$ROOT/build/shim/libutcp.so"
}

@test "sub-commands are sub-commands only as the first word" {
    run -0 utcp cc
    assert_line reno
    run -127 utcp -- setup
    run -127 utcp --loss 1% doctor
}

@test "help lists every setting with its range" {
    run -0 utcp help settings
    assert_line --regexp '^rto_min +200ms +1ms to 60s '
    assert_line --regexp '^offload +1 +0 to 1 '
    run -0 utcp --help
    assert_line --partial 'usage: utcp'
    run -0 utcp --version
    assert_output --regexp '^utcp [0-9]+\.[0-9]+\.[0-9]+$'
}

@test "an unknown variable is told by the library" {
    namespace_start net
    UTCP_IMPIAR='loss 1%' run -0 ours perl -MSocket -e 'socket(S, PF_INET, SOCK_STREAM, 0) or die $!'
    assert_output --partial 'UTCP_IMPIAR; did you mean UTCP_IMPAIR?'
}

@test "a summary is printed on stderr when asked for, and nothing otherwise" {
    namespace_start net
    serve
    echo hello >"$WWW/hello"
    run -0 --separate-stderr inside "$ROOT/scripts/utcp" --summary curl -sS http://$KERNEL/hello
    assert_output hello
    [[ ${stderr_lines[0]} == 'utcp: '* ]]
    wait_until 240 no_keeper
    run -0 --separate-stderr inside "$ROOT/scripts/utcp" curl -sS http://$KERNEL/hello
    assert_equal "$stderr" ''
}

@test "%p in a capture's name is the process id" {
    namespace_start net
    start server nc -k -l 5000
    wait_until 10 kernel_listens 5000
    run inside "$ROOT/scripts/utcp" --pcap "$PWD/c-%p.pcapng" sh -c 'nc -z 10.0.0.2 5000'
    wait_until 240 no_keeper
    run -0 sh -c 'ls c-*.pcapng'
    assert_output --regexp '^c-[0-9]+\.pcapng$'
}
