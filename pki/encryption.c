/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets at rest. Of the providers that need no key management service,
 * secretbox (XSalsa20 and Poly1305) is the one that stays safe unattended: it
 * authenticates what it encrypts, and its nonces of 24 random bytes do not
 * repeat. Kubernetes' documentation calls aescbc weak, for padding oracles, and
 * wants aesgcm's key rotated every 200,000 writes, which nobody here would do.
 */
#include "pki/encryption.h"

#include "lib/base/decode.h"
#include "lib/base/encode.h"

/* secretbox takes 32 bytes, no more and no less. */
#define KEY_LEN 32
#define MAX_NAME 63

static const char
	name_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
static const char resource_chars[] = "abcdefghijklmnopqrstuvwxyz0123456789.-*";

/* The file as it stands, decoded by the tables below. */
struct secretbox {
	struct mk_encryption_key *keys;
	size_t count;
};

struct provider {
	struct secretbox secretbox;
	bool has_secretbox, has_identity;
};

struct entry {
	struct mk_strlist resources;
	struct provider *providers;
	size_t count;
};

struct file {
	char *api_version, *kind;
	struct entry *entries;
	size_t count;
};

/* The checks do not repeat what they refuse: it may be a key in the wrong place. */

static int check_name(const char *name, struct mk_error *err)
{
	size_t len = strlen(name);

	if (len > 0 && len <= MAX_NAME && strspn(name, name_chars) == len)
		return 0;
	return mk_fail(err, MK_EINVALID,
		"a key's name has 1 to %d letters, digits, dots, hyphens and underscores",
		MAX_NAME);
}

static int check_resource(const char *name, struct mk_error *err)
{
	if (*name && strspn(name, resource_chars) == strlen(name))
		return 0;
	return mk_fail(err, MK_EINVALID, "must be a resource like secrets or deployments.apps");
}

static int check_secret(const char *secret, struct mk_error *err)
{
	mk_autowipebuf bytes = mk_buf_init(MK_MAX_ENCRYPTION_CONFIG);
	mk_autoerror why = { .code = MK_OK };

	if (mk_base64_decode(secret, &bytes, &why) == 0 && bytes.len == KEY_LEN)
		return 0;
	return mk_fail(err, MK_EINVALID, "must be %d bytes in base64", KEY_LEN);
}

static const struct mk_field key_fields[] = {
	{ .key = "name",
		.kind = MK_FIELD_STRING,
		.mandatory = true,
		.check = check_name,
		.offset = offsetof(struct mk_encryption_key, name) },
	{ .key = "secret",
		.kind = MK_FIELD_STRING,
		.mandatory = true,
		.check = check_secret,
		.offset = offsetof(struct mk_encryption_key, secret) },
};
static const struct mk_table key_table = MK_TABLE(struct mk_encryption_key, key_fields);

static const struct mk_field secretbox_fields[] = {
	{ .key = "keys",
		.kind = MK_FIELD_OBJECT_LIST,
		.mandatory = true,
		.table = &key_table,
		.offset = offsetof(struct secretbox, keys),
		.count_offset = offsetof(struct secretbox, count) },
};
static const struct mk_table secretbox_table = MK_TABLE(struct secretbox, secretbox_fields);

static const struct mk_table identity_table = { .count = 0 };

#define NOT_MANAGED "mkcluster manages secretbox alone"

static const struct mk_field provider_fields[] = {
	{ .key = "secretbox",
		.kind = MK_FIELD_OBJECT,
		.table = &secretbox_table,
		.offset = offsetof(struct provider, secretbox),
		.given_offset = offsetof(struct provider, has_secretbox) },
	{ .key = "identity",
		.kind = MK_FIELD_OBJECT,
		.table = &identity_table,
		.given_offset = offsetof(struct provider, has_identity) },
	{ .key = "aescbc", .kind = MK_FIELD_REFUSED, .help = NOT_MANAGED },
	{ .key = "aesgcm", .kind = MK_FIELD_REFUSED, .help = NOT_MANAGED },
	{ .key = "kms", .kind = MK_FIELD_REFUSED, .help = NOT_MANAGED },
};
static const struct mk_table provider_table = MK_TABLE(struct provider, provider_fields);

static const struct mk_field entry_fields[] = {
	{ .key = "resources",
		.kind = MK_FIELD_STRING_LIST,
		.mandatory = true,
		.check = check_resource,
		.offset = offsetof(struct entry, resources) },
	{ .key = "providers",
		.kind = MK_FIELD_OBJECT_LIST,
		.mandatory = true,
		.table = &provider_table,
		.offset = offsetof(struct entry, providers),
		.count_offset = offsetof(struct entry, count) },
};
static const struct mk_table entry_table = MK_TABLE(struct entry, entry_fields);

static const char *const versions[] = { "apiserver.config.k8s.io/v1", NULL };
static const char *const kinds[] = { "EncryptionConfiguration", NULL };

static const struct mk_field file_fields[] = {
	{ .key = "apiVersion",
		.kind = MK_FIELD_STRING,
		.mandatory = true,
		.choices = versions,
		.offset = offsetof(struct file, api_version) },
	{ .key = "kind",
		.kind = MK_FIELD_STRING,
		.mandatory = true,
		.choices = kinds,
		.offset = offsetof(struct file, kind) },
	{ .key = "resources",
		.kind = MK_FIELD_OBJECT_LIST,
		.mandatory = true,
		.table = &entry_table,
		.offset = offsetof(struct file, entries),
		.count_offset = offsetof(struct file, count) },
};
static const struct mk_table file_table = MK_TABLE(struct file, file_fields);

static void key_done(struct mk_encryption_key *key)
{
	free(MK_TAKE(key->name));
	mk_secret_free(MK_TAKE(key->secret));
}

static void keys_free(struct mk_encryption_key *keys, size_t count)
{
	for (size_t i = 0; i < count; i++)
		key_done(&keys[i]);
	free(keys);
}

void mk_encryption_done(struct mk_encryption *config)
{
	mk_strlist_done(&config->resources);
	keys_free(config->keys, config->key_count);
	*config = (struct mk_encryption){ .key_count = 0 };
}

/* Keys are wiped before the tables free the rest. */
static void file_done(struct file *file)
{
	for (size_t i = 0; i < file->count; i++) {
		for (size_t n = 0; n < file->entries[i].count; n++) {
			struct secretbox *box = &file->entries[i].providers[n].secretbox;

			for (size_t k = 0; k < box->count; k++)
				key_done(&box->keys[k]);
		}
	}
	mk_decode_release(&file_table, file);
}

static void check_keys(struct mk_decode *d, const struct secretbox *box, const char *path)
{
	if (box->count == 0)
		mk_decode_problem(d, path, "holds no key");
	for (size_t i = 0; i < box->count; i++) {
		for (size_t n = 0; n < i && box->keys[i].name && box->keys[n].name; n++) {
			if (mk_streq(box->keys[i].name, box->keys[n].name))
				mk_decode_problem(
					d, path, "holds two keys called '%s'", box->keys[i].name);
		}
	}
}

/* secretbox, then identity or nothing. */
static void check_providers(struct mk_decode *d, const struct entry *entry)
{
	static const char path[] = "resources[0].providers";
	const struct provider *list = entry->providers;

	for (size_t i = 0; i < entry->count; i++) {
		if (list[i].has_secretbox == list[i].has_identity) {
			mk_decode_problem(d, path, "each item has to be one provider");
			return;
		}
	}
	if (entry->count == 0 || list[0].has_identity)
		mk_decode_problem(
			d, path, "secretbox is not the first: what is written is not encrypted");
	else if (entry->count > 2 || (entry->count == 2 && !list[1].has_identity))
		mk_decode_problem(d, path, "mkcluster manages secretbox, and identity after it");
	else
		check_keys(d, &list[0].secretbox, "resources[0].providers[0].secretbox.keys");
}

static void check_file(struct mk_decode *d, const struct file *file)
{
	if (file->count != 1)
		mk_decode_problem(d, "resources", "mkcluster manages one list of resources");
	else if (file->entries[0].resources.count == 0)
		mk_decode_problem(d, "resources[0].resources", "names no resource");
	else
		check_providers(d, &file->entries[0]);
}

static int decode(
	const char *text, size_t len, const char *what, struct file *ret, struct mk_error *err)
{
	mk_autodecode decode = { .what = what };
	json_t *value = NULL;
	int r;

	if (mk_decode_parse(&decode, text, len, &value)) {
		mk_decode_object(&decode, &file_table, value, "", ret);
		if (decode.count == 0)
			check_file(&decode, ret);
	}
	mk_json_wipe(value);
	json_decref(value);
	r = mk_decode_finish(&decode, err);
	return r < 0 ? mk_error_recode(err, MK_EINVALID) : 0;
}

int mk_encryption_parse(const char *text, size_t len, const char *what, struct mk_encryption *ret,
	struct mk_error *err)
{
	MK_CLEANUP(file_done) struct file file = { .count = 0 };
	struct secretbox *box;
	struct entry *entry;
	int r = decode(text, len, what, &file, err);

	if (r < 0)
		return r;
	entry = &file.entries[0];
	box = &entry->providers[0].secretbox;
	*ret = (struct mk_encryption){ .resources = entry->resources,
		.keys = MK_TAKE(box->keys),
		.key_count = box->count,
		.identity = entry->count == 2 };
	entry->resources = (struct mk_strlist){ .items = NULL };
	box->count = 0;
	return 0;
}

int mk_encryption_print(
	const struct mk_encryption *config, struct mk_buf *ret, struct mk_error *err)
{
	mk_buf_adds(ret,
		"apiVersion: apiserver.config.k8s.io/v1\n"
		"kind: EncryptionConfiguration\n"
		"resources:\n"
		"- resources:\n");
	/* A bare asterisk begins an alias. */
	for (size_t i = 0; i < config->resources.count; i++)
		mk_buf_addf(ret,
			strchr(config->resources.items[i], '*') ? "  - '%s'\n" : "  - %s\n",
			config->resources.items[i]);
	mk_buf_adds(ret, "  providers:\n  - secretbox:\n      keys:\n");
	for (size_t i = 0; i < config->key_count; i++) {
		mk_buf_addf(ret, "      - name: \"%s\"\n        secret: ", config->keys[i].name);
		mk_buf_adds(ret, config->keys[i].secret);
		mk_buf_adds(ret, "\n");
	}
	/* The first provider writes; identity reads what was stored before encryption. */
	if (config->identity)
		mk_buf_adds(ret, "  - identity: {}\n");
	return mk_buf_check(ret, "the encryption configuration", err);
}

const struct mk_encryption_key *mk_encryption_find(
	const struct mk_encryption *config, const char *name)
{
	for (size_t i = 0; i < config->key_count; i++) {
		if (mk_streq(config->keys[i].name, name))
			return &config->keys[i];
	}
	return NULL;
}

static void append(struct mk_encryption *config, char *name, char *secret)
{
	config->keys = mk_xrealloc(config->keys, (config->key_count + 1) * sizeof(*config->keys));
	config->keys[config->key_count++] = (struct mk_encryption_key){ name, secret };
}

int mk_encryption_add_new(struct mk_encryption *config, const char *name, struct mk_error *err)
{
	unsigned char key[KEY_LEN];
	int r = check_name(name, err);

	if (r == 0 && mk_encryption_find(config, name))
		r = mk_fail(err, MK_EEXISTS, "there is a key '%s'", name);
	if (r == 0)
		r = mk_random(key, sizeof(key), err);
	if (r < 0)
		return r;
	append(config, mk_xstrdup(name), mk_base64(key, sizeof(key)));
	mk_wipe(key, sizeof(key));
	return 0;
}

void mk_encryption_add(struct mk_encryption *config, const struct mk_encryption_key *key)
{
	if (!mk_encryption_find(config, key->name))
		append(config, mk_xstrdup(key->name), mk_xstrdup(key->secret));
}

void mk_encryption_promote(struct mk_encryption *config, const char *name)
{
	const struct mk_encryption_key *found = mk_encryption_find(config, name);
	size_t at = found ? (size_t)(found - config->keys) : 0;
	struct mk_encryption_key key = config->keys[at];

	memmove(&config->keys[1], &config->keys[0], at * sizeof(key));
	config->keys[0] = key;
}

void mk_encryption_drop_others(struct mk_encryption *config, const char *name)
{
	mk_encryption_promote(config, name);
	for (size_t i = 1; i < config->key_count; i++)
		key_done(&config->keys[i]);
	config->key_count = 1;
}

bool mk_encryption_same(const struct mk_encryption *a, const struct mk_encryption *b)
{
	if (a->key_count != b->key_count || a->resources.count != b->resources.count ||
		a->identity != b->identity)
		return false;
	for (size_t i = 0; i < a->key_count; i++) {
		if (!mk_streq(a->keys[i].name, b->keys[i].name) ||
			!mk_streq(a->keys[i].secret, b->keys[i].secret))
			return false;
	}
	for (size_t i = 0; i < a->resources.count; i++) {
		if (!mk_streq(a->resources.items[i], b->resources.items[i]))
			return false;
	}
	return true;
}

int mk_encryption_new(struct mk_encryption *ret, struct mk_error *err)
{
	struct mk_encryption config = { .identity = true };
	int r = mk_encryption_add_new(&config, "key1", err);

	if (r < 0)
		return r;
	mk_strlist_add(&config.resources, "secrets");
	*ret = config;
	return 0;
}

int mk_encryption_config_new(struct mk_buf *ret, struct mk_error *err)
{
	mk_autoencryption config = { .key_count = 0 };
	int r = mk_encryption_new(&config, err);

	return r < 0 ? r : mk_encryption_print(&config, ret, err);
}
