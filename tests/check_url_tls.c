/* SPDX-License-Identifier: BSD-3-Clause */
/* check_url_tls.c - what a URL says of TLS: it may ask for more than the program did, and never for
 * less. */
#include "harness/checks.h"
#include "url_tools.h"

START_TEST(plain_scheme_does_not_take_tls_away)
{
  set("tls", "yes");
  ck_assert_int_eq(set_url("redis://h"), 0);
  ck_assert_int_eq(config.tls, 1);
  ck_assert_int_eq(set_url("unix:///s"), 0);
  ck_assert_int_eq(config.tls, 1);
}
END_TEST

/* What the program has set, a URL, and why that is refused: "" = it is not. */
static const struct {
  const char *name, *value, *url, *error;
} weaker[] = {
    {"tls", "yes", "redis://h?tls=no",
     "URL: tls cannot be set in a URL to \"no\" when the program has set it to \"yes\"; use "
     "pmx_options_set"},
    {"tls", "no", "redis://h?tls=no", ""},
    {"tls", "no", "redis://h?tls=yes", ""},
    {"tls", "yes", "redis://h?tls=yes", ""},
    {"tls", "no", "rediss://h?tls.insecure_skip_verify=yes",
     "URL: tls.insecure_skip_verify cannot be set in a URL to \"yes\", which would weaken TLS; use "
     "pmx_options_set"},
    {"tls", "no", "rediss://h?tls.insecure_skip_verify=no", ""},
    {"tls.insecure_skip_verify", "yes", "rediss://h?tls.insecure_skip_verify=no", ""},
    {"tls", "no", "rediss://h?tls.common_name=yes",
     "URL: tls.common_name cannot be set in a URL to "},
    {"tls.min_version", "1.3", "rediss://h?tls.min_version=1.2",
     "URL: tls.min_version cannot be set in a URL to less than the program has set, which would "
     "weaken TLS; use pmx_options_set"},
    {"tls.min_version", "1.3", "rediss://h?tls.min_version=1.3", ""},
    {"tls", "no", "rediss://h?tls.min_version=1.3", ""},
    {"tls", "no", "rediss://h?tls.ciphers=ALL",
     "URL: tls.ciphers cannot be set in a URL because that could weaken TLS; use pmx_options_set"},
    {"tls", "no", "rediss://h?tls.ciphersuites=x", "URL: tls.ciphersuites cannot be set in a URL "},
    {"tls", "no", "rediss://h?tls.groups=x", "URL: tls.groups cannot be set in a URL because "},
    {"tls", "no", "rediss://h?tls.ca_file=/f&tls.server_name=n&tls.crl_file=/c&tls.ca_dir=/d", ""},
    {"tls.server_name", "n", "rediss://h?tls.ca_pem=x",
     "URL: tls.ca_pem cannot be set in a URL, because the program has set tls.server_name: who may "
     "be "
     "trusted comes from one of them; use pmx_options_set"},
    {"tls.ca_pem", "x", "rediss://h?tls.server_name=n", "URL: tls.server_name cannot be set in a "},
    {"tls.ca_file", "x", "rediss://h?tls.ca_file=", "URL: tls.ca_file cannot be set in a URL, "},
    {"tls.crl_file", "x", "rediss://h?tls.ca_dir=y", "URL: tls.ca_dir cannot be set in a URL, "},
    {"tls.ca_dir", "x", "rediss://h?tls.crl_file=y", "URL: tls.crl_file cannot be set in a URL, "},
    {"tls.ca_file", "x", "rediss://h?tls.cert_file=c&tls.key_file=k&tls.retire=1s", ""},
    {"tls.cert_file", "x", "rediss://h?tls.cert_file=c&tls.key_passphrase=p", ""},
};

START_TEST(a_url_cannot_weaken_tls)
{
  set(weaker[_i].name, weaker[_i].value);
  if (*weaker[_i].error)
    check_url(weaker[_i].url, weaker[_i].error);
  else
    ck_assert_msg(set_url(weaker[_i].url) == 0, "%s: %s", weaker[_i].url, error);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("url_tls");

  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_test(tc, plain_scheme_does_not_take_tls_away);
  tcase_add_loop_test(tc, a_url_cannot_weaken_tls, 0, COUNT(weaker));
  return checks_run("url_tls", tc);
}
