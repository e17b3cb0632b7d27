#!/bin/bash
# What every verb prints for a program: `--json` as the README documents it, exit statuses, results that cannot be
# written.
source "$(dirname "$0")/../lib/test.sh"
need jq strace
make_gateway
conf=$test_folder/client1.conf
json() { # json STATUS FILTER VERB…: one document of that shape
    local wanted=$1 filter=$2 status=0
    shift 2
    swg-ns "$@" >"$test_folder/json" 2>"$test_folder/output" || status=$?
    [ "$status" = "$wanted" ] || fail "status $status of $*: $(cat "$test_folder/json" "$test_folder/output")"
    jq -es "length == 1 and (.[0] | $filter)" "$test_folder/json" >/dev/null || fail "$* printed $(cat "$test_folder/json")"
}
tunnel='.id == "t" and .state == "attached" and .interface == "wg0" and (.backend | IN("kernel", "userspace"))
    and (.publicKey | length) == 44 and (.configuration | endswith("client1.conf")) and (.netns == "/run/netns/blue")
    and (.attachedAt | type) == "number" and (.target | type) == "string"'
made='.id == "t" and .interface == "wg0" and (.backend | type) == "string" and (.addresses | length) == 2
    and (.routes | length) == 2 and .mtu == 1420 and .dns == ["10.99.0.1"] and (.searchDomains == [])'
error() { echo ".error | .kind == \"$1\" and (.message | length) > 0 and .undoErrors == []"; }
json 0 "$made and .dryRun" attach "$conf" --id t --netns blue --create --engine "$backend" --json --dry-run
json 0 "$made" attach --json "$conf" --id t --netns blue --create --engine "$backend" --wait
json 0 ".tunnels | length == 1 and (.[0] | $tunnel and .lastHandshake > 1000000)" list --json
json 0 '.tunnels[0] | .soleInterface and .table == "auto" and (.listenPort > 0) and (.peers[0] |
    (.publicKey | length) == 44 and .endpoint == "192.0.2.2:51820" and (.allowedIPs | length) == 2
    and .receivedBytes > 0 and .sentBytes > 0 and .persistentKeepalive == 0 and .hasPresharedKey == false)' show t --json
json 0 '.id == "t" and .proven and (.findings | length) > 5 and all(.findings[]; .tunnel == "t" and
    (.verdict | IN("proven", "note")) and (.promise | type) == "string" and (.text | length) > 0)' check t --json
json 0 '.id == "t" and .proven' check --netns blue --json
json 0 '.id == "t" and .applied == [] and .notApplied == [] and (.warnings | type) == "array"' set t --json
json 0 '.tunnels == [{id: "t", outcome: "healthy"}]' repair --json
json 0 '.removed == [] and .errors == []' gc --json
json 0 '(.log | length) > 0 and (.lastFailures | type) == "array" and (.engine | type) == "array"' log --json
json 0 'all(.findings[]; (.verdict | IN("good", "limited", "missing")) and (.subject | length) > 0)' doctor --json
ok "--json: each verb's document"
# A namespace's name is no tunnel: whoever takes it for one is told who lives there, and nothing is taken down.
expect_status 1 swg-ns show blue
expect_output 'no tunnel "blue"; in the namespace of that name is tunnel t$'
expect_status 0 swg-ns detach blue
expect_output 'in the namespace blue is tunnel t: swg-ns detach t'
[ "$(swg-ns list --json | jq '.tunnels | length')" = 1 ] || fail "detach took a namespace's name for a tunnel"
ok "P6: a namespace's name in the place of a tunnel's"
json 1 "($(error keyInUse)) and (.error.cure | contains(\"swg-ns exec t\"))" attach "$conf" --netns red --create --engine "$backend" --json
json 1 "$(error notFound)" show nothing --json
json 2 "$(error notFound)" check nothing --json
json 2 "$(error usage)" attach "$conf" --json
json 2 "$(error usage)" list --json --bogus
json 125 "$(error usage)" run --json
json 125 "$(error configurationFile)" run --json "$test_folder/absent.conf" -- true
json 125 "$(error notFound)" exec --json nothing -- true
json 125 "$(error usage)" exec --bogus --json t -- true
json 125 "$(error usage)" exec --bogus t --json -- true
json 125 "$(error usage)" run --json --bogus "$conf" true
for words in "exec --bogus t -- true --json" "run --bogus t true --json"; do
    # shellcheck disable=SC2086
    expect_status 125 swg-ns $words
    expect_output '^swg-ns: .*: unknown option --bogus'
done
ok "--json: failures, usage errors among them, are documents as well"
for verb in "list" "list --json" "show t" "show t --json" "check t" "log" "doctor" "genkey" "detach t"; do
    # shellcheck disable=SC2086
    status=0 && swg-ns $verb >/dev/full 2>"$test_folder/output" || status=$?
    [ $status -gt 0 ] || fail "$verb: success although nothing could be written"
    expect_output 'write standard output: ENOSPC'
done
[ ! -e /run/netns/blue ] || fail "detach did nothing when it could not print"
swg-ns list --json | true || fail "a reader that went away is an error"
swg-ns list --version | grep >/dev/null '^swg-ns [0-9]' || fail "--version"
ok "results that cannot be written are a failure, a closed pipe is not"

# Tunnels whose namespace has gone are looked for among all processes: once, however many they are.
for number in 1 2 3; do
    swg-ns attach "$test_folder/client$number.conf" --netns gone$number --create --engine "$backend" --quiet
    ip netns delete gone$number
done
strace -f -e trace=openat -o "$test_folder/trace" swg-ns list >"$test_folder/output"
[ "$(grep -c orphaned "$test_folder/output")" = 3 ] || fail "list: $(cat "$test_folder/output")"
[ "$(grep -c '"/proc"' "$test_folder/trace")" = 1 ] || fail "list read /proc $(grep -c '"/proc"' "$test_folder/trace") times"
swg-ns gc --quiet
ok "list walks through /proc once"
