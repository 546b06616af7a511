/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_defects.c - see tls_defects.h. Certificates that only differ from a right one by what is
 * wrong with them. */
#include "behaviour/tls_defects.h"

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

static void wrong_name(struct stage *s)
{
  present_spec(s, (struct cert_spec){.dns = {"other.test"}});
}

/* What has to be done is still said behind all of them. */
#define LONG_NAME "a-name-of-sixty-three-letters-that-fills-the-whole-of-a-label-s"
#define LONG_DOMAIN LONG_NAME ".example.com"

static void wrong_long_names(struct stage *s)
{
  present_spec(s, (struct cert_spec){.dns = {"1." LONG_DOMAIN, "2." LONG_DOMAIN, "3." LONG_DOMAIN,
                                             "4." LONG_DOMAIN}});
  ask_for(s, "5." LONG_DOMAIN);
}

static void wrong_ip(struct stage *s)
{
  present_spec(s, (struct cert_spec){.dns = {"127.0.0.1"}, .ip = {"127.0.0.2"}});
  ask_for(s, "");
}

static void common_name_only(struct stage *s)
{
  stage_present(s, certs_make(s->certs, &(struct cert_spec){.name = STAGE_NAME, .issuer = s->ca}));
}

static void expired(struct stage *s)
{
  present_spec(s, (struct cert_spec){.from_s = -7200, .until_s = -3600});
}

static void early(struct stage *s)
{
  present_spec(s, (struct cert_spec){.from_s = 3600, .until_s = 7200});
}

static void self_signed(struct stage *s)
{
  stage_present(s,
                certs_make(s->certs, &(struct cert_spec){.name = STAGE_NAME, .dns = {STAGE_NAME}}));
}

static void unknown_ca(struct stage *s)
{
  present_spec(s, (struct cert_spec){.issuer = certs_ca(s->certs, "a stranger")});
}

static void unknown_ca_that_is_sent(struct stage *s)
{
  const struct cert *ca = certs_ca(s->certs, "a stranger");
  const struct cert *cert = certs_server(s->certs, STAGE_NAME, ca);

  s->server.cert = certs_bundle(s->certs, cert, ca, NULL);
  s->server.key = cert_key_file(cert);
}

static void same_name_of_another_ca(struct stage *s)
{
  present_spec(s, (struct cert_spec){.issuer = certs_ca(s->certs, "the right authority")});
}

static void purpose_client(struct stage *s)
{
  present_spec(s, (struct cert_spec){.purpose = CERT_CLIENT});
}

static void purpose_other(struct stage *s)
{
  present_spec(s, (struct cert_spec){.purpose = CERT_OTHER});
}

static void issued_by_no_authority(struct stage *s)
{
  present_spec(s, (struct cert_spec){.issuer = usual_cert(s)});
}

static void revoked(struct stage *s)
{
  const struct cert *cert = usual_cert(s);

  stage_present(s, cert);
  set_option(s->options, "tls.crl_file", certs_crl(s->certs, s->ca, 0, cert, NULL));
}

static void crl_of_another_ca(struct stage *s)
{
  const struct cert *other = certs_ca(s->certs, "a stranger");

  stage_present(s, usual_cert(s));
  set_option(s->options, "tls.crl_file", certs_crl(s->certs, other, 0, NULL));
}

static void crl_expired(struct stage *s)
{
  stage_present(s, usual_cert(s));
  set_option(s->options, "tls.crl_file", certs_crl(s->certs, s->ca, -60, NULL));
}

static void no_intermediate(struct stage *s)
{
  const struct cert *middle = certs_intermediate(s->certs, "middle", s->ca);
  const struct cert *cert = certs_server(s->certs, STAGE_NAME, middle);

  s->server.cert = cert_file(cert);
  s->server.key = cert_key_file(cert);
}

static void partial_wildcard(struct stage *s)
{
  present_spec(s, (struct cert_spec){.dns = {"f*.example.com"}});
  ask_for(s, "foo.example.com");
}

static void wildcard_of_two_labels(struct stage *s)
{
  present_spec(s, (struct cert_spec){.dns = {"*.example.com"}});
  ask_for(s, "a.foo.example.com");
}

static void wildcard_of_no_label(struct stage *s)
{
  present_spec(s, (struct cert_spec){.dns = {"*.example.com"}});
  ask_for(s, "example.com");
}

static void nul_in_name(struct stage *s)
{
  static const char name[] = STAGE_NAME "\0.evil.test";

  present_spec(s, (struct cert_spec){.dns = {name}, .dns_len = {sizeof name - 1}});
}

/* ---- servers that speak no TLS that we do ---- */

static void only_1_1(struct stage *s)
{
  stage_present(s, usual_cert(s));
  s->server.max_version = TLS1_1_VERSION;
}

/* A server that is older than the extension by which a client says what it speaks. */
static void old_server_hello(struct stage *s)
{
  static const struct fake_step script[] = {
      FAKE_SEND("\x16\x03\x02\x00\x2a\x02\x00\x00\x26\x03\x02"
                "0123456789abcdef0123456789abcdef\x00\xc0\x14\x00"),
      FAKE_END};

  s->server.plain = true;
  s->script = script;
}

static void plain_resp(struct stage *s)
{
  static const struct fake_step script[] = {
      FAKE_SEND("-ERR Protocol error: invalid multibulk length\r\n"), FAKE_END};

  s->server.plain = true;
  s->script = script;
}

static void plain_http(struct stage *s)
{
  static const struct fake_step script[] = {FAKE_SEND("HTTP/1.1 400 Bad Request\r\n\r\n"),
                                            FAKE_END};

  s->server.plain = true;
  s->script = script;
}

static void plain_silent(struct stage *s)
{
  s->connect_ms = 200;
  s->accept = FAKE_ACCEPT_SILENT;
  s->server.plain = true;
}

static void silent(struct stage *s)
{
  s->connect_ms = 200;
  stage_present(s, usual_cert(s));
  s->server.silent = true;
}

static void silent_in_the_middle(struct stage *s)
{
  s->connect_ms = 200;
  stage_present(s, usual_cert(s));
  s->server.first = 200; /* of its first flight, some 700 */
  s->server.pause_us = -1;
}

static void closes_at_once(struct stage *s)
{
  s->server.plain = true;
  s->accept = FAKE_ACCEPT_CLOSE;
}

/* ---- our own certificate ---- */

static void none_of_ours(struct stage *s)
{
  stage_present(s, usual_cert(s));
  s->server.ca = cert_file(s->ca);
}

static void none_of_ours_1_2(struct stage *s)
{
  none_of_ours(s);
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

static void stranger_of_ours(struct stage *s)
{
  none_of_ours(s);
  show(s, (struct cert_spec){.issuer = certs_ca(s->certs, "a stranger"), .purpose = CERT_CLIENT});
}

static void stranger_of_ours_1_2(struct stage *s)
{
  stranger_of_ours(s);
  s->server.max_version = TLS1_2_VERSION;
}

static void old_one_of_ours(struct stage *s)
{
  none_of_ours(s);
  show(s, (struct cert_spec){
              .issuer = s->ca, .purpose = CERT_CLIENT, .from_s = -7200, .until_s = -3600});
}

static void wrong_one_of_ours(struct stage *s)
{
  none_of_ours(s);
  show(s, (struct cert_spec){.issuer = s->ca, .purpose = CERT_SERVER});
}

/* ---- what is said ---- */

const struct refusal refusals[] = {
    {"wrong name",
     wrong_name,
     0,
     PMX_CAUSE_TLS,
     {"is not for name \"" STAGE_NAME "\" but for \"other.test\"",
      "set tls.server_name to a name it has", "CN = " STAGE_NAME}},
    {"wrong long names",
     wrong_long_names,
     0,
     PMX_CAUSE_TLS,
     {"\"1.a-name", "\"4.a-name", "set tls.server_name to a name it has"}},
    {"wrong IP",
     wrong_ip,
     0,
     PMX_CAUSE_TLS,
     {"is not for address \"127.0.0.1\" but for \"127.0.0.1\", 127.0.0.2",
      "set tls.server_name to a name it has", "CN = " STAGE_NAME}},
    {"common name only",
     common_name_only,
     0,
     PMX_CAUSE_TLS,
     {"is not for name \"" STAGE_NAME "\"", "CN = " STAGE_NAME,
      "it lists no names (subjectAltName)", "tls.common_name=yes"}},
    {"expired",
     expired,
     0,
     PMX_CAUSE_TLS,
     {"the server's certificate expired on 20", "this machine's clock says 20",
      "CN = " STAGE_NAME}},
    {"not yet valid",
     early,
     0,
     PMX_CAUSE_TLS,
     {"the server's certificate is not valid before 20", "this machine's clock says 20",
      "CN = " STAGE_NAME}},
    {"self-signed",
     self_signed,
     0,
     PMX_CAUSE_TLS,
     {"is signed by itself and not trusted here", "CN = " STAGE_NAME,
      "set tls.ca_file to a copy of it"}},
    {"unknown CA",
     unknown_ca,
     0,
     PMX_CAUSE_TLS,
     {"the issuer of the server's certificate is not trusted here", "CN = a stranger",
      "add its CA's certificate to tls.ca_file"}},
    {"unknown CA that is sent along",
     unknown_ca_that_is_sent,
     0,
     PMX_CAUSE_TLS,
     {"the CA of the server's certificate is not trusted here", "CN = a stranger", "tls.ca_file"}},
    {"same name of another CA",
     same_name_of_another_ca,
     0,
     PMX_CAUSE_TLS,
     {"certificate", "CN = the right authority", "tls.ca_file"}},
    {"made for clients",
     purpose_client,
     0,
     PMX_CAUSE_TLS,
     {"is not made for servers", "CN = " STAGE_NAME, "extendedKeyUsage=serverAuth"}},
    {"made for something else",
     purpose_other,
     0,
     PMX_CAUSE_TLS,
     {"is not made for servers", "CN = " STAGE_NAME, "extendedKeyUsage=serverAuth"}},
    {"issued by no authority",
     issued_by_no_authority,
     0,
     PMX_CAUSE_TLS,
     {"was issued by one that may not issue any", "basicConstraints=CA:TRUE"}},
    {"revoked",
     revoked,
     0,
     PMX_CAUSE_TLS,
     {"has been revoked, says tls.crl_file", "CN = " STAGE_NAME, "needs a new one"}},
    {"revocation list of another CA",
     crl_of_another_ca,
     0,
     PMX_CAUSE_TLS,
     {"tls.crl_file has no list of the CA", "CN = the right authority"}},
    {"revocation list expired",
     crl_expired,
     0,
     PMX_CAUSE_TLS,
     {"in tls.crl_file the list", "is too old", "CN = the right authority"}},
    {"no intermediate",
     no_intermediate,
     0,
     PMX_CAUSE_TLS,
     {"is not trusted here", "CN = middle", "does not send its intermediate certificates"}},
    {"partial wildcard",
     partial_wildcard,
     0,
     PMX_CAUSE_TLS,
     {"is not for name \"foo.example.com\" but for \"f*.example.com\""}},
    {"wildcard of two labels",
     wildcard_of_two_labels,
     0,
     PMX_CAUSE_TLS,
     {"is not for name \"a.foo.example.com\" but for \"*.example.com\""}},
    {"wildcard of no label",
     wildcard_of_no_label,
     0,
     PMX_CAUSE_TLS,
     {"is not for name \"example.com\" but for \"*.example.com\""}},
    {"NUL in a name",
     nul_in_name,
     0,
     PMX_CAUSE_TLS,
     {"is not for name \"" STAGE_NAME "\" but for \"" STAGE_NAME "\\x00.evil.test\""}},

    {"TLS 1.1 only",
     only_1_1,
     FAKE_ONLY,
     PMX_CAUSE_TLS,
     {"the server speaks no version of TLS that tls.min_version=1.2 allows"}},
    {"TLS 1.1 only, and does not know of others",
     old_server_hello,
     FAKE_ONLY,
     PMX_CAUSE_TLS,
     {"the server speaks no version of TLS that tls.min_version=1.2 allows"}},
    {"plain RESP",
     plain_resp,
     FAKE_ONLY,
     PMX_CAUSE_TLS,
     {"the server does not speak TLS: is this its plain port?"}},
    {"HTTP",
     plain_http,
     FAKE_ONLY,
     PMX_CAUSE_TLS,
     {"the server does not speak TLS: is this its plain port?"}},
    {"plain and silent",
     plain_silent,
     FAKE_ONLY,
     PMX_CAUSE_CONNECT,
     {"TLS handshake: no answer in time; is this the server's TLS port?"}},
    {"silent", silent, FAKE_ONLY, PMX_CAUSE_CONNECT, {"TLS handshake: no answer in time"}},
    {"silent in the middle",
     silent_in_the_middle,
     FAKE_ONLY,
     PMX_CAUSE_CONNECT,
     {"TLS handshake: no answer in time"}},
    {"closes at once", closes_at_once, FAKE_ONLY, PMX_CAUSE_CONNECT, {"TLS handshake: "}},

    {"no client certificate",
     none_of_ours,
     WANTS_CLIENTS,
     PMX_CAUSE_TLS,
     {"the server wants a client certificate; set tls.cert_file and tls.key_file"}},
    {"no client certificate, TLS 1.2",
     none_of_ours_1_2,
     FAKE_ONLY,
     PMX_CAUSE_TLS,
     {"client certificate", "tls.cert_file"}},
    {"unknown client certificate",
     stranger_of_ours,
     WANTS_CLIENTS,
     PMX_CAUSE_TLS,
     {"the server refused the client certificate (tls.cert_file)",
      "its CA is not one that the server trusts"}},
    {"unknown client certificate, TLS 1.2",
     stranger_of_ours_1_2,
     FAKE_ONLY,
     PMX_CAUSE_TLS,
     {"the server refused the client certificate (tls.cert_file)",
      "its CA is not one that the server trusts"}},
    {"expired client certificate",
     old_one_of_ours,
     WANTS_CLIENTS,
     PMX_CAUSE_TLS,
     {"the server refused the client certificate (tls.cert_file)", "it has expired"}},
    {"client certificate made for servers",
     wrong_one_of_ours,
     WANTS_CLIENTS,
     PMX_CAUSE_TLS,
     {"the server refused the client certificate (tls.cert_file)", "extendedKeyUsage=clientAuth"}},
};
const int refusal_count = sizeof refusals / sizeof refusals[0];

/* ---- the same with what is right: the defect is what made the difference ---- */

static void common_name_by_option(struct stage *s)
{
  common_name_only(s);
  set_option(s->options, "tls.common_name", "yes");
}

static void one_label(struct stage *s)
{
  present_spec(s, (struct cert_spec){.dns = {"*.example.com"}});
  ask_for(s, "foo.example.com");
}

static void right_ip(struct stage *s)
{
  present_spec(s, (struct cert_spec){.dns = {"other.test"}, .ip = {"127.0.0.2", "127.0.0.1"}});
  ask_for(s, "");
}

static void trusted_copy(struct stage *s)
{
  const struct cert *cert =
      certs_make(s->certs, &(struct cert_spec){.name = STAGE_NAME, .dns = {STAGE_NAME}});

  stage_present(s, cert);
  set_option(s->options, "tls.ca_file", cert_file(cert));
}

static void any_purpose(struct stage *s)
{
  present_spec(s, (struct cert_spec){.purpose = CERT_ANY});
}

static void whole_chain(struct stage *s)
{
  present_spec(s, (struct cert_spec){.issuer = certs_intermediate(s->certs, "middle", s->ca)});
}

static void another_is_revoked(struct stage *s)
{
  stage_present(s, usual_cert(s));
  set_option(s->options, "tls.crl_file", certs_crl(s->certs, s->ca, 0, usual_cert(s), NULL));
}

static void good_one_of_ours(struct stage *s)
{
  none_of_ours(s);
  show(s, (struct cert_spec){.issuer = s->ca, .purpose = CERT_CLIENT});
}

void (*const good_ones[])(struct stage *) = {common_name_by_option, one_label,       right_ip,
                                             trusted_copy,          any_purpose,     whole_chain,
                                             another_is_revoked,    good_one_of_ours};
const int good_count = sizeof good_ones / sizeof good_ones[0];
