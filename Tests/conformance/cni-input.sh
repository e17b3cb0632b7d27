#!/bin/bash
# early
# Bad input of swg-cni: the error object with the specification's code, the key and the value in its text, a
# non-zero status, nothing left behind.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/cni.sh"
need jq busybox strace
make_gateway
make_pool 1
container_namespace c1
c1=/run/netns/c1
network
inventory >"$test_folder/before"

# What the configuration may get wrong: filter | code | pattern.
while IFS='|' read -r filter code pattern; do
    [ -n "$filter" ] && sampled 4 || continue
    network "$filter"
    refused "$code" "$pattern" cni ADD a "$c1"
done <<'TABLE'
.cniVersion = "9.9.9"|1|9\.9\.9
.cniVersion = 5|7|cniVersion
.name = "a/b"|7|name.*a/b
del(.name)|7|name
.name = 5|7|name.*5
del(.configDir)|7|configDir
.config = "/x.conf"|7|only one
.configDir = "relative"|7|configDir.*relative
.configDir = 7|7|configDir.*7
.configDir = "/run/test/none"|7|/run/test/none
.configdir = "/x"|7|configDir
.confgDir = "/x"|7|configDir
.mtu = "1420"|7|mtu.*1420
.mtu = 3|7|mtu.*3
.engine = "fast"|7|engine.*fast
.soleInterface = 1|7|soleInterface.*1
.waitForHandshake = "long"|7|waitForHandshake.*long
.stateDir = "x"|7|stateDir.*x
.allowChoice = "x"|7|allowChoice
.byName = true|7|byName.*allowChoice
.ipam = "host-local"|7|ipam
.ipam = {type: "no-such-plugin"}|7|no-such-plugin
.ipam = {type: "../../bin/true"}|7|ipam.type
.runtimeConfig = {portMappings: [{hostPort: 8080}]}|2|portMappings.*8080
.runtimeConfig = {mac: "02:00:00:00:00:01"}|2|mac.*02:00
.runtimeConfig = {ips: ["10.99.0.77/32"]}|7|10\.99\.0\.77
.runtimeConfig = {ips: "x"}|7|ips
.args = {cni: {ips: ["rubbish"]}}|7|rubbish
.privateKey = "x"|7|privateKey
TABLE
ok "wrong configurations"

network
for text in '' '{' '[]' 'null' '3' '{"name":"x"' 'PrivateKey = x'; do
    printf '%s' "$text" >"$test_folder/network.json"
    refused 6 "standard input" cni ADD a "$c1"
done
head -c 10000000 /dev/zero | tr '\0' ' ' >"$test_folder/network.json"
refused 5 "bytes" cni ADD a "$c1"
network ". + {padding: \"$(head -c 60000 /dev/zero | tr '\0' x)\"}"
head -c 30000 "$test_folder/network.json" >"$test_folder/n" && mv "$test_folder/n" "$test_folder/network.json"
refused 6 "cut short|ends in the middle" cni ADD a "$c1"
network
ok "standard input: empty, cut short, 10 MB, no object"

refused 4 CNI_COMMAND cni FROBNICATE a "$c1"
refused 4 CNI_CONTAINERID cni ADD "" "$c1"
refused 4 CNI_CONTAINERID cni ADD "../../x" "$c1"
refused 4 CNI_NETNS cni ADD a ""
refused 4 CNI_NETNS cni ADD a "relative"
refused 4 "/run/netns/none" cni ADD a /run/netns/none
refused 4 "/etc/passwd" cni ADD a /etc/passwd
refused 4 "ns" cni ADD a /proc/self/ns/mnt
refused 8 "own" cni ADD a /proc/self/ns/net
refused 4 CNI_IFNAME cni ADD a "$c1" CNI_IFNAME=
refused 4 CNI_IFNAME cni ADD a "$c1" CNI_IFNAME=a/b
refused 4 CNI_IFNAME cni ADD a "$c1" CNI_IFNAME=sixteen-letters-
refused 4 CNI_ARGS cni ADD a "$c1" CNI_ARGS=rubbish
refused 4 "SWG_CONFIG" cni ADD a "$c1" "CNI_ARGS=IgnoreUnknown=1;SWG_CONFG=x"
refused 2 "MAC" cni ADD a "$c1" "CNI_ARGS=IgnoreUnknown=1;MAC=02:00:00:00:00:01"
refused 7 "allowChoice" cni ADD a "$c1" "CNI_ARGS=SWG_CONFIG=key1"
network '.cniVersion = "1.1.0"'
refused 4 CNI_PATH cni GC "" "" CNI_IFNAME= CNI_PATH=
network
ok "the environment: missing and hostile"

# A runtime that does not take the answer will never send the DEL.
if CNI_COMMAND=ADD CNI_CONTAINERID=a CNI_NETNS=$c1 CNI_IFNAME=eth0 "$SWG_BIN/swg-cni" <"$test_folder/network.json" >/dev/full 2>/dev/null; then
    fail "an answer that nobody got is a success"
fi
[ "$(ip -n c1 -o link | wc -l)" = 1 ] && [ ! -e /run/swg-ns/tunnels ] || fail "an ADD whose answer nobody got left something"
for verb in ADD VERSION; do
    if CNI_COMMAND=$verb CNI_CONTAINERID=a CNI_NETNS=$c1 CNI_IFNAME=eth0 "$SWG_BIN/swg-cni" <"$test_folder/network.json" >&- 2>"$test_folder/stderr"; then
        fail "$verb without standard output is a success"
    fi
    grep -q 'could not be delivered' "$test_folder/stderr" || fail "$verb without standard output says: $(cat "$test_folder/stderr")"
done
[ "$(ip -n c1 -o link | wc -l)" = 1 ] && [ ! -e /run/swg-ns/tunnels ] || fail "an ADD without standard output left something"
env -i CNI_COMMAND=VERSION "$SWG_BIN/swg-cni" </dev/null | jq -e '.supportedVersions | length == 7' >/dev/null || fail "VERSION without input"
env -i "$SWG_BIN/swg-cni" </dev/null 2>&1 | grep >/dev/null 'versions supported: 0.1.0' || fail "no word of what this program is"
ok "an answer that cannot be delivered; a call without a command"

# Hostile or broken WireGuard files.
cp "$pool/key1.conf" "$test_folder/good.conf"
while IFS='|' read -r command pattern; do
    sampled 3 || continue
    cp "$test_folder/good.conf" "$pool/key1.conf"
    eval "$command"
    refused 7 "$pattern" cni ADD a "$c1"
    no_keys "$test_folder/answer" "$test_folder/stderr"
done <<'TABLE'
chmod 666 "$pool/key1.conf"|key1.conf
sed -i 's/^PrivateKey.*/PrivateKey = rubbish/' "$pool/key1.conf"|key1.conf
sed -i 's/^Adress.*//; s/^Address/Adress/' "$pool/key1.conf"|key1.conf
echo "[Interface" >>"$pool/key1.conf"|key1.conf
: >"$pool/key1.conf"|key1.conf
rm "$pool/key1.conf"|pool.*no usable
TABLE
cp "$test_folder/good.conf" "$pool/key1.conf"
chmod 600 "$pool/key1.conf"
for mode in 777 720 1777; do
    chmod "$mode" "$pool"
    chgrp 65534 "$pool"
    refused 7 "others than root may write it: chmod go-w $pool" cni ADD a "$c1"
done
chmod 700 "$pool"
chown 65534:0 "$pool"
refused 7 "belongs to user 65534" cni ADD a "$c1"
chown 0 "$pool"
network '.ipam = {type: "static", addresses: [{address: "10.99.0.9/32"}]}'
refused 7 "Address" cni ADD a "$c1"
network
ok "WireGuard files: they or their folder writable by others, broken, missing, Address= beside ipam"

# Delegates that fail, hang, print rubbish or never stop.
mkdir "$test_folder/delegates"
delegate() {
    cat >"$test_folder/delegates/broken" <<SCRIPT
#!/bin/sh
cat >/dev/null
echo \$CNI_COMMAND >>$test_folder/delegates/log
[ \$CNI_COMMAND = ADD ] || exit 0
$1
SCRIPT
    chmod +x "$test_folder/delegates/broken"
    rm -f "$test_folder/delegates/log"
}
sed -i '/^Address/d' "$pool/key1.conf"
network '.ipam = {type: "broken"}'
while IFS='|' read -r script code pattern; do
    sampled 3 || continue
    delegate "$script"
    refused "$code" "$pattern" cni ADD a "$c1" CNI_PATH="$test_folder/delegates"
    [ "$(tr '\n' ' ' <"$test_folder/delegates/log")" = "ADD DEL " ] || fail "the delegate was not told to DEL: $script"
    [ "$(ip -n c1 -o link | wc -l)" = 1 ] || fail "an interface stayed: $script"
done <<'TABLE'
exit 3|102|broken.*status 3
echo rubbish|102|broken.*JSON
yes|102|broken.*bytes
kill -9 $$|102|broken.*signal
sleep 60|102|broken.*no answer
echo '{"code":11,"msg":"no addresses left"}'; exit 1|11|no addresses left
echo '{"ips":[{"address":"10.99.0.300/32"}]}'|102|10.99.0.300
TABLE
delegate 'echo "{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"10.99.0.2/32\"}]}"'
touch "$test_folder/delegates/none"
network '.ipam = {type: "broken"} | .configDir = "/run/test/none"'
refused 7 "/run/test/none" cni ADD a "$c1" CNI_PATH="$test_folder/delegates"
[ "$(tr '\n' ' ' <"$test_folder/delegates/log")" = "ADD DEL " ] || fail "a later failure did not reach the delegate"
cp "$test_folder/good.conf" "$pool/key1.conf"
chmod 600 "$pool/key1.conf"
network
ok "delegates that fail, hang, print rubbish or never stop"

# DEL and GC take what ADD refuses.
for filter in '.cniVersion = "9.9.9"' 'del(.name)' '.configdir = 1' '.mtu = "x"' '.ipam = 5' '.stateDir = 5' '.runtimeConfig = 1'; do
    network "$filter"
    must cni DEL a ""
done
printf '{' >"$test_folder/network.json"
refused 6 "" cni DEL a "$c1"
network
ok "DEL forgives"

forget_state
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "nothing is left behind"
