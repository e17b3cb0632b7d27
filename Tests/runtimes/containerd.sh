#!/bin/bash
# containerd's CRI, as kubelet uses it: pods up and down, removed twice, a pod's own choice by annotation, a lost
# namespace, the runtime's control group killed.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/cni.sh"
source "$(dirname "$0")/../lib/runtimes.sh"
need containerd ctr runc jq busybox
/usr/bin/python3 -c 'import grpc' 2>/dev/null || skip "python3-grpcio is not installed"
host_like
make_gateway
make_pool 1 2

mkdir -p "$test_folder/bin" "$test_folder/net" "$test_folder/logs" "$test_folder/containerd"
# loopback must be there: containerd runs it before every network.
ln -s /usr/lib/cni/loopback "$test_folder/bin/loopback"
ln -s "$SWG_BIN/swg-cni" "$test_folder/bin/swg-cni"
jq -n --arg pool "$pool" '{cniVersion: "1.0.0", name: "egress", plugins: [{type: "swg-cni", configDir: $pool,
    allowChoice: ["key*"], capabilities: {"io.kubernetes.cri.pod-annotations": true}}]}' >"$test_folder/net/10-egress.conflist"
cat >"$test_folder/containerd.toml" <<CONF
version = 2
root = "$test_folder/containerd/root"
state = "/run/containerd"
[grpc]
address = "/run/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "localhost/case:1"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "$test_folder/bin"
conf_dir = "$test_folder/net"
CONF
# In a control group of its own, as systemd would start it.
mkdir -p /sys/fs/cgroup/pids/swg-test-$$ 2>/dev/null && runtime_group=/sys/fs/cgroup/pids/swg-test-$$ || runtime_group=
(
    [ -z "$runtime_group" ] || echo 0 >"$runtime_group/cgroup.procs"
    exec containerd -c "$test_folder/containerd.toml" >"$test_folder/containerd.log" 2>&1
) &
cri() { "$(dirname "$0")/../lib/cri-client" /run/containerd.sock "$@"; }
wait_until 20 cri ready || { tail -n 20 "$test_folder/containerd.log"; fail "containerd does not answer"; }
make_archive "$test_folder/image.tar" localhost/case:1
ctr -a /run/containerd.sock -n k8s.io images import "$test_folder/image.tar" >/dev/null 2>&1 || fail "the image cannot be imported"
cri ready | grep >/dev/null True || fail "the network is not ready: $(cri ready)"
host_inventory() {
    inventory | grep -vE '^/run/(containerd|runc|netns$)|containerd|/run/test|pause|/bin/sleep'
}
host_inventory >"$test_folder/before"

pod=$(cri run one)
[ "$(cri addresses "$pod" | wc -w)" = 2 ] || fail "the pod's addresses are $(cri addresses "$pod")"
container=$(cri container "$pod" localhost/case:1 /bin/sleep 600)
cri exec "$container" /bin/sh -c "$what_it_sees" >"$test_folder/seen"
sees_tunnel "$test_folder/seen"
ok "a pod is behind its tunnel, and its addresses are the tunnel's"

chosen=$(cri run two swg-ns/config=key2 || true)
[ -n "$chosen" ] || { grep -i swg "$test_folder/containerd.log" | tail -n 3; fail "a pod's choice by annotation"; }
cat /run/swg-ns/tunnels/*/state.json | jq -r .configurationPath | grep >/dev/null '/key2.conf$' || fail "the annotation did not choose key2"
if cri run three 2>"$test_folder/said"; then fail "a third key appeared"; fi
grep -q "in use" "$test_folder/said" || { cat "$test_folder/said"; fail "the refusal does not say why"; }
if cri run four swg-ns/config=../boss 2>"$test_folder/said"; then fail "a choice out of the pool was taken"; fi
grep -q "annotation" "$test_folder/said" || { cat "$test_folder/said"; fail "the refusal does not name the annotation"; }
ok "a pod's own choice; a refusal says why"

no_keys /var/lib/cni /run/swg-ns/tunnels "$test_folder/containerd.log"
for pid in $(pgrep -x swg-engine); do
    [ "$(cat /proc/"$pid"/oom_score_adj)" = 0 ] || fail "an engine kept the runtime's oom_score_adj"
    ! ls -l /proc/"$pid"/fd | grep -E 'containerd|pipe:' || fail "an engine holds the runtime's descriptors"
    [ -z "$runtime_group" ] || ! grep -qx "$pid" "$runtime_group/cgroup.procs" || fail "an engine lives in the runtime's control group"
done
ok "engines hold nothing of the runtime, and live outside of its control group"

cri stop "$pod"
cri remove "$pod"
cri remove "$pod"
cri stop "$chosen"
cri stop "$chosen"
cri remove "$chosen"
ok "stopped and removed, twice"

pod=$(cri run lost)
namespace=$(jq -r '.namespace.path' /run/swg-ns/tunnels/*/state.json)
pkill -KILL -f '^/bin/sleep 86400' || true
umount -l "$namespace" && rm -f "$namespace"
cri stop "$pod"
cri remove "$pod"
[ -z "$(ls /run/swg-ns/tunnels 2>/dev/null)" ] || fail "a tunnel outlived its lost namespace"
ok "a lost namespace does not keep a pod from going"

wait_until 5 sh -c '! pgrep -x swg-engine' || fail "an engine is left"
forget_state
host_inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "nothing is left behind"
