/* SPDX-License-Identifier: Apache-2.0 */
/* Files: bounded reads, writes that leave whole files only, trees made and removed. */
#include "lib/base/fs.h"
#include "lib/base/limits.h"
#include "lib/base/str.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Each test runs inside a new folder. */
static int enter(void **state)
{
	char *folder = mk_xstrdup("/tmp/test-fs-XXXXXX");

	*state = folder;
	(void)umask(077);
	return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave(void **state)
{
	mk_autofree char *folder = *state;
	mk_autoerror err = { .code = MK_OK };

	return chdir("/") == 0 && mk_fs_remove_all(folder, &err) == 0 ? 0 : -1;
}

static void put(const char *path, const char *text)
{
	mk_autoerror err = { .code = MK_OK };

	if (mk_fs_write_atomic(path, text, strlen(text), 0644, &err) < 0)
		fail_msg("%s", err.message);
}

static void assert_file(const char *path, const char *text)
{
	mk_autobuf buf = mk_buf_init(MK_MIB);
	mk_autoerror err = { .code = MK_OK };

	assert_int_equal(mk_fs_read(path, &buf, &err), 0);
	assert_string_equal(buf.data, text);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static size_t entries(const char *path)
{
	DIR *dir = opendir(path);
	size_t count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	(void)closedir(dir);
	return count - 2;
}

static void test_read(void **state)
{
	mk_autobuf small = mk_buf_init(4);
	mk_autobuf exact = mk_buf_init(5);
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	put("f", "12345");
	assert_int_equal(mk_fs_read("f", &small, &err), -MK_EINVALID);
	assert_string_equal(err.message, "f is larger than 4 bytes");
	assert_int_equal(mk_fs_read("f", &exact, &err), 0);
	assert_string_equal(exact.data, "12345");
	assert_int_equal(mk_fs_read("none", &exact, &err), -MK_ENOTFOUND);
	assert_string_equal(err.message, "open 'none': No such file or directory");
	assert_int_equal(mk_fs_read("f/below", &exact, &err), -MK_ESYS);
	assert_int_equal(mk_fs_read(".", &exact, &err), -MK_ESYS);
}

static void test_read_stdin(void **state)
{
	mk_autobuf buf = mk_buf_init(100);
	mk_autoerror err = { .code = MK_OK };
	mk_autoclose int saved = dup(STDIN_FILENO);
	mk_autoclose int file = -1;

	(void)state;
	put("f", "piped");
	file = open("f", O_RDONLY | O_CLOEXEC);
	assert_int_equal(dup2(file, STDIN_FILENO), STDIN_FILENO);
	assert_int_equal(mk_fs_read("-", &buf, &err), 0);
	assert_string_equal(buf.data, "piped");
	assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
}

static void test_write(void **state)
{
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	put("f", "one");
	/* The mode is as asked, whatever the umask; a second write keeps it. */
	assert_int_equal(mode_of("f"), 0644);
	assert_int_equal(chmod("f", 0640), 0);
	put("f", "two");
	assert_int_equal(mode_of("f"), 0640);
	assert_file("f", "two");
	assert_int_equal(mk_fs_write_atomic("f", NULL, 0, 0600, &err), 0);
	assert_file("f", "");
	assert_int_equal(mk_fs_write_atomic("none/f", "x", 1, 0600, &err), -MK_ESYS);
	assert_int_equal(mkdir("dir", 0755), 0);
	assert_int_equal(mk_fs_write_atomic("dir", "x", 1, 0600, &err), -MK_ESYS);
	/* Nothing is left beside them, also after failures. */
	assert_int_equal(entries("."), 2);
}

static void test_write_link(void **state)
{
	(void)state;
	assert_int_equal(mkdir("real", 0755), 0);
	put("real/f", "old");
	assert_int_equal(symlink("real/f", "link"), 0);
	assert_int_equal(symlink("link", "second"), 0);
	put("second", "new");
	assert_file("real/f", "new");
	assert_int_equal(entries("real"), 1);
	assert_int_equal(entries("."), 3);
}

static void test_mkdir(void **state)
{
	mk_autofree char *absolute = mk_xasprintf("%s/x/y", (const char *)*state);
	mk_autoerror err = { .code = MK_OK };

	assert_int_equal(mk_fs_mkdir_all("a/b//c/", 0700, &err), 0);
	assert_true(mk_fs_exists("a/b/c"));
	assert_int_equal(mode_of("a/b"), 0700);
	assert_int_equal(mk_fs_mkdir_all("a/b", 0755, &err), 0);
	assert_int_equal(mode_of("a/b"), 0700);
	assert_int_equal(mk_fs_mkdir_all(absolute, 0700, &err), 0);
	assert_true(mk_fs_exists("x/y"));
	assert_int_equal(mk_fs_mkdir_all("/", 0700, &err), 0);
	put("f", "");
	assert_int_equal(mk_fs_mkdir_all("f/below", 0700, &err), -MK_ESYS);
	assert_non_null(strstr(err.message, "make folder 'f"));
	/* A file in its place is no folder. */
	assert_int_equal(mk_fs_mkdir_all("f", 0700, &err), -MK_ESYS);
}

/* Links in a tree are removed, what they lead to is not. */
static void test_remove(void **state)
{
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_int_equal(mk_fs_mkdir_all("keep/sub", 0700, &err), 0);
	put("keep/f", "");
	assert_int_equal(mk_fs_mkdir_all("tree/a/b", 0700, &err), 0);
	put("tree/a/f", "");
	assert_int_equal(symlink("../keep", "tree/link"), 0);
	assert_int_equal(symlink("nowhere", "tree/dangling"), 0);
	assert_int_equal(mk_fs_remove_all("tree", &err), 0);
	assert_false(mk_fs_exists("tree"));
	assert_true(mk_fs_exists("keep/f"));
	assert_int_equal(mk_fs_remove_all("keep/f", &err), 0);
	assert_int_equal(mk_fs_remove_all("keep/f", &err), 0);
	assert_int_equal(symlink("keep", "link"), 0);
	assert_int_equal(mk_fs_remove_all("link", &err), 0);
	assert_true(mk_fs_exists("keep/sub"));
}

static void test_cache_dir(void **state)
{
	static const struct {
		const char *xdg, *home, *folder;
	} cases[] = {
		{ "/x", "/h", "/x/mkcluster" },
		{ "relative", "/h", "/h/.cache/mkcluster" },
		{ "", "/h", "/h/.cache/mkcluster" },
		{ NULL, "/h", "/h/.cache/mkcluster" },
		{ NULL, "", NULL },
		{ NULL, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autofree char *folder = NULL;
		mk_autoerror err = { .code = MK_OK };
		int r;

		(void)(cases[i].xdg ? setenv("XDG_CACHE_HOME", cases[i].xdg, 1)
				    : unsetenv("XDG_CACHE_HOME"));
		(void)(cases[i].home ? setenv("HOME", cases[i].home, 1) : unsetenv("HOME"));
		r = mk_fs_cache_dir(&folder, &err);
		assert_int_equal(r, cases[i].folder ? 0 : -MK_EHOST);
		if (cases[i].folder)
			assert_string_equal(folder, cases[i].folder);
	}
}

static void test_absolute(void **state)
{
	static const char *const cases[][3] = {
		{ "/a/b", "c", "/a/b/c" },
		{ "/a/b", "./c/../d//e/", "/a/b/d/e" },
		{ "/a/b", "../../../..", "/" },
		{ "/a/b", "/x/./y", "/x/y" },
		{ "/", ".", "/" },
		{ "/a", "..b/.c", "/a/..b/.c" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autofree char *path = mk_fs_absolute(cases[i][0], cases[i][1]);

		assert_string_equal(path, cases[i][2]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_read, enter, leave),
		cmocka_unit_test_setup_teardown(test_read_stdin, enter, leave),
		cmocka_unit_test_setup_teardown(test_write, enter, leave),
		cmocka_unit_test_setup_teardown(test_write_link, enter, leave),
		cmocka_unit_test_setup_teardown(test_mkdir, enter, leave),
		cmocka_unit_test_setup_teardown(test_remove, enter, leave),
		cmocka_unit_test_setup_teardown(test_cache_dir, enter, leave),
		cmocka_unit_test(test_absolute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
