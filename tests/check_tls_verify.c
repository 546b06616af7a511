/* SPDX-License-Identifier: BSD-3-Clause */
/* check_tls_verify.c - everything that can be wrong with a server's certificate, and the sentence
 * that a person gets. Each of them is refused in the handshake. */
#include <openssl/x509v3.h>
#include "tls_matrix.h"

/* For a server that is one certificate, and a client that trusts our authority. */
static void check(const struct cert *cert, const char *host, const char *text)
{
  meet((struct server_spec){.cert = cert}, SETTINGS("tls.ca_file", cert_file(ca), "host", host),
       text);
}

static const struct cert *server_for(const char *dns, int64_t from_s, int64_t until_s)
{
  return certs_make(
      s, &(struct cert_spec){
             .name = "cn", .issuer = ca, .dns = {dns}, .from_s = from_s, .until_s = until_s});
}

/* ---- names ---- */

#define NAMES "\"a.test\", \"*.b.test\", \"p*.c.test\", 127.0.0.1, ::1"
#define SUBJECT " (subject \"O = poolmux tests, CN = cn.test\")"
#define NAME_HINT "; if that is the right server, set tls.server_name to a name it has"

START_TEST(names_are_compared_as_a_whole)
{
  static const char *const fine[] = {"a.test", "A.Test", "x.b.test", "127.0.0.1", "::1"};
  static const char *const wrong[] = {"cn.test",   "b.test",      "x.y.b.test", "pz.c.test",
                                      "p*.c.test", "a.test.evil", "xa.test"};

  for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
    check(good, fine[i], "");
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    if (strchr(wrong[i], '*')) /* no name at all: see check_tls_context.c */
      continue;
    check(good, wrong[i], "the server's certificate is not for name \"");
    expect_more("\" but for " NAMES SUBJECT NAME_HINT);
    expect_more(wrong[i]);
  }
}
END_TEST

START_TEST(addresses_are_looked_for_among_addresses)
{
  const struct cert *as_name = server_for("127.0.0.9", 0, 0);

  check(
      good, "127.0.0.2",
      "the server's certificate is not for address \"127.0.0.2\" but for " NAMES SUBJECT NAME_HINT);
  check(as_name, "127.0.0.9",
        "the server's certificate is not for address \"127.0.0.9\" but for \"127.0.0.9\" (");
}
END_TEST

START_TEST(a_common_name_counts_only_when_it_was_asked_for)
{
  const struct cert *cn = certs_make(s, &(struct cert_spec){.name = "cn.test", .issuer = ca});

  check(cn, "cn.test",
        "the server's certificate is not for name \"cn.test\"" SUBJECT
        "; it lists no names (subjectAltName), and needs DNS:cn.test there; with "
        "tls.common_name=yes the subject's common name counts");
  meet((struct server_spec){.cert = cn},
       SETTINGS("tls.ca_file", cert_file(ca), "host", "cn.test", "tls.common_name", "yes"), "");
  check(cn, "127.0.0.1",
        "the server's certificate is not for address \"127.0.0.1\"" SUBJECT
        "; it lists no names (subjectAltName), and needs IP:127.0.0.1 there");
  ck_assert_ptr_null(strstr(told, "tls.common_name"));
  meet((struct server_spec){.cert = good},
       SETTINGS("tls.ca_file", cert_file(ca), "host", "cn.test", "tls.common_name", "yes"),
       "the server's certificate is not for name \"cn.test\" but for ");
}
END_TEST

START_TEST(names_with_a_nul_are_shown_and_match_nothing)
{
  static const char tricky[] = "a.test\0.evil.test";
  const struct cert *c = certs_make(
      s, &(struct cert_spec){
             .name = "cn", .issuer = ca, .dns = {tricky}, .dns_len = {sizeof tricky - 1}});

  check(c, "a.test",
        "the server's certificate is not for name \"a.test\" but for \"a.test\\x00.evil.test\" (");
}
END_TEST

START_TEST(what_certificates_say_is_escaped_and_bounded)
{
  char cn[65], dns[300];
  const struct cert *c;

  memset(cn, 'c', sizeof cn);
  memset(dns, 'd', sizeof dns);
  cn[0] = '\n', cn[1] = '"', cn[2] = '\x1b', cn[64] = '\0', dns[299] = '\0';
  c = certs_make(s,
                 &(struct cert_spec){.name = cn, .issuer = ca, .dns = {dns, dns, dns, "\x01\r\n"}});
  check(c, "a.test", "the server's certificate is not for name \"a.test\" but for \"dddd");
  expect_more("...\"");
  expect_more("(subject \"O = poolmux tests, CN = \\x0a");
  expect_more(NAME_HINT);
  for (const char *at = told; *at; at++)
    ck_assert(*at >= ' ' && *at <= '~');
}
END_TEST

static X509 *with_names(int count)
{
  GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
  X509 *cert = X509_new();

  for (int i = 0; i < count; i++) {
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();
    char buf[20];

    snprintf(buf, sizeof buf, "n%d", i);
    ASN1_STRING_set(text, buf, -1);
    GENERAL_NAME_set0_value(name, GEN_DNS, text);
    sk_GENERAL_NAME_push(names, name);
  }
  X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0);
  GENERAL_NAMES_free(names);
  return cert;
}

static void tell_verdict(const struct tls_verdict *v)
{
  struct tls_context context = {.name = {.text = "a.test"}};
  struct text text;

  text_init(&text, told, sizeof told);
  tls_explain_verdict(&context, v, &text);
}

START_TEST(of_many_names_eight_are_shown)
{
  struct tls_verdict v = {.error = X509_V_ERR_HOSTNAME_MISMATCH, .leaf = with_names(11)};

  tell_verdict(&v);
  expect(
      "the server's certificate is not for name \"a.test\" but for \"n0\", \"n1\", \"n2\", \"n3\", "
      "\"n4\", \"n5\", \"n6\", \"n7\" and 3 more; if that ");
  X509_free(v.leaf);
}
END_TEST

/* ---- times ---- */

START_TEST(times_are_told_with_what_this_clock_says)
{
  const struct cert *old_ca = certs_make(
      s, &(struct cert_spec){.name = "old", .ca = true, .from_s = -7200, .until_s = -60});

  check(server_for("a.test", -7200, -3600), "a.test", "the server's certificate expired on 20");
  expect_more(" UTC; this machine's clock says 20");
  expect_more(" UTC: is it right? (subject \"O = poolmux tests, CN = cn\")");
  check(server_for("a.test", 3600, 7200), "a.test",
        "the server's certificate is not valid before 20");
  expect_more(" UTC; this machine's clock says 20");
  meet((struct server_spec){.cert = certs_server(s, "a.test", old_ca)},
       SETTINGS("tls.ca_file", cert_file(old_ca), "host", "a.test"),
       "the certificate of an issuer of the server's expired on 20");
  expect_more("CN = old\")");
}
END_TEST

/* ---- trust ---- */

#define OWN_HINT "add its CA's certificate to tls.ca_file, tls.ca_dir or tls.ca_pem"
#define SYSTEM_HINT "set tls.ca_file to its CA's certificate, which the system does not have"
#define MIDDLE_HINT "; if that is there, the server does not send its intermediate certificates"

START_TEST(authorities_have_to_be_known)
{
  const struct cert *foreign = certs_server(s, "a.test", other_ca);
  const char *with_ca = certs_bundle(s, foreign, other_ca, NULL);
  const struct cert *self = certs_make(s, &(struct cert_spec){.name = "me", .dns = {"a.test"}});
  struct server_spec spec = {.cert = foreign};

  check(foreign, "a.test",
        "the issuer of the server's certificate is not trusted here (issuer \"O = poolmux tests, "
        "CN = "
        "other\"); " OWN_HINT MIDDLE_HINT);
  meet(spec, SETTINGS("host", "a.test"),
       "the issuer of the server's certificate is not trusted here (issuer \"O = poolmux tests, CN "
       "= "
       "other\"); " SYSTEM_HINT MIDDLE_HINT);
  spec.chain_file = with_ca;
  meet(spec, SETTINGS("host", "a.test"),
       "the CA of the server's certificate is not trusted here (issuer \"O = poolmux tests, CN = "
       "other\"); if it is the right one, " SYSTEM_HINT);
  check(self, "a.test",
        "the server's certificate is signed by itself and not trusted here (subject \"O = poolmux "
        "tests, CN = me\"); if it is the right one, set tls.ca_file to a copy of it");
  meet((struct server_spec){.cert = self},
       SETTINGS("host", "a.test", "tls.ca_file", cert_file(self)), "");
}
END_TEST

START_TEST(chains_have_to_be_complete)
{
  const struct cert *middle = certs_intermediate(s, "middle", ca);
  const struct cert *leaf = certs_server(s, "a.test", middle);

  check(leaf, "a.test", "");
  meet((struct server_spec){.cert = leaf, .chain_file = cert_file(leaf)},
       SETTINGS("host", "a.test", "tls.ca_file", cert_file(ca)),
       "the issuer of the server's certificate is not trusted here (issuer \"O = poolmux tests, CN "
       "= "
       "middle\"); " OWN_HINT MIDDLE_HINT);
  meet((struct server_spec){.cert = leaf},
       SETTINGS("host", "a.test", "tls.ca_file", cert_file(middle)),
       "the certificates in tls.ca_* do not go up to a CA that signed itself (issuer \"O = poolmux "
       "tests, CN = top\"); add that one to them");
}
END_TEST

/* Its last byte belongs to the signature. */
static const char *spoiled(const struct cert *c)
{
  BIO *in = BIO_new_mem_buf(cert_pem(c), -1), *out;
  X509 *cert = PEM_read_bio_X509(in, NULL, NULL, NULL);
  static char path[300];
  unsigned char *der = NULL;
  const unsigned char *at;
  int len = i2d_X509(cert, &der);

  der[len - 1] ^= 1;
  X509_free(cert);
  at = der;
  cert = d2i_X509(NULL, &at, len);
  ck_assert_ptr_nonnull(cert);
  snprintf(path, sizeof path, "%s/spoiled.pem", certs_dir(s));
  out = BIO_new_file(path, "w");
  PEM_write_bio_X509(out, cert);
  BIO_free(out);
  BIO_free(in);
  X509_free(cert);
  OPENSSL_free(der);
  return path;
}

START_TEST(signatures_have_to_be_right)
{
  meet(
      (struct server_spec){.cert = good, .chain_file = spoiled(good)},
      SETTINGS("host", "a.test", "tls.ca_file", cert_file(ca)),
      "the server's certificate is not signed by the CA that is trusted under that name (issuer "
      "\"O = poolmux tests, CN = top\"): has the CA's key been replaced, and is tls.ca_file of the "
      "old one?");
}
END_TEST

START_TEST(purposes_have_to_fit)
{
  const struct cert *client = certs_make(
      s, &(struct cert_spec){
             .name = "cn.test", .issuer = ca, .dns = {"a.test"}, .purpose = CERT_CLIENT});
  const struct cert *any =
      certs_make(s, &(struct cert_spec){.issuer = ca, .dns = {"a.test"}, .purpose = CERT_ANY});
  const struct cert *below = certs_server(s, "a.test", good);

  check(any, "a.test", "");
  check(client, "a.test",
        "the server's certificate is not made for servers" SUBJECT
        "; it needs extendedKeyUsage=serverAuth, or none at all");
  check(below, "a.test",
        "the server's certificate was issued by one that may not issue any" SUBJECT
        "; the issuer needs basicConstraints=CA:TRUE");
}
END_TEST

/* A server of ours has no weak key, and one that has does not get so far with ours. */
START_TEST(keys_have_to_be_strong_enough)
{
  struct tls_verdict v = {.error = X509_V_ERR_EE_KEY_TOO_SMALL};

  tell_verdict(&v);
  expect("the server's certificate is too weak for this machine's OpenSSL: EE certificate key too "
         "weak; it needs a longer key or a newer hash");
}
END_TEST

START_TEST(revocation_is_told_from_lists_that_do_not_help)
{
  const struct {
    const char *file, *text;
  } rows[] = {
      {certs_crl(s, ca, 0, NULL), ""},
      {certs_crl(s, ca, 0, good, NULL),
       "the server's certificate has been revoked, says tls.crl_file" SUBJECT
       "; the server needs a new one"},
      {certs_crl(s, other_ca, 0, NULL),
       "tls.crl_file has no list of the CA that issued the server's "
       "certificate (issuer \"O = poolmux tests, CN = top\")"},
      {certs_crl(s, ca, -60, NULL),
       "in tls.crl_file the list of the CA that issued the server's certificate is too old: its "
       "next "
       "update was due; get the new one (issuer \"O = poolmux tests, CN = top\")"},
  };

  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    meet((struct server_spec){.cert = good},
         SETTINGS("host", "a.test", "tls.ca_file", cert_file(ca), "tls.crl_file", rows[i].file),
         rows[i].text);
}
END_TEST

START_TEST(no_verification_accepts_them_all)
{
  const char *const *unverified = SETTINGS("host", "a.test", "tls.insecure_skip_verify", "yes");

  meet((struct server_spec){.cert = server_for("b.test", -7200, -3600)}, unverified, "");
  meet((struct server_spec){.cert = good, .chain_file = spoiled(good)}, unverified, "");
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("tls_verify");

  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_test(tc, names_are_compared_as_a_whole);
  tcase_add_test(tc, addresses_are_looked_for_among_addresses);
  tcase_add_test(tc, a_common_name_counts_only_when_it_was_asked_for);
  tcase_add_test(tc, names_with_a_nul_are_shown_and_match_nothing);
  tcase_add_test(tc, what_certificates_say_is_escaped_and_bounded);
  tcase_add_test(tc, of_many_names_eight_are_shown);
  tcase_add_test(tc, times_are_told_with_what_this_clock_says);
  tcase_add_test(tc, authorities_have_to_be_known);
  tcase_add_test(tc, chains_have_to_be_complete);
  tcase_add_test(tc, signatures_have_to_be_right);
  tcase_add_test(tc, purposes_have_to_fit);
  tcase_add_test(tc, keys_have_to_be_strong_enough);
  tcase_add_test(tc, revocation_is_told_from_lists_that_do_not_help);
  tcase_add_test(tc, no_verification_accepts_them_all);
  return checks_run("tls_verify", tc);
}
