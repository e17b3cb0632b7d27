#!/bin/bash
# podman 4 with its CNI backend: run, two containers with two keys, restart, network reload, a failing ADD,
# --rm, and no key in what podman and libcni keep.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/cni.sh"
source "$(dirname "$0")/../lib/runtimes.sh"
need podman runc jq busybox
podman --version | grep >/dev/null ' 4\.' || skip "podman 4 is wanted: later ones have no CNI"
host_like
make_gateway
make_pool 1 2

mkdir -p "$test_folder/net" "$test_folder/store"
cat >"$test_folder/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:8192"]
[network]
network_backend = "cni"
cni_plugin_dirs = ["$SWG_BIN", "/usr/lib/cni"]
network_config_dir = "$test_folder/net"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "runc"
CONF
cat >"$test_folder/storage.conf" <<CONF
[storage]
driver = "overlay"
graphroot = "$test_folder/store/graph"
runroot = "$test_folder/store/run"
CONF
export CONTAINERS_CONF=$test_folder/containers.conf CONTAINERS_STORAGE_CONF=$test_folder/storage.conf
jq -n --arg pool "$pool" '{cniVersion: "1.0.0", name: "egress", plugins: [{type: "swg-cni", configDir: $pool}]}' \
    >"$test_folder/net/egress.conflist"
make_root "$test_folder/root"
tar -C "$test_folder/root" -cf "$test_folder/root.tar" .
podman import -q "$test_folder/root.tar" localhost/case:1 >/dev/null
common=(--network egress --cap-add NET_RAW)
# The first command makes podman's own files.
podman ps -q
host_inventory() { # less what podman itself keeps about images
    inventory | grep -vE '^/run/(containers|libpod|crun|runc|lock|netns$)|/run/test'
}
host_inventory >"$test_folder/before"

podman run --rm "${common[@]}" localhost/case:1 /bin/sh -c "$what_it_sees" >"$test_folder/seen" 2>"$test_folder/said" ||
    { cat "$test_folder/said"; fail "podman run"; }
sees_tunnel "$test_folder/seen"
forget_state
host_inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "run --rm: behind the tunnel, nothing left"

servers() { podman run --rm "${common[@]}" "$@" localhost/case:1 cat /etc/resolv.conf | awk '/^nameserver/ { print $2 }' | tr '\n' ' '; }
# podman 4.3 appends the host's own; with --dns there is one server only.
[[ "$(servers)" == "10.99.0.1 "* ]] || fail "resolv.conf does not begin with the tunnel's server: $(servers)"
[ "$(servers --dns 10.99.0.1)" = "10.99.0.1 " ] || fail "resolv.conf has other servers than the tunnel's"
ok "the file's DNS= reaches resolv.conf"

podman run -d --name one "${common[@]}" localhost/case:1 sleep 600 >/dev/null
podman run -d --name two "${common[@]}" localhost/case:1 sleep 600 >/dev/null
addresses() { podman exec "$1" ip -o -4 addr show eth0 | awk '{print $4}'; }
[ "$(addresses one)" != "$(addresses two)" ] || fail "two containers with one key"
for name in one two; do
    podman exec "$name" /bin/sh -c "$what_it_sees" >"$test_folder/seen"
    sees_tunnel "$test_folder/seen"
done
[ "$(podman inspect one --format '{{(index .NetworkSettings.Networks "egress").IPAddress}}/32')" = "$(addresses one)" ] ||
    fail "podman inspect does not know the address"
ok "two containers with two keys"

if podman run --rm --name three "${common[@]}" localhost/case:1 true 2>"$test_folder/said"; then fail "a third key appeared"; fi
grep -q "in use" "$test_folder/said" || { cat "$test_folder/said"; fail "the failing ADD does not say why"; }
podman container exists three && fail "the failed container stayed"
ok "a failing ADD: podman says why, and nothing stays"

no_keys /var/lib/cni "$test_folder/store" /run/swg-ns/tunnels
podman inspect one two >"$test_folder/inspected"
no_keys "$test_folder/inspected"
ok "no private key in libcni's cache, podman's database or our state"

podman restart -t 0 one >/dev/null
podman exec one /bin/sh -c "$what_it_sees" >"$test_folder/seen"
sees_tunnel "$test_folder/seen"
podman network reload one >/dev/null
podman exec one /bin/sh -c "$what_it_sees" >"$test_folder/seen"
sees_tunnel "$test_folder/seen"
podman stop -t 0 one >/dev/null
podman start one >/dev/null
podman exec one /bin/sh -c "$what_it_sees" >"$test_folder/seen"
sees_tunnel "$test_folder/seen"
podman exec two /bin/sh -c "$what_it_sees" >"$test_folder/seen"
sees_tunnel "$test_folder/seen"
ok "restart, network reload, stop and start; the other container does not notice"

podman rm -f -t 0 one two >/dev/null
forget_state
host_inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
[ -z "$(ls /var/lib/cni/results 2>/dev/null)" ] || fail "libcni kept results: a DEL failed"
ok "nothing is left behind"
