/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Such an archive has a folder a layer, sorted by the folder's name, so their
 * order says nothing. But the name is an id that the engine makes from the
 * layer's chain id, the parent's id and, below the top layer, constants:
 * https://github.com/moby/moby/blob/v20.10.24/image/tarexport/save.go (saveImage)
 * and image/v1/imagev1.go (CreateID). We make the same ids. The top layer's id
 * holds the image's configuration too; it is known by its parent.
 *
 * All this is a guess about someone else's code: whoever uses it compares the
 * hash of the bytes in the end.
 */
#include "lib/registry/hints.h"

#include "lib/registry/digest.h"
#include "lib/registry/reference.h"

/* Go's JSON of an empty container.Config and of the epoch. */
#define EMPTY_CONFIG                                                                               \
	"{\"Hostname\":\"\",\"Domainname\":\"\",\"User\":\"\",\"AttachStdin\":false,"              \
	"\"AttachStdout\":false,\"AttachStderr\":false,\"Tty\":false,\"OpenStdin\":false,"         \
	"\"StdinOnce\":false,\"Env\":null,\"Cmd\":null,\"Image\":\"\",\"Volumes\":null,"           \
	"\"WorkingDir\":\"\",\"Entrypoint\":null,\"OnBuild\":null,\"Labels\":null}"
#define EPOCH "1970-01-01T00:00:00Z"

struct hint {
	char *key; /* the layer's id, or for a top layer its parent's */
	char *layer;
	bool top;
	bool doubtful; /* two images with different top layers on the same parent */
};

struct mk_hints {
	struct hint *items;
	size_t count;
};

static struct hint *find(const struct mk_hints *hints, bool top, const char *key)
{
	for (size_t i = 0; i < hints->count; i++) {
		if (hints->items[i].top == top && mk_streq(hints->items[i].key, key))
			return &hints->items[i];
	}
	return NULL;
}

static void add(struct mk_hints *hints, bool top, const char *key, const char *layer)
{
	struct hint *hint = find(hints, top, key);

	if (hint) {
		hint->doubtful = hint->doubtful || !mk_streq(hint->layer, layer);
		return;
	}
	hints->items = mk_xrealloc(hints->items, (hints->count + 1) * sizeof(hints->items[0]));
	hints->items[hints->count++] = (struct hint){
		.key = mk_xstrdup(key),
		.layer = mk_xstrdup(layer),
		.top = top,
	};
}

/* Replace `chain` by the chain id with one more layer on top. */
static int extend_chain(char **chain, const char *layer, struct mk_error *err)
{
	mk_autofree char *hex = NULL;
	mk_autofree char *text = NULL;
	int r;

	if (!*chain) {
		*chain = mk_xstrdup(layer);
		return 0;
	}
	text = mk_xasprintf("%s %s", *chain, layer);
	r = mk_digest_data(text, strlen(text), &hex, err);
	if (r < 0)
		return r;
	free(*chain);
	*chain = mk_xasprintf("sha256:%s", hex);
	return 0;
}

/* Replace `id` (the parent's, or "") by the id of the layer with this chain. */
static int extend_id(char **id, const char *chain, struct mk_error *err)
{
	mk_autofree char *parent = **id ? mk_xasprintf(",\"parent\":\"sha256:%s\"", *id)
					: mk_xstrdup("");
	mk_autofree char *text = mk_xasprintf("{\"container_config\":" EMPTY_CONFIG
					      ",\"created\":\"" EPOCH "\",\"layer_id\":\"%s\"%s}",
		chain, parent);
	char *hex = NULL;
	int r = mk_digest_data(text, strlen(text), &hex, err);

	if (r < 0)
		return r;
	free(*id);
	*id = hex;
	return 0;
}

static int add_image(struct mk_hints *hints, const struct mk_strlist *layers, struct mk_error *err)
{
	mk_autofree char *chain = NULL;
	mk_autofree char *id = mk_xstrdup("");

	for (size_t i = 0; i < layers->count; i++) {
		const char *layer = layers->items[i];
		int r;

		if (!mk_is_digest(layer))
			return 0;
		if (i + 1 == layers->count) {
			add(hints, /* top= */ true, id, layer);
			return 0;
		}
		r = extend_chain(&chain, layer, err);
		if (r == 0)
			r = extend_id(&id, chain, err);
		if (r < 0)
			return r;
		add(hints, /* top= */ false, id, layer);
	}
	return 0;
}

int mk_hints_new(
	const struct mk_strlist *layers, size_t count, struct mk_hints **ret, struct mk_error *err)
{
	MK_CLEANUP(mk_hints_freep) struct mk_hints *hints = mk_xcalloc(1, sizeof(*hints));

	for (size_t i = 0; i < count; i++) {
		int r = add_image(hints, &layers[i], err);

		if (r < 0)
			return r;
	}
	*ret = MK_TAKE(hints);
	return 0;
}

void mk_hints_free(struct mk_hints *hints)
{
	if (!hints)
		return;
	for (size_t i = 0; i < hints->count; i++) {
		free(hints->items[i].key);
		free(hints->items[i].layer);
	}
	free(hints->items);
	free(hints);
}

const char *mk_hints_find(const struct mk_hints *hints, const char *id, const char *parent)
{
	const struct hint *hint = find(hints, /* top= */ false, id);

	if (!hint)
		hint = find(hints, /* top= */ true, parent);
	return hint && !hint->doubtful ? hint->layer : NULL;
}
