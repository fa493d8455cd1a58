/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/clock.h"

#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t signals_seen;
static volatile sig_atomic_t shields; /* how many are up */
static int64_t delay_ms;
static int64_t signal_ms; /* when mk_interrupted first saw the signal */

int64_t mk_now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t mk_deadline(int64_t ms)
{
	return mk_now_ms() + ms;
}

int64_t mk_remaining_ms(int64_t deadline)
{
	int64_t left = deadline - mk_now_ms();

	return left > 0 ? left : 0;
}

static void on_signal(int sig)
{
	static const char message[] =
		"\nmkcluster: interrupted again, leaving at once; `mkcluster delete` removes the rest\n";

	(void)sig;
	if (signals_seen > 0) {
		(void)!write(STDERR_FILENO, message, sizeof(message) - 1);
		_exit(130);
	}
	signals_seen = 1;
}

void mk_interrupt_install(void)
{
	struct sigaction stop = { .sa_handler = on_signal };
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	(void)sigemptyset(&stop.sa_mask);
	(void)sigemptyset(&ignore.sa_mask);
	(void)sigaction(SIGINT, &stop, NULL);
	(void)sigaction(SIGTERM, &stop, NULL);
	(void)sigaction(SIGPIPE, &ignore, NULL);
}

bool mk_interrupted(void)
{
	if (signals_seen == 0 || shields > 0)
		return false;
	if (signal_ms == 0)
		signal_ms = mk_now_ms();
	return mk_now_ms() - signal_ms >= delay_ms;
}

bool mk_interrupt_seen(void)
{
	return signals_seen > 0;
}

void mk_interrupt_shield(bool on)
{
	if (on)
		shields++;
	else if (shields > 0)
		shields--;
}

void mk_interrupt_delay(int64_t ms)
{
	delay_ms = ms;
}

void mk_interrupt_raise(void)
{
	signals_seen = 1;
}

void mk_interrupt_reset(void)
{
	signals_seen = 0;
	shields = 0;
	delay_ms = 0;
	signal_ms = 0;
}

int mk_fail_interrupted(struct mk_error *err)
{
	return mk_fail(err, MK_EINTR, "interrupted");
}

int mk_sleep_ms(int64_t ms, struct mk_error *err)
{
	int64_t end = mk_deadline(ms);

	for (;;) {
		int64_t left = mk_remaining_ms(end);
		struct timespec ts = { .tv_nsec = (left > 50 ? 50 : left) * 1000000 };

		if (mk_interrupted())
			return mk_fail_interrupted(err);
		if (left == 0)
			return 0;
		(void)nanosleep(&ts, NULL);
	}
}

char *mk_format_duration(int64_t ms)
{
	if (ms < 59950)
		return mk_xasprintf("%.1fs", (double)ms / 1000);
	ms += 500;
	return mk_xasprintf("%lldm%02llds", (long long)(ms / 60000), (long long)(ms / 1000 % 60));
}

char *mk_format_time(int64_t seconds)
{
	char text[40];
	time_t t = (time_t)seconds;
	struct tm tm;

	(void)gmtime_r(&t, &tm);
	(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return mk_xstrdup(text);
}

char *mk_format_bytes(uint64_t bytes)
{
	static const char *const units[] = { "kB", "MB", "GB", "TB" };
	double v = (double)bytes;
	size_t unit = 0;

	if (bytes < 1000)
		return mk_xasprintf("%llu B", (unsigned long long)bytes);
	for (v /= 1000; v >= 999.95 && unit + 1 < MK_ARRAY_LEN(units); unit++)
		v /= 1000;
	return mk_xasprintf("%.1f %s", v, units[unit]);
}
