/*
 * p-corrupt IMAGE SEED OUT: writes the image with the random damage of that seed
 * (corrupt.h), which is what p-hostile mounts.
 */
#include "corrupt.h"

static struct hot hot;

int
main(int argc, char **argv)
{
	FILE *in = argc == 4 ? fopen(argv[1], "rb") : NULL, *out;
	uint8_t *p = NULL;
	size_t len = 0, n;

	if (!in) {
		fprintf(stderr, "usage: p-corrupt IMAGE SEED OUT\n");
		return 2;
	}
	do {
		uint8_t *q = realloc(p, len + (1 << 20));

		if (!q)
			return 1;
		p = q;
		n = fread(p + len, 1, 1 << 20, in);
		len += n;
	} while (n > 0);
	fclose(in);
	corrupt_look(p, len, &hot);
	corrupt(p, &len, &hot, strtoull(argv[2], NULL, 0));
	out = fopen(argv[3], "wb");
	if (!out || fwrite(p, 1, len, out) != len || fclose(out) != 0) {
		perror(argv[3]);
		return 1;
	}
	free(p);
	return 0;
}
