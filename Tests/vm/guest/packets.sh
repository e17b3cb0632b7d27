#!/bin/bash
# The same packets through the driver and through our engine: the outer packets have the same sizes, TOS and
# ECN (checklist D: padding, tunnel ECN), congestion marks come in with what can carry them, what cryptokey routing refuses is refused with the same ICMP errors,
# and the counters agree.
source "$(dirname "$0")/../../lib/test.sh"
engine=${SWG_TEST_ENGINE:-swg-engine}
need wg tcpdump ping nft "$engine"

#   left 192.0.2.1 ─── veth ─── 192.0.2.2 right; the driver answers on the right both times.
make_pair() { # make_pair NAME IMPLEMENTATION
    local left=$1-left right=$1-right here there
    ip netns add "$left"
    ip netns add "$right"
    ip -n "$left" link add eth0 type veth peer name eth0 netns "$right"
    for name in "$left" "$right"; do
        ip -n "$name" link set eth0 addrgenmode none
        ip -n "$name" link set lo up
        ip -n "$name" link set eth0 up
    done
    ip -n "$left" addr add 192.0.2.1/24 dev eth0
    ip -n "$right" addr add 192.0.2.2/24 dev eth0
    # wg asks an engine of that name first, in whatever namespace it is: the driver's ends have names of their own.
    case $2 in
    driver) ip -n "$left" link add "$1" type wireguard ;;
    engine) ip netns exec "$left" "$engine" "$1" 2>"$1.log" ;;
    esac
    ip -n "$right" link add "$1-r" type wireguard
    (umask 077 && wg genkey >"$1.left" && wg genkey >"$1.right")
    here=$(wg pubkey <"$1.left")
    there=$(wg pubkey <"$1.right")
    ip netns exec "$left" wg set "$1" private-key "$1.left" listen-port 51820 \
        peer "$there" endpoint 192.0.2.2:51820 allowed-ips 10.1.0.2/32,fd01::2/128 \
        peer "$(wg genkey | wg pubkey)" allowed-ips 10.1.0.66/32,fd01::66/128
    ip netns exec "$right" wg set "$1-r" private-key "$1.right" listen-port 51820 \
        peer "$here" allowed-ips 10.1.0.0/24,fd01::/64
    ip -n "$left" addr add 10.1.0.1/24 dev "$1"
    ip -n "$left" addr add fd01::1/64 dev "$1" nodad
    ip -n "$right" addr add 10.1.0.2/24 dev "$1-r"
    ip -n "$right" addr add 10.1.0.3/24 dev "$1-r"
    ip -n "$right" addr add fd01::2/64 dev "$1-r" nodad
    ip -n "$left" link set "$1" mtu 1420 up
    ip -n "$right" link set "$1-r" mtu 1420 up
}

run_traffic() { # run_traffic NAME
    local name=$1 left=$1-left right=$1-right size
    wait_until 30 ip netns exec "$left" ping -q -c 1 -W 5 10.1.0.2 || fail "$name: no answer through the tunnel"
    ip netns exec "$left" tcpdump -U -n -v -i eth0 -w "$name.pcap" udp 2>"$name.tcpdump" &
    local recorder=$!
    wait_until 20 grep -q listening "$name.tcpdump" || fail "tcpdump does not start"
    ping_left() { ip netns exec "$left" ping -q -c 1 -W 5 "$@" >>"$name.pings" 2>&1; }
    # From here on nobody is silent for the ten seconds after which a keepalive is sent and counted.
    ping_left 10.1.0.2 || fail "$name: no answer"
    ip netns exec "$left" wg show "$name" transfer | cut -f 2- | sort >"$name.before"
    # Padding: to 16 bytes, but never beyond the MTU.
    for size in 0 1 3 4 15 16 17 100 511 1380 1387 1391 1392; do ping_left -s $size 10.1.0.2 || fail "$name: size $size"; done
    for size in 0 7 1372; do ping_left -s $size fd01::2 || fail "$name: IPv6 size $size"; done
    # TOS: only ECN goes to the outside.
    for tos in 0x00 0x01 0x02 0x03 0xb8 0xff; do ping_left -Q $tos 10.1.0.2 || true; done
    # Two peers; the one without traffic shows zeros.
    ip netns exec "$left" wg show "$name" transfer | cut -f 2- | sort | paste - "$name.before" |
        awk '{ print $1 - $3, $2 - $4 }' >"$name.transfer"
    # On the way back the network marks congestion (CE) on the outside: what can carry the mark has it inside.
    ip netns exec "$right" nft -f - <<<'table ip marks { chain o { type filter hook output priority 0; udp sport 51820 ip ecn set ce; }; }' ||
        fail "nft: no marks"
    ip netns exec "$left" tcpdump --immediate-mode -U -n -i "$name" -w "$name.inner" 'icmp[0] = 0' 2>"$name.listening" &
    local inner=$!
    wait_until 20 grep -q listening "$name.listening" || fail "tcpdump does not start"
    for tos in 0x00 0x01 0x02 0x03 0xb8 0xb9; do ping_left -Q $tos 10.1.0.2 || fail "$name: TOS $tos with marks"; done
    ip netns exec "$right" nft delete table ip marks
    all_marks() {
        tcpdump -n -v -r "$name.inner" 2>/dev/null | grep -Eo 'tos 0x[0-9a-f]+' >"$name.marks"
        [ "$(wc -l <"$name.marks")" = 6 ]
    }
    wait_until 5 all_marks || fail "$name: $(wc -l <"$name.marks") of 6 answers were recorded"
    kill -INT $inner
    wait $inner || true
    # A source address that is not the peer's.
    ! ip netns exec "$right" ping -q -c 1 -W 2 -I 10.1.0.3 10.1.0.1 >>"$name.pings" 2>&1 || fail "$name took a packet from a stranger"
    # No peer has the destination; a peer has it but no endpoint. The error's sender differs: the driver answers
    # as this host, which a packet that comes out of a TUN cannot; it also fails the very system call.
    for target in 10.1.0.77 10.1.0.66 fd01::77 fd01::66; do
        ip netns exec "$left" ping -c 1 -W 3 $target 2>&1 | sed -n "s/^From [^ ]* *icmp_seq=1 /$target: /p" >>"$name.refusals" || true
    done
    sleep 0.3
    kill -INT $recorder
    wait $recorder || true
    # TOS and length of each outer packet from left to right; keepalives come when a timer says.
    tcpdump -n -v -r "$name.pcap" 'src host 192.0.2.1' 2>/dev/null |
        grep -Eo 'tos 0x[0-9a-f]+|UDP, length [0-9]+' | paste -d' ' - - | grep -v 'length 32$' >"$name.outer"
}

make_pair driver driver
make_pair engine engine
run_traffic driver &
first=$!
run_traffic engine &
second=$!
wait $first || fail "$(cat driver.pings)"
wait $second || fail "$(cat engine.pings)"

[ "$(wc -l <driver.outer)" -ge 22 ] || fail "too few packets were recorded"
diff driver.outer engine.outer >difference || { cat difference; fail "outer packets differ: < driver, > engine"; }
ok "$(wc -l <driver.outer) outer packets with the same length, TOS and ECN"
diff driver.marks engine.marks >difference || { cat difference; fail "marks inside differ: < driver, > engine"; }
[ "$(paste -sd' ' driver.marks)" = "tos 0x0 tos 0x3 tos 0x3 tos 0x3 tos 0xb8 tos 0xbb" ] || fail "marks inside: $(paste -sd' ' driver.marks)"
ok "congestion marks of the outside are inside on what can carry them"
diff driver.refusals engine.refusals >difference || { cat difference; fail "ICMP errors differ: < driver, > engine"; }
[ -s driver.refusals ] || fail "the driver refused nothing"
ok "what has no way is refused with the same ICMP errors"
diff driver.transfer engine.transfer >difference || { cat difference; fail "counters differ: < driver, > engine"; }
ok "the same counters after the same traffic"
