/* SPDX-License-Identifier: BSD-3-Clause */
/* handshake.c - what a connection says before it carries requests: HELLO or AUTH alone, then the
 * rest as one pipeline that ends in a PING. Nothing of a user's is written before all of it was
 * answered.
 *
 * Why alone: some servers answer a failing AUTH in the middle of a pipeline with nothing at all,
 * which would shift every later reply. Why the PING: it tells a server that wants a password, or
 * that has no room for another client, from one that will serve. Answers to the optional steps
 * (CLIENT SETNAME and SETINFO, unknown before 7.2) may be errors. */
#include "conn/conn.h"
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "base/text.h"
#include "call/reply.h"
#include "resp/encode.h"

enum step { STEP_RESET, STEP_HELLO, STEP_AUTH, STEP_SELECT, STEP_NAME, STEP_INFO, STEP_PING };

void handshake_clear(struct handshake *h)
{
  if (h->out)
    mem_wipe(h->out, h->size);
  if (h->user)
    mem_wipe(h->user, strlen(h->user));
  if (h->password)
    mem_wipe(h->password, strlen(h->password));
  mem_free(h->out);
  mem_free(h->user);
  mem_free(h->password);
  memset(h, 0, sizeof *h);
}

/* Room is sure: handshake_begin allocates for the longest handshake. */
static void say(struct handshake *h, enum step step, int argc, const char *const *argv)
{
  size_t len[5];

  for (int i = 0; i < argc; i++)
    len[i] = strlen(argv[i]);
  h->len += encode_small(h->out + h->len, h->size - h->len, argc, argv, len);
  h->ends[h->expected] = h->len;
  h->expect[h->expected++] = (uint8_t)step;
}

static void next_flight(struct handshake *h)
{
  h->len = h->sent = 0;
  h->expected = h->answered = 0;
}

static void say_auth(struct handshake *h)
{
  if (h->user)
    say(h, STEP_AUTH, 3, (const char *[]){"AUTH", h->user, h->password ? h->password : ""});
  else
    say(h, STEP_AUTH, 2, (const char *[]){"AUTH", h->password});
}

static void say_hello(struct handshake *h)
{
  const char *user = h->user ? h->user : "default";

  if (h->user || h->password)
    say(h, STEP_HELLO, 5,
        (const char *[]){"HELLO", "3", "AUTH", user, h->password ? h->password : ""});
  else
    say(h, STEP_HELLO, 2, (const char *[]){"HELLO", "3"});
}

static void say_rest(struct conn *c)
{
  struct handshake *h = &c->handshake;
  const struct config *config = c->config;
  char db[24];

  next_flight(h);
  if (config->db != 0) {
    snprintf(db, sizeof db, "%lld", (long long)config->db);
    say(h, STEP_SELECT, 2, (const char *[]){"SELECT", db});
  }
  if (config->client_name[0])
    say(h, STEP_NAME, 3, (const char *[]){"CLIENT", "SETNAME", config->client_name});
  if (config->client_info) {
    say(h, STEP_INFO, 4, (const char *[]){"CLIENT", "SETINFO", "LIB-NAME", "poolmux"});
    say(h, STEP_INFO, 4, (const char *[]){"CLIENT", "SETINFO", "LIB-VER", POOLMUX_VERSION});
  }
  say(h, STEP_PING, 1, (const char *[]){"PING"});
}

static int wants_resp3(const struct conn *c)
{
  if (c->handshake.refused_resp3)
    return 0;
  return c->config->protocol == PROTOCOL_RESP3 ||
         (c->config->protocol == PROTOCOL_AUTO && decoder_resp3());
}

static void say_login(struct conn *c)
{
  struct handshake *h = &c->handshake;

  next_flight(h);
  if (wants_resp3(c))
    say_hello(h);
  else if (h->user || h->password)
    say_auth(h);
  else
    say_rest(c);
}

int handshake_begin(struct conn *c, int reset)
{
  struct handshake *h = &c->handshake;

  h->size = 512 + strlen(c->config->client_name) + (h->user ? strlen(h->user) : 0) +
            (h->password ? strlen(h->password) : 0);
  h->out = mem_alloc(h->size);
  if (!h->out)
    return -1;
  if (reset)
    say(h, STEP_RESET, 1, (const char *[]){"RESET"});
  else
    say_login(c);
  return 0;
}

/* How much of it may be shown: its code at most when the secret stands in it, and none of that. */
static size_t without(const char *said, const char *secret)
{
  const char *at = secret && secret[0] ? strstr(said, secret) : NULL;
  size_t code = strcspn(said, " ");

  if (!at)
    return strlen(said);
  return (size_t)(at - said) < code ? (size_t)(at - said) : code;
}

/* Servers repeat what they did not understand, and that may have been the password. */
static size_t quotable(const struct handshake *h, const char *said)
{
  const char *args = strstr(said, ", with args beginning with");

  if (args)
    return (size_t)(args - said);
  return without(said, h->password);
}

static void refuse(struct conn *c, pmx_cause cause, const char *what, const pmx_reply *reply)
{
  char buf[sizeof c->text];
  struct text text;
  const char *said = pmx_reply_error(reply);

  text_init(&text, buf, sizeof buf);
  text_add(&text, "%s: the server said \"", what);
  text_add_quoted(&text, said, quotable(&c->handshake, said), 100);
  text_add(&text, "\"");
  conn_poison(c, cause, buf);
}

/* A server that does not want us answers whatever comes first with one of these, then hangs up. 1:
 * it did. */
static int turned_away(struct conn *c, const pmx_reply *reply)
{
  if (strstr(pmx_reply_error(reply), "max number of clients"))
    refuse(c, PMX_CAUSE_CONNECT, "connection refused, no room for another (its maxclients)", reply);
  else if (reply_is_code(reply, "DENIED"))
    refuse(c, PMX_CAUSE_CONNECT, "connection refused, it is in protected mode", reply);
  return c->poisoned;
}

/* Whose login: the name may come from a credentials function, and so be new to whoever reads it. */
static void refuse_login(struct conn *c, const pmx_reply *reply)
{
  const struct handshake *h = &c->handshake;
  char buf[320];
  struct text what;

  if (!h->user && !h->password) {
    refuse(c, PMX_CAUSE_AUTH, "the server wants a password (options user, password)", reply);
    return;
  }
  text_init(&what, buf, sizeof buf);
  text_add(&what, "login refused, user \"");
  text_add_quoted(&what, h->user ? h->user : "default", h->user ? strlen(h->user) : 7, 64);
  text_add(&what, "\" (options user, password)");
  refuse(c, PMX_CAUSE_AUTH, buf, reply);
}

static void refuse_database(struct conn *c, const pmx_reply *reply)
{
  char buf[64];
  struct text what;

  text_init(&what, buf, sizeof buf);
  text_add(&what, "database %lld refused (option db)", (long long)c->config->db);
  refuse(c, PMX_CAUSE_AUTH, buf, reply);
}

static void hello_failed(struct conn *c, const pmx_reply *reply)
{
  struct handshake *h = &c->handshake;
  int no_resp3 = reply_is_code(reply, "NOPROTO") || reply_is_code(reply, "ERR");

  if (no_resp3 && c->config->protocol == PROTOCOL_AUTO) {
    h->refused_resp3 = 1;
    say_login(c);
  } else if (no_resp3) {
    refuse(c, PMX_CAUSE_PROTOCOL, "RESP3 was refused (protocol=resp3)", reply);
  } else {
    refuse_login(c, reply);
  }
}

static void step_failed(struct conn *c, enum step step, const pmx_reply *reply)
{
  if (turned_away(c, reply))
    return;
  switch (step) {
  case STEP_RESET:
    refuse(c, PMX_CAUSE_PROTOCOL, "RESET was refused", reply);
    return;
  case STEP_HELLO:
    hello_failed(c, reply);
    return;
  case STEP_AUTH:
    refuse_login(c, reply);
    return;
  case STEP_SELECT:
    if (reply_is_code(reply, "NOAUTH"))
      refuse_login(c, reply);
    else
      refuse_database(c, reply);
    return;
  case STEP_NAME:
  case STEP_INFO:
    return;
  case STEP_PING:
    if (reply_is_code(reply, "NOAUTH"))
      refuse_login(c, reply);
    return;
  }
}

/* Steps with a fixed answer must get it: anything else is a stream out of step. */
static int step_answered(enum step step, const pmx_reply *reply)
{
  pmx_type type = pmx_reply_type(reply);

  if (step == STEP_HELLO)
    return type == PMX_TYPE_MAP || type == PMX_TYPE_ARRAY;
  return type == PMX_TYPE_SIMPLE;
}

static void step_done(struct conn *c, enum step step, const pmx_reply *reply)
{
  switch (step) {
  case STEP_RESET:
    c->resp3 = 0;
    say_login(c);
    return;
  case STEP_HELLO:
    c->resp3 = 1;
    c->client_id = pmx_reply_int(pmx_reply_get(reply, "id", 2), NULL);
    say_rest(c);
    return;
  case STEP_AUTH:
    say_rest(c);
    return;
  case STEP_SELECT:
  case STEP_NAME:
  case STEP_INFO:
  case STEP_PING:
    return;
  }
}

void handshake_reply(struct conn *c, const pmx_reply *reply)
{
  struct handshake *h = &c->handshake;
  enum step step;

  if (h->answered >= h->expected || h->sent < h->ends[h->answered]) {
    if (pmx_reply_type(reply) == PMX_TYPE_ERROR) {
      if (!turned_away(c, reply))
        refuse(c, PMX_CAUSE_CONNECT, "connection refused", reply);
      return;
    }
    conn_poison(c, PMX_CAUSE_PROTOCOL, "the server answered before it was asked");
    return;
  }
  step = (enum step)h->expect[h->answered++];
  if (pmx_reply_type(reply) == PMX_TYPE_ERROR)
    step_failed(c, step, reply);
  else if (!step_answered(step, reply))
    conn_poison(c, PMX_CAUSE_PROTOCOL, "the server gave a login answer of the wrong kind");
  else
    step_done(c, step, reply);
  if (c->poisoned || step != STEP_PING)
    return;
  handshake_clear(h);
  c->phase = CONN_READY;
}
