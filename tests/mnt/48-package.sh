#!/bin/bash
# first
# "meson install" puts every file where it belongs, and uninstall leaves nothing.  The Debian
# packages are built, found good by lintian, installed in a copy of the system, used, and purged
# without a trace.
#
# RF_PACKAGES: a directory with packages that are built already (./dev package).
LIMIT=600
. "$(dirname "$0")/lib.sh"
build=$(dirname "$RUMPFUSE")
top=$(realpath "$HERE/../..")
unset UKFS_MODULES
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
version=$(sed -n "s/^project(.* version: '\([^']*\)'.*/\1/p" "$top/meson.build")

pkg=${RF_PACKAGES:-$W/pkg}
if [ -z "${RF_PACKAGES:-}" ]; then
	# Without optimising and debugging symbols, which take half of the time.
	(time DEB_BUILD_OPTIONS="noopt noautodbgsym" DEB_CFLAGS_APPEND=-g0 TMPDIR=$W "$top/dist/package.sh" "$pkg") \
	    >"$W/package.log" 2>&1 &
	builder=$!
fi

# overlay DIRECTORY PLACE NAME: a copy of it at a place, whose changes are in $S/NAME/u.
overlay()
{
	mkdir -p "$S/$3/u" "$S/$3/w" &&
	    mount -t overlay -o "lowerdir=$1,upperdir=$S/$3/u,workdir=$S/$3/w" overlay "$2"
}
# added NAME LOWER: what is in the copy and not in the original.
added()
{
	find "$S/$1/u" -mindepth 1 -printf '%P\n' | while IFS= read -r f; do
		[ -e "$2/$f" ] || [ -L "$2/$f" ] || echo "/$f"
	done | sort
}

# What there is to install, below a prefix; modules and the library below its libdir.
files_of()
{
	local prefix=$1 lib=$1/lib/$(dpkg-architecture -q DEB_HOST_MULTIARCH) f
	cat <<L
$prefix/bin/rumpfusectl
$prefix/bin/ukfs
$prefix/include/ukfs.h
$lib/libukfs.a
$lib/libukfs.so
$lib/libukfs.so.0
$lib/libukfs.so.$version
$lib/pkgconfig/ukfs.pc
$prefix/sbin/mount.rumpfuse
$prefix/sbin/rumpfuse
$prefix/share/bash-completion/completions/mount.rumpfuse
$prefix/share/bash-completion/completions/rumpfuse
$prefix/share/bash-completion/completions/rumpfusectl
$prefix/share/bash-completion/completions/ukfs
$prefix/share/zsh/site-functions/_rumpfuse
$prefix/share/zsh/site-functions/_rumpfusectl
$prefix/share/zsh/site-functions/_ukfs
/lib/systemd/system-generators/rumpfuse-generator
/lib/systemd/system/rumpfuse@.service
/usr/lib/systemd/user-generators/rumpfuse-generator
/usr/lib/systemd/user/rumpfuse@.service
L
	for f in ext archive squashfs lines; do
		echo "$lib/ukfs/libukfs_$f.so"
	done
	for f in "$top"/doc/*.[0-9]; do
		echo "$prefix/share/man/man${f##*.}/$(basename "$f")"
	done
}

# Installed and uninstalled; in copies, and with a build directory that is nobody else's.
overlay "$build" "$build" build
check "install with DESTDIR" env DESTDIR="$W/d" meson install -C "$build" --no-rebuild --quiet
same "what is installed" "$(cd "$W/d" && find . ! -type d -printf '/%P\n' | sort)" "$(files_of /usr/local | sort)"
check "uninstall with DESTDIR" ninja --quiet -C "$build" uninstall
same "what DESTDIR has left" "$(find "$W/d" -mindepth 1 2>/dev/null)" ""
mkdir "$W/usr" && mount --bind /usr "$W/usr"
overlay /usr /usr usr
check "install" meson install -C "$build" --no-rebuild --quiet
same "pkg-config finds it" "$(pkg-config --modversion ukfs)" "$version"
same "rumpfuse -V" "$(/usr/local/sbin/rumpfuse -V)" "rumpfuse $version"
same "ukfs -V" "$(/usr/local/bin/ukfs -V)" "ukfs (rumpfuse) $version"
same "rumpfusectl -V" "$(/usr/local/bin/rumpfusectl -V)" "rumpfusectl $version"
same "what is installed is there" "$(added usr "$W/usr" | grep -c '/sbin/\|/share/man/man./')" \
    "$(files_of /usr/local | grep -c '/sbin/\|/share/man/man./')"
check "uninstall" ninja --quiet -C "$build" uninstall
same "what is left of it" "$(added usr "$W/usr")" ""
umount "$build" "$W/usr"
# What the original has is seen again once nobody holds the copy.
umount -l /usr

# The packages.
if [ -n "${builder:-}" ]; then
	if wait "$builder"; then
		ok "the packages are built"
	else
		fail "the packages are built: $(tail -n 40 "$W/package.log")"
		done_testing
	fi
	figure "building the packages: $(awk '$1 == "real" { print $2 }' "$W/package.log")"
fi
same "the version of the package" "$(dpkg-parsechangelog -l "$top/dist/debian/changelog" -S Version)" "$version"
(cd "$W" && lintian --allow-root --fail-on error "$pkg"/*.changes >"$W/lintian" 2>&1)
rc=$?
same "lintian's errors" "$rc $(grep '^E:' "$W/lintian")" "0 "
same "lintian's warnings" "$(grep '^W:' "$W/lintian")" ""
debs=("$pkg/rumpfuse_${version}_"*.deb "$pkg/libukfs0_${version}_"*.deb "$pkg/libukfs-dev_${version}_"*.deb)
arch=$(dpkg-architecture -q DEB_HOST_MULTIARCH)
files_of /usr | sed 's,/zsh/site-functions/,/zsh/vendor-completions/,; s,\(/man/.*\),\1.gz,' | sort >"$W/files"
for d in "${debs[@]}"; do
	dpkg-deb --fsys-tarfile "$d" | tar -t | grep -v '/$' | sed 's/^\.//'
done | grep -v '^/usr/share/doc/' | sort >"$W/packaged"
same "what is packaged" "$(diff "$W/files" "$W/packaged")" ""
same "what libukfs0 has" "$(dpkg-deb --fsys-tarfile "${debs[1]}" | tar -t | grep -v '/$' | sed 's/^\.//' |
    grep -v /share/doc/ | sort | tr '\n' ' ')" \
    "$(grep -E '/libukfs(\.so\.|_)' "$W/files" | tr '\n' ' ')"
same "licences" "$(for d in "${debs[@]}"; do
	dpkg-deb --fsys-tarfile "$d" | tar -t | grep -c /copyright
done | tr '\n' ' ')" "1 1 1 "

# Installed in a copy of the system.
M=$W/system
mkdir "$M"
overlay / "$M" system
for d in proc sys dev; do
	mount --rbind --make-rprivate "/$d" "$M/$d" || mount --rbind "/$d" "$M/$d"
done
mount -t tmpfs tmpfs "$M/run"
mount -t tmpfs tmpfs "$M/mnt"
# An index of all manual pages is not what is tested.
rm -f "$M/var/lib/man-db/auto-update"
in_copy()
{
	chroot "$M" env -i PATH="$PATH" HOME=/root DEBIAN_FRONTEND=noninteractive LC_ALL=C "$@"
}
mkdir "$M/mnt/pkg" && cp "${debs[@]}" "$M/mnt/pkg"
if dpkg-query -W rumpfuse libukfs0 >/dev/null 2>&1; then
	skip "installing: this system has the packages already"
	done_testing
fi
added system "" >"$W/before"
check "dpkg -i" in_copy dpkg -i --path-include='/usr/share/man/*' --path-include='/usr/share/doc/*' \
    -R /mnt/pkg
same "dpkg knows of nothing missing" "$(in_copy dpkg -V rumpfuse libukfs0 libukfs-dev 2>&1)" ""
same "rumpfuse -V" "$(in_copy rumpfuse -V)" "rumpfuse $version"
same "libraries that are not there" "$(in_copy sh -c "ldd /usr/sbin/rumpfuse /usr/bin/ukfs \
    /usr/bin/rumpfusectl /lib/systemd/system-generators/rumpfuse-generator /usr/lib/$arch/ukfs/*.so" | grep 'not found')" ""
same "types" "$(in_copy rumpfuse --types | awk '{ printf "%s ", $1 }')" "archive ext lines rumpfs squashfs "
for f in rumpfuse.8 rumpfuse.conf.5 rumpfusectl.8 mount.rumpfuse.8 ukfs.1 ukfs.3; do
	check "man $f" in_copy man -w "${f##*.}" "${f%.*}"
done
same "nothing runs, and nothing is to be started" "$(in_copy sh -c 'ls -d /etc/systemd/*/*/rumpfuse* 2>/dev/null')" ""
cat >"$M/etc/rumpfuse/lab.conf" <<'L'
[daemon]
mountpoint = /mnt/lab
[etfs /os]
host = /etc/os-release
access = ro
L
mkdir "$M/mnt/lab"
check "the system unit is good" in_copy systemd-analyze verify --man=no --recursive-errors=no rumpfuse@lab.service
check "the user unit is good" in_copy env XDG_RUNTIME_DIR=/run \
    systemd-analyze verify --user --man=no --recursive-errors=no \
    /usr/lib/systemd/user/rumpfuse@.service
check "a mount" in_copy rumpfuse /etc/rumpfuse/lab.conf
check "a key in it" cmp "$M/mnt/lab/os" /etc/os-release
check "umount" in_copy umount /mnt/lab
for t in fuse.rumpfuse rumpfuse; do
	check "mount -t $t" in_copy mount -t $t /etc/rumpfuse/lab.conf /mnt/lab
	check "a key in it" cmp "$M/mnt/lab/os" /etc/os-release
	check "umount" in_copy umount /mnt/lab
done
mkdir "$W/tree" && echo hello >"$W/tree/file" && mksquashfs "$W/tree" "$M/mnt/img" -quiet -no-progress
same "ukfs on an image" "$(in_copy ukfs /mnt/img cat /file)" hello
printf '#include <ukfs.h>\nint main(void) { return ukfs_init(); }\n' >"$M/mnt/p.c"
check "a program with libukfs-dev" in_copy sh -c 'cc -Wall -Werror /mnt/p.c -o /mnt/p $(pkg-config --cflags --libs ukfs) && /mnt/p'
check "installed again, as an upgrade is" in_copy dpkg -i -R /mnt/pkg
check "what somebody configured is there still" test -f "$M/etc/rumpfuse/lab.conf"
rm "$M/etc/rumpfuse/lab.conf"

# And gone.
check "dpkg --purge" in_copy dpkg --purge rumpfuse libukfs-dev libukfs0
same "what dpkg still knows" "$(in_copy dpkg-query -W -f '${Package} ${Status}\n' 'rumpfuse*' 'libukfs*' 2>/dev/null |
    grep -v 'unknown ok not-installed')" ""
# dpkg's own books, and its log, are others' as well.
same "what is left of the packages" "$(added system / | grep -vE '^/(var/(lib/dpkg|log)/|var/cache/(ldconfig|debconf)|root/\.)')" ""
in_copy find /var/lib/dpkg -name '*rumpfuse*' -o -name '*libukfs*' >"$W/dpkg-rests" 2>/dev/null
same "what is left in dpkg's books" "$(cat "$W/dpkg-rests")" ""
for d in proc sys dev run mnt; do
	umount -l "$M/$d"
done
umount "$M" || umount -l "$M"
done_testing
