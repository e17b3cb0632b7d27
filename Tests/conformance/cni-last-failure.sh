#!/bin/bash
# The last failure of each container is kept until it succeeds, for who asks after the runtime has forgotten.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/cni.sh"
need jq
make_gateway
make_pool 1
network
container_namespace a
container_namespace b
[ ! -S /run/systemd/journal/socket ] && [ ! -S /dev/log ] || skip "a logging service is here: swg-ns writes there"
failures() { swg-ns log "$@" --json | jq -r '.lastFailures[]' | cut -f4- | tr '\t' ' '; }

must cni ADD one /run/netns/a
[ -z "$(failures)" ] || fail "a success is kept as a failure: $(failures)"
refused 11 'in use' cni ADD two /run/netns/b
refused 4 'no network namespace' cni ADD three /run/netns/none
[ "$(failures | cut -d' ' -f1 | sort | tr '\n' ' ')" = "three two " ] || fail "not the failures of both: $(failures)"
failures two | grep >/dev/null '^two CNI ADD: all 1 configurations of the pool .* are in use (tunnel .* of container one)' ||
    fail "log two: $(failures two)"
[ -z "$(failures one)" ] || fail "log one has another's failure"
swg-ns log | head -n 1 | grep >/dev/null '^last failures:' || fail "log does not begin with them"
ok "each container's last failure, with who holds the key; log CONTAINER shows its own"

refused 4 'no network namespace' cni ADD two /run/netns/gone
failures two | grep >/dev/null 'CNI ADD: no network namespace at /run/netns/gone' || fail "not the last one: $(failures two)"
[ "$(failures two | wc -l)" = 1 ] || fail "more than the last one: $(failures two)"
ok "a later failure takes the place of the earlier"

must cni DEL one /run/netns/a
must cni ADD two /run/netns/b
[ -z "$(failures two)" ] || fail "kept after a success: $(failures two)"
[ -n "$(failures three)" ] || fail "another container's success forgot it"
must cni DEL two /run/netns/b
ok "its next success forgets it, and no other's"

if swg-ns log --json | grep -F -f "$test_folder/client1.key"; then fail "P3: a key is in the log"; fi
ok "P3: no key in it"
