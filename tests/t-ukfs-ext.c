/* The same on ext4, checked by e2fsck after each case. */
#define T_TYPE "ext"
#include "tests/t-ukfs-calls.h"
