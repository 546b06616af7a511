/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_makers.c - see tls_makers.h. Certificates that only differ from a right one by what is wrong
 * with them. */
#include "behaviour/tls_makers.h"

/* ---- defects ---- */

const struct cert *usual_cert(struct stage *s)
{
  return certs_make(
      s->certs, &(struct cert_spec){
                    .name = STAGE_NAME, .dns = {STAGE_NAME}, .ip = {"127.0.0.1"}, .issuer = s->ca});
}

/* For STAGE_NAME, unless the names are given. */
static void present_spec(struct stage *s, struct cert_spec spec)
{
  spec.name = spec.name ? spec.name : STAGE_NAME;
  spec.dns[0] = spec.dns[0] ? spec.dns[0] : STAGE_NAME;
  spec.issuer = spec.issuer ? spec.issuer : s->ca;
  stage_present(s, certs_make(s->certs, &spec));
}

void ask_for(struct stage *s, const char *name)
{
  set_option(s->options, "tls.server_name", name);
}

void make_wrong_name(struct stage *s)
{
  present_spec(s, (struct cert_spec){.dns = {"other.test"}});
}

/* What has to be done is still said behind all of them. */
#define LONG_NAME "a-name-of-sixty-three-letters-that-fills-the-whole-of-a-label-s"
#define LONG_DOMAIN LONG_NAME ".example.com"

void make_wrong_long_names(struct stage *s)
{
  present_spec(s, (struct cert_spec){.dns = {"1." LONG_DOMAIN, "2." LONG_DOMAIN, "3." LONG_DOMAIN,
                                             "4." LONG_DOMAIN}});
  ask_for(s, "5." LONG_DOMAIN);
}

void make_wrong_ip(struct stage *s)
{
  present_spec(s, (struct cert_spec){.dns = {"127.0.0.1"}, .ip = {"127.0.0.2"}});
  ask_for(s, "");
}

void make_common_name_only(struct stage *s)
{
  stage_present(s, certs_make(s->certs, &(struct cert_spec){.name = STAGE_NAME, .issuer = s->ca}));
}

void make_expired(struct stage *s)
{
  present_spec(s, (struct cert_spec){.from_s = -7200, .until_s = -3600});
}

void make_early(struct stage *s)
{
  present_spec(s, (struct cert_spec){.from_s = 3600, .until_s = 7200});
}

void make_self_signed(struct stage *s)
{
  stage_present(s,
                certs_make(s->certs, &(struct cert_spec){.name = STAGE_NAME, .dns = {STAGE_NAME}}));
}

void make_unknown_ca(struct stage *s)
{
  present_spec(s, (struct cert_spec){.issuer = certs_ca(s->certs, "a stranger")});
}

void make_unknown_ca_that_is_sent(struct stage *s)
{
  const struct cert *ca = certs_ca(s->certs, "a stranger");
  const struct cert *cert = certs_server(s->certs, STAGE_NAME, ca);

  s->server.cert = certs_bundle(s->certs, cert, ca, NULL);
  s->server.key = cert_key_file(cert);
}

void make_same_name_of_another_ca(struct stage *s)
{
  present_spec(s, (struct cert_spec){.issuer = certs_ca(s->certs, "the right authority")});
}

void make_purpose_client(struct stage *s)
{
  present_spec(s, (struct cert_spec){.purpose = CERT_CLIENT});
}

void make_purpose_other(struct stage *s)
{
  present_spec(s, (struct cert_spec){.purpose = CERT_OTHER});
}

void make_issued_by_no_authority(struct stage *s)
{
  present_spec(s, (struct cert_spec){.issuer = usual_cert(s)});
}

void make_revoked(struct stage *s)
{
  const struct cert *cert = usual_cert(s);

  stage_present(s, cert);
  set_option(s->options, "tls.crl_file", certs_crl(s->certs, s->ca, 0, cert, NULL));
}

void make_crl_of_another_ca(struct stage *s)
{
  const struct cert *other = certs_ca(s->certs, "a stranger");

  stage_present(s, usual_cert(s));
  set_option(s->options, "tls.crl_file", certs_crl(s->certs, other, 0, NULL));
}

void make_crl_expired(struct stage *s)
{
  stage_present(s, usual_cert(s));
  set_option(s->options, "tls.crl_file", certs_crl(s->certs, s->ca, -60, NULL));
}

void make_no_intermediate(struct stage *s)
{
  const struct cert *middle = certs_intermediate(s->certs, "middle", s->ca);
  const struct cert *cert = certs_server(s->certs, STAGE_NAME, middle);

  s->server.cert = cert_file(cert);
  s->server.key = cert_key_file(cert);
}

void make_partial_wildcard(struct stage *s)
{
  present_spec(s, (struct cert_spec){.dns = {"f*.example.com"}});
  ask_for(s, "foo.example.com");
}

void make_wildcard_of_two_labels(struct stage *s)
{
  present_spec(s, (struct cert_spec){.dns = {"*.example.com"}});
  ask_for(s, "a.foo.example.com");
}

void make_wildcard_of_no_label(struct stage *s)
{
  present_spec(s, (struct cert_spec){.dns = {"*.example.com"}});
  ask_for(s, "example.com");
}

void make_nul_in_name(struct stage *s)
{
  static const char name[] = STAGE_NAME "\0.evil.test";

  present_spec(s, (struct cert_spec){.dns = {name}, .dns_len = {sizeof name - 1}});
}

/* ---- servers that speak no TLS that we do ---- */

void make_only_1_1(struct stage *s)
{
  stage_present(s, usual_cert(s));
  s->server.max_version = TLS1_1_VERSION;
}

/* A server that is older than the extension by which a client says what it speaks. */
void make_old_server_hello(struct stage *s)
{
  static const struct fake_step script[] = {
      FAKE_SEND("\x16\x03\x02\x00\x2a\x02\x00\x00\x26\x03\x02"
                "0123456789abcdef0123456789abcdef\x00\xc0\x14\x00"),
      FAKE_END};

  s->server.plain = true;
  s->script = script;
}

void make_plain_resp(struct stage *s)
{
  static const struct fake_step script[] = {
      FAKE_SEND("-ERR Protocol error: invalid multibulk length\r\n"), FAKE_END};

  s->server.plain = true;
  s->script = script;
}

void make_plain_http(struct stage *s)
{
  static const struct fake_step script[] = {FAKE_SEND("HTTP/1.1 400 Bad Request\r\n\r\n"),
                                            FAKE_END};

  s->server.plain = true;
  s->script = script;
}

void make_plain_silent(struct stage *s)
{
  s->connect_ms = 200;
  s->accept = FAKE_ACCEPT_SILENT;
  s->server.plain = true;
}

void make_silent(struct stage *s)
{
  s->connect_ms = 200;
  stage_present(s, usual_cert(s));
  s->server.silent = true;
}

void make_silent_in_the_middle(struct stage *s)
{
  s->connect_ms = 200;
  stage_present(s, usual_cert(s));
  s->server.first = 200; /* of its first flight, some 700 */
  s->server.pause_us = -1;
}

void make_closes_at_once(struct stage *s)
{
  s->server.plain = true;
  s->accept = FAKE_ACCEPT_CLOSE;
}

/* ---- our own certificate ---- */

void make_none_of_ours(struct stage *s)
{
  stage_present(s, usual_cert(s));
  s->server.ca = cert_file(s->ca);
}

void make_none_of_ours_1_2(struct stage *s)
{
  make_none_of_ours(s);
  s->server.max_version = TLS1_2_VERSION;
}

static void show(struct stage *s, struct cert_spec spec)
{
  const struct cert *cert;

  spec.name = "client";
  cert = certs_make(s->certs, &spec);
  set_option(s->options, "tls.cert_file", cert_chain_file(cert));
  set_option(s->options, "tls.key_file", cert_key_file(cert));
}

void make_stranger_of_ours(struct stage *s)
{
  make_none_of_ours(s);
  show(s, (struct cert_spec){.issuer = certs_ca(s->certs, "a stranger"), .purpose = CERT_CLIENT});
}

void make_stranger_of_ours_1_2(struct stage *s)
{
  make_stranger_of_ours(s);
  s->server.max_version = TLS1_2_VERSION;
}

void make_old_one_of_ours(struct stage *s)
{
  make_none_of_ours(s);
  show(s, (struct cert_spec){
              .issuer = s->ca, .purpose = CERT_CLIENT, .from_s = -7200, .until_s = -3600});
}

void make_wrong_one_of_ours(struct stage *s)
{
  make_none_of_ours(s);
  show(s, (struct cert_spec){.issuer = s->ca, .purpose = CERT_SERVER});
}

/* ---- the same with what is right: the defect is what made the difference ---- */

void make_common_name_by_option(struct stage *s)
{
  make_common_name_only(s);
  set_option(s->options, "tls.common_name", "yes");
}

void make_one_label(struct stage *s)
{
  present_spec(s, (struct cert_spec){.dns = {"*.example.com"}});
  ask_for(s, "foo.example.com");
}

void make_right_ip(struct stage *s)
{
  present_spec(s, (struct cert_spec){.dns = {"other.test"}, .ip = {"127.0.0.2", "127.0.0.1"}});
  ask_for(s, "");
}

void make_trusted_copy(struct stage *s)
{
  const struct cert *cert =
      certs_make(s->certs, &(struct cert_spec){.name = STAGE_NAME, .dns = {STAGE_NAME}});

  stage_present(s, cert);
  set_option(s->options, "tls.ca_file", cert_file(cert));
}

void make_any_purpose(struct stage *s)
{
  present_spec(s, (struct cert_spec){.purpose = CERT_ANY});
}

void make_whole_chain(struct stage *s)
{
  present_spec(s, (struct cert_spec){.issuer = certs_intermediate(s->certs, "middle", s->ca)});
}

void make_another_is_revoked(struct stage *s)
{
  stage_present(s, usual_cert(s));
  set_option(s->options, "tls.crl_file", certs_crl(s->certs, s->ca, 0, usual_cert(s), NULL));
}

void make_good_one_of_ours(struct stage *s)
{
  make_none_of_ours(s);
  show(s, (struct cert_spec){.issuer = s->ca, .purpose = CERT_CLIENT});
}
