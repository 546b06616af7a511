/* SPDX-License-Identifier: BSD-3-Clause */
/* worker-hiredis.c - worker for hiredis' blocking interface, in the three ways it is used: a
 * context for each thread, a few contexts behind a mutex, and one context with a pipeline written
 * by hand. */
#include "worker_blocking.h"
#include "worker_replies.h"
#include "wire.h"

static void *open_wire(const char *url, char why[WHY_SIZE])
{
  return wire_open(url, why);
}

static void close_wire(void *connection)
{
  wire_close(connection);
}

static int append(void *connection, int argc, const char *const *argv, const size_t *len)
{
  return wire_append(connection, argc, argv, len);
}

static void *reply(void *connection)
{
  return wire_reply(connection);
}

static const char *error(void *connection)
{
  return wire_error(connection);
}

static const void *element(const void *reply, size_t i)
{
  return reply_element(reply, i);
}

static void read_reply(const void *reply, struct answer *ret)
{
  reply_answer(reply, ret);
}

static const struct blocking hiredis = {
    .open = open_wire,
    .close = close_wire,
    .append = append,
    .reply = reply,
    .error = error,
    .free_reply = freeReplyObject,
    .read = read_reply,
    .element = element,
};

static void *open_threads(const struct plan *plan, char why[WHY_SIZE])
{
  return crowd_open(&hiredis, plan->url, plan_places(plan), why);
}

static void *open_pool(const struct plan *plan, char why[WHY_SIZE])
{
  return crowd_open(&hiredis, plan->url, pool_size(plan), why);
}

static void *open_pipeline(const struct plan *plan, char why[WHY_SIZE])
{
  return pipeline_open(&hiredis, plan->url, why);
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
        .name = "pool",
        .what = "OS threads, with few contexts behind a mutex",
        .can = "threads open-loop batches transactions blocking pubsub tcp unix tls",
        .open = open_pool,
        .close = crowd_close,
        .call = crowd_call_pooled,
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
  fprintf(out, "version hiredis %d.%d.%d\n", HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
}

int main(int argc, char **argv)
{
  static const struct worker worker = {
      .name = "poolmux-bench-hiredis",
      .ways = ways,
      .n = sizeof ways / sizeof *ways,
      .versions = versions,
      .options = PEER_LOGIN_OPTIONS " " PEER_TLS_OPTIONS,
  };

  return worker_main(&worker, argc, argv);
}
