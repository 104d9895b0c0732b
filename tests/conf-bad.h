/*
 * Configurations that are wrong, and everything that is said of each.  The text is
 * written to t.conf; "t.conf:" is left out before each line of the errors.
 */
static const struct {
	const char *text;
	const char *errors;
} bad[] = {
    {"[etfs /a]\nhost disk.img\nhost = a\n",
	"2: [etfs /a]: \"host disk.img\" has no \"=\", expected KEY = VALUE"},
    {"[daemon]\n; not a comment\n",
	"2: [daemon]: \"; not a comment\" has no \"=\", expected KEY = VALUE (comments "
	"start with \"#\")"},
    {"// lab\n[daemon]\n",
	"1: \"// lab\" has no \"=\", expected KEY = VALUE (comments start with \"#\")"},
    {"host = a\n[daemon]\n",
	"1: host: a key before any section, expected one first, such as [etfs /PATH]"},
    {"hello\n", "1: \"hello\" has no \"=\", expected KEY = VALUE"},
    {"[daemon]\n= ro\n", "2: [daemon]: \"= ro\" has no key, expected KEY = VALUE"},
    {"[etfs /a\nhost = a\n",
	"1: \"[etfs /a\" is not a section, expected a closing \"]\""},
    {"[daemon] x\naccess = maybe\n",
	"1: \"[daemon] x\" is not a section, expected nothing after the \"]\""},
    {"[rumpfs] # the tree\nsize = 1\n",
	"1: \"[rumpfs] # the tree\" is not a section, expected nothing after the \"]\" "
	"(a comment stands on a line of its own)"},
    {"[etfs /a]b]\nhost = a\n",
	"1: \"[etfs /a]b]\" is not a section, expected nothing after the \"]\" (a path "
	"with \"]\" goes into a path key)"},
    {"[etfs /a[b]\nhost = a\n",
	"1: \"[etfs /a[b]\" is not a section, expected no \"[\" in the name (a path "
	"with \"[\" goes into a path key)"},
    {"[etfs /a\tb\001]\nhost = a\n",
	"1: \"[etfs /a\\x09b\\x01]\" is not a section, expected no control characters "
	"in the name (a path with one goes into a path key)"},
    {"[ ]\n", "1: \"[ ]\" is not a section, expected a name between the brackets"},
    {"[etfs /a]\nhost = a.img # the disk\n",
	"2: [etfs /a] host: a comment after the value, expected it on a line of its own "
	"(a \" #\" that belongs to the value is written \"\\s#\")"},
    {"[daemon]\naccess = ro\t# or rw\n",
	"2: [daemon] access: a comment after the value, expected it on a line of its "
	"own (a \" #\" that belongs to the value is written \"\\s#\")"},
    {"[etfs /a]\nhost = c:\\disk\n",
	"2: [etfs /a] host: \"\\d\" is not an escape, expected \\s, \\n, \\t, \\r or "
	"\\\\"},
    {"[etfs /a]\nhost = disk\\\n",
	"2: [etfs /a] host: \"\\\" is not an escape, expected \\s, \\n, \\t, \\r or "
	"\\\\"},
    {"\357\273\277[daemon]\naccess = no\n",
	"1: the file starts with a byte order mark, expected plain UTF-8 text\n"
	"2: [daemon] access: \"no\" is not an access, expected rw or ro"},
    {"[daemon]\r\naccess = wo\r\n",
	"2: [daemon] access: \"wo\" is not an access, expected rw or ro"},
    {"[efts /a]\nhost = a\n",
	"1: [efts /a]: \"efts\" is not a kind of section, did you mean \"etfs\"?"},
    {"[ETFS /a]\nhost = a\n",
	"1: [ETFS /a]: \"ETFS\" is not a kind of section, did you mean \"etfs\"?"},
    {"[/tmp]\nmode = 1777\n",
	"1: [/tmp]: \"/tmp\" is not a kind of section, expected daemon or rumpfs, or "
	"dir, file, symlink, node, whiteout, etfs or mount and a path"},
    {"[daemon /x]\n", "1: [daemon /x]: this section has no path, expected [daemon]"},
    {"[daemon]\n[rumpfs]\n[daemon]\n",
	"3: [daemon]: the section is repeated, expected it once (first in line 1)"},
    {"[etfs /a]\nhost = a\n\n[etfs  /a]\nhost = b\n",
	"4: [etfs /a]: the section is repeated, expected it once (first in line 1)"},
    {"[etfs one]\nhost = a\n",
	"1: [etfs one]: no path, expected [etfs /PATH] or a path key"},
    {"[dir]\nmode = 0755\n", "1: [dir]: no path, expected [dir /PATH] or a path key"},
    {"[etfs /a]\nhost = a\npath = /b\n",
	"3: [etfs /a] path: the section's name has the path already, expected only one"},
    {"[etfs /a]\nhots = a\nhost = a\n",
	"2: [etfs /a] hots: unknown key, did you mean \"host\"?"},
    {"[daemon]\nallow_other = yes\n",
	"2: [daemon] allow_other: unknown key, did you mean \"allow-other\"?"},
    {"[rumpfs]\nSIZE = 1\n", "2: [rumpfs] SIZE: unknown key, did you mean \"size\"?"},
    {"[daemon]\nuser = me\n",
	"2: [daemon] user: unknown key, expected mountpoint, access, allow-other, "
	"attr-timeout, watch, wait, threads, dev, suid, export, seccomp, slow, "
	"passthrough, transport, no-open or writeback"},
    {"[symlink /a]\ntarget = b\nmode = 0777\n",
	"3: [symlink /a] mode: unknown key, expected target, uid or gid"},
    {"[etfs /a]\nhost = a\nhost[de] = b\n",
	"3: [etfs /a] host[de]: unknown key, expected host, type, begin, size, "
	"partition, access, missing, hidden, lock, symlinks, special, watch, mode, uid or gid"},
    {"[etfs /a]\nhost = a\naccess = ro\nhost = a\n",
	"4: [etfs /a] host: repeated, expected it once (first in line 2)"},
    {"[whiteout /a]\nmode = 0644\n", "2: [whiteout /a] mode: unknown key, expected none"},
    {"[dir a]\npath = tmp\n",
	"2: [dir a] path: \"tmp\" is not absolute, expected a path that starts with "
	"\"/\""},
    {"[dir a]\npath =\n",
	"2: [dir a] path: \"\" is not absolute, expected a path that starts with \"/\""},
    {"[dir /a/../b]\n",
	"1: [dir /a/../b]: the path has a \"..\" component, expected only names"},
    {"[dir a]\npath = /./b\n",
	"2: [dir a] path: the path has a \".\" component, expected only names"},
    {"[dir /]\nmode = 0700\n",
	"1: [dir /]: the path is the root of the mount, expected one below it ([rumpfs] "
	"has the root's mode, uid and gid)"},
    {"[etfs /]\nhost = a\ntype = reg\n",
	"3: [etfs /] type: the root of the mount is a directory, expected dir or "
	"dir-subdirs"},
    {"[dir /a]\n[etfs //a/]\nhost = a\n",
	"2: [etfs //a/]: the path is declared already by [dir /a] (t.conf:1), expected "
	"one section for a path"},
    {"[file /a]\n[whiteout /a]\n",
	"2: [whiteout /a]: the path is declared already by [file /a] (t.conf:1), "
	"expected one section for a path"},
    {"[dir /a/b/c]\n[file /a]\n",
	"1: [dir /a/b/c]: the path is below [file /a] (t.conf:2), expected a directory "
	"above it"},
    {"[symlink /a]\ntarget = b\n[etfs /a/b]\nhost = x\n",
	"3: [etfs /a/b]: the path is below [symlink /a] (t.conf:1), expected a "
	"directory above it"},
    {"[etfs /a]\nhost = x\ntype = blk\n[dir /a/b]\n",
	"4: [dir /a/b]: the path is below [etfs /a] (t.conf:1), expected a directory "
	"above it"},
    {"[whiteout /a]\n[file /a/b]\n",
	"2: [file /a/b]: the path is below [whiteout /a] (t.conf:1), expected a "
	"directory above it"},
    {"[etfs /disk/p1]\nhost = a\ntype = blob\n",
	"3: [etfs /disk/p1] type: \"blob\" is not a type, expected reg, blk, chr, dir "
	"or dir-subdirs"},
    {"[etfs /a]\nhost = a\ntype =\n",
	"3: [etfs /a] type: \"\" is not a type, expected reg, blk, chr, dir or "
	"dir-subdirs"},
    {"[daemon]\naccess = readonly\n",
	"2: [daemon] access: \"readonly\" is not an access, expected rw or ro"},
    {"[daemon]\nallow-other = 1\n",
	"2: [daemon] allow-other: \"1\" is not a boolean, expected yes, no, true or "
	"false"},
    {"[daemon]\nattr-timeout = soon\n",
	"2: [daemon] attr-timeout: \"soon\" is not a time, expected a number with an "
	"optional s or ms"},
    {"[daemon]\nattr-timeout = 5m\n",
	"2: [daemon] attr-timeout: \"5m\" is not a time, expected a number with an "
	"optional s or ms"},
    {"[daemon]\nattr-timeout = 10000000000s\n",
	"2: [daemon] attr-timeout: \"10000000000s\" is too large, expected at most "
	"9223372036s"},
    {"[daemon]\nthreads = 0\n",
	"2: [daemon] threads: \"0\" is not a number of threads, expected auto or 1 to "
	"1024"},
    {"[daemon]\nmountpoint =\n", "2: [daemon] mountpoint: empty, expected a path"},
    {"[rumpfs]\nsize = lots\n",
	"2: [rumpfs] size: \"lots\" is not a size, expected a whole number with an "
	"optional K, M, G, T or s (512-byte sectors), or a percentage of the memory"},
    {"[etfs /a]\nhost = a\nsize = 64m\n",
	"3: [etfs /a] size: \"64m\" is not a size, expected a whole number with an "
	"optional K, M, G, T or s (512-byte sectors), or end"},
    {"[etfs /a]\nhost = a\nbegin = 1.5M\n",
	"3: [etfs /a] begin: \"1.5M\" is not a size, expected a whole number with an "
	"optional K, M, G, T or s (512-byte sectors)"},
    {"[etfs /a]\nhost = a\nbegin = -1\n",
	"3: [etfs /a] begin: \"-1\" is not a size, expected a whole number with an "
	"optional K, M, G, T or s (512-byte sectors)"},
    {"[etfs /a]\nhost = a\nsize = 8388608T\n",
	"3: [etfs /a] size: \"8388608T\" is too large, expected at most 2^63-1 bytes"},
    {"[etfs /a]\nhost = a\nbegin = 1\nsize = 9223372036854775807\n",
	"4: [etfs /a] size: begin + size is too large, expected at most 2^63-1 bytes"},
    {"[etfs /a]\nhost = a\nbegin = end\n",
	"3: [etfs /a] begin: \"end\" is not a size, expected a whole number with an "
	"optional K, M, G, T or s (512-byte sectors)"},
    {"[rumpfs]\nsize = 101%\n",
	"2: [rumpfs] size: \"101%\" is out of range, expected 1% to 100%"},
    {"[rumpfs]\ninodes = 1G\n",
	"2: [rumpfs] inodes: \"1G\" is not a count, expected a whole number with an "
	"optional K or M"},
    {"[dir /a]\nmode = 0888\n",
	"2: [dir /a] mode: \"0888\" is not a mode, expected octal digits, 0 to 7777"},
    {"[dir /a]\nmode = 10000\n",
	"2: [dir /a] mode: \"10000\" is not a mode, expected octal digits, 0 to 7777"},
    {"[rumpfs]\nmode = rwxr-xr-x\n",
	"2: [rumpfs] mode: \"rwxr-xr-x\" is not a mode, expected octal digits, 0 to "
	"7777"},
    {"[dir /a]\nuid = nosuchuser\n",
	"2: [dir /a] uid: \"nosuchuser\" is not a user, expected a number or a name "
	"that this system knows"},
    {"[dir /a]\ngid = nosuchgroup\n",
	"2: [dir /a] gid: \"nosuchgroup\" is not a group, expected a number or a name "
	"that this system knows"},
    {"[rumpfs]\nuid = 4294967295\n",
	"2: [rumpfs] uid: \"4294967295\" is too large, expected at most 4294967294"},
    {"[etfs /a]\nhost = a\nsymlinks = yes\n",
	"3: [etfs /a] symlinks: \"yes\" is not a choice, expected show, hide or follow"},
    {"[etfs /a]\nhost = a\nmissing = ignore\n",
	"3: [etfs /a] missing: \"ignore\" is not a choice, expected fail, hide or wait"},
    {"[node /a]\ntype = pipe\n",
	"2: [node /a] type: \"pipe\" is not a type, expected chr, blk, fifo or sock"},
    {"[node /a]\ntype = chr\nmajor = 4096\nminor = 0\n",
	"3: [node /a] major: \"4096\" is not a device number, expected a number from 0 "
	"to 4095"},
    {"[node /a]\ntype = chr\nmajor = 1\nminor = x\n",
	"4: [node /a] minor: \"x\" is not a device number, expected a number from 0 to "
	"1048575"},
    {"[etfs /a]\nhost = a\npartition =\n",
	"3: [etfs /a] partition: empty, expected a number, PARTLABEL or PARTUUID"},
    {"[symlink /a]\ntarget =\n",
	"2: [symlink /a] target: empty, expected what the symlink points to"},
    {"[etfs /a]\ntype = blk\n",
	"1: [etfs /a] host: missing, expected the path of a host file or directory"},
    {"[symlink /a]\n",
	"1: [symlink /a] target: missing, expected what the symlink points to"},
    {"[node /a]\nmode = 0666\n",
	"1: [node /a] type: missing, expected chr, blk, fifo or sock"},
    {"[node /a]\ntype = blk\n", "1: [node /a] major: missing, expected a device number\n"
				"1: [node /a] minor: missing, expected a device number"},
    {"[node /a]\ntype = fifo\nmajor = 1\nminor = 1\n",
	"3: [node /a] major: only chr and blk have device numbers, expected none\n"
	"4: [node /a] minor: only chr and blk have device numbers, expected none"},
    {"[file /a]\ncontent = x\nhost-copy = y\n",
	"3: [file /a] host-copy: content is given too, expected only one of them"},
    {"[etfs /a]\nhost = a\nbegin = 1M\npartition = 1\nsize = 1M\n",
	"3: [etfs /a] begin: the partition says it already, expected only one of "
	"partition and begin, size\n"
	"5: [etfs /a] size: the partition says it already, expected only one of "
	"partition and begin, size"},
    {"[etfs /a]\nhost = a\ntype = dir\nbegin = 0\nsize = 1M\n",
	"4: [etfs /a] begin: not for a directory, expected type reg, blk or chr with "
	"it\n"
	"5: [etfs /a] size: not for a directory, expected type reg, blk or chr with it"},
    {"[etfs /a]\nhost = a\ntype = dir-subdirs\nlock = yes\n",
	"4: [etfs /a] lock: not for a directory, expected type reg, blk or chr with it"},
    {"[etfs /a]\nhost = a\ntype = dir\npartition = 1\n",
	"4: [etfs /a] partition: not for a directory, expected type reg, blk or chr "
	"with it"},
    {"[etfs /a]\nhost = a\ntype = reg\nsymlinks = show\nspecial = no\n",
	"4: [etfs /a] symlinks: only for a directory, expected type dir or dir-subdirs "
	"with it\n"
	"5: [etfs /a] special: only for a directory, expected type dir or dir-subdirs "
	"with it"},
    {"[daemon]\n"
     "acess = ro\n"
     "threads = many\n"
     "\n"
     "[etfs /a]\n"
     "type = blob\n"
     "size = big\n"
     "[file /b]\n"
     "mode = 9\n"
     "[file /b/c]\n"
     "[dir a/b]\n",
	"2: [daemon] acess: unknown key, did you mean \"access\"?\n"
	"3: [daemon] threads: \"many\" is not a number of threads, expected auto or 1 "
	"to 1024\n"
	"5: [etfs /a] host: missing, expected the path of a host file or directory\n"
	"6: [etfs /a] type: \"blob\" is not a type, expected reg, blk, chr, dir or "
	"dir-subdirs\n"
	"7: [etfs /a] size: \"big\" is not a size, expected a whole number with an "
	"optional K, M, G, T or s (512-byte sectors), or end\n"
	"9: [file /b] mode: \"9\" is not a mode, expected octal digits, 0 to 7777\n"
	"10: [file /b/c]: the path is below [file /b] (t.conf:8), expected a directory "
	"above it\n"
	"11: [dir a/b]: no path, expected [dir /PATH] or a path key"},
    {"[daemon]\naccess = a\\tb\\n\n",
	"2: [daemon] access: \"a\\x09b\\x0a\" is not an access, expected rw or ro"},
    {"[mount /p1]\n"
     "vfs = auto\n",
	"1: [mount /p1]: no device, expected device = a path of this mount or host = a host file"},
    {"[mount /p1]\n"
     "host = a.img\n"
     "device = /a\n",
	"3: [mount /p1] device: host is given too, expected only one of them"},
    {"[mount /p1]\n"
     "device = /a\n"
     "begin = 1M\n"
     "size = 1M\n"
     "partition = 1\n"
     "lock = no\n",
	"3: [mount /p1] begin: only for a host file, expected host with it\n"
	"4: [mount /p1] size: only for a host file, expected host with it\n"
	"5: [mount /p1] partition: only for a host file, expected host with it\n"
	"6: [mount /p1] lock: only for a host file, expected host with it"},
    {"[mount /p1]\n"
     "host = a.img\n"
     "partition = 1\n"
     "begin = 1M\n"
     "size = 1M\n",
	"4: [mount /p1] begin: the partition says it already, expected only one of partition and begin, size\n"
	"5: [mount /p1] size: the partition says it already, expected only one of partition and begin, size"},
    {"[mount /p1]\n"
     "host = a.img\n"
     "begin = 9223372036854775807\n"
     "size = 1\n",
	"4: [mount /p1] size: begin + size is too large, expected at most 2^63-1 bytes"},
    {"[mount /p1]\n"
     "vfs = rumpfs\n"
     "device = /a\n"
     "[mount /p2]\n"
     "host = a\n"
     "vfs = rumpfs\n",
	"3: [mount /p1] device: a tree in memory lies on no device, expected none\n"
	"5: [mount /p2] host: a tree in memory lies on no device, expected none"},
    {"[mount /p1]\n"
     "host = a.img\n"
     "missing = hide\n"
     "verbose = yes\n",
	"3: [mount /p1] missing: unknown key, expected vfs, device, host, begin, size, partition, lock, access, options, uid or gid\n"
	"4: [mount /p1] verbose: unknown key, expected vfs, device, host, begin, size, partition, lock, access, options, uid or gid"},
    {"[mount /p1]\n"
     "devise = /a\n",
	"2: [mount /p1] devise: unknown key, did you mean \"device\"?"},
    {"[mount /p1]\n"
     "vfs =\n"
     "device =\n"
     "options =\n",
	"2: [mount /p1] vfs: empty, expected a file system type, or auto\n"
	"3: [mount /p1] device: \"\" is not absolute, expected a path that starts with \"/\"\n"
	"4: [mount /p1] options: empty, expected options of the file system type"},
    {"[mount /p1]\n"
     "device = a/b\n"
     "access = no\n"
     "uid = -1\n",
	"2: [mount /p1] device: \"a/b\" is not absolute, expected a path that starts with \"/\"\n"
	"3: [mount /p1] access: \"no\" is not an access, expected rw or ro\n"
	"4: [mount /p1] uid: \"-1\" is not a user, expected a number or a name that this system knows"},
    {"[etfs /p1]\n"
     "host = a\n"
     "[mount /p1]\n"
     "host = b\n",
	"3: [mount /p1]: the path is declared already by [etfs /p1] (t.conf:1), expected one section for a path"},
    {"[file /a]\n"
     "[mount /a/b]\n"
     "host = b\n",
	"2: [mount /a/b]: the path is below [file /a] (t.conf:1), expected a directory above it"},
    {"[mount /p1]\n"
     "device = /p1/disk\n"
     "[mount /p2]\n"
     "device = /p2\n"
     "[mount /]\n"
     "device = /disk\n",
	"1: [mount /p1] device: it is in what is mounted, expected a path elsewhere\n"
	"3: [mount /p2] device: it is in what is mounted, expected a path elsewhere\n"
	"5: [mount /] device: it is in what is mounted, expected a path elsewhere"},
    {"[mount /a]\n"
     "device = /b/disk\n"
     "[mount /b/c]\n"
     "device = /a/x/disk\n"
     "[mount /b]\n"
     "device = /a/disk\n"
     "[mount /d]\n"
     "device = /b/c/disk\n",
	"5: [mount /b] device: it is in [mount /a] (t.conf:1), whose device is in this one, expected no circle"},
    {"[daemon]\nwriteback = yes\n[etfs /a]\nhost = a\n",
	"3: [etfs /a]: with writeback = yes the kernel does not look at what is on the "
	"host, expected no [etfs] section, or writeback = no"},
    {"[mount /a]\n"
     "host = a\n"
     "[mount /a]\n"
     "host = b\n",
	"3: [mount /a]: the section is repeated, expected it once (first in line 1)"},
};
