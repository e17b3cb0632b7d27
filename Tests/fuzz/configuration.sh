#!/bin/bash
# P6: no configuration file traps, and what is accepted is written and read back unchanged.
# limit: 900 s
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/fuzz.sh"
fuzz ConfigurationFuzz configuration
