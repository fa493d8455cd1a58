/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/rekey.h"

const char *mk_rekey_stage_name(enum mk_rekey_stage stage)
{
	static const char *const names[] = {
		[MK_REKEY_NONE] = "none",
		[MK_REKEY_ADD] = "add",
		[MK_REKEY_PROMOTE] = "promote",
		[MK_REKEY_DROP] = "drop",
	};

	return names[stage];
}

/* N of "keyN"; 0 of any other name. */
static uint64_t number_of(const char *name)
{
	const char *digits = mk_after_prefix(name, "key");
	uint64_t number = 0;

	if (digits && *digits != '0' && mk_parse_uint(digits, 1, UINT32_MAX, &number))
		return number;
	return 0;
}

static uint64_t newest_number(const struct mk_encryption *configs, size_t count)
{
	uint64_t newest = 0;

	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < configs[i].key_count; k++) {
			uint64_t number = number_of(configs[i].keys[k].name);

			newest = number > newest ? number : newest;
		}
	}
	return newest;
}

char *mk_rekey_new_name(const struct mk_encryption *configs, size_t count)
{
	return mk_xasprintf("key%llu", (unsigned long long)newest_number(configs, count) + 1);
}

static const struct mk_encryption_key *find_in_all(
	const struct mk_encryption *configs, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		const struct mk_encryption_key *key = mk_encryption_find(&configs[i], name);

		if (key)
			return key;
	}
	return NULL;
}

static bool same_resources(const struct mk_encryption *a, const struct mk_encryption *b)
{
	mk_autofree char *of_a = mk_strlist_join(&a->resources, ",");
	mk_autofree char *of_b = mk_strlist_join(&b->resources, ",");

	return mk_streq(of_a, of_b);
}

/* Whether each name stands for one key, and the same is encrypted everywhere. */
static int check(const struct mk_encryption *configs, const char *const *names, size_t count,
	struct mk_error *err)
{
	for (size_t i = 1; i < count; i++) {
		if (!same_resources(&configs[0], &configs[i]))
			return mk_fail(err, MK_EINVALID,
				"'%s' and '%s' do not encrypt the same resources", names[0],
				names[i]);
		for (size_t k = 0; k < configs[i].key_count; k++) {
			const struct mk_encryption_key *key = &configs[i].keys[k];
			const struct mk_encryption_key *other = find_in_all(configs, i, key->name);

			if (other && !mk_streq(other->secret, key->secret))
				return mk_fail(err, MK_EINVALID,
					"'%s' has another %s than a control plane before it: what "
					"one has written, the other cannot read",
					names[i], key->name);
		}
	}
	return 0;
}

/* The key that is to stay, or NULL. */
static const struct mk_encryption_key *find_newest(
	const struct mk_encryption *configs, size_t count)
{
	mk_autofree char *name = mk_xasprintf(
		"key%llu", (unsigned long long)newest_number(configs, count));
	const struct mk_encryption_key *key = find_in_all(configs, count, name);

	for (size_t i = 0; i < count && !key; i++) {
		if (!mk_streq(configs[i].keys[0].name, configs[0].keys[0].name))
			return NULL;
	}
	return key ? key : &configs[0].keys[0];
}

static bool has_all(const struct mk_encryption *config, const struct mk_encryption *of)
{
	for (size_t k = 0; k < of->key_count; k++) {
		if (!mk_encryption_find(config, of->keys[k].name))
			return false;
	}
	return true;
}

int mk_rekey_find(const struct mk_encryption *configs, const char *const *names, size_t count,
	enum mk_rekey_stage *ret, const struct mk_encryption_key **ret_key, struct mk_error *err)
{
	const struct mk_encryption_key *key;
	bool first = true, alone = true, complete = true;
	int r = check(configs, names, count, err);

	if (r < 0)
		return r;
	key = find_newest(configs, count);
	if (!key)
		return mk_fail(err, MK_EINVALID,
			"'%s' does not write with the same key as the others, and no name tells "
			"which is the newest",
			names[0]);
	for (size_t i = 0; i < count; i++) {
		first = first && mk_streq(configs[i].keys[0].name, key->name);
		alone = alone && configs[i].key_count == 1;
		for (size_t n = 0; n < count; n++)
			complete = complete && has_all(&configs[i], &configs[n]);
	}
	*ret_key = key;
	/* Once all write with it, what only some still have is on its way out. */
	if (first)
		*ret = alone ? MK_REKEY_NONE : MK_REKEY_DROP;
	else
		*ret = complete ? MK_REKEY_PROMOTE : MK_REKEY_ADD;
	return 0;
}

static void add_all(struct mk_encryption *configs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t n = 0; n < count; n++) {
			for (size_t k = 0; n != i && k < configs[n].key_count; k++)
				mk_encryption_add(&configs[i], &configs[n].keys[k]);
		}
	}
}

void mk_rekey_step(
	struct mk_encryption *configs, size_t count, enum mk_rekey_stage stage, const char *key)
{
	if (stage == MK_REKEY_ADD)
		add_all(configs, count);
	for (size_t i = 0; i < count; i++) {
		if (stage == MK_REKEY_PROMOTE)
			mk_encryption_promote(&configs[i], key);
		else if (stage == MK_REKEY_DROP)
			mk_encryption_drop_others(&configs[i], key);
	}
}
