#!/bin/bash
# limit: 400 s
# The target, the birthplace and the process that made the tunnel end in every order: no page leaves in the
# clear, the driver frees that very interface (its own messages; run-guest counts peers and keypairs as well), and
# gc and detach leave nothing of ours.
source "$(dirname "$0")/../../lib/test.sh"
make_gateway
conf=$test_folder/client1.conf

# The birthplace is a namespace of its own here, with a way to the gateway.
make_birthplace() {
    ip netns add birth
    ip link add birth0 type veth peer name eth0 netns birth
    ip addr add 198.51.100.1/24 dev birth0
    ip link set birth0 up
    ip -n birth addr add 198.51.100.2/24 dev eth0
    ip -n birth link set eth0 up
    ip -n birth link set lo up
    ip -n birth route add default via 198.51.100.1
    ip -n gateway route replace 198.51.100.0/24 via 192.0.2.1
    sysctl -qw net.ipv4.ip_forward=1
}
fetch() { ip netns exec pod curl -s -m 4 http://10.99.0.1/; }
# attach NAME: an interface of that name; names are what the driver's messages tell apart.
attach() {
    interface=$1
    make_birthplace
    ip netns add pod
    # ip netns exec would give it another /sys and mount namespace; only the network is the point.
    nsenter --net=/run/netns/birth swg-ns attach --engine kernel --id life --ifname "$interface" --foreground --quiet \
        --wait=60 "$conf" --netns pod &
    maker=$!
    attached() { [ "$(ip netns exec pod wg show "$interface" latest-handshakes | cut -f 2)" -gt 0 ] && swg-ns list | grep 'life *attached'; }
    wait_until 60 attached || fail "no tunnel"
}
end() { # end target|birthplace|process
    case $1 in
    target) ip netns delete pod ;;
    birthplace)
        ip netns delete birth
        ip link delete birth0 2>/dev/null || true
        ;;
    process)
        kill -KILL $maker 2>/dev/null || true
        wait $maker 2>/dev/null || true
        ;;
    esac
}
freed() { dmesg | grep "wireguard: $interface: Interface destroyed"; }
nothing_left() {
    expect_status 0 swg-ns gc
    expect_status 0 swg-ns detach life
    [ -z "$(ls /run/swg-ns/tunnels 2>/dev/null)" ] || fail "$1: state is left"
    [ -z "$(ls /run/swg-ns/leases 2>/dev/null)" ] || fail "$1: a lease is left"
    for name in pod birth; do ! ip netns list | grep >/dev/null "^$name" || ip netns delete $name; done
    ip link delete birth0 2>/dev/null || true
    wait_until 20 freed || fail "$1: the driver has not freed the interface"
    ok "$1"
}

number=0
for order in "target birthplace process" "target process birthplace" "birthplace target process" \
    "birthplace process target" "process target birthplace" "process birthplace target"; do
    number=$((number + 1))
    attach order$number
    [ $number -gt 1 ] || fetch | grep >/dev/null 'hello from behind' || fail "no page"
    for one in $order; do
        end "$one"
        case $order in
        # Without its birthplace the interface stays, and leads nowhere.
        "process birthplace target")
            [ "$one" != birthplace ] || ! fetch >/dev/null 2>&1 || fail "a page without a birthplace"
            [ "$one" != birthplace ] || ip -n pod -o link show type wireguard | grep >/dev/null order || fail "the interface is gone with its birthplace"
            ;;
        esac
    done
    nothing_left "they end in the order: $order"
done

# A process in the target keeps it alive after its name is gone.
attach holder
end process
ip netns exec pod sleep 1000 &
holder=$!
inside() { [ "$(readlink /proc/$holder/ns/net)" != "$(readlink /proc/self/ns/net)" ]; }
wait_until 10 inside
ip netns delete pod
nsenter --net=/proc/$holder/ns/net curl -s -m 10 -o /dev/null http://10.99.0.1/ || fail "the tunnel went with the name"
kill $holder
wait $holder || true
nothing_left "the name, then the last process of the target"

attach asked
kill -TERM $maker
wait $maker || fail "attach --foreground ended with $?"
nothing_left "SIGTERM to the process, with all alive"
