#!/bin/bash
# The runtime dies in the middle: at some system call of swg-cni's ADD or DEL all that the runtime started is killed at
# once, swg-cni, its delegate, an engine that is not yet in a place of its own. The next DEL, or GC, leaves nothing: no
# device, process, control group, state, lease, address.
source "$(dirname "$0")/../lib/test.sh"
with_own_control_groups
source "$(dirname "$0")/../lib/cni.sh"
source "$(dirname "$0")/../lib/kill-sweep.sh"
need jq curl busybox
prepare_kills
runtime=/sys/fs/cgroup/swg-test-runtime
mkdir "$runtime"
make_gateway
make_pool 1
sed -i '/^Address/d' "$pool/key1.conf"
container_namespace c1
c1=/run/netns/c1

# A delegate that keeps its addresses as files. (Debian's host-local knows no GC.)
mkdir "$test_folder/delegates" "$test_folder/addresses"
cat >"$test_folder/delegates/files" <<SCRIPT
#!/bin/sh
cat >/dev/null
cd $test_folder/addresses || exit 1
case \$CNI_COMMAND in
ADD) : >\$CNI_CONTAINERID; echo '{"cniVersion":"1.1.0","ips":[{"address":"10.99.0.2/32"}]}' ;;
DEL) rm -f "\$CNI_CONTAINERID" ;;
GC) rm -f ./* ;;
esac
SCRIPT
chmod +x "$test_folder/delegates/files"
path=CNI_PATH=$test_folder/delegates
network '.cniVersion = "1.1.0" | .ipam = {type: "files"}'
cp "$test_folder/network.json" "$test_folder/plain.json"
inventory >"$test_folder/before"

# killed VERB NUMBER: the plugin dies as it enters its NUMBERth system call, and its control group with it.
# False when the verb came to its end before.
killed() {
    (
        echo 0 >"$runtime/cgroup.procs"
        CNI_COMMAND=$1 killed_at "$2" "$SWG_BIN/swg-cni" <"$test_folder/network.json"
    ) || return 1
    echo 1 >"$runtime/cgroup.kill"
    wait_until 10 sh -c "! grep -q . '$runtime/cgroup.procs'" || fail "the runtime's control group lives on"
}
clean() { # clean VERB WHERE: what that verb has to leave
    if [ "$1" = DEL ]; then
        must cni DEL a "$c1" "$path"
    else
        jq '. + {"cni.dev/valid-attachments": []}' "$test_folder/plain.json" >"$test_folder/network.json"
        must cni GC "" "" CNI_IFNAME= "$path"
        cp "$test_folder/plain.json" "$test_folder/network.json"
    fi
    [ "$(ip -n c1 -o link | wc -l)" = 1 ] || fail "$1 left an interface after a death at system call $2"
    [ -z "$(ls /run/swg-ns/tunnels 2>/dev/null)" ] || fail "$1 left state after a death at system call $2"
    [ -z "$(ls "$test_folder/addresses")" ] || fail "$1 left an address after a death at system call $2"
    wait_until 10 sh -c '! pgrep -x swg-engine' || fail "$1 left an engine after a death at system call $2"
    wait_until 10 sh -c '! [ -e /sys/fs/cgroup/swg-ns ]' || fail "$1 left a control group after a death at system call $2"
}
export CNI_CONTAINERID=a CNI_NETNS=$c1 CNI_IFNAME=eth0 CNI_PATH=$test_folder/delegates

# Other places with every run, the same ones for the same SWG_SEED.
RANDOM=${SWG_SEED:-$$}
for verb in ADD DEL; do
    deaths=0
    [ $verb = ADD ] || must cni ADD a "$c1" "$path"
    CNI_COMMAND=$verb points_of "$SWG_BIN/swg-cni" <"$test_folder/network.json" | grep -v " later$" >"$test_folder/points"
    must cni DEL a "$c1" "$path"
    [ "$(grep -c mkdir "$test_folder/trace")" -lt 40 ] || fail "$verb tries $(grep -c mkdir "$test_folder/trace") times to make directories"
    places=12
    [ -z "${SWG_FULL:-}" ] || places=50
    step=$(($(wc -l <"$test_folder/points") / places + 1))
    while read -r number call; do
        [ $verb = ADD ] || must cni ADD a "$c1" "$path"
        if killed $verb "$number"; then deaths=$((deaths + 1)); fi
        if ((deaths % 2)); then clean GC "$number ($call) of $verb"; else clean DEL "$number ($call) of $verb"; fi
    done < <(awk -v step="$step" -v begin=$((RANDOM % step)) 'NR % step == begin' "$test_folder/points")
    [ $deaths -ge 6 ] || fail "only $deaths deaths in $verb, of $(wc -l <"$test_folder/points") places"
    ok "$verb: the runtime died with it at $deaths places; the next DEL or GC leaves nothing"
done

must cni ADD a "$c1" "$path"
wait_until 12 ip netns exec c1 ping -q -c 1 -W 3 10.99.0.1 || fail "no ping after all that"
must cni DEL a "$c1" "$path"
wait_until 5 sh -c '! pgrep -x swg-engine' || fail "an engine is left"
forget_state
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "nothing is left behind, and the key serves again"
