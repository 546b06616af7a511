/* SPDX-License-Identifier: BSD-3-Clause */
/* ping_print.c - what poolmux-ping says: lines for people, one object for programs. */
#include "ping.h"

#include <string.h>

enum { URL_SIZE = 1024 };

static const char *const tls_words[] = {"cipher", "verified", "subject", "issuer", "from", "until"};
enum { TLS_WORDS = sizeof tls_words / sizeof *tls_words };

static int64_t median(const struct round_trips *r)
{
  int64_t above = r->ns[r->done / 2];

  return r->done % 2 ? above : (above + r->ns[r->done / 2 - 1]) / 2;
}

static int is_resp3(const struct ping *p)
{
  return strncmp(p->about, "RESP3", 5) == 0;
}

/* ---- for people ---- */

static void line(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void line(const char *name, const char *format, ...)
{
  va_list args;

  printf("  %-11s ", name);
  va_start(args, format);
  people_vprint(stdout, format, args);
  va_end(args);
  putchar('\n');
}

static void some(const char *name, const char *value)
{
  if (*value)
    line(name, "%s", value);
}

static void print_certificate(const char *words)
{
  char a[WORD_SIZE], b[WORD_SIZE];

  if (!*word_of(words, "subject", a))
    return;
  line("certificate", "%s", a);
  line("  issuer", "%s", word_of(words, "issuer", a));
  line("  valid", "%s to %s", word_of(words, "from", a), word_of(words, "until", b));
}

static void print_connection(const struct ping *p)
{
  char a[WORD_SIZE], b[WORD_SIZE];

  if (!*p->about)
    return;
  word_of(p->about, "address", a);
  line("address", "%s", *a ? a : p->endpoint);
  if (*word_of(p->about, "tls", a)) {
    line("tls", "%s, %s", a, word_of(p->about, "cipher", b));
    word_of(p->about, "verified", a);
    if (strcmp(a, "no") == 0)
      line("verified", "NO: tls.insecure_skip_verify=yes");
    else
      line("verified", "for %s", a);
    print_certificate(p->about);
  } else {
    line("tls", "no");
  }
  line("protocol", "%s", is_resp3(p) ? "RESP3" : "RESP2");
}

static void print_server(const struct server_facts *s)
{
  if (*s->version) {
    line("server", "%s %s, %s, %s%s%s", s->kind, s->version, s->mode, s->role,
         *s->link ? ", link to its master " : "", s->link);
    line("uptime", "%s s", s->uptime);
    line("clients", "%s%s%s", s->clients, *s->max_clients ? " of " : "", s->max_clients);
  } else if (*s->refused) {
    line("server", "INFO is refused: %s", s->refused);
  } else if (*s->unanswered) {
    line("server", "INFO is not answered: %s", s->unanswered);
  }
  if (*s->loaded)
    line("loading", "%s %% of its data, about %s s are left", s->loaded, s->eta);
  some("user", s->user);
  some("db", s->db);
}

static void print_trips(const struct round_trips *r)
{
  if (r->done > 0)
    line("round trip", "min %.3f, median %.3f, max %.3f ms of %d", (double)r->ns[0] / 1e6,
         (double)median(r) / 1e6, (double)r->ns[r->done - 1] / 1e6, r->done);
}

static void print_failure(const struct ping *p)
{
  line("failure", "%s", pmx_reply_error(p->error));
  printf("  %-11s %s%s%s\n", "to do", tool_style(stdout, STYLE_STRONG),
         advice_for(p->failed, p->error), tool_style(stdout, STYLE_NONE));
  line("outcome", "%s/%s, see poolmux-troubleshooting(7)",
       pmx_status_str(pmx_reply_status(p->error)), pmx_cause_str(pmx_reply_cause(p->error)));
}

void print_people(const struct ping *p)
{
  char url[URL_SIZE];
  int bad = p->failed != STAGE_NONE;

  printf("%s%s%s%s ", tool_style(stdout, bad ? STYLE_BAD : STYLE_GOOD),
         bad              ? "FAILED at "
         : p->interrupted ? "interrupted"
                          : "ok",
         bad ? stage_name(p->failed) : "", tool_style(stdout, STYLE_NONE));
  if (p->failed != STAGE_OPTIONS)
    people_print(stdout, "%s", tool_shown_url(p->tool.url, url, sizeof url));
  putchar('\n');
  if (bad)
    print_failure(p);
  if (p->failed == STAGE_TLS)
    print_certificate(p->certificate);
  print_connection(p);
  print_server(&p->server);
  print_trips(&p->trips);
}

/* ---- for programs ---- */

static void some_json(const char *name, const char *value)
{
  if (*value)
    json_member(stdout, name, value);
}

static void some_number(const char *name, const char *digits)
{
  if (*digits)
    json_number(stdout, name, digits);
}

static void json_tls(const char *words)
{
  char buf[WORD_SIZE];

  if (!*word_of(words, "tls", buf) && !*word_of(words, "subject", buf))
    return;
  fputs(",\"tls\":{\"version\":", stdout);
  word_of(words, "tls", buf);
  json_text(stdout, *buf ? buf : NULL);
  for (int i = 0; i < TLS_WORDS; i++)
    some_json(tls_words[i], word_of(words, tls_words[i], buf));
  putchar('}');
}

static void json_server(const struct server_facts *s)
{
  if (!*s->version)
    return;
  fputs(",\"server\":{\"kind\":", stdout);
  json_text(stdout, s->kind);
  some_json("version", s->version);
  some_json("mode", s->mode);
  some_json("role", s->role);
  some_json("master_link", s->link);
  some_number("uptime_s", s->uptime);
  some_number("clients", s->clients);
  some_number("max_clients", s->max_clients);
  some_json("loaded_percent", s->loaded);
  some_number("loading_eta_s", s->eta);
  putchar('}');
}

void print_json(const struct ping *p)
{
  const struct round_trips *r = &p->trips;
  char buf[URL_SIZE], word[WORD_SIZE];

  printf("{\"ok\":%s", p->failed || p->interrupted ? "false" : "true");
  if (p->failed != STAGE_OPTIONS)
    json_member(stdout, "url", tool_shown_url(p->tool.url, buf, sizeof buf));
  if (p->failed) {
    json_member(stdout, "stage", stage_name(p->failed));
    json_member(stdout, "status", pmx_status_str(pmx_reply_status(p->error)));
    json_member(stdout, "cause", pmx_cause_str(pmx_reply_cause(p->error)));
    json_member(stdout, "error", pmx_reply_error(p->error));
    json_member(stdout, "advice", advice_for(p->failed, p->error));
  }
  some_json("endpoint", p->endpoint);
  some_json("address", word_of(p->about, "address", word));
  if (*p->about)
    json_member(stdout, "protocol", is_resp3(p) ? "RESP3" : "RESP2");
  json_tls(*p->about ? p->about : p->certificate);
  json_server(&p->server);
  some_json("user", p->server.user);
  some_number("db", p->server.db);
  if (r->done > 0)
    printf(",\"round_trip_ns\":{\"count\":%d,\"min\":%lld,\"median\":%lld,\"max\":%lld}", r->done,
           (long long)r->ns[0], (long long)median(r), (long long)r->ns[r->done - 1]);
  puts("}");
}
