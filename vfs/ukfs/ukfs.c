/*
 * The calls of ukfs.h.
 */
#include "vfs/ukfs/ukfs.h"
