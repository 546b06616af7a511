/* SPDX-License-Identifier: BSD-3-Clause */
/* check_tls_files.c - what is said about settings of TLS that cannot be used: names that no
 * certificate has, files that are missing, broken or do not belong together, keys that cannot be
 * opened, lists with words that mean nothing. Each message names option, value, and what is valid.
 */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "harness/checks.h"
#include "tls_refusals.h"

static const char *file_with(const char *name, const char *text)
{
  static char paths[8][300];
  static unsigned next;
  char *path = paths[next++ % 8];
  FILE *f;

  snprintf(path, sizeof paths[0], "%s/%s", certs_dir(s), name);
  f = fopen(path, "w");
  ck_assert_ptr_nonnull(f);
  fputs(text, f);
  fclose(f);
  return path;
}

/* ---- names ---- */

START_TEST(names_that_no_certificate_has_are_refused)
{
  char long_name[256], long_part[70];

  memset(long_name, 'x', sizeof long_name);
  for (size_t i = 50; i < sizeof long_name; i += 50)
    long_name[i] = '.';
  long_name[255] = '\0';
  memset(long_part, 'x', sizeof long_part);
  long_part[64] = '\0';
  check_one("tls.server_name", ".",
            "tls.server_name: \".\" has an empty part; a certificate can be for "
            "host names (letters, digits, \"-\", \"_\", parts of 1 to 63 with "
            "\".\" between; others in their form xn--...) and IP addresses");
  check_one("tls.server_name", ".a.test", "tls.server_name: \"%s\" has an empty part; ");
  check_one("tls.server_name", "a..test", "tls.server_name: \"%s\" has an empty part; ");
  check_one("tls.server_name", "a.test..", "tls.server_name: \"%s\" has an empty part; ");
  check_one("tls.server_name", "*.test", "tls.server_name: \"%s\" has a character that is not ");
  check_one("tls.server_name", "a test", "tls.server_name: \"%s\" has a character that is not ");
  check_one("host", "caf\xc3\xa9",
            "host: \"caf\\xc3\\xa9\" has a character that is not possible; ");
  check_one("host", "fe80:::1", "host: \"%s\" has a character that is not possible; ");
  check_one("host", "127.0.0.1%lo", "host: \"%s\" has a character that is not possible; ");
  check_one("host", long_part, "host: \"%s\" has a part of more than 63 bytes; ");
  check_one("tls.server_name", long_name, "tls.server_name: \"xxxxx");
  ck_assert_ptr_nonnull(strstr(error, "...\" is longer than 253 bytes; "));
  check_one("host", "under_score.test.", "");
  check(
      SETTINGS("socket", "/run/x"),
      "tls.server_name: \"\" cannot be verified; valid: the name that the server's certificate is "
      "for",
      "");
}
END_TEST

/* ---- files ---- */

static const char *const file_options[] = {"tls.ca_file", "tls.crl_file", "tls.cert_file",
                                           "tls.key_file"};

/* One of the options is `path`, the others are fine. */
static void check_file(const char *option, const char *path, const char *text)
{
  const int is_key = strcmp(option, "tls.key_file") == 0;
  const int is_cert = strcmp(option, "tls.cert_file") == 0;

  if (is_key)
    check(SETTINGS(option, path, "tls.cert_file", cert_file(client)), text, path);
  else if (is_cert)
    check(SETTINGS(option, path, "tls.key_file", cert_key_file(client)), text, path);
  else
    check(SETTINGS(option, path), text, path);
}

START_TEST(files_that_cannot_be_read_are_named)
{
  char text[200];
  char fifo[300];

  snprintf(fifo, sizeof fifo, "%s/fifo", certs_dir(s));
  ck_assert_int_eq(mkfifo(fifo, 0600), 0);
  for (size_t i = 0; i < 4; i++) {
    snprintf(text, sizeof text,
             "%s: \"%%s\" cannot be read: No such file or directory; valid: a file in PEM",
             file_options[i]);
    check_file(file_options[i], "/nonexistent/x.pem", text);
    snprintf(text, sizeof text,
             "%s: \"%%s\" cannot be read: it is a directory; valid: a file in PEM",
             file_options[i]);
    check_file(file_options[i], certs_dir(s), text);
    snprintf(text, sizeof text, "%s: \"%%s\" cannot be read: it is no regular file; ",
             file_options[i]);
    check_file(file_options[i], fifo, text);
  }
}
END_TEST

START_TEST(files_of_any_size_are_not_read)
{
  const char *path = file_with("large.pem", "");

  ck_assert_int_eq(truncate(path, 16 * 1024 * 1024 + 1), 0);
  check_file("tls.ca_file", path, "tls.ca_file: \"%s\" cannot be read: it is larger than 16 MiB; ");
  ck_assert_int_eq(truncate(path, 16 * 1024 * 1024), 0);
  check_file("tls.ca_file", path,
             "tls.ca_file: \"%s\" holds no certificate in PEM; valid: text with "
             "-----BEGIN CERTIFICATE-----");
}
END_TEST

#define CERT_BEGIN "-----BEGIN CERTIFICATE-----\n"
#define CERT_END "-----END CERTIFICATE-----\n"

START_TEST(files_that_hold_something_else_are_named)
{
  const char *empty = file_with("empty", ""), *prose = file_with("prose", "Hello\n");
  const char *broken = file_with("broken", CERT_BEGIN "AAAA\n" CERT_END);
  const char *cut = file_with("cut", CERT_BEGIN "AAAA\n");
  const char *half = certs_join(s, cert_file(ca), broken, NULL);
  const char *crl = certs_crl(s, ca, 0, NULL);

  check_file("tls.ca_file", empty,
             "tls.ca_file: \"%s\" holds no certificate in PEM; valid: text with ");
  check_file("tls.ca_file", prose, "tls.ca_file: \"%s\" holds no certificate in PEM; ");
  check_file("tls.ca_file", crl, "tls.ca_file: \"%s\" holds no certificate in PEM; ");
  check_file("tls.ca_file", broken, "tls.ca_file: \"%s\" holds a broken certificate");
  check_file("tls.ca_file", cut, "tls.ca_file: \"%s\" holds a broken certificate");
  check_file("tls.ca_file", half, "tls.ca_file: \"%s\" holds a broken certificate");
  check_file("tls.cert_file", prose,
             "tls.cert_file: \"%s\" holds no certificate in PEM; valid: text ");
  check_file("tls.cert_file", broken, "tls.cert_file: \"%s\" holds a broken certificate");
  check_file("tls.cert_file", certs_join(s, cert_file(client), broken, NULL),
             "tls.cert_file: \"%s\" holds a broken certificate");
  check_file("tls.key_file", prose,
             "tls.key_file: \"%s\" holds no private key in PEM; valid: text ");
  check_file("tls.key_file", cert_file(ca), "tls.key_file: \"%s\" holds no private key in PEM; ");
  check_file("tls.crl_file", prose,
             "tls.crl_file: \"%s\" holds no revocation list in PEM; valid: ");
  check_file("tls.crl_file", cert_file(ca),
             "tls.crl_file: \"%s\" holds no revocation list in PEM; ");
  check_file("tls.crl_file",
             file_with("l", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"),
             "tls.crl_file: \"%s\" holds a broken revocation list");
  check_one("tls.ca_pem", "Hello",
            "tls.ca_pem: \"(its text)\" holds no certificate in PEM; valid: text with -----BEGIN ");
  check_one("tls.ca_pem", CERT_BEGIN "AAAA\n" CERT_END,
            "tls.ca_pem: \"(its text)\" holds a broken certificate");
}
END_TEST

START_TEST(directories_are_read_whatever_is_in_them)
{
  char dir[300], sub[400], path[400];
  struct tls_context *context;
  SSL_CTX *server = server_with(&(struct server_spec){.cert = certs_server(s, "a.test", ca)});
  struct talk t;

  check_one("tls.ca_dir", "/nonexistent",
            "tls.ca_dir: \"%s\" cannot be read: No such file or directory; valid: a directory with "
            "files in PEM");
  snprintf(dir, sizeof dir, "%s/cas", certs_dir(s));
  snprintf(sub, sizeof sub, "%s/more", dir);
  ck_assert_int_eq(mkdir(dir, 0700) | mkdir(sub, 0700), 0);
  file_with("cas/README", "Hello\n");
  snprintf(path, sizeof path, "%s/link", dir);
  ck_assert_int_eq(symlink("more", path), 0);
  snprintf(path, sizeof path, "%s/dangling", dir);
  ck_assert_int_eq(symlink("/nonexistent/x.pem", path), 0);
  file_with("cas/.hidden", CERT_BEGIN "AAAA\n" CERT_END);
  check_one("tls.ca_dir", dir, "tls.ca_dir: \"%s\" holds no file with a certificate in PEM; ");
  file_with("cas/one.crt", cert_pem(certs_ca(s, "one")));
  file_with("cas/two", cert_pem(ca));
  context = context_with(SETTINGS("tls.ca_dir", dir, "host", "a.test"));
  t = talk_begin(context, server);
  talk_run(&t);
  ck_assert_int_eq(t.failed, 0);
  talk_end(&t);
  tls_context_unref(context);
  snprintf(path, sizeof path, "%s/broken", dir);
  file_with("cas/broken", CERT_BEGIN "AAAA\n" CERT_END);
  check(SETTINGS("tls.ca_dir", dir), "tls.ca_dir: \"%s\" holds a broken certificate", path);
  SSL_CTX_free(server);
}
END_TEST

START_TEST(all_sources_of_trust_count_together)
{
  const struct cert *cas[] = {certs_ca(s, "file"), certs_ca(s, "dir"), certs_ca(s, "pem"), ca};
  struct tls_context *context = context_with(
      SETTINGS("tls.ca_file", cert_file(cas[0]), "tls.ca_dir", certs_hashed_dir(s, cas[1], NULL),
               "tls.ca_pem", cert_pem(cas[2]), "host", "a.test"));

  for (int i = 0; i < 4; i++) {
    SSL_CTX *server = server_with(&(struct server_spec){.cert = certs_server(s, "a.test", cas[i])});
    struct talk t = talk_begin(context, server);

    talk_run(&t);
    ck_assert_int_eq(t.failed, i == 3);
    talk_end(&t);
    SSL_CTX_free(server);
  }
  ERR_clear_error();
  tls_context_unref(context);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("tls_files");

  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_test(tc, names_that_no_certificate_has_are_refused);
  tcase_add_test(tc, files_that_cannot_be_read_are_named);
  tcase_add_test(tc, files_of_any_size_are_not_read);
  tcase_add_test(tc, files_that_hold_something_else_are_named);
  tcase_add_test(tc, directories_are_read_whatever_is_in_them);
  tcase_add_test(tc, all_sources_of_trust_count_together);
  return checks_run("tls_files", tc);
}
