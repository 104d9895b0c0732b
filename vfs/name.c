/* Names: checked and hashed once, at the door (name.h). */
#include "vfs/name.h"

#include <sys/random.h>

uint64_t name_hash_seed;

__attribute__((constructor)) static void
draw_seed(void)
{
	if (getrandom(&name_hash_seed, sizeof(name_hash_seed), GRND_NONBLOCK) !=
	    sizeof(name_hash_seed))
		name_hash_seed = 0x9e3779b97f4a7c15ull ^ (uintptr_t)&name_hash_seed;
}

static inline uint64_t
mix(uint64_t a, uint64_t b)
{
	unsigned __int128 p = (unsigned __int128)a * b;

	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

/* Eight bytes a step, folded by a 64×64→128 multiplication keyed with the seed. */
uint32_t
name_hash(const char *ptr, size_t len)
{
	uint64_t h = name_hash_seed ^ (len * 0xa0761d6478bd642full), w;

	for (; len >= 8; ptr += 8, len -= 8) {
		memcpy(&w, ptr, 8);
		h = mix(h ^ w, name_hash_seed | 0xe7037ed1a0b428dbull);
	}
	w = 0;
	memcpy(&w, ptr, len);
	h = mix(h ^ w, name_hash_seed | 0x8ebc6af09c88c6e3ull);
	return (uint32_t)(h ^ (h >> 32));
}

int
name_init_len(struct name *ret, const char *ptr, size_t len)
{
	if (len == 0)
		return -ENOENT;
	if (len > NAME_LEN_MAX)
		return -ENAMETOOLONG;
	if (ptr[0] == '.' && (len == 1 || (len == 2 && ptr[1] == '.')))
		return -EINVAL;
	if (memchr(ptr, '/', len) || memchr(ptr, '\0', len))
		return -EINVAL;
	ret->n_ptr = ptr;
	ret->n_len = (uint16_t)len;
	ret->n_hash = name_hash(ptr, len);
	return 0;
}

int
name_init(struct name *ret, const char *component)
{
	return name_init_len(ret, component, strnlen(component, NAME_LEN_MAX + 1));
}
