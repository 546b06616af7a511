/* SPDX-License-Identifier: BSD-3-Clause */
/* worker-libvalkey.c - worker for libvalkey's blocking interface: a context for each thread, and
 * one context with a pipeline written by hand. */
#include <stdlib.h>
#include <string.h>
#include <valkey/tls.h>
#include <valkey/valkey.h>

#include "peer.h"
#include "worker_blocking.h"
#include "worker_replies.h" /* of libvalkey: see bench/libvalkey */

struct connection {
  valkeyContext *context;
  valkeyTLSContext *tls;
};

static void close_connection(void *connection)
{
  struct connection *c = connection;

  if (c->context)
    valkeyFree(c->context);
  if (c->tls)
    valkeyFreeTLSContext(c->tls);
  free(c);
}

static const char *or_null(const char *text)
{
  return text[0] ? text : NULL;
}

/* The library verifies the certificate, but for no name: what looks at the server does that. */
static int start_tls(struct connection *c, const struct peer_address *a, char why[WHY_SIZE])
{
  valkeyTLSContextError error;

  c->tls = valkeyCreateTLSContext(or_null(a->ca_file), NULL, or_null(a->cert_file),
                                  or_null(a->key_file), NULL, &error);
  if (c->tls && valkeyInitiateTLSWithContext(c->context, c->tls) == VALKEY_OK)
    return 0;
  snprintf(why, WHY_SIZE, "TLS: %s", c->tls ? c->context->errstr : valkeyTLSContextGetError(error));
  return -1;
}

static int good(const struct connection *c, valkeyReply *reply, char why[WHY_SIZE])
{
  int good = reply && reply->type != VALKEY_REPLY_ERROR;

  if (!good)
    snprintf(why, WHY_SIZE, "%s", reply ? reply->str : c->context->errstr);
  freeReplyObject(reply);
  return good;
}

static int log_in(struct connection *c, const struct peer_address *a, char why[WHY_SIZE])
{
  const char *user = a->user[0] ? a->user : "default";

  if (a->password[0] && !good(c, valkeyCommand(c->context, "AUTH %s %s", user, a->password), why))
    return -1;
  return !a->db || good(c, valkeyCommand(c->context, "SELECT %d", a->db), why) ? 0 : -1;
}

static void *open_connection(const char *url, char why[WHY_SIZE])
{
  struct connection *c = calloc(1, sizeof *c);
  struct peer_address a;

  snprintf(why, WHY_SIZE, "not a URL that is understood here");
  if (!c || peer_parse(url, &a) != 0) {
    free(c);
    return NULL;
  }
  c->context = a.path ? valkeyConnectUnix(a.path) : valkeyConnect(a.host, a.port);
  if (c->context && !c->context->err && (!a.tls || start_tls(c, &a, why) == 0) &&
      log_in(c, &a, why) == 0)
    return c;
  if (!c->context || (c->context->err && !c->tls))
    snprintf(why, WHY_SIZE, "%s", c->context ? c->context->errstr : "out of memory");
  close_connection(c);
  return NULL;
}

static int append(void *connection, int argc, const char *const *argv, const size_t *len)
{
  valkeyContext *context = ((struct connection *)connection)->context;

  return valkeyAppendCommandArgv(context, argc, (const char **)(uintptr_t)argv, len) == VALKEY_OK
             ? 0
             : -1;
}

static void *reply(void *connection)
{
  void *reply = NULL;

  return valkeyGetReply(((struct connection *)connection)->context, &reply) == VALKEY_OK ? reply
                                                                                         : NULL;
}

static const char *error(void *connection)
{
  return ((struct connection *)connection)->context->errstr;
}

static const void *element(const void *reply, size_t i)
{
  return reply_element(reply, i);
}

static void read_reply(const void *reply, struct answer *ret)
{
  reply_answer(reply, ret);
}

static const struct blocking libvalkey = {
    .open = open_connection,
    .close = close_connection,
    .append = append,
    .reply = reply,
    .error = error,
    .free_reply = freeReplyObject,
    .read = read_reply,
    .element = element,
};

static void *open_threads(const struct plan *plan, char why[WHY_SIZE])
{
  return crowd_open(&libvalkey, plan->url, plan_places(plan), why);
}

static void *open_pipeline(const struct plan *plan, char why[WHY_SIZE])
{
  return pipeline_open(&libvalkey, plan->url, why);
}

static const struct way ways[] = {
    {
        .name = "threads",
        .what = "OS threads, each with a context of its own",
        .can = "threads open-loop batches transactions blocking pubsub tcp unix tls",
        .open = open_threads,
        .close = crowd_close,
        .call = crowd_call_own,
        .listen = crowd_listen,
    },
    {
        .name = "pipeline",
        .what = "one thread, one context: commands of all callers are written, then answers read",
        .can = "callbacks open-loop batches pubsub tcp unix tls",
        .open = open_pipeline,
        .close = pipeline_close,
        .issue = pipeline_issue,
        .turn = pipeline_turn,
        .listen = pipeline_listen,
    },
};

static void versions(FILE *out)
{
  fprintf(out, "version libvalkey %d.%d.%d\n", LIBVALKEY_VERSION_MAJOR, LIBVALKEY_VERSION_MINOR,
          LIBVALKEY_VERSION_PATCH);
}

int main(int argc, char **argv)
{
  static const struct worker worker = {
      .name = "poolmux-bench-libvalkey",
      .ways = ways,
      .n = sizeof ways / sizeof *ways,
      .versions = versions,
      .options = PEER_LOGIN_OPTIONS " tls.ca_file tls.cert_file tls.key_file",
  };

  return worker_main(&worker, argc, argv);
}
