#!/bin/bash
# alone: before the driver is loaded
# limit: 400 s
# A host goes from engine to kernel and back under live tunnels: first it has no driver, then it is loaded, then it is
# taken away again. What lives stays as it was made; what is new takes what is there; nothing is half made, and doctor
# tells the truth in both worlds.
source "$(dirname "$0")/../../lib/test.sh"
[ ! -d /sys/module/wireguard ] || skip "the driver is loaded already: this one comes first"
may_load=$(cat /proc/sys/kernel/modprobe)
driver() { # driver absent|loaded|loadable
    case $1 in
    absent) echo /bin/false >/proc/sys/kernel/modprobe ;;
    *) echo "$may_load" >/proc/sys/kernel/modprobe ;;
    esac
    case $1 in
    absent | loadable) [ ! -d /sys/module/wireguard ] || rmmod wireguard ;;
    loaded) modprobe wireguard ;;
    esac
}
trap 'driver loaded' EXIT
GATEWAY_ENGINE=wireguard-go make_gateway
for number in 1 2; do ip netns add pod$number; done
fetch() { ip netns exec "pod$1" curl -s -m 20 http://10.99.0.1/ | grep >/dev/null 'hello from behind'; }
attach() { # attach ENGINE NUMBER [WORDS…]
    local engine=$1 number=$2
    shift 2
    expect_status 0 swg-ns attach --engine "$engine" --id "t$number" "$test_folder/client$number.conf" --netns "pod$number" --wait=60 "$@"
}
backends() { swg-ns list --json | jq -r '.tunnels[] | "\(.id) \(.backend) \(.state)"' | sort | paste -sd, ; }
is() { # is WHAT: of all tunnels their id, backend and state
    [ "$(backends)" = "$1" ] || fail "not $1 but $(backends)"
}
healthy() {
    local number
    for number in "$@"; do
        fetch "$number" || fail "no page in pod$number"
        expect_status 0 swg-ns check "t$number"
    done
}

driver absent
inventory >before
expect_status 1 swg-ns attach --engine kernel "$test_folder/client1.conf" --netns pod1
expect_output 'no WireGuard.*(modprobe wireguard|--engine userspace)'
expect_status 125 swg-ns run --engine kernel "$test_folder/client1.conf" -- true
expect_output 'no WireGuard.*(modprobe wireguard|--engine userspace)'
inventory >after
same_inventory before after
swg-ns doctor >doctor || true
grep -Eq "kernel's WireGuard.*(does not answer|is not loaded)" doctor && grep -q 'modprobe wireguard' doctor || fail "doctor: $(cat doctor)"
attach auto 1
expect_output 'no WireGuard'
is "t1 userspace attached"
healthy 1
ok "without the driver: kernel is refused with the reason and leaves nothing, auto takes the engine, doctor knows"

driver loaded
swg-ns doctor >doctor || true
grep -q "kernel's WireGuard.*auto takes it" doctor || fail "doctor: $(cat doctor)"
setpriv --reuid 65534 --regid 65534 --clear-groups swg-ns doctor >doctor || true
grep -q "kernel's WireGuard.*for root's tunnels; without root the engine" doctor || fail "doctor without root: $(cat doctor)"
attach auto 2
is "t1 userspace attached,t2 kernel attached"
healthy 1 2
for number in 1 2; do
    sed 's/^PersistentKeepalive.*//; $a PersistentKeepalive = 23' "$test_folder/client$number.conf" >changed$number.conf
    chmod 600 changed$number.conf
    expect_status 0 swg-ns set t$number "$PWD/changed$number.conf"
    [ "$(swg-ns show t$number --json | jq '.tunnels[0].peers[0].persistentKeepalive')" = 23 ] || fail "set of t$number"
    expect_status 0 swg-ns repair t$number
done
# A dead engine is repaired by an engine, for its tunnel was made so.
kill -KILL "$(swg-ns list --json | jq '.tunnels[] | select(.id == "t1") | .enginePID')"
wait_until 5 bash -c '! ip -n pod1 link show wg0'
is "t1 userspace broken,t2 kernel attached"
expect_status 0 swg-ns repair t1
is "t1 userspace attached,t2 kernel attached"
healthy 1 2
ok "the driver comes: live tunnels stay with their engine through set, check and repair, new ones take the driver"

# rmmod takes the driver's interfaces along; there it is a tunnel without device, and no other way out.
driver absent
is "t1 userspace attached,t2 kernel broken"
healthy 1
expect_status 1 swg-ns check t2
[ -z "$(ip -n pod2 route; ip -n pod2 -o link | grep -v ' lo: ')" ] || fail "a way out without the driver: $(ip -n pod2 route)"
expect_status 1 swg-ns repair t2
expect_output 'no WireGuard'
is "t1 userspace attached,t2 kernel broken"
expect_status 0 swg-ns gc
is "t1 userspace attached,t2 kernel broken"
ok "the driver goes: no way out of its tunnels, repair says why it cannot, engine tunnels do not notice"

driver loadable
expect_status 0 swg-ns repair t2
is "t1 userspace attached,t2 kernel attached"
healthy 2
driver absent
expect_status 0 swg-ns detach t2
attach auto 2
is "t1 userspace attached,t2 userspace attached"
healthy 1 2
driver loaded
healthy 1 2
for number in 1 2; do expect_status 0 swg-ns detach t$number; done
forget=$(ls /run/swg-ns/tunnels 2>/dev/null || true)
[ -z "$forget" ] || fail "state is left: $forget"
ok "repair loads the driver by itself; a tunnel goes from the driver to the engine by detach and attach"
