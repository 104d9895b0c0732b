/*
 * Histograms (hist.h).
 */
#include <math.h>

#include "daemon/ctl/hist.h"

static int
by_bound(gconstpointer a, gconstpointer b)
{
	const struct bucket *x = a, *y = b;

	return x->b_upper_us < y->b_upper_us ? -1 : x->b_upper_us > y->b_upper_us;
}

static void
add(struct hist *h, uint64_t upper, uint64_t count)
{
	struct bucket b = {upper, count};

	/* Nobody has counted that far; the sum is to stay a number. */
	if (count == 0 || count > UINT64_MAX - h->h_count)
		return;
	g_array_append_val(h->h_buckets, b);
	h->h_count += count;
}

void
hist_init(struct hist *h, JsonArray *a)
{
	h->h_buckets = g_array_new(FALSE, FALSE, sizeof(struct bucket));
	h->h_count = 0;
	for (guint i = 0; i < arr_len(a); i++) {
		JsonNode *n = json_array_get_element(a, i);
		JsonArray *pair =
		    JSON_NODE_HOLDS_ARRAY(n) ? json_node_get_array(n) : NULL;

		if (arr_len(pair) == 2) {
			bool open = json_array_get_null_element(pair, 0);

			add(h, open ? UINT64_MAX : elem_num(pair, 0), elem_num(pair, 1));
		}
	}
	g_array_sort(h->h_buckets, by_bound);
}

void
hist_diff(struct hist *ret, const struct hist *now, const struct hist *old)
{
	guint k = 0;

	hist_init(ret, NULL);
	for (guint i = 0; i < now->h_buckets->len; i++) {
		struct bucket b = g_array_index(now->h_buckets, struct bucket, i);
		const struct bucket *o;

		for (; k < old->h_buckets->len; k++) {
			o = &g_array_index(old->h_buckets, struct bucket, k);
			if (o->b_upper_us > b.b_upper_us)
				break;
			if (o->b_upper_us == b.b_upper_us)
				b.b_count -= MIN(o->b_count, b.b_count);
		}
		add(ret, b.b_upper_us, b.b_count);
	}
}

uint64_t
hist_percentile(const struct hist *h, double part)
{
	double rank = MAX(ceil(part * h->h_count), 1);
	uint64_t sum = 0, upper = 0;

	for (guint i = 0; i < h->h_buckets->len; i++) {
		const struct bucket *b = &g_array_index(h->h_buckets, struct bucket, i);

		sum += b->b_count;
		upper = b->b_upper_us;
		if (sum >= rank)
			break;
	}
	return upper;
}

uint64_t
hist_below(const struct hist *h, uint64_t us)
{
	uint64_t sum = 0;

	for (guint i = 0; i < h->h_buckets->len; i++) {
		const struct bucket *b = &g_array_index(h->h_buckets, struct bucket, i);

		if (b->b_upper_us <= us)
			sum += b->b_count;
	}
	return sum;
}

void
hist_add(struct hist *h, const struct hist *other)
{
	for (guint i = 0; i < other->h_buckets->len; i++) {
		const struct bucket *b =
		    &g_array_index(other->h_buckets, struct bucket, i);

		add(h, b->b_upper_us, b->b_count);
	}
	g_array_sort(h->h_buckets, by_bound);
}

void
hist_done(struct hist *h)
{
	g_array_unref(h->h_buckets);
}
