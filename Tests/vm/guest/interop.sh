#!/bin/bash
# slow: first in the queue
# limit: 450 s
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

# Every process costs an emulated processor a tenth of a second: one key for each side, and one `ip` for all.
(
    umask 077
    for name in left right; do wg genkey >$name.key; done
    wg genpsk >with.psk
    ln -s /dev/null without.psk
)
left_key=$(wg pubkey <left.key)
right_key=$(wg pubkey <right.key)
inside() { # inside NAMESPACE COMMAND…
    local name=$1
    shift
    nsenter --net=/run/netns/$name "$@"
}
start_engine() { # start_engine NAMESPACE IMPLEMENTATION NAME
    case $2 in
    kernel) ;;
    engine) inside "$1" "$engine" "$3" ;;
    go) LOG_LEVEL=error inside "$1" wireguard-go "$3" 2>"$3.log" ;;
    esac
}

count=0
titles=("")
plan=("")
pairs=("engine kernel" "kernel engine" "engine go" "go engine" "engine engine")
# --full: those in which nothing is ours, to know whom to blame.
[ -z "${SWG_FULL:-}" ] || pairs+=("kernel go" "go kernel")
for pair in "${pairs[@]}"; do
    for combination in 4:with 4:without 6:with 6:without; do
        family=${combination%:*} preshared=${combination#*:}
        count=$((count + 1))
        plan+=("$pair $family $preshared")
        titles+=("${pair/ / to } over IPv$family $preshared preshared key")
    done
done
for ((number = 1; number <= count; number++)); do
    set -- ${plan[number]}
    [ "$1" != kernel ] || echo "link add l$number type wireguard" >>left.first
    [ "$2" != kernel ] || echo "link add r$number type wireguard" >>right.first
    cat >>left.second <<IP
addr add 10.77.$number.1/32 dev l$number
link set l$number mtu 1400 up
route add 10.77.$number.2/32 dev l$number
IP
    cat >>right.second <<IP
addr add 10.77.$number.2/32 dev r$number
link set r$number mtu 1400 up
route add 10.77.$number.1/32 dev r$number
IP
done
for name in left right; do ip -n $name -batch $name.first; done
for ((number = 1; number <= count; number++)); do
    set -- ${plan[number]}
    start_engine left "$1" "l$number"
    start_engine right "$2" "r$number"
    endpoint=192.0.2.2:$((52000 + number))
    [ "$3" = 4 ] || endpoint="[2001:db8::2]:$((52000 + number))"
    inside left wg set "l$number" private-key left.key listen-port $((51000 + number)) \
        peer "$right_key" preshared-key "$4.psk" endpoint "$endpoint" allowed-ips "10.77.$number.2/32"
    inside right wg set "r$number" private-key right.key listen-port $((52000 + number)) \
        peer "$left_key" preshared-key "$4.psk" allowed-ips "10.77.$number.1/32"
done
for name in left right; do ip -n $name -batch $name.second; done

for ((number = 1; number <= count; number++)); do
    inside left ping -q -c 1 -W 30 "10.77.$number.2" >"ping.$number" 2>&1 &
done
wait
for ((number = 1; number <= count; number++)); do
    grep -q ' 1 received' "ping.$number" || fail "no answer: ${titles[number]}"
done
ok "$count tunnels shook hands"
began=$(date +%s)
first=() last=()

for ((number = 1; number <= count; number++)); do
    inside left ping -q -i 2 -w 155 "10.77.$number.2" >"ping.$number" 2>&1 &
done
sleep 5
# Roaming: another address for all, another port for every second one.
ip -n left addr flush dev eth0 scope global
ip -n left addr add 192.0.2.11/24 dev eth0
ip -n left addr add 2001:db8::11/64 dev eth0 nodad
for ((number = 1; number <= count; number += 2)); do
    inside left wg set "l$number" listen-port $((53000 + number))
done
moved() {
    local number port
    # Interface, key, endpoint; engines answer from anywhere, the driver in its namespace.
    inside right wg show all endpoints | grep '^r' >endpoints
    for ((number = 1; number <= count; number++)); do
        port=$((51000 + number))
        [ $((number % 2)) = 0 ] || port=$((53000 + number))
        echo $number >moving
        grep -Eq "^r$number"$'\t'".*"$'\t'"(192.0.2.11|\[2001:db8::11\]):$port$" endpoints || return 1
    done
}
wait_until 40 moved || fail "did not follow to the new address: ${titles[$(cat moving)]}"
ok "$count tunnels followed to another address and port"

# Number and time of the latest handshake of each.
latest_handshakes() { inside left wg show all latest-handshakes | sed -n 's/^l\([0-9]*\)\t.*\t/\1 /p'; }
# wireguard-go may need a new handshake to leave an old address; from here on only age makes one.
while [ $(($(date +%s) - began)) -lt 30 ]; do sleep 1; done
while read -r number time; do first[number]=$time; done < <(latest_handshakes)
wait
while read -r number time; do last[number]=$time; done < <(latest_handshakes)
for ((number = 1; number <= count; number++)); do
    age=$((last[number] - first[number]))
    [ "$age" -ge 115 ] && [ "$age" -le 140 ] || fail "new keys after $age s instead of 120: ${titles[number]}"
    answers=$(sed -n 's/.* \([0-9]*\) received.*/\1/p' "ping.$number")
    sent=$(sed -n 's/^\([0-9]*\) packets.*/\1/p' "ping.$number")
    [ "$answers" -ge $((sent * 8 / 10)) ] || fail "$answers of $sent answers: ${titles[number]}"
done
ok "$count tunnels made new keys after 120 s, with traffic going on"
