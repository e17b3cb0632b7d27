#!/bin/bash
# The installer: programs by rename, the configuration last and never in front of another network unasked, no
# uninstall under live tunnels; and the configurations that come with it are taken by the plugin.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/cni.sh"
need jq
folder=$(cd "$(dirname "$0")/../../cni" && pwd)
install() { "$folder/install" --from "$SWG_BIN" --bin-dir "$test_folder/bin" --conf-dir "$test_folder/net" --state-dir "$test_folder/state" "$@"; }

expect_status 0 install --conflist pool.conflist
[ -x "$test_folder/bin/swg-cni" ] && [ -x "$test_folder/bin/swg-engine" ] || fail "no programs"
cmp "$folder/pool.conflist" "$test_folder/net/10-swg-pool.conflist"
before=$(stat -c %i "$test_folder/bin/swg-cni")
expect_status 0 install --conflist pool.conflist
[ "$(stat -c %i "$test_folder/bin/swg-cni")" != "$before" ] || fail "the program was overwritten in place"
[ "$(ls -A "$test_folder/bin" | wc -l)" = 2 ] || fail "leftovers: $(ls -A "$test_folder/bin")"
ok "installed, and again by rename"

expect_status 1 install --conflist single.conflist
expect_output '\-\-force'
expect_status 0 install --conflist single.conflist --force
ok "an edited configuration is not replaced unasked"

mkdir -p "$test_folder/state/tunnels/c0123456789abcd"
expect_status 1 install --uninstall
expect_output 'c0123456789abcd'
[ -x "$test_folder/bin/swg-cni" ] || fail "uninstalled under a live tunnel"
rm -rf "$test_folder/state"
expect_status 0 install --uninstall
[ -z "$(ls -A "$test_folder/bin" "$test_folder/net" | grep swg)" ] || fail "uninstall left something"
ok "no uninstall under live tunnels"

expect_status 0 install
jq '.plugins[0].stateDir = "/run/test/elsewhere"' "$folder/pool.conflist" >"$test_folder/net/50 my own.conflist"
echo '{"cniVersion":"1.0.0","name":"one","type" : "swg-cni","configDir":"/x"}' >"$test_folder/net/60-single.conf"
before=$(stat -c %i "$test_folder/bin/swg-cni")
expect_status 1 install --conflist pool.conflist
expect_output '50 my own.conflist.*only the programs are upgraded'
expect_status 0 install
[ "$(stat -c %i "$test_folder/bin/swg-cni")" != "$before" ] || fail "an upgrade left the old program"
mkdir -p "$test_folder/elsewhere/tunnels/c0123456789abcde"
expect_status 1 install --uninstall
expect_output 'c0123456789abcde'
rm -rf "$test_folder/elsewhere"
expect_status 0 install --uninstall
[ "$(ls "$test_folder/net" | tr '\n' '|')" = "50 my own.conflist.off|60-single.conf.off|" ] || fail "not put aside: $(ls "$test_folder/net")"
rm "$test_folder/net"/*
ok "an edited configuration survives an upgrade, its own state folder is looked at, and it is put aside by an uninstall"

expect_status 0 install --netavark-dir "$test_folder/netavark"
[ -x "$test_folder/netavark/swg-netavark" ] && [ -x "$test_folder/netavark/swg-engine" ] || fail "no plugin for netavark"
expect_status 0 install --uninstall --netavark-dir "$test_folder/netavark"
[ -z "$(ls -A "$test_folder/netavark")" ] || fail "uninstall left netavark's plugin"
for wrong in --frobnicate --bin-dir "--from /nowhere" "--conflist none.conflist"; do
    # shellcheck disable=SC2086  # words
    expect_status 1 install $wrong
    expect_output '^cni/install: '
done
[ -z "$(ls -A "$test_folder/bin")" ] || fail "a refused installation left something"
expect_status 0 install --help
for option in from bin-dir conf-dir conflist first force netavark-dir state-dir; do expect_output "^  --$option "; done
ok "netavark's folder; wrong options are refused, and --help tells of all"

echo '{}' >"$test_folder/net/99-zzz.conflist"
expect_status 1 install --conflist pool.conflist
expect_output '\-\-first'
[ ! -e "$test_folder/bin/swg-cni" ] || fail "a refused installation left something"
expect_status 0 install --conflist pool.conflist --first
[ "$(ls "$test_folder/net" | LC_ALL=C sort | head -n 1)" = 00-swg-pool.conflist ] || fail "not first"
expect_status 0 install --uninstall
mv "$test_folder/net/99-zzz.conflist" "$test_folder/net/10-cluster.conflist"
expect_status 0 install --conflist pool.conflist
[ "$(ls "$test_folder/net" | LC_ALL=C sort | head -n 1)" = 10-cluster.conflist ] || fail "in front of the cluster's network"
ok "never in front of another network unasked"

# An empty pool is the only thing wrong with the configurations that come with it.
for list in "$folder"/*.conflist; do
    jq '.plugins[0] + {name, cniVersion} | if .config then .config = "/run/test/none.conf" else .configDir = "/run/test/none" end' "$list" \
        >"$test_folder/network.json"
    container_namespace c1
    refused 7 "/run/test/none" cni ADD a /run/netns/c1
    ip netns del c1
done
for page in podman containerd kubernetes nomad; do
    grep -m 1 '^## ' "$folder/$page.md" | grep >/dev/null 'Why has this container no network?' || fail "$page.md does not open with the question"
done
ok "the configurations and the notes"
