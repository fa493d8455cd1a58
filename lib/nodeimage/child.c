/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/nodeimage/child.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TAIL_LINES 20
#define MAX_LINE 4096
#define POLL_MS 100
#define TERM_GRACE_MS 3000

extern char **environ;

struct mk_child {
	char *name; /* "go build", for errors */
	pid_t pid;  /* 0 once it was waited for */
	int out, log;
	mk_child_line on_line;
	void *payload;
	struct mk_buf line;
	char *tail[TAIL_LINES]; /* a ring of the last lines of stderr */
	size_t lines;
};

struct spawn_setup {
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
};

static void setup_done(struct spawn_setup *setup)
{
	(void)posix_spawn_file_actions_destroy(&setup->files);
	(void)posix_spawnattr_destroy(&setup->attributes);
}

/* A group of its own, so that what it starts dies with it; SIGPIPE, which we
 * ignore, is what ends a pipe's writer. */
static int setup_init(struct spawn_setup *setup, const char *cwd, int out, int log)
{
	sigset_t defaults;
	int r;

	(void)sigemptyset(&defaults);
	(void)sigaddset(&defaults, SIGPIPE);
	(void)posix_spawn_file_actions_init(&setup->files);
	(void)posix_spawnattr_init(&setup->attributes);
	r = posix_spawn_file_actions_addopen(&setup->files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&setup->files, out, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&setup->files, log, STDERR_FILENO);
	if (r == 0)
		/* Whatever we inherited: mmdebstrap's shells know only single-digit ones. */
		r = posix_spawn_file_actions_addclosefrom_np(&setup->files, STDERR_FILENO + 1);
	if (r == 0 && cwd)
		r = posix_spawn_file_actions_addchdir_np(&setup->files, cwd);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(&setup->attributes, &defaults);
	if (r == 0)
		r = posix_spawnattr_setpgroup(&setup->attributes, 0);
	if (r == 0)
		r = posix_spawnattr_setflags(
			&setup->attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
	return r;
}

static int spawn(struct mk_child *child, const struct mk_child_options *options, int out, int log,
	struct mk_error *err)
{
	MK_CLEANUP(setup_done) struct spawn_setup setup;
	/* posix_spawn takes the strings as it takes main's: it does not write them. */
	union {
		const char *const *given;
		char *const *wanted;
	} argv = { .given = options->argv };
	int r = setup_init(&setup, options->cwd, out, log);

	if (r == 0)
		r = posix_spawnp(&child->pid, options->argv[0], &setup.files, &setup.attributes,
			argv.wanted, options->env ? options->env : environ);
	if (r == 0)
		return 0;
	child->pid = 0;
	errno = r;
	(void)mk_fail_errno(err, "start '%s'", options->argv[0]);
	return r == ENOENT ? mk_error_recode(err, MK_ENOTFOUND) : -MK_ESYS;
}

static char *name_of(const char *const *argv)
{
	bool word = argv[1] && argv[1][0] >= 'a' && argv[1][0] <= 'z';

	return mk_xasprintf("%s%s%s", argv[0], word ? " " : "", word ? argv[1] : "");
}

static void trace_start(const struct mk_child_options *options)
{
	mk_autobuf text = mk_buf_init(65536);

	for (size_t i = 0; options->argv[i]; i++)
		mk_buf_addf(&text, " %s", options->argv[i]);
	mk_trace("start%s", text.data);
}

int mk_child_start(
	const struct mk_child_options *options, struct mk_child **ret, struct mk_error *err)
{
	MK_CLEANUP(mk_child_freep) struct mk_child *child = mk_xcalloc(1, sizeof(*child));
	mk_autoclose int out_end = -1;
	mk_autoclose int log_end = -1;
	int out[2], log[2];
	int r;

	child->name = name_of(options->argv);
	child->out = -1;
	child->log = -1;
	child->on_line = options->on_line;
	child->payload = options->payload;
	child->line = mk_buf_init(MAX_LINE);
	if (pipe2(out, O_CLOEXEC) < 0)
		return mk_fail_errno(err, "start '%s'", child->name);
	child->out = out[0];
	out_end = out[1];
	if (pipe2(log, O_CLOEXEC) < 0)
		return mk_fail_errno(err, "start '%s'", child->name);
	child->log = log[0];
	log_end = log[1];
	trace_start(options);
	r = spawn(child, options, out_end, log_end, err);
	if (r < 0)
		return r;
	*ret = MK_TAKE(child);
	return 0;
}

static void end_line(struct mk_child *child)
{
	char **slot = &child->tail[child->lines % TAIL_LINES];

	if (child->line.len == 0)
		return;
	if (child->on_line)
		child->on_line(child->payload, child->line.data);
	free(*slot);
	*slot = mk_xstrdup(child->line.data);
	child->lines++;
	mk_buf_clear(&child->line);
}

/* Some of stderr; closes it at its end. */
static void take_log(struct mk_child *child)
{
	char chunk[4096];
	ssize_t n = read(child->log, chunk, sizeof(chunk));

	if (n < 0 && errno == EINTR)
		return;
	for (ssize_t i = 0; i < n; i++) {
		if (chunk[i] == '\n' || chunk[i] == '\r')
			end_line(child);
		else
			mk_buf_add(&child->line, chunk + i, 1);
	}
	if (n <= 0) {
		end_line(child);
		mk_closep(&child->log);
	}
}

static void set_detail(const struct mk_child *child, struct mk_error *err)
{
	mk_autobuf text = mk_buf_init((size_t)TAIL_LINES * (MAX_LINE + 1));
	size_t first = child->lines > TAIL_LINES ? child->lines - TAIL_LINES : 0;

	for (size_t i = first; i < child->lines; i++)
		mk_buf_addf(&text, "%s%s", text.len > 0 ? "\n" : "", child->tail[i % TAIL_LINES]);
	free(err->detail);
	err->detail = mk_buf_detach(&text);
}

/* Both pipes are closed: the program has ended, or is about to. */
static int reap(struct mk_child *child, struct mk_error *err)
{
	int status;

	for (;;) {
		pid_t pid = waitpid(child->pid, &status, WNOHANG);

		if (pid == child->pid)
			break;
		if (pid < 0 && errno != EINTR)
			return mk_fail_errno(err, "wait for '%s'", child->name);
		if (mk_sleep_ms(5, err) < 0)
			return -(int)err->code;
	}
	child->pid = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		(void)mk_fail(err, MK_EFAIL, "'%s' was killed by signal %d", child->name,
			WTERMSIG(status));
	else
		(void)mk_fail(err, MK_EFAIL, "'%s' failed with exit status %d", child->name,
			WEXITSTATUS(status));
	set_detail(child, err);
	return -MK_EFAIL;
}

ssize_t mk_child_read(void *payload, void *data, size_t cap, struct mk_error *err)
{
	struct mk_child *child = payload;

	while (child->out >= 0 || child->log >= 0) {
		struct pollfd fds[] = {
			{ .fd = child->log, .events = POLLIN },
			{ .fd = child->out, .events = POLLIN },
		};
		ssize_t n;

		if (mk_interrupted())
			return mk_fail_interrupted(err);
		if (poll(fds, MK_ARRAY_LEN(fds), POLL_MS) <= 0)
			continue;
		if (fds[0].revents)
			take_log(child);
		if (!fds[1].revents)
			continue;
		n = read(child->out, data, cap);
		if (n > 0)
			return n;
		if (n == 0 || errno != EINTR)
			mk_closep(&child->out);
	}
	return child->pid > 0 ? reap(child, err) : 0;
}

/* Whether the leader has ended; it stays unreaped, so that its group's number
 * cannot become someone else's. */
static bool has_ended(pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
		info.si_pid == pid;
}

/* Ask the group to end, and make it. */
static void kill_group(struct mk_child *child)
{
	int64_t deadline = mk_deadline(TERM_GRACE_MS);

	(void)kill(-child->pid, SIGTERM);
	while (!has_ended(child->pid) && mk_remaining_ms(deadline) > 0) {
		struct timespec ts = { .tv_nsec = 10000000 };

		(void)nanosleep(&ts, NULL);
	}
	(void)kill(-child->pid, SIGKILL);
	while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
		;
}

void mk_child_free(struct mk_child *child)
{
	if (!child)
		return;
	if (child->pid > 0)
		kill_group(child);
	mk_closep(&child->out);
	mk_closep(&child->log);
	mk_buf_done(&child->line);
	for (size_t i = 0; i < TAIL_LINES; i++)
		free(child->tail[i]);
	free(child->name);
	free(child);
}

int mk_child_run(const struct mk_child_options *options, struct mk_buf *ret, struct mk_error *err)
{
	MK_CLEANUP(mk_child_freep) struct mk_child *child = NULL;
	char chunk[16384];
	ssize_t n;
	int r = mk_child_start(options, &child, err);

	if (r < 0)
		return r;
	do {
		n = mk_child_read(child, chunk, sizeof(chunk), err);
		if (n < 0)
			return (int)n;
		if (ret)
			mk_buf_add(ret, chunk, (size_t)n);
	} while (n > 0);
	return 0;
}
