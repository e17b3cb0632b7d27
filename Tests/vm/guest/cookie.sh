#!/bin/bash
# limit: 400 s
# Cookies between our engine, the kernel's driver and wireguard-go, over IPv4 and IPv6 (C2 to C6): the side that
# answers is flooded by a stranger until it is under load; the side that begins gets a cookie reply, comes again with
# mac2, and is let in while the flood goes on.
source "$(dirname "$0")/../../lib/test.sh"
engine=${SWG_TEST_ENGINE:-swg-engine}
need wg wireguard-go ping tcpdump python3 "$engine"

#   left 192.0.2.1, 2001:db8::1, the stranger 192.0.2.66  ─── veth ───  192.0.2.2, 2001:db8::2 right
ip netns add left
ip netns add right
ip -n left link add eth0 type veth peer name eth0 netns right
for name in left right; do
    ip -n $name link set eth0 addrgenmode none
    ip -n $name link set lo up
    ip -n $name link set eth0 up
done
ip -n left addr add 192.0.2.1/24 dev eth0
ip -n left addr add 192.0.2.66/24 dev eth0
ip -n left addr add 2001:db8::1/64 dev eth0 nodad
ip -n right addr add 192.0.2.2/24 dev eth0
ip -n right addr add 2001:db8::2/64 dev eth0 nodad
(umask 077 && wg genpsk >psk)

make_device() { # make_device NAMESPACE IMPLEMENTATION NAME PORT
    case $2 in
    kernel) ip -n "$1" link add "$3" type wireguard ;;
    engine) ip netns exec "$1" "$engine" "$3" ;;
    go) LOG_LEVEL=error ip netns exec "$1" wireguard-go "$3" 2>"$3.log" ;;
    esac
    (umask 077 && wg genkey >"$3.key")
    wg pubkey <"$3.key" >"$3.public"
    ip netns exec "$1" wg set "$3" private-key "$3.key" listen-port "$4"
}

# RESPONDER, then each INITIATOR:FAMILY.
plans=("kernel engine:4 engine:6" "engine kernel:4 kernel:6 engine:6 go:4" "go engine:4 engine:6")
responder=0
for plan in "${plans[@]}"; do
    responder=$((responder + 1))
    read -r implementation initiators <<<"$plan"
    right=r$responder
    make_device right "$implementation" $right $((52000 + responder))
    ip -n right link set $right mtu 1400 up
    number=0
    for initiator in $initiators; do
        number=$((number + 1))
        left=l$responder$number family=${initiator#*:}
        make_device left "${initiator%:*}" $left $((51000 + responder * 10 + number))
        endpoint=192.0.2.2:$((52000 + responder))
        [ "$family" = 4 ] || endpoint="[2001:db8::2]:$((52000 + responder))"
        ip netns exec left wg set $left peer "$(<$right.public)" preshared-key psk endpoint "$endpoint" \
            allowed-ips 10.$responder.0.254/32
        ip netns exec right wg set $right peer "$(<$left.public)" preshared-key psk allowed-ips 10.$responder.0.$number/32
        ip -n left addr add 10.$responder.0.$number/32 dev $left
        ip -n left link set $left mtu 1400 up
    done
    ip -n right addr add 10.$responder.0.254/24 dev $right
done

responder=0
for plan in "${plans[@]}"; do
    responder=$((responder + 1))
    read -r implementation initiators <<<"$plan"
    ip netns exec left tcpdump --immediate-mode -U -n -i eth0 -w wire.$responder 'not host 192.0.2.66 and udp' 2>recorder.log &
    recorder=$!
    wait_until 20 grep -q listening recorder.log || fail "tcpdump does not start: $(<recorder.log)"
    ip netns exec left "$(dirname "$0")/../../lib/vm/flood" 192.0.2.66 192.0.2.2 $((52000 + responder)) \
        "$(<r$responder.public)" 90 >flood.$responder &
    flood=$!
    wait_until 40 grep -q cookie flood.$responder || fail "a flood does not bring $implementation under load"
    number=0
    for initiator in $initiators; do
        number=$((number + 1))
        # One by one into the same destination: each from the device that has the route.
        ip netns exec left ping -q -I l$responder$number -c 40 -i 1 -w 40 10.$responder.0.254 >ping.$responder$number 2>&1 &
    done
    number=0
    for initiator in $initiators; do
        number=$((number + 1))
        let_in() { ip netns exec left wg show l$responder$number latest-handshakes | grep >/dev/null -v $'\t0$'; }
        wait_until 40 let_in || fail "$initiator is not let in by $implementation under load"
    done
    kill $flood
    wait $flood 2>/dev/null || true
    sleep 0.3
    kill -INT $recorder
    wait $recorder || true
    pkill -f "ping -q -I l$responder" || true
    number=0
    for initiator in $initiators; do
        number=$((number + 1))
        port=$((51000 + responder * 10 + number))
        # Offsets into UDP do not work behind IPv6 headers: take the bytes from the dump.
        replies=$(tcpdump -n -r wire.$responder "udp dst port $port and (udp[8] = 3 or (ip6 and ip6[48] = 3))" 2>/dev/null | wc -l)
        with_cookie=$(tcpdump -n -r wire.$responder "udp src port $port and ((ip and udp[8] = 1 and udp[140:4] != 0) or
            (ip6 and ip6[48] = 1 and ip6[180:4] != 0))" 2>/dev/null | wc -l)
        [ "$replies" -gt 0 ] || fail "C5: $implementation under load sent no cookie to $initiator"
        [ "$with_cookie" -gt 0 ] || fail "C4: $initiator did not bring the cookie of $implementation"
    done
    ok "$implementation under load sent cookies, and let in who brought them: $initiators"
done
