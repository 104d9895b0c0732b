#!/bin/bash
# The manual pages, the README and the tutorial: every example is run as a reader would, with
# what is installed, and shows what it is said to show (docs.py); the pages name every option and
# every key that there is, and no others; they are formatted without complaint, and what they
# refer to is there.  Completion, as a shell asks for it.
LIMIT=100
. "$(dirname "$0")/lib.sh"
build=$(dirname "$RUMPFUSE")
top=$(realpath "$HERE/../..")

# Installed in copies that nobody else sees.
for d in /usr/local /etc; do
	mkdir -p "$S/up$d" "$S/work$d"
	mount -t overlay -o "lowerdir=$d,upperdir=$S/up$d,workdir=$S/work$d" overlay "$d" || exit 1
done
check "meson install" meson install -C "$build" --no-rebuild --quiet
ldconfig
unset UKFS_MODULES
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
same "rumpfuse is the one that is installed" "$(command -v rumpfuse)" /usr/local/sbin/rumpfuse

# The examples.
python3 "$HERE/docs.py" "$top"/doc/*.[0-9] "$top"/doc/*.md "$top/README.md" >"$W/docs.out" 2>&1
if read -r p _ f _ n _ < <(tail -n 1 "$W/docs.out" | grep -E '^[0-9]+ passed, [0-9]+ failed'); then
	RF_PASSED=$((RF_PASSED + p)) RF_FAILED=$((RF_FAILED + f))
	figure "examples that are run: $p, that say why they are not: $n"
	sed '$d' "$W/docs.out"
else
	fail "docs.py: $(cat "$W/docs.out")"
fi
done_testing
