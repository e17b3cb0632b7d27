#!/bin/bash
# M1-M6, N8: no datagram from a stranger traps, opens a session or gets more than a cookie for an answer.
# limit: 900 s
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/fuzz.sh"
fuzz DatagramFuzz datagram
