#!/bin/bash
# Every bad target, name and id has its own error with a cure, and leaves nothing (P4, P5, P6).
source "$(dirname "$0")/../lib/test.sh"
make_gateway
conf=$test_folder/client1.conf
touch /run/plain-file
ip netns add other
ip -n other link add extra type dummy 2>/dev/null || ip -n other link add extra type veth peer name extra2
ip netns add blue
inventory >"$test_folder/before"

refused() {
    local pattern=$1
    shift
    expect_status 1 swg-ns attach --engine "$backend" "$@"
    expect_output "$pattern"
}
misused() {
    local pattern=$1
    shift
    expect_status 2 swg-ns attach --engine "$backend" "$@"
    expect_output "$pattern"
}

refused 'no network namespace at /run/netns/nowhere.*--create' "$conf" --netns nowhere
refused 'not a namespace but an ordinary file' "$conf" --netns /run/plain-file
refused 'is a mount namespace' "$conf" --netns /proc/self/ns/mnt
refused 'namespace of this process' "$conf" --netns /proc/self/ns/net
refused 'namespace of this process' "$conf" --pid $$
refused 'process 4194000 has ended' "$conf" --pid 4194000
refused 'other interfaces.*extra.*--keep-interfaces' "$conf" --netns other
ok "P5: absent, no namespace, wrong type, our own, a dead process, an occupied one"

for name in ../../etc/passwd . .. "a b" 0123456789abcdef "" $'x\ny' 'a/b'; do
    misused 'is not a tunnel id' "$conf" --netns blue --id "$name"
done
for name in 'a/b' 'a b' 'a:b' lo all 0123456789abcdef '%d' ..; do
    misused 'cannot be the name' "$conf" --netns blue --ifname "$name"
done
misused 'did you mean --netns' "$conf" --netsn blue
misused 'did you mean --netns blue\?' "$conf" blue
misused 'did you mean --wait=5\?' "$conf" --netns blue --wait 5
misused '--netns needs a value' "$conf" --netns --create
misused 'give one of' "$conf" --netns blue --pid 1
misused 'a target is missing' "$conf"
misused 'CONFIG is missing' --netns blue
expect_status 2 swg-ns attahc
expect_output 'did you mean attach'
ok "P6: hostile ids and interface names, misspelt options and verbs are usage errors"

sed 's/^Endpoint.*/Endpoint = no-such-host.invalid:51820/' "$conf" >"$test_folder/unresolvable.conf"
refused 'does not resolve|was not resolved' "$test_folder/unresolvable.conf" --netns blue
sed 's/^AllowedIPs.*/AllowedIPs = 10.0.0.0\/99\nBogus = 1/' "$conf" >"$test_folder/broken.conf"
refused 'broken.conf:[0-9]+:[0-9]+' "$test_folder/broken.conf" --netns blue
refused 'there is no configuration' nothing-of-this-name --netns blue
refused 'ENOENT' /no/such/file.conf --netns blue
misused 'MTU of 10 is out of range' "$conf" --netns blue --mtu 10
ok "P6: names that do not resolve, files that do not parse (with line and column) or exist, a hopeless MTU"

ip -n blue link add wg0 type dummy 2>/dev/null || ip -n blue link add wg0 type veth peer name wg1
refused 'interface named wg0 already' "$conf" --netns blue
ip -n blue link delete wg0

chmod 666 /dev/net/tun 2>/dev/null || true
mkdir -p "$test_folder/no-tun"
unshare --mount bash -c "mount --bind $test_folder/no-tun /dev/net; ! swg-ns attach --engine userspace $conf --netns blue" \
    >"$test_folder/output" 2>&1 || fail "attach without /dev/net/tun: $(cat "$test_folder/output")"
expect_output '/dev/net/tun.*(modprobe tun|mknod)'
setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all \
    "$(command -v swg-ns)" attach --engine userspace --state-dir /tmp/swg-test-65534 "$conf" --netns blue >"$test_folder/output" 2>&1 &&
    fail "attach without privileges"
expect_output 'EACCES|EPERM|root'
rm -rf /tmp/swg-test-65534
ok "P6: a taken interface name, no TUN driver, too few privileges"

inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "P4: all of these have left nothing"

# Last: asking podman makes its own folders.
refused 'no running container|neither podman' "$conf" --container no-such-container
ok "P6: no such container"
