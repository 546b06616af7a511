/* SPDX-License-Identifier: BSD-3-Clause */
/* check_tls_identity.c - keys that cannot be opened or do not belong to their certificate, who is
 * asked for a passphrase, and lists of ciphers and groups with words that mean nothing. */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "harness/checks.h"
#include "tls_refusals.h"

/* Of this file; instead of the C library's. */
static const char *opened_path;
static int times_opened;

int open(const char *path, int flags, ...)
{
  mode_t mode = 0;
  va_list args;

  va_start(args, flags);
  if (flags & O_CREAT)
    mode = va_arg(args, mode_t);
  va_end(args);
  times_opened += opened_path && strcmp(path, opened_path) == 0;
  return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

/* ---- keys ---- */

#define SECRET "open JyB5hT2"

static const struct cert *locked(void)
{
  return certs_make(s,
                    &(struct cert_spec){
                        .name = "me", .issuer = ca, .purpose = CERT_CLIENT, .passphrase = SECRET});
}

static void check_locked(const char *passphrase, pmx_passphrase_fn fn, void *ud, const char *text)
{
  const struct cert *c = locked();
  struct config config;

  configure(&config, SETTINGS("tls.cert_file", cert_file(c), "tls.key_file", cert_key_file(c),
                              "tls.key_passphrase", passphrase));
  config.passphrase = fn;
  config.passphrase_ud = ud;
  try(&config, text, cert_key_file(c));
  ck_assert_ptr_null(strstr(error, "JyB5hT2"));
}

struct asked {
  const char *answer;
  int result, times;
  size_t size;
};

static int on_passphrase(void *ud, char *passphrase, size_t size)
{
  struct asked *a = ud;

  for (size_t i = 0; i < size; i++)
    ck_assert_int_eq(passphrase[i], 0);
  a->times++;
  a->size = size;
  if (a->answer)
    strcpy(passphrase, a->answer);
  else
    memset(passphrase, 'x', size);
  return a->result;
}

START_TEST(an_encrypted_key_is_opened_with_its_passphrase)
{
  struct asked a = {SECRET, 0, 0, 0};

  check_locked(SECRET, NULL, NULL, "");
  check_locked("", on_passphrase, &a, "");
  ck_assert_int_eq(a.times, 1);
  ck_assert_uint_eq(a.size, 1024);
  check_locked("wrong", on_passphrase, &a, ""); /* the function comes first */
}
END_TEST

START_TEST(an_encrypted_key_stays_closed_without_it)
{
  struct asked wrong = {"wrong", 0, 0, 0}, failing = {SECRET, -1, 0, 0}, endless = {NULL, 0, 0, 0};

  check_locked("", NULL, NULL,
               "tls.key_file: \"%s\" is encrypted; set tls.key_passphrase, or call "
               "pmx_options_set_passphrase");
  check_locked("wrong JyB5hT2", NULL, NULL,
               "tls.key_file: \"%s\" cannot be decrypted with tls.key_passphrase");
  check_locked("", on_passphrase, &wrong,
               "tls.key_file: \"%s\" cannot be decrypted with what the function of "
               "pmx_options_set_passphrase gave");
  ck_assert_int_eq(wrong.times, 1);
  check_locked("", on_passphrase, &failing,
               "tls.key_file: \"%s\" is encrypted, and the function of pmx_options_set_passphrase "
               "failed");
  check_locked("", on_passphrase, &endless,
               "tls.key_file: \"%s\" is encrypted, and its passphrase is too long; valid: at most "
               "1023 bytes");
}
END_TEST

START_TEST(nobody_is_asked_for_a_key_that_is_open)
{
  struct asked a = {"wrong", 0, 0, 0};
  struct config config;

  configure(&config,
            SETTINGS("tls.cert_file", cert_file(client), "tls.key_file", cert_key_file(client)));
  config.passphrase = on_passphrase;
  config.passphrase_ud = &a;
  try(&config, "", "");
  ck_assert_int_eq(a.times, 0);
}
END_TEST

START_TEST(a_key_must_belong_to_its_certificate)
{
  const char *both = certs_join(s, cert_file(ca), cert_file(client), NULL);
  char text[600];

  snprintf(text, sizeof text,
           "tls.key_file: \"%%s\" is not the key of the first certificate in tls.cert_file=\"%s\"; "
           "valid: the two that were made together",
           cert_file(client));
  check(SETTINGS("tls.key_file", cert_key_file(ca), "tls.cert_file", cert_file(client)), text,
        cert_key_file(ca));
  snprintf(
      text, sizeof text,
      "tls.key_file: \"%s\" is not the key of the first certificate in tls.cert_file=\"%%s\"; ",
      cert_key_file(client));
  check(SETTINGS("tls.cert_file", both, "tls.key_file", cert_key_file(client)), text, both);
}
END_TEST

/* Between two looks at one name somebody may put another file there. */
START_TEST(a_file_that_has_both_is_read_once)
{
  const char *both = certs_join(s, cert_file(client), cert_key_file(client), NULL);

  opened_path = both;
  check(SETTINGS("tls.cert_file", both, "tls.key_file", both), "", "");
  ck_assert_int_eq(times_opened, 1);
  opened_path = cert_key_file(client);
  check(SETTINGS("tls.cert_file", both, "tls.key_file", cert_key_file(client)), "", "");
  ck_assert_int_eq(times_opened, 2);
}
END_TEST

/* ---- lists ---- */

#define CIPHERS_VALID                                                                              \
  "; valid: OpenSSL's names with \":\" between, such as ECDHE-RSA-AES128-GCM-SHA256:HIGH:!kRSA"

/* Option, value, and the message; "": the value is taken. */
static const char *const words[][3] = {
    {"tls.ciphers", "HIGH:ECDHE-RSA-AES256-GCM-SHA348",
     "tls.ciphers: \"%s\" has \"ECDHE-RSA-AES256-GCM-SHA348\", which OpenSSL does not know or "
     "allow" CIPHERS_VALID},
    {"tls.ciphers", "HIGH::MEDIUM", "tls.ciphers: \"%s\" has an empty word" CIPHERS_VALID},
    {"tls.ciphers", "HIGH:!ALL", "tls.ciphers: \"%s\" leaves no cipher" CIPHERS_VALID},
    {"tls.ciphers", "aNULL:@SECLEVEL=0", "tls.ciphers: \"%s\" leaves no cipher" CIPHERS_VALID},
    {"tls.ciphers", "TLS_AES_128_GCM_SHA256", "tls.ciphers: \"%s\" has \"TLS_AES_128_GCM_"},
    {"tls.ciphers", "ECDHE+AESGCM:HIGH:!kRSA:+SHA256:-SHA1:@STRENGTH", ""},
    {"tls.ciphersuites", "TLS_AES_128_GCM_SHA256:TLS_AES_1",
     "tls.ciphersuites: \"%s\" has \"TLS_AES_1\", which OpenSSL does not know or allow; valid: "
     "TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256, TLS_AES_128_GCM_SHA256, with "},
    {"tls.ciphersuites", "HIGH", "tls.ciphersuites: \"%s\" has \"HIGH\", which OpenSSL does "},
    {"tls.ciphersuites", ":", "tls.ciphersuites: \"%s\" has an empty word; "},
    {"tls.ciphersuites", "TLS_AES_128_GCM_SHA256:TLS_AES_128_CCM_SHA256", ""},
    {"tls.groups", "X25519:P-255",
     "tls.groups: \"%s\" has \"P-255\", which OpenSSL does not know or allow; valid: OpenSSL's "
     "names with \":\" between, such as X25519:P-256:P-384"},
    {"tls.groups", "X25519:", "tls.groups: \"%s\" has an empty word; "},
    {"tls.groups", "X25519:P-256:P-384", ""},
};

START_TEST(words_that_mean_nothing_are_named)
{
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    check_one(words[i][0], words[i][1], words[i][2]);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("tls_identity");

  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_test(tc, an_encrypted_key_is_opened_with_its_passphrase);
  tcase_add_test(tc, an_encrypted_key_stays_closed_without_it);
  tcase_add_test(tc, nobody_is_asked_for_a_key_that_is_open);
  tcase_add_test(tc, a_file_that_has_both_is_read_once);
  tcase_add_test(tc, a_key_must_belong_to_its_certificate);
  tcase_add_test(tc, words_that_mean_nothing_are_named);
  return checks_run("tls_identity", tc);
}
