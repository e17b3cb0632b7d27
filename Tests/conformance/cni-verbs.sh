#!/bin/bash
# Every verb of CNI in every version, called directly: what specification 1.1.0 promises a runtime.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/cni.sh"
need jq ping curl busybox
make_gateway
make_pool 1 2
container_namespace c1
container_namespace c2
container_namespace c3
network
inventory >"$test_folder/before"
c1=/run/netns/c1 c2=/run/netns/c2 c3=/run/netns/c3

check_result() { # the last answer, as its version wants it
    jq -e --arg netns "$c1" '
        .interfaces[0] == ({name: "eth0", mac: "00:00:00:00:00:00", sandbox: $netns}
            + if .cniVersion == "1.1.0" then {mtu: .interfaces[0].mtu} else {} end)
        and ([.ips[].address] == ["10.99.0.2/32", "fd99::2/128"]) and all(.ips[]; .interface == 0)
        and (if .cniVersion < "1.0.0" then [.ips[].version] == ["4", "6"] else all(.ips[]; has("version") | not) end)
        and ([.routes[].dst] | sort == ["0.0.0.0/0", "::/0"]) and .dns.nameservers == ["10.99.0.1"]' \
        "$test_folder/answer" >/dev/null || {
        cat "$test_folder/answer"
        fail "the result of $1 is not what the specification wants"
    }
    no_keys "$test_folder/answer" "$test_folder/stderr"
}

for version in 0.3.0 0.3.1 0.4.0 1.0.0 1.1.0; do
    rm -f "$pool"/*
    make_pool 1
    network ".cniVersion = \"$version\""
    must cni VERSION "" dummy CNI_IFNAME=dummy CNI_PATH=dummy
    jq -e --arg v "$version" '.cniVersion == $v and (.supportedVersions | index($v))' "$test_folder/answer" >/dev/null ||
        fail "VERSION does not list $version"
    must cni ADD "box-$version" "$c1"
    [ "$(jq -r .cniVersion "$test_folder/answer")" = "$version" ] || fail "the answer is of another version than $version"
    check_result "$version"
    behind_tunnel c1
    with_result
    if [[ $version < 0.4.0 ]]; then
        refused 1 CHECK cni CHECK "box-$version" "$c1"
    else
        must cni CHECK "box-$version" "$c1"
        [ ! -s "$test_folder/answer" ] || fail "CHECK prints something"
    fi
    must cni DEL "box-$version" "$c1"
    [ ! -s "$test_folder/answer" ] || fail "DEL prints something"
    must cni DEL "box-$version" "$c1"
    ok "ADD, CHECK, DEL, DEL in $version"
done
network
forget_state
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "the inventory is as before"

make_pool 1 2
must cni ADD a "$c1"
cp "$test_folder/answer" "$test_folder/first"
must cni ADD b "$c2"
[ "$(jq -r '.ips[0].address' "$test_folder/first")" != "$(jq -r '.ips[0].address' "$test_folder/answer")" ] ||
    fail "two containers got one key"
behind_tunnel c1
behind_tunnel c2
refused 11 "in use.*container (a|b)" cni ADD c "$c3"
[ "$(ip -n c3 -o link | wc -l)" = 1 ] || fail "a refused ADD left an interface"
ok "two containers with two keys, the third is refused with code 11"

! cni ADD a "$c1" || fail "a second ADD without DEL was taken"
behind_tunnel c1
must cni DEL a "$c1"
must cni ADD c "$c3"
[ "$(jq -r '.ips[0].address' "$test_folder/first")" = "$(jq -r '.ips[0].address' "$test_folder/answer")" ] ||
    fail "DEL did not release the key"
rm "$pool/key1.conf" "$pool/key2.conf"
must cni DEL c ""
must cni DEL b ""
make_pool 1 2
ok "DEL releases the key without a namespace, and when the file has vanished"

for turn in 1 2 3 4; do
    must cni ADD "turn$turn" "$c1"
    jq -r '.ips[0].address' "$test_folder/answer"
    must cni DEL "turn$turn" "$c1"
done >"$test_folder/turns"
[ "$(sort "$test_folder/turns" | uniq -c | awk '{print $1}' | tr '\n' ' ')" = "2 2 " ] || fail "not the least recently released key first: $(cat "$test_folder/turns")"
ok "the least recently released key comes first"

must cni ADD gone "$c1"
ip netns del c1
must cni DEL gone "$c1"
must cni DEL gone ""
container_namespace c1
network 'del(.configDir) | .mtu = "x" | .ConfigDir = 1'
must cni DEL never "$c1"
echo '{"type":"swg-cni"}' >"$test_folder/network.json"
must cni DEL never "$c1"
network
must cni ADD named "$c1"
echo '{"type":"swg-cni"}' >"$test_folder/network.json"
must cni DEL named ""
[ "$(ip -n c1 -o link | wc -l)" = 1 ] || fail "DEL by container and interface alone did not find the tunnel"
network
ok "DEL: namespace gone, twice, for what never was, with a broken configuration, without a name"

must cni ADD stranger "$c1"
ip -n c2 link add eth0 type veth peer name other
must cni DEL stranger "$c2"
ip -n c2 link show eth0 >/dev/null || fail "DEL touched a namespace that is not the container's"
ip -n c2 link del eth0
ok "DEL never touches another namespace"

must cni ADD checked "$c1"
with_result
must cni CHECK checked "$c1"
refused 101 "NETNS" cni CHECK checked "$c2"
jq '.prevResult.ips[0].address = "10.99.0.77/32"' "$test_folder/network.json" >"$test_folder/n" && mv "$test_folder/n" "$test_folder/network.json"
refused 101 "10.99.0.77" cni CHECK checked "$c1"
network
refused 7 prevResult cni CHECK checked "$c1"
must cni DEL checked "$c1"
must cni ADD checked "$c1"
with_result
must cni CHECK checked "$c1"
# What a later plugin of the chain did and says in its result, on top of it or instead of it.
plugin_says() { # plugin_says JQ-FILTER: of prevResult
    jq ".prevResult |= ($1)" "$test_folder/network.json" >"$test_folder/n" && mv "$test_folder/n" "$test_folder/network.json"
}
cp "$test_folder/network.json" "$test_folder/as-added"
plugin_says '.routes += [{dst: "10.55.0.0/16"}] | .ips += [{interface: 0, address: "10.55.0.1/16"}]'
refused 101 "10.55.0.1/16" cni CHECK checked "$c1"
ip -n c1 addr add 10.55.0.1/16 dev eth0
must cni CHECK checked "$c1"
plugin_says '.routes += [{dst: "10.56.0.0/16"}]'
refused 101 "10.56.0.0/16" cni CHECK checked "$c1"
ip -n c1 route add 10.56.0.0/16 dev eth0 table 7
must cni CHECK checked "$c1"
ip -n c1 route del default dev eth0
refused 101 "0.0.0.0/0" cni CHECK checked "$c1"
plugin_says '.routes |= map(select(.dst != "0.0.0.0/0"))'
must cni CHECK checked "$c1"
ip -n c1 route add default dev eth0
cp "$test_folder/as-added" "$test_folder/network.json"
must cni CHECK checked "$c1"
ip -n c1 route del default dev eth0
refused 101 "0.0.0.0/0|default" cni CHECK checked "$c1"
must cni DEL checked "$c1"
network
must cni ADD checked "$c1"
with_result
ip -n c1 addr del "$(jq -r '.ips[0].address' "$test_folder/answer")" dev eth0
refused 101 "10.99.0" cni CHECK checked "$c1"
must cni DEL checked "$c1"
network
must cni ADD checked "$c1"
with_result
if on_kernel; then ip -n c1 link delete eth0; else pkill -KILL -x swg-engine; fi
refused 101 "engine|eth0|device" cni CHECK checked "$c1"
must cni DEL checked "$c1"
network
ok "CHECK follows later plugins of the chain, and finds a wrong namespace, address, route, and a dead engine (or no device)"

forget_state
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "nothing is left behind"
