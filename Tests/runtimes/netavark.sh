#!/bin/bash
# The netavark plugin, called as netavark calls it: info, create, setup, teardown, one key per container.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/cni.sh"
need jq busybox
make_gateway
make_pool 1 2
container_namespace c1
container_namespace c2

plugin() { # plugin VERB… with $test_folder/input.json; the answer in $test_folder/answer
    (
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin timeout 60 "$SWG_BIN/swg-netavark" "$@" <"$test_folder/input.json" \
            2> >(cat >"$test_folder/stderr") | cat >"$test_folder/answer"
        exit "${PIPESTATUS[0]}"
    )
}
refused_with() { # refused_with PATTERN VERB…
    local pattern=$1
    shift
    if plugin "$@"; then fail "should have been refused: $*"; fi
    jq -r .error "$test_folder/answer" | grep >/dev/null -Ei -- "$pattern" || {
        cat "$test_folder/answer" "$test_folder/stderr"
        fail "the error does not say $pattern"
    }
}
network_json() {
    jq -n --arg pool "$pool" '{name: "egress", id: "ff00", driver: "swg-netavark", network_interface: "", subnets: [],
        ipv6_enabled: false, internal: false, dns_enabled: false, ipam_options: {driver: "none"}, options: {configDir: $pool},
        network_dns_servers: null, created: "2026-01-01T00:00:00Z"}'
}
container() { # container ID [JQ]
    network_json | jq --arg id "$1" '{container_id: $id, container_name: "name-\($id)", port_mappings: null, network: .,
        network_options: {interface_name: "eth0", static_ips: null, static_mac: "", aliases: [$id], options: null}}' |
        jq "${2:-.}" >"$test_folder/input.json"
}

echo '{}' >"$test_folder/input.json"
must plugin info
jq -e '.api_version == "1.0.0" and (.version | length > 0)' "$test_folder/answer" >/dev/null || fail "info"
must plugin
jq -e .api_version "$test_folder/answer" >/dev/null || fail "info without an argument"
network_json >"$test_folder/input.json"
must plugin create
jq -e --slurpfile given "$test_folder/input.json" '.name == $given[0].name and .id == $given[0].id and .driver == $given[0].driver' \
    "$test_folder/answer" >/dev/null || fail "create changed the network's identity"
network_json | jq '.options = {configdir: "/x"}' >"$test_folder/input.json"
refused_with 'configDir' create
ok "info and create"

inventory >"$test_folder/before"
container d '.network_options.options = {config: "key2"}'
if "$SWG_BIN/swg-netavark" setup /run/netns/c1 <"$test_folder/input.json" >/dev/full 2>"$test_folder/stderr"; then fail "an answer that nobody got is a success"; fi
grep -q 'could not be delivered' "$test_folder/stderr" || fail "the setup failed for another reason: $(cat "$test_folder/stderr")"
[ "$(ip -n c1 -o link | wc -l)" = 1 ] || fail "a setup whose answer nobody got left something"
container a
must plugin setup /run/netns/c1
jq -e '.interfaces.eth0.subnets == [{ipnet: "10.99.0.2/32"}, {ipnet: "fd99::2/128"}] and (.interfaces.eth0.mac_address | type == "string")
    and .dns_server_ips == ["10.99.0.1"]' "$test_folder/answer" >/dev/null || { cat "$test_folder/answer"; fail "the status block"; }
no_keys "$test_folder/answer" "$test_folder/stderr"
behind_tunnel c1
container b '.network_options.options = {config: "key1"}'
refused_with 'in use|already' setup /run/netns/c2
[ "$(ip -n c2 -o link | wc -l)" = 1 ] || fail "a failed setup left something"
container b '.network_options.options = {config: "key2"}'
must plugin setup /run/netns/c2
behind_tunnel c2
ok "setup: two containers with two keys, the second one chosen"

container c '.port_mappings = [{container_port: 80, host_ip: "", host_port: 8080, protocol: "tcp", range: 1}]'
refused_with 'publish' setup /run/netns/c2
container c '.network_options.options = {confg: "x"}'
refused_with 'config' setup /run/netns/c2
echo '{"container_id":' >"$test_folder/input.json"
refused_with 'JSON' setup /run/netns/c2
: >"$test_folder/input.json"
refused_with 'empty' teardown /run/netns/c2
ok "refusals are told, and change nothing"

container a
must plugin teardown /run/netns/c1
must plugin teardown /run/netns/c1
ip netns del c2
container b '.network_options.options = {config: "key2"}'
must plugin teardown /run/netns/c2
container_namespace c2
[ ! -s "$test_folder/answer" ] || fail "teardown prints something"
forget_state
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "teardown: twice, and without its namespace; nothing is left behind"
