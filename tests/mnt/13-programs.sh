#!/bin/bash
# What people do with a file system: git, a build, sqlite3, fio; in memory and on a
# directory key.
LIMIT=150
. "$(dirname "$0")/lib.sh"
M=$W/m
mkdir -p "$W/host"
export HOME=$W GIT_CONFIG_NOSYSTEM=1
cat >"$W/.gitconfig" <<X
[user]
	name = test
	email = test@example.org
[safe]
	directory = *
X
# A repository of a few hundred files and a few commits, which is also a C project.
R=$W/repo
mkdir -p "$R/src"
for i in {0..99}; do
	printf '#include <stdio.h>\n#include "all.h"\nint f%d(int x)\n{\n\treturn x + %d;\n}\n' \
	    "$i" "$i" >"$R/src/f$i.c"
	mkdir -p "$R/doc/$((i % 10))"
	seq $((i * 50)) $((i * 50 + 200)) >"$R/doc/$((i % 10))/page$i.txt"
	echo "int f$i(int x);" >>"$R/src/all.h"
done
{
	printf '#include <stdio.h>\n#include "all.h"\nint main(void)\n{\n\tint s = 0;\n'
	for i in {0..99}; do echo "	s += f$i($i);"; done
	printf '\tprintf("%%d\\n", s);\n\treturn 0;\n}\n'
} >"$R/src/main.c"
{
	echo "OBJS = main.o $(printf 'f%d.o ' {0..99})"
	printf 'prog: $(OBJS)\n\t$(CC) -o $@ $(OBJS)\n'
	printf '%%.o: %%.c all.h\n\t$(CC) -O0 -c -o $@ $<\n'
	printf 'clean:\n\trm -f prog *.o\n'
} >"$R/src/Makefile"
(cd "$R" && git init -q . && git add . && git commit -qm one && git mv doc/1 doc/moved &&
    git commit -qm two && echo more >>src/all.h && git commit -qam three &&
    git revert --no-edit HEAD) >/dev/null 2>&1 || fail "making the repository"

rf_mount "[dir /mem]
[etfs /disk]
host = $W/host" "$M" || done_testing

for d in mem disk; do
	D=$M/$d
	check "$d: git clone" git clone -q --no-hardlinks "$R" "$D/clone"
	check "$d: git fsck" git -C "$D/clone" fsck --strict
	same "$d: git status" "$(git -C "$D/clone" status --porcelain)" ""
	check "$d: the checkout" diff -r --exclude=.git "$R" "$D/clone"
	check "$d: committing in it" sh -c "cd $D/clone && git checkout -qb work &&
	    echo x >new && git add new && git commit -qm new && git gc -q && git fsck"
	check "$d: make" make -s -j2 -C "$D/clone/src"
	same "$d: the program runs" "$("$D/clone/src/prog")" 9900
	same "$d: nothing is made twice" "$(make -C "$D/clone/src" | grep -c 'O0')" 0
	touch "$D/clone/src/f7.c"
	same "$d: one change, one compilation" "$(make -C "$D/clone/src" | grep -c 'O0')" 1
	check "$d: make clean" make -s -C "$D/clone/src" clean

	db=$D/test.db
	check "$d: sqlite3: 10,000 rows" sqlite3 "$db" "PRAGMA journal_mode = delete;
	    CREATE TABLE t (id INTEGER PRIMARY KEY, who INTEGER, text TEXT);
	    CREATE INDEX i ON t (text); BEGIN;
	    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
	    INSERT INTO t SELECT i, 0, 'row ' || i FROM n; COMMIT;"
	for w in 1 2 3; do
		(for ((i = 0; i < 40; i++)); do
			sqlite3 -cmd '.timeout 30000' "$db" "BEGIN IMMEDIATE;
			    INSERT INTO t (who, text) SELECT $w, 'w$w.$i'; COMMIT;" || echo bad
		done) >>"$W/sql.$d.$w" 2>&1 &
	done
	wait $(jobs -p | grep -vxF "${RF_PID[$M]}")
	same "$d: sqlite3: three writers" "$(cat "$W/sql.$d".*)" ""
	same "$d: sqlite3: no row is lost" "$(sqlite3 "$db" 'SELECT count(*) FROM t')" 10120
	same "$d: sqlite3: integrity" "$(sqlite3 "$db" 'PRAGMA integrity_check')" ok
	check "$d: sqlite3: with a WAL (a shared mapping)" sqlite3 "$db" "PRAGMA journal_mode=wal;
	    BEGIN; DELETE FROM t WHERE id % 2; COMMIT; PRAGMA wal_checkpoint; VACUUM;"
	same "$d: sqlite3: integrity" "$(sqlite3 "$db" 'PRAGMA integrity_check')" ok

	# Sizes of one length in each run: with a range of them fio's own bookkeeping of
	# overlapping blocks fails, on any file system.
	for job in psync:randrw:4k mmap:randrw:4k libaio:randrw:1k psync:write:37k; do
		IFS=: read -r engine rw bs <<<"$job"
		check "$d: fio --verify, $job" fio --name=v --directory="$D" --ioengine="$engine" \
		    --rw="$rw" --bs="$bs" --size=8M --numjobs=2 --verify=crc32c --do_verify=1 \
		    --verify_fatal=1 --randseed=7 --fallocate=none --group_reporting --minimal
		rm -f "$D"/v.*
	done
	check "$d: removing it all" rm -r "$D/clone" "$db"
	same "$d: nothing is left" "$(ls -A "$D" | tr '\n' ' ')" ""
done
same "nothing is left on the host" "$(ls -A "$W/host")" ""
rf_umount "$M"
done_testing
