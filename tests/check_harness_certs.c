/* SPDX-License-Identifier: BSD-3-Clause */
/* check_harness_certs.c - the claims of harness/certs.h, as OpenSSL's own verification sees them:
 * what is valid, for which name and purpose, what is not and by which check. */
#include "harness/certs.h"
#include "harness/checks.h"
#include "harness/util.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static X509 *read_cert(const char *pem)
{
  BIO *bio = BIO_new_mem_buf(pem, -1);
  X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);

  ck_assert_ptr_nonnull(x);
  BIO_free(bio);
  return x;
}

struct question {
  const char *ca_file, *ca_dir, *crl;
  const char *host, *ip;
  const char *purpose; /* NULL = "sslserver" */
  const struct cert *between;
};

static X509_STORE *store_for(const struct question *q)
{
  X509_STORE *store = X509_STORE_new();
  X509_LOOKUP *crls = X509_STORE_add_lookup(store, X509_LOOKUP_file());

  ck_assert_int_eq(X509_STORE_load_locations(store, q->ca_file, q->ca_dir), 1);
  if (q->crl) {
    ck_assert_int_eq(X509_load_crl_file(crls, q->crl, X509_FILETYPE_PEM), 1);
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
  }
  return store;
}

/* X509_V_OK, or why this certificate is not accepted. */
static int verdict(const struct cert *c, const struct question *q)
{
  X509_STORE *store = store_for(q);
  X509_STORE_CTX *context = X509_STORE_CTX_new();
  STACK_OF(X509) *between = sk_X509_new_null();
  X509 *x = read_cert(cert_pem(c));
  X509_VERIFY_PARAM *param;
  int error;

  if (q->between)
    sk_X509_push(between, read_cert(cert_pem(q->between)));
  X509_STORE_CTX_init(context, store, x, between);
  X509_STORE_CTX_set_default(context, strcmp(q->purpose ? q->purpose : "", "sslclient") == 0
                                          ? "ssl_client"
                                          : "ssl_server");
  param = X509_STORE_CTX_get0_param(context);
  X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                             X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  if (q->host)
    X509_VERIFY_PARAM_set1_host(param, q->host, 0);
  if (q->ip)
    X509_VERIFY_PARAM_set1_ip_asc(param, q->ip);
  X509_verify_cert(context);
  error = X509_STORE_CTX_get_error(context);
  X509_STORE_CTX_free(context);
  sk_X509_pop_free(between, X509_free);
  X509_free(x);
  X509_STORE_free(store);
  return error;
}

static void check_verdict(const struct cert *c, struct question q, int expected)
{
  int error = verdict(c, &q);

  ck_assert_msg(error == expected, "%s: %s, not: %s", cert_subject(c),
                X509_verify_cert_error_string(error), X509_verify_cert_error_string(expected));
}

START_TEST(a_server_is_valid_for_its_names_alone)
{
  struct certs *s = certs_new();
  const struct cert *ca = certs_ca(s, "top");
  const char *top = cert_file(ca);
  const struct cert *c =
      certs_make(s, &(struct cert_spec){.name = "cn.test",
                                        .issuer = ca,
                                        .dns = {"a.test", "*.b.test", "p*.c.test"},
                                        .ip = {"127.0.0.1", "::1"}});

  check_verdict(c, (struct question){.ca_file = top, .host = "a.test"}, X509_V_OK);
  check_verdict(c, (struct question){.ca_file = top, .host = "x.b.test"}, X509_V_OK);
  check_verdict(c, (struct question){.ca_file = top, .ip = "127.0.0.1"}, X509_V_OK);
  check_verdict(c, (struct question){.ca_file = top, .ip = "::1"}, X509_V_OK);
  check_verdict(c, (struct question){.ca_file = top, .host = "cn.test"},
                X509_V_ERR_HOSTNAME_MISMATCH);
  check_verdict(c, (struct question){.ca_file = top, .host = "px.c.test"},
                X509_V_ERR_HOSTNAME_MISMATCH);
  check_verdict(c, (struct question){.ca_file = top, .ip = "127.0.0.2"},
                X509_V_ERR_IP_ADDRESS_MISMATCH);
  ck_assert_str_eq(cert_subject(c), "O = poolmux tests, CN = cn.test");
  certs_free(s);
}
END_TEST

START_TEST(a_common_name_is_no_alternative_name)
{
  struct certs *s = certs_new();
  const struct cert *ca = certs_ca(s, "top");
  const struct cert *c = certs_make(s, &(struct cert_spec){.name = "cn.test", .issuer = ca});
  const struct cert *nameless = certs_make(s, &(struct cert_spec){.issuer = ca, .dns = {"a.test"}});

  check_verdict(c, (struct question){.ca_file = cert_file(ca), .host = "cn.test"},
                X509_V_ERR_HOSTNAME_MISMATCH);
  check_verdict(nameless, (struct question){.ca_file = cert_file(ca), .host = "a.test"}, X509_V_OK);
  ck_assert_str_eq(cert_subject(nameless), "O = poolmux tests");
  certs_free(s);
}
END_TEST

START_TEST(a_name_may_hold_a_nul)
{
  static const char tricky[] = "a.test\0.evil.test";
  struct certs *s = certs_new();
  const struct cert *ca = certs_ca(s, "top");
  const struct cert *c = certs_make(
      s, &(struct cert_spec){
             .name = "cn", .issuer = ca, .dns = {tricky}, .dns_len = {sizeof(tricky) - 1}});
  X509 *x = read_cert(cert_pem(c));
  GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
  const ASN1_STRING *name = sk_GENERAL_NAME_value(names, 0)->d.dNSName;

  ck_assert_int_eq(sk_GENERAL_NAME_num(names), 1);
  ck_assert_int_eq(ASN1_STRING_length(name), sizeof(tricky) - 1);
  ck_assert_mem_eq(ASN1_STRING_get0_data(name), tricky, sizeof(tricky) - 1);
  check_verdict(c, (struct question){.ca_file = cert_file(ca), .host = "a.test"},
                X509_V_ERR_HOSTNAME_MISMATCH);
  GENERAL_NAMES_free(names);
  X509_free(x);
  certs_free(s);
}
END_TEST

START_TEST(times_are_relative_to_now)
{
  struct certs *s = certs_new();
  const struct cert *ca = certs_ca(s, "top");
  struct question q = {.ca_file = cert_file(ca)};
  struct cert_spec spec = {.name = "x", .issuer = ca};

  check_verdict(certs_make(s, &spec), q, X509_V_OK);
  spec.from_s = -7200;
  spec.until_s = -3600;
  check_verdict(certs_make(s, &spec), q, X509_V_ERR_CERT_HAS_EXPIRED);
  spec.from_s = 3600;
  spec.until_s = 7200;
  check_verdict(certs_make(s, &spec), q, X509_V_ERR_CERT_NOT_YET_VALID);
  certs_free(s);
}
END_TEST

START_TEST(a_purpose_is_the_one_asked_for)
{
  static const struct {
    enum cert_purpose purpose;
    bool server, client;
  } rows[] = {{CERT_SERVER, true, false},
              {CERT_CLIENT, false, true},
              {CERT_BOTH, true, true},
              {CERT_ANY, true, true},
              {CERT_OTHER, false, false}};
  struct certs *s = certs_new();
  const struct cert *ca = certs_ca(s, "top");

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    const struct cert *c =
        certs_make(s, &(struct cert_spec){.name = "x", .issuer = ca, .purpose = rows[i].purpose});

    check_verdict(c, (struct question){.ca_file = cert_file(ca)},
                  rows[i].server ? X509_V_OK : X509_V_ERR_INVALID_PURPOSE);
    check_verdict(c, (struct question){.ca_file = cert_file(ca), .purpose = "sslclient"},
                  rows[i].client ? X509_V_OK : X509_V_ERR_INVALID_PURPOSE);
  }
  certs_free(s);
}
END_TEST

START_TEST(a_chain_needs_its_middle_and_its_top)
{
  struct certs *s = certs_new();
  const struct cert *top = certs_ca(s, "top"), *other = certs_ca(s, "other");
  const struct cert *middle = certs_intermediate(s, "middle", top);
  const struct cert *c = certs_server(s, "a.test", middle);
  const struct cert *alone = certs_server(s, "a.test", NULL);
  char both[8192];

  check_verdict(c, (struct question){.ca_file = cert_file(top), .between = middle}, X509_V_OK);
  check_verdict(c, (struct question){.ca_file = cert_file(top)},
                X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
  check_verdict(c, (struct question){.ca_file = cert_file(other), .between = middle},
                X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
  check_verdict(alone, (struct question){.ca_file = cert_file(top)},
                X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT);
  snprintf(both, sizeof(both), "%s%s", cert_pem(c), cert_pem(middle));
  ck_assert_str_eq(cert_chain_pem(c), both);
  ck_assert_str_eq(cert_chain_pem(alone), cert_pem(alone));
  certs_free(s);
}
END_TEST

START_TEST(bundles_and_hashed_directories_hold_several)
{
  struct certs *s = certs_new();
  const struct cert *one = certs_ca(s, "one"), *two = certs_ca(s, "two");
  const struct cert *same = certs_ca(s, "two"); /* has the hash of another */
  const char *bundle = certs_bundle(s, one, two, NULL);
  const char *dir = certs_hashed_dir(s, one, two, same, NULL);
  const struct cert *signers[] = {one, two, same};

  for (size_t i = 0; i < 3; i++) {
    const struct cert *c = certs_server(s, "a.test", signers[i]);

    check_verdict(c, (struct question){.ca_dir = dir}, X509_V_OK);
    check_verdict(c, (struct question){.ca_file = bundle},
                  i < 2 ? X509_V_OK : X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
  }
  check_verdict(certs_server(s, "a.test", two),
                (struct question){.ca_file = certs_join(s, cert_file(one), cert_file(two), NULL)},
                X509_V_OK);
  certs_free(s);
}
END_TEST

START_TEST(a_crl_names_whom_it_revokes)
{
  struct certs *s = certs_new();
  const struct cert *ca = certs_ca(s, "top");
  const struct cert *bad = certs_server(s, "bad.test", ca), *good = certs_server(s, "a.test", ca);
  const struct cert *worse = certs_server(s, "worse.test", ca);
  const char *crl = certs_crl(s, ca, 0, bad, worse, NULL);
  const char *old = certs_crl(s, ca, -60, NULL), *other = certs_crl(s, certs_ca(s, "o"), 0, NULL);
  const char *top = cert_file(ca);

  check_verdict(good, (struct question){.ca_file = top, .crl = crl}, X509_V_OK);
  check_verdict(bad, (struct question){.ca_file = top, .crl = crl}, X509_V_ERR_CERT_REVOKED);
  check_verdict(worse, (struct question){.ca_file = top, .crl = crl}, X509_V_ERR_CERT_REVOKED);
  check_verdict(bad, (struct question){.ca_file = top}, X509_V_OK);
  check_verdict(good, (struct question){.ca_file = top, .crl = old}, X509_V_ERR_CRL_HAS_EXPIRED);
  check_verdict(good, (struct question){.ca_file = top, .crl = other},
                X509_V_ERR_UNABLE_TO_GET_CRL);
  certs_free(s);
}
END_TEST

static EVP_PKEY *read_key(const char *path, const char *passphrase)
{
  FILE *f = fopen(path, "re");
  EVP_PKEY *key;

  ck_assert_ptr_nonnull(f);
  key = PEM_read_PrivateKey(f, NULL, NULL, (void *)(uintptr_t)passphrase);
  fclose(f);
  return key;
}

START_TEST(keys_belong_to_their_certificates)
{
  struct certs *s = certs_new();
  const struct cert *plain = certs_make(s, &(struct cert_spec){.name = "x"});
  const struct cert *locked = certs_make(s, &(struct cert_spec){.name = "x", .passphrase = "open"});
  EVP_PKEY *key = read_key(cert_key_file(plain), ""), *other;
  X509 *x = read_cert(cert_pem(plain)), *y = read_cert(cert_pem(locked));

  ck_assert_int_eq(X509_check_private_key(x, key), 1);
  ck_assert_int_eq(X509_check_private_key(y, key), 0);
  ck_assert_ptr_nonnull(strstr(cert_key_pem(locked), "BEGIN ENCRYPTED PRIVATE KEY"));
  ck_assert_ptr_null(read_key(cert_key_file(locked), "closed"));
  other = read_key(cert_key_file(locked), "open");
  ck_assert_int_eq(X509_check_private_key(y, other), 1);
  EVP_PKEY_free(key);
  EVP_PKEY_free(other);
  X509_free(x);
  X509_free(y);
  certs_free(s);
}
END_TEST

START_TEST(a_set_removes_what_it_made)
{
  struct certs *s = certs_new();
  struct stat there;
  char dir[TEMP_DIR_SIZE];

  certs_hashed_dir(s, certs_ca(s, "top"), NULL);
  snprintf(dir, sizeof(dir), "%s", certs_dir(s));
  ck_assert_int_eq(stat(dir, &there), 0);
  certs_free(s);
  ck_assert_int_ne(stat(dir, &there), 0);
  certs_free(NULL);
}
END_TEST

START_TEST(the_usual_set_is_made_once)
{
  const struct cert_set *set = certs_default();
  struct question q = {.ca_file = cert_file(set->ca), .host = "localhost"};

  ck_assert_ptr_eq(certs_default(), set);
  check_verdict(set->server, q, X509_V_OK);
  q.host = NULL;
  q.ip = "127.0.0.1";
  check_verdict(set->server, q, X509_V_OK);
  q.ip = "::1";
  check_verdict(set->server, q, X509_V_OK);
  q.ip = NULL;
  q.purpose = "sslclient";
  check_verdict(set->client, q, X509_V_OK);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("certs");

  certs_default(); /* a forked test uses it and leaves it alone */
  tcase_add_test(tc, a_server_is_valid_for_its_names_alone);
  tcase_add_test(tc, a_common_name_is_no_alternative_name);
  tcase_add_test(tc, a_name_may_hold_a_nul);
  tcase_add_test(tc, times_are_relative_to_now);
  tcase_add_test(tc, a_purpose_is_the_one_asked_for);
  tcase_add_test(tc, a_chain_needs_its_middle_and_its_top);
  tcase_add_test(tc, bundles_and_hashed_directories_hold_several);
  tcase_add_test(tc, a_crl_names_whom_it_revokes);
  tcase_add_test(tc, keys_belong_to_their_certificates);
  tcase_add_test(tc, a_set_removes_what_it_made);
  tcase_add_loop_test(tc, the_usual_set_is_made_once, 0, 2);
  return checks_run("certs", tc);
}
