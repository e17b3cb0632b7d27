#!/bin/bash
# DEL and GC after what nobody plans: a reboot, lost state, a plugin killed beside its delegate. Nothing of ours and no
# address stays, and nothing of others is touched.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/cni.sh"
need jq curl busybox
make_gateway
make_pool 1
container_namespace c1
c1=/run/netns/c1
# Not below /run: this one outlives a reboot.
state=$test_folder/state
tunnels() { ls "$state/tunnels" 2>/dev/null | wc -l; }
kept="{cniVersion: \"1.1.0\", name: \"egress\", type: \"swg-cni\", configDir: \"$pool\", stateDir: \"$state\"}"
configure() { jq -n "$kept | ${1:-.}" >"$test_folder/network.json"; }

# reboot: every process and namespace is gone, the files are there, the boot has another id, and under the same path
# there is another container's namespace with an interface of the same name.
reboot() {
    pkill -KILL -x swg-engine || true
    wait_until 5 sh -c '! pgrep -x swg-engine' || fail "the engine does not die"
    ip netns del c1
    container_namespace c1
    ip -n c1 link add eth0 type veth peer name other
    sed -i -E 's/("bootID" *: *")[^"]*/\100000000-0000-4000-8000-000000000000/' "$state"/tunnels/*/*.json
}
inventory >"$test_folder/before"
for verb in DEL GC; do
    configure .
    must cni ADD a "$c1"
    [ "$(tunnels)" = 1 ] || fail "stateDir is not where the state is"
    reboot
    if [ $verb = DEL ]; then
        must cni DEL a "$c1"
    else
        must cni GC "" "" CNI_IFNAME=
    fi
    [ "$(tunnels)" = 0 ] || fail "$verb after a reboot left state"
    ip -n c1 link show eth0 >/dev/null || fail "$verb after a reboot took another container's interface"
    ip -n c1 link del eth0
    must cni ADD b "$c1"
    behind_tunnel c1
    must cni DEL b "$c1"
    ok "$verb after a reboot: the state goes, the key is free, another container's interface stays"
done

# A delegate that takes its time and notes when it began and ended.
mkdir "$test_folder/delegates"
cat >"$test_folder/delegates/slow" <<SCRIPT
#!/bin/sh
cat >/dev/null
echo "\$CNI_COMMAND begins" >>$test_folder/delegates/log
[ \$CNI_COMMAND = ADD ] && sleep 1.5
echo "\$CNI_COMMAND ends" >>$test_folder/delegates/log
[ \$CNI_COMMAND = ADD ] && echo '{"cniVersion":"1.0.0","ips":[{"address":"10.99.0.2/32"}]}'
exit 0
SCRIPT
chmod +x "$test_folder/delegates/slow"
path=CNI_PATH=$test_folder/delegates
sed -i '/^Address/d' "$pool/key1.conf"

configure '.ipam = {type: "slow"}'
must cni ADD a "$c1" "$path"
ip -n c1 -4 -o addr show eth0 | grep >/dev/null '10.99.0.2/32' || fail "the delegate's address is not on the interface"
rm -rf "$state"
rm "$test_folder/delegates/log"
must cni DEL a "$c1" "$path"
[ "$(tr '\n' ' ' <"$test_folder/delegates/log")" = "DEL begins DEL ends " ] || fail "without state the delegate got no DEL"
if on_kernel; then ip -n c1 link delete eth0; else pkill -KILL -x swg-engine; fi
wait_until 5 sh -c '[ "$(ip -n c1 -o link | wc -l)" = 1 ]' || fail "the interface outlives its engine"
rm -f /var/run/wireguard/c*.sock
ok "lost state: DEL succeeds, and reaches the delegate"

rm "$test_folder/delegates/log"
configure '.ipam = {type: "slow"} | .configDir = "/run/test/none"'
refused 7 /run/test/none cni ADD a "$c1" "$path"
[ "$(tr '\n' ' ' <"$test_folder/delegates/log")" = "ADD begins ADD ends DEL begins DEL ends " ] ||
    fail "the delegate's DEL did not wait for its ADD: $(cat "$test_folder/delegates/log")"
[ "$(tunnels)" = 0 ] || fail "a failed ADD left state"
ok "an ADD that fails before its delegate has ended: the DEL comes after the end"

rm "$test_folder/delegates/log"
configure '.ipam = {type: "slow"}'
CNI_COMMAND=ADD CNI_CONTAINERID=a CNI_NETNS=$c1 CNI_IFNAME=eth0 CNI_PATH=$test_folder/delegates \
    "$SWG_BIN/swg-cni" <"$test_folder/network.json" >/dev/null 2>&1 &
wait_until 5 sh -c "ip -n c1 link show eth0" || fail "the device is not made beside the delegate"
kill -KILL $!
wait $! 2>/dev/null || true
[ "$(ip -n c1 -4 -o addr show eth0 | wc -l)" = 0 ] || fail "the device had an address before the delegate gave one"
must cni DEL a "$c1" "$path"
[ "$(ip -n c1 -o link | wc -l)" = 1 ] || fail "an interface is left"
[ "$(tunnels)" = 0 ] || fail "state is left"
wait_until 5 grep -q "ADD ends" "$test_folder/delegates/log" || fail "the delegate's ADD was not left alone"
grep -q "DEL ends" "$test_folder/delegates/log" || fail "the delegate got no DEL"
ok "killed beside its delegate: DEL cleans up"

make_pool 1
configure .
must cni ADD a "$c1"
behind_tunnel c1
must cni DEL a ""
wait_until 5 sh -c '! pgrep -x swg-engine' || fail "an engine is left"
forget_state
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "nothing is left behind"
