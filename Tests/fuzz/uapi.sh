#!/bin/bash
# U3, U5: no bytes on the UAPI socket trap, and how they are cut into pieces does not matter.
# limit: 900 s
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/fuzz.sh"
fuzz UAPIFuzz uapi
