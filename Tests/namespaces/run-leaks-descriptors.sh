#!/bin/bash
# `run`: what the caller left open does not reach the command. Leak rows 1, 2, 3.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/run-modes.sh"
prepare_modes

# with_descriptor KIND NUMBER MODE COMMAND…: behind the tunnel, with a descriptor that was inherited.
with_descriptor() {
    local kind=$1 number=$2 mode=$3
    shift 3
    export -f behind swg strict_of configuration_of as_tester
    export tester backend
    /srv/bin/leak-probe with "$kind" "$number" "$BASH" -c 'behind "$@"' behind "$mode" "$@"
}

closed_beyond_two() { # closed_beyond_two ROW KIND MODE
    local open
    open=$(with_descriptor "$2" 9 "$3" "$BASH" -c 'echo /proc/$$/fd/*' </dev/null)
    # 255 is bash's own.
    [[ ! $open =~ /fd/9( |$) ]] || fail "leak row $1 ($3): descriptor 9 ($2) is open inside: $open"
}

refused_as_input() { # refused_as_input ROW KIND MODE PATTERN
    expect_status 125 with_descriptor "$2" 0 "$3" true
    expect_output "$4"
}

ring_works=$(/srv/bin/leak-probe ring)
for mode in $modes; do
    closed_beyond_two 1 udp "$mode"
    refused_as_input 1 udp "$mode" 'standard input.*IPv4 socket of another network namespace'
    ok "leak row 1 ($mode): an inherited socket is closed, and refused as standard input"
    closed_beyond_two 2 /dev/net/tun "$mode"
    refused_as_input 2 /dev/net/tun "$mode" 'standard input.*TUN device'
    ok "leak row 2 ($mode): an inherited /dev/net/tun likewise"
    if [ "$ring_works" = open ]; then
        closed_beyond_two 3 ring "$mode"
        refused_as_input 3 ring "$mode" 'standard input.*io_uring'
        if is_strict "$mode"; then expect_closed 3 "$mode" ENOSYS ring; fi
        ok "leak row 3 ($mode): an inherited ring likewise$(is_strict "$mode" && echo '; no new one')"
    else
        ok "leak row 3 ($mode): this kernel has no rings ($ring_works)"
    fi
    refused_as_input 4 /srv "$mode" 'standard input.*directory'
    refused_as_input 12 /proc/self/ns/net "$mode" 'standard input.*namespace'
done
ok "a directory or a namespace as standard input is refused"

# A closed standard descriptor must not let one of ours slip in.
for mode in root rootless root-strict; do
    seen=$(behind $mode readlink /proc/self/fd/0 <&-)
    [ "$seen" = /dev/null ] || fail "($mode) closed standard input became $seen"
done
ok "leak row 1: a closed standard input becomes /dev/null"
