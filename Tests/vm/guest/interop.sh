#!/bin/bash
# Our engine, the kernel's driver and wireguard-go with each other: each pair in both roles, over IPv4 and IPv6,
# with and without preshared key, all at once, through a handshake, a change of address and port, and the
# rekey that is due after 120 s (REKEY_AFTER_TIME).
source "$(dirname "$0")/../../lib/test.sh"
engine=${SWG_TEST_ENGINE:-swg-engine}
need wg wireguard-go ping "$engine"

#   left 192.0.2.1, 2001:db8::1  ─── veth ───  192.0.2.2, 2001:db8::2 right
# Tunnel N goes from lN (left, the initiator) to rN (right), 10.77.N.1 to 10.77.N.2.
ip netns add left
ip netns add right
ip -n left link add eth0 type veth peer name eth0 netns right
for name in left right; do
    ip netns exec $name sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.eth0.accept_dad=0
    ip -n $name link set lo up
    ip -n $name link set eth0 up
done
ip -n left addr add 192.0.2.1/24 dev eth0
ip -n left addr add 2001:db8::1/64 dev eth0 nodad
ip -n right addr add 192.0.2.2/24 dev eth0
ip -n right addr add 2001:db8::2/64 dev eth0 nodad

make_device() { # make_device NAMESPACE IMPLEMENTATION NAME
    case $2 in
    kernel) ip -n "$1" link add "$3" type wireguard ;;
    engine) ip netns exec "$1" "$engine" "$3" ;;
    go) LOG_LEVEL=error ip netns exec "$1" wireguard-go "$3" 2>"$3.log" ;;
    esac
}

count=0
titles=("")
make_tunnel() { # make_tunnel LEFT RIGHT FAMILY PSK
    local here there endpoint number
    count=$((count + 1))
    number=$count
    titles+=("$1 to $2 over IPv$3 $4 preshared key")
    make_device left "$1" "l$number"
    make_device right "$2" "r$number"
    endpoint=192.0.2.2:$((52000 + number))
    [ "$3" = 4 ] || endpoint="[2001:db8::2]:$((52000 + number))"
    (
        umask 077
        wg genkey >"l$number.key"
        wg genkey >"r$number.key"
        wg genpsk >"$number.psk"
    )
    here=$(wg pubkey <"l$number.key")
    there=$(wg pubkey <"r$number.key")
    [ "$4" = with ] || ln -sf /dev/null "$number.psk"
    ip netns exec left wg set "l$number" private-key "l$number.key" listen-port $((51000 + number)) \
        peer "$there" preshared-key "$number.psk" endpoint "$endpoint" allowed-ips "10.77.$number.2/32"
    ip netns exec right wg set "r$number" private-key "r$number.key" listen-port $((52000 + number)) \
        peer "$here" preshared-key "$number.psk" allowed-ips "10.77.$number.1/32"
    ip -n left addr add "10.77.$number.1/32" dev "l$number"
    ip -n right addr add "10.77.$number.2/32" dev "r$number"
    ip -n left link set "l$number" mtu 1400 up
    ip -n right link set "r$number" mtu 1400 up
    ip -n left route add "10.77.$number.2/32" dev "l$number"
    ip -n right route add "10.77.$number.1/32" dev "r$number"
}

for pair in "engine kernel" "kernel engine" "engine go" "go engine" "engine engine"; do
    for family in 4 6; do
        for preshared in with without; do make_tunnel $pair $family $preshared; done
    done
done

for ((number = 1; number <= count; number++)); do
    ip netns exec left ping -q -c 1 -W 20 "10.77.$number.2" >"ping.$number" 2>&1 &
done
wait
for ((number = 1; number <= count; number++)); do
    grep -q ' 1 received' "ping.$number" || fail "no answer: ${titles[number]}"
done
ok "$count tunnels shook hands"
began=$(date +%s)
first=()

for ((number = 1; number <= count; number++)); do
    ip netns exec left ping -q -i 1 -w 165 "10.77.$number.2" >"ping.$number" 2>&1 &
done
sleep 10
# Roaming: another address for all, another port for every second one.
ip -n left addr flush dev eth0 scope global
ip -n left addr add 192.0.2.11/24 dev eth0
ip -n left addr add 2001:db8::11/64 dev eth0 nodad
for ((number = 1; number <= count; number += 2)); do
    ip netns exec left wg set "l$number" listen-port $((53000 + number))
done
moved() {
    local number seen port
    for ((number = 1; number <= count; number++)); do
        port=$((51000 + number))
        [ $((number % 2)) = 0 ] || port=$((53000 + number))
        seen=$(ip netns exec right wg show "r$number" endpoints | cut -f 2)
        case $seen in 192.0.2.11:$port | "[2001:db8::11]:$port") ;; *)
            echo "$number" >moving
            return 1
            ;;
        esac
    done
}
wait_until 30 moved || fail "did not follow to the new address: ${titles[$(cat moving)]}"
ok "$count tunnels followed to another address and port"

latest_handshake() { ip netns exec left wg show "l$1" latest-handshakes | cut -f 2; }
# wireguard-go may need a new handshake to leave an old address; from here on only age makes one.
while [ $(($(date +%s) - began)) -lt 30 ]; do sleep 1; done
for ((number = 1; number <= count; number++)); do first[number]=$(latest_handshake $number); done
wait
for ((number = 1; number <= count; number++)); do
    age=$(($(latest_handshake $number) - first[number]))
    [ "$age" -ge 115 ] && [ "$age" -le 135 ] || fail "new keys after $age s instead of 120: ${titles[number]}"
    answers=$(sed -n 's/.* \([0-9]*\) received.*/\1/p' "ping.$number")
    sent=$(sed -n 's/^\([0-9]*\) packets.*/\1/p' "ping.$number")
    [ "$answers" -ge $((sent * 85 / 100)) ] || fail "$answers of $sent answers: ${titles[number]}"
done
ok "$count tunnels made new keys after 120 s, with traffic going on"
