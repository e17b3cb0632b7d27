#!/bin/bash
# podman 5 with netavark, in a Debian 13 that Tests/lib/trixie made: network create with a mistake, two containers with
# two keys, a chosen one, a failing setup.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/cni.sh"
source "$(dirname "$0")/../lib/runtimes.sh"
need busybox jq
root=${SWG_TRIXIE:-/var/cache/swg-ns/trixie}
[ -e "$root/complete" ] || skip "there is no Debian 13 in $root: Tests/lib/trixie makes one, with the network"
host_like
make_gateway
make_pool 1 2
make_root "$test_folder/image"
tar -C "$test_folder/image" -cf "$test_folder/image.tar" .
cat >"$test_folder/containers.conf" <<'CONF'
[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:8192"]
[network]
network_backend = "netavark"
netavark_plugin_dirs = ["/plugins"]
network_config_dir = "/run/test/networks"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "runc"
CONF
cat >"$test_folder/storage.conf" <<'CONF'
[storage]
driver = "overlay"
graphroot = "/run/test/store/graph"
runroot = "/run/test/store/run"
CONF
cat >"$test_folder/inside" <<INSIDE
set -eu
export PODMAN_IGNORE_CGROUPSV1_WARNING=1 CONTAINERS_CONF=/run/test/containers.conf CONTAINERS_STORAGE_CONF=/run/test/storage.conf HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin
podman import -q /run/test/image.tar localhost/case:1 >/dev/null
if podman network create -d swg-netavark --opt configdir=/run/test/pool egress 2>/run/test/said; then echo "a mistake was taken"; exit 1; fi
grep -q 'did you mean "configDir"' /run/test/said || { cat /run/test/said; exit 1; }
podman network create -d swg-netavark --opt configDir=/run/test/pool egress >/dev/null
podman run --rm --network egress --cap-add NET_RAW localhost/case:1 /bin/sh -c '$what_it_sees' >/run/test/seen
podman run -d --name one --network egress:config=key2 --cap-add NET_RAW localhost/case:1 sleep 600 >/dev/null
podman exec one ip -o -4 addr show eth0 | grep >/dev/null 10.99.0.3/32 || { echo "config=key2 was not taken"; exit 1; }
podman run -d --name two --network egress localhost/case:1 sleep 600 >/dev/null
if podman run --rm --network egress localhost/case:1 true 2>/run/test/said; then echo "a third key appeared"; exit 1; fi
grep -q 'in use' /run/test/said || { cat /run/test/said; exit 1; }
podman exec one cat /etc/resolv.conf | grep >/dev/null 10.99.0.1 || { echo "DNS= did not arrive"; exit 1; }
podman restart -t 0 one >/dev/null
podman exec one /bin/sh -c '$what_it_sees' >/run/test/seen2
podman rm -f -t 0 one two >/dev/null
podman network rm egress >/dev/null
INSIDE
# podman unpacks layers only where its root is a mount point of its own, entered by pivot_root.
export root SWG_BIN
unshare --mount bash -Eeuo pipefail -c '
    mount --rbind "$root" "$root"
    mkdir -p "$root/plugins" "$root/old"
    mount --bind "$SWG_BIN" "$root/plugins"
    for folder in proc dev sys run etc/wireguard; do mkdir -p "$root/$folder" "/$folder"; mount --rbind "/$folder" "$root/$folder"; done
    mkdir -p "$root/var/run"
    cd "$root"
    pivot_root . old
    cd /
    exec bash /run/test/inside' || fail "podman 5"
sees_tunnel "$test_folder/seen"
sees_tunnel "$test_folder/seen2"
ok "podman 5: a mistake is told at create, two keys, a chosen one, DNS, restart, a refusal that says why"
[ -z "$(ls /run/swg-ns/tunnels 2>/dev/null)" ] || fail "a tunnel is left"
wait_until 5 sh -c '! pgrep -x swg-engine' || fail "an engine is left"
ok "nothing is left behind"
