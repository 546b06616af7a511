/* SPDX-License-Identifier: BSD-3-Clause */
/* check_options.c - the option table as a whole, the public options object, and what holds between
 * options. Goes over the table wherever it can, so that a new row is tested by being there. */
#include "api/options.h"
#include "api/table.h"
#include "base/mem.h"
#include "base/sync.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pmx_options *options;

static void make_options(void)
{
  options = pmx_options_new();
  ck_assert_ptr_nonnull(options);
}

static void free_options(void)
{
  mem_fail_at(0, 0);
  pmx_options_free(options);
}

static int is_kind(size_t i, const char *kind)
{
  return strcmp(option_at(i)->kind, kind) == 0;
}

/* ---- table ---- */

START_TEST(every_default_is_read_and_printed_back)
{
  for (size_t i = 0; i < option_count(); i++) {
    const struct option_row *row = option_at(i);
    const char *text;

    ck_assert_int_eq(pmx_options_set(options, row->name, row->def), PMX_OK);
    text = pmx_options_get(options, row->name);
    if (is_kind(i, "SECRET"))
      ck_assert_ptr_null(text);
    else if (strcmp(row->def, "auto") != 0 || !is_kind(i, "INT"))
      ck_assert_str_eq(text, row->def);
  }
  ck_assert_str_eq(pmx_options_error(options), "");
}
END_TEST

START_TEST(rows_are_sane)
{
  ck_assert_uint_eq(option_count(), OPTION_COUNT);
  ck_assert_ptr_null(option_at(option_count()));
  for (size_t i = 0; i < option_count(); i++) {
    const struct option_row *row = option_at(i);

    ck_assert_uint_eq(option_find(row->name), i);
    ck_assert_int_ge(row->min, 0);
    ck_assert_int_le(row->min, row->max);
    ck_assert_int_ne(is_kind(i, "ENUM"), *row->names == '\0');
    ck_assert_str_ne(row->help, "");
    /* What changes in an open client is read without locks and copied as plain bytes. */
    ck_assert(!row->live || (!is_kind(i, "STRING") && !is_kind(i, "SECRET")));
    ck_assert_uint_le(strlen(row->name), 40);
  }
}
END_TEST

START_TEST(auto_is_four_per_cpu_from_8_to_64)
{
  int64_t want = 4 * (int64_t)cpu_count();

  want = want < 8 ? 8 : want > 64 ? 64 : want;
  ck_assert_int_eq(options->config.pool_max_size, want);
  ck_assert_int_eq(pmx_options_set(options, "pool.max_size", "3"), PMX_OK);
  ck_assert_int_eq(options->config.pool_max_size, 3);
  ck_assert_int_eq(pmx_options_set(options, "pool.max_size", "auto"), PMX_OK);
  ck_assert_int_eq(options->config.pool_max_size, want);
  ck_assert_int_eq(pmx_options_set(options, "pool.min_idle", "auto"), PMX_INVALID);
}
END_TEST

/* ---- live ---- */

START_TEST(only_live_options_change_in_an_open_client)
{
  char error[512];
  int live = 0;

  for (size_t i = 0; i < option_count(); i++) {
    const struct option_row *row = option_at(i);
    int result = config_set(&options->config, row->name, row->def, 1, error, sizeof error);

    ck_assert_int_eq(result, row->live ? 0 : -1);
    ck_assert_str_eq(error, row->live ? "" : error);
    if (!row->live)
      ck_assert_ptr_nonnull(strstr(error, ": cannot be changed in an open client"));
    live += row->live;
  }
  ck_assert_int_gt(live, 10);
  ck_assert_int_lt(live, (int)option_count());
}
END_TEST

/* ---- object ---- */

START_TEST(first_error_is_kept)
{
  ck_assert_str_eq(pmx_options_error(options), "");
  ck_assert_int_eq(pmx_options_set(options, "db", "1"), PMX_OK);
  ck_assert_int_eq(pmx_options_set(options, "db", "x"), PMX_INVALID);
  ck_assert_int_eq(pmx_options_set(options, "port", "y"), PMX_INVALID);
  ck_assert_int_eq(pmx_options_set(options, "db", "2"), PMX_OK);
  ck_assert_str_eq(pmx_options_error(options),
                   "db: \"x\" is not a whole number; valid: 0 to 1000000");
  ck_assert_str_eq(pmx_options_get(options, "db"), "2");
  ck_assert_str_eq(pmx_options_get(options, "port"), "6379");
}
END_TEST

START_TEST(texts_stay_valid_over_many_gets)
{
  const char *texts[OPTION_COUNT];

  for (size_t i = 0; i < option_count(); i++)
    texts[i] = pmx_options_get(options, option_at(i)->name);
  for (size_t i = 0; i < option_count(); i++) {
    ck_assert_ptr_eq(texts[i], pmx_options_get(options, option_at(i)->name));
    if (texts[i] && strcmp(option_at(i)->def, "auto") != 0)
      ck_assert_str_eq(texts[i], option_at(i)->def);
  }
}
END_TEST

START_TEST(null_arguments_are_harmless)
{
  ck_assert_int_eq(pmx_options_set(NULL, "db", "1"), PMX_INVALID);
  ck_assert_ptr_null(pmx_options_get(NULL, "db"));
  ck_assert_ptr_null(pmx_options_get(options, NULL));
  ck_assert_ptr_null(pmx_options_get(options, "nonsense"));
  ck_assert_str_eq(pmx_options_error(NULL), "");
  pmx_options_set_credentials(NULL, NULL, NULL);
  pmx_options_set_log(NULL, NULL, PMX_LOG_ERROR, NULL);
  pmx_options_set_events(NULL, NULL, NULL);
  pmx_options_free(NULL);
  ck_assert_int_eq(pmx_options_set(options, NULL, "1"), PMX_INVALID);
  ck_assert_int_eq(pmx_options_set(options, "db", NULL), PMX_INVALID);
  ck_assert_str_eq(pmx_options_error(options), "the name of an option is missing (NULL)");
}
END_TEST

START_TEST(secrets_are_never_shown)
{
  static char value[70000];

  for (size_t i = 0; i < sizeof value - 8; i += 8)
    memcpy(value + i, "Hunter2!", 8);
  ck_assert_int_eq(pmx_options_set(options, "password", value), PMX_INVALID);
  ck_assert_str_eq(pmx_options_error(options),
                   "password: the value is too long; valid: 0 to 65536 bytes");
  ck_assert_int_eq(pmx_options_set(options, "password", "Hunter2!"), PMX_OK);
  ck_assert_str_eq(options->config.password, "Hunter2!");
  ck_assert_ptr_null(pmx_options_get(options, "password"));
  ck_assert_str_eq(options->text[OPTION_ID_password], "");
}
END_TEST

static int credentials(void *ud, char *user, size_t us, char *password, size_t ps)
{
  (void)ud, (void)user, (void)us, (void)password, (void)ps;
  return 0;
}

static void log_line(void *ud, pmx_log_level level, const char *component, const char *message)
{
  (void)ud, (void)level, (void)component, (void)message;
}

static void event(void *ud, const pmx_event *e)
{
  (void)ud, (void)e;
}

START_TEST(copies_are_equal_and_independent)
{
  struct config copy;
  int a, b, c;

  pmx_options_set_credentials(options, credentials, &a);
  pmx_options_set_log(options, log_line, PMX_LOG_DEBUG, &b);
  pmx_options_set_events(options, event, &c);
  ck_assert_int_eq(pmx_options_set(options, "password", "secret"), PMX_OK);
  ck_assert_int_eq(pmx_options_set(options, "retry.max", "77"), PMX_OK);
  ck_assert_int_eq(config_copy(&copy, &options->config), 0);
  ck_assert(copy.credentials == credentials && copy.credentials_ud == &a);
  ck_assert(copy.log == log_line && copy.log_max == PMX_LOG_DEBUG && copy.log_ud == &b);
  ck_assert(copy.event == event && copy.event_ud == &c);
  for (int i = 0; i < OPTION_COUNT; i++) {
    enum option_id id = (enum option_id)i;

    if (!is_kind(id, "STRING") && !is_kind(id, "SECRET")) {
      ck_assert_int_eq(option_number(&copy, id), option_number(&options->config, id));
      continue;
    }
    ck_assert_str_eq(option_string(&copy, id), option_string(&options->config, id));
    ck_assert_ptr_ne(option_string(&copy, id), option_string(&options->config, id));
  }
  config_clear(&copy);
  ck_assert_ptr_null(copy.password);
  config_clear(&copy);
  ck_assert_str_eq(options->config.password, "secret");
}
END_TEST

/* ---- out of memory ---- */

START_TEST(every_failed_allocation_is_survived)
{
  struct config copy;
  uint64_t n;
  int left;

  for (n = 1, left = 1; left; n++) {
    mem_fail_at(n, 0);
    pmx_options *made = pmx_options_new();
    left = made == NULL;
    mem_fail_at(0, 0);
    pmx_options_free(made);
  }
  ck_assert_uint_gt(n, 5);
  for (n = 1, left = 1; left; n++) {
    mem_fail_at(n, 1);
    left = config_copy(&copy, &options->config);
    mem_fail_at(0, 0);
    ck_assert_int_ge(left, -1);
    ck_assert_int_le(left, 0);
    config_clear(&copy);
  }
  ck_assert_uint_gt(n, 5);
}
END_TEST

START_TEST(out_of_memory_leaves_the_old_value_and_is_remembered)
{
  for (size_t i = 0; i < option_count(); i++) {
    const struct option_row *row = option_at(i);
    char expected[64];

    if (!is_kind(i, "STRING") && !is_kind(i, "SECRET"))
      continue;
    pmx_options_free(options);
    make_options();
    ck_assert_int_eq(pmx_options_set(options, row->name, "old"), PMX_OK);
    mem_fail_at(1, 0);
    ck_assert_int_eq(pmx_options_set(options, row->name, "new"), PMX_NOMEM);
    mem_fail_at(0, 0);
    ck_assert_str_eq(option_string(&options->config, (enum option_id)i), "old");
    snprintf(expected, sizeof expected, "%s: out of memory", row->name);
    ck_assert_str_eq(pmx_options_error(options), expected);
  }
}
END_TEST

START_TEST(numbers_need_no_memory)
{
  mem_fail_at(1, 1);
  for (size_t i = 0; i < option_count(); i++)
    if (!is_kind(i, "STRING") && !is_kind(i, "SECRET"))
      ck_assert_int_eq(pmx_options_set(options, option_at(i)->name, option_at(i)->def), PMX_OK);
  mem_fail_at(0, 0);
}
END_TEST

/* ---- between options ---- */

static const struct {
  const char *settings[6];
  const char *error;
} together[] = {
    {{NULL}, ""},
    {{"pool.max_size", "4", "pool.min_idle", "4"}, ""},
    {{"pool.max_size", "4", "pool.min_idle", "5"},
     "pool.min_idle=5 is more than pool.max_size=4; lower the first or raise the second"},
    {{"pool.max_idle", "2", "pool.min_idle", "2"}, ""},
    {{"pool.max_idle", "2", "pool.min_idle", "3"},
     "pool.min_idle=3 is more than pool.max_idle=2; lower the first or raise the second"},
    {{"reconnect.min_delay", "1s", "reconnect.max_delay", "1s"}, ""},
    {{"reconnect.min_delay", "1.5s", "reconnect.max_delay", "1s"},
     "reconnect.min_delay=1500ms is more than reconnect.max_delay=1s; lower the first or raise the "
     "second"},
    {{"client_name", "!a:b~"}, ""},
    {{"client_name", "a b"},
     "client_name: \"a b\" has characters that are not possible; valid: printable ASCII without "
     "blanks"},
    {{"client_name", "a\n"}, "client_name: \"a\\x0a\" has characters that are not possible; "},
    {{"client_name", "\xc3\xa9"}, "client_name: \"\\xc3\\xa9\" has characters that are not "},
    {{"client_name", "\x7f"}, "client_name: \"\\x7f\" has characters that are not possible; "},
    {{"pool.name", "caf\xc3\xa9 1"}, ""},
    {{"pool.name", "controls"}, ""},
    {{"pool.name", "control"},
     "pool.name: \"control\" is the name of the control connection; valid: any other"},
    {{"pool.name", "a\nb"},
     "pool.name: \"a\\x0ab\" has characters that are not possible; valid: anything but control "
     "characters"},
    {{"user", "alice", "password", "x"}, ""},
    {{"password", "x"}, ""},
    {{"user", "alice"},
     "user is set, but password is empty; set both, or call pmx_options_set_credentials"},
    {{"tls", "yes"}, ""},
    {{"socket", "/run/x"}, ""},
    {{"tls", "yes", "socket", "/run/x"},
     "tls.server_name is empty, and with socket=\"/run/x\" there is no host to check the certificate "
     "for; set tls.server_name"},
    {{"tls", "yes", "socket", "/run/x", "tls.server_name", "redis.test"}, ""},
    {{"tls", "yes", "socket", "/run/x", "tls.insecure_skip_verify", "yes"}, ""},
    {{"tls", "yes", "tls.cert_file", "/c"},
     "tls.cert_file is set, but tls.key_file is empty; a client certificate needs both (they may be "
     "the same file)"},
    {{"tls", "yes", "tls.key_file", "/k"}, "tls.key_file is set, but tls.cert_file is empty; "},
    {{"tls", "yes", "tls.key_file", "/k", "tls.cert_file", "/c"}, ""},
    {{"tls.ca_file", "/ca"},
     "tls.ca_file is set, but tls=no, so that nothing would be encrypted; set tls=yes or connect with "
     "rediss:// or valkeys://, or leave it out"},
    {{"tls.key_passphrase", "JyB5hT2"}, "tls.key_passphrase is set, but tls=no, "},
    {{"tls.insecure_skip_verify", "yes"}, "tls.insecure_skip_verify is set, but tls=no, "},
    {{"tls", "yes", "tls.insecure_skip_verify", "yes", "tls.ca_file", "/c"},
     "tls.ca_file is set, but tls.insecure_skip_verify=yes, so that nothing would be verified; "
     "leave out one of them"},
    {{"tls", "yes", "tls.insecure_skip_verify", "yes", "tls.ca_dir", "/c"}, "tls.ca_dir is set, but "},
    {{"tls", "yes", "tls.insecure_skip_verify", "yes", "tls.ca_pem", "x"}, "tls.ca_pem is set, but "},
    {{"tls", "yes", "tls.insecure_skip_verify", "yes", "tls.crl_file", "/c"},
     "tls.crl_file is set, but "},
    {{"tls", "yes", "tls.insecure_skip_verify", "yes", "tls.common_name", "yes"},
     "tls.common_name is set, but tls.insecure_skip_verify=yes, "},
    {{"tls", "yes", "tls.insecure_skip_verify", "yes", "tls.server_name", "redis.test"}, ""},
    {{"tls.min_version", "1.3"}, "tls.min_version is set, but tls=no, "},
    {{"tls.retire", "11s"}, "tls.retire is set, but tls=no, "},
    {{"tls.min_version", "1.2", "tls.retire", "10s", "tls.common_name", "no"}, ""},
};

START_TEST(contradictions_are_named_with_both_values)
{
  char error[512] = "untouched";
  const char *want = together[_i].error;

  for (size_t i = 0; i < 6 && together[_i].settings[i]; i += 2)
    ck_assert_int_eq(
        pmx_options_set(options, together[_i].settings[i], together[_i].settings[i + 1]), PMX_OK);
  ck_assert_int_eq(config_check(&options->config, error, sizeof error), *want ? -1 : 0);
  if (*want && want[strlen(want) - 1] == ' ')
    ck_assert_msg(strncmp(error, want, strlen(want)) == 0, "%s", error);
  else
    ck_assert_str_eq(error, want);
}
END_TEST

START_TEST(credentials_callback_replaces_the_password)
{
  char error[512];

  ck_assert_int_eq(pmx_options_set(options, "user", "alice"), PMX_OK);
  ck_assert_int_eq(config_check(&options->config, error, sizeof error), -1);
  ck_assert_ptr_null(strstr(error, "alice"));
  pmx_options_set_credentials(options, credentials, NULL);
  ck_assert_int_eq(config_check(&options->config, error, sizeof error), 0);
}
END_TEST

#define COUNT(array) ((int)(sizeof array / sizeof *array))

int main(void)
{
  Suite *suite = suite_create("options");
  TCase *tc = tcase_create("options");
  SRunner *runner = srunner_create(suite);
  int failed;

  tcase_set_timeout(tc, 60);
  tcase_add_checked_fixture(tc, make_options, free_options);
  tcase_add_test(tc, every_default_is_read_and_printed_back);
  tcase_add_test(tc, rows_are_sane);
  tcase_add_test(tc, auto_is_four_per_cpu_from_8_to_64);
  tcase_add_test(tc, only_live_options_change_in_an_open_client);
  tcase_add_test(tc, first_error_is_kept);
  tcase_add_test(tc, texts_stay_valid_over_many_gets);
  tcase_add_test(tc, null_arguments_are_harmless);
  tcase_add_test(tc, secrets_are_never_shown);
  tcase_add_test(tc, copies_are_equal_and_independent);
  tcase_add_test(tc, every_failed_allocation_is_survived);
  tcase_add_test(tc, out_of_memory_leaves_the_old_value_and_is_remembered);
  tcase_add_test(tc, numbers_need_no_memory);
  tcase_add_loop_test(tc, contradictions_are_named_with_both_values, 0, COUNT(together));
  tcase_add_test(tc, credentials_callback_replaces_the_password);
  suite_add_tcase(suite, tc);
  srunner_run_all(runner, CK_NORMAL);
  failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
