/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocation and ownership. Out of memory ends the process: for a command that
 * lives for seconds there is nothing better to do, and no caller has a branch
 * for it that could be wrong. What a foreign library fails to allocate comes
 * back as NULL and is an error like any other.
 */
#ifndef MK_BASE_MEM_H
#define MK_BASE_MEM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#define MK_CHECKED __attribute__((warn_unused_result))
#define MK_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define MK_CLEANUP(fn) __attribute__((cleanup(fn)))
#define MK_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/** Define `fn##p`, usable in MK_CLEANUP, from a destructor that takes NULL. */
#define MK_DEFINE_CLEANUP(type, fn)                                                                \
	static inline void fn##p(type *p)                                                          \
	{                                                                                          \
		if (*p)                                                                            \
			fn(*p);                                                                    \
	}                                                                                          \
	struct mk_cleanup_semicolon_

/** Take the pointer out of a cleaned-up variable: the new owner frees it. */
#define MK_TAKE(p)                                                                                 \
	__extension__({                                                                            \
		__auto_type mk_taken_ = (p);                                                       \
		(p) = NULL;                                                                        \
		mk_taken_;                                                                         \
	})

void *mk_xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *mk_xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *mk_xrealloc(void *p, size_t size) __attribute__((returns_nonnull));
char *mk_xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *mk_xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
char *mk_xasprintf(const char *fmt, ...) MK_PRINTF(1, 2) __attribute__((malloc, returns_nonnull));
char *mk_xvasprintf(const char *fmt, va_list ap) MK_PRINTF(1, 0)
	__attribute__((malloc, returns_nonnull));

/** Overwrite memory that held a secret; never optimised away. */
void mk_wipe(void *p, size_t len);

/** Wipe a NUL-terminated secret and free it. NULL is fine. */
void mk_secret_free(char *s);

static inline void mk_freep(void *p)
{
	free(*(void **)p);
}

/** Close a descriptor and forget it; a negative one is none. */
void mk_closep(int *fd);

MK_DEFINE_CLEANUP(char *, mk_secret_free);

#define mk_autofree MK_CLEANUP(mk_freep)
#define mk_autosecret MK_CLEANUP(mk_secret_freep)
#define mk_autoclose MK_CLEANUP(mk_closep)

#endif
