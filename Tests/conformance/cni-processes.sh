#!/bin/bash
# What a plugin leaves running has nothing of the runtime's: descriptors, session, folder, environment, oom_score_adj,
# control group. Killing the runtime's whole group does not cut the tunnel.
source "$(dirname "$0")/../lib/test.sh"
with_own_control_groups
source "$(dirname "$0")/../lib/cni.sh"
need jq curl busybox
make_gateway
make_pool 1
container_namespace c1
network
runtime=/sys/fs/cgroup/swg-test-runtime
mkdir "$runtime"
inventory >"$test_folder/before"

# A runtime with fifty open files, a pipe, a terminal's session, that is easily chosen when memory is short.
cat >"$test_folder/runtime" <<'SCRIPT'
echo 0 >"$1/cgroup.procs"
echo 500 >/proc/self/oom_score_adj
for number in $(seq 3 50); do eval "exec $number</etc/hostname"; done
exec 60> >(cat >/dev/null)
cd /run/test
CNI_COMMAND=ADD CNI_CONTAINERID=a CNI_NETNS=/run/netns/c1 CNI_IFNAME=eth0 CNI_PATH=$SWG_BIN RUNTIME_SECRET=1 \
    "$SWG_BIN/swg-cni" <network.json >answer 2>stderr || touch failed
touch added
exec sleep 600
SCRIPT
"$BASH" "$test_folder/runtime" "$runtime" &
wait_until 20 test -e "$test_folder/added" || fail "ADD does not come to an end"
[ ! -e "$test_folder/failed" ] || { cat "$test_folder/answer"; fail "ADD"; }
engines=$(pgrep -x swg-engine | sort)
[ "$(wc -w <<<"$engines")" = 2 ] || fail "there should be two engine processes: $engines"
session=$(ps -o sid= -p $!)
for pid in $engines; do
    ! ls -l "/proc/$pid/fd" | grep -E '/etc/hostname|pipe:|/run/test/(answer|stderr|network)' || fail "process $pid holds the runtime's descriptors"
    [ "$(readlink "/proc/$pid/cwd")" = / ] || fail "process $pid lives in $(readlink "/proc/$pid/cwd")"
    [ "$(ps -o sid= -p "$pid")" != "$session" ] || fail "process $pid belongs to the runtime's session"
    [ "$(cat "/proc/$pid/oom_score_adj")" = 0 ] || fail "process $pid kept the runtime's oom_score_adj"
    ! tr '\0' '\n' <"/proc/$pid/environ" | grep -E '^(CNI_|RUNTIME_)' || fail "process $pid has the runtime's environment"
    ! grep -q "${runtime##*/}" "/proc/$pid/cgroup" || fail "process $pid lives in the runtime's control group"
done
ok "no descriptor, session, folder, environment, oom_score_adj or control group of the runtime"
swg-ns log | grep >/dev/null 'engine .*control group' || { swg-ns log; fail "the log does not say where the engine was put"; }
ok "the log says where the engine was put"

echo 1 >"$runtime/cgroup.kill"
wait_until 5 sh -c "! grep -q . '$runtime/cgroup.procs'" || fail "the runtime lives on"
behind_tunnel c1
[ "$(pgrep -x swg-engine | sort)" = "$engines" ] || fail "the engine was started anew"
ok "the runtime's whole group was killed, and the tunnel carries on"

must cni DEL a ""
wait_until 5 sh -c '! pgrep -x swg-engine' || fail "an engine is left"
[ ! -e /sys/fs/cgroup/swg-ns ] || wait_until 5 sh -c '! [ -e /sys/fs/cgroup/swg-ns ]' || fail "a control group is left"
forget_state
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "nothing is left behind"
