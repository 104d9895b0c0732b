/*
 * ukfs: work on a file system image without mounting it.
 */
#include <locale.h>

#include "vfs/ukfs/tool/tool.h"

int
main(int argc, char **argv)
{
	setlocale(LC_ALL, "");
	return tool_main(argc, argv);
}
