#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Stands in for the scripts' own command of this name, NAME=VALUE...: sets sysctls, and leaves behind a
# command that the script calls at its end to set them back. Here each script has a stack of its own, so
# that one has only itself to remove.
set -eu

restore=/tmp/sysctl_restore_$PACKETDRILL_PID.sh

sysctl "$@"
# shellcheck disable=SC2016
printf '#!/bin/sh\nrm -f "$0"\n' >"$restore"
chmod +x "$restore"
