/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/git/location.h"

#include "lib/base/str.h"

#include <arpa/inet.h>
#include <ctype.h>

#define GRAMMAR "give a folder, or URL[@REF][:PATH] with https:// or file:///"
#define MAX_LOCATION 4096
#define ID_DIGITS 40
#define MIN_ID_DIGITS 7

/* Where "scheme://" ends, or NULL when it does not begin so. */
static const char *after_any_scheme(const char *s)
{
	size_t n = 0;

	while (isalnum((unsigned char)s[n]) || (n > 0 && s[n] && strchr("+-.", s[n])))
		n++;
	return n > 0 && strncmp(s + n, "://", 3) == 0 ? s + n + 3 : NULL;
}

/* user@host:path, as ssh takes it. */
static bool is_scp(const char *s)
{
	size_t n = strcspn(s, "@/:");
	size_t host = s[n] == '@' ? strcspn(s + n + 1, "@/:") : 0;

	return n > 0 && host > 0 && s[n + 1 + host] == ':';
}

static int refuse(struct mk_error *err, const char *shown, const char *why)
{
	(void)mk_fail(err, MK_EUSAGE, "'%s' %s", shown, why);
	mk_error_hint(err, GRAMMAR);
	return -(int)err->code;
}

static bool is_loopback(const char *host, size_t n)
{
	mk_autofree char *name = mk_xstrndup(host, n);
	struct in_addr address;

	if (mk_streq(name, "localhost") || mk_streq(name, "[::1]"))
		return true;
	return inet_pton(AF_INET, name, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

/* A name, an IPv4 address or a bracketed IPv6 address. */
static bool is_host(const char *s, size_t n)
{
	const char *more = "-._";

	if (n > 2 && s[0] == '[' && s[n - 1] == ']') {
		s++;
		n -= 2;
		more = ":.";
	}
	for (size_t i = 0; i < n; i++) {
		if (!isalnum((unsigned char)s[i]) && !strchr(more, s[i]))
			return false;
	}
	return n > 0;
}

/* The host of "host[:port]", of `n` bytes: its length, or 0 when malformed. */
static size_t host_length(const char *s, size_t n)
{
	size_t host = n;
	mk_autofree char *port = NULL;
	uint64_t number;

	while (host > 0 && s[host - 1] != ':' && s[host - 1] != ']')
		host--;
	if (host == 0 || s[host - 1] == ']')
		return is_host(s, n) ? n : 0;
	port = mk_xstrndup(s + host, n - host);
	if (!mk_parse_uint(port, 1, 65535, &number))
		return 0;
	return is_host(s, host - 1) ? host - 1 : 0;
}

/* Characters that stand for themselves in a URL's path, and no others. */
static bool is_plain_path(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!isgraph((unsigned char)s[i]) || strchr("?#\\\"<>^`{|}", s[i]))
			return false;
	}
	return true;
}

/* %40 is an @. */
static char *decode(const char *s, size_t n)
{
	char *out = mk_xmalloc(n + 1);
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		static const char digits[] = "0123456789abcdef";
		const char *high = i + 2 < n ? strchr(digits, tolower((unsigned char)s[i + 1]))
					     : NULL;
		const char *low = high ? strchr(digits, tolower((unsigned char)s[i + 2])) : NULL;

		if (s[i] == '%' && low && (high > digits || low > digits)) {
			out[len++] = (char)((high - digits) * 16 + (low - digits));
			i += 2;
		} else {
			out[len++] = s[i];
		}
	}
	out[len] = '\0';
	return out;
}

/* Take "user:password@" off the authority; returns what is left of it. */
static const char *take_login(const char *authority, size_t *n, struct mk_location *ret)
{
	size_t login = *n;
	const char *colon;

	while (login > 0 && authority[login - 1] != '@')
		login--;
	if (login == 0)
		return authority;
	colon = memchr(authority, ':', login - 1);
	if (colon) {
		ret->user = decode(authority, (size_t)(colon - authority));
		ret->password = decode(colon + 1, login - 2 - (size_t)(colon - authority));
	} else {
		ret->user = decode(authority, login - 1);
		ret->password = mk_xstrdup("");
	}
	*n -= login;
	return authority + login;
}

static bool is_ref(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)s[i] <= ' ' || s[i] == 0x7f || strchr("~^:?*[\\", s[i]))
			return false;
	}
	return n > 0 && !strchr("-/.", s[0]) && s[n - 1] != '/' && s[n - 1] != '.' &&
		!strstr(s, "..") && !strstr(s, "//") && !strstr(s, "@{") && !strstr(s, "/.") &&
		!mk_has_suffix(s, ".lock");
}

static int take_path(const char *path, struct mk_location *ret, struct mk_error *err)
{
	if (!*path)
		return refuse(err, ret->url, "has nothing behind the : for a PATH");
	if (!mk_location_is_inside(path)) {
		(void)mk_fail(err, MK_EUSAGE, "'%s': the path '%s' leads out of the repository",
			ret->url, path);
		mk_error_hint(err, "PATH begins at the top of the repository, without a / and ..");
		return -(int)err->code;
	}
	ret->path = mk_xstrdup(path);
	return 0;
}

/* `s` is "@REF:PATH", "@REF", ":PATH" or nothing. */
static int take_rest(const char *s, struct mk_location *ret, struct mk_error *err)
{
	size_t n;

	if (*s == '@') {
		n = strcspn(++s, ":");
		ret->ref = mk_xstrndup(s, n);
		if (n == 0)
			return refuse(err, ret->url, "has nothing behind the @ for a REF");
		if (!is_ref(ret->ref)) {
			(void)mk_fail(err, MK_EUSAGE, "'%s': '%s' is no branch, tag or commit id",
				ret->url, ret->ref);
			mk_error_hint(err,
				"an @ in the URL itself is written %%40; REF is a name or an id, "
				"not an expression");
			return -(int)err->code;
		}
		s += n;
	}
	return *s == ':' ? take_path(s + 1, ret, err) : 0;
}

static int check_scheme(const char *scheme, const char *host, size_t n, struct mk_error *err)
{
	if (mk_streq(scheme, "https") || mk_streq(scheme, "file"))
		return 0;
	if (mk_streq(scheme, "http")) {
		if (n == 0 || is_loopback(host, n))
			return 0; /* no host at all is the caller's finding */
		(void)mk_fail(err, MK_EUSAGE,
			"http://%.*s: without TLS anyone on the way could change what comes",
			(int)n, host);
		mk_error_hint(err, "use https://; http:// is for this machine itself, 127.0.0.1");
		return -(int)err->code;
	}
	if (mk_streq(scheme, "ssh") || mk_streq(scheme, "git+ssh") || mk_streq(scheme, "ssh+git"))
		(void)mk_fail(err, MK_EUSAGE, "repositories are not read by ssh");
	else
		(void)mk_fail(err, MK_EUSAGE, "repositories are not read by %s://", scheme);
	mk_error_hint(err, "use https://, or clone it yourself and give the folder");
	return -(int)err->code;
}

static int parse_url(const char *from, struct mk_location *ret, struct mk_error *err)
{
	const char *authority = after_any_scheme(from);
	size_t n = strcspn(authority, "/");
	const char *path = authority + n;
	size_t path_len = strcspn(path, "@:");
	mk_autofree char *scheme = mk_xstrndup(from, (size_t)(authority - from - 3));
	const char *host = take_login(authority, &n, ret);
	size_t host_len = host_length(host, n);
	int r = check_scheme(scheme, host, host_len, err);

	if (r < 0)
		return r;
	/* Nothing of a malformed authority is shown: half of it may be a password. */
	if (mk_streq(scheme, "file") ? n > 0 || ret->user : host_len == 0) {
		mk_autofree char *shown = mk_xasprintf("%s://...", scheme);

		return refuse(err, shown,
			mk_streq(scheme, "file") ? "has a host: a file is file:///path"
						 : "has no host that a URL can have");
	}
	while (path_len > 0 && path[path_len - 1] == '/')
		path_len--;
	ret->url = mk_xasprintf("%s://%.*s%.*s", scheme, (int)n, host, (int)path_len, path);
	if (path_len == 0)
		return refuse(err, ret->url, "names no repository");
	if (!is_plain_path(path, path_len))
		return refuse(err, ret->url, "has a character that a repository's URL cannot have");
	return take_rest(path + strcspn(path, "@:"), ret, err);
}

int mk_location_parse(const char *from, struct mk_location *ret, struct mk_error *err)
{
	mk_autolocation location = { .folder = NULL };
	int r = 0;

	if (!*from)
		return mk_fail(err, MK_EUSAGE, "an empty string is no folder and no URL");
	if (strlen(from) > MAX_LOCATION)
		return mk_fail(err, MK_EUSAGE, "a source of more than %d bytes", MAX_LOCATION);
	if (after_any_scheme(from))
		r = parse_url(from, &location, err);
	else if (is_scp(from))
		r = check_scheme("ssh", "", 0, err);
	else
		location.folder = mk_xstrdup(from);
	if (r < 0)
		return r;
	*ret = location;
	location = (struct mk_location){ .folder = NULL };
	return 0;
}

char *mk_location_local_path(const struct mk_location *location)
{
	const char *path = mk_after_prefix(location->url, "file://");

	return path ? decode(path, strlen(path)) : NULL;
}

bool mk_location_is_inside(const char *path)
{
	mk_autostrlist parts = { .items = NULL };

	mk_strlist_split(&parts, path, "/");
	return path[0] != '/' && !mk_strlist_has(&parts, "..");
}

int mk_location_check_url(const char *url, struct mk_error *err)
{
	mk_autolocation location = { .folder = NULL };
	int r = mk_location_parse(url, &location, err);

	if (r < 0)
		return r;
	if (!location.url || mk_after_prefix(url, "file:") || location.user || location.ref ||
		location.path)
		return mk_fail(err, MK_EUSAGE, "not the plain http(s) URL of a repository");
	return 0;
}

void mk_location_done(struct mk_location *location)
{
	free(location->folder);
	free(location->url);
	mk_secret_free(location->user); /* a token may stand alone */
	mk_secret_free(location->password);
	free(location->ref);
	free(location->path);
	*location = (struct mk_location){ .folder = NULL };
}

static size_t hex_digits(const char *s)
{
	return strspn(s, "0123456789abcdefABCDEF");
}

bool mk_location_is_full_id(const char *ref)
{
	return strlen(ref) == ID_DIGITS && hex_digits(ref) == ID_DIGITS;
}

bool mk_location_is_short_id(const char *ref)
{
	size_t n = strlen(ref);

	return n >= MIN_ID_DIGITS && n < ID_DIGITS && hex_digits(ref) == n;
}
