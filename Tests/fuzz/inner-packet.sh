#!/bin/bash
# D1-D3: no packet from a peer or a program traps, enters longer than it is, or with another peer's address.
# limit: 900 s
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/fuzz.sh"
fuzz InnerPacketFuzz inner-packet
