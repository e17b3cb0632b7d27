#!/bin/bash
# With journald: what the plugin did and why it failed is in the journal, by container, and `swg-ns log` reads it there.
source "$(dirname "$0")/../lib/test.sh"
under_systemd
source "$(dirname "$0")/../lib/cni.sh"
need jq journalctl
make_gateway
make_pool 1
network
container_namespace a
container_namespace b
in_journal() { journalctl --sync && journalctl --no-pager -o cat "$@"; }

must cni ADD one /run/netns/a
refused 11 'in use' cni ADD two /run/netns/b
in_journal CNI_CONTAINERID=one | grep >/dev/null 'CNI ADD of network egress' || fail "the ADD is not in the journal: $(in_journal)"
in_journal CNI_CONTAINERID=two -p err | grep >/dev/null 'in use' || fail "the failure is not in the journal as an error: $(in_journal)"
ok "an ADD and a failed one are in the journal, by CNI_CONTAINERID"

swg-ns log two >"$test_folder/output" || fail "log: $(cat "$test_folder/output")"
expect_output '^last failures:'
[ "$(grep -c 'in use' "$test_folder/output")" -ge 2 ] || fail "not from the journal as well: $(cat "$test_folder/output")"
! grep 'CNI ADD of network' "$test_folder/output" || fail "log two tells of one"
ok "swg-ns log CONTAINER: its last failure, then its lines of the journal"
must cni DEL one /run/netns/a
