#!/bin/bash
# stress-ng's file system stressors, in memory and on keys over a disk and tmpfs, each for
# RF_STRESS_SECONDS with two instances that verify what they do.  One that fails is run on
# the bare file system too: what fails there as well is none of our doing.
#
# Not among the tests of CI: ./dev stress.  RF_STRESSORS: only these.
RF_STRESS_SECONDS=${RF_STRESS_SECONDS:-2}
LIMIT=$((300 + 210 * RF_STRESS_SECONDS))
. "$(dirname "$0")/lib.sh"
M=$W/m
# Those of the class that work on the files of a directory, and some that are counted to
# others because they are about memory or scheduling as well.
stressors=${RF_STRESSORS:-access aio aiol chattr chdir chmod chown copy-file dentry dir
    dirdeep dirmany dnotify dup fallocate fanotify fcntl fiemap file-ioctl filename flock
    fpunch fsize fstat getdent handle hdd inode-flags inotify io iomix lease link locka lockf
    lockofd mknod msync open readahead rename revio seek sendfile symlink sync-file touch
    utime verity xattr}
# Sizes that leave time for doing it again.
sizes="--aio-requests 16 --aiol-requests 16 --copy-file-bytes 128M --dentries 512
    --dirdeep-dirs 2 --dirdeep-inodes 1000 --fallocate-bytes 32M
    --hdd-bytes 32M --iomix-bytes 32M --msync-bytes 16M --readahead-bytes 32M --revio-bytes 32M
    --seek-size 32M --sendfile-size 1M --sync-file-bytes 16M"
command -v stress-ng >/dev/null || {
	skip "stress-ng is not installed"
	done_testing
}
# shellcheck disable=SC2086
check "stress-ng takes the sizes" stress-ng --dry-run --null 1 $sizes || done_testing
mkdir -p "$W/host" "$S/host" "$W/bare" "$S/bare"
chmod 755 "$W" "$S"
cat >"$W/conf" <<X
[daemon]
allow-other = yes
[rumpfs]
size = 1G
[dir /mem]
mode = 0777
[etfs /disk]
host = $W/host
special = yes
[etfs /tmpfs]
host = $S/host
special = yes
X

# run STRESSOR DIR: its status is that of stress-ng, 124 if it does not end.
run()
{
	# shellcheck disable=SC2086
	timeout -k 10 $((60 + 30 * RF_STRESS_SECONDS)) stress-ng "--$1" 2 \
	    --timeout "$RF_STRESS_SECONDS" --verify --temp-path "$2" $sizes >"$W/.run" 2>&1
}

# clean DIR STRESSOR: what is left there, which is removed.  chattr may stop, its time being up, with
# a file that cannot be removed.
clean()
{
	if [ "$2" = chattr ]; then
		chattr -R -f -ia "$1"
	else
		ls -A "$1"
	fi
	find "$1" -mindepth 1 -delete 2>/dev/null
}

# stress STRESSOR WHERE DIR BARE
stress()
{
	local rc left bare
	run "$1" "$3"
	rc=$?
	left=$(clean "$3" "$1")
	case $rc in
	0) ok "$1, $2" ;;
	3 | 4) skip "$1, $2: $(grep -oE "$1: .*" "$W/.run" | head -n 1)" ;;
	*)
		cp "$W/.run" "$W/.run.mount"
		run "$1" "$4"
		bare=$?
		clean "$4" "$1" >/dev/null
		if [ "$bare" = "$rc" ] && [ "$rc" != 124 ]; then
			skip "$1, $2: status $rc, and on the bare file system too"
		else
			fail "$1, $2: status $rc"
			sed 's/^/  | /' "$W/.run.mount" | tail -n 30
		fi
		return
		;;
	esac
	[ -z "$left" ] || fail "$1, $2: left behind: $left"
}

rf_mount "$W/conf" "$M" -o dev,suid || done_testing
for s in $stressors; do
	stress "$s" mem "$M/mem" "$S/bare"
	stress "$s" disk "$M/disk" "$W/bare"
	stress "$s" tmpfs "$M/tmpfs" "$S/bare"
	kill -0 "${RF_PID[$M]}" 2>/dev/null || {
		fail "the daemon has ended during $s"
		break
	}
done
rf_umount "$M"
done_testing
