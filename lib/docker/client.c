/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the engine, agreeing on a version, and the shape of its errors. */
#include "lib/docker/client.h"

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"

#include <stdio.h>

#define DEFAULT_SOCKET "/var/run/docker.sock"

struct mk_docker {
	struct mk_http *http;
	char *host;        /* as the user would name it: "unix:///var/run/docker.sock" */
	char *remote_host; /* of a tcp engine */
	char *api;
};

/* "1.41" -> 141, "1.5" -> 105: comparable. 0 when it is no version. */
static unsigned version_number(const char *s)
{
	unsigned major = 0, minor = 0;

	if (sscanf(s, "%3u.%3u", &major, &minor) != 2)
		return 0;
	return major * 100 + minor;
}

static int read_pem(const char *folder, const char *name, char **ret, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("%s/%s", folder, name);
	mk_autowipebuf buf = mk_buf_init(MK_MAX_CONFIG_FILE);
	int r = mk_fs_read(path, &buf, err);

	if (r < 0) {
		mk_error_hint(err,
			"set DOCKER_CERT_PATH to the folder with ca.pem, cert.pem and key.pem");
		return mk_error_recode(err, MK_EHOST);
	}
	*ret = mk_buf_detach(&buf);
	return 0;
}

struct tls_files {
	char *ca, *cert, *key;
};

static void tls_files_done(struct tls_files *files)
{
	free(files->ca);
	free(files->cert);
	mk_secret_free(files->key);
}

/* As the docker client: DOCKER_TLS_VERIFY set to anything turns TLS on. */
static int load_tls(struct tls_files *files, bool *ret_tls, struct mk_error *err)
{
	const char *verify = getenv("DOCKER_TLS_VERIFY");
	const char *path = getenv("DOCKER_CERT_PATH");
	const char *home = getenv("HOME");
	mk_autofree char *folder = NULL;
	int r;

	*ret_tls = verify && *verify;
	if (!*ret_tls)
		return 0;
	folder = path && *path ? mk_xstrdup(path) : mk_xasprintf("%s/.docker", home ? home : "");
	r = read_pem(folder, "ca.pem", &files->ca, err);
	if (r == 0)
		r = read_pem(folder, "cert.pem", &files->cert, err);
	if (r == 0)
		r = read_pem(folder, "key.pem", &files->key, err);
	return r;
}

static int connect_tcp(struct mk_docker *docker, const char *address, struct mk_error *err)
{
	MK_CLEANUP(tls_files_done) struct tls_files files = { .ca = NULL };
	mk_autofree char *url = NULL;
	struct mk_http_options options = { .name = "engine" };
	bool is_ipv6 = address[0] == '[';
	size_t host_len = is_ipv6 ? strcspn(address + 1, "]") : strcspn(address, ":/");
	bool tls;
	int r = load_tls(&files, &tls, err);

	if (r < 0)
		return r;
	docker->remote_host = mk_xstrndup(address + is_ipv6, host_len);
	url = mk_xasprintf(
		"%s://%.*s", tls ? "https" : "http", (int)strcspn(address, "/"), address);
	options.base_url = url;
	options.ca_pem = files.ca;
	options.cert_pem = files.cert;
	options.key_pem = files.key;
	return mk_http_new(&options, &docker->http, err);
}

static int connect_to(struct mk_docker *docker, struct mk_error *err)
{
	const char *socket = mk_after_prefix(docker->host, "unix://");
	const char *address = mk_after_prefix(docker->host, "tcp://");
	struct mk_http_options options = { .name = "engine", .base_url = "http://localhost" };

	if (address)
		return connect_tcp(docker, address, err);
	if (!socket) {
		(void)mk_fail(err, MK_EHOST, "cannot talk to an engine at '%s'", docker->host);
		mk_error_hint(err, "DOCKER_HOST must begin with unix:// or tcp://");
		return -MK_EHOST;
	}
	options.unix_socket = socket;
	return mk_http_new(&options, &docker->http, err);
}

static int choose_version(struct mk_docker *docker, const char *theirs, struct mk_error *err)
{
	unsigned newest = version_number(theirs);

	if (newest < version_number(MK_DOCKER_API_MIN)) {
		(void)mk_fail(err, MK_EHOST,
			"the engine at %s speaks API %s; at least %s is needed", docker->host,
			*theirs ? theirs : "of unknown version", MK_DOCKER_API_MIN);
		mk_error_hint(err, "install Docker 20.10 or later");
		return -MK_EHOST;
	}
	docker->api = mk_xstrdup(
		newest > version_number(MK_DOCKER_API_MAX) ? MK_DOCKER_API_MAX : theirs);
	return 0;
}

static int ping(struct mk_docker *docker, struct mk_error *err)
{
	mk_autoresponse response = { .status = 0 };
	mk_autofree char *version = NULL;
	struct mk_http_request request = { .path = "/_ping", .timeout_ms = 10000 };
	int r = mk_http_do(docker->http, &request, &response, err);

	if (r < 0) {
		if (r == -MK_EINTR)
			return r;
		mk_error_hint(err,
			"is Docker running, and may this user use it? "
			"Start it (`systemctl start docker`), or set DOCKER_HOST");
		(void)mk_error_wrap(err, "no container engine at %s", docker->host);
		return mk_error_recode(err, MK_EHOST);
	}
	if (response.status != 200)
		return mk_fail(err, MK_EHOST, "the engine at %s answers /_ping with status %ld",
			docker->host, response.status);
	version = mk_http_header(&response, "Api-Version");
	return choose_version(docker, version ? version : "", err);
}

bool mk_docker_is_here(void)
{
	const char *host = getenv("DOCKER_HOST");

	return !host || !*host || mk_after_prefix(host, "unix://");
}

int mk_docker_new(const char *host, struct mk_docker **ret, struct mk_error *err)
{
	const char *from_env = getenv("DOCKER_HOST");
	struct mk_docker *docker = mk_xcalloc(1, sizeof(*docker));
	int r;

	if (!host || !*host)
		host = from_env && *from_env ? from_env : "unix://" DEFAULT_SOCKET;
	docker->host = mk_xstrdup(host);
	r = connect_to(docker, err);
	if (r == 0)
		r = ping(docker, err);
	if (r < 0) {
		mk_docker_free(docker);
		return r;
	}
	*ret = docker;
	return 0;
}

void mk_docker_free(struct mk_docker *docker)
{
	if (!docker)
		return;
	mk_http_free(docker->http);
	free(docker->host);
	free(docker->remote_host);
	free(docker->api);
	free(docker);
}

const char *mk_docker_api(const struct mk_docker *docker)
{
	return docker->api;
}

bool mk_docker_is_local(const struct mk_docker *docker)
{
	return !docker->remote_host;
}

const char *mk_docker_remote_host(const struct mk_docker *docker)
{
	return docker->remote_host;
}

bool mk_docker_api_at_least(const struct mk_docker *docker, const char *version)
{
	return version_number(docker->api) >= version_number(version);
}

ssize_t mk_docker_read(void *payload, void *data, size_t cap, struct mk_error *err)
{
	return mk_http_read(payload, data, cap, mk_deadline(MK_ENGINE_TIMEOUT_MS), err);
}

char *mk_docker_path(const struct mk_docker *docker, const char *path)
{
	return mk_xasprintf("/v%s%s", docker->api, path);
}

struct mk_http *mk_docker_http(struct mk_docker *docker)
{
	return docker->http;
}

static enum mk_code code_of(long status)
{
	if (status == 404)
		return MK_ENOTFOUND;
	return status == 409 ? MK_EEXISTS : MK_EREMOTE;
}

int mk_docker_refused(
	const char *method, const char *path, long status, const char *body, struct mk_error *err)
{
	mk_autojson *answer = json_loads(body ? body : "", 0, NULL);
	const char *words = mk_json_str(answer, "message", NULL);

	/* Podman says "cause" and "message"; a proxy in between may say anything. */
	if (!words)
		words = body && *body ? body : "no reason given";
	(void)mk_fail(
		err, code_of(status), "engine: %s %s: %ld: %.400s", method, path, status, words);
	err->status = (int)status;
	return -(int)err->code;
}

int mk_docker_call(struct mk_docker *docker, const char *method, const char *path,
	const json_t *body, json_t **ret, struct mk_error *err)
{
	return mk_docker_call_within(docker, MK_ENGINE_TIMEOUT_MS, method, path, body, ret, err);
}

int mk_docker_call_within(struct mk_docker *docker, int64_t ms, const char *method,
	const char *path, const json_t *body, json_t **ret, struct mk_error *err)
{
	mk_autoresponse response = { .status = 0 };
	mk_autofree char *full = mk_docker_path(docker, path);
	/* Container environments and exec bodies are never secret, but cheap to wipe. */
	mk_autosecret char *text = body ? mk_json_print(body) : NULL;
	struct mk_http_request request = {
		.method = method,
		.path = full,
		.body = text,
		.body_len = text ? strlen(text) : 0,
		.timeout_ms = ms,
	};
	int r = mk_http_do(docker->http, &request, &response, err);

	if (r < 0)
		return r;
	/* Nothing redirects us; 304 is "it is so already". */
	if (response.status >= 300 && response.status != 304)
		return mk_docker_refused(method, path, response.status, response.body.data, err);
	if (!ret)
		return 0;
	return mk_json_parse(response.body.data, response.body.len, path, ret, err);
}

int mk_docker_open(struct mk_docker *docker, const struct mk_http_request *request,
	struct mk_http_stream **ret, struct mk_error *err)
{
	MK_CLEANUP(mk_http_stream_freep) struct mk_http_stream *stream = NULL;
	mk_autobuf body = mk_buf_init(4096);
	int r = mk_http_open(docker->http, request, &stream, err);

	if (r < 0)
		return r;
	if (mk_http_stream_status(stream) < 400) {
		*ret = MK_TAKE(stream);
		return 0;
	}
	/* A reason longer than the buffer is cut; the status is what counts. */
	(void)!mk_http_read_all(stream, &body, mk_deadline(5000), err);
	return mk_docker_refused(request->method ? request->method : "GET", request->path,
		mk_http_stream_status(stream), body.data, err);
}

int mk_docker_info(struct mk_docker *docker, json_t **ret, struct mk_error *err)
{
	return mk_docker_call(docker, "GET", "/info", NULL, ret, err);
}

char *mk_docker_label_filter(const char *label)
{
	mk_autojson *filter = mk_json_pack("{s:[s]}", "label", label);
	mk_autofree char *text = mk_json_print(filter);

	return mk_http_escape(text);
}
