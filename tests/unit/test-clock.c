/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines, interrupts and their shield, and durations and sizes for people. */
#include "lib/base/clock.h"
#include "lib/base/str.h"

#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int reset(void **state)
{
	(void)state;
	mk_interrupt_reset();
	return 0;
}

static void test_deadlines(void **state)
{
	int64_t start = mk_now_ms();
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_int_equal(mk_remaining_ms(start - 1000), 0);
	assert_in_range(mk_remaining_ms(mk_deadline(5000)), 4000, 5000);
	assert_int_equal(mk_sleep_ms(0, &err), 0);
	assert_int_equal(mk_sleep_ms(-5, &err), 0);
	assert_int_equal(mk_sleep_ms(70, &err), 0);
	assert_in_range(mk_now_ms() - start, 70, 2000);
}

static void test_interrupt(void **state)
{
	int64_t start = mk_now_ms();
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_false(mk_interrupted());
	mk_interrupt_raise();
	assert_true(mk_interrupted());
	assert_int_equal(mk_sleep_ms(60000, &err), -MK_EINTR);
	assert_string_equal(err.message, "interrupted");
	assert_true(mk_now_ms() - start < 5000);
	mk_interrupt_shield(true);
	assert_false(mk_interrupted());
	assert_true(mk_interrupt_seen());
	assert_int_equal(mk_sleep_ms(1, &err), 0);
	mk_interrupt_shield(false);
	assert_true(mk_interrupted());
}

/* A part of an undo has a shield of its own; the rest of the undo keeps its. */
static void test_shields_within_shields(void **state)
{
	(void)state;
	mk_interrupt_raise();
	mk_interrupt_shield(true);
	mk_interrupt_shield(true);
	mk_interrupt_shield(false);
	assert_false(mk_interrupted());
	mk_interrupt_shield(false);
	assert_true(mk_interrupted());
	/* One too many does not make the next one less. */
	mk_interrupt_shield(false);
	mk_interrupt_shield(true);
	assert_false(mk_interrupted());
}

/* The exit status of a child that gets these signals in turn, or -1. */
static int status_after(const int *signals, size_t count)
{
	pid_t child = fork();
	int status = -1;

	if (child == 0) {
		mk_autoclose int quiet = dup(STDERR_FILENO);

		(void)close(STDERR_FILENO);
		mk_interrupt_install();
		for (size_t i = 0; i < count; i++)
			(void)raise(signals[i]);
		_exit(mk_interrupt_seen() ? 7 : 8);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_signals(void **state)
{
	static const int none[] = { SIGPIPE, SIGPIPE };
	static const int one[] = { SIGINT };
	static const int term[] = { SIGTERM };
	static const int two[] = { SIGINT, SIGTERM };

	(void)state;
	assert_int_equal(status_after(none, 2), 8);
	assert_int_equal(status_after(one, 1), 7);
	assert_int_equal(status_after(term, 1), 7);
	assert_int_equal(status_after(two, 2), 130);
}

static void test_durations(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} cases[] = {
		{ 0, "0.0s" },
		{ 49, "0.0s" },
		{ 4240, "4.2s" },
		{ 59949, "59.9s" },
		{ 59950, "1m00s" },
		{ 60000, "1m00s" },
		{ 65000, "1m05s" },
		{ 3725000, "62m05s" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autofree char *text = mk_format_duration(cases[i].ms);

		assert_string_equal(text, cases[i].text);
	}
}

static void test_times(void **state)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00Z" },
		{ 1795428000, "2026-11-23T10:00:00Z" },
		{ 4102444799, "2099-12-31T23:59:59Z" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autofree char *text = mk_format_time(cases[i].seconds);

		assert_string_equal(text, cases[i].text);
	}
}

static void test_sizes(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{ 0, "0 B" },
		{ 999, "999 B" },
		{ 1000, "1.0 kB" },
		{ 999949, "999.9 kB" },
		{ 999950, "1.0 MB" },
		{ 12345678, "12.3 MB" },
		{ 999999999, "1.0 GB" },
		{ 5000000000000, "5.0 TB" },
		{ 5000000000000000, "5000.0 TB" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autofree char *text = mk_format_bytes(cases[i].bytes);

		assert_string_equal(text, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_deadlines, reset),
		cmocka_unit_test_setup_teardown(test_interrupt, reset, reset),
		cmocka_unit_test_setup_teardown(test_shields_within_shields, reset, reset),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
