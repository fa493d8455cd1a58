/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grammar is that of github.com/distribution/reference, which docker and
 * containerd share; only sha256 digests are taken, as the registry has no others.
 */
#include "lib/registry/reference.h"

#include "lib/base/str.h"

#define NAME_MAX_LEN 255
#define TAG_MAX_LEN 128
#define DEFAULT_HOST "docker.io"

static bool is_lower(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
	return is_lower(c) || (c >= 'A' && c <= 'Z');
}

bool mk_is_digest(const char *text)
{
	const char *hex = mk_after_prefix(text, "sha256:");

	return hex && strlen(hex) == 64 && strspn(hex, "0123456789abcdef") == 64;
}

/* Length of a separator inside a component: ".", "_", "__" or dashes; else 0. */
static size_t separator(const char *s)
{
	if (s[0] == '.')
		return 1;
	if (s[0] == '_')
		return s[1] == '_' ? 2 : 1;
	return strspn(s, "-");
}

/* [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)* between slashes. */
static bool is_path(const char *s)
{
	for (;;) {
		size_t skip;

		if (!is_lower(*s))
			return false;
		while (is_lower(*s))
			s++;
		if (*s == '\0')
			return true;
		skip = *s == '/' ? 1 : separator(s);
		if (skip == 0)
			return false;
		s += skip;
	}
}

static bool is_tag(const char *s)
{
	size_t len = strlen(s);

	if (len == 0 || len > TAG_MAX_LEN || !(is_alnum(s[0]) || s[0] == '_'))
		return false;
	for (; *s; s++) {
		if (!is_alnum(*s) && !strchr("_.-", *s))
			return false;
	}
	return true;
}

static bool is_port(const char *s)
{
	uint64_t port;

	return mk_parse_uint(s, 1, 65535, &port);
}

/* One part of a DNS name: letters and digits, dashes between them. */
static bool is_label(const char *s, size_t len)
{
	if (len == 0 || !is_alnum(s[0]) || !is_alnum(s[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!is_alnum(s[i]) && s[i] != '-')
			return false;
	}
	return true;
}

/* A DNS name or an address, perhaps a port after it. */
static bool is_host(const char *s)
{
	if (*s == '[') {
		size_t n = strspn(s + 1, "0123456789abcdefABCDEF:");

		s += n + 1;
		if (n == 0 || *s++ != ']')
			return false;
		return *s == '\0' || (*s == ':' && is_port(s + 1));
	}
	for (;;) {
		size_t n = strcspn(s, ".:");

		if (!is_label(s, n))
			return false;
		s += n;
		if (*s != '.')
			return *s == '\0' || is_port(s + 1);
		s++;
	}
}

/* The part before the first slash is a host when it cannot be a path. */
static bool looks_like_host(const char *part)
{
	if (mk_streq(part, "localhost") || strpbrk(part, ".:["))
		return true;
	for (; *part; part++) {
		if (*part >= 'A' && *part <= 'Z')
			return true;
	}
	return false;
}

static int fail(struct mk_error *err, const char *text, const char *words)
{
	/* Shown as far as it is printable: names come from archives too. */
	size_t len = 0;

	while (len < NAME_MAX_LEN && text[len] > ' ' && text[len] < 0x7f)
		len++;
	return mk_fail(err, MK_EINVALID, "image name '%.*s': %s", (int)len, text, words);
}

/* Cut the digest and the tag off `name`. */
static int take_suffixes(
	char *name, const char *text, struct mk_reference *ref, struct mk_error *err)
{
	char *at = strchr(name, '@');
	char *slash;
	char *colon;

	if (at) {
		*at = '\0';
		if (!mk_is_digest(at + 1))
			return fail(err, text, "the digest is not sha256: and 64 hex digits");
		ref->digest = mk_xstrdup(at + 1);
	}
	slash = strrchr(name, '/');
	colon = strrchr(name, ':');
	if (colon && (!slash || colon > slash)) {
		*colon = '\0';
		if (!is_tag(colon + 1))
			return fail(err, text,
				"the tag is not 1 to 128 letters, digits, '_', '.' and '-'");
		ref->tag = mk_xstrdup(colon + 1);
	}
	if (!ref->tag && !ref->digest)
		ref->tag = mk_xstrdup("latest");
	return 0;
}

static int take_name(char *name, const char *text, struct mk_reference *ref, struct mk_error *err)
{
	char *slash = strchr(name, '/');
	char *path = name;

	if (slash) {
		*slash = '\0';
		if (looks_like_host(name)) {
			ref->host = mk_xstrdup(name);
			path = slash + 1;
		}
		*slash = '/';
	}
	if (ref->host && !is_host(ref->host))
		return fail(err, text, "the host is malformed");
	if (!ref->host || mk_streq(ref->host, "index.docker.io")) {
		free(ref->host);
		ref->host = mk_xstrdup(DEFAULT_HOST);
	}
	if (!is_path(path))
		return fail(err, text,
			"the path may hold lower-case letters, digits, and single '.', '_', '-' "
			"between them");
	if (mk_streq(ref->host, DEFAULT_HOST) && !strchr(path, '/'))
		ref->path = mk_xasprintf("library/%s", path);
	else
		ref->path = mk_xstrdup(path);
	if (strlen(ref->host) + 1 + strlen(ref->path) > NAME_MAX_LEN)
		return fail(err, text, "it is longer than 255 characters");
	return 0;
}

int mk_reference_parse(const char *text, struct mk_reference *ret, struct mk_error *err)
{
	mk_autoreference ref = { .host = NULL };
	mk_autofree char *name = NULL;
	int r;

	if (*text == '\0')
		return mk_fail(err, MK_EINVALID, "the image name is empty");
	if (strlen(text) > (size_t)4 * NAME_MAX_LEN)
		return fail(err, text, "it is too long");
	name = mk_xstrdup(text);
	r = take_suffixes(name, text, &ref, err);
	if (r == 0)
		r = take_name(name, text, &ref, err);
	if (r < 0)
		return r;
	*ret = ref;
	ref = (struct mk_reference){ .host = NULL };
	return 0;
}

void mk_reference_done(struct mk_reference *reference)
{
	free(reference->host);
	free(reference->path);
	free(reference->tag);
	free(reference->digest);
	*reference = (struct mk_reference){ .host = NULL };
}

char *mk_reference_print(const struct mk_reference *reference)
{
	const char *tag = reference->tag;
	const char *digest = reference->digest;

	return mk_xasprintf("%s/%s%s%s%s%s", reference->host, reference->path, tag ? ":" : "",
		tag ? tag : "", digest ? "@" : "", digest ? digest : "");
}
