/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster/quantity.h"

#include "lib/base/str.h"

#define NANO 1000000000
#define DIGITS "0123456789"

/* "12.5Gi": 12, 500000000 billionths, "Gi". */
static bool split(const char *text, uint64_t *ret_whole, uint64_t *ret_nano, const char **ret_unit)
{
	size_t whole = strspn(text, DIGITS), fraction = 0;
	mk_autofree char *digits = mk_xstrndup(text, whole);
	char padded[] = "000000000";

	*ret_unit = text + whole;
	if (text[whole] == '.') {
		fraction = strspn(text + whole + 1, DIGITS);
		if (fraction == 0 || fraction > 9)
			return false;
		memcpy(padded, text + whole + 1, fraction);
		*ret_unit = text + whole + 1 + fraction;
	}
	return mk_parse_uint(digits, 0, (uint64_t)1 << 62, ret_whole) &&
		mk_parse_uint(padded, 0, NANO, ret_nano);
}

int mk_quantity_cpus(const char *text, int64_t *ret_nano, struct mk_error *err)
{
	uint64_t whole, nano, total = 0;
	const char *unit;
	bool good = split(text, &whole, &nano, &unit) && whole <= (uint64_t)100000 * 1000;

	if (good && mk_streq(unit, "m"))
		total = whole * (NANO / 1000) + nano / 1000;
	else if (good && !*unit && whole <= 100000)
		total = whole * NANO + nano;
	/* The engine takes no less. */
	if (total < NANO / 100)
		return mk_fail(err, MK_EUSAGE,
			"'%.40s' is not a number of CPUs like 2, 1.5 or 500m, at least 0.01", text);
	*ret_nano = (int64_t)total;
	return 0;
}

int mk_quantity_bytes(const char *text, int64_t *ret, struct mk_error *err)
{
	static const struct {
		const char *name;
		uint64_t bytes;
	} units[] = { { "", 1 }, { "k", 1000 }, { "M", 1000000 }, { "G", 1000000000 },
		{ "T", 1000000000000 }, { "Ki", 1ULL << 10 }, { "Mi", 1ULL << 20 },
		{ "Gi", 1ULL << 30 }, { "Ti", 1ULL << 40 } };
	uint64_t whole, nano, bytes = 0;
	const char *unit;

	if (!split(text, &whole, &nano, &unit))
		whole = nano = 0;
	for (size_t i = 0; i < MK_ARRAY_LEN(units); i++) {
		if (mk_streq(unit, units[i].name) && whole <= ((uint64_t)1 << 62) / units[i].bytes)
			bytes = whole * units[i].bytes +
				(uint64_t)((double)nano / NANO * (double)units[i].bytes);
	}
	if (bytes == 0 || bytes > (uint64_t)1 << 62)
		return mk_fail(err, MK_EUSAGE,
			"'%.40s' is not an amount of memory like 2Gi, 512Mi or 1.5G", text);
	*ret = (int64_t)bytes;
	return 0;
}

/* The first part of a duration, "1h" of "1h30m", in billionths of a second. False when
 * there is none. */
static bool take_time(const char **text, uint64_t *ret_nano)
{
	static const struct {
		const char *name;
		uint64_t nano;
	} units[] = { { "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", NANO },
		{ "m", 60ULL * NANO }, { "h", 3600ULL * NANO } };
	uint64_t whole, nano;
	const char *unit;

	if (!split(*text, &whole, &nano, &unit) || unit == *text)
		return false;
	for (size_t i = 0; i < MK_ARRAY_LEN(units); i++) {
		size_t len = strcspn(unit, DIGITS ".");

		if (len != strlen(units[i].name) || strncmp(unit, units[i].name, len) != 0 ||
			whole > INT64_MAX / units[i].nano)
			continue;
		*ret_nano = whole * units[i].nano +
			(uint64_t)((double)nano / NANO * (double)units[i].nano);
		*text = unit + len;
		return true;
	}
	return false;
}

int mk_quantity_seconds(const char *text, int64_t *ret, struct mk_error *err)
{
	const char *rest = text;
	uint64_t total = 0, part;

	do {
		if (!take_time(&rest, &part) || part > INT64_MAX - total)
			return mk_fail(err, MK_EUSAGE,
				"'%.40s' is not a duration like 8760h, 90m or 1h30m", text);
		total += part;
	} while (*rest);
	if (total < NANO)
		return mk_fail(err, MK_EUSAGE, "'%.40s' is less than a second", text);
	*ret = (int64_t)(total / NANO);
	return 0;
}
