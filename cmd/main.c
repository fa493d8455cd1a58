/* SPDX-License-Identifier: Apache-2.0 */
/* Start, dispatch, and the one place where an error becomes a line and a status. */
#include "cmd/options.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#include <unistd.h>

static int exit_status(enum mk_code code)
{
	switch (code) {
	case MK_OK:
		return MK_EXIT_OK;
	case MK_EUSAGE:
		return MK_EXIT_USAGE;
	case MK_EHOST:
		return MK_EXIT_HOST;
	case MK_EEXISTS:
	case MK_ENOTFOUND:
		return MK_EXIT_NAME;
	case MK_EBRINGUP:
		return MK_EXIT_BRINGUP;
	case MK_ETIMEOUT:
		return MK_EXIT_TIMEOUT;
	case MK_EINTR:
		return MK_EXIT_INTERRUPTED;
	case MK_EFAIL:
	case MK_ENET:
	case MK_EREMOTE:
	case MK_EINVALID:
	case MK_ESYS:
		break;
	}
	return MK_EXIT_FAIL;
}

static void print_detail(const char *detail)
{
	(void)fprintf(stderr, "%s%s", detail, mk_has_suffix(detail, "\n") ? "" : "\n");
}

/* Logs lead up to the line that sums them up; further mistakes follow the first. */
static void print_error(const struct mk_error *err, bool quiet)
{
	bool follows = err->code == MK_EUSAGE;

	if (err->detail && !quiet && !follows)
		print_detail(err->detail);
	(void)fprintf(stderr, "mkcluster: %s\n", err->message);
	if (err->detail && !quiet && follows)
		print_detail(err->detail);
	if (err->hint && !quiet)
		(void)fprintf(stderr, "  %s\n", err->hint);
}

static struct mk_context context_of(const struct mk_context *asked)
{
	const char *term = getenv("TERM");
	const char *no_color = getenv("NO_COLOR");
	struct mk_context context = *asked;

	context.terminal = isatty(STDERR_FILENO) && term && !mk_streq(term, "dumb");
	context.colour = context.terminal && !(no_color && *no_color);
	return context;
}

static int run(const struct mk_invocation *inv, struct mk_error *err)
{
	struct mk_context context = context_of(&inv->context);

	if (inv->version)
		return mk_command_version.run(&context, NULL, &inv->arguments, err);
	if (inv->help && inv->command) {
		mk_help_command(stdout, inv->command);
		return 0;
	}
	if (inv->help) {
		mk_help_overview(stdout, inv->group);
		return 0;
	}
	if (!inv->command) {
		mk_help_overview(stderr, inv->group);
		if (inv->group)
			return mk_fail(err, MK_EUSAGE, "'%s' what?", inv->group);
		return mk_fail(err, MK_EUSAGE, "no command given");
	}
	return inv->command->run(&context, inv->options, &inv->arguments, err);
}

/* For an error of the parse itself, which may come before the option. */
static bool asks_for_quiet(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (mk_streq(argv[i], "-q") || mk_streq(argv[i], "--quiet"))
			return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	mk_autoinvocation inv = { .command = NULL };
	mk_autoerror err = { .code = MK_OK };
	int r;

	mk_interrupt_install();
	r = mk_options_parse(argc - 1, argv + 1, &inv, &err);
	if (r == 0) {
		mk_log_set_level(inv.context.verbose ? 1 : 0);
		r = run(&inv, &err);
	}
	if (r == 0 && (fflush(stdout) != 0 || ferror(stdout)))
		r = mk_fail_errno(&err, "write to standard output");
	if (r == 0)
		return MK_EXIT_OK;
	print_error(&err, asks_for_quiet(argc, argv));
	return exit_status(err.code);
}
