#!/bin/bash
# libcni itself, the library of podman, containerd, CRI-O and Nomad: chains, versions, host-local and static IPAM.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/cni.sh"
source "$(dirname "$0")/../lib/runtimes.sh"
need jq busybox
# An emulated processor would compile for half an hour: there the program comes from outside.
libcni_driver=${SWG_LIBCNI_DRIVER:-}
[ -n "$libcni_driver" ] || can_make_libcni_driver || skip "golang-go or golang-github-appc-cni-dev is not installed"
host_like
make_gateway
make_pool 1 2
[ -n "$libcni_driver" ] || {
    libcni_driver=$test_folder/driver
    make_libcni_driver "$libcni_driver"
}
export CNI_PATH=$SWG_BIN:/usr/lib/cni CNI_CACHE=$test_folder/cache
mkdir -p "$test_folder/net"
container_namespace c1
container_namespace c2
list() { jq -n --arg pool "$pool" "{cniVersion: \"1.0.0\", name: \"egress\", plugins: [{type: \"swg-cni\", configDir: \$pool}]} | $1" >"$test_folder/net/egress.conflist"; }
driver() { "$libcni_driver" "$1" "$test_folder/net" egress "$2" "/run/netns/${3:-$2}"; }
list .
inventory >"$test_folder/before"
same() {
    rm -rf "$test_folder/cache"
    forget_state
    inventory >"$test_folder/after"
    same_inventory "$test_folder/before" "$test_folder/after"
}

# What comes with the plugin, as libcni reads it: every plugin found, every version spoken.
mkdir "$test_folder/shipped"
for file in "$(dirname "$0")"/../../cni/*.conflist; do
    cp "$file" "$test_folder/shipped/network.conflist"
    "$libcni_driver" validate "$test_folder/shipped" "$(jq -r .name "$file")" c1 /run/netns/c1 || fail "libcni does not take $file"
done
ok "libcni takes every configuration that comes with the plugin"

for version in 0.3.0 0.3.1 0.4.0 1.0.0; do
    sampled 2 || continue
    list ".cniVersion = \"$version\""
    driver validate c1
    driver add c1 >"$test_folder/result"
    jq -e --arg v "$version" '.cniVersion == $v' "$test_folder/result" >/dev/null || fail "another version than $version"
    behind_tunnel c1
    no_keys "$test_folder/cache" "$test_folder/result"
    [[ $version < 0.4.0 ]] || driver check c1
    driver del c1
    driver del c1
    ok "libcni in $version"
done
same

# Addresses from IPAM: the files must not have any, and the gateway lets each key use the addresses given.
for number in 1 2; do
    sed -i '/^Address/d' "$pool/key$number.conf"
    ip netns exec gateway wg set gateway0 peer "$(cat "$test_folder/client$number.pub")" \
        allowed-ips "10.99.0.$((number + 9))/32,$(printf 'fd99::%x' $((number + 9)))/128"
done
list '.plugins[0].ipam = {type: "static", addresses: [{address: "10.99.0.10/32"}, {address: "fd99::a/128"}]}'
driver add c1 >"$test_folder/result"
behind_tunnel c1
driver check c1
[ "$(jq -r '[.ips[].address] | join(" ")' "$test_folder/result")" = "10.99.0.10/32 fd99::a/128" ] || fail "not static's addresses"
driver del c1
ok "addresses from static"

# The least recently released key is the second one now.
list '.plugins[0].ipam = {type: "host-local", dataDir: "/run/test/ipam", ranges: [[{subnet: "10.99.0.0/24", rangeStart: "10.99.0.10", rangeEnd: "10.99.0.11"}]]}'
driver add c1 >"$test_folder/result"
driver add c2 >"$test_folder/result2"
[ "$(jq -r '.ips[0].address' "$test_folder/result")" = 10.99.0.10/24 ] || fail "not host-local's address"
[ "$(ls /run/test/ipam/egress | grep -c '^10\.')" = 2 ] || fail "host-local holds $(ls /run/test/ipam/egress)"
driver check c1
driver check c2
ip netns del c2
driver del c2
driver del c1
[ "$(ls /run/test/ipam/egress | grep -c '^10\.')" = 0 ] || fail "an address was not given back"
container_namespace c2
ok "addresses from host-local, given back also when the namespace is gone"

# A later failure gives the address back.
list '.plugins[0].ipam = {type: "host-local", dataDir: "/run/test/ipam", ranges: [[{subnet: "10.99.0.0/24", rangeStart: "10.99.0.10", rangeEnd: "10.99.0.11"}]]} | .plugins[0].configDir = "/run/test/none"'
if driver add c1 2>"$test_folder/said"; then fail "a pool that does not exist"; fi
[ "$(ls /run/test/ipam/egress | grep -c '^10\.')" = 0 ] || fail "a failed ADD kept its address"
ok "a failed ADD gives its address back"

make_pool 1 2
for number in 1 2; do
    ip netns exec gateway wg set gateway0 peer "$(cat "$test_folder/client$number.pub")" \
        allowed-ips "10.99.0.$((number + 1))/32,fd99::$((number + 1))/128"
done
list '.plugins += [{type: "tuning", sysctl: {"net.ipv4.conf.eth0.forwarding": "0"}}]'
driver add c1 >"$test_folder/result"
behind_tunnel c1
driver check c1
ip -n c1 route del default dev eth0
if driver check c1 2>"$test_folder/said"; then fail "CHECK does not see that the route is gone"; fi
grep >/dev/null '0.0.0.0/0' "$test_folder/said" || fail "CHECK says: $(cat "$test_folder/said")"
driver del c1
ok "a chain with tuning behind the tunnel; CHECK through libcni finds what is missing"
same
ok "nothing is left behind"
