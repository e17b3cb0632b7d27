#!/bin/bash
# A pool whose keys are printed by commands: each is run when its key is needed, never to look how the pool stands.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/cni.sh"
need jq
make_gateway
make_pool 1 2 3
for number in 1 2 3; do
    sed -i "s|^PrivateKey.*|PrivateKeyCommand = echo $number >>$test_folder/asked; cat $test_folder/client$number.key|" "$pool/key$number.conf"
done
network '.cniVersion = "1.1.0"'
for name in a b c d; do container_namespace $name; done
touch "$test_folder/asked"
asked() { # asked NUMBER…: these commands were run since the last time
    [ "$(tr '\n' ' ' <"$test_folder/asked")" = "$*${1:+ }" ] || fail "run for $step: $(tr '\n' ' ' <"$test_folder/asked"), not $*"
    : >"$test_folder/asked"
}

step=STATUS
must cni STATUS "" "" CNI_IFNAME=
asked
step="ADD a"
must cni ADD a /run/netns/a
asked 1
step="ADD b"
must cni ADD b /run/netns/b
asked 2
ok "STATUS runs no command, ADD that of the file it takes"

mv "$test_folder/client3.key" "$test_folder/client3.hidden"
step="ADD c without its key"
refused 11 "in use .*tunnel .* of container a.*unusable.*key3.conf.*PrivateKey" cni ADD c /run/netns/c
asked 3 1 2
mv "$test_folder/client3.hidden" "$test_folder/client3.key"
must cni ADD c /run/netns/c
asked 3
step="STATUS of a pool in use"
refused 50 "all 3 configurations" cni STATUS "" "" CNI_IFNAME=
asked
ok "a command that fails passes its turn on; a pool in use is exhausted without asking"

# The files are in use, but a command prints another key by now: that one is free.
wg genkey >"$test_folder/client2.key"
step="ADD d with a new key"
must cni ADD d /run/netns/d
asked 1 2
step="DEL and ADD"
for name in c a; do must cni DEL $name /run/netns/$name; done
asked
must cni ADD a /run/netns/a
asked 3
ok "a key that was replaced, and the least recently released first"
for name in a b d; do must cni DEL $name /run/netns/$name; done
[ ! -e /run/swg-ns/tunnels ] || fail "left: $(find /run/swg-ns)"
