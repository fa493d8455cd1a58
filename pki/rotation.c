/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From one set of CAs to the next in stages, and back. What stage a cluster is at is
 * in its files alone: NAME-next.crt and .key beside a CA's own pair, or NAME-previous.
 */
#include "pki/bundle_private.h"

#define MAX_FILE ((size_t)65536)

const char *mk_pki_stage_name(enum mk_pki_stage stage)
{
	static const char *const names[] = {
		[MK_PKI_SETTLED] = "settled",
		[MK_PKI_TRUSTED] = "trusted",
		[MK_PKI_ISSUED] = "issued",
	};

	return names[stage];
}

const char *mk_pki_other_suffix(enum mk_pki_stage stage)
{
	static const char *const suffixes[] = {
		[MK_PKI_SETTLED] = NULL,
		[MK_PKI_TRUSTED] = "-next",
		[MK_PKI_ISSUED] = "-previous",
	};

	return suffixes[stage];
}

enum mk_pki_stage mk_pki_bundle_stage(const struct mk_pki_bundle *bundle)
{
	return bundle->stage;
}

struct mk_pki_secret *mk_pki_bundle_other(
	const struct mk_pki_bundle *bundle, const struct mk_pki_row *row)
{
	size_t count;

	return &bundle->others[row - mk_pki_rows(&count)];
}

int mk_pki_bundle_trust(const struct mk_pki_bundle *bundle, const char *name, struct mk_buf *ret,
	struct mk_error *err)
{
	const struct mk_pki_row *row = mk_pki_row_find(name);
	const struct mk_cert *other = mk_pki_bundle_other(bundle, row)->cert;
	int r = mk_cert_pem(mk_pki_bundle_at(bundle, row, 0)->cert, ret, err);

	return r == 0 && other ? mk_cert_pem(other, ret, err) : r;
}

/* The first row stands for all: their files come and go together. */
static int find_stage(
	const struct mk_pki_source *source, enum mk_pki_stage *ret, struct mk_error *err)
{
	static const enum mk_pki_stage stages[] = { MK_PKI_ISSUED, MK_PKI_TRUSTED };

	for (size_t i = 0; i < MK_ARRAY_LEN(stages); i++) {
		mk_autofree char *path = mk_xasprintf(
			"%s/ca%s.crt", MK_PKI_DIR, mk_pki_other_suffix(stages[i]));
		mk_autobuf pem = mk_buf_init(MAX_FILE);
		int r = source->read(source->arg, path, &pem, err);

		if (r == 0) {
			*ret = stages[i];
			return 0;
		}
		if (r != -MK_ENOTFOUND)
			return r;
		mk_error_done(err);
	}
	*ret = MK_PKI_SETTLED;
	return 0;
}

int mk_pki_read_others(
	struct mk_pki_bundle *bundle, const struct mk_pki_source *source, struct mk_error *err)
{
	size_t count;
	const struct mk_pki_row *rows = mk_pki_rows(&count);
	int r = find_stage(source, &bundle->stage, err);

	for (size_t i = 0; r == 0 && i < count && bundle->stage != MK_PKI_SETTLED; i++) {
		if (!(rows[i].usages & MK_CERT_CA))
			continue;
		r = mk_pki_read_authority(source, &rows[i], mk_pki_other_suffix(bundle->stage),
			mk_pki_bundle_other(bundle, &rows[i]), err);
		if (r == -MK_ENOTFOUND)
			r = mk_error_recode(err, MK_EINVALID);
	}
	return r;
}

static void swap(struct mk_pki_secret *a, struct mk_pki_secret *b)
{
	struct mk_pki_secret kept = *a;

	*a = *b;
	*b = kept;
}

/* mk_pki_make_secret makes what is absent: the signer steps aside for it. */
static int make_next(const struct mk_pki_bundle *bundle, const struct mk_pki_spec *spec,
	const struct mk_pki_row *row, struct mk_error *err)
{
	struct mk_pki_secret *signer = mk_pki_bundle_at(bundle, row, 0);
	struct mk_pki_secret *other = mk_pki_bundle_other(bundle, row);
	int r;

	swap(signer, other);
	r = mk_pki_make_secret(bundle, spec, row, 0, err);
	swap(signer, other);
	return r;
}

static int turn_ca(const struct mk_pki_bundle *bundle, const struct mk_pki_spec *spec,
	const struct mk_pki_row *row, enum mk_pki_stage to, struct mk_error *err)
{
	struct mk_pki_secret *other = mk_pki_bundle_other(bundle, row);

	if (to == MK_PKI_TRUSTED && bundle->stage == MK_PKI_SETTLED)
		return make_next(bundle, spec, row, err);
	if (to == MK_PKI_SETTLED)
		mk_pki_secret_done(other);
	else
		swap(mk_pki_bundle_at(bundle, row, 0), other);
	return 0;
}

int mk_pki_turn_cas(
	struct mk_pki_bundle *bundle, const struct mk_pki_spec *spec, struct mk_error *err)
{
	size_t count;
	const struct mk_pki_row *rows = mk_pki_rows(&count);
	enum mk_pki_stage to;
	int r = 0;

	if (spec->turn == MK_PKI_STAY)
		return 0;
	if (spec->turn == MK_PKI_BACK && bundle->stage == MK_PKI_SETTLED)
		return mk_fail(err, MK_EINVALID,
			"the cluster has one set of CAs: there is no way "
			"back from where it is");
	to = (enum mk_pki_stage)((bundle->stage + (spec->turn == MK_PKI_BACK ? 2 : 1)) % 3);
	for (size_t i = 0; r == 0 && i < count; i++) {
		if (rows[i].usages & MK_CERT_CA)
			r = turn_ca(bundle, spec, &rows[i], to, err);
	}
	bundle->stage = to;
	return r;
}
