#!/bin/bash
# One private key serves one live tunnel; no key is to be seen anywhere (P3, leases).
source "$(dirname "$0")/../lib/test.sh"
# One whose key can be asked for from here.
GATEWAY_ENGINE=wireguard-go make_gateway
inventory >"$test_folder/before"
swg-ns attach "$test_folder/client1.conf" --netns blue --create --engine "$backend" --quiet --wait

expect_status 1 swg-ns attach "$test_folder/client1.conf" --netns red --create --engine "$backend"
expect_output 'in use by tunnel client1; use that one: swg-ns exec client1'
[ ! -e /run/netns/red ] || fail "P4: the refused attach left its namespace"
ok "a second use of a live key is refused, with the holder and what to type instead"

key=$(cat "$test_folder/client1.key")
hex=$(base64 -d <<<"$key" | od -An -tx1 | tr -d ' \n')
for place in /run/swg-ns /etc/netns; do
    grep -rqF -e "$key" -e "$hex" "$place" 2>/dev/null && fail "P3: the key is below $place"
done
# What is searched is there: the state names the configuration, and an engine is two processes.
grep -rqF client1.conf /run/swg-ns || fail "the state is elsewhere"
engines=$(pgrep -f swg-engine || true)
on_kernel || [ "$(wc -w <<<"$engines")" -ge 2 ] || fail "the engine's processes are not found"
for process in $engines; do
    tr '\0' '\n' <"/proc/$process/cmdline" | grep >/dev/null -F -e "$key" -e "$hex" && fail "P3: the key is in an argument"
    tr '\0' '\n' <"/proc/$process/environ" 2>/dev/null | grep >/dev/null -F -e "$key" -e "$hex" && fail "P3: the key is in the environment"
done
swg-ns show client1 >"$test_folder/shown"
swg-ns show client1 --json >>"$test_folder/shown"
swg-ns list --json >>"$test_folder/shown"
swg-ns check client1 --json >>"$test_folder/shown"
grep -qF "$key" "$test_folder/shown" && fail "P3: the key is in some output"
ok "P3: no key in state, arguments, environment and output"

[ "$(stat -c %a /run/swg-ns)" = 700 ] || fail "state directory mode $(stat -c %a /run/swg-ns)"
[ -z "$(find /run/swg-ns -type f ! -perm 600)" ] || fail "state files: $(find /run/swg-ns -type f ! -perm 600)"
ok "directories of the state are 0700, its files 0600"

swg-ns detach client1 --quiet
swg-ns attach "$test_folder/client1.conf" --netns blue --create --engine "$backend" --quiet
swg-ns detach client1 --quiet
ok "a released key is free again"


cp "$test_folder/client1.conf" "$test_folder/foreign.conf"
sed -i "s|^PrivateKey.*|PrivateKey = $(cat "$test_folder/gateway.key")|" "$test_folder/foreign.conf"
expect_status 1 swg-ns attach "$test_folder/foreign.conf" --netns blue --create --engine "$backend"
expect_output 'is in use by the engine of gateway0'
ok "an engine that is not ours holds its key as well"

printf '%s' "$key" | swg-ns pubkey | grep >/dev/null -xF "$(cat "$test_folder/client1.pub")" || fail "pubkey"
[ "$(swg-ns genkey | swg-ns pubkey | wc -c)" = 45 ] || fail "genkey"
[ "$(swg-ns genpsk | wc -c)" = 45 ] || fail "genpsk"
ok "genkey, genpsk and pubkey are those of wg"

inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
