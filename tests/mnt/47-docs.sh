#!/bin/bash
# The manual pages, the README and the tutorial: every example is run as a reader would, with
# what is installed, and shows what it is said to show (docs.py); the pages name every option and
# every key that there is, and no others; they are formatted without complaint, and what they
# refer to is there.  Completion, as a shell asks for it.
LIMIT=600
. "$(dirname "$0")/lib.sh"
build=$(dirname "$RUMPFUSE")
top=$(realpath "$HERE/../..")

# Installed in copies that nobody else sees.
for d in /usr /etc; do
	mkdir -p "$S/up$d" "$S/work$d"
	mount -t overlay -o "lowerdir=$d,upperdir=$S/up$d,workdir=$S/work$d" overlay "$d" || exit 1
done
check "meson install" meson install -C "$build" --no-rebuild --quiet
ldconfig
unset UKFS_MODULES
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
same "rumpfuse is the one that is installed" "$(command -v rumpfuse)" /usr/local/sbin/rumpfuse

# counted WHAT COMMAND…: a program that prints failures, and its sum.
counted()
{
	local what=$1 p f n
	shift
	"$@" >"$W/.counted" 2>&1
	if read -r p _ f _ n _ < <(tail -n 1 "$W/.counted" | grep -E '^[0-9]+ passed, [0-9]+ failed'); then
		RF_PASSED=$((RF_PASSED + p)) RF_FAILED=$((RF_FAILED + f))
		figure "$what: $((p + f))$([ "$n" = 0 ] || echo "; $n not run, and why is said")"
		sed '$d' "$W/.counted"
	else
		fail "$what: $(cat "$W/.counted")"
	fi
}

counted "scenes and examples" \
    python3 "$HERE/docs.py" "$top"/doc/*.[0-9] "$top"/doc/*.md "$top/README.md"
counted "names in manual pages" python3 "$HERE/docs-names.py" "$top/doc"
for page in "$top"/doc/*.[0-9]; do
	page=$(basename "$page")
	same "$page is formatted without complaint" \
	    "$(groff -mandoc -Kutf8 -Tutf8 -wall -z "$top/doc/$page" 2>&1)" ""
	same "$page is installed" "$(man -w "${page##*.}" "${page%.*}" | xargs readlink -f)" \
	    "/usr/local/share/man/man${page##*.}/$page"
	check "$page has examples" grep -qE '^\.S[Hh] EXAMPLES' "$top/doc/$page"
done
check "the README leads to the tutorial" grep -q 'doc/tutorial\.md' "$top/README.md"

# Completion.  offers PROGRAM LINE WORDS: what bash offers at the end of the line.
bash_dir=/usr/local/share/bash-completion/completions
offers()
{
	same "bash: $2" "$(bash "$HERE/completion.bash" "$bash_dir/$1" "$2")" "$3"
}
mkdir -p "$W/c/tree/dir" && cd "$W/c" && echo hello >tree/hello
truncate -s 40M disk.img
printf 'label: gpt\nsize=32M, name=data\nsize=4M, name="my home"\n' | sfdisk -q disk.img
mkfs.ext4 -q -d tree -E offset=1048576 disk.img 32M
echo >lab.conf
offers rumpfuse "rumpfuse --cl" "--clone-fd"
offers rumpfuse "rumpfuse -" "$(rumpfuse --help | grep -oE '(^|[ ,])--?[[:alnum:]][[:alnum:]-]*' |
    tr -d ' ,' | sort -u | tr '\n' ' ' | sed 's/ *$//')"
offers rumpfuse "rumpfuse -o ro,allow" "ro,allow_other"
offers rumpfuse "rumpfuse -k /p=dis" "disk.img"
offers rumpfuse "rumpfuse -k /p=disk.img,t" "disk.img,type="
offers rumpfuse "rumpfuse -k /p=disk.img,type=d" "dir dir-subdirs"
offers rumpfuse "rumpfuse -k /p=disk.img,type=blk,acc" "blk,access="
offers rumpfuse "rumpfuse -f la" "lab.conf"
offers rumpfuse "rumpfuse lab.conf t" "tree"
offers rumpfuse "mount.rumpfuse lab.conf tree -o noex" "noexec"
offers mount.rumpfuse "mount.rumpfuse l" "lab.conf"
offers ukfs "ukfs dis" "disk.img"
offers ukfs "ukfs disk.img:" "1 2 data"
offers ukfs "ukfs --re" "--read-only"
offers ukfs "ukfs disk.img:data tr" "tree truncate"
offers ukfs "ukfs -r disk.img:1 cat /hel" "/hello"
offers ukfs "ukfs disk.img:data cp -r :d" "dir/"
offers ukfs "ukfs disk.img:data cp tr" "tree"
# All that -k can have is offered, and no more (the program says what).
keys=$(rumpfuse --check -k "/x=tree,_=_" none 2>&1 | sed -n 's/.*unknown key, expected //p' |
    sed 's/ or /, /; s/, */\n/g' | grep -vx host | sed 's/.*/tree,&=/' | sort | tr '\n' ' ')
offers rumpfuse "rumpfuse -k /x=tree," "${keys% }"

while read -r line; do
	read -r want
	wants+=("$want") lines+=("$line")
done <<'L'
rumpfuse --clo
rumpfuse --clone-fd
rumpfuse -o ro,allow_o
rumpfuse -o ro,allow_other,
rumpfuse -k /p=dis
rumpfuse -k /p=disk.img
rumpfuse -k /p=disk.img,ty
rumpfuse -k /p=disk.img,type=
rumpfuse -k /p=disk.img,type=bl
rumpfuse -k /p=disk.img,type=blk,
rumpfuse lab.conf tr
rumpfuse lab.conf tree/
ukfs disk.img:da
ukfs disk.img:data
ukfs -r disk.img:data trun
ukfs -r disk.img:data truncate
ukfs disk.img:data cat /hel
ukfs disk.img:data cat /hello
ukfs disk.img:data cp :/hel
ukfs disk.img:data cp :/hello
L
mapfile -t got < <(timeout 60 zsh -f "$HERE/completion.zsh" /usr/local/share/zsh/site-functions \
    "${lines[@]}" 2>&1)
for i in "${!lines[@]}"; do
	same "zsh: ${lines[i]}" "$(sed 's/ *\r*$//' <<<"${got[i]:-}")" "${wants[i]}"
done
done_testing
