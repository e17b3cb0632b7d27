#!/bin/bash
# GC and STATUS of CNI 1.1.0.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/cni.sh"
need jq curl busybox
make_gateway
make_pool 1 2
for name in c1 c2; do container_namespace $name; done
network '.cniVersion = "1.1.0"'
inventory >"$test_folder/before"
c1=/run/netns/c1 c2=/run/netns/c2
tunnels() { ls /run/swg-ns/tunnels 2>/dev/null | wc -l; }
collect() { # collect JQ: GC with these keys
    network ".cniVersion = \"1.1.0\" | $1"
    must cni GC "" "" CNI_IFNAME=
    network '.cniVersion = "1.1.0"'
}

must cni ADD a "$c1"
must cni ADD b "$c2"
collect '."cni.dev/valid-attachments" = [{containerID: "a", ifname: "eth0"}, {containerID: "b", ifname: "eth0"}]'
behind_tunnel c1
behind_tunnel c2
collect '.name = "other" | ."cni.dev/valid-attachments" = []'
behind_tunnel c1
collect .
behind_tunnel c1
collect '."cni.dev/valid-attachments" = "rubbish"'
behind_tunnel c1
ok "GC leaves valid attachments alone, other networks' too, and everything that lives when it has no list"

collect '."cni.dev/attachments" = [{containerID: "b", ifname: "eth0"}]'
[ "$(ip -n c1 -o link | wc -l)" = 1 ] || fail "GC left the interface of a container that is not valid"
behind_tunnel c2
must cni DEL a "$c1"
must cni ADD a "$c1"
behind_tunnel c1
collect '."cni.dev/valid-attachments" = null'
[ "$(tunnels)" = 0 ] || fail "GC left tunnels that are not valid"
ok "GC removes what is not listed, by either key, and an empty list is a list; the keys are free again"

must cni ADD a "$c1"
ip netns del c1
collect .
[ "$(tunnels)" = 0 ] || fail "GC without a list left a tunnel whose namespace is gone"
container_namespace c1
ok "GC without a list removes what is dead"

network
refused 1 GC cni GC "" "" CNI_IFNAME=
refused 1 STATUS cni STATUS "" "" CNI_IFNAME=
network '.cniVersion = "1.1.0"'
must cni STATUS "" "" CNI_IFNAME=
[ ! -s "$test_folder/answer" ] || fail "STATUS prints something"
must cni ADD a "$c1"
must cni ADD b "$c2"
refused 50 "in use" cni STATUS "" "" CNI_IFNAME=
network '.cniVersion = "1.1.0" | .exhaustedIsReady = true'
must cni STATUS "" "" CNI_IFNAME=
network '.cniVersion = "1.1.0"'
must cni DEL a "$c1"
must cni DEL b "$c2"
network '.cniVersion = "1.1.0" | .configDir = "/run/test/none"'
refused 50 "/run/test/none" cni STATUS "" "" CNI_IFNAME=
network '.cniVersion = "1.1.0" | .configdir = "/x"'
refused 7 "configDir" cni STATUS "" "" CNI_IFNAME=
network '.cniVersion = "1.1.0" | .engine = "userspace"'
mkdir "$test_folder/alone"
cp "$SWG_BIN/swg-cni" "$test_folder/alone/"
bin=$SWG_BIN
SWG_BIN=$test_folder/alone refused 50 "engine" cni STATUS "" "" CNI_IFNAME=
SWG_BIN=$bin
# The same for a machine without TUN.
mkdir -p "$test_folder/no-tun"
mount --bind "$test_folder/no-tun" /dev/net
refused 50 "/dev/net/tun" cni STATUS "" "" CNI_IFNAME=
refused 100 "/dev/net/tun|TUN" cni ADD a "$c1"
umount /dev/net
network '.cniVersion = "1.1.0"'
ok "STATUS says what is missing: keys, folder, engine, TUN"

must cni ADD a "$c1"
behind_tunnel c1
must cni DEL a "$c1"
forget_state
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "nothing is left behind"
