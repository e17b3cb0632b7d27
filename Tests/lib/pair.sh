# Sourced by tests of the engine, behind test.sh. Two namespaces joined by a veth pair, a tunnel between them:
#
#   a: va 192.0.2.1, 2001:db8::1            b: vb 192.0.2.2, 2001:db8::2
#      wga 10.0.0.1, fd00::1, port 1111        wgb 10.0.0.2, fd00::2, port 2222
#
# UAPI sockets are named after the interface and lie in the box's mount namespace: `wg show wga` works anywhere.

in_a() { ip netns exec a "$@"; }
in_b() { ip netns exec b "$@"; }

# make_wire: the namespaces and the veth pair, no tunnel.
make_wire() {
    ip netns add a
    ip netns add b
    ip link add va netns a type veth peer name vb netns b
    local side
    for side in a b; do
        ip -n $side link set v$side addrgenmode none
        ip -n $side link set lo up
        ip -n $side link set v$side up
    done
    ip -n a addr add 192.0.2.1/24 dev va
    ip -n b addr add 192.0.2.2/24 dev vb
    ip -n a addr add 2001:db8::1/64 dev va nodad
    ip -n b addr add 2001:db8::2/64 dev vb nodad
    umask 077
    wg genkey >a.key
    wg genkey >b.key
    wg genpsk >psk
    umask 022
    a_public=$(wg pubkey <a.key)
    b_public=$(wg pubkey <b.key)
}

# start_engine SIDE ENGINE: runs it in the background of its namespace as wgSIDE, addresses and all.
start_engine() {
    local side=$1 engine=$2 number=1
    [ "$side" = a ] || number=2
    ip netns exec "$side" env LOG_LEVEL=error "$engine" "wg$side" >>"$side.log" 2>&1
    ip -n "$side" addr add 10.0.0.$number/24 dev "wg$side"
    ip -n "$side" addr add fd00::$number/64 dev "wg$side" nodad
    ip -n "$side" link set "wg$side" mtu 1420 up
}

# make_pair ENGINE_A ENGINE_B: everything, configured but without endpoints; the first to send needs one.
make_pair() {
    make_wire
    start_engine a "$1"
    start_engine b "$2"
    wg set wga private-key a.key listen-port 1111 peer "$b_public" allowed-ips 10.0.0.2/32,fd00::2/128
    wg set wgb private-key b.key listen-port 2222 peer "$a_public" allowed-ips 10.0.0.1/32,fd00::1/128
}

pings() { # pings FROM ADDRESS [COUNT]
    ip netns exec "$1" ping -q -c "${3:-2}" -i 0.1 -W 3 "$2" >ping.log 2>&1
}

expect_ping() { # expect_ping FROM ADDRESS
    pings "$@" || {
        cat ping.log
        wg show all
        fail "no answer to a ping from $1 to $2"
    }
}

# workers NAME, monitor NAME: the pids of an engine of ours.
workers() { pgrep -f "swg-engine --worker $1\$" || true; }
monitor() { pgrep -f "swg-engine (-f )?$1\$" | head -n 1; }
