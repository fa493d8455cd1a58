/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The meaning of plain scalars. Words follow YAML 1.2's core schema; numbers
 * follow the reader of Kubernetes, https://github.com/yaml/go-yaml/blob/v2/resolve.go,
 * so that a file means to us what it means to kubectl.
 */
#include "lib/base/yaml-internal.h"

#include "lib/base/str.h"

#include <ctype.h>
#include <math.h>
#include <stdint.h>

enum meaning { NULL_WORD, TRUE_WORD, FALSE_WORD, BAD_WORD };

static const struct word {
	const char *text;
	enum meaning meaning;
	bool kubectl; /* text, except for kubectl */
} words[] = {
	{ "", NULL_WORD, false },
	{ "~", NULL_WORD, false },
	{ "null", NULL_WORD, false },
	{ "Null", NULL_WORD, false },
	{ "NULL", NULL_WORD, false },
	{ "true", TRUE_WORD, false },
	{ "True", TRUE_WORD, false },
	{ "TRUE", TRUE_WORD, false },
	{ "false", FALSE_WORD, false },
	{ "False", FALSE_WORD, false },
	{ "FALSE", FALSE_WORD, false },
	{ ".inf", BAD_WORD, false },
	{ ".Inf", BAD_WORD, false },
	{ ".INF", BAD_WORD, false },
	{ "+.inf", BAD_WORD, false },
	{ "+.Inf", BAD_WORD, false },
	{ "+.INF", BAD_WORD, false },
	{ "-.inf", BAD_WORD, false },
	{ "-.Inf", BAD_WORD, false },
	{ "-.INF", BAD_WORD, false },
	{ ".nan", BAD_WORD, false },
	{ ".NaN", BAD_WORD, false },
	{ ".NAN", BAD_WORD, false },
	{ "y", TRUE_WORD, true },
	{ "Y", TRUE_WORD, true },
	{ "yes", TRUE_WORD, true },
	{ "Yes", TRUE_WORD, true },
	{ "YES", TRUE_WORD, true },
	{ "on", TRUE_WORD, true },
	{ "On", TRUE_WORD, true },
	{ "ON", TRUE_WORD, true },
	{ "n", FALSE_WORD, true },
	{ "N", FALSE_WORD, true },
	{ "no", FALSE_WORD, true },
	{ "No", FALSE_WORD, true },
	{ "NO", FALSE_WORD, true },
	{ "off", FALSE_WORD, true },
	{ "Off", FALSE_WORD, true },
	{ "OFF", FALSE_WORD, true },
};

static json_t *resolve_word(const char *s, bool kubectl, const char **ret_problem)
{
	for (size_t i = 0; i < MK_ARRAY_LEN(words); i++) {
		if (!mk_streq(s, words[i].text) || (words[i].kubectl && !kubectl))
			continue;
		if (words[i].meaning == NULL_WORD)
			return json_null();
		if (words[i].meaning != BAD_WORD)
			return json_boolean(words[i].meaning == TRUE_WORD);
		*ret_problem = "JSON has no such number: put it in quotes";
	}
	return NULL;
}

enum number { NOT_A_NUMBER, A_NUMBER, TOO_LARGE, BAD_OCTAL };

/* Skip the prefix that gives a base; a zero alone is one too, as in Go. */
static int take_base(const char **digits)
{
	static const struct {
		char letters[3];
		int base;
	} prefixes[] = { { "xX", 16 }, { "oO", 8 }, { "bB", 2 } };
	const char *s = *digits;

	if (s[0] != '0' || s[1] == '\0')
		return 10;
	for (size_t i = 0; i < MK_ARRAY_LEN(prefixes); i++) {
		if (strchr(prefixes[i].letters, s[1])) {
			*digits = s + 2;
			return prefixes[i].base;
		}
	}
	*digits = s + 1;
	return 8;
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

static bool all_digits(const char *s)
{
	return s[strspn(s, "0123456789")] == '\0';
}

static enum number parse_integer(const char *s, int64_t *ret)
{
	bool negative = *s == '-', too_large = false, decimal;
	int64_t value = 0;
	int base;

	if (*s == '-' || *s == '+')
		s++;
	decimal = all_digits(s);
	base = take_base(&s);
	if (!*s)
		return NOT_A_NUMBER;
	for (; *s; s++) {
		int digit = digit_of(*s);

		if (digit >= base)
			return decimal ? BAD_OCTAL : NOT_A_NUMBER;
		/* Downwards, because the least integer has no positive counterpart. */
		too_large = too_large || __builtin_mul_overflow(value, base, &value) ||
			__builtin_sub_overflow(value, digit, &value);
	}
	if (too_large || (!negative && value == INT64_MIN))
		return TOO_LARGE;
	*ret = negative ? value : -value;
	return A_NUMBER;
}

static size_t skip_digits(const char **s)
{
	size_t n = strspn(*s, "0123456789");

	*s += n;
	return n;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool looks_like_float(const char *s)
{
	size_t digits;

	s += *s == '-' || *s == '+';
	digits = skip_digits(&s);
	if (*s == '.') {
		s++;
		digits += skip_digits(&s);
	}
	if (digits == 0)
		return false;
	if (*s == 'e' || *s == 'E') {
		s++;
		s += *s == '-' || *s == '+';
		if (skip_digits(&s) == 0)
			return false;
	}
	return *s == '\0';
}

static json_t *resolve_float(const char *s)
{
	double value;

	if (!looks_like_float(s))
		return NULL;
	/* Too large a number, 12e99999, is text for Kubernetes too. */
	value = strtod(s, NULL);
	return isfinite(value) ? json_real(value) : NULL;
}

/* Go drops underscores from whatever may be a number before it looks closer. */
static char *without_underscores(const char *s)
{
	char *copy = mk_xstrdup(s), *to = copy;

	for (; *s; s++) {
		if (*s != '_')
			*to++ = *s;
	}
	*to = '\0';
	return copy;
}

static json_t *resolve_number(const char *s, const char **ret_problem)
{
	mk_autosecret char *digits = NULL;
	int64_t integer = 0;

	if (*s == '.')
		return resolve_float(s);
	if (!isdigit((unsigned char)*s) && *s != '-' && *s != '+')
		return NULL;
	digits = without_underscores(s);
	switch (parse_integer(digits, &integer)) {
	case A_NUMBER:
		return json_integer(integer);
	case TOO_LARGE:
		*ret_problem = "the number does not fit 64 bits: put it in quotes if it is text";
		return NULL;
	case BAD_OCTAL:
		*ret_problem = "a leading zero means octal, which this is not: put it in quotes";
		return NULL;
	case NOT_A_NUMBER:
		break;
	}
	return resolve_float(digits);
}

json_t *mk_yaml_resolve(const char *s, bool kubectl, const char **ret_problem)
{
	json_t *value;

	*ret_problem = NULL;
	value = resolve_word(s, kubectl, ret_problem);
	return value || *ret_problem ? value : resolve_number(s, ret_problem);
}
