#!/bin/bash
# A pool skips keys that the host itself uses, by the driver or by an engine that is not ours, and says who has them
# when none is left.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/cni.sh"
need jq wireguard-go
GATEWAY_ENGINE=wireguard-go make_gateway
make_pool 1 2
network '.cniVersion = "1.1.0"'
# The host uses the pool's first key.
if [ "${SWG_BACKEND:-userspace}" = kernel ]; then
    ip link add host0 type wireguard
    holder='the interface host0 of this host'
else
    LOG_LEVEL=error wireguard-go host0
    holder='the engine of host0'
fi
wg set host0 private-key "$test_folder/client1.key"
address() { jq -r '.ips[0].address' "$test_folder/answer"; }
container_namespace one
container_namespace two
must cni ADD one /run/netns/one
[ "$(address)" = 10.99.0.3/32 ] || fail "the key that the host uses was given to a container: $(address)"
ok "a key that the host uses is skipped, the next one is taken"
refused 50 "all 2 configurations of .* are in use" cni STATUS "" "" CNI_IFNAME=
ok "STATUS counts the host's key as used"
refused 11 "all 2 configurations .* are in use .$holder, tunnel .* of container one" cni ADD two /run/netns/two
[ "$(ip -n two -o link | wc -l)" = 1 ] || fail "P4: the refused ADD left a device"
ok "when none is left, the error names the container and the host's interface"
wg set host0 private-key <(swg-ns genkey)
must cni STATUS "" "" CNI_IFNAME=
must cni ADD two /run/netns/two
[ "$(address)" = 10.99.0.2/32 ] || fail "the key that is free again was not taken: $(address)"
ok "free again when the host uses another"
must cni DEL one /run/netns/one
must cni DEL two /run/netns/two
